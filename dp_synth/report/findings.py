"""What a reader of a card must be warned of, from public facts alone: schema, ledger, budget."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dp_synth.accounting import Ledger
from dp_synth.accounting.ledger import FLOATING, UNCONFIRMED
from dp_synth.release import Release
from dp_synth.schema import DiscreteColumn, IdColumn, Schema

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
        "floating_point",
    ]
)

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_IDENTIFYING = {
    *("id", "ids", "uid", "uuid", "guid", "ssn", "identifier", "iban", "passport", "plate"),
    *("name", "surname", "firstname", "lastname", "forename", "nickname", "username"),
    *("email", "mail", "phone", "telephone", "mobile", "address", "street", "url", "ip"),
}


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
    found = [*_of_ledger(release.ledger), *_of_schema(release)]
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


def _of_ledger(ledger: Ledger) -> Iterator[Finding]:
    if ledger.seeded:
        yield Finding(
            "seeded",
            "blocking",
            "",
            "seeded: not for release. Whoever knows or guesses the seed can take the noise away; "
            "fit again without a seed.",
        )
    if ledger.inexact:
        yield Finding(
            "floating_point",
            "warning",
            "",
            f"{FLOATING} ({', '.join(ledger.inexact)}). The promise holds for noise in real "
            "numbers; what the last digits of numbers that left tell about a record is not in it.",
        )
    if ledger.curve.beside == 1:
        yield Finding(
            "no_guarantee",
            "blocking",
            "",
            "Nothing is certified: a step without any guarantee was taken.",
        )
    if ledger.simulation:
        yield Finding(
            "simulation",
            "blocking",
            "",
            "The ledger is that of an experiment, each repeat of which is a release of its own.",
        )


def _of_schema(release: Release) -> Iterator[Finding]:
    schema = release.schema
    if schema.bounds_from is None:
        yield Finding(
            "bounds_unexplained",
            "warning",
            "",
            "The schema does not say where its bounds and categories come from (bounds_from). The "
            "promise holds only if they were known without looking at the private table.",
        )
    elif schema.is_draft:
        yield Finding(
            "bounds_from_data",
            "blocking",
            "",
            f"{UNCONFIRMED}. Nobody has confirmed that bounds and categories are public: they are "
            "then released without any protection.",
        )
    yield from _of_unit(schema, release.ledger)


def _of_unit(schema: Schema, ledger: Ledger) -> Iterator[Finding]:
    budget = ledger.budget
    if budget.unit is not None:
        yield Finding(
            "several_rows",
            "warning",
            "",
            f"The unit is all records of one {budget.unit}. At most {budget.max_rows} of them were "
            "used, the others dropped at random: units with many records count for less.",
        )
    elif schema.has_units:
        yield Finding(
            "several_rows",
            "warning",
            "",
            f"The schema says that the unit of privacy is {schema.unit_of_privacy!r}, the ledger "
            "protects one record. Should one unit have several records, the promise to it is "
            "weaker.",
        )


def _of_column(column: DiscreteColumn | IdColumn) -> Iterator[Finding]:
    name = column.name
    if isinstance(column, IdColumn) or looks_identifying(name):
        yield Finding(
            "identifier",
            "warning",
            name,
            "looks like an identifier. Values that name people do not belong in a synthetic "
            "table, not even as its categories.",
        )
    if isinstance(column, IdColumn):
        return
    if column.open:
        yield Finding(
            "open",
            "warning",
            name,
            "is open: besides its declared categories, texts that many records hold were released "
            "as they are, paid for by a threshold. Look whether any of them names a person.",
        )
    if column.type == "categorical" and len(column.texts) > WIDE:
        yield Finding(
            "wide",
            "warning",
            name,
            f"has {len(column.texts)} categories. Most hold few records, which noise hides: do "
            "not read anything into rare ones.",
        )
