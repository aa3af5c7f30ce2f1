"""The density ratio attack: is a record likelier in the synthetic table than elsewhere?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.base import Aimed, Attack
from dp_synth.attacks.frequencies import Cells
from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError
from dp_synth.metrics.fidelity import Binning


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
        super().__post_init__()
        if self.degree not in (1, 2):
            raise InputError(f"degree must be 1 or 2, got {self.degree}")
        if not self.smoothing > 0:
            raise InputError(f"smoothing must be above 0, got {self.smoothing}")

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]:
        return self._aimed(targets, view)(view.synthetic)

    def _aimed(self, targets: pd.DataFrame, view: AttackerView) -> Aimed:
        reference = self._reference(view)
        binning = Binning.from_frame(view.schema, reference)
        sizes, codes = binning.sizes, binning.codes(targets)
        cliques = combinations(range(len(sizes)), min(self.degree, len(sizes)))
        cells = [Cells.of(codes, sizes, clique) for clique in cliques]
        usual = self._log_density(cells, binning.codes(reference))
        return lambda synthetic: self._log_density(cells, binning.codes(synthetic)) - usual

    def _log_density(self, cells: list[Cells], codes: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the mean log share of each target's cells in a table."""
        total = np.zeros(len(cells[0].codes))
        for one in cells:
            number = prod(one.sizes[axis] for axis in one.clique)
            shares = (one.counts(codes) + self.smoothing) / (len(codes) + number * self.smoothing)
            total += np.log(shares)
        return total / len(cells)
