"""Questions to teachers: which records a student is asked about, and what stands against them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Codes
from dp_synth.mechanisms.pate import Questions
from dp_synth.transcript import HIDDEN

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SHOWN = 3  # attributes that a question shows beside its own: of more, a vote says less of each


@dataclass(frozen=True)
class Wanted:
    """How many questions; of ``share`` of them at least ``label`` is the attribute, if named."""

    questions: int
    label: int | None = None
    share: float = 0.0


Asker = Callable[[Codes, Sequence[Floats], Wanted, np.random.Generator], Questions]
"""Makes questions of a student's records, beside the frequencies of its reference."""


def any_two_values(
    records: Codes, reference: Sequence[Floats], wanted: Wanted, rng: np.random.Generator
) -> Questions:
    """Return questions about made records: is this value of an attribute more real, or another?

    The attribute is any that has two values, or the label; the other value comes from its
    frequencies. `SHOWN` others are shown beside it.
    """
    chosen = records[rng.integers(len(records), size=wanted.questions)]
    attributes = _attributes(reference, wanted, rng)
    others = _others(chosen, attributes, reference, rng)
    several = _with_choice(reference)
    hidden = np.ones(chosen.shape, dtype=bool)
    hidden[np.arange(len(chosen)), attributes] = False
    for number, attribute in enumerate(attributes):
        rest = several[several != attribute]
        hidden[number, rng.permutation(rest)[:SHOWN]] = False
    return Questions(np.where(hidden, HIDDEN, chosen), attributes, others)


def conditioned_values(
    records: Codes, reference: Sequence[Floats], wanted: Wanted, rng: np.random.Generator
) -> Questions:
    """Return questions about records that were given a condition first.

    Each record is a made one that has a chosen value: of an attribute drawn evenly, in proportion
    to the logarithm of its frequency (training by sampling, Xu et al. 2019, arXiv:1907.00503,
    sect. 4.3), so that rare values are asked about as well. Another attribute is then the
    question.
    """
    attributes = _attributes(reference, wanted, rng)
    several = _with_choice(reference)
    chosen = np.empty((wanted.questions, records.shape[1]), dtype=np.int32)
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
        hidden[number, [condition, *rng.permutation(rest)[: SHOWN - 1]]] = False
    others = _others(chosen, attributes, reference, rng)
    return Questions(np.where(hidden, HIDDEN, chosen), attributes, others)


def _attributes(reference: Sequence[Floats], wanted: Wanted, rng: np.random.Generator) -> Integers:
    several = _with_choice(reference)
    attributes = rng.choice(several, wanted.questions)
    if wanted.label is not None and wanted.label in several:
        attributes[rng.random(wanted.questions) < wanted.share] = wanted.label
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
