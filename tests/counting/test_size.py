"""A table's size is told before it is read, and what hides its size is read within bounds."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from dp_synth.accounting import PrivacyBudget
from dp_synth.cli import main
from dp_synth.counting import is_larger_than_memory, records, size
from dp_synth.counting.size import asked_memory, check_room, memory_limit, size_of
from dp_synth.datasets import read_table, write_table
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.synthesizers import Independent, reading

SCHEMA = Schema.from_dict(
    {"name": "t", "columns": [{"name": "a", "type": "categorical", "categories": ["x", "y"]}]}
)
BUDGET = PrivacyBudget(1.0, 1e-6)


def written(path: Path, rows: int) -> Path:
    """A column of one text, which takes next to no bytes in a compressed file."""
    if path.suffix == ".parquet":
        parquet.write_table(pa.table({"a": pa.array(["x"] * rows)}), path)
    else:
        path.write_bytes(gzip.compress(b"a\n" + b"x\n" * rows))
    return path


def hiding(path: Path, rows: int) -> Path:
    """Short cells first, which say nothing of what follows."""
    if path.suffix == ".parquet":
        cells = ["x"] * 2000 + ["z" * 1000] * rows
        parquet.write_table(pa.table({"a": pa.array(cells)}), path)
    else:
        path.write_bytes(noise() + gzip.compress(b"x" * rows, 1))
    return path


@cache
def noise() -> bytes:
    noise = np.random.default_rng(0).integers(33, 127, 9_000_000, dtype=np.uint8)
    noise[::20] = ord("\n")
    return gzip.compress(b"a\n" + noise.tobytes(), 1)


@pytest.mark.parametrize("ending", ["parquet", "csv.gz"])
def test_a_short_file_of_many_records_is_judged_by_its_records(ending: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"t.{ending}", 1_000_000)
    assert path.stat().st_size < 20_000
    assert is_larger_than_memory(path, 20_000_000)
    assert not is_larger_than_memory(path, 100_000_000)
    assert not is_larger_than_memory(path)


def test_the_end_of_a_compressed_file_counts_where_its_beginning_says_nothing(
    tmp_path: Path,
) -> None:
    path = hiding(tmp_path / "t.csv.gz", 40_000_000)
    assert size_of(path).text < 20_000_000
    assert is_larger_than_memory(path, 150_000_000)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_sizes_are_close_to_those_of_the_table(ending: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 1000, (100_000, 4)), columns=list("abcd"))
    write_table(frame, tmp_path / f"t.{ending}")
    found, text = size_of(tmp_path / f"t.{ending}"), len(frame.to_csv(index=False))
    assert found.columns == 4
    assert found.rows == pytest.approx(100_000, rel=0.01)
    assert found.text == pytest.approx(text, rel=0.02)


def test_what_cannot_be_looked_at_is_not_larger_and_says_why_when_it_is_read(
    tmp_path: Path,
) -> None:
    for name, content in (("t.parquet", b"PAR1"), ("t.csv.gz", b"\x1f\x8bno"), ("u.csv", b"")):
        (tmp_path / name).write_bytes(content)
        assert not is_larger_than_memory(tmp_path / name, 1)
        with pytest.raises(InputError, match=r"is not a Parquet|is a damaged gzip|is empty"):
            read_table(tmp_path / name)
    assert not is_larger_than_memory("-", 1)


@pytest.mark.parametrize(
    ("text", "size_in_bytes"),
    [("4GB", 4 * 10**9), ("1.5 g", 1_500_000_000), ("200 MB", 2 * 10**8), ("7", 7), ("", None)],
)
def test_the_memory_for_tables_can_be_said(
    text: str, size_in_bytes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DP_SYNTH_MEMORY", text)
    assert asked_memory() == size_in_bytes
    assert size_in_bytes is None or memory_limit() == size_in_bytes


def test_a_share_of_what_is_available_is_taken_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DP_SYNTH_MEMORY", raising=False)
    monkeypatch.setattr(size, "_available", lambda: 10**9)
    assert memory_limit() == 750_000_000


@pytest.mark.parametrize("text", ["lots", "-1GB", "0", "4 GB or so", "1e9"])
def test_what_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DP_SYNTH_MEMORY", text)
    with pytest.raises(InputError, match="DP_SYNTH_MEMORY must be a size such as 4GB"):
        memory_limit()


@pytest.mark.parametrize("ending", ["parquet", "csv.gz"])
def test_a_fit_streams_by_the_number_of_records(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("duckdb", reason="the extra 'bigdata' is not installed")
    path = written(tmp_path / f"t.{ending}", 100_000)
    expected = Independent().fit(path, SCHEMA, BUDGET, seed=0).sample(50, seed=0)
    monkeypatch.setenv("DP_SYNTH_MEMORY", "1MB")
    monkeypatch.setattr(reading, "read_table", None)
    assert Independent().fit(path, SCHEMA, BUDGET, seed=0).sample(50, seed=0).equals(expected)


def test_an_open_schema_has_its_table_read_whole_while_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [{"name": "a", "type": "categorical", "categories": ["y"], "open": True}]
    schema = Schema.from_dict({"name": "t", "columns": columns})
    monkeypatch.setattr(records, "LARGEST_IN_MEMORY", 0)
    path = written(tmp_path / "t.parquet", 3000)
    release = Independent().fit(path, schema, BUDGET, seed=0)
    assert set(release.sample(50, seed=0)["a"]) == {"x"}


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_table_without_room_is_refused_before_it_is_read(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"t.{ending}"
    write_table(pd.DataFrame({"a": ["7777"] * 100_000, "b": "8888"}), path)
    assert len(read_table(path)) == 100_000
    monkeypatch.setenv("DP_SYNTH_MEMORY", "2MB")
    told = (
        r"t\.\S+: about 100,000 rows x 2 columns need about 7.2 MB of memory, and 2.0 MB may be "
        "taken; take a part of it, or set DP_SYNTH_MEMORY$"
    )
    with pytest.raises(InputError, match=told) as caught:
        read_table(path)
    assert "7777" not in str(caught.value)


def test_tables_that_are_read_together_share_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rows in (("a", 1000), ("b", 2000)):
        write_table(pd.DataFrame({"a": ["x"] * rows}), tmp_path / f"{name}.csv")
    monkeypatch.setenv("DP_SYNTH_MEMORY", "50kB")
    check_room(tmp_path / "b.csv")
    with pytest.raises(
        InputError, match=r"b\.csv: about 2,000 rows x 1 column need .* 0.1 MB with"
    ):
        check_room(tmp_path / "a.csv", None, "-", tmp_path / "b.csv", tmp_path / "no.csv")


HIDDEN = """
import sys
from resource import RUSAGE_SELF, getrusage
import pyarrow.csv, pyarrow.parquet
from dp_synth.datasets import read_table
from dp_synth.errors import InputError
before = getrusage(RUSAGE_SELF).ru_maxrss
try:
    read_table(sys.argv[1])
except InputError as error:
    print(error)
print((getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss has other units")
@pytest.mark.parametrize("ending", ["csv.gz", "parquet"])
def test_a_file_that_hides_its_length_is_left_once_it_is_too_long(
    ending: str, tmp_path: Path
) -> None:
    path = hiding(tmp_path / f"t.{ending}", 80_000_000 if ending == "csv.gz" else 120_000)
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "DP_SYNTH_MEMORY": "60MB"},
    )
    told, megabytes = done.stdout.splitlines()
    assert told.startswith(f"{path}: needs more memory than the 60.0 MB that may be taken; take")
    assert float(megabytes) < 75  # of 80 and 120 MB of text


def test_so_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DP_SYNTH_MEMORY", "4MB")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n" + b"x\n" * 10**6)))
    with pytest.raises(InputError, match=r"^standard input: needs more memory than the 4\.0 MB"):
        read_table("-")


@pytest.mark.parametrize(
    ("command", "memory"),
    [  # reading alone takes 25 MB, comparing 400 MB
        ("evaluate --real T --holdout T --synthetic T --schema S", "100MB"),
        ("attack --members T --non-members T --synthetic T --schema S", "100MB"),
        ("schema draft T", "10MB"),
        ("schema check T S", "10MB"),
        ("audit --epsilon 1 --delta 1e-6 --data T --schema S", "10MB"),
    ],
)
def test_each_command_that_reads_tables_whole_says_so_in_one_line(
    command: str,
    memory: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = written(tmp_path / "t.parquet", 1_000_000)
    (tmp_path / "s.json").write_text(SCHEMA.model_dump_json(exclude_unset=True))
    monkeypatch.setenv("DP_SYNTH_MEMORY", memory)
    places = {"T": str(path), "S": str(tmp_path / "s.json")}
    assert main([places.get(word, word) for word in command.split()]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert f"{path}: about 1,000,000 rows x 1 column need about" in told.err


def test_records_without_end_are_refused_and_long_ones_read_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    from dp_synth import frames

    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"a": [[1] * 1000] * 100}), path)
    assert path.stat().st_size < 5000
    monkeypatch.setattr(frames, "MOST_BYTES", 100_000)
    batches = [batch.num_rows for batch in frames.parquet_batches(path, ["a"], 1000)]
    assert sum(batches) == 100
    assert max(batches) < 13
    monkeypatch.setattr(frames, "LARGEST_RECORD", 5000)
    with pytest.raises(InputError, match=r"t\.parquet: a record takes .* GB of memory"):
        read_table(path)
