"""Milliseconds that a cell costs beside its own work, with processes of this machine and Dask.

A thousand cells whose work is nothing, through the runner: the mean time a cell and process once
all processes are up, and what the same cells cost without isolation (a loop that calls and saves).
Then the steps of one process, each by itself. Processor milliseconds tell what a busy machine adds.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import trivial

from dp_synth.benchmark import Cell, Executor, Outcome, Status, local_executor, open_store, run
from dp_synth.benchmark.dask import dask_executor
from dp_synth.benchmark.executor import Worker, attempt
from dp_synth.benchmark.store import read, save

WARM = 20  # cells until every process is up


def unisolated(cells: Iterator[Cell]) -> Iterator[tuple[Cell, Outcome]]:
    """Work through cells right here: the floor."""
    for cell in cells:
        yield cell, trivial.work(cell)


def measure(executor: Executor, number: int, processes: int) -> tuple[float, float, float]:
    """Return seconds until all processes are up, then milliseconds a cell and process.

    The last is of this process's processor alone.
    """
    moments: dict[int, tuple[float, float]] = {}

    def report(tally: Status) -> None:
        moments[tally.done] = time.perf_counter(), time.process_time()

    cells = trivial.cells(number + WARM * processes)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run(cells, open_store(folder), executor, report=report)
    first, last = moments[WARM * processes], moments[len(cells)]
    wall, cpu = (1000 * (b - a) / number for a, b in zip(first, last, strict=True))
    return first[0] - started, wall * processes, cpu


def show(name: str, executor: Executor, number: int, processes: int) -> None:
    up, wall, cpu = measure(executor, number, processes)
    print(f"{name:<28} up {up:6.1f} s   {wall:7.2f} ms a cell and process   {cpu:6.2f} ms of the "
          "runner's processor", flush=True)  # fmt: skip


def mean_milliseconds(step: Callable[[Cell], object], cells: list[Cell]) -> float:
    started = time.perf_counter()
    for cell in cells:
        step(cell)
    return 1000 * (time.perf_counter() - started) / len(cells)


def show_steps(number: int) -> None:
    """Print what each step that a cell goes through takes by itself."""
    cells = trivial.cells(number)
    worker = Worker(trivial.work)
    try:
        worker.run(cells[0])
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(Path(folder))
            outcome = trivial.work(cells[0])
            steps: dict[str, Callable[[Cell], object]] = {
                "key of the cell": lambda cell: cell.key,
                "look into the store": lambda cell: read(store, cell),
                "there and back, with it": worker.run,
                "  within the process": lambda cell: attempt(pickle.dumps((trivial.work, cell))),
                "save": lambda cell: save(store, cell, outcome),
            }
            for name, step in steps.items():
                print(f"{name:<28} {mean_milliseconds(step, cells):7.3f} ms")
    finally:
        worker.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--dask", action="store_true", help="a local Dask cluster beside")
    given = parser.parse_args()
    print(f"{given.cells} cells; {psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}")
    show("no isolation", unisolated, given.cells, 1)  # type: ignore[arg-type]
    for jobs in (1, 2):
        show(f"processes: {jobs}", local_executor(trivial.work, jobs), given.cells, jobs)
    if given.dask:
        from distributed import LocalCluster

        for size in (1, 2):
            with LocalCluster(
                n_workers=size, threads_per_worker=1, dashboard_address=":0"
            ) as cluster:
                executor = dask_executor(trivial.work, cluster.scheduler_address)
                show(f"dask workers: {size}", executor, given.cells, size)
    show_steps(given.cells)


if __name__ == "__main__":
    main()
