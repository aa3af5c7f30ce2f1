"""DP-CTGAN: a conditional generator against a critic that learns under differential privacy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Plan
from dp_synth.inference import Model
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.nn.settings import GanSettings
from dp_synth.synthesizers.base import Synthesizer


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

    Privacy
    -------
    One Gaussian measurement an attribute, then one noisy sum of clipped gradients of Poisson-
    sampled records a step (``SampledGradients``). Gradients on generated rows, all of the
    generator's training, and raking see noisy values only. Of a unit of several records
    each tosses its own coin.
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

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        from dp_synth.nn.gan import fit_gan

        return fit_gan(table, plan, self, rng)
