"""A ledger by step: what was granted, what was asked of which columns, its share of the cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dp_synth.accounting import Ledger, compose
from dp_synth.accounting.events import Event
from dp_synth.accounting.filters import cost
from dp_synth.accounting.ledger import Entry, describe_all
from dp_synth.domain import Clique
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.release import Release
from dp_synth.transcript import Answer, ChoiceAnswer, MarginalAnswer


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
    epsilon = alone.epsilon(ledger.budget.delta)
    return Step(
        recipe=recipe,
        part=part,
        granted=_together(granted),
        asked=_together(_of(ledger.charges, name)),
        attributes=_attributes(release.transcript, part) if recipe == release.synthesizer else (),
        share=share,
        epsilon_alone=epsilon if math.isfinite(epsilon) else None,
    )


def _of(entries: Sequence[Entry], name: tuple[str, str]) -> list[Entry]:
    return [entry for entry in entries if (entry.recipe, entry.part) == name]


def _cost(ledger: Ledger, entries: Sequence[Entry]) -> float | None:
    currency = "zcdp" if ledger.rule == "planned" else ledger.rule
    try:
        return math.fsum(cost(entry.event, currency) * entry.count for entry in entries)
    except (UnsupportedEvent, InputError):  # it has no such cost: shares cannot be told
        return None


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
