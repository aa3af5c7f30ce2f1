"""Thousands of changed files, in processes that stay: `make fuzz`. Exit code 1 where one is amiss.

Run it as ``python tests/fuzz/by_hand.py [--cases 5000] [--jobs 2] [--from 0] [--only NAME]``. Each
process may map no more than a bound of memory beyond what it has when all is loaded, and its
largest resident size is taken anew for each file. A fault is told with the name and the seed that
make it again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from corpus import SLOW, TARGETS, make
from trials import MOST_MB, Fault, peak_mb, trial


def bounded() -> None:
    """Let this process map no more than the bound beyond what it has loaded."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = mapped + MOST_MB * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def tried(case: tuple[str, int, str, str]) -> tuple[str, int, int, float, str]:
    """Return a case with its exit code, its peak of memory, and what was amiss with it."""
    name, seed, corpus, folder = case
    place = Path(folder) / str(os.getpid())
    try:
        code, fault = trial(name, seed, Path(corpus), place), ""
    except Fault as error:
        code, fault = -1, str(error)
    except MemoryError:
        code, fault = -1, f"asked for more than {MOST_MB} MB"
    return name, seed, code, peak_mb(), fault


def run(names: list[str], seeds: range, jobs: int, folder: Path) -> int:
    """Try a file a seed, print what came of it, and return how many were amiss."""
    with contextlib.redirect_stdout(io.StringIO()):
        corpus = make(folder / "files")
    cases = [(names[seed % len(names)], seed, str(corpus), str(folder)) for seed in seeds]
    codes: dict[str, Counter[int]] = {name: Counter() for name in names}
    faults, peak = 0, 0.0
    with ProcessPoolExecutor(jobs, initializer=bounded) as pool:
        for name, seed, code, most, fault in pool.map(tried, cases, chunksize=8):
            codes[name][code] += 1
            peak = max(peak, most)
            if fault:
                faults += 1
                print(f"{name!r} {seed}: {fault}\n", flush=True)
    for name, found in codes.items():
        print(f"{name:22}", ", ".join(f"{count} x {code}" for code, count in sorted(found.items())))
    print(f"{len(cases)} files, {faults} amiss; at most {peak:.0f} MB")
    return faults


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--only", choices=[*TARGETS, *SLOW], action="append")
    given = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DP_SYNTH_CACHE"] = f"{folder}/cache"
        seeds = range(given.first, given.first + given.cases)
        faults = run(given.only or [*TARGETS, *SLOW], seeds, given.jobs, Path(folder))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = used.ru_utime + used.ru_stime
    print(f"{time.monotonic() - started:.0f} s on the clock, {spent:.0f} of processors")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
