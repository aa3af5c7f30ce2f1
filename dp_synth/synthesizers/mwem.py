"""MWEM+PGM: the worst marginal of a workload, a fixed number of times (McKenna et al. 2019)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Gaussians, Plan, Selections
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference import JunctionTree, JunctionTreeModel, estimate, estimate_total
from dp_synth.inference.triangulation import fits
from dp_synth.mechanisms import Distances, count_records, measure, select
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.transcript import Measurement
from dp_synth.types import Clique

TOTAL_SHARE = 0.01  # of the cost, for the number of records


@dataclass(frozen=True)
class MWEM(Synthesizer):
    """Measures the marginal of a workload that the model fits worst, a fixed number of times.

    The loop of Hardt, Ligett & McSherry 2012 (arXiv:1012.4763) with estimation by
    Private-PGM in place of multiplicative weights (McKenna, Sheldon & Miklau 2019,
    arXiv:1901.09136; written out in arXiv:2201.12677, Algorithm 1), for the workload of
    all marginals of ``degree`` attributes. It starts from a uniform table, and what it never
    chooses stays uniform. Departures: the number of records is measured first, unless
    replace_one makes it public; candidates that would make the model larger than ``max_cells``
    are left out; noise is calibrated by composed privacy-loss curves.

    Privacy
    -------
    One Gaussian count of all records, where it is private; each round one exponential-mechanism
    selection and one Gaussian measurement at equal cost. All noise is fixed before the first round.
    """

    name: ClassVar[str] = "mwem"
    figure_label: ClassVar[str] = "MWEM"
    title: ClassVar[str] = "the worst marginal of a workload, a fixed number of times"
    reference: ClassVar[str] = (
        "Hardt, Ligett & McSherry 2012, arXiv:1012.4763; McKenna, Sheldon & Miklau 2019, "
        "arXiv:1901.09136"
    )
    cites: ClassVar[tuple[str, ...]] = ("hardt2012", "mckenna2019")
    measures: ClassVar[str] = "marginals"
    adaptive: ClassVar[bool] = True

    degree: int = 2  # the workload: all marginals of this many attributes
    rounds: int | None = None  # as many as there are attributes when None
    max_cells: int = 300_000  # of the model's cliques together

    LARGEST: ClassVar = {"rounds": 1_000}  # each is two parts of the plan

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.degree < 1 or (self.rounds is not None and self.rounds < 1):
            raise InputError(
                f"degree and rounds must be 1 or more, got {self.degree} and {self.rounds}"
            )

    def plan(self, domain: Domain) -> Plan:
        """The number of records, and a choice and a measurement a round.

        InputError when not even the one-way marginals fit into ``max_cells``.
        """
        domain.check_workload(self.degree)
        JunctionTree.of(domain, (), max_cells=self.max_cells)
        rounds = self._rounds(domain)
        parts: dict[str, Gaussians | Selections] = {}
        share = 2 * rounds * TOTAL_SHARE / (1 - TOTAL_SHARE)
        parts["total"] = Gaussians(1, share=share, count_records=True)
        for i in range(1, rounds + 1):
            parts |= {f"choice {i}": Selections(1), f"answer {i}": Gaussians(1)}
        return Plan(parts)

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> JunctionTreeModel:
        model, found = self._release(table, plan, rng)
        return estimate(table.domain, found, start=model, max_cells=self.max_cells)

    def _release(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> tuple[JunctionTreeModel, list[Measurement]]:
        """Return the model before the last round, and what all rounds measured."""
        domain = table.domain
        records = count_records(table, plan.gaussians("total"), rng)
        model = _uniform(domain, estimate_total(records))
        found: list[Measurement] = []
        for i in range(1, self._rounds(domain) + 1):
            if found:
                model = estimate(domain, found, start=model, max_cells=self.max_cells)
            candidates = self._small_enough(domain, found)
            cells = {clique: float(domain.cells(clique)) for clique in candidates}
            expected = partial(model.marginal, max_cells=sys.maxsize)
            distances = Distances(table, expected, penalties=cells)
            choice, answer = plan.selections(f"choice {i}"), plan.gaussians(f"answer {i}")
            clique = select(distances, candidates, choice, rng, why="choose what fits worst")
            found += measure(table, [clique], answer, rng, why="the marginal that fitted worst")
        return model, found

    def _rounds(self, domain: Domain) -> int:
        return self.rounds or len(domain)

    def _small_enough(self, domain: Domain, found: Sequence[Measurement]) -> list[Clique]:
        """Return the marginals of the workload that keep the model within ``max_cells``.

        Where there is none, the one-way marginals: the model has room for them.
        """
        measured = {measurement.clique for measurement in found}
        fitting = [
            clique
            for clique in combinations(domain, min(self.degree, len(domain)))
            if clique in measured
            or (
                domain.cells(clique) <= self.max_cells
                and fits(domain, [*measured, clique], self.max_cells)
            )
        ]
        return fitting or [(attribute,) for attribute in domain]


def _uniform(domain: Domain, total: float) -> JunctionTreeModel:
    """Return the model in which all that can occur is equally likely."""
    tree = JunctionTree.of(domain, ())
    potentials = [np.zeros(domain.shape(clique)) for clique in tree.cliques]
    return JunctionTreeModel(tree, tuple(tree.beliefs(potentials)), total)
