"""`dp-synth schema`: draft a schema from a table, check a table against a schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from dp_synth.cli.arguments import takes_dialect
from dp_synth.dialect import Dialect

HINT = "read from the data: confirm each bound and category"
FOR_THE_DATA_HOLDER = "These lines show the private table: for the data holder only."

Table = Annotated[str, typer.Argument(help="A CSV or Parquet file; - reads CSV from stdin.")]


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
