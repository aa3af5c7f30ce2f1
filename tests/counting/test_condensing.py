"""Records that repeat are held once with their number: the counts of all of them, from any file."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from dp_synth.counting import CodeCounts, Counts, PrivateRecords, condensing, duckdb, read_records
from dp_synth.counting.columns import DiskColumns, MemoryColumns
from dp_synth.counting.condensing import CodesWriter
from dp_synth.counting.marginals import grouped
from dp_synth.datasets import read_table
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.types import Clique, Codes

SIZES = (3, 70_000, 5, 2**30, 2**31)  # which two words number
DOMAIN = Domain(tuple("abcde"), SIZES)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let short tables be as long ones."""
    for name, lines in (("CHUNK", 64), ("MIN_LINES", 10), ("LINES_SPILLED", 7)):
        monkeypatch.setattr(condensing, name, lines)


def repeated(kinds: int, records: int, seed: int = 0) -> Codes:
    rng = np.random.default_rng(seed)
    lines = rng.integers(0, SIZES, (kinds, len(SIZES)))
    return lines[rng.integers(0, kinds, records)].astype(np.int32)


def occupied(counts: Counts, clique: Clique) -> tuple[list[object], list[float]]:
    cells, held = counts.occupied(clique)
    return cells.tolist(), held.tolist()


def written(codes: Codes, *, in_order: bool = False) -> MemoryColumns | DiskColumns:
    writer = CodesWriter(SIZES, in_order=in_order)
    for start in range(0, len(codes), 37):
        writer.append(list(codes[start : start + 37].T))
    assert len(writer) == len(codes)
    return writer.finish()


@pytest.mark.parametrize(
    ("kinds", "kind"), [(1, MemoryColumns), (9, MemoryColumns), (10**6, DiskColumns)]
)
@pytest.mark.parametrize("records", [64, 300, 1000])
def test_counts_are_those_of_all_records(kinds: int, kind: type, records: int) -> None:
    codes = repeated(kinds, records)
    columns = written(codes)
    assert isinstance(columns, kind)
    counts, plain = CodeCounts(columns, DOMAIN), CodeCounts.of(codes, DOMAIN)
    assert len(counts) == len(plain) == records
    for clique in [(), ("b",), ("c", "a"), ("b", "a")]:
        assert counts.marginal(clique).tolist() == plain.marginal(clique).tolist()
    assert occupied(counts, tuple("abcde")) == occupied(plain, tuple("abcde"))
    counts.close()


@pytest.mark.parametrize("chunks", [1, 3, 8])
def test_lines_that_stop_repeating_go_to_disk_with_all_before_them(chunks: int) -> None:
    codes = np.concatenate([repeated(5, 64 * chunks), repeated(10**6, 64 * 20, seed=1)])
    columns = written(codes)
    assert isinstance(columns, DiskColumns)
    found = np.stack([c.astype(np.int64) for c in columns.read(range(5), 0, len(codes))], axis=1)
    assert sorted(found.tolist()) == sorted(codes.tolist())
    columns.close()


def test_lines_beside_others_and_short_tables_keep_their_order() -> None:
    for codes, in_order in [(repeated(2, 500), True), (repeated(2, 9), False)]:
        columns = written(codes, in_order=in_order)
        found = columns.read(range(5), 0, len(codes))
        assert [one.tolist() for one in found] == codes.T.tolist()
        columns.close()


def test_lines_are_told_apart_where_their_mixed_numbers_are_equal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    words, weights = list(rng.integers(0, 3, (2, 100))), rng.integers(1, 5, 100).astype(float)
    expected = grouped(words, weights)
    monkeypatch.setattr("dp_synth.counting.marginals._mixed", lambda words: 0 * words[0])
    found = grouped(words, weights)
    tables = []
    for (first, second), counts in (expected, found):
        tables.append(sorted(zip(first.tolist(), second.tolist(), counts.tolist(), strict=True)))
    assert tables[0] == tables[1]
    assert len(tables[0]) == 9


SCHEMA = {
    "name": "t",
    "columns": [
        {"name": "word", "type": "categorical", "categories": ["x", "y"], "missing": ["?"]},
        {"name": "code", "type": "ordinal", "size": 3},
        {"name": "whole", "type": "integer", "lower": 0, "upper": 50_000},
        {"name": "real", "type": "real", "lower": -1, "upper": 1, "missing": ["nan", "-99.9"]},
        {"name": "plain", "type": "real", "lower": 0, "upper": 1},
    ],
}


def long_table(records: int) -> pa.Table:
    """Return records that repeat, with nulls, unseen categories and cells out of bounds."""
    rng = np.random.default_rng(0)
    kinds = {
        "word": pa.array(["x", "y", "?", None, "z"]),
        "code": pa.array([0, 2, None, 7, 1]),
        "whole": pa.array([17, 49_999, None, -5, 10**6]),
        "real": pa.array([0.25, float("nan"), None, -99.9, float("inf")]),
        "plain": pa.array([0.1, float("nan"), None, float("-inf"), 0.9]),
    }
    chosen = pa.array(rng.integers(0, 5, records))
    others = pa.array(rng.integers(0, 5, records))
    return pa.table(
        {name: cells.take(others if name == "real" else chosen) for name, cells in kinds.items()}
    )


@pytest.mark.parametrize("records", [9, 1000])
def test_a_long_file_has_the_counts_and_misfits_of_its_table_in_memory(
    records: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb, "BATCH", 50)
    schema, path = Schema.from_dict(SCHEMA), tmp_path / "t.parquet"
    parquet.write_table(long_table(records), path, row_group_size=70)
    memory = PrivateRecords.of(read_table(path), schema)
    with read_records(path, schema) as streamed:
        assert (len(streamed._columns) < records) == (records == 1000)
        names = memory.counts.domain.attributes
        for clique in [*combinations(names, 1), ("word", "code"), ("code", "real")]:
            found = streamed.counts.marginal(clique)
            assert found.tolist() == memory.counts.marginal(clique).tolist(), clique
        assert occupied(streamed.counts, names) == occupied(memory.counts, names)
        assert streamed.misfits.counts() == memory.misfits.counts()
        assert streamed.misfits.records == records


def test_integers_are_coded_alike_whether_or_not_they_are_coded_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb, "BATCH", 40)
    rng = np.random.default_rng(0)
    fields = {
        "name": "x",
        "type": "integer",
        "lower": -(10**9),
        "upper": 10**9,
        "missing": ["-2000000000"],
    }
    schema = Schema.from_dict({"name": "t", "columns": [fields]})
    parts = [rng.integers(-c, c, 40) for c in (10, 300, 200, 10**6, 500, 2**62, 400)]
    sorted_parts = np.arange(0, 800) - 100
    cells = np.concatenate([*parts, sorted_parts, [2**63 - 1, -(2**63), -2 * 10**9]])
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"x": cells}), path)
    memory = PrivateRecords.of(read_table(path), schema)
    for most in (2**21, 256, 1):
        monkeypatch.setattr(duckdb, "MOST_CODED", most)
        with read_records(path, schema) as streamed:
            assert np.array_equal(streamed.counts.marginal(("x",)), memory.counts.marginal(("x",)))
            assert streamed.misfits.counts() == memory.misfits.counts()


def test_answers_from_disk_are_kept_and_told_by_wider_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes = repeated(10**6, 300)
    counts = CodeCounts(written(codes), DOMAIN)
    plain = CodeCounts.of(codes, DOMAIN)
    groups = {"b": (np.arange(70_000) // 20_000).astype(np.int32)}
    coarse = counts.coarsened(groups)
    pair = coarse.marginal(("a", "b"))
    expected = plain.coarsened(groups).marginals([("b",), ("a",), ("b", "a"), ()])
    pair[:] = -1  # what is handed out is the caller's own
    assert counts.coarsened({"b": groups["b"].copy()}) is coarse
    monkeypatch.setattr(CodeCounts, "_count", lambda *_: [])  # nothing is read again
    for one, other in zip(
        coarse.marginals([("b",), ("a",), ("b", "a"), ()]), expected, strict=True
    ):
        assert one.tolist() == other.tolist()
    assert counts.coarsened({"b": groups["b"][::-1].copy()}) is not coarse
    counts.close()


def test_a_file_that_changes_while_it_is_read_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb, "BATCH", 50)
    schema, path = Schema.from_dict(SCHEMA), tmp_path / "t.parquet"
    parquet.write_table(long_table(400), path, row_group_size=100)
    encode = duckdb.Encoder.encode

    def writing(self: duckdb.Encoder, cells: duckdb.Texts) -> np.ndarray:
        if path.stat().st_size > 10:
            path.write_bytes(b"PAR1")
        return encode(self, cells)

    monkeypatch.setattr(duckdb.Encoder, "encode", writing)
    with pytest.raises(InputError, match=r"t\.parquet: [^\n]*$"):
        read_records(path, schema)


def test_a_file_replaced_by_one_without_a_column_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema, path = Schema.from_dict(SCHEMA), tmp_path / "t.parquet"
    parquet.write_table(long_table(40), path)
    places = duckdb._places

    def replacing(*given: object) -> list[int]:
        found = places(*given)  # type: ignore[arg-type]
        parquet.write_table(long_table(40).select(["word"]), path)
        return found

    monkeypatch.setattr(duckdb, "_places", replacing)
    with pytest.raises(InputError, match=r"t\.parquet: [^\n]*$"):
        read_records(path, schema)
