"""A manifest says what made the records, of every run, and never on which machine."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fake_cells import fake_cell

import dp_synth
from dp_synth.benchmark import provenance as manifest_module
from dp_synth.benchmark.cell import Outcome, code_digest, processor
from dp_synth.benchmark.provenance import (
    RunSummary,
    checkout,
    summarise,
    write_manifest,
)
from dp_synth.benchmark.store import open_store, store_at
from dp_synth.errors import InputError

GRID = {"name": "small", "seeds": [0]}


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    return open_store(tmp_path if request.param == "folder" else f"memory://{tmp_path.name}/runs")


def read_json(path):
    return json.loads(path.read_bytes())


def test_the_manifest_names_versions_code_and_grid(store):
    path = write_manifest(store, GRID, RunSummary(jobs=2, data={"adult": "0" * 64}))
    content = read_json(path)
    assert content["name"] == "small"
    assert content["grid"] == GRID
    assert content["dp_synth"] == dp_synth.__version__
    assert content["code_sha256"] == code_digest()
    assert content["packages"]["numpy"] == np.__version__
    assert content["cores"] == os.cpu_count()
    assert (content["jobs"], content["data"]) == (2, {"adult": "0" * 64})
    assert {field.name for field in dataclasses.fields(RunSummary)} <= set(content)
    other = read_json(write_manifest(store, GRID | {"seeds": [1]}))
    assert other["grid_sha256"] != content["grid_sha256"]
    assert other["jobs"] is None


@pytest.mark.skipif(not hasattr(os, "uname"), reason="names the machine by a call of POSIX")
def test_the_manifest_names_neither_machine_nor_folder(store):
    began = datetime.now(UTC)
    summary = summarise([], [], started=began, cluster=f"tcp://{os.uname().nodename}:8786")
    text = write_manifest(store, GRID, summary).read_bytes().decode()
    assert '"cluster": "tcp"' in text
    assert os.uname().nodename not in text
    assert str(store.folder) not in text
    assert str(Path(dp_synth.__file__).parent) not in text


def test_each_run_has_a_manifest_of_its_own_and_the_latest_is_beside_the_records(store):
    paths = [write_manifest(store, GRID, RunSummary(cells_run=run)) for run in range(5)]
    assert len({str(path) for path in paths}) == 5
    assert [read_json(path)["cells_run"] for path in paths] == [0, 1, 2, 3, 4]
    assert read_json(store.folder / "manifest.json") == read_json(paths[-1])
    for path in paths:
        assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}\.json", path.name)
        assert read_json(path)["run"] + ".json" == path.name


def test_a_manifest_is_never_written_over(store, monkeypatch):
    drawn = iter(["a", "a", "b"])
    monkeypatch.setattr(
        manifest_module, "secrets", SimpleNamespace(token_hex=lambda _: next(drawn))
    )
    monkeypatch.setattr(manifest_module, "datetime", Noon)
    first, second = write_manifest(store, GRID), write_manifest(store, GRID)
    assert (first.name, second.name) == ("20000101T120000Z-a.json", "20000101T120000Z-b.json")


class Noon(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2000, 1, 1, 12, tzinfo=tz)


def test_a_summary_adds_up_what_the_cells_of_the_run_took(tmp_path):
    cells = [fake_cell(seed, tmp_path) for seed in range(4)]
    ended = [
        (cells[0], Outcome(seconds=1.5, peak_mb=100.0)),
        (cells[1], Outcome(seconds=2.0, peak_mb=300.0)),
        (cells[2], Outcome(error="ValueError: no")),
        (cells[3], None),
    ]
    began = datetime.now(UTC) - timedelta(seconds=10)
    summary = summarise(cells, ended, started=began, jobs=2)
    assert (summary.cells_run, summary.cells_failed) == (3, 1)
    assert (summary.fit_seconds, summary.peak_mb) == (3.5, 300.0)
    assert summary.data == {"adult": "0" * 64}
    assert summary.wall_seconds >= 10
    assert datetime.fromisoformat(summary.ended) >= datetime.fromisoformat(summary.started)
    nothing = summarise(cells, [], started=began)
    assert (nothing.cells_run, nothing.fit_seconds, nothing.peak_mb) == (0, None, None)


def test_a_manifest_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"the store .*file cannot be written \(.+\); finished"):
        write_manifest(store_at(tmp_path / "file"), GRID)


def git(folder, *arguments):
    named = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *named, *arguments], cwd=folder, env=own, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path):
    """A package that git tracks."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "repository" / "package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    git(folder.parent, "init", "--quiet")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "--quiet", "-m", "first")
    return folder


def test_the_commit_of_a_checkout_is_named_and_whether_files_differ(package, monkeypatch):
    commit = git(package, "rev-parse", "HEAD")
    assert checkout(package) == (commit, False)
    (package / "results.json").write_text("")  # what git does not track is not code
    assert checkout(package) == (commit, False)
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as in a hook
    assert checkout(package) == (commit, False)
    (package / "__init__.py").write_text("changed = 1\n")
    assert checkout(package) == (commit, True)


def test_outside_of_a_checkout_there_is_no_commit(package, tmp_path, monkeypatch):
    installed = package.parent / "site-packages" / "dp_synth"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert checkout(installed) == (None, None)  # below the repository of something else
    outside = tmp_path / "outside"
    outside.mkdir()
    assert checkout(outside) == (None, None)
    monkeypatch.setenv("PATH", str(outside))  # no git at all
    assert checkout(package) == (None, None)


def test_a_git_that_hangs_is_not_waited_for(package, monkeypatch):
    monkeypatch.setattr(manifest_module, "MOST_GIT_SECONDS", 0.0)
    assert checkout(package) == (None, None)


def test_the_processor_is_named_by_its_model_where_the_system_says(tmp_path):
    source = tmp_path / "cpuinfo"
    source.write_text("processor\t: 0\nmodel name\t: A  Fast   One @ 2 GHz\n")
    assert processor(source) == "A Fast One @ 2 GHz"
    assert processor(tmp_path / "absent")
