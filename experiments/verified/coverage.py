"""Prints how often every printed interval misses the truth, at few runs, seeds and records.

    python -m experiments.verified.coverage [--repeats 500] [--only NAME] [--jobs 2]

A row is one interval under one law (`laws`), with the share of misses at each n among
``--repeats`` drawings (a fifth of them where models are trained or queries counted). A row is
marked where misses are more than nominal by more than chance explains: beyond the binomial
quantile of 1 - 0.05 over all cells of the table. Intervals of few runs may be wider than they need
be: misses below nominal are no fault. "none" says that nothing is printed of so few. Exits with 1
where a row is marked.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import isnan

import numpy as np
from scipy.stats import binom

from benchmarks.versions import ONE_THREAD, cpu_seconds
from experiments.verified.laws import CASES, Case
from paper.documents import markdown

REPEATS = 500
CHANCE = 0.05  # that any cell of a table of honest intervals is marked
SLOWER = 5  # of so many drawings one is made of what takes long
SEED = 20_261_130


@dataclass(frozen=True)
class Cell:
    """How often an interval at one size missed, of how many that were printed."""

    size: int
    misses: int
    printed: int
    width: float

    def most(self, nominal: float, cells: int) -> int:
        """Return the most misses that chance explains, with that of other cells shared."""
        return int(binom.ppf(1 - CHANCE / cells, self.printed, nominal)) if self.printed else 0

    def text(self, nominal: float, cells: int) -> str:
        """Return the share of misses in per cent, marked where it is too large."""
        if not self.printed:
            return "none"
        mark = " !" if self.misses > self.most(nominal, cells) else ""
        return f"{100 * self.misses / self.printed:.1f}{mark}"


def measured(case: Case, size: int, repeats: int, seed: int = SEED) -> Cell:
    """Return how often the interval of ``case`` at one size misses, of so many drawings."""
    streams = np.random.SeedSequence([seed, size, len(case.law)]).spawn(repeats)
    drawn = [case.draw(np.random.default_rng(stream), size) for stream in streams]
    found = [one for one in drawn if one is not None]
    if not found:
        return Cell(size, 0, 0, float("nan"))
    middle = float(case.middle(np.array([estimate.value for estimate, _ in found])))
    misses = 0
    for estimate, known in found:
        truth = middle if isnan(known) else known
        misses += not estimate.low - 1e-12 <= truth <= estimate.high + 1e-12
    widths = [estimate.high - estimate.low for estimate, _ in found]
    return Cell(size, misses, len(found), float(np.median(widths)))


def row(place: int, repeats: int) -> list[Cell]:
    """Return the cells of the case at ``place``."""
    case = CASES[place]
    fewer = max(1, repeats // SLOWER) if case.slow else repeats
    return [measured(case, size, fewer) for size in case.sizes]


def show(cases: Sequence[Case], rows: Sequence[Sequence[Cell]]) -> int:
    """Print the table; return how many cells are marked."""
    sizes = sorted({size for case in cases for size in case.sizes})
    cells = sum(len(one) for one in rows)
    lines = []
    for case, found in zip(cases, rows, strict=True):
        by_size = {cell.size: cell.text(case.nominal, cells) for cell in found}
        texts = [by_size.get(size, "") for size in sizes]
        lines.append([case.name, case.law, f"{100 * case.nominal:g}", *texts])
    print(markdown(["interval", "law", "nominal", *(f"n = {size}" for size in sizes)], lines))
    return sum(text.endswith("!") for line in lines for text in line)


def main() -> int:
    """Print the table and what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    places = [place for place, case in enumerate(CASES) if asked.only in case.name]
    os.environ |= ONE_THREAD
    with ProcessPoolExecutor(asked.jobs) as pool:
        rows = list(pool.map(row, places, [asked.repeats] * len(places)))
    cases = [CASES[place] for place in places]
    marked = show(cases, rows)
    print(f"\nmisses in per cent of {asked.repeats} drawings; {marked} cells above nominal by more")
    print(f"than chance explains; {cpu_seconds():.0f} s of CPU")
    return 1 if marked else 0


if __name__ == "__main__":
    sys.exit(main())
