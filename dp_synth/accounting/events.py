"""What a mechanism did, in numbers: no data, no accounting.

Every event holds for the two neighbouring tables of the adjacency in force: who states a
sensitivity, an epsilon or a rho states it under that adjacency. ``rho`` is the cost in zCDP, None
where no useful one is known.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import MISSING, asdict, dataclass, fields
from numbers import Real
from typing import Literal, get_args

from dp_synth.errors import UnsupportedEvent
from dp_synth.settings import check_settings

Fields = dict[str, str | float]
VoteNoise = Literal["gaussian", "laplace", "gumbel"]

MOST_ROWS = 200  # of one unit, that may each be drawn
MOST_COUNTED = 10_000_000  # steps, teachers, or the whole numbers by which an answer moves


@dataclass(frozen=True)
class Gaussian:
    """Gaussian noise added to an answer of bounded L2 sensitivity.

    ``noise_multiplier`` is the noise's standard deviation over the answer's ``sensitivity``
    under the adjacency in force; it alone decides the privacy loss.
    """

    noise_multiplier: float
    sensitivity: float

    def __post_init__(self) -> None:
        _positive("noise_multiplier", self.noise_multiplier)
        _positive("sensitivity", self.sensitivity)

    @property
    def stddev(self) -> float:
        """Standard deviation of the noise, in the units of the answer."""
        return self.noise_multiplier * self.sensitivity

    @property
    def rho(self) -> float:
        """Cost in zCDP (Bun & Steinke 2016, Prop. 1.6)."""
        return 0.5 / self.noise_multiplier / self.noise_multiplier


@dataclass(frozen=True)
class Selection:
    """One choice among public candidates whose privacy loss has range ``epsilon``.

    The exponential mechanism softmax(epsilon * quality / (2 * sensitivity)) is one: all its
    log-probabilities move by amounts within an interval of length ``epsilon`` (bounded range,
    Durfee & Rogers 2019), which is stronger than ``epsilon``-DP.
    """

    epsilon: float

    def __post_init__(self) -> None:
        _positive("epsilon", self.epsilon)

    @property
    def rho(self) -> float:
        """Cost in zCDP (Cesar & Rogers 2021, Lemma 3.4)."""
        return self.epsilon * self.epsilon / 8


@dataclass(frozen=True)
class Round:
    """A choice of range ``epsilon``, then a Gaussian answer whose noise was fixed before it.

    One mechanism of two outputs, as adaptive algorithms run it again and again: choose what to
    measure, then measure it. ``noise_multiplier`` is that of the answer.
    """

    epsilon: float
    noise_multiplier: float

    def __post_init__(self) -> None:
        _positive("epsilon", self.epsilon)
        _positive("noise_multiplier", self.noise_multiplier)

    @property
    def choice(self) -> Selection:
        """Its first output alone."""
        return Selection(self.epsilon)

    @property
    def answer(self) -> Gaussian:
        """Its second output alone."""
        return Gaussian(self.noise_multiplier, 1.0)

    @property
    def rho(self) -> float:
        """Cost in zCDP: that of both."""
        return self.choice.rho + self.answer.rho


@dataclass(frozen=True)
class Laplace:
    """Laplace noise of ``scale`` added to one number that moves by at most ``sensitivity``.

    A change spread over several numbers is charged as one event for each of them, or all at
    once as ``Pure(total change / scale)``.
    """

    scale: float
    sensitivity: float

    def __post_init__(self) -> None:
        _positive("scale", self.scale)
        _positive("sensitivity", self.sensitivity)

    @property
    def rho(self) -> float:
        """Cost in zCDP, that of any pure guarantee."""
        return (self.sensitivity / self.scale) ** 2 / 2


@dataclass(frozen=True)
class DiscreteGaussian:
    """Discrete Gaussian noise added to one whole number that moves by at most ``sensitivity``.

    The noise takes the value k with a chance proportional to exp(-k**2 / (2 * stddev**2)), so
    that ``stddev`` is its parameter and a little above its true standard deviation. It costs
    more than a ``Gaussian`` where ``stddev`` is small. Several numbers that move at once are
    charged as one event each.
    """

    stddev: float
    sensitivity: int

    def __post_init__(self) -> None:
        _positive("stddev", self.stddev)
        _counted("sensitivity", self.sensitivity)

    @property
    def rho(self) -> float:
        """Cost in zCDP (Canonne, Kamath & Steinke 2020, Thm 4)."""
        return (self.sensitivity / self.stddev) ** 2 / 2


@dataclass(frozen=True)
class DiscreteLaplace:
    """Two-sided geometric noise added to one whole number, which moves by ``sensitivity``.

    The noise takes the value k with a chance proportional to exp(-abs(k) / scale). Several
    numbers that move at once are charged as in ``Laplace``.
    """

    scale: float
    sensitivity: int

    def __post_init__(self) -> None:
        _positive("scale", self.scale)
        _counted("sensitivity", self.sensitivity)

    @property
    def rho(self) -> float:
        """Cost in zCDP, that of any pure guarantee."""
        return (self.sensitivity / self.scale) ** 2 / 2


@dataclass(frozen=True)
class SampledGaussian:
    """``steps`` noisy sums, each over records drawn independently with chance ``rate``.

    Poisson sampling: every record tosses its own coin at every step, the batch has no fixed
    size, and only the noisy sums are seen. ``noise_multiplier`` is the noise's standard
    deviation over the largest norm of one record's part of the sum. One unit has ``rows`` records,
    which are added or removed, or where ``replaced`` exchanged for as many others.
    """

    noise_multiplier: float
    rate: float
    steps: int
    rows: int = 1
    replaced: bool = False

    def __post_init__(self) -> None:
        check_settings(self)
        _positive("noise_multiplier", self.noise_multiplier)
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must lie in (0, 1], got {self.rate}")
        _counted("steps", self.steps)
        if type(self.rows) is not int or not 1 <= self.rows <= MOST_ROWS:
            raise ValueError(f"rows must be a whole number from 1 to {MOST_ROWS}, got {self.rows}")

    @property
    def is_simple(self) -> bool:
        """Whether one record is added or removed."""
        return self.rows == 1 and not self.replaced

    @property
    def rho(self) -> None:
        """None: sampling does not amplify a zCDP cost."""
        return None


@dataclass(frozen=True)
class TruncatedGaussian:
    """A ``SampledGaussian`` whose batches are cut to ``max_batch`` records.

    For static shapes. ``max_records`` is a public bound on the number of other records. The cut
    may favour any record, but one takes the place of one other at most: it keeps the first of an
    order, or a random subset, that does not depend on who is drawn.
    """

    noise_multiplier: float
    rate: float
    steps: int
    max_batch: int
    max_records: int

    def __post_init__(self) -> None:
        _counted("max_batch", self.max_batch)
        _counted("max_records", self.max_records)
        _ = self.sampled

    @property
    def sampled(self) -> SampledGaussian:
        """What it would be without the cut."""
        return SampledGaussian(self.noise_multiplier, self.rate, self.steps)

    @property
    def cut_once(self) -> float:
        """Upper bound on the chance that a step's batch is full; a record then moves another."""
        from scipy.special import bdtrc

        return min(1.0, float(bdtrc(self.max_batch - 1, self.max_records, self.rate)) * (1 + 1e-9))

    @property
    def cut(self) -> float:
        """Upper bound on the chance that any step's batch is full of other records."""
        return min(1.0, self.steps * self.cut_once)

    @property
    def rho(self) -> None:
        """None: a cut has no zCDP cost."""
        return None


@dataclass(frozen=True)
class ThresholdedGaussian:
    """A ``Gaussian`` on the counts of values of which only large noisy counts are released.

    ``delta`` bounds the chance that a value is released which the neighbouring table does not
    hold. It is all that comes on top of the Gaussian (proof in ``mechanisms.partitions``).
    """

    noise_multiplier: float
    sensitivity: float
    delta: float

    def __post_init__(self) -> None:
        check_settings(self)
        _ = self.counted
        if not 0 < self.delta < 1:
            raise ValueError(f"delta must lie in (0, 1), got {self.delta}")

    @property
    def counted(self) -> Gaussian:
        """What it would be if neighbouring tables held the same values."""
        return Gaussian(self.noise_multiplier, self.sensitivity)

    @property
    def stddev(self) -> float:
        """Standard deviation of the noise on each count."""
        return self.counted.stddev

    @property
    def rho(self) -> None:
        """None: with a chance of delta all may be told."""
        return None


@dataclass(frozen=True)
class PartitionSelection:
    """Which values reach a threshold with their noisy counts, and nothing else of the counts.

    A unit moves the count of one value at most, by one; ``noise_multiplier`` is the standard
    deviation of the Gaussian noise on each. ``delta`` bounds the chance that a value is released
    which the neighbouring table does not hold. Its curve is that of `partition_selection`.
    """

    noise_multiplier: float
    delta: float

    def __post_init__(self) -> None:
        check_settings(self)
        _ = self.thresholded

    @property
    def thresholded(self) -> ThresholdedGaussian:
        """What it costs at most: as if the noisy counts were seen as well."""
        return ThresholdedGaussian(self.noise_multiplier, 1.0, self.delta)

    @property
    def stddev(self) -> float:
        """Standard deviation of the noise on each count."""
        return self.noise_multiplier

    @property
    def rho(self) -> None:
        """None: with a chance of delta all may be told."""
        return None


@dataclass(frozen=True)
class NoisyVote:
    """The winner of two classes after noise of ``scale`` on both counts of ``teachers`` votes.

    Neighbouring tables change the vote of one teacher at most, so that one count rises by one
    and the other falls by one. ``scale`` is the standard deviation of ``gaussian`` noise and
    the scale of ``laplace`` and ``gumbel`` noise. Only the winner is seen. What else must be
    true of the teachers is said in ``dp_synth.accounting.pate``.
    """

    noise: VoteNoise
    scale: float
    teachers: int

    def __post_init__(self) -> None:
        if self.noise not in get_args(VoteNoise):
            raise ValueError(
                f"noise must be one of {', '.join(get_args(VoteNoise))}, got {self.noise!r}"
            )
        _positive("scale", self.scale)
        _counted("teachers", self.teachers)

    @property
    def rho(self) -> float:
        """Cost in zCDP: that of both noisy counts, or for gumbel of a choice of loss range.

        Two counts that each move by one cost 1 / (2 * scale**2) each, in either noise. The
        winner under gumbel noise is a softmax whose log-odds move by 2 / scale.
        """
        return (0.5 if self.noise == "gumbel" else 1.0) / self.scale**2


@dataclass(frozen=True)
class Pure:
    """Any mechanism known to be ``epsilon``-DP, and nothing more of it."""

    epsilon: float

    def __post_init__(self) -> None:
        _positive("epsilon", self.epsilon)

    @property
    def rho(self) -> float:
        """Cost in zCDP (Bun & Steinke 2016, Prop. 1.4)."""
        return self.epsilon**2 / 2


@dataclass(frozen=True)
class Approximate:
    """Any mechanism known to be (``epsilon``, ``delta``)-DP, and nothing more of it."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        check_settings(self)
        if not (math.isfinite(self.epsilon) and self.epsilon >= 0):
            raise ValueError(f"epsilon must be a finite number, 0 or above, got {self.epsilon}")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta must lie in (0, 1), got {self.delta}")

    @property
    def rho(self) -> None:
        """None: with probability delta all may be told."""
        return None


@dataclass(frozen=True)
class ZeroConcentrated:
    """Any mechanism known to be ``rho``-zCDP, such as a filter that stops before ``rho``."""

    rho: float

    def __post_init__(self) -> None:
        _positive("rho", self.rho)


@dataclass(frozen=True)
class NonPrivate:
    """Something that nothing bounds, with the ``reason``; whatever it is part of has no epsilon."""

    reason: str

    @property
    def rho(self) -> None:
        """None: no number would be large enough."""
        return None


@dataclass(frozen=True)
class NoOp:
    """Something read that no private record can change; it costs nothing."""

    @property
    def rho(self) -> float:
        """Nothing."""
        return 0.0


Event = (
    Gaussian
    | Selection
    | Round
    | Laplace
    | DiscreteGaussian
    | DiscreteLaplace
    | SampledGaussian
    | TruncatedGaussian
    | ThresholdedGaussian
    | PartitionSelection
    | NoisyVote
    | Pure
    | Approximate
    | ZeroConcentrated
    | NonPrivate
    | NoOp
)
EVENTS: dict[str, type[Event]] = {
    "gaussian": Gaussian,
    "selection": Selection,
    "round": Round,
    "laplace": Laplace,
    "discrete_gaussian": DiscreteGaussian,
    "discrete_laplace": DiscreteLaplace,
    "sampled_gaussian": SampledGaussian,
    "truncated_gaussian": TruncatedGaussian,
    "thresholded_gaussian": ThresholdedGaussian,
    "partition_selection": PartitionSelection,
    "noisy_vote": NoisyVote,
    "pure": Pure,
    "approximate": Approximate,
    "zero_concentrated": ZeroConcentrated,
    "no_guarantee": NonPrivate,
    "public": NoOp,
}
_TYPES = {kind: name for name, kind in EVENTS.items()}


def __getattr__(name: str) -> type:
    """Return an event by the name that it had before."""
    if name not in (before := {"NoGuarantee": NonPrivate, "Public": NoOp}):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{name} is now {before[name].__name__}", DeprecationWarning, stacklevel=2)
    return before[name]


def event_to_fields(event: Event) -> Fields:
    """Return the event as a JSON object with its ``type``; floats survive bit for bit.

    Fields that have their default are left out: events are written as before they had them.
    """
    defaults = {field.name: field.default for field in fields(type(event))}
    said = {name: value for name, value in asdict(event).items() if value != defaults[name]}
    return {"type": _TYPES[type(event)], **said}


def event_from_fields(values: object) -> Event:
    """Return the event that ``event_to_fields`` wrote; UnsupportedEvent for a type from elsewhere.

    >>> event_from_fields({"type": "selection", "epsilon": 0.4})
    Selection(epsilon=0.4)
    """
    if not isinstance(values, dict):
        raise UnsupportedEvent(f"an event must be an object, got {values!r}")
    given = {name: value for name, value in values.items() if name != "type"}
    kind = EVENTS.get(str(values.get("type")))
    known = {field.name: field.default is MISSING for field in fields(kind)} if kind else {}
    needed = {name for name, wanted in known.items() if wanted}
    if kind is None or not needed <= set(given) <= set(known):
        raise UnsupportedEvent(f"unknown event {values}; known types are {', '.join(EVENTS)}")
    for field in fields(kind):  # JSON may write a float as a whole number; counts and words stay
        if field.type == "float" and field.name in given:
            given[field.name] = float(given[field.name])
    return kind(**given)


def _positive(name: str, value: object) -> None:
    if not (isinstance(value, Real) and math.isfinite(value) and float(value) > 0):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def _counted(name: str, value: int) -> None:
    if type(value) is not int or not 1 <= value <= MOST_COUNTED:
        raise ValueError(f"{name} must be a whole number from 1 to {MOST_COUNTED}, got {value!r}")
