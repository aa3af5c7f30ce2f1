"""Tables written in other ways than their schemas: equal codes, or the data holder is told.

Each table is written five ways, and more where a file format has a spelling of its own. For each
column the table counts whether all codes are those of the table as it is, or the data holder is
told (`Misfits`); a column that changes without a word is *lost*.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import dp_synth as dps
from dp_synth.counting.records import encode_finest
from dp_synth.datasets import read_table, write_table
from dp_synth.schema import Misfits, Schema

DAYS = np.datetime64("1970-01-01")


@dataclass(frozen=True)
class Spelling:
    """A way of writing a table: where it was written, and the schema of what was written."""

    path: Path
    schema: Schema
    plain: pd.DataFrame  # the same records as that schema writes them
    changed: tuple[str, ...]  # the columns that are written otherwise


@dataclass(frozen=True)
class Outcome:
    """How many columns were written otherwise, have the same codes, are told, or are lost."""

    changed: int
    same: int
    told: int
    lost: tuple[str, ...]


def tables() -> Iterator[tuple[str, pd.DataFrame, Schema]]:
    """Give each table of the folder that DP_SYNTH_DATA names, else the bundled one."""
    folder = os.environ.get("DP_SYNTH_DATA")
    if folder is None:
        data = dps.datasets.load("adult")
        yield "adult", data.train.map(str), data.schema
        return
    for path in sorted(Path(folder).glob("*.csv*")):
        schema = Schema.load(path.with_name(f"{path.name.split('.')[0]}.meta.json"))
        kept = [column.name for column in schema.columns if column.type != "id"]
        yield path.name, read_table(path)[kept], schema.select(kept)


def booleans(frame: pd.DataFrame, schema: Schema, folder: Path) -> Spelling:
    """Columns of two values as true and false, the schema keeping what it says of them."""
    fields = schema.to_dict()
    plain, written = frame.copy(), {}
    for column in fields["columns"]:  # type: ignore[attr-defined]
        name, texts = column["name"], set(frame[column["name"]])
        if column["type"] == "categorical" and len(texts) == 2 and not column.get("missing"):
            # A table of logical values: its schema says False and True, or 0 and 1.
            first = len(written) % 2 == 0
            column.pop("size", None)
            column["categories"] = ["False", "True"] if first else ["0", "1"]
            truth = frame[name] == max(texts)
            plain[name] = truth.map({False: column["categories"][0], True: column["categories"][1]})
            spellings = (("0", "1"), ("false", "true"), ("FALSE", "TRUE"), ("0.0", "1.0"))
            chosen = spellings[len(written) % len(spellings)]
            said = truth.map({False: chosen[0], True: chosen[1]})
            written[name] = truth if len(written) == 1 else said
    fields.pop("positive", None)
    fields.pop("constraints", None)
    return _kept(frame.assign(**written), Schema.from_dict(fields), plain, folder / "t.parquet")


def case(frame: pd.DataFrame, schema: Schema, folder: Path) -> Spelling:
    """All words in capitals."""
    return _kept(frame.map(str.upper), schema, frame, folder / "t.csv")


def narrow_floats(frame: pd.DataFrame, schema: Schema, folder: Path) -> Spelling:
    """Numbers as 32-bit floats, in a Parquet file.

    Where such a float has not the digits of a number, the one that it holds is the right one.
    """
    written = {name: _numbers(frame[name], np.float32) for name in frame}
    plain = frame.copy()
    for name, numbers in written.items():
        if numbers.dtype == np.float32:
            texts = numbers.to_numpy().astype(str)  # as few digits as tell such floats apart
            held = pd.Series(texts.astype(np.float64), index=frame.index)
            rounded = held.notna() & (held != pd.to_numeric(frame[name], errors="coerce"))
            plain[name] = frame[name].where(~rounded, held.map(repr))
    return _kept(frame.assign(**written), schema, plain, folder / "t.parquet")


def integers_as_floats(frame: pd.DataFrame, schema: Schema, folder: Path) -> Spelling:
    """Numbers as floats in a CSV file, so that 1 is written 1.0."""
    written = {name: _numbers(frame[name], np.float64) for name in frame}
    return _kept(frame.assign(**written), schema, frame, folder / "t.csv")


def text_as_bytes(frame: pd.DataFrame, schema: Schema, folder: Path) -> Spelling:
    """All cells as bytes, in a Parquet file."""
    columns = {
        name: pa.array([cell.encode() for cell in frame[name]], pa.binary()) for name in frame
    }
    parquet.write_table(pa.table(columns), folder / "t.parquet")
    return Spelling(folder / "t.parquet", schema, frame, tuple(frame))


def other_dates(frame: pd.DataFrame, schema: Schema, folder: Path) -> Spelling:
    """Whole numbers as days after 1970, written day first where the schema says ISO dates."""
    fields = schema.to_dict()
    plain, written = frame.copy(), {}
    for column in fields["columns"]:  # type: ignore[attr-defined]
        name = column["name"]
        numbers = pd.to_numeric(frame[name], errors="coerce")
        if column["type"] != "integer" or numbers.isna().any() or numbers.abs().max() > 10**6:
            continue
        days = DAYS + numbers.astype(np.int64).to_numpy()
        lower, upper = str(days.min()), str(days.max())
        column.clear()
        column.update(name=name, type="datetime", lower=lower, upper=upper)
        plain[name] = np.datetime_as_string(days)
        written[name] = pd.Series(days, index=frame.index).dt.strftime("%d/%m/%Y")
    fields.pop("constraints", None)
    return _kept(plain.assign(**written), Schema.from_dict(fields), plain, folder / "t.csv")


WAYS: dict[str, Callable[[pd.DataFrame, Schema, Path], Spelling]] = {
    "booleans": booleans,
    "case": case,
    "32-bit floats": narrow_floats,
    "1 as 1.0": integers_as_floats,
    "bytes": text_as_bytes,
    "dates in another order": other_dates,
}


def outcome(spelling: Spelling) -> Outcome:
    """Compare what is read with the table as its schema writes it, column by column."""
    misfits = Misfits()
    read = read_table(spelling.path)
    found = encode_finest(spelling.schema, read, misfits)
    right = encode_finest(spelling.schema, spelling.plain, Misfits())
    told = {name for name, _ in misfits.counts()}
    names = spelling.schema.names
    wrong = [name for axis, name in enumerate(names) if (found[:, axis] != right[:, axis]).any()]
    lost = tuple(name for name in wrong if name not in told)
    changed = len(spelling.changed)
    return Outcome(changed, changed - len(wrong), len(wrong) - len(lost), lost)


def _kept(written: pd.DataFrame, schema: Schema, plain: pd.DataFrame, path: Path) -> Spelling:
    write_table(written, path)
    differs = {name: (written[name] != plain[name]).any() for name in plain}
    return Spelling(path, schema, plain, tuple(name for name in plain if differs[name]))


def _numbers(cells: pd.Series, kind: type[np.floating]) -> pd.Series:
    numbers = pd.to_numeric(cells.where(cells != ""), errors="coerce")
    whole = numbers.isna() == (cells == "")
    return numbers.astype(kind) if whole.all() and not numbers.isna().all() else cells


FOLDER = os.environ.get("DP_SYNTH_DATA")
MATCHED = ("booleans", "32-bit floats", "1 as 1.0", "bytes")
RECORDS = 500  # of each table


@cache
def beginnings(folder: str | None) -> list[tuple[str, pd.DataFrame, Schema]]:
    """The first records of each table of the folder; None is the bundled one."""
    assert folder == os.environ.get("DP_SYNTH_DATA")
    return [
        (name, frame.head(RECORDS).reset_index(drop=True), schema)
        for name, frame, schema in tables()
    ]


def assert_nothing_is_lost(way: str, folder: Path) -> int:
    changed = 0
    for name, few, schema in beginnings(os.environ.get("DP_SYNTH_DATA")):
        found = outcome(WAYS[way](few, schema, folder))
        assert found.lost == (), name
        assert found.same + found.told == found.changed, name
        assert way not in MATCHED or found.told == 0, name
        changed += found.changed
    return changed


@pytest.mark.parametrize("way", WAYS)
def test_no_column_of_the_bundled_table_is_lost_without_a_word(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DP_SYNTH_DATA", raising=False)
    assert assert_nothing_is_lost(way, tmp_path) > 0


@pytest.mark.skipif(FOLDER is None, reason="DP_SYNTH_DATA, the folder of real tables, is not set")
@pytest.mark.parametrize("way", WAYS)
def test_no_column_of_a_real_table_is_lost_without_a_word(way: str, tmp_path: Path) -> None:
    assert assert_nothing_is_lost(way, tmp_path) > 0
