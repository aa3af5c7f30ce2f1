"""Seconds that a store of many cells takes, beside the floor: reading or writing the bytes alone.

    python -m benchmarks.store --cells 100000

makes such a store in a temporary folder and removes it. The floor of a save is a plain write of
as many bytes to a new file of one folder. Ratios are of processor seconds, which a busy machine
does not change.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import trivial
from dp_synth.benchmark import Outcome, gather, open_store, outcomes
from dp_synth.benchmark.cell import measured
from dp_synth.benchmark.store import save

METRICS = ("tv1", "tv2", "tv3", "kmarginal", "auc:gradient_boosting", "auc:logistic_regression")
LEDGER = json.dumps([{"part": "pairs", "event": "Gaussian", "noise": 12.5}] * 30)


@dataclass(frozen=True)
class Taken:
    """Seconds of one piece of work, on the clock and of the processor."""

    clock: float
    processor: float

    def line(self, name: str, floor: Taken | None = None) -> str:
        """Return the line to print, beside a floor where there is one."""
        ratio = "" if floor is None else f", ratio {self.processor / floor.processor:.1f}"
        return f"{name:<24} {self.clock:8.2f} s, of the processor {self.processor:8.2f} s{ratio}"


def timed(work: Callable[[], object]) -> Taken:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Taken(time.perf_counter() - clock, time.process_time() - processor)


def write_plain(folder: Path, content: bytes, number: int) -> None:
    for index in range(number):
        (folder / str(index)).write_bytes(content)


def read_all(folder: Path) -> int:
    return sum(len(path.read_bytes()) for path in folder.glob("*/*.json"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000)
    number = parser.parse_args().cells
    made = trivial.cells(number)
    values = tuple(measured(name, 0.1 + 0.2, 0.25, 0.35) for name in METRICS)
    outcome = Outcome(values, 1.5, 2.5, 310.0, "ledger", LEDGER)
    print(f"{number} cells of {len(METRICS)} values, {len(LEDGER)} characters of ledger each")
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store")
        saving = timed(lambda: [save(store, cell, outcome) for cell in made])
        path = store.file_of(made[0].key)
        plain = Path(folder) / "plain"
        plain.mkdir()
        writing = timed(lambda: write_plain(plain, path.read_bytes(), number))
        print(saving.line("save", writing))
        print(writing.line("  writing the bytes"), flush=True)
        reading = timed(lambda: read_all(Path(folder) / "store" / "cells"))
        print(timed(lambda: list(outcomes(store, made))).line("outcomes", reading))
        print(timed(lambda: gather(store, made)).line("gather", reading))
        print(reading.line("  reading the bytes"))
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"peak memory {most:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
