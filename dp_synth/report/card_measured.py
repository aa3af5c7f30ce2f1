"""One measured number of a card's internal part, with its interval and what it stands beside."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

from dp_synth.metrics.estimate import Estimate


@dataclass(frozen=True)
class Measured:
    """A value with its 95 % interval; None for what is infinite or undefined.

    ``about`` names the column, pair, model or group it is of, and is empty for the whole table.
    ``beside`` is what it is to be read against: what fresh or real records score, the largest
    value that the ledger permits, or the success on fresh records, as its section says.
    """

    name: str
    about: str
    value: float | None
    low: float | None
    high: float | None
    beside: float | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        estimate: Estimate,
        *,
        about: str = "",
        beside: float | None = None,
        note: str = "",
    ) -> Measured:
        """Return an estimate as a card has it."""
        ends = (finite(end) for end in (estimate.value, estimate.low, estimate.high))
        value, low, high = ends
        return cls(name, about, value, low, high, None if beside is None else finite(beside), note)


def finite(value: float) -> float | None:
    """Return the number, None where JSON has none."""
    return float(value) if isfinite(value) else None


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return ``first`` less ``second``, of independent records, with its 95 % interval.

    The ends are by the method of variance estimates recovery (Newcombe 1998, method 10, where
    the two are binomial shares with score intervals; Zou & Donner 2008 for any two). Where the
    same records were scored twice the interval is too wide rather than too narrow.

    >>> print(difference(Estimate(0.5, 0.4, 0.6), Estimate(0.2, 0.2, 0.2)))
    0.3000 [0.2000, 0.4000]
    """
    value = first.value - second.value
    below = sqrt((first.value - first.low) ** 2 + (second.high - second.value) ** 2)
    above = sqrt((first.high - first.value) ** 2 + (second.value - second.low) ** 2)
    return Estimate(value, value - below, value + above)
