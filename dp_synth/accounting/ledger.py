"""Ledger: what was reserved and charged, and what it certifies; safe to publish.

Nothing is certified of what nobody reserved (`entries`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

from dp_synth._version import __version__
from dp_synth.accounting.budget import FilterKind, PrivacyBudget
from dp_synth.accounting.dominating_gaussian import GaussianSummary, summarized
from dp_synth.accounting.entries import Balance as Balance
from dp_synth.accounting.entries import Entry as Entry
from dp_synth.accounting.entries import Randomness as Randomness
from dp_synth.accounting.entries import Sampler as Sampler
from dp_synth.accounting.entries import filter_of
from dp_synth.accounting.entries import uncovered as uncovered
from dp_synth.accounting.events import Event, Gaussian, LaplaceCounts, NonPrivate, Round, Selection
from dp_synth.accounting.filters import Filter, cost
from dp_synth.accounting.privacy_profile import PrivacyCurve, compose
from dp_synth.accounting.risk_target import RiskTarget, largest_advantage
from dp_synth.errors import InputError, LedgerError
from dp_synth.formatting import ROWS, html_table, one_line, rounded_down
from dp_synth.formatting import rounded_up as rounded_up  # for whoever prints a total

COLUMNS = ("recipe", "part", "count", "event", "why")
NEGLIGIBLE = 1e-5  # of a filter or a portion: calibration leaves less unused, and it buys nothing

PLANNED = "plan"
UNCONFIRMED = "bounds read from the records: not certified"
"""Why a reservation was made: for a plan alone, or one over a schema that nobody has confirmed."""
FLOATING = "noise in floating point: its low bits are not certified"

FORMAT, VERSION = "dp_synth.ledger", 2
APART_VERSION = 3  # of an adaptive ledger that charges plans, and sets a part of delta apart
RISK_VERSION = 5  # of one whose budget is a risk
INFINITE = "inf"  # how an infinite epsilon is written: JSON has no number for it

_WRITTEN = tuple(name for name in PrivacyBudget.__dataclass_fields__ if name != "risk")

Rule = Literal["planned", "zcdp", "gdp", "pure"]  # composed curves, or a filter in this currency


@dataclass(frozen=True)
class Ledger:
    """What was reserved and charged to one budget. Printing it gives a table.

    ``rule`` says what makes the total valid: "planned" events that were all fixed before the
    first release, composed by their curves, or a filter that counts in a currency. A ledger
    with ``simulation`` belongs to an experiment whose repeats are releases of their own.
    ``delta_apart`` is the part of delta that a filter's plans may leave out beside their amounts;
    where it is 0, as earlier versions opened it, every event is charged by itself. ``head`` is the
    SHA-256 of its last line on disk, "" of a ledger in memory: whoever notes it can tell later
    whether lines were cut from the end.
    """

    budget: PrivacyBudget
    entries: tuple[Entry, ...] = ()
    rule: Rule = "planned"
    simulation: bool = False
    delta_apart: float = 0.0
    head: str = field(default="", compare=False)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.charges)

    def __len__(self) -> int:
        return len(self.charges)

    @property
    def charges(self) -> tuple[Entry, ...]:
        """The answers that were paid for."""
        return tuple(entry for entry in self.entries if entry.kind == "charge")

    @property
    def reservations(self) -> tuple[Entry, ...]:
        """What plans were granted."""
        return tuple(entry for entry in self.entries if entry.kind == "reservation")

    @property
    def curve(self) -> PrivacyCurve:
        """The certified privacy curve of all that was reserved; of the whole limit in a filter.

        Infinite where more was charged than was reserved.
        """
        if self.uncovered:
            return compose([(NonPrivate(self.uncovered), 1)])
        rule = self.filter
        if rule is None or not self.reservations:
            return compose((entry.event, entry.count) for entry in self.reservations)
        return rule.curve(max(rule.limit, self.spent(rule.currency)))

    @property
    def epsilon(self) -> float:
        """Certified upper bound at the budget's delta on what was reserved.

        A filter certifies the limit that it was opened with, however much of it is used: the
        point where its user stops may depend on outputs.
        """
        if self.uncovered:
            return math.inf
        if self.rule != "planned" and self._within_limit and self.budget.risk is None:
            return self.budget.epsilon if self.reservations else 0.0
        return self.curve.epsilon(self.budget.delta)

    @property
    def gaussian(self) -> GaussianSummary:
        """The least mu whose Gaussian DP the releases keep, and its regret."""
        return summarized(self.curve)

    @property
    def advantage(self) -> float:
        """Largest true less false positive rate of any attack on one unit, an upper bound."""
        return largest_advantage(self.curve)

    @cached_property
    def uncovered(self) -> str:
        """What was charged and not reserved, in words; empty of a ledger that adds up."""
        found = next(iter(uncovered(self.entries)), None)
        return "" if found is None else f"more was charged than was reserved: {found[1]}"

    @property
    def filter(self) -> Filter | None:
        """What an adaptive root may spend; None of a planned one."""
        if self.rule == "planned":
            return None
        return Filter(self.budget, self.rule, self.delta_apart)

    @property
    def plans(self) -> tuple[tuple[Entry, ...], ...]:
        """The reservations of each plan: lines of one recipe in a row, each of another part."""
        plans: list[list[Entry]] = []
        for entry in self.entries:
            if entry.kind != "reservation":
                plans.append([])
            elif plans and continues(plans[-1], entry.recipe, entry.part):
                plans[-1].append(entry)
            else:
                plans.append([entry])
        return tuple(tuple(plan) for plan in plans if plan)

    def spent(self, currency: FilterKind) -> float:
        """Return the amount that was reserved, in a filter's currency.

        That of each plan's composed curve in the ledger of such a filter, else of its events.
        """
        rule = self.filter
        if rule is None or not rule.apart or rule.currency != currency:
            return sum(cost(entry.event, currency) * entry.count for entry in self.reservations)
        return math.fsum(
            rule.cost((entry.event, entry.count) for entry in plan) for plan in self.plans
        )

    @property
    def odometer(self) -> float:
        """Epsilon of what a filter's ledger has released so far, at its delta, whenever one stops.

        Whoever stops because of what was released, before this exceeds some epsilon, keeps that
        epsilon (`Filter.odometer`). It is looser than the filter, by what it takes to hold at all
        times at once, so that it says less than `epsilon` where most of the filter is used: then
        it is that.
        """
        rule = self.filter
        if rule is None or not self._within_limit:
            return self.epsilon
        return min(rule.odometer(self.spent(rule.currency)), self.epsilon)

    @property
    def cost(self) -> float:
        """Certified upper bound on what was reserved in terms of the budget: epsilon, or a risk."""
        return self.epsilon if self.budget.risk is None else self.budget.cost(self.curve)

    @property
    def is_within(self) -> bool:
        """Whether what was reserved keeps the budget, but for rounding."""
        if self.rule == "planned":
            return self.cost <= self.budget.target * (1 + 1e-9)
        return not self.uncovered and self._within_limit

    @property
    def target_left(self) -> float:
        """The largest epsilon, or risk, that one more run on a filter's ledger may ask for.

        0 for none. A planned ledger has no room for later runs. Rounded down to four digits.
        """
        rule = self.filter
        if rule is None:
            return 0.0
        if not self.reservations:
            return self.budget.target
        left = rule.limit - self.spent(rule.currency)
        if left <= NEGLIGIBLE * rule.limit:
            return 0.0
        found = float(rounded_down(rule.target_within(left)))
        try:
            self.budget.until(found)
        except InputError:  # a risk that no noise reaches
            return 0.0
        return found

    @property
    def epsilon_left(self) -> float:
        """The largest epsilon that one more run may ask for; of a risk, what is told beside it."""
        left = self.target_left
        return left if self.budget.risk is None or not left else self.budget.until(left).epsilon

    @property
    def _within_limit(self) -> bool:
        """Whether a filter's ledger stopped in time, as one that an accountant wrote always did."""
        rule = self.filter
        assert rule is not None
        return self.spent(rule.currency) <= rule.limit * (1 + 1e-9)

    @property
    def seeded(self) -> bool:
        """Whether any noise can be repeated from a seed, so that it protects nobody."""
        return any(entry.randomness == "seeded" for entry in self.charges)

    @property
    def inexact(self) -> tuple[str, ...]:
        """The parts, as "recipe: part", whose noise is exact only as far as floating point goes.

        What is certified is a mechanism in real numbers; low bits of floating-point noise can
        tell what it was added to (Mironov 2012), and no curve here counts that.
        """
        parts = (f"{e.recipe}: {e.part}" for e in self.charges if e.sampler == "float")
        return tuple(dict.fromkeys(parts))

    def header(self) -> dict[str, object]:
        """Return what opens a ledger file, as a JSON object."""
        budget = {name: getattr(self.budget, name) for name in _WRITTEN}
        if math.isinf(self.budget.epsilon):
            budget["epsilon"] = INFINITE
        rule: dict[str, object] = {"rule": self.rule, "simulation": self.simulation}
        version = VERSION
        if self.delta_apart or self.budget.risk is not None:
            version, rule["delta_apart"] = APART_VERSION, self.delta_apart
        if self.budget.risk is not None:
            version, budget["risk"] = RISK_VERSION, self.budget.risk.to_fields()
        return {"format": FORMAT, "version": version, "dp_synth": __version__, **budget, **rule}

    def to_fields(self) -> dict[str, object]:
        """Return the ledger as a JSON object."""
        head = {"head": self.head} if self.head else {}
        return {**self.header(), **head, "entries": [entry.to_fields() for entry in self.entries]}

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> Ledger:
        """Return the ledger that ``to_fields`` wrote; LedgerError for anything else.

        Also for one that charges what was not reserved, which certifies nothing.
        """
        entries = fields.get("entries")
        if not isinstance(entries, list):
            raise LedgerError("a ledger must have a list of entries")
        ledger = cls.opened(fields, tuple(Entry.from_fields(entry) for entry in entries))
        for place, why in uncovered(ledger.entries):
            raise LedgerError(f"entry {place + 1} was charged and not reserved: {why}")
        return ledger

    @classmethod
    def opened(cls, header: Mapping[str, object], entries: tuple[Entry, ...] = ()) -> Ledger:
        """Return the ledger with this header; LedgerError when it is not one."""
        version = header.get("version")
        known = (VERSION, APART_VERSION, RISK_VERSION)
        if header.get("format") != FORMAT or version not in known:
            raise LedgerError(
                f"not a {FORMAT} of version {VERSION} or {APART_VERSION}, or {RISK_VERSION}"
            )
        rule, simulation = header.get("rule"), header.get("simulation")
        if rule not in get_args(Rule) or not isinstance(simulation, bool):
            raise LedgerError(f"unknown rule {rule!r} or simulation {simulation!r} in its head")
        try:
            given = {name: header[name] for name in _WRITTEN}
            if given["epsilon"] == INFINITE:
                given["epsilon"] = math.inf
            if version == RISK_VERSION:
                given["risk"] = RiskTarget.from_fields(header["risk"])  # type: ignore[arg-type]
            budget = PrivacyBudget(**given)  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerError(f"the budget in its head is not one: {error}") from error
        apart = header.get("delta_apart") if version != VERSION else 0.0
        if not isinstance(apart, float) or not 0 <= apart <= budget.delta / 2:
            raise LedgerError(f"delta_apart must be at most half of its delta, got {apart!r}")
        head = header.get("head", "")
        if not isinstance(head, str):
            raise LedgerError(f"its head must be text, got {head!r}")
        return cls(budget, entries, rule, simulation, apart, head)  # type: ignore[arg-type]

    def __str__(self) -> str:
        rows: dict[tuple[str, str, str, str], int] = {}
        for entry in self.charges:  # equal charges share a row
            row = (entry.recipe, entry.part, entry.event.label, entry.why)
            rows[row] = rows.get(row, 0) + entry.count
        table = [(recipe, part, str(n), *rest) for (recipe, part, *rest), n in rows.items()]
        return "\n".join([*_align([COLUMNS, *table]), *map(one_line, self.summary())])

    def folded(self) -> list[tuple[str, ...]]:
        """Return a row of `COLUMNS` for each purpose of charges, the range of noise among them."""
        groups: dict[tuple[str, str, str, type[Event]], list[Entry]] = {}
        for entry in self.charges:
            key = (entry.recipe, entry.part, entry.why, type(entry.event))
            groups.setdefault(key, []).append(entry)
        return [
            (
                recipe,
                part,
                str(sum(one.count for one in of)),
                describe_all(e.event for e in of),
                why,
            )
            for (recipe, part, why, _), of in groups.items()
        ]

    def summary(self) -> list[str]:
        """Return the total in one line, and what else a reader must know."""
        return [self._total(), *self._so_far(), *self._warnings()]

    def __repr__(self) -> str:
        rows = self.folded()
        shown = ROWS if len(rows) > ROWS + 1 else len(rows)  # a line says no more than a row does
        more = [f"and {len(rows) - shown} more rows"] if len(rows) > shown else []
        table = _align([COLUMNS, *rows[:shown]])
        return "\n".join([*table, *more, *map(one_line, self.summary())])

    def _repr_html_(self) -> str:
        return html_table(COLUMNS, self.folded(), self.summary())

    def statement(self) -> str:
        """Return one paragraph that says what was guaranteed, to paste into a paper."""
        budget = self.budget
        unit = budget.protects
        if budget.max_rows > 1:
            unit += f" (at most {budget.max_rows} of them used)"
        change = "adding or removing" if budget.adjacency == "add_remove" else "replacing"
        recipes = ", ".join(dict.fromkeys(entry.recipe for entry in self.reservations)) or "nothing"
        planned = "by composing the privacy-loss curves of events fixed in advance"
        if chosen := ", ".join(f"{recipe}: {part}" for recipe, part in self._chosen_on_the_way):
            planned = (
                "by composing privacy-loss curves fixed in advance, within which a filter paid for "
                f"answers chosen on the way ({chosen}),"
            )
        how = {
            "planned": planned,
            "zcdp": "by a filter in zero-concentrated differential privacy",
            "gdp": "by a filter in Gaussian differential privacy",
            "pure": "by a filter that adds up epsilons",
        }[self.rule]
        if self._reasons:
            said = f"The releases ({recipes}) are not differentially private"
            if self.uncovered:
                said = f"Nothing is certified of the releases ({recipes})"
            return " ".join(f"{text}." for text in (said, *self._warnings()))
        said = (
            f"The releases ({recipes}) are ({rounded_up(self.epsilon)}, "
            f"{rounded_up(budget.delta)})-differentially private with respect to {change} {unit}, "
            f"certified {how} with dp_synth {__version__}."
        )
        if budget.risk is not None:
            said += f" Any attack on {unit} has at most {budget.called(rounded_up(self.cost))}."
        head = [f"The ledger's last line has the SHA-256 {self.head}."] if self.head else []
        return " ".join([said, *(warning + "." for warning in self._warnings()), *head])

    def _total(self) -> str:
        budget = self.budget
        at = f"at delta {rounded_up(budget.delta)} ({budget.neighbours}){self._in_one_number()}"
        planned = self.rule == "planned" or not self.reservations
        if budget.risk is not None:
            found = budget.called(f"{rounded_up(self.cost)} of {rounded_up(budget.target)}")
            told = f"{found}, epsilon {rounded_up(self.epsilon)} {at}{self._room()}"
            return told if planned else f"all runs on this ledger together cost at most {told}"
        if planned:
            whole = rounded_up(budget.epsilon)
            return f"epsilon {rounded_up(self.epsilon)} of {whole} {at}{self._room()}"
        return (
            "all runs on this ledger together, further ones too, cost at most epsilon "
            f"{rounded_up(self.epsilon)} {at}{self._room()}"
        )

    def _room(self) -> str:
        """Return what a filter has left, in words; nothing of a planned ledger."""
        rule = self.filter
        if rule is None:
            return ""
        used = self.spent(rule.currency) / rule.limit
        left = self.target_left
        most = f"a further run may ask for at most {self.budget.called(rounded_down(left))}"
        fits = most if left else "no run fits"
        return f"; {rounded_up(100 * used, 3)} % of the {self.rule} filter is used: {fits}"

    def _so_far(self) -> list[str]:
        """Return what an odometer says of a filter's ledger, in a line; none of a planned one."""
        if self.filter is None or not self.reservations or not self._within_limit:
            return []
        if self.odometer < self.epsilon:
            return [
                f"so far at most epsilon {rounded_up(self.odometer)}, wherever one stops and why "
                "(odometer)"
            ]
        return ["so far: the odometer says no less than the whole filter"]

    def _in_one_number(self) -> str:
        """Return mu, its regret and the largest advantage; nothing where they have no bound."""
        if not self.reservations or self._reasons:
            return ""
        return f"; {self.gaussian}, largest advantage of any attack {rounded_up(self.advantage)}"

    @property
    def _chosen_on_the_way(self) -> tuple[tuple[str, str], ...]:
        """The parts of plans in which more, or other, was charged than one line reserved."""
        reserved = {(entry.recipe, entry.part): entry for entry in self.reservations}
        charged: dict[tuple[str, str], list[Entry]] = {}
        for entry in self.charges:
            charged.setdefault((entry.recipe, entry.part), []).append(entry)
        return tuple(
            key
            for key, line in reserved.items()
            if filter_of(line) is not None
            and (
                sum(entry.count for entry in charged.get(key, ())) > 1
                or any(type(entry.event) is not type(line.event) for entry in charged.get(key, ()))
            )
        )

    @property
    def _reasons(self) -> tuple[str, ...]:
        """Why nothing is certified; empty where something is."""
        events = [entry.event for entry in self.reservations]
        reasons = [event.reason for event in events if isinstance(event, NonPrivate)]
        return tuple(dict.fromkeys([*reasons, *filter(None, [self.uncovered])]))

    def _warnings(self) -> list[str]:
        warnings = [f"no guarantee: {reason}" for reason in self._reasons]
        warnings += ["seeded: not for release"] if self.seeded else []
        if self.inexact:
            warnings.append(f"{FLOATING} ({', '.join(self.inexact)})")
        if any(entry.why == UNCONFIRMED for entry in self.reservations):
            warnings.append(UNCONFIRMED)
        if self.simulation:
            warnings.append("simulation: each repeat is a release of its own")
        return warnings


def continues(plan: Sequence[Entry], recipe: str, part: str) -> bool:
    """Return whether a reservation for this part is of the same plan as those before it."""
    return bool(plan) and plan[-1].recipe == recipe and part not in {e.part for e in plan}


def describe_all(events: Iterable[Event]) -> str:
    """Return what events of one kind are, from the least to the most of their noise.

    >>> describe_all([Gaussian(2.0, 1.0), Gaussian(3.5, 1.0), Gaussian(2.5, 1.0)])
    'gaussian, stddev 2 to 3.5'
    """
    texts = {event.label: event for event in events}
    if len(texts) == 1:
        return next(iter(texts))
    stddevs = [event.stddev for event in texts.values() if isinstance(event, Gaussian)]
    if stddevs:
        return f"gaussian, stddev {rounded_down(min(stddevs))} to {rounded_down(max(stddevs))}"
    scales = [event.scale for event in texts.values() if isinstance(event, LaplaceCounts)]
    if scales:
        return f"discrete laplace, scale {rounded_down(min(scales))} to {rounded_down(max(scales))}"
    losses = [e.epsilon for e in texts.values() if isinstance(e, Selection | Round)]
    if losses:
        rounds = any(isinstance(event, Round) for event in texts.values())
        more = ", each with the answer that comes next" if rounds else ""
        return f"selection, loss range {rounded_up(min(losses))} to {rounded_up(max(losses))}{more}"
    return f"{next(iter(texts))}, and {len(texts) - 1} more"


def _align(lines: Sequence[Sequence[str]]) -> list[str]:
    rows = [[one_line(cell) for cell in line] for line in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
