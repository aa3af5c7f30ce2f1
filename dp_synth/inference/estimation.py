"""Estimation of the distribution over a junction tree that agrees best with noisy marginals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from dp_synth.domain import Domain
from dp_synth.inference._lbfgs import (
    Effects,
    Lasting,
    Linear,
    expected_counts,
    inverse_curvature,
    minimise,
)
from dp_synth.inference.factors import TreeProjections
from dp_synth.inference.graphical_model import JunctionTreeModel
from dp_synth.inference.histograms import estimate_total, project_to_simplex
from dp_synth.inference.junction_tree import JunctionTree
from dp_synth.transcript import Measurement
from dp_synth.types import Clique, Floats

ITERATIONS = 200
GAIN = 1e-4  # nats a cell: smaller ones only fit the noise
SHRINKAGE = 0.01  # weight of entropy against the data, in units of their noise
SHRINKAGE_ONES = 0.03  # the same for one-way marginals, which shrink towards their own estimates
FLOOR = 0.1  # of the noise: the least that a measured cell counts at the start
RESIDUAL = 0.1  # of how far a refit has moved: the most that its marginals are off their optimum
REMEMBERED = 100  # steps of all refits together
AT_ONCE = 8192  # cells of a sum whose own sums refits take by one sparse matrix
LEAST_STDDEV = 1e-9  # records: noise in which a residual can be told


def combine(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Return one measurement a set of attributes: those of the same cells, by inverse variance.

    Axes stand as in the first measurement of each.
    """
    combined: dict[frozenset[str], Measurement] = {}
    for new in measurements:
        key = frozenset(new.clique)
        if key not in combined:
            combined[key] = new
            continue
        old = combined[key]
        order = [new.clique.index(a) for a in old.clique]
        values, spread = new.values, np.broadcast_to(np.square(new.stddev), new.values.shape)
        own, other = 1 / np.square(old.stddev), 1 / spread.transpose(order)
        mean = (own * old.values + other * values.transpose(order)) / (own + other)
        combined[key] = Measurement(old.clique, mean, np.sqrt(1 / (own + other)))
    return list(combined.values())


def estimate(
    domain: Domain,
    measurements: Sequence[Measurement],
    *,
    start: JunctionTreeModel | None = None,
    max_cells: int | None = None,
    iterations: int = ITERATIONS,
    cliques: Iterable[Clique] = (),
) -> JunctionTreeModel:
    """Return the log-linear model whose marginals fit the measurements, simple where they are weak.

    With N p the expected counts, y the measured ones and s their noise, it minimises

        N KL(p || uniform) + sum of (N p - y)^2 / (2 k s^2)

    over all distributions: maximum entropy under constraints that are as soft as their noise
    (Dudik, Phillips & Schapire 2007), k = ``SHRINKAGE``. As k falls to 0 this is Private-PGM
    (McKenna, Sheldon & Miklau 2019, arXiv:1901.09136). The minimum is p proportional to
    exp(sum of theta) with one parameter a measured cell, found in the dual,

        N log Z(theta) - y theta + k / 2 sum of s^2 (theta - centre)^2,

    by L-BFGS; parameters of one-way marginals shrink to the logarithm of their own estimates,
    all others to 0. Belief propagation on a junction tree gives log Z and its gradient, the
    marginals. ``start`` is an earlier model whose parameters are taken up, and ``cliques`` are
    held by the tree beside those measured: a completion that is known. InputError when the tree
    needs more than ``max_cells``.
    """
    held = [*cliques, *(m.clique for m in measurements)]
    tree = JunctionTree.of(domain, held, max_cells=max_cells)
    total = estimate_total(measurements)
    dual = _Dual.of(tree, [_in_order(domain, m) for m in combine(measurements)], total)
    return dual.model(dual.minimise(dual.start(start), iterations))


@dataclass(frozen=True, eq=False)
class Refits:
    """Estimates from marginals that are measured anew, again and again, with the same noise.

    All that does not depend on the values is prepared once: tree, projections and the guess of
    the curvature. A refit begins at the parameters that fit what is expected of the values, and
    remembers the steps of those before it, along which its own loss bends much alike. It ends
    where its gradient is `RESIDUAL` of how far the marginals have moved, both as root mean squares
    in units of the noise: their gradient is what they still lack of the optimum.
    """

    expected: _Dual
    parameters: Floats
    marginals: Floats
    stddev: Floats
    inverse_curvature: Linear
    memory: Lasting

    @classmethod
    def of(cls, tree: JunctionTree, expected: Sequence[Measurement]) -> Refits:
        """Return the refits to measurements like the ``expected`` ones, which have no noise."""
        targets = [_in_order(tree.domain, m) for m in combine(expected)]
        dual = _Dual.of(tree, targets, estimate_total(expected), AT_ONCE)
        inverse, parameters = dual.curvature(), dual.centre
        memory = Lasting(REMEMBERED, parameters.size)
        if parameters.size:
            parameters = minimise(
                dual.loss,
                parameters,
                inverse,
                iterations=ITERATIONS,
                gain=GAIN * parameters.size,
                memory=memory,
            )
        marginals = dual.total * dual.projections.collect(dual.propagate(parameters)[0])
        stddev = np.maximum(_flat(np.asarray(target.stddev) for target in targets), LEAST_STDDEV)
        return cls(dual, parameters, marginals, stddev, inverse, memory)

    def estimate(self, measurements: Sequence[Measurement]) -> JunctionTreeModel:
        """Return the estimate from measurements of the same cliques, in the same order."""
        total = estimate_total(measurements)
        targets = [_in_order(self.expected.tree.domain, m) for m in combine(measurements)]
        values = _flat(target.values for target in targets)
        centre = _flat(_centre(target, total) for target in targets)
        dual = replace(self.expected, total=total, values=values, centre=centre)
        start = self.parameters + centre - self.expected.centre

        def is_near(parameters: Floats, gradient: Floats) -> bool:
            fitted = gradient + values - dual.stiffness * (parameters - centre)
            moved = np.linalg.norm((fitted - self.marginals) / self.stddev)
            return bool(np.linalg.norm(gradient / self.stddev) <= RESIDUAL * moved)

        found = minimise(
            dual.loss,
            start,
            self.inverse_curvature,
            iterations=ITERATIONS,
            gain=is_near,
            memory=self.memory,
        )
        tables, _ = dual.propagate(found)
        return JunctionTreeModel(dual.tree, tuple(tables), total)


@dataclass(frozen=True, eq=False)
class _Dual:
    """The dual problem in flat parameters, ``cuts`` apart."""

    tree: JunctionTree
    total: float
    cliques: tuple[Clique, ...]
    projections: TreeProjections
    cuts: tuple[int, ...]
    values: Floats
    stiffness: Floats  # k s^2
    centre: Floats

    @classmethod
    def of(
        cls, tree: JunctionTree, targets: Sequence[Measurement], total: float, at_once: int = 0
    ) -> _Dual:
        """Return the problem of fitting measurements whose axes are in domain order."""
        homes: dict[int, dict[int, Clique]] = {i: {} for i in range(len(tree.cliques))}
        for number, target in enumerate(targets):
            position = tree.home(target.clique)
            if position is None:
                raise ValueError(f"no clique of the tree holds {target.clique}")
            homes[position][number] = target.clique
        return cls(
            tree,
            total,
            tuple(target.clique for target in targets),
            TreeProjections.of(tree.domain, tree.cliques, homes, at_once),
            tuple(accumulate(target.values.size for target in targets))[:-1],
            _flat(target.values for target in targets),
            _flat(_stiffness(target) for target in targets),
            _flat(_centre(target, total) for target in targets),
        )

    def start(self, model: JunctionTreeModel | None) -> Floats:
        """Return the parameters of an earlier model where it has them, else those to shrink to."""
        if model is None:
            return self.centre
        parts = zip(self.cliques, self.split(self.centre), strict=True)
        return _flat(model.parameters.get(clique, centre).reshape(-1) for clique, centre in parts)

    def split(self, parameters: Floats) -> list[Floats]:
        return np.split(parameters, self.cuts) if self.cliques else []

    def minimise(self, start: Floats, iterations: int) -> Floats:
        """Return the parameters that L-BFGS reaches; it stops when it gains next to nothing."""
        if not start.size:
            return start
        gain = GAIN * start.size
        return minimise(self.loss, start, self.curvature(), iterations=iterations, gain=gain)

    def curvature(self) -> Linear:
        """Return how the loss would bend were attributes independent, inverted."""
        known = {
            clique[0]: np.exp(centre)
            for clique, centre in zip(self.cliques, self.split(self.centre), strict=True)
            if len(clique) == 1
        }
        domain = self.tree.domain
        expected = expected_counts(domain, known, self.total)
        effects = Effects.of(domain, self.cliques)
        return inverse_curvature(effects, self.values, self.stiffness, expected)

    def loss(self, parameters: Floats) -> tuple[float, Floats]:
        """Return the dual loss and its gradient."""
        tables, log_total = self.propagate(parameters)
        marginals = self.projections.collect(tables)
        away = self.stiffness * (parameters - self.centre)
        value = self.total * log_total - float(self.values @ parameters)
        value += 0.5 * float(away @ (parameters - self.centre))
        return value, self.total * marginals - self.values + away

    def propagate(self, parameters: Floats) -> tuple[list[Floats], float]:
        return self.tree.propagation.run(self.projections.spread(parameters))

    def model(self, parameters: Floats) -> JunctionTreeModel:
        """Return the distribution of these parameters, and them with it."""
        tables, _ = self.propagate(parameters)
        known: Mapping[Clique, Floats] = dict(
            zip(self.cliques, self.split(parameters), strict=True)
        )
        return JunctionTreeModel(self.tree, tuple(tables), self.total, known)


def _in_order(domain: Domain, measurement: Measurement) -> Measurement:
    """Return the measurement with its axes in the domain's order, and a stddev for each cell."""
    order = np.argsort([domain.axis(a) for a in measurement.clique])
    stddev = np.broadcast_to(measurement.stddev, measurement.values.shape)
    return replace(
        measurement,
        clique=tuple(measurement.clique[i] for i in order),
        values=measurement.values.transpose(order),
        stddev=stddev.transpose(order),
    )


def _stiffness(target: Measurement) -> Floats:
    weight = SHRINKAGE_ONES if len(target.clique) == 1 else SHRINKAGE
    return np.asarray(weight * np.square(target.stddev), dtype=float)


def _centre(target: Measurement, total: float) -> Floats:
    if len(target.clique) > 1:
        return np.zeros(target.values.shape)
    known = project_to_simplex(target.values, total, np.square(target.stddev))
    floor = FLOOR * np.asarray(target.stddev, dtype=float)
    return np.asarray(np.log(np.maximum(known, floor) / total))


def _flat(arrays: Iterable[Floats]) -> Floats:
    parts = [array.reshape(-1) for array in arrays]
    return np.concatenate(parts) if parts else np.empty(0)
