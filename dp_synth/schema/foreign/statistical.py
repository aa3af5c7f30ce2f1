"""Codebooks of SPSS, Stata and SAS: value labels, missing codes, measures, formats.

Value labels and missing codes are documentation: the public codebook of a file. Whether they
cover the codes of its records is looked up in the records, for the data holder.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from dp_synth.errors import SchemaError
from dp_synth.formats.statistical import PROGRAM, Codebook, read_codebook, read_statistical
from dp_synth.schema.foreign.described import Described, Known

MOST_IN_RANGE = 100
"""Whole numbers of a range that is declared missing, which become marks one by one."""

MOST_TEXT = 2**31
"""Bytes of the cells of columns with labels: a file with more is not looked at."""

LETTER = re.compile(r"\.[a-z_]")
_TIME = re.compile(r"(?:E8601)?(?:TIME|TOD|HHMM|%TCHH:MM)", re.IGNORECASE)
_MOMENT = re.compile(r"DATETIME|YMDHMS|DTIME|E8601DT|MDYAMPM|%TC", re.IGNORECASE)
_DATE = re.compile(
    r"(?:[AESJ]?DATE|DDMMYY|MMDDYY|YYMMDD|WEEKDATE|WORDDATE|JULIAN|E8601DA|B8601DA|%T?D)",
    re.IGNORECASE,
)
_OTHER_DATES = re.compile(r"%T[WMQHY]|MOYR|QYR|WKYR|MONYY", re.IGNORECASE)

UNLABELLED = (
    "does not cover every code of the file; complete the labels, or name the column in --numeric "
    "where its codes are numbers"
)


def read(path: Path, name: str, numeric: Collection[str] = ()) -> Described:
    """Return what a file declares; columns ``numeric`` are numbers, whatever labels they have.

    SchemaError where the labels of a nominal or ordinal column do not cover the codes of the file.
    """
    book = read_codebook(path)
    if unknown := next((one for one in numeric if one not in book.names), None):
        raise SchemaError(f"{path}: --numeric: has no column {unknown!r}")
    labelled = [one for one in book.labels if one not in numeric and one in book.names]
    uncovered = _uncovered(path, book, labelled)
    columns = [_known(path, book, one, uncovered, is_number=one in numeric) for one in book.names]
    return Described(name, f"the codebook in {PROGRAM[book.kind]} file {path.name}", columns)


def _uncovered(path: Path, book: Codebook, names: list[str]) -> dict[str, bool]:
    """Return for each column whether its records have codes that nothing declares."""
    if not names:
        return {}
    table = read_statistical(path, MOST_TEXT, names)
    found = {}
    for name in names:
        known = {*book.labels[name], *_marks(book, name)[0], ""}
        ranges = book.ranges.get(name, [])
        seen = set(table[name].unique())
        found[name] = any(
            text not in known and not LETTER.fullmatch(text) and not _is_within(text, ranges)
            for text in seen
        )
    return found


def _is_within(text: str, ranges: list[tuple[str, str]]) -> bool:
    try:
        return any(float(low) <= float(text) <= float(high) for low, high in ranges)
    except ValueError:
        return any(text == low == high for low, high in ranges)


def _marks(book: Codebook, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the codes that mean missing, and what is to be noted of ranges of them."""
    marks: list[str] = []
    notes: list[str] = []
    labels = book.labels.get(name, {})
    ranges = book.ranges.get(name, [])
    for low, high in ranges:
        if low == high:
            marks.append(low)
            continue
        marks += [code for code in labels if _is_within(code, [(low, high)])]
        whole = _whole_range(low, high) if book.is_whole(name) else None
        if whole is None:
            notes.append(f"{low} to {high} means missing: list in missing which of them occur")
        else:
            marks += whole
    marks += [code for code in labels if LETTER.fullmatch(code) and book.is_numeric(name)]
    if book.is_numeric(name):
        marks.append("")  # the system's missing value, which any number may be
    return tuple(dict.fromkeys(marks)), tuple(notes)


def _whole_range(low: str, high: str) -> list[str] | None:
    try:
        first, last = float(low), float(high)
    except ValueError:
        return None
    if not (first.is_integer() and last.is_integer()) or last - first >= MOST_IN_RANGE:
        return None
    return [str(code) for code in range(int(first), int(last) + 1)]


def _known(
    path: Path, book: Codebook, name: str, uncovered: Mapping[str, bool], *, is_number: bool
) -> Known:
    marks, notes = _marks(book, name)
    labels, measure = book.labels.get(name, {}), book.measure(name)
    title = book.titles.get(name, "")
    codes = tuple(code for code in labels if code not in marks)
    form = book.format(name)
    if name in uncovered and uncovered[name] and measure != "scale" and codes:
        raise SchemaError(f"{path}: column {name!r}: field 'value labels': {UNLABELLED}")
    is_code = bool(codes) and not is_number and not uncovered.get(name)
    if is_code:
        kind = "ordinal" if measure == "ordinal" else "categorical"
        if measure == "scale" and book.is_numeric(name):
            notes += ("its measure is scale, but each of its codes has a label: read as codes",)
        return Known(name, kind, None, None, codes, marks, title, labels, notes=notes)
    if not book.is_numeric(name):
        return Known(name, "categorical", None, None, None, ("",), title, labels, notes=notes)
    if uncovered.get(name):
        notes += ("labels stand for some of its numbers alone",)
    shown = {code: label for code, label in labels.items() if code not in ("",)}
    if _OTHER_DATES.match(form):
        notes += (f"a number of the format {form}: periods are not read as dates",)
    elif _MOMENT.match(form) and not _TIME.match(form):
        return Known(name, "datetime", missing=("",), title=title, format="%Y-%m-%d %H:%M:%S")
    elif _TIME.match(form):
        return Known(name, "datetime", missing=("",), title=title, format="%H:%M:%S")
    elif _DATE.match(form):
        return Known(name, "datetime", missing=("",), title=title)
    kind = "integer" if book.is_whole(name) else "real"
    return Known(name, kind, missing=marks, title=title, labels=shown, notes=notes)
