"""Choice among candidates with exactly given odds."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from dp_synth.mechanisms.exact_noise import Bits, Floats, LazyUniform, make_context

# Odds are scaled to a greatest of one. Each is wrong by a few 2^-53 of its value, and by
# |d| exp(d) 2^-53 < 2^-53 for the rounding of its exponent d; a sum of n rounds n times. So a
# share, a running sum over the total, is wrong by less than (4 n + 16) 2^-53: this unit allows for
# 32 times that, the width of the interval that 64 digits leave being negligible beside it.
_UNIT = 2.0**-46


def exact_choice(log_odds: NDArray[np.float64], bits: Bits = os.urandom) -> int:
    """Return index i with probability exactly proportional to exp(log_odds[i]).

    The floating-point values count as exact real numbers; -inf marks what cannot be chosen.
    ``bits(n)`` gives n random bytes. Among n candidates mpmath has to decide with a chance of
    about n^2 2^-44, and then takes some 20 n microseconds. ValueError for NaN, for +inf, and when
    nothing can be chosen.

    Privacy
    -------
    The exponential mechanism (McSherry & Talwar 2007) without the error of a floating-point
    softmax and its sampler, given the log odds; the caller charges for the range of these. The
    law is exact if the bits are uniform; time is outside the threat model.

    >>> exact_choice(np.array([-np.inf, 3.0, -1e9]))
    1
    """
    log_odds = np.asarray(log_odds, dtype=np.float64)
    possible = np.flatnonzero(log_odds > -np.inf)
    if log_odds.ndim != 1 or np.isnan(log_odds).any() or not len(possible):
        raise ValueError("log odds must be one row of numbers with at least one above -inf")
    if np.isposinf(log_odds).any():
        raise ValueError("log odds must be below +inf")
    return int(possible[_choose(log_odds[possible], bits)])


def _choose(log_odds: Floats, bits: Bits) -> int:
    with np.errstate(over="ignore", under="ignore"):  # a gap beyond the floats: odds of zero
        sums = np.cumsum(np.exp(log_odds - log_odds.max()))
    uniform = LazyUniform(int.from_bytes(bits(8), "little"), 64, bits)
    reach = (2 * len(sums) + 8) * _UNIT * sums[-1]
    target = uniform.digits * 2.0**-64 * sums[-1]
    first, last = np.searchsorted(sums[:-1], [target - reach, target + reach], side="right")
    return int(first) if first == last else _resolve(log_odds, uniform)


def _resolve(log_odds: Floats, uniform: LazyUniform) -> int:
    """Return the first index whose share, with all before it, is above the number."""
    while True:
        precision = uniform.length + 40
        shares = _shares(log_odds, precision)
        start, end = uniform.digits << 40, (uniform.digits + 1) << 40
        index = next(i for i, share in enumerate(shares) if share > start - 2)
        if shares[index] >= end + 2:
            return index
        uniform.extend()


def _shares(log_odds: Floats, precision: int) -> list[int]:
    """Return the running sums of the odds over their total, times 2^precision.

    Each is wrong by less than two, but the last: twice what it is, and so above every number.
    """
    context = make_context(precision + 64 + len(log_odds).bit_length())
    greatest = context.mpf(float(log_odds.max()))
    sums = [context.mpf(0)]
    for value in log_odds:
        exponent = context.mpf(float(value)) - greatest
        # Below, all of them together are less than a unit.
        odds = context.exp(exponent) if exponent > -2 * precision else 0
        sums.append(sums[-1] + odds)
    shares = [int(context.ldexp(total / sums[-1], precision)) for total in sums[1:-1]]
    return [*shares, 2 << precision]
