"""A generator network trained on noisy marginals: any graph of pairs, no junction tree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import numpy as np

from dp_synth.accounting import Filtered, Plan, PrivacyBudget
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference import Model
from dp_synth.inference.pair_selection import ROUNDS, Allocation, choose_pairs
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.nn.settings import require_torch
from dp_synth.synthesizers._one_shot import (
    FilterBudget,
    Measured,
    Selected,
    check_first_look,
    made_records,
    measure_pairs,
    select_pairs,
)
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.types import Clique

TREE_CELLS = 200_000  # of the tree whose records are to be likely, as CliqueTree's


@dataclass(frozen=True)
class MarginalGenerator(Synthesizer):
    """Measures every pair that is worth its noise, once, and trains a generator to have them.

    In the line of GEM (Liu, Vietri & Wu 2021, arXiv:2106.07153) and MargNet (arXiv:2511.13893):
    a network makes rows of probabilities, one softmax an attribute, whose mean marginals are
    differentiable; Adam brings them to the measured ones, each weighted by its precision. A
    junction tree must leave out pairs that would close large cycles; a network takes them all.
    Unlike in those papers nothing is selected in rounds: one look, one set of scores and one
    measurement, as in ``CliqueTree``. The latent vectors are fixed, so that what is released is
    a finite mixture of rows with exact marginals.

    With the objective "likelihood" pairs are chosen as ``CliqueTree`` chooses them, and the rows
    are brought to records that its model makes, by likelihood: that model holds no noise that
    its entropy smooths away, and says what it says of all attributes together.

    Privacy
    -------
    All answers are Gaussian, but for choices by the exponential mechanism in wide tables, inside
    one filter of Gaussian DP whose limit is fixed in advance (Smith & Thakurta 2022,
    arXiv:2210.17520). Training and sampling see noisy values only.
    """

    name: ClassVar[str] = "marginal_generator"
    figure_label: ClassVar[str] = "marginal generator"
    title: ClassVar[str] = "a generator network trained on noisy marginals"
    reference: ClassVar[str] = "in the line of Liu, Vietri & Wu 2021, arXiv:2106.07153"
    cites: ClassVar[tuple[str, ...]] = ("liu2021", "chen2025")

    steps: int = 1000
    rows: int = 512  # of probabilities: components of the mixture
    width: int = 128  # of the hidden layers
    learning_rate: float = 0.01
    coarseness: float = 0.4  # how many records a group of merged codes holds; see Compression
    max_cells: int = 1_000_000  # of one pair
    objective: Literal["marginals", "likelihood"] = "marginals"  # that rows are trained by

    LARGEST: ClassVar = {"steps": 10_000_000, "rows": 2**17, "width": 2**13, "learning_rate": 3e38}

    def __post_init__(self) -> None:
        super().__post_init__()
        least = {"steps": self.steps, "rows": self.rows, "width": self.width}
        for name, value in {**least, "max_cells": self.max_cells}.items():
            if value < 1:
                raise InputError(f"{name} must be 1 or more, got {value}")
        if not (0 < self.learning_rate < math.inf and 0 <= self.coarseness < math.inf):
            raise InputError(
                "learning_rate must be a finite number above 0 and coarseness one from 0, got "
                f"{self.learning_rate} and {self.coarseness}"
            )

    def plan(self, domain: Domain) -> Plan:
        """One filter of Gaussian DP; InputError for constraints, which rows cannot keep."""
        domain.check_workload(2)
        if domain.supports:
            raise InputError(
                f"{self.name} cannot keep the schema's constraints; use clique_tree or mst, or "
                "take the constraints out"
            )
        require_torch(self.name)
        return Plan({"answers": Filtered("gdp")})

    def check_noise(self, plan: Plan, domain: Domain, budget: PrivacyBudget) -> None:
        """Raise InputError where a first look at the columns would say nothing."""
        check_first_look(plan.filtered("answers"), domain, budget)

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        found = self._release(table, plan, rng)
        if not found.pairs or found.unchosen:  # too few for a network to learn from
            return found.model(table.domain)
        from dp_synth.nn.marginal_network import Training, fit_likely_rows, fit_rows

        compression = found.compression.shared_by(table.domain, found.ones)
        ones = [compression.compress(one) for one in found.ones]
        training = Training(self.rows, self.width, self.steps, self.learning_rate)
        if self.objective == "likelihood":
            made = made_records(found, table.domain)
            coarse = fit_likely_rows(compression.domain, ones, made, training, rng)
        else:
            coarse = fit_rows(compression.domain, ones, found.pairs, training, rng)
        return coarse.refined(table.domain, compression.groups, compression.shares)

    def _release(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Measured:
        budget = FilterBudget(table, plan.filtered("answers"), rng)
        return measure_pairs(table, self._select_pairs(table, budget), budget)

    def _decide(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> Sequence[Clique]:
        return self._select_pairs(table, FilterBudget(table, plan.filtered("answers"), rng)).pairs

    def _select_pairs(self, table: PrivateTable, budget: FilterBudget) -> Selected:
        choose = self._worth_measuring
        if self.objective == "likelihood":
            choose = partial(choose_pairs, max_cells=min(TREE_CELLS, self.max_cells))
        return select_pairs(table, budget, choose, coarseness=self.coarseness)

    def _worth_measuring(
        self,
        domain: Domain,
        scores: Mapping[Clique, float],
        precision: float,
        spreads: Mapping[str, float],
    ) -> list[Clique]:
        """Return the pairs whose score is above the error that their own noise adds.

        The more pairs share the precision the more each costs, so that the two are brought
        together in a few rounds.
        """
        small = {pair: score for pair, score in scores.items() if score > 0}
        small = {p: score for p, score in small.items() if domain.cells(p) <= self.max_cells}
        chosen = list(small)
        for _ in range(ROUNDS):
            allocation = Allocation.of(domain, chosen, precision)
            worth = [p for p, score in small.items() if score > allocation.price(domain, p)]
            if len(worth) == len(chosen):
                break
            chosen = worth
        return chosen
