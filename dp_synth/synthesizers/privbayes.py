"""PrivBayes: a Bayesian network of low degree, and noisy conditionals (Zhang et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Gaussians, Plan, Selections
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference import JunctionTree, JunctionTreeModel, estimate_total
from dp_synth.inference.chordal_completion import Completion
from dp_synth.mechanisms import (
    Dependences,
    count_records,
    measure,
    select,
)
from dp_synth.mechanisms.gaussian import noise_of_counts
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.transcript import Measurement
from dp_synth.types import Clique, Floats

TOTAL_SHARE = 0.01  # of the cost, for the number of records
MEAN_NOISE = math.sqrt(2 / math.pi)  # the mean size of a standard normal number
LEAST = 1e-300  # of a probability, so that its logarithm is finite


@dataclass(frozen=True)
class PrivBayes(Synthesizer):
    """Chooses a Bayesian network edge by edge and measures each attribute given its parents.

    Zhang, Cormode, Procopiuc, Srivastava & Xiao 2017 (ACM TODS 42(4), doi:10.1145/3134428),
    for attributes of any size without taxonomies: a greedy choice of attributes with parents
    (GreedyBayes) among those whose noisy table is theta-useful (MaximalParentSets), by the score
    R, then noisy conditionals (NoisyConditionals). Departures:

    - the number of records is measured first, unless replace_one makes it public, decides what is
      useful, and the score is R in counts, twice over, which one record moves by less than 4;
    - ``beta`` and the rest of the budget are shares of one zCDP cost, not of epsilon, and tables
      get Gaussian noise, whose mean size takes the place of Laplace noise's in theta;
    - at most ``degree`` parents, and only those with which the network, as a junction tree, has
      at most ``max_cells`` cells: the model is then exactly the network's distribution.

    Privacy
    -------
    One Gaussian count of all records, where it is private, one exponential-mechanism selection for
    each attribute but the first, drawn at random, and one Gaussian measurement an attribute.
    """

    name: ClassVar[str] = "privbayes"
    figure_label: ClassVar[str] = "PrivBayes"
    title: ClassVar[str] = "a Bayesian network of low degree with noisy conditionals"
    reference: ClassVar[str] = (
        "Zhang, Cormode, Procopiuc, Srivastava & Xiao 2017, doi:10.1145/3134428"
    )
    cites: ClassVar[tuple[str, ...]] = ("zhang2017",)
    measures: ClassVar[str] = "conditionals"
    chooses: ClassVar[bool] = True

    degree: int = 3  # the most parents of an attribute
    theta: float = 4.0  # the least mean count of a table's cell over its mean noise
    beta: float = 0.3  # the part of the cost that goes to the network
    max_cells: int = 300_000  # of the junction tree's cliques together

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.degree < 0:
            raise InputError(f"degree must be 0 or more, got {self.degree}")
        if not 0 < self.beta < 1:
            raise InputError(f"beta must lie in (0, 1), got {self.beta}")
        if not 0 < self.theta < math.inf:
            raise InputError(f"theta must be a finite number above 0, got {self.theta}")

    def plan(self, domain: Domain) -> Plan:
        """The number of records, the network's choices, and a table for each attribute.

        InputError when not even the one-way marginals fit into ``max_cells``.
        """
        domain.check_workload(self.degree)
        JunctionTree.of(domain, (), max_cells=self.max_cells)
        d, rest = len(domain), 1 - TOTAL_SHARE
        return Plan(
            {
                "total": Gaussians(1, share=TOTAL_SHARE, count_records=True),
                "network": Selections(d - 1, share=rest * self.beta),
                "tables": Gaussians(d, share=rest * (1 - self.beta)),
            }
        )

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> JunctionTreeModel:
        total, tables, completion = self._release(table, plan, rng)
        tree = JunctionTree.of(table.domain, completion.cliques, max_cells=self.max_cells)
        return _joint(tree, tables, estimate_total([*total, *tables]))

    def _release(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> tuple[list[Measurement], list[Measurement], Completion]:
        total, network, completion = self._select(table, plan, rng)
        gaussians = plan.gaussians("tables")
        tables = measure(table, network, gaussians, rng, why="an attribute with its parents")
        return total, tables, completion

    def _decide(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> list[Clique]:
        return self._select(table, plan, rng)[1]

    def _select(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> tuple[list[Measurement], list[Clique], Completion]:
        total = count_records(table, plan.gaussians("total"), rng)
        records = estimate_total(total)
        gaussians = plan.gaussians("tables")
        noise = MEAN_NOISE * noise_of_counts(gaussians, table)
        useful = records / (noise * self.theta)  # cells of a table: tau of GreedyBayes
        completion = Completion(table.domain)
        network = self._greedy_bayes(table, completion, useful, plan.selections("network"), rng)
        return total, network, completion

    def _greedy_bayes(
        self,
        table: PrivateTable,
        completion: Completion,
        useful: float,
        selections: Selections,
        rng: np.random.Generator,
    ) -> list[Clique]:
        """Return each attribute followed by its parents, all of which come before it."""
        scores = Dependences(table)
        left = list(table.domain)
        chosen = [left.pop(int(rng.integers(len(left))))]
        network: list[Clique] = [(chosen[0],)]
        while left:
            candidates = [
                (attribute, *parents)
                for attribute in left
                for parents in self._parent_sets(completion, attribute, chosen, useful)
            ]
            network.append(select(scores, candidates, selections, rng, why="choose parents"))
            completion.add(network[-1])
            completion.complete_afresh()
            chosen.append(network[-1][0])
            left.remove(chosen[-1])
        return network

    def _parent_sets(
        self, completion: Completion, attribute: str, chosen: Sequence[str], useful: float
    ) -> list[Clique]:
        """Return the largest sets of parents that are useful and small; none if there is none."""
        kept: list[Clique] = []
        for size in range(min(self.degree, len(chosen)), 0, -1):
            kept += [
                parents
                for parents in combinations(chosen, size)
                if completion.domain.cells((attribute, *parents)) <= useful
                and not any(set(parents) < set(other) for other in kept)
                and completion.cells_with((attribute, *parents)) <= self.max_cells
            ]
        return kept or [()]


def _joint(tree: JunctionTree, tables: Sequence[Measurement], total: float) -> JunctionTreeModel:
    """Return the distribution of a network, each table an attribute with its parents."""
    potentials = [np.zeros(tree.domain.shape(clique)) for clique in tree.cliques]
    for measurement in tables:
        position = tree.home(measurement.clique)
        assert position is not None
        clique = tree.cliques[position]
        order = [measurement.clique.index(a) for a in clique if a in measurement.clique]
        shape = [tree.domain.size(a) if a in measurement.clique else 1 for a in clique]
        conditional = np.maximum(_conditional(measurement.values), LEAST)
        potentials[position] += np.log(conditional).transpose(order).reshape(shape)
    return JunctionTreeModel(tree, tuple(tree.beliefs(potentials)), total)


def _conditional(counts: Floats) -> Floats:
    """Return the first axis given all others: noisy counts without the negative, normalised.

    Uniform where none is left.
    """
    positive = np.maximum(counts, 0.0)
    sums = positive.sum(axis=0, keepdims=True)
    return np.where(sums > 0, positive / np.where(sums > 0, sums, 1.0), 1 / len(counts))
