"""On a cluster the same records come out, whoever dies, and what cannot go on is one line."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from misdeeds import cell_of, measuring_cells, plain_crew, work

from dp_synth.benchmark import cluster as module
from dp_synth.benchmark import remote
from dp_synth.benchmark.cell import code_digest
from dp_synth.benchmark.cluster import dask_crew
from dp_synth.benchmark.remote import Task, end_run, run_here
from dp_synth.benchmark.runner import Tally, run
from dp_synth.benchmark.store import gather, open_store, read, read_records
from dp_synth.benchmark.worker import CLOSED, UNLIMITED, Limits
from dp_synth.errors import InputError

PATIENCE = 60.0  # seconds until a wait is given up; nothing is timed
MEASURED_HERE = ["wall_seconds", "peak_mb", "processor", "torch", "kernels"]


def records_of(store, cells):
    gather(store, cells)
    return read_records(store).drop(columns=MEASURED_HERE)


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    import dask

    # A local cluster gives a worker up that is not back in time, as on a busy machine.
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": f"{PATIENCE} s"}),
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, processes=True, dashboard_address=":0"
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
    run(cells, undisturbed, plain_crew)
    victim = psutil.Process(next(iter(cluster.workers.values())).pid)
    beside = []

    def report(tally):
        if tally.done == 5:
            beside.extend(victim.children(recursive=True))
            victim.send_signal(signal.SIGKILL)

    tally = run(cells, disturbed, dask_crew(work, cluster.scheduler_address), report=report)
    assert tally == Tally(done=24)
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
    tally = run(cells, store, dask_crew(work, cluster.scheduler_address, Limits(seconds=3)))
    assert tally == Tally(done=4, reasons={"TimedOut: more than 3 s": 1, "SystemExit: no more": 1})
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
    pytest.importorskip("distributed")
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
            list(dask_crew(work, str(file))(cells()))
    finally:
        scheduler.kill()
        scheduler.wait()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://here", "scheduler.json"])
def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch, address):
    pytest.importorskip("distributed")
    monkeypatch.setattr(module, "CONNECT", 1)
    with pytest.raises(InputError, match=f"no Dask scheduler answers at {address}: ") as caught:
        list(dask_crew(work, address)(iter(measuring_cells(1))))
    assert "\n" not in str(caught.value)


def test_a_damaged_scheduler_file_is_one_line(tmp_path):
    pytest.importorskip("distributed")
    for content in ("{}", "{", "[]"):
        (tmp_path / "scheduler.json").write_text(content)
        with pytest.raises(InputError, match="no Dask scheduler answers at"):
            list(dask_crew(work, str(tmp_path / "scheduler.json"))(iter(measuring_cells(1))))


def test_without_dask_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install '\.\[cluster\]'"):
        dask_crew(work, "tcp://127.0.0.1:1")


def test_a_worker_of_other_code_runs_no_cell():
    with pytest.raises(InputError, match="another version of dp_synth"):
        run_here(Task(work, UNLIMITED, code="other", run="a"), cell_of("fine"))


def test_the_end_of_one_run_is_not_that_of_another_on_the_same_worker(monkeypatch):
    monkeypatch.setattr(remote, "IDLE", 0.0)
    first, second = (Task(work, UNLIMITED, code_digest(), run) for run in ("first", "second"))
    others = set(psutil.Process().children())
    end_run("first")
    assert run_here(first, cell_of("fine")) == CLOSED
    assert run_here(second, cell_of("fine")).error == ""
    # Idle for as long as is allowed, which is nothing: its process ends by itself.
    _, left = psutil.wait_procs(set(psutil.Process().children()) - others, timeout=PATIENCE)
    assert not left
    assert not remote._beside._idle[second]
    end_run("second")
