"""Questions declared before a fit: noisy sums by which its model's answers are corrected.

The model is public once it is fitted, and with it each question's value and influence function.
One Gaussian answer has the sums of all influences over the records (`estimates.corrected` says
what is made of them): so answers do not depend on which pairs of columns the model has kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dp_synth.accounting import Gaussians, Plan
from dp_synth.errors import InputError, warn
from dp_synth.estimates import Distribution, Question
from dp_synth.estimates.corrected import (
    MOST_CELLS,
    PART,
    cells_of,
    cells_of_model,
    rows_of_model,
)
from dp_synth.extensions import unknown
from dp_synth.inference import Model
from dp_synth.mechanisms import RecordVectors, measure_sums, sum_sensitivity
from dp_synth.mechanisms.gaussian import MOST_SUMS, clip_vectors
from dp_synth.mechanisms.noise import LARGEST_SCALE
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.schema import Schema
from dp_synth.transcript import AskedSums
from dp_synth.types import Clique, Codes, Floats, Integers

LARGEST_SHARE = 0.5
FINENESS = 2**20  # whole numbers in the norm to which a record's influences are clipped
LOST = 1e-4  # of each influence's mean square in the model, what clipping may take at most
SMALLEST = 1e-300  # in place of a norm of 0
HALVINGS = 30  # of an interval in which a bound is searched


@dataclass(frozen=True)
class Questions:
    """What part of a fit's budget answers which questions.

    ``share`` is its part of the zCDP cost of the whole fit; with a validation, that takes its own
    part of the rest. All questions are answered together: the noise of each of k values is up to
    about sqrt(k) times that of one alone. InputError for a share that is none, and for no question.
    """

    asked: tuple[Question, ...]
    share: float = 0.1

    def __post_init__(self) -> None:
        given: object = self.asked
        if not isinstance(given, Sequence) or isinstance(given, str) or not given:
            raise InputError(f"questions must be a list of one or more, got {given!r}")
        object.__setattr__(self, "asked", tuple(given))
        for question in given:
            if not isinstance(question, Question):
                raise InputError(f"questions must be those of dp_synth.estimates, got {question!r}")
        texts = [str(question) for question in given]
        if twice := [text for text in texts if texts.count(text) > 1]:
            raise InputError(f"{twice[0]}: is asked twice; ask each question once")
        if not 0 < self.share <= LARGEST_SHARE:
            raise InputError(
                f"the share of questions must lie in (0, {LARGEST_SHARE}], got {self.share}"
            )

    def check(self, schema: Schema) -> None:
        """Raise InputError where a column is unknown, or a question has no room or no answer.

        Columns whose categories or cells the fit will find have those that are known before.
        """
        found_later = {*schema.open, *schema.fine}
        for question in self.asked:
            if not question.columns:
                raise InputError(f"{question}: asks of no column; the total is in every release")
            for name in question.columns:
                if name not in schema.domain:
                    raise InputError(f"{question}: {unknown('column', name, schema.names)}")
            known = [name for name in question.columns if name not in found_later]
            if (cells := schema.domain.cells(known)) > MOST_CELLS:
                raise InputError(
                    f"{question}: its columns have {cells:,} cells together, at most "
                    f"{MOST_CELLS:,} can be asked of before a fit; leave a column out, or give "
                    "them fewer bins"
                )
            if len(known) == len(question.columns):
                question.check(schema)

    def added_to(self, plan: Plan) -> Plan:
        """Return the plan with a part that pays for the answers, after all others.

        InputError where the plan has a part of this name of its own.
        """
        if PART in plan.parts:
            raise InputError(f"the part {PART} is that of questions")
        others = math.fsum(part.share for part in plan.parts.values() if part.count) or 1.0
        share = others * self.share / (1 - self.share)
        return Plan({**plan.parts, PART: Gaussians(1, share)})

    def pairs(self, schema: Schema) -> list[Clique]:
        """Return the pairs of columns that are asked of together, in the order of the schema."""
        order = {name: place for place, name in enumerate(schema.names)}
        found: dict[Clique, None] = {}
        for question in self.asked:
            for first, second in combinations(sorted(question.columns, key=order.__getitem__), 2):
                found[first, second] = None
        return list(found)

    def identity(self) -> dict[str, object]:
        """Return what tells them from others, as JSON has it."""
        return {"asked": [str(question) for question in self.asked], "share": self.share}

    @classmethod
    def of(cls, asked: Declared | None) -> Questions | None:
        """Return the settings of what a fit is given."""
        if asked is None or isinstance(asked, Questions):
            return asked
        return cls(asked)  # type: ignore[arg-type]


Declared = Questions | Sequence[Question]
"""What a fit takes: bare questions have the share that is usual."""


def answer_questions(
    settings: Questions,
    schema: Schema,
    table: PrivateTable,
    model: Model,
    rng: np.random.Generator,
) -> None:
    """Ask the sums that correct what ``model`` answers, and leave them in the table's transcript.

    ``schema`` is that of the table's codes. A question that the model cannot answer is left out,
    with a warning, as are all of them where an earlier run of the fit has charged for them.

    Privacy
    -------
    Values, influences, units and the bound of norms are functions of the model, which is public
    by then. The vector of a record is looked up by its codes in tables that are made before any
    record is read, and `measure_sums` clips and charges.
    """
    part = table.payer.plan.gaussians(PART)
    assert isinstance(part, Gaussians)  # at delta 0 questions are refused
    if table.payer.left(part) < part.count:
        warn(
            "the questions were charged before the fit was stopped, and cannot be asked again: "
            "the release has no corrected answers",
            UserWarning,
        )
        return
    influences, fineness = list(_influences(settings.asked, schema, model)), _fineness(part, table)
    if not fineness:
        warn("no question is answered: noise would drown all answers; raise epsilon", UserWarning)
    elif influences:
        vectors = _vectors(influences, model, fineness)
        measure_sums(table, vectors, part, rng, why="corrections of answers")


def _fineness(part: Gaussians, table: PrivateTable) -> int:
    """Return the norm in whole numbers whose noise can be drawn: a power of two, 0 for none."""
    one = part.event(sum_sensitivity(1, table.adjacency, table.payer.budget.max_rows)).stddev
    room = math.floor(min(LARGEST_SCALE / one, FINENESS))
    return 1 << (room.bit_length() - 1) if room else 0


@dataclass(frozen=True, eq=False)
class Influences:
    """The values of one question in a model, and the influence of each cell of its columns.

    ``table`` has shape (cells, values); cells are in C order of ``shape``.
    """

    columns: Clique
    shape: tuple[int, ...]
    question: str
    names: tuple[str, ...]
    is_log: bool
    values: Floats
    variances: Floats
    bounds: Floats
    table: Floats

    def at(self, codes: Codes, columns: Clique) -> Floats:
        """Return the influences of records, in units of ``bounds``, shape (records, values)."""
        return np.asarray(self.table[cells_of(codes, columns, self.columns, self.shape)])


def _influences(asked: Sequence[Question], schema: Schema, model: Model) -> Iterator[Influences]:
    """Yield what each question says of the model; those that it cannot answer are told."""
    taken = 0
    for question in asked:
        try:
            found = _influence(question, schema, model)
        except InputError as error:
            warn(f"{question} is left out: {error}", UserWarning)
            continue
        if (taken := taken + len(found.names)) > MOST_SUMS:
            warn(f"{question} is left out: there are more than {MOST_SUMS} values", UserWarning)
            return
        yield found


def _influence(question: Question, schema: Schema, model: Model) -> Influences:
    columns, shape = question.columns, schema.domain.shape(question.columns)
    question.check(schema)
    codes, weights = cells_of_model(model, columns)
    distribution = Distribution(schema, columns, codes, weights, model.total)
    found = question.evaluate(distribution)
    is_log = found.scale == "log"
    table = found.influences
    if is_log:
        if not np.all(found.values > 0):
            raise InputError("a ratio of 0 has no logarithm")
        table = table / found.values
    with np.errstate(over="ignore", invalid="ignore"):  # of a group of next to no chance
        variances = weights @ table**2
    if not all(np.isfinite(numbers).all() for numbers in (found.values, table, variances)):
        raise InputError("it has no finite answer in the model")
    sizes = np.abs(table)
    bounds = np.array([_bound(sizes[:, i : i + 1], weights) for i in range(sizes.shape[1])])
    return Influences(
        columns,
        shape,
        str(question),
        found.names,
        is_log,
        found.values,
        variances,
        bounds,
        table / bounds,
    )


def _bound(vectors: Floats, weights: Floats) -> float:
    """Return the norm at which no number loses more than ``LOST`` of its mean square when clipped.

    Vectors have shape (cells, numbers). Numbers that the model has nowhere but at 0 lose nothing,
    up to the largest of any cell. What is cut biases the corrected answer by its mean in the
    records less that in the model: by at most ``sqrt(LOST)`` standard deviations of the influence
    times the chi distance between the two, and not at all where they agree in the tail.
    """
    squares = weights @ vectors**2
    silent = np.abs(vectors[:, squares <= 0]).max(axis=0, initial=0.0)
    vectors, squares = vectors[:, squares > 0], squares[squares > 0]
    norms = np.sqrt((vectors**2).sum(axis=1))
    low, high = 0.0, float(norms.max(initial=0.0))
    for _ in range(HALVINGS if high > 0 else 0):
        middle = (low + high) / 2
        cut = 1 - np.minimum(1.0, middle / np.maximum(norms, SMALLEST))
        lost = weights @ (vectors * cut[:, None]) ** 2
        low, high = (low, middle) if np.all(lost <= LOST * squares) else (middle, high)
    return float(np.sqrt(high**2 + silent @ silent)) or 1.0


def _vectors(influences: Sequence[Influences], model: Model, fineness: int) -> RecordVectors:
    """Return the whole numbers of a record, their bound, and what their sums are asked for."""
    columns = tuple(dict.fromkeys(name for one in influences for name in one.columns))
    if math.prod(model.domain.shape(columns)) <= MOST_CELLS:
        codes, weights = cells_of_model(model, columns)
    else:
        codes = rows_of_model(model, columns)
        weights = np.full(len(codes), 1 / len(codes))
    joined = np.concatenate([one.at(codes, columns) for one in influences], axis=1)
    heard = weights @ joined**2 > 0  # others have numbers up to 1, in cells that are not drawn
    norm = math.hypot(max(_bound(joined[:, heard], weights), 1.0), math.sqrt(sum(~heard)))
    tables = [
        np.rint(np.clip(one.table * (fineness / norm), -64 * fineness, 64 * fineness)).astype(
            np.int64
        )
        for one in influences
    ]

    def whole(codes: Codes) -> Integers:
        parts = [
            table[cells_of(codes, columns, one.columns, one.shape)]
            for one, table in zip(influences, tables, strict=True)
        ]
        return np.concatenate(parts, axis=1)

    numbers = whole(codes)
    means = weights @ (clip_vectors(numbers, fineness) - joined * (fineness / norm))
    asked = AskedSums(
        tuple(one.question for one in influences for _ in one.names),
        tuple(name for one in influences for name in one.names),
        np.array([one.is_log for one in influences for _ in one.names]),
        np.concatenate([one.values for one in influences]),
        np.concatenate([one.bounds for one in influences]) * norm / fineness,
        means,
        np.concatenate([one.variances for one in influences]),
    )
    return RecordVectors(columns, whole, fineness, asked)
