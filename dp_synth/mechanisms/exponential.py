"""Exponential mechanism: a private choice among public candidates by private scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dp_synth.accounting import FilteredSelection, Selections
from dp_synth.mechanisms.noise import exact_choice, random_bits
from dp_synth.mechanisms.table import Dependences, Distances, PrivateTable
from dp_synth.transcript import ChoiceAnswer
from dp_synth.types import Clique, Floats

MARGIN = 2.0**-20  # relative; scores up to LARGEST_SCORE have log-odds that are right to 2**-22
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


def select(
    scores: Distances | Dependences,
    candidates: Sequence[Clique],
    selections: Selections | FilteredSelection,
    rng: np.random.Generator,
    *,
    why: str = "choose a clique",
) -> Clique:
    """Return one candidate, one of higher score with higher probability; charged before reading.

    BudgetExceeded when the table's reservation cannot pay, KeyError for an unknown attribute:
    nothing is then charged, read or drawn.

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

    draw = partial(exact_choice, bits=random_bits(table.payer, rng))
    here, chosen = table.answered(log_odds, draw)
    law = ChoiceLaw(selections.name, why, log_odds, draw, here, chosen)
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
