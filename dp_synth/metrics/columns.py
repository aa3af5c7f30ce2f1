"""The columns that metrics and attacks look at, and their cells in a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.frames import column_of
from dp_synth.schema import DatetimeColumn, DiscreteColumn, NumericColumn, Schema

Attribute = DiscreteColumn | NumericColumn | DatetimeColumn


def attributes_of(schema: Schema) -> tuple[Attribute, ...]:
    """Return the columns of ``schema`` that are no identifiers: those are never compared."""
    return tuple(column for column in schema.columns if isinstance(column, Attribute))


def cells_of(frame: pd.DataFrame, column: Attribute) -> pd.Series:
    """Return the cells of ``column``; SchemaError when ``frame`` lacks it."""
    return column_of(frame, column.name)


def codes_of(column: Attribute, cells: pd.Series) -> NDArray[np.int32]:
    """Return the code of each cell, that of the first mark for all missing ones.

    Typed tables have one kind of missing cell, whatever marks the schema has.
    """
    return np.minimum(column.encode(cells), np.int32(column.size - len(column.missing)))
