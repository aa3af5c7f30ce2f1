"""Cells in parallel processes of one thread each; what has ended is never run again."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait as wait_for

from dp_synth.benchmark.cell import Cell, Outcome
from dp_synth.benchmark.store import Store, read, save

Work = Callable[[Cell], Outcome]
Settle = Callable[[Cell, Outcome], None]

# Numerical libraries read these once, when they are loaded: cells share the cores by processes.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
DIED = Outcome(
    error="WorkerDied: the process ended without an answer, and again with this cell alone "
    "(out of memory?)"
)


@dataclass(frozen=True)
class Tally:
    """How many cells are done, how many failed with which reason, and how many are left.

    >>> tally = Tally(done=2, reasons={"ValueError: no": 1}, left=3)
    >>> tally.failed, tally.total
    (1, 6)
    """

    done: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    left: int = 0

    @property
    def failed(self) -> int:
        """Cells that ended in an error; the next run tries them again."""
        return sum(self.reasons.values())

    @property
    def total(self) -> int:
        """All cells of the grid."""
        return self.done + self.failed + self.left

    def after(self, outcome: Outcome) -> Tally:
        """Return the tally once a cell that was left has ended."""
        if not outcome.error:
            return Tally(self.done + 1, self.reasons, self.left - 1)
        reasons = Counter(self.reasons) + Counter([outcome.error])
        return Tally(self.done, dict(reasons), self.left - 1)


def status(cells: Iterable[Cell], store: Store) -> Tally:
    """Return what the store holds of these cells; nothing is run."""
    done, left, reasons = 0, 0, Counter[str]()
    for cell in cells:
        outcome = read(store, cell)
        if outcome is None:
            left += 1
        elif outcome.error:
            reasons[outcome.error] += 1
        else:
            done += 1
    return Tally(done, dict(reasons), left)


def unfinished(cells: Iterable[Cell], store: Store) -> list[Cell]:
    """Return the cells that have not ended or ended in an error, in their order."""
    outcomes = ((cell, read(store, cell)) for cell in cells)
    return [cell for cell, outcome in outcomes if outcome is None or outcome.error]


def run(
    cells: Iterable[Cell],
    store: Store,
    *,
    jobs: int,
    work: Work,
    report: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Run what is unfinished on ``jobs`` processes and return the tally of all ``cells``.

    A cell that raises becomes a failed row; so does one whose process dies twice, the second time
    alone. ``report`` is called after each cell. KeyboardInterrupt ends the processes, keeps every
    cell that has ended, and goes on to the caller. ``work`` must be importable by its name.
    """
    everything = list(cells)
    todo = deque(unfinished(everything, store))
    tally = Tally(done=len(everything) - len(todo), left=len(todo))

    def settle(cell: Cell, outcome: Outcome) -> None:
        nonlocal tally
        save(store, cell, outcome)
        tally = tally.after(outcome)
        report(tally)

    with _one_thread_each():
        while todo:
            for suspect in _work_through(todo, jobs, work, settle):
                # Only a process that works alone tells which cell it was that killed it.
                if _work_through(deque([suspect]), 1, work, settle):
                    settle(suspect, DIED)
    return tally


def attempt(work: Work, cell: Cell) -> Outcome:
    """Return what ``work`` gives, or the one-line error and the trace that it ended in."""
    try:
        return work(cell)
    except (Exception, SystemExit) as error:
        message = " ".join(str(error).split())
        reason = f"{type(error).__name__}: {message}" if message else type(error).__name__
        return Outcome(error=reason, trace=traceback.format_exc())


def _work_through(todo: deque[Cell], jobs: int, work: Work, settle: Settle) -> list[Cell]:
    """Settle cells until none is left or a process dies; return those that were lost with it."""
    flying: dict[Future[Outcome], Cell] = {}
    lost: list[Cell] = []
    with _crew(min(jobs, len(todo))) as crew:
        while (todo or flying) and not lost:
            # No more cells than processes are under way, so that few are suspected of a death.
            while todo and len(flying) < jobs:
                cell = todo.popleft()
                try:
                    with _interrupts_held():
                        flying[crew.submit(attempt, work, cell)] = cell
                except BrokenProcessPool:
                    todo.appendleft(cell)
                    break
            ready, _ = wait(flying, return_when=FIRST_COMPLETED)
            lost = _landed(flying, ready, settle)
        ready, _ = wait(flying)
        lost += _landed(flying, ready, settle)
    return lost


def _landed(
    flying: dict[Future[Outcome], Cell], ready: set[Future[Outcome]], settle: Settle
) -> list[Cell]:
    """Settle what is no longer under way; return the cells whose process died instead."""
    lost = []
    for future in ready:
        cell = flying.pop(future)
        try:
            outcome = future.result()
        except BrokenProcessPool:
            lost.append(cell)
        else:
            settle(cell, outcome)
    return lost


@contextmanager
def _crew(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Give fresh processes, and end them at once when the block is left by an exception."""
    others = set(active_children())
    crew = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_join_crew)
    try:
        yield crew
        crew.shutdown()
    except BaseException:
        crew.shutdown(wait=False, cancel_futures=True)
        for child in set(active_children()) - others:
            child.terminate()
        crew.shutdown()
        raise


def _join_crew() -> None:
    """Leave Ctrl-C to the parent, and never outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def follow() -> None:
            wait_for([sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while a process starts, which inherits that and so never sees one.

    Otherwise a child that is still loading modules would answer Ctrl-C with a traceback.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
