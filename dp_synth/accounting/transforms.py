"""The arithmetic of tilted transforms: powers, windows, and the way back to deltas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting.dots import UNIT, Floats

SLACK_OF_SUMS = 2.0**-30  # relative, of a sum of squares of as many terms as fit into memory
FARTHEST = 600.0  # in logarithms: what numbers in one sum may differ by
ROUGH = 1e-4  # relative error of a delta from which transforms are taken with more digits
SMALL = 1e-15  # a delta down to which a lattice is made fine


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
        return delta > 0 and self.log_error - self.tilt * epsilon > math.log(ROUGH * delta)

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
