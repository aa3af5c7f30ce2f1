"""Private choice among public candidates by the exponential mechanism."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Selections
from dp_synth.domain import Clique
from dp_synth.mechanisms.exact_choice import exact_choice
from dp_synth.mechanisms.randomness import random_bits
from dp_synth.mechanisms.sensitivity import l1_distance_sensitivity
from dp_synth.table import PrivateTable

Floats = NDArray[np.float64]

MARGIN = 2.0**-20  # relative; distances up to LARGEST have log-odds that are right to 2**-22
LARGEST = 2.0**30  # larger distances count as this; nothing moves further by being cut


class Distances:
    """How badly public expectations fit: the L1 distance of each marginal from its expectation.

    Expected counts are rounded to whole numbers. The distances are private; they are computed
    when ``select`` has charged for a choice, kept for the next choice, and never handed out.
    """

    def __init__(self, table: PrivateTable, expected: Callable[[Clique], Floats]) -> None:
        self.table = table
        self._expected = expected
        self._known: dict[Clique, float] = {}

    def __repr__(self) -> str:
        return f"Distances({self.table!r})"

    def refuse_foreign(self, cliques: Sequence[Clique]) -> None:
        """Raise KeyError for an attribute that the table does not have; reads no record."""
        for clique in cliques:
            if clique not in self._known:
                self.table.domain.shape(clique)

    def _of(self, clique: Clique) -> float:
        if clique not in self._known:
            expected = np.asarray(self._expected(clique))
            if expected.shape != self.table.domain.shape(clique):  # broadcast, it would count twice
                raise ValueError(f"expected {clique} has the wrong shape, {expected.shape}")
            # Whole numbers, so that sums are exact and the sensitivity is what it is said to be.
            exact = self.table.exact_marginal(clique)
            self._known[clique] = float(np.abs(exact - np.rint(expected)).sum())
        return self._known[clique]


def select(
    distances: Distances,
    candidates: Sequence[Clique],
    selections: Selections,
    rng: np.random.Generator,
    *,
    why: str = "choose a clique",
) -> Clique:
    """Return one candidate, a worse fitting one with higher probability; charged before reading.

    BudgetExceeded when the table's slice cannot pay, KeyError for an unknown attribute: nothing
    is then charged, read or drawn.

    Privacy
    -------
    The exponential mechanism (McSherry & Talwar 2007) with probabilities proportional to
    exp(range * distance / (2 * sensitivity)). One record moves every distance by at most the
    sensitivity, so each log-probability's loss lies within one interval of length ``range``: a
    bounded-range mechanism (Durfee & Rogers 2019), charged as one Selection event. The choice
    is drawn exactly for the log-odds as they are rounded; the range is taken smaller by
    ``MARGIN``, which is more than their rounding can add.
    """
    if not candidates:
        raise ValueError("there must be at least one candidate to choose from")
    event = selections.event()
    distances.refuse_foreign(candidates)
    payer = distances.table.payer
    payer.charge(selections, event, 1, why=why, sampler="exact")
    quality = np.minimum([distances._of(clique) for clique in candidates], LARGEST)
    sensitivity = l1_distance_sensitivity(payer.adjacency, payer.budget.max_rows)
    log_odds = event.epsilon * (1 - MARGIN) * quality / (2 * sensitivity)
    return candidates[exact_choice(log_odds, random_bits(payer, rng))]
