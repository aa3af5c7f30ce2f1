"""Reading: the records of which a fit may speak, of whatever table it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from os import PathLike

import numpy as np
import pandas as pd

from dp_synth.accounting import PrivacyBudget
from dp_synth.counting import (
    Data,
    PrivateRecords,
    is_larger_than_memory,
    kept_of_units,
    read_records,
)
from dp_synth.counting.cluster import ClusterAdder, is_on_cluster
from dp_synth.counting.database import read_database
from dp_synth.counting.holders import FolderAdder, Holder
from dp_synth.counting.masks import HolderFolder, Masks
from dp_synth.counting.records import Units, weights_of
from dp_synth.counting.size import memory_limit
from dp_synth.counting.spark import is_spark, read_spark
from dp_synth.counting.sums import Adder, LocalAdder, SummedRecords, check_of_holders
from dp_synth.databases import ELSEWHERE, Address, is_address
from dp_synth.datasets import read_table
from dp_synth.errors import InputError, SchemaError, SchemaMismatch, warn
from dp_synth.extensions import did_you_mean
from dp_synth.frames import as_frame, column_of
from dp_synth.schema import Misfits, Schema
from dp_synth.schema.parsing import Cells

MISMATCH = (
    "some cells of the table do not fit its schema, and are clipped or taken as missing: "
    "schema.check(frame) tells the data holder which. That this is said depends on the records: "
    "keep it private"
)

_LISTENER: ContextVar[Callable[[Misfits], None] | None] = ContextVar("listener", default=None)


@contextmanager
def records_of(
    data: Data, schema: Schema, budget: PrivacyBudget, rng: np.random.Generator
) -> Iterator[PrivateRecords]:
    """Give the records of which a fit may speak: of each unit at most so many.

    Cells that do not fit the schema are told to whom `telling` says, else SchemaMismatch warns.
    """
    with ExitStack() as opened:
        if is_address(data):
            data = opened.enter_context(read_database(str(data), schema, budget.unit))
        elif is_spark(data):
            data = opened.enter_context(read_spark(data, schema, budget.unit))
        if (adder := _adder_of(data, schema, budget, rng, opened)) is not None:
            data = opened.enter_context(SummedRecords(schema.without_keys, adder))
            yield data
            return
        if isinstance(data, (str, PathLike)):
            # Categories that the schema does not list are found in tables in memory only.
            if is_larger_than_memory(data, memory_limit() if schema.open else None):
                data = opened.enter_context(read_records(data, schema, unit=budget.unit))
            else:
                data = read_table(data, schema.dialect)
        if not isinstance(data, PrivateRecords):
            data = records_in(as_frame(data), schema, budget, rng)
            _tell(data.misfits)
            yield data
            return
        _refuse_other_reading(data, schema, budget)
        if budget.unit is not None:
            data = opened.enter_context(data.at_most(budget.max_rows, rng))
        _tell(data.misfits)
        yield data


def where_counted(data: object) -> str | None:
    """Return where records stay of which a fit sees counts alone; None where it reads them."""
    if is_address(data):
        return "in their database"
    if isinstance(data, HolderFolder) or _are_tables(data):
        return "with their holders"
    if is_on_cluster(data) or is_spark(data):
        return "on their cluster"
    return None


def counted_by(data: object) -> str:
    """Return who counts records where they are, one of `ELSEWHERE`; empty where the fit does."""
    if is_address(data):
        return Address.of(str(data)).engine
    if isinstance(data, HolderFolder):
        return ELSEWHERE[-2]
    return ELSEWHERE[-1] if is_on_cluster(data) or is_spark(data) else ""


def _are_tables(data: object) -> bool:
    """Tell a list of tables from one of cells, which is no table."""
    if not isinstance(data, (list, tuple)):
        return False
    return not any(one is None or isinstance(one, (int, float, list, tuple, dict)) for one in data)


def _adder_of(
    data: object,
    schema: Schema,
    budget: PrivacyBudget,
    rng: np.random.Generator,
    opened: ExitStack,
) -> Adder | None:
    """Return who adds the counts of several tables; None where there is one table."""
    several = _are_tables(data)
    if not (several or isinstance(data, HolderFolder) or is_on_cluster(data)):
        return None
    check_of_holders(schema.without_keys, budget.unit)
    if isinstance(data, HolderFolder):
        return FolderAdder(data, schema)
    if not several:
        return ClusterAdder(data, schema.without_keys)
    assert isinstance(data, (list, tuple))
    if not data:
        raise InputError("a list of holders' tables must have one or more, and is empty")
    return LocalAdder([opened.enter_context(records_of(d, schema, budget, rng)) for d in data])


def serve(
    folder: str | PathLike[str],
    data: Data,
    schema: Schema,
    *,
    name: str,
    masks: Masks | None = None,
    seconds: float = 3600.0,
) -> None:
    """Answer one fit's requests for counts of ``data`` in a shared folder, as one holder.

    Returns when the fit ends. Whoever can read the folder sees exact counts, without noise; with
    ``masks`` only the sum over all holders. InputError where the table cannot be read, and where
    nothing is asked within ``seconds``; SchemaError where the fit has another schema.
    """
    budget, rng = PrivacyBudget(1.0, 1e-9), np.random.default_rng(0)  # no unit is chosen from
    check_of_holders(schema.without_keys, None)
    with records_of(data, schema, budget, rng) as records:
        Holder(folder, records, name, masks).answer(seconds)


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


def _refuse_other_reading(records: PrivateRecords, schema: Schema, budget: PrivacyBudget) -> None:
    if records.schema.to_dict() != schema.to_dict():
        raise SchemaError(
            f"the records were read by another schema than {schema.name!r}; read them by this one"
        )
    if budget.unit is not None and records.unit != budget.unit:
        raise SchemaError(f"the records were read without their units; give unit={budget.unit!r}")


def records_in(
    frame: pd.DataFrame, schema: Schema, budget: PrivacyBudget, rng: np.random.Generator
) -> PrivateRecords:
    """Return the records of a frame, at most ``max_rows`` of each unit.

    They are chosen first: of a record that is not kept nothing is read.
    """
    if budget.unit is None:
        return PrivateRecords.of(frame, schema)
    units = _units_of(frame, budget.unit)
    kept = np.flatnonzero(kept_of_units(units, budget.max_rows, rng))
    records = PrivateRecords.of(frame.iloc[kept], schema, units[kept])
    records.unit_weights = weights_of(schema, budget.max_rows)
    return records


def keep_rows_of_units(
    frame: pd.DataFrame, budget: PrivacyBudget, rng: np.random.Generator
) -> pd.DataFrame:
    """Return at most ``max_rows`` records of each unit, chosen at random, in their order.

    The choice is that of `counting.kept_of_units`. Records that name no unit are one.
    SchemaError when the frame lacks the unit's column.
    """
    if budget.unit is None:
        return frame
    units = _units_of(frame, budget.unit)
    return frame.iloc[np.flatnonzero(kept_of_units(units, budget.max_rows, rng))]


def _units_of(frame: pd.DataFrame, unit: str) -> Units:
    """Return the number of each record's unit; SchemaError when the frame lacks the column."""
    if unit not in map(str, frame.columns):
        lacks = f"the table lacks column {unit!r}, which names the unit"
        near = did_you_mean(unit, map(str, frame.columns))
        raise SchemaError(f"{lacks}; {near}" if near else lacks)
    named = Cells.of(column_of(frame, unit))  # whatever its cells are, each is a text
    numbers = pd.factorize(np.array(named.texts(), dtype=object))[0]
    return np.asarray(numbers[named.positions], dtype=np.int64)
