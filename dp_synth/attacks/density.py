"""The density ratio attack: is a record likelier in the synthetic table than elsewhere?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.base import Attack
from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError
from dp_synth.metrics.fidelity import Binning

Codes = NDArray[np.int32]


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
    name: ClassVar[str] = "density_ratio"
    needs_reference: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.degree not in (1, 2):
            raise InputError(f"degree must be 1 or 2, got {self.degree}")
        if not self.smoothing > 0:
            raise InputError(f"smoothing must be above 0, got {self.smoothing}")

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]:
        reference = self._reference(view)
        binning = Binning.from_frame(view.schema, reference)
        sizes = binning.sizes
        of_targets, of_synthetic, of_reference = map(
            binning.codes, (targets, view.synthetic, reference)
        )
        cliques = list(combinations(range(len(sizes)), min(self.degree, len(sizes))))
        scores = np.zeros(len(targets))
        for clique in cliques:
            cells = int(np.prod([sizes[axis] for axis in clique]))
            where = _cells(of_targets, clique, sizes)
            scores += self._log_share(_cells(of_synthetic, clique, sizes), where, cells)
            scores -= self._log_share(_cells(of_reference, clique, sizes), where, cells)
        return scores / len(cliques)

    def _log_share(
        self, records: NDArray[np.int64], where: NDArray[np.int64], cells: int
    ) -> NDArray[np.float64]:
        counts = np.bincount(records, minlength=cells)[where] + self.smoothing
        shares: NDArray[np.float64] = np.log(counts / (len(records) + cells * self.smoothing))
        return shares


def _cells(codes: Codes, clique: tuple[int, ...], sizes: tuple[int, ...]) -> NDArray[np.int64]:
    first, *rest = clique
    cells = codes[:, first].astype(np.int64)
    for axis in rest:
        cells = cells * sizes[axis] + codes[:, axis]
    return cells
