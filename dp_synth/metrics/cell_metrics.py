"""Metrics of cells: counting queries, rare combinations, and the equivalent sample of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from dp_synth.metrics.comparison import Compared, Metric, RealTables
from dp_synth.metrics.estimate import (
    TAIL,
    Estimate,
    degrees_of,
    gap_of_means,
    mean_within,
    random_groups,
    variance_of,
)
from dp_synth.metrics.fidelity import (
    Axes,
    Binning,
    cliques_of,
    mean_total_variation,
    present_cells,
    total_variation_influences,
)
from dp_synth.types import Codes, Flags, Floats, Integers

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


MOST_SHARE = 0.001  # of the training records: a cell that holds no more is rare
GROUPING_SEED = 0  # of the jackknife's groups


@dataclass(frozen=True, eq=False)
class _Pair:
    """Joint cells of two attributes, by number: first code times ``width`` plus the second."""

    axes: Axes
    width: int
    rare: Integers  # sorted
    taken: Integers  # sorted: those that any real record holds

    def keys(self, codes: Codes) -> Integers:
        """Return the cell of each record."""
        first, second = self.axes
        return codes[:, first].astype(np.int64) * self.width + codes[:, second]


def rare_combinations(compared: Compared) -> Mapping[str, Estimate]:
    """Return how much of what is rare is reproduced, and how much is real of what is made.

    Over the joint cells of all pairs of attributes, in the cells of `Binning`:

    ``rare_combinations:recall``
        the share of rare cells that hold a synthetic record. A cell is rare when it holds 0.1 %
        of the training records at most (one, in a small table); it counts only if hold-out
        records have it too, so that it belongs to the population rather than to one person.
        Left out where there is none.
    ``rare_combinations:precision``
        the share of synthetic records, the mean over pairs, that lie in cells where training or
        hold-out records lie as well.

    Recall and precision of a support (Sajjadi et al. 2018; Kynkaanniemi et al. 2019), on cells
    instead of neighbourhoods. A better table has more of both; recall grows with the number of
    synthetic records. Intervals are for the drawing of the synthetic records: by the delete-a-
    group jackknife, as in the counting of species (Heltshe & Forrester 1983); of fewer than 30
    that of recall is [0, 1].
    """
    real, codes = compared.real, compared.codes
    pairs = real.remembered("rare_combinations", lambda: _pairs(real))
    if not pairs or not len(codes):
        return {}
    groups = random_groups(len(codes), np.random.default_rng(GROUPING_SEED))
    known = np.zeros(len(codes))
    hit, lost = 0, np.zeros(int(groups.max()) + 1)
    for pair in pairs:
        keys = pair.keys(codes)
        known += _is_in(keys, pair.taken) / len(pairs)
        inside = _is_in(keys, pair.rare)
        of_pair, lost_of_pair = _hits(keys[inside], groups[inside], len(lost))
        hit, lost = hit + of_pair, lost + lost_of_pair
    rare = sum(len(pair.rare) for pair in pairs)
    found = {"rare_combinations:precision": mean_within(np.minimum(known, 1.0), 0.0, 1.0)}
    if rare:
        variance = variance_of((hit - lost) / rare)
        degrees = degrees_of(len(lost), len(codes))
        recall = Estimate.student(hit / rare, variance, degrees, least=0.0, most=1.0)
        found["rare_combinations:recall"] = recall
    return found


def _pairs(real: RealTables) -> list[_Pair]:
    sizes = real.binning.sizes
    if len(sizes) < 2 or not len(real.train_codes):
        return []
    most = max(1, int(MOST_SHARE * len(real.train_codes)))
    pairs = []
    for axes in cliques_of(len(sizes), 2):
        empty = np.zeros(0, dtype=np.int64)
        plain = _Pair(axes, sizes[axes[1]], empty, empty)
        size = sizes[axes[0]] * plain.width
        cells, counts = present_cells(plain.keys(real.train_codes), size)
        others, _ = present_cells(plain.keys(real.holdout_codes), size)
        rare = np.intersect1d(cells[counts <= most], others, assume_unique=True)
        pairs.append(_Pair(axes, plain.width, rare, np.union1d(cells, others)))
    return pairs


def _is_in(keys: Integers, cells: Integers) -> Flags:
    if not len(cells):
        return np.zeros(len(keys), dtype=bool)
    places = np.minimum(np.searchsorted(cells, keys), len(cells) - 1)
    return np.asarray(cells[places] == keys, dtype=bool)


def _hits(keys: Integers, groups: Integers, count: int) -> tuple[int, Floats]:
    """Return how many cells are hit, and how many of them are missed without each group."""
    both = np.unique(keys * count + groups)
    cells, first, times = np.unique(both // count, return_index=True, return_counts=True)
    alone = both[first[times == 1]] % count
    return len(cells), np.bincount(alone, minlength=count).astype(np.float64)


RARE_COMBINATIONS = Metric(
    "rare_combinations",
    "share of rare pairs of values that are there, and of records in pairs that are real",
    "higher",
    rare_combinations,
    needs="two columns, and synthetic records",
)


DRAWS = 5  # orders of the training records, each the beginning of a sample of every share
HALVINGS = 10  # shares 1, 1/2, ... down to 1/1024
FEWEST_RECORDS = 10  # of the smallest sample
DRAW_SEED = 0  # of the samples: the same beside every table


@dataclass(frozen=True, eq=False)
class _Curve:
    """Distances from the hold-out of samples, shape (draws, shares), of rising ``log_shares``."""

    log_shares: Floats
    distances: Floats

    def log_share_at(self, distance: float, distances: Floats) -> float:
        """Return where the falling curve of ``distances`` meets one, kept to the shares drawn."""
        return float(np.interp(-distance, -distances, self.log_shares))


def equivalent_sample(compared: Compared) -> Estimate:
    """Return the share of training records whose random sample is as far from the hold-out.

    Distance is ``tv2``, the mean total variation of all pairs: that of the synthetic table from
    the hold-out records is looked up on the curve of samples of 1/1024 of the training records
    (ten, in a small table), 1/512, ..., all, linear in the logarithm of the share and made to
    fall by isotonic regression. A table that is nearer than all training records has 1, one
    that is farther than the smallest sample that sample's share with an interval down to 0.
    ValueError where a table has fewer than two attributes, or no record.

    The interval is for the drawing of the synthetic records, by the slope of the curve, and of
    the samples, by five draws of them: Student's, on the log scale. The hold-out is the same for
    both, so that its drawing cancels to first order.
    """
    real = compared.real
    if len(real.binning.sizes) < 2 or not len(real.train) or not len(real.holdout):
        raise ValueError("an equivalent sample needs two attributes, and records in both tables")
    curve = real.remembered("equivalent_sample", lambda: _curve(real))
    distance, error = _distance(compared)
    mean = _falling(curve.distances.mean(axis=0))
    found = curve.log_share_at(distance, mean)
    by_draw = [curve.log_share_at(distance, _falling(row)) for row in curve.distances]
    quantile = float(stdtrit(DRAWS - 1, 1 - TAIL))
    # What error in the distance does to the share: by the curve itself, which is not straight.
    near, far = (curve.log_share_at(distance + side * quantile * error, mean) for side in (-1, 1))
    of_draws = quantile * np.sqrt(float(np.var(by_draw, ddof=1)) / DRAWS)
    low = found - np.hypot(found - far, of_draws)
    high = found + np.hypot(near - found, of_draws)
    below_all = distance >= mean[0]
    return Estimate(
        float(np.exp(found)),
        0.0 if below_all else min(float(np.exp(low)), float(np.exp(found))),
        min(max(float(np.exp(high)), float(np.exp(found))), 1.0),
    )


def equivalent_share(compared: Compared) -> Mapping[str, Estimate]:
    """Return `equivalent_sample` by its name; empty where it cannot be had."""
    real = compared.real
    if len(real.binning.sizes) < 2 or not len(real.train) or not len(real.holdout):
        return {}
    return {"equivalent_sample": equivalent_sample(compared)}


def _distance(compared: Compared) -> tuple[float, float]:
    """Return the distance from the hold-out, and its standard error by the synthetic records."""
    real, sizes = compared.real, compared.real.binning.sizes
    distance = compared.total_variation(2, "holdout").value
    if len(compared.codes) < 2:
        return distance, 0.0
    _, influences = total_variation_influences(
        real.holdout_codes, compared.codes, sizes, cliques_of(len(sizes), 2)
    )
    return distance, float(np.sqrt(influences.var(ddof=1) / len(influences)))


def _curve(real: RealTables) -> _Curve:
    records, sizes = len(real.train_codes), real.binning.sizes
    least = min(1.0, max(2.0**-HALVINGS, FEWEST_RECORDS / records))
    shares = np.geomspace(least, 1.0, 1 + int(np.ceil(-np.log2(least) - 1e-9)))
    cliques, rng = cliques_of(len(sizes), 2), np.random.default_rng(DRAW_SEED)
    distances = np.empty((DRAWS, len(shares)))
    for draw in range(DRAWS):
        order = rng.permutation(records)
        for place, part in enumerate(shares):
            sample = real.train_codes[order[: max(1, round(part * records))]]
            distances[draw, place] = mean_total_variation(
                real.holdout_codes, sample, sizes, cliques
            ).value
    return _Curve(np.log(shares), distances)


def _falling(distances: Floats) -> Floats:
    """Return the nearest falling sequence, by pooling of adjacent violators.

    >>> _falling(np.array([4.0, 1.0, 2.0])).tolist()
    [4.0, 1.5, 1.5]
    """
    means: list[float] = []
    sizes: list[int] = []
    for distance in distances.tolist():
        mean, size = distance, 1
        while means and means[-1] < mean:
            before, count = means.pop(), sizes.pop()
            mean, size = (mean * size + before * count) / (size + count), size + count
        means.append(mean)
        sizes.append(size)
    return np.repeat(means, sizes)


EQUIVALENT_SAMPLE = Metric(
    "equivalent_sample",
    "share of the training records whose random sample is as near to hold-out pairs",
    "higher",
    equivalent_share,
    needs="two columns, and records of both real tables",
)
