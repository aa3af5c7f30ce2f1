"""Guarantee of a card: what a ledger promises in words, and what its readers are warned of.

Warnings are of public facts alone: schema, ledger, budget.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dp_synth.accounting import Ledger, PrivacyBudget
from dp_synth.accounting.ledger import FLOATING, UNCONFIRMED
from dp_synth.formatting import percent_at_most, rounded_up
from dp_synth.release import Release
from dp_synth.schema import DiscreteColumn, IdColumn, Schema

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

CURRENCIES = {
    "zcdp": "zero-concentrated differential privacy",
    "gdp": "Gaussian DP",
    "pure": "pure differential privacy",
}


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
    unit, from the ledger's own curve. ``advantage`` is the largest true less false positive rate,
    ``mu`` that of the least Gaussian DP, but for a chance ``left_out``, and ``regret`` what it
    overstates (`accounting.dominating_gaussian.GaussianSummary`); None where nothing is certified,
    and on cards of before. ``risk`` is what the budget was stated in, empty where it was epsilon.
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
    advantage: float | None = None
    mu: float | None = None
    regret: float | None = None
    left_out: float | None = None
    risk: str = ""


def promise_of(ledger: Ledger) -> Promise:
    """Return what a ledger promises, with the meaning of its numbers in plain words."""
    budget, curve, epsilon = ledger.budget, ledger.curve, ledger.epsilon
    caught = curve.tpr(np.array(FPRS))
    accuracy = min(1.0, (1 + curve.delta(0.0)) / 2)
    catches = tuple(Catch(fpr, float(tpr)) for fpr, tpr in zip(FPRS, caught, strict=True))
    area = curve.largest_auc()
    certified = epsilon if math.isfinite(epsilon) else None
    planned = ledger.rule == "planned"
    engine = curve.engine(budget.delta) if planned else f"a filter in {CURRENCIES[ledger.rule]}"
    summary, bounded = ledger.gaussian, certified is not None
    has_mu = bounded and math.isfinite(summary.mu)
    return Promise(
        statement=ledger.statement(),
        epsilon=certified,
        delta=budget.delta,
        adjacency=budget.adjacency,
        unit=unit_of(ledger),
        max_rows=budget.max_rows,
        engine=engine,
        seeded=ledger.seeded,
        largest_auc=area,
        largest_accuracy=accuracy,
        largest_tpr=catches,
        in_words=_words(ledger, certified, area, accuracy, catches),
        advantage=ledger.advantage if bounded else None,
        mu=summary.mu if has_mu else None,
        regret=summary.regret if has_mu else None,
        left_out=summary.left_out if has_mu else None,
        risk="" if budget.risk is None else str(budget.risk),
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


def _words(
    ledger: Ledger, epsilon: float | None, area: float, accuracy: float, catches: tuple[Catch, ...]
) -> tuple[str, ...]:
    if epsilon is None:
        return ("Nothing is promised to anybody: the release may tell all about each person.",)
    unit, change = unit_of(ledger), f"with and without {unit_of(ledger)}"
    if ledger.budget.adjacency != "add_remove":
        change = f"as it is, and with other values in {unit}"
    factor = rounded_up(math.exp(min(epsilon, LARGEST_SHOWN)), 3)
    if epsilon >= LARGEST_SHOWN:
        factor = f"e to the power of {rounded_up(epsilon, 3)}"
    return (
        f"Think of two tables: the private one {change}. A release was made from one of them. "
        "Somebody sees the release, knows everything else about both tables and may compute "
        "whatever they like. How well can they tell which of the two it was?",
        f"Guessing between the two, they are right in at most {upward(accuracy)} of cases; a coin "
        "is right in 50 %.",
        f"Of those who took part they accuse at most {rounded_up(100 * ledger.advantage)} "
        "percentage points more than of those who did not: their advantage.",
        *_risk_in_words(ledger),
        f"The area under the ROC curve of their attack is at most {rounded_up(area)}; a coin has "
        "0.5.",
        *(
            f"If they wrongly accuse {100 * catch.fpr:g} % of those who took no part, they find at "
            f"most {upward(catch.tpr)} of those who did."
            for catch in catches
            if catch.fpr == TOLD
        ),
        f"Whatever they conclude, they conclude it of one table at most {factor} times "
        f"as often as of the other, but for a chance of {odds(ledger.budget.delta)}.",
        "These are bounds on the worst case, not measurements: real attacks know less and find "
        "less.",
        "What holds of people in general can be learnt from the release, and applied to those who "
        f"took no part as well. Only what depends on {unit} is protected.",
        f"Whoever is in several releases adds up what each of them costs: {unit} is promised this "
        "for the steps below, and for them alone.",
    )


def _risk_in_words(ledger: Ledger) -> Iterator[str]:
    """Yield what the budget was stated in, where that is no epsilon and no advantage."""
    risk = ledger.budget.risk
    if risk is not None and risk.kind == "tpr":
        yield (
            f"The noise was chosen so that, wrongly accusing {100 * risk.at:g} % of those who took "
            f"no part, they find at most {upward(ledger.cost)} of those who did."
        )
    elif risk is not None and risk.kind == "reidentification":
        yield (
            f"The noise was chosen so that whoever is right about {100 * risk.at:g} % of records "
            f"that were not fitted is right about at most {upward(ledger.cost)} of those that were."
        )


WIDE = 100
"""A categorical column of more categories than this is called wide: some hold few people."""

Severity = Literal["blocking", "warning"]
ColumnKind = Literal["identifier", "open", "wide"]
Kind = (
    ColumnKind
    | Literal[
        "seeded",
        "no_guarantee",
        "simulation",
        "bounds_from_data",
        "bounds_unexplained",
        "several_rows",
        "counts_on_the_wire",
        "floating_point",
    ]
)

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_IDENTIFYING = {
    *("id", "ids", "uid", "uuid", "guid", "ssn", "identifier", "iban", "passport", "plate"),
    *("name", "surname", "firstname", "lastname", "forename", "nickname", "username"),
    *("email", "mail", "phone", "telephone", "mobile", "address", "street", "url", "ip"),
}


BLOCKING = ("seeded", "no_guarantee", "simulation", "bounds_from_data")
"""Findings that must be mended before anything is released."""


@dataclass(frozen=True)
class Finding:
    """One thing to know before release; what is blocking must be mended first.

    ``column`` is empty where it is about the whole release.
    """

    kind: Kind
    severity: Severity
    column: str
    text: str


def findings_of(release: Release) -> tuple[Finding, ...]:
    """Return what must be said about a release, what is blocking first.

    Nothing but the release is looked at, so that the findings may be published with it.
    """
    found = [*_of_ledger(release.ledger), *_of_schema(release.schema, release.ledger.budget)]
    if release.counted_by:
        found.append(
            _finding(
                "counts_on_the_wire",
                f"Records were counted where they are ({release.counted_by}), and exact counts "
                "came to the machine that fitted, which added the noise: the promise takes that "
                "machine, and the connection, to be trusted.",
            )
        )
    for column in release.schema.columns:
        if isinstance(column, (DiscreteColumn, IdColumn)):
            found.extend(_of_column(column))
    return tuple(sorted(found, key=lambda finding: finding.severity != "blocking"))


def looks_identifying(name: str) -> bool:
    """Tell whether a column's name says that it names people.

    >>> [looks_identifying(name) for name in ("patientId", "e-mail", "SSN", "age", "idle")]
    [True, True, True, False, False]
    """
    return not _IDENTIFYING.isdisjoint(word.lower() for word in _WORDS.findall(name))


def _finding(kind: Kind, text: str, column: str = "") -> Finding:
    return Finding(kind, "blocking" if kind in BLOCKING else "warning", column, text)


def _of_ledger(ledger: Ledger) -> Iterator[Finding]:
    if ledger.seeded:
        yield _finding(
            "seeded",
            "seeded: not for release. Whoever knows or guesses the seed can take the noise away; "
            "fit again without a seed.",
        )
    if ledger.inexact:
        yield _finding(
            "floating_point",
            f"{FLOATING} ({', '.join(ledger.inexact)}). The promise holds for noise in real "
            "numbers; what the last digits of numbers that left tell about a record is not in it.",
        )
    if ledger.curve.beside == 1:
        yield _finding(
            "no_guarantee", "Nothing is certified: a step without any guarantee was taken."
        )
    if ledger.simulation:
        yield _finding(
            "simulation",
            "The ledger is that of an experiment, each repeat of which is a release of its own.",
        )


def _of_schema(schema: Schema, budget: PrivacyBudget) -> Iterator[Finding]:
    if schema.bounds_from is None:
        yield _finding(
            "bounds_unexplained",
            "The schema does not say where its bounds and categories come from (bounds_from). The "
            "promise holds only if they were known without looking at the private table.",
        )
    elif schema.is_draft:
        yield _finding(
            "bounds_from_data",
            f"{UNCONFIRMED}. Nobody has confirmed that bounds and categories are public: they are "
            "then released without any protection.",
        )
    if budget.unit is not None:
        yield _finding(
            "several_rows",
            f"The unit is all records of one {budget.unit}. At most {budget.max_rows} of them were "
            "used, the others dropped at random: units with many records count for less.",
        )
    elif schema.has_units:
        yield _finding(
            "several_rows",
            f"The schema says that the unit of privacy is {schema.unit_of_privacy!r}, the ledger "
            "protects one record. Should one unit have several records, the promise to it is "
            "weaker.",
        )


def _of_column(column: DiscreteColumn | IdColumn) -> Iterator[Finding]:
    name = column.name
    if isinstance(column, IdColumn) or looks_identifying(name):
        yield _finding(
            "identifier",
            "looks like an identifier. Values that name people do not belong in a synthetic "
            "table, not even as its categories.",
            name,
        )
    if isinstance(column, IdColumn):
        return
    if column.open:
        yield _finding(
            "open",
            "is open: besides its declared categories, texts that many records hold were released "
            "as they are, paid for by a threshold. Look whether any of them names a person.",
            name,
        )
    if column.type == "categorical" and len(column.texts) > WIDE:
        yield _finding(
            "wide",
            f"has {len(column.texts)} categories. Most hold few records, which noise hides: do "
            "not read anything into rare ones.",
            name,
        )
