"""Arguments and options that commands share, and how a wrong one is reported."""

from __future__ import annotations

import csv
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from dp_synth.dialect import Dialect
from dp_synth.errors import InputError
from dp_synth.faults import first_fault

if TYPE_CHECKING:
    import pandas as pd

    from dp_synth.accounting import PrivacyBudget
    from dp_synth.schema import Schema

Neighbours = Annotated[
    str,
    typer.Option(
        help="What nobody can tell: add_remove, whether one record was there; replace_one, which "
        "values it had."
    ),
]


Epsilon = Annotated[float | None, typer.Option(help="Privacy budget: epsilon.")]
Delta = Annotated[
    float | None, typer.Option(help="Privacy budget: delta; beside --risk where epsilon is told.")
]
RiskText = Annotated[
    str | None,
    typer.Option(
        "--risk",
        help="In place of --epsilon, what no attack may exceed: advantage=0.1, or tpr=0.2,fpr=0.1, "
        "or reidentification=0.2,baseline=0.05.",
    ),
]

Reference = Annotated[
    Path | None, typer.Option(help="Other rows of the same people, for the attacker.")
]


@contextmanager
def reading_arguments() -> Iterator[None]:
    """Report a ValueError, TypeError or KeyError of the block as an InputError.

    For blocks that build objects from public arguments only. Where private values are read,
    such an error is a defect and must stay one.

    >>> with reading_arguments():
    ...     int("three")
    Traceback (most recent call last):
    dp_synth.errors.InputError: invalid literal for int() with base 10: 'three'
    """
    try:
        yield
    except InputError:
        raise
    except KeyError as error:
        raise InputError(str(error.args[0]) if error.args else "unknown name") from None
    except (ValueError, TypeError) as error:
        raise InputError(str(error)) from None


def budget_of(
    target: tuple[float | None, float | None, str | None],
    adjacency: str,
    unit: str | None = None,
    max_rows: int = 1,
) -> PrivacyBudget:
    """Return the budget that --epsilon and --delta, or --risk, ask for.

    ``target`` are the three of them. InputError where both are given, or neither.
    """
    from dp_synth.accounting import PrivacyBudget, RiskTarget

    epsilon, delta, risk = target
    if risk is not None and epsilon is not None:
        raise InputError("--risk and --epsilon each say how much noise there is; give one of them")
    if risk is None and (epsilon is None or delta is None):
        lacking = "--epsilon" if epsilon is None else "--delta"
        raise InputError(
            f"{lacking} is missing: give --epsilon and --delta, or --risk such as advantage=0.1"
        )
    with reading_arguments():
        promise = (adjacency, unit, max_rows)
        if risk is None:
            return PrivacyBudget(epsilon, delta, *promise)  # type: ignore[arg-type]
        asked = RiskTarget.parse(risk)
        return PrivacyBudget.of_risk(asked, delta, *promise)  # type: ignore[arg-type]


def find_modules_here() -> None:
    """Let ``module:object`` name modules of the working folder, as ``python -m`` does."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def table_of(path: str | Path, schema: Schema) -> pd.DataFrame:
    """Return the table in a file; SchemaError, which names the file, for a column that it lacks.

    Identifiers are not asked for: synthetic rows have none.
    """
    from dp_synth.datasets import read_table
    from dp_synth.errors import SchemaError
    from dp_synth.frames import column_of
    from dp_synth.metrics.fidelity import attributes_of

    table = read_table(path, schema.dialect)
    for column in attributes_of(schema):
        try:
            column_of(table, column.name, schema.name)
        except SchemaError as error:
            raise SchemaError(f"{path}: {error}") from None
    return table


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
    wrapped = functools.wraps(command)(
        lambda **given: command(
            dialect=_dialect_of({name: given.pop(name) for name in _OPTIONS}), **given
        )
    )
    wrapped.__signature__ = inspect.Signature([*kept, *added])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {one.name: one.annotation for one in (*kept, *added)}
    return wrapped


def _dialect_of(given: Mapping[str, object]) -> Dialect:
    """Return the dialect that options say; InputError names the option that is wrong."""
    said = {name: given[name] for name in ("separator", "decimal", "encoding")}
    said["index"] = given["index"] or None
    column_names = given["column_names"]
    named = next(csv.reader([column_names])) if isinstance(column_names, str) else []
    if named or given["no_header"]:
        said["names"] = named
    try:
        return Dialect.model_validate({k: v for k, v in said.items() if v is not None})
    except ValidationError as error:
        raise InputError(f"--{first_fault(error).line()}") from None
