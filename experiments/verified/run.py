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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

from benchmarks.versions import ONE_THREAD, ROOT

FIGURES = "from experiments.verified import figures as f"
MOST_SECONDS = 1200  # of one row's part; a busy machine takes long


@dataclass(frozen=True)
class Row:
    """A claim: its figure, by the name of a function, and the tests that hold it in the suite."""

    name: str
    claim: str
    figure: str = ""
    tests: tuple[str, ...] = ()


ROWS = (
    Row(
        "blocks",
        "no adaptive adversary exceeds the curve of a block of selections",
        "block_curve_figure",
        ("accounting/test_blocks.py",),
    ),
    Row(
        "gaussian",
        "one Gaussian's curve is never below 60 digits",
        "gaussian_figure",
        ("accounting/test_closed_forms.py",),
    ),
    Row(
        "zcdp",
        "conversions of zCDP are the optimum of their formula",
        "zcdp_figure",
        ("mechanisms/test_opendp_oracle.py",),
    ),
    Row(
        "currency",
        "what a filter charges dominates choices and pure events",
        "currency_figure",
        ("accounting/test_currency.py",),
    ),
    Row(
        "votes",
        "curves of votes are the largest over all splits",
        "votes_figure",
        ("accounting/test_votes.py",),
    ),
    Row(
        "sums",
        "sums of losses are never below transforms of 80 bits",
        "mixed_figure",
        ("accounting/test_sums_of_losses.py", "accounting/test_engines.py"),
    ),
    Row(
        "responses",
        "a Gaussian beside randomised responses is bounded by its curve",
        "responses_figure",
    ),
    Row(
        "noise",
        "rounded Gaussian noise has its law, also at adversarial bits",
        "noise_figure",
        ("mechanisms/test_exact_noise.py",),
    ),
    Row(
        "choices",
        "the exponential mechanism has its odds, also beside boundaries",
        "choice_figure",
        ("mechanisms/test_exact_choice.py",),
    ),
    Row("rounding", "rounded noise decides votes as exact noise does", "rounding_figure"),
    Row(
        "teachers",
        "one record moves the leanings and the vote of one teacher",
        tests=("mechanisms/test_noisy_votes.py", "mechanisms/test_teacher_structure.py"),
    ),
    Row(
        "thresholds",
        "a text of one unit is released with at most its delta",
        "thresholds_figure",
        ("mechanisms/test_partitions.py",),
    ),
    Row(
        "sensitivities",
        "no neighbour moves an answer by more than is stated",
        "sensitivities_figure",
        ("mechanisms/test_sensitivity.py", "mechanisms/test_weighted_choices.py"),
    ),
    Row(
        "calibration",
        "a calibrated plan uses its budget and never more",
        "calibration_figure",
    ),
    Row(
        "cache",
        "a poisoned cache can waste and not break",
        tests=("accounting/test_cache.py",),
    ),
    Row(
        "filters",
        "sums of filters stay within their limit, from many threads too",
        tests=("accounting/test_adaptive.py", "accounting/test_filtered_parts.py"),
    ),
    Row(
        "copies",
        "copies, forks and threads of a payer share what it may spend",
        tests=(
            "accounting/test_accountant.py",
            "accounting/test_processes.py",
            "test_table.py",
        ),
    ),
    Row(
        "resume",
        "a killed training goes on without a charge or a key used twice",
        tests=("test_checkpoint.py", "accounting/test_resume.py"),
    ),
    Row(
        "sampling",
        "batches are Poisson samples, and what a fit keeps holds no key",
        tests=(
            "mechanisms/test_sampled_gradients.py",
            "audit/test_structural.py::test_poisson_samples_pass_and_other_batches_do_not",
            "audit/test_structural.py::test_right_samplers_are_almost_never_accused",
        ),
    ),
    Row(
        "tables",
        "no table makes a fit fail",
        tests=("synthesizers/test_no_fit_fails.py",),
    ),
    Row(
        "alarms",
        "an audit accuses what keeps its claim at most as often as it says",
        "audits_figure",
        ("audit/test_bounds.py", "audit/test_one_run.py"),
    ),
    Row("delong", "limits of an area hold at an audit's small levels", "delong_figure"),
    Row("areas", "intervals of an area miss as often as they say", "roc_figure"),
    Row(
        "intervals",
        "every printed interval misses as often as it says, at few runs too",
        tests=("test_coverage.py", "audit/test_roc.py"),
    ),
)


def run_figure(name: str) -> tuple[str, bool]:
    """Return the text of a figure, computed in a process of its own, and whether it holds."""
    code = f"{FIGURES}; text, holds = f.{name}(); print(text); raise SystemExit(not holds)"
    ended = _run(["-W", "ignore", "-c", code])
    lines = (ended.stdout if ended.stdout.strip() else ended.stderr).strip().splitlines()
    return (lines[-1] if lines else "no output"), ended.returncode == 0


def run_tests(tests: tuple[str, ...]) -> tuple[str, bool]:
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


def check(row: Row) -> tuple[str, bool]:
    """Return what a row's figure and tests say, and whether both hold."""
    started = perf_counter()
    parts: list[Callable[[], tuple[str, bool]]] = []
    if row.figure:
        parts.append(lambda: run_figure(row.figure))
    if row.tests:
        parts.append(lambda: run_tests(row.tests))
    found = [part() for part in parts]
    holds = all(one for _, one in found)
    text = "; ".join(text for text, _ in found)
    verdict = "holds" if holds else "FAILS"
    line = f"{verdict}  {row.name:14} {row.claim}\n       {text} ({perf_counter() - started:.0f} s)"
    print(line, flush=True)
    return line, holds


def main() -> int:
    """Check the rows, and say how many hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="the row of this name alone")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    rows = [row for row in ROWS if asked.only in ("", row.name)]
    if not rows:
        parser.error(f"no row {asked.only!r}; there are {', '.join(row.name for row in ROWS)}")
    started = perf_counter()
    with ThreadPoolExecutor(max(1, asked.jobs)) as pool:
        found = list(pool.map(check, rows))
    held = sum(holds for _, holds in found)
    print(f"{held} of {len(rows)} hold; {perf_counter() - started:.0f} s, {asked.jobs} at a time")
    return 0 if held == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
