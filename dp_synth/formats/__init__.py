"""Kinds of table files, told by their endings, and readers of those that are read whole.

CSV and Parquet are streamed, and read elsewhere. Files of SPSS, Stata, SAS, Arrow and spreadsheets
are read here, into the text of their cells.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dp_synth.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

STATISTICAL = ("sav", "zsav", "por", "dta", "xpt", "sas7bdat")
"""Endings of files of statistical programs: SPSS, Stata, SAS."""
ARROW = ("feather", "arrow")
SHEETS = ("xlsx",)
STREAMED = ("csv", "csv.gz", "parquet")
READ = (*STREAMED, *ARROW, *SHEETS, *STATISTICAL)
WRITTEN = (*STREAMED, *ARROW, *SHEETS, "sav", "zsav", "dta", "xpt")


class FileSize(NamedTuple):
    """About how many rows and columns a file has, and bytes of text: private, as rows are."""

    rows: int
    columns: int
    text: int


def kind_of(path: str | PathLike[str], kinds: tuple[str, ...] = READ) -> str:
    """Return the kind of a table file by its ending, one of ``kinds``; else InputError.

    >>> kind_of("people.csv.gz"), kind_of("survey.SAV")
    ('csv.gz', 'sav')
    """
    name = Path(path).name.lower()
    for ending in kinds:
        if name.endswith(f".{ending}"):
            return ending
    if kinds is not READ and any(name.endswith(f".{ending}") for ending in READ):
        raise InputError(f"{path}: such files are read, not written; give {_endings(kinds)}")
    raise InputError(f"{path}: the name of a table file must end in {_endings(kinds)}")


def _endings(kinds: tuple[str, ...]) -> str:
    return f".{', .'.join(kinds[:-1])} or .{kinds[-1]}"


def is_read_whole(path: str | PathLike[str]) -> bool:
    """Tell whether a file's kind is one that `read` reads, and nothing streams."""
    name = Path(path).name.lower()
    return any(name.endswith(f".{ending}") for ending in READ[len(STREAMED) :])


def read(path: str | PathLike[str], most: int) -> pd.DataFrame:
    """Return the table at ``path``, each cell as text, absent ones empty.

    InputError when the file is no such table, when its cells take more than ``most`` bytes of
    text, or when the package that reads it is not installed.
    """
    kind = kind_of(path)
    if kind in STATISTICAL:
        from dp_synth.formats.statistical import read_statistical

        return read_statistical(path, most)
    if kind in SHEETS:
        from dp_synth.formats.sheets import read_sheet

        return read_sheet(path, most)
    from dp_synth.formats.arrow import read_arrow

    return read_arrow(path, most)


def size_of(path: str | PathLike[str]) -> FileSize:
    """Return the size of a file that `read` reads, as far as it says; InputError as there."""
    kind = kind_of(path)
    if kind in STATISTICAL:
        from dp_synth.formats.statistical import size_of_statistical

        return size_of_statistical(path)
    if kind in SHEETS:
        from dp_synth.formats.sheets import size_of_sheet

        return size_of_sheet(path)
    from dp_synth.formats.arrow import size_of_arrow

    return size_of_arrow(path)


def check_readable(path: str | PathLike[str]) -> None:
    """Raise InputError where a file cannot be opened; the message says why."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def needs_more_memory(path: str | PathLike[str]) -> InputError:
    """Return the error for a file that turns out, while it is read, to be too long."""
    return InputError(
        f"{path}: needs more memory than may be taken; take a part of it, or set DP_SYNTH_MEMORY"
    )
