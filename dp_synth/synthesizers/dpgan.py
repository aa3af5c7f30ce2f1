"""DPGAN: a plain generator against a private critic, the baseline of the deep family."""

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
class DPGAN(GanSettings, Synthesizer):
    """Trains a generator of rows against a Wasserstein critic under DP-SGD, and no more.

    Xie et al. 2018 (arXiv:1802.06739), with Poisson batches, clipped gradients and limited
    weights of the critic. One-way marginals only say which codes are one input of the networks,
    and how such a group is shared out again: the generator is not held to them. What is released
    is a mixture of the generators of late steps (``late_share``): each of them answers the critic
    of its moment and misses what that one did not look at, their mixture does not, and differs
    little from one seed, or processor, to the next.

    Privacy
    -------
    As in ``DPCTGAN``: one Gaussian measurement an attribute, then one noisy sum of clipped
    gradients of Poisson-sampled records a step (``SampledGradients``), all of which the charge
    covers, so that rows of every step are post-processing.
    """

    name: ClassVar[str] = "dpgan"
    figure_label: ClassVar[str] = "DPGAN"
    title: ClassVar[str] = "a generator network against a critic trained on noisy gradients"
    reference: ClassVar[str] = "Xie, Lin, Wang, Wang & Zhou 2018, arXiv:1802.06739"
    cites: ClassVar[tuple[str, ...]] = ("xie2018", "abadi2016")
    resumable: ClassVar[bool] = True

    late_share: float = 0.8  # of the steps, whose generators' rows are released

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        from dp_synth.nn.gan import fit_gan

        return fit_gan(table, plan, self, rng)
