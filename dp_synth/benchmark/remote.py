"""What runs in a Dask worker: cells, each in one of the processes that are kept beside it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from dp_synth.benchmark.cell import Cell, Outcome, code_digest
from dp_synth.benchmark.worker import CLOSED, Limits, Work, Worker
from dp_synth.errors import InputError

IDLE = 60.0  # seconds without a cell until a process ends: its run may have been killed


@dataclass(frozen=True)
class Task:
    """What is the same for all cells of one run: the work, its limits, its code, and its name."""

    work: Work
    limits: Limits
    code: str
    run: str


def run_here(task: Task, cell: Cell) -> Outcome:
    """Return what the cell gave, run in a process beside this Dask worker.

    InputError where the code differs from that of whoever sent the cell: its key is of theirs.
    """
    if code_digest() != task.code:
        raise InputError("it has another version of dp_synth than the process that sends them")
    worker = _beside.take(task)
    if worker is None:
        return CLOSED
    try:
        return worker.run(cell)
    finally:
        _beside.put_back(task, worker)


def end_run(run: str) -> None:
    """End the processes of one run beside this Dask worker, and begin no other of its cells."""
    _beside.end(run)


class _Beside:
    """The processes beside a Dask worker, as many for each run as it has threads that are busy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: set[str] = set()
        self._all: dict[str, set[Worker]] = {}
        self._idle: dict[Task, dict[Worker, threading.Timer]] = {}

    def take(self, task: Task) -> Worker | None:
        """Return a process that has no cell; None when the run has been ended."""
        with self._lock:
            if task.run in self._ended:
                return None
            if idle := self._idle.get(task):
                worker, timer = idle.popitem()
                timer.cancel()
                return worker
            worker = Worker(task.work, task.limits)
            self._all.setdefault(task.run, set()).add(worker)
            return worker

    def put_back(self, task: Task, worker: Worker) -> None:
        """Keep a process for the next cell, and end it when none comes."""
        timer = threading.Timer(IDLE, self._retire, (task, worker))
        timer.daemon = True
        with self._lock:
            if task.run not in self._ended:
                self._idle.setdefault(task, {})[worker] = timer
                timer.start()

    def end(self, run: str) -> None:
        """End all processes of a run, those with a cell included."""
        with self._lock:
            self._ended.add(run)
            workers = self._all.pop(run, set())
            for task in [task for task in self._idle if task.run == run]:
                for timer in self._idle.pop(task).values():
                    timer.cancel()
        for worker in workers:
            worker.close()

    def _retire(self, task: Task, worker: Worker) -> None:
        with self._lock:
            if self._idle.get(task, {}).pop(worker, None) is None:
                return
            self._all[task.run].discard(worker)
        worker.close()


_beside = _Beside()
