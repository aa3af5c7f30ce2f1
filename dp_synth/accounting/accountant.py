"""The one accountant of a run: reserves for plans, charges before noise, keeps the ledger."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from dp_synth.accounting.budget import Adjacency, PrivacyBudget
from dp_synth.accounting.calibration import calibrate
from dp_synth.accounting.curves import compose
from dp_synth.accounting.events import Event, Gaussian, Selection
from dp_synth.accounting.ledger import Entry, Ledger, LedgerFile, Randomness
from dp_synth.accounting.plan import Part, Plan
from dp_synth.errors import BudgetExceeded


class Accountant:
    """Holds one budget, reserves parts of it for plans, and records every charge.

    Plans are admitted before the first charge; their curves are composed exactly. A plan whose
    noise is not given takes all of the budget, or shares it with those admitted together with
    it. After the first charge nothing more is admitted: what is chosen after seeing an output
    may not be composed in this way.

    With ``ledger`` each charge is on disk before the data that it pays for is read. A file that
    holds charges already is never continued by a new plan: its budget was planned to the end.
    """

    def __init__(self, budget: PrivacyBudget, *, ledger: str | Path | None = None) -> None:
        self.budget = budget
        self._file = LedgerFile(ledger, budget) if ledger is not None else None
        self._entries = self._file.entries if self._file else ()
        self._admitted: list[tuple[Event, int]] = []
        self._lock = threading.RLock()
        self._process = os.getpid()

    @property
    def ledger(self) -> Ledger:
        """What was charged so far."""
        return Ledger(self.budget, self._entries)

    def epsilon(self) -> float:
        """Return a certified upper bound on what was spent, at the budget's delta."""
        return self.ledger.epsilon

    def admit(self, name: str, plan: Plan, *, randomness: Randomness = "os") -> Slice:
        """Reserve the budget for one plan; BudgetExceeded when it cannot be paid."""
        return self.admit_jointly({name: (plan, 1.0)}, randomness=randomness)[name]

    def admit_jointly(
        self, plans: Mapping[str, tuple[Plan, float]], *, randomness: Randomness = "os"
    ) -> dict[str, Slice]:
        """Reserve the budget for several plans, each with the weight of its share.

        Plans without noise are calibrated together so that their composition meets the budget;
        plans with noise given must fit into what is left. BudgetExceeded, and nothing changes,
        when they do not.
        """
        with self._lock:
            self._refuse_latecomers(list(plans))
            if all(plan.is_fixed for plan, _ in plans.values()):
                ready = {name: plan for name, (plan, _) in plans.items()}
            elif self._admitted:
                raise BudgetExceeded(
                    "another plan already holds a part of this budget; admit plans that are to "
                    "be calibrated together in one call; nothing was released"
                )
            else:
                ready = calibrate(plans, self.budget)
            events = [event for plan in ready.values() for event in plan.events()]
            cost = compose([*self._admitted, *events]).epsilon(self.budget.delta)
            if cost > self.budget.epsilon:
                raise BudgetExceeded(
                    f"{', '.join(ready)} would bring the total to epsilon={cost:.6g} where the "
                    f"budget allows {self.budget.epsilon:g} at delta={self.budget.delta:g}; "
                    "nothing was released"
                )
            self._admitted += events
            return {name: Slice(self, name, plan, randomness) for name, plan in ready.items()}

    def _refuse_latecomers(self, names: list[str]) -> None:
        if self._entries:
            where = f" in {self._file.path}" if self._file else ""
            raise BudgetExceeded(
                f"the ledger{where} already holds charges of a plan for the whole budget, so "
                f"{', '.join(names)} must be fitted jointly with it or have a budget of its own; "
                "nothing was released"
            )

    def _record(self, entry: Entry) -> None:
        """Write a charge: first to disk, then to memory. Called by slices only."""
        if os.getpid() != self._process:
            raise BudgetExceeded(
                "this accountant belongs to the process that opened it, so that a copy cannot "
                "spend the budget twice; nothing was released"
            )
        with self._lock:
            if self._file:
                self._file.append([entry])
            self._entries = (*self._entries, entry)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an accountant cannot be pickled: its copy could spend the budget twice")


class Slice:
    """What an accountant reserved for one plan; pays for what the plan names, once."""

    def __init__(
        self, accountant: Accountant, name: str, plan: Plan, randomness: Randomness
    ) -> None:
        self.accountant = accountant
        self.name = name
        self.plan = plan
        self.randomness = randomness
        self._used: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def adjacency(self) -> Adjacency:
        """The adjacency under which sensitivities must be stated."""
        return self.accountant.budget.adjacency

    def charge(self, part: Part, event: Event, count: int, *, why: str) -> None:
        """Charge ``count`` times ``event`` to a part of the plan, before any data are read.

        BudgetExceeded, with nothing recorded, when the plan does not name the part, when the
        event costs more than the part's, or when the part has fewer answers left.
        """
        if count < 0:
            raise ValueError(f"a charge must be for 0 answers or more, got {count}")
        with self._lock:
            planned = self.plan.parts.get(part.name)
            if planned is None or planned != part or not _within(event, part):
                raise BudgetExceeded(
                    f"{why!r} asks for {event} but the plan of {self.name!r} grants "
                    f"{planned or 'no part of that name'}; nothing was released"
                )
            left = part.count - self._used[part.name]
            if count > left:
                raise BudgetExceeded(
                    f"{why!r} asks for {count} answers but part {part.name!r} of {self.name!r} "
                    f"has {left} of {part.count} left; nothing was released"
                )
            if count:
                entry = Entry(self.name, part.name, event, count, why, self.randomness)
                self.accountant._record(entry)
            self._used[part.name] += count


def _within(event: Event, part: Part) -> bool:
    """Whether the event costs no more than one answer of the part, and is of its kind."""
    planned = part.event()
    if isinstance(event, Gaussian) and isinstance(planned, Gaussian):
        return event.noise_multiplier >= planned.noise_multiplier
    if isinstance(event, Selection) and isinstance(planned, Selection):
        return event.epsilon <= planned.epsilon
    return False
