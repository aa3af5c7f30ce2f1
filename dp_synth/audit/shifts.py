"""Exact shifts: how far each neighbour of a table moves what a mechanism read, and what that costs.

Nothing here is drawn. What a mechanism read is read again of each neighbour, by the question that
was asked of the table, and compared in the norm of its sensitivity. All of it is private.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax

from dp_synth.accounting import Event, Gaussian, LaplaceCounts, Round, Selection
from dp_synth.accounting.events import NoisyVote, SampledGaussian
from dp_synth.accounting.pate import log_chances
from dp_synth.audit.neighbour_counts import NONE, NeighbourTables
from dp_synth.errors import UnsupportedEvent
from dp_synth.formatting import rounded_up
from dp_synth.mechanisms.exponential import ChoiceLaw
from dp_synth.mechanisms.gaussian import GaussianLaw
from dp_synth.mechanisms.laplace import LaplaceLaw
from dp_synth.mechanisms.pate import VoteLaw
from dp_synth.mechanisms.table import Law
from dp_synth.types import Codes, Flags, Floats, Integers

if TYPE_CHECKING:
    from torch import Tensor

    from dp_synth.mechanisms.dp_sgd import SampledSumLaw
    from dp_synth.mechanisms.per_sample_gradients import Encoded, WholeSum

LEAST_RANGE = 1e-12  # of a choice: less is a rounding error of log odds that did not move
ELECTIONS = 12  # neighbours of which all teachers are asked again, not the one of its record alone


@dataclass(frozen=True, eq=False)
class Shift:
    """How far neighbours move one answer, beside the line of the ledger that pays for it.

    ``event`` was charged ``count`` times by line ``entry``, counted from 0. ``relative`` is each
    neighbour's largest shift in parts of what was charged for, shape (neighbours,): above 1 the
    charge is too small. ``losses`` are the privacy losses of what was answered, of the table over
    the neighbour.
    """

    part: str
    why: str
    event: Event
    count: int
    entry: int
    relative: Floats
    losses: Floats

    @property
    def rho(self) -> Floats:
        """About what each neighbour's shifts cost in zCDP: to compare neighbours by."""
        raise NotImplementedError

    def largest(self) -> str:
        """Return the largest shift beside the sensitivity, in words."""
        raise NotImplementedError

    def charges(self, number: int) -> Iterator[tuple[Event, int]]:
        """Yield what the shifts of one neighbour cost exactly."""
        raise NotImplementedError

    def joined(self, other: Shift) -> Shift:
        """Return the same of these neighbours and of others after them."""
        arrays = {
            name: np.concatenate([value, getattr(other, name)])
            for name, value in self.__dict__.items()
            if isinstance(value, np.ndarray)
        }
        return replace(self, **arrays)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class GaussianShift(Shift):
    """A Gaussian answer: ``mu`` is the distance of all its numbers in deviations of their noise.

    Its privacy loss is a normal number of mean mu^2 / 2 and deviation mu.
    """

    mu: Floats
    sensitivity: float

    @property
    def rho(self) -> Floats:
        """Half of the square of mu."""
        return np.asarray(self.mu**2 / 2)

    def largest(self) -> str:
        """Return the largest L2 shift of one event, and mu."""
        shift = self.relative.max() * self.sensitivity
        mu = rounded_up(float(self.mu.max()))
        return f"shift {shift:.6g} of {self.sensitivity:.6g}, mu {mu}"

    def charges(self, number: int) -> Iterator[tuple[Event, int]]:
        """Yield one Gaussian of this mu, none where nothing moved."""
        if self.mu[number] > 0:
            yield Gaussian(1 / float(self.mu[number]), 1.0), 1


@dataclass(frozen=True, eq=False)
class ChoiceShift(Shift):
    """An exponential mechanism's choice: ``ranges`` of how log odds move, over all candidates."""

    ranges: Floats
    charged: float

    @property
    def rho(self) -> Floats:
        """An eighth of the square of the range."""
        return np.asarray(self.ranges**2 / 8)

    def largest(self) -> str:
        """Return the largest range of log ratios, and the largest log ratio of what was chosen."""
        found = f"log-ratios in a range of {self.ranges.max():.6g} of {self.charged:.6g}"
        return f"{found}, chosen {np.abs(self.losses).max():.4g}"

    def charges(self, number: int) -> Iterator[tuple[Event, int]]:
        """Yield one choice of this range."""
        if self.ranges[number] > LEAST_RANGE:
            yield Selection(float(self.ranges[number])), 1


@dataclass(frozen=True, eq=False)
class VoteShift(Shift):
    """Votes of teachers: ``moved`` is of how many questions the lead moved."""

    moved: Integers

    @property
    def rho(self) -> Floats:
        """Cost of the votes that moved."""
        return np.asarray(self.moved * (self.event.rho or 0.0))

    def largest(self) -> str:
        """Return the most votes that moved in one question, and in how many they did."""
        turned = round(float(self.relative.max()))
        return f"{turned} teacher's vote moved, in {self.moved.max()} of {self.count} questions"

    def charges(self, number: int) -> Iterator[tuple[Event, int]]:
        """Yield the votes that moved."""
        if self.moved[number]:
            yield self.event, int(self.moved[number])


@dataclass(frozen=True, eq=False)
class SampledShift(Shift):
    """A step of sampled sums: ``relative`` is the norm of a record's part over the clip.

    Where its coin of chance ``event.rate`` does not fall so, nothing moves.
    """

    @property
    def rho(self) -> Floats:
        """About the cost of a step, of a small rate."""
        event = self.event
        assert isinstance(event, SampledGaussian)
        return np.asarray((event.rate * self.relative / event.noise_multiplier) ** 2 / 2)

    def largest(self) -> str:
        """Return the largest part of a record over the clip."""
        return f"a record's part of {self.relative.max():.6g} clips of 1"

    def charges(self, number: int) -> Iterator[tuple[Event, int]]:
        """Yield one step whose noise is that much larger for this neighbour."""
        event = self.event
        assert isinstance(event, SampledGaussian)
        if self.relative[number] > 0:
            noise = event.noise_multiplier / float(self.relative[number])
            yield replace(event, noise_multiplier=noise, steps=1), 1


@dataclass(frozen=True)
class Paid:
    """What a line of the ledger charged for an answer."""

    event: Event
    count: int
    entry: int


def shift_of(law: Law, paid: Paid, tables: NeighbourTables) -> Shift:
    """Return how far each neighbour moves an answer; UnsupportedEvent for a law not known here."""
    if isinstance(law, GaussianLaw):
        return _of_gaussian(law, paid, tables)
    if isinstance(law, LaplaceLaw):
        from dp_synth.audit.laplace_shifts import laplace_shift

        return laplace_shift(law, paid, tables)
    if isinstance(law, ChoiceLaw):
        return _of_choice(law, paid, tables)
    if isinstance(law, VoteLaw):
        return _of_votes(law, paid, tables)
    return _of_sum(law, paid, tables)


def relative_shift(law: Law, there: object, paid: Paid) -> float | None:
    """Return how far what was read is from ``there``, in parts of what was charged for.

    None of laws whose tables are compared by a coupling of their coins.
    """
    if isinstance(law, GaussianLaw) and isinstance(there, list):
        assert isinstance(paid.event, Gaussian)
        moved = [a - b for a, b in zip(law.here, there, strict=True)]
        return _largest(moved, _by_number(law, paid)) / paid.event.sensitivity
    if isinstance(law, LaplaceLaw) and isinstance(there, list):
        from dp_synth.audit.laplace_shifts import relative_move

        return relative_move(law, there, paid)
    if isinstance(law, ChoiceLaw) and isinstance(there, np.ndarray):
        assert isinstance(paid.event, Selection | Round)
        return float(np.ptp(law.here - there)) / paid.event.epsilon
    return None


def _by_number(law: GaussianLaw, paid: Paid) -> bool:
    """Return whether each number was charged as an event of its own, not each array."""
    return paid.count != len(law.here) and paid.count == sum(one.size for one in law.here)


def _largest(moved: Sequence[Floats], by_number: bool) -> float:
    """Return the largest shift of an event: the size of a number, or the L2 norm of an array."""
    return max(
        (float(np.abs(one).max() if by_number else np.linalg.norm(one)) for one in moved),
        default=0.0,
    )


def _of_gaussian(law: GaussianLaw, paid: Paid, tables: NeighbourTables) -> GaussianShift:
    event, by_number = paid.event, _by_number(law, paid)
    assert isinstance(event, Gaussian)
    noises = [value - here for value, here in zip(law.values, law.here, strict=True)]
    most, squares, losses = [], [], []
    for table in tables:
        there = law.exact(table)
        moved = [a - b for a, b in zip(law.here, there, strict=True)]
        most.append(_largest(moved, by_number))
        squares.append(sum(float(np.vdot(one, one)) for one in moved))
        along = sum(float(np.vdot(a, b)) for a, b in zip(moved, noises, strict=True))
        losses.append((along + squares[-1] / 2) / law.stddev**2)
    return GaussianShift(
        law.part,
        law.why,
        event,
        paid.count,
        paid.entry,
        np.array(most) / event.sensitivity,
        np.array(losses),
        np.sqrt(np.array(squares)) / law.stddev,
        event.sensitivity,
    )


def _of_choice(law: ChoiceLaw, paid: Paid, tables: NeighbourTables) -> ChoiceShift:
    event = paid.event
    assert isinstance(event, Selection | Round)
    here, ranges, losses = log_softmax(law.here), [], []
    for table in tables:
        odds = law.log_odds(table)
        ranges.append(float(np.ptp(law.here - odds)))
        losses.append(float(here[law.chosen] - log_softmax(odds)[law.chosen]))
    moved = np.array(ranges)
    return ChoiceShift(
        law.part,
        law.why,
        event,
        paid.count,
        paid.entry,
        moved / event.epsilon,
        np.array(losses),
        moved,
        event.epsilon,
    )


def _of_votes(law: VoteLaw, paid: Paid, tables: NeighbourTables) -> VoteShift:
    """Compare votes; records that two tables share are with the same teachers in both.

    The teacher who is a record from another votes in one election with all who differ likewise.
    That nobody else's vote moves is looked at for some neighbours, in elections of their own.
    """
    near, (codes, teacher) = tables.neighbours, law.voters
    places, like = _replaced_voters(law, tables)
    own = [
        _voters_of(law, tables, number, places[number], teacher == like[number])[0]
        for number in range(len(near))
    ]
    crowd = np.repeat(np.arange(len(near)), list(map(len, own)))
    before = law.cast(codes, teacher, np.arange(law.event.teachers))[like]
    turned = (before != law.cast(np.concatenate(own), crowd, like)).astype(np.int64)
    everyone = np.ones(len(codes), dtype=bool)
    few = np.linspace(0, len(near) - 1, min(ELECTIONS, len(near))).astype(int)
    for number in few.tolist():
        lines, more = _voters_of(law, tables, number, places[number], everyone)
        leads = law.leads(lines, np.concatenate([teacher[more], like[[number]]])[: len(lines)])
        turned[number] = np.maximum(turned[number], np.abs(leads - law.here) // 2)
    gaps = law.here + np.where(before, -2, 2) * turned
    here, there = (log_chances(law.event, lead.astype(float)) for lead in (law.here, gaps))
    ratios = np.where(law.won, here - there, _log_less(here) - _log_less(there))
    holders = len(codes) / max(1, len(law.records(tables.own)))  # teachers with one record
    return VoteShift(
        law.part,
        law.why,
        law.event,
        paid.count,
        paid.entry,
        np.maximum(turned.max(axis=1, initial=0), holders if holders > 1 else 0).astype(float),
        ratios.sum(axis=1),
        (turned > 0).sum(axis=1),
    )


def _replaced_voters(law: VoteLaw, tables: NeighbourTables) -> tuple[Integers, Integers]:
    """Return which voter each neighbour lacks, and whose teacher's records change.

    A record that replaces another has its teacher; one that is added draws its own.
    """
    near, (codes, teacher) = tables.neighbours, law.voters
    first = {tuple(line): place for place, line in reversed(list(enumerate(codes.tolist())))}
    records = [tuple(line) for line in tables.codes.tolist()]
    places = np.array(
        [NONE if fewer == NONE else first[records[fewer]] for fewer in near.removed.tolist()]
    )
    drawn = law.assign(len(near))
    return places, np.where(places == NONE, drawn, np.append(teacher, 0)[places])


def _voters_of(
    law: VoteLaw, tables: NeighbourTables, number: int, gone: int, among: Flags
) -> tuple[Codes, Flags]:
    """Return the records of a neighbour that some voters are, its added one last, and who stays."""
    codes, added = law.voters[0], int(tables.neighbours.added[number])
    kept = among & (np.arange(len(codes)) != gone)
    more = tables.codes[[added]] if added != NONE else tables.codes[:0]
    return np.concatenate([codes[kept], more]), kept


def _log_less(log_chances: Floats) -> Floats:
    """Return the log of one less each chance."""
    return np.asarray(np.log(-np.expm1(np.minimum(log_chances, -1e-300))))


def _of_sum(law: Law, paid: Paid, tables: NeighbourTables) -> SampledShift:
    """Compare a sum over a batch with the same batch and one record more, whose coin fell so."""
    from dp_synth.mechanisms.dp_sgd import SampledSumLaw

    if not isinstance(law, SampledSumLaw):
        raise UnsupportedEvent(f"answers of part {law.part!r} have a law that is not known here")
    near = tables.neighbours
    base = law.summed(law.encoded)
    alike = {tuple(line): norm for line, norm in _norms(law, base, tables.codes)}
    norms = np.array([alike[tuple(line)] for line in tables.codes.tolist()])
    norms = np.append(norms, 0.0)  # of the record that is none: its number is the last one
    relative = np.maximum(norms[near.removed], norms[near.added])
    event = paid.event
    return SampledShift(
        law.part, law.why, event, paid.count, paid.entry, relative, np.zeros(len(near))
    )


def _norms(
    law: SampledSumLaw, base: Sequence[WholeSum], records: Codes
) -> Iterator[tuple[list[int], float]]:
    """Yield distinct records, and how far each moves the sum in clips: with it, less without."""
    import torch

    for line in np.unique(records, axis=0):
        code = torch.from_numpy(line[None]).to(law.batch.device, torch.int64)
        found = law.summed(_joined(law.encoded, law.encode(code)))
        parts = (_difference(a, b) for a, b in zip(found, base, strict=True))
        yield line.tolist(), math.sqrt(sum(float(part.square().sum()) for part in parts))


def _joined(batch: Encoded, other: Encoded) -> Encoded:
    import torch

    assert batch.coins is not None
    assert other.coins is not None
    return type(batch)(torch.cat([batch.rows, other.rows]), torch.cat([batch.coins, other.coins]))


def _difference(first: WholeSum, second: WholeSum) -> Tensor:
    return type(first)(first.whole - second.whole, first.bits).times(1.0)


def charged_noise(law: Law, event: Event) -> tuple[float, float]:
    """Return the noise of an answer, and the least that was charged for; ranges of choices as 0."""
    if isinstance(law, GaussianLaw) and isinstance(event, Gaussian):
        return law.stddev, event.stddev
    if isinstance(law, LaplaceLaw) and isinstance(event, LaplaceCounts):
        return law.scale * law.fineness, event.scale
    if isinstance(law, VoteLaw) and isinstance(event, NoisyVote):
        return law.event.scale, event.scale
    if isinstance(event, SampledGaussian):
        return law.noise_multiplier, event.noise_multiplier  # type: ignore[attr-defined]
    return 0.0, 0.0
