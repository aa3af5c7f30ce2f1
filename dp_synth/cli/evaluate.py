"""`dp-synth evaluate` and `dp-synth attack`: what a synthetic table gives and what it leaks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.arguments import find_modules_here
from dp_synth.files import check_writable, written_whole

if TYPE_CHECKING:
    from dp_synth.attacks import Attack, AttackerView
    from dp_synth.metrics import Estimate
    from dp_synth.metrics.evaluation import Evaluation
    from dp_synth.report.evaluation_table import Row

INTERNAL = "internal: computed on real rows, not differentially private"
EVALUATION = "evaluation of a synthetic table"
FPRS = (0.01, 0.1)
STDOUT = Path("-")

Synthetic = Annotated[Path, typer.Option(help="Synthetic table (CSV or Parquet).")]
SchemaFile = Annotated[Path, typer.Option(help="Schema of all tables (JSON).")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Also write the numbers here; - for stdout alone.")
]
Seed = Annotated[int, typer.Option(help="Seed of classifiers, resampling and ties.", min=0)]


def evaluate(
    real: Annotated[Path, typer.Option(help="Table that was fitted.")],
    holdout: Annotated[Path, typer.Option(help="Real rows that were not fitted.")],
    synthetic: Synthetic,
    schema: SchemaFile,
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
    seed: Seed = 0,
) -> None:
    """Compare a synthetic table with real ones: `dp-synth list metrics` says in what.

    Beside marginals and classifiers stands what real rows would score. All of it is internal: it
    is computed on real rows and is not differentially private.
    """
    from dp_synth import metrics
    from dp_synth.datasets import read_table
    from dp_synth.report.evaluation_page import page
    from dp_synth.report.evaluation_table import sections
    from dp_synth.schema import Schema

    check_writable(json_file, html_file, read=(real, holdout, synthetic, schema))
    more = _more_metrics(names)
    columns = Schema.load(schema)
    tables = read_table(real), read_table(holdout), read_table(synthetic)
    result = metrics.evaluate(*tables, columns, seed=seed, more=more)
    _deliver(result, json_file, EVALUATION, _evaluation_rows(result))
    if html_file is not None:
        with written_whole(html_file) as passing:
            passing.write_text(page(EVALUATION, INTERNAL, sections(result)), encoding="utf-8")


def _more_metrics(names: Sequence[str] | None) -> list[str]:
    from dp_synth.errors import InputError
    from dp_synth.metrics import METRICS
    from dp_synth.metrics.evaluation import PLAIN

    chosen = [name for name in names or METRICS if name not in ("none", *PLAIN)]
    for name in chosen:
        if name not in METRICS:
            raise InputError(f"no metric {name!r}; there are {', '.join(METRICS)}")
    return chosen


def attack(
    members: Annotated[Path, typer.Option(help="Rows that were fitted.")],
    non_members: Annotated[Path, typer.Option(help="Rows of the same people that were not.")],
    synthetic: Synthetic,
    schema: SchemaFile,
    reference: Annotated[
        Path | None, typer.Option(help="Other rows of the same people, for the attacker.")
    ] = None,
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
    json_file: JsonFile = None,
    seed: Seed = 0,
) -> None:
    """Try to tell members from non-members by looking at the synthetic table.

    Higher is worse: an AUC of 0.5 is a coin. All of it is internal: it is computed on real rows
    and is not differentially private.
    """
    from dp_synth.attacks import ATTACKS, attack_named

    find_modules_here()
    check_writable(json_file, read=(members, non_members, synthetic, schema, reference, release))
    given = {"synthetic", *["reference"] * bool(reference), *["transcript"] * bool(release)}
    chosen = names or [name for name, one in ATTACKS.items() if given.issuperset(one.needs())]
    attacks = {name: attack_named(name) for name in chosen}
    view = _view(synthetic, schema, reference, release)
    scores = _attack_scores(attacks, (members, non_members), view, seed)
    result = {
        name: {key: x for metric, e in of.items() for key, x in _ends(metric, e).items()}
        for name, of in scores.items()
    }
    _deliver({"attacks": result}, json_file, "membership attacks", _attack_rows(scores, attacks))
    if not names:
        _tell_what_is_left_out(given)


def _tell_what_is_left_out(given: set[str]) -> None:
    """Say on standard error which attacks are not run, and what option each would take."""
    from dp_synth.attacks import ATTACKS

    options = {"reference": "--reference", "transcript": "--release"}
    missing: dict[str, list[str]] = {}
    for name, one in ATTACKS.items():
        wanted = " and ".join(options[need] for need in one.needs() if need not in given)
        missing.setdefault(wanted, []).append(name)
    for wanted, names in missing.items():
        if wanted:
            typer.echo(f"dp-synth: left out without {wanted}: {', '.join(names)}", err=True)


def _view(
    synthetic: Path, schema: Path, reference: Path | None, release_file: Path | None
) -> AttackerView:
    """Return what the attacker sees; who holds a release knows its cells and its recipe too."""
    from pydantic import TypeAdapter

    from dp_synth.attacks import AttackerView
    from dp_synth.datasets import read_table
    from dp_synth.release import Release
    from dp_synth.schema import Schema
    from dp_synth.synthesizers import SYNTHESIZERS

    columns, rows = Schema.load(schema), read_table(synthetic)
    others = None if reference is None else read_table(reference)
    if release_file is None:
        return AttackerView(rows, columns, others)
    release = Release.load(release_file)
    known, recipe = SYNTHESIZERS.get(release.synthesizer), None
    if known is not None:
        recipe = TypeAdapter(known).validate_python(dict(release.settings))
    return AttackerView(
        rows,
        release.schema,
        others,
        algorithm=release.synthesizer,
        synthesizer=recipe,
        budget=release.ledger.budget,
        transcript=release.transcript,
    )


def _attack_scores(
    attacks: Mapping[str, Attack], paths: tuple[Path, Path], view: AttackerView, seed: int
) -> dict[str, dict[str, Estimate]]:
    from dp_synth.attacks import refuse_overlap
    from dp_synth.audit import Roc
    from dp_synth.datasets import read_table
    from dp_synth.errors import InputError

    members, non_members = map(read_table, paths)
    for path, table in zip(paths, (members, non_members), strict=True):
        if table.empty:
            raise InputError(f"{path}: an attack needs at least one row to aim at")
    refuse_overlap(members, non_members)
    result = {}
    for name, one in attacks.items():
        roc = Roc(one.scores(members, view), one.scores(non_members, view), seed)
        result[name] = {"auc": roc.auc()}
        result[name] |= {f"tpr_at_fpr_{fpr}": roc.tpr_at_fpr(fpr) for fpr in FPRS}
    return result


def _ends(metric: str, estimate: Estimate) -> dict[str, float]:
    return {
        metric: estimate.value,
        f"{metric}_low": estimate.low,
        f"{metric}_high": estimate.high,
    }


Rows = list["Row"]


def _evaluation_rows(result: Evaluation) -> Rows:
    from dp_synth.report.evaluation_table import sections

    rows: Rows = []
    for place, section in enumerate(sections(result)):
        if section.beside:
            rows += [("", "" if place else "synthetic", section.beside), *section.rows]
        else:
            rows.append((section.title, "", section.note))
            rows += [(f"  {name}", value, "") for name, value, _ in section.rows]
    return rows


def _attack_rows(
    scores: Mapping[str, Mapping[str, Estimate]], attacks: Mapping[str, Attack]
) -> Rows:
    rows: Rows = []
    for name, of in scores.items():
        measures = attacks[name].measures
        rows.append((name if measures == "membership" else f"{name} ({measures})", "", ""))
        rows.append(("  AUC", str(of["auc"]), "chance: 0.5"))
        for fpr in FPRS:
            rows.append((f"  TPR at FPR {fpr:.0%}", str(of[f"tpr_at_fpr_{fpr}"]), f"chance: {fpr}"))
    return rows


def _deliver(result: Mapping[str, object], json_file: Path | None, title: str, rows: Rows) -> None:
    text = json.dumps(result, indent=2) + "\n"
    if json_file == STDOUT:
        typer.echo(text, nl=False)
        return
    _print_table(title, rows)
    if json_file is not None:
        with written_whole(json_file) as passing:
            passing.write_text(text, encoding="utf-8")


def _print_table(title: str, rows: Rows) -> None:
    typer.echo(f"{title} ({INTERNAL})")
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    for row in rows:
        typer.echo(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip())
    typer.echo("Each value with its 95 % interval for the drawing of rows.")
