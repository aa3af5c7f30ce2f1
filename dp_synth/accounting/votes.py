"""The exact privacy curve of one noisy vote of teachers between two classes.

Composing this curve as often as there are votes bounds the whole transcript under these
conditions, which are the caller's duty:

- Each unit of privacy draws its teacher independently of all others (a coin or a keyed hash).
  A balanced split of a permutation moves two teachers, which costs about twice as much.
- All records of one unit go to the same teacher.
- Every teacher always votes; one without records says a constant, or tosses a fair coin.
- Teachers share nothing but the public transcript: bounds, categories and earlier winners.
- Only winners are seen, never counts.

Questions may then depend on earlier winners, and teachers may be trained anew on their parts:
given the transcript and all coins of the teachers, neighbouring tables still differ in one vote.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_expit, log_ndtr

from dp_synth.accounting.events import NoisyVote

if TYPE_CHECKING:
    from dp_synth.accounting.closed_forms import Floats

ROUNDING = 2.0**-48  # bounds the relative rounding error of one special function, and to spare


def vote_delta(event: NoisyVote, epsilon: Floats) -> Floats:
    """Return the smallest delta that holds at every split of the votes, at each ``epsilon``.

    Of two outcomes one only can count towards delta at epsilon >= 0, and by symmetry it may be
    the first class, which has j votes in one table and j + 1 in the other: delta is the maximum
    over j of p[j + 1] - exp(epsilon) * p[j], where p[j] is its chance to win. All three noises
    have log-concave densities, hence the best j falls as epsilon grows, one step at each of
    ``_turns``. At negative epsilon by symmetry of the two directions.

    A supremum of privacy curves is one, and such curves compose even when questions depend on
    earlier winners (dominating pairs: Zhu, Dong & Wang 2022, arXiv:2106.08567).

    >>> strict = vote_delta(NoisyVote("gaussian", 50.0, 100), np.array([0.0, 0.02]))
    >>> loose = vote_delta(NoisyVote("gaussian", 5.0, 100), np.array([0.0, 0.02]))
    >>> bool(np.all(strict < loose))
    True
    """
    size = np.abs(epsilon)
    chances = _log_chances(event)
    votes = np.searchsorted(-_turns(chances), -size, side="right")
    low, high = chances[votes], chances[votes + 1]
    slack = ROUNDING * (1 + size - low)  # of logarithms, some of them far below zero
    positive = np.exp(high) * np.clip(slack - np.expm1(np.minimum(size + low - high, 1.0)), 0, 1)
    gain = np.exp(np.minimum(epsilon, 0.0))
    return np.where(epsilon >= 0, positive, 1 - gain + gain * positive)


def largest_loss(event: NoisyVote) -> float:
    """Return the epsilon from which on delta is 0: a class without votes gains its first.

    >>> round(largest_loss(NoisyVote("gumbel", 2.0, 1000)), 6)
    1.0
    """
    chances = _log_chances(event)
    return float(chances[1] - chances[0])


def _log_chances(event: NoisyVote) -> Floats:
    """Return the log-chance to win with 0, 1, ... votes, up to one more than half of them."""
    votes = np.arange(event.teachers // 2 + 2, dtype=np.float64)
    gap = (2.0 * votes - event.teachers) / event.scale
    match event.noise:
        case "gaussian":
            return np.asarray(log_ndtr(gap / math.sqrt(2)))
        case "laplace":
            return _log_two_laplace(gap)
        case "gumbel":
            return np.asarray(log_expit(gap))


def _log_two_laplace(gap: Floats) -> Floats:
    """Return the log of the distribution function of the difference of two Laplace variables."""
    size = np.abs(gap)
    below = -size + np.log((2 + size) / 4)
    return np.where(gap < 0, below, np.log1p(-np.exp(below)))


def _turns(chances: Floats) -> Floats:
    """Return, for each number of votes but 0, the epsilon below which it beats one vote less.

    Falling, since the density of the noise is log-concave; rounding is smoothed away.
    """
    rises = chances[1:] + np.log(-np.expm1(chances[:-1] - chances[1:]))
    return np.asarray(np.minimum.accumulate(np.diff(rises)))
