"""Run a reduced version of the paper's main figure again, and say number by number what came out.

    python -m experiments.reproduce tradeoff-small [--seeds 5] [--out LINES.jsonl]

Each covered number is printed with the paper's value, the rerun's, the tolerance and a verdict.
Exit status 0 when all agree, 1 when one does not, 2 when nothing could be compared. Coded Adult
needs the folder that DP_SYNTH_DATA names, and the bundled table records to compare it with, in
``experiments/tradeoff/records.jsonl``; a table that lacks them is not run, and that is said.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.measured import Record, keep
from dp_synth.benchmark import run_grid
from experiments.tradeoff_small.covered import (
    EPSILONS,
    FIRST_SEED,
    SEEDS,
    compared,
    fits,
    means,
    of_curves,
    of_paper,
    table,
)

EXPERIMENTS = ("tradeoff-small",)
JOBS = 2
GRID = Path(__file__).resolve().parent / EXPERIMENTS[0] / "grid.yaml"


def coded(seeds: int, folder: Path) -> list[Record]:
    """Return the lines of the fits to coded Adult."""
    return list(fits(seeds).lines(folder / "coded", jobs=JOBS))


def bundled(seeds: int, folder: Path) -> list[Record]:
    """Return the lines of the grid on the bundled table."""
    grid = yaml.safe_load(GRID.read_text("utf-8"))
    grid["seeds"] = list(range(FIRST_SEED, FIRST_SEED + seeds))
    records = run_grid(grid, folder / "bundled", jobs=JOBS)
    kept = ["synthesizer", "epsilon", "seed", "version"]
    return [
        {"table": "adult", **{k: row[k] for k in kept}, "values": {row["metric"]: row["value"]}}
        for row in records[records["epsilon"] == EPSILONS[0]].to_dict("records")
    ]


def rerun(seeds: int, out: Path | None) -> list[bool]:
    """Run and compare every part, print what came out, and return the verdicts."""
    started, verdicts, kept = time.perf_counter(), list[bool](), list[Record]()
    parts = [(of_paper(), coded), (of_curves(), bundled)]
    if "DP_SYNTH_DATA" not in os.environ:
        print("DP_SYNTH_DATA is unset: the numbers of coded Adult are not run again")
        parts = parts[1:]
    if not parts[-1][0]:
        print("experiments/tradeoff has no records of the bundled table: not run again")
    numbers = sum(len(covered) for covered, _ in parts)
    with tempfile.TemporaryDirectory() as folder:
        for covered, measure in parts:
            if covered:
                lines = measure(seeds, Path(folder))
                kept += lines
                found = compared(covered, means(lines), numbers)
                print(f"{table(found)}\n", flush=True)
                verdicts += [one.agrees for one in found]
    if out is not None:
        keep(out, kept)
    agreeing, minutes = sum(verdicts), (time.perf_counter() - started) / 60
    print(f"{agreeing} of {len(verdicts)} numbers agree; {seeds} seeds, {minutes:.1f} minutes")
    return verdicts


def main() -> None:
    """Run one experiment again, and exit with its verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, help="a file for the rerun's lines of JSON")
    given = parser.parse_args()
    verdicts = rerun(given.seeds, given.out)
    sys.exit((0 if all(verdicts) else 1) if verdicts else 2)


if __name__ == "__main__":
    main()
