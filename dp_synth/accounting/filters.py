"""A filter: how much of a currency an adaptive root may spend, and what each plan costs of it.

A plan is one mechanism, whose parameters are fixed when it is admitted, so that it is charged by
its composed curve: the least rho, or square of mu, of which it is. A part of delta is set apart
when the root is opened. Beside its amount a plan may leave out a chance in proportion to it, so
that all plans together leave out no more than that part. `docs/accounting.md` has the proof.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from dp_synth.accounting.budget import PrivacyBudget
from dp_synth.accounting.currency import Currency, cost, epsilon_of, epsilon_within, limit
from dp_synth.accounting.curves import PrivacyCurve, compose
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    NoGuarantee,
    Public,
    Pure,
    Selection,
    ZeroConcentrated,
)
from dp_synth.accounting.least_gaussian import least_amount
from dp_synth.errors import UnsupportedEvent

APART_SHARE = 0.02
"""Part of an adaptive root's delta for what its plans leave out beside their amounts."""

THRESHOLDS = 0.5  # of what a plan may leave out, that its thresholds may take
LOOSE = 1.5  # times what zCDP would say, from where a composed curve lost something on its way
CHEAP_ALONE = {Gaussian, Selection, Pure, Public}  # events whose own amounts are known in GDP
STEPS = 20  # of an odometer, equal ones of mu
NOTHING_APART = (
    "its ledger has no part of delta set apart, as one that an earlier version opened; open a new "
    "one, or use a planned budget; nothing was released"
)

Events = tuple[tuple[Event, int], ...]


@dataclass(frozen=True)
class Filter:
    """The limit of an adaptive root in its currency, and beside it a part ``apart`` of delta."""

    budget: PrivacyBudget
    currency: Currency
    apart: float = 0.0

    @property
    def limit(self) -> float:
        """The amount that all plans together may cost."""
        return limit(self.budget, self.currency, self.apart)

    @property
    def allowance(self) -> float:
        """The chance that a plan may leave out for each unit of its amount."""
        return self.apart / self.limit if self.limit else 0.0

    def amount(self, epsilon: float) -> float:
        """Return what a budget of ``epsilon``, at the same delta, is in the currency."""
        return limit(PrivacyBudget(epsilon, self.budget.delta), self.currency, self.apart)

    def left_out(self, amount: float) -> float:
        """Return what the thresholds of a plan of this amount may take of delta together."""
        return THRESHOLDS * self.allowance * amount

    def cost(self, events: Iterable[tuple[Event, int]]) -> float:
        """Return the amount of one plan's events, rounded up; UnsupportedEvent without a bound."""
        return plan_cost(tuple(events), self.currency, self.allowance)

    def curve(self, amount: float) -> PrivacyCurve:
        """Return the curve of all that costs ``amount`` together, with all that is left out."""
        event = ZeroConcentrated(amount) if self.currency == "zcdp" else Gaussian(amount**-0.5, 1.0)
        return replace(compose([(event, 1)]), beside=self.apart)

    def epsilon_within(self, amount: float) -> float:
        """Return the largest epsilon that a budget of this amount may ask for, rounded down."""
        return epsilon_within(amount, self.budget.delta, self.currency, self.apart)

    def epsilon_for(self, amount: float) -> float:
        """Return about the least epsilon whose filter has room for ``amount``.

        Of plans that leave something out it is an estimate: their amounts depend on it a little.
        """
        return epsilon_of(amount, self.budget.delta, self.currency, self.apart)

    def odometer(self, amount: float) -> float:
        """Return an epsilon of what was released while ``amount`` was spent, whenever one stops.

        For every event S, P(S) <= E_Q[1_S exp(reading)] + delta, where the reading is the
        odometer's when the process stops, for whatever reason: whoever stops before it exceeds
        some epsilon keeps (epsilon, delta). Delta is shared by ``STEPS`` filters, nested in one
        another, of which the reading is the epsilon of the smallest that was not exceeded.
        """
        if not amount:
            return 0.0
        step = math.ceil(STEPS * math.sqrt(amount / self.limit) * (1 - 1e-9))
        if step > STEPS:
            return math.inf
        delta = (self.budget.delta - self.apart) / STEPS
        most = self.limit * (step / STEPS) ** 2 * (1 + 1e-8)  # above what rounds to that step
        return epsilon_of(most, delta, self.currency)


@lru_cache(maxsize=1024)
def plan_cost(events: Events, currency: Currency, allowance: float) -> float:
    """Return the least amount of events that are fixed in advance, rounded up.

    The sum of their own where nothing may be left out, or where no other amount is less: of
    Gaussians, and in zCDP of choices. UnsupportedEvent where no bound is known.
    """
    kinds = {type(event) for event, count in events if count}
    if NoGuarantee in kinds:
        cost(next(event for event, _ in events if isinstance(event, NoGuarantee)), currency)
    summed = (Gaussian, Public, *((Selection, ZeroConcentrated) if currency == "zcdp" else ()))
    if all(issubclass(kind, summed) for kind in kinds):
        return math.fsum(cost(event, currency) * count for event, count in events)
    if not allowance:
        return _summed(events, currency)
    composed = least_amount(compose(events), allowance if currency == "gdp" else allowance / 2)
    if currency == "zcdp":
        composed /= 2
    apart = _apart(events, currency, composed)
    if math.isinf(found := min(composed, apart)):
        raise UnsupportedEvent(
            f"no {currency} cost is known of {', '.join(sorted(kind.__name__ for kind in kinds))} "
            "together"
        )
    return found


def _apart(events: Events, currency: Currency, composed: float) -> float:
    """Return the sum of the events' own amounts where it may be below ``composed``, or infinity."""
    costs = [(event.rho, count) for event, count in events]
    if any(rho is None for rho, _ in costs):
        return math.inf
    rho = math.fsum(rho * count for rho, count in costs if rho is not None)
    if currency == "zcdp":
        return rho
    if composed < LOOSE * 2 * rho or {type(event) for event, _ in events} - CHEAP_ALONE:
        return math.inf
    return _summed(events, currency)


def _summed(events: Events, currency: Currency) -> float:
    try:
        return math.fsum(cost(event, currency) * count for event, count in events)
    except UnsupportedEvent as error:
        raise UnsupportedEvent(f"{error}: {NOTHING_APART}") from None
