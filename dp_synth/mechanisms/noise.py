"""Samplers of integer noise and of choices whose law is exact, and where their bits come from.

No holes and no lost tail of floating-point arithmetic.

Every draw compares a uniform number with thresholds of a law given in real numbers. The first 64
binary digits and floating point decide almost every comparison; one that lies within the bound
on their error is decided by mpmath, with as many further digits as it takes. What comes out
follows the law of the real numbers themselves, not of a rounded table of it.

mpmath decides a cell with chance of about scale * 2^-38 (and an acceptance with 2^-35): one cell
in some thousand million at a scale of 100, one in 27,000 at ten million.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

if TYPE_CHECKING:
    from mpmath import MPContext
from dp_synth.accounting import Reservation
from dp_synth.mechanisms.simulation import Bits as Bits
from dp_synth.mechanisms.simulation import door_of
from dp_synth.types import Floats, Integers

Words = NDArray[np.uint64]

LARGEST_SCALE = 2.0**32

_LAST = 2**64 - 1  # the largest word
_GUARD = 40  # digits beyond those drawn to which a threshold is computed
_BLOCK = 1 << 17  # cells at a time: the arrays of one block stay in the processor's cache

# Absolute bounds on the error of floating point. A quantile's u = t / 2^63 is rounded once, 2^-53
# relative. Cephes states a peak relative error of 7.2e-16 for ndtri, so 6.7e-15 at its largest
# value here, 9.3; log is good to a few units in the last place, so 2.9e-14 at 44.4. 2^-39 is 60
# times that. An acceptance chance exp(-d^2 / 2) inherits d exp(-d^2 / 2) < 0.61 times the error
# of d, which is at most 2^-45 where the chance is not negligible: 2^-36 is 800 times that.
_QUANTILE_ERROR = 2.0**-39
_CHANCE_ERROR = 2.0**-36

# Odds are scaled to a greatest of one. Each is wrong by a few 2^-53 of its value, and by
# |d| exp(d) 2^-53 < 2^-53 for the rounding of its exponent d; a sum of n rounds n times. So a
# share, a running sum over the total, is wrong by less than (4 n + 16) 2^-53: this unit allows for
# 32 times that, the width of the interval that 64 digits leave being negligible beside it.
_UNIT = 2.0**-46


def rounded_gaussian(stddev: float, shape: tuple[int, ...], bits: Bits = os.urandom) -> Integers:
    """Return independent draws of a centred Gaussian rounded to the nearest integer.

    P(k) = Phi((k + 1/2) / stddev) - Phi((k - 1/2) / stddev); the variance is close to
    stddev^2 + 1/12. ``bits(n)`` gives n random bytes. ValueError unless stddev lies in (0, 2^32].

    Privacy
    -------
    An integer count plus this noise is the count plus continuous Gaussian noise, rounded:
    post-processing, so every curve of the Gaussian mechanism at ``stddev`` holds exactly. The law
    is exact if the bits are uniform; a seeded generator's are not, for privacy. The time that a
    draw takes depends on its value: an attacker with a clock is outside the threat model.

    >>> rounded_gaussian(1e-3, (2, 3)).tolist()
    [[0, 0, 0], [0, 0, 0]]
    """
    _check(stddev, "stddev")
    return _fill(partial(_invert, _gaussian_law(stddev)), shape, bits)


def discrete_laplace(scale: float, shape: tuple[int, ...], bits: Bits = os.urandom) -> Integers:
    """Return independent integers k with probabilities proportional to exp(-|k| / scale).

    ``bits(n)`` gives n random bytes. ValueError unless scale lies in (0, 2^32].

    Privacy
    -------
    The geometric mechanism (Ghosh, Roughgarden & Sundararajan 2009): a vector of counts of L1
    sensitivity s is released with epsilon = s / scale. The law is exact if the bits are uniform;
    time is outside the threat model, as for ``rounded_gaussian``.
    """
    _check(scale, "scale")
    return _fill(partial(_invert, _laplace_law(scale)), shape, bits)


def discrete_gaussian(stddev: float, shape: tuple[int, ...], bits: Bits = os.urandom) -> Integers:
    """Return independent integers k with probabilities proportional to exp(-k^2 / 2 stddev^2).

    Drawn by rejection from the discrete Laplace law (Canonne, Kamath & Steinke 2020, Algorithm
    3). ``bits(n)`` gives n random bytes. ValueError unless stddev lies in (0, 2^32].

    Privacy
    -------
    On counts of L2 sensitivity s it is s^2 / (2 stddev^2)-zCDP (Theorem 4 there, a coordinate at
    a time). The continuous Gaussian's curves do *not* cover it; they cover ``rounded_gaussian``.
    The law is exact if the bits are uniform; time is outside the threat model, as it is there.
    """
    _check(stddev, "stddev")
    return _fill(partial(_thin, stddev), shape, bits)


@dataclass
class LazyUniform:
    """A uniform number in [0, 1) whose binary digits are drawn when a comparison needs them.

    It lies in [digits, digits + 1) / 2^length.
    """

    digits: int
    length: int
    bits: Bits

    def is_below(self, threshold: Callable[[int], int]) -> bool:
        """Return whether the number is below a real threshold, exactly.

        ``threshold(precision)`` is the threshold times 2^precision, wrong by less than two.
        """
        while True:
            value = threshold(self.length + _GUARD)
            if (self.digits + 1) << _GUARD <= value - 2:
                return True
            if self.digits << _GUARD >= value + 2:
                return False
            self.extend()

    def extend(self) -> None:
        """Draw 64 more digits."""
        self.digits = self.digits << 64 | int.from_bytes(self.bits(8), "little")
        self.length += 64


def exact_coins(
    threshold: Callable[[int, int], int], kinds: Integers, bits: Bits = os.urandom
) -> NDArray[np.bool_]:
    """Return coins, each of which falls with exactly the chance of its kind, in their order.

    ``threshold(kind, precision)`` is the chance times 2^precision, wrong by less than two.
    ``bits(n)`` gives n random bytes. A number of 64 digits is compared for each, and those that
    are not decided by them draw further ones.

    Privacy
    -------
    The law is exact if the bits are uniform; time is outside the threat model.
    """
    flat = np.ravel(kinds)
    words = _words(len(flat), bits)
    every, place = np.unique(flat, return_inverse=True)
    near = [threshold(int(kind), 64) for kind in every.tolist()]
    low = np.array([min(max(n - 2, 0), _LAST) for n in near], dtype=np.uint64)
    high = np.array([min(max(n + 2, 0), _LAST) for n in near], dtype=np.uint64)
    fell = words < low[place]
    for cell in np.flatnonzero(~fell & (words <= high[place])):
        chance = partial(threshold, int(flat[cell]))
        fell[cell] = LazyUniform(int(words[cell]), 64, bits).is_below(chance)
    return np.asarray(fell).reshape(np.shape(kinds))


@lru_cache(maxsize=16)
def make_context(precision: int) -> MPContext:
    """Return an mpmath context of ``precision`` bits, to be used and never changed.

    Its own, because the precision of ``mpmath.mp`` belongs to the whole process.
    """
    from mpmath import MPContext

    context = MPContext()
    context.prec = precision
    return context


@dataclass(frozen=True)
class _Law:
    """A symmetric law: the magnitude is floor(scale * quantile(u) + offset) for a uniform u.

    ``quantile`` falls in u, by at most ``slope`` du / u. The magnitude is m or more exactly if u
    is below P(|X| >= m), of which ``tail(m, precision)`` is 2^precision times the value, wrong by
    less than two.
    """

    scale: float
    offset: float
    slope: float
    quantile: Callable[[Floats], Floats]
    tail: Callable[[int, int], int]


def _gaussian_law(stddev: float) -> _Law:
    # u = 2 Q(z) and Mills' ratio Q(z) / phi(z) <= sqrt(pi / 2) give |dz| <= 1.2534 du / u.
    return _Law(stddev, 0.5, 1.2534, _gaussian_quantile, partial(_gaussian_tail, stddev))


def _laplace_law(scale: float) -> _Law:
    # P(|X| >= m) = 2 exp(-m / scale) / (1 + exp(-1 / scale)), solved for m.
    shift = -math.log1p(math.expm1(-1 / scale) / 2)
    return _Law(scale, 0.0, 1.0, lambda u: shift - np.log(u), partial(_laplace_tail, scale))


def _gaussian_quantile(u: Floats) -> Floats:
    return np.asarray(-ndtri(u / 2))


def _gaussian_tail(stddev: float, magnitude: int, precision: int) -> int:
    context = make_context(precision + 32)
    z = (context.mpf(magnitude) - 0.5) / (context.sqrt(2) * stddev)
    if z > precision:  # erfc(z) < exp(-z^2): less than one unit
        return 0
    return int(context.ldexp(context.erfc(z), precision))


def _laplace_tail(scale: float, magnitude: int, precision: int) -> int:
    context = make_context(precision + 32)
    exponent = magnitude / context.mpf(scale)
    if exponent > precision + 1:
        return 0
    shorter = 0 if 1 / scale > 2 * precision else context.exp(-1 / context.mpf(scale))
    return int(context.ldexp(2 * context.exp(-exponent) / (1 + shorter), precision))


def _invert(law: _Law, cells: int, bits: Bits) -> Integers:
    """Return draws of ``law``: one bit of a word is the sign, 63 begin the uniform number."""
    words = _words(cells, bits)
    first_digits = words >> np.uint64(1)
    t = np.maximum(first_digits.astype(np.float64), 0.5)
    estimates = law.scale * law.quantile(t * 2.0**-63) + law.offset
    nearest = np.rint(estimates)
    # The number lies in [t, t + 1) / 2^63, where the quantile falls by at most slope / t. Rounding
    # of the two operations above is relative and far smaller. Zero is no threshold.
    reach = law.scale * (law.slope / t + _QUANTILE_ERROR)
    doubtful = (np.abs(estimates - nearest) <= reach) & (nearest >= 1)
    doubtful |= first_digits == 0
    magnitudes = np.floor(estimates).astype(np.int64)
    for cell in np.flatnonzero(doubtful):
        uniform = LazyUniform(int(first_digits[cell]), 63, bits)
        magnitudes[cell] = _resolve(uniform, law.tail, int(nearest[cell]))
    return np.where(words & np.uint64(1), -magnitudes, magnitudes)


def _resolve(uniform: LazyUniform, tail: Callable[[int, int], int], guess: int) -> int:
    """Return how many of the thresholds P(|X| >= 1), P(|X| >= 2), ... the number is below."""

    def reaches(magnitude: int) -> bool:
        return magnitude <= 0 or uniform.is_below(partial(tail, magnitude))

    low, high, step = guess, guess + 1, 1
    while not reaches(low):
        low, high, step = low - step, low, 2 * step
    step = 1
    while reaches(high):
        low, high, step = high, high + step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if reaches(middle) else (low, middle)
    return max(low, 0)


def _thin(stddev: float, cells: int, bits: Bits) -> Integers:
    """Return draws of the discrete Gaussian law, by Algorithm 3 of Canonne, Kamath & Steinke."""
    spread = math.floor(stddev) + 1
    law = _laplace_law(float(spread))
    kept: list[Integers] = []
    missing = cells
    while missing > 0:
        proposals = _invert(law, missing + missing // 2 + 8, bits)
        kept.append(proposals[_accept(proposals, stddev, bits)][:missing])
        missing -= len(kept[-1])
    return np.concatenate(kept)


def _accept(proposals: Integers, stddev: float, bits: Bits) -> NDArray[np.bool_]:
    """Return coins that say yes with chance exp(-(|y| - stddev^2 / t)^2 / 2 stddev^2)."""
    spread = math.floor(stddev) + 1
    words = _words(len(proposals), bits)
    magnitudes = np.abs(proposals)
    with np.errstate(over="ignore", under="ignore"):
        distances = (magnitudes - stddev * (stddev / spread)) / stddev
        margins = np.exp(-0.5 * distances**2) - words * 2.0**-64
    accepted = margins > 0
    for cell in np.flatnonzero(np.abs(margins) <= _CHANCE_ERROR):
        chance = partial(_acceptance, stddev, int(magnitudes[cell]))
        accepted[cell] = LazyUniform(int(words[cell]), 64, bits).is_below(chance)
    return np.asarray(accepted)


def _acceptance(stddev: float, magnitude: int, precision: int) -> int:
    context = make_context(precision + 96)  # the difference below may lose some 60 digits
    variance = context.mpf(stddev) ** 2
    exponent = (magnitude - variance / (math.floor(stddev) + 1)) ** 2 / (2 * variance)
    if exponent > precision:
        return 0
    return int(context.ldexp(context.exp(-exponent), precision))


def _words(count: int, bits: Bits) -> Words:
    return np.frombuffer(bits(8 * count), dtype="<u8").astype(np.uint64, copy=False)


def _fill(draw: Callable[[int, Bits], Integers], shape: tuple[int, ...], bits: Bits) -> Integers:
    cells = np.empty(math.prod(shape), dtype=np.int64)
    for start in range(0, len(cells), _BLOCK):
        block = cells[start : start + _BLOCK]
        block[:] = draw(len(block), bits)
    return cells.reshape(shape)


def _check(value: float, name: str) -> None:
    if not 0 < value <= LARGEST_SCALE:
        raise ValueError(f"{name} must lie in (0, 2^32], got {value}")


def random_bits(payer: Reservation, rng: np.random.Generator) -> Bits:
    """Return the source of random bytes that the payer's ledger states.

    The operating system's, or, for a fit that must be repeatable, the generator's, which
    protects nobody who may guess its seed. In a simulation that is watched, the watcher's.
    """
    door = door_of(payer)
    if door is not None:
        return door.bits(rng)
    return os.urandom if payer.randomness == "os" else rng.bytes


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
    return int(first) if first == last else _resolve_choice(log_odds, uniform)


def _resolve_choice(log_odds: Floats, uniform: LazyUniform) -> int:
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
