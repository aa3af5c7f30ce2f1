"""`dp-synth evaluate` and `attack`: what a synthetic table gives, and what leaks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.arguments import (
    Reference,
    find_modules_here,
    table_of,
    takes_dialect,
)
from dp_synth.cli.outputs import (
    Outputs,
    aligned,
    delivered,
    remark,
    shown_work,
    write_each,
    write_text,
)
from dp_synth.dialect import Dialect
from dp_synth.errors import InputError
from dp_synth.files import check_writable
from dp_synth.progress import part_of_work

if TYPE_CHECKING:
    import pandas as pd

    from dp_synth.attacks import Attack, AttackerView
    from dp_synth.metrics import Compared, Estimate
    from dp_synth.metrics.evaluation import Evaluation
    from dp_synth.report.evaluation import Row
    from dp_synth.report.scope import Scope
    from dp_synth.schema import Schema

FPRS = (0.01, 0.1)
TABLES = ("fitted", "hold-out", "synthetic")
MOST_TARGETS = 10_000  # of each table, unless more are asked for: an AUC is then known to about .01

Synthetic = Annotated[Path, typer.Option(help="Synthetic table (CSV or Parquet).")]
SchemaFile = Annotated[Path, typer.Option(help="Schema of all tables (JSON).")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Also write the numbers here; - for stdout alone.")
]
Seed = Annotated[int, typer.Option(help="Seed of classifiers, resampling and ties.", min=0)]


@takes_dialect
def evaluate(
    real: Annotated[Path, typer.Option(help="Table that was fitted.")],
    holdout: Annotated[Path, typer.Option(help="Real rows that were not fitted.")],
    synthetic: Synthetic,
    schema: SchemaFile,
    dialect: Dialect,
    json_file: JsonFile = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Also write a page of the numbers here.")
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="Metric beside marginals and classifiers; may be repeated. All if absent; "
            "`none` for no more.",
        ),
    ] = None,
    release: Annotated[
        Path | None,
        typer.Option(help="Release of the synthetic table: its method, epsilon, and intervals."),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Compare a synthetic table with real ones: `dp-synth list metrics` says in what.

    Beside marginals and classifiers stands what real rows would score. All of it is internal: it
    is computed on real rows and is not differentially private.
    """
    from dp_synth.counting.size import COMPARED, check_room
    from dp_synth.frames import refuse_shared
    from dp_synth.metrics import Compared, RealTables
    from dp_synth.metrics.evaluation import evaluation_of
    from dp_synth.report.evaluation import TITLE
    from dp_synth.schema import Schema

    check_writable(json_file, html_file, read=(real, holdout, synthetic, schema, release))
    more = _more_metrics(names)
    columns = Schema.load(schema).read_as(dialect)
    check_room(real, holdout, synthetic, dialect=columns.dialect, a_cell=COMPARED)
    fitted, fresh, made = (table_of(path, columns) for path in (real, holdout, synthetic))
    refuse_shared({f"--real {real}": fitted, f"--holdout {holdout}": fresh})
    about, scope = _about(columns, dict(zip(TABLES, (fitted, fresh, made), strict=True)), release)
    compared = Compared(RealTables(fitted, fresh, columns), made, seed)
    result = evaluation_of(compared, more=more)
    for name, said in result["remarks"].items():
        remark(f"{name}: {said}")
    rows = [(name, said, "") for name, said in about.items()] + _evaluation_rows(result)
    of_release = {"scope": asdict(scope)} if scope else {}
    outputs = _delivered({"about": about, **result, **of_release}, json_file, TITLE, rows)
    if html_file is not None:
        outputs.append((html_file, partial(_write_page, html_file, result, compared, about, scope)))
    write_each(outputs)
    if result["failed"]:
        raise RuntimeError(f"a defect: {', '.join(result['failed'])} failed; all else is written")


def _about(
    schema: Schema, tables: Mapping[str, pd.DataFrame], release: Path | None
) -> tuple[dict[str, str], Scope | None]:
    """Return what is evaluated: the table, how many rows, the method at which epsilon, the day.

    Beside it, of a release, for which questions its intervals hold.
    """
    from datetime import date

    from dp_synth.formatting import rounded_up
    from dp_synth.release import Release
    from dp_synth.report.scope import scope_of

    scope, method = None, "not said; --release names the release that the rows are of"
    if release is not None:
        of = Release.load(release)
        scope = scope_of(of)
        budget = f"epsilon {rounded_up(of.epsilon)} at delta {rounded_up(of.ledger.budget.delta)}"
        method = f"{of.synthesizer}, {budget}, as its ledger certifies"
    rows = ", ".join(f"{len(table):,} {kind}" for kind, table in tables.items())
    about = {
        "table": f"{schema.name}: {rows} rows",
        "method": method,
        "evaluated": date.today().isoformat(),
    }
    return about, scope


def _write_page(
    path: Path,
    result: Evaluation,
    compared: Compared,
    about: Mapping[str, str],
    scope: Scope | None,
) -> None:
    """Write the numbers and the histograms of the columns that fare worst as one page."""
    from dp_synth.report.evaluation import evaluation_page

    write_text(path, evaluation_page(result, compared, about, scope=scope), private=True)


def _more_metrics(names: Sequence[str] | None) -> list[str]:
    from dp_synth.extensions import unknown
    from dp_synth.metrics import METRICS
    from dp_synth.metrics.evaluation import PLAIN

    chosen = [name for name in names or METRICS if name != "none"]
    if not names:
        return [name for name in chosen if name not in PLAIN]
    for name in chosen:
        if name not in METRICS:
            raise InputError(unknown("metric", name, METRICS))
    return chosen


@takes_dialect
def attack(
    members: Annotated[Path, typer.Option(help="Rows that were fitted.")],
    non_members: Annotated[Path, typer.Option(help="Rows of the same people that were not.")],
    synthetic: Synthetic,
    schema: SchemaFile,
    dialect: Dialect,
    reference: Reference = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--attack",
            help="Attack to run, or module:Class; may be repeated. All that can, if absent.",
        ),
    ] = None,
    release: Annotated[
        Path | None,
        typer.Option(help="Release of the synthetic table, for an attacker who holds that too."),
    ] = None,
    targets: Annotated[
        int,
        typer.Option(help="Aim at so many rows of each table, drawn by the seed; 0: all.", min=0),
    ] = MOST_TARGETS,
    json_file: JsonFile = None,
    seed: Seed = 0,
) -> None:
    """Try to tell members from non-members by looking at the synthetic table.

    Higher is worse: an AUC of 0.5 is a coin. All of it is internal: it is computed on real rows
    and is not differentially private.
    """
    from dp_synth.counting.size import COMPARED, check_room
    from dp_synth.release import Release
    from dp_synth.report.risk import Guarantee, attacker_view
    from dp_synth.schema import Schema

    find_modules_here()
    check_writable(json_file, read=(members, non_members, synthetic, schema, reference, release))
    named = _named_attacks(names)
    held = None if release is None else Release.load(release)
    columns = Schema.load(schema).read_as(dialect)
    check_room(members, non_members, synthetic, reference, dialect=columns.dialect, a_cell=COMPARED)
    others = None if reference is None else table_of(reference, columns)
    view = attacker_view(table_of(synthetic, columns), columns, others, held)
    attacks = _seeing(named, view)
    aimed = _targets((members, non_members), columns, view, targets, seed=seed)
    scores = _attack_scores(attacks, aimed, view, seed)
    ceiling = None if held is None else Guarantee.of(held).ceiling
    rows = _attack_rows(scores, attacks, ceiling)
    write_each(_delivered(_attacked(scores, ceiling), json_file, "membership attacks", rows))
    if not names:
        _tell_what_is_left_out(view)
    _tell_what_is_not_permitted(scores, ceiling)


def _named_attacks(names: Sequence[str] | None) -> dict[str, Attack]:
    from dp_synth.attacks import attack_named

    return {name: attack_named(name) for name in names or ()}


def _seeing(named: Mapping[str, Attack], view: AttackerView) -> Mapping[str, Attack]:
    """Return the named attacks, or all that can be run; InputError where one lacks something."""
    from dp_synth.attacks import that_can_see

    for one in named.values():
        if (lacking := one.missing(view)) is not None:
            raise InputError(lacking)
    return named or {one.name: one for one in that_can_see(view)}


def _tell_what_is_left_out(view: AttackerView) -> None:
    """Say on standard error which attacks are not run, and what option each would take."""
    from dp_synth.attacks import ATTACKS

    options = {"reference": "--reference"}
    if view.transcript is None:  # with a release the rest is there, or it is not of its kind
        options |= {"transcript": "--release", "synthesizer": "--release"}
    missing: dict[str, list[str]] = {}
    for name, kind in ATTACKS.items():
        if (lacking := kind().missing(view)) is None:
            continue
        lacks = [need for need in kind.needs() if getattr(view, need) is None]
        wanted = " and ".join(dict.fromkeys(options[n] for n in lacks if n in options))
        if wanted:
            missing.setdefault(wanted, []).append(name)
        else:
            remark(f"left out: {lacking}")
    for wanted, names in missing.items():
        remark(f"left out without {wanted}: {', '.join(names)}")


def _tell_what_is_not_permitted(
    scores: Mapping[str, Mapping[str, Estimate]], ceiling: float | None
) -> None:
    """Say on standard error which areas lie above all that the release's ledger permits."""
    from dp_synth.formatting import at_most

    above = [name for name, of in scores.items() if ceiling is not None and of["auc"].low > ceiling]
    if above and ceiling is not None:
        remark(
            f"the AUC of {', '.join(above)} lies above {at_most(ceiling, 4)}, the "
            "largest that the ledger permits: look for a defect, for tables that are not of one "
            "population, or for a release of other members"
        )


def _targets(
    paths: tuple[Path, Path], schema: Schema, view: AttackerView, most: int, *, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the members and the non-members to aim at: of each at most so many, by the seed."""
    import numpy as np

    from dp_synth.errors import InputError
    from dp_synth.frames import refuse_shared

    members, non_members = (table_of(path, schema) for path in paths)
    for path, table in zip(paths, (members, non_members), strict=True):
        if table.empty:
            raise InputError(f"{path}: an attack needs at least one row to aim at")
    tables = {"--members": members, "--non-members": non_members}
    refuse_shared(tables if view.reference is None else tables | {"--reference": view.reference})
    if most and max(len(members), len(non_members)) > most:
        rng = np.random.default_rng(seed)
        members, non_members = (
            table.iloc[np.sort(rng.permutation(len(table))[:most])].reset_index(drop=True)
            for table in (members, non_members)
        )
        remark(
            f"aimed at {len(members):,} members and {len(non_members):,} non-members, "
            "drawn by the seed; --targets 0 aims at all"
        )
    return members, non_members


def _attack_scores(
    attacks: Mapping[str, Attack],
    targets: tuple[pd.DataFrame, pd.DataFrame],
    view: AttackerView,
    seed: int,
) -> dict[str, dict[str, Estimate]]:
    from dp_synth.audit import Roc

    members, non_members = targets
    result = {}
    for name, one in attacks.items():
        scores = []
        with shown_work(f"attack {name!r}"):
            for place, aimed in enumerate((members, non_members)):
                with part_of_work(place, 2):
                    scores.append(one.scores(aimed, view))
        roc = Roc(scores[0], scores[1], seed)
        result[name] = {"auc": roc.auc()}
        result[name] |= {f"tpr_at_fpr_{fpr}": roc.tpr_at_fpr(fpr) for fpr in FPRS}
    return result


def _attacked(
    scores: Mapping[str, Mapping[str, Estimate]], ceiling: float | None
) -> dict[str, object]:
    """Return what attacks found as JSON has it, and the largest AUC that the ledger permits."""
    ends = {"": "value", "_low": "low", "_high": "high"}
    found = {
        name: {
            f"{metric}{ending}": getattr(estimate, end)
            for metric, estimate in of.items()
            for ending, end in ends.items()
        }
        for name, of in scores.items()
    }
    return {"attacks": found} | ({} if ceiling is None else {"largest_auc": ceiling})


Rows = list["Row"]


def _evaluation_rows(result: Evaluation) -> Rows:
    from dp_synth.report.evaluation import sections

    rows: Rows = []
    for place, section in enumerate(sections(result)):
        if section.beside:
            rows += [(section.title, "" if place else "synthetic", section.beside), *section.rows]
        else:
            rows.append((f"{section.title}: {section.note}", "", ""))
            rows += [(f"  {name}", value, "") for name, value, _ in section.rows]
    return rows


def _attack_rows(
    scores: Mapping[str, Mapping[str, Estimate]],
    attacks: Mapping[str, Attack],
    ceiling: float | None = None,
) -> Rows:
    from dp_synth.formatting import at_most

    rows: Rows = []
    beside = "" if ceiling is None else f"; the ledger permits {at_most(ceiling, 4)}"
    for name, of in scores.items():
        measures = attacks[name].measures
        rows.append((name if measures == "membership" else f"{name} ({measures})", "", ""))
        rows.append(("  AUC", str(of["auc"]), f"chance: 0.5{beside}"))
        for fpr in FPRS:
            rows.append((f"  TPR at FPR {fpr:.0%}", str(of[f"tpr_at_fpr_{fpr}"]), f"chance: {fpr}"))
    return rows


def _delivered(
    result: Mapping[str, object], json_file: Path | None, title: str, rows: Rows
) -> Outputs:
    text = json.dumps(result, indent=2) + "\n"
    return delivered(partial(_print_table, title, rows), text, json_file, private=True)


def _print_table(title: str, rows: Rows) -> None:
    from dp_synth.report.evaluation import INTERNAL

    typer.echo(f"{title} ({INTERNAL})")
    for line in aligned(rows):
        typer.echo(line)
    typer.echo("Each value with its 95 % interval for the drawing of rows.")
