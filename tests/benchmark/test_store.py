"""A half-written file is never read, and the gathered table says what the cells say."""

import dataclasses
import json
import os

import numpy as np
import pandas as pd
import pytest
from fake_cells import fake_cell

import dp_synth.benchmark.cell as cell_module
from dp_synth.benchmark.cell import RECORD_COLUMNS, Outcome, measured
from dp_synth.benchmark.store import Store, gather, open_store, read, save, write_manifest
from dp_synth.errors import InputError

OUTCOME = Outcome((measured("tv2", 0.5, 0.4, 0.6), measured("auc", np.nan, 0, 1)), 0.25)


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store")


def test_what_was_saved_is_read(store, tmp_path):
    cell = fake_cell(0, tmp_path)
    assert read(store, cell) is None
    save(store, cell, OUTCOME)
    assert read(store, cell) == OUTCOME
    assert [path.name for path in store.cells.iterdir()] == [f"{cell.key}.json"]


@pytest.mark.parametrize("length", [0, 1, 100, -2])
def test_a_half_written_file_is_a_cell_that_never_ended(store, tmp_path, length):
    cell = fake_cell(0, tmp_path)
    save(store, cell, OUTCOME)
    path = store.cells / f"{cell.key}.json"
    path.write_bytes(path.read_bytes()[:length])
    assert read(store, cell) is None


@pytest.mark.parametrize("change", [{"format": 0}, {"key": "0"}, {"outcome": []}])
def test_a_foreign_file_is_a_cell_that_never_ended(store, tmp_path, change):
    cell = fake_cell(0, tmp_path)
    save(store, cell, OUTCOME)
    path = store.cells / f"{cell.key}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert read(store, cell) is None


def test_the_file_of_another_cell_is_not_taken_for_this_one(store, tmp_path):
    cell, other = fake_cell(0, tmp_path), fake_cell(1, tmp_path)
    save(store, cell, OUTCOME)
    os.replace(store.cells / f"{cell.key}.json", store.cells / f"{other.key}.json")
    assert read(store, other) is None


def test_a_write_that_stops_half_way_leaves_the_old_file_and_no_other(store, tmp_path, monkeypatch):
    cell = fake_cell(0, tmp_path)
    save(store, cell, OUTCOME)

    def no_space(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dp_synth.benchmark.store.os.replace", no_space)
    with pytest.raises(OSError, match="No space"):
        save(store, cell, dataclasses.replace(OUTCOME, seconds=9.0))
    assert read(store, cell) == OUTCOME
    assert len(list(store.cells.iterdir())) == 1


def test_the_gathered_table_says_what_the_cells_say(store, tmp_path):
    good, bad, left = (fake_cell(seed, tmp_path) for seed in range(3))
    stray = fake_cell(9, tmp_path)
    baseline = fake_cell(3, tmp_path, synthesizer="real_rows", epsilon=None)
    for cell in (good, stray, baseline):
        save(store, cell, OUTCOME)
    save(store, bad, Outcome(error="ValueError: no", trace="secret"))
    table = pd.read_parquet(gather(store, [good, bad, left, baseline]))
    assert list(table.columns) == list(RECORD_COLUMNS)
    assert table["seed"].tolist() == [0, 0, 1, 3, 3]
    assert table["metric"].tolist() == ["tv2", "auc", "", "tv2", "auc"]
    assert table["error"].tolist() == ["", "", "ValueError: no", "", ""]
    assert table.loc[0, ["value", "low", "high", "seconds"]].tolist() == [0.5, 0.4, 0.6, 0.25]
    assert np.isnan(table.loc[1, "value"])
    assert table["epsilon"].isna().tolist() == [False] * 3 + [True] * 2
    assert table["delta"].iloc[0] == 1e-5


def test_a_store_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"the store .*file.* cannot be written \(.+\); name"):
        open_store(tmp_path / "file")


def test_the_manifest_names_versions_but_neither_machine_nor_folder(store):
    write_manifest(store, {"name": "small", "seeds": [0]})
    text = (store.folder / "manifest.json").read_text()
    content = json.loads(text)
    assert content["dp_synth"] == cell_module.__version__
    assert content["packages"]["numpy"] == np.__version__
    assert os.uname().nodename not in text
    assert str(store.folder) not in text
    other = Store(store.folder)
    write_manifest(other, {"name": "small", "seeds": [1]})
    again = json.loads((store.folder / "manifest.json").read_text())
    assert again["grid_sha256"] != content["grid_sha256"]


FIELDS = {
    "dataset": "other",
    "dataset_sha256": "1" * 64,
    "task": "leakage",
    "synthesizer": "independent",
    "settings": '{"degree":2}',
    "epsilon": 2.0,
    "delta": 1e-6,
    "adjacency": "replace_one",
    "seed": 1,
    "options": "{}",
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_key_changes_with_every_field(tmp_path, field):
    cell = fake_cell(0, tmp_path)
    assert set(FIELDS) == {f.name for f in dataclasses.fields(cell)}
    assert dataclasses.replace(cell, **{field: FIELDS[field]}).key != cell.key
    assert dataclasses.replace(cell).key == cell.key


def test_a_key_changes_with_the_version(tmp_path, monkeypatch):
    before = fake_cell(0, tmp_path).key
    monkeypatch.setattr(cell_module, "__version__", "9.9.9")
    assert fake_cell(0, tmp_path).key != before
