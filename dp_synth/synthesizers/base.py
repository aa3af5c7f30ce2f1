"""What every synthesizer is: public settings, a plan, and one fit that its plan pays for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from typing import ClassVar

import numpy as np

from dp_synth.accounting import (
    Accountant,
    Gaussians,
    Ledger,
    Plan,
    Portion,
    PrivacyBudget,
    Randomness,
    Slice,
    ThresholdedGaussians,
)
from dp_synth.accounting.plan import Part
from dp_synth.comparison import Comparison
from dp_synth.counting import Counts, Records, RememberedCounts
from dp_synth.domain import Clique, Domain
from dp_synth.errors import InputError
from dp_synth.inference import Model
from dp_synth.intake import Data, check_schema, records_of, refuse_unfit
from dp_synth.mechanisms.cells import BINS, CATEGORIES, by_cells, find_cells, own_parts
from dp_synth.nn.checkpoint import Checkpoint
from dp_synth.nn.resuming import fit_resumable, on_disk
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.table import PrivateTable
from dp_synth.transcript import Answer, chosen

Payer = PrivacyBudget | Accountant | Portion

BINNING_SHARE = 0.07
"""Part of a fit's zCDP cost that finds the cells of columns which declare none."""

OPENING_SHARE = 0.05
"""Part of a fit's zCDP cost that finds the categories which open columns do not list."""


@dataclass(frozen=True, eq=False)
class Watched:
    """What an auditor saw of one run: how every answer compares two tables, and the charges."""

    comparisons: tuple[Comparison, ...]
    ledger: Ledger


@dataclass(frozen=True)
class Synthesizer(ABC):
    """Frozen public settings and one private fit; holds no data.

    A subclass states its ``name``, its ``plan`` and ``_fit``, which may charge only what the
    plan names. Where a part of ``_fit`` asks the table nothing more, ``_release`` and
    ``_decide`` end before it.
    """

    name: ClassVar[str]
    resumable: ClassVar[bool] = False  # whether a fit can keep checkpoints, and go on from one

    @abstractmethod
    def plan(self, domain: Domain) -> Plan:
        """Return what `_fit` over ``domain`` will charge, up to one noise scale."""

    def charges(self, domain: Domain) -> Plan:
        """Return all that a fit over ``domain`` will charge.

        What finds categories, then what finds cells of columns, then `plan`.
        """
        plan = self.plan(domain)
        levels, opened = sum(domain.levels), len(domain.open)
        others = math.fsum(part.share for part in plan.parts.values() if part.count) or 1.0
        rest = 1 - (BINNING_SHARE if levels else 0.0) - (OPENING_SHARE if opened else 0.0)
        first: dict[str, Part] = {}
        if opened:
            first[CATEGORIES] = ThresholdedGaussians(opened, others * OPENING_SHARE / rest)
        if levels:
            first[BINS] = Gaussians(levels, others * BINNING_SHARE / rest)
        return Plan({**first, **plan.parts}) if first else plan

    def check(self, schema: Schema) -> None:
        """Raise InputError when a fit over ``schema`` could not work, whatever the records.

        Too many cells, constraints that contradict each other, a structure that has no room:
        reads public facts alone, and charges nothing.
        """
        check_schema(schema)
        widest = schema.widest().domain
        refuse_unfit(widest)
        self.charges(widest)

    @abstractmethod
    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        """Return a model made from mechanisms' answers alone."""

    def _release(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> object:
        """Ask the table all that `_fit` asks of it, and return what that goes on with."""
        return self._fit(table, plan, rng)

    def _decide(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator
    ) -> Sequence[Clique]:
        """Ask the table until the last choice is made, and return the cliques chosen."""
        self._release(table, plan, rng)
        return chosen(table.transcript)

    def fit(
        self,
        data: Data,
        schema: Schema,
        budget: Payer,
        *,
        seed: int | None = None,
        checkpoint: Checkpoint | str | PathLike[str] | None = None,
    ) -> Release:
        """Return a release of the records in ``data``, charged to ``budget``.

        Those of a frame, of an Arrow or polars table (anything that speaks Arrow's C stream), of
        a CSV or Parquet file at a path, or read by `counting.read_records`;
        a file larger than memory may hold goes by as a stream, with the same result. What
        `check` refuses is refused before a record is read.

        A bare budget opens an accountant of its own, and the whole of it is used; of an
        accountant with planned recipes the next turn is taken; of an adaptive one, or a portion
        of it, all that is left. With a ``seed`` the result can be repeated, so that its noise
        protects nobody who may guess the seed: the ledger says "seeded: not for release".
        Without one, randomness is fresh from the operating system. SchemaError when the table
        does not fit the schema; BudgetExceeded, before any value is read, when the budget does
        not allow it.

        A `resumable` fit that is stopped goes on from its ``checkpoint`` when it is called again
        with the same arguments, the same table and an accountant over the same ledger file, which
        is needed for that. Steps that were charged after the last checkpoint are spent: fewer are
        left. A fit that is completed takes the file away. CheckpointError, with nothing charged,
        for a checkpoint of anything else.
        """
        payer = Accountant(budget) if isinstance(budget, PrivacyBudget) else budget
        if checkpoint is not None:
            return self._fit_keeping(Checkpoint.of(checkpoint), data, schema, payer, seed=seed)
        return fit_jointly({self: 1.0}, data, schema, payer, seed=seed)[self]

    def _fit_keeping(
        self,
        checkpoint: Checkpoint,
        data: Data,
        schema: Schema,
        payer: Accountant | Portion,
        *,
        seed: int | None,
    ) -> Release:
        """Return the release of a fit that goes on from ``checkpoint``, where there is one."""
        root = on_disk(self, payer)
        self.check(schema)
        binned, model, transcript = fit_resumable(
            self, data, schema, root, seed=seed, checkpoint=checkpoint
        )
        return Release(self.name, asdict(self), binned, model, root.ledger_so_far, transcript)

    def release_only(
        self,
        data: Data,
        schema: Schema,
        budget: PrivacyBudget,
        *,
        runs: int = 1,
        seed: int | None = None,
    ) -> list[tuple[Answer, ...]]:
        """Return what a fit would release, without a model, in runs of independent noise.

        Each run is a simulated release of its own with the whole budget, as an audit needs them:
        never publish more than one. The noise is calibrated and the records are encoded and
        counted once. Errors as in `fit`.
        """
        answers = []
        for table, plan, rng in self._runs(data, schema, budget, runs=runs, seed=seed):
            self._release(table, plan, rng)
            answers.append(tuple(table.transcript))
        return answers

    def compare_only(
        self,
        data: Data,
        other: Data,
        schema: Schema,
        budget: PrivacyBudget,
        *,
        runs: int = 1,
        seed: int | None = None,
    ) -> list[Watched]:
        """Return what a fit to ``data`` would say between it and ``other``, in independent runs.

        As `release_only`, for auditors, who hold both tables: what comes out is private. Nothing
        that the fit does depends on ``other``. InputError for open columns.
        """
        if schema.open:
            raise InputError(f"an audit needs listed categories: column {schema.open[0]!r} is open")
        with records_of(other, schema, budget, np.random.default_rng(seed)) as records:
            twin = RememberedCounts(records.counts)
            runs_of = self._runs(data, schema, budget, runs=runs, seed=seed, twin=twin)
            return [self._watch(*run) for run in runs_of]

    def _watch(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Watched:
        self._release(table, plan, rng)
        return Watched(tuple(table.comparisons), table.payer.accountant.ledger)

    def select_only(
        self,
        data: Data,
        schema: Schema,
        budget: PrivacyBudget,
        *,
        runs: int = 1,
        seed: int | None = None,
    ) -> list[tuple[Clique, ...]]:
        """Return the cliques that a fit would choose, in runs of independent noise.

        As `release_only`, but a run ends with its last choice.
        """
        return [
            tuple(self._decide(table, plan, rng))
            for table, plan, rng in self._runs(data, schema, budget, runs=runs, seed=seed)
        ]

    def _runs(
        self,
        data: Data,
        schema: Schema,
        budget: PrivacyBudget,
        *,
        runs: int,
        seed: int | None,
        twin: Counts | None = None,
    ) -> Iterator[tuple[PrivateTable, Plan, np.random.Generator]]:
        """Yield a table, a plan and a generator for each run of a simulation."""
        if runs < 0:
            raise InputError(f"the number of runs must be 0 or more, got {runs}")
        self.check(schema)
        streams = np.random.SeedSequence(seed).spawn(runs + 1)
        drawn = np.random.default_rng(streams.pop())
        accountant = Accountant(budget, simulate=True)
        piece = accountant.admit(
            self.name,
            self.charges(schema.domain),
            randomness="os" if seed is None else "seeded",
        )
        plan = own_parts(piece.plan)
        with records_of(data, schema, budget, drawn) as records:
            counts = RememberedCounts(records.counts)
            for stream in streams:
                rng = np.random.default_rng(stream)
                table = _table(records, accountant.repeat(piece), rng, counts, twin)[1]
                yield table, plan, rng


def fit_jointly(
    weights: Mapping[Synthesizer, float],
    data: Data,
    schema: Schema,
    accountant: Accountant | Portion,
    *,
    seed: int | None = None,
) -> dict[Synthesizer, Release]:
    """Return one release a synthesizer, all paid from one budget.

    Their plans are calibrated together, so that the composition of all of them meets the
    budget; ``weights`` say how the zCDP cost is shared. No epsilon is split: two recipes of
    equal cost get about 0.72 of the noise that half of epsilon and delta each would need.
    """
    root = accountant.root if isinstance(accountant, Portion) else accountant
    streams = np.random.SeedSequence(seed).spawn(len(weights) + 1)
    for synthesizer in weights:
        synthesizer.check(schema)
    with records_of(data, schema, root.budget, np.random.default_rng(streams[-1])) as records:
        slices = _slices(weights, accountant, schema.domain, "os" if seed is None else "seeded")
        fitted = [
            _fit_one(synthesizer, records, payer, np.random.default_rng(stream))
            for synthesizer, payer, stream in zip(weights, slices, streams, strict=False)
        ]
    ledger = root.ledger_so_far
    return {
        synthesizer: Release(
            synthesizer.name, asdict(synthesizer), binned, model, ledger, transcript
        )
        for synthesizer, (binned, model, transcript) in zip(weights, fitted, strict=True)
    }


def _table(
    records: Records,
    payer: Slice,
    rng: np.random.Generator,
    counts: Counts | None = None,
    twin: Counts | None = None,
) -> tuple[Schema, PrivateTable]:
    """Return the private table over its codes, and their schema.

    Part "categories" pays for categories that are not listed, part "bins" for cells. ``counts``
    are taken, where both are public, in place of those of the records. ``twin`` counts the
    table that an auditor compares with.
    """
    schema, counts = records.schema, counts or records.counts
    other = None if twin is None else PrivateTable(twin, counts.domain, payer)
    if not (schema.fine or schema.open):
        return schema, PrivateTable(counts, schema.domain, payer, twin=other)
    transcript: list[Answer] = []
    finest = PrivateTable(counts, counts.domain, payer, transcript=transcript, twin=other)
    schema, groups = by_cells(records, find_cells(finest, records, rng))
    merged = counts.coarsened(groups)
    other = None if twin is None else PrivateTable(twin.coarsened(groups), schema.domain, payer)
    table = PrivateTable(merged, schema.domain, payer, transcript=transcript, twin=other)
    table.comparisons = finest.comparisons
    return schema, table


def _fit_one(
    synthesizer: Synthesizer, records: Records, payer: Slice, rng: np.random.Generator
) -> tuple[Schema, Model, tuple[Answer, ...]]:
    schema, table = _table(records, payer, rng)
    model = synthesizer._fit(table, own_parts(payer.plan), rng)
    return schema, model, tuple(table.transcript)


def _slices(
    weights: Mapping[Synthesizer, float],
    accountant: Accountant | Portion,
    domain: Domain,
    randomness: Randomness,
) -> list[Slice]:
    if isinstance(accountant, Accountant) and accountant.planned:
        return [
            accountant.turn(synthesizer, domain, randomness=randomness) for synthesizer in weights
        ]
    plans = {
        _label(i, synthesizer, len(weights)): (synthesizer.charges(domain), weight)
        for i, (synthesizer, weight) in enumerate(weights.items())
    }
    return list(accountant.admit_jointly(plans, randomness=randomness).values())


def _label(position: int, synthesizer: Synthesizer, of: int) -> str:
    return synthesizer.name if of == 1 else f"{position + 1}-{synthesizer.name}"
