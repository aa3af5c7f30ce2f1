"""The publishable part of a card: what a release says of itself, and nothing that it was not told.

Everything here is a function of the release and of what its publisher declares.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from dp_synth._version import __version__
from dp_synth.accounting import Ledger, compose
from dp_synth.accounting.budget import zcdp_rho
from dp_synth.accounting.events import Event
from dp_synth.accounting.filters import cost
from dp_synth.accounting.ledger import Entry, describe_all
from dp_synth.datasets.sources import Source
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.metrics.estimate import Estimate
from dp_synth.readers import parse_json
from dp_synth.release import Release
from dp_synth.report.guarantee import Finding, Promise, findings_of, promise_of
from dp_synth.report.scope import Scope, scope_of
from dp_synth.schema import DiscreteColumn, IdColumn, Schema
from dp_synth.synthesizers import SYNTHESIZERS, Synthesizer
from dp_synth.transcript import Answer, ChoiceAnswer, MarginalAnswer
from dp_synth.types import Clique
from dp_synth.validation_bounds import Interval

BINS = "bins"  # the part that pays for the cells that a fit finds

TV2, WORST, ADVANTAGE = "noisy_tv2", "noisy_tv2_worst", "noisy_advantage"

MOST_SHOWN = 10  # pairs of the highest upper ends

NOTES = {
    TV2: "mean total variation of pairs of columns, between the fitted records and the model",
    WORST: "the same of single pairs: those of the highest upper ends",
    ADVANTAGE: "of an attack on membership: share of members found less share of others accused",
}

LIMITS = (
    "Rows are drawn from a model: none of them is a person's record, and none is proof of anything "
    "about a person.",
    "Small counts, rare combinations and extreme values are noise more than data.",
    "Standard errors and p-values computed as if the rows had been observed are too small: the "
    "noise of the release comes on top.",
    "What the model does not measure (relations of many columns at once) is not in the rows.",
)
"""What holds of every table that was made in this way."""


@dataclass(frozen=True)
class Measured:
    """A value with its 95 % interval; None for what is infinite or undefined.

    ``about`` names the column, pair, model or group it is of, and is empty for the whole table.
    ``beside`` is what it is to be read against: what fresh or real records score, the largest
    value that the ledger permits, or the success on fresh records, as its section says.
    """

    name: str
    about: str
    value: float | None
    low: float | None
    high: float | None
    beside: float | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        estimate: Estimate | Interval,
        *,
        about: str = "",
        beside: float | None = None,
        note: str = "",
    ) -> Measured:
        """Return an estimate as a card has it."""
        numbers = estimate.value, estimate.low, estimate.high, beside
        value, low, high, compared = map(finite, numbers)
        return cls(name, about, value, low, high, compared, note)


def finite(value: float | None) -> float | None:
    """Return the number, None where JSON has none."""
    return None if value is None or not math.isfinite(value) else float(value)


@dataclass(frozen=True)
class Asked:
    """Answers of one step for one reason: how many, why, and with what noise."""

    count: int
    why: str
    event: str


@dataclass(frozen=True)
class Step:
    """One part of a recipe: what was granted to it, and what it was used for.

    ``share`` is its part of the whole cost in zero-concentrated DP, or in the filter's currency;
    None where such a cost is not known of every step. ``epsilon_alone`` is what it would cost by
    itself, None where nothing is certified. ``attributes`` are the marginals that were measured,
    or chosen, in the order of the release.
    """

    recipe: str
    part: str
    granted: tuple[Asked, ...]
    asked: tuple[Asked, ...]
    attributes: tuple[Clique, ...]
    share: float | None
    epsilon_alone: float | None


@dataclass(frozen=True)
class Method:
    """How the rows were made: a synthesizer, its settings, and where it was described."""

    name: str
    title: str
    reference: str
    settings: Mapping[str, object]
    dp_synth: str


@dataclass(frozen=True)
class PublicColumn:
    """What was declared about one column; ``cells_from`` tells who cut it into its cells."""

    name: str
    type: str
    categories: tuple[str, ...] | None
    lower: int | float | str | None
    upper: int | float | str | None
    missing: tuple[str, ...]
    open: bool
    cells: int | None
    cells_from: str


@dataclass(frozen=True)
class PublicInputs:
    """What was declared public, and where it comes from."""

    bounds_from: str | None
    label: str | None
    unit_of_privacy: str | None
    columns: tuple[PublicColumn, ...]
    constraints: tuple[str, ...]


@dataclass(frozen=True)
class Publishable:
    """The publishable part of a card: it holds nothing that the release does not.

    ``validation`` is what the fit paid for to say how good the model is (`validation_of`); files
    leave it out where it is empty. ``scope`` says for which questions intervals hold; it is None in
    cards of older versions, which did not say.
    """

    title: str
    source: Source | None
    intended: tuple[str, ...]
    not_intended: tuple[str, ...]
    limits: tuple[str, ...]
    promise: Promise
    steps: tuple[Step, ...]
    public_inputs: PublicInputs
    method: Method
    findings: tuple[Finding, ...]
    validation: tuple[Measured, ...] = ()
    scope: Scope | None = None

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that must be mended before anything is released."""
        return tuple(finding for finding in self.findings if finding.severity == "blocking")


def publishable_part(
    release: Release,
    *,
    title: str | None = None,
    source: Source | None = None,
    intended: Sequence[str] = (),
    not_intended: Sequence[str] = (),
) -> Publishable:
    """Return what may be published about a release, with what its publisher declares."""
    return Publishable(
        title=release.schema.name if title is None else title,
        source=source,
        intended=tuple(intended),
        not_intended=tuple(not_intended),
        limits=LIMITS,
        promise=promise_of(release.ledger),
        steps=steps_of(release),
        public_inputs=_inputs(release.row_schema, release.transcript),
        method=_method(release),
        findings=findings_of(release),
        validation=validation_of(release),
        scope=scope_of(release),
    )


def _method(release: Release) -> Method:
    known = SYNTHESIZERS.get(release.synthesizer, Synthesizer)
    settings = parse_json(json.dumps(dict(release.settings)))  # as a kept release has them
    return Method(release.synthesizer, known.title, known.reference, settings, __version__)


def _inputs(schema: Schema, transcript: Sequence[Answer]) -> PublicInputs:
    found = {
        name
        for answer in transcript
        if isinstance(answer, MarginalAnswer) and answer.part == BINS
        for name in answer.clique
    }
    declared = schema.to_dict()
    columns, rules = declared["columns"], declared.get("constraints", [])
    assert isinstance(columns, list)
    assert isinstance(rules, list)
    return PublicInputs(
        bounds_from=schema.bounds_from,
        label=schema.label,
        unit_of_privacy=schema.unit_of_privacy,
        columns=tuple(_column(schema, fields, found=fields["name"] in found) for fields in columns),
        constraints=tuple(_rule(rule) for rule in rules),
    )


def _column(schema: Schema, fields: Mapping[str, object], *, found: bool) -> PublicColumn:
    column = schema.column(str(fields["name"]))
    origin = "declared"
    if found:
        origin = "found by the fit from noisy counts that it paid for"
    elif fields.get("open"):
        origin = "declared, and more found by the fit with a threshold that it paid for"
    elif isinstance(column, IdColumn):
        origin = column.keys.said
    return PublicColumn(
        name=column.name,
        type=column.type,
        categories=column.texts if isinstance(column, DiscreteColumn) else None,
        lower=_end(fields.get("lower")),
        upper=_end(fields.get("upper")),
        missing=column.missing,
        open=isinstance(column, DiscreteColumn) and column.open,
        cells=None if isinstance(column, IdColumn) else column.size - len(column.missing),
        cells_from=origin,
    )


def _end(value: object) -> int | float | str | None:
    return value if isinstance(value, (int, float, str)) else None


def _rule(rule: Mapping[str, object]) -> str:
    """Return a constraint in words.

    >>> _rule({"impossible": {"age": {"below": 15}, "job": ["manager", "clerk"]}})
    'never together: age below 15, job manager or clerk'
    """
    impossible, function = rule.get("impossible"), rule.get("function")
    if isinstance(impossible, Mapping):
        parts = [f"{name} {_condition(given)}" for name, given in impossible.items()]
        return f"never together: {', '.join(parts)}"
    assert isinstance(function, Mapping)
    cases = [
        f"{_condition(case['when'])} gives {_condition(case['then'])}" for case in function["where"]
    ]
    return f"{function['gives']} follows {function['of']}: {'; '.join(cases)}"


def _condition(given: object) -> str:
    if isinstance(given, Mapping):
        if "missing" in given:
            return "missing"
        return " ".join(f"{end} {value}" for end, value in given.items() if value is not None)
    if isinstance(given, (list, tuple)):
        return " or ".join(map(str, given))
    return str(given)


def steps_of(release: Release) -> tuple[Step, ...]:
    """Return what the ledger of a release grants and holds, a step for each part of a recipe."""
    ledger = release.ledger
    names = dict.fromkeys((entry.recipe, entry.part) for entry in ledger.reservations)
    costs = {name: _cost(ledger, _of(ledger.reservations, name)) for name in names}
    known = [one for one in costs.values() if one is not None]
    whole = math.fsum(known) if len(known) == len(costs) else 0.0
    return tuple(
        _step(release, name, own / whole if whole and own is not None else None)
        for name, own in costs.items()
    )


def _step(release: Release, name: tuple[str, str], share: float | None) -> Step:
    ledger, (recipe, part) = release.ledger, name
    granted = _of(ledger.reservations, name)
    alone = compose((entry.event, entry.count) for entry in granted)
    return Step(
        recipe=recipe,
        part=part,
        granted=_together(granted),
        asked=_together(_of(ledger.charges, name)),
        attributes=_attributes(release.transcript, part) if recipe == release.synthesizer else (),
        share=share,
        epsilon_alone=finite(alone.epsilon(ledger.budget.delta)),
    )


def _of(entries: Sequence[Entry], name: tuple[str, str]) -> list[Entry]:
    return [entry for entry in entries if (entry.recipe, entry.part) == name]


def _cost(ledger: Ledger, entries: Sequence[Entry]) -> float | None:
    currency = "zcdp" if ledger.rule == "planned" else ledger.rule
    try:
        return math.fsum(cost(entry.event, currency) * entry.count for entry in entries)
    except (UnsupportedEvent, InputError):  # it has no such cost: shares cannot be told
        return None


def costs_of(ledger: Ledger) -> pd.DataFrame:
    """Return ``recipe, part, share`` of all that was reserved, in its order.

    The share is that of the zCDP cost. Where an event has no cost of its own, sampled batches
    among them, it counts with the cost whose conversion gives the event's own epsilon at the
    budget's delta: fit for comparing, and for nothing else. What has neither is left out.
    """
    costs: dict[tuple[str, str], float] = {}
    for entry in ledger.reservations:
        key = (entry.recipe, entry.part)
        costs[key] = costs.get(key, 0.0) + _comparable(entry, ledger.budget.delta)
    total = math.fsum(cost for cost in costs.values() if math.isfinite(cost))
    rows = [
        (recipe, part, cost / total)
        for (recipe, part), cost in costs.items()
        if math.isfinite(cost) and total
    ]
    return pd.DataFrame(rows, columns=["recipe", "part", "share"])


def _comparable(entry: Entry, delta: float) -> float:
    if entry.event.rho is not None:
        return entry.event.rho * entry.count
    epsilon = compose([(entry.event, entry.count)]).epsilon(delta)
    return zcdp_rho(epsilon, delta) if delta and math.isfinite(epsilon) else math.inf


def _together(entries: Sequence[Entry]) -> tuple[Asked, ...]:
    """Return entries by their reason and kind of event, with the range of their numbers."""
    groups: dict[tuple[str, type[Event]], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.why, type(entry.event)), []).append(entry)
    return tuple(
        Asked(
            sum(entry.count for entry in group), why, describe_all(entry.event for entry in group)
        )
        for (why, _), group in groups.items()
    )


def _attributes(answers: Sequence[Answer], part: str) -> tuple[Clique, ...]:
    found: dict[Clique, None] = {}
    for answer in answers:
        if answer.part != part:
            continue
        if isinstance(answer, MarginalAnswer):
            found[answer.clique] = None
        elif isinstance(answer, ChoiceAnswer):
            found[answer.chosen] = None
    return tuple(found)


def validation_of(release: Release) -> tuple[Measured, ...]:
    """Return what the validation of a release says, empty where its fit paid for none.

    Intervals hold all at once with a chance of 95 %, over the noise and, of the advantage, over
    who is in the hold-out. Beside the advantage stands the largest that the ledger permits.
    """
    found = release.validation
    if found is None:
        return ()
    rows = [Measured.of(TV2, found.tv2, note=NOTES[TV2])]
    worst = sorted(found.pairs.items(), key=lambda pair: -pair[1].high)[:MOST_SHOWN]
    for place, (clique, interval) in enumerate(worst):
        note = "" if place else NOTES[WORST]  # once is enough
        rows.append(Measured.of(WORST, interval, about=" and ".join(clique), note=note))
    if found.advantage is not None:
        most = min(1.0, release.ledger.curve.delta(0.0))
        beside = most if release.ledger.budget.unit is None else None
        rows.append(Measured.of(ADVANTAGE, found.advantage, beside=beside, note=NOTES[ADVANTAGE]))
    return tuple(rows)
