"""Cells that do not fit their schema, counted by column: private, for the data holder alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dp_synth.schema.columns import DiscreteColumn
from dp_synth.schema.constraints import Column
from dp_synth.schema.numeric import DatetimeColumn, LineColumn, NumericColumn
from dp_synth.schema.parsing import Cells
from dp_synth.types import Flags, Integers

ABSENT = "absent cell without a missing mark in the schema"
OFFSET = "cell with an offset from UTC, where the bounds say none: taken to UTC"
OUTSIDE = "cell outside the bounds"
UNSEEN = "unseen category"


class Misfits:
    """Numbers of cells that do not fit, by column and by what is wrong with them.

    They are counted while records are encoded, from each block's distinct cells.
    """

    def __init__(self) -> None:
        self.records = 0
        self._found: dict[tuple[str, str], int] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def __repr__(self) -> str:
        return "Misfits()"  # its numbers are private

    def add(self, column: DiscreteColumn | NumericColumn | DatetimeColumn, cells: Cells) -> None:
        """Count the cells of a block of records in one column."""
        counts = counts_of(cells)
        for what, chosen in faults_of(column, cells).items():
            self.note(column.name, what, int(counts[chosen].sum()))

    def note(self, name: str, what: str, count: int) -> None:
        """Count so many cells more of the column ``name`` with one fault."""
        if count:
            self._found[name, what] = self._found.get((name, what), 0) + count

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Return the number of cells by column and by what is wrong."""
        return dict(self._found)

    def lines(self) -> list[str]:
        """Return one line for each column and what is wrong there, without any cell."""
        return [
            f"column {name!r}: {what}: {count:,} of {self.records:,}"
            for (name, what), count in self._found.items()
        ]


def counts_of(cells: Cells) -> Integers:
    """Return how many records hold each distinct cell, the absent one last."""
    slots = len(cells.distinct) + 1
    return np.bincount(cells.positions % slots, minlength=slots)


def faults_of(column: Column, cells: Cells) -> dict[str, Flags]:
    """Return which distinct cells, the absent one last, do not fit, by what is wrong with them."""
    if isinstance(column, DiscreteColumn):
        found = {UNSEEN: _unseen(column, cells)}
    elif isinstance(column, LineColumn):
        found = _off_the_line(column, cells)
    else:
        return {}
    absent = np.zeros(len(cells.distinct) + 1, dtype=bool)
    absent[-1] = not column.missing
    return {**{what: chosen for what, chosen in found.items() if chosen.any()}, ABSENT: absent}


def _unseen(column: DiscreteColumn, cells: Cells) -> Flags:
    """Tell which cells no category has; an open column lists others as it meets them."""
    unseen = np.array([*(code is None for code in column.lookup(cells)), False], dtype=bool)
    if column.open:
        unseen &= np.array([not text for text in cells.texts()])
    return unseen


def _off_the_line(column: LineColumn, cells: Cells) -> dict[str, Flags]:
    numbers = column.numbers(cells)
    marked = column.written_marks(cells, numbers) >= 0
    outside = ~marked & ((numbers < column.grid.lower) | (numbers > column.grid.upper))
    unread = np.isnan(numbers) & ~marked
    outside[-1] = unread[-1] = False
    is_date = isinstance(column, DatetimeColumn)
    found = {OUTSIDE: outside, f"cell that is no {'date' if is_date else 'number'}": unread}
    if isinstance(column, DatetimeColumn) and column.zone is None:
        found[OFFSET] = cells.have_offsets() & ~np.isnan(numbers)
    return found
