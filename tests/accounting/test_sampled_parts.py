"""Parts of sampled sums: calibrated beside others, charged in blocks, never for less."""

from __future__ import annotations

import math

import pytest

from dp_synth.accounting import (
    Accountant,
    Gaussians,
    Plan,
    PrivacyBudget,
    SampledGaussians,
    calibrate,
    compose,
)
from dp_synth.accounting.events import SampledGaussian
from dp_synth.errors import BudgetExceeded

PLAN = Plan({"ones": Gaussians(5, 0.2), "steps": SampledGaussians(100, 0.05, 0.8)})


@pytest.mark.parametrize("epsilon", [1e-3, 0.5, 3.0, 1e3])
def test_one_scale_for_all_parts_uses_the_budget_whole(epsilon: float) -> None:
    budget = PrivacyBudget(epsilon, 1e-6)
    ready = calibrate({"x": (PLAN, 1.0)}, budget)["x"]
    assert 0.999 * epsilon <= compose(ready.events()).epsilon(1e-6) <= epsilon


def test_steps_in_blocks_cost_what_all_at_once_do() -> None:
    blocks = compose(
        [(SampledGaussian(1.5, 0.05, steps=1), 60), (SampledGaussian(1.5, 0.05, 40), 1)]
    )
    whole = compose([(SampledGaussian(1.5, 0.05, steps=100), 1)])
    single = compose([(SampledGaussian(1.5, 0.05, steps=1), 100)])
    assert single.epsilon(1e-6) == whole.epsilon(1e-6)
    assert blocks.epsilon(1e-6) == pytest.approx(whole.epsilon(1e-6), rel=1e-3)


def test_the_noise_of_a_cost_is_that_of_the_limit_of_many_steps() -> None:
    part = SampledGaussians(1000, 0.01).at(rho=0.5)
    mu = 0.01 * math.sqrt(1000 * math.expm1(1 / part.event().noise_multiplier ** 2))
    assert mu**2 / 2 == pytest.approx(0.5)


@pytest.mark.parametrize(
    "event",
    [
        SampledGaussian(0.9, 0.1, 1),
        SampledGaussian(1.0, 0.2, 1),
        SampledGaussian(1.0, 0.1, 2),
    ],
)
def test_a_step_that_costs_more_than_its_part_is_refused(event: SampledGaussian) -> None:
    accountant = Accountant(PrivacyBudget(100, 1e-6))
    plan = Plan({"steps": SampledGaussians(10, 0.1, noise_multiplier=1.0)})
    piece = accountant.admit("x", plan)
    part = piece.plan.sampled("steps")
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        piece.charge(part, event, 1, why="a step")
    piece.charge(part, SampledGaussian(1.5, 0.05, 1), 10, why="less than granted")
    assert accountant.ledger.epsilon == compose(plan.events()).epsilon(1e-6)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.5, math.nan])
def test_a_rate_is_a_chance(rate: float) -> None:
    with pytest.raises(ValueError, match=r"rate must lie in \(0, 1\]"):
        SampledGaussians(10, rate)


def test_a_part_without_noise_says_so() -> None:
    with pytest.raises(ValueError, match="calibrate its plan first"):
        SampledGaussians(10, 0.1, name="steps").event()
