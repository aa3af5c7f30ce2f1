"""Who works through cells: processes of this machine, or the workers of a Dask cluster.

A crew takes cells as they are asked for and gives each back with its outcome, in the order in
which they end. Closing the crew's generator ends its processes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import LifoQueue

from dp_synth.benchmark.cell import Cell, Outcome
from dp_synth.benchmark.worker import UNLIMITED, Limits, Work, Worker

Ended = Generator[tuple[Cell, Outcome], None, None]
Crew = Callable[[Iterator[Cell]], Ended]


def local_crew(work: Work, jobs: int, limits: Limits = UNLIMITED) -> Crew:
    """Return a crew of ``jobs`` processes on this machine, of one thread each."""

    def crew(cells: Iterator[Cell]) -> Ended:
        """Give cells with their outcomes, from threads that each own a process."""
        # All of them before the first thread: none can start a process once they are closed. The
        # last that was free is the first to go on: processes start only where they are needed.
        workers = [Worker(work, limits) for _ in range(jobs)]
        free: LifoQueue[Worker] = LifoQueue()
        for worker in workers:
            free.put(worker)

        def run(cell: Cell) -> Outcome:
            worker = free.get()
            try:
                return worker.run(cell)
            finally:
                free.put(worker)

        with ThreadPoolExecutor(jobs) as threads:
            try:
                # No more cells than processes are under way: the others stay open to whoever
                # else works on the same store.
                yield from _in_flight(cells, jobs, lambda cell: threads.submit(run, cell))
            finally:
                for worker in workers:
                    worker.close()

    return crew


def _in_flight(
    cells: Iterator[Cell], most: int, submit: Callable[[Cell], Future[Outcome]]
) -> Ended:
    """Give cells with their outcomes as they end, at most ``most`` of them under way."""
    flying: dict[Future[Outcome], Cell] = {}
    while True:
        while len(flying) < most and (cell := next(cells, None)) is not None:
            flying[submit(cell)] = cell
        if not flying:
            return
        ready, _ = wait(flying, return_when=FIRST_COMPLETED)
        for future in ready:
            yield flying.pop(future), future.result()
