"""L-BFGS with a preconditioner: the minimum of a smooth convex function.

scipy's L-BFGS-B takes no preconditioner, which is what makes few iterations enough here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from dp_synth.types import Floats

Loss = Callable[[Floats], tuple[float, Floats]]
Linear = Callable[[Floats], Floats]

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


def minimise(
    loss: Loss, start: Floats, inverse_curvature: Linear, *, iterations: int, gain: float
) -> Floats:
    """Return the place that L-BFGS reaches, where it gains less than ``gain`` any more.

    ``loss`` returns a value and its gradient. ``inverse_curvature`` is a guess of the inverse
    Hessian, positive definite, in place of the identity that L-BFGS begins with, and scaled like
    it to the last step (Nocedal & Wright 2006, Algorithm 7.4 and eq. 7.20).
    """
    here = _Point(start, *loss(start))
    memory: deque[_Step] = deque(maxlen=MEMORY)
    losses = [here.loss]
    for _ in range(iterations):
        found = _search(loss, here, _direction(here.gradient, memory, inverse_curvature))
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
        if len(losses) > STALL and losses[-STALL - 1] - losses[-1] < gain:
            break
    return here.place


def _direction(gradient: Floats, memory: Iterable[_Step], inverse_curvature: Linear) -> Floats:
    """Return the step that remembered ones suggest, by the two loops over them."""
    rest, steps, parts = gradient.copy(), list(memory), list[float]()
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
