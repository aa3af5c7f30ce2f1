"""Public cells on a number line, and the way from numbers to cells and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DEFAULT_CELLS = 64
"""Equal-width cells of a numeric column that declares no bins, as long as none were measured."""

MAX_SINGLE_VALUES = 100
"""Whole-number columns with at most this many possible values get a cell for each."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Half-open cells ``[cuts[i], cuts[i + 1])`` on the numbers from ``lower`` to ``upper``.

    The last cell is closed. In a grid of whole numbers each cut is the first number of its cell
    and the last cut is ``upper + 1``. Real numbers may be written with so many ``decimals``.
    """

    lower: float
    upper: float
    cuts: Floats
    whole: bool
    decimals: int | None = None

    def __len__(self) -> int:
        return len(self.cuts) - 1

    @property
    def edges(self) -> Floats:
        """The list of edges from which `make_grid` makes these cells again."""
        if self.whole:
            return np.append(self.cuts[:-1], self.upper)
        single = self.cuts[1:] == np.nextafter(self.cuts[:-1], np.inf)
        return np.append(self.cuts[0], np.where(single, self.cuts[:-1], self.cuts[1:]))

    def cells(self, numbers: Floats) -> NDArray[np.int32]:
        """Return the cell of each number, those outside the bounds clipped; 0 for NaN."""
        clipped = np.clip(np.nan_to_num(numbers, nan=self.lower), self.lower, self.upper)
        return np.searchsorted(self.cuts[1:-1], clipped, side="right").astype(np.int32)

    def draw(self, cells: NDArray[np.int32], rng: np.random.Generator) -> Floats:
        """Return one number for each cell, uniform among the numbers of that cell."""
        first, beyond = self.cuts[cells], self.cuts[cells + 1]
        part = rng.random(len(cells))
        numbers = first + part * (beyond - first)
        if self.whole:
            return np.minimum(np.floor(numbers), beyond - 1)
        # Rounding may reach the next cell's first number: one step back stays inside.
        last = np.where(cells == len(self) - 1, beyond, np.nextafter(beyond, -np.inf))
        numbers = np.minimum(numbers, last)
        if self.decimals is None:
            return numbers
        return _with_decimals(numbers, part, first, last, scale=10.0**self.decimals)


def make_grid(
    lower: float,
    upper: float,
    bins: int | Sequence[float] | None,
    *,
    whole: bool,
    cuts: Sequence[float] = (),
    decimals: int | None = None,
) -> Grid:
    """Return the grid that ``bins`` declares, or the default one, cut at ``cuts`` as well.

    An integer asks for that many cells of equal width. A list gives the numbers at which cells
    begin; the bounds are always the outer ends. A number given twice is a cell by itself.
    ValueError when a cell of ``bins`` would be empty.

    >>> make_grid(0, 9, [0, 1, 5], whole=True).cells(np.array([0.0, 1.0, 4.0, 5.0, 99.0])).tolist()
    [0, 1, 1, 2, 2]
    >>> make_grid(0, 1, [0, 0, 0.5, 1], whole=False).cells(np.array([0.0, 1e-9, 0.5, 1.0])).tolist()
    [0, 1, 2, 2]
    """
    edges = _edges(lower, upper, bins, whole=whole)
    if whole:
        edges = np.append(np.ceil(edges[:-1]), upper + 1)
        if not np.all(np.diff(edges) >= 1):
            raise ValueError("must leave at least one whole number in each cell")
    starts = np.unique([*edges[:-1], *(cut for cut in cuts if lower < cut <= upper)])
    return Grid(float(lower), float(upper), np.append(starts, edges[-1]), whole, decimals)


def after(number: float, *, whole: bool) -> float:
    """Return the first number beyond ``number`` that the column could hold."""
    return number + 1 if whole else float(np.nextafter(number, np.inf))


def _edges(
    lower: float, upper: float, bins: int | Sequence[float] | None, *, whole: bool
) -> Floats:
    end = upper + 1 if whole else upper
    if bins is None:
        single = whole and end - lower <= MAX_SINGLE_VALUES
        bins = int(end - lower) if single else DEFAULT_CELLS if end > lower else 1
    if isinstance(bins, int):
        edges = np.linspace(lower, end, bins + 1)
        if end > lower and not np.all(np.diff(edges) > 0):
            raise ValueError("must leave room between the bounds for each cell")
        return edges
    listed = np.asarray(bins, dtype=np.float64)
    again = np.append(False, listed[1:] == listed[:-1])
    starts = np.where(again, listed + 1 if whole else np.nextafter(listed, np.inf), listed)
    if listed[-1] == upper and not again[-1]:
        starts = starts[:-1]  # the last cell is closed, so it holds the upper bound
    return np.array([lower, *starts[(starts > lower) & (starts <= upper)], end])


def _with_decimals(
    numbers: Floats, part: Floats, first: Floats, last: Floats, *, scale: float
) -> Floats:
    """Return a number of so many decimals in each interval; where there is none, ``numbers``."""
    low, high = np.ceil(first * scale), np.floor(last * scale)
    low -= (low - 1) / scale >= first  # the products were rounded, quotients are exact
    low += low / scale < first
    high += (high + 1) / scale <= last
    high -= high / scale > last
    chosen = np.minimum(low + np.floor(part * (high - low + 1)), high) / scale
    return np.where((low <= high) & (first <= chosen) & (chosen <= last), chosen, numbers)
