"""What a synthesizer will charge, by name, up to one noise scale that calibration finds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from dp_synth.accounting.budget import PrivacyBudget
from dp_synth.accounting.conversions import gaussian_delta
from dp_synth.accounting.events import (
    MOST_ROWS,
    Event,
    Gaussian,
    NoisyVote,
    NonPrivate,
    PartitionSelection,
    Round,
    SampledGaussian,
    Selection,
    ThresholdedGaussian,
    VoteNoise,
    ZeroConcentrated,
)
from dp_synth.accounting.filters import NO_DELTA, FilterKind, cost, limit
from dp_synth.accounting.partition_selection import MOST_BITS
from dp_synth.errors import InputError, UnsupportedEvent

BITS_GAIN = 1.5
"""Times the zCDP cost of noisy counts that one bit of each is worth, of the same privacy loss."""

SPARE_SHARE = {True: 1 / 2, False: 1 / 12}
"""Part that thresholds take of the delta which everything else leaves, of bits and of counts.

Thresholds are then within 4 % of the least of one cost (`benchmarks/open_columns.py`).
"""


@dataclass(frozen=True)
class Gaussians:
    """``count`` Gaussian answers with one noise multiplier, found by calibration when None.

    ``share`` is this part's portion of the plan's zCDP cost, relative to the other parts. Where
    they ``count_records`` and no more, they cost nothing under a budget that makes that public.
    """

    count: int
    share: float = 1.0
    noise_multiplier: float | None = None
    name: str = ""
    count_records: bool = False

    def __post_init__(self) -> None:
        _check_part(self.count, self.share, self.noise_multiplier)

    def at(self, rho: float) -> Gaussians:
        """Return this part with the noise at which all of it costs ``rho`` in zCDP."""
        return replace(self, noise_multiplier=math.sqrt(self.count / (2 * rho)))

    def event(self, sensitivity: float = 1.0) -> Gaussian:
        """Return what one answer of this part will be charged as."""
        if self.noise_multiplier is None:
            raise ValueError(f"part {self.name!r} has no noise yet; calibrate its plan first")
        return Gaussian(self.noise_multiplier, sensitivity)


@dataclass(frozen=True)
class Selections:
    """``count`` choices, each with privacy loss of range ``epsilon``, calibrated when None.

    ``share`` as in ``Gaussians``.
    """

    count: int
    share: float = 1.0
    epsilon: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _check_part(self.count, self.share, self.epsilon)

    def at(self, rho: float) -> Selections:
        """Return this part with the range at which all of it costs ``rho`` in zCDP."""
        return replace(self, epsilon=math.sqrt(8 * rho / self.count))

    def event(self) -> Selection:
        """Return what one choice of this part will be charged as."""
        if self.epsilon is None:
            raise ValueError(f"part {self.name!r} has no epsilon yet; calibrate its plan first")
        return Selection(self.epsilon)


@dataclass(frozen=True)
class ThresholdedGaussians:
    """``count`` releases of values whose noisy counts exceed a threshold.

    ``share`` and ``noise_multiplier`` as in ``Gaussians``. ``delta`` is that of one threshold;
    None until ``Plan.with_delta`` says of how much it is a part. Where a unit is one record, added
    or removed, each tells ``one_bit``: see ``PartitionSelection``.
    """

    count: int
    share: float = 1.0
    noise_multiplier: float | None = None
    delta: float | None = None
    name: str = ""
    one_bit: bool = False

    def __post_init__(self) -> None:
        _check_part(self.count, self.share, self.noise_multiplier)

    def at(self, rho: float) -> ThresholdedGaussians:
        """Return this part with the noise at which it costs about ``rho`` in zCDP."""
        counted = rho * BITS_GAIN if self.one_bit else rho
        return replace(self, noise_multiplier=math.sqrt(self.count / (2 * counted)))

    def event(self, sensitivity: float = 1.0) -> ThresholdedGaussian | PartitionSelection:
        """Return what one release of this part will be charged as."""
        if self.noise_multiplier is None or self.delta is None:
            raise ValueError(f"part {self.name!r} has no noise yet; calibrate its plan first")
        if self.one_bit:
            return PartitionSelection(self.noise_multiplier, self.delta)
        return ThresholdedGaussian(self.noise_multiplier, sensitivity, self.delta)


@dataclass(frozen=True)
class SampledGaussians:
    """``count`` noisy sums, each over records that toss a coin of chance ``rate`` of their own.

    One step of a training a sum, with one noise multiplier, found by calibration when None.
    ``share`` as in ``Gaussians``, though by an approximate cost: see ``at``. ``rows`` of a unit
    and whether they are ``replaced`` are those of ``SampledGaussian``.
    """

    count: int
    rate: float
    share: float = 1.0
    noise_multiplier: float | None = None
    name: str = ""
    rows: int = 1
    replaced: bool = False

    def __post_init__(self) -> None:
        _check_part(self.count, self.share, self.noise_multiplier)
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must lie in (0, 1], got {self.rate}")

    def at(self, rho: float) -> SampledGaussians:
        """Return this part with the noise at which all of it costs about ``rho`` in zCDP.

        By the limit of many steps, Gaussian DP of mu = rate * sqrt(count * (exp(1 / noise
        ** 2) - 1)) (Bu, Dong, Long & Su 2020, arXiv:1911.11607), where rho is mu ** 2 / 2. It
        says how a budget is shared and no more: what is certified is the composed loss.
        """
        rate = self.rate * self.rows * (2 if self.replaced else 1)  # of all moves of a unit
        excess = 2 * rho / (rate**2 * self.count)
        return replace(self, noise_multiplier=1 / math.sqrt(math.log1p(excess)))

    def event(self) -> SampledGaussian:
        """Return what one sum of this part will be charged as."""
        if self.noise_multiplier is None:
            raise ValueError(f"part {self.name!r} has no noise yet; calibrate its plan first")
        return SampledGaussian(self.noise_multiplier, self.rate, 1, self.rows, self.replaced)


@dataclass(frozen=True)
class Votes:
    """``count`` noisy votes of ``teachers`` between two classes, calibrated when ``scale`` is None.

    ``share`` as in ``Gaussians``. Which conditions the teachers must meet is said in
    ``dp_synth.accounting.pate``.
    """

    count: int
    teachers: int
    noise: VoteNoise = "gaussian"
    share: float = 1.0
    scale: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _check_part(self.count, self.share, self.scale)
        _ = NoisyVote(self.noise, 1.0, self.teachers)

    def at(self, rho: float) -> Votes:
        """Return this part with the noise at which all of it costs ``rho`` in zCDP."""
        cost_at_one = NoisyVote(self.noise, 1.0, self.teachers).rho
        return replace(self, scale=math.sqrt(self.count * cost_at_one / rho))

    def event(self) -> NoisyVote:
        """Return what one vote of this part will be charged as."""
        if self.scale is None:
            raise ValueError(f"part {self.name!r} has no noise yet; calibrate its plan first")
        return NoisyVote(self.noise, self.scale, self.teachers)


@dataclass(frozen=True)
class Filtered:
    """An amount that is spent while running, on events chosen with knowledge of earlier ones.

    Outside it counts as one event with a fixed curve, whether all of it is spent or not: an
    amount of zero-concentrated DP, or one Gaussian mechanism. ``amount`` is in the currency
    (rho, or the square of mu) and found by calibration when None. ``share`` as in ``Gaussians``.
    """

    currency: FilterKind = "zcdp"
    share: float = 1.0
    amount: float | None = None
    name: str = ""
    count: int = 1

    def __post_init__(self) -> None:
        _check_part(self.count, self.share, self.amount)
        if self.count != 1:
            raise ValueError(f"a filtered part is one event, got count {self.count}")

    def at(self, rho: float) -> Filtered:
        """Return this part with the amount that costs ``rho`` in zCDP."""
        return replace(self, amount=rho if self.currency == "zcdp" else 2 * rho)

    def event(self) -> ZeroConcentrated | Gaussian:
        """Return the one event that stands for all that is spent within."""
        if self.amount is None:
            raise ValueError(f"part {self.name!r} has no amount yet; calibrate its plan first")
        if self.currency == "zcdp":
            return ZeroConcentrated(self.amount)
        return Gaussian(1 / math.sqrt(self.amount), 1.0)


@dataclass(frozen=True)
class Unbounded:
    """What nothing bounds, for the ``reason``: a plan with it pays with an infinite epsilon only.

    The other parts take their ``share`` of what an epsilon of ``target`` would cost, and their
    shares may be more than the whole: the target is not certified.
    """

    reason: str
    target: float
    name: str = ""
    count: int = 1
    share: float = 0.0

    def at(self, rho: float) -> Unbounded:
        """Return this part as it is: it has no noise."""
        return self

    def event(self) -> NonPrivate:
        """Return what its reservation makes of the ledger: that nothing is certified."""
        return NonPrivate(self.reason)


@dataclass(frozen=True)
class FilteredGaussian:
    """Gaussian answers paid from a filtered part, with noise chosen while running."""

    part: Filtered
    noise_multiplier: float

    @property
    def name(self) -> str:
        """The name of the part that pays."""
        return self.part.name

    def event(self, sensitivity: float = 1.0) -> Gaussian:
        """Return what one answer will be charged as."""
        return Gaussian(self.noise_multiplier, sensitivity)


@dataclass(frozen=True)
class FilteredSelection:
    """Choices paid from a filtered part, with a range chosen while running.

    With ``answer``, the noise multiplier of a Gaussian answer that comes next, fixed before the
    choice, both are charged as one `Round` when the choice is, and the answer is then free.
    """

    part: Filtered
    epsilon: float
    answer: float | None = None

    @property
    def name(self) -> str:
        """The name of the part that pays."""
        return self.part.name

    def event(self) -> Selection | Round:
        """Return what one choice will be charged as."""
        if self.answer is not None:
            return Round(self.epsilon, self.answer)
        return Selection(self.epsilon)


Noisy = Gaussians | ThresholdedGaussians | SampledGaussians | Selections | Votes | Filtered
Part = Noisy | Unbounded
P = TypeVar("P", Gaussians, ThresholdedGaussians, SampledGaussians, Selections, Votes, Filtered)


@dataclass(frozen=True)
class Plan:
    """The parts of a recipe by name. Its events are fixed before the first of them is released.

    >>> plan = Plan({"ones": Gaussians(15), "tree": Selections(14), "pairs": Gaussians(14)})
    >>> plan.at(rho=1.0).rho
    1.0
    """

    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        named = {name: replace(part, name=name) for name, part in self.parts.items()}
        object.__setattr__(self, "parts", MappingProxyType(named))
        if len({self._is_fixed(part) for part in self._noisy()}) > 1:
            raise ValueError("either all parts of a plan have their noise or none has")

    @property
    def is_fixed(self) -> bool:
        """Whether the noise is given, so that calibration has nothing to find."""
        return all(self._is_fixed(part) for part in self._noisy())

    @property
    def unbounded(self) -> Unbounded | None:
        """The part that nothing bounds; None in a plan that has a guarantee."""
        found = [part for part in self._active() if isinstance(part, Unbounded)]
        return found[0] if found else None

    @property
    def rho(self) -> float:
        """Cost of a fixed plan in zCDP."""
        return self.cost("zcdp")

    def cost(self, currency: FilterKind) -> float:
        """Cost of a fixed plan in a filter's currency; UnsupportedEvent when there is none."""
        if any(isinstance(part, ThresholdedGaussians) for part in self._active()):
            raise UnsupportedEvent(NO_DELTA)
        return math.fsum(cost(event, currency) * count for event, count in self.events())

    def at(self, rho: float) -> Plan:
        """Return the plan whose parts share a zCDP cost of ``rho``."""
        total = math.fsum(part.share for part in self._active())
        return Plan(
            {
                name: part.at(rho * part.share / total) if part.count else part
                for name, part in self.parts.items()
            }
        )

    def under(self, budget: PrivacyBudget) -> Plan:
        """Return the plan without answers that the budget makes public: numbers of records.

        Its thresholds tell one bit where a unit moves one count, and its sampled sums are moved
        by all rows of one. UnsupportedEvent for more rows than their curve is for.
        """
        replaced = budget.adjacency != "add_remove"
        found = dict(self.parts)
        for name, part in self.parts.items():
            if isinstance(part, Gaussians) and part.count_records and budget.records_are_public:
                found[name] = replace(part, count=0)
            if isinstance(part, ThresholdedGaussians):
                one_bit = not replaced and budget.max_rows == 1 and part.count <= MOST_BITS
                found[name] = replace(part, one_bit=one_bit)
            if isinstance(part, SampledGaussians):
                if budget.max_rows > MOST_ROWS:
                    raise UnsupportedEvent(
                        f"sampled sums are certified for units of at most {MOST_ROWS} records, "
                        f"got {budget.max_rows}"
                    )
                found[name] = replace(part, rows=budget.max_rows, replaced=replaced)
        return Plan(found)

    def with_delta(self, delta: float, epsilon: float | None = None) -> Plan:
        """Return the plan whose thresholds share ``delta``, where none was given.

        With ``epsilon`` they share a part of it, of what it has to spare: everything else, as one
        Gaussian of its share, has a smaller delta at that epsilon than the whole. InputError at
        delta 0, which allows no threshold.
        """
        parts = [part for part in self._active() if isinstance(part, ThresholdedGaussians)]
        if all(part.delta is not None for part in parts):
            return self
        if not delta:
            raise InputError("releasing categories of open columns needs a delta above 0, got 0")
        if epsilon is not None:
            share = math.fsum(part.share for part in parts)
            others = max(0.0, 1 - share / math.fsum(part.share for part in self._active()))
            mu = math.sqrt(limit(PrivacyBudget(epsilon, delta), "gdp") * others)
            spare = delta - (gaussian_delta(mu, epsilon) if mu else 0.0)
            delta = spare * SPARE_SHARE[all(part.one_bit for part in parts)]
        each = delta / sum(part.count for part in parts)
        given = {part.name: replace(part, delta=each) for part in parts if part.delta is None}
        return Plan({**self.parts, **given})

    def events(self) -> Iterator[tuple[Event, int]]:
        """Yield what the parts will be charged as, with how often."""
        for part in self._active():
            yield part.event(), part.count

    def gaussians(self, name: str) -> Gaussians:
        """Return the Gaussian part of this name."""
        return self._part(name, Gaussians)

    def thresholded(self, name: str) -> ThresholdedGaussians:
        """Return the part of thresholded counts of this name."""
        return self._part(name, ThresholdedGaussians)

    def sampled(self, name: str) -> SampledGaussians:
        """Return the part of sampled sums of this name."""
        return self._part(name, SampledGaussians)

    def selections(self, name: str) -> Selections:
        """Return the selection part of this name."""
        return self._part(name, Selections)

    def votes(self, name: str) -> Votes:
        """Return the part of noisy votes of this name."""
        return self._part(name, Votes)

    def filtered(self, name: str) -> Filtered:
        """Return the filtered part of this name."""
        return self._part(name, Filtered)

    def _part(self, name: str, kind: type[P]) -> P:
        part = self.parts.get(name)
        if not isinstance(part, kind):
            raise KeyError(
                f"the plan has no {kind.__name__} named {name!r}; its parts are {dict(self.parts)}"
            )
        return part

    def _active(self) -> list[Part]:
        return [part for part in self.parts.values() if part.count]

    def _noisy(self) -> list[Noisy]:
        return [part for part in self._active() if not isinstance(part, Unbounded)]

    @staticmethod
    def _is_fixed(part: Noisy) -> bool:
        match part:
            case Gaussians() | ThresholdedGaussians() | SampledGaussians():
                return part.noise_multiplier is not None
            case Selections():
                return part.epsilon is not None
            case Votes():
                return part.scale is not None
            case Filtered():
                return part.amount is not None


def _check_part(count: int, share: float, noise: float | None) -> None:
    if count < 0:
        raise ValueError(f"count must be 0 or more, got {count}")
    if not (math.isfinite(share) and share > 0):
        raise ValueError(f"share must be a finite number above 0, got {share}")
    if noise is not None and not (math.isfinite(noise) and noise > 0):
        raise ValueError(f"the noise of a part must be a finite number above 0, got {noise}")
