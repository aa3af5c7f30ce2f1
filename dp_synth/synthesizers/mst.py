"""MST: a maximum spanning tree of noisy pairs (McKenna, Miklau & Sheldon 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Gaussians, Plan, Selections
from dp_synth.domain import Clique, Domain
from dp_synth.inference import Compression, JunctionTreeModel, estimate, independent_model
from dp_synth.mechanisms import Distances, measure, select
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.table import PrivateTable


@dataclass(frozen=True)
class MST(Synthesizer):
    """Measures all attributes and the pairs of a privately chosen spanning tree.

    Winner of the 2018 NIST challenge as generalised in arXiv:2108.04978 (Algorithm 1): select,
    measure, generate, with a third of the zCDP cost each for one-way marginals, the tree's
    edges and its pairs. Departures: noise is calibrated by composed privacy-loss curves, the
    edges as one block (8 % less of it at epsilon 1 and delta 1e-5 than by zCDP); neighbouring
    codes of ordered attributes are merged, not only rare categories (``Compression``); rows are
    drawn so that siblings are independent given their parent.

    Privacy
    -------
    One Gaussian measurement an attribute, one exponential-mechanism selection and one Gaussian
    measurement an edge; compression, estimation and sampling are post-processing.
    """

    name: ClassVar[str] = "mst"

    def plan(self, domain: Domain) -> Plan:
        """Equal shares for one-way marginals, edges and pairs (Algorithm 1, line 1)."""
        d = len(domain)
        return Plan({"ones": Gaussians(d), "tree": Selections(d - 1), "pairs": Gaussians(d - 1)})

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> JunctionTreeModel:
        cliques = [(attribute,) for attribute in table.domain]
        ones = measure(table, cliques, plan.gaussians("ones"), rng, why="one-way marginals")
        compression = Compression.of(table.domain, ones)
        coarse = table.coarsen(compression.groups)
        ones = [compression.compress(one) for one in ones]
        tree = _select_tree(
            coarse, independent_model(coarse.domain, ones), plan.selections("tree"), rng
        )
        if not tree:  # a lone attribute has no pair, and its plan no noise for one
            return independent_model(coarse.domain, ones).expand(table.domain, compression.splits)
        pairs = measure(coarse, tree, plan.gaussians("pairs"), rng, why="pairs of the tree")
        model = estimate(coarse.domain, ones + pairs)
        return model.expand(table.domain, compression.splits)


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
