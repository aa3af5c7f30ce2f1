"""The noise that one target asks for by each accounting: events in, multipliers out, no data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import dp_synth as dps
from benchmarks.calibration import renyi_multiplier
from dp_synth.accounting import (
    Event,
    Gaussian,
    Gaussians,
    Plan,
    Selection,
    Selections,
    calibrate,
    compose,
)
from dp_synth.accounting.budget import gaussian_epsilon, zcdp_rho
from dp_synth.accounting.calibration import noise_factor
from dp_synth.accounting.events import NoisyVote, SampledGaussian
from dp_synth.accounting.filters import cost, limit

DELTA = 1e-5
ATTRIBUTES = 15  # of the bundled Adult table
EDGES = ATTRIBUTES - 1
ROUNDS = 2 * ATTRIBUTES  # an AIM that goes on for so many, each a choice and an answer
ONES, TREE, PAIRS = "ones", "tree", "pairs"
MST_PLAN = Plan({ONES: Gaussians(ATTRIBUTES), TREE: Selections(EDGES), PAIRS: Gaussians(EDGES)})
TOGETHER = ("mst", "dpctgan", "pategan")

Events = list[tuple[Event, int]]


def mst_events(epsilon: float, accounting: str) -> Events:
    """Return what MST as published charges: columns, edges and pairs, as an accounting has it."""
    if accounting == "exact":
        budget = dps.PrivacyBudget(epsilon, DELTA)
        return list(calibrate({"mst": (MST_PLAN, 1.0)}, budget)["mst"].events())
    if accounting == "split":
        parts = ATTRIBUTES + 2 * EDGES
        answer, choice = Gaussian(split_multiplier(epsilon, parts), 1.0), Selection(epsilon / parts)
        return [(answer, ATTRIBUTES), (choice, EDGES), (answer, EDGES)]
    return list(MST_PLAN.at(rho_of(epsilon, accounting)).events())


def shares_of(events: Events) -> tuple[float, ...]:
    """Return what each part costs in zCDP: the shares by which a plan has their noise."""
    return tuple(cost(event, "zcdp") * count for event, count in events)


def rho_of(epsilon: float, accounting: str) -> float:
    """Return the zCDP cost that a conversion allows.

    The textbook one is rho + 2 sqrt(rho log(1 / delta)) (Bun & Steinke 2016, Prop. 1.3), the
    optimal one that of Canonne, Kamath & Steinke 2020.
    """
    if accounting == "zcdp":
        return zcdp_rho(epsilon, DELTA)
    log = math.log(1 / DELTA)
    return (math.sqrt(log + epsilon) - math.sqrt(log)) ** 2


def split_multiplier(epsilon: float, parts: int) -> float:
    """Return the noise multiplier of a Gaussian that has an even part of epsilon and of delta."""
    return noise_factor([(Gaussian(1.0, 1.0), 1)], epsilon / parts, DELTA / parts)


def clique_tree_epsilon(epsilon: float, accounting: str) -> float:
    """Return what the clique tree truly spends where its Gaussians are counted in zCDP."""
    if accounting == "exact":
        return epsilon
    return gaussian_epsilon(math.sqrt(2 * rho_of(epsilon, accounting)), DELTA)


def mst_multiplier(epsilon: float, accounting: str) -> float:
    """Return the noise multiplier of MST's columns."""
    first = mst_events(epsilon, accounting)[0][0]
    assert isinstance(first, Gaussian)
    return first.noise_multiplier


def aim_multiplier(epsilon: float, accounting: str) -> float:
    """Return the noise multiplier of as many equal Gaussians as AIM's columns, choices, answers.

    That it may stop early, or go on, as its answers advise, rules out loss curves of the single
    events: what is exact here is the filter of Gaussian DP that pays for all of them.
    """
    count = ATTRIBUTES + 2 * ROUNDS
    if accounting == "exact":
        return math.sqrt(count / limit(dps.PrivacyBudget(epsilon, DELTA), "gdp"))
    if accounting == "split":
        return split_multiplier(epsilon, count)
    if accounting == "renyi":
        return renyi_multiplier(epsilon, DELTA, rate=1.0, steps=count)
    return math.sqrt(count / (2 * rho_of(epsilon, accounting)))


def dpctgan_multiplier(epsilon: float, accounting: str) -> float:
    """Return the noise multiplier of the steps of DP-CTGAN, by its default settings.

    zCDP gains nothing from sampling, and an even part of epsilon for each step is of no use.
    """
    recipe = dps.DPCTGAN()
    step = SampledGaussian(1.0, recipe.rate, recipe.steps)
    if accounting == "exact":
        return noise_factor([(step, 1)], epsilon, DELTA)
    return renyi_multiplier(epsilon, DELTA, rate=recipe.rate, steps=recipe.steps)


@lru_cache
def together(epsilon: float, accounting: str) -> Mapping[str, float]:
    """Return the first noise multiplier of each of three recipes on one budget.

    Jointly, one calibration meets the target by all three. Split, each is calibrated, exactly
    too, to a third of epsilon and of delta.
    """
    domain = dps.datasets.load("adult").schema.domain
    plans = {name: dps.SYNTHESIZERS[name]().charges(domain) for name in TOGETHER}
    if accounting == "exact":
        target = dps.PrivacyBudget(epsilon, DELTA)
        found = dict(calibrate({name: (plan, 1.0) for name, plan in plans.items()}, target))
    else:
        third = dps.PrivacyBudget(epsilon / len(TOGETHER), DELTA / len(TOGETHER))
        found = {name: calibrate({name: (plan, 1.0)}, third)[name] for name, plan in plans.items()}
    return {name: _main_multiplier(plan) for name, plan in found.items()}


def _main_multiplier(plan: Plan) -> float:
    """Return the noise of the part of a plan that costs the most: answers, steps or votes."""
    events = {name: part.event() for name, part in plan.parts.items()}
    largest = events[max(events, key=lambda name: plan.parts[name].share)]
    match largest:
        case Gaussian() | SampledGaussian():
            return largest.noise_multiplier
        case NoisyVote():
            return largest.scale
    raise TypeError(f"no noise is known of {largest!r}")


def true_epsilon(events: Events) -> float:
    """Return the epsilon that events really spend at the delta of all targets."""
    return compose(events).epsilon(DELTA)
