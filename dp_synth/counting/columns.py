"""Codes of records, a column an attribute: in memory, or on disk without a name."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from dp_synth.types import Codes, Floats

Column = NDArray[np.integer]

COPIED_LINES = 2**20  # at one time


class Columns(Protocol):
    """Codes by attribute; ``weights`` says how often each line occurs, None where once."""

    @property
    def weights(self) -> Floats | None:
        """How many records each line stands for."""

    def __len__(self) -> int:
        """Return the number of lines."""

    def read(self, axes: Sequence[int], start: int, stop: int) -> list[Column]:
        """Return lines ``start`` to ``stop`` of the columns at ``axes``, of any integer dtype."""

    def relabelled(self, groups: Mapping[int, Codes]) -> Columns:
        """Return the columns with ``groups[axis][code]`` in place of each code."""

    def close(self) -> None:
        """Give back what the columns hold; nothing can be read afterwards."""


class MemoryColumns:
    """Columns as arrays."""

    def __init__(self, columns: Sequence[Column], lines: int, weights: Floats | None = None):
        self._columns = list(columns)
        self._lines = lines
        self.weights = weights

    def __len__(self) -> int:
        return self._lines

    def read(self, axes: Sequence[int], start: int, stop: int) -> list[Column]:
        """Return views: nothing is copied."""
        return [self._columns[axis][start:stop] for axis in axes]

    def relabelled(self, groups: Mapping[int, Codes]) -> MemoryColumns:
        """Return new arrays for relabelled columns; the others are shared."""
        columns = [
            groups[axis][column] if axis in groups else column
            for axis, column in enumerate(self._columns)
        ]
        return MemoryColumns(columns, self._lines, self.weights)

    def with_last(self, last: Column, weights: Floats) -> MemoryColumns:
        """Return the columns with one more behind them, and the weight of each line."""
        return MemoryColumns([*self._columns, last], self._lines, weights)

    def where(self, kept: NDArray[np.bool_]) -> MemoryColumns:
        """Return new arrays of the lines that are kept."""
        weights = None if self.weights is None else self.weights[kept]
        columns = [column[kept] for column in self._columns]
        return MemoryColumns(columns, int(kept.sum()), weights)

    def close(self) -> None:
        """Drop the arrays."""
        self._columns = []


class DiskColumns:
    """Columns in temporary files without a name, which nobody else can open.

    The operating system removes them with the last reader, at the latest when the process ends,
    even when it is killed. Each code takes as many bytes as its attribute's size needs.
    """

    def __init__(self, sizes: Sequence[int], folder: str | PathLike[str] | None = None) -> None:
        self._sizes, self._folder = tuple(sizes), folder
        self._dtypes = [np.min_scalar_type(size - 1) for size in sizes]
        self._files: list[IO[bytes]] = []
        # Bound to this object alone; relabelled columns keep it alive.
        self._closing = weakref.finalize(self, _close, self._files)
        for _ in sizes:
            file = tempfile.TemporaryFile(dir=folder, prefix="dp_synth-")  # noqa: SIM115
            self._files.append(file)
        self._lines = 0

    weights = None

    @property
    def axes(self) -> int:
        """How many columns there are."""
        return len(self._sizes)

    def __len__(self) -> int:
        return self._lines

    def append(self, columns: Sequence[Column]) -> None:
        """Write records, a column of codes for each attribute, behind the others."""
        for file, dtype, column in zip(self._files, self._dtypes, columns, strict=True):
            file.seek(0, 2)
            file.write(np.ascontiguousarray(column, dtype=dtype).data)
        self._lines += len(columns[0])

    def read(self, axes: Sequence[int], start: int, stop: int) -> list[Column]:
        """Return copies: pages of a memory map would count as this process's memory."""
        return [self._column(axis, start, min(stop, self._lines)) for axis in axes]

    def _column(self, axis: int, start: int, stop: int) -> Column:
        column = np.empty(stop - start, dtype=self._dtypes[axis])
        self._files[axis].seek(start * column.itemsize)
        self._files[axis].readinto(column.data)  # type: ignore[attr-defined]
        return column

    def relabelled(self, groups: Mapping[int, Codes]) -> RelabelledColumns:
        """Return a view that relabels what it reads."""
        return RelabelledColumns(self, dict(groups))

    def where(self, kept: NDArray[np.bool_]) -> DiskColumns:
        """Return the lines that are kept, in files of their own."""
        chosen = DiskColumns(self._sizes, self._folder)
        for start in range(0, self._lines, COPIED_LINES):
            lines = kept[start : start + COPIED_LINES]
            for axis, file in enumerate(chosen._files):
                column = self._column(axis, start, start + len(lines))
                file.write(column[lines].data)
            chosen._lines += int(lines.sum())
        return chosen

    def close(self) -> None:
        """Remove the files."""
        self._closing()


class RelabelledColumns:
    """Columns on disk whose codes are relabelled block by block, as they are read."""

    weights = None

    def __init__(self, source: DiskColumns, groups: dict[int, Codes]) -> None:
        self._source = source
        self._groups = groups
        # Of the smallest type, as what is on disk: they are looked up for each record.
        self._short = {a: g.astype(np.min_scalar_type(int(g.max()))) for a, g in groups.items()}

    def __len__(self) -> int:
        return len(self._source)

    def read(self, axes: Sequence[int], start: int, stop: int) -> list[Column]:
        """Return relabelled copies."""
        return [
            self._short[axis].take(column) if axis in self._short else column
            for axis, column in zip(axes, self._source.read(axes, start, stop), strict=True)
        ]

    def relabelled(self, groups: Mapping[int, Codes]) -> RelabelledColumns:
        """Return a view of the same files that relabels once, by both groups."""
        both = self._groups | {
            axis: group[self._groups[axis]] if axis in self._groups else group
            for axis, group in groups.items()
        }
        return RelabelledColumns(self._source, both)

    def close(self) -> None:
        """Remove the files, for all that read them."""
        self._source.close()


class WeightedColumns:
    """Columns with one more behind them, and the weight of each line, in memory both."""

    def __init__(self, source: Columns, last: Column, weights: Floats, axes: int) -> None:
        self._source, self._last, self._axes = source, last, axes
        self.weights = weights

    @classmethod
    def beside(cls, columns: MemoryColumns | DiskColumns, last: Column, weights: Floats) -> Columns:
        """Return columns with a last one; ValueError where lines have weights already."""
        if columns.weights is not None:
            raise ValueError("the lines have weights already")
        if isinstance(columns, MemoryColumns):
            return columns.with_last(last, weights)
        return cls(columns, last, weights, columns.axes)

    def __len__(self) -> int:
        return len(self._source)

    def read(self, axes: Sequence[int], start: int, stop: int) -> list[Column]:
        """Return lines of the source, and of the last column."""
        found = iter(self._source.read([a for a in axes if a < self._axes], start, stop))
        return [next(found) if a < self._axes else self._last[start:stop] for a in axes]

    def relabelled(self, groups: Mapping[int, Codes]) -> WeightedColumns:
        """Return the columns relabelled, the last one as well."""
        last = groups[self._axes][self._last] if self._axes in groups else self._last
        others = {axis: group for axis, group in groups.items() if axis != self._axes}
        return WeightedColumns(self._source.relabelled(others), last, self.weights, self._axes)

    def close(self) -> None:
        """Give back what the columns hold."""
        self._source.close()


def _close(files: list[IO[bytes]]) -> None:
    for file in files:
        file.close()
