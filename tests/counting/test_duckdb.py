"""Counts over files: equal to those of the same file in memory, and bounded in memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.counting import CodeCounts, duckdb, read_counts
from dp_synth.datasets import read_table, write_table
from dp_synth.errors import InputError, SchemaError
from dp_synth.schema import Schema

pytest.importorskip("duckdb", reason="the extra 'bigdata' is not installed")

FOLDER = os.environ.get("DP_SYNTH_DATA")
NOT_SET = "DP_SYNTH_DATA does not name the folder of tables"
REAL = [
    "adult_discrete.csv",
    "adult_raw.csv",
    "cervical_cancer.csv.gz",
    "credit_default_taiwan.csv.gz",
    "german_credit.csv.gz",
    "nist_ma2019.csv.gz",
    "nltcs.csv.gz",
    "texas_hospital_1k.csv.gz",
]
UGLY = pd.DataFrame(
    {
        "a name": ["", "NA", "None", "nan", "007", "1.0", "NULL", "\\N"],
        'te"xt': ["a,b", 'say "x"', "two\nlines", " blanks ", "ü漢", "?", "", "\r\n"],
        "A NAME": ["#", "'", "''", '"', "\t", ";", "|", ","],
    }
)


def schema_of(frame: pd.DataFrame) -> Schema:
    """Every text a category of its own, so that no two cells can be taken for each other."""
    columns = [
        {"name": name, "type": "categorical", "categories": sorted({"unseen", *frame[name]})}
        for name in frame
    ]
    return Schema.from_dict({"name": "ugly", "columns": columns})


def assert_same_records(path: Path, schema: Schema) -> None:
    everything = schema.domain.attributes
    memory = CodeCounts.of(schema.encode(read_table(path)), schema.domain)
    with read_counts(path, schema) as disk:
        assert len(disk) == len(memory)
        for found, expected in zip(
            disk.occupied(everything), memory.occupied(everything), strict=True
        ):
            assert np.array_equal(found, expected)


@pytest.mark.skipif(FOLDER is None, reason=NOT_SET)
@pytest.mark.parametrize("name", REAL)
def test_a_real_file_holds_the_same_records_as_in_memory(name: str) -> None:
    path = Path(str(FOLDER)) / name
    schema = Schema.load(path.with_name(f"{name.split('.')[0]}.meta.json"))
    kept = [column.name for column in schema.columns if column.type != "id"]
    assert_same_records(path, schema.select(kept))


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "CSV"])
def test_awkward_cells_are_read_as_they_are(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"what*[is]? ü'{ending[0]}.{ending}"
    write_table(UGLY, path)
    (tmp_path / f"what is ü'{ending[0]}.{ending}").write_bytes(b"the pattern does not match this")
    assert_same_records(path, schema_of(UGLY))


@pytest.mark.parametrize(
    "content",
    [
        b'a,b\n1,2\n,NA\n"",x\n',
        b'\xef\xbb\xbfa,b\r\n1,2\r\n3,"z\r\nw"\r\n',
        b"\n\na,b\n1,2\n\n3,4\n\n",
        b"a,b\n1,2",
        b"a,b\n",
        b'"b\nx",b\n1,2\n',
        b'b\na\n\n""\nb\n',
    ],
)
def test_files_are_cut_into_records_as_in_memory(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert_same_records(path, schema_of(read_table(path)))
    zipped = tmp_path / "t.csv.gz"
    zipped.write_bytes(gzip.compress(content[:5]) + gzip.compress(content[5:]))
    assert_same_records(zipped, schema_of(read_table(path)))


def test_parquet_values_are_read_as_text_of_any_type(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None, -3], dtype="Int64"),
            "r": pd.Series([0.5, np.nan, 1e20], dtype="Float64"),
            "f": np.array([0.1, 0.2, 0.3], dtype=np.float32),
            "b": [True, False, True],
            "day": [date(2020, 1, 1), None, date(1999, 12, 31)],
            "at": [datetime(2020, 1, 1, 12, 30, tzinfo=UTC)] * 3,
            "price": [Decimal("1.50"), None, Decimal("2.00")],
            "list": [[1, 2], None, [3]],
            "N": ["in another case", "", None],
        }
    )
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    assert_same_records(path, schema_of(read_table(path)))


def test_batches_and_the_choice_and_order_of_columns_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 300, (5000, 4)).astype(str), columns=list("abcd"))
    monkeypatch.setattr(duckdb, "BATCH", 999)
    for ending in ("csv", "parquet"):
        write_table(frame, tmp_path / f"t.{ending}")
        assert_same_records(tmp_path / f"t.{ending}", schema_of(frame).select(["d", "b"]))


BROKEN = [
    ("t.csv", b"a,b\n1,2\n7777\n", "one cell for each of the 2 columns"),
    ("t.csv", b"a,b\n1,2\n7777,8,9\n", "one cell for each of the 2 columns"),
    ("t.csv", b"a,b\n" + b"1,2\n" * 100_000 + b"7777\n", "one cell for each of the 2 columns"),
    ("t.csv", b'a,b\n1,"7777\n', "with quotes closed"),
    ("t.csv", b"a,b\n" + b"1,2\n" * 9999 + b"77,\xff,77\n", "must be UTF-8 text"),
    ("t.csv", b"\xffa,b\n", "must be UTF-8 text"),
    ("t.csv", b"\n\n", "is empty; its first line must name the columns"),
    ("t.csv", b"a,a\n1,2\n", "column 'a' stands twice"),
    ("t.csv", b"a,\n1,2\n", "a column has no name"),
    ("t.csv", b"a,c\n1,2\n", "lacks column 'b', which the schema names"),
    ("t.csv", b"\x1f\x8bno gzip at all", "is a damaged gzip file"),
    ("t.csv.gz", gzip.compress(b"a,b\n" + os.urandom(9999).hex().encode())[:-99], "whole"),
    ("t.parquet", b"PAR1", "is not a Parquet file, or a damaged one"),
    ("t.xlsx", b"", r"must end in .csv, .csv.gz or .parquet"),
]


@pytest.mark.parametrize(("name", "content", "fault"), BROKEN)
def test_a_file_that_is_no_table_is_refused_without_showing_a_cell(
    name: str, content: bytes, fault: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    schema = schema_of(pd.DataFrame({"a": ["1"], "b": ["2"]}))
    with pytest.raises(InputError) as caught:
        read_counts(path, schema, folder=tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert fault in message
    assert "7777" not in message
    assert "\n" not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert list(tmp_path.iterdir()) == [path]


def test_an_absent_file_and_identifiers_are_refused(tmp_path: Path) -> None:
    schema = schema_of(pd.DataFrame({"a": ["1"]}))
    for name in ("t.csv", "t.parquet"):
        with pytest.raises(InputError, match="cannot be read: No such file"):
            read_counts(tmp_path / name, schema)
    named = Schema.from_dict({"name": "t", "columns": [{"name": "a", "type": "id"}]})
    with pytest.raises(SchemaError, match="identifiers are never synthesized"):
        read_counts(tmp_path / "t.csv", named)


def test_without_duckdb_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    (tmp_path / "t.csv").write_bytes(b"a\n1\n")
    with pytest.raises(InputError, match=r"pip install '\.\[bigdata\]'"):
        read_counts(tmp_path / "t.csv", schema_of(pd.DataFrame({"a": ["1"]})))


def test_counting_needs_duckdb_only_for_files() -> None:
    code = "import sys, dp_synth.counting; print([m for m in ('duckdb',) if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_duckdb_neither_spills_cells_to_disk_nor_draws_on_standard_output() -> None:
    settings = "SELECT current_setting('temp_directory'), current_setting('enable_progress_bar')"
    with duckdb._connect() as connection:
        assert connection.sql(settings).fetchall() == [("", False)]


def test_a_file_that_duckdb_has_no_memory_for_is_read_by_the_slower_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(duckdb._SETTINGS, "memory_limit", "10MB")
    write_table(pd.DataFrame({"a": ["7" * 1_000_000] * 20}), tmp_path / "t.csv")
    assert_same_records(tmp_path / "t.csv", schema_of(pd.DataFrame({"a": ["7"]})))


MEASURED = """
import sys
from resource import RUSAGE_SELF, getrusage
import duckdb, pyarrow.csv, pyarrow.parquet
from dp_synth.counting import read_counts
from dp_synth.schema import Schema
schema = Schema.from_dict({"name": "t", "columns": [
    {"name": name, "type": "ordinal", "size": 200} for name in "abcdefgh"]})
before = getrusage(RUSAGE_SELF).ru_maxrss
counts = read_counts(sys.argv[1], schema)
pairs = [(one, other) for one in "abcdefgh" for other in "abcdefgh" if one < other]
assert all(marginal.sum() == len(counts) for marginal in counts.marginals(pairs))
print(len(counts), (getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss has other units")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    table = pa.table({name: rng.integers(0, 200, 100_000) for name in "abcdefgh"})
    path = tmp_path / "t.parquet"
    with parquet.ParquetWriter(path, table.schema) as writer:
        writer.write_table(pa.concat_tables([table] * 15), row_group_size=1_500_000)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True
    )
    # 96 MB of integers in one row group, 700 MB as Python's text.
    records, megabytes = done.stdout.split()
    assert records == "1500000"
    assert float(megabytes) < 150
