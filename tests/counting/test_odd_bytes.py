"""No cell of a file can stop its reading: odd bytes and long cells, in memory and streamed."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_counts import frame_of

from dp_synth.counting import duckdb, read_records
from dp_synth.counting.records import PrivateRecords
from dp_synth.datasets import read_table
from dp_synth.dialect import COMMON, Dialect
from dp_synth.errors import InputError, SchemaMismatch
from dp_synth.schema import Schema

pytest.importorskip("duckdb", reason="the extra 'bigdata' is not installed")


def both(path: Path, names: list[str], dialect: Dialect = COMMON) -> pd.DataFrame:
    """Return the cells, which both readers read alike."""
    memory = read_table(path, dialect)[names]
    streamed = list(map(frame_of, duckdb._read(path, names, dialect, list)))
    read = pd.concat(streamed) if streamed else memory.head(0)
    assert read.to_dict("list") == memory.to_dict("list")
    return memory


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_bytes_that_are_no_text_are_replaced_and_warned_of_without_a_cell(
    ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"t.{ending}"
    content = b"a,b\n" + b"1,2\n" * 50_000 + b"7777,caf\xe9\n\xff,\xe2\x82\n"
    path.write_bytes(gzip.compress(content) if ending == "csv.gz" else content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cells = both(path, ["a", "b"])
    assert cells["b"].tolist()[-2:] == ["caf\ufffd", "\ufffd"]
    assert cells["a"].tolist()[-2:] == ["7777", "\ufffd"]
    assert {one.category for one in caught} == {SchemaMismatch}
    assert len(caught) == 2
    for one in caught:
        assert str(one.message).startswith(f"{path}: some bytes of its cells are no UTF-8 text")
        assert "7777" not in str(one.message)
        assert "caf" not in str(one.message)


@pytest.mark.parametrize("length", [2**20 + 1, 3_000_000])
@pytest.mark.parametrize("dialect", [COMMON, Dialect(names=("a", "b"))])
def test_a_cell_may_be_of_any_length(length: int, dialect: Dialect, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" * dialect.has_header + f'{"z" * length},1\n"{"y" * length}",2\n1,2\n')
    assert both(path, ["a", "b"], dialect)["a"].map(len).tolist() == [length, length, 1]


@pytest.mark.parametrize("codec", ["cp1252", "utf-16", "ascii"])
def test_so_it_is_in_a_stated_encoding(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    odd = b"\x81" if codec != "utf-16" else b"\x00\xd8"  # half of a pair
    path.write_bytes("a,b\nx,y\n".encode(codec) + odd)
    end = "utf-16-le" if codec == "utf-16" else codec
    path.write_bytes(path.read_bytes() + ",1\n".encode(end))
    assert both(path, ["a", "b"], Dialect(encoding=codec))["b"].tolist() == ["y", "1"]


def test_lines_may_end_in_different_ways(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\na,b\r\n1,2\n3,4\r\n")
    assert both(path, ["a", "b"])["b"].tolist() == ["2", "4"]


PIECES = [b"x", b"1", b" ", b"\xff", b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\0", b"\xef\xbf\xbd"]


def test_random_bytes_in_quoted_cells_are_read_alike(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "t.csv"
    warnings.simplefilter("ignore", SchemaMismatch)
    for _ in range(5):
        cells = [
            b'"' + b"".join(rng.choice(np.array(PIECES, dtype=object), rng.integers(4))) + b'"'
            for _ in range(40)
        ]
        rows = [b",".join(cells[k : k + 2]) for k in range(0, 40, 2)]
        path.write_bytes(b"\n".join([b"a,b", *rows, b""]))
        assert len(both(path, ["b", "a"])) == 20


def test_a_header_with_odd_bytes_is_refused_with_a_hint_by_both(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\xe9\n7777,2\n")
    for read in (read_table, lambda path: duckdb._read(path, ["a"], COMMON, list)):
        with pytest.raises(InputError, match="must be UTF-8 text; else give --encoding") as caught:
            read(path)  # type: ignore[operator]
        assert "7777" not in str(caught.value)


def test_records_of_odd_files_are_those_in_memory(tmp_path: Path) -> None:
    columns = [{"name": "a", "type": "categorical", "categories": ["x", "y"], "missing": ["?"]}]
    schema = Schema.from_dict({"name": "t", "columns": columns})
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,u\nx,1\ny,\xff\n\xff,2\n" + b"z" * 3_000_000 + b",3\n")
    warnings.simplefilter("ignore", SchemaMismatch)
    memory = PrivateRecords.of(read_table(path), schema)
    with read_records(path, schema, unit="u") as streamed:
        found, expected = (records.counts.marginals([("a",)]) for records in (streamed, memory))
        assert [one.tolist() for one in found] == [one.tolist() for one in expected] == [[1, 1, 2]]
        assert streamed.misfits.counts() == memory.misfits.counts()
