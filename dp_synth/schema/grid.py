"""Public cells on a number line, and the way from numbers to cells and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEFAULT_CELLS = 64
"""Equal-width cells of a numeric column that declares no bins."""

MAX_SINGLE_VALUES = 100
"""Whole-number columns with at most this many possible values get a cell for each."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Half-open cells ``[cuts[i], cuts[i + 1])`` on the numbers from ``lower`` to ``upper``.

    The last cell is closed. In a grid of whole numbers each cut is the first number of its cell
    and the last cut is ``upper + 1``.
    """

    lower: float
    upper: float
    cuts: NDArray[np.float64]
    whole: bool

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def cells(self, numbers: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return the cell of each number, those outside the bounds clipped; 0 for NaN."""
        clipped = np.clip(np.nan_to_num(numbers, nan=self.lower), self.lower, self.upper)
        return np.searchsorted(self.cuts[1:-1], clipped, side="right").astype(np.int32)

    def draw(self, cells: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return one number for each cell, uniform among the numbers of that cell."""
        first, beyond = self.cuts[cells], self.cuts[cells + 1]
        numbers = first + rng.random(len(cells)) * (beyond - first)
        if self.whole:
            return np.minimum(np.floor(numbers), beyond - 1)
        # Rounding may reach the next cell's first number: one step back stays inside.
        inside = np.where(cells == len(self) - 1, beyond, np.nextafter(beyond, -np.inf))
        return np.minimum(numbers, inside)


def make_grid(
    lower: float, upper: float, bins: int | Sequence[float] | None, *, whole: bool
) -> Grid:
    """Return the grid that ``bins`` declares, or the default one.

    An integer asks for that many cells of equal width. A list gives the numbers at which cells
    begin; the bounds are always the outer ends. ValueError when a cell would be empty.

    >>> make_grid(0, 9, [0, 1, 5], whole=True).cells(np.array([0.0, 1.0, 4.0, 5.0, 99.0])).tolist()
    [0, 1, 1, 2, 2]
    """
    edges = _edges(lower, upper, bins, whole=whole)
    if whole:
        edges = np.append(np.ceil(edges[:-1]), upper + 1)
        if not np.all(np.diff(edges) >= 1):
            raise ValueError("must leave at least one whole number in each cell")
    return Grid(float(lower), float(upper), edges, whole)


def _edges(
    lower: float, upper: float, bins: int | Sequence[float] | None, *, whole: bool
) -> NDArray[np.float64]:
    end = upper + 1 if whole else upper
    if bins is None:
        single = whole and end - lower <= MAX_SINGLE_VALUES
        bins = int(end - lower) if single else DEFAULT_CELLS if end > lower else 1
    if isinstance(bins, int):
        edges = np.linspace(lower, end, bins + 1)
        if end > lower and not np.all(np.diff(edges) > 0):
            raise ValueError("must leave room between the bounds for each cell")
        return edges
    inner = [edge for edge in bins if lower < edge < upper or (whole and lower < edge == upper)]
    if whole and inner and inner[-1] == upper:
        inner.pop()  # the last cell is closed, so it holds the upper bound
    return np.array([lower, *inner, end], dtype=np.float64)
