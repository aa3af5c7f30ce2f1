"""Corrected answers: what noisy sums of influences say of questions declared before a fit.

All of it is post-processing of an answer in a transcript. For a question with value ``theta(M)``
of a model and influence function ``phi`` there, Le Cam's one-step estimator (van der Vaart 1998,
sect. 5.7; Bickel 1975)::

    theta(M) + (1 / n) sum of phi over the records

is that of the records up to terms of second order in how far the model is from them, whatever
pairs of columns the model has left out. Its noise is known; sampling of the records from a
population adds a variance of ``Var phi / n``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from dp_synth.errors import InputError
from dp_synth.transcript import Answer, SumsAnswer

PART = "questions"
"""The part of a plan that pays for questions declared before a fit."""


@dataclass(frozen=True)
class CorrectedAnswer:
    """One value of a question, of the model and corrected by a noisy sum over the records.

    ``noise`` is the standard deviation of the noise that was added, ``sampling`` that of the
    records as a sample of a population, by the model's variance of the influence. Both are of the
    logarithm of the value where ``is_log``.
    """

    question: str
    name: str
    model: float
    value: float
    noise: float
    sampling: float
    is_log: bool = False

    def interval(self, level: float = 0.95, *, of_records: bool = False) -> tuple[float, float]:
        """Return the ends of the normal interval for the population's value.

        ``of_records`` for that of the fitted records themselves: of the noise alone.
        """
        if not 0 < level < 1:
            raise InputError(f"a level lies between 0 and 1, got {level}")
        deviation = self.noise if of_records else float(np.hypot(self.noise, self.sampling))
        wide = float(-ndtri((1 - level) / 2)) * deviation
        if self.is_log:
            return self.value * float(np.exp(-wide)), self.value * float(np.exp(wide))
        return self.value - wide, self.value + wide


def corrected_answers(transcript: Iterable[Answer], records: float) -> tuple[CorrectedAnswer, ...]:
    """Return the corrected answers to the questions in a transcript, in their order.

    ``records`` is the public or noisy number of records.
    """
    return tuple(
        one
        for answer in transcript
        if isinstance(answer, SumsAnswer) and answer.part == PART
        for one in _corrected(answer, max(records, 1.0))
    )


def _corrected(answer: SumsAnswer, records: float) -> list[CorrectedAnswer]:
    asked = answer.asked
    moved = asked.units * (answer.values / records - asked.means)
    noise = asked.units * answer.stddev / records
    values = np.where(asked.logs, asked.models * np.exp(moved), asked.models + moved)
    sampling = np.sqrt(asked.variances / records)
    return [
        CorrectedAnswer(
            question,
            asked.names[i],
            float(asked.models[i]),
            float(values[i]),
            float(noise[i]),
            float(sampling[i]),
            bool(asked.logs[i]),
        )
        for i, question in enumerate(asked.questions)
    ]
