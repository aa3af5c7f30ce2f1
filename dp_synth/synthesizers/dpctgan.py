"""DP-CTGAN: a conditional generator against a critic that learns under differential privacy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Filtered, Plan, PrivacyBudget
from dp_synth.checkpoint import CheckpointWriter
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference import Model
from dp_synth.inference.pair_selection import choose_pairs
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.nn.settings import UNITS, GanSettings
from dp_synth.synthesizers._one_shot import (
    FilterBudget,
    Selected,
    check_first_look,
    made_records,
    measure_pairs,
    measured_before,
    select_pairs,
)
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.types import Clique

ANSWERS = "answers"  # the part that pays for marginals
COARSENESS, MAX_CELLS = 0.4, 200_000  # of the groups and of the tree at the start, as CliqueTree's


@dataclass(frozen=True)
class DPCTGAN(GanSettings, Synthesizer):
    """Trains a conditional generator of rows against a critic that sees records through noise.

    CTGAN (Xu et al. 2019, arXiv:1907.00503) under DP-SGD, as in Rosenblatt et al. 2020
    (arXiv:2011.05537) and Fang et al. 2022. Large batches and a critic of one hidden layer
    follow Bie et al. 2023 (arXiv:2302.02936). Departures:

    - a record's condition is a code of its own, drawn by its own coin, where CTGAN picks records
      by condition: that would let one record take part in many batches;
    - conditions, inputs and the frequencies that the generator is held to come from one-way
      marginals that are paid for;
    - the critic is that of a Wasserstein GAN with limited weights: a gradient penalty would mix
      records with generated rows, and batch statistics or packed records with each other;
    - as many steps of the generator as of the critic: at equal cost more of the critic's are
      worse here (five to one lost 0.04 of the AUC on Adult at epsilon 1);
    - the generator's rows are probabilities, released as a mixture and raked to the one-way
      marginals, so that marginals and conditions are exact.

    With ``marginals``, a share of the cost in place of ``columns_share``, the training starts
    from a model of noisy marginals: columns and pairs are chosen and measured as ``CliqueTree``
    does, and the generator is brought to records that the model makes, by likelihood, before the
    first step. From then on it answers the critic without leaving them. ``steps`` may then be
    few, or 0: the start alone. On Adult steps that follow it were not seen to gain anything
    (``experiments/warm-start``).

    Privacy
    -------
    One Gaussian measurement an attribute, then one noisy sum of clipped gradients of Poisson-
    sampled records a step (``SampledGradients``). Gradients on generated rows, all of the
    generator's training, and raking see noisy values only. Of a unit of several records
    each tosses its own coin, or all toss one and are one part (``sampled`` "units"), whose noisy
    number is measured. What a start asks is Gaussian inside one filter of Gaussian DP, as in
    ``CliqueTree``, and composed with the steps; all that is made of its answers is free.
    """

    name: ClassVar[str] = "dpctgan"
    figure_label: ClassVar[str] = "DP-CTGAN"
    title: ClassVar[str] = (
        "a conditional generator network against a critic trained on noisy gradients"
    )
    reference: ClassVar[str] = (
        "Xu et al. 2019, arXiv:1907.00503; Rosenblatt et al. 2020, arXiv:2011.05537"
    )
    cites: ClassVar[tuple[str, ...]] = (
        "xu2019",
        "rosenblatt2020",
        "fang2022",
        "bie2023",
        "abadi2016",
    )
    resumable: ClassVar[bool] = True
    conditional: ClassVar[bool] = True

    frequencies_weight: float = 10.0  # type: ignore[misc]  # of the divergence from them
    marginals: float = 0.0  # of the cost, for marginals to start from; 0: columns alone, no start

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.marginals < 1:
            raise InputError(f"marginals must lie in [0, 1), got {self.marginals}")
        if self.marginals and self.late_share:
            raise InputError(
                "late_share is for trainings without a start, whose rows change with each step; "
                "with marginals leave it 0"
            )

    def plan(self, domain: Domain) -> Plan:
        """One-way marginals, or a filter for marginals to start from; then steps.

        InputError as in GanSettings, and for a domain that has no tree.
        """
        plan = super().plan(domain)
        if not self.marginals:
            return plan
        domain.check_workload(2)
        steps = replace(plan.sampled("steps"), share=1 - self.marginals)
        units = {UNITS: plan.gaussians(UNITS)} if UNITS in plan.parts else {}
        return Plan({ANSWERS: Filtered("gdp", self.marginals), **units, "steps": steps})

    def check_noise(self, plan: Plan, domain: Domain, budget: PrivacyBudget) -> None:
        """Raise InputError where a first look at the columns would say nothing."""
        if self.marginals:
            check_first_look(plan.filtered(ANSWERS), domain, budget)

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        return self._trained(table, plan, rng, None)

    def _fit_kept(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator, writer: CheckpointWriter
    ) -> Model:
        return self._trained(table, plan, rng, writer)

    def _trained(
        self,
        table: PrivateTable,
        plan: Plan,
        rng: np.random.Generator,
        writer: CheckpointWriter | None,
    ) -> Model:
        from dp_synth.nn.gan import fit_gan
        from dp_synth.nn.pretraining import Start

        if not self.marginals:
            return fit_gan(table, plan, self, rng, writer)
        budget = FilterBudget(table, plan.filtered(ANSWERS), rng)
        found = measured_before(table, budget.part, coarseness=COARSENESS)
        if found is None:
            seen = self._select_pairs(table, budget)
            found = measure_pairs(table, seen, budget, max_cells=MAX_CELLS)
        compression = found.compression.shared_by(table.domain, found.ones)
        start = Start(compression, found.ones, made_records(found, table.domain))
        return fit_gan(table, plan, self, rng, writer, start=start)

    def _decide(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> Sequence[Clique]:
        if not self.marginals:
            return super()._decide(table, plan, rng)
        return self._select_pairs(table, FilterBudget(table, plan.filtered(ANSWERS), rng)).pairs

    def _select_pairs(self, table: PrivateTable, budget: FilterBudget) -> Selected:
        choose = partial(choose_pairs, max_cells=MAX_CELLS)
        return select_pairs(table, budget, choose, coarseness=COARSENESS)

    def _least(self, field: str) -> int:
        return 0 if field == "steps" and self.marginals else super()._least(field)
