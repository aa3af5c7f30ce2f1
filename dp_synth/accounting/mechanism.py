"""What is asked of every event, and what is so of one unless its kind says otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from fractions import Fraction
from numbers import Real
from operator import eq, mul, truediv
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dp_synth.accounting.budget import FilterKind, PrivacyBudget

if TYPE_CHECKING:
    from dp_synth.accounting.events import Event

Fields = dict[str, str | float]

Compared = dict[str, Callable[[Any, Any], bool]]

SCALED: dict[str, Callable[[float, float], float]] = {
    **dict.fromkeys(("noise_multiplier", "scale", "stddev"), mul),
    "epsilon": truediv,
    "rho": lambda rho, factor: rho / factor / factor,
}
"""What becomes of each number of an event whose noise is multiplied by a factor."""

MOST_COUNTED = 10_000_000  # steps, teachers, or the whole numbers by which an answer moves


class Mechanism:
    """What is asked of every event; a kind says where it is more than here."""

    by_curve: ClassVar[bool] = False  # whether its losses are known by a privacy curve alone
    filter_kind: ClassVar[FilterKind | None] = None  # of the filter that a single one may stand for
    compared: ClassVar[Compared] = {}  # how fields of an answer that costs no more are: else equal
    ignored: ClassVar[set[str]] = {"steps"}  # fields that say nothing of the cost of one answer

    if TYPE_CHECKING:

        @property
        def rho(self) -> float | None:
            """Cost in zCDP; None where no useful one is known."""

    else:
        rho = None  # sampling does not amplify it, and with a chance of delta all may be told

    def __post_init__(self) -> None:
        """Refuse numbers that are not above 0, or not whole where they count something."""
        for each in fields(self._itself):
            if each.type == "float":
                positive(each.name, getattr(self, each.name))
            elif each.type == "int":
                counted(each.name, getattr(self, each.name))

    @property
    def rho_at_most(self) -> float | None:
        """Upper bound on the cost in zCDP, however loose; None where there is none."""
        return self.rho

    @property
    def squared_mu(self) -> float | None:
        """Cost in Gaussian DP, of a mu that dominates it; None where none is known of it alone."""
        return None

    @property
    def pure_epsilon(self) -> Fraction | None:
        """The epsilon that it keeps, but for a delta that it names; None where it keeps none."""
        return None

    @property
    def told(self) -> float:
        """Chance that all is told, whatever its losses are."""
        return 0.0

    @property
    def untold(self) -> Event:
        """What it is but for that chance."""
        return self._itself

    @property
    def attained(self) -> Event:
        """A mechanism of a known law that is one of those described, none of them dearer."""
        return self.untold

    @property
    def outputs(self) -> tuple[Event, ...]:
        """What it tells, one after the other."""
        return (self._itself,)

    @property
    def answers(self) -> int:
        """How many answers it is: each step of a training is one."""
        return 1

    @property
    def once(self) -> Event:
        """A single answer of it."""
        return self._itself

    @property
    def spread(self) -> float:
        """About half the variance of its loss."""
        return math.inf if self.untold.rho is None else self.untold.rho

    @property
    def loss_unit(self) -> float:
        """What its likely losses are multiples of, where they are few; else 0."""
        return 0.0

    @property
    def label(self) -> str:
        """The event in a few words, with four digits that promise no more than it keeps."""
        from dp_synth.accounting.events import event_to_fields

        kind, *numbers = event_to_fields(self._itself).items()
        return ", ".join([str(kind[1]), *(f"{name} {value}" for name, value in numbers)])

    def covers(self, event: Event) -> bool:
        """Return whether one answer of an event is of this kind and costs no more than one here."""
        if type(event) is not type(self):
            return False
        for name in {each.name for each in fields(event)} - self.ignored:
            holds: Callable[[Any, Any], bool] = self.compared.get(name, eq)
            if not holds(getattr(event, name), getattr(self, name)):
                return False
        return True

    def scaled(self, factor: float) -> Self:
        """Return the event with all noise multiplied by ``factor``; InputError where it has none.

        What has nothing to hide, or hides nothing, stays as it is.
        """
        more = {
            each.name: SCALED[each.name](getattr(self, each.name), factor)
            for each in fields(self._itself)
            if each.name in SCALED
        }
        return replace(self, **more)  # type: ignore[type-var]

    def unfit(self, budget: PrivacyBudget) -> str:
        """Return why it does not hold for neighbours of this budget; empty where it does."""
        return ""

    @property
    def _itself(self) -> Event:
        return self  # type: ignore[return-value]


def positive(name: str, value: object) -> None:
    """Raise ValueError for what is no finite number above 0."""
    if not (isinstance(value, Real) and math.isfinite(value) and float(value) > 0):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def counted(name: str, value: int) -> None:
    """Raise ValueError for what does not count anything."""
    if type(value) is not int or not 1 <= value <= MOST_COUNTED:
        raise ValueError(f"{name} must be a whole number from 1 to {MOST_COUNTED}, got {value!r}")
