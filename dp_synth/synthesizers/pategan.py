"""PATE-GAN: a student taught by votes of teachers, each of which saw a part of the records."""

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
class PATEGAN(PateSettings, Synthesizer):
    """Asks many small teachers which of two made records is the more real, and learns from it.

    PATE-GAN (Jordon, Yoon & van der Schaar 2019) with its parts: teachers with disjoint
    partitions who tell real from made records, a noisy vote, a student who sees made records
    alone, and a generator taught by the student. What differs, and why:

    - A question is a pair of made records that differ in one value, not one record that is real
      or made: that all teachers call made records made teaches nothing, whereas one of a pair
      wins. A question shows few attributes, and a share of them are about ``label``.
    - A teacher votes by how far it leans beyond the median of teachers with independent records.
    - One-way marginals are paid for apart, and kept: votes say how attributes belong together.
    - The student is the logarithm of a ratio of densities to independent attributes, so that
      what the generator has to learn is a distribution and not the one record that scores best.
    - Teachers are many and small, closed-form discriminators that vote as one product of matrices.

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

    name: ClassVar[str] = "pategan"
    figure_label: ClassVar[str] = "PATE-GAN"
    title: ClassVar[str] = "a generator network taught by noisy votes of teachers"
    reference: ClassVar[str] = "Jordon, Yoon & van der Schaar 2019, ICLR"
    cites: ClassVar[tuple[str, ...]] = ("jordon2019", "papernot2017")

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        from dp_synth.nn.pate_queries import pairwise_queries
        from dp_synth.nn.pate_training import fit_by_votes

        return fit_by_votes(table, plan, self, pairwise_queries, rng)

    def _release(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> None:
        from dp_synth.nn.pate_queries import pairwise_queries
        from dp_synth.nn.pate_training import only_votes

        only_votes(table, plan, self, pairwise_queries, rng)
