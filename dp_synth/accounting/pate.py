"""PATE: the exact privacy curve of one noisy vote of teachers between two classes.

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
from numpy.typing import ArrayLike
from scipy.special import log_expit, log_ndtr

from dp_synth.accounting.events import NoisyVote
from dp_synth.errors import InputError

if TYPE_CHECKING:
    from dp_synth.types import Floats

ROUNDING = 2.0**-48  # bounds the relative rounding error of one special function, and to spare
ORDERS = np.arange(1, 101)  # of moments


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


def data_dependent_epsilon(
    gaps: ArrayLike, scale: float, delta: float, *, rho: float = 0.0
) -> float:
    """Return the epsilon that votes with these gaps between two classes seem to have cost.

    Of votes with Laplace noise of ``scale`` on both counts, beside answers that cost ``rho`` in
    zCDP; by the moments of PATE (Papernot et al. 2017, arXiv:1610.05755, Thm 1) as PATE-GAN adds
    them up (Jordon, Yoon & van der Schaar 2019, Algorithm 1).

    Not a guarantee: it is computed from exact votes, hence private itself, and whoever stops by
    it tells how clear the votes were. For the data holder's eyes.

    >>> clear = data_dependent_epsilon([1001] * 100, scale=50.0, delta=1e-5)
    >>> split = data_dependent_epsilon([1] * 100, scale=50.0, delta=1e-5)
    >>> clear < split
    True
    """
    return float(estimates(vote_moments(gaps, scale).sum(axis=1), delta, rho=rho))


def vote_moments(gaps: ArrayLike, scale: float) -> Floats:
    """Return bounds on the log moments of each vote's loss, shape (orders, votes).

    A vote is (2 / scale, 0)-DP, of moments at most 2 l (l + 1) / scale**2 (Papernot et al. 2017,
    Thm 2). Where the chance q that noise turns it is small, also the *logarithm* of Thm 3's sum,
    which public implementations leave out; q is at most (2 + gap / scale) / (4 exp(gap / scale)),
    by Lemma 4.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"scale must be a finite number above 0, got {scale}")
    rate, order = 1 / scale, ORDERS[:, None].astype(np.float64)
    lead = np.abs(np.asarray(gaps, dtype=np.float64)) * rate
    turned = np.log((2 + lead) / 4) - lead
    most = -np.logaddexp(0.0, 2 * rate)  # of the theorem's (e^2r - 1) / (e^4r - 1)
    small = np.minimum(turned, most - 1e-9)  # votes that are not clear must not overflow
    kept = np.log1p(-np.exp(small))
    kept = kept + order * (kept - np.log(-np.expm1(2 * rate + small)))
    clear = np.logaddexp(kept, small + 2 * rate * order)
    whatever = 2 * rate**2 * order * (order + 1)
    return np.where(turned < most, np.minimum(clear, whatever), whatever)


def estimates(moments: Floats, delta: float, *, rho: float = 0.0) -> Floats:
    """Return the least epsilon over all orders, which come first in the shape of ``moments``.

    The tail bound of moments (Abadi et al. 2016, Thm 2). InputError at delta 0.
    """
    if not 0 < delta < 1:
        raise InputError(f"an estimate needs a delta in (0, 1), got {delta}")
    order = ORDERS.reshape(-1, *(1,) * (np.ndim(moments) - 1))
    beside = rho * order * (order + 1)
    return np.asarray(((moments + beside - math.log(delta)) / order).min(axis=0))


def _log_chances(event: NoisyVote) -> Floats:
    """Return the log-chance to win with 0, 1, ... votes, up to one more than half of them."""
    votes = np.arange(event.teachers // 2 + 2, dtype=np.float64)
    return log_chances(event, 2.0 * votes - event.teachers)


def log_chances(event: NoisyVote, leads: Floats) -> Floats:
    """Return the log-chance to win of a class that leads by so many votes, before noise."""
    gap = leads / event.scale
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
