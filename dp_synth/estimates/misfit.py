"""What a model leaves out of pairs of columns, told by the noisy distances that its fit paid for.

Let ``I`` be the product of two columns of a table, ``T`` their joint distribution and ``M`` that
of a model which has the columns right. A statistic with influence function phi misses
``sum (T - M) phi`` in first order, of which the columns' own part is 0: what is left is the part of
phi that is an interaction of the two, phi_ab. With relative deviations ``r = (T - M) / I``, their
mean square ``inertia = E_I[r^2]`` and by Cauchy and Schwarz

    (sum (T - M) phi_ab)^2  =  alignment * inertia * Var_I(phi_ab),      alignment in [0, 1].

- **Inertia.** The fit was told a noisy distance ``|T - I|_1`` of every pair. For a model of highest
  entropy divergences add up, D(T | I) = D(T | M) + D(M | I) (Csiszar 1975, theorem 3.2), and near
  independence they are half the inertias: that of T - M is what the distance leaves beside M. A
  distance becomes an inertia by the ratio of the two that measured pairs have, and of pairs that
  were not measured, which depend on each other in a few rare cells, by no less than a usual one.
- **Alignment.** What a direction u(a) v(b) has of the inertia of pairs that were measured, on the
  side of either column: the structure of a column is much the same beside its partners. Two columns
  of numbers often depend in one direction that their other pairs do not show, that of large beside
  large: a normal pair of correlation r has the distance ``2 |r| / pi``, to first order in r. So no
  less is taken to be left out than a part of the correlation that the distance could be.

Both are estimates, not bounds: intervals that rest on them are called not certified.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, pairwise

import numpy as np
from scipy import special

from dp_synth.estimates.parts import Means, Parts
from dp_synth.inference import Model
from dp_synth.inference.pair_errors import PLAUSIBLE
from dp_synth.inference.pair_selection import MEAN_NOISE
from dp_synth.transcript import Answer, ChoiceAnswer, MarginalAnswer, ScoresAnswer
from dp_synth.types import Clique, Codes, Floats
from dp_synth.validation_bounds import DISTANCES

NORMAL_RATIO = np.pi / 2  # of an inertia to the squared mean size, were deviations normal
UNEVEN_RATIO = 2.5  # the same of pairs that depend little: a few rare cells have most of it
LEAST_LEFT = 0.1  # of a pair's inertia: so much is taken to be left, however near the model seems
LEAST_ALIGNMENT = 0.02
NORMAL_SQUARE = (np.pi / 2) ** 2  # of a normal pair's correlation to its L1 distance, squared
LINEAR_PART = 0.1  # of the square of a normal pair's correlation, that columns of numbers have
OF_MORE = 0.2  # of the mean inertia of their pairs, that more columns may have beyond them
LARGEST_TABLE = 1_000_000  # cells of a pair, or of a column's directions: larger are not looked at
MOST_BELOW = 6.0  # deviations below 0, further down than which nothing is told apart
CLOSE = 1e-9  # of a function: what is left of it by rounding alone
FOUND = ("bins", "categories")  # parts whose answers are over codes that are no longer there


@dataclass(frozen=True)
class Left:
    """What a model may leave out of statistics: variances, and what these do not cover."""

    variances: Floats
    not_covered: str = ""


@dataclass(frozen=True)
class Square:
    """A squared distance in parts of all records: normal about ``location``, and from 0."""

    location: float
    stddev: float

    @property
    def mean(self) -> float:
        """Return its mean: above 0, also where noise leaves less than nothing of it."""
        return self.beyond(0.0)

    def beyond(self, other: float) -> float:
        """Return the mean of what it has beyond ``other``, from 0: 0 where it is less."""
        if not self.stddev:
            return max(self.location - other, 0.0)
        below = max(self.location / self.stddev, -MOST_BELOW)
        z = below - other / self.stddev
        normal = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return float(self.stddev * (z * special.ndtr(z) + normal) / special.ndtr(below))


@dataclass(frozen=True, eq=False)
class Misfit:
    """Inertias that a model leaves out of pairs, and how they are directed.

    ``squares`` are those of L1 distances of pairs from the product of their columns, in parts of
    all records, with noise taken off and shrunk; empty where no fit asked for them. ``measured``
    are the groups of codes over which pairs were measured.
    """

    model: Model
    squares: Mapping[Clique, Square]
    measured: Mapping[Clique, Mapping[str, Codes]]
    of_model: bool = False  # whether distances are from the model itself, not from its columns
    noise: float | None = None  # of the last marginal that rounds chose, where none was asked
    columns: frozenset[str] | None = None  # that have counts of their own; None for all
    numbers: Mapping[str, Floats] = field(default_factory=dict)  # by code, NaN where it has none
    _pairs: dict[Clique, Floats] = field(default_factory=dict, repr=False)
    _energies: dict[str, Floats] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, model: Model, answers: Sequence[Answer], numbers: Mapping[str, Floats] | None = None
    ) -> Misfit:
        """Return what the answers of a fit say of its model; ``numbers`` are those of columns."""
        measured: dict[Clique, Mapping[str, Codes]] = {}
        columns = set[str]()
        for answer in answers:
            if isinstance(answer, MarginalAnswer) and answer.part not in FOUND:
                columns.update(answer.clique)
                for pair in combinations(answer.clique, 2):
                    measured.setdefault(_ordered(model, pair), answer.groups)
        scores = [answer for answer in answers if isinstance(answer, ScoresAnswer)]
        pairs = [a for a in scores if all(len(clique) == 2 for clique in a.cliques)]
        if paid := [answer for answer in pairs if answer.part == DISTANCES]:
            squares = _squares(model, paid[-1], np.zeros(len(paid[-1].cliques)))
            return cls(
                model,
                squares,
                measured,
                of_model=True,
                columns=frozenset(columns),
                numbers=numbers or {},
            )
        if pairs:
            noise = _noise_of(model, answers, pairs[0])
            squares = _squares(model, pairs[0], noise)
            return cls(model, squares, measured, columns=frozenset(columns), numbers=numbers or {})
        last = _last_noise(answers)
        return cls(model, {}, measured, noise=last, columns=frozenset(columns))

    def left(self, parts: Parts) -> Left:
        """Return what may be left out of statistics whose influence functions have these parts."""
        columns, variances = parts.columns, np.zeros(parts.rest.shape[1])
        said, unknown, inertias = list[str](), list[str](), list[float]()
        if blank := [
            name for name in columns if self.columns is not None and name not in self.columns
        ]:
            said.append(
                f"{', '.join(blank)} had no counts of {'its' if len(blank) == 1 else 'their'} own"
            )
        for i, j in combinations(range(len(columns)), 2):
            pair = (columns[i], columns[j])
            found = self._of_pair(pair, parts, (i, j))
            if found is None:
                unknown.append(f"{pair[0]} and {pair[1]}")
                continue
            variances += found
            inertias.append(self.inertia(_ordered(self.model, pair)))
        if unknown:
            said.append(f"no distance of {', '.join(unknown)} was measured")
        if len(columns) > 2:
            mean = float(np.mean(inertias or [0.0]))
            variances += OF_MORE * mean * (parts.weights @ np.square(parts.rest))
            said.append(f"{len(columns)} columns, of which no more than pairs were looked at")
        return Left(variances, "; ".join(said))

    def _of_pair(self, pair: Clique, parts: Parts, axes: tuple[int, int]) -> Floats | None:
        """Return variances that a pair's interaction may miss; None where nothing is known."""
        key, own = _ordered(self.model, pair), parts.pair(axes)
        if key in self.measured:
            groups = self.measured[key]
            codes = parts.codes[:, list(axes)]
            coarse = np.column_stack(
                [groups[a][codes[:, k]] if a in groups else codes[:, k] for k, a in enumerate(pair)]
            )
            means = Means.over(coarse, parts.weights, tuple(coarse.max(axis=0) + 1))
            own = own - means.of(parts.weights, own)[means.places]
            if not np.any(np.abs(own) > CLOSE * np.abs(parts.pair(axes)).max()):
                return np.zeros(own.shape[1])
            inertia = self.inertia(key)  # inside of groups nothing of it was measured
        elif key in self.squares or self.noise is not None:
            inertia = self.left_inertia(key)
        else:
            return None
        variances = parts.weights @ np.square(own)
        aligned = [self._alignment(pair, parts, axes, column) for column in own.T]
        judged = np.maximum(aligned, LEAST_ALIGNMENT) * inertia * variances
        if key in self.measured or key not in self.squares:
            return np.asarray(judged)
        return np.maximum(judged, self._of_numbers(pair, parts, axes, own))

    def inertia(self, pair: Clique) -> float:
        """Return the inertia that a pair is taken to have: the mean of all where it has no own."""
        own = self.squares.get(pair)
        known = [own] if own is not None else list(self.squares.values())
        beside = self._of_model(pair)[1] if self.of_model or not known else 0.0
        if not known:
            return beside + (self.left_inertia(pair) if self.noise is not None else 0.0)
        return self._ratio * float(np.mean([one.mean for one in known])) + beside

    def left_inertia(self, pair: Clique) -> float:
        """Return the inertia that the model leaves out of a pair that was not measured.

        Where marginals are chosen round by round, by their distance from the model less the mean
        error of their noise (AIM, arXiv:2201.12677, algorithm 2), no pair is left that is further
        off than its noise would be; and few pairs are more dependent than `PLAUSIBLE` says.
        """
        if self.noise is not None:
            impurity = min(map(self._impurity, pair))
            cells = self.model.domain.cells(pair)
            error = MEAN_NOISE * self.noise * cells / max(self.model.total, 1.0)
            return self._ratio * min(error, PLAUSIBLE * 2 * impurity) ** 2
        return self._left_ratio * self._left_square(pair)

    def _left_square(self, pair: Clique) -> float:
        """Return the squared L1 distance that the model leaves out of a pair with one of its own.

        ``pair`` is in the order of the domain.
        """
        known = self.squares[pair]
        if self.of_model:
            return known.mean
        of_model = self._of_model(pair)[0] ** 2
        return max(known.beyond(of_model), LEAST_LEFT * max(known.mean, of_model))

    def _of_numbers(self, pair: Clique, parts: Parts, axes: tuple[int, int], own: Floats) -> Floats:
        """Return variances that statistics (cells, k) may miss by a correlation of two columns.

        To first order a correlation moves a mean of ``own`` by itself times that of ``own`` with
        the product of the columns' standard scores. 0 where a column has no numbers.
        """
        products = np.ones(len(parts.weights))
        for name, axis in zip(pair, axes, strict=True):
            if name not in self.numbers:
                return np.zeros(own.shape[1])
            numbers = self.numbers[name][parts.codes[:, axis]]
            has_one = ~np.isnan(numbers)
            weights = parts.weights * has_one
            share = max(float(weights.sum()), 1e-300)
            off = np.where(has_one, numbers, 0.0)
            off = (off - weights @ off / share) * has_one
            deviation = math.sqrt(float(weights @ np.square(off)) / share)
            products *= off / deviation if deviation > 0 else 0.0
        slopes = parts.weights @ (products[:, None] * own)
        square = NORMAL_SQUARE * self._left_square(_ordered(self.model, pair))
        return np.asarray(LINEAR_PART * square * np.square(slopes))

    def _impurity(self, attribute: str) -> float:
        """Return the chance that two records of the model differ in an attribute."""
        counts = np.maximum(self.model.marginal((attribute,)), 0.0)
        return 1 - float(np.square(counts / max(float(counts.sum()), 1e-300)).sum())

    def _of_model(self, pair: Clique) -> tuple[float, float]:
        """Return the model's own L1 distance of a pair from its columns, and its inertia.

        As if it had none where the table is too large to be looked at.
        """
        if not self._is_small(pair):
            return 0.0, 0.0
        table = self._table(pair)
        apart = np.outer(table.sum(axis=1), table.sum(axis=0))
        away = table - apart
        inertia = np.divide(away**2, apart, out=np.zeros_like(away), where=apart > 0)
        return float(np.abs(away).sum()), float(inertia.sum())

    def _is_small(self, columns: Clique) -> bool:
        return self.model.domain.cells(columns) <= LARGEST_TABLE

    def _table(self, pair: Clique) -> Floats:
        if pair not in self._pairs:
            counts = np.maximum(self.model.marginal(pair), 0.0)
            self._pairs[pair] = counts / max(float(counts.sum()), 1e-300)
        return self._pairs[pair]

    @cached_property
    def _ratio(self) -> float:
        """The inertia of pairs over their squared L1 distance, as measured pairs have it."""
        found = [self._of_model(pair) for pair in self.measured]
        ratios = [inertia / distance**2 for distance, inertia in found if distance > 1e-6]
        return max(NORMAL_RATIO, float(np.median(ratios))) if ratios else float(NORMAL_RATIO)

    @property
    def _left_ratio(self) -> float:
        """The same of what is left out."""
        return max(UNEVEN_RATIO, self._ratio)

    def _alignment(self, pair: Clique, parts: Parts, axes: tuple[int, int], own: Floats) -> float:
        """Return the share of an inertia that lies in the direction of a pair's interaction.

        By either column the directions of its measured pairs (`_energy`), the two multiplied. All
        of it where tables are too large to be looked at.
        """
        if not all(map(self._is_small, (pair, (pair[0], pair[0]), (pair[1], pair[1])))):
            return 1.0
        shape = self.model.domain.shape(pair)
        means = parts.means[axes]
        sums = np.zeros(math.prod(shape))
        sums[means.codes] = np.bincount(means.places, parts.weights * own)
        masses = np.zeros(math.prod(shape))
        masses[means.codes] = means.masses
        masses = masses.reshape(shape)
        apart = np.sqrt(np.outer(masses.sum(axis=1), masses.sum(axis=0)))
        scaled = np.divide(sums.reshape(shape), apart, out=np.zeros(shape), where=apart > 0)
        whole = float(np.square(scaled).sum())
        if not whole:
            return 0.0
        first = float(np.sum(scaled * (self._energy(pair[0]) @ scaled))) / whole
        second = float(np.sum(scaled.T * (self._energy(pair[1]) @ scaled.T))) / whole
        return first * second

    def _energy(self, attribute: str) -> Floats:
        """Return how the inertia of a column's measured pairs is spread over its directions.

        A matrix of trace 1 over the column's codes, scaled by the roots of their probabilities;
        that of the identity where no pair of the column was measured: any direction may have all.
        """
        if attribute in self._energies:
            return self._energies[attribute]
        size = self.model.domain.size(attribute)
        spread = np.zeros((size, size))
        for pair in self.measured:
            if attribute not in pair or not self._is_small(pair):
                continue
            table = self._table(pair)
            table = table if pair[0] == attribute else table.T
            apart = np.outer(table.sum(axis=1), table.sum(axis=0))
            root = np.sqrt(apart)
            scaled = np.divide(table - apart, root, out=np.zeros_like(apart), where=root > 0)
            spread += scaled @ scaled.T
        trace = float(np.trace(spread))
        self._energies[attribute] = spread / trace if trace > 0 else np.eye(size)
        return self._energies[attribute]


def _ordered(model: Model, pair: Sequence[str]) -> Clique:
    first, second = sorted(pair, key=model.domain.axis)
    return (first, second)


def _squares(model: Model, answer: ScoresAnswer, noise: Floats) -> dict[Clique, Square]:
    """Return squared distances in parts of the records, less noise and chance, shrunk.

    Squares of what stands out of noise; the rest is drawn to the mean by the part of its variance
    that is noise (James & Stein 1961).
    """
    total = max(model.total, 1.0)
    chances = np.array([_chance(model, clique, answer.groups) for clique in answer.cliques])
    cells = np.array([_cells(model, clique, answer.groups) for clique in answer.cliques])
    found = np.square(np.maximum(answer.values, 0.0)) - chances**2 - noise - answer.stddev**2
    deviation = answer.stddev**2 + (chances**2 + noise) / cells  # in squares, of a distance
    fourth = 5 if answer.noise == "laplace" else 2  # variance of a square, of noise of variance 1
    spread = 4 * np.square(answer.values) * deviation + fourth * deviation**2
    middle = max(float(np.mean(found)), 0.0)
    signal = max(float(np.var(found) - np.mean(spread)), 0.0)
    kept = signal / (signal + spread) if signal else np.zeros_like(spread)
    squares = (middle + kept * (found - middle)) / total**2
    stddevs = np.sqrt(kept * spread) / total**2
    return {
        _ordered(model, clique): Square(float(square), float(stddev))
        for clique, square, stddev in zip(answer.cliques, squares, stddevs, strict=True)
    }


def _chance(model: Model, clique: Clique, groups: Mapping[str, Codes]) -> float:
    """Return the mean L1 distance of a sample of independent columns from its expectation."""
    roots = 1.0
    for attribute in clique:
        counts = np.maximum(model.marginal((attribute,)), 0.0)
        if attribute in groups:
            counts = np.bincount(groups[attribute], weights=counts)
        roots *= float(np.sqrt(counts / max(float(counts.sum()), 1e-300)).sum())
    return float(MEAN_NOISE * np.sqrt(max(model.total, 0.0)) * roots)


def _cells(model: Model, clique: Clique, groups: Mapping[str, Codes]) -> int:
    sizes = (int(groups[a].max()) + 1 if a in groups else model.domain.size(a) for a in clique)
    return math.prod(sizes)


def _noise_of(model: Model, answers: Sequence[Answer], scores: ScoresAnswer) -> Floats:
    """Return the mean square that noise of the columns adds to each distance from them.

    A count that was cut at 0 may be off by its noise only as far as it is not small itself.
    """
    noise: dict[str, float] = {}
    for answer in answers:
        if isinstance(answer, MarginalAnswer) and len(answer.clique) == 1:
            name = answer.clique[0]
            if answer.part not in FOUND and name not in noise:
                counts = np.maximum(model.marginal((name,)), 0.0)
                squares = answer.stddev * np.minimum(counts, answer.stddev)
                if name in scores.groups:
                    grouped = np.bincount(scores.groups[name], weights=squares)
                    squares = grouped.astype(np.float64)
                noise[name] = MEAN_NOISE**2 * float(np.sqrt(squares).sum()) ** 2
    return np.array([sum(noise.get(a, 0.0) for a in clique) for clique in scores.cliques])


def _last_noise(answers: Sequence[Answer]) -> float | None:
    """Return the noise of the last marginal that a round chose; None where there are no rounds.

    A round measures what it has just chosen.
    """
    rounds = [
        answer.stddev
        for choice, answer in pairwise(answers)
        if isinstance(choice, ChoiceAnswer) and isinstance(answer, MarginalAnswer)
        if choice.chosen == answer.clique and len(answer.clique) > 1
    ]
    return rounds[-1] if rounds else None
