"""Private records of one schema: counts over the finest cells that a fit may need, and units."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from os import PathLike
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.counting.columns import DiskColumns, MemoryColumns, WeightedColumns
from dp_synth.counting.marginals import CodeCounts
from dp_synth.counting.masks import HolderFolder
from dp_synth.counting.size import FITTED, PROBE, asked_memory, memory_limit, most_text, size_of
from dp_synth.counting.units import UnitRows
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.formats import is_read_whole
from dp_synth.frames import ArrowTable, as_frame, column_of
from dp_synth.schema import DiscreteColumn, IdColumn, Misfits, Schema
from dp_synth.types import Codes, Integers
from dp_synth.unit_weights import UnitWeights

Units = NDArray[np.int64]

LARGEST_IN_MEMORY = 1_000_000_000
"""Bytes of memory for the table of a fit, where DP_SYNTH_MEMORY says no other number.

One that takes more as text, and as codes beside, goes by as a stream.
"""


class PrivateRecords:
    """Private records, encoded once: by declared cells, by fine ones where a fit chooses cells.

    ``unit`` is the column that names the unit of each record, and ``units`` its numbers; None
    where records were read without them. ``unlisted`` are, of each open column, the texts that
    its schema does not list: private, their codes follow those of the schema. ``misfits`` are the
    cells that do not fit the schema, counted: private too. ``unit_weights`` say how often a row
    counts, by how many rows of ``units`` are its unit's; None where each counts once.
    """

    def __init__(
        self,
        schema: Schema,
        columns: MemoryColumns | DiskColumns,
        unit: str | None = None,
        units: Units | None = None,
        *,
        unlisted: Mapping[str, tuple[str, ...]] | None = None,
        misfits: Misfits | None = None,
    ) -> None:
        self.schema = schema
        self.unit = unit
        self.misfits = Misfits() if misfits is None else misfits
        self.unlisted = unlisted or {}
        self.unit_weights: UnitWeights | None = None
        self._columns = columns
        self._units = units

    @classmethod
    def of(
        cls, frame: pd.DataFrame | ArrowTable, schema: Schema, units: Units | None = None
    ) -> PrivateRecords:
        """Return the records of a table; SchemaError when it lacks a column of the schema."""
        frame, misfits, schema = as_frame(frame), Misfits(), schema.without_keys
        codes = encode_finest(schema, frame, misfits)
        unlisted: dict[str, tuple[str, ...]] = {}
        for name in schema.open:
            column = schema.discrete(name)
            axis = schema.domain.axis(name)
            codes[:, axis], unlisted[name] = column.encode_openly(
                column_of(frame, name, schema.name)
            )
        columns = MemoryColumns(list(codes.T), len(codes))
        return cls(schema, columns, units=units, unlisted=unlisted, misfits=misfits)

    @cached_property
    def counts(self) -> CodeCounts:
        """The records, counted over `finest_domain`."""
        domain = finest_domain(self.schema)
        if self.unlisted:
            more = (len(self.unlisted.get(name, ())) for name in domain)
            sizes = tuple(size + extra for size, extra in zip(domain.sizes, more, strict=True))
            domain = Domain(domain.attributes, sizes, domain.ordered)
        return CodeCounts(self._columns, domain)

    @cached_property
    def weighted_counts(self) -> CodeCounts:
        """The records, each counted by its weight, with the class of its unit beside `counts`."""
        weights, units = self.unit_weights, self._units
        if weights is None or units is None:
            return self.counts
        classes = weights.classes(rows_of_units(units))
        columns = WeightedColumns.beside(self._columns, classes, weights.weights[classes])
        return CodeCounts(columns, weights.beside_others(self.counts.domain))

    @property
    def unit_rows(self) -> UnitRows:
        """The records by their units, over the codes of `counts`."""
        if self._units is None:
            raise ValueError("these records were read without their units")
        names = self.schema.domain.attributes
        columns = self._columns.read(range(len(names)), 0, len(self._columns))
        return UnitRows.of(names, columns, self._units)

    def opened(self, texts: Mapping[str, Sequence[str]]) -> tuple[Schema, dict[str, Codes]]:
        """Return the schema that lists more texts, and by it the code of each code of `counts`."""
        schema = self.schema.opened(texts)
        groups = {}
        for name, others in self.unlisted.items():
            known = self.schema.discrete(name)
            groups[name] = schema.discrete(name).codes_of((*known.texts, *known.missing, *others))
        return schema, groups

    def at_most(self, most: int, rng: np.random.Generator) -> PrivateRecords:
        """Return at most so many records of each unit, chosen at random (`kept_of_units`)."""
        if self._units is None:
            raise ValueError("these records were read without their units")
        kept = kept_of_units(self._units, most, rng)
        columns, units = self._columns.where(kept), self._units[kept]
        few = PrivateRecords(
            self.schema, columns, self.unit, units, unlisted=self.unlisted, misfits=self.misfits
        )
        few.unit_weights = weights_of(self.schema, most)
        return few

    def close(self) -> None:
        """Give memory and files back."""
        self._columns.close()

    def __repr__(self) -> str:
        return f"PrivateRecords({self.schema.name!r})"

    def __enter__(self) -> PrivateRecords:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ClusterFrame(Protocol):
    """A Dask DataFrame, as far as a fit asks it."""

    npartitions: int

    def to_delayed(self) -> list[Any]:
        """Return the partitions, none of which is computed."""


Held = pd.DataFrame | ArrowTable | str | PathLike[str] | PrivateRecords
"""The private table of one holder: in memory, the path of a file, or read by `read_records`.

In memory it is a frame of pandas, or a table that `frames.as_frame` takes: of Arrow, polars.
"""

Data = Held | Sequence[Held] | HolderFolder | ClusterFrame
"""A private table, those of several holders, whose counts are added, or a Dask DataFrame."""


def finest_domain(schema: Schema) -> Domain:
    """Return the schema's domain, with fine cells for those columns whose own a fit chooses.

    Where there are such columns it tells no structural zeros, which are over coarser cells.
    """
    own, fine = schema.domain, schema.fine_domain
    if not len(fine):
        return own
    sources = [fine if name in fine else own for name in own]
    sizes = tuple(source.size(name) for source, name in zip(sources, own, strict=True))
    orders = (source.ordered[source.axis(name)] for source, name in zip(sources, own, strict=True))
    return Domain(own.attributes, sizes, tuple(orders))


def encode_finest(schema: Schema, frame: pd.DataFrame, misfits: Misfits) -> Codes:
    """Return the codes of ``frame`` over `finest_domain`, in Fortran order.

    What does not fit the schema is counted in ``misfits`` as well.
    """
    codes = np.empty((len(frame), len(schema.domain)), dtype=np.int32, order="F")
    for axis, name in enumerate(schema.domain):
        column, cells = schema.column(name), schema.cells(frame, name)
        assert not isinstance(column, IdColumn)
        if isinstance(column, DiscreteColumn) or name not in schema.fine:
            codes[:, axis] = column.codes(cells)
        else:
            codes[:, axis] = column.codes(cells, schema.fine[name].grid)
        misfits.add(column, cells)
    misfits.records += len(frame)
    return codes


def kept_of_units(units: Units, most: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which records to keep: at most so many of each unit, chosen at random.

    The choice within a unit does not depend on other units, so that one unit more or less
    changes no other one's records.
    """
    order = rng.permutation(len(units))
    shuffled = units[order]
    earlier = pd.Series(shuffled).groupby(shuffled, sort=False).cumcount().to_numpy()
    kept = np.zeros(len(units), dtype=bool)
    kept[order[earlier < most]] = True
    return kept


def rows_of_units(units: Units) -> Integers:
    """Return for each record how many its unit has.

    >>> rows_of_units(np.array([7, 5, 7])).tolist()
    [2, 1, 2]
    """
    _, places, counts = np.unique(units, return_inverse=True, return_counts=True)
    return np.asarray(counts[places.reshape(-1)])


def weights_of(schema: Schema, most: int) -> UnitWeights | None:
    """Return the weights of rows of units that have at most so many; None where that is one."""
    return UnitWeights.beside(schema.names, most) if most > 1 else None


def is_larger_than_memory(path: str | PathLike[str], most: int | None = None) -> bool:
    """Say whether the table in a file takes more than ``most`` bytes of memory in a fit.

    That is `LARGEST_IN_MEMORY` by default; where nothing is installed that streams the file, all
    that tables may take (`memory_limit`). How long a compressed file is, it says itself
    (Parquet), or its text is counted (CSV) until it is too long. One that cannot be looked at is
    not: reading it says why. Nor is one of a kind that nothing streams.
    """
    if is_read_whole(path):
        return False
    if most is None:
        streams = os.fspath(path).lower().endswith(".parquet") or find_spec("duckdb") is not None
        most = asked_memory() or (LARGEST_IN_MEMORY if streams else memory_limit())
    try:
        return size_of(path, most=max(most_text(most), PROBE)).memory(FITTED) > most
    except (OSError, InputError):
        return False
