"""How much noise is too much: the least cost at which anything of an answer is heard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, Context

from dp_synth.accounting.budget import PrivacyBudget
from dp_synth.accounting.events import MOST_COUNTED
from dp_synth.accounting.plan import (
    Gaussians,
    Part,
    Plan,
    SampledGaussians,
    ThresholdedGaussians,
    Votes,
)

LARGEST_NOISE = 2.0**32  # in units of an answer: more is never drawn
HEARD = 0.01  # standard deviations by which all answers of a part together must be able to move

Weighted = tuple[tuple[Plan, float], ...]


def largest_noise(part: Part, budget: PrivacyBudget) -> float:
    """Return the noise from which on a part cannot say anything; infinite for choices.

    Votes that all teachers cast alike, or steps down a gradient on which as many records agree
    as there can be, must move their mean by a hundredth of its standard deviation.
    """
    alike = math.sqrt(part.count) / HEARD
    match part:
        case Votes():
            return min(LARGEST_NOISE, part.teachers * alike)
        case SampledGaussians():
            return min(LARGEST_NOISE, MOST_COUNTED * part.rate * alike)
        case Gaussians() | ThresholdedGaussians():
            moved = 1.0 if budget.adjacency == "add_remove" else math.sqrt(2.0)
            return LARGEST_NOISE / (moved * budget.max_rows)
    return math.inf


def drowned(plans: Mapping[str, Plan], budget: PrivacyBudget) -> tuple[str, str, float] | None:
    """Return the first part whose noise is too much: its plan, its name and its noise."""
    for name, plan in plans.items():
        for part in plan.parts.values():
            if part.count and _noise(part) > largest_noise(part, budget):
                return name, part.name, _noise(part)
    return None


def least_rho(plans: Weighted, budget: PrivacyBudget) -> float:
    """Return the least zCDP cost, shared by weight, at which no part has too much noise."""
    whole = math.fsum(weight for _, weight in plans)
    least = 0.0
    for plan, weight in plans:
        active = [part for part in plan.parts.values() if part.count]
        shares = math.fsum(part.share for part in active)
        for part in active:
            cost = _cost_of(part, largest_noise(part, budget))
            least = max(least, cost * shares / part.share * whole / weight if cost else 0.0)
    return least


def rounded_up(epsilon: float) -> str:
    """Return an epsilon in three digits, a little above it: calibration is not exact.

    >>> rounded_up(0.00012341), rounded_up(2.0)
    ('0.000124', '2.01')
    """
    short = Context(prec=3, rounding=ROUND_CEILING).create_decimal_from_float(epsilon * 1.002)
    return f"{float(short):.3g}"


def _noise(part: Part) -> float:
    match part:
        case Votes():
            return part.event().scale
        case Gaussians() | SampledGaussians() | ThresholdedGaussians():
            return part.noise_multiplier or math.inf
    return 0.0


def _cost_of(part: Part, noise: float) -> float:
    """Return what a part's ``at`` turns into this noise."""
    if math.isinf(noise):
        return 0.0
    if isinstance(part, SampledGaussians):
        rate = part.rate * part.rows * (2 if part.replaced else 1)
        return rate**2 * part.count / 2 * math.expm1(noise**-2)
    return (_noise(part.at(1.0)) / noise) ** 2
