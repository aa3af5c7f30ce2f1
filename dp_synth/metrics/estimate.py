"""A measured value with its 95 % interval, and the exact interval of a binomial share."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri

TAIL = 0.025  # chance of missing the truth on either side of a 95 % interval
NORMAL_QUANTILE = float(ndtri(1 - TAIL))


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95 % interval.

    >>> print(Estimate(0.5, 0.42, 0.58))
    0.5000 [0.4200, 0.5800]
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"low <= value <= high must hold, got {self}")

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"

    @classmethod
    def normal(
        cls, value: float, variance: float, *, least: float = -inf, most: float = inf
    ) -> Estimate:
        """Return the normal interval of ``value``, cut to what is possible."""
        half = NORMAL_QUANTILE * float(np.sqrt(variance))
        return cls(value, min(max(value - half, least), value), max(min(value + half, most), value))

    @classmethod
    def bootstrap(cls, value: float, resampled: NDArray[np.float64]) -> Estimate:
        """Return the percentile interval of ``resampled``, widened to hold ``value``."""
        low, high = np.quantile(resampled, [TAIL, 1 - TAIL])
        return cls(value, min(float(low), value), max(float(high), value))


def clopper_pearson(successes: int, trials: int, tail: float = TAIL) -> tuple[float, float]:
    """Return the exact interval of a binomial share, missed with ``tail`` on each side.

    Clopper & Pearson 1934: quantiles of Beta distributions.

    >>> low, high = clopper_pearson(0, 100)
    >>> low, round(high, 4)
    (0.0, 0.0362)
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must lie in [0, {trials}], got {successes}")
    failures = trials - successes
    low = float(betaincinv(successes, failures + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0
    return low, high
