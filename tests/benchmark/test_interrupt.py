"""Whoever stops a run stops all of it, and keeps what had ended."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from fake_cells import fake_cell

from dp_synth.benchmark.runner import status
from dp_synth.benchmark.store import Store

SCRIPT = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from pathlib import Path
from fake_cells import fake_cell, work
from dp_synth.benchmark.executor import local_executor
from dp_synth.benchmark.runner import run
from dp_synth.benchmark.store import open_store
folder = Path(sys.argv[1])
cells = [fake_cell(i, folder, mishap="" if i < 2 else "sleeps") for i in range(6)]
try:
    run(cells, open_store(folder / "store"), local_executor(work, 2))
except KeyboardInterrupt:
    sys.exit(130)
"""
PATIENCE = 60.0  # seconds until a wait is given up; nothing is timed


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are a matter of POSIX")
@pytest.mark.parametrize(
    ("kill", "number"), [(os.killpg, signal.SIGINT), (os.kill, signal.SIGKILL)]
)
def test_a_stopped_run_keeps_what_ended_and_leaves_no_process(tmp_path, kill, number):
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: len(list(tmp_path.glob("[2-9]-*"))) == 2)
        kill(process.pid, number)
        # Standard error ends when the last process that inherited it does.
        _, complaint = process.communicate(timeout=PATIENCE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in complaint
    cells = [fake_cell(i, tmp_path, mishap="" if i < 2 else "sleeps") for i in range(6)]
    tally = status(cells, Store(tmp_path / "store"))
    assert (tally.done, tally.failed, tally.left) == (2, 0, 4)
