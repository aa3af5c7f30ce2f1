"""The nearest histogram: non-negative and of a given sum."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Floats = NDArray[np.float64]

FAR = 100.0  # deviations below zero


def project_to_simplex(values: Floats, total: float, variance: Floats | float = 1.0) -> Floats:
    """Return the nearest non-negative vector that sums to ``total``, weighted by 1/variance.

    The exact solution by sorting (Held, Wolfe & Crowder 1974): cells move together, in
    proportion to their variance, and stop at zero.

    >>> project_to_simplex(np.array([5.0, 3.0, -4.0]), 4.0)
    array([3., 1., 0.])
    """
    spread = np.broadcast_to(np.asarray(variance, dtype=float), values.shape)
    order = np.argsort(-values / spread, kind="stable")
    shift = (total - np.cumsum(values[order])) / np.cumsum(spread[order])
    positive = np.flatnonzero(values[order] + spread[order] * shift > 0)
    last = positive[-1] if positive.size else 0  # where rounding swallows the total
    return np.asarray(np.maximum(values + spread * shift[last], 0.0), dtype=float)


def simplex_mean(values: Floats, total: float, stddev: float) -> Floats:
    """Return the mean of non-negative counts given noisy ones, all equally likely before.

    Each is the mean of a normal distribution cut off at zero, around the noisy count and a shift
    common to all, at which they sum to ``total``: the shift stands for what knowing the sum does
    to each. Where noise is small it is ``project_to_simplex``.

    >>> simplex_mean(np.array([5.0, 3.0, -4.0]), 4.0, stddev=0.001).round(2)
    array([3., 1., 0.])
    >>> simplex_mean(np.array([5.0, 3.0, -4.0]), 4.0, stddev=1e6).round(2)
    array([1.33, 1.33, 1.33])
    """
    if not stddev:
        return project_to_simplex(values, total)
    low = total / len(values) - float(values.max()) - _reach(stddev, total / len(values))
    high = total - float(values.min())
    for _ in range(200):
        middle = (low + high) / 2
        above = float(_truncated_mean(values + middle, stddev).sum()) > total
        low, high = (low, middle) if above else (middle, high)
    found = _truncated_mean(values + low, stddev)
    return np.asarray(found * (total / found.sum()))


def _truncated_mean(centres: Floats, stddev: float) -> Floats:
    z = centres / stddev
    density = np.exp(-0.5 * np.square(z) - log_ndtr(z)) / math.sqrt(2 * math.pi)
    far = np.minimum(z, -FAR)  # where the difference would cancel, its series takes over
    series = -(1 - 2 / np.square(far)) / far
    return stddev * np.where(z < -FAR, series, np.maximum(z + density, 0.0))


def _reach(stddev: float, mean: float) -> float:
    """Return how far below zero a centre must lie for its mean to be below ``mean``.

    The mean of a normal cut off at zero, z deviations below it, is less than stddev / z.
    """
    return stddev * stddev / mean + stddev
