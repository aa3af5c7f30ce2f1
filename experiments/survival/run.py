"""Kills runners, workers and Dask workers at random moments, and says what it cost.

Each time a grid of small cells is under way when a process of it is killed as kill -9 does, at a
moment drawn from a seed; then the grid is run again. The records must be those of an undisturbed
run, no cell that had ended may be run again, and no process may be left behind. Commands that are
killed are in `commands`: these say what must hold after them. A line a kind.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from benchmarks import trivial
from benchmarks.versions import ROOT
from dp_synth.benchmark import (
    Cell,
    Executor,
    Outcome,
    Status,
    Store,
    gather,
    local_executor,
    open_store,
    read_records,
    run,
)
from dp_synth.benchmark.dask import dask_executor
from experiments.survival import commands

CELLS = trivial.cells(30, seconds=0.02)
JOBS = 2
DASK_WORKERS = 3
MOST_DELAY = 0.1  # seconds from a cell's end to the kill, at most
PATIENCE = 300.0  # seconds until a wait is given up; nothing is timed
MEASURED_HERE = ["wall_seconds", "peak_mb", "processor", "torch", "kernels"]

Place = Callable[[], Sequence[psutil.Process]]


@dataclass(frozen=True)
class Kill:
    """What one kill came to: cells done by then, and the three things that must not be."""

    done: int
    other_records: bool
    run_again: int
    left_behind: int

    @property
    def cost(self) -> bool:
        """Whether anything was lost, repeated or left."""
        return self.other_records or bool(self.run_again) or bool(self.left_behind)


def kill_runner(seed: int, folder: Path) -> Kill:
    """Kill a run of a process of its own, and go on from what it left."""
    rng, store = np.random.default_rng(seed), open_store(folder)
    runner = psutil.Popen(
        [sys.executable, "-m", "experiments.survival.run", "--run", str(folder)], cwd=ROOT
    )
    least = int(rng.integers(len(CELLS)))
    _wait_until(lambda: len(_files(store)) >= least or runner.poll() is not None)
    time.sleep(rng.uniform(0, MOST_DELAY))
    started = [runner, *runner.children(recursive=True)]
    runner.kill()
    left = _left(started)
    kept = _files(store)
    run(CELLS, store, local_executor(trivial.work, JOBS))
    return _judged(store, kept, left)


def kill_worker(seed: int, folder: Path) -> Kill:
    """Kill one of the processes that run cells, of a run of this process."""
    return _kill_one(seed, folder, local_executor(trivial.work, JOBS), psutil.Process().children)


def kill_dask_worker(seed: int, folder: Path, address: str, workers: Place) -> Kill:
    """Kill one of the workers of the Dask cluster that a run of this process is on."""
    return _kill_one(seed, folder, dask_executor(trivial.work, address), workers)


def _kill_one(seed: int, folder: Path, executor: Executor, victims: Place) -> Kill:
    rng, store = np.random.default_rng(seed), open_store(folder)
    moment, delay = int(rng.integers(1, len(CELLS))), float(rng.uniform(0, MOST_DELAY))
    kept: dict[Path, bytes] = {}
    killed: list[psutil.Process] = []

    def kill() -> None:
        there = list(victims())
        # The last cells may have ended meanwhile, and the processes with them.
        with suppress(ValueError, psutil.NoSuchProcess):
            victim = there[rng.integers(len(there))]
            killed.extend([victim, *victim.children(recursive=True)])
            victim.kill()

    timer = threading.Timer(delay, kill)

    def report(tally: Status) -> None:
        if tally.done == moment:
            kept.update(_files(store))
            timer.start()

    run(CELLS, store, executor, report=report)
    timer.join()
    return _judged(store, kept, _left(killed))


def undisturbed(cells: Iterator[Cell]) -> Iterator[tuple[Cell, Outcome]]:
    """Work through cells in this process: the executor that nothing happens to."""
    for cell in cells:
        yield cell, trivial.work(cell)


def records(store: Store) -> pd.DataFrame:
    """Return the gathered records, but for what differs between any two runs."""
    gather(store, CELLS)
    return read_records(store).drop(columns=MEASURED_HERE)


def _judged(store: Store, kept: dict[Path, bytes], left: int) -> Kill:
    with tempfile.TemporaryDirectory() as folder:
        other = open_store(folder)
        run(CELLS, other, undisturbed)  # type: ignore[arg-type]
        equal = records(store).equals(records(other))
    now = _files(store)
    again = sum(now.get(path) != content for path, content in kept.items())
    return Kill(len(kept), not equal or len(now) != len(CELLS), again, left)


def _files(store: Store) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(str(store.cells)).glob("*/[!.]*.json")}


def _left(processes: Sequence[psutil.Process]) -> int:
    """Return how many of the processes do not end by themselves."""
    return len(psutil.wait_procs(processes, timeout=PATIENCE)[1])


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        time.sleep(0.005)


def summary(found: Sequence[Kill]) -> tuple[str, bool]:
    """Return what the kills of one kind came to, in words, and whether nothing was lost."""
    done = [one.done for one in found]
    return (
        f"{len(found)} kills after {min(done)} to {max(done)} of {len(CELLS)} cells; "
        f"other records {sum(one.other_records for one in found)}, "
        f"cells run again {sum(one.run_again for one in found)}, "
        f"processes left {sum(one.left_behind for one in found)}"
    ), not any(one.cost for one in found)


def _kill_in_cluster(seed: int, folder: Path) -> Kill:
    """Kill a worker of a Dask cluster that is there for this one run."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=DASK_WORKERS, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:

        def workers() -> list[psutil.Process]:
            return [psutil.Process(one.pid) for one in cluster.workers.values() if one.pid]

        return kill_dask_worker(seed, folder, cluster.scheduler_address, workers)


KINDS = {"runner": kill_runner, "worker": kill_worker, "dask-worker": _kill_in_cluster}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [*KINDS, *commands.KINDS]
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--kills", type=int, default=20, help="of each kind")
    parser.add_argument("--first", type=int, default=0, help="seed of the first kill")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(CELLS, open_store(given.run), local_executor(trivial.work, JOBS))
        return
    fine = True
    for kind in given.kinds or known:
        kill, said = (KINDS | commands.KINDS)[kind], summary if kind in KINDS else commands.summary
        found = []
        for seed in range(given.first, given.first + given.kills):
            with tempfile.TemporaryDirectory() as folder:
                found.append(kill(seed, Path(folder)))
        text, lost_nothing = said(found)
        print(f"{kind}: {text}", flush=True)
        fine &= lost_nothing
    sys.exit(not fine)


if __name__ == "__main__":
    main()
