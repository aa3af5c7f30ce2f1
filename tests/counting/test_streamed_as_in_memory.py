"""One Parquet or CSV file, read whole and as a stream: equal codes for every Arrow type."""

from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_counts import frame_of
from pyarrow import parquet

from dp_synth.counting import PrivateRecords, duckdb, read_records
from dp_synth.datasets import read_table, write_table
from dp_synth.dialect import COMMON
from dp_synth.errors import InputError
from dp_synth.schema import Schema

pytest.importorskip("duckdb", reason="the extra 'bigdata' is not installed")

SMALL_INTS = st.integers(-3, 120)
MOMENTS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))
LATEST = 2**62  # of nanoseconds, or of any coarser unit
UNITS = ("s", "ms", "us", "ns")


def whole(kind: pa.DataType, bits: int, *, signed: bool) -> st.SearchStrategy[pa.Array]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return arrays(kind, st.one_of(st.integers(max(low, -3), 100), st.integers(low, high)))


def arrays(kind: pa.DataType, values: st.SearchStrategy[object]) -> st.SearchStrategy[pa.Array]:
    cells = st.lists(st.none() | values, max_size=20)
    return cells.map(lambda found: pa.array(found, kind))


def viewed(kind: pa.DataType, bits: int, span: int) -> st.SearchStrategy[pa.Array]:
    """Count units of a type of moments or durations, some of them beyond what Python can say."""
    count = pa.int32() if bits == 32 else pa.int64()
    most = min(span, 2 ** (bits - 1) - 1)
    values = st.one_of(st.integers(-1000, 10**5), st.integers(-most, most))
    return arrays(count, values).map(lambda found: found.view(kind))


TEXTS = st.sampled_from(["a", "b", "", "NA", "nan", "1", "1.0", "true", "2020-01-01", "ü", "-99.9"])
FLOATS = st.one_of(st.floats(), st.sampled_from([-99.9, 0.1, 0.0, 1.0, 1e20]))
TYPES = {
    "null": arrays(pa.null(), st.none()),
    "bool": arrays(pa.bool_(), st.booleans()),
    **{f"int{b}": whole(getattr(pa, f"int{b}")(), b, signed=True) for b in (8, 16, 32, 64)},
    **{f"uint{b}": whole(getattr(pa, f"uint{b}")(), b, signed=False) for b in (8, 16, 32, 64)},
    "float16": arrays(pa.float16(), st.floats(width=16).map(np.float16)),
    "float32": arrays(pa.float32(), st.floats(width=32) | st.sampled_from([-99.9, 0.1])),
    "float64": arrays(pa.float64(), FLOATS),
    "decimal128": arrays(
        pa.decimal128(12, 3), st.decimals(-999, 999, places=3, allow_nan=False)
    ),
    "decimal256": arrays(pa.decimal256(50, 2), st.sampled_from([Decimal("1.50"), Decimal(2)])),
    "string": arrays(pa.string(), TEXTS),
    "large_string": arrays(pa.large_string(), TEXTS),
    "string_view": arrays(pa.string_view(), TEXTS),
    "binary": arrays(pa.binary(), TEXTS.map(str.encode) | st.binary(max_size=3)),
    "large_binary": arrays(pa.large_binary(), st.binary(max_size=3)),
    "fixed_size_binary": arrays(pa.binary(2), st.binary(min_size=2, max_size=2)),
    "dictionary": arrays(pa.string(), TEXTS).map(lambda found: found.dictionary_encode()),
    "dictionary of floats": arrays(pa.float32(), st.sampled_from([-99.9, 0.5])).map(
        lambda found: found.dictionary_encode()
    ),
    "date32": viewed(pa.date32(), 32, 2**31),
    "date64": arrays(pa.date64(), st.dates()),
    "time32": viewed(pa.time32("s"), 32, 86_399),
    "time64": arrays(pa.time64("us"), st.times()),
    "time64[ns]": arrays(pa.int64(), st.integers(0, 86_399 * 10**9)).map(
        lambda found: found.view(pa.time64("ns"))
    ),
    **{f"timestamp[{unit}]": viewed(pa.timestamp(unit), 64, LATEST) for unit in UNITS},
    **{
        f"timestamp[{unit}, zone]": arrays(pa.timestamp(unit, "Europe/Berlin"), MOMENTS)
        for unit in UNITS
    },
    **{f"duration[{unit}]": viewed(pa.duration(unit), 64, LATEST) for unit in UNITS},
    "list": arrays(pa.list_(pa.int64()), st.lists(SMALL_INTS, max_size=2)),
    "struct": arrays(pa.struct([("x", pa.int64())]), st.fixed_dictionaries({"x": SMALL_INTS})),
}  # fmt: skip


def schema_for(texts: pd.Series) -> Schema:
    """Read one column in each way that there is: as categories, numbers, flags and moments."""
    some = sorted(set(texts[::2]) - {""})
    columns = [
        {"name": "categories", "type": "categorical", "categories": some, "missing": [""]},
        {"name": "codes", "type": "ordinal", "size": 3},
        {"name": "flags", "type": "categorical", "categories": ["False", "True"]},
        {"name": "integers", "type": "integer", "lower": 0, "upper": 1000, "missing": ["-1", ""],
         "bins": 20},
        {"name": "reals", "type": "real", "lower": -99, "upper": 99, "missing": ["-99.9", "nan"],
         "bins": 20},
        {"name": "days", "type": "datetime", "lower": "1970-01-01", "upper": "2020-12-31",
         "bins": 9},
        {"name": "times", "type": "datetime", "lower": "1970-01-01T00:00:00+01:00",
         "upper": "2020-12-31T00:00:00+01:00", "missing": [""], "bins": 20},
    ]  # fmt: skip
    return Schema.from_dict({"name": "every", "columns": columns})


def assert_equal_records(path: Path, schema: Schema) -> None:
    memory = PrivateRecords.of(read_table(path), schema)
    with read_records(path, schema) as streamed:
        records = len(memory.counts)
        axes = range(len(schema.domain))
        assert len(streamed.counts) == records
        columns = zip(
            memory._columns.read(axes, 0, records),
            streamed._columns.read(axes, 0, records),
            schema.names,
            strict=True,
        )
        for one, other, name in columns:
            assert one.tolist() == other.tolist(), name
        assert streamed.misfits.counts() == memory.misfits.counts()
        assert streamed.misfits.records == memory.misfits.records == records


@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=3, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_column_of_any_arrow_type_has_equal_codes_in_memory_and_streamed(
    kind: str, data: st.DataObject
) -> None:
    column = data.draw(TYPES[kind])
    names = ("categories", "codes", "flags", "integers", "reals", "days", "times")
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "BATCH", 5)  # so that small files have several
        path = Path(folder) / "t.parquet"
        table = pa.table(dict.fromkeys(names, column))
        parquet.write_table(table, path, row_group_size=7)
        frame = read_table(path)
        schema = schema_for(frame["categories"])
        assert_equal_records(path, schema)
        plain = Path(folder) / "t.csv"
        write_table(frame, plain)
        assert_equal_records(plain, schema)
        assert (schema.encode(read_table(plain)) == schema.encode(frame)).all()


@pytest.mark.parametrize(
    ("cells", "seconds"),
    [
        (pa.array([90, None], pa.duration("s")), ["90", ""]),
        (pa.array([1500, -500], pa.duration("ms")), ["1.5", "-0.5"]),
        (pa.array([86_400 * 10**9, 1], pa.duration("ns")), ["86400", "0.000000001"]),
    ],
)
def test_a_duration_is_its_number_of_seconds_in_files_and_frames(
    cells: pa.Array, seconds: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"x": cells}), path)
    assert read_table(path)["x"].tolist() == seconds
    fields = {"name": "x", "type": "real", "lower": -1, "upper": 100_000, "missing": [""]}
    schema = Schema.from_dict({"name": "t", "columns": [fields]})
    text = schema.encode(pd.DataFrame({"x": seconds}))
    assert (schema.encode(cells.to_pandas().to_frame("x")) == text).all()
    assert_equal_records(path, schema)


PIECES = [
    "",
    "a",
    '"',
    ",",
    "\n",
    "\r",
    "\r\n",
    " ",
    "\t",
    "1",
    "NULL",
    "\\N",
    "'",
    "é",
    "#",
    "\ufeff",
]
CELLS = st.lists(st.sampled_from(PIECES), max_size=2).map("".join)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), max_size=8),
    quoted=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    before=st.sampled_from([b"", b"\xef\xbb\xbf", b"\n", b"\r\n"]),
)
def test_a_csv_file_that_both_readers_take_has_equal_cells(
    rows: list[tuple[str, str]], quoted: bool, end: str, before: bytes
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "BATCH", 3)
        path, text = Path(folder) / "t.csv", io.StringIO()
        quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
        writer = csv.writer(text, quoting=quoting, lineterminator=end)
        writer.writerows([("x", "y"), *rows])
        path.write_bytes(before + text.getvalue().encode())
        try:
            memory = read_table(path)
            streamed = list(map(frame_of, duckdb._read(path, ["x", "y"], COMMON, list)))
        except InputError:
            return  # one of them refuses it, and neither reads it wrongly
        read = pd.concat(streamed) if streamed else memory.head(0)
        assert read.to_dict("list") == memory.to_dict("list")
