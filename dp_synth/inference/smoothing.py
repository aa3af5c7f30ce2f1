"""Noisy histograms of ordered codes as steps: as many as the noise lets one see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PENALTY = 4.0  # of a step, in units of the noise's variance
LEAST = 8  # fewer codes than this are left as they are


def smooth_ordered(values: Floats, stddev: float, penalty: float = PENALTY) -> Floats:
    """Return the step function nearest to noisy counts of ordered codes, each step paid for.

    Minimises the sum of (value - level)^2 / stddev^2 plus ``penalty`` times the number of steps,
    exactly, by dynamic programming over where the last step begins (the Potts functional;
    Friedrich, Kempe, Liebscher & Winkler 2008). A spike far above the noise stays a step of its
    own; noise in a flat stretch is averaged away.

    >>> smooth_ordered(np.array([9.0, 11, 10, 10, 9, 11, 10, 90]), stddev=2.0).tolist()
    [10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 90.0]
    """
    size = len(values)
    if size < LEAST:
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
