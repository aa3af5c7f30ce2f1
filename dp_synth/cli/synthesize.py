"""`dp-synth synthesize` and `sample`: a private table in, synthetic rows out."""

from __future__ import annotations

import csv
import secrets
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dp_synth import extensions
from dp_synth.cli.arguments import (
    Delta,
    Epsilon,
    Neighbours,
    RiskText,
    budget_of,
    find_modules_here,
    reading_arguments,
    takes_dialect,
)
from dp_synth.cli.outputs import (
    Outputs,
    charged_for,
    check_room,
    remark,
    shown_training,
    stopped_gently,
    warnings_told,
    write_paid,
)
from dp_synth.dialect import Dialect
from dp_synth.errors import InputError
from dp_synth.files import check_writable
from dp_synth.formats import WRITTEN, kind_of
from dp_synth.formatting import one_line, rounded_down, rounded_up

if TYPE_CHECKING:
    import pandas as pd

    from dp_synth.release import Release
    from dp_synth.schema import Misfits, Schema
    from dp_synth.synthesizers import Synthesizer
    from dp_synth.synthesizers.validation import Validation

MISFITS = "private, for the data holder only: cells that do not fit (schema check shows them)"

Out = Annotated[
    str,
    typer.Option(
        help="Where synthetic rows go, - for stdout; the ending says how: .csv, .csv.gz, .parquet, "
        ".feather, .arrow, .xlsx, .sav, .zsav, .dta or .xpt."
    ),
]
Rows = Annotated[
    int | None,
    typer.Option(min=0, help="How many rows; default: the noisy total, up to a million."),
]
Columns = Annotated[
    str | None, typer.Option(help="Only these columns of the schema: A,B; a comma in quotes.")
]
Drop = Annotated[str | None, typer.Option(help="All columns of the schema but these: A,B.")]
Method = Annotated[
    str,
    typer.Option(
        help="Its name (`dp-synth list synthesizers`) or module:Class. mst is quick, and a tree "
        "that can be read; clique_tree is nearer to most tables."
    ),
]
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
    Path | None, typer.Option(help="Real rows that are not fitted: for --internal, and --validate.")
]
Validate = Annotated[
    float | None,
    typer.Option(
        help="Spend this part of the budget, such as 0.05, on saying how good the rows are; with "
        "--holdout, whose records the budget then protects too, also on an attack."
    ),
]
Asked = Annotated[
    list[str] | None,
    typer.Option(
        "--question",
        help="Spend a tenth of the budget on answers, such as to 'mean age where sex=F'; may be "
        "repeated, for the same tenth.",
    ),
]
LedgerFile = Annotated[
    Path | None, typer.Option(help="Also write every charge here, before it is spent.")
]
Check = Annotated[
    bool, typer.Option(help="Tell on stderr which columns do not fit the schema: private.")
]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(
        help="Keep a training here: the same command, with its --ledger, goes on from it."
    ),
]


def _schema_of(path: Path) -> Schema:
    from dp_synth.schema import Schema

    return Schema.load(path)


MaxRows = Annotated[int, typer.Option(help="Use at most so many records of a unit.")]


@takes_dialect
def synthesize(
    data: Annotated[str, typer.Option(help="The private table; - reads CSV from stdin.")],
    schema: Annotated[Path, typer.Option(help="Its public schema, a .meta.json file.")],
    out: Out,
    dialect: Dialect,
    epsilon: Epsilon = None,
    delta: Delta = None,
    risk: RiskText = None,
    synthesizer: Method = "clique_tree",
    settings: Settings = None,
    adjacency: Neighbours = "add_remove",
    unit: Unit = None,
    max_rows: MaxRows = 1,
    columns: Columns = None,
    drop: Drop = None,
    rows: Rows = None,
    seed: FitSeed = None,
    release: Annotated[Path | None, typer.Option(help="Also keep the model here (.npz).")] = None,
    ledger: LedgerFile = None,
    checkpoint: CheckpointFile = None,
    validate: Validate = None,
    question: Asked = None,
    card: CardFile = None,
    internal: Internal = False,
    holdout: Holdout = None,
    check: Check = True,
) -> None:
    """Fit a synthesizer to a private table within a budget, and write synthetic rows.

    The budget is --epsilon and --delta, or --risk: the least noise at which every attack stays
    below it. A ledger that `ledger new` made is continued: either is then this run's portion.
    """
    from dp_synth.accounting.accountant import accountant_of

    budget = budget_of((epsilon, delta, risk), adjacency, unit, max_rows)
    public = _schema_of(schema).read_as(dialect)
    with reading_arguments():
        recipe = recipe_of(synthesizer, settings or [])
        chosen = _writable(chosen_columns(public, columns, drop, unit), out, rows)
    _check_places((data, schema, holdout), out, release, ledger, checkpoint, card=card)
    _check_together(data, checkpoint, ledger, card, holdout, internal=internal, validate=validate)
    asked = _validation(validate, holdout)
    with reading_arguments():
        payer = accountant_of(budget, ledger)
        told = _told(seed, checkpoint, question, chosen.without_keys)
        recipe.check_budget(chosen, payer, validation=asked, **told)
    with stopped_gently():  # from here on files are private
        with shown_training(synthesizer), _remarks(check=check), charged_for(payer):
            fresh = _fresh(chosen.without_keys, holdout)
            table = _table(data, chosen, whole=internal)
            how = asked if asked is None or fresh is None else asked.against(fresh)
            fitted = _told_of(recipe.fit(table, chosen, payer, validation=how, **told))
        real = (table, fresh) if internal else None
        outputs = _outputs(fitted, (release, out, card), rows, seed, real)
        write_paid(fitted, outputs, release, (out, release, card, ledger))


def _outputs(
    fitted: Release,
    places: tuple[Path | None, str, Path | None],
    rows: int | None,
    seed: int | None,
    real: tuple[pd.DataFrame | str, pd.DataFrame | None] | None,
) -> Outputs:
    """Return what writes release, rows and card; of ``real`` rows also the card's internal part."""
    (release, out, card), (table, fresh) = places, real or ("", None)
    # Of a fit without a seed the rows can be drawn again by one that nobody knows.
    drawn = rows, secrets.randbits(64) if seed is None else seed + 1
    outputs: Outputs = [(out, partial(_write_rows, fitted, out, *drawn))]
    if release:
        outputs.insert(0, (release, partial(fitted.save, release)))
    if card:
        outputs.append((card, partial(_write_card, fitted, card)))
    if card and fresh is not None and not isinstance(table, str):
        more = partial(_add_internal, card, fitted, (table, fresh), drawn, seed or 0)
        outputs.append((f"the internal part of {card}", more))
    return outputs


def sample(
    release: Annotated[Path, typer.Argument(help="A release that `synthesize` kept (.npz).")],
    out: Out,
    rows: Rows = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes the rows repeatable.")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(help="Only such rows: COLUMN=VALUE, or LOW..HIGH; may be repeated."),
    ] = None,
    given_rows: Annotated[
        Path | None,
        typer.Option(help="Complete the rows of this table, each once: draw their empty cells."),
    ] = None,
    balance: Annotated[
        str | None, typer.Option(help="Equally many rows for each value of this column.")
    ] = None,
) -> None:
    """Write more synthetic rows of a kept release; costs nothing.

    All rows are as --given says; a column named again may have any of its values.
    """
    from dp_synth.datasets import read_table
    from dp_synth.synthesizers import Release

    _check_places((release, given_rows), out)
    kept = Release.load(release)
    if given_rows is not None and (given or balance or rows is not None):
        raise InputError(
            "--given-rows completes each row once; leave out --given, --balance, --rows"
        )
    check_room(kept.schema, rows, out)
    wanted = (
        _given(kept.schema, given or [])
        if given_rows is None
        else read_table(given_rows, kept.schema.dialect)
    )
    with stopped_gently():
        _write_rows(kept, out, rows, seed, given=wanted, balance=balance)


def _write_rows(
    release: Release,
    out: str,
    rows: int | None,
    seed: int | None,
    *,
    given: Mapping[str, list[str] | tuple[str, str]] | pd.DataFrame | None = None,
    balance: str | None = None,
) -> None:
    """Write sampled rows; what sampling warns of is a line each on stderr."""
    from dp_synth.datasets.tables import lacking_signs

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        release.write_rows(out, rows, seed, given=given, balance=balance)
    for warning in caught:
        remark(str(warning.message))
    encoding = release.schema.dialect and release.schema.dialect.encoding
    for name in lacking_signs(release.schema, out):
        print(f"column {name!r}: {encoding} lacks signs of it, written as '?'", file=sys.stderr)


def _write_card(release: Release, card: Path) -> None:
    from dp_synth.report.card import data_card

    data_card(release).write(card)


def _writable(schema: Schema, out: str, rows: int | None) -> Schema:
    """Return the schema; InputError where the file cannot hold a text of it, or so many rows."""
    from dp_synth.datasets.codebooks import unwritable
    from dp_synth.datasets.tables import lacking_signs

    check_room(schema, rows, out)
    if reason := unwritable(schema, out):
        raise InputError(f"{out}: {reason}")
    _check_keys(schema, rows)
    for name in lacking_signs(schema, out):
        encoding = schema.dialect and schema.dialect.encoding
        raise InputError(
            f"column {name!r}: {encoding} has no sign for a text of it in the schema; "
            "write Parquet, or let the dialect be UTF-8"
        )
    return schema


def _check_keys(schema: Schema, rows: int | None) -> None:
    """Refuse patterns of fewer keys than there will be rows, before anything is spent."""
    from dp_synth.release import MOST_BY_DEFAULT

    for _, column in schema.keys:
        if rows is None and column.keys.ordered < MOST_BY_DEFAULT:
            raise InputError(
                f"column {column.name!r}: its pattern {column.pattern!r} has "
                f"{column.keys.ordered:,} keys, and without --rows there may be "
                f"{MOST_BY_DEFAULT:,} rows; give --rows, or the pattern more signs"
            )
        column.keys.check_room(column.name, rows or 0)


def _given(schema: Schema, options: list[str]) -> dict[str, list[str] | tuple[str, str]]:
    """Return what `--given` says of each column; InputError for anything else."""
    found: dict[str, list[str] | tuple[str, str]] = {}
    for option in options:
        if "=" not in option:
            raise InputError(f"--given takes COLUMN=VALUE or COLUMN=LOW..HIGH, got {option!r}")
        name, value = _name_and_value(schema, option)
        low, dots, high = value.partition("..")
        known = found.get(name)
        column = schema.column(name) if name in schema.names else None
        is_range = bool(
            dots and column is not None and column.is_numeric and value not in column.missing
        )
        if isinstance(known, tuple) or (is_range and known is not None):
            raise InputError(f"--given {option}: a range must be all that is given of a column")
        found[name] = (low, high) if is_range else [*(known or []), value]
    return found


def _name_and_value(schema: Schema, option: str) -> tuple[str, str]:
    """Return the parts of NAME=VALUE, either of which may hold a ``=``.

    Of several columns that may be meant the one with the longest name that has such a value.
    """
    from dp_synth.schema.columns import DiscreteColumn

    names = [name for name in schema.names if option.startswith(f"{name}=")]
    pairs = [(name, option[len(name) + 1 :]) for name in sorted(names, key=len, reverse=True)]
    for name, value in pairs:
        column = schema.column(name)
        if isinstance(column, DiscreteColumn) and value in (*column.texts, *column.missing):
            return name, value
    name, _, value = option.partition("=")
    return pairs[0] if pairs else (name, value)


def chosen_columns(
    schema: Schema, columns: str | None, drop: str | None, unit: str | None
) -> Schema:
    """Return the columns to synthesize: those asked for, else all but the one of the unit.

    That of the unit stays where it gets new keys.
    """
    if columns and drop:
        raise InputError("--columns names what is kept, --drop what is not; give one of them")
    if columns:
        return schema.select(split_names(columns))
    dropped = split_names(drop) if drop else []
    kept = [column.name for _, column in schema.keys if column.name not in dropped]
    return schema.without(
        [*dropped, *([unit] if unit in schema.names and unit not in kept else [])]
    )


def _check_together(
    data: str,
    checkpoint: Path | None,
    ledger: Path | None,
    card: Path | None,
    holdout: Path | None,
    *,
    internal: bool,
    validate: float | None,
) -> None:
    """Raise InputError where an option lacks what it goes together with."""
    from dp_synth.counting import is_larger_than_memory
    from dp_synth.counting.size import memory_limit

    if checkpoint and not ledger:
        raise InputError("--checkpoint needs --ledger, which says what is left to go on with")
    if internal and card is None:
        raise InputError("--internal is a part of the data card; say where it goes with --card")
    if internal and holdout is None:
        raise InputError("--internal and --holdout go together; give both or none")
    if holdout is not None and not internal and validate is None:
        raise InputError("--holdout is for --internal or for --validate; give one of them")
    if internal and is_larger_than_memory(data, memory_limit()):
        raise InputError(
            f"{data}: is too large for --internal; make that card of a part of it, with "
            "`dp-synth card`"
        )


def _validation(share: float | None, holdout: Path | None) -> Validation | None:
    """Return what `--validate` asks for; with a hold-out also an attack."""
    from dp_synth.synthesizers.validation import Validation

    return None if share is None else Validation(share, attack=holdout is not None)


def _told(
    seed: int | None, checkpoint: Path | None, texts: list[str] | None, schema: Schema
) -> dict[str, Any]:
    """Return what a fit and its check are told alike; InputError for what is no question."""
    from dp_synth.estimates import read_question

    asked = [read_question(text, schema) for text in texts] if texts else None
    return {"seed": seed, "checkpoint": checkpoint, "questions": asked}


def _told_of(release: Release) -> Release:
    """Print on standard error the answers that the fit was asked for, as noisy as they are."""
    for one in release.answers:
        low, high = one.interval()
        ends = f"{rounded_down(low)} to {rounded_up(high)}"
        remark(one_line(f"{one.question}: {one.name} {one.value:.5g}, {ends} (95 %)"))
    return release


def _fresh(schema: Schema, holdout: Path | None) -> pd.DataFrame | None:
    """Return the rows that are not fitted; InputError before anything is spent."""
    from dp_synth.datasets import read_table

    if holdout is None:
        return None
    fresh = read_table(holdout, schema.dialect)
    schema.typed(fresh.head(0))  # SchemaError for a column that it lacks
    return fresh


def _add_internal(
    card: Path,
    release: Release,
    real: tuple[pd.DataFrame, pd.DataFrame],
    drawn: tuple[int | None, int],
    seed: int,
) -> None:
    """Add the internal part, on the rows that were drawn, to a card that was written without it.

    ``drawn`` is how many rows were asked for, and by which seed.
    """
    from dp_synth.report.card import data_card
    from dp_synth.report.internal import internal_part
    from dp_synth.sampling import DRAWN

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # which was told when they were written
        made = next(release.sample_blocks(*drawn, block=DRAWN, kinds="written"))
    if drawn[0] is not None and len(made) < drawn[0]:
        print(
            f"the internal part of the card looks at the first {len(made):,} rows", file=sys.stderr
        )
    data_card(release).with_internal(internal_part(*real, made, release, seed=seed)).write(card)


def recipe_of(name: str, settings: list[str]) -> Synthesizer:
    """Return the synthesizer of a name, with settings given as ``name=value``; InputError."""
    from dp_synth.settings import read_setting
    from dp_synth.synthesizers import synthesizer_named

    find_modules_here()
    kind = synthesizer_named(name)
    known = [field.name for field in fields(kind)]
    values = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(
                f"--set takes name=value, got {setting!r}; the settings of {name!r} are: "
                f"{extensions.listed(known)}"
            )
        if key not in known:
            raise InputError(f"--set: {name!r} has {extensions.unknown('setting', key, known)}")
        values[key] = read_setting(kind, key, value)
    return kind(**values)


def split_names(columns: str) -> list[str]:
    """Return the names of a list by comma, in which quotes are as in a CSV file."""
    try:
        return [name for name in next(csv.reader([columns], skipinitialspace=True), []) if name]
    except csv.Error as error:  # such as the end of a line where no quotes are
        raise InputError(f"{columns!r} is no list of columns by comma: {error}") from None


def _table(data: str, schema: Schema, *, whole: bool) -> pd.DataFrame | str:
    """Return the private table, or its path where it is too large and need not be held whole."""
    from dp_synth.counting import column_names, is_larger_than_memory
    from dp_synth.databases import is_address
    from dp_synth.datasets import read_table

    table: pd.DataFrame | str = data
    if is_address(data):
        if whole:
            raise InputError("--internal reads records, which stay in their database; leave it out")
        return table
    if whole or not is_larger_than_memory(data):
        table = read_table(data, schema.dialect)
    columns = column_names(data, schema.dialect) if isinstance(table, str) else table.columns
    known = set(schema.names)
    left_out = [str(name) for name in columns if name not in known]
    if left_out:
        print(one_line(f"columns left out: {', '.join(left_out)}"), file=sys.stderr)
    return table


@contextmanager
def _remarks(*, check: bool) -> Iterator[None]:
    """Print on standard error what the fits of the block remark, what is private marked so."""
    from dp_synth.errors import PrivacyWarning, SchemaMismatch
    from dp_synth.synthesizers.reading import telling

    def tell_misfits(misfits: Misfits) -> None:
        if check:
            print("\n  ".join((MISFITS, *misfits.lines())), file=sys.stderr)

    def tell(message: str, category: type[Warning]) -> bool:
        if issubclass(category, PrivacyWarning):
            print(f"note: {message}", file=sys.stderr)
            return True
        return not check and issubclass(category, SchemaMismatch)

    with warnings_told(tell), telling(tell_misfits):
        warnings.simplefilter("always", PrivacyWarning)
        yield


def _check_places(
    read: Sequence[str | Path | None], out: str, *kept: Path | None, card: Path | None = None
) -> None:
    """Refuse, before anything is spent, places that results could not be written to."""
    if card:
        from dp_synth.report.card import places

        kept += places(card)
    if out != "-":
        kind_of(out, WRITTEN)
    check_writable(Path(out), *kept, read=read)
