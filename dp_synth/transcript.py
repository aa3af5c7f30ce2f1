"""Transcript: every noisy answer as it passed the door, for models, audits, standard errors.

Nothing here is private: counts and scores carry the noise that was charged for, and of a choice
or of a vote only its outcome is kept, beside what was public about it. Noisy sums of gradients are
not kept: thousands of them, each as large as a network, would say little more than its weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import ParitySets
from dp_synth.settings import checked
from dp_synth.types import Clique, Codes, Flags, Floats

Arrays = Mapping[str, NDArray[np.generic]]

NoiseKind = Literal["gaussian", "laplace"]
HIDDEN = -1  # code of an attribute that is no part of a question


@dataclass(frozen=True, eq=False)
class Measurement:
    """Noisy counts of the marginal over ``clique``, with the noise that they carry.

    ``values`` has the marginal's shape. ``stddev`` is one number, or an array of the same
    shape where cells differ (a cell merged from k others carries sqrt(k) times their noise).
    """

    clique: Clique
    values: Floats
    stddev: float | Floats


@dataclass(frozen=True, eq=False)
class Answered:
    """What all answers say: the part of the plan that paid, and why it was asked."""

    part: str
    why: str


@dataclass(frozen=True, eq=False)
class MarginalAnswer(Answered):
    """Noisy counts of one marginal, in the shape of ``clique`` after ``groups``.

    ``groups[attribute][code]`` is the new code of each attribute that was coarsened. Answers of
    the part "bins" are over fine cells, which are no codes of the release's schema. ``noise`` is
    the law of the noise, here and in other answers: rounded Gaussian, or at delta 0 discrete
    Laplace.
    """

    clique: Clique
    values: Floats = field(repr=False)
    stddev: float
    groups: Mapping[str, Codes] = field(repr=False)
    noise: NoiseKind = "gaussian"


@dataclass(frozen=True, eq=False)
class ScoresAnswer(Answered):
    """Noisy distances of several marginals from what was expected, one a clique."""

    cliques: tuple[Clique, ...] = field(repr=False)
    values: Floats = field(repr=False)
    stddev: float
    groups: Mapping[str, Codes] = field(repr=False)
    noise: NoiseKind = "gaussian"


@dataclass(frozen=True, eq=False)
class ChoiceAnswer(Answered):
    """The candidate that an exponential mechanism chose.

    The log odds were ``epsilon`` times the score over twice ``sensitivity``.
    """

    candidates: tuple[Clique, ...] = field(repr=False)
    chosen: Clique
    epsilon: float
    sensitivity: float
    groups: Mapping[str, Codes] = field(repr=False)


@dataclass(frozen=True, eq=False)
class VoteAnswer(Answered):
    """Which record of each pair teachers called the more real, in votes that were cast together.

    ``records`` are made up, of shape (votes, attributes); their twins have code ``others[i]`` in
    the attribute numbered ``attributes[i]`` and are their equals in all else. ``winners[i]`` is
    whether the record won. Codes are after ``groups``, in the order of the table's attributes;
    `HIDDEN` stands for those that were no part of the question.
    """

    records: Codes = field(repr=False)
    attributes: Codes = field(repr=False)
    others: Codes = field(repr=False)
    winners: Flags = field(repr=False)
    noise: str
    scale: float
    teachers: int
    groups: Mapping[str, Codes] = field(repr=False)


@dataclass(frozen=True, eq=False)
class HistogramAnswer(Answered):
    """Noisy counts of records by cells of a public score."""

    values: Floats = field(repr=False)
    stddev: float
    groups: Mapping[str, Codes] = field(repr=False)
    noise: NoiseKind = "gaussian"


@dataclass(frozen=True, eq=False)
class ParityAnswer(Answered):
    """Noisy parities of sets of bits, one a set: sums over records of the products of signs.

    Bits are over codes after ``groups``; all parities have noise of the same ``stddev``.
    """

    asked: ParitySets = field(repr=False)
    values: Floats = field(repr=False)
    stddev: float
    groups: Mapping[str, Codes] = field(repr=False)


@dataclass(frozen=True, eq=False)
class AskedSums:
    """What sums over records are asked for: to correct values that a model has. All public.

    Sum ``i`` is of whole numbers, each of which stands for ``units[i]`` of a record's influence on
    a value of a question: the one that ``questions[i]`` names ``names[i]``, and that is
    ``models[i]`` in the model; on its logarithm where ``logs[i]``. Of records drawn from the
    model a whole number is ``means[i]`` on average, and an influence has the variance
    ``variances[i]``. ValueError for parts that do not fit together.
    """

    questions: tuple[str, ...]
    names: tuple[str, ...]
    logs: Flags = field(repr=False)
    models: Floats = field(repr=False)
    units: Floats = field(repr=False)
    means: Floats = field(repr=False)
    variances: Floats = field(repr=False)

    def __post_init__(self) -> None:
        numbers = (self.models, self.units, self.means, self.variances)
        if {np.shape(part) for part in (*numbers, self.logs)} != {(len(self.questions),)} or len(
            self.names
        ) != len(self.questions):
            raise ValueError("sums must have a question, a name and five numbers each")
        if not all(np.isfinite(part).all() for part in numbers):
            raise ValueError("what sums are asked for must be finite numbers")
        if np.any(self.units <= 0) or np.any(self.variances < 0):
            raise ValueError("the units of sums must be above 0, and their variances not below")

    def __len__(self) -> int:
        return len(self.questions)


@dataclass(frozen=True, eq=False)
class SumsAnswer(Answered):
    """Noisy sums over records of vectors of whole numbers, clipped to an L2 norm of ``bound``.

    The vectors were over codes after ``groups``; all sums have noise of the same ``stddev``.
    """

    asked: AskedSums = field(repr=False)
    values: Floats = field(repr=False)
    bound: int
    stddev: float
    groups: Mapping[str, Codes] = field(repr=False)


Answer = (
    MarginalAnswer
    | ScoresAnswer
    | ChoiceAnswer
    | VoteAnswer
    | HistogramAnswer
    | ParityAnswer
    | SumsAnswer
)


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
        kept = dict(answer.__dict__)
        if isinstance(answer, VoteAnswer):
            written = {f"answer_{number}_{name}": kept.pop(name) for name in VOTED}
            arrays |= {name: _small(array) for name, array in written.items()}
        elif isinstance(answer, ParityAnswer):
            asked, values = kept.pop("asked"), kept.pop("values")
            kept["attributes"] = asked.attributes
            written = {"halves": _rows(asked.halves), "sets": asked.sets}
            arrays |= {f"answer_{number}_{name}": _small(part) for name, part in written.items()}
            arrays[f"answer_{number}"] = _whole(values)
        elif isinstance(answer, SumsAnswer):
            about, values = dict(kept.pop("asked").__dict__), kept.pop("values")
            kept |= {name: about.pop(name) for name in ("questions", "names")}
            arrays |= {f"answer_{number}_{name}": about[name] for name in SUMMED}
            arrays[f"answer_{number}"] = values
        elif not isinstance(answer, ChoiceAnswer):
            arrays[f"answer_{number}"] = kept.pop("values")
        kept["groups"] = {
            attribute: names.setdefault(id(group), f"answer_groups_{len(names)}")
            for attribute, group in answer.groups.items()
        }
        arrays |= {names[id(group)]: group for group in answer.groups.values()}
        if kept.get("noise") == "gaussian" and not isinstance(answer, VoteAnswer):
            del kept["noise"]  # answers are written as before they had another
        fields.append({"kind": _KINDS[type(answer)], **kept})
    return fields, arrays


def from_fields(fields: Sequence[Mapping[str, Any]], arrays: Arrays) -> tuple[Answer, ...]:
    """Return the answers that ``to_fields`` took apart; ValueError or KeyError for others."""
    return tuple(_read(number, answer, arrays) for number, answer in enumerate(fields))


def names_of(fields: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Give the names of the arrays that answers may have; ValueError for what is no answer."""
    for number, answer in enumerate(fields):
        groups = checked(answer, {"groups": dict[str, str]})["groups"]
        parts = (*VOTED, *ASKED, *SUMMED)
        yield from (f"answer_{number}", *(f"answer_{number}_{name}" for name in parts))
        yield from groups.values()


def _read(number: int, fields: Mapping[str, Any], arrays: Arrays) -> Answer:
    kind = checked(fields, {"kind": str})["kind"]
    if kind not in _WRITTEN:
        raise ValueError(f"no kind of answer {kind!r}")
    noise_too = {"noise": NoiseKind} if kind in NOISY and "noise" in fields else {}
    made = checked(fields, {**_OF_ALL, **_WRITTEN[kind], **noise_too})
    made["groups"] = {
        attribute: _group(attribute, arrays[name]) for attribute, name in made["groups"].items()
    }
    for noise in {"stddev", "epsilon", "sensitivity", "scale"} & made.keys():
        if not (math.isfinite(made[noise]) and made[noise] > 0):
            raise ValueError(
                f"the noise of an answer must be a finite number above 0, got {made[noise]}"
            )
        made[noise] = float(made[noise])
    if kind == "choice":
        if made["chosen"] not in made["candidates"]:
            raise ValueError(f"{made['chosen']} was chosen but is no candidate")
    elif kind == "votes":
        made |= _voted({name: arrays[f"answer_{number}_{name}"] for name in VOTED})
        if made["teachers"] < 1:
            raise ValueError(f"the number of teachers must be 1 or more, got {made['teachers']!r}")
    else:
        made["values"] = values = np.asarray(arrays[f"answer_{number}"], dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("noisy answers must be finite numbers")
        if kind == "marginal" and values.ndim != len(made["clique"]):
            raise ValueError(
                f"the answer over {made['clique']} must have {len(made['clique'])} axes"
            )
        if kind == "histogram" and (values.ndim != 1 or not values.size):
            raise ValueError("a histogram must have one axis, and a cell")
        if kind == "parities":
            parts = {name: arrays[f"answer_{number}_{name}"] for name in ASKED}
            made["asked"] = asked = _asked(made.pop("attributes"), parts)
            if values.shape != (len(asked),):
                raise ValueError(f"there must be a parity for each of {len(asked):,} sets")
        if kind == "sums":
            made["asked"] = _asked_sums(
                made.pop("questions"),
                made.pop("names"),
                {name: arrays[f"answer_{number}_{name}"] for name in SUMMED},
            )
            if values.shape != (len(made["asked"]),) or made["bound"] < 1:
                raise ValueError("there must be a sum for each thing asked, of a bound from 1")
        if kind == "scores" and values.shape != (len(made["cliques"]),):
            raise ValueError(f"there must be a score for each of {len(made['cliques'])} cliques")
    return _CLASSES[kind](**made)


def _voted(arrays: Arrays) -> dict[str, Any]:
    """Return the arrays of an answer of votes, checked."""
    records, winners = _codes(arrays["records"], least=HIDDEN), np.asarray(arrays["winners"])
    attributes, others = _codes(arrays["attributes"]), _codes(arrays["others"])
    if records.ndim != 2 or attributes.ndim != 1 or not winners.dtype == np.bool_:
        raise ValueError("votes must be about records, each by one attribute, and have winners")
    if not len(records) == len(attributes) == len(others) == len(winners):
        raise ValueError("there must be an attribute, a code and a winner for each record")
    if len(attributes) and attributes.max() >= records.shape[1]:
        raise ValueError(f"votes must be about the {records.shape[1]} attributes of the records")
    return {"records": records, "attributes": attributes, "others": others, "winners": winners}


_CLASSES: dict[str, Callable[..., Answer]] = {
    "marginal": MarginalAnswer,
    "scores": ScoresAnswer,
    "choice": ChoiceAnswer,
    "votes": VoteAnswer,
    "histogram": HistogramAnswer,
    "parities": ParityAnswer,
    "sums": SumsAnswer,
}
_KINDS = {made: kind for kind, made in _CLASSES.items()}
_OF_ALL = {"part": str, "why": str, "groups": dict[str, str]}
_WRITTEN: dict[str, dict[str, Any]] = {  # of each kind, what its object holds beside
    "marginal": {"clique": Clique, "stddev": float},
    "scores": {"cliques": tuple[Clique, ...], "stddev": float},
    "choice": {
        "candidates": tuple[Clique, ...],
        "chosen": Clique,
        "epsilon": float,
        "sensitivity": float,
    },
    "votes": {"noise": str, "scale": float, "teachers": int},
    "histogram": {"stddev": float},
    "parities": {"attributes": Clique, "stddev": float},
    "sums": {
        "questions": tuple[str, ...],
        "names": tuple[str, ...],
        "bound": int,
        "stddev": float,
    },
}
NOISY = ("marginal", "scores", "histogram")  # whose noise may be that of Laplace
VOTED = ("records", "attributes", "others", "winners")  # arrays of an answer of votes
ASKED = ("halves", "sets")  # and of one of parities
SUMMED = ("logs", "models", "units", "means", "variances")  # and of one of sums


def _asked(attributes: Clique, arrays: Arrays) -> ParitySets:
    """Return the sets of bits of an answer of parities, checked."""
    rows, sets = (_codes(arrays[name], least=HIDDEN) for name in ASKED)
    if rows.ndim != 2:
        raise ValueError("the bits of parities must be given for each code, a line each")
    return ParitySets(attributes, tuple(row[row != HIDDEN] for row in rows), sets)


def _asked_sums(questions: tuple[str, ...], names: tuple[str, ...], arrays: Arrays) -> AskedSums:
    """Return what the sums of an answer are asked for, checked."""
    logs = np.asarray(arrays["logs"])
    if logs.dtype != np.bool_:
        raise ValueError("whether a value is a logarithm must be true or false")
    numbers = {name: np.asarray(arrays[name], dtype=np.float64) for name in SUMMED[1:]}
    return AskedSums(questions, names, logs.astype(np.bool_), **numbers)


def _rows(halves: Sequence[Codes]) -> Codes:
    """Return bits by code as lines of one array; `HIDDEN` stands behind those of fewer codes."""
    rows = np.full((len(halves), max(map(len, halves), default=0)), HIDDEN, dtype=np.int32)
    for row, half in zip(rows, halves, strict=True):
        row[: len(half)] = half
    return rows


def _whole(values: Floats) -> NDArray[np.generic]:
    """Return whole numbers in half the bytes where they fit."""
    fits = np.max(np.abs(values), initial=0) < 2**31 and np.array_equal(values, np.rint(values))
    return values.astype(np.int32) if fits else values


def _small(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return codes in a byte each where they fit; winners as they are."""
    if array.dtype == np.bool_:
        return array
    signed = int(np.min(array, initial=0)) < 0
    small, most = (np.int8, 128) if signed else (np.uint8, 256)
    return array.astype(small) if int(np.max(array, initial=0)) < most else array


def _codes(array: NDArray[np.generic], *, least: int = 0) -> Codes:
    if array.dtype not in (np.uint8, np.int8, np.int32) or np.min(array, initial=0) < least:
        raise ValueError("the codes of votes must be whole numbers, 0 or more")
    return array.astype(np.int32)


def _group(attribute: str, codes: NDArray[np.generic]) -> Codes:
    group = np.asarray(codes, dtype=np.int32)
    if group.ndim != 1 or not np.array_equal(np.unique(group), np.arange(group.max(initial=0) + 1)):
        raise ValueError(f"the groups of {attribute!r} must be numbered from 0 without gaps")
    return group
