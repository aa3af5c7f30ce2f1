"""A synthesizer, an attack, a guess and a metric of nobody's: a file each, here in one.

Loaded as a plugin of pytest (``-p made_methods``) they are among those of the toolkit, as a line in
each registry would put them there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from dp_synth.accounting import Gaussians, Plan
from dp_synth.attacks import ATTACKS, Attack, AttackerView, ClosestRecord
from dp_synth.attacks.excess_risk import ExcessRisk, Guess
from dp_synth.attacks.registry import GUESSES
from dp_synth.inference import independent_model
from dp_synth.mechanisms import measure
from dp_synth.metrics import METRICS, Estimate, Metric
from dp_synth.synthesizers import SYNTHESIZERS, Synthesizer

ENTRY = "@misc{made2026,\n  author = {Made, Ada},\n  title = {Made methods},\n  year = {2026},\n}"


@dataclass(frozen=True)
class MadeSynthesizer(Synthesizer):
    """Measures every attribute by itself, as the baseline does.

    Privacy
    -------
    One Gaussian measurement an attribute, all with the same noise.
    """

    name: ClassVar[str] = "made_synthesizer"
    figure_label: ClassVar[str] = "Made synthesizer"
    title: ClassVar[str] = "a method that a test has made"
    reference: ClassVar[str] = "Made 2026, unpublished"
    cites: ClassVar[tuple[str, ...]] = (ENTRY, "mckenna2021")

    def plan(self, domain):
        return Plan({"ones": Gaussians(len(domain))})

    def _fit(self, table, plan, rng):
        cliques = [(attribute,) for attribute in table.domain]
        ones = measure(table, cliques, plan.gaussians("ones"), rng, why="one-way marginals")
        return independent_model(table.domain, ones)


@dataclass(frozen=True)
class MadeAttack(Attack):
    """Scores by the closest record, as the review's attack does."""

    name: ClassVar[str] = "made_attack"
    figure_label: ClassVar[str] = "Made attack"
    question: ClassVar[str] = "Does an attack that a test has made find anyone?"
    cites: ClassVar[tuple[str, ...]] = (ENTRY,)

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> np.ndarray:
        return ClosestRecord().scores(targets, view)


MADE_GUESS = Guess(
    "made_guess",
    "Made guess",
    "Is a guess that a test has made right?",
    "The guess of a test about a {who} record was right",
    lambda tables: ExcessRisk.of([True] * 9 + [False], [True, False] * 5, 0.5),
    cites=(ENTRY,),
)
MADE_METRIC = Metric(
    "made_metric",
    "number of synthetic records, which a test has made a metric",
    "higher",
    lambda compared: {"made_metric": Estimate(*[float(len(compared.synthetic))] * 3)},
    figure_label="Made metric",
    cites=(ENTRY,),
)
MADE = (
    (SYNTHESIZERS, MadeSynthesizer),
    (ATTACKS, MadeAttack),
    (GUESSES, MADE_GUESS),
    (METRICS, MADE_METRIC),
)


def pytest_configure() -> None:
    """Write the line into each registry."""
    for registry, made in MADE:
        registry[made.name] = made
