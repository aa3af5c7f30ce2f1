"""Events: what a mechanism did, in numbers, and what is known of each kind; no data.

Every event holds for the two neighbouring tables of the adjacency in force: who states a
sensitivity, an epsilon or a rho states it under that adjacency. ``rho`` is the cost in zCDP, None
where no useful one is known. What else is asked of an event stands in `Mechanism`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from fractions import Fraction
from operator import ge, le
from typing import ClassVar, Literal

from dp_synth.accounting.budget import FilterKind, PrivacyBudget
from dp_synth.accounting.dominating_gaussian import amount_of_round, pure_mu, selection_mu
from dp_synth.accounting.mechanism import MOST_COUNTED as MOST_COUNTED
from dp_synth.accounting.mechanism import SCALED as SCALED
from dp_synth.accounting.mechanism import Compared, Fields, counted, positive
from dp_synth.accounting.mechanism import Mechanism as Mechanism
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.formatting import rounded_down, rounded_up
from dp_synth.settings import check_settings

VoteNoise = Literal["gaussian", "laplace", "gumbel"]

MOST_ROWS = 200  # of one unit, that may each be drawn


@dataclass(frozen=True)
class Gaussian(Mechanism):
    """Gaussian noise added to an answer of bounded L2 sensitivity.

    ``noise_multiplier`` is the noise's standard deviation over the answer's ``sensitivity``
    under the adjacency in force; it alone decides the privacy loss.
    """

    filter_kind: ClassVar[FilterKind | None] = "gdp"
    compared: ClassVar[Compared] = {"noise_multiplier": ge}
    ignored: ClassVar[set[str]] = {"sensitivity"}

    noise_multiplier: float
    sensitivity: float

    @property
    def stddev(self) -> float:
        """Standard deviation of the noise, in the units of the answer."""
        return self.noise_multiplier * self.sensitivity

    @property
    def rho(self) -> float:
        """Cost in zCDP (Bun & Steinke 2016, Prop. 1.6)."""
        return 0.5 / self.noise_multiplier / self.noise_multiplier

    @property
    def squared_mu(self) -> float:
        """Cost in Gaussian DP: its own."""
        return self.noise_multiplier**-2

    @property
    def label(self) -> str:
        """Its stddev and sensitivity."""
        moved = rounded_up(self.sensitivity)
        return f"gaussian, stddev {rounded_down(self.stddev)}, sensitivity {moved}"


@dataclass(frozen=True)
class Selection(Mechanism):
    """One choice among public candidates whose privacy loss has range ``epsilon``.

    The exponential mechanism softmax(epsilon * quality / (2 * sensitivity)) is one: all its
    log-probabilities move by amounts within an interval of length ``epsilon`` (bounded range,
    Durfee & Rogers 2019), which is stronger than ``epsilon``-DP.
    """

    by_curve: ClassVar[bool] = True
    compared: ClassVar[Compared] = {"epsilon": le}

    epsilon: float

    @property
    def rho(self) -> float:
        """Cost in zCDP (Cesar & Rogers 2021, Lemma 3.4)."""
        return self.epsilon * self.epsilon / 8

    @property
    def squared_mu(self) -> float:
        """Cost in Gaussian DP, rounded up."""
        return selection_mu(self.epsilon) ** 2

    @property
    def pure_epsilon(self) -> Fraction:
        """Its range."""
        return Fraction(self.epsilon)

    @property
    def label(self) -> str:
        """Its range."""
        return f"selection, loss range {rounded_up(self.epsilon)}"


@dataclass(frozen=True)
class Round(Mechanism):
    """A choice of range ``epsilon``, then a Gaussian answer whose noise was fixed before it.

    One mechanism of two outputs, as adaptive algorithms run it again and again: choose what to
    measure, then measure it. ``noise_multiplier`` is that of the answer.
    """

    epsilon: float
    noise_multiplier: float

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

    @property
    def squared_mu(self) -> float:
        """Cost in Gaussian DP, the least that is known: of both together, or of each apart."""
        together = amount_of_round(self.epsilon, self.noise_multiplier)
        alone = self.answer.squared_mu
        if alone < 1 and together < alone + 1.5 * 2 * self.choice.rho:  # a choice alone costs more
            return together
        return min(together, alone + self.choice.squared_mu)

    @property
    def outputs(self) -> tuple[Event, ...]:
        """The choice and the answer."""
        return self.choice, self.answer

    @property
    def label(self) -> str:
        """The range of the choice, and the noise of the answer."""
        noise = f"noise multiplier {rounded_down(self.noise_multiplier)}"
        return f"{self.choice.label}, with the answer that comes next, {noise}"


@dataclass(frozen=True)
class Laplace(Mechanism):
    """Laplace noise of ``scale`` added to one number that moves by at most ``sensitivity``.

    A change spread over several numbers is charged as one event for each of them, or all at
    once as ``Pure(total change / scale)``.
    """

    scale: float
    sensitivity: float

    @property
    def rho(self) -> float:
        """Cost in zCDP, that of any pure guarantee."""
        return (self.sensitivity / self.scale) ** 2 / 2

    @property
    def pure_epsilon(self) -> Fraction:
        """The largest loss."""
        return Fraction(self.sensitivity) / Fraction(self.scale)

    @property
    def loss_unit(self) -> float:
        """The largest loss, which half of all noise has."""
        return self.sensitivity / self.scale


@dataclass(frozen=True)
class DiscreteGaussian(Mechanism):
    """Discrete Gaussian noise added to one whole number that moves by at most ``sensitivity``.

    The noise takes the value k with a chance proportional to exp(-k**2 / (2 * stddev**2)), so
    that ``stddev`` is its parameter and a little above its true standard deviation. It costs
    more than a ``Gaussian`` where ``stddev`` is small. Several numbers that move at once are
    charged as one event each.
    """

    stddev: float
    sensitivity: int

    @property
    def rho(self) -> float:
        """Cost in zCDP (Canonne, Kamath & Steinke 2020, Thm 4)."""
        return (self.sensitivity / self.stddev) ** 2 / 2

    @property
    def loss_unit(self) -> float:
        """Half of what one loss differs from the next by."""
        return self.sensitivity / self.stddev**2 / 2


@dataclass(frozen=True)
class DiscreteLaplace(Mechanism):
    """Two-sided geometric noise added to one whole number, which moves by ``sensitivity``.

    The noise takes the value k with a chance proportional to exp(-abs(k) / scale). Several
    numbers that move at once are charged as in ``Laplace``.
    """

    scale: float
    sensitivity: int

    @property
    def rho(self) -> float:
        """Cost in zCDP, that of any pure guarantee."""
        return (self.sensitivity / self.scale) ** 2 / 2

    @property
    def pure_epsilon(self) -> Fraction:
        """The largest loss."""
        return Fraction(self.sensitivity) / Fraction(self.scale)

    @property
    def loss_unit(self) -> float:
        """Half of what one loss differs from the next by."""
        return 1 / self.scale


def _is_multiple(number: int, unit: int) -> bool:
    return number % unit == 0


@dataclass(frozen=True)
class LaplaceCounts(Mechanism):
    """Discrete Laplace noise on each of the whole numbers of one answer, such as a marginal's.

    Neighbouring tables move them by ``sensitivity`` in one direction, at most, all of them
    together, and where a unit is ``replaced`` by as much in the other direction too. Their sum is
    the L1 sensitivity, of which ``noise_multiplier`` is the noise's scale: one answer is
    (1 / noise_multiplier)-DP.

    Its curve is that of one number that moves by all of ``sensitivity``, or of two where a unit
    is replaced, each a `DiscreteLaplace`: no way of spreading a move over more numbers tells more
    (proof in `docs/accounting.md`).
    """

    compared: ClassVar[Compared] = {
        "noise_multiplier": ge,
        "sensitivity": _is_multiple,  # a finer lattice of losses has chords of the same curve
        "replaced": ge,  # two moves of half the loss each tell less than one
    }

    noise_multiplier: float
    sensitivity: int = 1
    replaced: bool = False

    @property
    def numbers(self) -> int:
        """How many numbers move in the worst case."""
        return 2 if self.replaced else 1

    @property
    def scale(self) -> float:
        """Scale of the noise, in the units of the answer, rounded up."""
        moved = self.numbers * self.sensitivity
        scale = self.noise_multiplier * moved
        exact = Fraction(self.noise_multiplier) * moved
        return scale if Fraction(scale) >= exact else math.nextafter(scale, math.inf)

    @property
    def stddev(self) -> float:
        """Standard deviation of the noise on each number, in the units of the answer."""
        return laplace_stddev(self.scale)

    @property
    def number(self) -> DiscreteLaplace:
        """What one of the numbers that move in the worst case is."""
        return DiscreteLaplace(self.scale, self.sensitivity)

    @property
    def rho(self) -> float:
        """Cost in zCDP: that of the numbers that move."""
        return self.numbers * self.number.rho

    @property
    def squared_mu(self) -> float:
        """Cost in Gaussian DP, rounded up: that of the numbers that move."""
        return self.numbers * pure_mu(float(self.number.pure_epsilon) * (1 + 1e-15)) ** 2

    @property
    def pure_epsilon(self) -> Fraction:
        """One over the noise multiplier."""
        return 1 / Fraction(self.noise_multiplier)

    @property
    def label(self) -> str:
        """Its scale and L1 sensitivity."""
        scale, moved = rounded_down(self.scale), rounded_up(self.numbers * self.sensitivity)
        return f"discrete laplace, scale {scale}, L1 sensitivity {moved}"

    def unfit(self, budget: PrivacyBudget) -> str:
        """Return why it is not for units of a budget."""
        moved = budget.max_rows * (1 if budget.adjacency == "add_remove" else 2)
        if self.numbers * self.sensitivity >= moved:
            return ""
        return "discrete Laplace noise must say how many rows of a unit move its counts"


def laplace_stddev(scale: float) -> float:
    """Return the standard deviation of discrete Laplace noise, P(k) ~ exp(-abs(k) / scale).

    >>> laplace_stddev(100.0) / 100.0 < 2**0.5
    True
    """
    half = 1 / scale / 2
    return (
        math.exp(-half) * math.sqrt(2.0) if half > 300 else 1 / (math.sqrt(2.0) * math.sinh(half))
    )


def laplace_scale(stddev: float) -> float:
    """Return the scale of discrete Laplace noise of this standard deviation.

    >>> round(laplace_scale(laplace_stddev(3.0)), 9)
    3.0
    """
    return 1 / (2 * math.asinh(1 / (math.sqrt(2.0) * stddev)))


@dataclass(frozen=True)
class SampledGaussian(Mechanism):
    """``steps`` noisy sums, each over records drawn independently with chance ``rate``.

    Poisson sampling: every record tosses its own coin at every step, the batch has no fixed
    size, and only the noisy sums are seen. ``noise_multiplier`` is the noise's standard
    deviation over the largest norm of one record's part of the sum. One unit has ``rows`` records,
    which are added or removed, or where ``replaced`` exchanged for as many others. With
    ``by_unit`` all records of a unit share one coin and are one part, however many they are:
    for "record" above read "unit".
    """

    compared: ClassVar[Compared] = {"noise_multiplier": ge, "rate": le, "rows": le}

    noise_multiplier: float
    rate: float
    steps: int
    rows: int = 1
    replaced: bool = False
    by_unit: bool = False

    def __post_init__(self) -> None:
        check_settings(self)
        positive("noise_multiplier", self.noise_multiplier)
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must lie in (0, 1], got {self.rate}")
        counted("steps", self.steps)
        if type(self.rows) is not int or not 1 <= self.rows <= MOST_ROWS:
            raise ValueError(f"rows must be a whole number from 1 to {MOST_ROWS}, got {self.rows}")
        if self.by_unit and self.rows > 1:
            raise ValueError(f"whole units are one part each, got rows {self.rows}")

    @property
    def is_simple(self) -> bool:
        """Whether one part is added or removed."""
        return self.rows == 1 and not self.replaced

    @property
    def rho_at_most(self) -> float:
        """Upper bound on the cost in zCDP: sampling never costs more than none."""
        once = self.steps / 2 / self.noise_multiplier / self.noise_multiplier
        return once * (self.rows * (2 if self.replaced else 1)) ** 2

    @property
    def answers(self) -> int:
        """Its steps."""
        return self.steps

    @property
    def once(self) -> SampledGaussian:
        """A single step."""
        return replace(self, steps=1)

    def unfit(self, budget: PrivacyBudget) -> str:
        """Return why it is not for units of a budget."""
        covers = self.by_unit or self.rows >= budget.max_rows
        if covers and self.replaced == (budget.adjacency != "add_remove"):
            return ""
        return "sampled sums must say how many rows of a unit move them"


@dataclass(frozen=True)
class TruncatedGaussian(Mechanism):
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
        _ = self.sampled
        super().__post_init__()

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
    def attained(self) -> Event:
        """That of a table that is too small to be cut."""
        return self.sampled

    @property
    def answers(self) -> int:
        """Its steps."""
        return self.steps

    @property
    def once(self) -> TruncatedGaussian:
        """A single step."""
        return replace(self, steps=1)

    def unfit(self, budget: PrivacyBudget) -> str:
        """Return why a budget has other neighbours than those which it is for."""
        if budget.adjacency != "add_remove":
            return "cut batches are certified under add_remove only"
        several = budget.max_rows > 1
        return "cut batches are certified for units of one record only" if several else ""


@dataclass(frozen=True)
class ThresholdedGaussian(Mechanism):
    """A ``Gaussian`` on the counts of values of which only large noisy counts are released.

    ``delta`` bounds the chance that a value is released which the neighbouring table does not
    hold. It is all that comes on top of the Gaussian (proof in ``mechanisms.partitions``).
    """

    compared: ClassVar[Compared] = {"noise_multiplier": ge, "delta": le}
    ignored: ClassVar[set[str]] = {"sensitivity"}

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
    def told(self) -> float:
        """Chance that a value is released which the neighbouring table does not hold."""
        return self.delta

    @property
    def untold(self) -> Event:
        """The noisy counts."""
        return self.counted

    @property
    def label(self) -> str:
        """The counts' noise, and the chance."""
        return f"thresholded {self.counted.label}, delta {rounded_up(self.delta)}"


@dataclass(frozen=True)
class PartitionSelection(Mechanism):
    """Which values reach a threshold with their noisy counts, and nothing else of the counts.

    A unit moves the count of one value at most, by one; ``noise_multiplier`` is the standard
    deviation of the Gaussian noise on each. ``delta`` bounds the chance that a value is released
    which the neighbouring table does not hold. Its curve is that of `partition_selection`.
    """

    compared: ClassVar[Compared] = {"noise_multiplier": ge, "delta": le}

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
    def told(self) -> float:
        """Chance that a value is released which the neighbouring table does not hold."""
        return self.delta

    @property
    def label(self) -> str:
        """That of the counts, which are not seen."""
        return f"selected by {self.thresholded.label}"


@dataclass(frozen=True)
class NoisyVote(Mechanism):
    """The winner of two classes after noise of ``scale`` on both counts of ``teachers`` votes.

    Neighbouring tables change the vote of one teacher at most, so that one count rises by one
    and the other falls by one. ``scale`` is the standard deviation of ``gaussian`` noise and
    the scale of ``laplace`` and ``gumbel`` noise. Only the winner is seen. What else must be
    true of the teachers is said in ``dp_synth.accounting.pate``.
    """

    by_curve: ClassVar[bool] = True
    compared: ClassVar[Compared] = {"scale": ge}

    noise: VoteNoise
    scale: float
    teachers: int

    def __post_init__(self) -> None:
        check_settings(self)
        super().__post_init__()

    @property
    def rho(self) -> float:
        """Cost in zCDP: that of both noisy counts, or for gumbel of a choice of loss range.

        Two counts that each move by one cost 1 / (2 * scale**2) each, in either noise. The
        winner under gumbel noise is a softmax whose log-odds move by 2 / scale.
        """
        return (0.5 if self.noise == "gumbel" else 1.0) / self.scale**2

    @property
    def pure_epsilon(self) -> Fraction | None:
        """Of laplace and gumbel noise 2 / scale: both counts move by one (Papernot et al. 2017)."""
        return None if self.noise == "gaussian" else 2 / Fraction(self.scale)

    def unfit(self, budget: PrivacyBudget) -> str:
        """Return why it is not for units of a budget."""
        several = budget.max_rows > 1
        return "votes are certified for units of one record only" if several else ""


@dataclass(frozen=True)
class Pure(Mechanism):
    """Any mechanism known to be ``epsilon``-DP, and nothing more of it.

    Such as a filter that adds up epsilons, and stops before ``epsilon``.
    """

    filter_kind: ClassVar[FilterKind | None] = "pure"

    epsilon: float

    @property
    def rho(self) -> float:
        """Cost in zCDP (Bun & Steinke 2016, Prop. 1.4)."""
        return self.epsilon**2 / 2

    @property
    def squared_mu(self) -> float:
        """Cost in Gaussian DP, rounded up."""
        return pure_mu(self.epsilon) ** 2

    @property
    def pure_epsilon(self) -> Fraction:
        """Its epsilon."""
        return Fraction(self.epsilon)


@dataclass(frozen=True)
class Approximate(Mechanism):
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
    def pure_epsilon(self) -> Fraction:
        """Its epsilon, but for its delta."""
        return Fraction(self.epsilon)

    @property
    def spread(self) -> float:
        """That of a pure one."""
        return self.epsilon**2 / 2

    def scaled(self, factor: float) -> Approximate:
        """Raise InputError: nobody knows what more noise would do."""
        raise InputError("an approximate event says nothing of its noise, which cannot be scaled")


@dataclass(frozen=True)
class ZeroConcentrated(Mechanism):
    """Any mechanism known to be ``rho``-zCDP, such as a filter that stops before ``rho``."""

    by_curve: ClassVar[bool] = True
    filter_kind: ClassVar[FilterKind | None] = "zcdp"

    rho: float = field()

    @property
    def attained(self) -> Event:
        """A Gaussian."""
        return Gaussian(1 / math.sqrt(2 * self.rho) * (1 + 1e-15), 1.0)


@dataclass(frozen=True)
class NonPrivate(Mechanism):
    """Something that nothing bounds, with the ``reason``; whatever it is part of has no epsilon."""

    reason: str

    @property
    def told(self) -> float:
        """Certain."""
        return 1.0

    @property
    def label(self) -> str:
        """The reason."""
        return f"no guarantee: {self.reason}"


@dataclass(frozen=True)
class NoOp(Mechanism):
    """Something read that no private record can change; it costs nothing."""

    rho: ClassVar[float] = 0.0
    squared_mu: ClassVar[float] = 0.0


Event = (
    Gaussian
    | Selection
    | Round
    | Laplace
    | DiscreteGaussian
    | DiscreteLaplace
    | LaplaceCounts
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
    "laplace_counts": LaplaceCounts,
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


def gaussian_precision(sequence: Iterable[tuple[Event, int]]) -> float:
    """Return the square of the mu that all Gaussians of a sequence amount to."""
    gaussians = [(e.noise_multiplier, count) for e, count in sequence if isinstance(e, Gaussian)]
    return sum(count / multiplier / multiplier for multiplier, count in gaussians)


def event_to_fields(event: Event) -> Fields:
    """Return the event as a JSON object with its ``type``; floats survive bit for bit.

    Fields that have their default are left out: events are written as before they had them.
    """
    defaults = {each.name: each.default for each in fields(type(event))}
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
    known = {each.name: each.default is MISSING for each in fields(kind)} if kind else {}
    needed = {name for name, wanted in known.items() if wanted}
    if kind is None or not needed <= set(given) <= set(known):
        raise UnsupportedEvent(f"unknown event {values}; known types are {', '.join(EVENTS)}")
    for each in fields(kind):  # JSON may write a float as a whole number; counts and words stay
        if each.type == "float" and each.name in given:
            given[each.name] = float(given[each.name])
    return kind(**given)
