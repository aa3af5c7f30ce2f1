"""What every synthesizer is: public settings, a plan, and one fit that its plan pays for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from os import PathLike
from typing import ClassVar, Self

import numpy as np

from dp_synth.accounting import (
    Accountant,
    Gaussians,
    Plan,
    PrivacyBudget,
    SubAccountant,
    ThresholdedGaussians,
)
from dp_synth.accounting.plan import Part
from dp_synth.backends import Frame, Output
from dp_synth.checkpoint import Checkpoint, CheckpointWriter
from dp_synth.counting import Data
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.extensions import nearest
from dp_synth.inference import Model
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.settings import check_settings
from dp_synth.synthesizers.fitting import (
    BINS,
    CATEGORIES,
    Fitted,
    Payer,
    Request,
    check_schema,
    fit_all,
    refuse_unfit,
    simulated,
)
from dp_synth.synthesizers.questions import Declared, Questions
from dp_synth.synthesizers.reading import counted_by
from dp_synth.synthesizers.validation import Against, Asked, Validation
from dp_synth.transcript import Answer, chosen
from dp_synth.types import Clique

BINNING_SHARE = 0.07
"""Part of a fit's zCDP cost that finds the cells of columns which declare none."""

OPENING_SHARE = 0.05
"""Part of a fit's zCDP cost that finds the categories which open columns do not list."""


@dataclass(frozen=True)
class Synthesizer(ABC):
    """Frozen public settings and one private fit; holds no data.

    A subclass states its ``name``, its ``plan`` and ``_fit``, which may charge only what the
    plan names. Where a part of ``_fit`` asks the table nothing more, ``_release`` and
    ``_decide`` end before it.
    """

    name: ClassVar[str]
    figure_label: ClassVar[str] = ""  # the name where it is empty
    title: ClassVar[str] = "a method from outside dp_synth"  # on cards
    reference: ClassVar[str] = "not known here: ask who made it"  # on cards
    cites: ClassVar[tuple[str, ...]] = ()  # keys of references.bib, or whole BibTeX entries
    resumable: ClassVar[bool] = False  # whether a fit can keep checkpoints, and go on from one
    # What attacks know of a method: what its rows are drawn from a model of (nothing for networks;
    # conditionals are those of the first attribute of a clique given the others), whether it
    # chooses its cliques, and whether each choice rests on a model of the answers before.
    measures: ClassVar[str] = ""
    chooses: ClassVar[bool] = False
    adaptive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Raise InputError for a setting of the wrong kind; subclasses go on from there."""
        check_settings(self)

    @staticmethod
    def create(name: str, **settings: object) -> Synthesizer:
        """Return the synthesizer of a name with its settings.

        Ours, one that an installed package declares under the entry points
        ``dp_synth.synthesizers``, or ``module:Class``. InputError, with the nearest name, where
        there is none, and for a setting that it has not.

        >>> Synthesizer.create("privbayes").name
        'privbayes'
        """
        from dp_synth.synthesizers import synthesizer_named

        kind = synthesizer_named(name)
        _refuse_unknown(kind, settings)
        return kind(**settings)

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """Return the settings by name, as scikit-learn asks an estimator for them.

        No setting is an estimator itself, so that ``deep`` changes nothing.
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **settings: object) -> Self:
        """Return a synthesizer with other settings; this one stays as it is.

        Settings are final, where an estimator of scikit-learn would change: take what is
        returned, as scikit-learn's own searches and `sklearn.base.clone` do. InputError for a
        setting that it has not.

        >>> from dp_synth.synthesizers import MST
        >>> MST().set_params(coarseness=0.5)
        MST(coarseness=0.5, as_published=False)
        """
        _refuse_unknown(type(self), settings)
        return replace(self, **settings) if settings else self

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

    def check_noise(self, plan: Plan, domain: Domain, budget: PrivacyBudget) -> None:  # noqa: B027
        """Raise InputError where ``plan``, which has its noise, leaves nothing to be heard.

        For plans with filters, whose answers get noise that `_fit` decides; that of other parts
        is looked at where it is calibrated.
        """

    @abstractmethod
    def _fit(self, table: PrivateTable, plan: Plan, rng: np.random.Generator) -> Model:
        """Return a model made from mechanisms' answers alone."""

    def _fit_kept(
        self, table: PrivateTable, plan: Plan, rng: np.random.Generator, writer: CheckpointWriter
    ) -> Model:
        """Return what `_fit` does; a `resumable` one offers ``writer`` its state on the way."""
        return self._fit(table, plan, rng)

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
        validation: Asked | None = None,
        questions: Declared | None = None,
    ) -> Release:
        """Return a release of the records in ``data``, charged to ``budget``.

        Those of a frame (pandas, polars, Arrow, any that narwhals knows or that speaks Arrow's C
        stream), of a CSV or Parquet file at a path, or read by `counting.read_records`; a file
        larger than memory may hold goes by as a stream, with the same result. Of a frame the
        release remembers the library, and of its dtypes nothing: see `Release.with_output`.

        In this order: what `check` and `check_budget` refuse is refused before a record is read;
        the table is read and encoded; the budget is reserved; and each answer is charged before
        it is computed. So what cannot be paid reads nothing, and bad input spends nothing.

        A bare budget opens an accountant of its own, and the whole of it is used; of an
        accountant with planned recipes the next turn is taken; of an adaptive one, or a portion
        of it, all that is left. With a ``seed`` the result can be repeated, so that its noise
        protects nobody who may guess the seed: the ledger says "seeded: not for release".
        Without one, randomness is fresh from the operating system. SchemaError when the table
        does not fit the schema; BudgetExceeded when the budget does not allow the fit.
        SchemaMismatch warns that some cells do not fit, PrivacyWarning that the promise is less
        than it seems, both before anything is charged.

        A `resumable` fit that is stopped goes on from its ``checkpoint`` when it is called again
        with the same arguments, the same table and an accountant over the same ledger file, which
        is needed for that. Steps that were charged after the last checkpoint are spent: fewer are
        left. A fit that is completed takes the file away. CheckpointError, with nothing charged,
        for a checkpoint of anything else.

        A ``validation``, or a share of the cost, takes a part of the budget to say how good the
        model is (`Release.validation`): what is decided by that, is decided by the release. One
        ``against`` a hold-out tries an attack on membership as well; the same budget then
        protects the records of both tables.

        ``questions`` that are declared here take a part of the budget as well, a tenth of its
        cost unless `Questions` says otherwise, for answers that do not depend on what the model
        has left out (`Release.answers`).
        """
        settings, holdout = _taken_apart(validation)
        request = self._request(
            schema,
            budget,
            seed=seed,
            checkpoint=checkpoint,
            validation=settings,
            questions=questions,
        )
        return _released(request, fit_all(request, data, holdout), data)[0]

    def check_budget(
        self,
        schema: Schema,
        budget: Payer,
        *,
        seed: int | None = None,
        checkpoint: Checkpoint | str | PathLike[str] | None = None,
        validation: Asked | None = None,
        questions: Declared | None = None,
    ) -> None:
        """Raise what `fit` would raise of the schema and the budget, before a record is read.

        Nothing is reserved, and no ledger is written. Arguments and errors are those of `fit`; of
        a hold-out it is enough to say that there is one, by the ``attack`` of the validation.
        """
        settings, _ = _taken_apart(validation)
        self._request(
            schema,
            budget,
            seed=seed,
            checkpoint=checkpoint,
            validation=settings,
            questions=questions,
        ).check()

    def _request(
        self,
        schema: Schema,
        budget: Payer,
        *,
        seed: int | None,
        checkpoint: Checkpoint | str | PathLike[str] | None,
        validation: Validation | None,
        questions: Declared | None,
    ) -> Request:
        payer = Accountant(budget) if isinstance(budget, PrivacyBudget) else budget
        place = None if checkpoint is None else Checkpoint.of(checkpoint)
        asked = Questions.of(questions)
        return Request({self: 1.0}, schema, payer, seed, place, validation, asked)

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
        request, answers = Request.of_simulation(self, schema, budget, seed), []
        for table, plan, rng in simulated(request, data, runs=runs):
            self._release(table, plan, rng)
            answers.append(tuple(table.transcript))
        return answers

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
        request = Request.of_simulation(self, schema, budget, seed)
        return [
            tuple(self._decide(table, plan, rng))
            for table, plan, rng in simulated(request, data, runs=runs)
        ]


def fit_jointly(
    weights: Mapping[Synthesizer, float],
    data: Data,
    schema: Schema,
    accountant: Accountant | SubAccountant,
    *,
    seed: int | None = None,
    validation: Asked | None = None,
    questions: Declared | None = None,
) -> dict[Synthesizer, Release]:
    """Return one release a synthesizer, all paid from one budget.

    Their plans are calibrated together, so that the composition of all of them meets the
    budget; ``weights`` say how the zCDP cost is shared. No epsilon is split: two recipes of
    equal cost get about 0.72 of the noise that half of epsilon and delta each would need. With a
    ``validation``, or a share, each release says how good it is, so that the best can be chosen;
    each has answers to ``questions``, paid from its own part.
    """
    settings, holdout = _taken_apart(validation)
    asked = Questions.of(questions)
    request = Request(weights, schema, accountant, seed, validation=settings, questions=asked)
    releases = _released(request, fit_all(request, data, holdout), data)
    return dict(zip(weights, releases, strict=True))


def synthesize(
    data: Data,
    schema: Schema | Mapping[str, object] | str | PathLike[str],
    *,
    epsilon: float,
    delta: float,
    synthesizer: str | Synthesizer = "clique_tree",
    seed: int | None = None,
) -> Frame:
    """Return synthetic records of a table in one line: a fit, and one sample of it.

    For a first look. The result is as of `Synthesizer.fit`, in frames of the library that was
    given, as many as the noisy total says. ``schema`` is a `Schema`, or what `Schema.from_dict`
    takes, or the path of its file; ``synthesizer`` a name as in `Synthesizer.create`, or one with
    settings. Errors and warnings are those of a fit.

    Privacy
    -------
    Each call is a release of its own and spends the whole of ``epsilon`` and ``delta``, under
    adding or removing one record: two calls on one table cost twice. What was spent is not kept:
    fit, and keep the release, for its ledger, and for further rows at no cost.

    >>> import dp_synth as dps
    >>> data = dps.datasets.load("adult")
    >>> rows = dps.synthesize(data.train, data.schema, epsilon=1, delta=1e-9, seed=0)
    >>> list(rows.columns) == list(data.schema.names)
    True
    """
    recipe = Synthesizer.create(synthesizer) if isinstance(synthesizer, str) else synthesizer
    if not isinstance(recipe, Synthesizer):
        raise InputError(f"the synthesizer must be one or its name, got {recipe!r}")
    if isinstance(schema, (str, PathLike)):
        schema = Schema.load(schema)
    elif isinstance(schema, Mapping):
        schema = Schema.from_dict(schema)
    release = recipe.fit(data, schema, PrivacyBudget(epsilon, delta), seed=seed)
    return release.sample(seed=seed)


def _refuse_unknown(kind: type[Synthesizer], settings: Mapping[str, object]) -> None:
    """Raise InputError for settings that a synthesizer has not."""
    known = [field.name for field in fields(kind)]
    if foreign := [name for name in settings if name not in known]:
        budget = foreign[0] in ("epsilon", "delta", "adjacency")
        why = "fit takes a PrivacyBudget" if budget else nearest(foreign[0], known)
        raise InputError(f"{kind.name} has no setting {foreign[0]!r}; {why}")


def _released(request: Request, fitted: Sequence[Fitted], data: Data) -> list[Release]:
    ledger, output = request.root.ledger_so_far, Output.of(data)
    engine = counted_by(data)
    return [
        Release(
            recipe.name,
            asdict(recipe),
            one.schema,
            one.model,
            ledger,
            one.transcript,
            output,
            request.keys,
            one.unit_weights,
            engine,
        )
        for recipe, one in zip(request.recipes, fitted, strict=True)
    ]


def _taken_apart(asked: Asked | None) -> tuple[Validation | None, Data | None]:
    """Return the settings of a validation, and its hold-out."""
    if isinstance(asked, Against):
        return asked.settings, asked.holdout
    if asked is None or isinstance(asked, Validation):
        return asked, None
    return Validation(asked), None
