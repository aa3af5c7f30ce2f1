"""The ROC curve of an attack, with intervals that do not lean on how scores are distributed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from dp_synth.metrics.auc import area_under_roc, members_above, share_above
from dp_synth.metrics.estimate import Estimate
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

        See ``dp_synth.metrics.auc.area_under_roc`` for the interval.
        """
        rng = np.random.default_rng(self.seed)
        return area_under_roc(self._members, self._non_members, rng)

    def tpr_at_fpr(self, fpr: float) -> Estimate:
        """Return the share of members above the threshold that a share ``fpr`` of others pass.

        See ``dp_synth.metrics.auc.share_above`` for the interval.
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
