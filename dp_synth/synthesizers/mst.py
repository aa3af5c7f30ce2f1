"""MST (McKenna, Miklau & Sheldon 2021): as published, edge by edge, and a variant in one shot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Filtered, Gaussians, Plan, PrivacyBudget, Selections
from dp_synth.domain import Domain
from dp_synth.errors import InputError, warn
from dp_synth.inference import Compression, Model, independent_model
from dp_synth.inference.pair_selection import choose_forest
from dp_synth.mechanisms import Distances, PrivateTable, measure, select
from dp_synth.synthesizers._one_shot import (
    FilterBudget,
    Measured,
    Selected,
    check_first_look,
    measure_pairs,
    select_pairs,
)
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.types import Clique


@dataclass(frozen=True)
class MST(Synthesizer):
    """One-shot variant of MST: measures all attributes and the pairs of a spanning tree.

    In the line of McKenna, Miklau & Sheldon 2021 (arXiv:2108.04978), whose own algorithm is
    ``PublishedMST``; select, measure, generate as there. Departures:

    - all pairs are scored at once by noisy distances, for less than the exponential mechanism
      asks for the tree's edges alone, and the tree is the maximum spanning tree of the scores;
    - where scores of all pairs would drown, each column chooses a likely partner by the
      exponential mechanism, and these pairs alone are scored;
    - an edge whose score is not worth the noise of its pair is left out: what it would have cost
      goes to the others; where none is worth it, the label is paired with every other attribute
      for a small part of the budget, and believed as far as it stands out of the noise;
    - the budget is shared by what each answer adds to the error, not in thirds, and everything
      known about a column is combined by inverse variance;
    - neighbouring codes of ordered attributes are merged, not only rare categories.

    Rows are drawn so that siblings are independent given their parent. ``as_published`` is for
    callers of older versions: ``MST(as_published=True)`` gives a `PublishedMST`, with a
    DeprecationWarning.

    Privacy
    -------
    Every answer is Gaussian, or in wide tables a choice by the exponential mechanism, inside a
    filter of Gaussian DP fixed in advance (Smith & Thakurta 2022, arXiv:2210.17520), as in
    ``CliqueTree``. Compression, estimation and sampling are post-processing.
    """

    name: ClassVar[str] = "mst"
    figure_label: ClassVar[str] = "MST"
    title: ClassVar[str] = "a maximum spanning tree of noisy pairs of columns"
    reference: ClassVar[str] = "a variant of McKenna, Miklau & Sheldon 2021, arXiv:2108.04978"
    cites: ClassVar[tuple[str, ...]] = ("mckenna2021",)
    measures: ClassVar[str] = "marginals"
    chooses: ClassVar[bool] = True

    coarseness: float = 0.4  # how many records a group of merged codes holds; see Compression
    as_published: bool = False  # gone in the next version: `PublishedMST` is the paper's

    def __new__(cls, coarseness: float = 0.4, as_published: object = False) -> MST:
        """Return a new instance, or, where an older caller asks for it, the paper's algorithm."""
        if not (isinstance(as_published, bool | np.bool_) and as_published):
            return super().__new__(cls)
        warn("MST(as_published=True) is PublishedMST(), named published_mst", DeprecationWarning)
        return PublishedMST()  # type: ignore[return-value]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.coarseness < math.inf:
            raise InputError(f"coarseness must be a finite number from 0, got {self.coarseness}")

    def plan(self, domain: Domain) -> Plan:
        """One filter of Gaussian DP; InputError for more pairs than can be chosen among."""
        domain.check_workload(2)
        return Plan({"answers": Filtered("gdp")})

    def check_noise(self, plan: Plan, domain: Domain, budget: PrivacyBudget) -> None:
        """Raise InputError where a first look at the columns would say nothing."""
        check_first_look(plan.filtered("answers"), domain, budget)

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        return self._release(table, plan, rng).model(table.domain)

    def _release(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Measured:
        budget = FilterBudget(table, plan.filtered("answers"), rng)
        seen = select_pairs(table, budget, _choose_tree, coarseness=self.coarseness)
        return measure_pairs(table, seen, budget)

    def _decide(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> Sequence[Clique]:
        budget = FilterBudget(table, plan.filtered("answers"), rng)
        return select_pairs(table, budget, _choose_tree, coarseness=self.coarseness).pairs


def _choose_tree(
    domain: Domain, scores: Mapping[Clique, float], precision: float, _: Mapping[str, float]
) -> list[Clique]:
    return choose_forest(domain, scores, precision)


@dataclass(frozen=True)
class PublishedMST(Synthesizer):
    """The paper's MST: measures all attributes, then the pairs of a tree chosen edge by edge.

    Winner of the 2018 NIST challenge as generalised in arXiv:2108.04978 (Algorithm 1): select,
    measure, generate, with a third of the zCDP cost each for one-way marginals, the tree's edges
    and its pairs. The noise is calibrated by composed privacy-loss curves, the edges as one block
    (8 % less noise at epsilon 1 and delta 1e-5 than by zCDP). Rows are drawn so that siblings are
    independent given their parent. ``MST`` is a variant in one shot.

    Privacy
    -------
    One Gaussian measurement an attribute, one exponential-mechanism selection and one Gaussian
    measurement an edge. Compression, estimation and sampling are post-processing.
    """

    name: ClassVar[str] = "published_mst"
    figure_label: ClassVar[str] = "MST as published"
    title: ClassVar[str] = "a spanning tree of pairs of columns, chosen edge by edge"
    reference: ClassVar[str] = "McKenna, Miklau & Sheldon 2021, arXiv:2108.04978"
    cites: ClassVar[tuple[str, ...]] = ("mckenna2021",)
    measures: ClassVar[str] = "marginals"
    chooses: ClassVar[bool] = True

    def plan(self, domain: Domain) -> Plan:
        """Equal shares (Algorithm 1, line 1).

        InputError for more pairs of columns than can be chosen among.
        """
        domain.check_workload(2)
        d = len(domain)
        return Plan({"ones": Gaussians(d), "tree": Selections(d - 1), "pairs": Gaussians(d - 1)})

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        return self._release(table, plan, rng).model(table.domain)

    def _release(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Measured:
        seen = _select(table, plan, rng)
        if not seen.pairs:  # a lone attribute has no pair, and its plan no noise for one
            return Measured(seen.compression, seen.ones, [])
        coarse, part = table.coarsen(seen.compression.groups), plan.gaussians("pairs")
        pairs = measure(coarse, seen.pairs, part, rng, why="pairs of the tree")
        return Measured(seen.compression, seen.ones, pairs)

    def _decide(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> Sequence[Clique]:
        return _select(table, plan, rng).pairs


def _select(table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Selected:
    """Measure all attributes, merge rare categories and choose a tree (Algorithm 1, lines 2-3)."""
    cliques = [(attribute,) for attribute in table.domain]
    ones = measure(table, cliques, plan.gaussians("ones"), rng, why="one-way marginals")
    compression = Compression.of(table.domain, ones, coarseness=0.0)
    coarse = table.coarsen(compression.groups)
    independent = independent_model(coarse.domain, [compression.compress(one) for one in ones])
    distances = Distances(coarse, independent.marginal)
    return Selected(compression, ones, _select_tree(distances, plan.selections("tree"), rng))


def _select_tree(
    distances: Distances, selections: Selections, rng: np.random.Generator
) -> list[Clique]:
    """Choose edges one by one, as Kruskal does, each by how far its pair is from independent.

    The exponential mechanism chooses among the pairs that join two components (Algorithm 2).
    """
    domain = distances.table.domain
    component = {attribute: attribute for attribute in domain}
    tree: list[Clique] = []
    while len(tree) < len(domain) - 1:
        joining = [(a, b) for a, b in combinations(domain, 2) if component[a] != component[b]]
        a, b = select(distances, joining, selections, rng, why="an edge of the tree")
        tree.append((a, b))
        merged = component[b]
        for attribute, name in component.items():
            if name == merged:
                component[attribute] = component[a]
    return tree
