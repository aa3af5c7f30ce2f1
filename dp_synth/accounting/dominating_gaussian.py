"""Dominating Gaussians: the least mu whose curve is nowhere below another privacy curve.

It is what a filter in Gaussian DP charges for a mechanism, or for a plan by its composed curve.

With a chance left out or without one: neighbouring tables then give no more away than a coin that
tells all with that chance, and else one Gaussian mechanism. Between the points at which a curve
was bounded it is compared by chords: in exp(epsilon) a privacy curve is convex, hence below its
chords, and a Gaussian's is convex too, hence above its tangents. So what the grid costs is of
second order in its width, and nothing is missed. The proofs are in `docs/accounting.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from dp_synth.accounting.budget import ROUNDING, bisect, gaussian_bounds, gaussian_deltas
from dp_synth.formatting import rounded_up
from dp_synth.types import Floats

if TYPE_CHECKING:
    from dp_synth.accounting.privacy_profile import PrivacyCurve

POINTS_OF_ONE = 2000  # at which a choice, or a pure event, is compared with a Gaussian
POINTS_OF_ROUND = 400  # at which a choice and its answer are
POINTS = 500  # at which a composed curve is compared with a Gaussian's
STEPS_OF_CHOICE = 300  # within the range of a choice, between which its worst loss is rounded up
SLACK = 1e-14  # relative, by which bounds are held apart
FARTHEST = 36.0  # standard deviations at which a Gaussian's delta is still a normal number
CLOSE = 1e-7  # relative, to which an amount is found
BESIDE = 1e-3  # relative, by which more is left out than thresholds give away
MOST_TRIES = 24  # each 1.5 times as far, in logarithms, as the last
MOST_EPSILON = 600.0  # whose exp() is far from overflow
TAIL = 1e-12  # of a curve that a mu summarizes, which is left out
LEAST_DELTA = 1e-250  # to which curves are followed
NARROW = 1e-4  # relative width at which a search for mu ends


def is_below(epsilons: Floats, deltas: Floats, mu: float, left_out: float = 0.0) -> bool:
    """Return whether a privacy curve is below that of a Gaussian beside a chance ``left_out``.

    ``deltas`` bound the curve at rising ``epsilons``, which begin at 0. They are compared with
    ``left_out`` + (1 - ``left_out``) * G_mu, up to the last epsilon.
    """
    kept = (deltas - left_out) / (1 - left_out)
    kept = kept + SLACK * (np.abs(kept) + left_out)
    bound = gaussian_deltas(mu, epsilons, up=False) * (1 - SLACK)
    if np.any(kept > bound):
        return False
    gains = np.expm1(epsilons)
    slopes = -ndtr(-epsilons / mu - mu / 2)  # of the Gaussian's curve in exp(epsilon)
    width, bends = np.diff(gains), np.diff(slopes)
    meet = (bound[:-1] - bound[1:] + slopes[1:] * width) / np.maximum(bends, 1e-300)
    meet = np.clip(meet, 0.0, width)  # where the tangents at both ends do
    chords = kept[:-1] + np.diff(kept) / width * meet
    tangents = np.maximum(bound[:-1] + slopes[:-1] * meet, bound[1:] - slopes[1:] * (width - meet))
    return bool(np.all(chords <= tangents))


def least_amount(curve: PrivacyCurve, allowance: float) -> float:
    """Return the least square of mu whose Gaussian is nowhere below a curve, rounded up.

    Beside it a chance of ``allowance`` times the amount is left out, so that what many plans
    leave out together is in proportion to what they are charged. Infinite where no bound is known
    that falls so low.
    """
    if curve.is_gaussian and not curve.told:
        return curve.mu**2
    at_zero = min(curve.delta(0.0), 1 - SLACK)
    least = 2 * float(ndtri((1 + at_zero) / 2)) ** 2  # half of what the curve at 0 asks for
    floor = max(allowance * least, curve.told * (1 + BESIDE), LEAST_DELTA)
    last = curve.epsilon(floor)
    if not math.isfinite(last) or floor >= 1:
        return math.inf
    least = max(least, floor / allowance)
    if not last:
        return least
    epsilons, deltas = _followed(curve, last, floor)

    def enough(amount: float) -> bool:
        left_out = allowance * amount
        return left_out < 1 and is_below(epsilons, deltas, math.sqrt(amount), left_out)

    return _least(enough, least)


def _followed(curve: PrivacyCurve, last: float, floor: float) -> tuple[Floats, Floats]:
    """Return points of a curve up to an epsilon from which on it is no more than ``floor``."""
    epsilons = last * np.linspace(0.0, 1.0, POINTS + 1)
    deltas = curve.deltas(epsilons)
    deltas[-1] = min(deltas[-1], floor)  # and what is left out is no less than that
    return epsilons, deltas


@dataclass(frozen=True)
class GaussianSummary:
    """A privacy curve in one number, its ``mu``, and what that number overstates.

    No attack does better than against one Gaussian mechanism of ``mu``, but for a chance of
    ``left_out`` in which all is told: 0 where everything is Gaussian. The ``regret`` is how far
    the trade-off curve of that Gaussian lies below the certified one: for each prior and each
    cost of errors a guess fares at most so much worse than the number says (Gomez et al. 2025,
    arXiv:2503.10945). Where no Gaussian is known to be enough ``mu`` is infinite, and the regret
    1. Both are rounded up.
    """

    mu: float
    regret: float
    left_out: float = 0.0

    def __str__(self) -> str:
        if math.isinf(self.mu):
            return "Gaussian DP: no mu is known"
        apart = f" but for a chance of {rounded_up(self.left_out)}" if self.left_out else ""
        return f"Gaussian DP: mu {rounded_up(self.mu)}{apart}, regret {rounded_up(self.regret, 2)}"


NOTHING_SAID = GaussianSummary(math.inf, 1.0, 1.0)


@lru_cache(maxsize=64)
def summarized(curve: PrivacyCurve) -> GaussianSummary:
    """Return the least mu whose Gaussian is nowhere below a curve, and its regret.

    Sampled sums and thresholds have tails that are heavier than those of any such Gaussian, at
    deltas beyond all use: a chance of `TAIL`, or a hair more than thresholds give away, is
    therefore left out.

    >>> from dp_synth.accounting import Gaussian, compose
    >>> summarized(compose([(Gaussian(2.0, 1.0), 4)]))
    GaussianSummary(mu=1.0, regret=0.0, left_out=0.0)
    """
    if curve.told == 1:
        return NOTHING_SAID
    if curve.is_gaussian and not curve.told:
        return GaussianSummary(curve.mu, 0.0)
    at_zero = curve.delta(0.0)
    if not at_zero:
        return GaussianSummary(0.0, 0.0)
    left_out = max(TAIL, curve.told * (1 + BESIDE))
    last = curve.epsilon(left_out)
    if not math.isfinite(last) or left_out >= 1:
        return NOTHING_SAID
    if not last:
        return GaussianSummary(0.0, 0.0, left_out)
    epsilons, deltas = _followed(curve, last, left_out)
    least = 2 * float(ndtri((1 + min(at_zero, 1 - SLACK)) / 2)) ** 2
    amount = _least(lambda amount: is_below(epsilons, deltas, math.sqrt(amount), left_out), least)
    if math.isinf(amount):
        return NOTHING_SAID
    mu = math.sqrt(amount)
    return GaussianSummary(mu, regret(epsilons, deltas, mu, left_out), left_out)


def regret(epsilons: Floats, deltas: Floats, mu: float, left_out: float = 0.0) -> float:
    """Return how far a Gaussian's trade-off curve lies below another's, rounded up.

    The least k with f(a + k) - k <= g(a) for all a. In terms of privacy curves that is the
    largest (G(e) - D(e)) / (1 + exp(e)) over e >= 0: f is the supremum of the lines 1 - D(e) -
    exp(e) a, and moving it so takes k (1 + exp(e)) from each. ``deltas`` are those of D at rising
    ``epsilons`` from 0. Between two points G is below its chord, and D above the chords beside it,
    as both are convex in exp(epsilon); their quotient is the largest where pieces meet.
    """
    upper = left_out + (1 - left_out) * gaussian_deltas(mu, epsilons, up=True)
    gains = np.exp(epsilons)
    largest = float(np.max((upper - deltas) / (1 + gains)))
    slopes = np.diff(deltas) / np.diff(gains)
    mirrored = 1 - (1 - deltas[1]) / gains[1]  # the curve at -epsilons[1], by symmetry
    steep = np.concatenate([[(deltas[0] - mirrored) / (1 - 1 / gains[1])], slopes[:-1]])
    flat = np.concatenate([slopes[1:], [0.0]])
    width = np.diff(gains)
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = (deltas[1:] - flat * width - deltas[:-1]) / (steep - flat)
    meet = np.clip(np.nan_to_num(meet, nan=0.0), 0.0, width)
    lower = np.maximum(deltas[:-1] + steep * meet, deltas[1:] - flat * (width - meet))
    chords = upper[:-1] + np.diff(upper) / width * meet
    between = (chords - np.maximum(lower, 0.0)) / (1 + gains[:-1] + meet)
    beyond = float(upper[-1] / (1 + gains[-1]))  # where nothing is known of D
    return max(largest, float(np.max(between)), beyond, 0.0) * (1 + SLACK)


@lru_cache(maxsize=1024)
def amount_of_round(range_: float, multiplier: float) -> float:
    """Return the least square of mu whose Gaussian dominates a choice and the answer after it.

    A choice of range ``range_``, then a Gaussian answer with a noise ``multiplier`` that was
    fixed before the choice: one mechanism (`selection_block`), rounded up.

    >>> 1.11 < amount_of_round(0.2, 10 / 3) * (10 / 3) ** 2 < 1.12
    True
    """
    own = 1 / multiplier
    shifted = (own + 2 * range_ / own) ** 2 * (1 + SLACK)  # no loss is more than ``range_`` larger
    likely = math.sqrt(own * own + range_ * range_ / 4)
    last = (range_ / own + (own - likely) / 2) / (1 / own - 1 / likely)
    last = min(last, FARTHEST * own + own * own / 2)
    if max(last, range_) > MOST_EPSILON:
        return shifted
    epsilons = np.linspace(0.0, last, POINTS_OF_ROUND + 1)
    deltas = _choice_then(range_, own, epsilons)

    def enough(amount: float) -> bool:
        mu = math.sqrt(amount)
        later = last * (1 / own - 1 / mu) >= range_ / own + (own - mu) / 2
        return later and is_below(epsilons, deltas, mu)

    return min(_least(enough, own * own), shifted)


def _choice_then(range_: float, mu: float, epsilons: Floats) -> Floats:
    """Return the privacy curve of one choice and a Gaussian answer after it, rounded up.

    The largest over t of P_t G(e - t) + (1 - P_t) G(e - t + range). With the range longer by a
    step, each t between two steps has its pair of losses inside that of the step above.
    """
    step = range_ / STEPS_OF_CHOICE
    whole = range_ + step
    best = np.zeros_like(epsilons)
    for t in step * np.arange(STEPS_OF_CHOICE + 2):
        chance = math.exp(t) * math.expm1(max(whole - t, 0.0)) / math.expm1(whole)
        low = gaussian_deltas(mu, epsilons - t, up=True)
        high = gaussian_deltas(mu, epsilons - t + whole, up=True)
        best = np.maximum(best, high + min(chance, 1.0) * (low - high))
    return best * (1 + SLACK)


def _least(enough: Callable[[float], bool], low: float) -> float:
    """Return the least amount that is enough, from ``low`` on, rounded up; infinite if none is."""
    if enough(low):
        return low
    high = low * (1 + 1 / 16)
    for _ in range(MOST_TRIES):
        if enough(high):
            break
        low, high = high, high * max(high / low, 1.0) ** 1.5
    else:
        return math.inf
    return bisect(enough, high, low, CLOSE)


def dominating_mu(epsilons: Floats, deltas: Floats, log_complements: Floats | None = None) -> float:
    """Return the least mu whose Gaussian curve is nowhere below a curve, rounded up.

    ``deltas`` are upper bounds on the curve at rising ``epsilons``, which start at 0; between two
    points both curves fall, so that comparing the curve's value at the left one with the
    Gaussian's at the right one is enough. Beyond the last point nothing is compared: the curve
    must be 0 there, or be bounded otherwise. Negative epsilons follow by symmetry of the two
    directions. ``log_complements`` are lower bounds on log(1 - delta), for deltas so near to 1
    that doubles do not hold them. Infinite when no mu that numbers can hold is large enough.

    >>> epsilons = np.linspace(0.0, 2.0, 2001)
    >>> 1.5 < dominating_mu(epsilons, -np.expm1(epsilons - 2.0) / (1 + np.exp(-2.0))) < 2.5
    True
    """
    if log_complements is None:
        with np.errstate(divide="ignore"):
            log_complements = np.log1p(-np.minimum(deltas, 1.0)) * (1 + ROUNDING) - ROUNDING
    right, left = epsilons[1:], deltas[:-1]

    def dominates(mu: float) -> bool:
        least, log_complement = gaussian_bounds(mu, right)
        return bool(np.all((least >= left) | (log_complement <= log_complements[:-1])))

    low, high = 0.0, float(epsilons[-1])
    while not dominates(high):
        low, high = high, 2 * high
        if high > 1e100:
            return math.inf
    return bisect(dominates, high, low, NARROW)


@lru_cache(maxsize=256)
def pure_mu(epsilon: float) -> float:
    """Return the least mu that dominates every ``epsilon``-DP mechanism, rounded up."""
    at = np.linspace(0.0, epsilon, POINTS_OF_ONE + 1)
    scale = 1 + math.exp(-epsilon)
    deltas = -np.expm1(at - epsilon) / scale * (1 + ROUNDING)
    logs = np.logaddexp(-epsilon, at - epsilon) - math.log(scale)
    return dominating_mu(at, deltas, logs - ROUNDING * (1 + epsilon))


@lru_cache(maxsize=256)
def selection_mu(range_: float) -> float:
    """Return the least mu that dominates every selection of this range, rounded up.

    Its delta is (1 - x)**2 / (1 - exp(-range)) with x = exp((e - range) / 2), so that the
    complement is (x * (2 - x) - exp(-range)) / (1 - exp(-range)).
    """
    at = np.linspace(0.0, range_, POINTS_OF_ONE + 1)
    x, whole = np.exp((at - range_) / 2), -math.expm1(-range_)
    deltas = np.expm1((at - range_) / 2) ** 2 / whole * (1 + ROUNDING)
    # x * (2 - x) - exp(-range) with both factors of exp(-range) taken apart: x >= exp(-range / 2)
    rest = (2 - x) - np.exp(-range_ - (at - range_) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = (at - range_) / 2 + np.log(rest * (1 - ROUNDING) - ROUNDING) - math.log(whole)
    logs = np.where(np.isfinite(logs), logs - ROUNDING * (1 + range_), -np.inf)
    return dominating_mu(at, deltas, logs)
