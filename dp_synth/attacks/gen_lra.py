"""Gen-LRA: would one more record make the synthetic rows near it likelier?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.base import Attack
from dp_synth.attacks.kernel_density import (
    BLOCK_CELLS,
    RIDGE,
    Floats,
    KernelDensity,
    Standardised,
    squares,
)
from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError


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
        points, rows, others = map(space.points, (targets, view.synthetic, reference))
        if not (len(rows) and len(others)):
            return np.zeros(len(targets))
        density = KernelDensity.of(others, self.ridge)
        return likelihood_gains(points, rows, density, self.nearest)


def likelihood_gains(points: Floats, rows: Floats, density: KernelDensity, nearest: int) -> Floats:
    """Return what a kernel at each point adds to the log likelihood of the rows nearest to it.

    ``points`` and ``rows`` have shape (records, dimensions).
    """
    records, count = len(density.whitened), min(nearest, len(rows))
    before = density.log_density(rows) + np.log(records)  # of n p(x)
    targets, centres = density.whiten(points), density.whiten(rows)
    gains: Floats = np.empty(len(points))
    size = max(1, BLOCK_CELLS // len(rows))
    for start in range(0, len(points), size):
        block = slice(start, start + size)
        away = squares(targets[block], centres)
        near = np.argpartition(away, count - 1, axis=1)[:, :count]
        kernels = density.log_peak - np.take_along_axis(away, near, axis=1) / 2
        gains[block] = np.logaddexp(0.0, kernels - before[near]).sum(axis=1)
    gains -= count * np.log1p(1 / records)
    return gains
