"""Processor seconds of whole commands, and their ratios to those of another checkout beside it.

``start.py --beside FOLDER`` runs each command in both folders in turn and prints the medians: what
else a machine does then falls on both. Each command is a process of its own, on one thread, with
the modules of the folder in which it runs.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]


def processor_seconds(command: list[str], folder: Path) -> float:
    """Return what a command takes of the processor, in user and system mode."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(out: Path) -> dict[str, list[str]]:
    """Return what is measured: the bare import, a list, and fits of coded Adult if it is there."""
    command = [sys.executable, "-c", "from dp_synth.cli import main; raise SystemExit(main())"]
    found = {
        "import dp_synth": [sys.executable, "-c", "import dp_synth"],
        "list synthesizers": [*command, "list", "synthesizers"],
    }
    table = Path(os.environ.get("DP_SYNTH_DATA", "."), "adult_discrete.csv")
    if not table.exists():
        print("DP_SYNTH_DATA does not name the folder of coded Adult: no fit is measured")
        return found
    fit = [*command, "synthesize", f"--data={table}", f"--schema={table.with_suffix('.meta.json')}"]
    fit += ["--epsilon=1", "--delta=1e-9", "--seed=1", f"--out={out}"]
    return {**found, **{f"synthesize {m}": [*fit, f"--synthesizer={m}"] for m in METHODS}}


METHODS = ("independent", "mst")


def main() -> None:
    """Measure each command so many times in each folder and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout, such as of a version before")
    parser.add_argument("--runs", type=int, default=7)
    asked = parser.parse_args()
    folders = [HERE, *([asked.beside.resolve()] if asked.beside else [])]
    with tempfile.TemporaryDirectory() as place:
        for name, command in commands(Path(place) / "rows.csv").items():
            seconds: list[list[float]] = [[] for _ in folders]
            for _ in range(asked.runs):
                for folder, taken in zip(folders, seconds, strict=True):
                    taken.append(processor_seconds(command, folder))
            medians = [statistics.median(taken) for taken in seconds]
            shown = "   ".join(f"{median:.3f} s" for median in medians)
            ratio = f"   ratio {medians[0] / medians[1]:.2f}" if asked.beside else ""
            print(f"{name:<24} {shown}{ratio}", flush=True)


if __name__ == "__main__":
    main()
