"""Kernel densities of mixed records, and the density ratio attack that uses them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from dp_synth.attacks.base import Attack
from dp_synth.attacks.neighbours import MixedRecords, parted
from dp_synth.attacks.view import AttackerView
from dp_synth.display import part_of_work, told
from dp_synth.errors import InputError
from dp_synth.metrics.columns import Attribute, attributes_of, cells_of
from dp_synth.schema import Schema

BLOCK_CELLS = 200_000  # kernels held at once: they stay in the processor's cache
ALIKE = 128  # similar points in a run, at most
FAR = 1e-250  # below this sum of kernels, of 1 at a centre each, they are added as logarithms
RIDGE = 0.01  # of the variance of a standardised number

Floats = NDArray[np.float64]


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

    The kernels' covariance is that of the points, plus a ridge, times the square of Scott's
    factor n^(-1 / (d + 4)) (Scott 1992), as in ``scipy.stats.gaussian_kde``.
    """

    root: Floats  # lower triangular, of the kernels' covariance
    whitened: Floats

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
        return cls(root, _whiten(points, root))

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
            for exponents in self.exponents(points[run], BLOCK_CELLS // len(run)):
                total[run] += np.exp(exponents, out=exponents).sum(axis=1)
        far = total < FAR
        total[~far] = np.log(total[~far])
        total[far] = self._log_sum(points[far])
        total += self.log_peak - float(np.log(len(self.whitened)))
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
            result[start : start + rows] = logsumexp(-away / 2, axis=1)
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
    name: ClassVar[str] = "domias"
    needs_reference: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ridge > 0:
            raise InputError(f"ridge must be above 0, got {self.ridge}")

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]:
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


def _whiten(points: Floats, root: Floats) -> Floats:
    whitened: Floats = solve_triangular(root, points.T, lower=True).T
    return whitened


def _numbers(column: Attribute, frame: pd.DataFrame) -> Floats:
    """Return the column's numbers, NaN for missing ones and for categories."""
    if column.type == "categorical":
        return np.full(len(frame), np.nan)
    return np.asarray(column.values(cells_of(frame, column)), dtype=np.float64)
