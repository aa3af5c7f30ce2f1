"""Faulty fits: what leaks beside the door, what charges too little, and what looks at its table.

Each function is one fault; `planted.replayed` says whose they are, and what a replay calls them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from dp_synth.accounting import (
    Accountant,
    Gaussian,
    Gaussians,
    Plan,
    Selections,
    Votes,
)
from dp_synth.domain import Domain
from dp_synth.inference import Model, independent_model
from dp_synth.mechanisms import PrivateTable, measure
from dp_synth.mechanisms.exponential import ChoiceLaw
from dp_synth.mechanisms.gaussian import GaussianLaw
from dp_synth.mechanisms.noise import exact_choice, random_bits, rounded_gaussian
from dp_synth.mechanisms.pate import Questions, Teachers, Voters
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers.base import Synthesizer
from dp_synth.transcript import Measurement
from dp_synth.types import Clique, Floats

Read = Callable[[PrivateTable], list[Floats]]
Draw = Callable[[Sequence[Floats]], list[Floats]]
Ask = Callable[[PrivateTable, Plan, np.random.Generator], Model]

KEPT = 3  # records that a category must have, where rare ones are merged
TEACHERS, ASKED, SHARED = 11, 6, 3
RECORDS = 24


def columns_plan(domain: Domain) -> Plan:
    """Return one Gaussian answer an attribute."""
    return Plan({"ones": Gaussians(len(domain))})


def pairs_plan(domain: Domain) -> Plan:
    """Return one Gaussian answer an attribute, a choice, and an answer about what it chose."""
    return Plan({"ones": Gaussians(len(domain)), "pick": Selections(1), "pairs": Gaussians(1)})


def votes_plan(domain: Domain) -> Plan:
    """Return one Gaussian answer an attribute, and votes."""
    return Plan({"ones": Gaussians(len(domain)), "votes": Votes(2 * ASKED, TEACHERS)})


@dataclass(frozen=True)
class Planted(Synthesizer):
    """A synthesizer whose fit is ``ask``, which pays by ``parts``."""

    name: ClassVar[str] = "planted"

    ask: Callable[..., Any]
    parts: Callable[..., Any] = columns_plan

    def plan(self, domain: Domain) -> Plan:
        """Return what its parts are."""
        plan: Plan = self.parts(domain)
        return plan

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        model: Model = self.ask(table, plan, rng)
        return model


@dataclass(frozen=True)
class PlantedBefore(Synthesizer):
    """A synthesizer that looks at its table before it fits columns: ``before`` and ``after``.

    ``before(frame, schema, seed)`` gives those that are fitted, ``after(release, frame)`` what is
    returned.
    """

    name: ClassVar[str] = "planted_before"

    before: Callable[..., Any] | None = None
    after: Callable[..., Any] | None = None

    def plan(self, domain: Domain) -> Plan:
        """Return one Gaussian answer an attribute."""
        return columns_plan(domain)

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        return columns(table, plan, rng)

    def fit(  # type: ignore[override]
        self, data: pd.DataFrame, schema: Schema, budget: Accountant, *, seed: int | None = None
    ) -> Release:
        """Return a release after a look at the records."""
        fitted, own, coin = self.before(data, schema, seed) if self.before else (data, schema, seed)
        release = super().fit(fitted, own, budget, seed=coin)
        found: Release = self.after(release, data) if self.after else release
        return found


def columns(table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
    """Measure every column, and release them as independent: nothing is wrong here."""
    ones: Sequence[Clique] = [(attribute,) for attribute in table.domain]
    return independent_model(table.domain, measure(table, ones, plan.gaussians("ones"), rng))


def gaussians(plan: Plan, name: str) -> Gaussians:
    """Return the Gaussian part of this name, of a plan for a delta above 0."""
    part = plan.gaussians(name)
    assert isinstance(part, Gaussians)
    return part


def pairs_of(table: PrivateTable) -> list[Clique]:
    """Return all pairs of attributes."""
    return list(combinations(table.domain, 2))


def answer(
    table: PrivateTable, part: Gaussians, event: Gaussian, read: Read, draw: Draw
) -> list[Floats]:
    """Answer as a mechanism of its own: noise of a charged event is said to be ``draw``."""
    here, values = table.answered(read, draw)
    law = GaussianLaw(part.name, "an own mechanism", read, draw, event.stddev, here, values)
    table.record_answers(law)
    return values


def rounded(table: PrivateTable, event: Gaussian, rng: np.random.Generator) -> Draw:
    """Return right noise of an event."""
    bits = random_bits(table.payer, rng)
    return lambda here: [one + rounded_gaussian(event.stddev, one.shape, bits) for one in here]


def one_way(table: PrivateTable) -> list[Floats]:
    """Return the exact counts of all columns."""
    return table.exact_marginals([(attribute,) for attribute in table.domain])


def charged(table: PrivateTable, part: Gaussians, sensitivity: float, count: int) -> Gaussian:
    """Charge answers of this sensitivity, and return the event of one."""
    event = part.event(sensitivity)
    table.payer.charge(part, event, count, why="an own mechanism")
    return event


def model_of(table: PrivateTable, values: Sequence[Floats], stddev: float) -> Model:
    """Return independent columns with these noisy counts."""
    ones = zip(table.domain, values, strict=True)
    return independent_model(table.domain, [Measurement((a,), v, stddev) for a, v in ones])


def own_noise(
    table: PrivateTable,
    plan: Plan,
    rng: np.random.Generator,
    *,
    drawn: Callable[[PrivateTable, Gaussian, np.random.Generator], Draw] = rounded,
    told: float = 1.0,
) -> Model:
    """Release columns with noise of ``told`` times what is charged, drawn as ``drawn`` has it."""
    part = gaussians(plan, "ones")
    event = charged(table, part, 1.0, len(table.domain))
    less = replace(event, noise_multiplier=event.noise_multiplier * told)
    values = answer(table, part, less, one_way, drawn(table, less, rng))
    return model_of(table, values, event.stddev)


def of_fixed_seed(table: PrivateTable, event: Gaussian, rng: np.random.Generator) -> Draw:
    """Return noise from the seed 0."""

    def draw(here: Sequence[Floats]) -> list[Floats]:
        own = np.random.default_rng(0)
        return [one + rounded_gaussian(event.stddev, one.shape, own.bytes) for one in here]

    return draw


def where_counted(table: PrivateTable, event: Gaussian, rng: np.random.Generator) -> Draw:
    """Return right noise, but none on what is zero."""
    right = rounded(table, event, rng)
    return lambda here: [
        np.where(one > 0, noisy, 0.0) for one, noisy in zip(here, right(here), strict=True)
    ]


def in_floats(table: PrivateTable, event: Gaussian, rng: np.random.Generator) -> Draw:
    """Return noise of floating point."""
    own = np.random.default_rng(int.from_bytes(random_bits(table.payer, rng)(8), "little"))
    return lambda here: [one + own.normal(0.0, event.stddev, one.shape) for one in here]


def used_twice(table: PrivateTable, event: Gaussian, rng: np.random.Generator) -> Draw:
    """Return right noise, of which each array gets the same."""
    bits = random_bits(table.payer, rng)

    def draw(here: Sequence[Floats]) -> list[Floats]:
        noise = rounded_gaussian(event.stddev, (max(one.size for one in here),), bits)
        return [one + noise[: one.size].reshape(one.shape) for one in here]

    return draw


def own_question(
    table: PrivateTable, plan: Plan, rng: np.random.Generator, *, read: Read, sensitivity: float
) -> Model:
    """Release columns, and what an own mechanism reads, with noise for a ``sensitivity``."""
    part = gaussians(plan, "ones")
    event = charged(table, part, sensitivity, 1)
    answer(table, part, event, read, rounded(table, event, rng))
    kept: Sequence[Clique] = [(attribute,) for attribute in table.domain][1:]
    found = measure(table, kept, part, rng)
    uniform = [np.ones(table.domain.size(table.domain.attributes[0]))]
    return model_of(table, [*uniform, *(one.values for one in found)], event.stddev)


def all_at_once(table: PrivateTable) -> list[Floats]:
    """Return all one-way counts side by side: a record moves each of them by one at most."""
    return [np.concatenate(one_way(table))]


def unclipped_sum(table: PrivateTable) -> list[Floats]:
    """Return the sums of the codes of all attributes."""
    codes, counts = table.exact_records()
    return [(counts[:, None] * codes).sum(axis=0).astype(np.float64)]


def sum_clipped(table: PrivateTable) -> list[Floats]:
    """Return the sum of all codes, cut to a norm that it never has."""
    (found,) = unclipped_sum(table)
    return [found * min(1.0, 1e6 / max(1.0, float(np.linalg.norm(found))))]


def mean_clipped(table: PrivateTable) -> list[Floats]:
    """Return the mean of codes, clipped to a norm of one, for a fixed number of records."""
    codes, counts = table.exact_records()
    mean = (counts[:, None] * codes).sum(axis=0) / max(1, counts.sum())
    return [np.rint(RECORDS * mean / max(1.0, float(np.linalg.norm(mean))))]


def column_by_column(table: PrivateTable) -> list[Floats]:
    """Return the codes' sums, where each column by itself is clipped to one."""
    codes, counts = table.exact_records()
    return [(counts[:, None] * np.minimum(codes, 1)).sum(axis=0).astype(np.float64)]


def exact_total(table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
    """Release the exact number of records as the model's total."""
    model = columns(table, plan, rng)
    return replace(model, total=float(table.exact_marginal(())))  # type: ignore[arg-type]


def exact_rows(table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
    """Begin a model at the records themselves."""
    codes, _ = table.exact_records()
    model = columns(table, plan, rng)
    return replace(model, total=float(len(codes)))  # type: ignore[arg-type]


def exact_scores(table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
    """Measure the pair of the largest exact count."""
    model = columns(table, plan, rng)
    best = max(pairs_of(table), key=lambda pair: float(table.exact_marginal(pair).max()))
    measure(table, [best], plan.gaussians("pairs"), rng)
    return model


def halved_sensitivity(
    table: PrivateTable, plan: Plan, rng: np.random.Generator, *, exact: bool = False
) -> Model:
    """Choose a pair by scores that move twice as far as is charged; keep it by an ``exact`` one."""
    model, pairs, part = columns(table, plan, rng), pairs_of(table), plan.selections("pick")
    event = part.event()
    table.payer.charge(part, event, 1, why="a pair")
    per_score = event.epsilon * (0.5 if exact else 2.0)

    def log_odds(asked: PrivateTable) -> Floats:
        return per_score * np.array([one.max() for one in asked.exact_marginals(pairs)])

    draw = partial(exact_choice, bits=random_bits(table.payer, rng))
    here, chosen = table.answered(log_odds, draw)
    table.record_answers(ChoiceLaw(part.name, "a pair", log_odds, draw, here, chosen))
    if not exact or table.exact_marginal(pairs[chosen]).max() > RECORDS / 4:
        measure(table, [pairs[chosen]], plan.gaussians("pairs"), rng)
    return model


def second_pass(
    table: PrivateTable, plan: Plan, rng: np.random.Generator, *, late: bool = False
) -> Model:
    """Answer once more than is charged, or charge after the answer (``late``)."""
    model, part = columns(table, plan, rng), gaussians(plan, "pairs")
    event = part.event(1.0)
    answer(table, part, event, lambda one: [one.exact_marginal(())], rounded(table, event, rng))
    if late:
        table.payer.charge(part, event, 1, why="an own mechanism")
    return model


def second_answer(table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
    """Answer twice what is charged once."""
    model, part = columns(table, plan, rng), gaussians(plan, "pairs")
    event = charged(table, part, 1.0, 1)
    for _ in range(2):
        answer(table, part, event, lambda one: [one.exact_marginal(())], rounded(table, event, rng))
    return model


def early_stopping(table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
    """Measure column after column, until the exact loss is small enough."""
    part, found = gaussians(plan, "ones"), list[Measurement]()
    for attribute in table.domain:
        found += measure(table, [(attribute,)], part, rng)
        exact = table.exact_marginal((attribute,))
        if np.abs(exact - found[-1].values).sum() < RECORDS:
            break
    values = [one.values for one in found]
    values += [np.ones(size) for size in table.domain.sizes[len(values) :]]
    return model_of(table, values, float(np.max(found[0].stddev)))


def printed_loss(table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
    """Say in a progress line how many records there are."""
    warnings.warn(f"{len(table.exact_records()[1])} kinds of records", stacklevel=1)
    return columns(table, plan, rng)


class SharedTeachers(Teachers):
    """Teachers of whom several hold each record."""

    def _voters(self, table: PrivateTable) -> Voters:
        codes, teacher = super()._voters(table)
        shared = [(teacher + place) % TEACHERS for place in range(SHARED)]
        return np.concatenate([codes] * SHARED), np.concatenate(shared)


class RedrawnTeachers(Teachers):
    """Teachers among whom the records are parted anew before each vote; none forgets its own."""

    def _voters(self, table: PrivateTable) -> Voters:
        before, self._known = self._known, None
        again = super()._voters(table)
        if before is not None:
            self._known = (
                np.concatenate([before[0], again[0]]),
                np.concatenate([before[1], again[1]]),
            )
        assert self._known is not None
        return self._known


def voted(
    table: PrivateTable, plan: Plan, rng: np.random.Generator, *, kind: type[Teachers] = Teachers
) -> Model:
    """Ask teachers of a ``kind`` twice, beside all columns."""
    model, sizes = columns(table, plan, rng), table.domain.sizes
    reference = [np.full(size, 1 / size) for size in sizes]
    teachers = kind(table, plan.votes("votes"), reference, rng)
    for _ in range(2):
        records = rng.integers(0, sizes, (ASKED, len(sizes))).astype(np.int32)
        attributes = rng.integers(len(sizes), size=ASKED)
        others = (records[np.arange(ASKED), attributes] + 1) % np.array(sizes)[attributes]
        teachers.vote(Questions(records, attributes, others))
    return model


Before = tuple[pd.DataFrame, Schema, int | None]


def _with_column(schema: Schema, name: str, changed: dict[str, object]) -> Schema:
    written = schema.to_dict()
    fields: Any = written["columns"]
    written["columns"] = [one | changed if one["name"] == name else one for one in fields]
    return Schema.from_dict(written)


def categories_seen(frame: pd.DataFrame, schema: Schema, seed: int | None) -> Before:
    """List the categories that occur."""
    return frame, _with_column(schema, "group", {"categories": sorted(set(frame["group"]))}), seed


def encoder_fitted(frame: pd.DataFrame, schema: Schema, seed: int | None) -> Before:
    """Merge the categories that few records have into the first one."""
    counts = frame["group"].value_counts()
    kept = sorted(counts[counts >= KEPT].index)
    merged = frame.assign(group=frame["group"].where(frame["group"].isin(kept), kept[0]))
    return merged, _with_column(schema, "group", {"categories": kept}), seed


def bounds_seen(frame: pd.DataFrame, schema: Schema, seed: int | None) -> Before:
    """Take the least and the largest age for its bounds."""
    ages = frame["age"].astype(int)
    return (
        frame,
        _with_column(schema, "age", {"lower": int(ages.min()), "upper": int(ages.max())}),
        seed,
    )


def bins_seen(frame: pd.DataFrame, schema: Schema, seed: int | None) -> Before:
    """Cut the ages at their quartiles."""
    cuts = np.unique(np.quantile(frame["age"].astype(int), (0.25, 0.5, 0.75)).astype(int))
    return frame, _with_column(schema, "age", {"bins": [0, *cuts.tolist(), 119]}), seed


def seed_of_records(frame: pd.DataFrame, schema: Schema, seed: int | None) -> Before:
    """Draw everything from a seed that the records decide."""
    return frame, schema, int(frame["age"].astype(int).sum())


def balanced(frame: pd.DataFrame, schema: Schema, seed: int | None) -> Before:
    """Keep as many records of each class as the rarest has, twice over."""
    parts = [part for _, part in frame.groupby("sick")]
    least = min(map(len, parts))
    kept = [parts[0].head(least), *(part.head(least) for part in parts[1:])]
    return pd.concat([*kept, *kept]), schema, seed


def refused(frame: pd.DataFrame, schema: Schema, seed: int | None) -> Before:
    """Refuse a table that has a class of few records."""
    if frame["group"].value_counts().min() > 1:
        raise ValueError("no group is rare enough")
    return frame, schema, seed


def counted_aloud(frame: pd.DataFrame, schema: Schema, seed: int | None) -> Before:
    """Warn how many records there are."""
    warnings.warn(f"fitting {len(frame)} records", stacklevel=1)
    return frame, schema, seed


def rows_kept(release: Release, frame: pd.DataFrame) -> Release:
    """Return a release that samples as many rows as there are records."""
    return replace(release, model=replace(release.model, total=float(len(frame))))  # type: ignore[arg-type]
