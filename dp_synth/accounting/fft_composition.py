"""Composition by tilted Fourier transforms, whose rounding is bounded and added to delta.

The chances of a sum of losses are a convolution, which is taken by a fast Fourier transform on a
cyclic window. Its rounding errors are of about one size in all bins, so that a small delta would
drown in them. Hence each part is tilted first: chances are multiplied by exp(t * loss) and scaled
to sum to one, which moves the bulk of the sum to the losses of interest, and undone afterwards;
errors are then relative to the delta that is asked for. How far t must go is read from the sum's
own cumulants: levels of tilting lie a few standard deviations apart, whatever the events are.

Proof that nothing is missing: `docs/accounting.md`, with the bound on the transforms' error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting.discretization import ROUGH, UNIT, Dots
from dp_synth.errors import UnsupportedEvent
from dp_synth.types import Floats

Parts = Sequence[tuple[Dots, int]]

MOST_BINS = 2**23  # of a transform, in memory
BACK = 0.8  # of the tilt that lies nearest: far from where rare large losses take over
STEEPEST = 0.1  # tilt for each step of the lattice, at most
NEAR = 0.9  # of the Chernoff exponent of the steepest tilt: as far as levels go
LEVEL = 2.5  # standard deviations from one level of tilting to the next
LAST_LEVEL = 16  # deltas near 1e-347
OUTSIDE = 32.0  # logarithm of the inverse of the chance that may lie beyond a window's end
CLEAR = 0.01  # of a logarithm that floating point may be wrong by, and far more than it is
HEAVY = 0.05  # fourth cumulant over squared variance from which a sum is unlike a Gaussian
FEW_BINS = 2**19  # of a transform that takes a fraction of a second
Cells = list[tuple[Floats, Floats, int]]  # losses, logarithms of chances, how often
SLACK_OF_SUMS = 2.0**-30  # relative, of a sum of squares of as many terms as fit into memory
FARTHEST = 600.0  # in logarithms: what numbers in one sum may differ by
BLURRED = 1e-4  # relative error of a delta from which transforms are taken with more digits
SMALL = 1e-15  # a delta down to which a lattice is made fine
FEW_CELLS = 4000  # from which on cumulants are computed from fewer
COARSE = 0.015  # relative width of the cells from which cumulants are computed


@dataclass(frozen=True, eq=False)
class _Tilted:
    """The tilted chances of each part, and the window in which their sum is taken."""

    tilt: float
    chances: list[Floats]
    first: int
    bins: int
    log_scale: float  # of the sum's tilted chances before they were scaled to one
    slack: float  # bound on the relative rounding error of the scaled chances
    log_beyond: float  # of what may lie above the window
    dropped: float  # chance of what was left out: some loss so large that its part was cut


class LossSum:
    """The sum of independent losses on one lattice, each with how often it occurs."""

    def __init__(self, parts: Parts) -> None:
        self.parts = tuple(parts)
        self.step = self.parts[0][0].step
        kept = math.fsum(count * math.log1p(-min(d.infinite, 1 - UNIT)) for d, count in self.parts)
        self.infinite = min(1.0, (0.0 - math.expm1(kept)) * (1 + 8 * UNIT))
        if len(self.parts) == 1 and self.parts[0][1] == 1:
            self.infinite = self.parts[0][0].infinite
        self._levels: dict[int, Level] = {}
        self._finer: set[int] = set()  # the levels of more digits
        self._tilts: dict[int, float] = {0: 0.0}

    def delta(self, epsilons: Floats) -> Floats:
        """Return upper bounds on delta at each of the ``epsilons``, shape alike."""
        highest = self._level_at(float(np.max(epsilons, initial=0.0)))
        found = np.full(np.shape(epsilons), np.inf)
        lowest = highest if np.size(epsilons) == 1 else 0
        for number in range(lowest, highest + 1):
            found = np.minimum(found, self.level(number).delta(epsilons))
        if np.size(epsilons) == 1 and self._made_finer(highest, float(np.max(epsilons))):
            found = np.minimum(found, self.level(highest).delta(epsilons))
        found = np.where(np.isfinite(found), found, 1.0)  # below the lowest window
        return np.asarray(np.minimum(self.infinite + found * (1 + UNIT), 1.0))

    def epsilon(self, delta: float) -> float:
        """Return an upper bound on the least epsilon >= 0 at ``delta``; infinite when none is."""
        left = (delta - self.infinite) * (1 - 4 * UNIT)
        if left < 0:
            return math.inf
        number = self._likely(-math.log(max(left, 1e-320)))
        for _ in range(8):
            found = self.level(number).epsilon(left)
            there = self._level_at(found) if math.isfinite(found) else number + 1
            if there == number and self._made_finer(number, found):
                continue
            if there == number or number >= LAST_LEVEL:
                break
            number = there
        return max(0.0, found)

    def _made_finer(self, number: int, epsilon: float) -> bool:
        """Take a level's transforms with more digits where rounding counts at ``epsilon``."""
        if number in self._finer or not self.level(number).is_rough(epsilon):
            return False
        self._finer.add(number)
        self._levels[number] = self._made(number, np.longdouble)
        return True

    def blur(self) -> float:
        """Return about how far rounding single losses to the lattice raises delta, relatively.

        It adds to the variance of the sum, and half of that times the density of losses to delta.
        Where few large losses make the sum, its bulk is much narrower than its deviation, so
        that the density is looked at; else, and at small deltas, the tilt says it.
        """
        if self._is_single:  # exact on the lattice, chords in between
            deltas = self.level(0).deltas[max(1, 1 - self.level(0).first) :]
            deltas = deltas[deltas > SMALL]
            if len(deltas) < 3:
                return 0.0
            bends, falls = np.diff(deltas, 2) / 8, -np.diff(deltas)[1:]
            places = np.arange(2, len(bends) + 2)  # epsilons, in steps
            of_epsilon = bends / np.maximum(falls * places, SMALL * SMALL)
            return float(np.max(np.minimum(bends / deltas[1:-1], of_epsilon)))
        worst = 0.0
        for number in (1, 2, 3):
            tilt = self._tilt(number)
            worst = max(worst, tilt * (tilt + 1) / 2 * self._excess(tilt))
        variance = fourth = 0.0
        for losses, log_chances, count in self._cells:
            chances = np.exp(log_chances)
            away = losses - float(chances @ losses)
            second = float(chances @ away**2)
            variance += count * second
            fourth += count * (float(chances @ away**4) - 3 * second**2)
        there = (LEVEL * 3) ** 2 / (variance or 1.0)
        if fourth > HEAVY * variance**2:
            there = max(self.level(number).sharpness() for number in (0, 1))
        return max(worst, self._excess(0.0) * there / 2)

    def _excess(self, tilt: float) -> float:
        """Return about how much rounding adds to the variance of the tilted sum."""
        total = 0.0
        for losses, log_chances, count in self._cells:
            powers = log_chances + tilt * losses
            weights = np.exp(powers - float(powers.max()))
            each = np.minimum(np.abs(losses), self.step / 6) * self.step
            total += count * float(weights @ each) / float(weights.sum())
        return total

    def level(self, number: int) -> Level:
        """Return the bounds from one of the tilts, which are made once."""
        if number not in self._levels:
            self._levels[number] = self._made(number)
        return self._levels[number]

    def _number(self, exponent: float) -> int:
        """Return the level whose tilted law lies where chances are near exp(-exponent)."""
        if self._is_single:
            return 0
        return min(LAST_LEVEL, round(math.sqrt(2 * max(exponent, 0.0)) / LEVEL))

    def _likely(self, exponent: float) -> int:
        """Return the level where a delta of exp(-exponent) most likely lies.

        About its saddle point t, delta is a chance over (t + 1) and, of a sum like a Gaussian,
        sqrt(2 pi) times as many deviations as that chance is away.
        """
        number = self._number(exponent)
        if not number:
            return 0
        smaller = (1 + self._tilt(number) / BACK) * math.sqrt(4 * math.pi * exponent)
        return self._number(exponent - math.log(smaller))

    def _level_at(self, epsilon: float) -> int:
        """Return the level whose tilted law lies nearest to ``epsilon``."""
        if self._is_single or epsilon <= cumulants(self._cells, 0.0)[1]:
            return 0
        low, high = 0.0, 1 / self.step
        for _ in range(60):
            middle = (low + high) / 2 if low else high / 16
            value, mean = cumulants(self._cells, middle)
            low, high = (middle, high) if mean < epsilon else (low, middle)
            if low and high < low * 1.01:
                break
        value, mean = cumulants(self._cells, high)
        return self._number(high * mean - value)

    @property
    def _is_single(self) -> bool:
        return len(self.parts) == 1 and self.parts[0][1] == 1

    @cached_property
    def _cells(self) -> Cells:
        """Losses and chances of each part on few points, of no smaller moments exp(t * loss)."""
        return [(*coarse(dots), count) for dots, count in self.parts]

    def _tilt(self, number: int) -> float:
        """Return the tilt of a level: near where the Chernoff exponent is so many deviations'."""
        if number not in self._tilts:
            steepest = STEEPEST / self.step
            value, mean = cumulants(self._cells, steepest)
            exponent = min((LEVEL * number) ** 2 / 2, NEAR * (steepest * mean - value))
            self._tilts[number] = BACK * to_exponent(self._cells, 0.0, exponent, steepest)[0]
        return self._tilts[number]

    def _made(self, number: int, digits: type[np.floating] = np.float64) -> Level:
        """Return a level, of a smaller tilt where rare large losses would fill a huge window."""
        if self._is_single:
            return self._exact()
        tilt = self._tilt(number)
        tilted = self._tilted(tilt)
        for _ in range(4):
            if tilted.bins <= FEW_BINS or not tilt:
                break
            other = self._tilted(BACK * tilt)
            tilt *= BACK
            tilted = other if other.bins < tilted.bins else tilted
        return self._untilted(tilted, self._transformed(tilted, digits))

    def _tilted(self, tilt: float) -> _Tilted:
        """Return each part's chances times exp(``tilt`` * loss), scaled to sum to one."""
        chances, cells = [], []
        log_scale = slack = dropped = 0.0
        for (dots, count), (losses, log_chances, _) in zip(self.parts, self._cells, strict=True):
            powers = dots.log_chances + tilt * dots.losses
            scale = float(powers.max())
            scale += math.log(float(np.exp(powers - scale).sum()))
            tilted = np.exp(powers - scale)
            log_scale += count * scale
            seen = dots.log_chances[np.isfinite(dots.log_chances)]
            largest = float(np.abs(seen).max(initial=0.0)) + tilt * float(np.abs(dots.losses).max())
            slack += count * ROUGH * (largest + abs(scale) + 4)
            above = np.append(np.cumsum(tilted[::-1])[::-1], 0.0)
            allowed = math.exp(-OUTSIDE) / count / len(self.parts)
            rare = dots.first + int(np.searchsorted(-above, -allowed))  # losses from here on
            few = int(np.searchsorted(losses, self.step * (rare - 1.5))) + 1
            if few < len(losses):
                end = round(float(losses[few - 1]) / self.step) + 1 - dots.first
                dropped += count * float(above[end])
                tilted = tilted[:end]
            chances.append(tilted)
            cells.append((losses[:few], log_chances[:few], count))
        first, bins, beyond = self._window(tilt, cells)
        return _Tilted(tilt, chances, first, bins, log_scale, slack, beyond - log_scale, dropped)

    def _window(self, tilt: float, cells: Cells) -> tuple[int, int, float]:
        """Return the first loss and the number of bins that hold a tilted law but for its tails.

        Third comes the logarithm of how much of the moment at ``tilt`` may lie above the window.
        """
        top = to_exponent(cells, tilt, OUTSIDE, 1 / self.step)[1]
        bottom = to_exponent(cells, tilt, OUTSIDE, -1 / self.step)[1]
        least = sum(count * dots.first for dots, count in self.parts)
        first = max(least, math.floor(bottom / self.step))
        last = min(self._most, math.ceil(top / self.step) + 1)
        bins = 2 ** max(4, math.ceil(math.log2(last - first + 2)))
        beyond = -math.inf if last == self._most else cumulants(cells, tilt)[0] - OUTSIDE + CLEAR
        return last - bins + 1, bins, beyond

    def _transformed(self, tilted: _Tilted, digits: type[np.floating]) -> tuple[Floats, float]:
        """Return the chances of the tilted sum in its window, and the norm of their error."""
        from scipy import fft

        bins = tilted.bins
        if bins > MOST_BINS:
            raise UnsupportedEvent(
                f"a sum of losses on {bins} points is too large, the most is {MOST_BINS}"
            )
        unit = float(np.finfo(digits).eps) / 2
        rate = 8 * unit * math.log2(bins)
        norms = growth = 0.0
        origin = 0
        spectrum: Any = None
        with fft.set_backend("scipy", only=True):  # the transforms whose rounding is bounded
            for (dots, count), chances in zip(self.parts, tilted.chances, strict=True):
                folded = folded_onto(chances, bins)
                norm = math.sqrt(float(np.sum(folded * folded))) * (1 + SLACK_OF_SUMS)
                norms += (count + 2) * norm
                growth += count * rate * math.sqrt(bins) * norm
                part = power(fft.rfft(folded.astype(digits)), count)
                spectrum = part if spectrum is None else spectrum * part
                origin += count * dots.first
            assert spectrum is not None  # of no events nothing is summed
            summed = fft.irfft(spectrum, bins).astype(np.float64)
        error = (rate + 4 * unit) * norms * math.exp(tilted.slack + 2 * growth)
        return np.roll(summed, (origin - tilted.first) % bins), error

    def _untilted(self, tilted: _Tilted, transformed: tuple[Floats, float]) -> Level:
        """Undo the tilt: deltas at the losses of the window, and all that may be missing."""
        tilt, first, step = tilted.tilt, tilted.first, self.step
        chances, error = transformed
        away, exponent, slack = self._about_the_top(tilted, chances)
        error *= norm_of_shares(tilt, step, len(chances))
        error += tilted.dropped * (1 + SLACK_OF_SUMS) / (1 + tilt)
        beyond = tilted.log_beyond - tilt * float(away[-1] + step)
        exponent += slack
        deltas = undone(np.maximum(chances, 0.0), away, tilt, step, (error, beyond), exponent)
        deltas[max(0, self._most - first) :] = 0.0  # no loss is larger
        log_error = math.log(error) + tilted.log_scale if error else -math.inf
        return Level(step, first, deltas, tilt, log_error)

    def _about_the_top(self, tilted: _Tilted, chances: Floats) -> tuple[Floats, float, float]:
        """Return losses about the likeliest one, the exponent there, and bounds on rounding."""
        tilt, bins, top = tilted.tilt, len(chances), int(np.argmax(chances))
        away = self.step * (np.arange(bins, dtype=float) - top)
        moved = tilt * (self.step * (tilted.first + top))
        terms = bins * (8 + tilt * away[-1] - (tilt + 1) * away[0])
        slack = tilted.slack + 4 * UNIT * (abs(tilted.log_scale) + abs(moved) + float(terms))
        return away, tilted.log_scale - moved, slack

    def _exact(self) -> Level:
        """Deltas of one loss: sums of positive terms, without any transform."""
        (dots, _), *_ = self.parts
        losses = dots.losses
        other = np.exp(np.minimum(dots.log_chances - losses, 700.0))
        beyond = np.append(np.cumsum(other[:0:-1])[::-1], 0.0)
        grown = math.expm1(self.step) * np.exp(losses) * beyond
        slack = 8 * UNIT * (len(losses) + float(np.abs(losses).max()))
        deltas = np.cumsum(grown[::-1])[::-1] * (1 + slack)
        return Level(self.step, dots.first, deltas)

    @cached_property
    def _most(self) -> int:
        """The largest loss of the sum, in steps."""
        return sum(count * (dots.first + len(dots.chances) - 1) for dots, count in self.parts)


class LossDistribution:
    """Losses of one event, or of several together, when a record is there and when it is not.

    Each direction of adjacency is a sum of its own; ``added`` is None where both are alike. The
    larger of the two deltas holds.
    """

    def __init__(self, removed: Parts, added: Parts | None = None) -> None:
        self._removed = tuple(removed)
        self._added = None if added is None else tuple(added)

    @property
    def step(self) -> float:
        """Spacing of the lattice."""
        return self._removed[0][0].step

    def self_compose(self, count: int) -> LossDistribution:
        """Return the losses of as many independent repetitions."""
        added = self._added and [(dots, times * count) for dots, times in self._added]
        return LossDistribution([(dots, times * count) for dots, times in self._removed], added)

    def compose(self, other: LossDistribution) -> LossDistribution:
        """Return the losses of both together."""
        added = None
        if self._added or other._added:
            added = (self._added or self._removed) + (other._added or other._removed)
        return LossDistribution(self._removed + other._removed, added)

    def blur(self) -> float:
        """Return about how far the lattice raises delta, relatively.

        By the direction in which a record is removed: at epsilons above 0 its delta is the
        larger one of sampled noise, and the other's ends at a loss that it is near everywhere.
        """
        return self.sums[0].blur()

    @cached_property
    def sums(self) -> tuple[LossSum, ...]:
        """The sum of each direction that is not like another."""
        directions = [self._removed] if self._added is None else [self._removed, self._added]
        return tuple(LossSum(parts) for parts in directions)

    def delta(self, epsilon: float) -> float:
        """Return an upper bound on delta at any ``epsilon``."""
        return float(self.deltas(np.array([epsilon]))[0])

    def deltas(self, epsilons: Floats) -> Floats:
        """Return upper bounds on delta at each of the ``epsilons``, shape alike."""
        return np.asarray(np.max([each.delta(epsilons) for each in self.sums], axis=0))

    def epsilon(self, delta: float) -> float:
        """Return an upper bound on the least epsilon >= 0 at ``delta``; infinite when none is."""
        return max(each.epsilon(delta) for each in self.sums)


@dataclass(frozen=True, eq=False)
class Level:
    """Upper bounds on the delta of a sum at the losses of its lattice, from one tilt.

    ``deltas`` fall; at ``step`` * ``first`` and so on. Below, nothing is known. ``log_error`` -
    ``tilt`` * epsilon is the logarithm of what of them is there for rounding alone.
    """

    step: float
    first: int
    deltas: Floats
    tilt: float = 0.0
    log_error: float = -math.inf

    def sharpness(self) -> float:
        """Return the largest density of losses above 0 over delta, where rounding is no matter."""
        start = max(0, -self.first)
        deltas = self.deltas[start:]
        epsilons = self.step * (self.first + start + np.arange(len(deltas)))
        errors = np.exp(np.minimum(self.log_error - self.tilt * epsilons, 0.0))
        rough = np.append((errors > deltas / 100) | (deltas < SMALL), True)
        deltas = deltas[: int(np.argmax(rough))]
        if len(deltas) < 3:
            return 0.0
        density = np.diff(deltas, 2) / self.step**2
        return float(np.max(density / deltas[1:-1]))

    def is_rough(self, epsilon: float) -> bool:
        """Whether rounding counts at this epsilon."""
        delta = float(self.delta(np.array([epsilon]))[0])
        return delta > 0 and self.log_error - self.tilt * epsilon > math.log(BLURRED * delta)

    def delta(self, epsilons: Floats) -> Floats:
        """Return the bounds at any epsilons, by chords in exp(epsilon)."""
        place = np.clip(epsilons * (1 - 4 * UNIT * np.sign(epsilons)) / self.step, -1e15, 1e15)
        below = np.floor(place)
        index = np.clip(below.astype(np.int64) - self.first, 0, len(self.deltas) - 1)
        share = np.expm1((place - below) * self.step) / math.expm1(self.step)
        here = self.deltas[index]
        chord = here - share * (here - self.deltas[np.minimum(index + 1, len(self.deltas) - 1)])
        return np.where(below < self.first, np.inf, chord)

    def epsilon(self, delta: float) -> float:
        """Return an epsilon at which the bound is at most ``delta``; infinite when none is."""
        after = int(np.searchsorted(-self.deltas, -delta))  # first that is small enough
        if after == len(self.deltas):
            return math.inf
        if not after:
            return self.step * self.first
        high, low = self.deltas[after - 1], self.deltas[after]
        share = (high - delta) / (high - low)
        found = self.step * (self.first + after - 1) + math.log1p(share * math.expm1(self.step))
        return found + 8 * UNIT * (abs(found) + self.step)


def undone(
    chances: Floats,
    away: Floats,
    tilt: float,
    step: float,
    missing: tuple[float, float],
    exponent: float,
) -> Floats:
    """Return the deltas of tilted chances at each loss ``away`` from their bulk.

    Sums of positive terms, twice from the largest loss on: the chances under the other table
    above each loss, and how much delta falls by them from each loss to the next. To these come
    what is ``missing``, an error at the bulk and the logarithm of what lies beyond, and all are
    multiplied by exp(``exponent``).
    """
    error, log_beyond = missing
    with np.errstate(divide="ignore", over="ignore"):
        if (tilt + 1) * (away[-1] - away[0]) > FARTHEST:  # no double holds all terms
            powers = np.log(chances) - (tilt + 1) * away
            above = np.append(np.logaddexp.accumulate(powers[:0:-1])[::-1], -np.inf)
            falls = math.log(math.expm1(step)) + away + above
            logs = np.logaddexp.accumulate(falls[::-1])[::-1]
            logs = np.logaddexp(logs, np.logaddexp(np.log(error) - tilt * away, log_beyond))
            return np.asarray(np.exp(np.minimum(logs + exponent, 0.0)))
        outwards, back = np.exp(away), np.exp(-(tilt + 1) * away)
        over = np.append(np.cumsum((chances * back)[:0:-1])[::-1], 0.0)
        deltas = np.cumsum((math.expm1(step) * outwards * over)[::-1])[::-1]
        deltas += error * (outwards * back) + math.exp(log_beyond)
        return np.asarray(np.minimum(deltas * math.exp(min(exponent, 700.0)), 1.0))


def norm_of_shares(tilt: float, step: float, bins: int) -> float:
    """Return an upper bound on the norm of exp(-t * x) * (1 - exp(-x)) at x = step, 2 * step, ...

    By its integral, and its largest value: it rises once and falls once.
    """
    most = float(bins)
    if tilt:
        integral = 1 / (2 * tilt * (2 * tilt + 1) * (tilt + 1))
        most = min(most, integral / step + 1 / (tilt + 1) ** 2)
    return math.sqrt(most) * (1 + SLACK_OF_SUMS)


def power(values: NDArray[Any], exponent: int) -> NDArray[Any]:
    """Return powers by repeated squaring, whose rounding is that of ``exponent`` products."""
    found: NDArray[Any] | None = None
    while exponent:
        if exponent & 1:
            found = values if found is None else found * values
        exponent >>= 1
        if exponent:
            values = values * values
    assert found is not None
    return found


def folded_onto(values: Floats, bins: int) -> Floats:
    """Return the values added up modulo a number of bins, which convolution keeps apart."""
    if len(values) <= bins:
        return np.pad(values, (0, bins - len(values)))
    padded = np.pad(values, (0, -len(values) % bins))
    return np.asarray(padded.reshape(-1, bins).sum(axis=0))


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
