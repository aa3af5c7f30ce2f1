"""PATE-CTGAN: questions about records that were given a condition, rare values as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Plan
from dp_synth.inference import Model
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.nn.settings import PateSettings
from dp_synth.synthesizers.base import Synthesizer


@dataclass(frozen=True)
class PATECTGAN(PateSettings, Synthesizer):
    """Asks teachers about made records that were given a condition, as CTGAN's batches are.

    PATE-CTGAN (Rosenblatt et al. 2020, arXiv:2011.05537): the votes of PATE-GAN on the training
    by sampling of CTGAN (Xu et al. 2019, arXiv:1907.00503). Before a question a record is given
    one value of another attribute, drawn by the logarithm of its paid frequency, so that rare
    values are learnt about as well. Teachers, student and generator are those of ``PATEGAN``
    with its departures from the papers.

    Privacy
    -------
    One Gaussian answer an attribute and ``votes`` noisy votes, each charged before it is cast,
    calibrated together with the votes' exact curve whatever the votes are. Everything else sees
    noisy histograms and winners alone. The unit must be one record.

    ``accounting="data_dependent"`` is that of PATE-GAN's Algorithm 1: Laplace votes go on until
    what they seem to have cost reaches ``target_epsilon``, by moments that look at the exact
    votes (`accounting.votes.data_dependent_epsilon`). When it stops is an output that nothing
    bounds, so that nothing is certified: only a budget of epsilon inf pays for it, and the
    release says epsilon inf. It is for comparison with the paper, never for a release.
    """

    name: ClassVar[str] = "patectgan"
    figure_label: ClassVar[str] = "PATE-CTGAN"
    title: ClassVar[str] = "a conditional generator network taught by noisy votes of teachers"
    reference: ClassVar[str] = "Rosenblatt et al. 2020, arXiv:2011.05537"
    cites: ClassVar[tuple[str, ...]] = ("rosenblatt2020", "xu2019", "papernot2017")

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        from dp_synth.nn.pate_queries import conditional_queries
        from dp_synth.nn.pate_training import fit_by_votes

        return fit_by_votes(table, plan, self, conditional_queries, rng)

    def _release(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> None:
        from dp_synth.nn.pate_queries import conditional_queries
        from dp_synth.nn.pate_training import only_votes

        only_votes(table, plan, self, conditional_queries, rng)
