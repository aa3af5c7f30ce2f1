"""Privacy filters, in zero-concentrated, Gaussian or pure DP: what may be spent, what plans cost.

A filter stops when the amounts of all that was released, each chosen with knowledge of what came
before, would exceed a limit fixed at the start; the whole then keeps the guarantee of the limit.
That holds for zero-concentrated DP (Feldman & Zrnic 2021, arXiv:2008.11193; Whitehouse, Ramdas,
Rogers & Wu 2023, arXiv:2203.05481) and for Gaussian DP, where it counts squares of mu (Smith &
Thakurta 2022, arXiv:2210.17520). It does not hold for composed loss distributions. In pure DP
epsilons add up, however they are chosen (Rogers et al. 2016, arXiv:1605.08294, Thm 3.6).

A plan is one mechanism, whose parameters are fixed when it is admitted, so that it is charged by
its composed curve: the least rho, or square of mu, of which it is. A part of delta is set apart
when the root is opened. Beside its amount a plan may leave out a chance in proportion to it, so
that all plans together leave out no more than that part. `docs/accounting.md` has the proof.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from dp_synth.accounting.budget import (
    ROUNDING,
    FilterKind,
    PrivacyBudget,
    bisect,
    gaussian_delta,
    gaussian_epsilon,
    zcdp_epsilon,
    zcdp_rho,
)
from dp_synth.accounting.dominating_gaussian import least_amount
from dp_synth.accounting.events import (
    Approximate,
    Event,
    Gaussian,
    NonPrivate,
    NoOp,
    Pure,
    Selection,
    ZeroConcentrated,
)
from dp_synth.accounting.privacy_profile import PrivacyCurve, compose
from dp_synth.accounting.risk_target import RiskTarget
from dp_synth.errors import InputError, UnsupportedEvent

APART_SHARE = 0.02
"""Part of an adaptive root's delta for what its plans leave out beside their amounts."""

THRESHOLDS = 0.5  # of what a plan may leave out, that its thresholds may take
LOOSE = 1.5  # times what zCDP would say, from where a composed curve lost something on its way
CHEAP_ALONE = {Gaussian, Selection, Pure, NoOp}  # events whose own amounts are known in GDP
BESIDE_RISK = 1e-9  # relative, above the amount of one Gaussian, where a search begins
FOUND = {"gdp": 1e-9, "zcdp": 1e-5}  # relative, to which the amount of a risk is found
STEPS = 20  # of an odometer, equal ones of mu
NOTHING_APART = (
    "its ledger has no part of delta set apart, as one that an earlier version opened; open a new "
    "one, or use a planned budget; nothing was released"
)

Events = tuple[tuple[Event, int], ...]
NO_DELTA = (
    "releasing categories of open columns has a delta of its own, which a filter cannot pay; list "
    "their categories, or use a planned budget; nothing was released"
)

NO_PURE_SUMS = (
    "delta must be above 0 for training by DP-SGD, got 0: noisy sums of sampled gradients keep no "
    "pure epsilon; give a delta, or use a marginal method, pategan or patectgan"
)


@dataclass(frozen=True)
class Filter:
    """The limit of an adaptive root in its currency, and beside it a part ``apart`` of delta."""

    budget: PrivacyBudget
    currency: FilterKind
    apart: float = 0.0

    @property
    def limit(self) -> float:
        """The amount that all plans together may cost."""
        return limit(self.budget, self.currency, self.apart)

    @property
    def allowance(self) -> float:
        """The chance that a plan may leave out for each unit of its amount."""
        return self.apart / self.limit if self.limit else 0.0

    def amount(self, target: float) -> float:
        """Return what a budget of this epsilon, at the same delta, or risk is in the currency."""
        return limit(self.budget.until(target), self.currency, self.apart)

    def left_out(self, amount: float) -> float:
        """Return what the thresholds of a plan of this amount may take of delta together."""
        return THRESHOLDS * self.allowance * amount

    def cost(self, events: Iterable[tuple[Event, int]]) -> float:
        """Return the amount of one plan's events, rounded up; UnsupportedEvent without a bound."""
        return plan_cost(tuple(events), self.currency, self.allowance)

    def curve(self, amount: float) -> PrivacyCurve:
        """Return the curve of all that costs ``amount`` together, with all that is left out."""
        return curve_of(amount, self.currency, self.apart)

    def target_within(self, amount: float) -> float:
        """Return the largest target, but for 1e-5, that a budget of this amount may ask for.

        That is an epsilon, or the value of a risk.

        >>> rule = Filter(PrivacyBudget(1.0, 1e-6), "zcdp")
        >>> round(rule.target_within(rule.limit), 4)
        1.0
        """
        whole, back = self.target_for(amount), 1e-6
        while (found := whole * (1 - back)) and self._exceeds(found, amount):
            back *= 2
        return found

    def _exceeds(self, target: float, amount: float) -> bool:
        """Return whether a budget of this target is more than an amount; not where it is none."""
        try:
            return self.amount(target) > amount
        except InputError:  # a risk that no noise reaches
            return False

    def target_for(self, amount: float) -> float:
        """Return about the least epsilon, or risk, whose filter has room for ``amount``.

        Of plans that leave something out it is an estimate: their amounts depend on it a little.
        """
        if self.budget.risk is not None:
            return self.budget.cost(self.curve(amount))
        return self._epsilon_for(amount)

    def _epsilon_for(self, amount: float) -> float:
        left = _without(self.apart, self.budget.delta)
        if self.currency == "pure":
            return amount
        if self.currency == "zcdp":
            return zcdp_epsilon(amount, left)
        return gaussian_epsilon(math.sqrt(amount), left)

    def odometer(self, amount: float) -> float:
        """Return an epsilon of what was released while ``amount`` was spent, whenever one stops.

        For every event S, P(S) <= E_Q[1_S exp(reading)] + delta, where the reading is the
        odometer's when the process stops, for whatever reason: whoever stops before it exceeds
        some epsilon keeps (epsilon, delta). Delta is shared by ``STEPS`` filters, nested in one
        another, of which the reading is the epsilon of the smallest that was not exceeded.
        """
        if not amount or self.currency == "pure":
            return amount
        step = math.ceil(STEPS * math.sqrt(amount / self.limit) * (1 - 1e-9))
        if step > STEPS:
            return math.inf
        delta = (self.budget.delta - self.apart) / STEPS
        most = self.limit * (step / STEPS) ** 2 * (1 + 1e-8)  # above what rounds to that step
        return Filter(replace(self.budget, delta=delta, risk=None), self.currency).target_for(most)


@lru_cache(maxsize=1024)
def plan_cost(events: Events, currency: FilterKind, allowance: float) -> float:
    """Return the least amount of events that are fixed in advance, rounded up.

    The sum of their own where nothing may be left out, or where no other amount is less: of
    Gaussians, and in zCDP of choices. UnsupportedEvent where no bound is known.
    """
    kinds = {type(event) for event, count in events if count}
    if NonPrivate in kinds:
        cost(next(event for event, _ in events if isinstance(event, NonPrivate)), currency)
    summed = (Gaussian, NoOp, *((Selection, ZeroConcentrated) if currency == "zcdp" else ()))
    if currency == "pure" or all(issubclass(kind, summed) for kind in kinds):
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


def _apart(events: Events, currency: FilterKind, composed: float) -> float:
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


def _summed(events: Events, currency: FilterKind) -> float:
    try:
        return math.fsum(cost(event, currency) * count for event, count in events)
    except UnsupportedEvent as error:
        raise UnsupportedEvent(f"{error}: {NOTHING_APART}") from None


def whole_event(amount: float, currency: FilterKind) -> ZeroConcentrated | Gaussian | Pure:
    """Return the one event that stands for all that a filter of this amount pays for."""
    if currency == "zcdp":
        return ZeroConcentrated(amount)
    return Pure(amount) if currency == "pure" else Gaussian(amount**-0.5, 1.0)


def cost(event: Event, currency: FilterKind) -> float:
    """Return the amount that one event costs: rho, the square of mu, or epsilon.

    UnsupportedEvent when none is known.
    """
    if isinstance(event, NonPrivate):
        raise InputError(
            f"{event.reason} has no guarantee, so that no filter can pay for it; give a budget of "
            "epsilon inf, which says that none is wanted"
        )
    if event.told:
        raise UnsupportedEvent(NO_DELTA)
    if currency == "pure":
        amount = _pure_cost(event)
    else:
        amount = event.rho if currency == "zcdp" else event.squared_mu
    if amount is None:
        raise UnsupportedEvent(f"no {currency} cost is known of {event!r}")
    return amount


def _pure_cost(event: Event) -> float | None:
    """Return the epsilon of an event, rounded up; None where it keeps none at delta 0."""
    exact = Fraction(0) if isinstance(event, NoOp) else event.pure_epsilon
    if exact is None or isinstance(event, Approximate):
        return None
    found = float(exact)
    return found if found >= exact else math.nextafter(found, math.inf)


def paid_for(event: Event, count: int, due: Sequence[float]) -> int:
    """Return the place of the answer, among those that rounds have paid for, that this one is.

    -1 when there is none of as little noise, and for what is no single Gaussian answer.
    """
    if not isinstance(event, Gaussian) or count != 1:
        return -1
    places = (i for i, least in enumerate(due) if event.noise_multiplier >= least)
    return next(places, -1)


@lru_cache(maxsize=256)
def limit(budget: PrivacyBudget, currency: FilterKind, apart: float = 0.0) -> float:
    """Return the largest amount that keeps the budget, rounded down.

    A part ``apart`` of its delta is for what is left out beside the amount. That of a risk is the
    largest whose curve, as the filter certifies it, has no larger risk. InputError at delta 0, to
    which only pure DP converts, and at an infinite epsilon.
    """
    if math.isinf(budget.epsilon):
        raise InputError("epsilon must be a finite number above 0 for a filter, got inf")
    if currency == "pure":
        if budget.delta:
            raise InputError(f"a filter in pure DP is for delta 0, got {budget.delta:g}")
        return budget.epsilon
    if not budget.delta:
        raise InputError(
            f"an adaptive accountant in {currency} needs a delta above 0, got 0; at delta 0 open "
            "one in pure DP (adaptive=True)"
        )
    if budget.risk is not None:
        return _limit_of_risk(budget.risk, currency, apart)
    delta = _without(apart, budget.delta)
    if currency == "zcdp":
        return zcdp_rho(budget.epsilon, delta)
    high = 1.0
    while gaussian_delta(high, budget.epsilon) < delta:
        high *= 2
    low = bisect(lambda mu: gaussian_delta(mu, budget.epsilon) <= delta, 0.0, high)
    return (low * (1 - 1e-9)) ** 2  # clear of rounding on the way back to epsilon


def _limit_of_risk(risk: RiskTarget, currency: FilterKind, apart: float) -> float:
    """Return the largest amount whose curve keeps a risk, rounded down."""

    def keeps(amount: float) -> bool:
        return not amount or risk.largest(curve_of(amount, currency, apart)) <= risk.most

    own = risk.mu**2 / (2 if currency == "zcdp" else 1)  # of one Gaussian of this risk
    return bisect(keeps, 0.0, own * (1 + BESIDE_RISK), FOUND[currency])


def curve_of(amount: float, currency: FilterKind, apart: float = 0.0) -> PrivacyCurve:
    """Return the curve of what an amount of a filter certifies beside a part of delta."""
    return replace(compose([(whole_event(amount, currency), 1)]), beside=apart)


def _without(apart: float, delta: float) -> float:
    """Return what of ``delta`` is left beside a part that is set apart, rounded down."""
    return (delta - apart) / (1 - apart) * (1 - ROUNDING) if apart else delta
