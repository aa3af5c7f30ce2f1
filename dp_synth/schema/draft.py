"""A first schema read from the table itself, for the data holder to confirm."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from dp_synth.dialect import Dialect, is_number
from dp_synth.frames import ArrowTable, as_frame, column_of
from dp_synth.schema.constraints import Column
from dp_synth.schema.draft_values import (
    MARKS,
    MIN_ID_VALUES,
    Drafted,
    Texts,
    dates,
    numbers,
    with_marks,
)
from dp_synth.schema.keys import proposed_pattern
from dp_synth.schema.parsing import Cells, numbers_of
from dp_synth.schema.schema import BOUNDS_FROM

CATEGORICAL_MARKS = frozenset({"", "?"})

MANY_CATEGORIES = 200
"""A draft asks where more categories than this could be known from."""

MOST_CATEGORIES = 1_000
"""A text column of more distinct values is drafted as `id`: they could name people."""

MIN_ONCE = 5
"""More texts than this that each stand in one record of many are an `id`, not categories."""

_ORDERS = (
    ("low", "medium", "high"),
    ("low", "moderate", "high"),
    ("small", "medium", "large"),
    ("poor", "fair", "good", "very good", "excellent"),
    ("bad", "good"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("none", "mild", "moderate", "severe"),
)
_BAND = re.compile(
    r"\s*[\[(]?(?:([<≤]=?|under|below|up to)|[>≥]=?|over)?\s*(\d+(?:\.\d+)?)"
    r"(?:\s*(?:-|\u2013|to|,)\s*\d+(?:\.\d+)?|\s*\+|(?: and| or) (?:over|above|more|older))?"
    r"[\])]?(?:\s*[A-Za-z]+)?\s*"
)


def draft(
    frame: pd.DataFrame | ArrowTable, name: str, dialect: Dialect | None = None
) -> dict[str, object]:
    """Return a schema file's content that fits ``frame``, a table of text cells.

    Every bound and category in it comes from the data and so is private until a person has
    confirmed that it is public knowledge. The ``note`` of a column asks what the table alone
    cannot answer. ``dialect`` is that of the file: the schema holds it for those read later.
    """
    frame = as_frame(frame)
    decimal = None if dialect is None else dialect.decimal
    names = list(map(str, frame.columns))
    columns = [draft_column(column, column_of(frame, column), decimal) for column in names]
    said = {} if dialect is None else dialect.model_dump(exclude_none=True, exclude={"decimal"})
    if "names" in said:
        said["names"] = names
    return {
        "name": name,
        "unit_of_privacy": "row",
        "bounds_from": BOUNDS_FROM,
        **({"dialect": said} if said else {}),
        "columns": columns,
    }


def notes_of(content: Mapping[str, object]) -> list[str]:
    """Return what a draft asks, one line for all columns of which it asks the same."""
    asked: dict[str, list[str]] = {}
    columns = content["columns"]
    assert isinstance(columns, Sequence)
    for column in columns:
        if "note" in column:
            asked.setdefault(column["note"], []).append(repr(column["name"]))
    return [
        f"column{'s' * (len(names) > 1)} {', '.join(names)}: {note}"
        for note, names in asked.items()
    ]


def record_like(frame: pd.DataFrame) -> list[str]:
    """Return a line where the names of the columns look like a record; else none.

    Names that are numbers, or cells of their own column, tell that a file has no header.
    """
    names = [str(name) for name in frame.columns]
    cells = [name for place, name in enumerate(names) if (frame.iloc[:, place] == name).any()]
    numeric = [name for name in names if is_number(name)]
    if not cells and 2 * len(numeric) < len(names):
        return []
    return [
        "the first line reads like a record, not like the names of the columns: if so, "
        "give --no-header, or --names A,B,..."
    ]


def draft_column(name: str, series: pd.Series, decimal: str | None = None) -> dict[str, object]:
    """Return the draft of one column, whose numbers have the sign ``decimal`` if one is given."""
    cells = Cells.of(series)
    texts = cells.texts()
    held = np.bincount(cells.positions % len(texts), minlength=len(texts)).tolist()
    counts: dict[str, int] = {}
    for text, count in zip(texts, held, strict=True):
        if count:
            counts[text] = counts.get(text, 0) + count
    if order := _declared_order(series):
        unlisted = sorted(set(counts) - set(order))
        return {"name": name, **with_marks({"type": "ordinal", "categories": order}, unlisted)}
    seen = Texts(name, counts, decimal)
    written = [text for text in counts if text.strip().lower() not in MARKS]
    dated = dates(written) if written else None
    if dated is not None:
        dated = with_marks(dated, sorted(set(counts) - set(written)))
    for column in (numbers(seen), dated):
        if column is not None and _is_valid(column):
            return {"name": name, **column}
    return {"name": name, **_words(seen)}


def _declared_order(series: pd.Series) -> list[str]:
    """Return the categories of an ordered categorical of pandas, without marks; else none."""
    if not (isinstance(series.dtype, pd.CategoricalDtype) and series.dtype.ordered):
        return []
    declared = Cells.of(series.dtype.categories.to_series()).texts()[:-1]
    order = [text for text in declared if text not in CATEGORICAL_MARKS]
    return order if len(order) <= MOST_CATEGORIES else []


@cache
def _any_column() -> TypeAdapter[Column]:
    return TypeAdapter(Column)


def _is_valid(column: Drafted) -> bool:
    try:
        _any_column().validate_python({"name": "column", **column})
    except ValidationError:
        return False
    return True


def _words(seen: Texts) -> Drafted:
    written = sorted(text for text in seen.counts if text not in CATEGORICAL_MARKS)
    marks = sorted(text for text in seen.counts if text in CATEGORICAL_MARKS)
    records = seen.of(written)
    share = 20 if seen.is_called_id else 2
    once = len(written) == records > MIN_ONCE and sum(seen.counts.values()) > MIN_ID_VALUES
    if once or (len(written) > MIN_ID_VALUES and share * len(written) > records):
        column: Drafted = {"type": "id", **({} if seen.is_called_id else _unread(written))}
        pattern = proposed_pattern(written)
        if pattern is not None and "note" not in column:
            column["note"] = f"for new keys in synthetic rows, confirm and give pattern: {pattern}"
    elif len(written) > MOST_CATEGORIES:
        note = "so many texts may name people: read as an identifier; if they are public, list them"
        column = {"type": "id", "note": note}
    elif order := _ordered(written):
        column = {"type": "ordinal", "categories": order}
    else:
        values = numbers_of(written)
        if len(written) and not np.isnan(values).any():
            written = [text for _, text in sorted(zip(values.tolist(), written, strict=True))]
        column = {"type": "categorical", "categories": written}
        if len(written) > MANY_CATEGORIES:
            column["note"] = (
                "many categories: list them from a public source, or leave the column out"
            )
    # A column without any value still needs one code.
    return with_marks(column, marks if written else (marks or [""]))


def _unread(written: Sequence[str]) -> Drafted:
    """Return a note for numbers and dates that a draft cannot read."""
    share = np.mean(~np.isnan(numbers_of(written)))
    if 0.5 < share < 1:
        return {
            "note": "most cells are numbers, some are not: list those in missing, and say the type"
        }
    digits = [text for text in written if re.fullmatch(r"[\d\s+-]*\d[/.:,][\d\s./:,+-]+", text)]
    if len(digits) > len(written) / 2 and share < 1:
        return {
            "note": "holds figures in no format that is known here: write all of them in one way, "
            "or leave the column out"
        }
    return {}


def _ordered(written: Sequence[str]) -> list[str]:
    """Return the categories in their order, where that is plain from what they say."""
    for order in _ORDERS:
        places = {text: order.index(text.strip().lower()) for text in written if (
            text.strip().lower() in order)}  # fmt: skip
        if len(written) > 2 and len(places) == len(written):
            return sorted(written, key=places.__getitem__)
    bands = [_BAND.fullmatch(text) for text in written]
    if len(written) < 3 or not all(bands) or not np.isnan(numbers_of(written)).any():
        return []
    firsts = [(float(b[2]), not b[1], t) for b, t in zip(bands, written, strict=True) if b]
    distinct = {first[:2] for first in firsts}
    return [text for *_, text in sorted(firsts)] if len(distinct) == len(firsts) else []
