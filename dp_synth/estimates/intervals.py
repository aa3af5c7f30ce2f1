"""Answers of a release to questions, each with an interval and what that is made of.

An answer is the model's value theta(M), exact where the columns of the question have few cells
together, else over many rows that the model draws. With the influence function phi of theta at M
its error is, in first order, ``theta(M) - theta(P) = sum (M - P) phi``, of four parts:

- *noise*, which was added to all that was measured, and *sampling* of the records from a
  population: how far `replicas` of the fit, with records drawn anew from M, lie from M. Together no
  less than ``Var_M(phi) / n``, the variance of that mean over n records (Hampel 1974), times the
  mean number of rows that a unit has beside one of its own, where the unit has several;
- *drawing* of the rows over which an integral was taken;
- *misfit*: what the model leaves out of the columns together (`Misfit`).

The parts are independent and add up in squares; Student's t has as many degrees of freedom as there
are replicas, less one. Quantiles have the interval of their level, taken back by the distribution
function (Woodruff 1952); ratios that of their logarithm.

Where the fit paid for answers to declared questions, those are corrected by noisy sums of their
influence functions, and have neither the model's noise nor its misfit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.special import stdtrit

from dp_synth.errors import InputError
from dp_synth.estimates.estimate import LEVEL, Estimate, times_exp, within
from dp_synth.estimates.functionals import Distribution, Evaluated
from dp_synth.estimates.groups import Group, has_numbers
from dp_synth.estimates.misfit import FOUND, Misfit
from dp_synth.estimates.parts import Parts
from dp_synth.estimates.questions import Count, Question
from dp_synth.inference import MixtureModel, Model
from dp_synth.inference.bootstrap import REPLICAS, Replica
from dp_synth.schema import Schema
from dp_synth.transcript import Answer, MarginalAnswer
from dp_synth.types import Clique, Codes, Floats

MOST_EXACT = 200_000  # cells of the columns of a question: of more, rows are drawn
ROWS = 100_000
SEED = 0  # of rows that stand for an integral
HIDDEN = 2.0  # deviations of noise, below which a count may be hidden


class Fitted(Protocol):
    """What answers are made from: the parts of a release that they need."""

    @property
    def schema(self) -> Schema:
        """What is public of the columns."""

    @property
    def model(self) -> Model:
        """What was fitted."""

    @property
    def transcript(self) -> Sequence[Answer]:
        """The noisy answers that it was fitted to."""

    @property
    def counted_model(self) -> Model:
        """The model of what these answers count."""

    @property
    def design_effect(self) -> float:
        """How many times the variance of a mean is that of rows of units of their own."""

    def replicas(self, *, redraw: bool, count: int) -> Iterator[Replica]:
        """Give models as they might have come out."""


@dataclass(frozen=True, eq=False)
class Answerer:
    """What a release knows of its own errors: replicas of its fit, and what its model leaves out.

    InputError where the release has no replicas: no transcript, or a network for a model.
    """

    release: Fitted
    count: int = REPLICAS

    @cached_property
    def replicas(self) -> Sequence[Replica]:
        """Fits of records that the model draws, with noise drawn anew."""
        model = self.release.model
        drawn = self.release.replicas(redraw=True, count=self.count)
        found = tuple(replace(one, codes=None) for one in drawn)  # records would take much memory
        if not found:
            lacking = (
                "a network for a model" if isinstance(model, MixtureModel) else "no transcript"
            )
            raise InputError(
                f"this release has {lacking}, and so nothing to tell errors by; declare the "
                "question before the fit, or fit by marginals"
            )
        return found

    @cached_property
    def misfit(self) -> Misfit:
        """What the transcript says of pairs."""
        schema, every = self.release.schema, Group(self.release.schema, {})
        numbers = {
            name: every.numbers(name)[0] for name in schema.names if has_numbers(schema, name)
        }
        return Misfit.of(self.release.counted_model, self.release.transcript, numbers)

    @cached_property
    def _rows(self) -> Codes:
        return self.release.model.sample(ROWS, np.random.default_rng(SEED))

    def answer(self, question: Question, level: float = LEVEL) -> tuple[Estimate, ...]:
        """Return the estimates of a question, one but for regressions."""
        schema = self.release.schema
        question.check(schema)
        columns = question.columns
        exact = schema.domain.cells(columns) <= MOST_EXACT
        here = self._exact(columns) if exact else self._drawn(columns)
        found = question.evaluate(here)
        if found.scale == "log" and not np.all(found.values > 0):
            raise InputError(f"{question}: is 0 in the release, and 0 has no logarithm")
        influences = (
            found.influences if found.inverse is None else found.inverse.influences[:, None]
        )
        parts = Parts.of(schema.domain, columns, here.codes, here.weights, influences)
        if exact:
            moves = np.array([_chances(one.model, columns) @ influences for one in self.replicas])
        else:
            own = parts.mean(self.release.model)  # 0 but for the chance of the rows
            moves = np.array([parts.mean(one.model) - own for one in self.replicas])
        if isinstance(question, Count):  # whose influences are those of its share alone
            totals = np.array([one.model.total for one in self.replicas])
            moves += np.outer(totals / here.total - 1, found.values)
        variances = here.weights @ np.square(influences)
        sampling = self.release.design_effect * variances / max(self.release.model.total, 1.0)
        left = self.misfit.left(parts)
        spread = np.mean(np.square(moves), axis=0) - sampling
        noise = np.maximum(spread, self._hidden(here, influences))
        drawing = np.zeros_like(variances) if exact else variances / ROWS
        errors = np.sqrt(np.array([noise, sampling, drawing, left.variances]))
        return tuple(
            self._estimate(question, found, place, errors[:, place], left.not_covered, level)
            for place in range(len(found.names))
        )

    def _exact(self, columns: Clique) -> Distribution:
        """Return the model's joint distribution of columns."""
        counts = np.maximum(self.release.model.marginal(columns), 0.0)
        return Distribution.of_counts(self.release.schema, columns, counts)

    def _drawn(self, columns: Clique) -> Distribution:
        """Return that of rows which the model draws."""
        model = self.release.model
        axes = [model.domain.axis(name) for name in columns]
        cells, counts = np.unique(self._rows[:, axes], axis=0, return_counts=True)
        weights = counts / counts.sum()
        return Distribution(self.release.schema, columns, cells, weights, model.total)

    def _estimate(
        self,
        question: Question,
        found: Evaluated,
        place: int,
        parts: Floats,
        not_covered: str,
        level: float,
    ) -> Estimate:
        """Return one value with its interval; ``parts`` are standard errors."""
        value, inverse, errors = float(found.values[place]), found.inverse, parts.tolist()
        reach = float(stdtrit(len(self.replicas) - 1, (1 + level) / 2)) * math.hypot(*errors)
        scale = found.scale
        if inverse is not None:
            low, high = (
                inverse.quantile(min(max(inverse.level + side * reach, 0.0), 1.0))
                for side in (-1, 1)
            )
            slope = (high - low) / (2 * reach) if reach else 0.0
            errors = [slope * error for error in errors]
        elif scale == "log":
            errors = [error / value for error in errors]
            low, high = times_exp(value, -reach / value), times_exp(value, reach / value)
        else:
            low, high = within(value - reach, value + reach, value, question.possible)
        noise_error, sampling_error, drawing_error, misfit_error = errors
        return Estimate(
            str(question),
            found.names[place],
            value,
            low,
            high,
            noise=noise_error,
            sampling=sampling_error,
            drawing=drawing_error,
            misfit=misfit_error,
            scale=scale,
            not_covered=not_covered,
            level=level,
        )

    def _hidden(self, here: Distribution, influences: Floats) -> Floats:
        """Return the variances of what noise may hide in cells that were cut at 0.

        Such a count hardly moves when noise is drawn anew, however large the one may be that is
        hidden there. Of the best answer that covers the columns: noise that has passed a cut at 0
        leaves a count c of a variance of about c times its deviation, and no more than its square.
        """
        answers = [
            answer
            for answer in self.release.transcript
            if isinstance(answer, MarginalAnswer)
            and answer.part not in FOUND
            and set(here.columns) <= set(answer.clique)
            and not answer.groups.keys() & set(here.columns)
        ]
        if not answers or not here.columns:
            return np.zeros(influences.shape[1])
        size = math.prod(self.release.schema.domain.shape(here.columns))
        noise = min(a.stddev * math.sqrt(max(1.0, a.values.size / size)) for a in answers)
        total = max(self.release.model.total, 1.0)
        noise *= total / max(self.release.counted_model.total, total)  # of rows, not of weights
        counts = here.weights * self.release.model.total
        hidden = counts < HIDDEN * noise
        variances = noise * np.minimum(counts[hidden], noise)
        return np.asarray(variances @ np.square(influences[hidden])) / total**2


def _chances(model: Model, columns: Clique) -> Floats:
    counts = np.maximum(model.marginal(columns), 0.0).ravel()
    return np.asarray(counts / max(float(counts.sum()), 1e-300))
