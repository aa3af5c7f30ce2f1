"""A grid in one call, the one that the command line makes too."""

import json

import pytest

from dp_synth.benchmark import (
    Grid,
    default_store,
    plan,
    read_records,
    run_grid,
    status,
    store_at,
)
from dp_synth.benchmark import runner as module
from dp_synth.errors import GridError, InputError

CONTENT = {
    "name": "tiny",
    "dataset": "adult",
    "delta": 1e-5,
    "seeds": 1,
    "synthesizers": ["independent"],
    "leakage": {"epsilons": [1], "members": 20, "isolated": 0, "attacks": ["closest_record"]},
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The records of a grid, the folder they are in and what was said of it on the way."""
    folder, told = tmp_path_factory.mktemp("ran"), []
    return run_grid(CONTENT, folder, report=told.append), folder, told


def refuse(*arguments, **settings):
    raise AssertionError("nothing was left to run")


def test_the_records_of_every_cell_come_back_and_stay_in_the_store(ran):
    records, folder, told = ran
    assert set(records["synthesizer"]) == {"no_privacy", "fresh_rows", "independent"}
    assert (records["error"] == "").all()
    assert records.equals(read_records(store_at(folder)))
    assert [tally.left for tally in told] == [3, 2, 1, 0]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["name"], manifest["jobs"], manifest["cells_run"]) == ("tiny", 1, 3)


def test_a_grid_that_is_done_is_read_and_not_run_again(ran, tmp_path, monkeypatch):
    records, folder, _ = ran
    monkeypatch.setattr(module, "run", refuse)
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(CONTENT))
    told = []
    for grid in (CONTENT, Grid.from_dict(CONTENT), path, str(path)):
        assert run_grid(grid, str(folder), report=told.append).equals(records)
    assert [(tally.done, tally.left) for tally in told] == [(3, 0)] * 4
    assert len(list((folder / "runs").iterdir())) == 1


def test_failed_cells_are_tried_again_unless_that_is_not_wanted(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "run", lambda *given, retry, **more: asked.append(retry))
    for retry in (True, False):
        assert run_grid(CONTENT, tmp_path, retry=retry).empty
    assert asked == [True, False]


def test_results_are_in_a_folder_of_the_grids_name_where_none_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "run", lambda *given, **more: None)
    run_grid(CONTENT)
    grid = Grid.from_dict(CONTENT)
    assert default_store(grid) == "results/tiny"
    assert status(plan(grid), store_at("results/tiny")).left == 3
    assert (tmp_path / "results" / "tiny" / "records.parquet").exists()


def test_a_stopped_run_is_written_down(tmp_path, monkeypatch):
    def interrupted(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_grid(CONTENT, tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text())["cells_run"] == 0


@pytest.mark.parametrize(
    ("grid", "jobs", "line"),
    [
        (CONTENT, 0, "jobs must be 1 or more, got 0"),
        ({**CONTENT, "sedes": 1}, 1, "unknown key; did you mean 'seeds'?"),
        (["adult"], 1, "must be a mapping with the keys name"),
        ("absent.yaml", 1, "absent.yaml: cannot be read"),
    ],
)
def test_what_cannot_be_run_is_one_line_before_a_store_is_made(tmp_path, grid, jobs, line):
    folder = tmp_path / "store"
    with pytest.raises(InputError, match=r"^[^\n]*$") as raised:
        run_grid(grid, folder, jobs=jobs)
    assert line in str(raised.value)
    assert jobs == 0 or isinstance(raised.value, GridError)
    assert not folder.exists()
