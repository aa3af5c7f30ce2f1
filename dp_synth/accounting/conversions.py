"""Conversions in closed form: of one Gaussian, of zero-concentrated DP, of one selection."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from dp_synth.types import Floats

FAR = 1e3  # standard deviations, beyond which all is 0
ROUNDING = 2.0**-48  # bounds the relative rounding error of one special function, and to spare


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Return the delta of one Gaussian mechanism (Balle & Wang 2018, Thm 8), rounded up.

    With scaled tails, so that nothing cancels where both of the theorem's terms are small.

    >>> round(gaussian_delta(mu=1.0, epsilon=1.0), 6)
    0.126937
    """
    if mu == 0:
        return 0.0
    near, far = epsilon / mu - mu / 2, epsilon / mu + mu / 2
    density = math.exp(-near * near / 2) / 2
    if density == 0:  # below the smallest number there is
        return 0.0 if near > 0 else 1.0
    loss = float(erfcx(far / math.sqrt(2)))
    if near <= 0:
        return min(1.0, float(ndtr(-near)) - density * loss + ROUNDING * (1 + far))
    gain = float(erfcx(near / math.sqrt(2)))
    return density * (1 + ROUNDING * (1 + near * far)) * (gain - loss + ROUNDING * gain)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the smallest epsilon of one Gaussian mechanism at ``delta``, rounded up."""
    from scipy import optimize

    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    high = zcdp_epsilon(mu**2 / 2, delta)
    if math.isinf(high) or gaussian_delta(mu, high) > delta:  # beyond what doubles can tell
        return math.inf
    root = float(
        optimize.brentq(lambda e: gaussian_delta(mu, e) - delta, 0.0, high, xtol=1e-14, rtol=1e-14)
    )
    step = 1e-14
    while gaussian_delta(mu, root) > delta:
        root, step = math.nextafter(root * (1 + step), math.inf), 2 * step
    return root


def gaussian_deltas(mu: float, epsilons: Floats, *, up: bool) -> Floats:
    """Return the privacy curve of one Gaussian mechanism at epsilons of either sign.

    Rounded up, or down (Balle & Wang 2018, Thm 8, as in `gaussian_delta`).
    """
    size = np.abs(epsilons)
    near, far = np.minimum(size / mu - mu / 2, FAR), size / mu + mu / 2
    density = np.exp(-near * near / 2) / 2
    tail = density * erfcx(np.maximum(near, 0.0) / math.sqrt(2))
    gain = np.where(near > 0, tail, ndtr(-near))
    error = ROUNDING * (2 + np.maximum(near, 0.0) * np.minimum(far, FAR)) * gain
    positive = gain - density * erfcx(far / math.sqrt(2)) + (error if up else -error)
    mirror = np.exp(np.minimum(epsilons, 0.0))
    return np.asarray(np.where(epsilons >= 0, positive, 1 - mirror + mirror * positive))


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


def zcdp_delta(rho: float, epsilon: float) -> float:
    """Return the optimal delta at which ``rho``-zCDP implies (epsilon, delta)-DP.

    Canonne, Kamath & Steinke 2020, Prop. 12 (arXiv:2004.00010v5): the minimum over orders
    ``alpha`` > 1. Any order gives an upper bound, so the search need not be exact.
    """
    from scipy import optimize

    def log_delta(log_excess: float) -> float:
        excess = math.exp(log_excess)  # alpha - 1
        alpha = 1 + excess
        return excess * (alpha * rho - epsilon) - math.log(alpha) + excess * math.log1p(-1 / alpha)

    found = optimize.minimize_scalar(log_delta, bounds=(-15.0, 15.0), method="bounded")
    return min(1.0, math.exp(min(float(found.fun), 0.0)))


def zcdp_epsilon(rho: float, delta: float) -> float:
    """Return the epsilon at which ``rho``-zCDP implies (epsilon, delta)-DP, rounded up."""
    if zcdp_delta(rho, 0.0) <= delta:
        return 0.0
    high = rho + 2 * math.sqrt(rho * math.log(1 / delta))  # Bun & Steinke 2016, Prop. 1.3
    return bisect(lambda epsilon: zcdp_delta(rho, epsilon) <= delta, high, 0.0)


def zcdp_rho(epsilon: float, delta: float) -> float:
    """Return the zCDP cost whose optimal conversion meets the target, rounded down."""
    high = epsilon + math.log(1 / delta)
    while zcdp_delta(high, epsilon) < delta:
        high *= 2
    low = bisect(lambda rho: zcdp_delta(rho, epsilon) <= delta, 0.0, high)
    if not low:  # the orders that are tried tell nothing of so small an epsilon
        inverse = math.log(1 / delta)
        low = (epsilon / (math.sqrt(inverse + epsilon) + math.sqrt(inverse))) ** 2
    return low * (1 - 1e-6)  # clear of the search tolerance of the conversion back to epsilon


def bisect(
    holds: Callable[[float], bool], inside: float, outside: float, relative: float = 1e-9
) -> float:
    """Return a point where ``holds`` is true, next to where it is not: the safe side of a search.

    It is true at ``inside``, and not known at ``outside``; either may be the larger. They come as
    near as ``relative`` to the larger of them.

    >>> low = bisect(lambda x: x * x <= 2, 0.0, 2.0)
    >>> high = bisect(lambda x: x * x >= 2, 2.0, 0.0)
    >>> low <= 2**0.5 <= high <= low * (1 + 1e-8)
    True
    """
    while abs(outside - inside) > relative * max(inside, outside):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside


def selection_delta(range_: float, epsilon: Floats) -> Floats:
    """Return the privacy curve of one selection whose loss has range ``range_``.

    The supremum over the worst-case pairs of a bounded-range mechanism, whose two losses are t
    and t - range_: attained at t = (epsilon + range_) / 2 (Dong, Durfee & Rogers 2020). At
    negative epsilon by symmetry of the two directions.
    """
    size = np.minimum(np.abs(epsilon), range_)
    positive = np.expm1((size - range_) / 2) ** 2 / -math.expm1(-range_)
    gain = np.exp(np.minimum(epsilon, 0.0))
    return np.where(epsilon >= 0, positive, 1 - gain + gain * positive)
