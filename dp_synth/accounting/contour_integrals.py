"""Contour integrals through the saddle point: sums of sampled Gaussians, from above and below.

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

from dp_synth.accounting.discretization import ROUGH, UNIT
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    NoOp,
    SampledGaussian,
    TruncatedGaussian,
)
from dp_synth.accounting.subsampled_moments import (
    DIGITS,
    FAR,
    Rectangles,
    Step,
    log_transforms,
    rectangles,
    tilted,
)
from dp_synth.errors import UnsupportedEvent
from dp_synth.types import Floats

RATIO = 1.2  # from one tilt to the next
IMAGES = 34.0  # the same of deltas a period away
FEWEST = 8  # steps, of which something may be hoped
STEEPEST = 80  # of the ladder of tilts
MOST_FREQUENCIES = 20_000.0  # beyond the inverse deviation
WIDEST = 1e-4  # relative width of an interval that is worth having
SHARP = 2e-7  # the same of epsilon, from which on more digits are asked for
FINE = 1e-6  # the same, up to which no lattice is asked
CAREFUL = 9.0  # of these, in logarithms
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
        phases = np.abs(epsilons) * float(np.abs(self.terms) @ w) * self.spacing
        error = self.error + UNIT * (size * (len(w) + 8) + 2 * phases)
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

    def __init__(
        self, precision: float, steps: Sequence[tuple[Step, int]], *, careful: bool = False
    ) -> None:
        self.careful = careful
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

    def is_blurred(self, log_delta: float) -> bool:
        """Whether errors alone keep bounds on epsilon so far apart that a lattice tells more.

        Bounds on delta lie twice the level's error apart. A delta is convex in epsilon and at most
        the root of the mean squared loss, so that it falls by no more than that over epsilon for
        each unit.
        """
        level, end = self._likely(log_delta)
        _, mean, variance = self.moments(0.0)
        error = level.error * math.exp(min(level.log_moment - level.tilt * end, FAR))
        return error > FINE * math.sqrt(variance + mean * mean)

    def epsilons(self, log_delta: float) -> tuple[float, float]:
        """Return a lower and an upper bound on the least epsilon >= 0 at a delta."""
        level, end = self._likely(log_delta)
        upper = _first_where(lambda e: level.bounds(e)[1] <= log_delta, end)
        nearby = upper * (1 - np.geomspace(4e-15, 1e-2, 60))
        larger = level.bounds(nearby)[0] > log_delta
        return float(nearby[np.argmax(larger)]) if larger.any() else 0.0, upper

    def _likely(self, log_delta: float) -> tuple[Level, float]:
        """Return the level that tells where delta is so small, and an epsilon beyond that."""

        def height(tilt: float) -> float:
            found = self.moments(tilt)[0] - log_delta - math.log(tilt) - math.log1p(tilt)
            return found / tilt

        number = self._lowest(height)
        last = max(height(RATIO ** (self._start + number)), 0.0)
        level = self._affordable(self._tame(number, last), last)
        return level, last + 10 * math.sqrt(self.moments(level.tilt)[2])

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
        digits = DIGITS + CAREFUL * self.careful
        highest = self._highest(tilt, -digits - size, 1 / deviation)
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
        w = spacing * np.arange(math.ceil(highest / spacing) + 1.0)
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
        gaussian = np.exp(-self.precision * w * w / 2)
        power = -self.precision * w * w / 2 + 1j * self.precision * w * (tilt + 0.5)
        rough = ROUGH * self.precision * (w * w + w * (tilt + 1))
        rounding, growth = np.zeros(len(w)), 0.0
        slack = ROUGH * (1 + abs(log_moment) + self.precision * (tilt + 1) ** 2)
        slices = []
        for step, count in self.steps:
            law = tilted(step, tilt, float(w[-1]))
            slices.append((rectangles(step, tilt, law.log_moment), count))
            logs, sizes, error = log_transforms(law, w, careful=self.careful)
            size = np.minimum(np.exp(logs.real) + error, 1.0)
            rounding += count * error * size ** (count - 1)
            growth += count * float(error.max())
            rough = rough + count * ROUGH * sizes
            power = power + count * logs
            slack += count * law.log_error
        poles = (tilt + 1j * w) * (tilt + 1 + 1j * w)
        transforms = np.exp(power)
        terms = np.asarray(transforms / poles, dtype=np.complex128)
        terms[0] /= 2
        spacing, last = float(w[1] - w[0]), float(w[-1])
        errors = (rounding * gaussian + np.abs(transforms) * rough) / np.abs(poles)
        most = float(errors.sum()) * spacing / math.pi * math.exp(2 * growth)
        most += math.exp(self._decay(slices, last)) / (math.pi * last) * (1 + 1e-9)
        return Level(tilt, log_moment, spacing, terms, most, slack, beyond)


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
        """Return an upper bound on the least epsilon >= 0 at ``delta``.

        UnsupportedEvent where a lattice that is fine enough tells it better.
        """
        if delta > 0 and all(each.is_blurred(_log_below(delta)) for each in self.sums):
            raise UnsupportedEvent("a lattice tells more of these losses")
        lower, upper = self.epsilons(delta)
        if math.isfinite(upper) and upper - lower > FINE * upper:
            raise UnsupportedEvent("a lattice tells more of these losses")
        return upper

    def epsilons(self, delta: float) -> tuple[float, float]:
        """Return a lower and an upper bound on the least epsilon >= 0 at ``delta``."""
        if not delta > 0:
            return math.inf, math.inf
        log_delta = _log_below(delta)
        lower, upper = self._between(log_delta)
        if upper - lower > SHARP * upper:
            with suppress(UnsupportedEvent):
                low, high = self._careful._between(log_delta)
                lower, upper = max(lower, low), min(upper, high)
        if upper - lower > WIDEST / 10 * max(upper, WIDEST):
            raise UnsupportedEvent("a contour tells too little of these losses")
        return lower, upper

    @cached_property
    def _careful(self) -> Contours:
        """The same with more digits, which takes longer."""
        return Contours([ContourSum(s.precision, s.steps, careful=True) for s in self.sums])

    def _between(self, log_delta: float) -> tuple[float, float]:
        removed, *others = self.sums
        lower, upper = removed.epsilons(log_delta)
        for other in others:
            if not other.chernoff(upper, log_delta):
                low, high = other.epsilons(log_delta)
                lower, upper = max(lower, low), max(upper, high)
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


def _log_below(delta: float) -> float:
    """Return the logarithm of a delta, rounded down."""
    return math.log(delta) * (1 + 2 * UNIT)


@lru_cache(maxsize=8)
def contours(sequence: tuple[tuple[Event, int], ...]) -> Contours:
    """Return the composed losses of Gaussians and sampled Gaussians, of one at least.

    UnsupportedEvent for other events, and for so few steps that transforms hardly decay.
    """
    precision = 0.0
    kinds: dict[Event, int] = {}
    for event, count in sequence:
        match event:
            case NoOp():
                continue
            case SampledGaussian(is_simple=False):
                raise UnsupportedEvent("the transform of several rows of a unit is not known")
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
