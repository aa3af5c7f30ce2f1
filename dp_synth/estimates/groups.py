"""Groups of records: which part of each code meets what is given, and its mean number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dp_synth.errors import InputError
from dp_synth.sampling import LEAST_PART, Evidence, Given, attribute_of, read_given
from dp_synth.schema import DatetimeColumn, DiscreteColumn, IdColumn, NumericColumn, Schema
from dp_synth.schema.columns import Bins, after
from dp_synth.schema.parsing import numbers_of
from dp_synth.types import Codes, Flags, Floats

Conditions = Mapping[str, Given]
"""What is given of some columns, as in `Release.sample`."""

Line = NumericColumn | DatetimeColumn

FLAT = 0.1  # slopes below which moments are computed by their series
MOST_SUMMED = 1_000  # whole numbers of a cell whose chances are summed one by one
ROUNDED = 1e-9  # of a step between numbers, by which a computed one may lie off


@dataclass(frozen=True, eq=False)
class Intervals:
    """Parts of a line's cells: of ``cells[i]`` what lies in ``[begins[i], ends[i])``."""

    grid: Bins  # whose last cell ends after its upper bound
    cells: Codes
    begins: Floats
    ends: Floats

    @classmethod
    def whole(cls, grid: Bins) -> Self:
        """Return the cells themselves."""
        closed = _closed(grid)
        cells = np.arange(len(grid), dtype=np.int32)
        return cls(closed, cells, closed.cuts[:-1], closed.cuts[1:])

    @classmethod
    def of(cls, column: Line, evidence: Evidence) -> Self:
        """Return the parts that evidence of a column picks; none where it picks marks alone."""
        drawn = evidence.drawn
        assert drawn is not None  # of a line
        places = [drawn.pieces[cell] for cell in drawn.pieces]
        every = np.concatenate([np.empty(0, dtype=np.intp), *places])
        begins, ends = drawn.grid.cuts[every], drawn.grid.cuts[every + 1]
        return cls(_closed(column.grid), column.grid.cells(begins), begins, ends)

    def met_by(self, other: Intervals) -> Intervals:
        """Return what lies in both, but for lone numbers among real ones."""
        low = np.maximum(self.begins[:, None], other.begins)
        high = np.minimum(self.ends[:, None], other.ends)
        both = (low < high) & (self.cells[:, None] == other.cells)
        mine, _ = np.nonzero(both)
        met = Intervals(self.grid, self.cells[mine], low[both], high[both])
        return met.picked(np.flatnonzero(~met.are_lone))

    def picked(self, places: NDArray[np.intp]) -> Intervals:
        """Return some of them, in the order of ``places``."""
        return Intervals(self.grid, self.cells[places], self.begins[places], self.ends[places])

    @property
    def are_lone(self) -> Flags:
        """Whether each is one number of a cell of real numbers, of which it has no share."""
        if self.grid.whole:
            return np.zeros(len(self.cells), dtype=bool)
        widths = self.grid.cuts[self.cells + 1] - self.grid.cuts[self.cells]
        lone = self.ends <= np.nextafter(self.begins, np.inf)
        return np.asarray(lone & (widths > self.ends - self.begins))

    def masses(self) -> Floats:
        """Return the part of its cell's records that each has."""
        below = [self.grid.mass_below(self.cells, ends) for ends in (self.begins, self.ends)]
        return np.maximum(below[1] - below[0], LEAST_PART)

    def slopes(self) -> Floats:
        """Return how the logarithm of the density grows from one end of each to the other."""
        if self.grid.slopes is None:
            return np.zeros(len(self.cells))
        widths = self.grid.cuts[self.cells + 1] - self.grid.cuts[self.cells]
        return np.asarray(self.grid.slopes[self.cells] * (self.ends - self.begins) / widths)

    def moments(self) -> tuple[Floats, Floats]:
        """Return mean and variance of a number that is drawn in each, as `numeric.draw` does.

        A number is its interval's ``n`` steps times a part of it that has the interval's density,
        without what is beyond the last step. Of an exponential density this remainder is
        independent of the step, and has the density of one step: so both moments are differences.
        """
        first, step, count = self._steps()
        part, spread = unit_moments(self.slopes())
        if self.grid.is_log:
            part, spread = _log_moments(self.begins, self.ends)
        rest, rest_spread = unit_moments(self.slopes() / np.where(step > 0, count, 1.0))
        width = np.where(step > 0, step * count, self.ends - self.begins)
        means = first + width * part - step * rest
        variances = np.maximum(width**2 * spread - step**2 * rest_spread, 0.0)
        if self.grid.is_log and self.grid.whole:
            for i in np.flatnonzero(count <= MOST_SUMMED):
                means[i], variances[i] = _summed(self.begins[i], self.ends[i])
        return means, variances

    def _steps(self) -> tuple[Floats, Floats, Floats]:
        """Return the first number of each, the step from one to the next, and how many they are.

        The step is 0 where all real numbers can be drawn.
        """
        if self.grid.whole:
            return self.begins, np.ones(len(self.cells)), self.ends - self.begins
        none = np.zeros(len(self.cells))
        if self.grid.decimals is None:
            return self.begins, none, none
        step = 10.0**-self.grid.decimals
        low = np.ceil(self.begins / step - ROUNDED)
        inclusive = self.ends > self.grid.upper
        last = np.where(inclusive, self.ends / step + 2 * ROUNDED, self.ends / step)
        count = np.ceil(last - ROUNDED) - low
        some = count >= 1
        return (
            np.where(some, low * step, self.begins),
            np.where(some, step, 0.0),
            np.where(some, count, 0.0),
        )

    def position(self, place: int, part: float) -> tuple[float, float]:
        """Return where in one of them a ``part`` of its records is reached, and the density there.

        The density is that of its own records, with mass 1.
        """
        begin, end = float(self.begins[place]), float(self.ends[place])
        if self.grid.is_log:
            growth = np.log(end / begin)
            number = begin * np.exp(part * growth)
            return float(number), float(1 / (number * growth))
        slope = float(self.slopes()[place])
        if abs(slope) < 1e-9:
            return begin + part * (end - begin), 1 / (end - begin)
        at = np.log1p(part * np.expm1(slope)) / slope
        density = slope * np.exp(slope * at) / np.expm1(slope)
        return float(begin + at * (end - begin)), float(density / (end - begin))


def _closed(grid: Bins) -> Bins:
    """Return cells whose last one ends after the upper bound, which it holds."""
    return replace(grid, cuts=np.append(grid.cuts[:-1], after(float(grid.upper), whole=grid.whole)))


def unit_moments(slopes: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance of the density ``exp(slope * u)`` on u from 0 to 1.

    >>> mean, variance = unit_moments(np.array([0.0]))
    >>> float(mean[0]), round(12 * float(variance[0]), 12)
    (0.5, 1.0)
    """
    flat = np.abs(slopes) < FLAT
    s = np.where(flat, 1.0, slopes)
    means = np.where(
        flat,
        1 / 2 + slopes / 12 - slopes**3 / 720 + slopes**5 / 30240,
        1 / -np.expm1(-s) - 1 / s,
    )
    variances = np.where(
        flat,
        1 / 12 - slopes**2 / 240 + slopes**4 / 6048,
        1 / s**2 - 1 / (4 * np.sinh(s / 2) ** 2),
    )
    return means, variances


def _log_moments(begins: Floats, ends: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance of numbers uniform in logarithm, as parts of an interval."""
    rise = (ends - begins) / begins
    growth = np.log1p(rise)
    mean = rise / growth
    second = np.expm1(2 * growth) / (2 * growth)
    return (mean - 1) / rise, np.maximum(second - mean**2, 0.0) / rise**2


def _summed(begin: float, end: float) -> tuple[float, float]:
    """Return mean and variance of a whole number below ``end`` that is uniform in logarithm."""
    numbers = np.arange(begin, end)
    chances = np.log1p(1 / numbers) / np.log(end / begin)
    mean = float(chances @ numbers)
    return mean, float(chances @ (numbers - mean) ** 2)


@dataclass(frozen=True, eq=False)
class Part:
    """Of one column, how much of each code's records a group has, and where inside its cells."""

    weights: Floats
    intervals: Intervals | None  # None for categories

    def met_by(self, other: Part) -> Part:
        """Return what lies in both."""
        weights = self.weights * other.weights
        if self.intervals is None or other.intervals is None:
            return Part(weights, None)
        intervals = self.intervals.met_by(other.intervals)
        weights[: len(intervals.grid)] = np.bincount(
            intervals.cells, intervals.masses(), len(intervals.grid)
        )
        return Part(np.minimum(weights, 1.0), intervals)


@dataclass(frozen=True, eq=False)
class Group:
    """The records that meet all that is given, of each column on its own."""

    schema: Schema
    parts: Mapping[str, Part]

    @classmethod
    def of(cls, schema: Schema, *conditions: Conditions) -> Group:
        """Return the group of all ``conditions`` at once.

        InputError for what `read_given` refuses, for one number among real ones, which has no
        share of the records, and where no record can meet two conditions on one column.
        """
        parts: dict[str, Part] = {}
        for given in conditions:
            for evidence in read_given(schema, given):
                name, part = evidence.column, _part(schema, evidence)
                parts[name] = parts[name].met_by(part) if name in parts else part
                if not parts[name].weights.any():
                    raise InputError(
                        f"column {name!r}: no record can meet both of what is given; "
                        "give it once, or values that meet"
                    )
        return cls(schema, parts)

    def numbers(self, name: str) -> tuple[Floats, Floats]:
        """Return mean and variance, by code, of the numbers of a column inside the group.

        Dates count their column's steps since 1970. NaN where a code has none, as missing marks
        and categories that are no numbers. InputError for a column of no numbers.
        """
        column = column_of_numbers(self.schema, name)
        if isinstance(column, DiscreteColumn):
            numbers = np.append(numbers_of(column.texts), np.full(len(column.missing), np.nan))
            return numbers, np.where(np.isnan(numbers), np.nan, 0.0)
        intervals, masses = self.intervals(name)
        cells = intervals.cells
        means, variances = intervals.moments()
        size = column.size
        mass = np.bincount(cells, masses, size)
        mass[mass == 0] = np.nan
        mean = np.bincount(cells, masses * means, size) / mass
        off = variances + (means - mean[cells]) ** 2
        return mean, np.bincount(cells, masses * off, size) / mass

    def intervals(self, name: str) -> tuple[Intervals, Floats]:
        """Return the intervals of a line that the group has, and each one's part of its cell."""
        part = self.parts.get(name)
        if part is not None and part.intervals is not None:
            return part.intervals, part.intervals.masses()
        column = column_of_numbers(self.schema, name)
        assert not isinstance(column, DiscreteColumn)
        every = Intervals.whole(column.grid)
        return every, np.ones(len(every.cells))


def _part(schema: Schema, evidence: Evidence) -> Part:
    column = schema.column(evidence.column)
    if isinstance(column, (DiscreteColumn, IdColumn)):
        return Part(evidence.weights, None)
    intervals = Intervals.of(column, evidence)
    lone = intervals.are_lone
    # A range that ends where a cell begins has one number of that cell.
    at_end = lone & np.isin(intervals.begins, intervals.ends)
    if (lone & ~at_end).any():
        raise InputError(
            f"column {column.name!r}: holds real numbers, of which one alone has no share; "
            "give a range of them"
        )
    weights = evidence.weights.copy()
    weights[intervals.cells[at_end]] = 0.0
    return Part(weights, intervals.picked(np.flatnonzero(~at_end)))


def has_numbers(schema: Schema, name: str) -> bool:
    """Return whether a column has numbers: an ordinal one has those that its categories write."""
    column = schema.column(attribute_of(schema, name))
    if isinstance(column, DiscreteColumn):
        return column.type == "ordinal" and not np.isnan(numbers_of(column.texts)).all()
    return not isinstance(column, IdColumn)


def column_of_numbers(schema: Schema, name: str) -> DiscreteColumn | Line:
    """Return the column of that name; InputError where there is none, or none of numbers."""
    column = schema.column(attribute_of(schema, name))
    if isinstance(column, IdColumn):
        raise InputError(f"column {name!r} has no numbers: it is an identifier")
    if not has_numbers(schema, name):
        raise InputError(
            f"column {name!r} has no numbers: it is {column.type}; ask for the share of a category"
        )
    return column


def ordinary_codes(column: DiscreteColumn | Line) -> int:
    """Return how many codes a column has before those of its missing marks."""
    return column.size - len(column.missing)
