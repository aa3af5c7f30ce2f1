"""PATE queries: pairs of made records that teachers are asked about, and the student of winners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from dp_synth.mechanisms.pate import Questions
from dp_synth.transcript import HIDDEN
from dp_synth.types import Codes, Floats, Integers

CONTEXT_ATTRIBUTES = (
    3  # attributes that a question shows beside its own: of more, a vote says less of each
)
SOFTENING = 0.02  # as that of teachers: weights of rarer pairs of codes are expected to be larger
RIDGE = 1.0  # weight of the prior, in units of one question
ITERATIONS = 60
MIN_FREQUENCY = 1e-9  # frequency whose logarithm is taken
LEANING_STEP = (
    0.5  # of the way that the chain's frequencies are brought to the reference in a sweep
)


@dataclass(frozen=True)
class QueryBatch:
    """Size of a batch of queries; ``share`` of them at least are about ``label``, if named."""

    questions: int
    label: int | None = None
    share: float = 0.0


QueryMaker = Callable[[Codes, Sequence[Floats], QueryBatch, np.random.Generator], Questions]
"""Makes questions of a student's records, beside the frequencies of its reference."""


def pairwise_queries(
    records: Codes, reference: Sequence[Floats], batch: QueryBatch, rng: np.random.Generator
) -> Questions:
    """Return questions about made records: is this value of an attribute more real, or another?

    The attribute is any that has two values, or the label; the other value comes from its
    frequencies. `CONTEXT_ATTRIBUTES` others are shown beside it.
    """
    chosen = records[rng.integers(len(records), size=batch.questions)]
    attributes = _attributes(reference, batch, rng)
    others = _others(chosen, attributes, reference, rng)
    several = _with_choice(reference)
    hidden = np.ones(chosen.shape, dtype=bool)
    hidden[np.arange(len(chosen)), attributes] = False
    for number, attribute in enumerate(attributes):
        rest = several[several != attribute]
        hidden[number, rng.permutation(rest)[:CONTEXT_ATTRIBUTES]] = False
    return Questions(np.where(hidden, HIDDEN, chosen), attributes, others)


def conditional_queries(
    records: Codes, reference: Sequence[Floats], batch: QueryBatch, rng: np.random.Generator
) -> Questions:
    """Return questions about records that were given a condition first.

    Each record is a made one that has a chosen value: of an attribute drawn evenly, in proportion
    to the logarithm of its frequency (training by sampling, Xu et al. 2019, arXiv:1907.00503,
    sect. 4.3), so that rare values are asked about as well. Another attribute is then the
    question.
    """
    attributes = _attributes(reference, batch, rng)
    several = _with_choice(reference)
    chosen = np.empty((batch.questions, records.shape[1]), dtype=np.int32)
    hidden = np.ones(chosen.shape, dtype=bool)
    hidden[np.arange(len(chosen)), attributes] = False
    for number, attribute in enumerate(attributes):
        condition = rng.choice(several[several != attribute])
        weight = np.log1p(len(records) * reference[condition])
        value = rng.choice(len(weight), p=weight / weight.sum())
        having = np.flatnonzero(records[:, condition] == value)
        chosen[number] = records[rng.choice(having) if len(having) else rng.integers(len(records))]
        chosen[number, condition] = value
        rest = several[(several != attribute) & (several != condition)]
        hidden[number, [condition, *rng.permutation(rest)[: CONTEXT_ATTRIBUTES - 1]]] = False
    others = _others(chosen, attributes, reference, rng)
    return Questions(np.where(hidden, HIDDEN, chosen), attributes, others)


def _attributes(
    reference: Sequence[Floats], batch: QueryBatch, rng: np.random.Generator
) -> Integers:
    several = _with_choice(reference)
    attributes = rng.choice(several, batch.questions)
    if batch.label is not None and batch.label in several:
        attributes[rng.random(batch.questions) < batch.share] = batch.label
    return attributes


def _with_choice(reference: Sequence[Floats]) -> Integers:
    return np.flatnonzero([len(frequencies) > 1 for frequencies in reference])


def _others(
    records: Codes, attributes: Integers, reference: Sequence[Floats], rng: np.random.Generator
) -> Integers:
    """Return another value of each record's attribute, by its frequencies."""
    others = np.empty(len(records), dtype=np.int64)
    for number, attribute in enumerate(attributes):
        chances = reference[attribute] + 1e-9
        chances[records[number, attribute]] = 0.0
        others[number] = rng.choice(len(chances), p=chances / chances.sum())
    return others


@dataclass(frozen=True, eq=False)
class Student:
    """How much more real than independent attributes a record is: a sum over its pairs of codes.

    ``reference`` holds each attribute's frequencies; ``weights`` has shape (codes, codes), all
    attributes' codes side by side, and is symmetric.
    """

    reference: Sequence[Floats]
    weights: Floats

    @classmethod
    def untaught(cls, reference: Sequence[Floats]) -> Student:
        """Return the student to whom all records are equally real."""
        codes = sum(len(frequencies) for frequencies in reference)
        return cls(reference, np.zeros((codes, codes)))

    @classmethod
    def taught(
        cls, reference: Sequence[Floats], better: Codes, worse: Codes, attributes: Integers
    ) -> Student:
        """Return the student who finds each of ``better`` more real than its equal in ``worse``.

        The records of a pair differ in one of ``attributes``. Logistic regression on
        differences of scores (Bradley & Terry 1952) with a Gaussian prior, under which weights
        of rare pairs of codes are the larger.
        """
        from scipy.optimize import minimize

        starts = _starts(reference)
        design, cells, scale = _design(reference, (better, worse), attributes, starts)
        ridge = RIDGE * design.power(2).sum() / max(1, len(better))

        def loss(theta: Floats) -> tuple[float, Floats]:
            margin = design @ theta
            value = np.logaddexp(0.0, -margin).sum() + 0.5 * ridge * theta @ theta
            return float(value), ridge * theta - design.T @ expit(-margin)

        start = np.zeros(len(cells))
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
        codes = starts[-1]
        weights = np.zeros(codes * codes)
        weights[cells] = found.x * scale
        square = weights.reshape(codes, codes)
        return cls(reference, square + square.T)

    def scores(self, records: Codes) -> Floats:
        """Return the logarithm of how much more real than independent each record is."""
        marks = _one_hot(records, _starts(self.reference))
        return np.asarray(0.5 * ((marks @ self.weights) * marks).sum(axis=1))

    def sweep(
        self, records: Codes, leanings: Sequence[Floats], sweeps: int, rng: np.random.Generator
    ) -> tuple[Codes, list[Floats]]:
        """Return records after Gibbs sampling from the reference times exp(score).

        ``leanings`` are logarithms of what each attribute's codes are weighted by. After each
        sweep they move so that the records come to have the reference's frequencies, which the
        scores alone would change: one-way marginals are known, and not for the student to say.
        """
        starts = _starts(self.reference)
        marks, codes = _one_hot(records, starts), records.copy()
        weights, own = self.weights.astype(np.float32), [leaning.copy() for leaning in leanings]
        for _ in range(sweeps):
            for axis in range(len(self.reference)):
                block = slice(starts[axis], starts[axis + 1])
                logits = marks @ weights[:, block] + own[axis]
                codes[:, axis] = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
                marks[:, block] = 0.0
                marks[np.arange(len(codes)), starts[axis] + codes[:, axis]] = 1.0
            for axis, frequencies in enumerate(self.reference):
                seen = np.bincount(codes[:, axis], minlength=len(frequencies)) + 0.5
                batch = frequencies * len(codes) + 0.5
                own[axis] += LEANING_STEP * np.log(batch / seen)
        return codes, own

    def leanings(self) -> list[Floats]:
        """Return the logarithms of the reference, from which sweeps start."""
        return [np.log(np.maximum(frequencies, MIN_FREQUENCY)) for frequencies in self.reference]


def independent_records(
    reference: Sequence[Floats], records: int, rng: np.random.Generator
) -> Codes:
    """Return records of independent attributes with the reference's frequencies."""
    columns = [rng.choice(len(p), records, p=p / p.sum()) for p in reference]
    return np.stack(columns, axis=1).astype(np.int32)


def _design(
    reference: Sequence[Floats], sides: tuple[Codes, Codes], attributes: Integers, starts: Integers
) -> tuple[csr_array, Integers, Floats]:
    """Return a row a question, a column a pair of codes; the pairs' cells; and their scales.

    Cells are numbered row by row with the smaller code first, so that half the square is used.
    """
    frequencies = np.concatenate(reference)
    codes, questions = int(starts[-1]), np.arange(len(attributes))
    rows, cells, values = [], [], []
    for records, sign in zip(sides, (1.0, -1.0), strict=True):
        places = np.maximum(records, 0) + starts[:-1]
        own = places[questions, attributes][:, None]
        others = (np.arange(records.shape[1]) != attributes[:, None]) & (records != HIDDEN)
        first, second = np.minimum(own, places), np.maximum(own, places)
        scale = 1 / np.sqrt(frequencies[first] * frequencies[second] + SOFTENING)
        rows.append(np.broadcast_to(questions[:, None], places.shape)[others])
        cells.append((first * codes + second)[others])
        values.append(sign * scale[others])
    used, column = np.unique(np.concatenate(cells), return_inverse=True)
    shape = (len(questions), len(used))
    design = csr_array((np.concatenate(values), (np.concatenate(rows), column)), shape=shape)
    products = frequencies[used // codes] * frequencies[used % codes]
    return design, used, 1 / np.sqrt(products + SOFTENING)


def _starts(reference: Sequence[Floats]) -> Integers:
    return np.array(list(accumulate((len(p) for p in reference), initial=0)), dtype=np.int64)


def _one_hot(records: Codes, starts: Integers) -> NDArray[np.float32]:
    marks = np.zeros((len(records), int(starts[-1])), dtype=np.float32)
    marks[np.arange(len(records))[:, None], records + starts[:-1]] = 1.0
    return marks
