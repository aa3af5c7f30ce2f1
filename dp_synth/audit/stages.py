"""The stages of a release, each with its own scores and its own lines of the ledger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dp_synth.accounting import PrivacyCurve, compose
from dp_synth.audit.bounds import Worlds
from dp_synth.synthesizers.base import Watched


@dataclass(frozen=True, eq=False)
class Stage:
    """What the answers of one kind say between two worlds, and the curve of their charges."""

    name: str
    worlds: Worlds
    claim: PrivacyCurve


def stages_of(inside: Sequence[Watched], outside: Sequence[Watched]) -> list[Stage]:
    """Return every stage that says something between the tables, by part and reason.

    The scores are of fresh answers. In either world half of them were given in runs about the
    table with the target, half in runs about the other: earlier answers, and all noise that was
    chosen in view of them, then have one law in both worlds, so that the stage's own curve
    bounds the area of any score. Of different charges the dearest in zCDP is the claim.
    """
    names = dict.fromkeys((c.part, c.why) for run in (*inside, *outside) for c in run.comparisons)
    found = []
    for part, why in names:
        first, second = _scores(inside, outside, part, why)
        if np.ptp([*first, *second]):
            claim = _dearest([*inside, *outside], part, why)
            found.append(Stage(f"{part}: {why}", Worlds.of(first, second), claim))
    return found


def total_scores(runs: Sequence[Watched]) -> list[float]:
    """Return each run's log-likelihood ratio of all its answers: the asked table's to the other."""
    return [math.fsum(c.log_ratio() for c in run.comparisons) for run in runs]


def _scores(
    inside: Sequence[Watched], outside: Sequence[Watched], part: str, why: str
) -> tuple[list[float], list[float]]:
    """Return a stage's scores of the world with the target, and of the one without it."""
    scores: tuple[list[float], list[float]] = ([], [])
    for asked, runs in enumerate((inside, outside)):
        for number, run in enumerate(runs):
            there = bool(number % 2)
            score = math.fsum(
                c.fresh_log_ratio(there=there)
                for c in run.comparisons
                if (c.part, c.why) == (part, why)
            )
            scores[(asked + there) % 2].append(-score if asked else score)
    return scores


def _dearest(runs: Sequence[Watched], part: str, why: str) -> PrivacyCurve:
    """Return the curve of the run whose charges for a stage cost most in zCDP."""
    charges = {
        tuple((e.event, e.count) for e in run.ledger.charges if (e.part, e.why) == (part, why))
        for run in runs
    }
    return max((compose(events) for events in charges), key=_cost)


def _cost(curve: PrivacyCurve) -> float:
    return math.inf if curve.rho is None else curve.rho
