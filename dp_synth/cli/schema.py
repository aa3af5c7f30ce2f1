"""`dp-synth schema`: draft, import and export schemas, and check a table against one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from dp_synth.cli.arguments import takes_dialect
from dp_synth.cli.outputs import write_text
from dp_synth.dialect import Dialect

HINT = "read from the data: confirm each bound and category"
FOR_THE_DATA_HOLDER = "These lines show the private table: for the data holder only."

Table = Annotated[str, typer.Argument(help="A table file; - reads CSV from stdin.")]


@takes_dialect
def draft(table: Table, dialect: Dialect) -> None:
    """Print a schema that fits TABLE, as JSON, for a person to confirm.

    What is doubtful stands in the `note` of a column, and on standard error.
    """
    from dp_synth.datasets import read_table
    from dp_synth.schema import draft as draft_schema
    from dp_synth.schema import notes_of, record_like

    frame = read_table(table, dialect)
    name = "table" if table == "-" else Path(table).name.split(".")[0]
    content = draft_schema(frame, name, dialect)
    print(_text(content))
    for note in [*(record_like(frame) if dialect.has_header else []), *notes_of(content)]:
        print(note, file=sys.stderr)
    print(HINT, file=sys.stderr)


def _text(content: Mapping[str, object]) -> str:
    """Return the JSON of a draft, a line for each column."""
    rest = {name: value for name, value in content.items() if name != "columns"}
    lines = [f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in rest.items()]
    columns = content["columns"]
    assert isinstance(columns, list)
    each = ",\n  ".join(json.dumps(column, ensure_ascii=False) for column in columns)
    return "{\n" + ",\n".join([*lines, f' "columns": [\n  {each}\n ]']) + "\n}"


@takes_dialect
def check(
    table: Table,
    schema: Annotated[str, typer.Argument(help="The table's schema, a .meta.json file.")],
    dialect: Dialect,
) -> None:
    """Print what in TABLE does not match SCHEMA; exit code 2 when something does not."""
    from dp_synth.datasets import read_table
    from dp_synth.schema import Schema, remarks
    from dp_synth.schema import check as check_table

    public = Schema.load(schema).read_as(dialect)
    frame = read_table(table, public.dialect)
    findings = check_table(frame, public)
    for finding in findings or ["the table matches its schema"]:
        print(finding)
    for remark in remarks(frame, public):
        print(remark)
    print(FOR_THE_DATA_HOLDER)
    if findings:
        raise typer.Exit(2)


ASKED = "is null in the schema: say it there, or give --data, whose cells then draft it"

Metadata = Annotated[
    str,
    typer.Argument(
        help="Metadata: SDV, Table Schema, Croissant, ...; or postgresql://HOST/DB?table=NAME."
    ),
]
Numeric = Annotated[
    str | None,
    typer.Option(help="Columns whose value labels are not all of their codes: A,B are numbers."),
]


@takes_dialect
def import_schema(
    file: Metadata,
    dialect: Dialect,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="sdv, table-schema, croissant, pandera, spss, stata, sas, arrow, parquet, duckdb "
            "or postgresql; told from the content by default.",
        ),
    ] = None,
    table: Annotated[str | None, typer.Option(help="Which table, where FILE has several.")] = None,
    numeric: Numeric = None,
    data: Annotated[
        str | None, typer.Option(help="Draft from this table what the metadata do not say.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the schema goes, a new file; default: stdout.")
    ] = None,
) -> None:
    """Make a schema of metadata that you have, as JSON, for a person to confirm.

    What other programs may have read from the records is marked as a draft. What is missing is
    asked for on standard error, and null in the schema, which is not read before it is said.
    """
    from dp_synth.cli.synthesize import split_names
    from dp_synth.datasets import read_table
    from dp_synth.errors import SchemaError
    from dp_synth.schema import notes_of
    from dp_synth.schema.foreign import import_schema as read_metadata
    from dp_synth.schema.foreign import questions
    from dp_synth.schema.schema import is_draft as is_drafted

    if out is not None and out.exists():
        raise SchemaError(f"{out}: is there already, and a schema is never overwritten")
    frame = None if data is None else read_table(data, dialect)
    names = split_names(numeric) if numeric else ()
    content = read_metadata(file, format_, table=table, numeric=names, data=frame)
    said = dialect.model_dump(exclude_none=True, exclude={"decimal"})
    if said and data is not None:
        content["dialect"] = said
    asked = questions(content)
    is_draft = bool(asked) or is_drafted(str(content["bounds_from"]))
    if out is None:
        print(_text(content))
    else:
        write_text(out, f"{_text(content)}\n", private=is_draft)
    for line in (*notes_of(content), *asked):
        print(line, file=sys.stderr)
    if asked:
        print(f"what is missing {ASKED}", file=sys.stderr)


def export_schema(
    schema: Annotated[Path, typer.Argument(help="A schema, a .meta.json file.")],
    as_: Annotated[str, typer.Option("--as", help="sdv or table-schema.")],
    out: Annotated[
        Path | None, typer.Option(help="Where it goes, a new file; default: stdout.")
    ] = None,
) -> None:
    """Write a schema as metadata of another program; what these cannot hold is told on stderr."""
    from dp_synth.errors import InputError, SchemaError
    from dp_synth.schema import Schema
    from dp_synth.schema.foreign import EXPORTS

    if as_ not in EXPORTS:
        raise InputError(f"--as must be {' or '.join(EXPORTS)}, got {as_!r}")
    if out is not None and out.exists():
        raise SchemaError(f"{out}: is there already, and is not overwritten")
    public = Schema.load(schema)
    content, lost = EXPORTS[as_](public)
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    if out is None:
        print(text)
    else:
        write_text(out, f"{text}\n", private=public.is_draft)
    for line in lost:
        print(line, file=sys.stderr)
    if public.is_draft:
        print(f"the schema is a draft, and so is this: {public.bounds_from}", file=sys.stderr)
