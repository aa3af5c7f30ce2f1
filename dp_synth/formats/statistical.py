"""Files of SPSS, Stata and SAS, read by pyreadstat: cells as text, and what is declared of them.

Codes stay codes: what they mean stands in the value labels. Codes that are declared missing are
read as they are written; the letters of Stata's and SAS's missing values as ``.a`` to ``.z``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dp_synth.dialect import check_names
from dp_synth.errors import InputError, missing_extra
from dp_synth.formats import FileSize, check_readable, kind_of, needs_more_memory
from dp_synth.frames import FOREIGN, text_of

if TYPE_CHECKING:
    import pandas as pd

PROGRAM = {
    "sav": "SPSS",
    "zsav": "SPSS",
    "por": "SPSS",
    "dta": "Stata",
    "xpt": "SAS",
    "sas7bdat": "SAS",
}
_READERS = {
    "sav": "read_sav",
    "zsav": "read_sav",
    "por": "read_por",
    "dta": "read_dta",
    "xpt": "read_xport",
    "sas7bdat": "read_sas7bdat",
}
_KEEP_MISSING = (
    "sav",
    "zsav",
    "dta",
    "sas7bdat",
)  # readers that can leave missing codes as they are
CELL = 8  # bytes of a number, and of a text at least
MOST_ROWS = 2**31 - 2  # of one file, which pyreadstat counts in 32 bits
NOT_A_YEAR = "a date of it lies beyond the years 1 to 9999"


@dataclass(frozen=True, eq=False)
class Codebook:
    """What a file declares of its columns: names, labels, missing codes, formats, measures.

    ``metadata`` is pyreadstat's.
    """

    kind: str
    metadata: Any

    @cached_property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return list(map(str, self.metadata.column_names))

    @cached_property
    def titles(self) -> dict[str, str]:
        """The label of each variable that has one."""
        said: Mapping[str, str | None] = self.metadata.column_names_to_labels
        return {name: text_of(title) for name, title in said.items() if title and title.strip()}

    @cached_property
    def labels(self) -> dict[str, dict[str, str]]:
        """The value labels of each column that has some, by the text of the code, in order."""
        found = {}
        for name, labels in self.metadata.variable_value_labels.items():
            numeric = self.is_numeric(name)
            codes = sorted(labels, key=lambda code: (isinstance(code, str), code))
            found[name] = {
                self._code(code, numeric=numeric): text_of(labels[code]) for code in codes
            }
        return found

    @cached_property
    def ranges(self) -> dict[str, list[tuple[str, str]]]:
        """The ranges of codes that are declared missing, both ends in; a single code is one."""
        found: dict[str, list[tuple[str, str]]] = {}
        for name, ranges in (self.metadata.missing_ranges or {}).items():
            found[name] = [(_plain(one["lo"]), _plain(one["hi"])) for one in ranges]
        for name, letters in (self.metadata.missing_user_values or {}).items():
            found.setdefault(name, []).extend((f".{one}", f".{one}") for one in letters)
        return found

    def is_numeric(self, name: str) -> bool:
        """Tell whether a column holds numbers, not text."""
        return bool(self.metadata.readstat_variable_types.get(name) != "string")

    def is_whole(self, name: str) -> bool:
        """Tell whether a column of numbers is declared to hold whole ones alone."""
        stored = str(self.metadata.readstat_variable_types.get(name))
        return stored.startswith("int") or (
            self.format(name).startswith("F")
            and (self.format(name).endswith(".0") or "." not in self.format(name))
        )

    def format(self, name: str) -> str:
        """Return the format in which a column is shown, such as F8.2, in capitals."""
        return str(self.metadata.original_variable_types.get(name) or "").upper()

    def measure(self, name: str) -> str:
        """Return nominal, ordinal, scale or unknown."""
        return str(self.metadata.variable_measure.get(name) or "unknown")

    def _code(self, code: object, *, numeric: bool) -> str:
        if numeric and isinstance(code, str):
            return f".{code}"
        return _plain(code)


def _plain(code: object) -> str:
    if isinstance(code, (int, float)) and abs(code) < 2**53 and float(code).is_integer():
        return str(int(code))
    return text_of(code)


def read_codebook(path: str | PathLike[str]) -> Codebook:
    """Return what the file at ``path`` declares; no record is read where its kind allows that."""
    kind = kind_of(path)
    return Codebook(kind, _parsed(path, kind, {} if kind == "por" else {"metadataonly": True})[1])


def read_statistical(
    path: str | PathLike[str], most: int, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the table in a file, or its columns ``names``, as text (`formats.read`)."""
    import pandas as pd

    kind = kind_of(path)
    columns = max(size_of_statistical(path).columns, 1)
    rows = min(max(most // columns, 1) + 1, MOST_ROWS)
    kept = {"usecols": list(names)} if names is not None else {}
    frame, metadata = _parsed(path, kind, {"row_limit": rows, **kept})
    if len(frame) >= rows:
        raise needs_more_memory(path)
    check_names(list(map(str, frame.columns)), str(path))
    book = Codebook(kind, metadata)
    made = {}
    for name in map(str, frame.columns):
        made[name], length = _texts(frame[name], book, name)
        most -= length
        if most < 0:
            raise needs_more_memory(path)
    return pd.DataFrame(made, index=pd.RangeIndex(len(frame)))


def _texts(cells: pd.Series, book: Codebook, name: str) -> tuple[pd.Series, int]:
    """Return the cells of a column as text, and how long they are together."""
    import pandas as pd

    places, distinct = pd.factorize(cells)
    numeric = book.is_numeric(name)
    narrow = book.metadata.readstat_variable_types.get(name) == "float"
    spelled: Callable[[Any], str] = text_of
    if numeric:

        def spelled(cell: Any) -> str:
            if isinstance(cell, str):
                return f".{cell}"
            if narrow and isinstance(cell, float) and not cell.is_integer():
                return str(np.float32(cell))
            return _plain(cell)

    texts = [*map(spelled, distinct), ""]
    length = int(np.array([len(text) + 1 for text in texts])[places].sum())
    made = pd.Series(np.array(texts, dtype=object)[places], name=name, dtype="str")
    return made, length


def _parsed(
    path: str | PathLike[str], kind: str, options: Mapping[str, object]
) -> tuple[pd.DataFrame, Any]:
    """Return what pyreadstat reads; InputError in one line for what it cannot."""
    try:
        import pyreadstat
    except ImportError:
        raise missing_extra(f"{path}: reading .{kind}", "pyreadstat", "files") from None
    check_readable(path)
    if kind in _KEEP_MISSING:
        options = {**options, "user_missing": True}
    try:
        frame, metadata = getattr(pyreadstat, _READERS[kind])(str(path), **options)
    except OverflowError:
        raise InputError(f"{path}: {NOT_A_YEAR}") from None
    except FOREIGN:  # whatever it raises may quote the file, whose cells are private
        raise InputError(
            f"{path}: is not a file of {PROGRAM[kind]}, or a damaged one, or of an unknown version"
        ) from None
    return frame, metadata


def size_of_statistical(path: str | PathLike[str]) -> FileSize:
    """Return the size of a file: what it says of its rows, else what its length tells."""
    kind = kind_of(path)
    if kind == "por":  # which is read whole in any case
        length = Path(path).stat().st_size if Path(path).exists() else 0
        return FileSize(length // CELL, 1, length)
    metadata = _parsed(path, kind, {"metadataonly": True})[1]
    widths = [max(int(width or 0), CELL) for width in metadata.variable_storage_width.values()]
    a_row = max(sum(widths), 1)
    rows = metadata.number_rows
    if rows is None or rows < 0:
        rows = Path(path).stat().st_size // a_row
    return FileSize(rows, len(widths), rows * a_row)
