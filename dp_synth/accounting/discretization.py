"""Discretized losses of one event: a measure on a lattice that is nowhere below the true one.

Privacy curves are convex in exp(epsilon), so that chords between points of the lattice never fall
below them ("connect the dots", Doroshenko et al. 2022, arXiv:2207.04380): the chance of a loss
between two points is shared between them such that both its chance under the one table and that
under the other are kept. All is rounded outwards: no chance here is below the true one, and what
goes to the upper point is raised by more than floating point can have taken from it. Hence the
chances may sum to a little more than one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dp_synth.types import Floats

UNIT = 2.0**-53  # relative rounding error of one operation
ROUGH = 8 * UNIT  # of one elementary function of the platform, far more than it is wrong by
SLACK = 2 * ROUGH  # of a few operations and such a function
LARGEST_LOSS = 400.0  # its exp() is still far from overflow
PIECES = 100  # of an outcome's scale, between which its density is integrated
HARDLY = 1e-6  # of an infinite loss's chance, which may grow by as much
NODES, WEIGHTS = np.polynomial.legendre.leggauss(4)


@dataclass(frozen=True, eq=False)
class Dots:
    """Chances of the losses ``step`` * ``first``, ``step`` * (``first`` + 1), ...

    ``infinite`` is the chance of an infinite loss.
    """

    step: float
    first: int
    chances: Floats
    infinite: float = 0.0
    log_chances: Floats = field(init=False)

    def __post_init__(self) -> None:
        with np.errstate(divide="ignore"):
            object.__setattr__(self, "log_chances", np.log(self.chances))

    @property
    def losses(self) -> Floats:
        """The losses of the lattice, shape (points,)."""
        return self.step * np.arange(self.first, self.first + len(self.chances), dtype=float)

    def mixed(self, other: Dots, chance: float) -> Dots:
        """Return what happens with ``chance`` like ``other``, and with the rest like this."""
        return self._scaled(1 - chance).with_more(other._scaled(chance))

    def with_more(self, other: Dots) -> Dots:
        """Return the chances of both added up."""
        first = min(self.first, other.first)
        end = max(self.first + len(self.chances), other.first + len(other.chances))
        total = np.zeros(end - first)
        for dots in (self, other):
            place = dots.first - first
            total[place : place + len(dots.chances)] += dots.chances * (1 + SLACK)
        infinite = self.infinite + other.infinite
        return Dots(self.step, first, total, infinite)

    def _scaled(self, share: float) -> Dots:
        more = share * (1 + SLACK)
        return Dots(self.step, self.first, more * self.chances, more * self.infinite)


def of_atoms(losses: Floats, chances: Floats, infinite: float, step: float) -> Dots:
    """Return the dots of finitely many losses of known chances."""
    below = np.floor(losses / step).astype(np.int64)
    share = np.expm1(below * step - losses) / math.expm1(-step)
    on_lattice = np.abs(np.rint(losses / step) * step - losses) <= 2 * UNIT * np.abs(losses)
    below = np.where(on_lattice, np.rint(losses / step).astype(np.int64), below)
    error = SLACK * (1 + np.abs(losses) / step)
    upper = np.where(on_lattice, 0.0, np.clip(share + error, 0.0, None)) * chances
    return _gathered(below, chances, upper, (infinite, 0, 0.0), step)


def of_density(
    points: Floats,
    cells: NDArray[np.int64],
    loss: Callable[[Floats], tuple[Floats, Floats]],
    step: float,
    *,
    largest: float,
    tails: tuple[float, int, float] = (0.0, 0, 0.0),
) -> Dots:
    """Return the dots of an outcome with a density, by quadrature between ``points``.

    Between two points all losses lie in one cell of the lattice, which ``cells`` names by its
    lower end. ``loss`` gives at each outcome its loss and its density, computed from terms of at
    most ``largest``. ``tails`` are the chance of outcomes beyond the points with larger losses,
    a dot, and the chance of those whose losses are no larger than it. The points must lie so
    close that the error of the quadrature is below that of rounding (`docs/accounting.md`).
    """
    half, middle = np.diff(points) / 2, (points[1:] + points[:-1]) / 2
    chances = np.zeros(len(half))
    upper = np.zeros(len(half))
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        where = middle + node * half
        losses, density = loss(where)
        mass = weight * half * density * (1 + SLACK * (1 + where * where))
        chances += mass
        upper += mass * np.expm1(cells * step - losses)
    share = upper / math.expm1(-step)
    error = SLACK * (8 + np.abs(cells) + (1 + largest) / step) * chances
    return _gathered(cells, chances, np.maximum(share + error, 0.0), tails, step)


def of_curve(deltas: Floats, step: float) -> Dots:
    """Return the dots of a privacy curve of both directions, given at 0, step, 2 * step, ...

    The curve is taken as convex in exp(epsilon); where rounding made it not so, its dots are
    raised until their own curve is nowhere below it. What it leaves at the last point becomes an
    infinite loss, so that cutting it short is never optimistic.
    """
    infinite = float(deltas[-1])
    above = np.maximum(deltas - infinite, 0.0)
    epsilons = step * np.arange(len(deltas), dtype=float)
    falls = -np.diff(above, append=0.0) / math.expm1(step)  # of the curve, times exp(epsilon)
    upper = np.zeros(len(deltas))
    upper[1:] = np.maximum(falls[:-1] * math.exp(step) - falls[1:], 0.0)
    found = _curve_above(upper, step)
    behind = above - found
    few = (behind <= HARDLY * infinite) | (found <= 0)
    lost = max(0.0, float(np.max(behind[few], initial=0.0)))
    ratio = max(1.0, float(np.max(above[~few] / found[~few], initial=1.0)))
    upper *= ratio * (1 + SLACK * len(deltas))
    lower = upper * np.exp(-epsilons)
    middle = max(0.0, 1 - infinite - float(upper[1:].sum() + lower[1:].sum()))
    upper[0] = (middle + SLACK * len(deltas)) * (1 + SLACK)
    chances = np.concatenate([lower[:0:-1], upper])
    return Dots(step, 1 - len(deltas), chances, infinite + lost)


def _curve_above(upper: Floats, step: float) -> Floats:
    """Return the curve of dots at 0, step, ..., without infinite losses; sums of positive terms."""
    epsilons = step * np.arange(len(upper), dtype=float)
    other = upper * np.exp(-epsilons)
    beyond = np.append(np.cumsum(other[:0:-1])[::-1], 0.0)  # of losses above each
    return np.cumsum((math.expm1(step) * np.exp(epsilons) * beyond)[::-1])[::-1]


def _gathered(
    below: NDArray[np.int64],
    chances: Floats,
    upper: Floats,
    tails: tuple[float, int, float],
    step: float,
) -> Dots:
    """Add up what falls on each dot: ``upper`` above its cell, the rest of ``chances`` below."""
    lower = np.maximum(chances * (1 + SLACK) - upper, 0.0)
    infinite, dot, chance = tails
    first = int(below.min()) if not chance else min(dot, int(below.min()))
    size = int(below.max()) - first + 2
    total = np.bincount(below - first, lower, size) + np.bincount(below - first + 1, upper, size)
    if chance:
        total[dot - first] += chance
    terms = float(np.bincount(below - first, minlength=size).max() + 2)
    return Dots(step, first, np.asarray(total * (1 + UNIT * terms), dtype=np.float64), infinite)
