"""Answers of a release to questions, each with an interval and what that is made of.

An answer is the model's value theta(M), exact where the columns of the question have few cells
together, else over many rows that the model draws. With the influence function phi of theta at M
its error is, in first order, ``theta(M) - theta(P) = sum (M - P) phi``, of four parts:

- *noise*, which was added to all that was measured, and *sampling* of the records from a
  population: how far `replicas` of the fit, with records drawn anew from M, lie from M. Together no
  less than ``Var_M(phi) / n``, the variance of that mean over n records (Hampel 1974);
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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.special import stdtrit

from dp_synth.errors import InputError
from dp_synth.estimates.estimate import LEVEL, Estimate
from dp_synth.estimates.functionals import Distribution, Evaluated
from dp_synth.estimates.misfit import Misfit
from dp_synth.estimates.questions import Count, Question
from dp_synth.inference import MixtureModel, Model
from dp_synth.inference.bootstrap import REPLICAS, Replica, replicas
from dp_synth.schema import Schema
from dp_synth.transcript import Answer, MarginalAnswer
from dp_synth.types import Clique, Codes, Floats

MOST_EXACT = 200_000  # cells of the columns of a question: of more, rows are drawn
ROWS, ROWS_OF_REPLICA = 100_000, 10_000
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
        model, answers = self.release.model, self.release.transcript
        found = tuple(replicas(model, answers, redraw=True, count=self.count))
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
        return Misfit.of(self.release.model, self.release.transcript)

    @cached_property
    def _rows(self) -> Codes:
        return self.release.model.sample(ROWS, np.random.default_rng(SEED))

    @cached_property
    def _rows_of_replicas(self) -> list[Codes]:
        rngs = np.random.default_rng(SEED).spawn(len(self.replicas))
        return [
            one.model.sample(ROWS_OF_REPLICA, rng)
            for one, rng in zip(self.replicas, rngs, strict=True)
        ]

    def answer(self, question: Question, level: float = LEVEL) -> tuple[Estimate, ...]:
        """Return the estimates of a question, one but for regressions."""
        schema = self.release.schema
        question.check(schema)
        columns = question.columns
        exact = schema.domain.cells(columns) <= MOST_EXACT
        here, replicated = self._exact(columns) if exact else self._drawn(columns)
        found = question.evaluate(here)
        if found.scale == "log" and not np.all(found.values > 0):
            raise InputError(f"{question}: is 0 in the release, and 0 has no logarithm")
        moves = replicated @ found.influences
        if isinstance(question, Count):  # whose influences are those of its share alone
            totals = np.array([one.model.total for one in self.replicas])
            moves += np.outer(totals / here.total - 1, found.values)
        return tuple(
            self._estimate(question, here, found, place, moves[:, place], level, exact=exact)
            for place in range(len(found.names))
        )

    def _exact(self, columns: Clique) -> tuple[Distribution, Floats]:
        """Return the model's joint distribution of columns, and the chances that replicas give."""
        counts = np.maximum(self.release.model.marginal(columns), 0.0)
        here = Distribution.of_counts(self.release.schema, columns, counts)
        return here, np.array([_chances(one.model, columns) for one in self.replicas])

    def _drawn(self, columns: Clique) -> tuple[Distribution, Floats]:
        """Return what `_exact` does of rows, over the cells that occur among any of them."""
        model = self.release.model
        axes = [model.domain.axis(name) for name in columns]
        draws = [rows[:, axes] for rows in (self._rows, *self._rows_of_replicas)]
        cells = np.ravel_multi_index(tuple(np.concatenate(draws).T), model.domain.shape(columns))
        found, places = np.unique(cells, return_inverse=True)
        ends = np.cumsum([len(rows) for rows in draws])[:-1]
        weights = [
            np.bincount(part, minlength=len(found)) / len(part) for part in np.split(places, ends)
        ]
        codes = np.column_stack(np.unravel_index(found, model.domain.shape(columns)))
        here = Distribution(
            self.release.schema, columns, codes.astype(np.int32), weights[0], model.total
        )
        return here, np.array(weights[1:])

    def _estimate(
        self,
        question: Question,
        here: Distribution,
        found: Evaluated,
        place: int,
        moves: Floats,
        level: float,
        *,
        exact: bool,
    ) -> Estimate:
        value, phi = float(found.values[place]), found.influences[:, place]
        inverse = found.inverse
        if inverse is not None:
            moves = moves * _slope(inverse.influences, phi)
            phi = inverse.influences
        total = max(self.release.model.total, 1.0)
        variance = float(here.weights @ np.square(phi))
        sampling = variance / total
        drawing = 0.0 if exact else variance / ROWS
        spread = float(np.mean(np.square(moves))) - (0.0 if exact else variance / ROWS_OF_REPLICA)
        noise = max(spread - sampling, self._hidden(here, phi), 0.0)
        left = self.misfit.left(here.columns, here.codes, here.weights, phi)
        errors = [math.sqrt(part) for part in (noise, sampling, drawing, left.variance)]
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
            low, high = value * math.exp(-reach / value), value * math.exp(reach / value)
        else:
            low, high = value - reach, value + reach
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
            not_covered=left.not_covered,
            level=level,
        )

    def _hidden(self, here: Distribution, phi: Floats) -> float:
        """Return the variance of what noise may hide in cells that were cut at 0.

        Such a count hardly moves when noise is drawn anew, however large the one may be that is
        hidden there. Of the best answer that covers the columns: noise that has passed a cut at 0
        leaves a count c of a variance of about c times its deviation, and no more than its square.
        """
        answers = [
            answer
            for answer in self.release.transcript
            if isinstance(answer, MarginalAnswer)
            and answer.part not in ("bins", "categories")
            and set(here.columns) <= set(answer.clique)
            and not answer.groups.keys() & set(here.columns)
        ]
        if not answers or not here.columns:
            return 0.0
        size = math.prod(self.release.schema.domain.shape(here.columns))
        noise = min(a.stddev * math.sqrt(max(1.0, a.values.size / size)) for a in answers)
        counts = here.weights * self.release.model.total
        hidden = counts < HIDDEN * noise
        variances = noise * np.minimum(counts[hidden], noise)
        return float(np.square(phi[hidden]) @ variances) / max(self.release.model.total, 1.0) ** 2


def _slope(first: Floats, second: Floats) -> float:
    """Return what turns moves of a quantile into moves of its level."""
    scale = float(second @ second)
    return float(first @ second) / scale if scale else 0.0


def _chances(model: Model, columns: Clique) -> Floats:
    counts = np.maximum(model.marginal(columns), 0.0).ravel()
    return np.asarray(counts / max(float(counts.sum()), 1e-300))
