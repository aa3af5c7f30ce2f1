"""Blocks of Arrow arrays as distinct texts: those of `texts_of`, whatever came before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from dp_synth.counting import duckdb
from dp_synth.counting.duckdb import TextReader, Texts, encoders_of
from dp_synth.errors import InputError
from dp_synth.frames import parquet_batches, texts_of
from dp_synth.schema import Misfits, Schema

INTEGERS = [getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)]


def cells_of(found: Texts) -> list[str]:
    return [found.distinct[place] for place in found.places]


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_integers_are_written_as_they_are_wherever_they_lie(
    kind: pa.DataType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb, "MOST_WHOLE", 12)
    rng, reader = np.random.default_rng(0), TextReader()
    ends = np.iinfo(kind.to_pandas_dtype())
    lows = [int(ends.min), 0, 3, 20, int(ends.max) - 9]
    for _ in range(60):
        low, width = lows[rng.integers(len(lows))], rng.integers(1, 10)
        cells = [low + int(step) for step in rng.integers(0, width, rng.integers(0, 8))]
        cells += [None] * int(rng.integers(0, 2))
        column = pa.array(cells, kind)
        assert cells_of(reader.read(column)) == texts_of(column)


def test_equal_cells_share_their_texts_from_block_to_block() -> None:
    reader = TextReader()
    few = reader.read(pa.array([3, 5]))
    assert reader.read(pa.array([4, None, 3])).distinct is few.distinct
    more = reader.read(pa.array([9]))
    assert more.distinct is not few.distinct
    listed = [
        pa.array(cells).dictionary_encode() for cells in (["b", "a"], ["b", None, "a"], ["a"])
    ]
    one, other, third = map(reader.read, listed)
    assert one.distinct is other.distinct
    assert list(map(cells_of, (one, other, third))) == [["b", "a"], ["b", "", "a"], ["a"]]


def test_only_cells_that_occur_are_counted_as_misfits() -> None:
    columns = [{"name": "a", "type": "ordinal", "size": 4}]
    schema, misfits, reader = Schema.from_dict({"name": "t", "columns": columns}), Misfits(), None
    (encoder,) = encoders_of(schema, schema.domain, misfits).values()
    reader = TextReader()
    for cells in ([0, 9], [1, 2], [9, 9, 5], [None]):  # 4 to 8 are written, and do not occur
        encoder.encode(reader.read(pa.array(cells, pa.int64())))
    assert misfits.counts() == {("a", "unseen category"): 5}


@pytest.mark.parametrize("place", [2, -1])
def test_a_cell_that_is_no_place_of_its_list_is_a_damaged_file(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"a": ["x", "y", None]}), file)
    places = pa.array([0, None, place], pa.int32())
    damaged = pa.DictionaryArray.from_arrays(places, pa.array(["x", "y"]), safe=False)
    batch = pa.RecordBatch.from_arrays([damaged], ["a"])
    assert [len(one) for one in parquet_batches(file, ["a"], 10)] == [3]
    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", lambda *_, **__: iter([batch]))
    with pytest.raises(InputError, match=r"t\.parquet: "):
        list(parquet_batches(file, ["a"], 10))
