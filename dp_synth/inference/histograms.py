"""Histograms nearest to noisy counts: non-negative, of a given sum, smooth where ordered."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy.special import log_ndtr

from dp_synth.transcript import Measurement
from dp_synth.types import Floats

FAR_TAIL = 100.0  # deviations below zero
STEP_PENALTY = 4.0  # in units of the noise's variance
LEAST_COUNT = 0.5  # records: what rounding leaves of a cell without any is no count
NARROWEST = 1e-9  # of the range; cells of one value have no density
SPIKE = 3.0  # times as dense as both neighbours
STEEPEST = 500.0  # slopes of densities, in logarithms
MIN_SMOOTHED = 8  # fewer codes than this are left as they are


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
        if middle in (low, high):  # as near as numbers can be
            break
        above = float(_truncated_mean(values + middle, stddev).sum()) > total
        low, high = (low, middle) if above else (middle, high)
    found = _truncated_mean(values + low, stddev)
    return np.asarray(found * (total / found.sum()))


def _truncated_mean(centres: Floats, stddev: float) -> Floats:
    z = centres / stddev
    density = np.exp(-0.5 * np.square(z) - log_ndtr(z)) / math.sqrt(2 * math.pi)
    far = np.minimum(z, -FAR_TAIL)  # where the difference would cancel, its series takes over
    series = -(1 - 2 / np.square(far)) / far
    return stddev * np.where(z < -FAR_TAIL, series, np.maximum(z + density, 0.0))


def _reach(stddev: float, mean: float) -> float:
    """Return how far below zero a centre must lie for its mean to be below ``mean``.

    The mean of a normal cut off at zero, z deviations below it, is less than stddev / z.
    """
    return stddev * stddev / mean + stddev


def smooth_ordered(values: Floats, stddev: float, penalty: float = STEP_PENALTY) -> Floats:
    """Return the step function nearest to noisy counts of ordered codes, each step paid for.

    Minimises the sum of (value - level)^2 / stddev^2 plus ``penalty`` times the number of steps,
    exactly, by dynamic programming over where the last step begins (the Potts functional;
    Friedrich, Kempe, Liebscher & Winkler 2008). A spike far above the noise stays a step of its
    own; noise in a flat stretch is averaged away.

    >>> smooth_ordered(np.array([9.0, 11, 10, 10, 9, 11, 10, 90]), stddev=2.0).tolist()
    [10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 90.0]
    """
    size = len(values)
    if size < MIN_SMOOTHED:
        return values
    sums = np.concatenate([[0.0], np.cumsum(values)])
    weights = stddev**2 * np.arange(size, 0.0, -1.0)
    best = np.zeros(size + 1)  # less the squares of all values up to there, which no step changes
    begins = np.zeros(size + 1, dtype=np.int64)
    for end in range(1, size + 1):
        costs = sums[:end] - sums[end]
        costs *= costs
        costs /= weights[size - end :]
        np.subtract(best[:end], costs, out=costs)
        begins[end] = begin = costs.argmin()
        best[end] = costs[begin] + penalty
    smooth = np.empty(size)
    end = size
    while end:
        begin = int(begins[end])
        smooth[begin:end] = (sums[end] - sums[begin]) / (end - begin)
        end = begin
    return smooth


def density_slopes(cuts: Floats, counts: Floats) -> Floats:
    """Return how the logarithm of the density grows inside each cell, told by its neighbours.

    Cell i lies from ``cuts[i]`` to ``cuts[i + 1]`` and holds ``counts[i]``. Between the middles
    of neighbouring cells the logarithm of the density is taken to be linear; a cell's slope is
    what it gains from end to end, where the density rises, or falls, from neighbour to neighbour.
    The outermost cells, whose other neighbour is unknown, fall off so fast that their mean is
    right, or rise as they begin to. Where nothing is known of a cell the slope is 0: peaks and
    valleys, cells of less than half a record, whose logarithm would be one of rounding, and
    spikes far denser than what is around them, over which their neighbours see each other.

    >>> density_slopes(np.array([0.0, 1, 2, 3]), np.array([40.0, 20, 10])).round(3).tolist()
    [-0.693, -0.693, -0.738]
    """
    widths = np.diff(cuts)
    slopes = np.zeros(len(counts))
    shown = np.flatnonzero((counts >= LEAST_COUNT) & (widths > NARROWEST * (cuts[-1] - cuts[0])))
    heights = counts[shown] / widths[shown]
    around = np.maximum(*_neighbours(heights, 0.0))
    shown = shown[heights <= SPIKE * around]
    if len(shown) < 2:
        return slopes
    logs = np.log(counts[shown] / widths[shown])
    begins, ends = cuts[shown], cuts[shown + 1]
    middles = (begins + ends) / 2
    left, right = np.interp(begins, middles, logs), np.interp(ends, middles, logs)
    before, after = _neighbours(logs, np.nan)
    monotone = (before - logs) * (logs - after) > 0
    slopes[shown] = np.where(monotone, right - left, 0.0)
    slopes[shown[0]] = _rise_inwards(logs[0] - right[0])
    slopes[shown[-1]] = -_rise_inwards(logs[-1] - left[-1])
    return np.clip(slopes, -STEEPEST, STEEPEST)


def _neighbours(values: Floats, beyond: float) -> tuple[Floats, Floats]:
    padded = np.pad(values, 1, constant_values=beyond)
    return padded[:-2], padded[2:]


def _rise_inwards(log_mean: float) -> float:
    """Return the slope of an outermost cell of this mean, where its inner end has density 1.

    An exponential has that mean if it is below 1; else it goes on as between the middles.
    """
    if log_mean >= 0:
        return -2 * log_mean
    low, high = 0.0, STEEPEST
    for _ in range(50):
        slope = (low + high) / 2
        above = math.log(-math.expm1(-slope) / slope) > log_mean
        low, high = (slope, high) if above else (low, slope)
    return low


def estimate_total(measurements: Iterable[Measurement]) -> float:
    """Return the number of records that the measurements suggest, at least one.

    The mean of the marginals' sums, weighted by inverse variance: the maximum-likelihood
    estimate under Gaussian noise.
    """
    sums, weights = [], []
    for measurement in measurements:
        variance = np.broadcast_to(np.square(measurement.stddev), measurement.values.shape).sum()
        sums.append(measurement.values.sum())
        weights.append(1 / variance)
    return max(1.0, float(np.average(sums, weights=weights))) if sums else 1.0
