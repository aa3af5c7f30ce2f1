"""Reservations: what an accountant set aside for one plan, and how charges to it are checked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dp_synth.accounting.budget import Adjacency, PrivacyBudget
from dp_synth.accounting.events import Event, Gaussian, Round
from dp_synth.accounting.filters import cost, paid_for
from dp_synth.accounting.ledger import PLANNED, Entry, Randomness, Sampler
from dp_synth.accounting.plan import Filtered, FilteredGaussian, FilteredSelection, Part, Plan
from dp_synth.errors import BudgetExceeded

if TYPE_CHECKING:
    from dp_synth.accounting.accountant import Accountant


class Reservation:
    """What an accountant reserved for one plan; pays for what the plan names, once."""

    def __init__(
        self,
        accountant: Accountant,
        name: str,
        plan: Plan,
        randomness: Randomness,
        *,
        position: int = 0,
        reserved_at: int = 0,
    ) -> None:
        self.accountant = accountant
        self.name = name
        self.plan = plan
        self.randomness = randomness
        self.reserved_at = reserved_at  # place of its first line in the ledger
        self.taken = False  # by whoever's turn it was
        self._position = position
        self._used: dict[str, float] = dict.fromkeys(plan.parts, 0)
        self._order = {part: order for order, part in enumerate(plan.parts)}
        self._latest = 0
        self._due: dict[str, list[float]] = {part: [] for part in plan.parts}  # rounds' answers
        self._lock = threading.Lock()

    @property
    def adjacency(self) -> Adjacency:
        """The adjacency under which sensitivities must be stated."""
        return self.accountant.budget.adjacency

    @property
    def budget(self) -> PrivacyBudget:
        """The whole budget, with adjacency and unit."""
        return self.accountant.budget

    def count_in(self, entries: Sequence[Entry]) -> None:
        """Take as used what the entries of a ledger charged to this reservation."""
        for entry in entries[self.reserved_at :]:
            if entry.kind == "charge" and entry.recipe == self.name:
                part = self.plan.parts[entry.part]
                self._used[entry.part] += self._price(part, entry.event, entry.count, entry.why)

    def left(self, part: Part) -> float:
        """Return how many answers a part has left, or how much of a filtered part's amount."""
        planned = self._planned(part, "what is left")
        whole = planned.amount if isinstance(planned, Filtered) else planned.count
        return (whole or 0.0) - self._used[part.name]

    def charge(
        self,
        payment: Part | FilteredGaussian | FilteredSelection,
        event: Event,
        count: int,
        *,
        why: str,
        sampler: Sampler = "exact",
    ) -> None:
        """Charge ``count`` times ``event`` to a part of the plan, before any data are read.

        BudgetExceeded, with nothing recorded, when the plan does not name the part, when the
        event costs more than the part's, or when the part has less left.
        """
        if count < 0:
            raise ValueError(f"a charge must be for 0 answers or more, got {count}")
        part = (
            payment.part if isinstance(payment, FilteredGaussian | FilteredSelection) else payment
        )
        with self._lock:
            planned = self._planned(part, why)
            if count:
                self._refuse_earlier(part, why)
            answer = self._answer_of(planned, event, count)
            price = 0.0 if answer >= 0 else self._price(planned, event, count, why)
            if price > self.left(part):
                raise BudgetExceeded(
                    f"{why!r} asks for {price:.6g} but part {part.name!r} of {self.name!r} has "
                    f"{self.left(part):.6g} left; nothing was released"
                )
            if count:
                entry = Entry(
                    "charge", self.name, part.name, event, count, why, self.randomness, sampler
                )
                position = (self._position, self._order[part.name])
                self.accountant._record(entry, position)
            self._used[part.name] += price
            self._latest = max(self._latest, self._order[part.name] if count else 0)
            if answer >= 0:
                self._due[part.name].pop(answer)
            elif isinstance(event, Round):
                self._due[part.name] += [event.noise_multiplier] * count

    def _refuse_earlier(self, part: Part, why: str) -> None:
        """Raise BudgetExceeded where a later part was charged: the plan's curve is in its order."""
        if self._order[part.name] < self._latest:
            raise BudgetExceeded(
                f"{why!r} comes after later parts of the plan were charged; its curve holds in the "
                "planned order only; nothing was released"
            )

    def _answer_of(self, part: Part, event: Event, count: int) -> int:
        """Return which answer that a round has paid for this is; -1 for none."""
        if not isinstance(part, Filtered) or not isinstance(event, Gaussian) or count != 1:
            return -1
        return paid_for(event, self._due[part.name])

    def _planned(self, part: Part, why: str) -> Part:
        planned = self.plan.parts.get(part.name)
        if planned is None or planned != part:
            raise BudgetExceeded(
                f"{why!r} asks for {part} but the plan of {self.name!r} grants "
                f"{planned or 'no part of that name'}; nothing was released"
            )
        return planned

    def _price(self, part: Part, event: Event, count: int, why: str) -> float:
        """Return what the charge takes from its part: answers, or an amount of its filter."""
        if isinstance(part, Filtered):
            return cost(event, part.currency) * count
        planned = part.event()
        if not planned.covers(event) or event.answers > planned.answers:
            raise BudgetExceeded(
                f"{why!r} asks for {event} but part {part.name!r} of {self.name!r} grants "
                f"{planned}; nothing was released"
            )
        return count


def reservations(name: str, plan: Plan, randomness: Randomness, why: str = PLANNED) -> list[Entry]:
    """Return the lines of a ledger that reserve for a plan."""
    return [
        Entry("reservation", name, part.name, part.event(), part.count, why, randomness)
        for part in plan.parts.values()
        if part.count
    ]
