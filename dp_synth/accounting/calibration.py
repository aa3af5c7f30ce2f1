"""Calibration: the noise at which plans together meet (epsilon, delta), and where none does.

Scales are kept on disk between runs: public numbers, checked again when read.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import NoReturn

from dp_synth._version import __version__
from dp_synth.accounting.budget import PrivacyBudget, zcdp_rho
from dp_synth.accounting.events import Event, NoOp
from dp_synth.accounting.filters import Filter
from dp_synth.accounting.plan import (
    Part,
    Plan,
)
from dp_synth.accounting.privacy_profile import PrivacyCurve, compose
from dp_synth.accounting.risk_target import RiskTarget
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.files import written_whole
from dp_synth.formatting import rounded_up

LEAST_RHO = 1e-60  # less is never charged
RELATIVE_TOLERANCE = 1e-9  # of the zCDP cost; at large delta epsilon is far more sensitive
COMPOSITION = 2  # of losses: another one finds other noise, by a hair, for the same budget
USED = 1e-6  # relative, of an amount of a filter that may be left by calibration
MOST_TRIES = 40  # of a cost
NEAR_GAUSSIAN = 0.95  # of the cost of one Gaussian, where the search for that of a risk begins
MANY = 16  # steps of a search, from which on they are long
WELL_USED = 1 - 1e-4  # a cached scale that uses less of the budget is searched anew

Weighted = tuple[tuple[tuple[Part, ...], float], ...]
Events = tuple[tuple[Event, int], ...]
FACTOR_TOLERANCE = 1e-8  # of the logarithm of a noise factor
MOST_EVALUATIONS = 60  # of the composed curve, on the way to a bracket
FARTHEST = 100.0  # logarithm of the largest and of the smallest factor tried
LEAST_SHARE, MOST_SHARE = 1e-6, 1e12  # epsilons of the search are cut to these parts of its target
CACHE_VARIABLE = "DP_SYNTH_CACHE"
"""The environment variable that names another folder; empty, nothing is kept."""
LARGEST_KEPT = 1e12  # a cost that no budget of use comes to; more is damage


def calibrate(
    plans: Mapping[str, tuple[Plan, float]], budget: PrivacyBudget, *, before: Events = ()
) -> dict[str, Plan]:
    """Return the plans with the least noise at which all together meet the budget, never above.

    Each plan comes with its weight: the total zCDP cost is shared in proportion to the weights,
    and one number, that total, is searched for. Epsilon is not split, the curves are composed,
    after those of the events ``before``. InputError when no noise can meet the budget (Gaussian
    parts at delta 0), when it takes so much that nothing is said (the least epsilon that works
    is then named), when a plan has its noise already, or when a weight is not positive. A plan
    without a guarantee takes an infinite epsilon, any other a finite one.

    >>> from dp_synth.accounting import Gaussians
    >>> plan = Plan({"ones": Gaussians(15)})
    >>> solo = calibrate({"solo": (plan, 1.0)}, PrivacyBudget(1.0, 1e-9))["solo"]
    >>> 0.999 < compose(solo.events()).epsilon(1e-9) <= 1.0
    True
    """
    check_weights(plans)
    check_guarantees({name: plan for name, (plan, _) in plans.items()}, budget)
    if math.isinf(budget.epsilon):
        return {name: _towards_target(plan, budget.delta) for name, (plan, _) in plans.items()}
    total = math.fsum(weight for _, weight in plans.values())
    plans = {
        name: (plan.with_delta(budget.delta * weight / total, budget.epsilon), weight)
        for name, (plan, weight) in plans.items()
    }
    frozen = tuple((tuple(plan.parts.values()), weight) for plan, weight in plans.values())
    floor = min_feasible_rho(tuple(plans.values()), budget) * (1 + RELATIVE_TOLERANCE)
    alone = PrivacyBudget(budget.epsilon, budget.delta, risk=budget.risk)  # all that it depends on
    ready = _shared(_total_rho(frozen, before, alone, floor), plans)

    def least(rho: float) -> float:
        events = [event for plan in _shared(rho, plans).values() for event in plan.events()]
        return budget.cost(compose([*before, *events]))

    if infeasible_part(ready, budget):
        if (found := least(floor)) <= budget.target:  # an engine gave up below, and misled
            return _shared(floor, plans)
        _refuse_infeasible(ready, budget, found)
    return ready


def at_cost(
    plans: Mapping[str, tuple[Plan, float]], amount: float, rule: Filter
) -> dict[str, Plan]:
    """Return the plans with the noise at which all together cost ``amount``, never more.

    An amount of a filter in its currency, by what ``rule`` charges each plan. Nothing is refused
    where nothing is left of it, so that whoever pays says so; else InputError as in ``calibrate``,
    and UnsupportedEvent where no cost of a plan is known.
    """
    check_weights(plans)
    budget = rule.budget
    check_guarantees({name: plan for name, (plan, _) in plans.items()}, budget)
    whole = math.fsum(weight for _, weight in plans.values())
    plans = {
        name: (plan.with_delta(rule.left_out(amount * weight / whole)), weight)
        for name, (plan, weight) in plans.items()
    }

    def cost(rho: float, rule: Filter = rule) -> float:
        """Amount of all plans at a zCDP cost that they share; infinite where none is known."""
        try:
            return math.fsum(rule.cost(plan.events()) for plan in _shared(rho, plans).values())
        except UnsupportedEvent:
            if not rule.apart:
                raise
            return math.inf  # of this noise

    key = repr((COMPOSITION, "filter", plans, amount, rule))
    floor = min_feasible_rho(tuple(plans.values()), budget)
    kept = read_kept(key)
    if kept is None or kept < floor or not WELL_USED * amount <= cost(kept) <= amount:
        kept = _rho_at(cost, amount, floor, amount / 2)
        keep(key, kept)
    ready = _shared(kept, plans)
    if infeasible_part(ready, budget) and (amount or not rule.limit):
        least = rule.target_for(floor)
        for _ in range(3):  # what may be left out depends on the target
            rule = replace(rule, budget=budget.until(least))
            least, before = rule.target_for(cost(floor, rule)), least
            if abs(least - before) < 1e-3 * least:
                break
        _refuse_infeasible(ready, budget, least)
    return ready


def _rho_at(cost: Callable[[float], float], amount: float, floor: float, likely: float) -> float:
    """Return a zCDP cost to share, at which plans cost ``amount``, never more.

    Of a filter, or a square of mu; ``likely`` is tried first. An amount is nearly in proportion to
    what is shared, so that a few secants in logarithms find it; where one leaves what is known to
    hold it, the middle is tried. Nothing is tried below ``floor``, where it is too much already
    what is returned lies there.
    """
    low, high, slope = 0.0, math.inf, 1.0
    rho, before = likely, (0.0, 0.0)
    for _ in range(MOST_TRIES):
        if rho < floor and not low:
            if not amount or cost(floor) > amount:
                return max(min(rho, floor / 2), LEAST_RHO)
            low = rho = floor
        found = cost(rho) if rho > LEAST_RHO else amount
        if amount * (1 - USED) <= found <= amount:
            break
        low, high = (rho, high) if found < amount else (low, rho)
        if before[0] and math.isfinite(found) and found != before[1]:
            slope = math.log(rho / before[0]) / math.log(found / before[1])
        before = (rho, found) if math.isfinite(found) else (0.0, 0.0)
        goal = amount * (1 - USED / 2) / found if math.isfinite(found) else 1 / 4
        rho *= goal ** min(max(slope, 1 / 2), 2.0)
        if not low < rho < high:
            rho = math.sqrt(low * high) if low else high / 2
    else:
        rho = low
    return max(rho, LEAST_RHO)


def check_guarantees(plans: Mapping[str, Plan], budget: PrivacyBudget) -> None:
    """Raise InputError where a finite epsilon meets a plan without a guarantee, or the reverse."""
    for name, plan in plans.items():
        without = plan.unbounded
        if without and math.isfinite(budget.epsilon):
            raise InputError(
                f"{name!r} has no guarantee to give: {without.reason}; use another accounting, or "
                f"a budget of epsilon inf, which says that none is wanted; got {budget.epsilon:g}"
            )
        if math.isinf(budget.epsilon) and not without:
            raise InputError(
                "epsilon must be a finite number above 0: inf says that no guarantee is wanted, "
                f"and {name!r} has one to give"
            )


def _refuse_infeasible(ready: Mapping[str, Plan], budget: PrivacyBudget, least: float) -> NoReturn:
    found = infeasible_part(ready, budget)
    assert found is not None
    name, part, noise = found
    at_delta = "" if budget.risk else " at this delta"
    raise InputError(
        f"{budget.said} is too small for {name!r}: its part {part!r} would have noise of "
        f"{noise:.3g} and say nothing; the least {budget.kind} that works{at_delta} is "
        f"{rounded_up(least * 1.002, 3)}"  # calibration is not exact
    )


def _towards_target(plan: Plan, delta: float) -> Plan:
    """Return a plan without a guarantee, with the noise that its target asks for."""
    without = plan.unbounded
    assert without is not None
    if not delta:
        raise InputError("a target needs a delta above 0, got 0")
    whole = math.fsum(part.share for part in plan.parts.values() if part.count)
    return plan.with_delta(delta, without.target).at(zcdp_rho(without.target, delta) * whole)


def _shared(rho: float, plans: Mapping[str, tuple[Plan, float]]) -> dict[str, Plan]:
    """Return the plans with the noise at which they share a zCDP cost by weight."""
    return {
        name: plan.at(share) if share else plan
        for (name, (plan, _)), share in zip(
            plans.items(), shares(rho, list(plans.values())), strict=True
        )
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
def _total_rho(plans: Weighted, before: Events, budget: PrivacyBudget, floor: float) -> float:
    """Return the largest total zCDP cost whose composed curve stays at or below the target.

    ``floor`` is the least at which no part has too much noise. Where it is too much already, what
    is returned lies below it.
    """
    if not any(part.count for parts, _ in plans for part in parts):
        return 0.0
    weighted = [(Plan({part.name: part for part in parts}), weight) for parts, weight in plans]

    def spent(rho: float) -> float:
        """Epsilon, or risk, of all plans at a total cost, after what came before."""
        events = [
            event
            for (plan, _), share in zip(weighted, shares(rho, weighted), strict=True)
            if share
            for event in plan.at(share).events()
        ]
        return budget.cost(compose([*before, *events]))

    target = budget.target
    key = repr((COMPOSITION, plans, before, budget))
    kept = read_kept(key)
    if kept is not None and kept >= floor and WELL_USED * target <= spent(kept) <= target:
        return kept
    found = _search(spent, budget, floor, alone=not before)
    if found >= floor:
        keep(key, found)
    return found


def _search(
    spent: Callable[[float], float], budget: PrivacyBudget, floor: float, *, alone: bool
) -> float:
    """Find the largest cost that keeps ``spent`` at or below the target."""
    from scipy import optimize

    delta, most = budget.delta, budget.target
    likely = _likely_rho(budget) if delta and alone else 0.0
    if budget.risk is not None and alone:
        return _rho_of_risk(spent, budget.risk, floor, likely)
    least = max(floor, LEAST_RHO) if delta and alone else LEAST_RHO
    low = max(likely, least)
    growth = 1.3 if low > LEAST_RHO else 1e4
    while spent(low) > most and low > least:  # zCDP bounds no cost of sampled sums
        low = max(low / 4, least)
    if spent(low) > most:
        if delta and alone:
            return min(likely or least, least / 2)  # with more noise than is drawn: refused
        raise InputError(
            f"no amount of noise meets {_asked(budget)}; raise "
            + ("delta" if alone else "the target above what came before")
        )
    high, tries = low, 0
    while spent(high) <= most:
        low, high, tries = high, high * growth, tries + 1
        growth = growth if tries < MANY else max(growth, 10.0)
    found = optimize.brentq(
        lambda rho: spent(rho) - most, low, high, rtol=RELATIVE_TOLERANCE, xtol=1e-300
    )
    rho, back = float(found), RELATIVE_TOLERANCE
    while rho > low and spent(rho) > most:  # the root may lie a hair on the wrong side
        rho, back = rho * (1 - back), back * 4
    return max(rho, low)


def _rho_of_risk(
    spent: Callable[[float], float], risk: RiskTarget, floor: float, likely: float
) -> float:
    """Find the largest cost that keeps a risk: in squares of mu, to which it is in proportion."""
    amount = risk.mu**2

    def squared_mu(rho: float) -> float:
        found = spent(rho)
        least = math.nextafter(amount, math.inf) if found > risk.most else 0.0
        return max(risk.gaussian(found) ** 2, least)

    return _rho_at(squared_mu, amount, floor, likely)


def _likely_rho(budget: PrivacyBudget) -> float:
    """Return a cost from which to search.

    Of an epsilon it is certified by zCDP where that converts at all, since the least of the bounds
    is taken; of a risk it is a little below that of one Gaussian.
    """
    if budget.risk is None:
        return zcdp_rho(budget.epsilon, budget.delta)
    return NEAR_GAUSSIAN * budget.risk.mu**2 / 2


def _asked(budget: PrivacyBudget) -> str:
    return str(budget.risk or f"epsilon {budget.epsilon} at delta {budget.delta}")


def infeasible_part(
    plans: Mapping[str, Plan], budget: PrivacyBudget
) -> tuple[str, str, float] | None:
    """Return the first part whose noise is too much: its plan, its name and its noise."""
    for name, plan in plans.items():
        for part in plan.parts.values():
            if part.count and part.noise_scale > part.max_noise(budget):
                return name, part.name, part.noise_scale
    return None


def min_feasible_rho(plans: Sequence[tuple[Plan, float]], budget: PrivacyBudget) -> float:
    """Return the least zCDP cost, shared by weight, at which no part has too much noise."""
    whole = math.fsum(weight for _, weight in plans)
    return max((plan.least_rho(budget, whole / weight) for plan, weight in plans), default=0.0)


def noise_factor(events: Iterable[tuple[Event, int]], epsilon: float, delta: float) -> float:
    """Return the least factor of all noise at which the events meet (epsilon, delta).

    The target is met from below, never passed. InputError when no amount of noise meets it, when
    events cost nothing, or when they hold ``Approximate`` ones.

    >>> from dp_synth.accounting.events import Pure
    >>> round(noise_factor([(Pure(2.0), 10)], 1.0, 0.0), 6)
    20.0
    """
    return least_factor(events, PrivacyBudget(epsilon, delta))


def least_factor(events: Iterable[tuple[Event, int]], budget: PrivacyBudget) -> float:
    """Return the least factor of all noise at which the events meet a budget, or its risk.

    As `noise_factor`, and with the same errors.

    >>> from dp_synth.accounting.events import Gaussian
    >>> budget = PrivacyBudget.from_risk(advantage=0.1)
    >>> round(least_factor([(Gaussian(2.0, 1.0), 1)], budget) * 2.0 * budget.risk.mu, 6)
    1.0
    """
    if math.isinf(budget.epsilon):
        raise InputError("epsilon must be a finite number above 0, got inf")
    given = scaled(events, 1.0)
    if all(isinstance(event, NoOp) for event, _ in given):
        raise InputError("the events cost nothing, so that there is no noise to scale")
    if not budget.delta and math.isinf(compose(given).epsilon(0.0)):
        raise InputError(
            f"no amount of noise meets epsilon {budget.epsilon:g} at delta 0; give a delta above 0"
        )

    @cache
    def excess(log_factor: float) -> float:
        try:
            cost = budget.cost(compose(scaled(given, math.exp(log_factor)))) / budget.target
        except OverflowError:  # so little noise that its cost is no floating-point number
            cost = math.inf
        return math.log(min(max(cost, LEAST_SHARE), MOST_SHARE))

    return _least_factor(excess)


def _least_factor(excess: Callable[[float], float]) -> float:
    """Return exp of the least point at which a falling function is 0 or below.

    Near its root a cost falls about as fast as the noise rises, so that the excess itself is the
    next step, taken a hair too far in order to find a bracket.
    """
    from scipy import optimize

    points = {0.0: excess(0.0)}
    here = 0.0
    while not min(points.values()) <= 0 < max(points.values()):
        step = points[here] + math.copysign(1e-3 * 4 ** (len(points) - 1), points[here] or -1.0)
        here += math.copysign(min(abs(step), 7.0), step)
        if len(points) >= MOST_EVALUATIONS or abs(here) > FARTHEST:
            raise InputError("no factor of the noise meets this epsilon at this delta")
        points[here] = excess(here)
    low = max(x for x, value in points.items() if value > 0)
    high = min(x for x, value in points.items() if value <= 0)
    root = float(optimize.brentq(excess, low, high, xtol=FACTOR_TOLERANCE))
    back = FACTOR_TOLERANCE
    while root < high and excess(root) > 0:  # the root may lie a hair on the wrong side
        root, back = root + back, 2 * back
    return math.exp(min(root, high))


def read_kept(key: str) -> float | None:
    """Return what was kept under ``key``; None when nothing readable was."""
    path = _kept_path(key)
    if path is None:
        return None
    try:
        text, _, own = path.read_text("utf-8").partition("\n")
        value = float.fromhex(text)
    except (OSError, ValueError, OverflowError):
        return None
    return value if own == key and 0 < value < LARGEST_KEPT else None


def keep(key: str, value: float) -> None:
    """Keep ``value`` under ``key``; a disk that refuses is no reason to stop."""
    path = _kept_path(key)
    if path is None:
        return
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as passing:
            passing.write_text(f"{value.hex()}\n{key}", encoding="utf-8")


def _kept_path(key: str) -> Path | None:
    folder = os.environ.get(CACHE_VARIABLE)
    if folder is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = str(Path(home) / "dp_synth" / "calibration")
    if not folder:
        return None
    digest = hashlib.sha256(f"{__version__}\0{key}".encode()).hexdigest()
    return Path(folder) / f"{digest}.txt"


def scaled(events: Iterable[tuple[Event, int]], factor: float) -> list[tuple[Event, int]]:
    """Return the events with all noise multiplied by ``factor``.

    The epsilon of selections and pure events is divided by it, a rho by its square. InputError
    for ``Approximate`` events, which say nothing of their noise.

    >>> from dp_synth.accounting import Selection
    >>> scaled([(Selection(0.4), 14)], 2.0)
    [(Selection(epsilon=0.2), 14)]
    """
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"factor must be a finite number above 0, got {factor}")
    return [(event.scaled(factor), count) for event, count in events]


def with_noise(curve: PrivacyCurve, factor: float) -> PrivacyCurve:
    """Return the curve if the noise of every event were ``factor`` times what it is.

    InputError as in `scaled`.

    >>> from dp_synth.accounting import Gaussian
    >>> curve = compose([(Gaussian(2.0, 1.0), 4)])
    >>> curve.mu, with_noise(curve, 0.5).mu
    (1.0, 2.0)
    """
    selected = tuple((event.scaled(factor), count) for event, count in curve.selected)
    return replace(curve, events=tuple(scaled(curve.events, factor)), selected=selected)
