"""What a synthesizer will charge, by name, up to one noise scale that calibration finds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from dp_synth.accounting.currency import Currency, cost
from dp_synth.accounting.events import Event, Gaussian, Selection, ZeroConcentrated


@dataclass(frozen=True)
class Gaussians:
    """``count`` Gaussian answers with one noise multiplier, found by calibration when None.

    ``share`` is this part's portion of the plan's zCDP cost, relative to the other parts.
    """

    count: int
    share: float = 1.0
    noise_multiplier: float | None = None
    name: str = ""

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
class Filtered:
    """An amount that is spent while running, on events chosen with knowledge of earlier ones.

    Outside it counts as one event with a fixed curve, whether all of it is spent or not: an
    amount of zero-concentrated DP, or one Gaussian mechanism. ``amount`` is in the currency
    (rho, or the square of mu) and found by calibration when None. ``share`` as in ``Gaussians``.
    """

    currency: Currency = "zcdp"
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


Part = Gaussians | Selections | Filtered
P = TypeVar("P", Gaussians, Selections, Filtered)


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
        if len({self._is_fixed(part) for part in self._active()}) > 1:
            raise ValueError("either all parts of a plan have their noise or none has")

    @property
    def is_fixed(self) -> bool:
        """Whether the noise is given, so that calibration has nothing to find."""
        return all(self._is_fixed(part) for part in self._active())

    @property
    def rho(self) -> float:
        """Cost of a fixed plan in zCDP."""
        return self.cost("zcdp")

    def cost(self, currency: Currency) -> float:
        """Cost of a fixed plan in a filter's currency."""
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

    def events(self) -> Iterator[tuple[Event, int]]:
        """Yield what the parts will be charged as, with how often."""
        for part in self._active():
            yield part.event(), part.count

    def gaussians(self, name: str) -> Gaussians:
        """Return the Gaussian part of this name."""
        return self._part(name, Gaussians)

    def selections(self, name: str) -> Selections:
        """Return the selection part of this name."""
        return self._part(name, Selections)

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

    @staticmethod
    def _is_fixed(part: Part) -> bool:
        match part:
            case Gaussians():
                return part.noise_multiplier is not None
            case Selections():
                return part.epsilon is not None
            case Filtered():
                return part.amount is not None


def _check_part(count: int, share: float, noise: float | None) -> None:
    if count < 0:
        raise ValueError(f"count must be 0 or more, got {count}")
    if not (math.isfinite(share) and share > 0):
        raise ValueError(f"share must be a finite number above 0, got {share}")
    if noise is not None and not (math.isfinite(noise) and noise > 0):
        raise ValueError(f"the noise of a part must be a finite number above 0, got {noise}")
