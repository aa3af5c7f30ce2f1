"""On a cluster the same records come out, whoever dies, and what cannot go on is one line."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from misdeeds import cell_of, measuring_cells, plain_executor, work

from dp_synth.benchmark import run_grid
from dp_synth.benchmark.cell import UNLIMITED, Limits, code_digest
from dp_synth.benchmark.executor import CLOSED
from dp_synth.benchmark.runner import Status, run
from dp_synth.benchmark.store import gather, open_store, read, read_records
from dp_synth.errors import InputError

pytest.importorskip("distributed")

from dp_synth.benchmark import dask as module
from dp_synth.benchmark.dask import dask_executor

PATIENCE = 60.0  # seconds until a wait is given up; nothing is timed
MEASURED_HERE = ["wall_seconds", "peak_mb", "processor", "torch", "kernels"]


def records_of(store, cells):
    gather(store, cells)
    return read_records(store).drop(columns=MEASURED_HERE)


@pytest.fixture(scope="module")
def cluster():
    import dask
    import distributed

    # A local cluster gives a worker up that is not back in time, as on a busy machine.
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": f"{PATIENCE} s"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as started,
    ):
        yield started


def processes_of(cluster):
    """Return the processes of the Dask workers that are there."""
    pids = [worker.pid for worker in cluster.workers.values()]
    return {pid for pid in pids if pid is not None and psutil.pid_exists(pid)}


def test_a_dask_worker_killed_on_the_way_costs_nothing(cluster, tmp_path):
    cells = measuring_cells(24, milliseconds=50)
    undisturbed, disturbed = (
        open_store(tmp_path / "undisturbed"),
        open_store(tmp_path / "disturbed"),
    )
    run(cells, undisturbed, plain_executor)
    victim = psutil.Process(next(iter(cluster.workers.values())).pid)
    beside = []

    def report(tally):
        if tally.done == 5:
            beside.extend(victim.children(recursive=True))
            victim.send_signal(signal.SIGKILL)

    tally = run(cells, disturbed, dask_executor(work, cluster.scheduler_address), report=report)
    assert tally == Status(done=24)
    assert len([*disturbed.cells.glob("*/*.json")]) == 24
    assert records_of(disturbed, cells).equals(records_of(undisturbed, cells))
    assert records_of(disturbed, cells)["seed"].is_unique
    psutil.wait_procs(beside, timeout=PATIENCE)
    assert not [one for one in beside if one.is_running()]


def test_limits_and_deaths_of_cells_are_rows_there_too(cluster, tmp_path):
    cells = measuring_cells(4)
    cells.append(cell_of("hang with child", seed=9, mark=str(tmp_path / "mark")))
    cells.append(cell_of("exit", seed=10))
    store = open_store(tmp_path / "store")
    before = processes_of(cluster)
    tally = run(cells, store, dask_executor(work, cluster.scheduler_address, Limits(seconds=3)))
    assert tally == Status(done=4, reasons={"TimedOut: more than 3 s": 1, "SystemExit: no more": 1})
    assert read(store, cells[4]).wall_seconds > 3
    assert before
    assert before <= processes_of(cluster)
    grandchild = int((tmp_path / "mark").read_text())
    wait_until_gone(grandchild)


def wait_until_gone(pid):
    end = time.monotonic() + PATIENCE
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_scheduler_that_dies_on_the_way_is_one_line(tmp_path):
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0"]
    scheduler = subprocess.Popen(
        [*command, "--no-dashboard", "--no-show", "--scheduler-file", str(file)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )

    def cells():
        yield cell_of("fine")
        os.kill(scheduler.pid, signal.SIGKILL)

    try:
        end = time.monotonic() + PATIENCE
        while not (file.exists() and file.read_text().endswith("}")):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.05)
        with pytest.raises(InputError, match=r"scheduler at .* went away .*cells are kept"):
            list(dask_executor(work, str(file))(cells()))
    finally:
        scheduler.kill()
        scheduler.wait()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://here", "scheduler.json"])
def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch, address):
    monkeypatch.setattr(module, "CONNECT", 1)
    with pytest.raises(InputError, match=f"no Dask scheduler answers at {address}: ") as caught:
        list(dask_executor(work, address)(iter(measuring_cells(1))))
    assert "\n" not in str(caught.value)


def test_a_damaged_scheduler_file_is_one_line(tmp_path):
    for content in ("{}", "{", "[]"):
        (tmp_path / "scheduler.json").write_text(content)
        with pytest.raises(InputError, match="no Dask scheduler answers at"):
            list(dask_executor(work, str(tmp_path / "scheduler.json"))(iter(measuring_cells(1))))


def test_without_dask_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "dp_synth.benchmark.dask", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    utility = {"epsilons": [1]}
    grid = {"name": "g", "dataset": "adult", "delta": 1e-5, "seeds": 1, "synthesizers": ["mst"]}
    with pytest.raises(InputError, match=r"pip install '\.\[cluster\]'"):
        run_grid(grid | {"utility": utility}, tmp_path, dask="tcp://127.0.0.1:1")


def test_a_worker_of_other_code_runs_no_cell():
    with pytest.raises(InputError, match="another version of dp_synth"):
        module.CellProcesses(work, UNLIMITED, code="other").run(cell_of("fine"))


def test_the_end_of_one_run_is_not_that_of_another_on_the_same_worker(monkeypatch):
    monkeypatch.setattr(module, "IDLE", 0.01)
    first, second = (module.CellProcesses(work, UNLIMITED, code_digest()) for _ in range(2))
    others = set(psutil.Process().children())
    first.teardown(None)
    assert first.run(cell_of("fine")) == CLOSED
    assert second.run(cell_of("fine")).error == ""
    # Idle for longer than is allowed: its process ends by itself, and costs no later cell.
    started = set(psutil.Process().children()) - others
    _, left = psutil.wait_procs(started, timeout=PATIENCE)
    assert started
    assert not left
    assert second.run(cell_of("fine")).error == ""
    second.teardown(None)
    assert set(psutil.Process().children()) <= others
