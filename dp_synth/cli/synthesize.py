"""`dp-synth synthesize` and `sample`: a private table in, synthetic rows out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.cli.arguments import find_modules_here, reading_arguments
from dp_synth.cli.progress import shown_training
from dp_synth.errors import InputError
from dp_synth.files import check_writable

if TYPE_CHECKING:
    import pandas as pd

    from dp_synth.accounting import Accountant, Portion, PrivacyBudget
    from dp_synth.release import Release
    from dp_synth.schema import Schema
    from dp_synth.synthesizers import Synthesizer

Out = Annotated[str, typer.Option(help="Where synthetic rows go: CSV or Parquet, - for stdout.")]
Rows = Annotated[int | None, typer.Option(min=0, help="How many rows; default: the noisy total.")]
Columns = Annotated[str | None, typer.Option(help="Only these columns of the schema, by comma.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A setting as name=value; may be repeated.")
]
Unit = Annotated[str | None, typer.Option(help="Protect all records that agree in this column.")]
FitSeed = Annotated[
    int | None, typer.Option(min=0, help="Makes the run repeatable, and not for release.")
]
CardFile = Annotated[
    Path | None, typer.Option(help="Also write its data card here (.json), and a page beside.")
]
Internal = Annotated[
    bool, typer.Option("--internal", help="Add to the card what may not be published.")
]
Holdout = Annotated[
    Path | None, typer.Option(help="Real rows that are not fitted, for --internal.")
]
LedgerFile = Annotated[
    Path | None, typer.Option(help="Also write every charge here, before it is spent.")
]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(
        help="Keep a training here: the same command, with its --ledger, goes on from it."
    ),
]


def synthesize(
    data: Annotated[str, typer.Option(help="The private table: CSV or Parquet, - for stdin.")],
    schema: Annotated[Path, typer.Option(help="Its public schema, a .meta.json file.")],
    epsilon: Annotated[float, typer.Option(help="Privacy budget: epsilon.")],
    delta: Annotated[float, typer.Option(help="Privacy budget: delta.")],
    out: Out,
    synthesizer: Annotated[
        str, typer.Option(help="Its name, see `dp-synth list`, or module:Class of one's own.")
    ] = "mst",
    settings: Settings = None,
    adjacency: Annotated[str, typer.Option(help="add_remove or replace_one.")] = "add_remove",
    unit: Unit = None,
    max_rows: Annotated[int, typer.Option(help="Use at most so many records of a unit.")] = 1,
    columns: Columns = None,
    rows: Rows = None,
    seed: FitSeed = None,
    release: Annotated[Path | None, typer.Option(help="Also keep the model here (.npz).")] = None,
    ledger: LedgerFile = None,
    checkpoint: CheckpointFile = None,
    card: CardFile = None,
    internal: Internal = False,
    holdout: Holdout = None,
) -> None:
    """Fit a synthesizer to a private table within a budget, and write synthetic rows.

    A ledger that `ledger new` made is continued: epsilon is then this run's portion of it.
    """
    from dp_synth.accounting import PrivacyBudget, calibrate
    from dp_synth.datasets import write_table
    from dp_synth.report.card import data_card, places
    from dp_synth.schema import Schema

    public = Schema.load(schema)
    with reading_arguments():
        budget = PrivacyBudget(epsilon, delta, adjacency, unit, max_rows)  # type: ignore[arg-type]
        recipe = recipe_of(synthesizer, settings or [])
        chosen = _chosen(public, columns, unit)
        recipe.check(chosen)
        calibrate({synthesizer: (recipe.charges(chosen.domain), 1.0)}, budget)  # the fit reuses it
    cards = places(card) if card else ()
    _check_places((data, schema, holdout), out, release, ledger, checkpoint, *cards)
    fresh = _fresh(data, chosen, card, holdout, internal=internal)
    payer = _payer(budget, ledger, checkpoint)
    table = _table(data, chosen)
    with shown_training(synthesizer):
        fitted = recipe.fit(table, chosen, payer, seed=seed, checkpoint=checkpoint)
    if release:
        fitted.save(release)
    made = fitted.sample(rows, seed=None if seed is None else seed + 1)
    write_table(made, out)
    if card:
        data_card(fitted).write(card)
    print(fitted.ledger, file=sys.stderr)
    if card and fresh is not None and not isinstance(table, str):
        _add_internal(card, fitted, (table, fresh, made), seed or 0)


def sample(
    release: Annotated[Path, typer.Argument(help="A release that `synthesize` kept (.npz).")],
    out: Out,
    rows: Rows = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes the rows repeatable.")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(help="Only such rows: COLUMN=VALUE, or LOW..HIGH; may be repeated."),
    ] = None,
    balance: Annotated[
        str | None, typer.Option(help="Equally many rows for each value of this column.")
    ] = None,
) -> None:
    """Write more synthetic rows of a kept release; costs nothing.

    All rows are as --given says; a column named again may have any of its values.
    """
    from dp_synth.datasets import write_table
    from dp_synth.synthesizers import Release

    _check_places((release,), out)
    kept = Release.load(release)
    wanted = _given(kept.schema, given or [])
    write_table(kept.sample(rows, seed=seed, given=wanted, balance=balance), out)


def _given(schema: Schema, options: list[str]) -> dict[str, list[str] | tuple[str, str]]:
    """Return what `--given` says of each column; InputError for anything else."""
    found: dict[str, list[str] | tuple[str, str]] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise InputError(f"--given takes COLUMN=VALUE or COLUMN=LOW..HIGH, got {option!r}")
        low, dots, high = value.partition("..")
        known = found.get(name)
        if dots and name in schema.names and schema.column(name).is_numeric:
            if known is not None:
                raise InputError(f"--given {option}: a range must be all that is given of a column")
            found[name] = (low, high)
        elif isinstance(known, tuple):
            raise InputError(f"--given {option}: a range must be all that is given of a column")
        else:
            found[name] = [*(known or []), value]
    return found


def _chosen(schema: Schema, columns: str | None, unit: str | None) -> Schema:
    """Return the columns to synthesize: those asked for, else all but the one of the unit."""
    if columns:
        return schema.select(_split(columns))
    if unit in schema.names:
        return schema.select([name for name in schema.names if name != unit])
    return schema


def _fresh(
    data: str, schema: Schema, card: Path | None, holdout: Path | None, *, internal: bool
) -> pd.DataFrame | None:
    """Return the rows for the internal part of a card; InputError before anything is spent."""
    from dp_synth.counting import is_larger_than_memory
    from dp_synth.datasets import read_table

    if internal and card is None:
        raise InputError("--internal is a part of the data card; say where it goes with --card")
    if internal != (holdout is not None):
        raise InputError("--internal and --holdout go together; give both or none")
    if holdout is None:
        return None
    if is_larger_than_memory(data):
        raise InputError(
            f"{data}: is too large for --internal; make that card of a part of it, with "
            "`dp-synth card`"
        )
    fresh = read_table(holdout)
    schema.typed(fresh.head(0))  # SchemaError for a column that it lacks
    return fresh


def _add_internal(
    card: Path,
    release: Release,
    tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
    seed: int,
) -> None:
    """Add the internal part to a card that was written without it."""
    from dp_synth.report.card import data_card
    from dp_synth.report.card_internal import internal_part

    try:
        part = internal_part(*tables, release, seed=seed)
    except InputError as error:
        raise InputError(
            f"all was written, but for the internal part of the card: {error}"
        ) from error
    data_card(release).with_internal(part).write(card)


def _payer(
    budget: PrivacyBudget, ledger: Path | None, checkpoint: Path | None
) -> Accountant | Portion:
    """Return an accountant of its own, or a portion of the adaptive one whose ledger is there."""
    from dp_synth.accounting import Accountant, read_ledger

    if checkpoint and not ledger:
        raise InputError("--checkpoint needs --ledger, which says what is left to go on with")
    if ledger is None or not ledger.exists():
        return Accountant(budget, ledger=ledger)
    kept = read_ledger(ledger)
    if kept.rule == "planned":
        return Accountant(budget, ledger=ledger)
    if replace(kept.budget, epsilon=budget.epsilon) != budget:
        raise InputError(
            f"{ledger}: was opened for {kept.budget}; delta, adjacency and unit must be the same"
        )
    return Accountant(kept.budget, ledger=ledger, adaptive=kept.rule).portion(budget.epsilon)


def recipe_of(name: str, settings: list[str]) -> Synthesizer:
    """Return the synthesizer of a name, with settings given as ``name=value``; InputError."""
    from dp_synth.synthesizers import synthesizer_named

    find_modules_here()
    kind = synthesizer_named(name)
    known = [field.name for field in fields(kind)]
    values = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in known:
            raise InputError(
                f"--set takes name=value; the settings of {name!r} are: "
                f"{', '.join(known) or 'none'}"
            )
        values[key] = _literal(value)
    return kind(**values)


def _literal(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _split(columns: str) -> list[str]:
    return [name for name in columns.split(",") if name]


def _table(data: str, schema: Schema) -> pd.DataFrame | str:
    """Return the private table, or its path where it is too large to be held as text."""
    from dp_synth.counting import column_names, is_larger_than_memory
    from dp_synth.datasets import read_table

    if is_larger_than_memory(data):
        _name_left_out(column_names(data), schema)
        return data
    frame = read_table(data)
    _name_left_out(frame.columns, schema)
    return frame


def _name_left_out(columns: Iterable[str], schema: Schema) -> None:
    left_out = [str(name) for name in columns if name not in schema.names]
    if left_out:
        print(
            f"left out, not asked for or not in the schema: {', '.join(left_out)}", file=sys.stderr
        )


def _check_places(read: Sequence[str | Path | None], out: str, *kept: Path | None) -> None:
    """Refuse, before anything is spent, places that results could not be written to."""
    if out != "-" and not out.lower().endswith((".csv", ".csv.gz", ".parquet")):
        raise InputError(f"{out}: --out must end in .csv, .csv.gz or .parquet, or be -")
    check_writable(Path(out), *kept, read=read)
