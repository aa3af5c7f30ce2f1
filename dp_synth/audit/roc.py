"""The ROC curve of an attack, with intervals that do not lean on how scores are distributed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr

from dp_synth.metrics.estimate import TAIL, Estimate, clopper_pearson
from dp_synth.metrics.ranking import area_under_roc

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


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

        See ``dp_synth.metrics.ranking.area_under_roc`` for the interval.
        """
        rng = np.random.default_rng(self.seed)
        return area_under_roc(self._members, self._non_members, rng)

    def tpr_at_fpr(self, fpr: float) -> Estimate:
        """Return the share of members above the threshold that a share ``fpr`` of others pass.

        The interval is exact for any scores: the true false-positive rate at the j-th highest of
        n non-member scores has the distribution Beta(j, n + 1 - j). So the highest j is taken
        whose rate is at most ``fpr`` with chance 98.75 %, and the Clopper-Pearson end of the
        members above that score is missed with chance 1.25 %: together 2.5 % below, and as much
        above, with the lowest j whose rate is at least ``fpr``.
        """
        if not 0 < fpr < 1:
            raise ValueError(f"fpr must lie in (0, 1), got {fpr}")
        above = self._members_above
        n, m = len(self._non_members), len(self._members)
        allowed = int(np.floor(fpr * n + 1e-9))  # 0.29 * 100 must be 29
        value = above[allowed] / m
        safe, loose = _ranks(n, fpr, TAIL / 2)
        low = clopper_pearson(int(above[safe - 1]), m, TAIL / 2)[0] if safe else 0.0
        high = clopper_pearson(int(above[loose - 1]), m, TAIL / 2)[1] if loose <= n else 1.0
        return Estimate(value, min(low, value), max(high, value))

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
    def _members(self) -> NDArray[np.float64]:
        return np.asarray(self.member_scores, dtype=np.float64)

    @property
    def _non_members(self) -> NDArray[np.float64]:
        return np.asarray(self.non_member_scores, dtype=np.float64)

    @cached_property
    def _members_above(self) -> NDArray[np.int64]:
        """How many members score above the (k + 1)-th highest non-member; the last entry is all.

        Each score gets a random second key, so that ties are in a random order and the scores
        may be treated as continuous.
        """
        n, m = len(self._non_members), len(self._members)
        scores = np.concatenate([self._non_members, self._members])
        coins = np.random.default_rng(self.seed).random(n + m)
        descending = np.lexsort((coins, scores))[::-1]
        is_member = descending >= n
        return np.append(np.cumsum(is_member)[~is_member], m)


def _ranks(n: int, fpr: float, tail: float) -> tuple[int, int]:
    """Return the highest rank surely at or below ``fpr``, and the lowest surely at or above.

    The first is 0, the second n + 1, where there is none.
    """
    # P(Beta(j, n + 1 - j) > fpr) = P(Binomial(n, fpr) <= j - 1)
    below = bdtr(np.arange(n, dtype=np.float64), n, fpr)
    safe = int(np.searchsorted(below, tail, side="right"))
    loose = int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return safe, min(loose, n + 1)
