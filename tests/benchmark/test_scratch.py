"""Temporary folders of cells and peers: whose owner lives is left alone, all others go."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_cells import fake_cell, work

from dp_synth.benchmark.executor import PREFIX, Limits, Scratch, Worker, sweep

PATIENCE = 60.0  # seconds until a wait is given up; nothing is timed
OWNER = """
import sys, time
from dp_synth.benchmark.executor import Scratch
scratch = Scratch()
(scratch.path / "table.csv").write_text("private")
print(scratch.path, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_a_folder_is_its_owners_alone_and_goes_with_the_block(temporary: Path) -> None:
    before = os.umask(0)
    try:
        with Scratch() as scratch:
            assert stat.S_IMODE(scratch.path.stat().st_mode) == 0o700
            (scratch.path / "deep").mkdir()
            (scratch.path / "deep" / "table.csv").write_text("private")
    finally:
        os.umask(before)
    scratch.remove()  # again: nothing happens
    assert list(temporary.iterdir()) == []


def test_what_a_killed_owner_left_goes_with_the_next_and_a_living_owners_stays(
    temporary: Path,
) -> None:
    owners = [
        subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        dead, alive = (Path(owner.stdout.readline().strip()) for owner in owners)
        with Scratch():
            assert dead.exists()
            assert alive.exists()
        owners[0].kill()
        owners[0].wait(PATIENCE)
        with Scratch() as scratch:
            assert sorted(temporary.iterdir()) == sorted([alive, scratch.path])
        assert (alive / "table.csv").read_text() == "private"
    finally:
        for owner in owners:
            owner.kill()
            owner.communicate()


def test_a_sweep_follows_no_link_and_leaves_what_is_no_folder_of_ours(
    temporary: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (outside / "kept").write_text("kept")
    (temporary / f"{PREFIX}link").symlink_to(outside)
    (temporary / f"{PREFIX}file").write_text("kept")
    (temporary / f"{PREFIX}open").mkdir(mode=0o755)
    (temporary / f"{PREFIX}left").mkdir(mode=0o700)
    (temporary / f"{PREFIX}left" / "inner").symlink_to(outside)
    sweep()
    names = sorted(path.name.removeprefix(PREFIX) for path in temporary.iterdir())
    assert names == ["file", "link", "open"]
    assert (outside / "kept").exists()


@pytest.mark.parametrize("end", ["limit", "crash", "close"])
def test_what_a_cell_left_goes_with_its_process(temporary: Path, tmp_path: Path, end: str) -> None:
    worker = Worker(work, Limits(seconds=2.0 if end == "limit" else None))
    mishap = {"limit": "leaves_and_hangs", "crash": "leaves_and_crashes", "close": "leaves"}[end]
    outcome = worker.run(fake_cell(0, tmp_path, mishap=mishap))
    if end == "close":
        assert outcome.error == ""
        assert len(list(temporary.glob("*/left*"))) == 1
    worker.close()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next(temporary: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from fake_cells import fake_cell, work\n"
        "from dp_synth.benchmark.executor import Worker\n"
        "Worker(work).run(fake_cell(0, Path(sys.argv[1]), mishap='leaves_and_hangs'))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], env=os.environ | {"PYTHONPATH": path}
    )
    end = time.monotonic() + PATIENCE
    while not list(temporary.glob("*/left*")):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.wait(PATIENCE)
    while list(temporary.glob("*/left*")):  # its worker may write for a moment more
        assert time.monotonic() < end, "waited in vain"
        with Scratch():
            time.sleep(0.05)
    with Scratch() as scratch:
        assert list(temporary.iterdir()) == [scratch.path]
