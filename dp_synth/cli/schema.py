"""`dp-synth schema`: draft a schema from a table, check a table against a schema."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

HINT = "read from the data: confirm each bound and category"
FOR_THE_DATA_HOLDER = "These lines show the private table: for the data holder only."

Table = Annotated[str, typer.Argument(help="A CSV or Parquet file; - reads CSV from stdin.")]


def draft(table: Table) -> None:
    """Print a schema that fits TABLE, as JSON, for a person to confirm."""
    from dp_synth.datasets import read_table
    from dp_synth.schema import draft as draft_schema

    name = "table" if table == "-" else Path(table).name.split(".")[0]
    content = draft_schema(read_table(table), name)
    print(json.dumps(content, indent=1, ensure_ascii=False))
    print(HINT, file=sys.stderr)


def check(
    table: Table,
    schema: Annotated[str, typer.Argument(help="The table's schema, a .meta.json file.")],
) -> None:
    """Print what in TABLE does not match SCHEMA; exit code 2 when something does not."""
    from dp_synth.datasets import read_table
    from dp_synth.schema import Schema
    from dp_synth.schema import check as check_table

    public = Schema.load(schema)
    findings = check_table(read_table(table), public)
    for finding in findings or ["the table matches its schema"]:
        print(finding)
    print(FOR_THE_DATA_HOLDER)
    if findings:
        raise typer.Exit(2)
