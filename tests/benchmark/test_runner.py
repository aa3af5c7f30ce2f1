"""Cells end once, failures are rows, and nothing that dies takes the rest with it."""

import os
import signal

import pytest
from fake_cells import fake_cell, runs_of, work

from dp_synth.benchmark.cell import Outcome
from dp_synth.benchmark.executor import ATTEMPTS, THREAD_VARIABLES, Limits, died, local_executor
from dp_synth.benchmark.runner import GIVEN_UP, Status, run, status
from dp_synth.benchmark.store import open_store, read, save


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store")


@pytest.fixture
def marks(tmp_path):
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def test_a_finished_cell_is_never_run_again(store, marks):
    cells = [fake_cell(seed, marks) for seed in range(4)]
    assert run(cells[:2], store, local_executor(work, 1)) == Status(done=2)
    reports = []
    assert run(cells, store, local_executor(work, 2), report=reports.append) == Status(done=4)
    assert runs_of(marks) == {0: 1, 1: 1, 2: 1, 3: 1}
    assert [tally.left for tally in reports] == [1, 0]
    assert run(cells, store, local_executor(work, 1)) == Status(done=4)
    assert runs_of(marks) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_a_cell_that_raises_becomes_a_row_and_is_tried_again(store, marks):
    cells = [fake_cell(0, marks, mishap="raises"), fake_cell(1, marks, mishap="exits")]
    cells.append(fake_cell(2, marks))
    reason = "ValueError: the first line and the second"
    expected = Status(done=1, reasons={reason: 1, "SystemExit: 3": 1})
    assert run(cells, store, local_executor(work, 2)) == expected == status(cells, store)
    trace = (store.failures / f"{cells[0].key}.txt").read_text()
    assert "Traceback" in trace
    assert "Traceback" not in store.file_of(cells[0].key).read_text()

    (marks / "mended").touch()
    assert run(cells, store, local_executor(work, 1)).reasons == {"SystemExit: 3": 1}
    assert runs_of(marks) == {0: 2, 1: 2, 2: 1}
    assert not (store.failures / f"{cells[0].key}.txt").exists()


def test_a_process_that_dies_costs_its_own_cell_alone(store, marks):
    mishaps = ["", "dies", "", "", ""]
    cells = [fake_cell(seed, marks, mishap=mishap) for seed, mishap in enumerate(mishaps)]
    tally = run(cells, store, local_executor(work, 2))
    assert tally == Status(done=4, reasons={died(-signal.SIGKILL).error: 1})
    assert read(store, cells[1]).error == died(-signal.SIGKILL).error
    assert runs_of(marks)[1] == ATTEMPTS


def test_a_cell_whose_process_dies_once_is_done_at_the_second_try(store, marks):
    cells = [fake_cell(0, marks, mishap="dies once"), fake_cell(1, marks)]
    assert run(cells, store, local_executor(work, 1)) == Status(done=2)
    assert runs_of(marks) == {0: 2, 1: 1}


def test_each_process_computes_with_one_thread_and_the_callers_setting_stays(
    store, marks, monkeypatch
):
    monkeypatch.setenv(THREAD_VARIABLES[0], "7")
    monkeypatch.delenv(THREAD_VARIABLES[1], raising=False)
    cell = fake_cell(0, marks, mishap="threads")
    run([cell], store, local_executor(work, 1))
    assert read(store, cell).measured[0].value == 1.0
    assert os.environ[THREAD_VARIABLES[0]] == "7"
    assert THREAD_VARIABLES[1] not in os.environ


def test_a_series_whose_cells_come_to_a_limit_is_given_up_and_others_go_on(store, marks):
    slow = [fake_cell(seed, marks, mishap="sleeps") for seed in range(3)]
    quick = [fake_cell(seed, marks, epsilon=2.0) for seed in range(3, 5)]
    executor = local_executor(work, 1, Limits(seconds=0.5))
    tally = run([*slow, *quick], store, executor, give_up=1)
    assert tally == Status(done=2, reasons={"TimedOut: more than 0.5 s": 1, GIVEN_UP.error: 2})
    assert runs_of(marks) == {0: 1, 3: 1, 4: 1}
    assert status([*slow, *quick], store) == tally


def test_a_limit_that_an_earlier_run_came_to_counts_where_it_is_not_tried_again(store, marks):
    slow = [fake_cell(seed, marks, mishap="sleeps") for seed in range(3)]
    save(store, slow[0], Outcome(error="TimedOut: more than 0.5 s"))
    tally = run(slow, store, local_executor(work, 1, Limits(seconds=0.5)), retry=False, give_up=1)
    assert tally.reasons == {"TimedOut: more than 0.5 s": 1, GIVEN_UP.error: 2}
    assert runs_of(marks) == {}


def test_without_retries_failed_cells_stay_as_they_are(store, marks):
    cells = [fake_cell(0, marks, mishap="raises"), fake_cell(1, marks)]
    first = run(cells, store, local_executor(work, 1))
    assert run(cells, store, local_executor(work, 1), retry=False) == first
    assert runs_of(marks) == {0: 1, 1: 1}


def test_a_cell_that_another_run_finishes_meanwhile_is_not_run_here(store, marks):
    cells = [fake_cell(seed, marks) for seed in range(3)]

    def other_run(tally):
        if tally.left == 2:
            save(store, cells[2], Outcome(seconds=1.0))

    assert run(cells, store, local_executor(work, 1), report=other_run) == Status(done=3)
    assert runs_of(marks) == {0: 1, 1: 1}
    assert read(store, cells[2]).seconds == 1.0
