"""AIM: adaptive and iterative choice of what to measure next (McKenna et al. 2022)."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import ClassVar

import numpy as np

from dp_synth.accounting import Filtered, FilteredGaussian, FilteredSelection, Gaussians, Plan
from dp_synth.domain import Clique, Domain
from dp_synth.errors import InputError
from dp_synth.inference import JunctionTree, JunctionTreeModel, estimate
from dp_synth.inference.triangulation import total_cells
from dp_synth.measurement import Measurement
from dp_synth.mechanisms import (
    Distances,
    marginal_sensitivity,
    measure,
    measure_distances,
    select,
)
from dp_synth.mechanisms.exact_noise import LARGEST_SCALE
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.table import PrivateTable

MEAN_NOISE = math.sqrt(2 / math.pi)  # the mean size of a standard normal number
CLEAR_OF_ROUNDING = 1 - 1e-9  # the last round must not ask for a hair more than is left


@dataclass(frozen=True)
class AIM(Synthesizer):
    """Measures, round by round, the marginal of a workload that the model fits worst.

    McKenna, Mullins, Sheldon & Miklau 2022 (arXiv:2201.12677, Algorithms 2 to 4), for the
    workload of all marginals of ``degree`` attributes. Departures: one-way marginals are composed
    with the filter by their exact curve instead of being part of it; the model's size is limited
    in cells, not megabytes; ``all_gaussian`` chooses the largest of noisy scores instead of by the
    exponential mechanism, so that the curve of the whole run is that of one Gaussian.

    Privacy
    -------
    One Gaussian measurement an attribute, then a filter of zero-concentrated DP (or of Gaussian
    DP) that pays for one choice and one Gaussian measurement a round, with noise that depends on
    earlier rounds. Estimation, annealing and sampling see noisy values only.
    """

    name: ClassVar[str] = "aim"

    degree: int = 2  # the workload: all marginals of this many attributes
    max_cells: int = 300_000  # of the model's cliques together, once all is spent
    rounds: int = 16  # times the number of attributes, if noise were never lowered
    alpha: float = 0.9  # the part of a round's cost that goes to its measurement
    all_gaussian: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.degree < 1 or self.rounds < 1:
            raise InputError(
                f"degree and rounds must be 1 or more, got {self.degree} and {self.rounds}"
            )
        if not 0 < self.alpha < 1:
            raise InputError(f"alpha must lie in (0, 1), got {self.alpha}")

    def plan(self, domain: Domain) -> Plan:
        """One-way marginals with the noise of a first round, and a filter for all rounds.

        InputError when not even the one-way marginals fit into ``max_cells``.
        """
        JunctionTree.of(domain, (), max_cells=self.max_cells)
        ones = self.alpha / self.rounds
        rounds = Filtered("gdp" if self.all_gaussian else "zcdp", share=1 - ones)
        return Plan({"ones": Gaussians(len(domain), share=ones), "rounds": rounds})

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> JunctionTreeModel:
        model, found = self._release(table, plan, rng)
        return estimate(table.domain, found, start=model, max_cells=self.max_cells)

    def _decide(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> list[Clique]:
        _, found = self._release(table, plan, rng)
        return [measurement.clique for measurement in found[len(table.domain) :]]

    def _release(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> tuple[JunctionTreeModel, list[Measurement]]:
        """Return the model before the last round, and what all rounds measured."""
        cliques: list[Clique] = [(attribute,) for attribute in table.domain]  # Algorithm 3
        found = measure(table, cliques, plan.gaussians("ones"), rng, why="one-way marginals")
        model = estimate(table.domain, found, max_cells=self.max_cells)
        part = plan.filtered("rounds")
        total = _rho_left(table, part) / (1 - self.alpha / self.rounds)
        rho = total / (self.rounds * len(table.domain))
        while True:
            left = _rho_left(table, part)
            last = left <= 2 * rho  # Algorithm 4, its second half
            rho = left * CLEAR_OF_ROUNDING if last else rho
            limit = self.max_cells * (1 - (left - rho) / total)
            noise = FilteredGaussian(part, math.sqrt(1 / (2 * self.alpha * rho)))
            candidates = self._small_enough(model, found, limit)
            clique = self._choose(table, model, candidates, noise, rng)
            found += measure(table, [clique], noise, rng, why="the marginal that fitted worst")
            if last:
                break
            before = model.marginal(clique, max_cells=sys.maxsize)
            model = estimate(table.domain, found, start=model, max_cells=self.max_cells)
            moved = float(np.abs(model.marginal(clique) - before).sum())
            if moved <= _expected_noise(table, noise) * before.size:
                rho *= 4  # Algorithm 4, its first half: twice epsilon, half sigma
        return model, found

    def _small_enough(
        self, model: JunctionTreeModel, found: Sequence[Measurement], limit: float
    ) -> list[Clique]:
        """Return the downward closed workload less what would grow the model beyond ``limit``.

        What was measured before grows it by nothing, so that some candidate is always left.
        """
        domain = model.domain
        measured = {measurement.clique for measurement in found}
        limit = max(limit, model.tree.cells)
        return [
            clique
            for clique in self._closed_workload(domain)
            if clique in measured
            or (domain.cells(clique) <= limit and total_cells(domain, [*measured, clique]) <= limit)
        ]

    def _closed_workload(self, domain: Domain) -> list[Clique]:
        sizes = range(1, min(self.degree, len(domain)) + 1)
        return [clique for size in sizes for clique in combinations(domain, size)]

    def _choose(
        self,
        table: PrivateTable,
        model: JunctionTreeModel,
        candidates: Sequence[Clique],
        noise: FilteredGaussian,
        rng: np.random.Generator,
    ) -> Clique:
        """Choose by the scores w_r (|M_r(D) - M_r(p)| - sqrt(2 / pi) sigma n_r) in L1 norm.

        A marginal shares attributes with as many others of the workload as any of its size, in
        proportion to its own number of attributes, which is taken for its weight w_r. The choice
        costs (1 - alpha) / alpha times what the measurement does.
        """
        why, share = "choose what fits worst", (1 - self.alpha) / self.alpha
        expected = partial(model.marginal, max_cells=sys.maxsize)
        weights = {clique: float(len(clique)) for clique in candidates}
        per_cell = _expected_noise(table, noise)
        penalties = {clique: per_cell * table.domain.cells(clique) for clique in candidates}
        if self.all_gaussian:
            distances = Distances(table, expected)
            each = noise.noise_multiplier * math.sqrt(len(candidates) / share)
            if each * distances.sensitivity > LARGEST_SCALE:  # scores would say nothing
                return candidates[int(rng.integers(len(candidates)))]
            votes = FilteredGaussian(noise.part, each)
            found = measure_distances(distances, candidates, votes, rng, why=why)
            scores = {
                c: weights[c] * (x - penalties[c]) for c, x in zip(candidates, found, strict=True)
            }
            return max(candidates, key=scores.__getitem__)
        distances = Distances(table, expected, weights=weights, penalties=penalties)
        choice = FilteredSelection(noise.part, 2 * math.sqrt(share) / noise.noise_multiplier)
        return select(distances, candidates, choice, rng, why=why)


def _expected_noise(table: PrivateTable, noise: FilteredGaussian) -> float:
    """Return the mean size of a cell's noise, sqrt(2 / pi) sigma."""
    sensitivity = marginal_sensitivity(table.adjacency, table.payer.budget.max_rows)
    return MEAN_NOISE * noise.event(sensitivity).stddev


def _rho_left(table: PrivateTable, part: Filtered) -> float:
    """Return what is left of the filter as a zCDP cost; of Gaussians' squares of mu, a half."""
    left = table.payer.left(part)
    return left if part.currency == "zcdp" else left / 2
