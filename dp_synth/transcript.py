"""What passed the door: every noisy answer as it was given, for audits and standard errors.

Nothing here is private: counts and scores carry the noise that was charged for, and of a choice
only its outcome is kept, beside what was public about it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Clique, Codes

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class MarginalAnswer:
    """Noisy counts of one marginal, in the shape of ``clique`` after ``groups``.

    ``groups[attribute][code]`` is the new code of each attribute that was coarsened. Answers of
    the part "bins" are over fine cells, which are no codes of the release's schema.
    """

    part: str
    why: str
    clique: Clique
    values: Floats
    stddev: float
    groups: Mapping[str, Codes]


@dataclass(frozen=True, eq=False)
class ScoresAnswer:
    """Noisy distances of several marginals from what was expected, one a clique."""

    part: str
    why: str
    cliques: tuple[Clique, ...]
    values: Floats
    stddev: float
    groups: Mapping[str, Codes]


@dataclass(frozen=True, eq=False)
class ChoiceAnswer:
    """The candidate that an exponential mechanism chose.

    The log odds were ``epsilon`` times the score over twice ``sensitivity``.
    """

    part: str
    why: str
    candidates: tuple[Clique, ...]
    chosen: Clique
    epsilon: float
    sensitivity: float
    groups: Mapping[str, Codes]


Answer = MarginalAnswer | ScoresAnswer | ChoiceAnswer


def measured(answers: Iterable[Answer]) -> tuple[Clique, ...]:
    """Return the cliques that were measured, in order."""
    return tuple(answer.clique for answer in answers if isinstance(answer, MarginalAnswer))


def chosen(answers: Iterable[Answer]) -> tuple[Clique, ...]:
    """Return the cliques that were chosen, in order."""
    return tuple(answer.chosen for answer in answers if isinstance(answer, ChoiceAnswer))


def to_fields(answers: Sequence[Answer]) -> tuple[list[dict[str, object]], dict[str, object]]:
    """Return the answers as JSON objects, and the arrays that these name."""
    fields: list[dict[str, object]] = []
    arrays: dict[str, Any] = {}
    names: dict[int, str] = {}  # groups are shared between answers, and written once
    for number, answer in enumerate(answers):
        kept = {name: value for name, value in answer.__dict__.items() if name != "values"}
        if not isinstance(answer, ChoiceAnswer):
            arrays[f"answer_{number}"] = answer.values
        kept["groups"] = {
            attribute: names.setdefault(id(group), f"answer_groups_{len(names)}")
            for attribute, group in answer.groups.items()
        }
        arrays |= {names[id(group)]: group for group in answer.groups.values()}
        fields.append({"kind": _KINDS[type(answer)], **kept})
    return fields, arrays


def from_fields(fields: Sequence[Mapping[str, Any]], arrays: Arrays) -> tuple[Answer, ...]:
    """Return the answers that ``to_fields`` took apart; ValueError or KeyError for others."""
    return tuple(_read(number, answer, arrays) for number, answer in enumerate(fields))


def _read(number: int, fields: Mapping[str, Any], arrays: Arrays) -> Answer:
    part, why = str(fields["part"]), str(fields["why"])
    groups = {
        str(attribute): _group(attribute, arrays[name])
        for attribute, name in fields["groups"].items()
    }
    if fields["kind"] == "choice":
        candidates, choice = _cliques(fields["candidates"]), _clique(fields["chosen"])
        if choice not in candidates:
            raise ValueError(f"{choice} was chosen but is no candidate")
        epsilon, sensitivity = _positive(fields["epsilon"]), _positive(fields["sensitivity"])
        return ChoiceAnswer(part, why, candidates, choice, epsilon, sensitivity, groups)
    values = np.asarray(arrays[f"answer_{number}"], dtype=np.float64)
    stddev = _positive(fields["stddev"])
    if not np.isfinite(values).all():
        raise ValueError("noisy answers must be finite numbers")
    if fields["kind"] == "marginal":
        clique = _clique(fields["clique"])
        if values.ndim != len(clique):
            raise ValueError(f"the answer over {clique} must have {len(clique)} axes")
        return MarginalAnswer(part, why, clique, values, stddev, groups)
    if fields["kind"] != "scores":
        raise ValueError(f"no kind of answer {fields['kind']!r}")
    cliques = _cliques(fields["cliques"])
    if values.shape != (len(cliques),):
        raise ValueError(f"there must be a score for each of {len(cliques)} cliques")
    return ScoresAnswer(part, why, cliques, values, stddev, groups)


_KINDS: dict[type, str] = {
    MarginalAnswer: "marginal",
    ScoresAnswer: "scores",
    ChoiceAnswer: "choice",
}


def _clique(names: Iterable[str]) -> Clique:
    return tuple(map(str, names))


def _cliques(cliques: Iterable[Iterable[str]]) -> tuple[Clique, ...]:
    return tuple(map(_clique, cliques))


def _positive(number: float) -> float:
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"the noise of an answer must be a finite number above 0, got {number}")
    return float(number)


def _group(attribute: str, codes: NDArray[np.generic]) -> Codes:
    group = np.asarray(codes, dtype=np.int32)
    if group.ndim != 1 or not np.array_equal(np.unique(group), np.arange(group.max(initial=0) + 1)):
        raise ValueError(f"the groups of {attribute!r} must be numbered from 0 without gaps")
    return group
