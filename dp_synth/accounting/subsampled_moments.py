"""Moments of the subsampled Gaussian's loss at complex arguments, with bounds on every error.

The proof is in `docs/accounting.md`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from dp_synth.accounting.discretization import ROUGH, UNIT
from dp_synth.errors import UnsupportedEvent
from dp_synth.types import Floats

DIGITS = 27.0  # logarithm of the inverse relative error that is aimed at
TAIL = 60.0  # logarithm of the inverse chance of outcomes that are left out
STRIP = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)  # half widths in which moments are analytic
CELLS = 4000  # of outcomes, in which a density is bounded from below
MOST_OUTCOMES = 16_000  # of one quadrature
MOST_TERMS = 30_000_000  # outcomes times frequencies
FAR = 600.0  # exponent beyond which exp() is not taken
BLOCK = 64  # outcomes of one sum, where sums are careful
LEAST_MASS = 1e-24  # of an outcome that counts in a transform


@dataclass(frozen=True)
class Step:
    """One sampled Gaussian: a mixture of means that the record may move outcomes by.

    ``moved`` are (chance, mean) pairs; the loss where the record is there is the logarithm of
    1 - rate + rate * exp(mean * y - mean ** 2 / 2) of the outcome y.
    """

    moved: tuple[tuple[float, float], ...]
    rate: float
    removed: bool

    def power(self, tilt: float) -> float:
        """Return the power of the ratio whose mean, without the record, is the moment."""
        return tilt + 1 if self.removed else -tilt


@dataclass(frozen=True, eq=False)
class Tilted:
    """One step's law of losses, tilted: outcomes with the mass about each, summing to one."""

    log_moment: float
    losses: Floats
    masses: Floats
    error: float  # of the moment, relatively
    beyond: float  # what the rule and the outcomes left out may come to, relatively
    slope: float  # relative error of a transform for each unit of frequency

    @property
    def log_error(self) -> float:
        """Bound on the error of the logarithm of the moment."""
        return 2 * (self.error + self.beyond) + ROUGH * abs(self.log_moment)

    @cached_property
    def mean(self) -> float:
        """Mean loss."""
        return float(self.masses @ self.losses)

    @cached_property
    def variance(self) -> float:
        """Variance of the loss."""
        return float(self.masses @ (self.losses - self.mean) ** 2)


def tilted(step: Step, tilt: float, highest: float = 0.0) -> Tilted:
    """Return the law tilted, for transforms up to the frequency ``highest``."""
    weights, ratios, slopes, squares = [], [], [], []
    bound = 0.0
    power = step.power(tilt)
    for chance, mean in step.moved:
        if not chance:
            continue
        spacing, error = _spacing(mean, power, highest)
        first, last = _outcomes(mean, step.rate, power)
        if (last - first) / spacing > MOST_OUTCOMES:
            raise UnsupportedEvent("moments of these losses need too many outcomes")
        y = spacing * np.arange(math.floor(first / spacing), math.ceil(last / spacing) + 1.0)
        ratio, rough = log_ratio(mean, step.rate, y)
        base = power * ratio - y * y / 2
        weights.append(base + math.log(chance * spacing) - math.log(2 * math.pi) / 2)
        ratios.append(ratio)
        squares.append(y * y)
        slopes.append(rough + 2 * UNIT * np.abs(ratio))
        bound = max(bound, error)
    logs, ratio, slope = np.concatenate(weights), np.concatenate(ratios), np.concatenate(slopes)
    top = float(logs.max())
    masses = np.exp(logs - top)
    whole = math.fsum(masses)
    masses /= whole
    exact = slope * abs(power) + np.abs(power * ratio) + np.concatenate(squares)
    exact = slope * abs(power) + ROUGH * (4 + abs(top) + exact)
    jitter = float(masses @ (exact * np.abs(ratio) + slope))
    return Tilted(
        log_moment=top + math.log(whole),
        losses=ratio if step.removed else -ratio,
        masses=masses,
        error=2 * float(masses @ exact),
        beyond=2 * bound + 8 * math.exp(8 - TAIL) + len(masses) * LEAST_MASS,
        slope=4 * jitter,
    )


def log_ratio(mean: float, rate: float, y: Floats) -> tuple[Floats, Floats]:
    """Return the logarithms of the ratio of densities, and bounds on their rounding errors."""
    power = mean * y - mean * mean / 2
    near = np.minimum(power, FAR)
    far = np.maximum(power, FAR)
    ratio = np.where(
        power < FAR,
        np.log1p(rate * np.expm1(near)),
        far + math.log(rate) + np.log1p((1 - rate) / rate * np.exp(-far)),
    )
    size = 1 + np.abs(mean * y) + mean * mean / 2
    rough = np.abs(ratio) + rate * (np.exp(power - ratio) * size + np.exp(-ratio))
    return ratio, ROUGH * np.where(power < FAR, rough, size + abs(math.log(rate)))


def _spacing(mean: float, power: float, highest: float) -> tuple[float, float]:
    """Return how far apart outcomes may lie, a power of two, and the error of the rule.

    Trefethen & Weideman 2014, Thm 5.1: at most 2 m / (exp(2 pi a / spacing) - 1), where m bounds
    the integral of the modulus on every line of the strip of half width a. There the ratio's
    modulus is at most what it is on the real line and at least cos(mean * a / 2) of it, and its
    angle is at most mean * a.
    """
    best, wanted = 0.0, DIGITS + 18
    for share in STRIP:
        a = share if mean < 1 else share / mean
        if mean * a > 3:
            continue
        growth = (
            a * a / 2 + highest * mean * a + max(0.0, -power) * -math.log(math.cos(mean * a / 2))
        )
        best = max(best, 2 * math.pi * a / (wanted + growth))
    spacing = 2.0 ** math.floor(math.log2(min(best, 0.5)))
    return spacing, 3 * math.exp(-wanted)


def _outcomes(mean: float, rate: float, power: float) -> tuple[float, float]:
    """Return the first and the last outcome that count: the rest is exp(-TAIL) of the moment.

    The moment is at least one. Below, the ratio is at most one, and at least 1 - ``rate``; above,
    its logarithm rises by at most ``mean`` for each further unit.
    """
    first = -math.sqrt(2 * (TAIL + max(0.0, -power) * -math.log1p(-rate)))
    last = math.sqrt(2 * TAIL)
    if power <= 0:
        return first, max(last, mean)
    centre = power * mean
    if centre > MOST_OUTCOMES / 16:
        raise UnsupportedEvent("moments of these losses need too many outcomes")
    least = max(0.0, power * math.log(rate) + (power - 1) * centre * mean / 2)
    while True:
        ratio = float(log_ratio(mean, rate, np.array([last]))[0][0])
        beyond = power * (ratio - mean * last) + centre * centre / 2
        if beyond + float(log_ndtr(centre - last)) <= least - TAIL:
            return first, last
        last += 0.5


@dataclass(frozen=True, eq=False)
class Rectangles:
    """Uniform laws of losses that a tilted step's law contains: their masses and widths."""

    masses: Floats
    widths: Floats

    def log_modulus(self, frequency: float) -> float:
        """Return an upper bound on log of the transform's modulus from a frequency on.

        That of a uniform law is at most sin(x) / x up to x = 2.5, at half the frequency times its
        width, and then the least of 0.2394 and 1 / x, which no later lobe exceeds.
        """
        x = frequency * self.widths / 2
        with np.errstate(divide="ignore"):
            most = np.where(x < 2.5, np.sinc(np.minimum(x, 2.5) / np.pi), 1 / np.maximum(x, 4.178))
        return math.log1p(-min(float(self.masses @ (1 - most)), 1 - UNIT))


def rectangles(step: Step, tilt: float, log_moment: float) -> Rectangles:
    """Return rectangles below the density of a step's tilted losses.

    Its logarithm is a sum of monotone functions and -y**2 / 2 of the outcome y, each of which is
    least at one end of a cell; of these bounds only what falls to both sides of the largest is
    kept, so that a horizontal slice is an interval.
    """
    chance, mean = max(step.moved)
    power = step.power(tilt)
    centre = max(0.0, power * mean)
    y = np.linspace(-9.0, min(9.0 + centre, 60.0), CELLS + 1)
    ratio, _ = log_ratio(mean, step.rate, y)
    moved = mean * y - mean * mean / 2
    squares = np.maximum(y[1:] ** 2, y[:-1] ** 2) / 2
    rise = (power + 1) * (ratio[:-1] if power > -1 else ratio[1:])
    constant = math.log(chance / (mean * step.rate)) - math.log(2 * math.pi) / 2 - log_moment
    density = np.exp(np.minimum(rise - squares - moved[1:] + constant, FAR)) * (1 - 1e-6)
    bulk = _under_one_mode(density)
    found = [_slices(bulk, ratio), _slices(_under_one_mode(density - bulk), ratio)]
    masses, widths = (np.concatenate(each) for each in zip(*found, strict=True))
    return Rectangles(masses, widths)


def _under_one_mode(density: Floats) -> Floats:
    """Return the largest function below, which rises up to where the density is highest."""
    top = int(np.argmax(density))
    left = np.minimum.accumulate(density[top::-1])[::-1]
    return np.concatenate([left, np.minimum.accumulate(density[top:])[1:]])


def _slices(density: Floats, losses: Floats) -> tuple[Floats, Floats]:
    """Return the masses and widths of the horizontal slices of a density with one mode."""
    top = int(np.argmax(density))
    heights = np.unique(density)
    start = np.searchsorted(density[: top + 1], heights)
    end = top + np.searchsorted(-density[top:], -heights, side="right")
    widths = (losses[end] - losses[start]) * (1 - 1e-6)
    return np.diff(heights, prepend=0.0) * widths, widths


def log_transforms(
    law: Tilted, w: Floats, *, careful: bool = False
) -> tuple[NDArray[np.complex128], Floats, Floats]:
    """Return the logarithms of a tilted law's transforms, and bounds on two errors.

    That of the logarithm itself, over the rounding of one operation, and that of the transform. It
    is the mean of exp(i w loss) - 1, whose terms are tiny where they count: so are their errors.
    A ``careful`` sum is one of sums over few outcomes each, so that fewer roundings follow each
    other.
    """
    kept = law.masses > LEAST_MASS
    losses, masses = law.losses[kept], law.masses[kept]
    if len(losses) * len(w) > MOST_TERMS:
        raise UnsupportedEvent("transforms of these losses need too many terms")
    some = math.isqrt(len(w)) + 1  # frequencies are sums of few coarse ones and few fine ones
    fine, coarse = (_turns(np.outer(each, losses)) for each in (w[:some], w[::some]))
    if careful:
        values, roundings = _careful_sum(fine, coarse, masses)
    else:
        coarse *= masses
        values = coarse @ fine.T + coarse.sum(axis=1)[:, None] + (fine @ masses)[None, :]
        roundings = len(masses) + 8
    values = values.ravel()[: len(w)]
    size = np.minimum(2 * w * float(masses @ np.abs(losses)), 8.0)
    error = law.beyond + np.minimum(w * law.slope, 4 * law.error) + 2 * UNIT * roundings * size
    x, y = values.real, values.imag
    modulus = np.maximum((1 + x) ** 2 + y * y, UNIT)
    logs = np.log1p(np.maximum(2 * x + x * x + y * y, UNIT - 1)) / 2 + 1j * np.arctan2(y, 1 + x)
    return logs, 4 * (np.abs(x) + np.abs(y)) / modulus, error


def _careful_sum(
    fine: NDArray[np.complex128], coarse: NDArray[np.complex128], masses: Floats
) -> tuple[NDArray[np.complex128], int]:
    """Return the means of (1 + coarse) * (1 + fine) - 1, and how many roundings follow each other.

    Sums over blocks of outcomes, whatever their order, and then over blocks.
    """
    blocks = -(-len(masses) // BLOCK)
    padding = ((0, 0), (0, blocks * BLOCK - len(masses)))
    shape = (-1, blocks, BLOCK)
    near, far, both = (
        np.pad(each, padding).reshape(shape) for each in (fine, coarse * masses, fine * masses)
    )
    product = np.matmul(far.transpose(1, 0, 2), near.transpose(1, 2, 0)).sum(axis=0)
    alone, other = (each.sum(axis=2).sum(axis=1) for each in (far, both))
    return product + alone[:, None] + other[None, :], BLOCK + blocks + 8


def _turns(angles: Floats) -> NDArray[np.complex128]:
    """Return exp(i angle) - 1 without cancellation."""
    sines = np.sin(angles / 2)
    return 2 * sines * (1j * np.cos(angles / 2) - sines)
