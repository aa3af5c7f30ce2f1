"""Arguments of commands, and how a wrong one is reported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_synth.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from dp_synth.schema import Schema

Neighbours = Annotated[
    str,
    typer.Option(
        help="What nobody can tell: add_remove, whether one record was there; replace_one, which "
        "values it had."
    ),
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
