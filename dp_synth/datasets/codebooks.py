"""Synthetic rows as files of SPSS, Stata and SAS, with the codebook that a schema is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dp_synth.errors import InputError, missing_extra
from dp_synth.formats import kind_of
from dp_synth.schema import Column, DatetimeColumn, DiscreteColumn, IdColumn, NumericColumn, Schema
from dp_synth.schema.kinds import of_schema
from dp_synth.schema.parsing import Cells, numbers_of
from dp_synth.types import Floats

_NAMES = {  # what a file calls its columns, and in words
    "sav": (r"[^\W\d_][\w.$#@]{0,63}", "a letter and up to 63 letters, digits, '_', '.'"),
    "dta": (r"[A-Za-z_][A-Za-z0-9_]{0,31}", "at most 32 letters, digits and '_', no digit first"),
    "xpt": (r"[A-Za-z_][A-Za-z0-9_]{0,31}", "at most 32 letters, digits and '_', no digit first"),
}
_NAMES["zsav"] = _NAMES["sav"]
_LETTER = re.compile(r"\.([a-z])")
LONGEST = {"sav": 255, "zsav": 255, "dta": 80, "xpt": 40}
"""Characters of the label of a variable."""
MOST_CODES = {"sav": 3, "zsav": 3}
"""Single codes that can be declared missing; more are values with a label."""
INT32 = 2**31 - 101  # Stata's largest whole number

_WRITERS = {"sav": "write_sav", "zsav": "write_sav", "dta": "write_dta", "xpt": "write_xport"}


def unwritable(schema: Schema, path: str | PathLike[str]) -> str | None:
    """Return why rows of a schema cannot be written to a file of its kind; None where they can."""
    if str(path) == "-":
        return None
    kind = kind_of(path)
    if kind not in _WRITERS:
        return None
    pattern, words = _NAMES[kind]
    for column in schema.columns:
        if not re.fullmatch(pattern, column.name):
            return f"column {column.name!r}: a name in .{kind} must be {words}"
    lowered = [column.name.lower() for column in schema.columns]
    twice = next((name for name in lowered if lowered.count(name) > 1), None)
    if twice is not None and kind != "dta":
        return f"column {twice!r}: names in .{kind} must differ in more than case"
    return None


def write_statistical(
    blocks: Iterable[pd.DataFrame], path: Path, kind: str, schema: Schema | None
) -> None:
    """Write frames below one another as a file of SPSS, Stata or SAS, with labels and marks.

    Cells are as `Release.sample_blocks` gives them for a CSV file. Codes of numbers are numbers,
    and marks that are numbers are declared missing; other marks, absent cells too, are the
    system's missing value. Without a ``schema`` columns are what their dtypes say.
    """
    try:
        import pyreadstat
    except ImportError:
        raise missing_extra(f"{path}: writing .{kind}", "pyreadstat", "files") from None
    frame = pd.concat(list(blocks), ignore_index=True)
    columns = {} if schema is None else {column.name: column for column in schema.columns}
    made, said = {}, _Codebook(kind)
    for place, name in enumerate(map(str, frame.columns)):
        cells, column = frame.iloc[:, place], columns.get(name)
        made[name] = _plain(cells) if column is None else said.told(column, cells)
    try:
        getattr(pyreadstat, _WRITERS[kind])(pd.DataFrame(made), str(path), **said.options(made))
    except pyreadstat.PyreadstatError as error:
        raise InputError(f"{path}: cannot be written: {' '.join(str(error).split())}") from None


class _Codebook:
    """What is written of columns beside their cells, gathered one after another."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.titles: dict[str, str] = {}
        self.labels: dict[str, dict[object, str]] = {}
        self.ranges: dict[str, list[object]] = {}
        self.letters: dict[str, list[str]] = {}
        self.measures: dict[str, str] = {}
        self.formats: dict[str, str] = {}

    def told(self, column: Column, cells: pd.Series) -> pd.Series:
        """Return the cells of a column as the file holds them, and note what is to be said."""
        if column.title:
            self.titles[column.name] = column.title[: LONGEST[self.kind]]
        if isinstance(column, IdColumn):
            return cells.map(str).astype(object)
        if isinstance(column, DatetimeColumn):
            return _moments(column, cells)
        if isinstance(column, NumericColumn):
            self.measures[column.name] = "scale"
            numbers = column.numbers(found := Cells.of(cells))
            numbers[-1] = np.nan
            if column.type == "integer":
                self.formats[column.name] = "F8.0"
            return self._numbered(column, found, numbers)
        self.measures[column.name] = "ordinal" if column.type == "ordinal" else "nominal"
        codes = numbers_of(column.texts)
        if len(codes) and not np.isnan(codes).any() and _are_plain(column.texts):
            if np.all(codes == np.rint(codes)):
                self.formats[column.name] = "F8.0"
            found = Cells.of(cells)
            return self._numbered(column, found, numbers_of(found.texts()))
        self._label(column, {text: text for text in (*column.texts, *column.missing)})
        return pd.Series(
            np.array(Cells.of(cells).texts(), dtype=object)[Cells.of(cells).positions],
            name=column.name,
            dtype=object,
        )

    def _numbered(
        self, column: DiscreteColumn | NumericColumn, found: Cells, numbers: Floats
    ) -> pd.Series:
        """Return numbers by cell, letters of Stata's missing values among them."""
        marks = numbers_of(column.missing).tolist()
        known = dict(zip(column.missing, marks, strict=True))
        self._label(column, {**_codes(column), **{m: n for m, n in known.items() if n == n}})
        declared = [number for number in marks if number == number]
        if self.kind in MOST_CODES and 0 < len(declared) <= MOST_CODES[self.kind]:
            self.ranges[column.name] = [_whole(number) for number in declared]
        cells: list[Any] = [_whole(n) if n == n else None for n in numbers.tolist()]
        letters = {mark: m[1] for mark in column.missing if (m := _LETTER.fullmatch(mark))}
        if self.kind == "dta" and letters:
            texts = found.texts()
            cells = [letters.get(t, n) for t, n in zip(texts, cells, strict=True)]
            self.letters[column.name] = list(letters.values())
            kept = np.array([*cells, None], dtype=object)[:-1][found.positions]
            self._label(column, {**_codes(column), **letters})
            return pd.Series(kept, name=column.name, dtype=object)
        held = np.array([np.nan if n is None else float(n) for n in cells])[found.positions]
        whole = len(held) and not np.isnan(held).any() and np.all(held == np.rint(held))
        if self.kind == "dta" and whole and np.abs(held).max() < INT32:
            return pd.Series(held.astype(np.int32), name=column.name)
        return pd.Series(held, name=column.name)

    def _label(self, column: DiscreteColumn | NumericColumn, codes: Mapping[str, object]) -> None:
        """Note the labels of codes, each as the file holds it."""
        if self.kind == "xpt" or not column.labels:
            return
        found = {codes[text]: label for text, label in column.labels if text in codes}
        if self.kind == "dta":  # whose labels are of whole numbers and letters alone
            found = {
                int(c) if isinstance(c, float) else c: label
                for c, label in found.items()
                if c in _LETTERS or (isinstance(c, (int, float)) and float(c).is_integer())
            }
        if found:
            self.labels[column.name] = {
                _whole(c) if isinstance(c, float) else c: label for c, label in found.items()
            }

    def options(self, made: Mapping[str, pd.Series]) -> dict[str, object]:
        """Return what the writer of the kind is told."""
        titles = [self.titles.get(name, "") for name in made]
        given: dict[str, object] = {"column_labels": titles}
        if self.kind == "xpt":
            return {**given, "file_format_version": 8}
        given["variable_value_labels"] = self.labels
        if self.kind == "dta":
            return {**given, "missing_user_values": self.letters} if self.letters else given
        given |= {"missing_ranges": self.ranges, "variable_measure": self.measures}
        formats = {name: form for name, form in self.formats.items() if name in made}
        return {**given, "variable_format": formats, "compress": self.kind == "zsav"}


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")


def _codes(column: DiscreteColumn | NumericColumn) -> dict[str, object]:
    """Return the number of each text that has a label, where it is one."""
    texts = [text for text, _ in column.labels]
    pairs = zip(texts, numbers_of(texts).tolist(), strict=True)
    return {text: number for text, number in pairs if number == number}


def _are_plain(texts: Iterable[str]) -> bool:
    """Tell whether numbers are written as numbers are, not as ``01``."""
    return all(text in (str(_whole(float(text))), repr(float(text))) for text in texts)


def _whole(number: float) -> int | float:
    return int(number) if float(number).is_integer() else number


def _moments(column: DatetimeColumn, cells: pd.Series) -> pd.Series:
    """Return dates as dates, times of day as times, and both together as moments without zone."""
    moments = of_schema(column, cells)
    if column.zone is not None:
        moments = moments.dt.tz_localize(None)
    if column.step in ("D", "M", "Y"):
        days: pd.Series = moments.dt.date.astype(object).where(moments.notna(), None)
        return days
    if column.format is not None and not _has_date(column.format):
        times: pd.Series = moments.dt.time.astype(object).where(moments.notna(), None)
        return times
    return _microseconds(moments)


def _microseconds(moments: pd.Series) -> pd.Series:
    """Return moments counted in microseconds: pyreadstat writes whole seconds as the year 1970."""
    kept: pd.Series = moments.astype("datetime64[us]")
    return kept


def _has_date(pattern: str) -> bool:
    return any(part in pattern for part in ("%Y", "%y"))


def _plain(cells: pd.Series) -> pd.Series:
    """Return the cells of a frame without a schema: numbers and moments as such, all else text."""
    kind = cells.dtype
    if isinstance(kind, np.dtype) and kind.kind in "iufM":
        return _microseconds(cells) if kind.kind == "M" else cells
    return cells.astype(object).map(str, na_action="ignore").where(cells.notna(), "").astype(object)
