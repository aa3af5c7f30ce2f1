"""Exponential mechanism: a private choice among public candidates by private scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dp_synth.accounting import FilteredSelection, Selections
from dp_synth.domain import Domain
from dp_synth.mechanisms.noise import exact_choice, random_bits
from dp_synth.mechanisms.table import PrivateTable, dependence_sensitivity, l1_distance_sensitivity
from dp_synth.transcript import ChoiceAnswer
from dp_synth.types import Clique, Floats

MARGIN = 2.0**-20  # relative; distances up to LARGEST have log-odds that are right to 2**-22
LARGEST = 2.0**30  # larger distances count as this; nothing moves further by being cut
CELLS_TOGETHER = 2**22  # of marginals that are counted in one go
DEPENDENCE_MARGIN = 2.0**-15  # a dependence is a sum of products that are rounded themselves


@dataclass(frozen=True, eq=False)
class ChoiceLaw:
    """A choice by the exponential mechanism: the log odds ``here`` of all, and which was chosen.

    ``log_odds`` reads the former of any table, and ``draw`` chooses afresh by them.
    """

    part: str
    why: str
    log_odds: Callable[[PrivateTable], Floats]
    draw: Callable[[Floats], int]
    here: Floats
    chosen: int


class Distances:
    """How badly public expectations fit: the L1 distance of each marginal from its expectation.

    Expected counts are rounded to whole multiples of 1 / ``fineness``, a power of two.
    ``penalties``, rounded to whole numbers, are taken off the distances and ``weights`` multiply
    what is left, each relative to the largest weight among the candidates. The distances are
    private; they are computed when a choice has been charged for, kept for the next choice, and
    never handed out.
    """

    def __init__(
        self,
        table: PrivateTable,
        expected: Callable[[Clique], Floats],
        *,
        weights: Mapping[Clique, float] | None = None,
        penalties: Mapping[Clique, float] | None = None,
        fineness: int = 1,
    ) -> None:
        if not all(0 < weight < math.inf for weight in (weights or {}).values()):
            raise ValueError("weights must be finite numbers above 0")
        if fineness < 1 or fineness & (fineness - 1):
            raise ValueError(f"fineness must be a power of two from 1, got {fineness}")
        self.table = table
        self.fineness = fineness
        self._expected = expected
        self._weights = weights
        self._penalties = penalties
        self._known: dict[Clique, float] = {}

    def __repr__(self) -> str:
        return f"Distances({self.table!r})"

    @property
    def sensitivity(self) -> float:
        """How far one unit moves a score of the largest weight."""
        payer = self.table.payer
        return l1_distance_sensitivity(payer.adjacency, payer.budget.max_rows)

    def refuse_foreign(self, cliques: Sequence[Clique]) -> None:
        """Raise KeyError for an unknown attribute, ValueError for too many cells; reads nothing."""
        self.table.shapes([clique for clique in cliques if clique not in self._known])

    def _about(self, table: PrivateTable) -> Distances:
        """Return the same expectations about any table."""
        if table is self.table:
            return self
        return Distances(
            table,
            self._expected,
            weights=self._weights,
            penalties=self._penalties,
            fineness=self.fineness,
        )

    def _qualities(self, cliques: Sequence[Clique]) -> Floats:
        self._learn([clique for clique in dict.fromkeys(cliques) if clique not in self._known])
        distances = np.minimum([self._known[clique] for clique in cliques], LARGEST)
        if self._penalties is not None:
            penalties = np.rint([self._penalties[clique] for clique in cliques])
            distances = np.clip(distances - penalties, -LARGEST, LARGEST)
        if self._weights is not None:
            weights = np.array([self._weights[clique] for clique in cliques], dtype=float)
            distances = weights / weights.max() * distances
        return np.asarray(distances)

    def _learn(self, cliques: Sequence[Clique]) -> None:
        for batch in _batches(self.table.domain, cliques):
            # Whole multiples: sums are exact and the sensitivity is what it is said to be.
            expected = [np.rint(self._expected(c) * self.fineness) / self.fineness for c in batch]
            for clique, table in zip(batch, expected, strict=True):
                if table.shape != self.table.domain.shape(
                    clique
                ):  # broadcast, it would count twice
                    raise ValueError(f"expected {clique} has the wrong shape, {table.shape}")
            exact = self.table.exact_marginals(batch)
            for clique, counts, table in zip(batch, exact, expected, strict=True):
                self._known[clique] = float(np.abs(counts - table).sum())


def _batches(domain: Domain, cliques: Sequence[Clique]) -> Iterator[list[Clique]]:
    """Yield the cliques in runs whose marginals fit into memory together."""
    batch: list[Clique] = []
    cells = 0
    for clique in cliques:
        own = domain.cells(clique)
        if batch and cells + own > CELLS_TOGETHER:
            yield batch
            batch, cells = [], 0
        batch.append(clique)
        cells += own
    if batch:
        yield batch


class Dependences:
    """How far the first attribute of a clique is from independent of all its others together.

    The L1 distance between the marginal's counts and the product of its two parts over the
    number of records: twice that number times the score R of PrivBayes. Kept and never handed
    out, like ``Distances``. ``dependence_sensitivity`` has the proof of how far one unit moves
    it; up to 2**30 records what rounding adds stays within ``DEPENDENCE_MARGIN``.
    """

    def __init__(self, table: PrivateTable) -> None:
        self.table = table
        self._known: dict[Clique, float] = {}

    def __repr__(self) -> str:
        return f"Dependences({self.table!r})"

    @property
    def sensitivity(self) -> float:
        """How far one unit moves a score."""
        payer = self.table.payer
        return dependence_sensitivity(payer.adjacency, payer.budget.max_rows)

    def refuse_foreign(self, cliques: Sequence[Clique]) -> None:
        """Raise KeyError for an unknown attribute, ValueError for too many cells; reads nothing."""
        self.table.shapes([clique for clique in cliques if clique not in self._known])

    def _about(self, table: PrivateTable) -> Dependences:
        """Return the same scores of any table."""
        return self if table is self.table else Dependences(table)

    def _qualities(self, cliques: Sequence[Clique]) -> Floats:
        return np.minimum([self._of(clique) for clique in cliques], 2 * LARGEST)

    def _of(self, clique: Clique) -> float:
        if clique not in self._known:
            exact = self.table.exact_marginal(clique)
            counts = exact.reshape(len(exact), -1)
            first, others = counts.sum(axis=1), counts.sum(axis=0)
            product = np.outer(first, others) / max(first.sum(), 1.0)
            self._known[clique] = float(np.abs(counts - product).sum())
        return self._known[clique]


def select(
    scores: Distances | Dependences,
    candidates: Sequence[Clique],
    selections: Selections | FilteredSelection,
    rng: np.random.Generator,
    *,
    why: str = "choose a clique",
) -> Clique:
    """Return one candidate, one of higher score with higher probability; charged before reading.

    BudgetExceeded when the table's slice cannot pay, KeyError for an unknown attribute: nothing
    is then charged, read or drawn.

    Privacy
    -------
    The exponential mechanism (McSherry & Talwar 2007) with probabilities proportional to
    exp(range * score / (2 * sensitivity)). One unit moves every score by at most the
    sensitivity, so each log-probability's loss lies within one interval of length ``range``: a
    bounded-range mechanism (Durfee & Rogers 2019), charged as one Selection event. The choice
    is drawn exactly for the log-odds as they are rounded; the range is taken smaller by
    ``MARGIN``, or that of dependences, which is more than their rounding can add.
    """
    if not candidates:
        raise ValueError("there must be at least one candidate to choose from")
    event = selections.event()
    scores.refuse_foreign(candidates)
    table = scores.table
    table.payer.charge(selections, event, 1, why=why, sampler="exact")
    margin = MARGIN if isinstance(scores, Distances) else DEPENDENCE_MARGIN
    per_score = event.epsilon * (1 - margin) / (2 * scores.sensitivity)

    def log_odds(any_table: PrivateTable) -> Floats:
        return per_score * scores._about(any_table)._qualities(candidates)

    draw, here = partial(exact_choice, bits=random_bits(table.payer, rng)), log_odds(table)
    law = ChoiceLaw(selections.name, why, log_odds, draw, here, draw(here))
    answer = ChoiceAnswer(
        law.part,
        why,
        tuple(candidates),
        candidates[law.chosen],
        event.epsilon * (1 - margin),
        scores.sensitivity,
        table.groups,
    )
    table.record_answers(law, [answer])
    return answer.chosen
