"""Counting queries over ranges and points: how far their answers lie from the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dp_synth.metrics.comparison import Compared, Metric, RealTables
from dp_synth.metrics.estimate import Estimate, gap_of_means
from dp_synth.metrics.fidelity import Axes, Binning
from dp_synth.types import Codes, Flags, Floats

QUERIES = 1_000
FEW = 30  # records
DEGREE = 3  # attributes that a query is about, or all where there are fewer
WORKLOAD_SEED = 0  # one workload for all tables that are compared with the same real ones


@dataclass(frozen=True)
class Query:
    """Which records lie in cells ``low`` to ``high``, both included, of each of its attributes."""

    axes: Axes
    low: tuple[int, ...]
    high: tuple[int, ...]

    def holds(self, codes: Codes) -> Flags:
        """Return which records of ``codes``, shape (records, attributes), are counted."""
        inside = np.ones(len(codes), dtype=bool)
        for axis, low, high in zip(self.axes, self.low, self.high, strict=True):
            inside &= (codes[:, axis] >= low) & (codes[:, axis] <= high)
        return inside


def range_queries(compared: Compared) -> Mapping[str, Estimate]:
    """Return the mean absolute error of the shares that counting queries give.

    ``range_queries``
        1,000 random conjunctions over three attributes each: a range of cells between two ends
        drawn uniformly, in a numeric or ordinal attribute; in a categorical one the category of
        a training record drawn at random, so that queries meet records. Workloads of ranges and
        prefixes are what private answers to queries are planned for (McKenna, Miklau, Hay &
        Machanavajjhala 2018). Cells are those of `Binning`; a missing value is in no range.
    ``range_queries:prefix``
        all ranges "at most x" of one numeric or ordinal attribute, the mean over the cuts of an
        attribute and then over attributes: the area between two distribution functions.

    Both are against the training records. Intervals are for the drawing of both tables' records,
    with the signs of the errors held fixed, as for total variation.
    """
    codes = compared.real.train_codes, compared.codes
    if not len(codes[0]) or not len(codes[1]) or not codes[0].shape[1]:
        return {}
    queries = compared.real.remembered("range_queries", lambda: workload(compared.real))
    found = {"range_queries": _error_of(queries, *codes)}
    prefixes = _prefix_error(compared.real.binning, *codes)
    return found if prefixes is None else found | {"range_queries:prefix": prefixes}


def workload(
    real: RealTables, queries: int = QUERIES, degree: int = DEGREE, *, seed: int = WORKLOAD_SEED
) -> tuple[Query, ...]:
    """Return random queries over the cells of ``real``, which must hold a training record."""
    rng, codes = np.random.default_rng(seed), real.train_codes
    counts = _ordered_cells(real.binning)
    drawn = []
    for _ in range(queries):
        attributes = rng.choice(len(counts), min(degree, len(counts)), replace=False)
        axes = tuple(sorted(attributes.tolist()))
        ends = [_ends(counts[axis], codes[:, axis], rng) for axis in axes]
        drawn.append(Query(axes, tuple(low for low, _ in ends), tuple(high for _, high in ends)))
    return tuple(drawn)


def _ends(cells: int, codes: Codes, rng: np.random.Generator) -> tuple[int, int]:
    if cells:
        low, high = sorted(rng.integers(cells, size=2).tolist())
        return low, high
    point = int(codes[rng.integers(len(codes))])
    return point, point


def _ordered_cells(binning: Binning) -> list[int]:
    """Return how many cells of each attribute have an order; 0 for categories."""
    return [
        0 if column.type == "categorical" else size - len(column.missing)
        for column, size in zip(binning.attributes, binning.sizes, strict=True)
    ]


def _error_of(queries: tuple[Query, ...], real: Codes, other: Codes) -> Estimate:
    of_real, of_other = np.zeros(len(real)), np.zeros(len(other))
    for query in queries:
        in_real, in_other = query.holds(real), query.holds(other)
        sign = np.sign(in_real.mean() - in_other.mean()) / len(queries)
        of_real += sign * in_real
        of_other += sign * in_other
    return _gap(of_real, of_other)


def _prefix_error(binning: Binning, real: Codes, other: Codes) -> Estimate | None:
    counts = _ordered_cells(binning)
    axes = [axis for axis, cells in enumerate(counts) if cells > 1]
    of_real, of_other = np.zeros(len(real)), np.zeros(len(other))
    for axis in axes:
        size, cuts = binning.sizes[axis], counts[axis] - 1
        gaps = _shares(real[:, axis], size) - _shares(other[:, axis], size)
        signs = np.sign(np.cumsum(gaps[:cuts]))
        # A record of cell c is counted by the prefixes that end at c or later.
        influence = np.zeros(size)
        influence[:cuts] = np.cumsum(signs[::-1])[::-1] / (cuts * len(axes))
        of_real += influence[real[:, axis]]
        of_other += influence[other[:, axis]]
    return _gap(of_real, of_other) if axes else None


def _gap(of_real: Floats, of_other: Floats) -> Estimate:
    """Return the difference of means; of few records as if they varied no less than the others."""
    found, fewest = gap_of_means(of_real, of_other, most=1.0), min(len(of_real), len(of_other))
    if not 2 <= fewest < FEW:
        return found
    variance = max(of_real.var(ddof=1), of_other.var(ddof=1)) / fewest
    wide = Estimate.student(found.value, float(variance), fewest - 1, least=0.0, most=1.0)
    return Estimate(found.value, min(found.low, wide.low), max(found.high, wide.high))


def _shares(codes: Codes, size: int) -> Floats:
    return np.bincount(codes, minlength=size) / len(codes)


RANGE_QUERIES = Metric(
    "range_queries",
    "mean absolute error of 1,000 counting queries on three attributes, and of prefixes",
    "lower",
    range_queries,
    needs="a column, and records of either table",
)
