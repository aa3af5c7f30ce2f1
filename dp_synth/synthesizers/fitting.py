"""Fitting: the path of every fit, which asks, reads, reserves, then charges and answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import Field, asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from dp_synth.accounting import (
    Accountant,
    Plan,
    PrivacyBudget,
    Randomness,
    Reservation,
    SampledGaussians,
    SubAccountant,
)
from dp_synth.accounting.ledger import PLANNED, UNCONFIRMED
from dp_synth.checkpoint import Checkpoint, CheckpointWriter, DiscoveredDomain, Kept
from dp_synth.counting import (
    CachedCounts,
    Counts,
    Data,
    PrivateRecords,
)
from dp_synth.counting.records import weights_of
from dp_synth.domain import Domain
from dp_synth.errors import InputError, PrivacyWarning, SchemaError, warn
from dp_synth.estimates.corrected import PART as ANSWERS
from dp_synth.formatting import rounded_up
from dp_synth.inference import Model
from dp_synth.inference.histograms import density_slopes
from dp_synth.inference.junction_tree import MAX_CELLS, check_supports
from dp_synth.inference.triangulation import total_cells
from dp_synth.mechanisms.binning import bin_columns
from dp_synth.mechanisms.partition_selection import release_texts
from dp_synth.mechanisms.table import Auditor, PrivateTable
from dp_synth.release_files import Keys
from dp_synth.schema import Schema
from dp_synth.schema.numeric import LineColumn
from dp_synth.synthesizers.questions import Questions, answer_questions
from dp_synth.synthesizers.reading import records_of, where_counted
from dp_synth.synthesizers.validation import Validation, validate
from dp_synth.transcript import Answer
from dp_synth.types import Codes
from dp_synth.unit_weights import UnitWeights
from dp_synth.validation_bounds import PARTS

Payer = PrivacyBudget | Accountant | SubAccountant

CATEGORIES, BINS = "categories", "bins"  # parts that come before a synthesizer's own

LARGE_EPSILON, LARGE_DELTA = 20.0, 1e-3
"""What the largest known uses of differential privacy stay below."""


class Recipe(Protocol):
    """What can be fitted: a synthesizer, as far as its fit is concerned."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def name(self) -> str:
        """What the ledger calls it."""

    @property
    def resumable(self) -> bool:
        """Whether its training keeps its state."""

    def check(self, schema: Schema) -> None:
        """Raise InputError when a fit over ``schema`` could not work."""

    def check_noise(self, plan: Plan, domain: Domain, budget: PrivacyBudget) -> None:
        """Raise InputError where the noise of ``plan`` leaves nothing to be heard."""

    def charges(self, domain: Domain) -> Plan:
        """Return all that a fit over ``domain`` will charge."""

    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        """Return a model made from mechanisms' answers alone."""

    def _fit_kept(
        self,
        table: PrivateTable,
        plan: Plan,
        rng: np.random.Generator,
        writer: CheckpointWriter,
    ) -> Model:
        """Return what `_fit` does, its state offered to ``writer`` on the way."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit gives: the schema with the cells that it found, its model, its transcript.

    The model is of rows; the transcript of weighted counts where there are ``unit_weights``.
    """

    schema: Schema
    model: Model
    transcript: tuple[Answer, ...]
    unit_weights: UnitWeights | None = None


@dataclass(frozen=True, eq=False)
class Request:
    """Recipes that are to be fitted over one schema, by weight, and who is to pay for them.

    ``checkpoint`` is where the fit of a single resumable recipe keeps its state; InputError where
    that cannot be. With a ``validation`` each recipe pays for its own, and for its own answers to
    ``questions``. Columns that get new keys are taken out of the schema, and are ``keys``.
    """

    recipes: Mapping[Any, float]
    schema: Schema
    payer: Accountant | SubAccountant
    seed: int | None = None
    checkpoint: Checkpoint | None = None
    validation: Validation | None = None
    questions: Questions | None = None
    keys: Keys = field(default=(), init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.payer, (Accountant, SubAccountant)):
            raise InputError(
                "the budget must be a PrivacyBudget, an Accountant or a portion of one, got "
                f"{self.payer!r}"
            )
        seed: object = self.seed
        if seed is not None:
            if not isinstance(seed, (int, np.integer)) or seed < 0:
                raise InputError(f"seed must be a whole number from 0 or None, got {seed!r}")
            object.__setattr__(self, "seed", int(seed))
        if self.checkpoint is not None:
            (recipe,) = self.recipes
            if not recipe.resumable:
                raise InputError(f"{recipe.name} keeps no checkpoints; leave checkpoint out")
            root = self.payer
            on_disk = isinstance(root, Accountant) and root.path
            if not on_disk or self.root.currency or self.root.planned:
                raise InputError(
                    "a checkpoint needs a ledger on disk, planned for this one fit: "
                    "Accountant(budget, ledger=path)"
                )
        if isinstance(self.schema, Schema):
            object.__setattr__(self, "keys", self.schema.keys)
            object.__setattr__(self, "schema", self.schema.without_keys)
        if self.questions is not None and not self.root.budget.delta:
            raise InputError(
                "questions need a delta above 0: their answers have Gaussian noise; leave them out"
            )
        for what, asked in (("a validation", self.validation), ("questions", self.questions)):
            if asked and isinstance(self.payer, Accountant) and self.payer.planned:
                raise InputError(
                    f"an accountant with planned recipes has no room for {what}; fit jointly, or "
                    "from an adaptive accountant"
                )

    @classmethod
    def of_simulation(
        cls, recipe: Recipe, schema: Schema, budget: PrivacyBudget, seed: int | None
    ) -> Request:
        """Return the request of a single recipe whose fit nobody will publish."""
        return cls({recipe: 1.0}, schema, Accountant(budget, simulate=True), seed)

    @property
    def root(self) -> Accountant:
        """The accountant that keeps the ledger."""
        return self.payer.root if isinstance(self.payer, SubAccountant) else self.payer

    @property
    def randomness(self) -> Randomness:
        """Where noise comes from, in the ledger's words."""
        return "os" if self.seed is None else "seeded"

    def check(self) -> Kept | None:
        """Raise what the fit would be refused for, and return what it goes on from, if anything.

        Reads no record, and writes and reserves nothing. InputError or BudgetExceeded.
        """
        for recipe in self.recipes:
            recipe.check(self.schema)
        if self.questions is not None:
            self.questions.check(self.schema)
        kept = self._kept()
        if kept is not None:
            plans = [self._resumed(kept).plan]
        elif isinstance(self.payer, Accountant) and self.payer.planned:
            recipes = list(self.recipes)
            plans = self.payer.check_turns(recipes, self.domain_of(recipes[0]))
        else:
            plans = list(self.payer.check(self._plans).values())
        for recipe, plan in zip(self.recipes, plans, strict=True):
            recipe.check_noise(own_parts(plan), self.domain_of(recipe), self.root.budget)
        return kept

    def weights_of(self, recipe: Recipe) -> UnitWeights | None:
        """Return how a recipe counts rows of units; None where each row counts once.

        Those that read records, and not counts, see no weights; nor do others that were planned
        together with such, over the same attributes.
        """
        planned = self.payer.planned if isinstance(self.payer, Accountant) else ()
        alike = [one for one, _ in planned] or [recipe]
        if not all(getattr(one, "measures", "") for one in alike):
            return None
        return weights_of(self.schema, self.root.budget.max_rows)

    def counts_of(self, recipe: Recipe, records: PrivateRecords) -> Counts:
        """Return the counts of records that a recipe sees, private."""
        return records.counts if self.weights_of(recipe) is None else records.weighted_counts

    def domain_of(self, recipe: Recipe) -> Domain:
        """Return the attributes that a recipe is fitted over, as far as they are known before."""
        weights = self.weights_of(recipe)
        domain = self.schema.domain
        return domain if weights is None else weights.beside_others(domain)

    def check_counts_alone(self, where: str) -> None:
        """Raise InputError where records are read beside counts: of those ``where`` none come."""
        for recipe in self.recipes:
            if not getattr(recipe, "measures", ""):
                raise InputError(
                    f"{recipe.name} reads records, which stay {where}; take one that "
                    "counts, such as clique_tree, or give a file"
                )
        if self.validation is not None or self.questions is not None:
            raise InputError(
                f"a validation, or questions, of records that stay {where}: give a file"
            )

    def reserve(self, kept: Kept | None) -> list[Reservation]:
        """Return what pays for each recipe; what was ``kept`` has its reservation already."""
        if kept is not None:
            return [self._resumed(kept)]
        why = reason_of(self.schema)
        if isinstance(self.payer, Accountant) and self.payer.planned:
            turn, randomness = self.payer.turn, self.randomness
            return [
                turn(one, self.domain_of(one), randomness=randomness, why=why)
                for one in self.recipes
            ]
        granted = self.payer.admit_jointly(self._plans, randomness=self.randomness, why=why)
        return list(granted.values())

    def identity(self) -> dict[str, object]:
        """Return what tells the fit of a single recipe from any other, for its checkpoint."""
        (recipe,) = self.recipes
        return {
            "synthesizer": recipe.name,
            "settings": asdict(recipe),
            "schema": self.schema.to_dict(),
            "seed": self.seed,
            "validation": None if self.validation is None else asdict(self.validation),
            "questions": None if self.questions is None else self.questions.identity(),
        }

    @property
    def _plans(self) -> dict[str, tuple[Plan, float]]:
        several = len(self.recipes) > 1
        return {
            f"{place}-{recipe.name}" if several else recipe.name: (
                self._charges(recipe),
                weight,
            )
            for place, (recipe, weight) in enumerate(self.recipes.items(), 1)
        }

    def _charges(self, recipe: Recipe) -> Plan:
        plan = recipe.charges(self.domain_of(recipe))
        if self.validation is not None:
            plan = self.validation.added_to(plan, self.schema.widest().domain)
        return plan if self.questions is None else self.questions.added_to(plan)

    def _kept(self) -> Kept | None:
        kept = Kept.read(self.checkpoint) if self.checkpoint else None
        if kept:
            kept.check(self.identity(), self.root.ledger)
        return kept

    def _resumed(self, kept: Kept) -> Reservation:
        ((name, (charges, _)),) = self._plans.items()
        plan, at = kept.plan(charges.under(self.root.budget)), kept.reserved_at
        why = reason_of(self.schema)
        return self.root.resume(name, plan, randomness=self.randomness, reserved_at=at, why=why)


def fit_all(request: Request, data: Data, holdout: Data | None = None) -> list[Fitted]:
    """Return the fit of each recipe to ``data``, in their order.

    ``holdout`` are records of other people, for the validation of a request that attacks. What
    cannot be paid is refused before a record is read, and what cannot be read before
    anything is reserved; each answer is then charged before it is computed. Keeping a checkpoint
    changes no result.
    """
    attacks = request.validation is not None and request.validation.attack
    if attacks != (holdout is not None):
        raise InputError("an attack needs a hold-out: give Validation(...).against(holdout)")
    if where := where_counted(data) or where_counted(holdout):
        request.check_counts_alone(where)
    kept = request.check()
    if not request.root.ledger.simulation:  # what nobody will publish promises nothing
        warn_of_promise(request.schema, request.root.budget)
    count = len(request.recipes)
    streams = np.random.SeedSequence(request.seed).spawn(3 * count + 1)
    rngs = [np.random.default_rng(stream) for stream in streams]
    own, drawn = rngs[:count], rngs[count]
    validating, asking = rngs[count + 1 : 2 * count + 1], rngs[2 * count + 1 :]
    schema, budget = request.schema, request.root.budget
    with ExitStack() as opened:
        records = opened.enter_context(records_of(data, schema, budget, drawn))
        others = None
        if holdout is not None:
            others = opened.enter_context(records_of(holdout, schema, budget, drawn))
        granted = request.reserve(kept)
        return [
            _fit_one(request, recipe, (records, others), reservation, three, kept=kept)
            for recipe, reservation, *three in zip(
                request.recipes, granted, own, validating, asking, strict=True
            )
        ]


def _fit_one(
    request: Request,
    recipe: Recipe,
    tables: tuple[PrivateRecords, PrivateRecords | None],
    reservation: Reservation,
    rngs: Sequence[np.random.Generator],
    *,
    kept: Kept | None,
) -> Fitted:
    """Return one fit; ``rngs`` beyond the first, of validation and answers, no stop changes."""
    (records, holdout), (rng, validating, asking) = tables, rngs
    weights = request.weights_of(recipe)
    counts = request.counts_of(recipe, records)
    schema, cells, table = table_of(records, reservation, rng, counts=counts, kept=kept)
    if request.questions is not None:
        table.wanted = frozenset(request.questions.pairs(request.schema))
    plan, writer = own_parts(reservation.plan), None
    if request.checkpoint is None:
        model = recipe._fit(table, plan, rng)
    else:
        state = kept.state if kept else None
        fit, answers = request.identity(), table.transcript
        writer = CheckpointWriter(request.checkpoint, fit, reservation, cells, answers, state)
        model = recipe._fit_kept(table, plan, rng, writer)
    if weights is not None:  # what is asked of rows is asked of rows that count once
        model, table = weights.of_rows(model), _over_codes(records, cells, table)
    if request.validation is not None:
        others = None if holdout is None else _over_codes(holdout, cells, table)
        widest = request.schema.widest().domain
        validate(request.validation, widest, table, others, model, validating)
    schema = shaped(schema, cells, model)
    if request.questions is not None:
        answer_questions(request.questions, schema, table, model, asking)
    if writer:
        writer.remove()
    return Fitted(schema, model, tuple(table.transcript), weights)


def _over_codes(
    records: PrivateRecords, cells: DiscoveredDomain, table: PrivateTable
) -> PrivateTable:
    """Return other records, or rows without weights, over the codes of ``table``.

    The same reservation pays.
    """
    schema, groups = apply_domain(records, cells)
    counts, payer = records.counts, table.payer
    finest = PrivateTable(counts, counts.domain, payer, transcript=table.transcript)
    return finest.recoded(groups, schema.domain)


def table_of(
    records: PrivateRecords,
    reservation: Reservation,
    rng: np.random.Generator,
    *,
    counts: Counts | None = None,
    auditor: Auditor | None = None,
    kept: Kept | None = None,
) -> tuple[Schema, DiscoveredDomain, PrivateTable]:
    """Return the schema with its cells, these cells, and the private table over their codes.

    Part "categories" pays for categories that are not listed, part "bins" for cells; they are
    those of ``kept`` where an earlier run of the fit has paid for them. ``counts`` are taken in
    place of those of the records; they may have the classes of their units beside the columns.
    """
    counts = records.counts if counts is None else counts
    finest = PrivateTable(counts, counts.domain, reservation, auditor=auditor)
    if draws_units(reservation.plan):
        finest.keep_units(records.unit_rows)
    cells = kept.cells if kept else discover_domain(finest, records, rng)
    schema, groups = apply_domain(records, cells)
    weights, domain = records.unit_weights, schema.domain
    if weights is not None and len(counts.domain) > len(domain):
        domain = weights.beside_others(domain)
    table = finest.recoded(groups, domain)
    if kept:
        table.transcript.extend(kept.transcript)
    return schema, cells, table


def draws_units(plan: Plan) -> bool:
    """Say whether a plan, fitted to its budget, pays for sums over units that are drawn whole."""
    parts = plan.parts.values()
    return any(isinstance(part, SampledGaussians) and part.by_unit for part in parts)


def simulated(
    request: Request,
    data: Data,
    *,
    runs: int,
    auditor: Callable[[Reservation], Auditor] | None = None,
) -> Iterator[tuple[PrivateTable, Plan, np.random.Generator]]:
    """Yield a table, a plan and a generator for each run of a simulation of a single recipe.

    Each run has the whole budget of an accountant that simulates; the noise is calibrated and the
    records are read and counted once. ``auditor`` makes who watches a run, of what pays for it.
    """
    if runs < 0:
        raise InputError(f"the number of runs must be 0 or more, got {runs}")
    request.check()
    accountant, schema = request.root, request.schema
    *streams, drawn = np.random.SeedSequence(request.seed).spawn(runs + 1)
    with records_of(data, schema, accountant.budget, np.random.default_rng(drawn)) as records:
        (recipe,) = request.recipes
        counts = CachedCounts(request.counts_of(recipe, records))
        (reservation,) = request.reserve(None)
        plan = own_parts(reservation.plan)
        for stream in streams:
            rng, again = np.random.default_rng(stream), accountant.repeat(reservation)
            watching = None if auditor is None else auditor(again)
            yield table_of(records, again, rng, counts=counts, auditor=watching)[2], plan, rng


def warn_of_promise(schema: Schema, budget: PrivacyBudget) -> None:
    """Give a PrivacyWarning for each public fact by which a fit promises less than it seems to."""
    for text in _remarks(schema, budget):
        warn(text, PrivacyWarning)


def _remarks(schema: Schema, budget: PrivacyBudget) -> Iterator[str]:
    if schema.is_draft:
        yield (
            f"schema {schema.name!r} is a draft that nobody has confirmed ({UNCONFIRMED}): check "
            "each bound and category, then say in 'bounds_from' where they come from"
        )
    if schema.has_units and budget.unit is None:
        yield (
            f"the schema says that the unit of privacy is {schema.unit_of_privacy!r}, and one "
            "record is protected; where a unit has several records, name the column that tells "
            "units apart as the unit"
        )
    if budget.risk is None and LARGE_EPSILON < budget.epsilon < math.inf:
        yield (
            f"epsilon {rounded_up(budget.epsilon, 6)} is unusually large: above {LARGE_EPSILON:g} "
            "an attacker may be nearly certain"
        )
    if budget.delta > LARGE_DELTA:
        yield (
            f"delta {rounded_up(budget.delta, 6)} is unusually large: it should be far below one "
            "over the number of records"
        )


def reason_of(schema: Schema) -> str:
    """Return why a ledger's reservations for a fit over ``schema`` are made."""
    return UNCONFIRMED if schema.is_draft else PLANNED


def check_schema(schema: object) -> None:
    """Raise InputError for what is no schema, such as the path of one."""
    if not isinstance(schema, Schema):
        raise InputError(
            f"the schema must be a Schema, got {type(schema).__name__}; Schema.load reads its "
            "file, Schema.from_dict its content"
        )


def refuse_unfit(domain: Domain) -> None:
    """Raise SchemaError where no model over ``domain`` has room, or no record is possible.

    Reads public facts alone.
    """
    if (cells := sum(domain.sizes)) > MAX_CELLS:
        widest = sorted(domain, key=domain.size)[-3:]
        raise SchemaError(
            f"the schema's columns have {cells:,} cells together, at most {MAX_CELLS:,} can be "
            f"held; give the widest of them, {_list(widest)}, fewer bins or categories"
        )
    if not domain.supports:
        return
    if (cells := total_cells(domain, ())) > MAX_CELLS:
        joined = {name: None for support in domain.supports for name in support.clique}
        raise SchemaError(
            f"the constraints join {_list(joined)} into tables of {cells:,} cells, at most "
            f"{MAX_CELLS:,} can be held; give these columns fewer bins, or drop a constraint"
        )
    check_supports(domain)


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def discover_domain(
    finest: PrivateTable, records: PrivateRecords, rng: np.random.Generator
) -> DiscoveredDomain:
    """Return what the schema of the records leaves to be found in ``finest``, their counts.

    Part "categories" of the payer's plan pays for texts, part "bins" for cells; errors as in
    `release_texts` and `bin_columns`.
    """
    schema, plan = records.schema, finest.payer.plan
    texts, bins = dict[str, tuple[str, ...]](), dict[str, Codes]()
    if schema.open:
        texts = release_texts(finest, records.unlisted, plan.thresholded(CATEGORIES), rng)
    if schema.fine:
        bins = bin_columns(finest, schema.fine, plan.gaussians(BINS), rng)
    return DiscoveredDomain(texts, bins)


def apply_domain(
    records: PrivateRecords, cells: DiscoveredDomain
) -> tuple[Schema, dict[str, Codes]]:
    """Return the schema that lists ``cells``, and by it the code of each code of a column.

    The codes of open columns are private: their codes count texts that only the records tell.
    """
    schema, groups = records.schema, dict[str, Codes]()
    if cells.texts:
        schema, groups = records.opened(cells.texts)
    if cells.bins:
        schema, groups = schema.binned(cells.bins), {**groups, **cells.bins}
    return schema, groups


def shaped(schema: Schema, cells: DiscoveredDomain, model: Model) -> Schema:
    """Return the schema with a density inside those cells that the fit found.

    Post-processing: the counts of cells are those of ``model``.
    """
    slopes = {}
    for name in cells.bins:
        column = schema.column(name)
        assert isinstance(column, LineColumn)
        counts = model.marginal((name,))[: len(column.grid)]
        slopes[name] = density_slopes(column.grid.cuts, counts).round(4)
    return schema.with_densities(slopes) if slopes else schema


def own_parts(plan: Plan) -> Plan:
    """Return the plan without parts that find categories and cells, validate, or answer."""
    others = (CATEGORIES, BINS, *PARTS, ANSWERS)
    return Plan({name: part for name, part in plan.parts.items() if name not in others})
