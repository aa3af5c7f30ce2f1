"""Sums of Gaussians and sampled Gaussians by contour integrals, from above and from below.

With M(z) = E exp(z * loss) of the sum, and t > 0, delta(e) is the integral of
M(z) exp(-z e) / (z (z + 1)) over the line z = t + iw, by 2 pi i. No lattice of losses is involved:
the trapezoidal rule in w adds the deltas one period away and further, which Chernoff bounds; what
lies beyond the last frequency is bounded because a density of losses contains rectangles, whose
transforms decay; and moments are integrals over outcomes of functions that are analytic in a strip,
for which the trapezoidal rule is exact but for a bounded error. Rounding is bounded and added.

The integral is that of the analytical Fourier accountant (Zhu, Dong & Wang 2022, arXiv:2106.08567)
and of the saddle-point accountant (Alghamdi et al. 2023, arXiv:2208.09595), which bound fewer
errors. The proof is in `docs/accounting.md`. Both ends of the interval differ by about 1e-9.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from dp_synth.accounting.dots import ROUGH, UNIT, Floats
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    Public,
    SampledGaussian,
    TruncatedGaussian,
)
from dp_synth.errors import UnsupportedEvent

RATIO = 1.2  # from one tilt to the next
DIGITS = 27.0  # logarithm of the inverse relative error that is aimed at
IMAGES = 34.0  # the same of deltas a period away
TAIL = 60.0  # logarithm of the inverse chance of outcomes that are left out
STRIP = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)  # half widths in which moments are analytic
CELLS = 4000  # of outcomes, in which a density is bounded from below
MOST_OUTCOMES = 16_000  # of one quadrature
FEWEST = 8  # steps, of which something may be hoped
MOST_TERMS = 30_000_000  # outcomes times frequencies
FAR = 600.0  # exponent beyond which exp() is not taken
STEEPEST = 80  # of the ladder of tilts
LEAST_MASS = 1e-24  # of an outcome that counts in a transform
MOST_FREQUENCIES = 20_000.0  # beyond the inverse deviation
WIDEST = 1e-4  # relative width of an interval that is worth having
FARTHER = 1.5  # means of a tilted sum over the losses of interest, at most
WIDER = (
    0.05,
    0.2,
    0.5,
    1.0,
    2.0,
    3.0,
    5.0,
    8.0,
    12.0,
)  # deviations to a second tilt, of a Chernoff bound


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
        y = spacing * np.arange(math.floor(first / spacing), math.ceil(last / spacing) + 1)
        ratio, rough = _log_ratio(mean, step.rate, y)
        logs = power * ratio - y * y / 2
        weights.append(logs + math.log(chance * spacing) - math.log(2 * math.pi) / 2)
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


def _log_ratio(mean: float, rate: float, y: Floats) -> tuple[Floats, Floats]:
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
        ratio = float(_log_ratio(mean, rate, np.array([last]))[0][0])
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
    ratio, _ = _log_ratio(mean, step.rate, y)
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


@dataclass(frozen=True, eq=False)
class Level:
    """Transforms of the sum's tilted law at multiples of ``spacing``, divided by their poles."""

    tilt: float
    log_moment: float
    spacing: float
    terms: NDArray[np.complex128]
    error: float  # of the sum over all terms, and beyond them
    slack: float  # of the logarithm of the moment
    beyond: tuple[tuple[float, float], ...]  # other tilts, and the log moments there
    farthest: float = math.inf  # epsilon up to which deltas a period away hardly count

    def bounds(self, epsilons: Floats) -> tuple[Floats, Floats]:
        """Return the logarithms of lower and upper bounds on delta at each epsilon.

        Of deltas a period away and further: those above by Chernoff, those below at most 1.
        """
        w = self.spacing * np.arange(len(self.terms))
        phase = np.exp(-1j * np.outer(epsilons, w))
        total = (phase @ self.terms).real * self.spacing / math.pi
        size = float(np.abs(self.terms).sum()) * self.spacing / math.pi
        error = self.error + size * UNIT * (len(w) + 8)
        error = error + 2 * UNIT * np.abs(epsilons) * float(np.abs(self.terms) @ w) * self.spacing
        exponent = self.log_moment - self.tilt * epsilons
        slack = self.slack + 4 * UNIT * (abs(self.log_moment) + self.tilt * np.abs(epsilons) + 1)
        period = 2 * math.pi / self.spacing
        images = -self.tilt * period - exponent + slack
        images = images - math.log(-math.expm1(-self.tilt * period))
        above = np.full(np.shape(epsilons), np.inf)
        for tilt, log_moment in self.beyond:
            further = tilt - self.tilt
            found = log_moment - self.log_moment - further * (epsilons + period) + 1 + slack
            above = np.minimum(above, found - math.log(-math.expm1(-further * period)))
        with np.errstate(divide="ignore", invalid="ignore"):
            least = total - error - np.exp(np.minimum(images, FAR)) - np.exp(np.minimum(above, FAR))
            low = np.log(np.maximum(least, 0.0)) + exponent - slack
            high = np.log(total + error) + exponent + slack
        return low, np.minimum(np.where(np.isnan(high), np.inf, high), 0.0)


class ContourSum:
    """The sum of all losses of Gaussians and sampled Gaussians, in one direction of adjacency."""

    def __init__(self, precision: float, steps: Sequence[tuple[Step, int]]) -> None:
        self.precision = precision
        self.steps = tuple(steps)
        self._levels: dict[int, Level] = {}
        self._moments: dict[float, tuple[float, float, float]] = {}
        _, _, variance = self.moments(0.0)
        if not variance > 0:
            raise UnsupportedEvent("losses without a deviation need no contour")
        self._start = -math.log(variance) / 2 / math.log(RATIO)

    def log_deltas(self, epsilons: Floats) -> tuple[Floats, Floats]:
        """Return the logarithms of lower and upper bounds on delta at each epsilon >= 0."""
        numbers = np.array([self._number_at(epsilon) for epsilon in epsilons.tolist()])
        low, high = np.empty(len(epsilons)), np.empty(len(epsilons))
        for number in np.unique(numbers):
            here = numbers == number
            level = self._affordable(int(number), float(epsilons[here].max()))
            low[here], high[here] = level.bounds(epsilons[here])
        return low, high

    def epsilons(self, log_delta: float) -> tuple[float, float]:
        """Return a lower and an upper bound on the least epsilon >= 0 at a delta."""

        def height(tilt: float) -> float:
            found = self.moments(tilt)[0] - log_delta - math.log(tilt) - math.log1p(tilt)
            return found / tilt

        number = self._lowest(height)
        last = max(height(RATIO ** (self._start + number)), 0.0)
        level = self._affordable(self._tame(number, last), last)
        last += 10 * math.sqrt(self.moments(level.tilt)[2])
        upper = _first_where(lambda e: level.bounds(e)[1] <= log_delta, last)
        nearby = upper * (1 - np.geomspace(4e-15, 1e-2, 60))
        larger = level.bounds(nearby)[0] > log_delta
        return float(nearby[np.argmax(larger)]) if larger.any() else 0.0, upper

    def chernoff(self, epsilon: float, log_delta: float) -> bool:
        """Whether a moment alone shows that delta is smaller than this."""
        for number in range(0, 40, 2):
            try:
                tilt = RATIO ** (self._start + number)
                value, mean, _ = self.moments(tilt)
            except UnsupportedEvent:
                return False
            if value * (1 + 1e-9) - tilt * epsilon < log_delta - 1e-6:
                return True
            if mean > epsilon:
                return False
        return False

    def moments(self, tilt: float) -> tuple[float, float, float]:
        """Return the log moment at a tilt, and mean and variance of the tilted sum."""
        if tilt not in self._moments:
            value = self.precision * tilt * (tilt + 1) / 2
            mean, variance = self.precision * (tilt + 0.5), self.precision
            for step, count in self.steps:
                law = tilted(step, tilt)
                value += count * law.log_moment
                mean += count * law.mean
                variance += count * law.variance
            self._moments[tilt] = value, mean, variance
        return self._moments[tilt]

    def level(self, number: int, epsilon: float) -> Level:
        """Return the transforms at one tilt of the ladder, made for epsilons up to this."""
        if number not in self._levels or self._levels[number].farthest < epsilon:
            self._levels[number] = self._made(RATIO ** (self._start + number), epsilon)
        return self._levels[number]

    def _affordable(self, number: int, epsilon: float) -> Level:
        """Return a level at or a little below this one whose transforms are few enough."""
        for lower in (number, number - 1, number - 2):
            with suppress(UnsupportedEvent):
                return self.level(lower, epsilon)
        return self.level(number - 3, epsilon)

    def _number_at(self, epsilon: float) -> int:
        """Return the level at whose tilt the integrand is smallest on the real line."""

        def height(tilt: float) -> float:
            return self.moments(tilt)[0] - tilt * epsilon - math.log(tilt) - math.log1p(tilt)

        return self._tame(self._lowest(height), epsilon)

    def _tame(self, number: int, epsilon: float) -> int:
        """Return a level at or below, where rare large losses do not make all of the sum."""
        for lower in range(number, number - 4, -1):
            tilt = RATIO ** (self._start + lower)
            if self.moments(tilt)[1] <= FARTHER * (epsilon + 2 / tilt):
                return lower
        return number

    def _lowest(self, height: Callable[[float], float]) -> int:
        """Return the level where a function of the tilt that falls and then rises is lowest."""

        def at(number: int) -> float:
            try:
                found = height(RATIO ** (self._start + number))
            except (UnsupportedEvent, OverflowError):
                return math.inf
            return found if math.isfinite(found) else math.inf

        number = 0
        for stride in (4, 1):
            for way in (stride, -stride):
                while abs(number) < STEEPEST and at(number + way) < at(number):
                    number += way
        return number

    def _made(self, tilt: float, farthest: float) -> Level:
        log_moment, mean, variance = self.moments(tilt)
        deviation = math.sqrt(variance)
        size = math.log(tilt * (tilt + 1) * 2.5 * deviation)
        highest = self._highest(tilt, -DIGITS - size, 1 / deviation)
        farthest = max(farthest, mean - 1 / tilt - 1 / (tilt + 1)) + deviation / 4
        beyond = []
        period = (IMAGES + size - (log_moment - tilt * farthest)) / tilt
        wanted = math.inf
        for factor in WIDER:
            with suppress(UnsupportedEvent):
                further = factor / deviation
                value, _, _ = self.moments(tilt + further)
                beyond.append((tilt + further, value))
                reach = value - log_moment - further * (farthest - deviation) + size + IMAGES
                wanted = min(wanted, reach / further)
        period = max(period, wanted)
        if not math.isfinite(period):
            raise UnsupportedEvent("moments of these losses need too many outcomes")
        spacing = 2 * math.pi / period
        grain = 2.0 ** (math.floor(math.log2(spacing)) - 20)
        spacing = math.floor(spacing / grain) * grain  # its multiples are exact
        w = spacing * np.arange(math.ceil(highest / spacing) + 1)
        return replace(self._transformed(tilt, log_moment, w, tuple(beyond)), farthest=farthest)

    def _highest(self, tilt: float, least: float, start: float) -> float:
        """Return a frequency from which on the transforms add less than exp(``least``)."""
        slices = [
            (rectangles(step, tilt, tilted(step, tilt).log_moment), count)
            for step, count in self.steps
        ]

        def enough(w: float) -> bool:
            return self._decay(slices, w) - math.log(math.pi * w) <= least

        high = start
        while not enough(high):
            high *= 1.5
            if high > MOST_FREQUENCIES * start:
                raise UnsupportedEvent("transforms of these losses hardly decay")
        return high

    def _decay(self, slices: Sequence[tuple[Rectangles, int]], w: float) -> float:
        parts = [count * each.log_modulus(w) for each, count in slices]
        return math.fsum(parts) - self.precision * w * w / 2

    def _transformed(
        self,
        tilt: float,
        log_moment: float,
        w: Floats,
        beyond: tuple[tuple[float, float], ...],
    ) -> Level:
        """Return the level with its transforms at the frequencies ``w``, and all their errors."""
        power = -self.precision * w * w / 2 + 1j * self.precision * w * (tilt + 0.5)
        rough = ROUGH * self.precision * (w * w + w * (tilt + 1))
        rounding, growth = np.zeros(len(w)), 0.0
        slack = ROUGH * (1 + abs(log_moment) + self.precision * (tilt + 1) ** 2)
        slices = []
        for step, count in self.steps:
            law = tilted(step, tilt, float(w[-1]))
            slices.append((rectangles(step, tilt, law.log_moment), count))
            logs, sizes, error = _logarithms(law, w)
            most = np.minimum(np.exp(logs.real) + error, 1.0)
            rounding += count * error * most ** (count - 1)
            growth += count * float(error.max())
            rough = rough + count * ROUGH * sizes
            power = power + count * logs
            slack += count * law.log_error
        poles = (tilt + 1j * w) * (tilt + 1 + 1j * w)
        terms = np.exp(power) / poles
        terms[0] /= 2
        spacing = float(w[1] - w[0])
        errors = rounding * np.exp(-self.precision * w * w / 2) + np.abs(np.exp(power)) * rough
        error = float((errors / np.abs(poles)).sum()) * spacing / math.pi * math.exp(2 * growth)
        last = float(w[-1])
        error += math.exp(self._decay(slices, last)) / (math.pi * last) * (1 + 1e-9)
        return Level(tilt, log_moment, spacing, terms, error, slack, beyond)


def _logarithms(law: Tilted, w: Floats) -> tuple[NDArray[np.complex128], Floats, Floats]:
    """Return the logarithms of a tilted law's transforms, and bounds on two errors.

    That of the logarithm itself, over the rounding of one operation, and that of the transform. It
    is the mean of exp(i w loss) - 1, whose terms are tiny where they count: so are their errors.
    """
    kept = law.masses > LEAST_MASS
    losses, masses = law.losses[kept], law.masses[kept]
    if len(losses) * len(w) > MOST_TERMS:
        raise UnsupportedEvent("transforms of these losses need too many terms")
    some = math.isqrt(len(w)) + 1  # frequencies are sums of few coarse ones and few fine ones
    fine, coarse = (_turns(np.outer(each, losses)) for each in (w[:some], w[::some]))
    coarse *= masses
    whole = coarse @ fine.T + coarse.sum(axis=1)[:, None] + (fine @ masses)[None, :]
    values = whole.ravel()[: len(w)]
    size = np.minimum(2 * w * float(masses @ np.abs(losses)), 8.0)
    error = (
        law.beyond + np.minimum(w * law.slope, 4 * law.error) + 2 * UNIT * (len(masses) + 8) * size
    )
    x, y = values.real, values.imag
    modulus = np.maximum((1 + x) ** 2 + y * y, UNIT)
    logs = np.log1p(np.maximum(2 * x + x * x + y * y, UNIT - 1)) / 2 + 1j * np.arctan2(y, 1 + x)
    return logs, 4 * (np.abs(x) + np.abs(y)) / modulus, error


def _turns(angles: Floats) -> NDArray[np.complex128]:
    """Return exp(i angle) - 1 without cancellation."""
    sines = np.sin(angles / 2)
    return 2 * sines * (1j * np.cos(angles / 2) - sines)


def _first_where(holds: Callable[[Floats], NDArray[np.bool_]], last: float) -> float:
    """Return the least number from 0 to about ``last`` where something starts to hold."""
    points = np.linspace(0.0, last, 65)
    if holds(points[:1])[0]:
        return 0.0
    for _ in range(12):
        found = np.flatnonzero(holds(points))
        if not len(found):
            raise UnsupportedEvent("no contour tells where delta is so small")
        low, high = float(points[found[0] - 1]), float(points[found[0]])
        if high - low <= 4e-15 * high:
            break
        points = np.linspace(low, high, 33)
    return high


class Contours:
    """Both directions of adjacency: the larger delta holds."""

    def __init__(self, sums: Sequence[ContourSum]) -> None:
        self.sums = tuple(sums)

    def epsilon(self, delta: float) -> float:
        """Return an upper bound on the least epsilon >= 0 at ``delta``."""
        return self.epsilons(delta)[1]

    def epsilons(self, delta: float) -> tuple[float, float]:
        """Return a lower and an upper bound on the least epsilon >= 0 at ``delta``."""
        if not delta > 0:
            return math.inf, math.inf
        log_delta = math.log(delta) * (1 + 2 * UNIT)
        removed, *others = self.sums
        lower, upper = removed.epsilons(log_delta)
        for other in others:
            if not other.chernoff(upper, log_delta):
                low, high = other.epsilons(log_delta)
                lower, upper = max(lower, low), max(upper, high)
        if upper - lower > WIDEST / 10 * max(upper, WIDEST):
            raise UnsupportedEvent("a contour tells too little of these losses")
        return lower, upper

    def deltas(self, epsilons: Floats) -> Floats:
        """Return upper bounds on delta at each of the ``epsilons`` >= 0, shape alike."""
        return self.intervals(epsilons)[1]

    def intervals(self, epsilons: Floats) -> tuple[Floats, Floats]:
        """Return lower and upper bounds on delta at each of the ``epsilons`` >= 0, shape alike."""
        removed, *others = self.sums
        low, high = removed.log_deltas(epsilons)
        for other in others:
            rest = np.array(
                [
                    not other.chernoff(e, least)
                    for e, least in zip(epsilons.tolist(), low.tolist(), strict=True)
                ]
            )
            if rest.any():
                below, above = other.log_deltas(epsilons[rest])
                low[rest] = np.maximum(low[rest], below)
                high[rest] = np.maximum(high[rest], above)
        if np.any(high - low > WIDEST):
            raise UnsupportedEvent("a contour tells too little of these losses")
        return np.exp(low) * (1 - ROUGH), np.minimum(np.exp(high) * (1 + ROUGH), 1.0)

    def delta(self, epsilon: float) -> float:
        """Return an upper bound on delta at ``epsilon`` >= 0."""
        return float(self.deltas(np.array([epsilon]))[0])


@lru_cache(maxsize=8)
def contours(sequence: tuple[tuple[Event, int], ...]) -> Contours:
    """Return the composed losses of Gaussians and sampled Gaussians, of one at least.

    UnsupportedEvent for other events, and for so few steps that transforms hardly decay.
    """
    precision = 0.0
    kinds: dict[Event, int] = {}
    for event, count in sequence:
        match event:
            case Public():
                continue
            case Gaussian() | SampledGaussian(rate=1.0):
                steps = event.steps if isinstance(event, SampledGaussian) else 1
                precision += count * steps / event.noise_multiplier / event.noise_multiplier
            case SampledGaussian() | TruncatedGaussian():
                once = replace(event, steps=1)
                kinds[once] = kinds.get(once, 0) + count * event.steps
            case _:
                raise UnsupportedEvent(f"the transform of {event!r} is not known")
    if not kinds:
        raise UnsupportedEvent("Gaussians alone have a closed form")
    if not precision and sum(kinds.values()) < FEWEST:
        raise UnsupportedEvent("transforms of so few steps hardly decay")
    return Contours(
        [
            ContourSum(precision, [(_step(kind, removed), n) for kind, n in kinds.items()])
            for removed in (True, False)
        ]
    )


def _step(event: Event, removed: bool) -> Step:
    assert isinstance(event, SampledGaussian | TruncatedGaussian)
    mean = 1 / event.noise_multiplier
    cut = event.cut_once if isinstance(event, TruncatedGaussian) else 0.0
    return Step(((1 - cut, mean), (cut, 2 * mean)), event.rate, removed)
