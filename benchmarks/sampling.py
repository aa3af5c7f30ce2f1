"""Memory and CPU of sampling many rows to a file, beside another checkout, as ratios.

    python -m benchmarks.sampling --against ../other-checkout [--rows 10000000]

A release of the bundled table is made by the other checkout, whose file both can read, and each
samples it to CSV and to Parquet in a process of its own. Without --against, this checkout alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
FIT = """
import sys, dp_synth as dps
data = dps.datasets.load("adult")
schema = data.schema.select([name for name in data.schema.names if name != "education-num"])
budget = dps.PrivacyBudget(epsilon=1, delta=1e-9)
dps.MST().fit(data.train, schema, budget, seed=0).save(sys.argv[1])
"""
SAMPLE = "import sys; from dp_synth.cli import main; sys.exit(main(sys.argv[1:]))"


def run(checkout: Path, code: str, *arguments: object) -> tuple[float, float]:
    """Return the CPU seconds and the peak of memory, in MB, of a process with a checkout's code."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=tempfile.gettempdir(),  # no checkout, which would be found before the one asked for
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{checkout}: ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Print a line for each kind of file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="another checkout, such as an older one")
    parser.add_argument("--rows", type=int, default=10_000_000)
    asked = parser.parse_args()
    both = [path.resolve() for path in (asked.against, HERE) if path is not None]
    print(f"{asked.rows:,} rows x 14 columns, whole processes")
    print(f"{'file':<10}{'checkout':<12}{'CPU s':>8}{'MB':>8}{'MB written':>12}")
    with tempfile.TemporaryDirectory() as folder:
        release = Path(folder) / "release.npz"
        run(both[0], FIT, release)
        for ending in ("csv", "parquet"):
            out, found = Path(folder) / f"rows.{ending}", []
            for checkout in both:
                options = ["--rows", asked.rows, "--seed", 1, "--out", out]
                found.append(run(checkout, SAMPLE, "sample", release, *options))
                size, name = out.stat().st_size / 1e6, "this" if checkout == HERE else "other"
                print(f"{ending:<10}{name:<12}{found[-1][0]:8.1f}{found[-1][1]:8.0f}{size:12.0f}")
            if len(found) > 1:
                cpu, memory = (new / old for old, new in zip(*found, strict=True))
                print(f"{ending:<10}{'this/other':<12}{cpu:8.2f}{memory:8.2f}")


if __name__ == "__main__":
    main()
