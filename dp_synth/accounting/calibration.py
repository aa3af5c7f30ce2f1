"""The noise scale at which a whole plan, or several together, meets (epsilon, delta)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

from dp_synth.accounting import cache
from dp_synth.accounting.budget import PrivacyBudget
from dp_synth.accounting.currency import zcdp_rho
from dp_synth.accounting.curves import compose
from dp_synth.accounting.events import Event
from dp_synth.accounting.plan import Part, Plan
from dp_synth.errors import InputError

LEAST_RHO = 1e-60  # less is never charged
RELATIVE_TOLERANCE = 1e-9  # of the zCDP cost; at large delta epsilon is far more sensitive
WELL_USED = 1 - 1e-4  # a cached scale that uses less of the budget is searched anew

Weighted = tuple[tuple[tuple[Part, ...], float], ...]
Events = tuple[tuple[Event, int], ...]


def calibrate(
    plans: Mapping[str, tuple[Plan, float]], budget: PrivacyBudget, *, before: Events = ()
) -> dict[str, Plan]:
    """Return the plans with the least noise at which all together meet the budget, never above.

    Each plan comes with its weight: the total zCDP cost is shared in proportion to the weights,
    and one number, that total, is searched for. Epsilon is not split, the curves are composed,
    after those of the events ``before``. InputError when no noise can meet the budget (Gaussian
    parts at delta 0), when a plan has its noise already, or when a weight is not positive.

    >>> from dp_synth.accounting import Gaussians
    >>> plan = Plan({"ones": Gaussians(15)})
    >>> solo = calibrate({"solo": (plan, 1.0)}, PrivacyBudget(1.0, 1e-9))["solo"]
    >>> 0.999 < compose(solo.events()).epsilon(1e-9) <= 1.0
    True
    """
    check_weights(plans)
    total = math.fsum(weight for _, weight in plans.values())
    plans = {
        name: (plan.with_delta(budget.delta * weight / total), weight)
        for name, (plan, weight) in plans.items()
    }
    frozen = tuple((tuple(plan.parts.values()), weight) for plan, weight in plans.values())
    rhos = shares(_total_rho(frozen, before, budget.epsilon, budget.delta), list(plans.values()))
    return {
        name: plan.at(rho) if rho else plan
        for (name, (plan, _)), rho in zip(plans.items(), rhos, strict=True)
    }


def check_weights(plans: Mapping[str, tuple[Plan, float]]) -> None:
    """Raise InputError for a weight that is no share, or a plan that has its noise already."""
    for name, (plan, weight) in plans.items():
        if not (math.isfinite(weight) and weight > 0):
            raise InputError(f"weight of {name!r} must be a finite number above 0, got {weight}")
        if plan.is_fixed and any(part.count for part in plan.parts.values()):
            raise InputError(
                f"the plan of {name!r} has its noise already; admit it apart from plans that "
                "are to be calibrated"
            )


def shares(rho: float, plans: list[tuple[Plan, float]]) -> list[float]:
    """Split a zCDP cost by weight over those plans that charge anything."""
    weights = [
        weight if any(part.count for part in plan.parts.values()) else 0.0 for plan, weight in plans
    ]
    total = math.fsum(weights)
    return [rho * weight / total if total else 0.0 for weight in weights]


@lru_cache(maxsize=256)
def _total_rho(plans: Weighted, before: Events, epsilon: float, delta: float) -> float:
    """Return the largest total zCDP cost whose composed curve stays at or below the target."""
    if not any(part.count for parts, _ in plans for part in parts):
        return 0.0
    weighted = [(Plan({part.name: part for part in parts}), weight) for parts, weight in plans]

    def spent(rho: float) -> float:
        """Epsilon of all plans at a total cost, after what came before."""
        events = [
            event
            for (plan, _), share in zip(weighted, shares(rho, weighted), strict=True)
            if share
            for event in plan.at(share).events()
        ]
        return compose([*before, *events]).epsilon(delta)

    key = repr((plans, before, epsilon, delta))
    kept = cache.read(key)
    if kept is not None and WELL_USED * epsilon <= spent(kept) <= epsilon:
        return kept
    found = _search(spent, epsilon, delta, alone=not before)
    cache.write(key, found)
    return found


def _search(spent: Callable[[float], float], epsilon: float, delta: float, *, alone: bool) -> float:
    """Find the largest cost that keeps ``spent`` at or below ``epsilon``."""
    from scipy import optimize

    # Certified by zCDP where it converts at all, since the least of the bounds is taken.
    low = max(zcdp_rho(epsilon, delta), LEAST_RHO) if delta and alone else LEAST_RHO
    growth = 1.3 if low > LEAST_RHO else 1e4
    while spent(low) > epsilon and low > LEAST_RHO:  # zCDP bounds no cost of sampled sums
        low = max(low / 4, LEAST_RHO)
    if spent(low) > epsilon:
        raise InputError(
            f"no amount of noise meets epsilon {epsilon} at delta {delta}; raise "
            + ("delta" if alone else "the target above what came before")
        )
    high = low
    while spent(high) <= epsilon:
        low, high = high, high * growth
    found = optimize.brentq(
        lambda rho: spent(rho) - epsilon, low, high, rtol=RELATIVE_TOLERANCE, xtol=1e-300
    )
    rho, back = float(found), RELATIVE_TOLERANCE
    while rho > low and spent(rho) > epsilon:  # the root may lie a hair on the wrong side
        rho, back = rho * (1 - back), back * 4
    return max(rho, low)
