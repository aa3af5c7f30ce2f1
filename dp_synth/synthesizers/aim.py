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

from dp_synth.accounting import (
    Filtered,
    FilteredGaussian,
    FilteredLaplace,
    FilteredSelection,
    Gaussian,
    Gaussians,
    Plan,
    PrivacyBudget,
    Round,
    cost,
)
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference import (
    Compression,
    JunctionTree,
    JunctionTreeModel,
    Model,
    estimate,
    estimate_total,
)
from dp_synth.inference.chordal_completion import Completion
from dp_synth.inference.pair_errors import PairErrors
from dp_synth.mechanisms import (
    Distances,
    marginal_sensitivity,
    measure,
    measure_distances,
    select,
)
from dp_synth.mechanisms.gaussian import noise_of_counts
from dp_synth.mechanisms.noise import LARGEST_SCALE
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers._interactions import search_interactions
from dp_synth.synthesizers._one_shot import (
    FilterBudget,
    Measured,
    laplace_counts,
    measure_columns,
)
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.transcript import Measurement
from dp_synth.types import Clique

MEAN_NOISE = math.sqrt(2 / math.pi)  # the mean size of a standard normal number
CLEAR_OF_ROUNDING = 1 - 1e-9  # the last round must not ask for a hair more than is left
LEAST_MORE = 1e-9  # noise, relatively, where a round would cost a hair too much
PARITIES = 0.2  # of the filter, at most, for parities where interactions are looked for
TRIES = 3  # a round's cost is nearly in proportion to 1 / noise**2
BETWEEN_ROUNDS = 10  # iterations of a fit that the next round will change; the last one is whole
LEAST_ALPHA_IN_GDP = 0.7  # from here on its filter buys more rounds than one of zCDP, at any budget


@dataclass(frozen=True, eq=False)
class Adapted:
    """Measurements of all rounds, the model before the last, and the cliques of its completion."""

    found: list[Measurement]
    start: JunctionTreeModel
    cliques: tuple[Clique, ...]
    max_cells: int

    def model(self, domain: Domain) -> JunctionTreeModel:
        """Return the model that fits all that was measured."""
        return estimate(
            domain,
            self.found,
            start=self.start,
            max_cells=self.max_cells,
            cliques=self.cliques,
        )


@dataclass(frozen=True)
class AIM(Synthesizer):
    """Measures, round by round, the marginal of a workload that the model fits worst.

    McKenna, Mullins, Sheldon & Miklau 2022 (arXiv:2201.12677, Algorithms 2 to 4), for the
    workload of all marginals of ``degree`` attributes. Departures: one-way marginals are composed
    with the filter by their exact curve instead of being part of it; the model's size is limited
    in cells, not megabytes; ``all_gaussian`` chooses the largest of noisy scores instead of by the
    exponential mechanism, so that the curve of the whole run is that of one Gaussian. Fits between
    rounds are short, the last one is whole. Where a first look says that records are too few for
    any pair to be worth what it takes from columns, there are no rounds: columns are measured, and
    with a small part of the budget their pairs with the label.

    Privacy
    -------
    One Gaussian measurement an attribute, then a filter of Gaussian DP that pays for rounds, with
    noise that depends on earlier rounds: a choice and the Gaussian measurement after it are one
    mechanism, whose noise is fixed before the round, charged as one. Where a choice gets more
    than three tenths of a round (``alpha``) the filter is of zero-concentrated DP, which then
    buys as much. Estimation, annealing and sampling see noisy values only.
    """

    name: ClassVar[str] = "aim"
    figure_label: ClassVar[str] = "AIM"
    title: ClassVar[str] = "an adaptive and iterative choice of marginals"
    reference: ClassVar[str] = "McKenna, Mullins, Sheldon & Miklau 2022, arXiv:2201.12677"
    cites: ClassVar[tuple[str, ...]] = ("mckenna2022",)
    measures: ClassVar[str] = "marginals"
    chooses: ClassVar[bool] = True
    adaptive: ClassVar[bool] = True

    degree: int = 2  # the workload: all marginals of this many attributes
    max_cells: int = 300_000  # of the model's cliques together, once all is spent
    rounds: int = 16  # times the number of attributes, if noise were never lowered
    alpha: float = 0.9  # the part of a round's cost that goes to its measurement
    all_gaussian: bool = False
    interactions: bool = False  # whether to look for larger marginals that no smaller one shows

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
        for size in range(1, min(self.degree, len(domain)) + 1):
            domain.check_workload(size)
        JunctionTree.of(domain, (), max_cells=self.max_cells)
        ones = self.alpha / self.rounds
        in_gdp = self.all_gaussian or self.alpha >= LEAST_ALPHA_IN_GDP
        rounds = Filtered("gdp" if in_gdp else "zcdp", share=1 - ones)
        return Plan({"ones": Gaussians(len(domain), share=ones), "rounds": rounds})

    def check_noise(self, plan: Plan, domain: Domain, budget: PrivacyBudget) -> None:
        """Raise InputError at delta 0 for settings that need Gaussian noise."""
        for name in ("all_gaussian", "interactions"):
            if not budget.delta and getattr(self, name):
                raise InputError(f"{name} needs Gaussian noise, which delta 0 does not allow")

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        return self._release(table, plan, rng).model(table.domain)

    def _decide(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> list[Clique]:
        seen = self._release(table, plan, rng)
        if isinstance(seen, Measured):
            return []
        return [measurement.clique for measurement in seen.found[len(table.domain) :]]

    def _release(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> Adapted | Measured:
        """Return what all rounds measured, and the model before the last one; else no rounds."""
        table = table.remembering()  # rounds ask for the same marginals again and again
        cliques: list[Clique] = [(attribute,) for attribute in table.domain]  # Algorithm 3
        found = measure(table, cliques, plan.gaussians("ones"), rng, why="one-way marginals")
        part = plan.filtered("rounds")
        if not self._pairs_could_pay(table, found, part):
            budget, unmerged = FilterBudget(table, part, rng), Compression.identity(table.domain)
            return measure_columns(table, unmerged, found, budget, max_cells=self.max_cells)
        model = estimate(table.domain, found, max_cells=self.max_cells)
        completion = Completion(table.domain, model.tree.cliques)
        larger = self._interacting(table, found, FilterBudget(table, part, rng))
        noise = plan.gaussians("ones").event().noise_multiplier  # that of a first round
        while True:
            left = table.payer.left(part)
            last = left <= 2 * self._cost(part, noise)  # Algorithm 4, its second half
            noise = self._noise_for(part, left * CLEAR_OF_ROUNDING, noise) if last else noise
            whole = (part.amount or 0.0) / (1 - self.alpha / self.rounds)
            limit = self.max_cells * (1 - (left - self._cost(part, noise)) / whole)
            answers = _answers(table, part, noise)
            candidates = self._small_enough(completion, found, limit, larger)
            clique = self._choose(table, model, candidates, answers, rng)
            found += measure(table, [clique], answers, rng, why="the marginal that fitted worst")
            completion.add(clique)
            completion.complete_afresh()
            if last:
                break
            before = model.marginal(clique, max_cells=sys.maxsize)
            model = estimate(
                table.domain,
                found,
                start=model,
                max_cells=self.max_cells,
                iterations=BETWEEN_ROUNDS,
                cliques=completion.cliques,
            )
            moved = float(np.abs(model.marginal(clique) - before).sum())
            if moved <= _expected_noise(table, answers) * before.size:
                noise /= 2  # Algorithm 4, its first half: twice epsilon, half sigma
        return Adapted(found, model, completion.cliques, self.max_cells)

    def _pairs_could_pay(
        self, table: PrivateTable, ones: Sequence[Measurement], part: Filtered
    ) -> bool:
        """Say whether there are records enough for marginals that columns do not tell."""
        compression = Compression.identity(table.domain)
        errors = PairErrors.of(table.domain, compression, ones, estimate_total(ones))
        if part.currency == "pure":
            precision = FilterBudget(table, part, np.random.default_rng(0)).precision_left
        else:
            sensitivity = marginal_sensitivity(table.adjacency, table.payer.budget.max_rows)
            precision = table.payer.left(part) / cost(Gaussian(1.0, sensitivity), part.currency)
        return errors.could_pay(precision, cost=1 - self.alpha, in_rounds=True)

    def _cost(self, part: Filtered, noise: float) -> float:
        """Return what a round costs whose measurement has this noise multiplier."""
        if part.currency == "pure":
            return self._range(noise) + 1 / noise
        event: Gaussian | Round = Round(self._range(noise), noise)
        if self.all_gaussian:  # noisy scores of all candidates take the share of the choice
            event = Gaussian(noise * math.sqrt(self.alpha), 1.0)
        return cost(event, part.currency)

    def _noise_for(self, part: Filtered, amount: float, near: float) -> float:
        """Return the noise multiplier at which a round costs ``amount``, never more."""
        noise, more = near, LEAST_MORE
        if part.currency == "pure":
            noise *= self._cost(part, noise) / amount
        for _ in range(TRIES):
            noise *= math.sqrt(self._cost(part, noise) / amount)
        while self._cost(part, noise) > amount:
            noise, more = noise * (1 + more), 2 * more
        return noise

    def _range(self, noise: float) -> float:
        """Return the range of a choice whose zCDP cost is its share of a round's.

        In pure DP as well, where it is two fifths of a round's cost for an alpha of .9.
        """
        return 2 * math.sqrt((1 - self.alpha) / self.alpha) / noise

    def _interacting(
        self, table: PrivateTable, ones: Sequence[Measurement], budget: FilterBudget
    ) -> list[Clique]:
        """Return the larger cliques that noisy parities show, where they are looked for."""
        if not self.interactions:
            return []
        return [one.clique for one in search_interactions(table, ones, budget, PARITIES)]

    def _small_enough(
        self,
        completion: Completion,
        found: Sequence[Measurement],
        limit: float,
        larger: Sequence[Clique],
    ) -> list[Clique]:
        """Return the downward closed workload, and larger cliques, that grow no model too large.

        What was measured before grows it by nothing, so that some candidate is always left.
        """
        domain = completion.domain
        measured = {measurement.clique for measurement in found}
        limit = max(limit, completion.cells)
        return [
            clique
            for clique in dict.fromkeys([*self._closed_workload(domain), *larger])
            if clique in measured
            or (domain.cells(clique) <= limit and completion.cells_with(clique) <= limit)
        ]

    def _closed_workload(self, domain: Domain) -> list[Clique]:
        sizes = range(1, min(self.degree, len(domain)) + 1)
        return [clique for size in sizes for clique in combinations(domain, size)]

    def _choose(
        self,
        table: PrivateTable,
        model: JunctionTreeModel,
        candidates: Sequence[Clique],
        noise: FilteredGaussian | FilteredLaplace,
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
            votes = FilteredGaussian(noise.part, each)  # never at delta 0
            found = measure_distances(distances, candidates, votes, rng, why=why)
            scores = {
                c: weights[c] * (x - penalties[c]) for c, x in zip(candidates, found, strict=True)
            }
            return max(candidates, key=scores.__getitem__)
        distances = Distances(table, expected, weights=weights, penalties=penalties)
        multiplier = noise.noise_multiplier
        answer = None if isinstance(noise, FilteredLaplace) else multiplier
        choice = FilteredSelection(noise.part, self._range(multiplier), answer=answer)
        return select(distances, candidates, choice, rng, why=why)


def _answers(
    table: PrivateTable, part: Filtered, noise: float
) -> FilteredGaussian | FilteredLaplace:
    """Return what pays for the measurement of a round whose noise multiplier this is."""
    if part.currency == "pure":
        return laplace_counts(table, part, noise)
    return FilteredGaussian(part, noise)


def _expected_noise(table: PrivateTable, noise: FilteredGaussian | FilteredLaplace) -> float:
    """Return the mean size of a cell's noise, sqrt(2 / pi) sigma; a little less of Laplace's."""
    return MEAN_NOISE * noise_of_counts(noise, table)
