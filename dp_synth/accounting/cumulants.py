"""Moments of sums of losses, and how much of a sum may lie beyond a point."""

from __future__ import annotations

import math

import numpy as np

from dp_synth.accounting.dots import Dots, Floats

Cells = list[tuple[Floats, Floats, int]]  # losses, logarithms of chances, how often

FEW_CELLS = 4000  # from which on cumulants are computed from fewer
COARSE = 0.015  # relative width of the cells from which cumulants are computed


def cumulants(cells: Cells, tilt: float) -> tuple[float, float]:
    """Return an upper bound on the log moment at ``tilt``, and its derivative there."""
    value = mean = 0.0
    for losses, log_chances, count in cells:
        powers = log_chances + tilt * losses
        top = float(powers.max())
        weights = np.exp(powers - top)
        whole = float(weights.sum())
        value += count * (top + math.log(whole))
        mean += count * float(weights @ losses) / whole
    return value, mean


def to_exponent(
    cells: Cells, start: float, exponent: float, steepest: float
) -> tuple[float, float]:
    """Return the further tilt from ``start`` whose Chernoff exponent is reached, and its end.

    Towards larger losses, or smaller ones where the ``steepest`` tilt of any use is negative.
    Under the law tilted by ``start``, at most exp(-exponent) lies beyond that end.
    """
    value, _ = cumulants(cells, start)
    sign = math.copysign(1.0, steepest)
    low, high = 0.0, abs(steepest)
    for _ in range(60):
        middle = math.sqrt(low * high) if low else high / 16
        further, mean = cumulants(cells, start + sign * middle)
        reached = sign * middle * mean - (further - value) >= exponent
        low, high = (low, middle) if reached else (middle, high)
        if low and high < low * 1.01:
            break
    further, _ = cumulants(cells, start + sign * high)
    return high, sign * (exponent + further - value) / high


def coarse(dots: Dots) -> tuple[Floats, Floats]:
    """Return few losses and the logarithms of their chances: each moment is no smaller.

    Chances between two points are shared by the chord, which lies above exp(t * loss); the
    points lie closer about zero, so that many tiny losses are not blurred, and about both ends.
    """
    index = np.arange(dots.first, dots.first + len(dots.chances), dtype=float)
    used = np.flatnonzero(dots.chances)
    if len(used) <= FEW_CELLS:
        return index[used] * dots.step, dots.log_chances[used]
    first, last = index[used[0]], index[used[-1]]
    end = max(-first, last, last - first)
    ladder = np.unique(np.rint(np.geomspace(1, end + 1, int(math.log(end + 1) / COARSE) + 2)))
    points = np.concatenate([first + ladder, last - ladder, -ladder, ladder, [first, 0, last]])
    points = np.unique(points[(points >= first) & (points <= last)])
    below = np.clip(np.searchsorted(points, index, side="right") - 1, 0, len(points) - 2)
    share = (index - points[below]) / (points[below + 1] - points[below])
    chances = np.where((index >= first) & (index <= last), dots.chances, 0.0)
    upper = np.bincount(below + 1, chances * share, len(points))
    total = upper + np.bincount(below, chances * (1 - share), len(points))
    kept = total > 0
    return points[kept] * dots.step, np.log(total[kept])
