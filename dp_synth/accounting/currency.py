"""What a filter counts in: amounts that add up whatever is chosen next.

A filter stops when the amounts of all that was released, each chosen with knowledge of what came
before, would exceed a limit fixed at the start; the whole then keeps the guarantee of the limit.
That holds for zero-concentrated DP (Feldman & Zrnic 2021, arXiv:2008.11193; Whitehouse, Ramdas,
Rogers & Wu 2023, arXiv:2203.05481) and for Gaussian DP, where it counts squares of mu (Smith &
Thakurta 2022, arXiv:2210.17520). It does not hold for composed loss distributions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

from dp_synth.accounting.budget import PrivacyBudget
from dp_synth.accounting.closed_forms import (
    ROUNDING,
    gaussian_delta,
    gaussian_epsilon,
    zcdp_delta,
    zcdp_epsilon,
)
from dp_synth.accounting.domination import pure_mu, selection_mu
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    NoGuarantee,
    PartitionSelection,
    Public,
    Pure,
    Round,
    Selection,
    ThresholdedGaussian,
)
from dp_synth.accounting.least_gaussian import amount_of_round
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
    if isinstance(event, ThresholdedGaussian | PartitionSelection):
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


def paid_for(event: Gaussian, due: Sequence[float]) -> int:
    """Return the place of the answer, among those that rounds have paid for, that this one is.

    -1 when there is none of as little noise.
    """
    places = (i for i, least in enumerate(due) if event.noise_multiplier >= least)
    return next(places, -1)


@lru_cache(maxsize=256)
def limit(budget: PrivacyBudget, currency: Currency, apart: float = 0.0) -> float:
    """Return the largest amount that keeps the budget, rounded down.

    A part ``apart`` of its delta is for what is left out beside the amount. InputError at delta
    0, to which neither currency converts, and at an infinite epsilon.
    """
    if math.isinf(budget.epsilon):
        raise InputError("epsilon must be a finite number above 0 for a filter, got inf")
    if not budget.delta:
        raise InputError("an adaptive accountant needs a delta above 0, got 0")
    delta = _without(apart, budget.delta)
    if currency == "zcdp":
        return zcdp_rho(budget.epsilon, delta)
    low, high = 0.0, 1.0
    while gaussian_delta(high, budget.epsilon) < delta:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        above = gaussian_delta(middle, budget.epsilon) > delta
        low, high = (low, middle) if above else (middle, high)
    return (low * (1 - 1e-9)) ** 2  # clear of rounding on the way back to epsilon


def epsilon_within(amount: float, delta: float, currency: Currency, apart: float = 0.0) -> float:
    """Return an epsilon whose `limit` at ``delta`` is at most ``amount``, the largest but for 1e-5.

    >>> round(epsilon_within(limit(PrivacyBudget(1.0, 1e-6), "zcdp"), 1e-6, "zcdp"), 4)
    1.0
    """
    whole, back = epsilon_of(amount, delta, currency, apart), 1e-6
    while (found := whole * (1 - back)) and (
        limit(PrivacyBudget(found, delta), currency, apart) > amount
    ):
        back *= 2
    return found


def epsilon_of(amount: float, delta: float, currency: Currency, apart: float = 0.0) -> float:
    """Return the epsilon that an amount costs at ``delta``, with ``apart`` of it, rounded up."""
    left = _without(apart, delta)
    if currency == "zcdp":
        return zcdp_epsilon(amount, left)
    return gaussian_epsilon(math.sqrt(amount), left)


def _without(apart: float, delta: float) -> float:
    """Return what of ``delta`` is left beside a part that is set apart, rounded down."""
    return (delta - apart) / (1 - apart) * (1 - ROUNDING) if apart else delta


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
        case Round():
            return _amount_of_round(event)
        case Selection():
            return _dominating_mu(event.epsilon, pure=False) ** 2
        case Pure():
            return _dominating_mu(event.epsilon, pure=True) ** 2
    return None


def _amount_of_round(event: Round) -> float:
    """Return the least amount that is known of a round: of both together, or of each apart."""
    together = amount_of_round(event.epsilon, event.noise_multiplier)
    alone = cost(event.answer, "gdp")
    if alone < 1 and together < alone + 1.5 * 2 * event.choice.rho:  # a choice alone costs more
        return together
    return min(together, alone + cost(event.choice, "gdp"))


@lru_cache(maxsize=256)
def _dominating_mu(epsilon: float, *, pure: bool) -> float:
    """Return the least mu whose Gaussian curve is nowhere below that of an event, rounded up."""
    return pure_mu(epsilon, POINTS) if pure else selection_mu(epsilon, POINTS)
