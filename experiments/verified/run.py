"""Checks again what was found sound, one row a claim: a figure and the tests that show it.

    python -m experiments verified [--only NAME] [--jobs 2]

A row measures its figure by slow means that share nothing with the code (`figures`), and
runs the tests that hold the claim in the suite. Prints a line a row and exits with 1 where one
fails. Needs the extra `test`; about six minutes of one core.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import yaml

from benchmarks.versions import ONE_THREAD, ROOT

HERE = Path(__file__).parent
FIGURES = re.findall(r"^def (\w+)_figure\(", (HERE / "figures.py").read_text("utf-8"), re.MULTILINE)
CLAIMS = yaml.safe_load((HERE / "claims.yaml").read_text("utf-8"))
MOST_SECONDS = 1200  # of one row's part; a busy machine takes long


def run_figure(name: str) -> tuple[str, bool]:
    """Return the text of a figure, computed in a process of its own, and whether it holds."""
    code = f"from experiments.verified.figures import {name} as figure\n"
    code += "text, holds = figure(); print(text); raise SystemExit(not holds)"
    ended = _run(["-W", "ignore", "-c", code])
    lines = (ended.stdout if ended.stdout.strip() else ended.stderr).strip().splitlines()
    return (lines[-1] if lines else "no output"), ended.returncode == 0


def run_tests(tests: Sequence[str]) -> tuple[str, bool]:
    """Return how many of the tests passed, and whether all did."""
    asked = [f"tests/{test}" for test in tests]
    options = ["-q", "-m", "not slow and not browser", "-p", "no:cacheprovider"]
    ended = _run(["-m", "pytest", *options, *asked])
    counts = re.findall(r"\d+ (?:passed|failed|errors?|skipped)", ended.stdout[-400:])
    failed = re.findall(r"^FAILED (\S+)", ended.stdout, re.MULTILINE)
    words = ", ".join(counts) or "no test ran"
    return "tests: " + "; ".join([words, *failed]), ended.returncode == 0


def _run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | ONE_THREAD,
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        said = f"not done after {MOST_SECONDS} s"
        return subprocess.CompletedProcess(command, 1, said, "")


def check(name: str) -> bool:
    """Print what a claim's figure and tests say, and return whether both hold."""
    started, said, found = perf_counter(), CLAIMS[name], []
    if name in FIGURES:
        found.append(run_figure(f"{name}_figure"))
    if "tests" in said:
        found.append(run_tests(said["tests"]))
    holds = all(one for _, one in found)
    text = "; ".join(text for text, _ in found)
    line = f"{'holds' if holds else 'FAILS'}  {name:14} {said['claim']}\n       {text}"
    print(f"{line} ({perf_counter() - started:.0f} s)", flush=True)
    return holds


def main() -> int:
    """Check the claims, and say how many hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=CLAIMS, help="the claim of this name alone")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    names, started = [asked.only] if asked.only else [*CLAIMS], perf_counter()
    with ThreadPoolExecutor(max(1, asked.jobs)) as pool:
        held = sum(pool.map(check, names))
    print(f"{held} of {len(names)} hold; {perf_counter() - started:.0f} s, {asked.jobs} at a time")
    return 0 if held == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
