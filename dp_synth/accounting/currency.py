"""What a filter counts in: amounts that add up whatever is chosen next.

A filter stops when the amounts of all that was released, each chosen with knowledge of what came
before, would exceed a limit fixed at the start; the whole then keeps the guarantee of the limit.
That holds for zero-concentrated DP (Feldman & Zrnic 2021, arXiv:2008.11193; Whitehouse, Ramdas,
Rogers & Wu 2023, arXiv:2203.05481) and for Gaussian DP, where it counts squares of mu (Smith &
Thakurta 2022, arXiv:2210.17520). It does not hold for composed loss distributions.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, get_args

from dp_synth.accounting.budget import PrivacyBudget
from dp_synth.accounting.closed_forms import gaussian_delta, zcdp_delta
from dp_synth.accounting.domination import pure_mu, selection_mu
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    NoGuarantee,
    Public,
    Pure,
    Selection,
    ThresholdedGaussian,
)
from dp_synth.errors import InputError, UnsupportedEvent

Currency = Literal["zcdp", "gdp"]
CURRENCIES: tuple[str, ...] = get_args(Currency)

NO_DELTA = (
    "releasing categories of open columns has a delta of its own, which a filter cannot pay; list "
    "their categories, or use a planned budget; nothing was released"
)

POINTS = 2000  # at which a Gaussian curve is compared with another


def cost(event: Event, currency: Currency) -> float:
    """Return the amount that one event costs: rho, or the square of mu.

    UnsupportedEvent when none is known.
    """
    if isinstance(event, Public):
        return 0.0
    if isinstance(event, ThresholdedGaussian):
        raise UnsupportedEvent(NO_DELTA)
    if isinstance(event, NoGuarantee):
        raise InputError(
            f"{event.reason} has no guarantee, so that no filter can pay for it; give a budget of "
            "epsilon inf, which says that none is wanted"
        )
    amount = event.rho if currency == "zcdp" else _squared_mu(event)
    if amount is None:
        raise UnsupportedEvent(f"no {currency} cost is known of {event!r}")
    return amount


@lru_cache(maxsize=256)
def limit(budget: PrivacyBudget, currency: Currency) -> float:
    """Return the largest amount that keeps the budget, rounded down.

    InputError at delta 0, to which neither currency converts, and at an infinite epsilon.
    """
    if math.isinf(budget.epsilon):
        raise InputError("epsilon must be a finite number above 0 for a filter, got inf")
    if not budget.delta:
        raise InputError("an adaptive accountant needs a delta above 0, got 0")
    if currency == "zcdp":
        return zcdp_rho(budget.epsilon, budget.delta)
    low, high = 0.0, 1.0
    while gaussian_delta(high, budget.epsilon) < budget.delta:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        above = gaussian_delta(middle, budget.epsilon) > budget.delta
        low, high = (low, middle) if above else (middle, high)
    return (low * (1 - 1e-9)) ** 2  # clear of rounding on the way back to epsilon


def epsilon_within(amount: float, delta: float, currency: Currency) -> float:
    """Return an epsilon whose `limit` at ``delta`` is at most ``amount``, the largest but for 1e-6.

    >>> round(epsilon_within(limit(PrivacyBudget(1.0, 1e-6), "zcdp"), 1e-6, "zcdp"), 4)
    1.0
    """
    low, high = 0.0, 1.0
    while amount > limit(PrivacyBudget(high, delta), currency):
        low, high = high, 2 * high
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        above = limit(PrivacyBudget(middle, delta), currency) > amount
        low, high = (low, middle) if above else (middle, high)
    return low


def zcdp_rho(epsilon: float, delta: float) -> float:
    """Return the zCDP cost whose optimal conversion meets the target, rounded down."""
    low, high = 0.0, epsilon + math.log(1 / delta)
    while zcdp_delta(high, epsilon) < delta:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if zcdp_delta(middle, epsilon) > delta else (middle, high)
    return low * (1 - 1e-6)  # clear of the search tolerance of the conversion back to epsilon


def _squared_mu(event: Event) -> float | None:
    match event:
        case Gaussian():
            return event.noise_multiplier**-2
        case Selection():
            return _dominating_mu(event.epsilon, pure=False) ** 2
        case Pure():
            return _dominating_mu(event.epsilon, pure=True) ** 2
    return None


@lru_cache(maxsize=256)
def _dominating_mu(epsilon: float, *, pure: bool) -> float:
    """Return the least mu whose Gaussian curve is nowhere below that of an event, rounded up."""
    return pure_mu(epsilon, POINTS) if pure else selection_mu(epsilon, POINTS)
