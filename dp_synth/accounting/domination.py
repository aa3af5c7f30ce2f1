"""The Gaussian mechanism that dominates another one: the least mu whose curve is nowhere below.

What a filter in Gaussian DP charges for a mechanism, or for a whole sequence by its composed curve.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, ndtr

Floats = NDArray[np.float64]

ROUNDING = 2.0**-48  # bounds the relative rounding error of one special function, and to spare
NARROW = 1e-4  # relative width at which a search for mu ends


def dominating_mu(epsilons: Floats, deltas: Floats, log_complements: Floats | None = None) -> float:
    """Return the least mu whose Gaussian curve is nowhere below a curve, rounded up.

    ``deltas`` are upper bounds on the curve at rising ``epsilons``, which start at 0; between two
    points both curves fall, so that comparing the curve's value at the left one with the
    Gaussian's at the right one is enough. Beyond the last point nothing is compared: the curve
    must be 0 there, or be bounded otherwise. Negative epsilons follow by symmetry of the two
    directions. ``log_complements`` are lower bounds on log(1 - delta), for deltas so near to 1
    that doubles do not hold them. Infinite when no mu that numbers can hold is large enough.

    >>> epsilons = np.linspace(0.0, 2.0, 2001)
    >>> 1.5 < dominating_mu(epsilons, -np.expm1(epsilons - 2.0) / (1 + np.exp(-2.0))) < 2.5
    True
    """
    if log_complements is None:
        with np.errstate(divide="ignore"):
            log_complements = np.log1p(-np.minimum(deltas, 1.0)) * (1 + ROUNDING) - ROUNDING
    right, left = epsilons[1:], deltas[:-1]

    def dominates(mu: float) -> bool:
        least, log_complement = gaussian_bounds(mu, right)
        return bool(np.all((least >= left) | (log_complement <= log_complements[:-1])))

    low, high = 0.0, float(epsilons[-1])
    while not dominates(high):
        low, high = high, 2 * high
        if high > 1e100:
            return math.inf
    while high - low > NARROW * high:
        middle = (low + high) / 2
        low, high = (low, middle) if dominates(middle) else (middle, high)
    return high


def pure_mu(epsilon: float, points: int) -> float:
    """Return the least mu that dominates every ``epsilon``-DP mechanism, compared at so many."""
    at = np.linspace(0.0, epsilon, points + 1)
    scale = 1 + math.exp(-epsilon)
    deltas = -np.expm1(at - epsilon) / scale * (1 + ROUNDING)
    logs = np.logaddexp(-epsilon, at - epsilon) - math.log(scale)
    return dominating_mu(at, deltas, logs - ROUNDING * (1 + epsilon))


def selection_mu(range_: float, points: int) -> float:
    """Return the least mu that dominates every selection of this range, compared at so many.

    Its delta is (1 - x)**2 / (1 - exp(-range)) with x = exp((e - range) / 2), so that the
    complement is (x * (2 - x) - exp(-range)) / (1 - exp(-range)).
    """
    at = np.linspace(0.0, range_, points + 1)
    x, whole = np.exp((at - range_) / 2), -math.expm1(-range_)
    deltas = np.expm1((at - range_) / 2) ** 2 / whole * (1 + ROUNDING)
    # x * (2 - x) - exp(-range) with both factors of exp(-range) taken apart: x >= exp(-range / 2)
    rest = (2 - x) - np.exp(-range_ - (at - range_) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = (at - range_) / 2 + np.log(rest * (1 - ROUNDING) - ROUNDING) - math.log(whole)
    logs = np.where(np.isfinite(logs), logs - ROUNDING * (1 + range_), -np.inf)
    return dominating_mu(at, deltas, logs)


def gaussian_bounds(mu: float, epsilons: Floats) -> tuple[Floats, Floats]:
    """Return lower bounds on a Gaussian's deltas, and upper ones on log(1 - delta)."""
    near, far = epsilons / mu - mu / 2, epsilons / mu + mu / 2
    rough = ROUNDING * (1 + np.abs(near)) * (1 + far)
    with np.errstate(under="ignore", over="ignore"):
        density = np.exp(-near * near / 2) / 2
        loss = erfcx(far / math.sqrt(2))
        small = density * (erfcx(np.maximum(near, 0.0) / math.sqrt(2)) * (1 - rough) - loss)
        large = ndtr(-near) - density * loss - rough
        least = np.where(near > 0, small * (1 - rough), large)
        logs = np.logaddexp(log_ndtr(near), log_ndtr(-far) + epsilons)
        return least, logs + rough * (1 + np.abs(logs)) + ROUNDING * (1 + epsilons)
