"""Events written down by hand: a YAML file in, what it costs and the noise that it needs out."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter, ValidationError

from dp_synth.accounting.budget import ADJACENCIES, Adjacency, PrivacyBudget
from dp_synth.accounting.calibration import scaled
from dp_synth.accounting.events import (
    MOST_COUNTED,
    Approximate,
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Gaussian,
    Laplace,
    NoisyVote,
    NoOp,
    PartitionSelection,
    Pure,
    SampledGaussian,
    Selection,
    ThresholdedGaussian,
    TruncatedGaussian,
    VoteNoise,
    ZeroConcentrated,
)
from dp_synth.accounting.privacy_profile import compose
from dp_synth.errors import InputError
from dp_synth.extensions import unknown
from dp_synth.faults import Fault, first_fault
from dp_synth.readers import LARGEST_YAML, YamlFault, parse_yaml, read_text

Events = list[tuple[Event, int]]

FACTOR_TOLERANCE = 1e-8  # of the logarithm of a noise factor
MOST_EVALUATIONS = 60  # of the composed curve, on the way to a bracket
FARTHEST = 100.0  # logarithm of the largest and of the smallest factor tried
LEAST_SHARE, MOST_SHARE = 1e-6, 1e12  # epsilons of the search are cut to these parts of its target


@dataclass(frozen=True)
class _WrittenGaussian:
    """Gaussian noise in the units of the answer, as one writes it down."""

    stddev: float
    sensitivity: float

    def __post_init__(self) -> None:
        self.event()

    def event(self) -> Event:
        """Return the event that accounts for it."""
        if not (math.isfinite(self.stddev) and self.stddev > 0):
            raise ValueError(f"stddev must be a finite number above 0, got {self.stddev}")
        if not (math.isfinite(self.sensitivity) and self.sensitivity > 0):
            raise ValueError(f"sensitivity must be a finite number above 0, got {self.sensitivity}")
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


_Written = Event | _WrittenGaussian | _WrittenVote
KINDS: dict[str, type[_Written]] = {
    "gaussian": _WrittenGaussian,
    "selection": Selection,
    "laplace": Laplace,
    "discrete_gaussian": DiscreteGaussian,
    "discrete_laplace": DiscreteLaplace,
    "sampled_gaussian": SampledGaussian,
    "truncated_gaussian": TruncatedGaussian,
    "thresholded_gaussian": ThresholdedGaussian,
    "partition_selection": PartitionSelection,
    "noisy_vote": _WrittenVote,
    "pure": Pure,
    "approximate": Approximate,
    "zcdp": ZeroConcentrated,
    "public": NoOp,
}


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


def noise_factor(events: Iterable[tuple[Event, int]], epsilon: float, delta: float) -> float:
    """Return the least factor of all noise at which the events meet (epsilon, delta).

    The target is met from below, never passed. InputError when no amount of noise meets it, when
    events cost nothing, or when they hold ``Approximate`` ones.

    >>> round(noise_factor([(Pure(2.0), 10)], 1.0, 0.0), 6)
    20.0
    """
    PrivacyBudget(epsilon, delta)
    if math.isinf(epsilon):
        raise InputError("epsilon must be a finite number above 0, got inf")
    given = scaled(events, 1.0)
    if all(isinstance(event, NoOp) for event, _ in given):
        raise InputError("the events cost nothing, so that there is no noise to scale")
    if not delta and math.isinf(compose(given).epsilon(delta)):
        raise InputError(
            f"no amount of noise meets epsilon {epsilon:g} at delta 0; give a delta above 0"
        )

    @cache
    def excess(log_factor: float) -> float:
        try:
            cost = compose(scaled(given, math.exp(log_factor))).epsilon(delta) / epsilon
        except OverflowError:  # so little noise that its cost is no floating-point number
            cost = math.inf
        return math.log(min(max(cost, LEAST_SHARE), MOST_SHARE))

    return _least_factor(excess)


def _least_factor(excess: Callable[[float], float]) -> float:
    """Return exp of the least point at which a falling function is 0 or below.

    Near its root a cost falls about as fast as the noise rises, so that the excess itself is the
    next step, taken a hair too far in order to find a bracket.
    """
    from scipy import optimize

    points = {0.0: excess(0.0)}
    here = 0.0
    while not min(points.values()) <= 0 < max(points.values()):
        step = points[here] + math.copysign(1e-3 * 4 ** (len(points) - 1), points[here] or -1.0)
        here += math.copysign(min(abs(step), 7.0), step)
        if len(points) >= MOST_EVALUATIONS or abs(here) > FARTHEST:
            raise InputError("no factor of the noise meets this epsilon at this delta")
        points[here] = excess(here)
    low = max(x for x, value in points.items() if value > 0)
    high = min(x for x, value in points.items() if value <= 0)
    root = float(optimize.brentq(excess, low, high, xtol=FACTOR_TOLERANCE))
    back = FACTOR_TOLERANCE
    while root < high and excess(root) > 0:  # the root may lie a hair on the wrong side
        root, back = root + back, 2 * back
    return math.exp(min(root, high))


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
    return event, _count(item.get("count", 1), where)


def _event(kind: str, values: object, where: str) -> Event:
    known = [field.name for field in fields(KINDS[kind])]
    if not isinstance(values, dict):
        raise InputError(f"{where}: must be a mapping of {', '.join(known) or 'nothing, {}'}")
    _refuse_unknown(values, known, where)
    for name, value in values.items():
        if (
            isinstance(value, bool) and name != "replaced"
        ):  # YAML reads yes, no, on and off as truth values
            raise InputError(f"{where}: {name} must not be {str(value).lower()}")
    try:
        made = TypeAdapter(KINDS[kind]).validate_python(values)
        return made.event() if isinstance(made, (_WrittenGaussian, _WrittenVote)) else made
    except ValidationError as error:
        fault = first_fault(error)
        raise InputError(f"{where}: {Fault(fault.where[:1], fault.what).line()}") from None


def _count(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_COUNTED:
        raise InputError(
            f"{where}: count must be a whole number from 1 to {MOST_COUNTED}, got {value!r}"
        )
    return value


def _refuse_unknown(given: Mapping[object, object], known: Iterable[str], where: str) -> None:
    names = list(known)
    for name in given:
        if name not in names:
            raise InputError(f"{where}: {unknown('key', name, names)}")
