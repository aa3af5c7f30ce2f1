"""The ROC curve of an attack, and its area against the largest that a claimed curve permits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc, betaincinv, expit, logit, ndtr, ndtri

from dp_synth.accounting import PrivacyCurve, with_noise
from dp_synth.audit.bounds import Worlds
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.formatting import at_least, at_most
from dp_synth.metrics.estimate import (
    Estimate,
    area_under_roc,
    mann_whitney_area,
    members_above,
    placements,
    share_above,
)
from dp_synth.types import Floats, Integers

Curve = tuple[Floats, Floats]


@dataclass(frozen=True, eq=False)
class Roc:
    """How well scores tell members from non-members; higher scores mean "member".

    What it says is about this attack on these records: an epsilon bound needs members that were
    made so at random. ``seed`` decides ties where a threshold falls among them, and pairs where
    an interval draws them. ValueError for empty or NaN scores.

    >>> roc = Roc([3.0, 2.0, 1.0], [0.0, 0.0, 2.0])
    >>> round(roc.auc().value, 4)
    0.8333
    """

    member_scores: ArrayLike
    non_member_scores: ArrayLike
    seed: int = 0

    def __repr__(self) -> str:
        members, others = len(self._members), len(self._non_members)
        return f"<Roc: scores of {members:,} members and {others:,} non-members>"

    def __post_init__(self) -> None:
        for name in ("member_scores", "non_member_scores"):
            scores = np.array(getattr(self, name), dtype=np.float64)  # a copy of our own
            if scores.ndim != 1 or not len(scores):
                raise ValueError(f"{name} must be a list of one score or more")
            if np.isnan(scores).any():
                raise ValueError(f"{name} must be numbers, got NaN")
            scores.flags.writeable = False
            object.__setattr__(self, name, scores)

    def auc(self) -> Estimate:
        """Return the chance that a member scores above a non-member, ties counted half.

        See ``dp_synth.metrics.estimate.area_under_roc`` for the interval.
        """
        rng = np.random.default_rng(self.seed)
        return area_under_roc(self._members, self._non_members, rng)

    def tpr_at_fpr(self, fpr: float) -> Estimate:
        """Return the share of members above the threshold that a share ``fpr`` of others pass.

        See ``dp_synth.metrics.estimate.share_above`` for the interval.
        """
        if not 0 < fpr < 1:
            raise ValueError(f"fpr must lie in (0, 1), got {fpr}")
        return share_above(self._members_above, fpr)

    def curve(self) -> Curve:
        """Return (fpr, tpr) from (0, 0) to (1, 1), one point per distinct score.

        Tied scores make one slanted step, so that the area under the curve is ``auc``.
        """
        thresholds = np.unique(np.concatenate([self._members, self._non_members]))[::-1]
        rates = []
        for scores in (self._non_members, self._members):
            below = np.searchsorted(np.sort(scores), thresholds, side="left")
            rates.append(np.append(0.0, 1 - below / len(scores)))
        return rates[0], rates[1]

    @property
    def _members(self) -> Floats:
        return np.asarray(self.member_scores, dtype=np.float64)

    @property
    def _non_members(self) -> Floats:
        return np.asarray(self.non_member_scores, dtype=np.float64)

    @cached_property
    def _members_above(self) -> Integers:
        return members_above(self._members, self._non_members, np.random.default_rng(self.seed))


AreaMethod = Literal["delong", "pairs", "common_noise"]

FEWEST_FOR_DELONG = 250  # runs a world
LARGEST_FOR_DELONG = float(ndtr(math.sqrt(0.5)))  # the area of Gaussian DP of mu = 1
FEWEST_DRAWS, MOST_DRAWS = 500, 1000  # of the area under the claim, where noise is common
NULL_PAIRS = 4e7  # that are compared for them
LARGEST_FACTOR = 64.0  # of noise; 1 / 64 is the smallest
LARGEST_AREA = 1 - 1e-12  # whose normal quantile is taken
LEAST_MU = 1e-9
HALF_A_TIE = 0.5  # an area is a whole number of these over the number of pairs
PRECISION = 1e-3  # relative, of a noise factor
MOST_STEPS = 30  # towards it
LEAST_SLOPE = 0.1  # by which the quantile of a permitted area falls, both in logarithms


@dataclass(frozen=True)
class AreaTest:
    """Whether an area under the ROC curve is larger than a claim permits at some delta.

    ``low`` is a lower limit of the area, missed with chance ``level``; ``p_value`` that of the
    claim.
    """

    area: float
    low: float
    permitted: float
    p_value: float
    level: float
    method: AreaMethod
    claim: PrivacyCurve
    delta: float

    @cached_property
    def noise_factor(self) -> float | None:
        """The largest factor on the claimed noise at which the scores are still what one may see.

        Below 1 the noise is too small, 1 means that the claim is tight, above 1 that the attack
        does not reach it. None where the claim names no noise.
        """
        return noise_factor(self.claim, self.low)

    @cached_property
    def epsilon_if_curve(self) -> float | None:
        """The epsilon at that factor: of a mechanism with this curve; no lower bound for others."""
        if self.noise_factor is None:
            return None
        return with_noise(self.claim, self.noise_factor).epsilon(self.delta)

    @cached_property
    def claimed_epsilon(self) -> float:
        """The epsilon of the claim."""
        return self.claim.epsilon(self.delta)

    def to_dict(self) -> dict[str, object]:
        """Return all but the claim's curve as plain values."""
        derived = ("claimed_epsilon", "noise_factor", "epsilon_if_curve", "passed")
        kept = {
            name: value
            for name, value in vars(self).items()
            if name not in ("claim", "delta", *derived)
        }
        return kept | {name: getattr(self, name) for name in derived}

    @property
    def passed(self) -> bool:
        """Whether the scores are consistent with the claim."""
        return self.p_value > self.level

    def __str__(self) -> str:
        verdict = "passed, the excess may be chance" if self.area > self.permitted else "passed"
        return (
            f"area {self.area:.4f}, surely above {at_least(self.low, 4)}; permitted "
            f"{at_most(self.permitted, 4)} (p = {self.p_value:.3g})"
            f"{self._noise_in_words()}: {verdict if self.passed else 'VIOLATED'}"
        )

    def _noise_in_words(self) -> str:
        """Return what noise the scores speak for, and where the search for it ended."""
        factor, epsilon = self.noise_factor, self.epsilon_if_curve
        if factor is None or epsilon is None:
            return ""
        if factor >= LARGEST_FACTOR:
            return (
                f"; nothing is sure: {LARGEST_FACTOR:g} times the claimed noise, the most that is "
                "tried, permits as much"
            )
        if factor <= 1 / LARGEST_FACTOR:
            return (
                f"; 1/{LARGEST_FACTOR:g} of the claimed noise, the least that is tried, is too "
                "much for it"
            )
        return (
            f"; it speaks for at most {at_most(factor, 3)} times the claimed noise (epsilon "
            f"{at_least(epsilon, 3)} if it has this curve)"
        )


def area_test(
    worlds: Worlds,
    claim: PrivacyCurve,
    delta: float,
    *,
    level: float = 0.05,
    common_noise: bool = False,
    rng: np.random.Generator,
) -> AreaTest:
    """Test the area under the ROC curve of independent runs against a claimed curve.

    No attack on a mechanism has a larger area than the one under its trade-off curve, in either
    direction. Which test is used depends on the claim and on the number of runs, not on scores:
    DeLong's interval where it was found to be honest (permitted areas up to that of mu = 1, 250
    runs a world or more), an exact binomial test on disjoint random pairs elsewhere.

    With ``common_noise`` the i-th runs of both worlds share their noise, and the area is
    compared with what such runs of one Gaussian have, by simulation: far more power, for claims
    of Gaussian DP and scores that are normal. UnsupportedEvent for other claims.
    """
    permitted = claim.largest_auc()
    method = _method(claim, permitted, len(worlds), common_noise)
    area = mann_whitney_area(worlds.inside, worlds.outside)
    low, p_value = {"delong": _delong, "pairs": _pairs, "common_noise": _common_noise}[method](
        worlds, permitted, level, rng
    )
    return AreaTest(area, low, permitted, p_value, level, method, claim, delta)


def noise_factor(claim: PrivacyCurve, area: float) -> float | None:
    """Return the largest factor on a claim's noise whose permitted area reaches ``area``.

    Within [1/64, 64]; None where the claim names no noise.
    """
    try:
        with_noise(claim, 1.0)
    except InputError:
        return None
    return LARGEST_FACTOR if area <= 0.5 else _matching_factor(claim, _mu_of(area))


def _matching_factor(claim: PrivacyCurve, wanted: float) -> float:
    """Return the factor at which the permitted area is that of Gaussian DP of mu = ``wanted``.

    Secants in logarithms: for Gaussians the area's mu is inversely proportional to the noise,
    and for everything else nearly so.
    """
    factor, slope = 1.0, -1.0
    excess = math.log(_mu_of(claim.largest_auc()) / wanted)
    for _ in range(MOST_STEPS):
        step = -excess / slope
        moved = min(max(factor * math.exp(step), 1 / LARGEST_FACTOR), LARGEST_FACTOR)
        if abs(excess) < PRECISION or moved == factor:
            return moved
        before, step, factor = excess, math.log(moved / factor), moved
        excess = math.log(_mu_of(with_noise(claim, factor).largest_auc()) / wanted)
        slope = min((excess - before) / step, -LEAST_SLOPE)
    return factor


def _mu_of(area: float) -> float:
    """Return the mu of the Gaussian DP that permits such an area."""
    return max(math.sqrt(2) * float(ndtri(min(area, LARGEST_AREA))), LEAST_MU)


def _method(claim: PrivacyCurve, permitted: float, runs: int, common_noise: bool) -> AreaMethod:
    if common_noise:
        if not claim.is_gaussian:
            raise UnsupportedEvent("runs with common noise are for claims of Gaussian DP")
        return "common_noise"
    honest = runs >= FEWEST_FOR_DELONG and permitted <= LARGEST_FOR_DELONG
    return "delong" if honest else "pairs"


def _delong(
    worlds: Worlds, permitted: float, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the lower limit and the p-value of a normal area on the logit scale."""
    inside, outside = placements(worlds.inside, worlds.outside)
    area = float(inside.mean())
    if not 0 < area < 1:  # no variance is seen; the binomial test is exact
        return _pairs(worlds, permitted, level, rng)
    variance = inside.var(ddof=1) / len(inside) + outside.var(ddof=1) / len(outside)
    error = math.sqrt(variance) / (area * (1 - area))
    low = float(expit(logit(area) + ndtri(level) * error))
    return low, float(ndtr((logit(permitted) - logit(area)) / error))


def _pairs(
    worlds: Worlds, permitted: float, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the exact lower limit and p-value from as many disjoint pairs as there are runs.

    Wins among them, ties decided by a coin, are binomial with the area as their chance.
    """
    runs = len(worlds)
    first, second = rng.permutation(worlds.inside), rng.permutation(worlds.outside)
    wins = int(np.where(first == second, rng.random(runs) < 0.5, first > second).sum())
    low = float(betaincinv(wins, runs - wins + 1, level)) if wins else 0.0
    return low, float(bdtrc(wins - 1, runs, permitted)) if wins else 1.0


def _common_noise(
    worlds: Worlds, permitted: float, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the lower limit and the p-value of an area whose worlds share their noise.

    The area of n normal numbers against the same ones moved by mu has no dependence on their
    scale. The limit is the area of the least mu that is not refuted.
    """
    area = mann_whitney_area(worlds.inside, worlds.outside)
    runs = len(worlds)
    draws = int(np.clip(NULL_PAIRS / runs**2, FEWEST_DRAWS, MOST_DRAWS))
    rank = min(runs**2 - 1, max(0, math.ceil(area * runs**2 - HALF_A_TIE / 2) - 1))
    shifts = np.sort([_shift_at(rng.normal(size=runs), rank) for _ in range(draws)])

    def p_value(mu: float) -> float:
        return float((1 + np.searchsorted(shifts, mu, side="right")) / (1 + draws))

    refuted = math.floor(level * (1 + draws)) - 1  # so many draws need less than a refuted mu
    least = max(0.0, float(shifts[refuted])) if refuted >= 0 else 0.0
    return float(ndtr(least / math.sqrt(2))), p_value(math.sqrt(2) * float(ndtri(permitted)))


def _shift_at(noise: Floats, rank: int) -> float:
    """Return the shift from which on the area of ``noise`` so moved is the given one."""
    return float(np.partition((noise[:, None] - noise).ravel(), rank)[rank])
