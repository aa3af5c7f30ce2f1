"""Which numbers of the paper are run again, from what, and how far off they may be.

How far off: a number of the paper is a mean over seeds, with the half width of its t-interval. A
rerun with other seeds is a mean of draws of the same kind, so that the two differ by their spread:
stddev x sqrt(1/seeds + 1/seeds of the rerun), of which no more than t quantiles of (seeds - 1)
degrees of freedom are allowed, such that all numbers together agree with a chance of 95 %
(Bonferroni). A number without seeds, of a computation that draws nothing, may be off by half a
unit of its last digit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt

import numpy as np
from scipy import stats

from benchmarks.fits import Fits
from benchmarks.inputs import Source
from benchmarks.measured import ROOT, Record
from dp_synth.benchmark import read_record_file
from paper.documents import markdown
from paper.number import Number

NUMBERS, CURVES = ROOT / "paper" / "numbers.json", ROOT / "experiments/tradeoff/records.jsonl"
FIRST_SEED, SEEDS = 5, 5  # the records that are compared with have seeds 0 to 4
METHODS, EPSILONS = ("independent", "mst", "clique_tree"), (1.0, 10.0)
VALUES = ("tv", "tv_holdout", "auc")
BASELINES = {
    "noiseless": "independent without noise",
    "fresh": "held-out rows",
    "real": "real rows",
}
CODED = Source("adult_discrete")
CURVE_METRICS = {"tv2": 4, "auc:gradient_boosting": 3}
ALL_AGREE = 0.95

Key = tuple[str, float, str]  # method or baseline, epsilon, value


@dataclass(frozen=True)
class Covered:
    """A number that a rerun gives too: what is said, with its spread over seeds if it has one."""

    name: str
    value: float
    half: float | None
    seeds: int
    unit: float
    key: Key

    def tolerance(self, seeds: int, numbers: int) -> float:
        """Return how far a rerun of so many seeds may be off, as one of so many numbers."""
        if self.half is None or self.seeds < 2:
            return self.unit
        freedom = self.seeds - 1
        stddev = self.half * sqrt(self.seeds) / stats.t.ppf(0.975, freedom)
        quantile = stats.t.ppf(1 - (1 - ALL_AGREE) / (2 * numbers), freedom)
        return float(quantile * stddev * sqrt(1 / self.seeds + 1 / seeds))


@dataclass(frozen=True)
class Rerun:
    """A number of the paper beside that of a rerun."""

    covered: Covered
    value: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the rerun is within its tolerance."""
        return abs(self.value - self.covered.value) <= self.tolerance


def compared(
    covered: Sequence[Covered], rerun: Mapping[Key, tuple[float, int]], numbers: int
) -> list[Rerun]:
    """Return each covered number beside the rerun's, as one of so many."""
    found = [(one, *rerun[one.key]) for one in covered]
    return [Rerun(one, value, one.tolerance(seeds, numbers)) for one, value, seeds in found]


def table(found: Sequence[Rerun]) -> str:
    """Return a row a number: the paper's, the rerun's, the tolerance and the verdict."""
    rows = []
    for one in found:
        numbers = (one.covered.value, one.value, one.tolerance)
        verdict = "agrees" if one.agrees else "**differs**"
        rows.append([f"`{one.covered.name}`", *(f"{x:.4f}" for x in numbers), verdict])
    return markdown(["number", "paper", "rerun", "tolerance", "verdict"], rows)


def of_paper() -> list[Covered]:
    """Return the covered numbers of ``paper/numbers.json``: coded Adult, part of its figure."""
    numbers = json.loads(NUMBERS.read_text(encoding="utf-8"))
    found = []
    for name, key in _names():
        if name in numbers:
            found.append(_covered(name, numbers[name], key))
    return found


def _names() -> Iterator[tuple[str, Key]]:
    for method, epsilon, value in product(METHODS, EPSILONS, VALUES):
        ending = "" if epsilon == 1 else f"_at_{epsilon:g}"
        yield f"{method}_{value}_adult{ending}", (method, epsilon, value)
    for (short, label), value in product(BASELINES.items(), VALUES):
        yield f"{short}_{value}_adult", (label, 0.0, value)


def _covered(name: str, number: Mapping[str, float | None], key: Key) -> Covered:
    value, low, high = number["value"], number["low"], number["high"]
    assert value is not None
    half = None if low is None or high is None else (high - low) / 2
    return Covered(name, value, half, int(number["seeds"] or 1), number["tolerance"] or 0.0, key)


def of_curves() -> list[Covered]:
    """Return the covered means of the trade-off experiment, on the bundled table; none without."""
    if not CURVES.exists():
        return []
    records = read_record_file(CURVES)
    records = records[(records["dataset"] == "adult") & (records["task"] == "utility")]
    found = []
    for method, (metric, decimals) in product(METHODS, CURVE_METRICS.items()):
        here = records[
            (records["synthesizer"] == method)
            & (records["epsilon"] == EPSILONS[0])
            & (records["metric"] == metric)
        ]
        if len(here) > 1:
            number = Number.over_seeds(list(here["value"]), decimals, str(CURVES), "")
            name = f"tradeoff: {method} {metric}"
            key = (method, EPSILONS[0], metric)
            found.append(Covered(name, number.value, number.half, len(here), number.tolerance, key))
    return found


def fits(seeds: int) -> Fits:
    """Return the fits to coded Adult, with seeds that no committed record has."""
    fresh, methods = range(FIRST_SEED, FIRST_SEED + seeds), [(name, {}) for name in METHODS]
    return Fits(CODED, methods, EPSILONS, fresh, classified=True, baselines=True)


def means(lines: Sequence[Record]) -> dict[Key, tuple[float, int]]:
    """Return the mean of every value over the seeds of a rerun, and how many these are."""
    found: dict[Key, list[float]] = {}
    for line in lines:
        values = line.get("values")
        assert values is not None, f"a fit failed: {line.get('error')}"
        for value in {*VALUES, *CURVE_METRICS} & values.keys():
            key = (line["synthesizer"], line["epsilon"], value)
            found.setdefault(key, []).append(values[value])
    return {key: (float(np.mean(each)), len(each)) for key, each in found.items()}
