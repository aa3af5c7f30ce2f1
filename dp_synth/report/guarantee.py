"""What a ledger promises, in numbers and in plain words; a card's first section."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dp_synth.accounting import Ledger
from dp_synth.formatting import percent_at_most, rounded_up

FPRS = (0.001, 0.01, 0.1)
"""Shares of wrong accusations at which the largest share of right ones is told."""

TOLD = 0.01  # the one of them that is told in words

LEAST_TOLD = 1e-15  # a chance below it is told as this

LARGEST_SHOWN = 10.0  # an epsilon beyond which its exponential is not written out

ENGINES = {  # what they are called by `PrivacyCurve.engine`: in words
    "exact": "nothing private was asked",
    "gaussian": "the exact curve of Gaussian noise",
    "zcdp": "zero-concentrated differential privacy",
    "basic composition": "the sum of what each step costs alone",
    "loss distributions": "composed loss distributions",
}

CURRENCIES = {"zcdp": "zero-concentrated differential privacy", "gdp": "Gaussian DP"}


@dataclass(frozen=True)
class Catch:
    """The largest share of members that any attack finds, at a share of wrong accusations."""

    fpr: float
    tpr: float


@dataclass(frozen=True)
class Promise:
    """What the ledger certifies: an upper bound in every number.

    ``epsilon`` is None where nothing is certified. ``largest_auc``, ``largest_accuracy`` (of a
    guess between two equally likely tables) and ``largest_tpr`` are those of any attack on one
    unit, from the ledger's own curve.
    """

    statement: str
    epsilon: float | None
    delta: float
    adjacency: str
    unit: str
    max_rows: int
    engine: str
    seeded: bool
    largest_auc: float
    largest_accuracy: float
    largest_tpr: tuple[Catch, ...]
    in_words: tuple[str, ...]


def promise_of(ledger: Ledger) -> Promise:
    """Return what a ledger promises, with the meaning of its numbers in plain words."""
    budget, curve = ledger.budget, ledger.curve
    epsilon = ledger.epsilon
    caught = curve.tpr(np.array(FPRS))
    accuracy = min(1.0, (1 + curve.delta(0.0)) / 2)
    catches = tuple(Catch(fpr, float(tpr)) for fpr, tpr in zip(FPRS, caught, strict=True))
    area = curve.largest_auc()
    certified = epsilon if math.isfinite(epsilon) else None
    return Promise(
        statement=ledger.statement(),
        epsilon=certified,
        delta=budget.delta,
        adjacency=budget.adjacency,
        unit=unit_of(ledger),
        max_rows=budget.max_rows,
        engine=_engine(ledger),
        seeded=ledger.seeded,
        largest_auc=area,
        largest_accuracy=accuracy,
        largest_tpr=catches,
        in_words=_words(ledger, certified, area, accuracy, catches),
    )


def unit_of(ledger: Ledger) -> str:
    """Return who is protected, in words."""
    unit = ledger.budget.unit
    return "one record" if unit is None else f"all records of one {unit}"


def upward(share: float) -> str:
    """Return an upper bound on a share in percent, never below it.

    >>> upward(0.50001), upward(0.5), upward(1.0)
    ('50.1 %', '50.0 %', '100.0 %')
    """
    return percent_at_most(share, 1)


def odds(chance: float) -> str:
    """Return an upper bound on a small chance as one in so many, never below it.

    >>> odds(1e-6), odds(3e-4), odds(0.0)
    ('1 in 1,000,000', '1 in 3,333', 'none')
    """
    if not chance:
        return "none"
    return f"1 in {math.floor(1 / max(chance, LEAST_TOLD) + 1e-6):,}"


def _engine(ledger: Ledger) -> str:
    if ledger.rule != "planned":
        return f"a filter in {CURRENCIES[ledger.rule]}"
    return ledger.curve.engine(ledger.budget.delta)


def _words(
    ledger: Ledger, epsilon: float | None, area: float, accuracy: float, catches: tuple[Catch, ...]
) -> tuple[str, ...]:
    if epsilon is None:
        return ("Nothing is promised to anybody: the release may tell all about each person.",)
    unit = unit_of(ledger)
    change = (
        f"with and without {unit}"
        if ledger.budget.adjacency == "add_remove"
        else f"as it is, and with other values in {unit}"
    )
    return (
        f"Think of two tables: the private one {change}. A release was made from one of them. "
        "Somebody sees the release, knows everything else about both tables and may compute "
        "whatever they like. How well can they tell which of the two it was?",
        f"Guessing between the two, they are right in at most {upward(accuracy)} of cases; a coin "
        "is right in 50 %.",
        f"The area under the ROC curve of their attack is at most {rounded_up(area)}; a coin has "
        "0.5.",
        *(
            f"If they wrongly accuse {100 * catch.fpr:g} % of those who took no part, they find at "
            f"most {upward(catch.tpr)} of those who did."
            for catch in catches
            if catch.fpr == TOLD
        ),
        f"Whatever they conclude, they conclude it of one table at most {_factor(epsilon)} times "
        f"as often as of the other, but for a chance of {odds(ledger.budget.delta)}.",
        "These are bounds on the worst case, not measurements: real attacks know less and find "
        "less.",
        "What holds of people in general can be learnt from the release, and applied to those who "
        f"took no part as well. Only what depends on {unit} is protected.",
        f"Whoever is in several releases adds up what each of them costs: {unit} is promised this "
        "for the steps below, and for them alone.",
    )


def _factor(epsilon: float) -> str:
    """Return e to the power of epsilon in three digits, rounded up."""
    if epsilon >= LARGEST_SHOWN:
        return f"e to the power of {rounded_up(epsilon, 3)}"
    return rounded_up(math.exp(epsilon), 3)
