"""One measured number of a card, with its interval and what it stands beside."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

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
