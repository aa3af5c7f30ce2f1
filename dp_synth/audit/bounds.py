"""Lower bounds on epsilon: from scores of two worlds, and from the canaries of a single run.

Of two worlds they take scores of one attack in ``inside``, runs with the target, and ``outside``,
runs without it; every run has fresh randomness, and thresholds are chosen on other runs. Higher
scores mean "inside". In a single run each of many canaries is put in or left out by a coin of its
own, and guesses are made for those of the highest and the lowest scores; how many to make is fixed
before looking, or paid for by dividing the level among the numbers that are tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc, betaincinv, ndtr, ndtri

from dp_synth.accounting.budget import gaussian_epsilon
from dp_synth.attacks.excess_risk import cites
from dp_synth.errors import InputError
from dp_synth.formatting import at_least
from dp_synth.metrics.estimate import clopper_pearson
from dp_synth.types import Floats, Integers

Rate = TypeVar("Rate", float, Floats)

PROVING_SHARE = 2 / 3  # of the runs bound; on the others a threshold is chosen
THRESHOLDS = 200  # that are tried


@dataclass(frozen=True)
class Worlds:
    """Scores of as many runs with the target as without it. InputError for scores that say nothing.

    Not to be used: NaN, other lengths, one value alone, fewer than two runs.
    """

    inside: Floats
    outside: Floats

    @classmethod
    def of(cls, inside: ArrayLike, outside: ArrayLike) -> Worlds:
        """Return the scores, checked."""
        first, second = (np.array(scores, dtype=np.float64) for scores in (inside, outside))
        if first.ndim != 1 or first.shape != second.shape:
            raise InputError(
                f"both worlds need one score a run and as many runs, got {first.shape} and "
                f"{second.shape}"
            )
        if len(first) < 2:
            raise InputError(f"an audit needs two runs a world or more, got {len(first)}")
        if np.isnan(first).any() or np.isnan(second).any():
            raise InputError("scores must be numbers, got NaN; a failed run is a score of its own")
        if np.ptp(np.concatenate([first, second])) == 0:
            raise InputError("all scores are tied, so that nothing can be told from them")
        return cls(first, second)

    def __len__(self) -> int:
        return len(self.inside)

    def split(self, rng: np.random.Generator) -> tuple[Worlds, Worlds]:
        """Return runs to choose by, and the others to bound by."""
        cut = max(1, len(self) - int(len(self) * PROVING_SHARE))
        order, other = rng.permutation(len(self)), rng.permutation(len(self))
        return (
            Worlds(self.inside[order[:cut]], self.outside[other[:cut]]),
            Worlds(self.inside[order[cut:]], self.outside[other[cut:]]),
        )


@dataclass(frozen=True)
class Bound:
    """An epsilon that the mechanism surely exceeds, and the largest that so many runs can prove.

    "Surely": with probability 1 - ``level`` at least. ``holds_for`` names the claims that the
    bound refutes when it is larger than theirs.
    """

    method: str
    epsilon: float
    ceiling: float
    level: float
    holds_for: str

    def __str__(self) -> str:
        return (
            f"{self.method}: epsilon >= {at_least(self.epsilon, 3)}; so many runs prove at most "
            f"{at_least(self.ceiling, 3)} (against claims of {self.holds_for})"
        )


def ceiling(runs: int, level: float = 0.05) -> float:
    """Return the largest epsilon that Clopper-Pearson can prove from so many runs a world.

    That of a threshold which never errs: log((1 - u) / u) with u = 1 - (level / 2) ** (1 / runs).

    >>> round(ceiling(400), 2), round(ceiling(1000), 2)
    (4.68, 5.6)
    """
    most = -math.expm1(math.log(level / 2) / runs)
    return max(0.0, math.log((1 - most) / most))


def clopper_pearson_bound(
    worlds: Worlds, delta: float, *, level: float = 0.05, rng: np.random.Generator
) -> Bound:
    """Return the epsilon that one threshold's error rates prove, whatever the mechanism is.

    The threshold is chosen on a third of the runs. On the others each error rate gets its exact
    one-sided limit, missed with chance level / 2, and (epsilon, delta)-DP bounds either by the
    other (Kairouz, Oh & Viswanath 2015, Thm 2.1; Nasr et al. 2021, arXiv:2101.04535).
    """
    choose, prove = worlds.split(rng)
    threshold = _best_threshold(choose, delta, level / 2)
    false_positive, false_negative = _error_limits(prove, threshold, level / 2)
    epsilon = _epsilon_at(false_positive, false_negative, delta)
    return Bound("clopper_pearson", epsilon, ceiling(len(prove), level), level, "(epsilon, delta)")


def gaussian_bound(
    worlds: Worlds, delta: float, *, level: float = 0.05, rng: np.random.Generator
) -> Bound:
    """Return the epsilon of the least Gaussian DP that one threshold's error rates allow.

    As `clopper_pearson_bound`, but mu >= z(1 - FNR) - z(FPR) (Dong, Roth & Su 2022, sect. 2.2);
    it refutes claims of Gaussian DP alone.
    """
    choose, prove = worlds.split(rng)
    threshold = _best_threshold(choose, delta, level / 2)
    false_positive, false_negative = _error_limits(prove, threshold, level / 2)
    mu = max(0.0, float(ndtri(1 - false_negative) - ndtri(false_positive)))
    largest = _largest_gaussian(len(prove), level, delta)
    epsilon = gaussian_epsilon(mu, delta) if mu else 0.0
    return Bound("gaussian_threshold", epsilon, largest, level, "Gaussian DP")


@lru_cache(maxsize=16)
def _largest_gaussian(runs: int, level: float, delta: float) -> float:
    """Return the epsilon that a threshold which never errs proves of Gaussian DP."""
    most = -math.expm1(math.log(level / 2) / runs)
    mu = max(0.0, -2 * float(ndtri(most)))
    return gaussian_epsilon(mu, delta) if mu else 0.0


def _best_threshold(worlds: Worlds, delta: float, tail: float) -> float:
    """Return the threshold at which the limits of the error rates prove the most."""
    every = np.unique(np.concatenate([worlds.inside, worlds.outside]))
    tried = every[np.unique(np.linspace(0, len(every) - 1, THRESHOLDS).astype(int))]
    runs = len(worlds)
    below = [np.searchsorted(np.sort(world), tried) for world in (worlds.inside, worlds.outside)]
    gains = _gains(_limit(runs - below[1], runs, tail), _limit(below[0], runs, tail), delta)
    return float(tried[int(np.argmax(np.maximum(*gains)))])


def _limit(wrong: Integers, runs: int, tail: float) -> Floats:
    """Return the upper Clopper-Pearson limit of each share of ``runs``."""
    inner = np.minimum(wrong, runs - 1)
    return np.where(wrong < runs, betaincinv(inner + 1, runs - inner, 1 - tail), 1.0)


def _error_limits(worlds: Worlds, threshold: float, tail: float) -> tuple[float, float]:
    """Return upper limits of the false positive and the false negative rate."""
    runs = len(worlds)
    wrong = int(np.sum(worlds.outside >= threshold)), int(np.sum(worlds.inside < threshold))
    first, second = (clopper_pearson(count, runs, tail)[1] for count in wrong)
    return first, second


def _epsilon_at(false_positive: float, false_negative: float, delta: float) -> float:
    """Return the epsilon below which such error rates are impossible; 0 where none is."""
    largest = max(*_gains(false_positive, false_negative, delta))
    return math.log(largest) if largest > 1 else 0.0


def _gains(false_positive: Rate, false_negative: Rate, delta: float) -> tuple[Rate, Rate]:
    """Return what exp(epsilon) is at least, by either error rate."""
    return (
        (1 - false_negative - delta) / false_positive,
        (1 - false_positive - delta) / false_negative,
    )


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
