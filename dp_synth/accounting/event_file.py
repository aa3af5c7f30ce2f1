"""Event files: events written down by hand in YAML, read and checked."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter, ValidationError

from dp_synth.accounting.budget import ADJACENCIES, Adjacency
from dp_synth.accounting.events import (
    EVENTS,
    MOST_COUNTED,
    Event,
    Gaussian,
    Mechanism,
    NoisyVote,
    SampledGaussian,
    TruncatedGaussian,
    VoteNoise,
)
from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.faults import Fault, first_fault
from dp_synth.readers import LARGEST_YAML, YamlFault, parse_yaml, read_text

Events = list[tuple[Event, int]]


@dataclass(frozen=True)
class _WrittenGaussian(Mechanism):
    """Gaussian noise in the units of the answer, as one writes it down."""

    stddev: float
    sensitivity: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self.event()

    def event(self) -> Event:
        """Return the event that accounts for it."""
        return Gaussian(self.stddev / self.sensitivity, self.sensitivity)


@dataclass(frozen=True)
class _WrittenVote:
    """A noisy vote whose noise is given as its stddev (gaussian) or scale (laplace, gumbel)."""

    noise: VoteNoise
    teachers: int
    stddev: float | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        self.event()

    def event(self) -> Event:
        """Return the event that accounts for it."""
        name, other = ("stddev", "scale") if self.noise == "gaussian" else ("scale", "stddev")
        size, unwanted = getattr(self, name), getattr(self, other)
        if size is None or unwanted is not None:
            raise ValueError(f"{self.noise} noise is given by its {name} alone")
        if not (math.isfinite(size) and size > 0):
            raise ValueError(f"{name} must be a finite number above 0, got {size}")
        return NoisyVote(self.noise, size, self.teachers)


KINDS: dict[str, type[Event | _WrittenGaussian | _WrittenVote]] = {
    {"zero_concentrated": "zcdp"}.get(name, name): kind
    for name, kind in EVENTS.items()
    if name not in ("round", "no_guarantee")
}
KINDS |= {"gaussian": _WrittenGaussian, "noisy_vote": _WrittenVote}


def read_events(path: str | Path) -> tuple[Adjacency, Events]:
    """Return the adjacency of an event file and its events, each with how often it happens.

    ``-`` reads standard input. InputError, one line that names the file, the position in the
    list and the key, for anything that is not as it should be.
    """
    if str(path) != "-":
        return parse_events(read_text(path), str(path))
    try:
        return parse_events(sys.stdin.read(LARGEST_YAML + 1), "standard input")
    except UnicodeDecodeError:
        raise InputError("standard input: must be UTF-8 text") from None


def parse_events(text: str, source: str) -> tuple[Adjacency, Events]:
    """Return what ``read_events`` finds in a file of this text; errors name ``source``.

    >>> parse_events("events: [{selection: {epsilon: 0.4}, count: 14}]", "here")
    ('add_remove', [(Selection(epsilon=0.4), 14)])
    """
    try:
        content, _ = parse_yaml(text)
    except YamlFault as fault:
        raise InputError(f"{source}: {fault}") from None
    if not isinstance(content, dict):
        raise InputError(f"{source}: must be a mapping with the keys adjacency and events")
    _refuse_unknown(content, ("adjacency", "events"), source)
    adjacency = content.get("adjacency", "add_remove")
    if adjacency not in ADJACENCIES:
        raise InputError(
            f"{source}: adjacency must be one of {', '.join(ADJACENCIES)}, got {adjacency!r}"
        )
    items = content.get("events")
    if not isinstance(items, list) or not items:
        raise InputError(f"{source}: events must be a list of at least one event")
    events = [_item(item, f"{source}, event {i}") for i, item in enumerate(items, 1)]
    for i, (event, _) in enumerate(events, 1):
        sampled = isinstance(event, SampledGaussian | TruncatedGaussian)
        if adjacency != "add_remove" and sampled and not getattr(event, "replaced", False):
            raise InputError(
                f"{source}, event {i}: sampled_gaussian is accounted for under add_remove only, "
                f"unless it says replaced: true; the file's adjacency is {adjacency}"
            )
    return cast("Adjacency", adjacency), events


def _item(item: object, where: str) -> tuple[Event, int]:
    """Return one event of the list and its count."""
    if not isinstance(item, dict):
        raise InputError(f"{where}: must be a mapping such as {{pure: {{epsilon: 1}}, count: 10}}")
    kinds = [name for name in item if name != "count"]
    for name in kinds:
        if name not in KINDS:
            raise InputError(f"{where}: {unknown('kind of event', name, KINDS)}")
    if len(kinds) != 1:
        raise InputError(
            f"{where}: must name one kind of event, got {', '.join(kinds) or 'none'}; there are "
            f"{', '.join(KINDS)}"
        )
    event = _event(kinds[0], item[kinds[0]], f"{where}, {kinds[0]}")
    count = item.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_COUNTED:
        raise InputError(
            f"{where}: count must be a whole number from 1 to {MOST_COUNTED}, got {count!r}"
        )
    return event, count


def _event(kind: str, values: object, where: str) -> Event:
    known = [field.name for field in fields(KINDS[kind])]
    if not isinstance(values, dict):
        raise InputError(f"{where}: must be a mapping of {', '.join(known) or 'nothing, {}'}")
    _refuse_unknown(values, known, where)
    for name, value in values.items():
        truths = ("replaced", "by_unit")  # YAML reads yes, no, on and off so
        if isinstance(value, bool) and name not in truths:
            raise InputError(f"{where}: {name} must not be {str(value).lower()}")
    try:
        made = TypeAdapter(KINDS[kind]).validate_python(values)
        return made.event() if isinstance(made, (_WrittenGaussian, _WrittenVote)) else made
    except ValidationError as error:
        fault = first_fault(error)
        raise InputError(f"{where}: {Fault(fault.where[:1], fault.what).line()}") from None


def _refuse_unknown(given: Mapping[object, object], known: Iterable[str], where: str) -> None:
    names = list(known)
    for name in given:
        if name not in names:
            raise InputError(f"{where}: {unknown('key', name, names)}")
