"""The columns that metrics and attacks look at, and their cells in a table."""

from __future__ import annotations

import pandas as pd

from dp_synth.frames import column_of
from dp_synth.schema import DatetimeColumn, DiscreteColumn, NumericColumn, Schema

Attribute = DiscreteColumn | NumericColumn | DatetimeColumn


def attributes_of(schema: Schema) -> tuple[Attribute, ...]:
    """Return the columns of ``schema`` that are no identifiers: those are never compared."""
    return tuple(column for column in schema.columns if isinstance(column, Attribute))


def cells_of(frame: pd.DataFrame, column: Attribute) -> pd.Series:
    """Return the cells of ``column``; SchemaError when ``frame`` lacks it."""
    return column_of(frame, column.name)
