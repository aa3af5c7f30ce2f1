"""The one-shot clique tree: score all pairs at once, measure those that pay, fit one model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Filtered, Plan, PrivacyBudget
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference import JunctionTree, Model
from dp_synth.inference.pair_selection import choose_pairs
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers._interactions import add_interactions
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
class CliqueTree(Synthesizer):
    """Measures every pair that is worth its noise, once, and fits a junction tree of them.

    A one-shot method in the line of MST (arXiv:2108.04978) and AIM (arXiv:2201.12677), without
    their rounds of selection. All one-way marginals get a first look, which merges codes that
    noise would drown. All pairs are scored at once by their noisy L1 distance from independence,
    less what sampling alone would show, shrunk by what noise alone would. Pairs enter by score
    less the error that their own noise adds, while the junction tree stays small; the rest of
    the budget is shared so that the summed error is small, and one model of high entropy is
    fitted to everything that is known (``estimate``). Where the scores would drown, each column
    chooses a likely partner by the exponential mechanism, and these pairs alone are scored. Where
    no pair is worth its noise, columns are measured, and with a small part of the budget their
    pairs with the label, believed as far as they stand out of their noise.

    What no pair shows, such as an exclusive or of several columns, is looked for before pairs are
    measured: one answer has noisy parities of halves of many columns, of up to seven and the
    label. Those that stand out of the noise, and are not what smaller parts imply, become cliques
    of the tree. Not at delta 0: so many parities have no useful Laplace noise.

    Privacy
    -------
    Every answer is Gaussian, or in wide tables a choice by the exponential mechanism, with noise
    chosen in view of earlier answers, inside a filter of Gaussian DP whose limit is fixed in
    advance (Smith & Thakurta 2022, arXiv:2210.17520): the curve of the whole run is that of one
    Gaussian mechanism. Merging, choosing, estimation and sampling see noisy values only.
    """

    name: ClassVar[str] = "clique_tree"
    figure_label: ClassVar[str] = "clique tree"
    title: ClassVar[str] = "a tree of cliques, chosen at once by noisy scores of all pairs"
    reference: ClassVar[str] = (
        "no paper of its own; in the line of MST (arXiv:2108.04978) and AIM (arXiv:2201.12677)"
    )
    cites: ClassVar[tuple[str, ...]] = ("mckenna2021", "mckenna2022")
    measures: ClassVar[str] = "marginals"
    chooses: ClassVar[bool] = True

    max_cells: int = 200_000  # of the junction tree's tables together
    coarseness: float = 0.4  # how many records a group of merged codes holds; see Compression
    interactions: bool = True  # whether to look for what no pair shows

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_cells < 1 or not 0 <= self.coarseness < math.inf:
            raise InputError(
                "max_cells must be 1 or more and coarseness a finite number from 0, got "
                f"{self.max_cells} and {self.coarseness}"
            )

    def plan(self, domain: Domain) -> Plan:
        """One filter of Gaussian DP; InputError when columns alone exceed ``max_cells``."""
        domain.check_workload(2)
        JunctionTree.of(domain, (), max_cells=self.max_cells)
        return Plan({"answers": Filtered("gdp")})

    def check_noise(self, plan: Plan, domain: Domain, budget: PrivacyBudget) -> None:
        """Raise InputError where a first look at the columns would say nothing."""
        check_first_look(plan.filtered("answers"), domain, budget)

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        return self._release(table, plan, rng).model(table.domain)

    def _release(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Measured:
        budget = FilterBudget(table, plan.filtered("answers"), rng)
        seen = self._select_pairs(table, budget)
        return measure_pairs(table, seen, budget, max_cells=self.max_cells)

    def _decide(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> Sequence[Clique]:
        return self._select_pairs(table, FilterBudget(table, plan.filtered("answers"), rng)).pairs

    def _select_pairs(self, table: PrivateTable, budget: FilterBudget) -> Selected:
        choose = partial(choose_pairs, max_cells=self.max_cells)
        seen = select_pairs(table, budget, choose, coarseness=self.coarseness)
        if not self.interactions or budget.is_pure:
            return seen
        return add_interactions(table, seen, budget, max_cells=self.max_cells)
