"""A first schema read from the table itself, for the data holder to confirm."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.frames import ArrowTable, as_frame, column_of
from dp_synth.schema.cells import Cells, numbers_of, seconds_of

BOUNDS_FROM = "read from the data: confirm each bound and category"

MAX_FEW_VALUES = 20
"""Whole numbers with at most this many distinct values are drafted as categories."""

MIN_ID_VALUES = 50
"""A text column is drafted as `id` when it has more distinct values, and half its cells differ."""

NUMERIC_MARKS = frozenset({"", "?", "NaN", "nan", "NULL", "null", "N/A"})
CATEGORICAL_MARKS = frozenset({"", "?"})
_LEADING_ZERO = re.compile(r"[-+]?0\d")


def draft(frame: pd.DataFrame | ArrowTable, name: str) -> dict[str, object]:
    """Return a schema file's content that fits ``frame``, a table of text cells.

    Every bound and category in it comes from the data and so is private until a person has
    confirmed that it is public knowledge.
    """
    frame = as_frame(frame)
    return {
        "name": name,
        "unit_of_privacy": "row",
        "bounds_from": BOUNDS_FROM,
        "columns": [_column(name, column_of(frame, name)) for name in map(str, frame.columns)],
    }


def is_code(text: str) -> bool:
    """Tell whether a number is written as a code, such as the postcode ``00501``.

    >>> is_code("00501"), is_code("0.5"), is_code("0")
    (True, False, False)
    """
    return _LEADING_ZERO.match(text) is not None


def _column(name: str, series: pd.Series) -> dict[str, object]:
    cells = Cells.of(series)
    absent = [""] if (cells.positions < 0).any() else []
    distinct = sorted({*cells.texts()[:-1], *absent})
    column = _numeric(distinct, len(series)) or _dates(distinct) or _words(distinct, len(series))
    return {"name": name, **column}


def _numeric(distinct: list[str], records: int) -> dict[str, object] | None:
    written = [text for text in distinct if text not in NUMERIC_MARKS]
    marks = [text for text in distinct if text in NUMERIC_MARKS]
    numbers = numbers_of(written)
    words = [text for text, number in zip(written, numbers, strict=True) if np.isnan(number)]
    if len(words) == 1 and len(written) > MAX_FEW_VALUES:
        # One word among many numbers stands for "none", such as the N of census files.
        marks.append(words[0])
        written.remove(words[0])
        numbers = numbers[~np.isnan(numbers)]
    elif words:
        return None
    if not written or any(is_code(text) for text in written):
        return None
    if not np.all(numbers == np.rint(numbers)):
        return _bounded("real", numbers, marks)
    if _is_few(numbers, records):
        return _categories(written, marks)
    if _is_counter(numbers, records):
        return {"type": "id"}
    return _bounded("integer", numbers, marks)


def _bounded(kind: str, numbers: NDArray[np.float64], marks: list[str]) -> dict[str, object]:
    lower, upper = float(numbers.min()), float(numbers.max())
    whole = kind == "integer"
    column: dict[str, object] = {
        "type": kind,
        "lower": int(lower) if whole else lower,
        "upper": int(upper) if whole else upper,
    }
    return _with_marks(column, marks)


def _is_few(numbers: NDArray[np.float64], records: int) -> bool:
    distinct = np.unique(numbers)
    if set(distinct.tolist()) <= {0.0, 1.0}:
        return True
    return len(distinct) <= MAX_FEW_VALUES and 2 * len(distinct) <= records


def _is_counter(numbers: NDArray[np.float64], records: int) -> bool:
    """Tell whether the numbers count the records, each number once."""
    spans = float(numbers.max() - numbers.min()) + 1 == len(numbers)
    return spans and len(numbers) == records > MIN_ID_VALUES


def _dates(distinct: list[str]) -> dict[str, object] | None:
    written = [text for text in distinct if text not in NUMERIC_MARKS]
    marks = [text for text in distinct if text in NUMERIC_MARKS]
    seconds = np.array([seconds_of(text) for text in written])
    if not written or np.isnan(seconds).any():
        return None
    lower, upper = written[int(seconds.argmin())], written[int(seconds.argmax())]
    timed = [text for text in written if len(text.strip()) > len("2024-01-31")]
    if timed and len(lower) <= len("2024-01-31") >= len(upper):
        lower += "T00:00:00"  # some cells have a time of day, so the column is one of seconds
    return _with_marks({"type": "datetime", "lower": lower, "upper": upper}, marks)


def _words(distinct: list[str], records: int) -> dict[str, object]:
    written = [text for text in distinct if text not in CATEGORICAL_MARKS]
    marks = [text for text in distinct if text in CATEGORICAL_MARKS]
    if len(written) > MIN_ID_VALUES and 2 * len(written) > records:
        return _with_marks({"type": "id"}, marks)
    return _categories(written, marks)


def _categories(written: list[str], marks: list[str]) -> dict[str, object]:
    numbers = numbers_of(written)
    if len(written) and not np.isnan(numbers).any():
        written = [text for _, text in sorted(zip(numbers.tolist(), written, strict=True))]
    # A column without any value still needs one code.
    return _with_marks(
        {"type": "categorical", "categories": written}, marks if written else (marks or [""])
    )


def _with_marks(column: dict[str, object], marks: Iterable[str]) -> dict[str, object]:
    listed = list(marks)
    return {**column, "missing": listed} if listed else column
