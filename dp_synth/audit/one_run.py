"""Lower bounds from a single run with many canaries, each put in or left out by a coin of its own.

Guesses are made for the canaries with the highest and the lowest scores; how many to make is
fixed before looking, or paid for by dividing the level among the numbers that are tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc, ndtr, ndtri

from dp_synth.accounting.conversions import gaussian_epsilon
from dp_synth.attacks.excess_risk import cites
from dp_synth.audit.bounds import Bound
from dp_synth.errors import InputError
from dp_synth.types import Floats, Integers

LARGEST_EPSILON = 60.0
LARGEST_MU = 20.0


def guesses(scores: ArrayLike, included: ArrayLike, share: float) -> tuple[int, int]:
    """Return how many of the guesses are right, and how many are made: a ``share`` of canaries.

    Half of them are "in", for the highest scores, and half "out". InputError for scores that are
    no numbers or all tied, and where no guess would be made.
    """
    points, coins = np.asarray(scores, dtype=np.float64), np.asarray(included, dtype=bool)
    if points.shape != coins.shape or points.ndim != 1:
        raise InputError("there must be one score and one coin a canary")
    if np.isnan(points).any() or not len(points) or np.ptp(points) == 0:
        raise InputError("scores of canaries must be numbers that are not all the same")
    each = int(len(points) * share / 2 + 1e-9)
    if not each:
        raise InputError(f"a share of {share:g} makes no guess about {len(points)} canaries")
    order = np.argsort(points, kind="stable")
    right = int(np.sum(coins[order[-each:]]) + np.sum(~coins[order[:each]]))
    return right, 2 * each


@cites("steinke2023", "mahloujifar2025", name="one_run")
def one_run_bound(
    right: int, made: int, canaries: int, delta: float, *, level: float = 0.05
) -> Bound:
    """Return the epsilon that so many right guesses prove of any mechanism.

    Steinke, Nasr & Jagielski 2023 (arXiv:2305.08846), Thm 5.2: with (epsilon, delta)-DP the
    number of right guesses is at most binomial, but for an event whose chance ``delta`` bounds.
    """
    epsilon = _largest_refuted(
        lambda value: one_run_p_value(right, made, canaries, value, delta), LARGEST_EPSILON, level
    )
    most = _largest_refuted(
        lambda value: one_run_p_value(made, made, canaries, value, delta), LARGEST_EPSILON, level
    )
    return Bound("one_run", epsilon, most, level, "(epsilon, delta)")


def one_run_p_value(right: int, made: int, canaries: int, epsilon: float, delta: float) -> float:
    """Return the largest chance of so many right guesses or more under (epsilon, delta)-DP."""
    chance = 1 / (1 + math.exp(-epsilon))
    tail = float(_more_than(right - 1, made, chance))
    if not delta:
        return tail
    fewer = np.arange(1, right + 1)
    between = _more_than(right - fewer - 1, made, chance) - tail
    worst = float(np.max(between / fewer)) if len(fewer) else 0.0
    return float(min(1.0, tail + 2 * canaries * delta * worst))


def _more_than(count: Integers | int, made: int, chance: float) -> Floats:
    """Return the chance that more than ``count`` of ``made`` binomial guesses are right."""
    return np.where(np.less(count, 0), 1.0, bdtrc(np.maximum(count, 0), made, chance))


def one_run_gaussian_bound(
    right: int, made: int, canaries: int, delta: float, *, level: float = 0.05
) -> Bound:
    """Return the epsilon of the least Gaussian DP that so many right guesses allow.

    Mahloujifar, Melis & Chaudhuri 2025 (arXiv:2410.22235), Alg. 3: a bound through the whole
    trade-off curve instead of one (epsilon, delta).
    """

    def refuted_below(count: int) -> float:
        return _largest_refuted(
            lambda mu: 1.0 if _possible(count, made, canaries, mu, level) else 0.0,
            LARGEST_MU,
            level,
        )

    mu, most = refuted_below(right), refuted_below(made)
    epsilon, largest = (gaussian_epsilon(value, delta) if value else 0.0 for value in (mu, most))
    return Bound("one_run_gaussian", epsilon, largest, level, "Gaussian DP")


def _possible(right: int, made: int, canaries: int, mu: float, level: float) -> bool:
    """Whether mu-GDP allows so many right guesses with more than chance ``level``.

    The recursion of Alg. 3: from the chance of ``right`` or more, down to that of all counts,
    which cannot be more than one.
    """
    r, h = level * right / canaries, level * (made - right) / canaries
    for count in range(right - 1, -1, -1):
        grown = _blown_up(r, mu)
        h_next = max(h, grown)
        r += (count / (made - count)) * (h_next - h)
        h = h_next
        if r + h > made / canaries:
            return False
    return r + h <= made / canaries


def _blown_up(mass: float, mu: float) -> float:
    """Return the mass that an event of mass ``mass`` may have in the other world: its inverse."""
    return float(ndtr(ndtri(min(1.0, max(0.0, mass))) - mu))


def one_run_mean_p_value(
    scores: ArrayLike, included: ArrayLike, *, stddev: float, mu: float
) -> float:
    """Return the p-value of mu-GDP from the mean scores of canaries that are in, and out.

    For scores that are, given the coins, independent normal numbers of known ``stddev``, as the
    noisy gradients along orthogonal canaries are: a canary that is in moves its own by ``mu``
    standard deviations at most. Nothing is guessed, so that no score is thrown away.
    """
    points, coins = np.asarray(scores, dtype=np.float64), np.asarray(included, dtype=bool)
    inside, outside = points[coins], points[~coins]
    if not len(inside) or not len(outside):
        raise InputError("some canaries must be in and some out")
    error = math.sqrt(1 / len(inside) + 1 / len(outside))
    seen = float(inside.mean() - outside.mean()) / stddev
    return float(ndtr((mu - seen) / error))


def _largest_refuted(p_value: Callable[[float], float], most: float, level: float) -> float:
    """Return the largest value up to which the p-value stays at most ``level``."""
    if p_value(0.0) > level:
        return 0.0
    if p_value(most) <= level:
        return most
    low, high = 0.0, most
    while high - low > 1e-6 * most:
        middle = (low + high) / 2
        low, high = (middle, high) if p_value(middle) <= level else (low, middle)
    return low
