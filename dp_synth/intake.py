"""What a fit takes in: records of a frame or a file, over a schema that a fit has room for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from os import PathLike

import numpy as np
import pandas as pd

from dp_synth.accounting import PrivacyBudget
from dp_synth.accounting.ledger import PLANNED, UNCONFIRMED
from dp_synth.counting import Records, is_larger_than_memory, kept_of_units, read_records
from dp_synth.counting.size import memory_limit
from dp_synth.datasets import read_table
from dp_synth.domain import Domain
from dp_synth.errors import InputError, PrivacyWarning, SchemaError, SchemaMismatch, warn
from dp_synth.extensions import did_you_mean
from dp_synth.frames import ArrowTable, as_frame, column_of
from dp_synth.inference.junction_tree import MAX_CELLS, check_supports
from dp_synth.inference.triangulation import total_cells
from dp_synth.rounding import rounded_up
from dp_synth.schema import Misfits, Schema
from dp_synth.schema.parsing import Cells

Data = pd.DataFrame | ArrowTable | str | PathLike[str] | Records
"""A private table: in memory, the path of a file, or read by `counting.read_records`.

In memory it is a frame of pandas, or a table that `frames.as_frame` takes: of Arrow, polars.
"""

MISMATCH = (
    "some cells of the table do not fit its schema, and are clipped or taken as missing: "
    "schema.check(frame) tells the data holder which. That this is said depends on the records: "
    "keep it private"
)
LARGE_EPSILON, LARGE_DELTA = 20.0, 1e-3
"""What the largest known uses of differential privacy stay below."""

_LISTENER: ContextVar[Callable[[Misfits], None] | None] = ContextVar("listener", default=None)


@contextmanager
def records_of(
    data: Data, schema: Schema, budget: PrivacyBudget, rng: np.random.Generator
) -> Iterator[Records]:
    """Give the records of which a fit may speak: of each unit at most so many.

    Cells that do not fit the schema are told to whom `telling` says, else SchemaMismatch warns.
    """
    with ExitStack() as opened:
        if isinstance(data, (str, PathLike)):
            # Categories that the schema does not list are found in tables in memory only.
            if is_larger_than_memory(data, memory_limit() if schema.open else None):
                data = opened.enter_context(read_records(data, schema, unit=budget.unit))
            else:
                data = read_table(data, schema.dialect)
        if not isinstance(data, Records):
            data = Records.of(keep_rows_of_units(as_frame(data), budget, rng), schema)
            _tell(data.misfits)
            yield data
            return
        _refuse_other_reading(data, schema, budget)
        if budget.unit is not None:
            data = opened.enter_context(data.at_most(budget.max_rows, rng))
        _tell(data.misfits)
        yield data


@contextmanager
def telling(listener: Callable[[Misfits], None]) -> Iterator[None]:
    """Tell ``listener``, in place of a warning, which cells of the fits in the block do not fit.

    It is told before anything is charged. What it hears is private.
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def _tell(misfits: Misfits) -> None:
    listener = _LISTENER.get()
    if not misfits:
        return
    if listener is None:
        warn(MISMATCH, SchemaMismatch)
    else:
        listener(misfits)


def warn_of_promise(schema: Schema, budget: PrivacyBudget) -> None:
    """Give a PrivacyWarning for each public fact by which a fit promises less than it seems to."""
    for text in _remarks(schema, budget):
        warn(text, PrivacyWarning)


def _remarks(schema: Schema, budget: PrivacyBudget) -> Iterator[str]:
    if schema.is_draft:
        yield (
            f"schema {schema.name!r} is a draft that nobody has confirmed ({UNCONFIRMED}): check "
            "each bound and category, then say in 'bounds_from' where they come from"
        )
    if schema.has_units and budget.unit is None:
        yield (
            f"the schema says that the unit of privacy is {schema.unit_of_privacy!r}, and one "
            "record is protected; where a unit has several records, name the column that tells "
            "units apart as the unit"
        )
    if LARGE_EPSILON < budget.epsilon < math.inf:
        yield (
            f"epsilon {rounded_up(budget.epsilon, 6)} is unusually large: above {LARGE_EPSILON:g} "
            "an attacker may be nearly certain"
        )
    if budget.delta > LARGE_DELTA:
        yield (
            f"delta {rounded_up(budget.delta, 6)} is unusually large: it should be far below one "
            "over the number of records"
        )


def reason_of(schema: Schema) -> str:
    """Return why a ledger's reservations for a fit over ``schema`` are made."""
    return UNCONFIRMED if schema.is_draft else PLANNED


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
    if budget.unit not in map(str, frame.columns):
        lacks = f"the table lacks column {budget.unit!r}, which names the unit"
        near = did_you_mean(budget.unit, map(str, frame.columns))
        raise SchemaError(f"{lacks}; {near}" if near else lacks)
    named = Cells.of(column_of(frame, budget.unit))  # whatever its cells are, each is a text
    units = pd.factorize(np.array(named.texts(), dtype=object))[0][named.positions]
    return frame.iloc[np.flatnonzero(kept_of_units(units, budget.max_rows, rng))]


def check_schema(schema: object) -> None:
    """Raise InputError for what is no schema, such as the path of one."""
    if not isinstance(schema, Schema):
        raise InputError(
            f"the schema must be a Schema, got {type(schema).__name__}; Schema.load reads its "
            "file, Schema.from_dict its content"
        )


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
