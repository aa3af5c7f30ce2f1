"""Gen-LRA: would one more record make the synthetic rows near it likelier?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.base import Attack
from dp_synth.attacks.kernel_density import (
    ALIKE,
    BLOCK_CELLS,
    RIDGE,
    Floats,
    KernelDensity,
    Standardised,
    alike,
    once,
)
from dp_synth.attacks.view import AttackerView
from dp_synth.display import part_of_work, told
from dp_synth.errors import InputError

HELD = 8_000_000  # distances held at once
GROUPS = 4  # of rows for each that is looked for


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
    name: ClassVar[str] = "gen_lra"
    needs_reference: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nearest < 1:
            raise InputError(f"nearest must be 1 or more, got {self.nearest}")
        if not self.ridge > 0:
            raise InputError(f"ridge must be above 0, got {self.ridge}")

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]:
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
    records, count = len(density.whitened), min(nearest, len(rows))
    with part_of_work(0, 2):
        before = density.log_density(rows) + np.log(records)  # of n p(x)
    at_rows = KernelDensity(density.root, density.whiten(rows))
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
