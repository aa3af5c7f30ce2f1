"""L-BFGS with a preconditioner: the minimum of a smooth convex function.

scipy's L-BFGS-B takes no preconditioner, which is what makes few iterations enough here: that of
an estimation is the Hessian of measured marginals under independence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import solve_triangular

from dp_synth.domain import Domain
from dp_synth.types import Clique, Floats, Integers

Loss = Callable[[Floats], tuple[float, Floats]]
Linear = Callable[[Floats], Floats]
Until = Callable[[Floats, Floats], bool]

MEMORY = 40  # steps that are remembered
STALL = 20  # iterations: when these gain less than was asked for, the rest will too
DECREASE = 1e-4  # of what the slope promises: the least that a step must gain (Armijo)
SHORTEST = 1e-8  # of a step: the search gives up below it
ROUNDING = 1e-12  # relative: losses are not known any better


@dataclass(frozen=True, eq=False)
class _Point:
    place: Floats
    loss: float
    gradient: Floats


@dataclass(frozen=True, eq=False)
class _Step:
    """A step that was taken, and by how much it changed the gradient."""

    move: Floats
    bend: Floats
    curvature: float  # move @ bend


class Memory(Protocol):
    """Steps that were taken, the last of them remembered, and where they suggest to go."""

    def __len__(self) -> int: ...

    def append(self, step: _Step) -> None:
        """Remember a step; the oldest is forgotten where they are too many."""

    def clear(self) -> None:
        """Forget all steps."""

    def direction(self, gradient: Floats, inverse_curvature: Linear) -> Floats:
        """Return the step that remembered ones suggest."""


class _Recent(deque[_Step]):
    """The last `MEMORY` steps."""

    def __init__(self) -> None:
        super().__init__(maxlen=MEMORY)

    def direction(self, gradient: Floats, inverse_curvature: Linear) -> Floats:
        """Return the step that remembered ones suggest, by the two loops over them."""
        rest, steps, parts = gradient.copy(), list(self), list[float]()
        for step in reversed(steps):
            parts.append(float(step.move @ rest) / step.curvature)
            rest -= parts[-1] * step.bend
        rest = inverse_curvature(rest)
        if steps:
            last = steps[-1]
            rest *= last.curvature / float(last.bend @ inverse_curvature(last.bend))
        for step, part in zip(steps, reversed(parts), strict=True):
            rest += (part - float(step.bend @ rest) / step.curvature) * step.move
        return -rest


class Lasting:
    """The last of many steps, shared by losses that bend alike: the two loops as matrix products.

    With moves S and bends Y in lines, oldest first, and R the upper triangle of S Y', the first
    loop solves R a = S g, and the second R' c = D a - Y r, where D is the diagonal of R (Byrd,
    Nocedal & Schnabel 1994, sect. 2).
    """

    def __init__(self, most: int, size: int) -> None:
        self._moves, self._bends = np.empty((most, size)), np.empty((most, size))
        self._products = np.empty((most, most))
        self._order: list[int] = []

    def __len__(self) -> int:
        return len(self._order)

    def append(self, step: _Step) -> None:
        """Remember a step in the place of the oldest, where all places are taken."""
        full = len(self._order) == len(self._moves)
        place = self._order.pop(0) if full else len(self._order)
        self._order.append(place)
        self._moves[place], self._bends[place] = step.move, step.bend
        held = len(self._order)
        self._products[:held, place] = self._moves[:held] @ step.bend
        self._products[place, :held] = self._bends[:held] @ step.move

    def clear(self) -> None:
        """Forget all steps."""
        self._order.clear()

    def direction(self, gradient: Floats, inverse_curvature: Linear) -> Floats:
        """Return the step that remembered ones suggest."""
        if not self._order:
            return -inverse_curvature(gradient)
        held, order = len(self._order), np.array(self._order)
        moves, bends = self._moves[:held], self._bends[:held]
        triangle = np.triu(self._products[np.ix_(order, order)])
        parts = np.empty(held)
        parts[order] = solve_triangular(triangle, (moves @ gradient)[order], check_finite=False)
        last = bends[order[-1]]
        rest = inverse_curvature(gradient - parts @ bends)
        rest *= triangle[-1, -1] / float(last @ inverse_curvature(last))
        wanted = np.diagonal(triangle) * parts[order] - (bends @ rest)[order]
        back = np.empty(held)
        back[order] = solve_triangular(triangle, wanted, trans="T", check_finite=False)
        return -(rest + back @ moves)


def minimise(
    loss: Loss,
    start: Floats,
    inverse_curvature: Linear,
    *,
    iterations: int,
    gain: float | Until,
    memory: Memory | None = None,
) -> Floats:
    """Return the place that L-BFGS reaches, where it gains less than ``gain`` any more.

    In place of a gain, a function of a place and its gradient that says whether it is good enough.

    ``loss`` returns a value and its gradient. ``inverse_curvature`` is a guess of the inverse
    Hessian, positive definite, in place of the identity that L-BFGS begins with, and scaled like
    it to the last step (Nocedal & Wright 2006, Algorithm 7.4 and eq. 7.20). Steps are remembered
    in ``memory``, which may hold those of losses that bend alike.
    """
    here = _Point(start, *loss(start))
    memory = _Recent() if memory is None else memory
    losses, least = [here.loss], 0.0 if callable(gain) else gain
    for _ in range(iterations):
        if callable(gain) and gain(here.place, here.gradient):
            break
        found = _search(loss, here, memory.direction(here.gradient, inverse_curvature))
        if found is None and memory:
            memory.clear()
            found = _search(loss, here, -inverse_curvature(here.gradient))
        if found is None:
            break
        move, bend = found.place - here.place, found.gradient - here.gradient
        curvature = float(move @ bend)
        if curvature > ROUNDING * np.linalg.norm(move) * np.linalg.norm(bend):
            memory.append(_Step(move, bend, curvature))
        here = found
        losses.append(here.loss)
        if len(losses) > STALL and losses[-STALL - 1] - losses[-1] < least:
            break
    return here.place


def _search(loss: Loss, here: _Point, step: Floats) -> _Point | None:
    """Return a point along the step that is low enough; none where rounding hides all gain."""
    slope, length = float(here.gradient @ step), 1.0
    while slope < 0 and length > SHORTEST:
        place = here.place + length * step
        value, gradient = loss(place)
        over = value - here.loss - length * slope
        if over <= (DECREASE - 1) * length * slope + ROUNDING * abs(here.loss):
            return _Point(place, value, gradient)
        vertex = -slope * length**2 / (2 * over)  # of the parabola through what is known
        length = min(max(vertex, 0.1 * length), 0.5 * length)
    return None


MIN_STIFFNESS = 1e-9  # stiffness: what has no noise at all would not bend


@dataclass(frozen=True, eq=False)
class Effects:
    """Incidence of the cells of several marginals with the levels of their axes.

    A block is one marginal, a level one code of one of its axes. ``cell`` and ``level`` list the
    memberships; ``axis``, ``block`` and ``code`` say of each level whose it is, ``home`` of each
    cell its block. Codes are numbered through all attributes.
    """

    cell: Integers
    level: Integers
    axis: Integers
    block: Integers
    code: Integers
    home: Integers

    @classmethod
    def of(cls, domain: Domain, cliques: Sequence[Clique]) -> Effects:
        """Return the levels of marginals that are laid out flat, one after another."""
        first = dict(zip(domain, np.cumsum([0, *domain.sizes[:-1]]).tolist(), strict=True))
        lists: dict[str, list[Integers]] = {name: [] for name in cls.__dataclass_fields__}
        cells = levels = axes = 0
        for block, clique in enumerate(cliques):
            shape = domain.shape(clique)
            size = domain.cells(clique)
            lists["home"].append(np.full(size, block))
            for attribute, places in zip(clique, np.indices(shape), strict=True):
                count = domain.size(attribute)
                lists["cell"].append(cells + np.arange(size))
                lists["level"].append(levels + places.reshape(-1))
                lists["axis"].append(np.full(count, axes))
                lists["block"].append(np.full(count, block))
                lists["code"].append(first[attribute] + np.arange(count))
                levels, axes = levels + count, axes + 1
            cells += size
        nothing = np.empty(0, dtype=np.int64)
        return cls(**{name: np.concatenate([nothing, *parts]) for name, parts in lists.items()})

    def collect(self, cells: Floats) -> Floats:
        """Return the sum over the cells of each level."""
        return _sums(self.level, cells[self.cell], len(self.code))

    def spread(self, levels: Floats) -> Floats:
        """Return the sum over the levels of each cell."""
        return _sums(self.cell, levels[self.level], len(self.home))


def inverse_curvature(
    effects: Effects, values: Floats, stiffness: Floats, expected: Floats
) -> Linear:
    """Return the inverse of an approximate Hessian of N log Z(theta) + 1/2 sum of k s^2 theta^2.

    It gives the step at which this curvature would cancel a gradient. ``values`` and ``stiffness``
    (k s^2) have a number for each measured cell, ``expected`` one for each code.

    Of independent attributes the covariance of marginals falls apart by effects (the analysis of
    variance): the constant of a block, one main effect an axis, and the interaction that is left.
    A main effect of an attribute is the same in every block that has it, so that the blocks'
    shares of it add up and only k s^2 tells them apart; a step along it that treated the blocks
    one by one would be too long by their number. Effects are orthogonal under ``weights``, the
    product of each axis' own curvature; interactions bend by the mean of these weights and of
    what was measured, which knows of cells that are empty against independence.
    """
    axis, block, code, home = effects.axis, effects.block, effects.code, effects.home
    stiff = np.maximum(stiffness, MIN_STIFFNESS)
    blocks = int(home.max(initial=-1)) + 1
    constant = _sums(home, stiff, blocks)
    total = np.bincount(axis, expected[code])
    level = effects.collect(stiff)
    shares = expected[code] + level  # a level: its part of its block's weight
    shares /= np.bincount(axis, shares)[axis]
    mass = constant + (total.mean() if total.size else 0.0)  # a block: sum of weights
    weights = mass[home] * np.exp(effects.spread(np.log(shares)))  # a cell
    measured = stiff + np.maximum(values, np.sqrt(stiff))
    bend = (weights + measured) / 2  # a cell: of interactions

    def main(gradient: Floats) -> Floats:
        """Return the steps of main effects: a common term an attribute, by Sherman & Morrison."""
        alone = gradient / level
        together = expected * _sums(code, alone, len(expected))
        together /= 1 + expected * _sums(code, 1 / level, len(expected))
        step = alone - together[code] / level
        return step - np.bincount(axis, shares * step)[axis]

    def interaction(cells: Floats) -> Floats:
        """Return what main effects and constants do not explain, by weighted least squares."""
        weighted = weights * cells
        means = _sums(home, weighted, blocks) / mass
        explained = effects.collect(weighted) / (mass[block] * shares) - means[block]
        return cells - effects.spread(explained) - means[home]

    def inverse(gradient: Floats) -> Floats:
        step = interaction(weights * interaction(gradient / weights) / bend)
        sums = _sums(home, gradient, blocks)
        levels = effects.collect(gradient) - shares * sums[block]
        return step + effects.spread(main(levels)) + (sums / constant)[home]

    return inverse


def expected_counts(domain: Domain, known: Mapping[str, Floats], total: float) -> Floats:
    """Return the counts of all codes, one attribute after another; even where none are known."""
    parts = [
        total * known[attribute] / known[attribute].sum()
        if attribute in known
        else np.full(size, total / size)
        for attribute, size in zip(domain.attributes, domain.sizes, strict=True)
    ]
    return np.concatenate([np.empty(0), *parts])


def _sums(numbers: Integers, values: Floats, count: int) -> Floats:
    """Return the sum of the values at each number; without any, zeros that are still floats."""
    return np.asarray(np.bincount(numbers, values, count), dtype=float)
