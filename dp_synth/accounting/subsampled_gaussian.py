"""The subsampled Gaussian mechanism: losses of one noisy sum over records that toss coins.

With one record in question the sum is moved by one clip at most, or not at all. Of a unit of ``k``
rows each joins the sum by a coin of its own and moves it by one clip at most, in whatever
direction. The worst are rows that all move it along one line: a sum moved by Binomial (k, rate)
clips, against one that is not moved; and under replace_one one that is moved as far the other way.
Ganesh 2024 (arXiv:2401.10294) has the mixtures of the first kind; `docs/accounting.md` proves both,
by Kahane's inequality between Gaussian processes.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from dp_synth.accounting.budget import ROUNDING
from dp_synth.accounting.discretization import LARGEST_LOSS, PIECES, SLACK, Dots, of_density
from dp_synth.accounting.events import SampledGaussian
from dp_synth.types import Floats

REACH = 11.5  # standard deviations, beyond which a Gaussian has a chance below 1e-30
NEWTON = 5  # steps to the outcome of a loss, from between two that are near
FARTHEST = 300.0  # exponent up to which a chi-squared distance is computed


class GroupLosses:
    """Outcomes of one sum in standard deviations, and the loss at each of them.

    ``log_ratio`` is log sum_i b_i exp(i mu y - (i mu)**2 / 2), with binomial weights b_i: it
    rises with the outcome y. Where rows are replaced the loss is that at y less that at -y.
    """

    def __init__(self, event: SampledGaussian) -> None:
        self.mu, self.rows, self.replaced = 1 / event.noise_multiplier, event.rows, event.replaced
        k, rate = event.rows, event.rate
        self.counts = np.arange(1, k + 1)
        chances = [math.comb(k, i) * rate**i * (1 - rate) ** (k - i) for i in range(k + 1)]
        self.none, self.weights = chances[0], np.array(chances[1:])

    @property
    def last(self) -> float:
        """The largest outcome that counts; the least is -`REACH`."""
        return self.rows * self.mu + REACH

    @property
    def largest(self) -> float:
        """Bound on the terms from which a loss is computed, of outcomes that count."""
        moved = self.rows * self.mu
        return moved * self.last + moved * moved + 4 * self.rows

    @property
    def mean_loss(self) -> float:
        """About what the mean loss is at most: by convexity, or the chi-squared distance."""
        powers = np.minimum(np.outer(self.counts, self.counts) * self.mu**2, FARTHEST)
        distance = float(self.weights @ np.expm1(powers) @ self.weights)
        square = float(self.weights @ self.counts**2) * self.mu**2
        return (4 if self.replaced else 1) * min(square / 2, distance)

    def width(self) -> float:
        """Return how far apart the losses of outcomes that count lie."""
        least, most = self.loss(np.array([-REACH, self.last]))
        return float(most - least)

    def log_ratio(self, y: Floats) -> Floats:
        """Return the logarithm of the moved density over the other at each outcome."""
        more, total = np.zeros_like(y), np.full_like(y, self.none)
        for count, weight in zip(self.counts.tolist(), self.weights.tolist(), strict=True):
            power = count * self.mu * y - (count * self.mu) ** 2 / 2
            more += weight * np.expm1(power)
            total += weight * np.exp(power)
        near = np.abs(more) < 0.5
        return np.where(near, np.log1p(np.where(near, more, 0.0)), np.log(total))

    def slope(self, y: Floats) -> Floats:
        """Return how steeply `log_ratio` rises at each outcome."""
        rise, total = np.zeros_like(y), np.full_like(y, self.none)
        for count, weight in zip(self.counts.tolist(), self.weights.tolist(), strict=True):
            part = weight * np.exp(count * self.mu * y - (count * self.mu) ** 2 / 2)
            rise += count * self.mu * part
            total += part
        return np.asarray(rise / total)

    def loss(self, y: Floats) -> Floats:
        """Return the loss at each outcome, which rises with it."""
        ratio = self.log_ratio(y)
        return ratio - self.log_ratio(-y) if self.replaced else ratio

    def removed(self, step: float) -> Dots:
        """Return the losses where the unit is there, on a lattice of ``step``."""
        points, cells = self._pieces(step, self.last)

        def at(y: Floats) -> tuple[Floats, Floats]:
            ratio = self.log_ratio(y)
            losses = ratio - self.log_ratio(-y) if self.replaced else ratio
            return losses, self._rounded_up(y, ratio - y * y / 2)

        moved = float(self.weights @ ndtr(self.counts * self.mu - points[-1]))
        beyond = moved + self.none * float(ndtr(-points[-1]))
        below = float(ndtr(points[0])) * (1 + ROUNDING)
        tails = (beyond * (1 + ROUNDING), int(cells[0]) + 1, below)
        return of_density(points, cells, at, step, largest=self.largest, tails=tails)

    def added(self, step: float) -> Dots:
        """Return the losses where the unit is not there: the ratio turned about."""
        points, cells = self._pieces(step, REACH)

        def at(y: Floats) -> tuple[Floats, Floats]:
            return -self.log_ratio(-y), self._rounded_up(y, -y * y / 2)

        tail = float(ndtr(-REACH)) * (1 + ROUNDING)
        tails = (tail, int(-cells[-1]), tail)
        return of_density(
            -points[::-1], -cells[::-1] - 1, at, step, largest=self.largest, tails=tails
        )

    def _rounded_up(self, y: Floats, log_density: Floats) -> Floats:
        rough = SLACK * (self.rows + 1 + self.rows * self.mu * (1 + np.abs(y)))
        return np.exp(log_density) / math.sqrt(2 * math.pi) * (1 + rough)

    def _pieces(self, step: float, last: float) -> tuple[Floats, NDArray[np.int64]]:
        """Return outcomes up to ``last`` so that between two of them all losses share a cell."""
        ends = self.loss(np.array([-REACH, last])) / step
        inner = np.arange(math.floor(ends[0]) + 1, math.ceil(ends[1]), dtype=float)
        width = min(1.0, 1 / (self.rows * self.mu)) / PIECES
        even = np.linspace(-REACH, last, math.ceil((last + REACH) / width) + 1)
        at_dots = self._outcomes(inner * step, even)
        points = np.sort(np.concatenate([at_dots, even]))
        below = np.searchsorted(at_dots, (points[1:] + points[:-1]) / 2)
        return points, math.floor(ends[0]) + below.astype(np.int64)

    def _outcomes(self, losses: Floats, even: Floats) -> Floats:
        """Return the outcomes of these rising losses, by Newton's method between ``even`` ones."""
        known = self.loss(even)
        above = np.clip(np.searchsorted(known, losses), 1, len(even) - 1)
        low, high = even[above - 1], even[above]
        found = np.interp(losses, known, even)
        for _ in range(NEWTON):
            rise = self.slope(found) + (self.slope(-found) if self.replaced else 0.0)
            found = np.clip(found - (self.loss(found) - losses) / rise, low, high)
        return np.maximum.accumulate(found)


def losses_removed(mu: float, rate: float, step: float) -> Dots:
    """Losses where the record is there: its coin tossed, or the mean moved by ``mu``.

    Of outcomes in standard deviations, log(1 - rate + rate * exp(mu * y - mu**2 / 2)).
    """
    points, cells = pieces(mu, rate, step, mu + REACH)
    beyond = rate * float(ndtr(mu - points[-1])) + (1 - rate) * float(ndtr(-points[-1]))
    below = float(ndtr(points[0])) * (1 + ROUNDING)
    return of_density(
        points,
        cells,
        partial(at_removed, mu, rate),
        step,
        largest=mu * float(np.abs(points).max()) + mu * mu,
        tails=(beyond * (1 + ROUNDING), int(cells[0]) + 1, below),
    )


def losses_added(mu: float, rate: float, step: float) -> Dots:
    """Losses where the record is not there: the ratio turned about, outcomes around 0."""
    points, cells = pieces(mu, rate, step, REACH)
    tail = float(ndtr(points[0])) * (1 + ROUNDING)
    beyond = float(ndtr(-REACH)) * (1 + ROUNDING)
    return of_density(
        -points[::-1],
        -cells[::-1] - 1,
        partial(at_added, mu, rate),
        step,
        largest=mu * float(np.abs(points).max()) + mu * mu,
        tails=(tail, int(-cells[-1]), beyond),
    )


def at_removed(mu: float, rate: float, y: Floats) -> tuple[Floats, Floats]:
    """Return the loss and the density at outcomes, where the record is there."""
    losses = log_ratio(mu, rate, y)
    return losses, np.exp(losses - y * y / 2) / math.sqrt(2 * math.pi)


def at_added(mu: float, rate: float, y: Floats) -> tuple[Floats, Floats]:
    """Return the loss and the density at outcomes, where the record is not there."""
    return -log_ratio(mu, rate, -y), np.exp(-y * y / 2) / math.sqrt(2 * math.pi)


def log_ratio(mu: float, rate: float, y: Floats) -> Floats:
    """Return the logarithm of the sampled density over the other at each outcome."""
    power = mu * y - mu * mu / 2
    return np.log1p(rate * np.expm1(power)) if rate < 1 else power


def pieces(mu: float, rate: float, step: float, last: float) -> tuple[Floats, NDArray[np.int64]]:
    """Return outcomes up to ``last`` so that between two of them all losses share a cell."""
    ends = log_ratio(mu, rate, np.array([-REACH, last])) / step
    inner = np.arange(math.floor(ends[0]) + 1, math.ceil(ends[1]), dtype=float)
    turned = np.expm1(inner * step) / rate
    at_dots = (np.log1p(turned) if rate < 1 else inner * step) / mu + mu / 2
    width = min(1.0, 1 / mu) / PIECES
    even = np.linspace(-REACH, last, math.ceil((last + REACH) / width) + 1)
    points = np.sort(np.concatenate([np.clip(at_dots, even[0], even[-1]), even]))
    below = np.searchsorted(at_dots, (points[1:] + points[:-1]) / 2)
    return points, math.floor(ends[0]) + below.astype(np.int64)


def width_of_step(mu: float, rate: float) -> float:
    """Return how far apart the losses of one step of one record lie."""
    if mu * (mu + REACH) > LARGEST_LOSS:
        return mu * mu + 2 * REACH * mu
    least, most = log_ratio(mu, rate, np.array([-REACH, mu + REACH]))
    return float(most - least)


def mean_loss(mu: float, rate: float) -> float:
    """Upper bound on the mean loss of one sampled step: convexity, or the chi-squared distance."""
    return min(rate * mu * mu / 2, rate * rate * math.expm1(min(mu * mu, 700.0)))
