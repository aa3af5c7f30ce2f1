"""`dp-synth monitor`: does a release still describe today's records?"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dp_synth.cli.arguments import (
    Delta,
    RiskText,
    budget_of,
    reading_arguments,
    takes_dialect,
)
from dp_synth.cli.outputs import (
    aligned,
    charged_for,
    delivered,
    remark,
    stopped_gently,
    tell_of,
    write_each,
)
from dp_synth.dialect import Dialect
from dp_synth.errors import InputError
from dp_synth.files import check_writable

if TYPE_CHECKING:
    from dp_synth.accounting import Accountant, Ledger, PrivacyBudget, SubAccountant
    from dp_synth.monitor import DriftReport, Monitoring
    from dp_synth.release import Release

EXIT_DRIFT = 4


ReleaseFile = Annotated[Path, typer.Argument(help="A release that `synthesize` kept (.npz).")]
Today = Annotated[str, typer.Option(help="Today's private table: CSV or Parquet, - for stdin.")]
Epsilon = Annotated[float | None, typer.Option(help="Privacy budget of today's records: epsilon.")]
LedgerFile = Annotated[
    Path | None,
    typer.Option(help="Also write every charge here, before it is spent; a ledger of its own."),
]
AlarmRate = Annotated[
    float, typer.Option(help="At most so often drift is found where there is none.")
]
Tolerance = Annotated[float, typer.Option(help="A drift up to this total variation is no alarm.")]
Columns = Annotated[str | None, typer.Option(help="Only these columns: A,B; a comma in quotes.")]
Pairs = Annotated[
    int | None, typer.Option(help="At most so many pairs; default: as many as columns.")
]
Seed = Annotated[
    int | None, typer.Option(min=0, help="Makes the check repeatable, and not for release.")
]
Internal = Annotated[
    bool,
    typer.Option("--internal", help="Exact, without noise: for the holder, not to publish."),
]
CardFile = Annotated[
    Path | None, typer.Option(help="Also note the check in the life of this data card.")
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Also write the report here, as JSON.")
]


@takes_dialect
def monitor(
    release: ReleaseFile,
    data: Today,
    dialect: Dialect,
    epsilon: Epsilon = None,
    delta: Delta = None,
    risk: RiskText = None,
    ledger: LedgerFile = None,
    alarm_rate: AlarmRate = 0.05,
    tolerance: Tolerance = 0.0,
    columns: Columns = None,
    pairs: Pairs = None,
    seed: Seed = None,
    internal: Internal = False,
    card: CardFile = None,
    by: Annotated[str, typer.Option(help="Who checks, for the life of the card.")] = "",
    json_out: JsonFile = None,
) -> None:
    """Compare today's records with those that a release is of: what has drifted, how far, how sure.

    The budget protects today's records, with the adjacency and unit of the release. Exit code 4
    says that something has drifted beyond the tolerance.
    """
    from dp_synth.monitor import Monitoring
    from dp_synth.release import Release

    target = epsilon, delta, risk
    _check_together(target, ledger, card, by, seed, internal=internal)
    check_writable(json_out, ledger, _life_of(card), read=(release, data, card))
    kept = Release.load(release)
    with reading_arguments():
        settings = Monitoring(alarm_rate, tolerance, _names(columns), pairs)
    if card is not None:
        _check_card(card, kept)
    if internal:
        report = _exactly(kept, data, settings, dialect)
    else:
        promise = kept.ledger.budget
        budget = budget_of(target, promise.adjacency, promise.unit, promise.max_rows)
        report = _charged(kept, (data, dialect), (budget, ledger), settings, seed)
    left_out = len(kept.schema.domain) - sum(len(one.columns) == 1 for one in report.drifts)
    outputs = delivered(
        partial(_show, report), report.to_json(), json_out, private=report.is_internal
    )
    if card is not None:
        note = partial(_note, report, card, by.strip(), release, left_out)
        outputs.insert(0, (f"the life of {card}", note))
    write_each(outputs)
    if report.found:
        raise typer.Exit(EXIT_DRIFT)


def _check_together(
    target: tuple[float | None, float | None, str | None],
    ledger: Path | None,
    card: Path | None,
    by: str,
    seed: int | None,
    *,
    internal: bool,
) -> None:
    """Raise InputError where an option lacks what it goes together with."""
    budget = dict(zip(("--epsilon", "--delta", "--risk"), target, strict=True))
    spends = {**budget, "--ledger": ledger, "--seed": seed}
    if internal and (given := [name for name, value in spends.items() if value is not None]):
        raise InputError(f"--internal spends nothing; leave {given[0]} out")
    if internal and card is not None:
        raise InputError("a card's life is published; what --internal finds may not stand in it")
    for name in ("--epsilon", "--delta"):
        if not internal and budget["--risk"] is None and budget[name] is None:
            raise InputError(
                f"give {name}, the budget of today's records, or --risk, or --internal"
            )
    if card is not None and not by.strip():
        raise InputError("--card needs --by: who checks")


def _check_card(card: Path, release: Release) -> None:
    """Raise InputError where a card is of another release, or its life does not hold."""
    from dp_synth.report.card import DataCard
    from dp_synth.report.life import life_file, read_life

    kept = DataCard.load(card)
    if kept.differs_from_release(release) is not None:
        raise InputError(f"{card}: is not the card of this release; write it with `dp-synth card`")
    read_life(life_file(card), kept)


def _exactly(release: Release, data: str, settings: Monitoring, dialect: Dialect) -> DriftReport:
    from dp_synth.datasets import read_table
    from dp_synth.monitor import monitor_exactly

    schema = release.schema.read_as(dialect)
    return monitor_exactly(release, read_table(data, schema.dialect), settings)


def _charged(
    release: Release,
    table: tuple[str, Dialect],
    paid: tuple[PrivacyBudget, Path | None],
    settings: Monitoring,
    seed: int | None,
) -> DriftReport:
    """Return the report that a budget pays for, and say what was charged."""
    from dataclasses import replace

    from dp_synth.accounting.accountant import accountant_of
    from dp_synth.datasets import read_table
    from dp_synth.monitor import monitor

    data, dialect = table
    with reading_arguments():
        payer = accountant_of(*paid)
    kept = replace(release, schema=release.schema.read_as(dialect))
    with stopped_gently(), charged_for(payer):
        rows: Any = read_table(data, kept.schema.dialect) if data == "-" else data
        report = monitor(kept, rows, payer, settings, seed=seed)
    tell_of(_ledger(payer))
    return report


def _ledger(payer: Accountant | SubAccountant) -> Ledger:
    from dp_synth.accounting import SubAccountant

    return payer.root.ledger if isinstance(payer, SubAccountant) else payer.ledger


def _names(columns: str | None) -> tuple[str, ...] | None:
    """Return the names that an option lists, commas in quotes."""
    import csv

    return None if columns is None else tuple(next(csv.reader([columns])))


def _show(report: DriftReport) -> None:
    for line in aligned(report.rows()):
        typer.echo(line)
    typer.echo(report.summary)
    typer.echo(f"tested: {report.null}; false alarms: at most {report.alarm_rate:g}")
    if report.is_internal:
        remark(report.statement)


def _life_of(card: Path | None) -> Path | None:
    from dp_synth.report.life import life_file

    return None if card is None else life_file(card)


def _note(report: DriftReport, card: Path, by: str, release: Path, left_out: int) -> None:
    """Add the check to the life of a card; ``left_out`` is of how many columns it says nothing."""
    from dp_synth.report.card import DataCard
    from dp_synth.report.life import Event, add_event, life_file

    digest = hashlib.sha256(release.read_bytes()).hexdigest()
    found = {
        "drift": bool(report.found),
        "drift_up_to": report.worst.high,
        "columns_left_out": left_out,
        "tolerance": report.tolerance,
        "alarm_rate": report.alarm_rate,
        "epsilon": report.epsilon,
        "delta": report.delta,
        "seeded": report.seeded,
        "report_sha256": report.digest,
        "release_sha256": digest,
    }
    event = Event("checked", by, report.summary, found)
    add_event(life_file(card), DataCard.load(card), event)
