"""Independent columns: the baseline below which no synthesizer should fall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Gaussians, Plan
from dp_synth.domain import Domain
from dp_synth.inference import JunctionTreeModel, independent_model
from dp_synth.mechanisms import measure
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.transcript import Measurement


@dataclass(frozen=True)
class Independent(Synthesizer):
    """Measures every attribute's histogram once and samples the attributes independently.

    Privacy
    -------
    One Gaussian measurement an attribute, all with the same noise; the rest is post-processing.
    """

    name: ClassVar[str] = "independent"
    figure_label: ClassVar[str] = "Independent"
    title: ClassVar[str] = "noisy histograms of single columns, sampled independently"
    reference: ClassVar[str] = "a baseline without a paper"
    cites: ClassVar[tuple[str, ...]] = ()
    measures: ClassVar[str] = "marginals"

    def plan(self, domain: Domain) -> Plan:
        """One measurement an attribute."""
        return Plan({"ones": Gaussians(len(domain))})

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> JunctionTreeModel:
        return independent_model(table.domain, self._release(table, plan, rng))

    def _release(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> list[Measurement]:
        cliques = [(attribute,) for attribute in table.domain]
        return measure(table, cliques, plan.gaussians("ones"), rng, why="one-way marginals")
