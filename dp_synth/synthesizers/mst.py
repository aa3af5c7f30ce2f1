"""MST: a maximum spanning tree of noisy pairs (McKenna, Miklau & Sheldon 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Filtered, Gaussians, Plan, PrivacyBudget, Selections
from dp_synth.domain import Clique, Domain
from dp_synth.errors import InputError
from dp_synth.inference import Compression, JunctionTreeModel, Model, independent_model
from dp_synth.inference.pair_selection import choose_forest
from dp_synth.mechanisms import Distances, measure, select
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers._one_shot import (
    FilterBudget,
    Measured,
    Selected,
    check_first_look,
    measure_pairs,
    select_pairs,
)
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.transcript import Measurement


@dataclass(frozen=True)
class MST(Synthesizer):
    """Measures all attributes and the pairs of a privately chosen spanning tree.

    Winner of the 2018 NIST challenge as generalised in arXiv:2108.04978 (Algorithm 1): select,
    measure, generate. With ``as_published`` it is that algorithm, a third of the zCDP cost each
    for one-way marginals, the tree's edges and its pairs, though calibrated by composed
    privacy-loss curves, the edges as one block (8 % less noise at epsilon 1 and delta 1e-5 than
    by zCDP). Departures otherwise:

    - all pairs are scored at once by noisy distances, for less than the exponential mechanism
      asks for the tree's edges alone, and the tree is the maximum spanning tree of the scores;
    - an edge whose score is not worth the noise of its pair is left out, and where scores would
      drown no pair is measured at all: what they would have cost goes to the others;
    - the budget is shared by what each answer adds to the error, not in thirds, and everything
      known about a column is combined by inverse variance;
    - neighbouring codes of ordered attributes are merged, not only rare categories.

    Rows are drawn so that siblings are independent given their parent.

    Privacy
    -------
    Every answer is Gaussian, inside a filter of Gaussian DP fixed in advance (Smith & Thakurta
    2022, arXiv:2210.17520), as in ``CliqueTree``. As published: one Gaussian measurement an
    attribute, one exponential-mechanism selection and one Gaussian measurement an edge.
    Compression, estimation and sampling are post-processing.
    """

    name: ClassVar[str] = "mst"
    figure_label: ClassVar[str] = "MST"
    title: ClassVar[str] = "a maximum spanning tree of noisy pairs of columns"
    reference: ClassVar[str] = "McKenna, Miklau & Sheldon 2021, arXiv:2108.04978"
    cites: ClassVar[tuple[str, ...]] = ("mckenna2021",)

    coarseness: float = 0.4  # how many records a group of merged codes holds; see Compression
    as_published: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.coarseness < math.inf:
            raise InputError(f"coarseness must be a finite number from 0, got {self.coarseness}")

    def plan(self, domain: Domain) -> Plan:
        """One filter of Gaussian DP; as published, equal shares (Algorithm 1, line 1).

        InputError for more pairs of columns than can be chosen among.
        """
        domain.check_workload(2)
        if not self.as_published:
            return Plan({"answers": Filtered("gdp")})
        d = len(domain)
        return Plan({"ones": Gaussians(d), "tree": Selections(d - 1), "pairs": Gaussians(d - 1)})

    def check_noise(self, plan: Plan, domain: Domain, budget: PrivacyBudget) -> None:
        """Raise InputError where a first look at the columns would say nothing."""
        if not self.as_published:
            check_first_look(plan.filtered("answers"), domain, budget)

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        return self._release(table, plan, rng).model(table.domain)

    def _release(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Measured:
        if not self.as_published:
            budget = FilterBudget(table, plan.filtered("answers"), rng)
            seen = select_pairs(table, budget, choose_forest, coarseness=self.coarseness)
            return measure_pairs(table, seen, budget)
        seen = _select(table, plan, rng)
        pairs = _measure_tree(table.coarsen(seen.compression.groups), seen.pairs, plan, rng)
        return Measured(seen.compression, seen.ones, pairs)

    def _decide(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> Sequence[Clique]:
        if self.as_published:
            return _select(table, plan, rng).pairs
        budget = FilterBudget(table, plan.filtered("answers"), rng)
        return select_pairs(table, budget, choose_forest, coarseness=self.coarseness).pairs


def _select(table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Selected:
    """Measure all attributes, merge rare categories and choose a tree (Algorithm 1, lines 2-3)."""
    cliques = [(attribute,) for attribute in table.domain]
    ones = measure(table, cliques, plan.gaussians("ones"), rng, why="one-way marginals")
    compression = Compression.of(table.domain, ones, coarseness=0.0)
    coarse = table.coarsen(compression.groups)
    independent = independent_model(coarse.domain, [compression.compress(one) for one in ones])
    tree = _select_tree(coarse, independent, plan.selections("tree"), rng)
    return Selected(compression, ones, tree)


def _measure_tree(
    table: PrivateTable, tree: Sequence[Clique], plan: Plan, rng: np.random.Generator
) -> Sequence[Measurement]:
    if not tree:  # a lone attribute has no pair, and its plan no noise for one
        return []
    return measure(table, tree, plan.gaussians("pairs"), rng, why="pairs of the tree")


def _select_tree(
    table: PrivateTable,
    independent: JunctionTreeModel,
    selections: Selections,
    rng: np.random.Generator,
) -> list[Clique]:
    """Choose edges one by one, as Kruskal does, each by how far its pair is from independent.

    The exponential mechanism chooses among the pairs that join two components (Algorithm 2).
    """
    distances = Distances(table, independent.marginal)
    component = {attribute: attribute for attribute in table.domain}
    tree: list[Clique] = []
    while len(tree) < len(table.domain) - 1:
        joining = [(a, b) for a, b in combinations(table.domain, 2) if component[a] != component[b]]
        a, b = select(distances, joining, selections, rng, why="an edge of the tree")
        tree.append((a, b))
        merged = component[b]
        for attribute, name in component.items():
            if name == merged:
                component[attribute] = component[a]
    return tree
