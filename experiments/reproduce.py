"""Run a reduced version of the paper's main figure again, and say number by number what came out.

    python -m experiments.reproduce tradeoff-small [--seeds 5] [--out LINES.jsonl]

Each covered number is printed with the paper's value, the rerun's, the tolerance and a verdict.
Exit status 0 when all agree, 1 when one does not, 2 when nothing could be compared. Coded Adult
needs the folder that DP_SYNTH_DATA names, and the bundled table records to compare it with, in
``experiments/tradeoff/records.jsonl``; a table that lacks them is not run, and that is said.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))


from dp_synth.benchmark import read_record_file
from experiments.tradeoff_small.covered import (
    EPSILONS,
    FIRST_SEED,
    SEEDS,
    Covered,
    Key,
    fits,
    means,
    of_curves,
    of_paper,
)

HERE = Path(__file__).resolve().parent
EXPERIMENTS = ("tradeoff-small",)
JOBS = 2
GRID = HERE / EXPERIMENTS[0] / "grid.yaml"

Line = Mapping[str, object]


def coded(seeds: int, folder: Path) -> list[Line]:
    """Return the lines of the fits to coded Adult."""
    return list(fits(seeds).lines(folder / "coded", jobs=JOBS))


def bundled(seeds: int, folder: Path) -> list[Line]:
    """Return the lines of the grid on the bundled table."""
    program = [sys.executable, "-c", "from dp_synth.cli import main; main()", "benchmark"]
    store, out = folder / "store", folder / "records.jsonl"
    chosen = f"seeds={list(range(FIRST_SEED, FIRST_SEED + seeds))}"
    run = ["run", GRID, "--set", chosen, "--store", store, "--jobs", str(JOBS)]
    export = ["export", store, "--out", out, "--command", "experiments/reproduce.py"]
    for arguments in (run, export):
        subprocess.run([*program, *arguments], check=True, stdout=sys.stderr)
    records = read_record_file(out)
    fitted = records[records["epsilon"] == EPSILONS[0]]
    return [
        {
            "table": "adult",
            "synthesizer": row["synthesizer"],
            "epsilon": row["epsilon"],
            "seed": row["seed"],
            "values": {row["metric"]: row["value"]},
            "version": row["version"],
        }
        for row in fitted.to_dict("records")
    ]


def compared(
    covered: Sequence[Covered], rerun: Mapping[Key, tuple[float, int]], numbers: int
) -> list[tuple[str, bool]]:
    """Return a printed row for each number, and whether it agrees."""
    rows = []
    for one in covered:
        value, seeds = rerun[one.key]
        tolerance = one.tolerance(seeds, numbers)
        agrees = abs(value - one.value) <= tolerance
        verdict = "agrees" if agrees else "DIFFERS"
        row = f"{one.name:44} {one.value:9.4f} {value:9.4f} {tolerance:10.4f}  {verdict}"
        rows.append((row, agrees))
    return rows


def parts() -> list[tuple[Sequence[Covered], bool]]:
    """Return what can be run again here, and whether it is of coded Adult."""
    found: list[tuple[Sequence[Covered], bool]] = []
    if "DP_SYNTH_DATA" in os.environ:
        found.append((of_paper(), True))
    else:
        print("DP_SYNTH_DATA is unset: the numbers of coded Adult are not run again")
    if curves := of_curves():
        found.append((curves, False))
    else:
        print("experiments/tradeoff has no records of the bundled table: not run again")
    return found


def rerun(seeds: int, out: Path | None) -> list[bool]:
    """Run and compare every part, print what came out, and return the verdicts."""
    started, todo = time.perf_counter(), parts()
    numbers = sum(len(covered) for covered, _ in todo)
    verdicts: list[bool] = []
    kept: list[Line] = []
    print(f"{'number':44} {'paper':>9} {'rerun':>9} {'tolerance':>10}  verdict", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for covered, is_coded in todo:
            lines = (coded if is_coded else bundled)(seeds, Path(folder))
            kept += lines
            for row, agrees in compared(covered, means(lines), numbers):
                print(row, flush=True)
                verdicts.append(agrees)
    if out is not None:
        out.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
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
