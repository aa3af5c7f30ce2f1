"""Checks of a table against its schema: for the data holder's eyes only, as cells are private."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd

from dp_synth.frames import ArrowTable, as_frame, column_of
from dp_synth.schema.columns import DiscreteColumn, IdColumn
from dp_synth.schema.constraints import Column
from dp_synth.schema.numeric import DatetimeColumn, LineColumn, NumericColumn
from dp_synth.schema.parsing import Cells
from dp_synth.schema.schema import Schema
from dp_synth.types import Flags, Integers

FREE_TEXT_LENGTH = 40
"""Distinct cells of more characters than this, on average, read like free text."""

_SHOWN = 5

ABSENT = "absent cell without a missing mark in the schema"
OFFSET = "cell with an offset from UTC, where the bounds say none: taken to UTC"
OUTSIDE = "cell outside the bounds"
UNSEEN = "unseen category"


def check(frame: pd.DataFrame | ArrowTable, schema: Schema) -> list[str]:
    """Return one line for each mismatch of ``frame`` with ``schema``; empty when all matches.

    The lines hold counts and values of the table, so they must not leave the data holder.
    """
    findings, frame = [], as_frame(frame)
    present, named = Counter(map(str, frame.columns)), set(schema.names)
    new = {column.name for _, column in schema.keys}  # never read, and so need not be there
    for name in [one for one in schema.names if one not in new]:
        if name not in present:
            findings.append(f"column {name!r}: is in the schema but not in the table")
        elif present[name] > 1:
            findings.append(f"column {name!r}: stands twice in the table")
    findings += [
        f"column {name!r}: is in the table but not in the schema, and will be left out"
        for name in map(str, frame.columns)
        if name not in named
    ]
    columns = {c.name: c for c in schema.columns if not isinstance(c, IdColumn)}
    series = {name: column_of(frame, name) for name in columns if present[name] == 1}
    for name, cells in series.items():
        findings += [f"column {name!r}: {what}" for what in _findings(columns[name], cells)]
    for number, rule in enumerate(schema.constraints, 1):
        if series.keys() >= set(rule.names):
            codes = tuple(columns[name].encode(series[name]) for name in rule.names)
            if broken := int(np.count_nonzero(~rule.possible(columns)[codes])):
                where, by = ", ".join(map(repr, rule.names)), _number(broken, "record")
                findings.append(f"constraint {number} on {where}: broken by {by}")
    return findings


def remarks(frame: pd.DataFrame | ArrowTable, schema: Schema) -> list[str]:
    """Return a line for each thing that a data holder should know and that is no mismatch.

    Identifiers and constant columns, formats that would read a column, a record for a header.
    The lines must not leave the data holder.
    """
    from dp_synth.schema.draft import record_like

    frame = as_frame(frame)
    present = Counter(map(str, frame.columns))
    said = record_like(frame) if schema.dialect is None or schema.dialect.has_header else []
    for column in schema.columns:
        if isinstance(column, IdColumn) and column.pattern is not None:
            said.append(
                f"column {column.name!r}: is never read; synthetic rows have new keys of the "
                f"pattern {column.pattern!r}, of which there are {column.keys.size:,}"
            )
            continue
        if isinstance(column, IdColumn):
            said.append(
                f"column {column.name!r}: is an identifier, which is never synthesized; name it by "
                "--unit where it says whose records they are, else leave it out with "
                f"--drop {column.name!r}"
            )
            continue
        if present[column.name] != 1:
            continue
        series = column_of(frame, column.name)
        if len(series) > 1 and len(np.unique(Cells.of(series).positions)) == 1:
            said.append(f"column {column.name!r}: holds the same cell in every record")
        form = "" if isinstance(column, DiscreteColumn) else _format_of(column, series)
        said += [f"column {column.name!r}: its cells have the format {form}"] if form else []
    return said


def _format_of(column: NumericColumn | DatetimeColumn, series: pd.Series) -> str:
    """Return the format in which most cells are read that are not read now; else nothing."""
    unread = np.isnan(column.numbers(Cells.of(series)))[:-1]
    if not len(unread) or unread.mean() < 0.5:
        return ""
    from dp_synth.schema.draft import draft_column

    found = draft_column(column.name, series)
    kinds = [{"real", "integer"}, {"datetime"}]
    alike = any(column.type in kind and found["type"] in kind for kind in kinds)
    return json.dumps(found["format"], ensure_ascii=False) if alike and "format" in found else ""


def _findings(
    column: DiscreteColumn | NumericColumn | DatetimeColumn, series: pd.Series
) -> list[str]:
    """Return which cells of a column do not fit, with some of them, and what names people."""
    from dp_synth.schema.draft_values import MIN_ID_VALUES

    cells = Cells.of(series)
    counts, texts, found = counts_of(cells), cells.texts()[:-1], []
    for what, chosen in faults_of(column, cells).items():
        if held := int(counts[chosen].sum()):
            places = np.flatnonzero(chosen[:-1])  # without the absent cell, which has no text
            shown = ", ".join(repr(texts[i]) for i in places[:_SHOWN])
            more = ", ..." if len(places) > _SHOWN else ""
            such = f", such as {shown}{more}" if shown else ""
            found.append(f"{what}: {_number(held, 'cell')}{such}")
    if isinstance(column, DiscreteColumn):
        if len(texts) > MIN_ID_VALUES and 2 * len(texts) > len(series):
            found.append(f"looks like an identifier: {len(texts)} different cells")
        if texts and sum(map(len, texts)) > FREE_TEXT_LENGTH * len(texts):
            found.append("reads like free text, which may name people")
    return found


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


class Misfits:
    """Numbers of cells that do not fit, by column and by what is wrong with them.

    They are counted while records are encoded, from each block's distinct cells.
    """

    def __init__(self) -> None:
        self.records = 0
        self._found: dict[tuple[str, str], int] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def __repr__(self) -> str:
        return "Misfits()"  # its numbers are private

    def add(self, column: DiscreteColumn | NumericColumn | DatetimeColumn, cells: Cells) -> None:
        """Count the cells of a block of records in one column."""
        counts = counts_of(cells)
        for what, chosen in faults_of(column, cells).items():
            self.note(column.name, what, int(counts[chosen].sum()))

    def note(self, name: str, what: str, count: int) -> None:
        """Count so many cells more of the column ``name`` with one fault."""
        if count:
            self._found[name, what] = self._found.get((name, what), 0) + count

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Return the number of cells by column and by what is wrong."""
        return dict(self._found)

    def lines(self) -> list[str]:
        """Return one line for each column and what is wrong there, without any cell."""
        return [
            f"column {name!r}: {what}: {count:,} of {self.records:,}"
            for (name, what), count in self._found.items()
        ]


def counts_of(cells: Cells) -> Integers:
    """Return how many records hold each distinct cell, the absent one last."""
    slots = len(cells.distinct) + 1
    return np.bincount(cells.positions % slots, minlength=slots)


def faults_of(column: Column, cells: Cells) -> dict[str, Flags]:
    """Return which distinct cells, the absent one last, do not fit, by what is wrong with them."""
    if isinstance(column, DiscreteColumn):
        unseen = np.array([*(code is None for code in column.lookup(cells)), False], dtype=bool)
        if column.open:  # which lists others as it meets them
            unseen &= np.array([not text for text in cells.texts()])
        found = {UNSEEN: unseen}
    elif isinstance(column, LineColumn):
        found = _off_the_line(column, cells)
    else:
        return {}
    absent = np.zeros(len(cells.distinct) + 1, dtype=bool)
    absent[-1] = not column.missing
    return {**{what: chosen for what, chosen in found.items() if chosen.any()}, ABSENT: absent}


def _off_the_line(column: LineColumn, cells: Cells) -> dict[str, Flags]:
    numbers = column.numbers(cells)
    marked = column.written_marks(cells, numbers) >= 0
    outside = ~marked & ((numbers < column.grid.lower) | (numbers > column.grid.upper))
    unread = np.isnan(numbers) & ~marked
    outside[-1] = unread[-1] = False
    is_date = isinstance(column, DatetimeColumn)
    found = {OUTSIDE: outside, f"cell that is no {'date' if is_date else 'number'}": unread}
    if isinstance(column, DatetimeColumn) and column.zone is None:
        found[OFFSET] = cells.have_offsets() & ~np.isnan(numbers)
    return found
