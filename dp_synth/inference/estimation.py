"""The distribution over a junction tree that agrees best with noisy marginals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.inference.junction_tree import JunctionTree
from dp_synth.inference.model import JunctionTreeModel
from dp_synth.measurement import Measurement

Floats = NDArray[np.float64]

ITERATIONS = 200
FLOOR = 0.1  # of the noise: the least that a measured cell counts at the start
TOLERANCE = 1e-3  # relative gain of an iteration below which more of them only fit the noise


def estimate_total(measurements: Iterable[Measurement]) -> float:
    """Return the number of records that the measurements suggest, at least one.

    The mean of the marginals' sums, weighted by inverse variance: the maximum-likelihood
    estimate under Gaussian noise.
    """
    sums, weights = [], []
    for measurement in measurements:
        variance = np.broadcast_to(np.square(measurement.stddev), measurement.values.shape).sum()
        sums.append(measurement.values.sum())
        weights.append(1 / variance)
    return max(1.0, float(np.average(sums, weights=weights))) if sums else 1.0


def estimate(
    domain: Domain, measurements: Sequence[Measurement], *, iterations: int = ITERATIONS
) -> JunctionTreeModel:
    """Return the model of highest entropy among those whose marginals fit the measurements.

    Minimises the sum of squared residuals over variance on the polytope of consistent marginals
    (Private-PGM, McKenna, Sheldon & Miklau 2019, arXiv:1901.09136) by mirror descent: log
    potentials move against the gradient, belief propagation leads back to the polytope. Steps
    carry Nesterov's momentum, which restarts when it stops helping (O'Donoghue & Candes 2015).
    ValueError when the cliques have a cycle.
    """
    tree = JunctionTree.of(domain, [measurement.clique for measurement in measurements])
    total = estimate_total(measurements)
    targets = [_target(tree, measurement, total) for measurement in measurements]
    start = _State.at(tree, targets, _warm_potentials(tree, targets))
    best = _descend(tree, targets, start, iterations) if targets else start
    return JunctionTreeModel(tree, tuple(best.tables), total)


@dataclass(frozen=True, eq=False)
class _Target:
    """A measurement in the order of its clique's axes, scaled to probabilities."""

    position: int
    axes: tuple[int, ...]  # summed out of the clique's table
    values: Floats
    precision: Floats


@dataclass(frozen=True, eq=False)
class _State:
    """Log potentials, the probabilities that they define, their loss and its gradient."""

    potentials: list[Floats]
    tables: list[Floats]
    loss: float
    gradient: list[Floats]

    @classmethod
    def at(cls, tree: JunctionTree, targets: Sequence[_Target], potentials: list[Floats]) -> _State:
        """Return the state at these log potentials; shapes are those of the cliques."""
        tables = tree.beliefs(potentials)
        loss = 0.0
        gradient = [np.zeros(table.shape) for table in tables]
        for target in targets:
            table = tables[target.position]
            residual = table.sum(axis=target.axes, keepdims=True) - target.values
            slope = target.precision * residual
            loss += 0.5 * float(np.vdot(slope, residual))
            gradient[target.position] += slope
        return cls(potentials, tables, loss, gradient)


def _warm_potentials(tree: JunctionTree, targets: Sequence[_Target]) -> list[Floats]:
    """Return the log potentials of the measured tables as they are: a start near the end.

    Each measured clique given its separator, with cells below the noise raised to a part of it.
    Where little noise is left, a start from uniform tables takes thousands of steps.
    """
    precision = [np.zeros(tree.domain.shape(clique)) for clique in tree.cliques]
    weighted = [np.zeros(table.shape) for table in precision]
    for target in targets:
        if not target.axes:
            precision[target.position] += target.precision
            weighted[target.position] += target.precision * target.values
    potentials = []
    for edge in sorted(tree.edges, key=lambda edge: edge.child):
        known, clique = precision[edge.child], tree.cliques[edge.child]
        if not known.all():
            potentials.append(np.zeros(known.shape))
            continue
        table = np.maximum(weighted[edge.child] / known, FLOOR / np.sqrt(known))
        others = tuple(i for i, a in enumerate(clique) if a not in edge.separator)
        potentials.append(np.log(table / table.sum(axis=others, keepdims=True)))
    return potentials


def _descend(
    tree: JunctionTree, targets: Sequence[_Target], start: _State, iterations: int
) -> _State:
    here = ahead = best = start
    momentum = 1.0
    step = 1 / max(float(target.precision.max()) for target in targets)
    for _ in range(iterations):
        new, step = _line_search(tree, targets, ahead, step * 1.3)
        best = min(best, new, key=lambda state: state.loss)
        if 0 <= here.loss - new.loss < TOLERANCE * new.loss:
            break
        faster = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        push = (momentum - 1) / faster
        pushed = [n + push * (n - h) for n, h in zip(new.potentials, here.potentials, strict=True)]
        ahead = _State.at(tree, targets, pushed)
        momentum = faster
        if ahead.loss > new.loss:
            ahead, momentum = new, 1.0
        here = new
    return best


def _line_search(
    tree: JunctionTree, targets: Sequence[_Target], state: _State, step: float
) -> tuple[_State, float]:
    """Halve the step until the loss falls by half of what its slope promises."""
    while True:
        moved = [p - step * g for p, g in zip(state.potentials, state.gradient, strict=True)]
        new = _State.at(tree, targets, moved)
        promised = sum(
            float(np.vdot(g, n - o))
            for g, n, o in zip(state.gradient, new.tables, state.tables, strict=True)
        )
        if new.loss <= state.loss + 0.5 * promised or abs(promised) < 1e-12 * state.loss:
            return new, step
        step /= 2


def _target(tree: JunctionTree, measurement: Measurement, total: float) -> _Target:
    position = tree.home(measurement.clique)
    if position is None:
        raise ValueError(f"no clique of the tree holds {measurement.clique}")
    clique = tree.cliques[position]
    order = [measurement.clique.index(a) for a in clique if a in measurement.clique]
    axes = tuple(i for i, a in enumerate(clique) if a not in measurement.clique)
    shape = tuple(1 if i in axes else tree.domain.size(a) for i, a in enumerate(clique))
    stddev = np.broadcast_to(measurement.stddev, measurement.values.shape)
    return _Target(
        position,
        axes,
        measurement.values.transpose(order).reshape(shape) / total,
        np.square(total / stddev).transpose(order).reshape(shape),
    )
