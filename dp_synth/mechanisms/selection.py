"""Private choice among public candidates by the exponential mechanism."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Selections
from dp_synth.domain import Clique
from dp_synth.mechanisms.sensitivity import l1_distance_sensitivity
from dp_synth.table import PrivateTable

Floats = NDArray[np.float64]


class Distances:
    """How badly public expectations fit: the L1 distance of each marginal from its expectation.

    The distances are private; they are computed when ``select`` has charged for a choice, kept
    for the next choice, and never handed out.
    """

    def __init__(self, table: PrivateTable, expected: Callable[[Clique], Floats]) -> None:
        self.table = table
        self._expected = expected
        self._known: dict[Clique, float] = {}

    def __repr__(self) -> str:
        return f"Distances({self.table!r})"

    def _of(self, clique: Clique) -> float:
        if clique not in self._known:
            expected = np.asarray(self._expected(clique))
            if expected.shape != self.table.domain.shape(clique):  # broadcast, it would count twice
                raise ValueError(f"expected {clique} has the wrong shape, {expected.shape}")
            self._known[clique] = float(np.abs(self.table.exact_marginal(clique) - expected).sum())
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
    bounded-range mechanism (Durfee & Rogers 2019), charged as one Selection event.
    """
    if not candidates:
        raise ValueError("there must be at least one candidate to choose from")
    event = selections.event()
    for clique in candidates:
        distances.table.domain.shape(clique)
    distances.table.payer.charge(selections, event, 1, why=why)
    quality = np.array([distances._of(clique) for clique in candidates])
    sensitivity = l1_distance_sensitivity(distances.table.adjacency)
    logits = event.epsilon * quality / (2 * sensitivity)
    odds = np.exp(logits - logits.max())
    return candidates[int(rng.choice(len(candidates), p=odds / odds.sum()))]
