"""Laplace mechanism on whole numbers: what marginals, distances and histograms carry at delta 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dp_synth.accounting import LaplaceCounts
from dp_synth.mechanisms.noise import Bits, discrete_laplace
from dp_synth.types import Floats

if TYPE_CHECKING:
    from dp_synth.mechanisms.table import PrivateTable


@dataclass(frozen=True, eq=False)
class LaplaceLaw:
    """Arrays with discrete Laplace noise of ``scale``: exact ones ``here``, and noisy ``values``.

    Numbers, and noise, are multiples of 1 / ``fineness``. ``exact`` reads the former of any table,
    and ``draw`` adds fresh noise to them.

    Privacy
    -------
    The noise takes the value k / ``fineness`` with a chance proportional to exp(-abs(k) / (scale *
    fineness)), drawn exactly (``discrete_laplace``), so that numbers which move by s together tell
    s / scale, at most, at delta 0.
    """

    part: str
    why: str
    exact: Callable[[PrivateTable], Sequence[Floats]]
    draw: Callable[[Sequence[Floats]], Sequence[Floats]]
    scale: float
    fineness: int
    here: Sequence[Floats]
    values: Sequence[Floats]


def laplace_noise(event: LaplaceCounts, shape: tuple[int, ...], bits: Bits) -> Floats:
    """Return independent noise of what an event charges for, in whole multiples of its unit.

    Privacy
    -------
    An answer of whole numbers, whose L1 sensitivity is the event's, is released with the event's
    epsilon: see `discrete_laplace`. The scale is the event's own number, which its cost is of.
    """
    return discrete_laplace(event.scale, shape, bits).astype(float)
