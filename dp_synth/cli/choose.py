"""`dp-synth choose`: what a risk costs, before any record is read."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.arguments import Neighbours, reading_arguments
from dp_synth.cli.evaluate import JsonFile
from dp_synth.cli.outputs import aligned, delivered, write_each
from dp_synth.cli.synthesize import Columns, Drop, Method, Settings, chosen_columns, recipe_of
from dp_synth.files import check_writable
from dp_synth.formatting import as_given, rounded_down, rounded_up

if TYPE_CHECKING:
    from dp_synth.report.choice import Choice

HEAD = ("risk", "advantage", "epsilon", "tpr", "mu", "noise of one count", "error")
REPEATS = 3


def choose(
    schema: Annotated[Path, typer.Argument(help="A public schema, a .meta.json file.")],
    rows: Annotated[int, typer.Option(min=1, help="About how many records the table has.")],
    synthesizer: Method = "clique_tree",
    settings: Settings = None,
    columns: Columns = None,
    drop: Drop = None,
    risk: Annotated[
        list[str] | None,
        typer.Option(
            help="A risk to compare, such as advantage=0.1, tpr=0.2,fpr=0.1 or "
            "reidentification=0.2,baseline=0.05; may be repeated. Five advantages if absent."
        ),
    ] = None,
    delta: Annotated[float, typer.Option(help="Tell epsilon at this delta.")] = 1e-9,
    adjacency: Neighbours = "add_remove",
    repeats: Annotated[
        int, typer.Option(min=0, help="Fits to a surrogate for each risk; 0 for noise alone.")
    ] = REPEATS,
    seed: Annotated[int, typer.Option(min=0, help="Seed of surrogates and fits.")] = 0,
    plot: Annotated[
        Path | None, typer.Option(help="Draw risk against noise and error (.png, .pdf).")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Compare what risks cost a table of this schema and size, before any record is read.

    Each risk has the noise that a plan of the synthesizer needs so that no attack exceeds it, and
    the error of fits to a surrogate: rows drawn from the schema alone. It is no data, is never
    written, and says how much the noise hides, not what your rows look like.
    """
    from dp_synth.accounting import PrivacyBudget, RiskTarget
    from dp_synth.report.choice import ADVANTAGES, options_for
    from dp_synth.schema import Schema

    check_writable(json_file)
    if plot is not None:
        from dp_synth.figures.files import check_place

        check_place(plot)
    public = chosen_columns(Schema.load(schema), columns, drop, None)
    with reading_arguments():
        asked = [RiskTarget.parse(one) for one in risk or ()]
        asked = asked or [RiskTarget(advantage=one) for one in ADVANTAGES]
        budgets = [PrivacyBudget.of_risk(one, delta, adjacency) for one in asked]  # type: ignore[arg-type]
        recipe = recipe_of(synthesizer, settings or [])
        found = options_for(recipe, public, rows, budgets, repeats=repeats, seed=seed)
    text = json.dumps(asdict(found), indent=2) + "\n"
    write_each(delivered(partial(_show, found), text, json_file, private=False))
    if plot is not None:
        _draw(found, plot)


def _show(found: Choice) -> None:
    """Print a line an option, below what the errors are of."""
    from dp_synth.records import Spread
    from dp_synth.report.choice import FPR, UNPRIVATE

    print(f"{found.surrogate}; {found.schema}, {found.rows:,} rows, {found.synthesizer}")
    delta = as_given(found.options[0].delta)
    print(f"epsilon at delta {delta}, tpr at fpr {FPR:g}; error: total variation of pairs")
    lines: list[tuple[str, ...]] = [HEAD]
    for one in found.options:
        bounds = [rounded_up(value) for value in (one.advantage, one.epsilon, one.tpr, one.mu)]
        error = one.error.shown(3) if one.error else "-"
        lines.append((one.risk, *bounds, rounded_down(one.noise), error))
    if found.floor:
        lines.append((UNPRIVATE, *"-" * 5, Spread.of(found.floor).shown(3)))
    print("\n".join(aligned(lines)))


def _draw(found: Choice, plot: Path) -> None:
    from dp_synth.figures.choice import choice_of_budget
    from dp_synth.figures.files import save

    note = f"{found.schema}, {found.rows:,} rows, {found.synthesizer}; {found.surrogate}"
    save(lambda: choice_of_budget(found.points(), found.floor, note), plot)
