"""Rows in the kinds of their columns: those of the schema, or dtypes that are declared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dp_synth.datasets import read_table, write_table
from dp_synth.errors import InputError
from dp_synth.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "every kind",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 300},
            {"name": "children", "type": "integer", "lower": 0, "upper": 9, "missing": ["?"]},
            {"name": "size", "type": "real", "lower": -1, "upper": 2, "decimals": 2},
            {"name": "income", "type": "real", "lower": 0, "upper": 1e6, "missing": ["-9"]},
            {"name": "born", "type": "datetime", "lower": "1500-01-01", "upper": "2020-12-31"},
            {
                "name": "left",
                "type": "datetime",
                "lower": "2001-02-03 04:05:06",
                "upper": "2002-02-03 04:05:06",
                "missing": ["NA"],
            },
            {
                "name": "seen",
                "type": "datetime",
                "lower": "2021-03-01T09:00:00+02:00",
                "upper": "2021-03-31T09:00:00+02:00",
                "missing": [""],
            },
            {"name": "alive", "type": "categorical", "categories": ["true", "false"]},
            {
                "name": "works",
                "type": "categorical",
                "categories": ["False", "True"],
                "missing": ["unknown"],
            },
            {"name": "code", "type": "categorical", "categories": ["01", "1", "1E2", "100"]},
            {
                "name": "grade",
                "type": "ordinal",
                "categories": ["low", "middle", "high"],
                "missing": ["nan"],
            },
            {"name": "ward", "type": "categorical", "size": 12, "missing": ["99"]},
        ],
    }
)
KINDS = {
    "age": "int64",
    "children": "Int64",
    "size": "float64",
    "income": "float64",
    "born": "datetime64[s]",
    "left": "datetime64[s]",
    "seen": "datetime64[s, UTC+02:00]",
    "alive": "bool",
    "works": "boolean",
    "code": "category",
    "grade": "category",
    "ward": "category",
}
MARKED = [column.name for column in SCHEMA.columns if column.missing]


def made_codes(seed: int, records: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, records) for size in SCHEMA.domain.sizes], axis=1)


def rows_of(codes: np.ndarray, seed: int = 0) -> pd.DataFrame:
    return SCHEMA.in_kinds(SCHEMA.decode(codes, np.random.default_rng(seed)))


def marks_of(codes: np.ndarray) -> pd.DataFrame:
    flags = {}
    for axis, column in enumerate(SCHEMA.columns):
        flags[column.name] = codes[:, axis] >= SCHEMA.domain.sizes[axis] - len(column.missing)
    return pd.DataFrame(flags)


@pytest.mark.parametrize("seed", range(50))
def test_rows_have_the_kinds_of_the_schema_and_lose_nothing(seed: int) -> None:
    codes = made_codes(seed, records=(0, 1, 60)[seed % 3])
    rows = rows_of(codes, seed)
    kinds = {
        name: str(dtype).replace("pytz.FixedOffset(120)", "UTC+02:00")
        for name, dtype in rows.dtypes.items()
    }
    assert kinds == KINDS
    assert rows.isna().equals(marks_of(codes))
    assert (SCHEMA.encode(rows) == codes).all()
    assert SCHEMA.in_kinds(rows).equals(rows)


@pytest.mark.parametrize("seed", range(10))
def test_parquet_files_keep_the_kinds_and_the_codes(seed: int, tmp_path: Path) -> None:
    codes = made_codes(seed)
    rows = rows_of(codes, seed)
    write_table(rows, tmp_path / "t.parquet")
    assert (SCHEMA.encode(read_table(tmp_path / "t.parquet")) == codes).all()
    back = pd.read_parquet(tmp_path / "t.parquet")
    assert (SCHEMA.encode(back) == codes).all()
    assert [dtype.kind for dtype in back.dtypes] == [dtype.kind for dtype in rows.dtypes]
    assert back["grade"].cat.ordered
    assert list(back["code"].cat.categories) == ["01", "1", "1E2", "100"]
    assert pa.parquet.read_schema(tmp_path / "t.parquet").field("children").type == pa.int64()


def test_numbers_with_missing_cells_are_summed_up() -> None:
    rows = rows_of(made_codes(0))
    assert 0 <= rows["children"].mean() <= 9
    assert 0 <= rows["income"].mean() <= 1e6
    assert set(rows.describe().columns) >= {"age", "children", "size", "income", "born", "left"}
    assert (rows["born"].dt.year >= 1500).all()
    assert (rows["grade"].dropna() >= "low").all()


def test_categories_are_those_of_the_schema_though_no_row_has_them() -> None:
    rows = rows_of(made_codes(0, records=1))
    assert list(rows["grade"].cat.categories) == ["low", "middle", "high"]
    assert rows["grade"].cat.ordered
    assert not rows["ward"].cat.ordered
    assert list(rows["ward"].cat.categories) == [str(code) for code in range(12)]


def test_written_rows_hold_the_marks_and_texts_of_the_schema() -> None:
    codes = made_codes(1)
    decoded = SCHEMA.decode(codes, np.random.default_rng(1))
    assert SCHEMA.in_kinds(SCHEMA.in_kinds(decoded), "written").equals(decoded)
    assert set(decoded.loc[marks_of(codes)["left"], "left"]) == {"NA"}
    assert decoded["seen"].isin([""]).any()
    assert all(text.endswith("+02:00") for text in decoded["seen"] if text)


@pytest.mark.parametrize(
    ("ending", "bound"), [("Z", "2021-03-01T09:00:00Z"), ("-03:30", "2021-03-01 09:00-03:30")]
)
def test_times_are_written_in_the_zone_of_the_lower_bound(ending: str, bound: str) -> None:
    upper = bound.replace("03-01", "03-31")
    column = {"name": "seen", "type": "datetime", "lower": bound, "upper": upper}
    schema = Schema.from_dict({"name": "t", "columns": [column]})
    frame = pd.DataFrame({"seen": [bound, upper, "2021-03-02T00:00:00+00:00"]})
    written = schema.typed(frame)["seen"]
    assert written.str.endswith(ending).all()
    assert (
        pd.to_datetime(written, utc=True).tolist()
        == pd.to_datetime(frame["seen"], utc=True, format="ISO8601").tolist()
    )
    assert schema.in_kinds(frame)["seen"].dt.tz.utcoffset(None) == pd.Timestamp(bound).utcoffset()


@pytest.mark.parametrize("marks", [["?", "refused"], ["-8", "-9"]])
def test_of_several_missing_marks_all_are_missing_cells(marks: list[str]) -> None:
    column = {"name": "x", "type": "integer", "lower": 0, "upper": 5, "missing": marks}
    schema = Schema.from_dict({"name": "t", "columns": [column]})
    written = pd.DataFrame({"x": [3, marks[1], marks[0]]}, dtype=object)
    assert schema.in_kinds(written)["x"].tolist() == [3, pd.NA, pd.NA]
    assert schema.in_kinds(written, "written").equals(written)


def as_table(kind: str) -> pd.DataFrame:
    """A table of one's own in the dtypes of one reader or another."""
    rows = rows_of(made_codes(2))
    if kind == "arrow":
        table = pa.Table.from_pandas(rows, preserve_index=False)
        return table.to_pandas(types_mapper=pd.ArrowDtype)
    if kind == "nullable":
        return rows.convert_dtypes()
    if kind == "text":
        return SCHEMA.in_kinds(rows, "written").astype(str)
    narrow = {"age": "int16", "children": "Int8", "size": "float32", "income": "Float32"}
    return rows.astype({**narrow, "left": "datetime64[ns]", "code": object, "grade": object})


@pytest.mark.parametrize("kind", ["arrow", "nullable", "text", "narrow"])
@pytest.mark.parametrize("declared", ["frame", "dtypes", "mapping"])
def test_rows_take_the_declared_dtypes_and_keep_their_codes(kind: str, declared: str) -> None:
    table = as_table(kind)
    kinds = {"frame": table, "dtypes": table.dtypes, "mapping": dict(table.dtypes)}[declared]
    codes = made_codes(3)
    rows = SCHEMA.in_kinds(SCHEMA.decode(codes, np.random.default_rng(3)), kinds)
    for name, dtype in table.dtypes.items():
        if "dictionary" in str(dtype) or isinstance(dtype, pd.CategoricalDtype):
            assert rows[name].dtype.name == "category"
        else:
            assert rows[name].dtype == dtype
    assert (SCHEMA.encode(rows) == codes).all()


def test_plain_dtypes_become_nullable_where_cells_may_be_missing() -> None:
    kinds = {"children": int, "works": bool, "age": "int32", "alive": bool, "ward": "uint8"}
    rows = SCHEMA.in_kinds(SCHEMA.decode(made_codes(4), np.random.default_rng(4)), kinds)
    found = {name: str(rows[name].dtype) for name in kinds}
    assert found == {
        "children": "Int64",
        "works": "boolean",
        "age": "int32",
        "alive": "bool",
        "ward": "UInt8",
    }
    assert str(rows["size"].dtype) == "float64"


def test_categories_of_a_declared_table_are_not_taken() -> None:
    table = pd.DataFrame({"grade": pd.Categorical(["only he has it", "low"])})
    rows = SCHEMA.in_kinds(SCHEMA.decode(made_codes(5), np.random.default_rng(5)), table)
    assert list(rows["grade"].cat.categories) == ["low", "middle", "high"]


@pytest.mark.parametrize(
    ("kinds", "fault"),
    [
        ({"age": "int8"}, "column 'age' cannot be of kind int8: it has numbers beyond -128 to 127"),
        ({"grade": "int64"}, "column 'grade' cannot be of kind int64: its categories are no num"),
        ({"age": bool}, "column 'age' cannot be .*: it has values that are neither true nor"),
        ({"born": float}, "column 'born' cannot be of kind .*: it has no numbers"),
        ({"age": "datetime64[s]"}, "column 'age' cannot be of kind .*: it has no dates"),
        ({"born": "datetime64[ns]"}, "column 'born' cannot be of kind datetime64"),
        ({"age": "period[D]"}, "column 'age' cannot be of kind period"),
        ({"age": "no such"}, "column 'age' cannot be of kind no such"),
        ({"sex": "int8"}, "kinds: no column 'sex'; there are 'age', "),
        ("typed", "kinds must be 'schema', 'written', a frame or its dtypes, got 'typed'"),
        (["int8"], "kinds must be 'schema', 'written', a frame or its dtypes, got list"),
        (None, "kinds must be .*, got NoneType"),
    ],
)
def test_a_dtype_that_cannot_hold_its_column_is_refused_in_one_line(
    kinds: object, fault: str
) -> None:
    codes = np.tile(np.array(SCHEMA.domain.sizes) - 1, (3, 1))
    codes[1:] = 0
    codes[2, 0] = SCHEMA.domain.sizes[0] - 1
    with pytest.raises(InputError, match=fault) as caught:
        SCHEMA.in_kinds(SCHEMA.decode(codes, np.random.default_rng(0)), kinds)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
