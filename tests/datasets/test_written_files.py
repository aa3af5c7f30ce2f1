"""Tables written in blocks: the bytes that pandas would write, whole or not at all."""

from __future__ import annotations

import errno
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from dp_synth.datasets import read_table, tables, write_blocks, write_table
from dp_synth.dialect import Dialect
from dp_synth.errors import InputError
from dp_synth.schema import Schema

COUNT = 500


def columns() -> dict[str, object]:
    """Return a column of every kind that a frame may have, with what is odd in it."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=COUNT) * 10.0 ** rng.integers(-12, 25, COUNT)
    numbers[:9] = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-5, 1e16, 12345678901.5, 5e-324]
    mixed = np.array([1, 2, "?", "", 3.5, None, np.nan, True], dtype=object)
    seconds = rng.integers(0, 99_999, COUNT).astype("timedelta64[s]")
    return {
        "whole": rng.integers(-5, 5, COUNT),
        "narrow": rng.integers(0, 255, COUNT).astype(np.uint8),
        "real": numbers,
        "rounded": np.rint(rng.normal(size=COUNT) * 50),
        "decimals": np.round(rng.random(COUNT) * 1e4, 2),
        "text": rng.choice(["a,b", 'q"u', "n\nl", "", "é", "plain", " pad "], COUNT),
        "mixed": rng.choice(mixed, COUNT),
        "listed": pd.Categorical(rng.choice(["u", 'v"', "w,", None], COUNT)),
        "numbered": pd.Categorical(rng.choice([1.0, 2.5], COUNT)),
        "moment": np.datetime64("2020-01-01T00:00:00") + seconds,
        "day": np.datetime64("2020-01-01") + rng.integers(0, 9, COUNT).astype("timedelta64[D]"),
        "truth": rng.random(COUNT) < 0.5,
        "nullable": pd.array(rng.choice([1, 2, None], COUNT), dtype="Int64"),
        "str": pd.Series(rng.choice(["a", None, "b"], COUNT), dtype="str"),
        "float32": rng.normal(size=COUNT).astype(np.float32),
    }


FRAME = pd.DataFrame(columns())
RANDOM = np.random.default_rng(1)


def by_pandas(frame: pd.DataFrame, separator: str = ",") -> bytes:
    return frame.to_csv(index=False, lineterminator="\n", sep=separator).encode()


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BLOCK", 64)


@pytest.mark.parametrize("name", FRAME.columns)
def test_a_column_alone_or_beside_another_is_written_as_pandas_does(
    name: str, tmp_path: Path
) -> None:
    for frame in (FRAME[[name]], FRAME[[name, "whole"]], FRAME[["whole", name]]):
        for part in (frame, frame.head(0), frame.head(1)):
            write_table(part.set_axis([f"{n}, yes" for n in part], axis=1), tmp_path / "t.csv")
            expected = by_pandas(part.set_axis([f"{n}, yes" for n in part], axis=1))
            assert (tmp_path / "t.csv").read_bytes() == expected


@pytest.mark.parametrize("power", range(-8, 20, 3))
def test_real_numbers_of_any_size_have_the_digits_that_python_gives(
    power: int, tmp_path: Path
) -> None:
    numbers = RANDOM.random(2_000) * 10.0**power
    numbers[::7] = np.round(numbers[::7], 2)
    write_table(pd.DataFrame({"x": numbers}), tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text().splitlines()[1:]
    assert lines == list(map(repr, numbers.tolist()))


def test_another_separator_and_encoding_are_those_of_the_whole_file(tmp_path: Path) -> None:
    dialect = Dialect(separator=";", encoding="utf-16")
    write_table(FRAME[["text", "whole"]], tmp_path / "t.csv", dialect)
    expected = by_pandas(FRAME[["text", "whole"]], ";").decode().encode("utf-16")
    assert (tmp_path / "t.csv").read_bytes() == expected


def test_a_zipped_file_is_one_member_without_a_time(tmp_path: Path) -> None:
    write_table(FRAME, tmp_path / "t.csv.gz")
    expected = zlib.compress(by_pandas(FRAME), 9, wbits=31)
    assert (tmp_path / "t.csv.gz").read_bytes() == expected


def test_a_carriage_return_is_quoted_where_it_stands(tmp_path: Path) -> None:
    write_table(pd.DataFrame({"x": ["a\rb", "c"], "y": ["d", "e"]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b'x,y\n"a\rb",d\nc,e\n'
    assert read_table(tmp_path / "t.csv")["x"].tolist() == ["a\rb", "c"]


def test_standard_output_takes_the_same_bytes(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write_table(FRAME[["text", "whole"]], "-")
    assert capfdbinary.readouterr().out == by_pandas(FRAME[["text", "whole"]])


def test_a_parquet_file_of_blocks_has_the_kinds_of_the_first(tmp_path: Path) -> None:
    kept = FRAME[["whole", "real", "text", "listed", "moment", "truth", "nullable"]]
    blocks = (kept.iloc[start : start + 64] for start in range(0, COUNT, 64))
    write_blocks(blocks, tmp_path / "t.parquet")
    kept.to_parquet(tmp_path / "once.parquet")
    made, once = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("t", "once"))
    pd.testing.assert_frame_equal(made, once)
    assert parquet.ParquetFile(tmp_path / "t.parquet").metadata.num_row_groups == 8


def test_no_more_than_a_block_is_held(tmp_path: Path) -> None:
    """Each block is asked for when the one before it is in the file."""
    sizes: list[int] = []
    (tmp_path / "folder").mkdir()

    def blocks() -> Iterator[pd.DataFrame]:
        for _ in range(40):
            passing = list((tmp_path / "folder").iterdir())
            sizes.append(passing[0].stat().st_size if passing else 0)
            yield pd.DataFrame({"x": np.full(20_000, 7)})

    write_blocks(blocks(), tmp_path / "folder" / "t.csv")
    assert sizes == sorted(sizes)
    assert sizes[-1] > 20 * 20_000


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_disk_that_fills_on_the_way_leaves_what_was_there_and_is_told_by_the_files_name(
    ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"t.{ending}"
    path.write_text("as it was")

    def blocks() -> Iterator[pd.DataFrame]:
        yield FRAME[["whole"]]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left on device") as caught:
        write_blocks(blocks(), path)
    assert caught.value.filename == str(path)
    assert path.read_text() == "as it was"
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_full_disk_is_told_by_the_files_name(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened = tmp_path / f"t.{ending}", Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *how: opened(Path("/dev/full"), *how) if how else opened(self)
    )
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_table(pd.DataFrame({"x": RANDOM.random(9_999)}), path)
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_standard_output_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        buffer = property(lambda self: self)

        def isatty(self) -> bool:
            return False

        def flush(self) -> None: ...

        def write(self, content: bytes) -> None:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError, match="Broken pipe: 'standard output'"):
        write_table(FRAME, "-")


def test_signs_that_an_encoding_lacks_are_refused_or_replaced(tmp_path: Path) -> None:
    frame, dialect = pd.DataFrame({"x": ["a", "é"]}), Dialect(encoding="ascii")
    with pytest.raises(InputError, match="ascii has no sign for a text"):
        write_table(frame, tmp_path / "t.csv", dialect)
    assert list(tmp_path.iterdir()) == []
    write_blocks([frame], tmp_path / "t.csv", dialect, lossy=True)
    assert (tmp_path / "t.csv").read_bytes() == b"x\na\n?\n"
    with pytest.raises(InputError, match="utf-8 has no sign for a text"):
        write_table(pd.DataFrame({"x": ["a", "\ud800"]}, dtype=object), tmp_path / "u.csv")


@pytest.mark.parametrize(
    ("column", "lacks"),
    [
        ({"type": "categorical", "categories": ["é"]}, False),
        ({"type": "categorical", "categories": ["€"]}, True),
        ({"type": "integer", "lower": 0, "upper": 9, "missing": ["€"]}, True),
        ({"type": "real", "lower": 0, "upper": 9, "format": {"suffix": " €"}}, True),
        ({"type": "real", "lower": 0, "upper": 9, "format": {"thousands": "\u202f"}}, True),
        ({"type": "datetime", "lower": "2020-01-01", "upper": "2021-01-01",
          "format": "%d€%m€%Y"}, True),
    ],
)  # fmt: skip
def test_what_an_encoding_cannot_write_is_known_from_the_schema(
    column: dict[str, object], lacks: bool
) -> None:
    content = {
        "name": "t",
        "dialect": {"encoding": "latin-1"},
        "columns": [{"name": "x", **column}],
    }
    schema = Schema.from_dict(content)
    assert tables.lacking_signs(schema, "t.csv") == ["x"] * lacks
    assert tables.lacking_signs(schema, "t.parquet") == tables.lacking_signs(schema, "-") == []
