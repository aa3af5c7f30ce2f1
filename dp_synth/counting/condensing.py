"""Records that are written block by block: equal ones once while they repeat, else all on disk.

A line of codes is named by a few int64 words; sorted, equal lines stand together.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.columns import Column, DiskColumns, MemoryColumns
from dp_synth.counting.marginals import Words, cell_numbers, codes_of, grouped, merged, runs
from dp_synth.types import Floats

CHUNK = 2**19  # lines whose repeats are looked for at once
MOST_WORDS = 4  # that name a line; wider tables hardly repeat one
MOST_DISTINCT = 2**22  # lines that are held in memory: at most some 50 bytes each
MIN_LINES = 2**16  # below, lines stay as they are, in their order
LINES_SPILLED = 2**16  # at one time


class CodesWriter:
    """Takes codes of records, and gives them back as columns of distinct lines or of all.

    Lines are held in memory, each once and with its number of records, as long as that at least
    halves them; otherwise all of them lie on disk (`DiskColumns`). Only with ``in_order``, and in
    short tables, they are in the order in which they came.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        folder: str | PathLike[str] | None = None,
        *,
        in_order: bool = False,
    ) -> None:
        self._sizes, self._folder = tuple(sizes), folder
        self._radices = runs(sizes)
        self._disk: DiskColumns | None = None
        self._found: list[tuple[Words, Floats]] = []  # distinct lines of several chunks
        self._filled, self._lines = 0, 0
        self._words = np.empty((0, 0), dtype=np.int64)
        if in_order or len(self._radices) > MOST_WORDS:
            self._disk = DiskColumns(sizes, folder)
        else:
            self._words = np.empty((len(self._radices), CHUNK), dtype=np.int64)

    def __len__(self) -> int:
        return self._lines

    def append(self, columns: Sequence[Column]) -> None:
        """Take records, a column of codes for each attribute."""
        start, lines = 0, len(columns[0])
        self._lines += lines
        while start < lines and self._disk is None:
            stop = min(start + CHUNK - self._filled, lines)
            self._pack([column[start:stop] for column in columns], stop - start)
            start = stop
        if start < lines and self._disk is not None:
            self._disk.append([column[start:] for column in columns])

    def finish(self) -> MemoryColumns | DiskColumns:
        """Return all records; nothing can be appended afterwards."""
        if self._disk is None and self._lines >= MIN_LINES:
            self._condense()
            self._merge()
        if self._disk is None and self._found:
            ((words, counts),) = self._found
            codes = codes_of(words, self._sizes).T
            dtypes = [np.min_scalar_type(size - 1) for size in self._sizes]
            columns = [one.astype(kind) for one, kind in zip(codes, dtypes, strict=True)]
            return MemoryColumns(columns, len(counts), counts)
        return self._disk if self._disk is not None else self._spill()

    def close(self) -> None:
        """Give back what was taken."""
        self._found = []
        if self._disk is not None:
            self._disk.close()

    def _pack(self, columns: Sequence[Column], lines: int) -> None:
        """Name so many lines by words, behind those that wait."""
        first = 0
        for word, run in zip(self._words, self._radices, strict=True):
            own = columns[first : first + len(run)]
            cell_numbers(own, run, word[self._filled : self._filled + lines])
            first += len(run)
        self._filled += lines
        if self._filled == CHUNK:
            self._condense()
            newer = sum(len(counts) for _, counts in self._found[1:])
            # Merged when the rest is as long as what was merged before: each line moves rarely.
            if len(self._found) == 1 or newer >= len(self._found[0][1]):
                self._merge()

    def _condense(self) -> None:
        """Take equal lines of those that wait together."""
        if self._filled:
            self._found.append(grouped([word[: self._filled] for word in self._words], None))
            self._filled = 0

    def _merge(self) -> None:
        """Take equal lines of all chunks together, or write all to disk where few are equal."""
        self._found = [merged(self._found)]
        ((_, counts),) = self._found
        if 2 * len(counts) > counts.sum() or len(counts) > MOST_DISTINCT:
            self._spill()

    def _spill(self) -> DiskColumns:
        """Write all lines to disk: those found, each as often as it occurs, and those that wait."""
        self._disk = disk = DiskColumns(self._sizes, self._folder)
        waiting = [word[: self._filled] for word in self._words]
        for words, counts in [*self._found, (waiting, np.ones(self._filled))]:
            for start in range(0, len(counts), LINES_SPILLED):
                part = slice(start, start + LINES_SPILLED)
                codes = codes_of([word[part] for word in words], self._sizes)
                lines: NDArray[np.int32] = codes.repeat(counts[part].astype(np.int64), axis=0)
                disk.append(list(lines.T))
        self._found, self._filled = [], 0
        self._words = np.empty((0, 0), dtype=np.int64)
        return disk
