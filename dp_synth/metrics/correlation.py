"""Whether pairs of attributes are associated as strongly as in the real table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.metrics.comparison import Compared, Metric, RealTables
from dp_synth.metrics.estimate import (
    Estimate,
    degrees_of,
    degrees_of_sum,
    random_groups,
    variance_of,
    without_each,
)
from dp_synth.metrics.fidelity import cells_of, codes_of, joint_keys, present_cells
from dp_synth.types import Floats, Integers

GROUPING_SEED = 0  # of the jackknife's groups


@dataclass(frozen=True, eq=False)
class _Table:
    """Values of numeric, date and ordinal attributes, codes of categorical ones, and groups.

    Both have shape (records, attributes); a missing value is NaN.
    """

    values: Floats
    codes: Integers
    sizes: tuple[int, ...]
    groups: Integers

    @property
    def count(self) -> int:
        """The number of groups."""
        return int(self.groups.max(initial=0)) + 1


@dataclass(frozen=True, eq=False)
class _Strengths:
    """Associations of pairs, shape (pairs,), and with each group left out, (groups, pairs).

    ``least``, of shape (pairs,), is the least standard error that each can have.
    """

    whole: Floats
    left_out: Floats
    least: Floats

    @classmethod
    def of(cls, found: Floats, least: Floats | None = None) -> _Strengths:
        """Return those of an array of shape (1 + groups, pairs): whole, then groups left out."""
        nothing = np.zeros(found.shape[1])
        return cls(found[0], found[1:], nothing if least is None else least)


def correlation(compared: Compared) -> Mapping[str, Estimate]:
    """Return the mean absolute error, over pairs of attributes, of how strongly they go together.

    ``correlation:pearson``
        between numeric, date and ordinal (by code) attributes, over records that hold both.
    ``correlation:cramers_v``
        between categorical ones, missing marks being categories, corrected for bias (Bergsma
        2013).
    ``correlation:ratio``
        the correlation ratio of a numeric attribute by the categories of another, corrected for
        its bias (Kelley 1935: epsilon squared, 0 where that is negative).

    A kind without a pair is left out; an attribute of one value goes with nothing: 0. Against
    the training records. Intervals are for the drawing of both tables' records, by Student and a
    jackknife of 40 groups with the signs of the errors held fixed; of fewer than 30 records they
    are all that is possible. Near independence ``cramers_v`` is the root of what is cut at zero,
    of which a jackknife sees too little: its standard error is then at least what that of chi
    squared without association makes of it.
    """
    real = compared.real
    of_train = real.remembered("correlation", lambda: _strengths(_table(real, real.train)))
    of_other = _strengths(_table(real, compared.synthetic))
    return {
        f"correlation:{kind}": _mean_gap(of_train[kind], of_other[kind], most)
        for kind, most in (("pearson", 2.0), ("cramers_v", 1.0), ("ratio", 1.0))
        if len(of_train[kind].whole)
    }


def _mean_gap(real: _Strengths, other: _Strengths, most: float) -> Estimate:
    """Return the mean gap between the associations of two tables."""
    signs = np.sign(other.whole - real.whole)
    parts = [
        max(variance_of((signs * one.left_out).mean(axis=1)), float(one.least.mean()) ** 2)
        for one in (real, other)
    ]
    value = float(np.abs(other.whole - real.whole).mean())
    groups = [len(one.left_out) for one in (real, other)]  # of few records as many as these
    few = not degrees_of(min(groups), min(groups))
    degrees = 0.0 if few else degrees_of_sum(parts, groups)
    return Estimate.student(value, sum(parts), degrees, least=0.0, most=most)


def _table(real: RealTables, frame: pd.DataFrame) -> _Table:
    attributes = real.binning.attributes
    numeric = [column for column in attributes if column.type != "categorical"]
    others = [column for column in attributes if column.type == "categorical"]
    values = np.empty((len(frame), len(numeric)))
    for axis, column in enumerate(numeric):
        values[:, axis] = column.values(cells_of(frame, column))
    codes = np.empty((len(frame), len(others)), dtype=np.int64)
    for axis, column in enumerate(others):
        codes[:, axis] = codes_of(column, cells_of(frame, column))
    groups = random_groups(len(frame), np.random.default_rng(GROUPING_SEED))
    return _Table(_scaled(values), codes, tuple(column.size for column in others), groups)


def _scaled(values: Floats) -> Floats:
    """Return ``values`` moved and scaled, which leaves associations and spares digits."""
    known = ~np.isnan(values)
    counts = np.maximum(known.sum(axis=0), 1)
    centred = values - np.where(known, values, 0).sum(axis=0) / counts
    spread = np.sqrt((np.where(known, centred, 0) ** 2).sum(axis=0) / counts)
    return np.asarray(centred / np.where(spread > 0, spread, 1))


def _strengths(table: _Table) -> dict[str, _Strengths]:
    """Return each kind's associations."""
    numeric, categorical = range(table.values.shape[1]), range(table.codes.shape[1])
    pairs = list(combinations(categorical, 2))
    v = [_cramers_v(table, pair) for pair in pairs]
    least = np.array([one for _, one in v])
    ratios = [_correlation_ratio(table, i, c) for i, c in product(numeric, categorical)]
    empty = np.zeros((table.count + 1, 0))
    return {
        "pearson": _Strengths.of(_pearson(table)),
        "cramers_v": _Strengths.of(np.stack([one for one, _ in v], axis=1) if v else empty, least),
        "ratio": _Strengths.of(np.stack(ratios, axis=1) if ratios else empty),
    }


def _pearson(table: _Table) -> Floats:
    attributes = table.values.shape[1]
    moments = np.zeros((4, table.count, attributes, attributes))
    for group in range(table.count):
        values = table.values[table.groups == group]
        known = (~np.isnan(values)).astype(np.float64)
        values = np.where(known, values, 0.0)
        moments[:, group] = (
            known.T @ known,
            values.T @ known,  # [i, j]: the sum of i over records that hold j too
            (values**2).T @ known,
            values.T @ values,
        )
    counts, sums, squares, products = (without_each(one) for one in moments)
    spread = np.maximum(counts * squares - sums**2, 0.0)
    scale = np.sqrt(spread * spread.swapaxes(1, 2))
    covariance = counts * products - sums * sums.swapaxes(1, 2)
    # What is constant but for the rounding of sums has no correlation.
    told = scale > 1e-9 * np.maximum(counts, 1) ** 2
    found = np.where(told, covariance / np.where(told, scale, 1.0), 0.0)
    first, second = np.triu_indices(attributes, 1)
    return np.asarray(np.clip(found[:, first, second], -1.0, 1.0))


def _cramers_v(table: _Table, pair: tuple[int, int]) -> tuple[Floats, float]:
    """Return the association, whole and with each group left out, and its least standard error."""
    keys, cells = joint_keys(table.codes, table.sizes, pair)
    present, _ = present_cells(keys, cells)
    keys = np.searchsorted(present, keys)
    first, second = _places(table, pair, keys, len(present))
    by_group = np.bincount(
        table.groups * len(present) + keys, minlength=table.count * len(present)
    ).reshape(table.count, len(present))
    counts = without_each(by_group.astype(np.float64))
    rows = _summed(counts, first)
    columns = _summed(counts, second)
    expected = rows[:, first] * columns[:, second]
    n = np.maximum(counts.sum(axis=1), 1)
    association = (counts**2 / np.maximum(expected, 1)).sum(axis=1) - 1  # chi squared / n
    return _bergsma(association, n, (rows > 0).sum(axis=1), (columns > 0).sum(axis=1))


def _places(
    table: _Table, pair: tuple[int, int], keys: Integers, cells: int
) -> tuple[Integers, Integers]:
    """Return the two codes of each joint cell."""
    places = np.zeros((2, cells), dtype=np.int64)
    places[:, keys] = table.codes[:, pair].T
    return places[0], places[1]


def _summed(counts: Floats, places: Integers) -> Floats:
    """Return the sums of the cells of each place, shape (1 + groups, places)."""
    size = int(places.max(initial=0)) + 1
    keys = np.arange(len(counts))[:, None] * size + places
    sums = np.bincount(keys.ravel(), counts.ravel(), minlength=len(counts) * size).astype(float)
    return sums.reshape(len(counts), size)


def _bergsma(
    association: Floats, n: Floats, rows: NDArray[np.integer], columns: NDArray[np.integer]
) -> tuple[Floats, float]:
    fewer = np.maximum(n - 1, 1)
    corrected = np.maximum(association - (rows - 1) * (columns - 1) / fewer, 0.0)
    smaller = np.minimum(rows - (rows - 1) ** 2 / fewer, columns - (columns - 1) ** 2 / fewer) - 1
    told = smaller > 0
    ratio = np.where(told, corrected / np.where(told, smaller, 1.0), 0.0)
    v = np.sqrt(np.minimum(ratio, 1.0))
    if not told[0]:
        return v, 0.0
    # Without association chi squared has (rows - 1) (columns - 1) degrees, and twice that variance.
    spread = float(np.sqrt(2 * (rows[0] - 1) * (columns[0] - 1)) / n[0] / smaller[0])
    return v, spread / (2 * float(np.sqrt(max(v[0] ** 2, spread))))


def _correlation_ratio(table: _Table, numeric: int, categorical: int) -> Floats:
    known = ~np.isnan(table.values[:, numeric])
    values, size = table.values[known, numeric], table.sizes[categorical]
    keys = table.groups[known] * size + table.codes[known, categorical]
    counts, sums, squares = (
        without_each(
            np.bincount(keys, weights, minlength=table.count * size)
            .reshape(-1, size)
            .astype(np.float64)
        )
        for weights in (np.ones(len(values)), values, values**2)
    )
    n = np.maximum(counts.sum(axis=1), 1)
    centre = sums.sum(axis=1) ** 2 / n
    total = squares.sum(axis=1) - centre
    between = (sums**2 / np.maximum(counts, 1)).sum(axis=1) - centre
    left = n - (counts > 0).sum(axis=1)
    told = (total > 1e-9 * n) & (left > 0)
    unexplained = (1 - between / np.where(told, total, 1.0)) * (n - 1) / np.maximum(left, 1)
    return np.where(told, np.sqrt(np.clip(1 - unexplained, 0.0, 1.0)), 0.0)


CORRELATION = Metric(
    "correlation",
    "mean absolute error of Pearson's, Cramer's V and the correlation ratio of pairs",
    "lower",
    correlation,
    needs="two columns",
)
