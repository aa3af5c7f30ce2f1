"""Bins: public cells on a number line, and fine ones among which noisy counts choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.types import Codes, Flags, Floats

DEFAULT_CELLS = 64
"""Equal-width cells of a numeric column that declares no bins, as long as none were measured."""

MAX_SINGLE_VALUES = 100
"""Whole-number columns with at most this many possible values get a cell for each."""

MAX_LEVELS = 3
"""Histograms of one column: each more tells ten times as fine, and shares the noise of all."""

FIRST_CELLS = 30
"""Equal-width cells of the first level, at most; those around zero come on top."""

DECADES = 5
"""Real numbers are told apart down to so many powers of ten below the larger bound."""


@dataclass(frozen=True, eq=False)
class Bins:
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
        """The list of edges from which `make_bins` makes these cells again."""
        if self.whole:
            return np.append(self.cuts[:-1], self.upper)
        single = self.cuts[1:] == np.nextafter(self.cuts[:-1], np.inf)
        return np.append(self.cuts[0], np.where(single, self.cuts[:-1], self.cuts[1:]))

    def cells(self, numbers: Floats) -> Codes:
        """Return the cell of each number, those outside the bounds clipped; 0 for NaN."""
        clipped = np.clip(np.nan_to_num(numbers, nan=self.lower), self.lower, self.upper)
        return np.searchsorted(self.cuts[1:-1], clipped, side="right").astype(np.int32)

    def draw(self, cells: Codes, rng: np.random.Generator) -> Floats:
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


def make_bins(
    lower: float,
    upper: float,
    bins: int | Sequence[float] | None,
    *,
    whole: bool,
    cuts: Sequence[float] = (),
    decimals: int | None = None,
) -> Bins:
    """Return the grid that ``bins`` declares, or the default one, cut at ``cuts`` as well.

    An integer asks for that many cells of equal width. A list gives the numbers at which cells
    begin; the bounds are always the outer ends. A number given twice is a cell by itself.
    ValueError when a cell of ``bins`` would be empty.

    >>> make_bins(0, 9, [0, 1, 5], whole=True).cells(np.array([0.0, 1.0, 4.0, 5.0, 99.0])).tolist()
    [0, 1, 1, 2, 2]
    >>> make_bins(0, 1, [0, 0, 0.5, 1], whole=False).cells(np.array([0.0, 1e-9, 0.5, 1.0])).tolist()
    [0, 1, 2, 2]
    """
    edges = _edges(lower, upper, bins, whole=whole)
    if whole:
        edges = np.append(np.ceil(edges[:-1]), upper + 1)
        if not np.all(np.diff(edges) >= 1):
            raise ValueError("must leave at least one whole number in each cell")
    starts = np.unique([*edges[:-1], *(cut for cut in cuts if lower < cut <= upper)])
    return Bins(float(lower), float(upper), np.append(starts, edges[-1]), whole, decimals)


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


@dataclass(frozen=True, eq=False)
class FineBins:
    """Fine cells; at which level each of them begins; where none may be merged with its left.

    Cells of the first level begin at multiples of a round width and at numbers of one
    significant digit, those of each next level at multiples of a tenth of it and at numbers of
    one digit more: so skewed columns are told apart near zero, and values that people round
    begin cells. At most ``most`` cells are to be made of them.
    """

    grid: Bins
    level: NDArray[np.int8]
    walls: Flags
    most: int

    @property
    def depth(self) -> int:
        """The number of levels."""
        return int(self.level.max()) + 1

    def merged(self, groups: Codes) -> Bins:
        """Return the grid in which neighbouring fine cells of one group number are one cell."""
        begins = np.append(True, groups[1:] != groups[:-1])
        cuts = np.append(self.grid.cuts[:-1][begins], self.grid.cuts[-1])
        return Bins(self.grid.lower, self.grid.upper, cuts, self.grid.whole, self.grid.decimals)


def make_fine_bins(coarse: Bins, cuts: Sequence[float], singles: Sequence[float]) -> FineBins:
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
    grid = Bins(lower, upper, np.append(starts, coarse.cuts[-1]), whole, coarse.decimals)
    return FineBins(grid, level, is_wall, len(coarse))


def _next(number: float, grid: Bins) -> float:
    """Return where the cell of ``number`` alone ends: at the next number that may be drawn."""
    beyond = after(number, whole=grid.whole)
    if grid.decimals is None:
        return beyond
    scale = 10.0**grid.decimals
    return max(beyond, float((np.floor(number * scale) + 1) / scale))


def _tiers(grid: Bins) -> list[Floats]:
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


def _multiples(grid: Bins, digit: int, power: int) -> Floats:
    step = digit * 10.0**power
    counts = np.arange(np.floor(grid.lower / step), np.ceil(grid.upper / step) + 1)
    return _scaled(counts * digit, power)


def _significant(grid: Bins, digits: int, smallest: int | None) -> Floats:
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
