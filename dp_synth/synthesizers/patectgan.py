"""PATE-CTGAN: questions about records that were given a condition, rare values as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Plan, Votes
from dp_synth.accounting.events import VoteNoise
from dp_synth.domain import Domain
from dp_synth.inference import Model
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.nn.settings import Accounting, Lessons
from dp_synth.synthesizers.base import Synthesizer


@dataclass(frozen=True)
class PATECTGAN(Synthesizer):
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

    votes: int = 1000
    teachers: int = 1001
    noise: VoteNoise = "gaussian"
    share: float = 0.7  # of the zCDP cost, for votes
    label: str = ""  # the attribute of most interest
    label_share: float = 0.5  # of the questions that are about the label, and its part of the rest
    rounds: int = 5
    most_groups: int = 8  # of codes, an attribute
    steps: int = 600  # of the generator
    rows: int = 512
    records: int = 0  # a public number of records; 0 where none is declared
    accounting: Accounting = "exact"
    target_epsilon: float = 0.0  # where data-dependent accounting stops

    def __post_init__(self) -> None:
        super().__post_init__()
        self._lessons()

    def plan(self, domain: Domain) -> Plan:
        """One-way marginals and votes; InputError for constraints or an unknown label."""
        return self._lessons().plan(self.name, domain)

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        from dp_synth.nn.pate_queries import conditioned_values
        from dp_synth.nn.pate_training import fit_by_votes

        return fit_by_votes(table, plan, self._lessons(), conditioned_values, rng)

    def _release(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> None:
        from dp_synth.nn.pate_queries import conditioned_values
        from dp_synth.nn.pate_training import only_votes

        only_votes(table, plan, self._lessons(), conditioned_values, rng)

    def _lessons(self) -> Lessons:
        return Lessons.of(self, Votes(self.votes, self.teachers, self.noise, self.share))
