"""What is exported is read back as it was, and says how it was made."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_cells import fake_cell

from dp_synth.benchmark import open_store, read_record_file, read_records, write_record_file
from dp_synth.benchmark.cell import Outcome, measured
from dp_synth.benchmark.store import gather, save
from dp_synth.errors import InputError
from dp_synth.records import ADDED, FILE_COLUMNS, RECORD_COLUMNS

OUTCOME = Outcome(
    (measured("tv2", 0.1 + 0.2, 0.4, 0.6), measured("auc", np.nan, 0, 1)),
    seconds=0.25,
    wall_seconds=1.5,
    peak_mb=100.0,
    budget="peer-declared",
)
DEEP = Path(__file__).parents[2] / "benchmarks" / "results" / "deep.jsonl"


@pytest.fixture
def records(tmp_path):
    store = open_store(tmp_path / "store")
    cells = [fake_cell(0, tmp_path), fake_cell(1, tmp_path)]
    cells.append(fake_cell(2, tmp_path, synthesizer="real_rows", epsilon=None))
    for cell, outcome in zip(
        cells, (OUTCOME, Outcome(error="ValueError: no"), OUTCOME), strict=True
    ):
        save(store, cell, outcome)
    gather(store, cells)
    return read_records(store)


def test_records_come_back_to_the_last_digit_with_their_command(records, tmp_path):
    path = tmp_path / "records.jsonl"
    write_record_file(records, path, "make it")
    found = read_record_file(path)
    assert list(found.columns) == list(FILE_COLUMNS) == [*RECORD_COLUMNS, "command"]
    assert set(found["command"]) == {"make it"}
    for name, kind in RECORD_COLUMNS.items():
        before, after = records[name], found[name]
        assert before.isna().tolist() == after.isna().tolist(), name
        assert before.dropna().map(kind).tolist() == after.dropna().map(kind).tolist(), name


def test_every_record_is_a_line_and_a_failed_cell_is_one(records, tmp_path):
    path = tmp_path / "records.jsonl"
    write_record_file(records, path, "make it")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["error"] for line in lines] == ["", "", "ValueError: no", "", ""]
    assert lines[0]["value"] == 0.1 + 0.2
    assert lines[2]["value"] is lines[1]["value"] is lines[3]["epsilon"] is None
    assert type(lines[0]["seed"]) is int


@pytest.mark.parametrize("text", ["", "{", "[]\n", "1\n", '{"value": 1}\n'])
def test_a_file_that_holds_no_records_is_one_clear_line(tmp_path, text):
    path = tmp_path / "records.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=r"records.jsonl: not .*; benchmark export writes them"):
        read_record_file(path)


@pytest.mark.parametrize("change", [{"value": "much"}, {"seed": 0.5}, {"settings": {}}])
def test_a_value_of_another_kind_is_no_record(records, tmp_path, change):
    path = tmp_path / "records.jsonl"
    write_record_file(records, path, "make it")
    first = json.loads(path.read_text().splitlines()[0])
    path.write_text(json.dumps(first | change) + "\n")
    with pytest.raises(InputError, match="not records of a benchmark"):
        read_record_file(path)


def test_a_file_that_is_no_text_is_one_clear_line(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"records.jsonl: not lines of JSON"):
        read_record_file(path)


def test_a_file_that_cannot_be_reached_is_one_clear_line(records, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_record_file(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="cannot be written"):
        write_record_file(records, tmp_path / "absent" / "records.jsonl", "make it")


def test_a_file_of_before_columns_were_added_is_read_as_it_was_meant(records, tmp_path):
    path = tmp_path / "records.jsonl"
    write_record_file(records, path, "make it")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    old = [{name: row[name] for name in row if name not in ADDED} for row in lines]
    path.write_text("".join(json.dumps(row) + "\n" for row in old))
    found = read_record_file(path)
    assert list(found.columns) == list(FILE_COLUMNS)
    assert found["wall_seconds"].isna().all()
    assert found["peak_mb"].isna().all()
    assert found["budget"].tolist() == ["ledger", "ledger", "", "", ""]
    assert (found[["processor", "torch", "kernels"]] == "").all(axis=None)
    path.write_text("".join(json.dumps(row) + "\n" for row in lines))
    rest = [name for name in FILE_COLUMNS if name not in ADDED]
    assert found[rest].equals(read_record_file(path)[rest])


@pytest.mark.skipif(not DEEP.exists(), reason="the committed records are in the repository alone")
def test_committed_records_are_read_and_written_with_all_columns(tmp_path):
    lines = [json.loads(line) for line in DEEP.read_text().splitlines()]
    found = read_record_file(DEEP)
    assert len(found) == len(lines)
    assert list(found.columns) == list(FILE_COLUMNS)
    assert found["value"].tolist() == pytest.approx(
        [np.nan if line["value"] is None else line["value"] for line in lines], abs=0, nan_ok=True
    )
    fitted = found["epsilon"].notna() & (found["error"] == "")
    if not ADDED.keys() & set(lines[0]):
        assert found["budget"].tolist() == np.where(fitted, "ledger", "").tolist()
    again = tmp_path / "again.jsonl"
    write_record_file(found, again, "make it")
    assert set(json.loads(again.read_text().splitlines()[0])) == set(FILE_COLUMNS)
    written = read_record_file(again)
    assert written.drop(columns="command").equals(found.drop(columns="command"))
