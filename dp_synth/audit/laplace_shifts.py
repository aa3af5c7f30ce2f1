"""Shifts and likelihood ratios of answers with discrete Laplace noise, between neighbours.

Private: for auditors, who hold both tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Event, LaplaceCounts
from dp_synth.accounting.events import DiscreteLaplace
from dp_synth.audit.neighbour_counts import NeighbourTables
from dp_synth.audit.shifts import Paid, Shift
from dp_synth.formatting import rounded_up
from dp_synth.mechanisms.laplace import LaplaceLaw
from dp_synth.types import Floats


@dataclass(frozen=True, eq=False)
class LaplaceComparison:
    """Numbers with Laplace noise of ``scale``: exact ones of both tables, and noisy ones."""

    part: str
    why: str
    here: Floats
    there: Floats
    values: Floats
    values_there: Floats
    scale: float

    @property
    def distance(self) -> float:
        """How far the tables are apart in this answer: the largest loss that it can have."""
        return float(np.abs(self.here - self.there).sum()) / self.scale

    def log_ratio(self) -> float:
        """Return the log-likelihood of ``here``, less that of ``there``, given the answer."""
        return laplace_loss(self.values, self.here, self.there, self.scale)

    def fresh_log_ratio(self, *, there: bool) -> float:
        """Return the same, given a fresh answer: the noise of ``values_there`` on either table."""
        moved = 0.0 if there else self.here - self.there
        return laplace_loss(self.values_there + moved, self.here, self.there, self.scale)


def laplace_loss(values: Floats, here: Floats, there: Floats, scale: float) -> float:
    """Return how much likelier Laplace noise of a scale leads to values from here than there."""
    return float(np.sum(np.abs(values - there) - np.abs(values - here))) / scale


@dataclass(frozen=True, eq=False)
class LaplaceShift(Shift):
    """An answer with discrete Laplace noise: ``moves`` says by how much how many numbers move.

    A tuple of (size, count) for each neighbour, in units of which noise is whole multiples;
    ``scale`` is the noise's in these units.
    """

    moves: NDArray[np.object_]
    scale: float

    @property
    def rho(self) -> Floats:
        """Half of the summed squares of the largest losses of all numbers."""
        return np.array(
            [sum(count * (size / self.scale) ** 2 / 2 for size, count in own) for own in self.moves]
        )

    def largest(self) -> str:
        """Return the largest L1 shift of one event, and the largest loss of all numbers."""
        assert isinstance(self.event, LaplaceCounts)
        moved = self.event.numbers * self.event.sensitivity
        lost = max((sum(size * count for size, count in own) for own in self.moves), default=0)
        epsilon = rounded_up(lost / self.scale)
        return f"L1 shift {self.relative.max() * moved:.6g} of {moved:.6g}, loss up to {epsilon}"

    def charges(self, number: int) -> Iterator[tuple[Event, int]]:
        """Yield one `DiscreteLaplace` for each number that moved."""
        for size, count in self.moves[number]:
            yield from [(DiscreteLaplace(self.scale, size), 1)] * count


def laplace_shift(law: LaplaceLaw, paid: Paid, tables: NeighbourTables) -> LaplaceShift:
    """Return how far each neighbour moves an answer with discrete Laplace noise."""
    most, moves, losses = [], [], []
    for table in tables:
        there = law.exact(table)
        most.append(relative_move(law, there, paid))
        sizes: Counter[int] = Counter()
        for own, other in zip(law.here, there, strict=True):
            moved = np.rint(np.abs(own - other) * law.fineness).astype(np.int64)
            sizes.update(moved[moved > 0].tolist())
        moves.append(tuple(sorted(sizes.items())))
        losses.append(
            sum(
                laplace_loss(noisy, own, other, law.scale)
                for noisy, own, other in zip(law.values, law.here, there, strict=True)
            )
        )
    kept = np.empty(len(moves), dtype=object)
    kept[:] = moves
    scale = law.scale * law.fineness
    found = np.array(most), np.array(losses)
    return LaplaceShift(law.part, law.why, paid.event, paid.count, paid.entry, *found, kept, scale)


def relative_move(law: LaplaceLaw, there: Sequence[Floats], paid: Paid) -> float:
    """Return the largest move of an event in parts of its L1 sensitivity.

    Of an event for units that are replaced, of what rises or of what falls.
    """
    event = paid.event
    assert isinstance(event, LaplaceCounts)
    by_number = paid.count != len(law.here) and paid.count == sum(one.size for one in law.here)
    found = 0.0
    for own, other in zip(law.here, there, strict=True):
        moved = (own - other) * law.fineness
        if by_number:
            found = max(found, float(np.abs(moved).max(initial=0.0)))
        elif event.replaced:
            rise, fall = (float(np.maximum(sign * moved, 0).sum()) for sign in (1, -1))
            found = max(found, rise, fall)
        else:
            found = max(found, float(np.abs(moved).sum()))
    return found / event.sensitivity
