"""Neighbouring tables to audit a mechanism with: made ones that are worst, and a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from dp_synth.accounting import Adjacency
from dp_synth.attacks.distance import isolation
from dp_synth.errors import InputError
from dp_synth.metrics.models import short_seed
from dp_synth.schema import Schema

CONTRAST_RECORDS = 100  # so many that noise hardly hides which cells are fuller than expected


@dataclass(frozen=True, eq=False)
class NeighbouringTables:
    """Two neighbouring tables: ``inside`` has the target, ``outside`` has not.

    The target is a record, or all records that agree in the column ``unit``. InputError unless
    the tables differ by what is inside alone, or in the values of one record or unit.
    """

    name: str
    schema: Schema
    inside: pd.DataFrame
    outside: pd.DataFrame
    unit: str | None = None

    def __post_init__(self) -> None:
        _ = self.adjacency

    @cached_property
    def adjacency(self) -> Adjacency:
        """Which neighbours the tables are."""
        beside = () if self.unit is None else (self.unit,)
        more, fewer = _differences(self.inside, self.outside, (*self.schema.names, *beside))
        if self.unit is None:
            found, what = (len(more), len(fewer)), "one record"
        else:
            units = {*more[self.unit].astype(str), *fewer[self.unit].astype(str)}
            found = (len(units), min(len(fewer), 1)) if len(more) else (0, 0)
            what = f"the records of one {self.unit}"
        if found == (1, 0):
            return "add_remove"
        if found == (1, 1):
            return "replace_one"
        raise InputError(
            f"a design's tables must differ in {what}, which is inside alone or has other values "
            "outside"
        )


Design = NeighbouringTables  # its name of version 0.1


def worst_case(
    adjacency: Adjacency = "add_remove",
    *,
    columns: int = 3,
    categories: int = 3,
    unit: str | None = None,
    rows: int = 1,
) -> NeighbouringTables:
    """Return two records, and the target once more inside: no two kinds agree in a column.

    The "repeat" design of Annamalai, Ganev & De Cristofaro 2024 (arXiv:2405.10994): the target
    stands outside too, so that structure is found in both tables. Under replace_one a third
    record stands outside in the place of the second target. With a ``unit`` the target is one of
    ``rows`` records, all alike, and the others are units of a record each.
    """
    if rows < 1 or (unit is None and rows > 1):
        raise InputError(f"rows of the target are 1, or more of a unit that is named, got {rows}")
    if columns < 1 or categories < 3:
        raise InputError(
            f"a worst case needs a column and 3 categories or more, got {columns} and {categories}"
        )
    record, target, other = ([code] * columns for code in range(3))
    outside = [record, target] if adjacency == "add_remove" else [record, target, other]
    name = f"worst_case({columns} columns, {categories} categories)"
    if unit is None:
        return _made(name, categories, [record, target, target], outside)
    inside, outside = [record, target, *[target] * rows], [record, target, *outside[2:] * rows]
    name = f"{name[:-1]}, {rows} rows of a unit)"
    return _made(name, categories, inside, outside, unit)


def contrast(
    adjacency: Adjacency = "add_remove", *, columns: int = 4, records: int = CONTRAST_RECORDS
) -> NeighbouringTables:
    """Return columns in two halves, equal within a half and opposite between them, and a target.

    The target has the same code in all columns. So it takes pairs of one half further from
    independence and pairs across closer to it, while all pairs are equally far: which pairs are
    chosen tells as much as a choice can. Under replace_one the target has the place of its
    opposite.
    """
    if columns < 2 or records < 2:
        raise InputError(
            f"a contrast needs 2 columns and 2 records or more, got {columns} and {records}"
        )
    half = (columns + 1) // 2
    first, second = ([code] * half + [1 - code] * (columns - half) for code in (1, 0))
    others = [first, second] * (records // 2)
    target, opposite = [1] * columns, [0] * columns
    outside = others if adjacency == "add_remove" else [*others, opposite]
    name = f"contrast({columns} columns, {len(others)} records)"
    return _made(name, 2, [*others, target], outside)


def of_table(
    frame: pd.DataFrame,
    schema: Schema,
    adjacency: Adjacency = "add_remove",
    *,
    target: int | None = None,
    seed: int = 0,
) -> NeighbouringTables:
    """Return a table with and without one record: the most isolated one unless it is named.

    Under replace_one the target gets the values of another record, drawn at random among those
    that differ from it.
    """
    if len(frame) < 2:
        raise InputError("a table to audit with needs two records or more")
    whole = frame.reset_index(drop=True)
    place = int(np.argmax(isolation(whole, schema, whole))) if target is None else target
    if not 0 <= place < len(whole):
        raise InputError(f"target must be a row from 0 to {len(whole) - 1}, got {place}")
    outside = whole.drop(index=place)
    if adjacency == "replace_one":
        names = list(schema.names)
        others = outside[
            (outside[names].astype(str) != whole.loc[place, names].astype(str)).any(axis=1)
        ]
        if others.empty:
            raise InputError("all records are equal: none differs from the target")
        outside = pd.concat([outside, others.sample(1, random_state=short_seed(seed))])
    return NeighbouringTables(f"table(row {place})", schema, whole, outside.reset_index(drop=True))


def _made(
    name: str,
    categories: int,
    inside: Sequence[list[int]],
    outside: Sequence[list[int]],
    unit: str | None = None,
) -> NeighbouringTables:
    """Return tables of categorical columns, given by codes.

    From the third row on they are of one unit.
    """
    columns = [f"c{number + 1}" for number in range(len(inside[0]))]
    texts = [str(code) for code in range(categories)]
    fields = [{"name": name, "type": "categorical", "categories": texts} for name in columns]
    schema = Schema.from_dict({"name": "made", "columns": fields})
    first, second = (pd.DataFrame(one, columns=columns).astype(str) for one in (inside, outside))
    if unit is not None:
        first, second = (t.assign(**{unit: np.minimum(t.index, 2)}) for t in (first, second))
    return NeighbouringTables(name, schema, first, second, unit)


def _differences(
    inside: pd.DataFrame, outside: pd.DataFrame, columns: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the records that are inside and not outside, and those of the other way round."""
    names = [name for name in columns if name in inside and name in outside]
    one, other = (table[names].astype(str) for table in (inside, outside))
    counts = one.value_counts(sort=False).sub(other.value_counts(sort=False), fill_value=0)
    more, fewer = (
        counts.index.repeat(side.clip(lower=0).astype(int)).to_frame(index=False)
        for side in (counts, -counts)
    )
    return more, fewer
