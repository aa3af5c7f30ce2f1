"""Audit by replay: what every neighbour of a table changes, with all answers held fast.

Record the answers of a run, and run again about a neighbour, with the recorded answers in place
of its own (Re:cord-play, arXiv:2602.17454). Whatever else differs leaks, and what was asked moved
by a distance that is known without sampling.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from os import PathLike

import numpy as np
import pandas as pd

from dp_synth.accounting import (
    Event,
    Filtered,
    Gaussian,
    Plan,
    PrivacyBudget,
    Reservation,
    Round,
    Selection,
    compose,
    cost,
)
from dp_synth.accounting.events import DiscreteLaplace, SampledGaussian
from dp_synth.audit.door import ROUNDING, Door, Fault, Heard
from dp_synth.audit.neighbour_counts import Neighbours, NeighbourTables
from dp_synth.audit.noise_checks import noise_faults
from dp_synth.audit.replayed_runs import FitOptions, Run, differences, neighbours_of_frame, play
from dp_synth.audit.shifts import SampledShift, Shift, shift_of
from dp_synth.counting import Counts
from dp_synth.datasets import read_table
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.formatting import at_most, rounded_up
from dp_synth.frames import as_frame
from dp_synth.schema import Schema
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.synthesizers.validation import Against, Validation
from dp_synth.types import Floats

MOST_NEIGHBOURS = 10_000  # that are compared; of more so many are drawn, and worse ones looked for
LARGEST = 1_000_000  # that may be asked for: each is held
EXECUTED = 2  # neighbours that are run, of a fit all of whose records mechanisms of ours read
MOST_EXECUTED = 100  # of any other fit
SEARCHES, TRIES = 6, 64  # rounds of looking for worse neighbours, and neighbours tried in each
ABOVE = 1e-6  # relative, by which a composed epsilon may be rounded above the ledger's


@dataclass(frozen=True)
class ReplayedAnswer:
    """One answer: what was asked, how far the worst neighbour moves it, and the line that pays.

    ``share`` is the largest shift of all neighbours in parts of what was charged for; ``shift``
    says it in words. ``loss`` is the privacy loss of what was answered, of the table over the
    worst neighbour. ``line`` counts the lines of the ledger from 1.
    """

    part: str
    why: str
    share: float
    shift: str
    loss: float
    line: int
    charged: str


@dataclass(frozen=True)
class ReplayReport:
    """What a replay found: exact shifts of all answers, and whatever else differed.

    ``neighbours`` of ``possible`` ones were compared; ``executed`` of them were run as well,
    beside the table itself. Where ``is_sealed``, no record was read but by mechanisms of the
    toolkit, so that all other code does the same for all neighbours. ``audited_epsilon`` is of
    the exact shifts of the ``worst`` neighbour, ``claimed_epsilon`` the ledger's. It names records:
    it is private.
    """

    synthesizer: str
    budget: PrivacyBudget
    table: str
    neighbours: int
    possible: int
    executed: int
    is_sealed: bool
    answers: tuple[ReplayedAnswer, ...]
    audited_epsilon: float
    claimed_epsilon: float
    worst: str
    faults: tuple[Fault, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    @property
    def is_complete(self) -> bool:
        """Whether all neighbours were compared."""
        return self.neighbours >= self.possible

    def to_dict(self) -> dict[str, object]:
        """Return plain values, in the fields of ``dp-synth audit --replay --json``."""
        return {
            "synthesizer": self.synthesizer,
            "claimed_epsilon": self.claimed_epsilon,
            "audited_epsilon": self.audited_epsilon,
            "delta": self.budget.delta,
            "adjacency": self.budget.adjacency,
            "table": self.table,
            "neighbours": self.neighbours,
            "possible_neighbours": self.possible,
            "executed": self.executed,
            "sealed": self.is_sealed,
            "worst": self.worst,
            "answers": [answer.__dict__ for answer in self.answers],
            "faults": [fault.__dict__ for fault in self.faults],
            "passed": self.passed,
        }

    def __str__(self) -> str:
        every, of = f"all {self.possible:,} neighbours", ""
        if not self.is_complete:
            every = f"{self.neighbours:,} neighbours"
            of = f", drawn of {_count(self.possible)} and looked for near the worst"
        ran = "no record read outside the door" if self.is_sealed else "own code reads records"
        delta = rounded_up(self.budget.delta)
        lines = [
            f"{self.synthesizer}: claims epsilon {at_most(self.claimed_epsilon, 3)} at delta "
            f"{delta} ({self.budget.neighbours})",
            f"  {every} of {self.table}{of}; {ran}; {self.executed} run again",
            *(f"  {line}" for line in _folded(self.answers)),
            f"  audited epsilon {self.audited_epsilon:.4f} of {at_most(self.claimed_epsilon, 4)}, "
            f"of the neighbour {self.worst}",
            *(f"  FAULT {fault}" for fault in self.faults),
        ]
        if self.passed:
            told = "no neighbour" if self.is_complete else "none of these neighbours"
            lines.append(
                f"  passed: {told} moves an answer by more than its line, or anything else"
            )
        return "\n".join(lines)


def _count(number: int) -> str:
    return f"{number:,}" if number < 1e12 else f"{number:.3g}"


def _folded(answers: Sequence[ReplayedAnswer]) -> Iterator[str]:
    """Yield a line for each kind of answer: its largest shift, and the lines that pay."""
    kinds: dict[tuple[str, str], list[ReplayedAnswer]] = {}
    for answer in answers:
        kinds.setdefault((answer.part, answer.why), []).append(answer)
    for (part, why), own in kinds.items():
        worst = max(own, key=lambda answer: answer.share)
        lines = sorted({answer.line for answer in own})
        paid = f"line {lines[0]}" if len(lines) == 1 else f"lines {lines[0]}-{lines[-1]}"
        several = f"{len(own)} answers, " if len(own) > 1 else ""
        yield f"{part}: {why}: {several}{worst.shift}; {paid}: {worst.charged}"


def replay(
    synthesizer: Synthesizer,
    budget: PrivacyBudget,
    data: object = None,
    schema: Schema | None = None,
    *,
    neighbours: int = MOST_NEIGHBOURS,
    options: FitOptions | None = None,
    seed: int | None = None,
) -> ReplayReport:
    """Return how far each neighbour of a table moves what a fit asks, and what else it changes.

    The fit runs once about the table, a frame or the path of one, with fresh noise; without
    ``data`` about one that is made. Its private table is sealed: it holds no record that anything
    but a mechanism's answer could read. Each question is then asked of every neighbour: records
    removed, added or replaced by any of the domain, equal ones once. Of more than ``neighbours``
    so many are drawn, and worse ones looked for. Runs about some neighbours, with the recorded
    answers in place of their own, must give the same in all else; about many of them where a
    record was read outside the door, or by a mechanism or a ``fit`` of the synthesizer's own.

    ``options`` are what else the fit measures: a validation, declared questions. InputError for a
    budget of units or of an infinite epsilon, open columns, a validation against a hold-out, and
    a table without neighbours.
    """
    frame, public = _table(data, schema)
    options = options or FitOptions()
    _check(budget, public, neighbours, options)
    played = partial(play, options.fit_of(synthesizer), schema=public, budget=budget)
    public_coins, drawing, noise = np.random.SeedSequence(seed).spawn(3)
    fitted, rng = int(public_coins.generate_state(1)[0]), np.random.default_rng(drawing)
    recorder = _Recorder(budget, neighbours, rng)
    door = Door(np.random.default_rng(noise), recorder.begin, recorder.hear)
    first = played(frame=frame, door=door, seed=fitted)
    if first.error is not None:
        raise first.error
    shifts = recorder.finished()
    faults = [*door.faults, *recorder.faults, *noise_faults(door.laws)]
    own = door.own_mechanisms or type(synthesizer).fit is not Synthesizer.fit
    sealed = not own and not first.reads_outside
    most = EXECUTED if sealed else MOST_EXECUTED
    others = neighbours_of_frame(frame, public, budget.adjacency, most, rng)
    found, executed = _differing(first, played, [frame, *others], fitted), len(others)
    worst, claimed = worst_of(shifts), first.ledger.epsilon
    plan = Plan({}) if door.payer is None else door.payer.plan
    epsilon = epsilon_of(shifts, worst, budget, plan)
    found += _above(epsilon, claimed)
    if epsilon <= claimed * (1 + ABOVE):
        epsilon = min(epsilon, claimed)  # above it by a rounding error at most
    return ReplayReport(
        synthesizer.name,
        budget,
        public.name,
        recorder.compared,
        0 if recorder.near is None else recorder.near.possible,
        executed,
        sealed,
        tuple(_answer(shift, worst) for shift in shifts),
        epsilon,
        claimed,
        recorder.label(worst),
        tuple(dict.fromkeys([*faults, *found])),
    )


def _above(epsilon: float, claimed: float) -> Iterator[Fault]:
    """Yield the fault of shifts that cost more than the ledger says."""
    if epsilon > claimed * (1 + ABOVE):
        cost_of_one, said_at_most = at_most(epsilon, 6), at_most(claimed, 6)
        said = f"the shifts of one neighbour cost {cost_of_one}, claimed is {said_at_most}"
        yield Fault("above the ledger", said, 1)


def _table(data: object, schema: Schema | None) -> tuple[pd.DataFrame, Schema]:
    """Return the table to replay, and its schema: a made one unless they are given."""
    if data is None and schema is None:
        return made_table()
    if data is None or not isinstance(schema, Schema):
        raise InputError("a table to replay needs both data and its schema")
    frame = read_table(data, schema.dialect) if isinstance(data, (str, PathLike)) else data
    return as_frame(frame), schema


def made_table(records: int = 200) -> tuple[pd.DataFrame, Schema]:
    """Return a small table that is known to everybody, of five columns that tell of each other.

    >>> frame, schema = made_table()
    >>> frame.shape, schema.domain.sizes
    ((200, 5), (3, 2, 2, 2, 2))
    """
    rng = np.random.default_rng(0)
    sizes, names = (3, 2, 2, 2, 2), ("a", "b", "c", "d", "e")
    codes = np.minimum(rng.choice(3, (records, 1), p=(0.5, 0.4, 0.1)), np.array(sizes) - 1)
    other = rng.integers(0, sizes, codes.shape)
    codes = np.where(rng.random(codes.shape) < 0.15, other, codes)
    fields = [
        {"name": name, "type": "categorical", "categories": list("xyz"[:size])}
        for name, size in zip(names, sizes, strict=True)
    ]
    frame = pd.DataFrame(np.array(list("xyz"))[codes], columns=list(names))
    return frame, Schema.from_dict({"name": "made", "columns": fields})


def _check(budget: PrivacyBudget, schema: Schema, neighbours: int, options: FitOptions) -> None:
    if budget.unit is not None:
        raise InputError("a replay is of tables that differ in one record; give no unit")
    if math.isinf(budget.epsilon):
        raise InputError("a replay needs a finite epsilon: at inf nothing is claimed")
    if schema.open:
        raise InputError(f"a replay needs listed categories: column {schema.open[0]!r} is open")
    asked = options.validation
    if isinstance(asked, Against) or (isinstance(asked, Validation) and asked.attack):
        raise InputError("a replay is of one table: its validation has no hold-out, and no attack")
    if not 1 <= neighbours <= LARGEST:
        raise InputError(f"neighbours must be from 1 to {LARGEST:,}, got {neighbours:,}")


class _Recorder:
    """Keeps the answers of the recorded run, and compares them with those of all neighbours."""

    def __init__(self, budget: PrivacyBudget, most: int, rng: np.random.Generator) -> None:
        self._budget = budget
        self._most = most
        self._rng = rng
        self._kept: list[Heard | Shift] = []
        self._sets: list[Neighbours] = []
        self._tables: NeighbourTables | None = None
        self.faults: list[Fault] = []

    @property
    def near(self) -> Neighbours | None:
        """The neighbours that are compared; None where no table was made."""
        return self._sets[0] if self._sets else None

    def begin(self, counts: Counts, payer: Reservation) -> NeighbourTables:
        """Choose the neighbours of the one table."""
        near = Neighbours.of(counts, self._budget.adjacency, self._most, self._rng)
        self._sets.append(near)
        self._tables = NeighbourTables.of(counts, near, payer)
        return self._tables

    def hear(self, heard: Heard) -> None:
        """Keep an answer; of a network, which goes on to change, its shifts are taken at once."""
        if heard.paid is None or heard.tables is None:
            return
        try:
            sampled = isinstance(heard.paid.event, SampledGaussian)
            self._kept.append(_shift(heard) if sampled else heard)
        except UnsupportedEvent as error:
            self.faults.append(Fault("law", str(error)))

    def finished(self) -> list[Shift]:
        """Return the shifts of all answers; of neighbours that were drawn, worse ones follow."""
        shifts = self._shifts(None)
        if self.near is not None and not self.near.is_complete and shifts:
            shifts = self._searched(shifts)
        worst: dict[tuple[str, str], Shift] = {}  # of the answers of one kind
        for shift in sorted(shifts, key=lambda one: float(one.relative.max())):
            worst[shift.part, shift.why] = shift
        for (part, why), shift in worst.items():
            above = int((shift.relative > 1 + ROUNDING).sum())
            if above:
                said = f"part {part!r} ({why}): {shift.largest()}"
                self.faults.append(Fault("sensitivity", said, above))
        return shifts

    def label(self, number: int) -> str:
        """Return a neighbour in words, of all that were compared."""
        for near in self._sets:
            if number < len(near):
                return near.label(number)
            number -= len(near)
        return "none"

    @property
    def compared(self) -> int:
        """How many neighbours were compared."""
        return sum(map(len, self._sets))

    def _shifts(self, near: Neighbours | None) -> list[Shift]:
        return [one if isinstance(one, Shift) else _shift(one, near) for one in self._kept]

    def _searched(self, shifts: list[Shift]) -> list[Shift]:
        """Look near the worst neighbour for worse ones, as long as there are any.

        Not where records were sampled: a network that has changed cannot be asked again.
        """
        assert self._tables is not None
        if any(isinstance(shift, SampledShift) for shift in shifts):
            return shifts
        counts = self._tables.counts
        present = counts.counts.occupied(counts.domain.attributes)[0]
        worst, best = self._sets[0], worst_of(shifts)
        for _ in range(SEARCHES):
            near = worst.with_changed(best, counts.domain, present, self._rng, TRIES)
            if not len(near):
                break
            found, before = self._shifts(near), rho_of(shifts).max()
            self._sets.append(near)
            shifts = [one.joined(other) for one, other in zip(shifts, found, strict=True)]
            if rho_of(found).max() <= before:
                break
            worst, best = near, worst_of(found)
        return shifts


def _shift(heard: Heard, near: Neighbours | None = None) -> Shift:
    assert heard.paid is not None
    assert heard.tables is not None
    tables = heard.tables if near is None else replace(heard.tables, neighbours=near)
    return shift_of(heard.law, heard.paid, tables)


def rho_of(shifts: Sequence[Shift]) -> Floats:
    """Return about what each neighbour's shifts cost in zCDP, shape (neighbours,)."""
    return np.asarray(np.sum([shift.rho for shift in shifts], axis=0))


def worst_of(shifts: Sequence[Shift]) -> int:
    """Return the neighbour whose shifts cost most; 0 where there is no answer."""
    return int(np.argmax(rho_of(shifts))) if shifts else 0


def epsilon_of(shifts: Sequence[Shift], number: int, budget: PrivacyBudget, plan: Plan) -> float:
    """Return the epsilon of the exact shifts of one neighbour, never less than they cost.

    Composed in the order and by the rules of the ledger: events by their curves, choices in a row
    at the largest of their ranges, steps of sampled sums at the largest of their shifts, and what
    a filter pays for by what it costs in the filter's currency.
    """
    events: list[tuple[Event, int]] = []
    filtered: dict[str, list[Shift]] = {}
    runs = groupby(shifts, lambda shift: (shift.part, shift.event))
    for (name, _), run in runs:
        if isinstance(plan.parts.get(name), Filtered):
            filtered.setdefault(name, []).extend(run)
            continue
        own = [pair for shift in run for pair in shift.charges(number)]
        if own and not isinstance(own[0][0], Gaussian | DiscreteLaplace):
            dearest = max((event for event, _ in own), key=lambda event: event.rho_at_most or 0.0)
            count = sum(count for _, count in own)
            if isinstance(dearest, SampledGaussian):
                dearest, count = replace(dearest, steps=count), 1
            own = [(dearest, count)]
        events += own
    for name, paid in filtered.items():
        part = plan.filtered(name)
        amount = _cost_in_filter(paid, number, part)
        if amount > 0:
            events.append((replace(part, amount=amount).event(), 1))
    return compose(events).epsilon(budget.delta) if events else 0.0


def _cost_in_filter(paid: Sequence[Shift], number: int, part: Filtered) -> float:
    """Return what the shifts of one neighbour cost in a filter; a round is one mechanism."""
    total, chosen = 0.0, list[Event]()
    for shift in paid:
        own = [event for event, _ in shift.charges(number)]
        if isinstance(shift.event, Round):
            chosen = own
            continue
        if chosen and own and isinstance(chosen[0], Selection) and isinstance(own[0], Gaussian):
            own = [Round(chosen[0].epsilon, own[0].noise_multiplier)]
        elif chosen:
            own = chosen + own
        total, chosen = total + sum(cost(event, part.currency) for event in own), []
    return total + sum(cost(event, part.currency) for event in chosen)


def _answer(shift: Shift, worst: int) -> ReplayedAnswer:
    return ReplayedAnswer(
        shift.part,
        shift.why,
        float(shift.relative.max()),
        shift.largest(),
        float(shift.losses[worst]),
        shift.entry + 1,
        shift.event.label,
    )


def _differing(
    first: Run, played: Callable[..., Run], frames: Sequence[pd.DataFrame], seed: int
) -> list[Fault]:
    """Return what runs with the same answers differ in, the first of which is of the same table."""
    shown: Counter[Fault] = Counter()
    always: set[str] = set()
    for number, frame in enumerate(frames):
        door = Door(np.random.default_rng(seed), frozen=first.door.answers)
        other = played(frame=frame, door=door, seed=seed)
        found = list(differences(first, other))
        if not number:
            always = {fault.sentence for fault in found}
            continue
        shown.update(fault for fault in found if fault.sentence not in always)
    faults = [Fault("not repeatable", f"{said}, about the same table") for said in sorted(always)]
    return faults + [replace(fault, neighbours=count) for fault, count in shown.items()]
