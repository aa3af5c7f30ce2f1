"""The options of each command that reads tables: how their CSV files are written."""

from __future__ import annotations

import csv
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated

import typer
from pydantic import ValidationError

from dp_synth.dialect import Dialect
from dp_synth.errors import InputError

_OPTIONS = {
    "separator": Annotated[
        str | None, typer.Option(help="What stands between cells of a CSV file: ',' ';' tab ...")
    ],
    "decimal": Annotated[str | None, typer.Option(help="The decimal sign of numbers: . or ,")],
    "encoding": Annotated[
        str | None, typer.Option(help="How the CSV file is encoded, such as latin-1 or utf-16.")
    ],
    "no_header": Annotated[
        bool, typer.Option("--no-header", help="Its first line is a record: number the columns.")
    ],
    "column_names": Annotated[
        str | None,
        typer.Option("--names", help="Names of the columns, by comma, of a file without a header."),
    ],
    "index": Annotated[
        bool, typer.Option("--index", help="Leave out the first column, a row index without name.")
    ],
}


def takes_dialect(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with options for the parts of its parameter ``dialect``.

    InputError, before the command runs, where an option is wrong.
    """
    own = inspect.signature(command, eval_str=True)
    kept = [one for name, one in own.parameters.items() if name != "dialect"]
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if name in ("no_header", "index") else None,
            annotation=annotation,
        )
        for name, annotation in _OPTIONS.items()
    ]
    # Typer calls a command by the names of its options.
    wrapped = functools.wraps(command)(lambda **given: command(**_with_dialect(given)))
    wrapped.__signature__ = inspect.Signature([*kept, *added])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {one.name: one.annotation for one in (*kept, *added)}
    return wrapped


def _with_dialect(given: Mapping[str, object]) -> dict[str, object]:
    said = {name: given[name] for name in _OPTIONS}
    kept = {name: value for name, value in given.items() if name not in _OPTIONS}
    return {**kept, "dialect": dialect_of(**said)}


def dialect_of(
    *,
    separator: object = None,
    decimal: object = None,
    encoding: object = None,
    no_header: object = False,
    column_names: object = None,
    index: object = False,
) -> Dialect:
    """Return the dialect that options say; InputError names the option that is wrong."""
    named = next(csv.reader([column_names])) if isinstance(column_names, str) else []
    given = named if named or no_header else None
    said = {
        "separator": separator,
        "decimal": decimal,
        "encoding": encoding,
        "names": given,
        "index": index or None,
    }
    try:
        return Dialect.model_validate({k: v for k, v in said.items() if v is not None})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        message = fault["msg"].removeprefix("Value error, ")
        said_of = f"--{fault['loc'][0]}: {message[:1].lower()}{message[1:]}"
        raise InputError(said_of) from None
