"""The noise scale at which a whole plan, or several together, meets (epsilon, delta)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

from dp_synth.accounting.budget import PrivacyBudget
from dp_synth.accounting.curves import compose, zcdp_delta
from dp_synth.accounting.plan import Part, Plan
from dp_synth.errors import InputError

LEAST_RHO = 1e-60  # less is never charged
RELATIVE_TOLERANCE = 1e-9  # of the zCDP cost; at large delta epsilon is far more sensitive


def calibrate(plans: Mapping[str, tuple[Plan, float]], budget: PrivacyBudget) -> dict[str, Plan]:
    """Return the plans with the least noise at which all together meet the budget, never above.

    Each plan comes with its weight: the total zCDP cost is shared in proportion to the weights,
    and one number, that total, is searched for. Epsilon is not split, the curves are composed.
    InputError when no noise can meet the budget (Gaussian parts at delta 0), when a plan has
    its noise already, or when a weight is not a positive number.

    >>> from dp_synth.accounting import Gaussians
    >>> plan = Plan({"ones": Gaussians(15)})
    >>> solo = calibrate({"solo": (plan, 1.0)}, PrivacyBudget(1.0, 1e-9))["solo"]
    >>> 0.999 < compose(solo.events()).epsilon(1e-9) <= 1.0
    True
    """
    for name, (plan, weight) in plans.items():
        if not (math.isfinite(weight) and weight > 0):
            raise InputError(f"weight of {name!r} must be a finite number above 0, got {weight}")
        if plan.is_fixed and any(True for _ in plan.events()):
            raise InputError(
                f"the plan of {name!r} has its noise already; admit it apart from plans that "
                "are to be calibrated"
            )
    frozen = tuple((tuple(plan.parts.values()), weight) for plan, weight in plans.values())
    rhos = _shares(_total_rho(frozen, budget.epsilon, budget.delta), list(plans.values()))
    return {
        name: plan.at(rho) if rho else plan
        for (name, (plan, _)), rho in zip(plans.items(), rhos, strict=True)
    }


@lru_cache(maxsize=256)
def _total_rho(
    plans: tuple[tuple[tuple[Part, ...], float], ...], epsilon: float, delta: float
) -> float:
    """Search the largest total zCDP cost whose composed curve stays at or below the target."""
    from scipy import optimize

    weighted = [(Plan({part.name: part for part in parts}), weight) for parts, weight in plans]

    def _cost(rho: float) -> float:
        shares = _shares(rho, weighted)
        events = [
            event
            for (plan, _), share in zip(weighted, shares, strict=True)
            if share
            for event in plan.at(share).events()
        ]
        return compose(events).epsilon(delta)

    if not any(part.count for parts, _ in plans for part in parts):
        return 0.0
    # Certified by zCDP where it converts at all, since the least of the bounds is taken.
    low = max(zcdp_rho(epsilon, delta), LEAST_RHO) if delta else LEAST_RHO
    growth = 1.3 if low > LEAST_RHO else 1e4
    if _cost(low) > epsilon:
        raise InputError(
            f"no amount of noise meets epsilon {epsilon} at delta {delta}; raise delta"
        )
    high = low
    while _cost(high) <= epsilon:
        low, high = high, high * growth
    found = optimize.brentq(
        lambda rho: _cost(rho) - epsilon, low, high, rtol=RELATIVE_TOLERANCE, xtol=1e-300
    )
    rho, back = float(found), RELATIVE_TOLERANCE
    while rho > low and _cost(rho) > epsilon:  # the root may lie a hair on the wrong side
        rho, back = rho * (1 - back), back * 4
    return max(rho, low)


def _shares(rho: float, plans: list[tuple[Plan, float]]) -> list[float]:
    """Split a zCDP cost by weight over those plans that charge anything."""
    weights = [
        weight if any(part.count for part in plan.parts.values()) else 0.0 for plan, weight in plans
    ]
    total = math.fsum(weights)
    return [rho * weight / total if total else 0.0 for weight in weights]


def zcdp_rho(epsilon: float, delta: float) -> float:
    """Return the zCDP cost whose optimal conversion meets the target, rounded down."""
    low, high = 0.0, epsilon + math.log(1 / delta)
    while zcdp_delta(high, epsilon) < delta:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if zcdp_delta(middle, epsilon) > delta else (middle, high)
    return low * (1 - 1e-6)  # clear of the search tolerance of the conversion back to epsilon
