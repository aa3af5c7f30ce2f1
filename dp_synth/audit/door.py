"""The door of a replay: it records the answers of a run, or hands them out again, and seals tables.

A sealed table holds no record that the code behind the door could read: whatever is read of it
elsewhere than in a mechanism's answer is a fault, which is named with the call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Event, Gaussian, LaplaceCounts, Reservation, Round, Selection
from dp_synth.accounting.events import MOST_COUNTED, NoisyVote, SampledGaussian
from dp_synth.accounting.ledger import Entry
from dp_synth.audit.neighbour_counts import Change, NeighbourTables
from dp_synth.audit.shifts import Paid, charged_noise
from dp_synth.counting import CachedCounts, Counts
from dp_synth.counting.columns import Column
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.mechanisms import simulation
from dp_synth.mechanisms import table as private
from dp_synth.mechanisms.exponential import ChoiceLaw
from dp_synth.mechanisms.gaussian import GaussianLaw
from dp_synth.mechanisms.laplace import LaplaceLaw
from dp_synth.mechanisms.noise import Bits
from dp_synth.mechanisms.pate import VoteLaw
from dp_synth.mechanisms.table import Auditor, Law, PrivateTable, X, Y
from dp_synth.types import Clique, Codes, Floats

MECHANISMS = "dp_synth.mechanisms"
ROUNDING = 1e-9  # relative, by which a shift or a noise may be off
_WITHIN = (private.__file__, __file__, str(Path(simulation.__file__).parent.parent / "counting"))
"""Files whose lines are never what read a sealed table: they pass on what others ask."""


@dataclass(frozen=True)
class Fault:
    """What a replay found, in a line: its ``kind``, and how many neighbours show it, 0 for none."""

    kind: str
    sentence: str
    neighbours: int = 0

    def __str__(self) -> str:
        shown = f" [{self.neighbours} neighbours]" if self.neighbours else ""
        return f"{self.kind}: {self.sentence}{shown}"


class Diverged(Exception):
    """A run about a neighbour asked something else than the recorded one, and cannot go on."""


@dataclass(frozen=True, eq=False)
class Heard:
    """An answer: its law, what paid for it, and the neighbours after the same changes of codes."""

    law: Law
    paid: Paid | None
    tables: NeighbourTables | None


@dataclass(eq=False)
class _Due:
    """A charge that may still pay for answers: its place in the ledger, and events left of it."""

    entry: Entry
    place: int
    left: int


@dataclass(eq=False)
class Door:
    """The door of one run: ``frozen`` answers are handed out again, without any it records.

    ``noise`` gives the bits of all noise, ``read`` is what mechanisms read, some of them by code of
    their own where ``own_mechanisms``. ``begin`` is told the counts of the one table, and returns
    its neighbours, None where none is compared; ``hear`` is told each answer.
    """

    noise: np.random.Generator
    begin: Callable[[Counts, Reservation], NeighbourTables | None] = lambda _, __: None
    hear: Callable[[Heard], None] = lambda _: None
    frozen: Sequence[tuple[Any, Any]] | None = None
    faults: dict[Fault, None] = field(default_factory=dict)
    answers: list[tuple[Any, Any]] = field(default_factory=list)
    read: list[Any] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    states: list[tuple[object, ...]] = field(default_factory=list)
    payer: Reservation | None = None
    own_mechanisms: bool = False
    is_open: bool = False

    def __post_init__(self) -> None:
        self._generators: dict[int, np.random.Generator] = {}
        self._due: list[_Due] = []
        self._charges = 0

    def watch(self, counts: Counts, payer: Reservation) -> tuple[Counts, Auditor]:
        """Seal the one private table of a fit; InputError for a second one."""
        if self.payer is not None:
            raise InputError("a replay follows one private table, and this fit makes several")
        self.payer = payer
        return SealedCounts(CachedCounts(counts), self), TableAuditor(
            self, self.begin(counts, payer)
        )

    def bits(self, rng: np.random.Generator) -> Bits:
        """Return the bits of the noise; the generator is for public coins alone."""
        self._generators[id(rng)] = rng
        return self.noise.bytes

    @property
    def laws(self) -> list[Law]:
        """The laws of all answers, in order."""
        return [one.law for one in self.heard]

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Let a mechanism read the table in the block."""
        self.is_open, before = True, self.is_open
        try:
            yield
        finally:
            self.is_open = before

    def fault(self, kind: str, sentence: str) -> None:
        """Take note of a fault, once."""
        self.faults[Fault(kind, sentence)] = None

    def state(self) -> tuple[object, ...]:
        """Return where the generators of public coins are."""
        return tuple(repr(one.bit_generator.state) for one in self._generators.values())

    def take_charges(self) -> None:
        """Take note of what the ledger charged since the last answer."""
        assert self.payer is not None
        entries = self.payer.accountant.ledger.entries
        for place in range(self._charges, len(entries)):
            if entries[place].kind == "charge":
                self._due.append(_Due(entries[place], place, entries[place].count))
        self._charges = len(entries)

    def paid_for(self, law: Law) -> Paid | None:
        """Return what was charged before this answer was read; None, with a fault, for nothing."""
        for due in self._due:
            event = due.entry.event
            if due.entry.part != law.part or not _is_for(event, law):
                continue
            taken = 1 if isinstance(event, SampledGaussian) else due.left
            due.left -= taken
            self._due = [one for one in self._due if one.left]
            if taken not in _events_in(law):
                said = f"{taken} events pay for an answer of {_events_in(law)[0]}"
                self.fault("uncharged", f"part {law.part!r} ({law.why}): {said}")
                return None
            return Paid(event, taken, due.place)
        self.fault(
            "uncharged",
            f"part {law.part!r} ({law.why}): an answer is read before a charge pays for it, or "
            "without one",
        )
        return None


class TableAuditor:
    """Stands for a door at one sealed table, after some public changes of its codes."""

    def __init__(
        self, door: Door, tables: NeighbourTables | None, changes: tuple[Change, ...] = ()
    ) -> None:
        self._door = door
        self._tables = tables
        self._changes = changes

    def follow(self, change: Change) -> TableAuditor:
        """Return the auditor of the table after one more change."""
        changes = (*self._changes, change)
        tables = None if self._tables is None else self._tables.changed(changes)
        return TableAuditor(self._door, tables, changes)

    def answer(
        self, table: PrivateTable, read: Callable[[PrivateTable], X], draw: Callable[[X], Y]
    ) -> tuple[X, Y]:
        """Return what is read and drawn, or the frozen answer in its place."""
        door, number = self._door, len(self._door.answers)
        door.own_mechanisms |= not _module_of(read).startswith(MECHANISMS)
        door.states.append(door.state())
        door.take_charges()
        with door.opened():
            exact = read(table)
        if door.frozen is None:
            found = exact, draw(exact)
        else:
            if number >= len(door.frozen):
                raise Diverged(f"more than {number} answers are asked for")
            if _shapes(exact) != _shapes(door.frozen[number][0]):
                raise Diverged(f"answer {number + 1} is of another shape")
            found = door.frozen[number]
        door.answers.append(found)
        door.read.append(exact)
        return found

    def hear(self, law: Law) -> None:
        """Find what paid for an answer, and pass it on."""
        door = self._door
        paid = door.paid_for(law)
        if paid is not None:
            own, least = charged_noise(law, paid.event)
            if own < least * (1 - ROUNDING):
                door.fault(
                    "noise",
                    f"part {law.part!r} ({law.why}) has noise of {own:.6g} where {least:.6g} is "
                    "charged for",
                )
        door.heard.append(Heard(law, paid, self._tables))
        door.hear(door.heard[-1])


def _module_of(read: Callable[..., object]) -> str:
    return str(getattr(read, "__module__", None) or getattr(read, "func", read).__module__)


def _events_in(law: Law) -> Sequence[int]:
    """Return how many events an answer may be: of arrays, each of them, or each number in them."""
    if isinstance(law, GaussianLaw | LaplaceLaw):
        return len(law.here), sum(one.size for one in law.here)
    if isinstance(law, VoteLaw):
        return range(len(law.won), MOST_COUNTED + 1)  # votes may end early
    return (1,)


def _is_for(event: Event, law: Law) -> bool:
    kinds = {
        GaussianLaw: Gaussian,
        LaplaceLaw: LaplaceCounts,
        ChoiceLaw: Selection | Round,
        VoteLaw: NoisyVote,
    }
    return isinstance(event, kinds.get(type(law), SampledGaussian))


def _shapes(read: object) -> object:
    """Return the shapes of what was read: of arrays, and of lists of them; None of other things."""
    if isinstance(read, np.ndarray):
        return read.shape
    if isinstance(read, list):
        return [_shapes(one) for one in read]
    return None


class SealedCounts:
    """Counts that mechanisms may read through an open door: all else is told to the door."""

    def __init__(self, source: Counts, door: Door) -> None:
        self.domain: Domain = source.domain
        self._source = source
        self._door = door

    def __len__(self) -> int:
        self._told("the number of records")
        return len(self._source)

    def marginal(self, clique: Clique) -> Floats:
        """Return the counts over ``clique``."""
        self._told("a marginal")
        return self._source.marginal(clique)

    def marginals(self, cliques: Sequence[Clique]) -> list[Floats]:
        """Return the marginal over each clique; their number alone may be public."""
        payer = self._door.payer
        public = payer is not None and payer.budget.records_are_public
        if not public or any(cliques):
            self._told("marginals")
        return self._source.marginals(cliques)

    def sparse_marginal(self, clique: Clique) -> tuple[NDArray[np.int64], Floats]:
        """Return the cells with records and their counts."""
        self._told("a marginal")
        return self._source.sparse_marginal(clique)

    def occupied(self, clique: Clique) -> tuple[Codes, Floats]:
        """Return the codes of the cells with records and their counts."""
        self._told("the records")
        return self._source.occupied(clique)

    def blocks(self, clique: Clique) -> Iterator[tuple[list[Column], Floats | None]]:
        """Yield the codes of ``clique``, and the weights of lines."""
        self._told("the records")
        return self._source.blocks(clique)

    def coarsened(self, groups: Mapping[str, Codes]) -> SealedCounts:
        """Return the records with codes relabelled, sealed as well."""
        return SealedCounts(self._source.coarsened(groups), self._door)

    def _told(self, what: str) -> None:
        if not self._door.is_open:
            self._door.fault("read outside the door", f"{what}, by {_caller()}")


def _caller() -> str:
    """Return which line of code asked for what is being read, and by which call."""
    frame: FrameType | None = sys._getframe(2)
    call = ""
    while frame is not None and frame.f_code.co_filename.startswith(_WITHIN):
        call = frame.f_code.co_name
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    code = frame.f_code
    return f"{call} in {code.co_qualname} ({Path(code.co_filename).name}:{frame.f_lineno})"
