"""Whatever a cell does to its process, the outcome is its own and the next cell is fine."""

import importlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from misdeeds import FINE, cell_of, work

from dp_synth.benchmark import executor as module
from dp_synth.benchmark.cell import Limits
from dp_synth.benchmark.executor import CLOSED, Worker, attempt, died

PATIENCE = 60.0  # seconds until a wait is given up; nothing is timed


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def number_in(mark):
    wait_until(lambda: mark.exists() and mark.read_text())
    return int(mark.read_text())


def is_gone(pid):
    """Tell whether a process has ended, be it that nobody asked for its exit code yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_fine(worker):
    outcome = worker.run(cell_of("fine"))
    return (outcome.measured, outcome.seconds, outcome.budget, outcome.error) == (
        FINE.measured,
        FINE.seconds,
        FINE.budget,
        "",
    )


def process_of(worker):
    return int(worker.run(cell_of("tell process")).measured[0].value)


@pytest.fixture
def start(monkeypatch):
    """Start workers that blame a cell for the first process it kills, and leave none behind."""
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    workers = []

    def start(limits=Limits(), **settings):  # noqa: B008  # frozen
        workers.append(Worker(work, limits, **settings))
        return workers[-1]

    others = set(psutil.Process().children(recursive=True))  # of tests that ran before
    yield start
    for worker in workers:
        worker.close()
    assert set(psutil.Process().children(recursive=True)) <= others


def test_what_a_cell_raises_or_gives_by_mistake_is_its_row_and_costs_no_process(start):
    worker = start()
    first = process_of(worker)
    reasons = {
        "exit": "SystemExit: no more",
        "raise wordless": "Wordless",
        "raise half a character": "ValueError: half \\ud800 a character",
        "give nothing": "TypeError: work must return an Outcome, got NoneType",
        "give a function": "TypeError: ",
        "give nan": "ValueError: ",
    }
    for deed, reason in reasons.items():
        outcome = worker.run(cell_of(deed))
        assert outcome.error.startswith(reason), deed
        assert "Traceback" in outcome.trace
        outcome.trace.encode()
        assert outcome.measured == ()
        assert is_fine(worker)
    assert process_of(worker) == first


def test_a_fresh_worker_has_a_new_process_for_each_cell_and_keeps_none(start):
    worker = start(fresh=True)
    first = process_of(worker)
    assert is_gone(first)
    assert process_of(worker) != first


def test_what_a_cell_prints_is_no_answer_and_there_is_nothing_to_read(start, capfd):
    worker = start()
    assert worker.run(cell_of("write and read")).measured[0].value == 0
    assert is_fine(worker)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "from a child" in printed.err


def test_a_cell_that_kills_its_process_is_a_row_that_says_how(start):
    worker = start()
    assert worker.run(cell_of("exit at once")).error == died(3).error
    assert worker.run(cell_of("segfault")).error == died(-signal.SIGSEGV).error
    assert is_fine(worker)


def test_an_interrupt_inside_a_cell_is_its_row_and_nobody_calls_it_a_lack_of_memory(start):
    worker = start()
    assert worker.run(cell_of("be interrupted")).error.startswith("KeyboardInterrupt")
    assert worker.run(cell_of("be interrupted at once")).error == died(-signal.SIGINT).error
    assert is_fine(worker)


def test_a_forked_child_that_holds_the_pipes_keeps_nobody_waiting_and_is_ended(start, tmp_path):
    mark = tmp_path / "child"
    worker = start()
    assert worker.run(cell_of("die with fork", mark=str(mark))).error == died(7).error
    wait_until(lambda: is_gone(number_in(mark)))


def test_a_cell_that_hangs_is_ended_with_all_that_it_started(start, tmp_path):
    mark = tmp_path / "grandchild"
    worker = start(Limits(seconds=2))
    outcome = worker.run(cell_of("hang with child", mark=str(mark)))
    assert outcome.error == "TimedOut: more than 2 s"
    assert outcome.wall_seconds > 2
    wait_until(lambda: is_gone(number_in(mark)))


def test_memory_is_limited_with_that_of_children_and_its_peak_is_of_each_cell(start, tmp_path):
    worker = start(Limits(memory_mb=700))
    before = worker.run(cell_of("fine"))
    held = worker.run(cell_of("hold", megabytes=200))
    after = worker.run(cell_of("fine"))
    assert held.error == ""
    assert held.peak_mb > before.peak_mb + 150
    assert held.wall_seconds >= 0.2  # it sleeps that long
    if Path("/proc/self/clear_refs").exists():
        assert after.peak_mb < before.peak_mb + 100
    assert worker.run(cell_of("hold", megabytes=5000)).error == "OutOfMemory: more than 700 MB"
    mark = tmp_path / "grandchild"
    outcome = worker.run(cell_of("hang with child", mark=str(mark), megabytes=800))
    assert outcome.error == "OutOfMemory: more than 700 MB"
    assert outcome.peak_mb > 700
    wait_until(lambda: is_gone(number_in(mark)))


def test_closing_from_another_thread_gives_the_cell_up_and_leaves_no_process(start, tmp_path):
    mark, outcomes = tmp_path / "grandchild", []
    worker = start()
    cell = cell_of("hang with child", mark=str(mark))
    thread = threading.Thread(target=lambda: outcomes.append(worker.run(cell)))
    thread.start()
    grandchild = number_in(mark)
    worker.close()
    thread.join(PATIENCE)
    assert outcomes == [CLOSED]
    assert is_gone(grandchild)
    assert worker.run(cell_of("fine")) == CLOSED


def test_a_process_killed_from_outside_costs_no_cell():
    worker = Worker(work)
    try:
        os.kill(process_of(worker), signal.SIGKILL)
        assert is_fine(worker)
    finally:
        worker.close()


def test_modules_are_found_where_this_process_finds_them_or_the_cell_is_a_row(
    tmp_path, monkeypatch
):
    source = tmp_path / "own_work.py"
    source.write_text("from misdeeds import work as theirs\n\ndef own(cell): return theirs(cell)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    own = importlib.import_module("own_work").own
    worker = Worker(own)
    try:
        assert is_fine(worker)
    finally:
        worker.close()
    request = pickle.dumps((own, cell_of("fine")))
    source.unlink()
    monkeypatch.delitem(sys.modules, "own_work")
    importlib.invalidate_caches()
    assert attempt(request).error == "ModuleNotFoundError: No module named 'own_work'"


def test_a_process_loads_what_cells_need_and_no_fit_metric_or_table_for_nothing():
    code = (
        "import sys; from dp_synth.benchmark.executor import serve; loaded = {*sys.modules};"
        " print(loaded & {'pandas', 'scipy', 'sklearn', 'torch', 'dp_synth.accounting'})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
