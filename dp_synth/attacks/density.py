"""Density attacks: is a record likelier in the synthetic table than elsewhere?

By counts of cells (density ratio), by Gaussian kernels (DOMIAS), and by what a record would add to
the likelihood of the synthetic rows (Gen-LRA).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import prod
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import logit, logsumexp

from dp_synth.attacks.base import Aimed, Attack
from dp_synth.attacks.neighbours import MixedRecords, parted
from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError
from dp_synth.metrics.fidelity import (
    MOST_CELLS,
    Attribute,
    Axes,
    Binning,
    attributes_of,
    cells_of,
    joint_keys,
)
from dp_synth.metrics.models import MODELS, features_of, learn_and_predict
from dp_synth.progress import part_of_work, told
from dp_synth.schema import Schema
from dp_synth.types import Codes, Floats, Integers

CELLS = 50  # of a column whose cells are not public
MIN_ODDS = 1e-3  # where noise made a count negative
BLOCK_CELLS = 200_000  # kernels held at once: they stay in the processor's cache
ALIKE = 128  # similar points in a run, at most
FAR = 1e-250  # below this sum of kernels, of 1 at a centre each, they are added as logarithms
RIDGE = 0.01  # of the variance of a standardised number
HELD = 8_000_000  # distances held at once
GROUPS = 4  # of rows for each that is looked for


def likely_cells(schema: Schema, reference: pd.DataFrame) -> Binning:
    """Return the cells in which a synthesizer counts, as far as an attacker can know them.

    Cells that the schema declares are those; where a fit chooses them, the 50-quantiles of the
    reference take their place.
    """
    binning = Binning.from_frame(schema, reference, CELLS)
    cuts = (
        cut if column.name in schema.fine else None
        for column, cut in zip(binning.attributes, binning.cuts, strict=True)
    )
    return Binning(binning.attributes, tuple(cuts))


def counts_at(
    codes: Sequence[NDArray[np.integer]], sizes: Sequence[int], clique: Axes
) -> list[Floats]:
    """Return how often each target's cell of ``clique`` occurs in each other table.

    The first of ``codes`` are the targets; all have shape (records, attributes).
    """
    stacked = np.concatenate([table[:, clique] for table in codes]).astype(np.int64)
    own = tuple(range(len(clique)))
    keys, cells = joint_keys(stacked, [sizes[axis] for axis in clique], own)
    parts = np.split(keys, np.cumsum([len(table) for table in codes])[:-1])
    return [np.bincount(part, minlength=cells)[parts[0]].astype(np.float64) for part in parts[1:]]


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one clique that certain records lie in, to count other tables there.

    As ``counts_at``, for records that stay while tables come and go.
    """

    clique: Axes
    sizes: tuple[int, ...]
    codes: Codes
    keys: Integers | None  # None where there are too many cells to number them all

    @classmethod
    def of(cls, codes: Codes, sizes: tuple[int, ...], clique: Axes) -> Cells:
        """Return the cells of records that are ``codes``, of shape (records, attributes)."""
        few = prod(sizes[axis] for axis in clique) <= MOST_CELLS
        return cls(clique, sizes, codes, joint_keys(codes, sizes, clique)[0] if few else None)

    def counts(self, codes: Codes) -> Floats:
        """Return how many records of another table share each record's cell."""
        if self.keys is None:
            return counts_at([self.codes, codes], self.sizes, self.clique)[0]
        keys, cells = joint_keys(codes, self.sizes, self.clique)
        counts = np.bincount(keys, minlength=cells)
        return counts[self.keys].astype(np.float64)

    def first(self) -> NDArray[np.intp]:
        """Return the position of one record in each distinct cell."""
        if self.keys is None:
            return np.unique(self.codes[:, self.clique], axis=0, return_index=True)[1]
        return np.unique(self.keys, return_index=True)[1]


def log_odds(counts: Floats, expected: Floats, variance: Floats | float) -> Floats:
    """Return the log likelihood ratio of membership, from noisy counts of a target's cells.

    Of n records of a population, a cell's count c is Poisson with mean ``expected``; one member
    more makes a count c / expected times as likely. Where only c + noise is seen, with the
    ``variance`` v of that noise, the mean of c given it is linear to first order,
    E[c] = expected + (counts - expected) expected / (expected + v), so that the ratio is
    (counts + v) / (expected + v): a smoothed ratio of frequencies whose smoothing is what the
    attacker does not know. At most log(1000) below 0, where noise is larger than the count.
    """
    odds: Floats = np.log(np.maximum((counts + variance) / (expected + variance), MIN_ODDS))
    return odds


def expected_counts(
    seen: Floats, reference: int, records: float, smoothing: float
) -> tuple[Floats, Floats]:
    """Return the counts to expect among ``records``, and how far off that may be, as a variance.

    ``seen`` are counts in a reference table of so many records.
    """
    expected = (seen + smoothing) * records / reference
    return expected, expected * records / reference


@dataclass(frozen=True)
class DensityRatio(Attack):
    """Score by log synthetic density - log reference density, from smoothed marginals.

    The score of DOMIAS (van Breugel, Sun, Qian & van der Schaar 2023, arXiv:2302.12580) with
    its density estimators replaced: here it is the mean, over all marginals of ``degree``
    attributes, of the log ratio of the target's cell frequencies, each cell smoothed by
    ``smoothing`` pseudo-records. With degree 1 that is the log ratio of two products of
    independent columns, divided by their number. Numeric and ordinal columns are cut at the
    20-quantiles of the reference.
    """

    degree: int = 2
    smoothing: float = 0.05
    name = "density_ratio"
    figure_label = "density ratio"
    question = "Are fitted records likelier in the table than elsewhere (pairs of columns)?"
    cites = ("breugel2023",)
    needs_reference = True
    ABOVE: ClassVar = {"smoothing": 0}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.degree not in (1, 2):
            raise InputError(f"degree must be 1 or 2, got {self.degree}")

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        return self._aimed(targets, view)(view.synthetic)

    def _aimed(self, targets: pd.DataFrame, view: AttackerView) -> Aimed:
        reference = self._reference(view)
        binning = Binning.from_frame(view.schema, reference)
        sizes, codes = binning.sizes, binning.codes(targets)
        cliques = combinations(range(len(sizes)), min(self.degree, len(sizes)))
        cells = [Cells.of(codes, sizes, clique) for clique in cliques]
        usual = self._log_density(cells, binning.codes(reference))
        return lambda synthetic: self._log_density(cells, binning.codes(synthetic)) - usual

    def _log_density(self, cells: list[Cells], codes: Codes) -> Floats:
        """Return the mean log share of each target's cells in a table."""
        total = np.zeros(len(cells[0].codes))
        for one in cells:
            number = prod(one.sizes[axis] for axis in one.clique)
            shares = (one.counts(codes) + self.smoothing) / (len(codes) + number * self.smoothing)
            total += np.log(shares)
        return total / len(cells)


@dataclass(frozen=True, eq=False)
class Standardised:
    """Records as points: numbers with mean 0 and variance 1 in one table, categories one-hot.

    A missing number is 0, and 1 in a column that says so.
    """

    columns: tuple[Attribute, ...]
    centres: Floats
    scales: Floats

    @classmethod
    def from_frame(cls, schema: Schema, frame: pd.DataFrame) -> Standardised:
        """Return the points that the numbers of ``frame`` standardise."""
        columns = attributes_of(schema)
        centres, scales = np.zeros(len(columns)), np.ones(len(columns))
        for axis, column in enumerate(columns):
            values = _numbers(column, frame)
            known = values[~np.isnan(values)]
            if len(known):
                centres[axis], scales[axis] = known.mean(), known.std() or 1.0
        return cls(columns, centres, scales)

    def points(self, frame: pd.DataFrame) -> Floats:
        """Return the records of ``frame``, shape (records, dimensions)."""
        parts: list[Floats] = []
        for axis, column in enumerate(self.columns):
            if column.type == "categorical":
                parts.append(np.eye(column.size)[column.encode(cells_of(frame, column))])
                continue
            values = (_numbers(column, frame) - self.centres[axis]) / self.scales[axis]
            missing = np.isnan(values)
            parts.append(np.where(missing, 0.0, values)[:, None])
            if column.missing:
                parts.append(missing[:, None].astype(np.float64))
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, eq=False)
class KernelDensity:
    """A Gaussian kernel density: one kernel a point, all of one covariance.

    Equal points are one kernel, of as much weight as there are of them.
    The kernels' covariance is that of the points, plus a ridge, times the square of Scott's
    factor n^(-1 / (d + 4)) (Scott 1992), as in ``scipy.stats.gaussian_kde``.
    """

    root: Floats  # lower triangular, of the kernels' covariance
    whitened: Floats
    weights: Floats

    @classmethod
    def of(cls, points: Floats, ridge: float = RIDGE) -> KernelDensity:
        """Return the density of ``points``, shape (records, dimensions); at least one record.

        ``ridge`` is added to every variance, so that columns which are constant or sums of
        others are no obstacle.
        """
        records, dimensions = points.shape
        away = points - points.mean(axis=0)
        covariance = away.T @ away / max(records - 1, 1)
        factor = float(records) ** (-1 / (dimensions + 4))
        root: Floats = factor * np.linalg.cholesky(covariance + ridge * np.eye(dimensions))
        distinct, weights = _distinct(points)
        return cls(root, _whiten(distinct, root), weights)

    @property
    def records(self) -> float:
        """How many points there are."""
        return float(self.weights.sum())

    @cached_property
    def _duals(self) -> Floats:
        """Each kernel's centre times the inverse covariance, minus half its square, and 1.

        Shape (dimensions + 2, records).
        """
        duals = np.ones((len(self.root) + 2, len(self.whitened)))
        duals[:-2] = solve_triangular(self.root, self.whitened.T, lower=True, trans="T")
        duals[-2] = -(self.whitened**2).sum(axis=1) / 2
        return duals

    def whiten(self, points: Floats) -> Floats:
        """Return ``points`` in coordinates in which a kernel is a standard normal."""
        return _whiten(points, self.root)

    @property
    def log_peak(self) -> float:
        """The log density of a kernel at its centre."""
        dimensions = len(self.root)
        return float(-np.log(np.diag(self.root)).sum() - dimensions / 2 * np.log(2 * np.pi))

    def log_density(self, points: Floats) -> Floats:
        """Return the log density at each point."""
        total: Floats = np.zeros(len(points))
        for run in told(alike(points)):
            start = 0
            for exponents in self.exponents(points[run], BLOCK_CELLS // len(run)):
                stop = start + exponents.shape[1]
                total[run] += np.exp(exponents, out=exponents) @ self.weights[start:stop]
                start = stop
        far = total < FAR
        total[~far] = np.log(total[~far])
        total[far] = self._log_sum(points[far])
        total += self.log_peak - np.log(self.records)
        return total

    def exponents(self, points: Floats, most: int) -> Iterator[Floats]:
        """Yield minus half the squared distances to ``most`` kernels after others.

        Shape (points, kernels), in the kernels' metric. It takes products of the coordinates
        alone in which the points differ, of which similar ones have few.
        """
        alone = (points != points[0]).any(axis=0)
        shared = np.flatnonzero(~alone & (points[0] != 0))
        squared = (self.whiten(points) ** 2).sum(axis=1, keepdims=True)
        left = np.concatenate([points[:, alone], np.ones_like(squared), -squared / 2], axis=1)
        used = np.flatnonzero(np.append(alone, [True, True]))
        for start in range(0, len(self.whitened), max(1, most)):
            kernels = slice(start, start + max(1, most))
            right = self._duals[used, kernels]
            right[-2] += points[0, shared] @ self._duals[shared, kernels]
            yield left @ right

    def _log_sum(self, points: Floats) -> Floats:
        """Return the log of the sum of kernels that are all but nothing."""
        result: Floats = np.empty(len(points))
        rows = max(1, BLOCK_CELLS // len(self.whitened))
        for start in range(0, len(points), rows):
            away = squares(self.whiten(points[start : start + rows]), self.whitened)
            result[start : start + rows] = logsumexp(-away / 2, axis=1, b=self.weights)
        return result


def alike(points: Floats) -> list[NDArray[np.intp]]:
    """Return runs of points that have most of their coordinates of 0 and 1 in common.

    As places, which together are those of all points.
    """
    flags = ((points == 0) | (points == 1)).all(axis=0)
    nothing = np.empty((0, len(points)), dtype=np.float32)
    return parted(MixedRecords(points.T[flags].astype(np.int8), nothing), ALIKE)


@dataclass(frozen=True)
class KernelDensityRatio(Attack):
    """Score by log synthetic density - log reference density, from Gaussian kernels.

    DOMIAS (van Breugel, Sun, Qian & van der Schaar 2023, arXiv:2302.12580) with the kernel
    density of its public code, on numbers standardised by the reference and one-hot categories.
    A ``ridge`` keeps every covariance regular: a category that a table lacks is unlikely there,
    not impossible.
    """

    ridge: float = RIDGE
    name = "domias"
    figure_label = "DOMIAS"
    question = "Are fitted records likelier in the table than elsewhere (kernel densities)?"
    cites = ("breugel2023",)
    needs_reference = True
    ABOVE: ClassVar = {"ridge": 0}

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        reference = self._reference(view)
        space = Standardised.from_frame(view.schema, reference)
        distinct, places = once(targets, view.schema)
        points, *tables = map(space.points, (distinct, view.synthetic, reference))
        if not all(map(len, tables)):
            return np.zeros(len(targets))
        densities = []
        for place, table in enumerate(tables):
            with part_of_work(place, 2):
                densities.append(KernelDensity.of(table, self.ridge).log_density(points))
        scores: Floats = (densities[0] - densities[1])[places]
        return scores


def once(frame: pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """Return records of different cells once, and the place there of each of ``frame``."""
    cells = {c.name: cells_of(frame, c).astype(str) for c in attributes_of(schema)}
    if not cells:
        return frame, np.arange(len(frame))
    by_cells = pd.DataFrame(cells).groupby(list(cells), sort=False, dropna=False)
    places = np.asarray(by_cells.ngroup(), dtype=np.intp)
    return frame.iloc[np.unique(places, return_index=True)[1]], places


def squares(left: Floats, right: Floats) -> Floats:
    """Return the squared distance of each point on the left to each on the right."""
    products = left @ right.T
    products *= -2.0
    products += (left**2).sum(axis=1)[:, None]
    products += (right**2).sum(axis=1)
    found: Floats = np.maximum(products, 0.0, out=products)
    return found


def _distinct(points: Floats) -> tuple[Floats, Floats]:
    """Return each point once, and how many of it there are."""
    if not points.size:
        return points, np.ones(len(points))
    texts = np.ascontiguousarray(points).view(f"V{points.itemsize * points.shape[1]}").ravel()
    _, places, counts = np.unique(texts, return_index=True, return_counts=True)
    return points[places], counts.astype(np.float64)


def _whiten(points: Floats, root: Floats) -> Floats:
    whitened: Floats = solve_triangular(root, points.T, lower=True).T
    return whitened


def _numbers(column: Attribute, frame: pd.DataFrame) -> Floats:
    """Return the column's numbers, NaN for missing ones and for categories."""
    if column.type == "categorical":
        return np.full(len(frame), np.nan)
    return np.asarray(column.values(cells_of(frame, column)), dtype=np.float64)


@dataclass(frozen=True)
class GenLRA(Attack):
    """Score by how much likelier the nearest synthetic rows are once the record is a reference.

    The generative likelihood ratio attack as in Synth-MIA (Ward, Lin, Wang & Cheng 2025,
    arXiv:2509.18014): the log likelihood of the ``nearest`` synthetic rows under a kernel density
    of the reference and the record, less that under the reference alone. The record adds one
    kernel, p'(x) = (n p(x) + K(x - t)) / (n + 1), so that nothing is fitted again. Departures:
    kernels keep the covariance of the reference, which a refit would move by one part in n, and
    rows are the nearest in its metric.
    """

    nearest: int = 200
    ridge: float = RIDGE
    name = "gen_lra"
    figure_label = "Gen-LRA"
    question = "Would the table be likelier, had the record been among the fitted ones?"
    cites = ("ward2025",)
    needs_reference = True
    LEAST: ClassVar = {"nearest": 1}
    ABOVE: ClassVar = {"ridge": 0}

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        reference = self._reference(view)
        space = Standardised.from_frame(view.schema, reference)
        distinct, places = once(targets, view.schema)
        points, rows, others = map(space.points, (distinct, view.synthetic, reference))
        if not (len(rows) and len(others)):
            return np.zeros(len(targets))
        density = KernelDensity.of(others, self.ridge)
        return likelihood_gains(points, rows, density, self.nearest)[places]


def likelihood_gains(points: Floats, rows: Floats, density: KernelDensity, nearest: int) -> Floats:
    """Return what a kernel at each point adds to the log likelihood of the rows nearest to it.

    ``points`` and ``rows`` have shape (records, dimensions).
    """
    records, count = density.records, min(nearest, len(rows))
    with part_of_work(0, 2):
        before = density.log_density(rows) + np.log(records)  # of n p(x)
    at_rows = KernelDensity(density.root, density.whiten(rows), np.ones(len(rows)))
    gains: Floats = np.empty(len(points))
    most = max(1, HELD // len(rows))  # points at once
    held = np.empty((min(most, ALIKE), len(rows)))
    with part_of_work(1, 2):
        for run in told(alike(points)):
            for start in range(0, len(run), most):
                some = run[start : start + most]
                exponents, filled = held[: len(some)], 0
                for part in at_rows.exponents(points[some], BLOCK_CELLS // len(some)):
                    exponents[:, filled : filled + part.shape[1]] = part
                    filled += part.shape[1]
                near = _largest(exponents, count)
                kernels = density.log_peak + np.take_along_axis(exponents, near, axis=1)
                gains[some] = np.logaddexp(0.0, kernels - before[near]).sum(axis=1)
    gains -= count * np.log1p(1 / records)
    return gains


def _largest(values: Floats, count: int) -> NDArray[np.intp]:
    """Return the places of the ``count`` largest of each row, in any order.

    The ``count`` largest maxima of groups bound them from below, so that few are left to sort.
    """
    width = values.shape[1] // (GROUPS * count)
    if width < 2:
        return np.argpartition(-values, count - 1, axis=1)[:, :count]
    groups = values.shape[1] // width
    tops = values[:, : width * groups].reshape(len(values), width, groups).max(axis=1)
    least = np.partition(tops, groups - count, axis=1)[:, groups - count]
    result = np.empty((len(values), count), dtype=np.intp)
    for row, floor, places in zip(values, least, result, strict=True):
        near = np.flatnonzero(row >= floor)
        places[:] = near[np.argpartition(-row[near], count - 1)[:count]]
    return result


MIN_PROBABILITY = 1e-12  # of a probability, so that its logit is finite


@dataclass(frozen=True)
class SyntheticClassifier(Attack):
    """Score by the log odds that a record is synthetic, learned against reference records.

    LOGAN without access to the model (Hayes, Melis, Danezis & De Cristofaro 2019,
    arXiv:1705.07663), with a classifier in place of a discriminator. Ties are left as they are.
    """

    model: str = "gradient_boosting"
    seed: int = 0
    name = "classifier"
    figure_label = "classifier"
    question = "Does a model that tells the table from other people know fitted records?"
    cites = ("hayes2019",)
    needs_reference = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model not in MODELS:
            raise InputError(f"model must be one of {', '.join(MODELS)}, got {self.model!r}")

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        tables = (view.synthetic, self._reference(view))
        schema = view.schema.model_copy(update={"label": None, "positive": None})
        aims, kinds = features_of(targets, schema)
        features = [features_of(table, schema)[0] for table in tables]
        if not (len(targets) and all(map(len, tables))):
            return np.zeros(len(targets))
        labels = np.repeat(np.array([1, 0], dtype=np.int32), [len(table) for table in tables])
        model = MODELS[self.model](kinds, self.seed)
        chances = learn_and_predict(model, np.concatenate(features), labels, aims)[:, 1]
        odds: Floats = logit(np.clip(chances, MIN_PROBABILITY, 1 - MIN_PROBABILITY))
        return odds
