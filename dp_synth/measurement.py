"""A noisy answer about one clique: already paid for, no longer private."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Clique

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measurement:
    """Noisy counts of the marginal over ``clique``, with the noise that they carry.

    ``values`` has the marginal's shape. ``stddev`` is one number, or an array of the same
    shape where cells differ (a cell merged from k others carries sqrt(k) times their noise).
    """

    clique: Clique
    values: Floats
    stddev: float | Floats
