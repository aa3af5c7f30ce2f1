"""Functionals of a distribution: shares, means, quantiles, ratios, each with its influence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dp_synth.errors import InputError
from dp_synth.estimates.groups import Group, Intervals, column_of_numbers, ordinary_codes
from dp_synth.schema import DiscreteColumn, Schema
from dp_synth.types import Clique, Codes, Floats

Scale = Literal["linear", "log"]

ROUNDED = 1e-12  # of a level, by which a sum of shares may miss it
WHOLE = 1e-9  # by which a computed number may lie above a whole one


@dataclass(frozen=True, eq=False)
class Distribution:
    """Weighted cells of a schema's codes over some columns, and how many records there are.

    ``codes`` has shape (cells, columns), in the order of ``columns``; ``weights`` (cells,) are
    from 0 and sum to 1. Cells may repeat, so rows of a sample are a distribution as well.
    ValueError for shapes or weights that are none.
    """

    schema: Schema
    columns: Clique
    codes: Codes
    weights: Floats
    total: float

    def __post_init__(self) -> None:
        if self.codes.shape != (len(self.weights), len(self.columns)):
            raise ValueError(
                f"codes must have shape ({len(self.weights)}, {len(self.columns)}), got "
                f"{self.codes.shape}"
            )
        if not (np.all(self.weights >= 0) and abs(self.weights.sum() - 1) < 1e-6):
            raise ValueError("weights must be from 0, and sum to 1")

    @classmethod
    def of_counts(cls, schema: Schema, columns: Clique, counts: Floats) -> Distribution:
        """Return that of a marginal: counts of shape ``schema.domain.shape(columns)``.

        InputError where all of them are 0.
        """
        total = float(counts.sum())
        if not total > 0:
            raise InputError("the release expects no records: there is nothing to estimate")
        codes = np.indices(counts.shape, dtype=np.int32).reshape(len(columns), counts.size).T
        return cls(schema, columns, codes, counts.ravel() / total, total)

    def __len__(self) -> int:
        return len(self.weights)

    def axis(self, column: str) -> int:
        """Return the place of a column; KeyError when the distribution is not over it."""
        if column not in self.columns:
            raise KeyError(f"no column {column!r} in a distribution over {self.columns}")
        return self.columns.index(column)

    def lookup(self, column: str, by_code: Floats) -> Floats:
        """Return, for each cell, what ``by_code`` says of its code in a column."""
        return np.asarray(by_code[self.codes[:, self.axis(column)]])

    def within(self, group: Group) -> Floats:
        """Return which part of each cell's records is in a group, shape (cells,)."""
        inside = np.ones(len(self))
        for column, part in group.parts.items():
            inside *= self.lookup(column, part.weights)
        return inside

    def numbers(self, group: Group, column: str) -> tuple[Floats, Floats]:
        """Return mean and variance of a column's numbers in each cell, of records in a group."""
        means, variances = group.numbers(column)
        return self.lookup(column, means), self.lookup(column, variances)


@dataclass(frozen=True, eq=False)
class Inverse:
    """A quantile's way to its interval: levels around its own, taken back (Woodruff 1952).

    ``influences`` (cells,) are those of the distribution function at the quantile, where an atom
    is divided so that the function is ``level`` there; ``quantile`` gives the number at a level.
    """

    level: float
    influences: Floats
    quantile: Callable[[float], float]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Values of a question, and their influence functions (Hampel 1974).

    ``names`` and ``values`` (k,) are one for count, share, mean, quantile and what compares them,
    else coefficients. ``influences`` (cells, k) are the derivatives of the values towards each
    cell of the distribution, whose weighted mean is 0: a distribution of other weights p' on the
    same cells has values near ``values + (p' - p) @ influences``. They are those of the value
    itself, also where ``scale`` is "log": its interval then is one of the logarithm, whose
    influences are ``influences / values``. ``groups`` are the shares of all records that the
    values rest on, one for each group. ``inverse`` is there for quantiles alone.
    """

    names: tuple[str, ...]
    values: Floats
    influences: Floats
    groups: tuple[float, ...]
    scale: Scale = "linear"
    inverse: Inverse | None = None

    @classmethod
    def single(
        cls,
        name: str,
        value: float,
        influence: Floats,
        groups: Sequence[float],
        scale: Scale = "linear",
    ) -> Evaluated:
        """Return that of one number, with influences of shape (cells,)."""
        return cls((name,), np.array([value]), influence[:, None], tuple(groups), scale)


def mean(weights: Floats, inside: Floats, numbers: Floats) -> tuple[float, Floats, float]:
    """Return the mean of ``numbers`` in a group, its influence, and the group's share.

    All have shape (cells,); ``inside`` is each cell's part in the group. A record with no number
    is left out. The influence of a ratio of means ``b / a`` is ``(y - ratio * x) / a`` (Hampel
    1974). NaN where the group has no records.
    """
    inside = np.where(np.isnan(numbers), 0.0, inside)
    numbers = np.where(inside > 0, numbers, 0.0)
    share = float(weights @ inside)
    if share <= 0:
        return float("nan"), np.full(len(weights), np.nan), 0.0
    value = float(weights @ (inside * numbers)) / share
    return value, inside * (numbers - value) / share, share


def share(weights: Floats, inside: Floats, event: Floats) -> tuple[float, Floats, float]:
    """Return the share of a group's records that have an event, its influence, and the group's.

    ``event`` (cells,) is each cell's part that is in the group and has the event.
    """
    numbers = np.divide(event, inside, out=np.zeros(len(inside)), where=inside > 0)
    return mean(weights, inside, numbers)


def risk_ratio(risks: Sequence[float], influences: Sequence[Floats]) -> tuple[float, Floats]:
    """Return the ratio of two risks, and its influence.

    Its interval is formed of the logarithm (Katz, Baptista, Azen & Pike 1978).
    """
    ratio = risks[0] / risks[1]
    return ratio, (influences[0] - ratio * influences[1]) / risks[1]


def odds_ratio(risks: Sequence[float], influences: Sequence[Floats]) -> tuple[float, Floats]:
    """Return the ratio of the odds ``r / (1 - r)`` of two risks, and its influence.

    Its interval is formed of the logarithm (Woolf 1955). The derivative of odds is
    ``1 / (1 - r)**2``.
    """
    odds = [risk / (1 - risk) for risk in risks]
    slopes = [one / (1 - risk) ** 2 for one, risk in zip(influences, risks, strict=True)]
    return risk_ratio(odds, slopes)


def correlation(
    weights: Floats, inside: Floats, first: tuple[Floats, Floats], second: tuple[Floats, Floats]
) -> tuple[float, Floats, float]:
    """Return the correlation of Pearson, its influence, and the share of complete records.

    ``first`` and ``second`` are the means and variances inside each cell, where the two columns
    are independent. With standard scores u and v the influence is ``u v - r (u**2 + v**2) / 2``
    (Devlin, Gnanadesikan & Kettenring 1975). NaN where a column is constant.
    """
    inside = np.where(np.isnan(first[0]) | np.isnan(second[0]), 0.0, inside)
    share = float(weights @ inside)
    if share <= 0:
        return float("nan"), np.full(len(weights), np.nan), 0.0
    scores, squares = [], []
    for numbers, variances in (first, second):
        numbers, variances = (np.where(inside > 0, one, 0.0) for one in (numbers, variances))
        off = numbers - weights @ (inside * numbers) / share
        second_moment = off**2 + variances
        variance = float(weights @ (inside * second_moment)) / share
        largest = float(np.abs(numbers).max())
        if variance <= (ROUNDED * largest) ** 2:
            return float("nan"), np.full(len(weights), np.nan), share
        scores.append(off / np.sqrt(variance))
        squares.append(second_moment / variance)
    products = scores[0] * scores[1]
    value = float(weights @ (inside * products)) / share
    return value, inside * (products - value * (squares[0] + squares[1]) / 2) / share, share


@dataclass(frozen=True, eq=False)
class Cumulative:
    """The distribution function of a column in a group: pieces in order, each with its mass.

    A piece is an interval of a line's cell, or the number that a category writes. ``masses`` sum
    to 1; ``codes`` say whose cell each piece is, ``parts`` which part of that cell's records in
    the group it has, ``share`` how many of all records have a number in the group.
    """

    masses: Floats
    codes: Codes
    parts: Floats
    share: float
    pieces: Intervals | Floats

    @classmethod
    def of(cls, distribution: Distribution, group: Group, column: str) -> Cumulative:
        """Return that of the records with a number; its share is 0 where the group has none."""
        kind = column_of_numbers(distribution.schema, column)
        mass = distribution.weights * distribution.within(group)
        counts = np.bincount(
            distribution.codes[:, distribution.axis(column)], mass, minlength=kind.size
        )
        pieces: Intervals | Floats
        if isinstance(kind, DiscreteColumn):
            numbers, _ = group.numbers(column)
            order = np.argsort(numbers[: ordinary_codes(kind)], kind="stable")
            codes = order[~np.isnan(numbers[order]) & (counts[order] > 0)].astype(np.int32)
            parts, pieces = np.ones(len(codes)), numbers[codes]
        else:
            intervals, masses = group.intervals(column)
            whole = np.bincount(intervals.cells, masses, minlength=kind.size)
            order = np.argsort(intervals.begins, kind="stable")
            order = order[counts[intervals.cells[order]] > 0]
            codes, pieces = intervals.cells[order], intervals.picked(order)
            parts = masses[order] / whole[codes]
        masses = counts[codes] * parts
        share = float(masses.sum())
        return cls(masses / (share or 1.0), codes, parts, share, pieces)

    def place(self, level: float) -> tuple[int, float]:
        """Return the piece where the function reaches a level, and the part of it that is below."""
        above = np.cumsum(self.masses)
        piece = int(np.searchsorted(above, level - ROUNDED))
        piece = min(piece, len(above) - 1)
        part = 1 - (above[piece] - level) / self.masses[piece]
        return piece, float(np.clip(part, 0.0, 1.0))

    def quantile(self, level: float) -> float:
        """Return the number below or at which a ``level`` of the records lie.

        Of whole numbers and categories it is the smallest with that many, of real numbers where
        the density inside the cell reaches the level.
        """
        piece, part = self.place(level)
        if not isinstance(self.pieces, Intervals):
            return float(self.pieces[piece])
        number, _ = self.pieces.position(piece, part)
        if not self.pieces.grid.whole:
            return min(number, self.pieces.grid.upper)
        first, beyond = self.pieces.begins[piece], self.pieces.ends[piece]
        return float(np.clip(np.ceil(number - WHOLE) - 1, first, beyond - 1))

    def density(self, level: float) -> float:
        """Return the density at the quantile of a level.

        That of whole numbers is their mass, that of categories their mass by the distance between
        their neighbours: of a smooth function near theirs, which has steps.
        """
        piece, part = self.place(level)
        mass = float(self.masses[piece])
        if isinstance(self.pieces, Intervals):
            return mass * self.pieces.position(piece, part)[1]
        gaps = np.gradient(self.pieces) if len(self.pieces) > 1 else np.ones(1)
        return mass / float(gaps[piece])

    def below(self, level: float, size: int) -> Floats:
        """Return which part of each code's records in the group lies below a quantile, (size,)."""
        piece, part = self.place(level)
        sides = (np.arange(len(self.codes)) < piece).astype(float)
        sides[piece] = part
        below = np.bincount(self.codes, sides * self.parts, minlength=size)
        return below.astype(np.float64)  # of none they are counted


def quantile(
    distribution: Distribution, group: Group, column: str, level: float
) -> tuple[float, Floats, float, Inverse | None]:
    """Return a quantile in a group, its influence, the share with a number, and its inverse.

    The influence is ``(level - 1{x <= q}) / density(q)`` (Hampel 1974); of whole numbers and
    categories, whose function has steps, it is that of a smooth function near it. NaN and None
    where the group has no numbers.
    """
    function = Cumulative.of(distribution, group, column)
    if function.share <= 0:
        return float("nan"), np.full(len(distribution), np.nan), 0.0, None
    kind = column_of_numbers(distribution.schema, column)
    numbers, _ = distribution.numbers(group, column)
    inside = np.where(np.isnan(numbers), 0.0, distribution.within(group))
    below = distribution.lookup(column, function.below(level, kind.size))
    influence = inside * (below - level) / function.share
    inverse = Inverse(level, influence, function.quantile)
    return (
        function.quantile(level),
        -influence / function.density(level),
        function.share,
        inverse,
    )
