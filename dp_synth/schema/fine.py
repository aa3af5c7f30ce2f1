"""Fine public cells of a number line, coarse to fine, among which noisy counts choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.schema.grid import Floats, Grid, after

MAX_LEVELS = 3
"""Histograms of one column: each more tells ten times as fine, and shares the noise of all."""

FIRST_CELLS = 30
"""Equal-width cells of the first level, at most; those around zero come on top."""

DECADES = 5
"""Real numbers are told apart down to so many powers of ten below the larger bound."""


@dataclass(frozen=True, eq=False)
class FineGrid:
    """Fine cells; at which level each of them begins; where none may be merged with its left.

    Cells of the first level begin at multiples of a round width and at numbers of one
    significant digit, those of each next level at multiples of a tenth of it and at numbers of
    one digit more: so skewed columns are told apart near zero, and values that people round
    begin cells. At most ``most`` cells are to be made of them.
    """

    grid: Grid
    level: NDArray[np.int8]
    walls: NDArray[np.bool_]
    most: int

    @property
    def depth(self) -> int:
        """The number of levels."""
        return int(self.level.max()) + 1

    def merged(self, groups: NDArray[np.int32]) -> Grid:
        """Return the grid in which neighbouring fine cells of one group number are one cell."""
        begins = np.append(True, groups[1:] != groups[:-1])
        cuts = np.append(self.grid.cuts[:-1][begins], self.grid.cuts[-1])
        return Grid(self.grid.lower, self.grid.upper, cuts, self.grid.whole, self.grid.decimals)


def fine_grid(coarse: Grid, cuts: Sequence[float], singles: Sequence[float]) -> FineGrid:
    """Return the fine cells between the bounds of ``coarse``, which says how many may remain.

    Cells begin at each of ``cuts`` as well, and each of ``singles`` is a cell by itself: these
    are never merged with their neighbours.
    """
    lower, upper, whole = coarse.lower, coarse.upper, coarse.whole
    ends = [_next(number, coarse) for number in singles]
    inside = [cut for cut in (*cuts, *singles, *ends) if lower < cut <= upper]
    walls = np.unique([lower, *inside])
    tiers = [tier[(tier > lower) & (tier <= upper)] for tier in _tiers(coarse)]
    starts = np.unique(np.concatenate([walls, *tiers]))
    level = np.zeros(len(starts), dtype=np.int8)
    for depth, tier in reversed(list(enumerate(tiers))):
        level[np.searchsorted(starts, tier)] = depth
    is_wall = np.isin(starts, walls)
    level[is_wall] = 0
    grid = Grid(lower, upper, np.append(starts, coarse.cuts[-1]), whole, coarse.decimals)
    return FineGrid(grid, level, is_wall, len(coarse))


def _next(number: float, grid: Grid) -> float:
    """Return where the cell of ``number`` alone ends: at the next number that may be drawn."""
    beyond = after(number, whole=grid.whole)
    if grid.decimals is None:
        return beyond
    scale = 10.0**grid.decimals
    return max(beyond, float((np.floor(number * scale) + 1) / scale))


def _tiers(grid: Grid) -> list[Floats]:
    """Return the numbers at which cells of each level begin; each holds those before it."""
    smallest = 0 if grid.whole else None if grid.decimals is None else -grid.decimals
    digit, power = _round_width((grid.upper - grid.lower) / FIRST_CELLS)
    tiers = []
    for depth in range(MAX_LEVELS):
        steps = (digit, power - depth)
        # Below twice the smallest step a further level would tell hardly more.
        ended = smallest is not None and digit * 10.0 ** (power - depth - smallest) < 2.5
        if ended:
            steps = (1, smallest or 0)
        multiples = _multiples(grid, *steps)
        tiers.append(np.concatenate([multiples, _significant(grid, depth + 1, smallest)]))
        if ended:
            break
    return tiers


def _round_width(least: float) -> tuple[int, int]:
    """Return digit and power of ten of the smallest of 1, 2, 5, 10, ... that is not below it."""
    power = int(np.floor(np.log10(least)))
    fits = [digit for digit in (1, 2, 5) if digit * 10.0**power >= least]
    return (fits[0], power) if fits else (1, power + 1)


def _multiples(grid: Grid, digit: int, power: int) -> Floats:
    step = digit * 10.0**power
    counts = np.arange(np.floor(grid.lower / step), np.ceil(grid.upper / step) + 1)
    return _scaled(counts * digit, power)


def _significant(grid: Grid, digits: int, smallest: int | None) -> Floats:
    """Return the numbers of at most so many significant digits, of both signs."""
    top = int(np.floor(np.log10(max(abs(grid.lower), abs(grid.upper)))))
    least = top - DECADES if smallest is None else smallest
    mantissas = np.arange(1.0, 10.0**digits)
    powers = range(max(least, top - 2 * DECADES), top + 1)
    numbers = np.concatenate([np.empty(0), *(_scaled(mantissas, power) for power in powers)])
    return np.concatenate([-numbers, numbers])


def _scaled(numbers: Floats, power: int) -> Floats:
    """Return whole ``numbers`` times a power of ten, as close as their decimal text is read."""
    return numbers * 10.0**power if power >= 0 else numbers / 10.0**-power
