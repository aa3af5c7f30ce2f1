"""What columns on a number line share: bins, missing marks, numbers to codes and back."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.schema.cells import Cells, narrowed
from dp_synth.schema.grid import Floats, Grid

MAX_BINS = 100_000
"""More public cells than this are refused: each is a code of the column."""

LARGEST = float(np.finfo(np.float32).max)
"""Numbers beyond this count as infinite: their squares, or narrow floats of them, may be none."""

Codes = NDArray[np.int32]


class Line(Protocol):
    """A column of numbers, or of dates as whole units since 1970."""

    @property
    def name(self) -> str:
        """Its name in the table."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The texts that mean missing."""

    @property
    def absent_mark(self) -> int:
        """The place in ``missing`` that an absent cell takes."""

    @property
    def mark_numbers(self) -> Floats:
        """The number that each missing mark writes; NaN for words."""

    @property
    def grid(self) -> Grid:
        """The public cells of this column."""

    def numbers(self, cells: Cells) -> Floats:
        """Return the number in each distinct cell, also an infinite one; NaN where it is none."""

    def written(self, numbers: Floats) -> NDArray[np.generic]:
        """Return ``numbers`` as the table holds them."""


def codes(column: Line, cells: Cells, grid: Grid) -> Codes:
    """Return the cell of ``grid`` that each number lies in; marks have the codes after them."""
    numbers = column.numbers(cells)
    places = _mark_lookup(column, cells, numbers)
    found = np.where(places >= 0, len(grid) + places, grid.cells(numbers))
    return found.astype(np.int32)[cells.positions]


def decode(column: Line, codes: Codes, rng: np.random.Generator) -> pd.Series:
    """Return a number for each code, uniform inside its cell, or the missing mark."""
    numbers, places = draw(column.grid, codes, rng)
    return with_marks(column, column.written(numbers), places)


def draw(grid: Grid, codes: Codes, rng: np.random.Generator) -> tuple[Floats, Codes]:
    """Return a number for each code, one draw each, and its place in ``missing``, -1 for values."""
    ordinary = len(grid)
    numbers = grid.draw(np.where(codes < ordinary, codes, 0), rng)
    return numbers, np.where(codes < ordinary, -1, codes - ordinary)


def typed(column: Line, series: pd.Series) -> pd.Series:
    """Return what is written in each cell, not binned and not clipped, or the missing mark."""
    cells = Cells.of(series)
    numbers = column.numbers(cells)
    places = _mark_lookup(column, cells, numbers)
    written = column.written(np.nan_to_num(_finite(column, numbers), nan=column.grid.lower))
    return with_marks(column, written[cells.positions], places[cells.positions])


def values(column: Line, series: pd.Series) -> Floats:
    """Return the number in each cell, not clipped; NaN for missing ones."""
    cells = Cells.of(series)
    numbers = column.numbers(cells)
    places = _mark_lookup(column, cells, numbers)
    return np.where(places >= 0, np.nan, _finite(column, numbers))[cells.positions]


def _mark_lookup(column: Line, cells: Cells, numbers: Floats) -> NDArray[np.int64]:
    """Return, for each distinct cell and the absent one, its place in ``missing``; -1 for values.

    Without marks what is no number is -1 too: it has no code of its own.
    """
    places = written_marks(column, cells, numbers)
    if column.missing:
        places[np.isnan(numbers) & (places < 0)] = 0
        places[-1] = column.absent_mark
    return places


def written_marks(column: Line, cells: Cells, numbers: Floats) -> NDArray[np.int64]:
    """Return the place in ``missing`` of the mark that each distinct cell writes, else -1.

    A mark is written as its number, as what a 32-bit float holds of it, or as its text.
    """
    places = np.full(len(numbers), -1)
    if not column.missing:
        return places
    held = numbers if column.grid.whole else narrowed(numbers)
    marks = column.mark_numbers
    narrow = marks if column.grid.whole else narrowed(marks)
    outside = (numbers < column.grid.lower) | (numbers > column.grid.upper)
    for place, number in enumerate(marks):
        places[(numbers == number) | (outside & (held == narrow[place]))] = place
    unknown = np.flatnonzero(~np.isfinite(numbers))
    texts = cells.texts() if len(unknown) > 1 else []
    by_text = {mark: place for place, mark in enumerate(column.missing)}
    for i in unknown[:-1]:
        places[i] = by_text.get(texts[i], -1)
    return places


def _finite(column: Line, numbers: Floats) -> Floats:
    """Return numbers, but the nearer bound in place of those beyond `LARGEST`."""
    lower, upper = column.grid.lower, column.grid.upper
    return np.where(np.abs(numbers) > LARGEST, np.where(numbers > 0, upper, lower), numbers)


def with_marks(
    column: Line, written: NDArray[np.generic], places: NDArray[np.integer]
) -> pd.Series:
    """Return cells as a table holds them: those of a place in ``missing`` are that mark."""
    if not column.missing:
        return pd.Series(written, name=column.name, dtype=written.dtype)
    texts = np.array(column.missing, dtype=object)
    mixed = np.where(places >= 0, texts[places], written.astype(object))
    return pd.Series(mixed, name=column.name, dtype=object)


def count_of_bins(bins: int | None) -> int | None:
    """Return ``bins``; ValueError when it is no number of cells."""
    if bins is not None and (isinstance(bins, bool) or not 1 <= bins <= MAX_BINS):
        raise ValueError(f"must be a number of cells from 1 to {MAX_BINS}, got {bins}")
    return bins


def listed(bins: object) -> tuple[object, ...]:
    """Return the edges of a list; ValueError when it is none."""
    if not isinstance(bins, (list, tuple)) or len(bins) < 2 or len(bins) > MAX_BINS:
        raise ValueError("must be a number of cells, or a list of at least two increasing edges")
    return tuple(bins)


def check_edges(bins: int | tuple[float, ...] | None, lower: float, upper: float) -> None:
    """Raise ValueError for edges out of order, three of one value, or beyond the bounds."""
    if not isinstance(bins, tuple):
        return
    if not all(low <= high for low, high in pairwise(bins)) or any(
        first == third for first, third in zip(bins, bins[2:], strict=False)
    ):
        raise ValueError("must list increasing edges, one that is a cell by itself twice")
    if bins[0] < lower or bins[-1] > upper:
        raise ValueError("must list edges that lie within lower and upper")


def check_marks(marks: tuple[str, ...], numbers: Floats, lower: float, upper: float) -> None:
    """Raise ValueError for a missing mark that could be a value."""
    for mark, number in zip(marks, numbers.tolist(), strict=True):
        if lower <= number <= upper:
            raise ValueError(f"field 'missing': {mark!r} must lie outside lower and upper")
