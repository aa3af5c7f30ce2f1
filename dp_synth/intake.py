"""What a fit takes in: records of a frame or a file, over a schema that a fit has room for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from os import PathLike

import numpy as np
import pandas as pd

from dp_synth.accounting import PrivacyBudget
from dp_synth.counting import Records, is_larger_than_memory, kept_of_units, read_records
from dp_synth.datasets import read_table
from dp_synth.domain import Domain
from dp_synth.errors import SchemaError
from dp_synth.inference.junction_tree import MAX_CELLS, check_supports
from dp_synth.inference.triangulation import total_cells
from dp_synth.schema import Schema

Data = pd.DataFrame | str | PathLike[str] | Records
"""A private table: in memory, the path of a file, or read by `counting.read_records`."""


@contextmanager
def records_of(
    data: Data, schema: Schema, budget: PrivacyBudget, rng: np.random.Generator
) -> Iterator[Records]:
    """Give the records of which a fit may speak: of each unit at most so many."""
    with ExitStack() as opened:
        if isinstance(data, (str, PathLike)):
            if is_larger_than_memory(data):
                data = opened.enter_context(read_records(data, schema, unit=budget.unit))
            else:
                data = read_table(data, schema.dialect)
        if isinstance(data, pd.DataFrame):
            yield Records.of(keep_rows_of_units(data, budget, rng), schema)
            return
        _refuse_other_reading(data, schema, budget)
        if budget.unit is not None:
            data = opened.enter_context(data.at_most(budget.max_rows, rng))
        yield data


def _refuse_other_reading(records: Records, schema: Schema, budget: PrivacyBudget) -> None:
    if records.schema.to_dict() != schema.to_dict():
        raise SchemaError(
            f"the records were read by another schema than {schema.name!r}; read them by this one"
        )
    if budget.unit is not None and records.unit != budget.unit:
        raise SchemaError(f"the records were read without their units; give unit={budget.unit!r}")


def keep_rows_of_units(
    frame: pd.DataFrame, budget: PrivacyBudget, rng: np.random.Generator
) -> pd.DataFrame:
    """Return at most ``max_rows`` records of each unit, chosen at random, in their order.

    The choice is that of `counting.kept_of_units`. Records that name no unit are one.
    SchemaError when the frame lacks the unit's column.
    """
    if budget.unit is None:
        return frame
    if budget.unit not in frame.columns:
        raise SchemaError(f"the table lacks column {budget.unit!r}, which names the unit")
    units = pd.factorize(frame[budget.unit].astype(str), use_na_sentinel=False)[0]
    return frame.iloc[np.flatnonzero(kept_of_units(units, budget.max_rows, rng))]


def refuse_unfit(domain: Domain) -> None:
    """Raise SchemaError where no model over ``domain`` has room, or no record is possible.

    Reads public facts alone.
    """
    if (cells := sum(domain.sizes)) > MAX_CELLS:
        widest = sorted(domain, key=domain.size)[-3:]
        raise SchemaError(
            f"the schema's columns have {cells:,} cells together, at most {MAX_CELLS:,} can be "
            f"held; give the widest of them, {_list(widest)}, fewer bins or categories"
        )
    if (cells := total_cells(domain, ())) > MAX_CELLS:
        joined = {name: None for support in domain.supports for name in support.clique}
        raise SchemaError(
            f"the constraints join {_list(joined)} into tables of {cells:,} cells, at most "
            f"{MAX_CELLS:,} can be held; give these columns fewer bins, or drop a constraint"
        )
    check_supports(domain)


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
