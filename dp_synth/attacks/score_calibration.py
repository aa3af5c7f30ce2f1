"""Scores measured against what the same target scores without it: LiRA and RMIA."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from dp_synth.attacks.excess_risk import cites
from dp_synth.attacks.scores import Scores
from dp_synth.errors import InputError
from dp_synth.types import Floats

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
