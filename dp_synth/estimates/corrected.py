"""Corrected answers: what noisy sums of influences say of questions declared before a fit.

All of it is post-processing of an answer in a transcript. For a question with value ``theta(M)``
of a model and influence function ``phi`` there, Le Cam's one-step estimator (van der Vaart 1998,
sect. 5.7; Bickel 1975)::

    theta(M) + (1 / n) sum of phi over the records

is that of the records up to terms of second order in how far the model is from them, whatever
pairs of columns the model has left out. Its noise is known; sampling of the records from a
population adds a variance of ``Var phi / n``.

What is of second order is not known. It is nothing for shares and means of all records, and little
for those of groups whose share the model has; a ratio of odds or a logistic coefficient that is
far from the model's is not corrected all the way. How far that may be is judged by a second
correction of the same order: the value in the distribution nearest to the model, in relative
entropy, in which the mean of ``phi`` is the measured one (van der Laan & Rubin 2006 fluctuate a
model so). The difference of the two, `CorrectedAnswer.curvature`, widens the interval; it is an
estimate of the size of what is left, and bounds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from dp_synth.errors import InputError
from dp_synth.estimates.estimate import LEVEL, Estimate, check_level, times_exp, within
from dp_synth.estimates.functionals import Distribution
from dp_synth.estimates.questions import Question
from dp_synth.estimates.reading import read_question
from dp_synth.inference import Model
from dp_synth.schema import Schema
from dp_synth.transcript import Answer, SumsAnswer
from dp_synth.types import Clique, Codes, Floats, Integers

PART = "questions"
"""The part of a plan that pays for questions declared before a fit."""

MOST_CELLS = 1_000_000  # of the columns of one question together
DRAWN = 200_000  # rows of the model, where a distribution is too large to be summed out
SEED = 0  # of these rows: public
PARTS_OF_WAY = (1.0, 0.5, 0.25, 0.1, 0.01)
STEPS = 50  # of Newton's method, at most
CONVERGED = 1e-10  # in standard deviations of an influence
LARGEST_STEP = 1.0  # in standard deviations of an influence


@dataclass(frozen=True)
class CorrectedAnswer:
    """One value of a question, of the model and corrected by a noisy sum over the records.

    ``noise`` is the standard deviation of the noise that was added, ``sampling`` that of the
    records as a sample of a population, by the model's variance of the influence. ``curvature`` is
    by how much two corrections of the same order differ; infinite where the second fails. All
    three are of the logarithm of the value where ``is_log``. ``possible`` are the least and largest
    numbers that records can have: intervals end there.
    """

    question: str
    name: str
    model: float
    value: float
    noise: float
    sampling: float
    curvature: float = 0.0
    is_log: bool = False
    possible: tuple[float, float] = (-math.inf, math.inf)

    def interval(self, level: float = LEVEL, *, of_records: bool = False) -> tuple[float, float]:
        """Return the ends of the interval for the population's value: normal, with the curvature.

        ``of_records`` for that of the fitted records themselves: of the noise alone.
        """
        level = check_level(level)
        deviation = self.noise if of_records else float(np.hypot(self.noise, self.sampling))
        wide = float(-ndtri((1 - level) / 2)) * deviation + self.curvature
        if self.is_log:
            return times_exp(self.value, -wide), times_exp(self.value, wide)
        return within(self.value - wide, self.value + wide, self.value, self.possible)

    def estimate(self, level: float = LEVEL) -> Estimate:
        """Return the value with its parts, of which ``misfit`` is the curvature."""
        low, high = self.interval(level)
        return Estimate(
            self.question,
            self.name,
            self.value,
            low,
            high,
            noise=self.noise,
            sampling=self.sampling,
            drawing=0.0,
            misfit=self.curvature,
            scale="log" if self.is_log else "linear",
            level=level,
            is_corrected=True,
        )


def corrected_answers(
    transcript: Iterable[Answer], schema: Schema, model: Model
) -> tuple[CorrectedAnswer, ...]:
    """Return the corrected answers to the questions in the transcript of a fit, in their order.

    ``schema`` and ``model`` are those of its release.
    """
    return tuple(
        one
        for answer in transcript
        if isinstance(answer, SumsAnswer) and answer.part == PART
        for one in _corrected(answer, schema, model)
    )


def answers_to(
    question: Question, answers: Iterable[CorrectedAnswer], schema: Schema
) -> tuple[CorrectedAnswer, ...]:
    """Return the answers to one question, in whatever words it was declared; none if it was not."""
    return tuple(one for one in answers if question == _read(one.question, schema))


def _read(text: str, schema: Schema) -> Question | None:
    try:
        return read_question(text, schema)
    except InputError:
        return None


def _corrected(answer: SumsAnswer, schema: Schema, model: Model) -> Iterator[CorrectedAnswer]:
    asked, records = answer.asked, max(model.total, 1.0)
    moved = asked.units * (answer.values / records - asked.means)
    noise = asked.units * answer.stddev / records
    sampling = np.sqrt(asked.variances / records)
    start = 0
    while start < len(asked):
        question = asked.questions[start]
        own = slice(start, start + asked.questions[start:].count(question))
        off = _curvature(question, schema, model, moved[own])
        read = _read(question, schema)
        possible = (-math.inf, math.inf) if read is None else read.possible
        for i, curvature in zip(range(own.start, own.stop), off, strict=True):
            is_log, value = bool(asked.logs[i]), float(asked.models[i])
            corrected = times_exp(value, float(moved[i])) if is_log else value + float(moved[i])
            yield CorrectedAnswer(
                question,
                asked.names[i],
                value,
                corrected,
                float(noise[i]),
                float(sampling[i]),
                float(curvature),
                is_log,
                possible,
            )
        start = own.stop


def _curvature(text: str, schema: Schema, model: Model, moved: Floats) -> Floats:
    """Return by how much a question's corrected values differ from those of a tilted model.

    Where no distribution is moved as far as noise says, that of a part of the way is taken, and
    of it the square of what is left: it is of second order. 0 where the model has no variance.
    """
    unknown = np.full(len(moved), np.inf)
    try:
        question = read_question(text, schema)
        codes, weights = cells_of_model(model, question.columns)
        before = Distribution(schema, question.columns, codes, weights, model.total)
        found = question.evaluate(before)
        is_log = found.scale == "log"
        influences = found.influences / (found.values if is_log else 1.0)
        if influences.shape[1] != len(moved):
            return unknown
        heard = weights @ influences**2 > 0
        for part in PARTS_OF_WAY:
            tilted = tilt(weights, influences[:, heard], part * moved[heard])
            if tilted is not None:
                values = question.evaluate(replace(before, weights=tilted)).values
                change = np.log(values / found.values) if is_log else values - found.values
                return np.where(heard, np.abs(change - part * moved) / part**2, 0.0)
    except InputError:
        pass
    return unknown


def tilt(weights: Floats, vectors: Floats, means: Floats) -> Floats | None:
    """Return the distribution nearest to ``weights`` in which ``vectors`` have the means.

    Vectors have shape (cells, numbers), and a variance. In relative entropy, where it is ``weights
    * exp(vectors @ e)`` up to a factor (Csiszar 1975). None where Newton's method finds none, such
    as for means that no distribution has.
    """
    spread = np.sqrt(weights @ vectors**2)
    units, goal = vectors / spread, means / spread
    tilted, exponents = weights, np.zeros(len(means))
    for _ in range(STEPS):
        off = goal - tilted @ units
        if np.all(np.abs(off) < CONVERGED):
            return tilted
        centred = units - tilted @ units
        curve = centred.T @ (centred * tilted[:, None])
        step = np.linalg.lstsq(curve, off, rcond=1e-12)[0]
        if not (largest := float(np.abs(step).max())) > 0:  # all that is left lies in one cell
            return None
        exponents = exponents + step * min(1.0, LARGEST_STEP / largest)
        powers = np.where(weights > 0, units @ exponents, -np.inf)
        tilted = weights * np.exp(powers - powers.max())
        tilted = tilted / tilted.sum()
    return None


def cells_of(codes: Codes, columns: Clique, wanted: Clique, shape: tuple[int, ...]) -> Integers:
    """Return the number, in C order of ``shape``, of each record's cell over ``wanted``."""
    places = [columns.index(name) for name in wanted]
    return np.ravel_multi_index(tuple(codes[:, place] for place in places), shape).astype(np.int64)


def cells_of_model(model: Model, columns: Clique) -> tuple[Codes, Floats]:
    """Return all cells of a marginal in C order, and the model's probability of each.

    Of a marginal that is too large to be summed out, that among rows which it draws. InputError
    for more than `MOST_CELLS`.
    """
    shape = model.domain.shape(columns)
    if (size := math.prod(shape)) > MOST_CELLS:
        raise InputError(f"its columns have {size:,} cells, at most {MOST_CELLS:,} are allowed")
    codes = np.indices(shape, dtype=np.int32).reshape(len(columns), -1).T
    try:
        counts = np.maximum(np.asarray(model.marginal(columns), dtype=np.float64), 0.0).ravel()
    except InputError:
        drawn = rows_of_model(model, columns)
        cells = cells_of(drawn, columns, columns, shape)
        counts = np.bincount(cells, minlength=len(codes)).astype(np.float64)
    total = float(counts.sum())
    weights = counts / total if total > 0 else np.full(len(counts), 1 / len(counts))
    return codes, weights


def rows_of_model(model: Model, columns: Clique) -> Codes:
    """Return codes of rows that the model draws by a public seed."""
    rows = model.sample(DRAWN, np.random.default_rng(SEED))
    return rows[:, [model.domain.axis(name) for name in columns]]
