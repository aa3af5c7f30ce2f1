"""Parts of votes: calibrated beside other parts, and never charged for less noise."""

from __future__ import annotations

import pytest

from dp_synth.accounting import (
    Accountant,
    Gaussians,
    Plan,
    PrivacyBudget,
    Votes,
    calibrate,
    compose,
)
from dp_synth.accounting.events import NoisyVote, VoteNoise
from dp_synth.errors import BudgetExceeded

BUDGET = PrivacyBudget(1.0, 1e-5)


@pytest.mark.parametrize("noise", ["gaussian", "laplace", "gumbel"])
@pytest.mark.parametrize("epsilon", [1e-2, 1.0, 20.0])
def test_one_scale_for_all_parts_uses_the_budget_whole(noise: VoteNoise, epsilon: float) -> None:
    plan = Plan({"ones": Gaussians(5, 0.3), "votes": Votes(100, 101, noise, 0.7)})
    ready = calibrate({"x": (plan, 1.0)}, PrivacyBudget(epsilon, 1e-5))["x"]
    assert 0.999 * epsilon <= compose(ready.events()).epsilon(1e-5) <= epsilon


def test_a_hundred_gaussian_votes_need_the_noise_that_is_known_of_them() -> None:
    ready = calibrate({"x": (Plan({"votes": Votes(100, 100)}), 1.0)}, BUDGET)["x"]
    assert ready.votes("votes").event().scale == pytest.approx(51.8, abs=0.1)


@pytest.mark.parametrize(
    "event",
    [
        NoisyVote("gaussian", 9.9, 101),
        NoisyVote("gaussian", 10.0, 103),
        NoisyVote("laplace", 10.0, 101),
    ],
)
def test_a_vote_of_another_kind_or_of_less_noise_is_not_paid(event: NoisyVote) -> None:
    plan = Plan({"votes": Votes(3, 101, scale=10.0)})
    payer = Accountant(PrivacyBudget(100.0, 1e-5)).admit("x", plan)
    part = payer.plan.votes("votes")
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        payer.charge(part, event, 1, why="votes")
    payer.charge(part, part.event(), 3, why="votes")
    assert payer.left(part) == 0
