"""Plan: what a synthesizer will charge, by name, and reservation: what was granted of it.

A plan is known up to one noise scale, which calibration finds.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from dp_synth.accounting.budget import Adjacency, FilterKind, PrivacyBudget, gaussian_delta
from dp_synth.accounting.events import (
    MOST_COUNTED,
    MOST_ROWS,
    Event,
    Gaussian,
    LaplaceCounts,
    NoisyVote,
    NonPrivate,
    PartitionSelection,
    Pure,
    Round,
    SampledGaussian,
    Selection,
    ThresholdedGaussian,
    VoteNoise,
    ZeroConcentrated,
)
from dp_synth.accounting.filters import NO_DELTA, NO_PURE_SUMS, cost, limit, paid_for, whole_event
from dp_synth.accounting.ledger import PLANNED, Entry, Randomness, Sampler
from dp_synth.accounting.partition_selection import MOST_BITS
from dp_synth.errors import BudgetExceeded, InputError, UnsupportedEvent

if TYPE_CHECKING:
    from dp_synth.accounting.accountant import Accountant
    from dp_synth.accounting.payments import FilteredGaussian, FilteredLaplace, FilteredSelection

P = TypeVar("P", bound="Part")

LARGEST_NOISE = 2.0**32  # in units of an answer: more is never drawn
NOISES = ("noise_multiplier", "scale")  # what is found of parts that add noise
MIN_SIGNAL = 0.01  # standard deviations by which all answers of a part must be able to move
BITS_GAIN = 1.5
"""Times the zCDP cost of noisy counts that one bit of each is worth, of the same privacy loss."""

SPARE_SHARE = {True: 1 / 2, False: 1 / 12}
"""Part that thresholds take of the delta which everything else leaves, of bits and of counts.

Thresholds are then within 4 % of the least of one cost (`experiments/open-columns/run.py`).
"""


@dataclass(frozen=True)
class Part:
    """Part of a plan: ``count`` events of one kind, with its ``share`` of the plan's zCDP cost.

    Shares are relative to those of other parts. What a kind names as ``found``, its noise or
    another number that decides its cost, is found by calibration where it is None.
    """

    found: ClassVar[str] = "noise_multiplier"

    if TYPE_CHECKING:  # fields of every kind, each in its own order

        @property
        def count(self) -> int:
            """How many events it is."""

        @property
        def share(self) -> float:
            """Its portion of the plan's zCDP cost, relative to the other parts."""

        @property
        def name(self) -> str:
            """What the plan calls it."""

    def __post_init__(self) -> None:
        """Refuse a count, a share or a noise that is none."""
        if self.count < 0:
            raise ValueError(f"count must be 0 or more, got {self.count}")
        if not (math.isfinite(self.share) and self.share > 0):
            raise ValueError(f"share must be a finite number above 0, got {self.share}")
        noise = getattr(self, self.found)
        if noise is not None and not (math.isfinite(noise) and noise > 0):
            raise ValueError(f"the noise of a part must be a finite number above 0, got {noise}")

    @property
    def is_fixed(self) -> bool:
        """Whether its noise is given, so that calibration has nothing to find."""
        return getattr(self, self.found) is not None

    @property
    def noise_scale(self) -> float:
        """Scale of its noise over the sensitivity, infinite before it is found; 0 of choices."""
        return getattr(self, self.found) or math.inf if self.found in NOISES else 0.0

    def at(self, rho: float) -> Self:
        """Return this part with the noise at which all of it costs ``rho`` in zCDP."""
        return replace(self, **{self.found: self._found_at(rho)})

    def at_epsilon(self, epsilon: float) -> Self:
        """Return this part with the noise at which all of it is ``epsilon``-DP, at delta 0."""
        raise NotImplementedError

    def event(self) -> Event:
        """Return what one answer of this part will be charged as; ValueError before it is known."""
        raise NotImplementedError

    def under(self, budget: PrivacyBudget) -> Part:
        """Return the part as it is for neighbours of this budget, and for its delta."""
        return self

    def max_noise(self, budget: PrivacyBudget) -> float:
        """Return the noise from which on it cannot say anything; infinite for choices.

        Here more than is ever drawn, in units of the answer's sensitivity.
        """
        if self.found not in NOISES:
            return math.inf
        moved = 1.0 if budget.adjacency == "add_remove" else math.sqrt(2.0)
        return LARGEST_NOISE / (moved * budget.max_rows)

    def rho_at(self, noise: float) -> float:
        """Return the zCDP cost at which `at` finds this noise; 0 where it is infinite."""
        return (self.at(1.0).noise_scale / noise) ** 2 if math.isfinite(noise) else 0.0

    @property
    def _alike(self) -> float:
        """How far all of its answers can move in standard deviations, if each moves by one."""
        return math.sqrt(self.count) / MIN_SIGNAL

    def _found_at(self, rho: float) -> float:
        raise NotImplementedError

    def _known(self) -> float:
        if (value := getattr(self, self.found)) is None:
            what = self.found if self.found in ("epsilon", "amount") else "noise"
            raise ValueError(f"part {self.name!r} has no {what} yet; calibrate its plan first")
        return float(value)


@dataclass(frozen=True)
class Gaussians(Part):
    """``count`` Gaussian answers with one noise multiplier, found by calibration when None.

    Where they ``count_records`` and no more, they cost nothing under a budget that makes that
    public. At delta 0 they are `Laplaces`, of numbers that may all move in one direction where
    they are ``distances``, and else are counts.
    """

    count: int
    share: float = 1.0
    noise_multiplier: float | None = None
    name: str = ""
    count_records: bool = False
    distances: bool = False

    def event(self, sensitivity: float = 1.0) -> Gaussian:
        """Return what one answer of this part will be charged as."""
        return Gaussian(self._known(), sensitivity)

    def under(self, budget: PrivacyBudget) -> Gaussians | Laplaces:
        """Return the part without answers that the budget makes public: numbers of records.

        With Laplace noise at delta 0, unless the noise is given.
        """
        count = 0 if self.count_records and budget.records_are_public else self.count
        if budget.delta or self.is_fixed:
            return replace(self, count=count)
        replaced = budget.adjacency != "add_remove"
        moved = budget.max_rows * (2 if replaced and self.distances else 1)
        return Laplaces(count, self.share, None, self.name, moved, replaced and not self.distances)

    def _found_at(self, rho: float) -> float:
        return math.sqrt(self.count / (2 * rho))


@dataclass(frozen=True)
class Laplaces(Part):
    """``count`` answers with discrete Laplace noise: what `Gaussians` are at delta 0.

    ``noise_multiplier`` is the noise's scale over the L1 sensitivity of one answer, found by
    calibration when None. ``moved`` and ``replaced`` say how far neighbours move one answer, as
    in `LaplaceCounts`.
    """

    count: int
    share: float = 1.0
    noise_multiplier: float | None = None
    name: str = ""
    moved: int = 1
    replaced: bool = False

    def event(self, fineness: int = 1) -> LaplaceCounts:
        """Return what one answer, in multiples of 1 / ``fineness``, will be charged as."""
        return LaplaceCounts(self._known(), self.moved * fineness, self.replaced)

    def at_epsilon(self, epsilon: float) -> Self:
        """Return this part with noise of which all answers together are ``epsilon``-DP."""
        return replace(self, noise_multiplier=self.count / epsilon)

    def max_noise(self, budget: PrivacyBudget) -> float:
        """Return the noise, over the L1 sensitivity, from which on it is not drawn."""
        return LARGEST_NOISE / (2 * self.moved * (2 if self.replaced else 1))

    def _found_at(self, rho: float) -> float:
        return self.count / math.sqrt(2 * rho)


@dataclass(frozen=True)
class Selections(Part):
    """``count`` choices, each with privacy loss of range ``epsilon``, calibrated when None."""

    found: ClassVar[str] = "epsilon"

    count: int
    share: float = 1.0
    epsilon: float | None = None
    name: str = ""

    def event(self) -> Selection:
        """Return what one choice of this part will be charged as."""
        return Selection(self._known())

    def at_epsilon(self, epsilon: float) -> Self:
        """Return this part with choices that are ``epsilon``-DP together."""
        return replace(self, epsilon=epsilon / self.count)

    def _found_at(self, rho: float) -> float:
        return math.sqrt(8 * rho / self.count)


@dataclass(frozen=True)
class ThresholdedGaussians(Part):
    """``count`` releases of values whose noisy counts exceed a threshold.

    ``noise_multiplier`` as in ``Gaussians``. ``delta`` is that of one threshold; None until
    ``Plan.with_delta`` says of how much it is a part. Where a unit is one record, added or
    removed, each tells ``one_bit``: see ``PartitionSelection``.
    """

    count: int
    share: float = 1.0
    noise_multiplier: float | None = None
    delta: float | None = None
    name: str = ""
    one_bit: bool = False

    def event(self, sensitivity: float = 1.0) -> ThresholdedGaussian | PartitionSelection:
        """Return what one release of this part will be charged as."""
        if self.noise_multiplier is None or self.delta is None:
            raise ValueError(f"part {self.name!r} has no noise yet; calibrate its plan first")
        if self.one_bit:
            return PartitionSelection(self.noise_multiplier, self.delta)
        return ThresholdedGaussian(self.noise_multiplier, sensitivity, self.delta)

    def under(self, budget: PrivacyBudget) -> ThresholdedGaussians:
        """Return the part whose thresholds tell one bit where a unit moves one count."""
        alone = budget.adjacency == "add_remove" and budget.max_rows == 1
        return replace(self, one_bit=alone and self.count <= MOST_BITS)

    def _found_at(self, rho: float) -> float:
        counted = rho * BITS_GAIN if self.one_bit else rho
        return math.sqrt(self.count / (2 * counted))


@dataclass(frozen=True)
class SampledGaussians(Part):
    """``count`` noisy sums, each over records that toss a coin of chance ``rate`` of their own.

    One step of a training a sum, with one noise multiplier, found by calibration when None. Budgets
    are shared by an approximate cost, that of many steps: Gaussian DP of mu = rate * sqrt(count *
    (exp(1 / noise ** 2) - 1)) (Bu, Dong, Long & Su 2020, arXiv:1911.11607), where rho is mu ** 2 /
    2; what is certified is the composed loss. ``rows`` of a unit, whether they are ``replaced``
    and whether units are drawn whole are those of ``SampledGaussian``.
    """

    count: int
    rate: float
    share: float = 1.0
    noise_multiplier: float | None = None
    name: str = ""
    rows: int = 1
    replaced: bool = False
    by_unit: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must lie in (0, 1], got {self.rate}")

    def event(self) -> SampledGaussian:
        """Return what one sum of this part will be charged as."""
        return SampledGaussian(self._known(), self.rate, 1, self.rows, self.replaced, self.by_unit)

    def under(self, budget: PrivacyBudget) -> SampledGaussians:
        """Return the part whose sums are moved by all rows of a unit; UnsupportedEvent for many.

        Units of one record are drawn as records are.
        """
        if not budget.delta:
            raise InputError(NO_PURE_SUMS)
        rows = 1 if self.by_unit else budget.max_rows
        replaced = budget.adjacency != "add_remove"
        if rows > MOST_ROWS:
            raise UnsupportedEvent(f"sums take units of at most {MOST_ROWS} records, got {rows}")
        return replace(self, rows=rows, replaced=replaced, by_unit=rows < budget.max_rows)

    def max_noise(self, budget: PrivacyBudget) -> float:
        """Return the noise that hides a step on which as many records agree as there can be."""
        return min(LARGEST_NOISE, MOST_COUNTED * self.rate * self._alike)

    def rho_at(self, noise: float) -> float:
        """Return the approximate cost at which `at` finds this noise."""
        return self._moved**2 * self.count / 2 * math.expm1(noise**-2)

    @property
    def _moved(self) -> float:
        """The rate, of all moves of a unit."""
        return self.rate * self.rows * (2 if self.replaced else 1)

    def _found_at(self, rho: float) -> float:
        return 1 / math.sqrt(math.log1p(2 * rho / (self._moved**2 * self.count)))


@dataclass(frozen=True)
class Votes(Part):
    """``count`` noisy votes of ``teachers`` between two classes, calibrated when ``scale`` is None.

    Which conditions the teachers must meet is said in ``dp_synth.accounting.pate``. At delta 0
    Gaussian noise becomes that of Laplace.
    """

    found: ClassVar[str] = "scale"

    count: int
    teachers: int
    noise: VoteNoise = "gaussian"
    share: float = 1.0
    scale: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = NoisyVote(self.noise, 1.0, self.teachers)

    def event(self) -> NoisyVote:
        """Return what one vote of this part will be charged as."""
        return NoisyVote(self.noise, self._known(), self.teachers)

    def under(self, budget: PrivacyBudget) -> Votes:
        """Return the part with noise that keeps a pure epsilon, at delta 0."""
        pure = not budget.delta and self.noise == "gaussian" and not self.is_fixed
        return replace(self, noise="laplace") if pure else self

    def at_epsilon(self, epsilon: float) -> Self:
        """Return this part with votes that are ``epsilon``-DP together."""
        return replace(self, scale=2 * self.count / epsilon)

    def max_noise(self, budget: PrivacyBudget) -> float:
        """Return the noise that hides votes which all teachers cast alike."""
        return min(LARGEST_NOISE, self.teachers * self._alike)

    def _found_at(self, rho: float) -> float:
        return math.sqrt(self.count * NoisyVote(self.noise, 1.0, self.teachers).rho / rho)


@dataclass(frozen=True)
class Filtered(Part):
    """An amount that is spent while running, on events chosen with knowledge of earlier ones.

    Outside it counts as one event with a fixed curve, whether all of it is spent or not: an
    amount of zero-concentrated DP, one Gaussian mechanism, or a pure epsilon, which is what it is
    at delta 0. ``amount`` is in the currency (rho, the square of mu, or epsilon) and found by
    calibration when None.
    """

    found: ClassVar[str] = "amount"

    currency: FilterKind = "zcdp"
    share: float = 1.0
    amount: float | None = None
    name: str = ""
    count: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count != 1:
            raise ValueError(f"a filtered part is one event, got count {self.count}")

    def event(self) -> ZeroConcentrated | Gaussian | Pure:
        """Return the one event that stands for all that is spent within."""
        if self.currency == "gdp":
            return Gaussian(1 / math.sqrt(self._known()), 1.0)
        return whole_event(self._known(), self.currency)

    def under(self, budget: PrivacyBudget) -> Filtered:
        """Return the part in pure DP, at delta 0."""
        return self if budget.delta or self.is_fixed else replace(self, currency="pure")

    def at_epsilon(self, epsilon: float) -> Self:
        """Return this part with all of ``epsilon``."""
        return replace(self, amount=epsilon)

    def _found_at(self, rho: float) -> float:
        if self.currency == "pure":
            return math.sqrt(2 * rho)
        return rho if self.currency == "zcdp" else 2 * rho


@dataclass(frozen=True)
class Unbounded(Part):
    """What nothing bounds, for the ``reason``: a plan with it pays with an infinite epsilon only.

    The other parts take their ``share`` of what an epsilon of ``target`` would cost, and their
    shares may be more than the whole: the target is not certified.
    """

    found: ClassVar[str] = ""

    reason: str
    target: float
    name: str = ""
    count: int = 1
    share: float = 0.0

    def __post_init__(self) -> None:
        """It has no noise, and takes no share."""

    def at(self, rho: float) -> Unbounded:
        """Return this part as it is."""
        return self

    def event(self) -> NonPrivate:
        """Return what its reservation makes of the ledger: that nothing is certified."""
        return NonPrivate(self.reason)


@dataclass(frozen=True)
class Plan:
    """The parts of a recipe by name. Its events are fixed before the first of them is released.

    >>> plan = Plan({"ones": Gaussians(15), "tree": Selections(14), "pairs": Gaussians(14)})
    >>> plan.at(rho=1.0).rho
    1.0
    """

    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        named = {name: replace(part, name=name) for name, part in self.parts.items()}  # type: ignore[call-arg]
        object.__setattr__(self, "parts", MappingProxyType(named))
        if len({part.is_fixed for part in self._noisy()}) > 1:
            raise ValueError("either all parts of a plan have their noise or none has")

    @property
    def is_fixed(self) -> bool:
        """Whether the noise is given, so that calibration has nothing to find."""
        return all(part.is_fixed for part in self._noisy())

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

    @property
    def is_pure(self) -> bool:
        """Whether its noise is such as delta 0 needs: an epsilon is shared, no zCDP cost."""
        return any(
            isinstance(part, Laplaces) or (isinstance(part, Filtered) and part.currency == "pure")
            for part in self._active()
        )

    def at(self, rho: float) -> Plan:
        """Return the plan whose parts share a zCDP cost of ``rho``.

        Of a plan for delta 0 they share an epsilon of sqrt(2 * rho), which implies that cost: parts
        whose shares are as their counts have the same noise either way.
        """
        total = math.fsum(part.share for part in self._active())
        if self.is_pure:
            epsilon = math.sqrt(2 * rho)
            return self._with(lambda part: part.at_epsilon(epsilon * part.share / total))
        return self._with(lambda part: part.at(rho * part.share / total))

    def least_rho(self, budget: PrivacyBudget, times: float = 1.0) -> float:
        """Return the least zCDP cost at which no part has too much noise, ``times`` that many."""
        active = self._active()
        if self.is_pure:  # of an epsilon of 1: noise is as its inverse
            noises = [p.noise_scale / p.max_noise(budget) for p in self.at(1 / 2)._active()]
            return max(noises, default=0.0) ** 2 / 2 * times
        shares = math.fsum(part.share for part in active)
        costs = [(part.rho_at(part.max_noise(budget)), part.share) for part in active]
        return max((cost * shares / own * times for cost, own in costs if cost), default=0.0)

    def _with(self, found: Callable[[Part], Part]) -> Plan:
        return Plan(
            {name: found(part) if part.count else part for name, part in self.parts.items()}
        )

    def under(self, budget: PrivacyBudget) -> Plan:
        """Return the plan without answers that the budget makes public: numbers of records.

        Its thresholds tell one bit where a unit moves one count, and its sampled sums are moved
        by all rows of one. At delta 0 its Gaussian answers and votes have Laplace noise, and its
        filters add up epsilons. UnsupportedEvent for more rows than their curve is for, InputError
        where no noise of a part keeps a pure epsilon.
        """
        return Plan({name: part.under(budget) for name, part in self.parts.items()})

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
            raise InputError(
                "releasing categories of open columns needs a delta above 0, got 0: what no schema "
                "lists cannot be told at delta 0; list the categories"
            )
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

    def gaussians(self, name: str) -> Gaussians | Laplaces:
        """Return the Gaussian part of this name, which has Laplace noise at delta 0."""
        part = self.parts.get(name)
        return part if isinstance(part, Laplaces) else self._part(name, Gaussians)

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

    def _noisy(self) -> list[Part]:
        return [part for part in self._active() if not isinstance(part, Unbounded)]


class Reservation:
    """What an accountant reserved for one plan; pays for what the plan names, once."""

    def __init__(
        self,
        accountant: Accountant,
        name: str,
        plan: Plan,
        randomness: Randomness,
        *,
        position: int = 0,
        reserved_at: int = 0,
    ) -> None:
        self.accountant = accountant
        self.name = name
        self.plan = plan
        self.randomness = randomness
        self.reserved_at = reserved_at  # place of its first line in the ledger
        self.taken = False  # by whoever's turn it was
        self._position = position
        self._used: dict[str, float] = dict.fromkeys(plan.parts, 0)
        self._order = {part: order for order, part in enumerate(plan.parts)}
        self._latest = 0
        self._due: dict[str, list[float]] = {part: [] for part in plan.parts}  # rounds' answers
        self._lock = threading.Lock()

    @property
    def adjacency(self) -> Adjacency:
        """The adjacency under which sensitivities must be stated."""
        return self.accountant.budget.adjacency

    @property
    def budget(self) -> PrivacyBudget:
        """The whole budget, with adjacency and unit."""
        return self.accountant.budget

    def count_in(self, entries: Sequence[Entry]) -> None:
        """Take as used what the entries of a ledger charged to this reservation."""
        for entry in entries[self.reserved_at :]:
            if entry.kind == "charge" and entry.recipe == self.name:
                part = self.plan.parts[entry.part]
                self._used[entry.part] += self._price(part, entry.event, entry.count, entry.why)

    def left(self, part: Part) -> float:
        """Return how many answers a part has left, or how much of a filtered part's amount."""
        planned = self._planned(part, "what is left")
        whole = planned.amount if isinstance(planned, Filtered) else planned.count
        return (whole or 0.0) - self._used[part.name]

    def charge(
        self,
        payment: Part | FilteredGaussian | FilteredLaplace | FilteredSelection,
        event: Event,
        count: int,
        *,
        why: str,
        sampler: Sampler = "exact",
    ) -> None:
        """Charge ``count`` times ``event`` to a part of the plan, before any data are read.

        BudgetExceeded, with nothing recorded, when the plan does not name the part, when the
        event costs more than the part's, or when the part has less left.
        """
        if count < 0:
            raise ValueError(f"a charge must be for 0 answers or more, got {count}")
        part = payment if isinstance(payment, Part) else payment.part
        with self._lock:
            planned = self._planned(part, why)
            if count:
                self._refuse_earlier(part, why)
            answer = self._answer_of(planned, event, count)
            price = 0.0 if answer >= 0 else self._price(planned, event, count, why)
            if price > self.left(part):
                raise BudgetExceeded(
                    f"{why!r} asks for {price:.6g} but part {part.name!r} of {self.name!r} has "
                    f"{self.left(part):.6g} left; nothing was released"
                )
            if count:
                entry = Entry(
                    "charge", self.name, part.name, event, count, why, self.randomness, sampler
                )
                self.accountant._record(entry, (self._position, self._order[part.name]))
            self._used[part.name] += price
            self._latest = max(self._latest, self._order[part.name] if count else 0)
            if answer >= 0:
                self._due[part.name].pop(answer)
            elif isinstance(event, Round):
                self._due[part.name] += [event.noise_multiplier] * count

    def _refuse_earlier(self, part: Part, why: str) -> None:
        """Raise BudgetExceeded where a later part was charged: the plan's curve is in its order."""
        if self._order[part.name] < self._latest:
            raise BudgetExceeded(
                f"{why!r} comes after later parts of the plan were charged; its curve holds in the "
                "planned order only; nothing was released"
            )

    def _answer_of(self, part: Part, event: Event, count: int) -> int:
        """Return which answer that a round has paid for this is; -1 for none."""
        return paid_for(event, count, self._due[part.name]) if isinstance(part, Filtered) else -1

    def _planned(self, part: Part, why: str) -> Part:
        planned = self.plan.parts.get(part.name)
        if planned is None or planned != part:
            raise BudgetExceeded(
                f"{why!r} asks for {part} but the plan of {self.name!r} grants "
                f"{planned or 'no part of that name'}; nothing was released"
            )
        return planned

    def _price(self, part: Part, event: Event, count: int, why: str) -> float:
        """Return what the charge takes from its part: answers, or an amount of its filter."""
        if isinstance(part, Filtered):
            return cost(event, part.currency) * count
        planned = part.event()
        if not planned.covers(event) or event.answers > planned.answers:
            raise BudgetExceeded(
                f"{why!r} asks for {event} but part {part.name!r} of {self.name!r} grants "
                f"{planned}; nothing was released"
            )
        return count


def reservations(name: str, plan: Plan, randomness: Randomness, why: str = PLANNED) -> list[Entry]:
    """Return the lines of a ledger that reserve for a plan."""
    return [
        Entry("reservation", name, part.name, part.event(), part.count, why, randomness)
        for part in plan.parts.values()
        if part.count
    ]
