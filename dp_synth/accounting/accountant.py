"""The one accountant of a run: reserves for plans, charges before noise, keeps the ledger."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, Protocol

from dp_synth.accounting.budget import FILTER_KINDS, FilterKind, PrivacyBudget
from dp_synth.accounting.calibration import at_cost, calibrate
from dp_synth.accounting.events import Event
from dp_synth.accounting.filters import APART_SHARE, Filter
from dp_synth.accounting.ledger import (
    NEGLIGIBLE,
    PLANNED,
    Balance,
    Entry,
    Ledger,
    Randomness,
    continues,
)
from dp_synth.accounting.ledger_file import LedgerFile, difference, is_begun, read_ledger
from dp_synth.accounting.plan import Plan, Reservation, reservations
from dp_synth.accounting.privacy_profile import compose
from dp_synth.errors import BudgetExceeded, InputError, UnsupportedEvent
from dp_synth.formatting import rounded_up

Plans = Mapping[str, tuple[Plan, float]]


class Recipe(Protocol):
    """What can be registered: something that states what it will charge."""

    @property
    def name(self) -> str:
        """What the ledger calls it."""

    def charges(self, domain: Any, /) -> Plan:
        """Return what a fit over ``domain`` will charge."""


class Accountant:
    """Holds one budget, reserves parts of it for plans, and records every charge.

    There are two kinds of root. A *planned* one admits plans before its first release, and
    composes their curves: one plan, or several together, or, with ``planned`` recipes and
    targets, one after another, each until the total reaches its epsilon. What is chosen after
    seeing an output may not be composed so. An *adaptive* one (``adaptive=True``, or the
    currency "gdp", which that means, or "zcdp"; at delta 0 "pure") is a filter: anything may come
    next, each plan charged by its composed curve, at the price of a bound that is looser by a
    little; in pure DP by its epsilon, at no such price.

    With ``ledger`` every reservation and charge is on disk before the answers that it pays for;
    what a crash leaves reserved counts as spent. Processes may share the file of an adaptive
    root. ``simulate`` marks an experiment whose repeats are releases of their own.
    """

    def __init__(
        self,
        budget: PrivacyBudget,
        *,
        ledger: str | Path | None = None,
        planned: Sequence[tuple[Recipe, float]] = (),
        adaptive: bool | FilterKind = False,
        simulate: bool = False,
    ) -> None:
        self.budget = budget
        self.planned = _checked(tuple(planned), budget)
        self.currency: FilterKind | None = _currency(adaptive, planned, budget)
        self._turns: list[Reservation] = []
        self._domain: object = None
        apart = APART_SHARE * budget.delta if self.currency else 0.0
        empty = Ledger(budget, (), self.currency or "planned", simulate, apart)
        self._file = LedgerFile(ledger, empty) if ledger is not None else None
        self._empty = empty
        self._entries: list[Entry] = []  # of a ledger without a file
        self._balance = Balance()
        self._made: Ledger | None = None
        _ = self._filter and self._filter.limit  # InputError where a filter has none
        self._latest: tuple[int, int] = (0, 0)
        self._admitted: list[Reservation] = []
        self._lock = threading.RLock()
        self._process = os.getpid()

    @property
    def ledger(self) -> Ledger:
        """What was reserved and charged so far."""
        if self._file:
            return self._file.ledger
        with self._lock:
            if self._made is None:
                self._made = replace(self._empty, entries=tuple(self._entries))
            return self._made

    @property
    def path(self) -> Path | None:
        """Where the ledger is on disk; None where it is not."""
        return self._file.path if self._file else None

    @property
    def ledger_so_far(self) -> Ledger:
        """The ledger without what is reserved for turns still to come.

        It certifies what is released up to here: all of it was fixed in advance.
        """
        to_come = {one.name for one in self._turns if not one.taken}
        kept = tuple(entry for entry in self.ledger.entries if entry.recipe not in to_come)
        return replace(self.ledger, entries=kept)

    def __repr__(self) -> str:
        place = f", in {self.path}" if self.path else ""
        return f"<Accountant: {'; '.join(self.ledger.summary())}{place}>"

    def _repr_html_(self) -> str:
        return self.ledger._repr_html_()

    def epsilon(self) -> float:
        """Return a certified upper bound on what is spent or reserved, at the budget's delta."""
        return self.ledger.epsilon

    def odometer(self) -> float:
        """Return an epsilon of what an adaptive root has released so far, whenever one stops.

        See `Ledger.odometer`; `epsilon` of a planned root.
        """
        return self.ledger.odometer

    def left(self) -> float:
        """Return what an adaptive root's filter has left; 0 of what is negligible."""
        rule = self._filter
        if rule is None:
            raise BudgetExceeded(
                "only an adaptive accountant has a filter; open one; nothing was released"
            )
        left = rule.limit - self.ledger.spent(rule.currency)
        return left if left > NEGLIGIBLE * rule.limit else 0.0

    @property
    def _filter(self) -> Filter | None:
        return (self._file.ledger if self._file else self._empty).filter

    def open(self) -> bool:
        """Write the head of the ledger file now, so that other processes can continue it.

        False, with nothing written, where it is there already, or the ledger has no file.
        """
        with self._alone():
            if self._file is None or self._file.is_begun:
                return False
            self._file.append([])
            return True

    def portion(self, epsilon: float | None = None, *, risk: float | None = None) -> SubAccountant:
        """Return as much of an adaptive root's filter as a budget of ``epsilon`` would be.

        Of a root whose budget is a risk, as one of the same kind with the value ``risk``.
        """
        return SubAccountant(self, None, self.amount(_asked(self.budget, epsilon, risk)))

    def amount(self, target: float) -> float:
        """Return what a budget of this epsilon or risk is in the filter's currency.

        At the root's delta.
        """
        if self._filter is None:
            raise BudgetExceeded(
                "targets are fixed when an accountant is opened; open an adaptive one to decide "
                "as you go; nothing was released"
            )
        return self._filter.amount(target)

    def admit(
        self,
        name: str,
        plan: Plan,
        *,
        randomness: Randomness = "os",
        amount: float | None = None,
        why: str = PLANNED,
    ) -> Reservation:
        """Reserve the budget for one plan; BudgetExceeded when it cannot be paid.

        ``amount`` and ``why`` as in ``admit_jointly``.
        """
        plans = {name: (plan, 1.0)}
        return self.admit_jointly(plans, randomness=randomness, amount=amount, why=why)[name]

    def admit_jointly(
        self,
        plans: Plans,
        *,
        randomness: Randomness = "os",
        amount: float | None = None,
        why: str = PLANNED,
    ) -> dict[str, Reservation]:
        """Reserve the budget for several plans, each with the weight of its share.

        Plans without noise are calibrated together: until their composition meets the budget,
        or uses what an adaptive root has left, or ``amount`` of that in its currency. Plans with
        noise given must fit into what is left. BudgetExceeded, and nothing changes, when they
        do not. ``why`` is said by the reservations.
        """
        with self._alone():
            return self._reserve(self._ready(plans, amount), randomness, why)

    def check(self, plans: Plans, *, amount: float | None = None) -> dict[str, Plan]:
        """Return what ``admit_jointly`` would grant, or raise as it would; write nothing."""
        with self._alone():
            return self._of_its_kind(self._ready(plans, amount))

    def repeat(self, reservation: Reservation) -> Reservation:
        """Return what ``reservation`` was granted once more, charged to a ledger of its own.

        Nothing is calibrated anew. ValueError unless this is a simulation, whose repeats are
        releases of their own.
        """
        if not self._empty.simulation:
            raise ValueError("only a simulation's repeats are releases of their own")
        again = Accountant(self.budget, simulate=True)
        again.currency, again._empty = self.currency, self._empty
        name = reservation.name
        return again._reserve({name: reservation.plan}, reservation.randomness)[name]

    def resume(
        self,
        name: str,
        plan: Plan,
        *,
        randomness: Randomness = "os",
        reserved_at: int = 0,
        why: str = PLANNED,
    ) -> Reservation:
        """Return what is left of a reservation that the ledger file of a planned root holds.

        For a fit that goes on where an earlier process ended: nothing is reserved, and all that
        was ever charged to it is spent. ``plan`` has its noise, and ``reserved_at`` is the place
        of its first line among the entries. BudgetExceeded when other lines stand there.
        """
        with self._alone():
            lines = reservations(name, plan, randomness, why)
            entries = self.ledger.entries
            found = list(entries[reserved_at : reserved_at + len(lines)])
            if self._file is None or self.currency or self.planned or found != lines:
                raise BudgetExceeded(
                    f"no planned ledger on disk holds this reservation of {name!r}, so that it "
                    "cannot go on; nothing was released"
                )
            left = Reservation(self, name, plan, randomness, reserved_at=reserved_at)
            left.count_in(entries)
            self._admitted = [*(p for p in self._admitted if p.reserved_at != reserved_at), left]
            return left

    def turn(
        self,
        recipe: Recipe,
        domain: object,
        *,
        randomness: Randomness = "os",
        why: str = PLANNED,
    ) -> Reservation:
        """Return the reservation of the next planned recipe, which must be this one.

        The first turn calibrates and reserves for all of them over ``domain``; later ones must
        be over the same. BudgetExceeded when it is another recipe's turn, or nobody's.
        """
        with self._alone():
            done = self._turns_before([recipe], domain)
            if not self._turns:
                granted = self._reserve(self._planned_turns(domain), randomness, why)
                self._turns, self._domain = list(granted.values()), domain
            reservation = self._turns[done]
            reservation.taken, reservation.randomness = True, randomness
            return reservation

    def check_turns(self, recipes: Sequence[Recipe], domain: object) -> list[Plan]:
        """Return the plans of these recipes' turns, which come next, or raise; write nothing."""
        with self._alone():
            done, plans = self._turns_before(recipes, domain), [p.plan for p in self._turns]
            plans = plans or list(self._of_its_kind(self._planned_turns(domain)).values())
            return plans[done : done + len(recipes)]

    def _turns_before(self, recipes: Sequence[Recipe], domain: object) -> int:
        """Return how many turns were taken; BudgetExceeded unless these recipes come next."""
        done = sum(one.taken for one in self._turns)
        for place, recipe in enumerate(recipes, done):
            expected = self.planned[place][0] if place < len(self.planned) else None
            if expected != recipe or (self._turns and domain != self._domain):
                raise BudgetExceeded(
                    f"{recipe} over this domain is not what was planned to come next"
                    f" ({expected or 'nothing'}); what is chosen later needs an adaptive "
                    "accountant; nothing was released"
                )
        return done

    def _planned_turns(self, domain: object) -> dict[str, Plan]:
        """Return the plans of all turns with their noise, each until its own target."""
        names = [f"{i}-{recipe.name}" for i, (recipe, _) in enumerate(self.planned, 1)]
        self._refuse_latecomers(names)
        ready: dict[str, Plan] = {}
        before: tuple[tuple[Event, int], ...] = ()
        for name, (recipe, target) in zip(names, self.planned, strict=True):
            goal = self.budget.until(target)
            plan = (
                recipe.charges(domain)
                .under(self.budget)
                .with_delta(self.budget.delta / len(self.planned), goal.epsilon)
            )
            ready |= calibrate({name: (plan, 1.0)}, goal, before=before)
            before = (*before, *ready[name].events())
            cost = goal.cost(compose(before))
            if cost > target:
                raise BudgetExceeded(
                    f"{name!r} would bring the total to {goal.came_to(cost)} where its target is "
                    f"{goal.allowed}; nothing was released"
                )
        return ready

    def _ready(self, plans: Plans, amount: float | None) -> dict[str, Plan]:
        """Return the plans with their noise; BudgetExceeded where they cannot be paid."""
        rule = self._filter
        plans = {name: (plan.under(self.budget), weight) for name, (plan, weight) in plans.items()}
        return self._composed(plans) if rule is None else self._filtered(plans, rule, amount)

    def _composed(self, plans: Plans) -> dict[str, Plan]:
        """Return the plans with their noise, if their curves fit into the budget."""
        if self.planned:
            raise BudgetExceeded(
                "this accountant was opened for planned recipes; fit them in their turn, or open "
                "an adaptive one; nothing was released"
            )
        fixed = all(plan.is_fixed for plan, _ in plans.values())
        self._refuse_latecomers(list(plans), unless=fixed)
        ready = {name: p for name, (p, _) in plans.items()} if fixed else None
        ready = ready or calibrate(plans, self.budget)
        admitted = [event for part in self._admitted for event in part.plan.events()]
        events = [event for plan in ready.values() for event in plan.events()]
        cost = self.budget.cost(compose([*admitted, *events]))
        if cost > self.budget.target:
            raise BudgetExceeded(
                f"{', '.join(ready)} would bring the total to {self.budget.came_to(cost)} where "
                f"the budget allows {self.budget.allowed}; nothing was released"
            )
        return ready

    def _filtered(self, plans: Plans, rule: Filter, amount: float | None) -> dict[str, Plan]:
        """Return the plans with their noise, if the filter has as much left."""
        left = self.left()
        if all(plan.is_fixed for plan, _ in plans.values()):
            ready = {name: plan for name, (plan, _) in plans.items()}
        else:
            ready = at_cost(plans, left if amount is None else amount, rule)
        cost = sum(rule.cost(plan.events()) for plan in ready.values())
        if cost > min(left, left if amount is None else amount) or not left:
            raise BudgetExceeded(self._no_room(plans, cost))
        return ready

    def _no_room(self, plans: Iterable[str], cost: float) -> str:
        """Return why plans of this cost do not fit into the filter, and into which they would."""
        rule = self._filter
        assert rule is not None
        left = self.left()
        needed = rounded_up(rule.target_for(self.ledger.spent(rule.currency) + cost), 3)
        named = self.budget.called
        return (
            f"{', '.join(plans)} would cost {cost:.4g} of the {rule.currency} filter, and with all "
            f"before it take a budget of {named(needed)}, where {left:.4g} of {rule.limit:.4g}, "
            f"enough for {named(f'{self.ledger.target_left:g}')}, is left; nothing was released"
        )

    def _refuse_latecomers(self, names: list[str], *, unless: bool = False) -> None:
        charged = bool(self.ledger.charges) or len(self.ledger.reservations) > sum(
            len([part for part in one.plan.parts.values() if part.count]) for one in self._admitted
        )
        if charged or (self._admitted and not unless):
            where = f" in {self._file.path}" if self._file else ""
            raise BudgetExceeded(
                f"the ledger{where} already holds a plan for the whole budget, so "
                f"{', '.join(names)} must be fitted jointly with it, have a budget of its own, or "
                "share an adaptive accountant; nothing was released"
            )

    def _reserve(
        self, plans: dict[str, Plan], randomness: Randomness, why: str = PLANNED
    ) -> dict[str, Reservation]:
        """Write the plans down, then hand out what charges to them."""
        self._of_its_kind(plans)
        called = self._names(plans)
        each = {
            name: reservations(called[name], plan, randomness, why) for name, plan in plans.items()
        }
        lines = [line for own in each.values() for line in own]
        place = len(self.ledger.entries)
        self._write(lines)
        granted = {}
        for position, (name, plan) in enumerate(plans.items(), len(self._admitted)):
            granted[name] = Reservation(
                self, called[name], plan, randomness, position=position, reserved_at=place
            )
            place += len(each[name])
        self._admitted += granted.values()
        return granted

    def _names(self, plans: dict[str, Plan]) -> dict[str, str]:
        """Return what the ledger calls each plan: another name where two would run into one."""
        entries, names = self.ledger.entries, {name: name for name in plans}
        if self.currency and entries and entries[-1].kind == "reservation":
            last = self.ledger.plans
            name, plan = next(iter(plans.items()))  # later ones follow another name
            parts = [part for part in plan.parts.values() if part.count]
            if parts and continues(last[-1], name, parts[0].name):
                names[name] = f"{name}-{len(last) + 1}"
        return names

    def _of_its_kind(self, plans: dict[str, Plan]) -> dict[str, Plan]:
        """Return the plans; UnsupportedEvent for events that this kind of budget cannot pay."""
        for plan in plans.values():
            for event, _ in plan.events():
                if why := event.unfit(self.budget):
                    raise UnsupportedEvent(why)
        return plans

    def _record(self, entry: Entry, position: tuple[int, int]) -> None:
        """Write a charge, first to disk, then to memory. Called by reservations only.

        BudgetExceeded where other reservations, or other processes, have used up what was reserved.
        """
        with self._alone():
            if self.currency is None and position < self._latest:
                raise BudgetExceeded(
                    f"{entry.why!r} comes after later parts of the plan were charged; its curve "
                    "holds in the planned order only; nothing was released"
                )
            self._balance.follow(self._file.ledger.entries if self._file else self._entries)
            if why := self._balance.lacks(entry):
                raise BudgetExceeded(
                    f"{entry.why!r} asks for {entry.count}, but {why}: other reservations or other "
                    "processes have used up the rest; nothing was released"
                )
            self._write([entry])
            self._latest = max(self._latest, position)

    def _write(self, entries: list[Entry]) -> None:
        if self._file:
            self._file.append(entries)
        else:
            self._entries += entries
            self._made = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads out, and other processes while the ledger is a file."""
        if os.getpid() != self._process:
            raise BudgetExceeded(
                "this accountant belongs to the process that opened it, so that a copy cannot "
                "spend the budget twice; nothing was released"
            )
        with self._lock, self._file.locked() if self._file else nullcontext():
            yield

    def __reduce__(self) -> NoReturn:
        raise TypeError("an accountant cannot be pickled: its copy could spend the budget twice")


def _checked(
    planned: tuple[tuple[Recipe, float], ...], budget: PrivacyBudget
) -> tuple[tuple[Recipe, float], ...]:
    targets = [target for _, target in planned]
    rising = all(a < b for a, b in zip([0.0, *targets], targets, strict=False))
    if targets and not (rising and targets[-1] <= budget.target):
        most = budget.called(f"{budget.target:g}")
        raise ValueError(f"targets must rise from above 0 to at most {most}, got {targets}")
    for target in targets:
        budget.until(target)  # InputError for one that no noise reaches
    return planned


def _currency(
    adaptive: bool | FilterKind, planned: Sequence[object], budget: PrivacyBudget
) -> FilterKind | None:
    if adaptive is False:
        return None
    if planned:
        raise ValueError("an accountant is either adaptive or has planned recipes, not both")
    if adaptive is True:
        return "gdp" if budget.delta else "pure"
    if adaptive not in FILTER_KINDS and (budget.delta or adaptive != "pure"):
        raise ValueError(f"adaptive must be True, 'zcdp' or 'gdp', got {adaptive!r}")
    return adaptive


def _asked(budget: PrivacyBudget, epsilon: float | None, risk: float | None) -> float:
    """Return the one that a budget is stated in; InputError where the other is given."""
    asked, other = (epsilon, risk) if budget.risk is None else (risk, epsilon)
    if asked is None or other is not None:
        said = "epsilon" if budget.risk is None else "risk"
        raise InputError(f"the budget is {budget.said}; ask for a portion by its {said}")
    return asked


class SubAccountant:
    """Part of an adaptive root's filter, to be spent by fits or handed on in portions."""

    def __init__(self, root: Accountant, parent: SubAccountant | None, amount: float) -> None:
        self.root = root
        self._parent = parent
        self._amount = amount
        self._left = amount

    def left(self) -> float:
        """Return what is left of it, in the filter's currency: no more than of what it is part."""
        above = self._parent.left() if self._parent else self.root.left()
        return min(self._left, above) if self._left > NEGLIGIBLE * self._amount else 0.0

    def portion(self, epsilon: float | None = None, *, risk: float | None = None) -> SubAccountant:
        """Return as much of this as a budget of ``epsilon``, or of a ``risk``, would be."""
        amount = self.root.amount(_asked(self.root.budget, epsilon, risk))
        return SubAccountant(self.root, self, amount)

    def admit_jointly(
        self, plans: Plans, *, randomness: Randomness = "os", why: str = PLANNED
    ) -> dict[str, Reservation]:
        """Reserve all that is left of this for several plans; see ``Accountant``.

        BudgetExceeded when what it is a part of no longer has as much.
        """
        with self.root._lock:
            amount = self._whole(plans)
            granted = self.root.admit_jointly(plans, randomness=randomness, amount=amount, why=why)
            rule = self.root.ledger.filter
            assert rule is not None
            self._spend(sum(rule.cost(one.plan.events()) for one in granted.values()))
        return granted

    def check(self, plans: Plans) -> dict[str, Plan]:
        """Return what ``admit_jointly`` would grant, or raise as it would; write nothing."""
        with self.root._lock:
            return self.root.check(plans, amount=self._whole(plans))

    def _whole(self, plans: Plans) -> float:
        """Return all that is left of this; BudgetExceeded when the rest of it is gone."""
        left = self.left()
        if left < self._left * (1 - 1e-9):
            raise BudgetExceeded(self.root._no_room(plans, self._left))
        return left

    def _spend(self, amount: float) -> None:
        self._left -= amount
        if self._parent:
            self._parent._spend(amount)


def accountant_of(budget: PrivacyBudget, ledger: Path | None) -> Accountant | SubAccountant:
    """Return who pays for a run: an accountant of its own, or a portion of an adaptive one.

    The latter where its ledger is there; the target is then the run's portion. InputError where
    that ledger was opened for another budget.
    """
    if ledger is None or not is_begun(ledger):
        return Accountant(budget, ledger=ledger)
    kept = read_ledger(ledger)
    if kept.rule == "planned":
        return Accountant(budget, ledger=ledger)
    alike = budget.kind == kept.budget.kind
    asked = replace(kept, budget=budget.until(kept.budget.target) if alike else budget)
    if differing := difference(kept, asked):
        raise InputError(f"{ledger}: was opened for {differing}; give the same, or another file")
    root, risk = Accountant(kept.budget, ledger=ledger, adaptive=kept.rule), budget.risk
    return root.portion(budget.epsilon) if risk is None else root.portion(risk=risk.most)
