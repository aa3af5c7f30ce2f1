"""Entries of a ledger, and whether what was charged was reserved.

A reservation pays for as many answers as it says, each of its kind and no dearer. One that stands
for a filter pays for whatever its amount allows instead (`filters`): a Gaussian event counts
squares of mu, a zero-concentrated one rho, a pure one epsilon.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from dp_synth.accounting.budget import FilterKind
from dp_synth.accounting.events import Event, Round, event_from_fields, event_to_fields
from dp_synth.accounting.filters import cost, paid_for
from dp_synth.errors import InputError, LedgerError, UnsupportedEvent

Randomness = Literal["os", "seeded"]  # a seeded run can be repeated by whoever knows the seed
Sampler = Literal["exact", "float"]  # exact in law, or as floating point allows


@dataclass(frozen=True)
class Entry:
    """One line: who paid for what, how often, and how the noise was drawn.

    ``kind`` is "reservation" for what a plan may charge, written before anything is read, and
    "charge" for an answer that was paid for. Reservations are what counts: what a plan left
    unspent may have been left because of an output.
    """

    kind: Literal["reservation", "charge"]
    recipe: str
    part: str
    event: Event
    count: int
    why: str
    randomness: Randomness
    sampler: Sampler = "exact"

    def to_fields(self) -> dict[str, object]:
        """Return the entry as a JSON object."""
        return {**self.__dict__, "event": event_to_fields(self.event)}

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> Entry:
        """Return the entry that ``to_fields`` wrote; LedgerError for anything else."""
        try:
            known = {name: fields[name] for name in cls.__dataclass_fields__}
            event = event_from_fields(known.pop("event"))
        except KeyError as error:
            raise LedgerError(f"not a ledger entry: it has no {error}") from error
        except (TypeError, ValueError, UnsupportedEvent) as error:
            raise LedgerError(f"not a ledger entry: {error}") from error
        count, words = known["count"], [known[name] for name in ("recipe", "part", "why")]
        if type(count) is not int or count < 1:
            raise LedgerError(f"count of an entry must be a whole number above 0, got {count!r}")
        for name, allowed in _WORDS.items():
            if known[name] not in allowed:
                raise LedgerError(f"unknown {name} {known[name]!r} of an entry")
        if not all(isinstance(word, str) for word in words):
            raise LedgerError(f"recipe, part and why of an entry must be text, got {words}")
        return cls(event=event, **known)  # type: ignore[arg-type]


_WORDS: dict[str, tuple[str, ...]] = {
    "kind": ("reservation", "charge"),
    "randomness": get_args(Randomness),
    "sampler": get_args(Sampler),
}


ROUNDING = 1e-9  # relative, by which the sum of a filter's amounts may be off


@dataclass
class _Granted:
    """One reservation of answers, and how many of them are left."""

    event: Event
    left: int


@dataclass
class _Filter:
    """The amounts that filters of one part have in one currency, and how much is left.

    ``due`` are the noise multipliers of answers that rounds have paid for.
    """

    currency: FilterKind
    whole: float = 0.0
    left: float = 0.0
    due: list[float] = field(default_factory=list)

    def price(self, charge: Entry) -> float:
        """Return what a charge takes of it; infinite where its currency knows no cost."""
        return 0.0 if self._answer(charge) >= 0 else self._cost(charge)

    def grant(self, reservation: Entry) -> None:
        """Add the amount of one more filter."""
        self.whole += self._cost(reservation)
        self.left += self._cost(reservation)

    def take(self, charge: Entry) -> None:
        """Take what a charge costs; a round's pays for the answer that comes next."""
        if (place := self._answer(charge)) >= 0:
            self.due.pop(place)
            return
        self.left -= self._cost(charge)
        if isinstance(charge.event, Round):
            self.due += [charge.event.noise_multiplier] * charge.count

    def _answer(self, charge: Entry) -> int:
        """Return which answer that a round has paid for a charge is of; -1 for none."""
        return paid_for(charge.event, charge.count, self.due)

    def _cost(self, entry: Entry) -> float:
        try:
            return cost(entry.event, self.currency) * entry.count
        except (UnsupportedEvent, InputError, OverflowError):
            return math.inf


class Balance:
    """What each part of each recipe has left, entry by entry in the order of a ledger.

    >>> from dp_synth.accounting import Gaussian
    >>> planned = Entry("reservation", "mst", "ones", Gaussian(4.0, 1.0), 3, "plan", "os")
    >>> charge = Entry("charge", "mst", "ones", Gaussian(4.0, 1.0), 2, "marginals", "os")
    >>> [place for place, _ in uncovered([planned, charge, charge])]
    [2]
    """

    def __init__(self) -> None:
        self._granted: dict[tuple[str, str], list[_Granted]] = defaultdict(list)
        self._filters: dict[tuple[str, str], dict[FilterKind, _Filter]] = defaultdict(dict)
        self._counted = 0

    def follow(self, entries: Sequence[Entry]) -> None:
        """Count in the entries of a ledger that came since the last call."""
        for entry in entries[self._counted :]:
            self.add(entry)
        self._counted = len(entries)

    def add(self, entry: Entry) -> None:
        """Count in one entry; a charge that is not covered takes nothing."""
        key = (entry.recipe, entry.part)
        if entry.kind == "charge":
            self._take(key, entry)
        elif (currency := filter_of(entry)) is not None:
            self._filters[key].setdefault(currency, _Filter(currency)).grant(entry)
        else:
            self._granted[key].append(_Granted(entry.event.once, entry.count * entry.event.answers))

    def lacks(self, charge: Entry) -> str:
        """Return why what is reserved does not pay for a charge, in words; empty where it does."""
        key = (charge.recipe, charge.part)
        if self._filter_for(key, charge) is not None:
            return ""
        lines = self._granted.get(key, [])
        if not lines and key not in self._filters:
            return f"nothing is reserved for part {charge.part!r} of {charge.recipe!r}"
        covering = [line for line in lines if line.event.covers(charge.event)]
        left, wanted = sum(line.left for line in covering), charge.count * charge.event.answers
        if covering and left >= wanted:
            return ""
        if covering:
            found = f"pays for {left} more, not for {wanted}"
        elif key in self._filters:
            found = "has less left"
        else:
            found = f"is for {lines[0].event}, not for {charge.event}"
        return f"what is reserved for part {charge.part!r} of {charge.recipe!r} {found}"

    def _take(self, key: tuple[str, str], charge: Entry) -> None:
        if (found := self._filter_for(key, charge)) is not None:
            found.take(charge)
            return
        wanted = charge.count * charge.event.answers
        covering = [line for line in self._granted[key] if line.event.covers(charge.event)]
        if sum(line.left for line in covering) < wanted:
            return
        for line in sorted(covering, key=lambda line: _substitutes(line, covering), reverse=True):
            taken = min(wanted, line.left)
            line.left -= taken
            wanted -= taken

    def _filter_for(self, key: tuple[str, str], charge: Entry) -> _Filter | None:
        """Return the part's filter that has enough left for a charge."""
        for found in self._filters.get(key, {}).values():
            if found.price(charge) <= found.left + ROUNDING * found.whole:
                return found
        return None


def uncovered(entries: Iterable[Entry]) -> Iterable[tuple[int, str]]:
    """Yield the place of each charge that the reservations before it do not pay for, and why."""
    balance = Balance()
    for place, entry in enumerate(entries):
        if entry.kind == "charge" and (why := balance.lacks(entry)):
            yield place, why
        balance.add(entry)


def filter_of(reservation: Entry) -> FilterKind | None:
    """Return what the filter counts in that a reservation stands for; None where it is none."""
    return reservation.event.filter_kind if reservation.count == 1 else None


def _substitutes(line: _Granted, others: Sequence[_Granted]) -> int:
    """Return how many reservations pay for all that this one pays for: most for the cheapest."""
    return sum(other.event.covers(line.event) for other in others)
