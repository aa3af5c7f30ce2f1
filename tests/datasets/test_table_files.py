"""Table files: every cell text, all or nothing on the way out, one clear line on the way in."""

import gzip
import io
import sys

import numpy as np
import pandas as pd
import pytest

from dp_synth.datasets import read_table, write_table
from dp_synth.errors import InputError

AWKWARD = pd.DataFrame(
    {
        "a name": ["", "NA", "None", "nan", "007", "1.0"],
        "text": ["a,b", 'say "x"', "two\nlines", " blanks ", "ü", "?"],
    }
)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "CSV"])
def test_text_survives_a_round_trip(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    write_table(AWKWARD, path)
    back = read_table(path)
    assert back.to_dict("list") == AWKWARD.to_dict("list")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_values_beside_missing_marks_are_written_as_text(tmp_path, ending):
    mixed = pd.DataFrame({"x": pd.Series([1, "N", 2.5], dtype=object), "y": [1, 2, 3]})
    write_table(mixed, tmp_path / f"t.{ending}")
    back = read_table(tmp_path / f"t.{ending}")
    assert back.to_dict("list") == {"x": ["1", "N", "2.5"], "y": ["1", "2", "3"]}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_without_records_keeps_its_columns(tmp_path, ending):
    write_table(AWKWARD.head(0), tmp_path / f"t.{ending}")
    back = read_table(tmp_path / f"t.{ending}")
    assert list(back) == list(AWKWARD)
    assert len(back) == 0


def test_a_single_column_keeps_its_empty_cells(tmp_path):
    write_table(pd.DataFrame({"x": ["a", "", "b", ""]}), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv")["x"].tolist() == ["a", "", "b", ""]


def test_parquet_values_are_read_as_text_and_nulls_as_empty_text(tmp_path):
    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "r": [0.5, np.nan]})
    frame["r"] = frame["r"].astype("Float64")
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").to_dict("list") == {"n": ["1", ""], "r": ["0.5", ""]}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty; its first line must name the columns"),
        (b"\n\n", "is empty"),
        (b"a,b\n1,2\n7777\n", "every record must have one cell for each of the 2 columns"),
        (b"a,b\n1,2\n7777,8,9\n", "every record must have one cell for each of the 2 columns"),
        (b"a,a\n1,2\n", "column 'a' stands twice"),
        (b"a,\n1,2\n", "a column has no name"),
        (b"a\xff\n7777\n", "must be UTF-8 text"),
        (b"\x1f\x8bno gzip at all", "is a damaged gzip file"),
    ],
)
def test_a_file_that_is_no_table_is_refused_without_showing_a_cell(tmp_path, content, fault):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_table(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert fault in message
    assert "7777" not in message
    assert "\n" not in message


def test_absent_files_and_unknown_endings_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"t\.csv: cannot be read: No such file"):
        read_table(tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"must end in \.csv, \.csv\.gz, \.parquet"):
        read_table(tmp_path / "t.ods")
    with pytest.raises(InputError, match="must end in"):
        write_table(AWKWARD, tmp_path / "t.ods")
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="is not a Parquet file"):
        read_table(tmp_path / "t.parquet")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    write_table(AWKWARD, path)
    before = path.read_bytes()

    def full_disk(*_places: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_table(AWKWARD.head(1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_one_table_gives_one_compressed_file(tmp_path):
    write_table(AWKWARD, tmp_path / "a.csv.gz")
    write_table(AWKWARD, tmp_path / "b.csv.gz")
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).startswith(b"a name,text\n")


def test_a_minus_sign_means_standard_input_and_output(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfx,y\n1,NA\n")))
    frame = read_table("-")
    assert frame.to_dict("list") == {"x": ["1"], "y": ["NA"]}
    write_table(frame, "-")
    assert capsys.readouterr().out == "x,y\n1,NA\n"
