"""Blocks of adaptive selections: one privacy curve for all of them, given what comes after.

A selection whose privacy loss has range E is dominated by pairs of distributions on two outcomes
with losses t and t - E, for some t between 0 and E that may depend on all earlier outputs. The
loss t then has probability P_t = (e^E - e^t) / (e^E - 1) under the first distribution. If D is a
valid privacy curve of all that follows, then

    max over t of  P_t D(epsilon - t) + (1 - P_t) D(epsilon - t + E)

is one of the selection and all that follows, whatever strategy chose t: the supremum over
strategies is taken at every epsilon. The recursion is that of Dong, Durfee & Rogers 2020
(arXiv:1909.13830) for selections alone; `docs/accounting.md` proves it with what follows.
Composing k selections one by one instead, each with its own supremum, lets the adversary choose
another t at every epsilon and at every step, and costs 4 to 5 % more noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dp_synth.types import Floats

Curve = Callable[[Floats], Floats]  # delta at each epsilon >= 0

LATTICE = 600  # steps of the loss lattice within one selection's range, at most
LEAST_LATTICE = 12  # fewer would cost more than the block gains
WORK = 4e8  # lattice operations an evaluation may take, before the lattice is made coarser
MOST_POINTS = 100_000  # of a lattice; ranges that need more are far below what else is spent


def is_affordable(range_: float, count: int, last: float) -> bool:
    """Return whether a block up to ``last`` is small enough on the coarsest lattice."""
    points = LEAST_LATTICE * max(last / range_, 1.0)
    return points <= MOST_POINTS and LEAST_LATTICE * points * count <= 4 * WORK


def block_curve(
    range_: float, count: int, after: Curve | None, last: float, *, work: float | None = None
) -> tuple[Floats, Floats]:
    """Return the privacy curve of ``count`` selections and what comes after, on a lattice.

    ``after`` is the curve of later events (None when there are none), which must hold in both
    directions of adjacency; it and the result are known at negative epsilon by symmetry,
    D(-e) = 1 - e^-e + e^-e D(e). ``last`` is the largest epsilon wanted. Returns epsilons from
    0 to at least ``last`` in equal steps, and an upper bound on delta at each. ``work`` is how
    many lattice operations it may take, ``WORK`` when None.

    Losses are rounded up to the lattice: with the range rounded up by one more step, every t
    between two lattice points has its pair of losses inside that of the point above, so that
    no interpolation is needed.
    """
    steps = _lattice(range_, count, last, WORK if work is None else work)
    width = steps + 1
    spacing = range_ / steps
    size = max(math.ceil(last / spacing), width) + 1  # the mirror image needs one whole range
    epsilons = spacing * np.arange(size, dtype=np.float64)
    curve: Floats = np.zeros(size, dtype=np.float64) if after is None else after(epsilons)
    losses = spacing * np.arange(width + 1, dtype=np.float64)
    high = np.expm1(losses[::-1]) / math.expm1(width * spacing) * np.exp(losses)
    for _ in range(count):
        curve = _one_selection(_both_sides(curve, epsilons, width), high, size, width)
    return epsilons, curve


def _one_selection(extended: Floats, high: Floats, size: int, width: int) -> Floats:
    """Take the best t of the lattice at every epsilon; ``extended`` starts ``width`` earlier."""
    best = np.zeros(size)
    trial = np.empty(size)
    other = np.empty(size)
    for t, probability in enumerate(high):
        np.multiply(extended[width - t : width - t + size], probability, out=trial)
        np.multiply(extended[2 * width - t : 2 * width - t + size], 1 - probability, out=other)
        trial += other
        np.maximum(best, trial, out=best)
    return best


def _both_sides(curve: Floats, epsilons: Floats, width: int) -> Floats:
    """Extend a curve by ``width`` points to both sides, never below the true one."""
    mirrored = epsilons[width:0:-1]
    gain = np.exp(-mirrored)
    before = 1 - gain + gain * curve[width:0:-1]
    return np.concatenate([before, curve, np.full(width, curve[-1])])


def _lattice(range_: float, count: int, last: float, work: float) -> int:
    """Return into how many steps a range is cut, within the work that is allowed."""
    affordable = math.sqrt(work * range_ / (count * max(last, range_)))
    return int(min(LATTICE, max(LEAST_LATTICE, affordable)))
