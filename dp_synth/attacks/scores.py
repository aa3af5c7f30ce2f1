"""Scores of a membership game as plain arrays, split by run, with intervals that respect runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dp_synth.attacks.excess_risk import cites
from dp_synth.errors import InputError
from dp_synth.metrics.estimate import (
    Estimate,
    clopper_pearson,
    mann_whitney_area,
    members_above,
    on_logit_scale,
    placements,
    share_above,
    variance_of,
)
from dp_synth.types import Flags, Floats, Integers

RESAMPLES = 1000
THRESHOLDS = 1000  # more distinct scores than this are looked at on a grid, for intervals alone
FEWEST_ABOVE = 10  # non-members above a threshold, for its resampling to be enough
EXTREME = 0.98  # beyond it resampling sees too few failures, and the exact interval is taken too

Cluster = Literal["run", "target"]


@dataclass(frozen=True, eq=False)
class Scores:
    """One entry a target and run: its score, whether it was fitted, in which run, which target.

    Arrays of any origin will do, those of another tool as well. A run that failed has NaN
    scores, until `with_failures` says what they mean. What comes out of one run shares its
    noise, so runs are what is split and what is resampled. InputError for arrays that do not
    fit together.
    """

    score: Floats
    member: Flags
    run: Integers
    target: Integers

    def __repr__(self) -> str:
        runs, targets = len(np.unique(self.run)), len(np.unique(self.target))
        members = int(self.member.sum())
        scores = f"{len(self.score):,}, {members:,} of them of members"
        return f"<Scores: {scores}; {targets:,} targets, {runs:,} runs>"

    def __post_init__(self) -> None:
        kinds = {"score": np.float64, "member": np.bool_, "run": np.int64, "target": np.int64}
        for name, kind in kinds.items():
            values: NDArray[np.generic] = np.array(getattr(self, name), dtype=kind)
            if values.ndim != 1 or len(values) != np.size(self.score):
                raise InputError(f"{name!r} must be a list of one entry for each score")
            object.__setattr__(self, name, values)

    @classmethod
    def of_runs(
        cls, score: Floats, member: Flags, runs: Sequence[int] | Integers | None = None
    ) -> Scores:
        """Return the scores of arrays of shape (runs, targets); ``runs`` are their numbers.

        >>> scores = Scores.of_runs(np.array([[3.0, 1.0], [0.0, 2.0]]),
        ...                         np.array([[True, False], [False, True]]))
        >>> scores.of_members.tolist(), scores.run.tolist()
        ([3.0, 2.0], [0, 0, 1, 1])
        """
        rows, columns = np.shape(score)
        numbers = np.arange(rows) if runs is None else np.asarray(runs)
        return cls(
            np.ravel(score),
            np.ravel(member),
            np.repeat(numbers, columns),
            np.tile(np.arange(columns), rows),
        )

    @property
    def of_members(self) -> Floats:
        """The scores of targets in runs that fitted them."""
        return self._decided().score[self.member]

    @property
    def of_non_members(self) -> Floats:
        """The scores of targets in runs that did not fit them."""
        return self._decided().score[~self.member]

    def among(self, runs: Sequence[int] | Integers) -> Scores:
        """Return the entries of some runs."""
        return self._where(np.isin(self.run, runs))

    def split(self, parts: int = 3, seed: int = 0) -> tuple[Scores, ...]:
        """Return ``parts`` disjoint sets of whole runs, of equal size, drawn by ``seed``.

        One to train an attack, one to choose among attacks and thresholds, one to test: a
        number from runs that decided anything else is no evidence. InputError for too few runs.
        """
        runs = np.unique(self.run)
        if not 1 <= parts <= len(runs):
            raise InputError(f"{parts} parts need at least as many runs, got {len(runs)}")
        shuffled = np.random.default_rng(seed).permutation(runs)
        return tuple(self.among(chosen) for chosen in np.array_split(shuffled, parts))

    def one_a_run(self, seed: int = 0) -> Scores:
        """Return one random target of each run: independent entries, as exact bounds need them."""
        order = np.random.default_rng(seed).permutation(len(self.run))
        _, first = np.unique(self.run[order], return_index=True)
        chosen = np.zeros(len(self.run), dtype=bool)
        chosen[order[first]] = True
        return self._where(chosen)

    def of_groups(self, groups: Sequence[int] | Integers) -> Scores:
        """Return one score a run and group: the mean over its members (households, sets).

        ``groups`` numbers the group of each target. InputError where members of a group were
        not in or out together.
        """
        keys, first, places = np.unique(
            np.stack([self.run, np.asarray(groups)[self.target]]),
            axis=1,
            return_index=True,
            return_inverse=True,
        )
        places = places.ravel()
        if (self.member != self.member[first][places]).any():
            raise InputError("members of one group must be in or out together")
        mean = np.bincount(places, weights=self.score) / np.bincount(places)
        return Scores(mean, self.member[first], keys[0], keys[1])

    def with_failures(self, training: Scores) -> Scores:
        """Return scores in which a failed run says what it said in the ``training`` runs.

        A failure is an outcome like any other: where members were commoner in failed training
        runs than in others a failure scores above everything, else below everything.
        """
        failed = np.isnan(training.score)
        known = failed.any() and not failed.all()
        says_member = known and training.member[failed].mean() > training.member[~failed].mean()
        score = np.where(np.isnan(self.score), inf if says_member else -inf, self.score)
        return replace(self, score=score)

    def auc(self, cluster: Cluster = "run", seed: int = 0) -> Estimate:
        """Return the chance that a member scores above a non-member, ties counted half.

        The interval is Student's on the logit scale, with the variance of a jackknife over whole
        runs: coins and noise are fresh in each, so runs are the independent units, and it holds
        for these targets. (That of Obuchowski 1997, from the same structural components, is
        smaller, and too small for few clusters.) ``cluster="target"`` leaves out targets
        instead, for other targets of their kind in these runs. Where all but 2 % is settled, the
        exact interval of one random pair a cluster, which is wider, is taken too. One cluster
        says nothing of others: [0, 1].
        """
        value = mann_whitney_area(self.of_members, self.of_non_members)
        places, count = self._clusters(cluster)
        areas = self._areas_without_each(places, count)
        found = on_logit_scale(value, variance_of(areas), len(areas) - 1)
        settled = not 1 - EXTREME <= value <= EXTREME
        return _with_exact(found, self._won_pairs(cluster, seed)) if settled else found

    def tpr_at_fpr(self, fpr: float, cluster: Cluster = "run", seed: int = 0) -> Estimate:
        """Return the share of members above the threshold that a share ``fpr`` of others pass.

        One threshold for all runs and targets; tied scores count as if in random order. The
        interval resamples the clusters of `auc`, the threshold chosen anew in each resample.
        Where fewer than ten non-members are to be above the threshold, resampling does not see
        how little is known of it: the interval is then no narrower than that of independent
        entries (`share_above`).
        """
        if not 0 < fpr < 1:
            raise InputError(f"fpr must lie in (0, 1), got {fpr}")
        rates = _rates(self.of_members, self.of_non_members, np.unique(self._decided().score))
        value = float(_height(*rates, fpr))
        heights = np.array(
            [_height(*curve, fpr) for curve in zip(*self._resampled(cluster, seed), strict=True)]
        )
        count = self._clusters(cluster)[1]
        found = Estimate.bootstrap(value, heights, count, least=0.0, most=1.0)
        if fpr * len(self.of_non_members) < FEWEST_ABOVE:
            above = members_above(self.of_members, self.of_non_members, np.random.default_rng(seed))
            apart = share_above(above, fpr)
            found = Estimate(value, min(found.low, apart.low), max(found.high, apart.high))
        bar = np.quantile(self.of_non_members, 1 - fpr)
        settled = not 0 < value <= EXTREME
        return _with_exact(found, self._members_above(bar, cluster, seed)) if settled else found

    def _where(self, chosen: Flags) -> Scores:
        return Scores(
            self.score[chosen], self.member[chosen], self.run[chosen], self.target[chosen]
        )

    def _decided(self) -> Scores:
        if np.isnan(self.score).any():
            raise InputError("a run failed: say what that means by `with_failures`")
        if self.member.all() or not self.member.any():
            raise InputError("scores must be of members and of non-members")
        return self

    def _clusters(self, cluster: Cluster) -> tuple[Integers, int]:
        names, places = np.unique(getattr(self, cluster), return_inverse=True)
        return places, len(names)

    def _resampled(self, cluster: Cluster, seed: int) -> tuple[Floats, Floats]:
        """Return false- and true-positive rates, a row for each resampling of clusters."""
        places, count = self._clusters(cluster)
        rng = np.random.default_rng(seed)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        drawn = weights.astype(np.float64)  # products of integers are many times slower
        thresholds = _grid(self.score, self.of_non_members)
        curves = []
        for flags in (~self.member, self.member):
            above = drawn @ _counts_above(self.score[flags], places[flags], count, thresholds)
            curves.append(above / np.maximum(above[:, -1:], 1.0))
        return curves[0], curves[1]

    def _areas_without_each(self, places: Integers, count: int) -> Floats:
        """Return the area without each cluster, of those that leave a pair to compare."""
        first, second = self.of_members, self.of_non_members
        mine, theirs = places[self.member], places[~self.member]
        above, below = (
            np.bincount(mine, placements(first, second)[0] * len(second), minlength=count),
            np.bincount(theirs, placements(first, second)[1] * len(first), minlength=count),
        )
        within = np.zeros(count)
        for one in np.intersect1d(mine, theirs):
            own, other = first[mine == one], second[theirs == one]
            within[one] = placements(own, other)[0].sum() * len(other)
        won = above.sum() - above - below + within
        members = len(first) - np.bincount(mine, minlength=count)
        pairs = members * (len(second) - np.bincount(theirs, minlength=count))
        return np.asarray(won[pairs > 0] / pairs[pairs > 0])

    def _won_pairs(self, cluster: Cluster, seed: int) -> tuple[int, int]:
        """Return how many of some random pairs the member won, one pair a cluster, and of how many.

        A cluster without a member or a non-member gives none.
        """
        rng = np.random.default_rng(seed)
        places, count = self._clusters(cluster)
        first = _one_each(places, count, self.member, rng)
        second = _one_each(places, count, ~self.member, rng)
        both = (first >= 0) & (second >= 0)
        mine, theirs = self.score[first[both]], self.score[second[both]]
        wins = np.where(mine == theirs, rng.random(len(mine)) < 0.5, mine > theirs)
        return int(wins.sum()), len(wins)

    def _members_above(self, bar: float, cluster: Cluster, seed: int) -> tuple[int, int]:
        places, count = self._clusters(cluster)
        chosen = _one_each(places, count, self.member, np.random.default_rng(seed))
        chosen = chosen[chosen >= 0]
        return int((self.score[chosen] > bar).sum()), len(chosen)


def _with_exact(found: Estimate, exact: tuple[int, int]) -> Estimate:
    """Return an interval that holds the exact one of so many successes, of so many, as well."""
    low, high = clopper_pearson(*exact)
    return Estimate(found.value, min(found.low, low), max(found.high, high))


def _one_each(places: Integers, count: int, flags: Flags, rng: np.random.Generator) -> Integers:
    """Return the index of a random flagged entry in each cluster, -1 where there is none."""
    result = np.full(count, -1, dtype=np.int64)
    order = rng.permutation(np.flatnonzero(flags))
    result[places[order]] = order
    return result


def _grid(scores: Floats, non_members: Floats) -> Floats:
    """Return thresholds in rising order, denser where few non-members are above."""
    distinct = np.unique(scores)
    if len(distinct) <= THRESHOLDS:
        return distinct
    half = THRESHOLDS // 2
    shares = np.concatenate([np.linspace(0, 1, half), 1 - np.geomspace(1e-5, 0.2, half)])
    chosen = np.quantile(non_members, shares, method="nearest")
    ends = distinct[[0, -1]]
    return np.unique(np.concatenate([chosen, ends]))


def _counts_above(scores: Floats, places: Integers, count: int, thresholds: Floats) -> Floats:
    """Return how many scores of each cluster reach each threshold, the highest one first."""
    reached = np.searchsorted(thresholds, scores, side="right")
    width = len(thresholds) + 1
    cells = places * width + len(thresholds) - reached
    counts = np.bincount(cells, minlength=count * width).reshape(count, width)
    rising = np.zeros((count, width))
    np.cumsum(counts[:, :-1], axis=1, out=rising[:, 1:])
    return rising


def _rates(members: Floats, non_members: Floats, thresholds: Floats) -> tuple[Floats, Floats]:
    rates = []
    for scores in (non_members, members):
        places = np.zeros(len(scores), dtype=np.int64)
        above = _counts_above(scores, places, 1, thresholds)[0]
        rates.append(above / len(scores))
    return rates[0], rates[1]


def _height(fprs: Floats, tprs: Floats, fpr: float) -> float:
    """Return the height of a ROC curve at ``fpr``: on a vertical part, of its upper end."""
    right = int(np.searchsorted(fprs, fpr, side="right"))
    if right == len(fprs) or fprs[right - 1] == fpr:
        return float(tprs[right - 1])
    share = (fpr - fprs[right - 1]) / (fprs[right] - fprs[right - 1])
    return float(tprs[right - 1] + share * (tprs[right] - tprs[right - 1]))


LEAST_RUNS = 2  # in which a target was out (and, online, in): fewer give no spread to speak of


@cites("carlini2022")
def lira(
    scores: Scores, training: Scores, mode: Literal["offline", "online"] = "offline"
) -> Scores:
    """Return scores in standard errors above what the target scores in runs without it.

    The likelihood-ratio attack (Carlini et al. 2022, arXiv:2112.03570) for any score in place of
    a loss. Offline it is (score - mean) / stddev over the ``training`` runs that left the target
    out. Online it is the log ratio of two normal densities, with the runs that fitted it as well.
    Each target's stddev is shrunk towards the mean over targets as if half of the runs had shown
    that, since few runs estimate it badly. InputError where runs are in both, or are too few.
    """
    _refuse_shared_runs(scores, training)
    mean_out, deviation_out = _moments(training, member=False)
    standard = (scores.score - mean_out[scores.target]) / deviation_out[scores.target]
    if mode == "offline":
        return replace(scores, score=standard)
    mean_in, deviation_in = _moments(training, member=True)
    inside = (scores.score - mean_in[scores.target]) / deviation_in[scores.target]
    ratio = (standard**2 - inside**2) / 2 + np.log(deviation_out / deviation_in)[scores.target]
    return replace(scores, score=ratio)


@cites("zarifzadeh2024")
def rmia(
    scores: Scores,
    bystanders: Floats,
    training: Scores,
    *,
    training_bystanders: Floats,
    gamma: float = 1.0,
) -> Scores:
    """Return each target's share of population records that it dominates in its own run.

    Robust membership inference (Zarifzadeh, Liu & Shokri 2024, arXiv:2312.03262), offline, for
    scores that are log likelihoods up to a constant: a record's ratio is its score's exponential
    over the mean of the same in ``training`` runs that left it out, and a target dominates a
    bystander whose ratio is at most 1 / ``gamma`` of its own. ``bystanders`` are scores of
    records that are never fitted, of shape (runs, bystanders), a row for each run of ``scores``
    in rising order of its number; ``training_bystanders`` likewise. Few runs suffice.
    """
    _refuse_shared_runs(scores, training)
    runs, places = np.unique(scores.run, return_inverse=True)
    for table, of in ((bystanders, scores), (training_bystanders, training)):
        if np.ndim(table) != 2 or len(table) != len(np.unique(of.run)):
            raise InputError("bystanders must have a row for each run of their scores")
    if not gamma > 0:
        raise InputError(f"gamma must be above 0, got {gamma}")
    reference = _log_mean(training)[scores.target]
    others = np.sort(bystanders - _log_mean_exp(training_bystanders), axis=1)
    own = scores.score - reference - np.log(gamma)
    result = np.empty(len(own))
    for place in range(len(runs)):
        chosen = places == place
        below = np.searchsorted(others[place], own[chosen], side="left")
        at_most = np.searchsorted(others[place], own[chosen], side="right")
        result[chosen] = (below + at_most) / 2 / others.shape[1]
    return replace(scores, score=np.where(np.isnan(own), np.nan, result))


def _refuse_shared_runs(scores: Scores, training: Scores) -> None:
    if np.isin(scores.run, training.run).any():
        raise InputError("runs that calibrate scores must not be scored: split them by run first")


def _moments(training: Scores, *, member: bool) -> tuple[Floats, Floats]:
    """Return each target's mean and shrunk stddev in runs that fitted it, or left it out."""
    chosen = (training.member == member) & ~np.isnan(training.score)
    target, score = training.target[chosen], training.score[chosen]
    size = int(training.target.max()) + 1
    count = np.bincount(target, minlength=size)
    present = np.bincount(training.target, minlength=size) > 0
    if (count[present] < LEAST_RUNS).any():
        kind = "fitted" if member else "left out"
        raise InputError(
            f"every target must be {kind} in {LEAST_RUNS} training runs or more: play more runs"
        )
    safe = np.maximum(count, 1)
    mean = np.bincount(target, weights=score, minlength=size) / safe
    squares = np.bincount(target, weights=(score - mean[target]) ** 2, minlength=size)
    variance = squares / np.maximum(count - 1, 1)
    shrunk = (variance + variance[present].mean()) / 2
    # Scores that never vary without the target: any change then counts, but stays finite.
    least = 1e-12 * float(score.var()) or 1.0
    return mean, np.sqrt(np.maximum(shrunk, least))


def _log_mean(training: Scores) -> Floats:
    """Return the log of each target's mean exponential score in runs that left it out."""
    chosen = ~training.member & ~np.isnan(training.score)
    target, score = training.target[chosen], training.score[chosen]
    size = int(training.target.max()) + 1
    count = np.bincount(target, minlength=size)
    if (count[np.unique(training.target)] == 0).any():
        raise InputError("every target must be left out in at least 1 training run")
    top = np.full(size, -np.inf)
    np.maximum.at(top, target, score)
    total = np.bincount(target, weights=np.exp(score - top[target]), minlength=size)
    return np.where(count > 0, top + np.log(total / np.maximum(count, 1)), 0.0)


def _log_mean_exp(scores: Floats) -> Floats:
    scores = scores[~np.isnan(scores).any(axis=1)]
    top = scores.max(axis=0)
    result: Floats = top + np.log(np.exp(scores - top).mean(axis=0))
    return result
