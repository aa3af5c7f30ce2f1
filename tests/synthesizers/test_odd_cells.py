"""Whatever a table holds, its fit succeeds: no cell, and no type of cells, is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import dp_synth as dps
from dp_synth.counting import Data, read_records
from dp_synth.datasets import read_table, write_table
from dp_synth.errors import SchemaMismatch
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers.reading import keep_rows_of_units

RECORDS = 60
BASE = {
    "c": ["x", "y"] * 30,
    "o": ["x", "z"] * 30,
    "i": ["1", "2"] * 30,
    "r": ["1.5", "2"] * 30,
    "d": ["2001-01-01", "2002-02-02"] * 30,
    "u": [str(record // 2) for record in range(RECORDS)],
}
SCHEMA = Schema.from_dict(
    {
        "name": "t",
        "columns": [
            {"name": "c", "type": "categorical", "categories": ["x", "y"]},
            {"name": "o", "type": "categorical", "categories": ["x"], "open": True},
            {"name": "i", "type": "integer", "lower": 0, "upper": 9, "bins": 4},
            {"name": "r", "type": "real", "lower": 0, "upper": 9},
            {"name": "d", "type": "datetime", "lower": "2000-01-01", "upper": "2020-01-01"},
        ],
    }
)
BUDGET = dps.PrivacyBudget(20, 1e-3, unit="u", max_rows=2)


class Silent:
    """Says nothing of itself."""

    def __str__(self) -> str:
        raise RuntimeError("private")

    __repr__ = __str__


class Incomparable:
    """Cannot be told from others."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("private")

    def __hash__(self) -> int:
        return 1


class Unhashable:
    """Has no hash, and half of a pair as its text."""

    def __hash__(self) -> int:
        raise TypeError("private")

    def __str__(self) -> str:
        return "\ud800"


ODD: list[object] = [
    *("\ud800", "\ud83d\ude00", "\udc00x\ud800", "a\0b", "z" * 1_100_000, b"\xff\xfe", ""),
    *([1, 2], ["\udc00"], {"a": 1}, {1}, ("a", 1), np.arange(3), pd.DataFrame({"a": [1]})),
    *(10**5000, 1j, float("inf"), Decimal("NaN"), Decimal("sNaN"), np.longdouble(1) / 3),
    *(date(1, 1, 1), datetime(9999, 12, 31), timedelta(days=999_999_999), time(1, 2)),
    *(pd.NaT, pd.NA, None, pd.Period("2000"), pd.Interval(0, 1), int, np.void(b"ab")),
    *(Silent(), Incomparable(), Unhashable()),
]


def fitted(data: Data, schema: Schema = SCHEMA) -> Release:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", SchemaMismatch)
        return dps.Independent().fit(data, schema, BUDGET, seed=0)


def written(release: Release, folder: Path) -> None:
    """Write and read all that a release gives."""
    release.save(folder / "r.npz")
    assert Release.load(folder / "r.npz").schema == release.schema
    rows = release.sample(20, seed=1, kinds="written")
    for ending in ("csv", "parquet"):
        write_table(rows, folder / f"o.{ending}")
        assert len(read_table(folder / f"o.{ending}")) == 20
    write_table(release.sample(20, seed=1), folder / "kinds.parquet")


@pytest.mark.parametrize("column", BASE)
def test_a_fit_takes_any_cells_in_any_column(column: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for some in (ODD[:15], ODD[15:], ODD):
        frame = pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in BASE.items()})
        cells = list(BASE[column])
        for place, cell in zip(rng.permutation(RECORDS), some, strict=False):
            cells[place] = cell  # type: ignore[call-overload]
        frame[column] = pd.Series([None] * RECORDS, dtype=object)
        for place, cell in enumerate(cells):
            frame[column].array[place] = cell
        written(fitted(frame), tmp_path)


def test_one_odd_text_in_all_records_becomes_a_category_that_can_be_written(
    tmp_path: Path,
) -> None:
    frame = pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in BASE.items()})
    frame["o"] = pd.Series(["a\ud800"] * RECORDS, dtype=object)
    release = fitted(frame)
    assert release.schema.discrete("o").texts == ("x", "a\ufffd")
    written(release, tmp_path)


def test_units_are_told_apart_by_the_text_of_their_cells() -> None:
    units = pd.Series(["\ud800", "\ud800", "a", "a", 1, 1, None, None], dtype=object)
    frame = pd.DataFrame({"u": units})
    one = dps.PrivacyBudget(1, 1e-6, unit="u", max_rows=1)
    kept = keep_rows_of_units(frame, one, np.random.default_rng(0))
    assert len(kept) == 4


def arrow(array: pa.Array) -> pd.Series:
    return pd.Series(pd.array(array, dtype=pd.ArrowDtype(array.type)))


def of(cell: object, kind: pa.DataType) -> pa.Array:
    return pa.array([cell, None] * 30, type=kind)


DTYPES: dict[str, Callable[[], object]] = {
    "intervals": lambda: pd.cut(np.arange(RECORDS), 4),
    "complex": lambda: np.arange(RECORDS) * 1j,
    "periods": lambda: pd.period_range("2000", periods=RECORDS),
    "zone": lambda: pd.date_range("2000", periods=RECORDS, tz="Asia/Tokyo"),
    "spans": lambda: pd.timedelta_range("1s", periods=RECORDS),
    "whole": lambda: pd.array([1, None] * 30, dtype="Int64"),
    "truths": lambda: pd.array([True, None] * 30, dtype="boolean"),
    "narrow": lambda: pd.array([1.5, None] * 30, dtype="Float32"),
    "sparse": lambda: pd.arrays.SparseArray([0, 1] * 30),
    "half": lambda: np.arange(RECORDS, dtype="f2"),
    "bytes": lambda: np.array([b"a", b"\xff"] * 30),
    "far": lambda: np.array(["-10000-01-01"] * RECORDS, dtype="M8[s]"),
    "lists": lambda: arrow(of([1], pa.list_(pa.int64()))),
    "structs": lambda: arrow(of({"a": 1}, pa.struct([("a", pa.int64())]))),
    "maps": lambda: arrow(of([("a", 1)], pa.map_(pa.string(), pa.int64()))),
    "binary": lambda: arrow(of(b"\xff", pa.binary())),
    "decimals": lambda: arrow(of(Decimal("1.5"), pa.decimal128(5, 2))),
    "nulls": lambda: arrow(pa.nulls(RECORDS)),
}


@pytest.mark.parametrize("name", DTYPES)
def test_a_fit_takes_columns_of_any_dtype(name: str, tmp_path: Path) -> None:
    values = pd.Series(DTYPES[name]())  # type: ignore[call-overload]
    fitted(pd.DataFrame(dict.fromkeys(BASE, values)))


def invalid(kind: pa.DataType) -> pa.Array:
    """Return texts of which half are no UTF-8, as Arrow lets them pass."""
    return pa.array([b"\xff", b"x"] * 30, type=pa.binary()).view(pa.string()).cast(kind)


ARROW: dict[str, Callable[[], pa.Array]] = {
    "texts": lambda: invalid(pa.string()),
    "large texts": lambda: pa.array([b"\xff", b"x"] * 30, type=pa.large_binary()).view(
        pa.large_string()
    ),
    "categories": lambda: pa.DictionaryArray.from_arrays(
        pa.array([0, 1] * 30), pa.array([b"\xff", b"x"], type=pa.binary()).view(pa.string())
    ),
    "lists of texts": lambda: pa.ListArray.from_arrays(
        pa.array(range(RECORDS + 1), type=pa.int32()), invalid(pa.string())
    ),
    "unknown zone": lambda: pa.array([0] * RECORDS, type=pa.timestamp("us", tz="No/Where")),
    "far spans": lambda: pa.array([2**62] * RECORDS, type=pa.duration("s")),
    "far days": lambda: pa.array([2**30] * RECORDS, type=pa.int32()).cast(pa.date32()),
}


@pytest.mark.parametrize("name", ARROW)
def test_a_fit_takes_any_cells_of_arrow_in_memory_and_streamed(name: str, tmp_path: Path) -> None:
    table = pa.table(dict.fromkeys(BASE, ARROW[name]()))
    memory = fitted(table)
    path = tmp_path / "t.parquet"
    parquet.write_table(table, path)
    assert fitted(path).model.total == memory.model.total
    listed = SCHEMA.without(["o"])
    with read_records(path, listed, unit="u") as records:
        fitted(records, listed)


@pytest.mark.parametrize(
    "column",
    [
        {"name": "a", "type": "categorical", "categories": ["x", "y\ud800"]},
        {"name": "a", "type": "categorical", "categories": ["x"], "missing": ["\udc00"]},
        {"name": "a\ud800", "type": "integer", "lower": 0, "upper": 1},
    ],
)
def test_a_text_of_the_schema_that_no_file_could_hold_is_refused_with_the_schema(
    column: dict[str, object],
) -> None:
    with pytest.raises(dps.errors.SchemaError, match="half of a sign"):
        Schema.from_dict({"name": "t", "columns": [column]})
