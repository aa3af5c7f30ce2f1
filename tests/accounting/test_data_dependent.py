"""Data-dependent moments of votes: as the paper adds them up, and never as a guarantee."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from dp_synth.accounting import (
    Accountant,
    Gaussians,
    Plan,
    PrivacyBudget,
    Unbounded,
    Votes,
    calibrate,
    compose,
    read_ledger,
)
from dp_synth.accounting.budget import zcdp_rho
from dp_synth.accounting.events import Gaussian, NonPrivate
from dp_synth.accounting.ledger import Ledger
from dp_synth.accounting.pate import data_dependent_epsilon, vote_moments
from dp_synth.errors import BudgetExceeded, InputError

REASON = "data-dependent accounting"
WITHOUT = PrivacyBudget(math.inf, 1e-5)
PLAN = Plan(
    {
        "ones": Gaussians(3, 0.3),
        "votes": Votes(100, 101, "laplace", 2.8),
        "stop": Unbounded(REASON, 1.0),
    }
)


def by_hand(gap: int, scale: float, order: int, *, with_log: bool = True) -> float:
    """Theorem 3 of Papernot et al. 2017 with gamma = 1 / scale, letter by letter."""
    g = 1 / scale
    q = (2 + g * gap) / (4 * math.exp(g * gap))
    bound = 2 * g * g * order * (order + 1)
    if q < (math.exp(2 * g) - 1) / (math.exp(4 * g) - 1):
        inside = (1 - q) * ((1 - q) / (1 - math.exp(2 * g) * q)) ** order
        inside += q * math.exp(2 * g * order)
        bound = min(bound, math.log(inside) if with_log else inside)
    return bound


@pytest.mark.parametrize("scale", [2.0, 20.0, 200.0])
def test_moments_are_those_of_the_theorem(scale: float) -> None:
    gaps = [1, 7, 39, 41, 101, 501, 1001]
    moments = vote_moments(gaps, scale)
    for number, gap in enumerate(gaps):
        for order in (1, 2, 8, 100):
            expected = by_hand(gap, scale, order)
            assert moments[order - 1, number] == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_an_epsilon_worked_out_by_hand() -> None:
    # One vote, gap 3, scale 1: q = 5 / (4 e**3) = 0.06223 is below 1 / (e**2 + 1) = 0.11920.
    # Order 1: log(0.93777 * 0.93777 / 0.54015 + 0.06223 * 7.38906) = log(2.0879) = 0.7362, less
    # than 2 * 1 * 2; order 2: log(0.93777 * (0.93777 / 0.54015)**2 + 0.06223 * 54.59815) =
    # log(6.2243) = 1.8285, less than 12. With log(1 / 0.1) = 2.3026, and over the order:
    by_order = [(by_hand(3, 1.0, order) + math.log(10)) / order for order in range(1, 101)]
    assert by_order[:2] == pytest.approx([3.0388, 2.0655], abs=1e-4)
    assert data_dependent_epsilon([3], 1.0, 0.1) == pytest.approx(min(by_order))


def test_without_a_lead_it_is_the_bound_that_holds_whatever_the_votes() -> None:
    votes, scale, delta = 200, 60.0, 1e-5
    split = data_dependent_epsilon([1] * votes, scale, delta)
    order = np.arange(1, 101)
    whatever = votes * 2 * order * (order + 1) / scale**2
    assert split == pytest.approx(((whatever - math.log(delta)) / order).min())


def test_it_is_never_above_that_bound_and_far_below_with_consensus() -> None:
    rng, scale = np.random.default_rng(0), 40.0
    split = data_dependent_epsilon([1] * 300, scale, 1e-6)
    for most in (11, 201, 1001):
        gaps = rng.integers(0, most, 300)
        assert data_dependent_epsilon(gaps, scale, 1e-6) <= split * (1 + 1e-12)
    assert data_dependent_epsilon([1001] * 300, scale, 1e-6) < split / 5


def test_the_logarithm_is_not_forgotten() -> None:
    order, gap, scale = 5, 601, 40.0
    moment = float(vote_moments([gap], scale)[order - 1, 0])
    forgotten = by_hand(gap, scale, order, with_log=False)
    assert moment == pytest.approx(math.log1p(math.expm1(moment)))
    assert moment < 1e-3 < by_hand(gap, scale, order, with_log=False)
    assert forgotten != pytest.approx(moment, rel=0.5)


def test_answers_beside_the_votes_are_counted_with_them() -> None:
    alone, both = (data_dependent_epsilon([101] * 9, 20.0, 1e-5, rho=rho) for rho in (0.0, 0.1))
    assert both > alone
    nothing_else = data_dependent_epsilon([], 20.0, 1e-5, rho=0.1)
    assert 1.0 < compose([(Gaussian(math.sqrt(5.0), 1.0), 1)]).epsilon(1e-5) <= nothing_else


@pytest.mark.parametrize(("gap", "scale"), [(1001, 1e-3), (0, 1e-3), (10**6, 1.0), (1, 1e9)])
def test_extreme_votes_have_moments_that_are_numbers(gap: int, scale: float) -> None:
    assert np.isfinite(vote_moments([gap], scale)).all()


@pytest.mark.parametrize(("scale", "delta"), [(0.0, 1e-5), (math.inf, 1e-5), (9.0, 0.0)])
def test_estimates_need_a_scale_and_a_delta(scale: float, delta: float) -> None:
    with pytest.raises(InputError):
        data_dependent_epsilon([1], scale, delta)


def test_a_finite_budget_is_refused_with_what_to_do_instead() -> None:
    for accountant in (
        Accountant(PrivacyBudget(1.0, 1e-5)),
        Accountant(PrivacyBudget(1.0, 1e-5), adaptive=True),
    ):
        with pytest.raises(InputError, match="a budget of epsilon inf") as error:
            accountant.admit("pategan", PLAN)
        assert "\n" not in str(error.value)
        assert accountant.ledger.entries == ()


def test_a_plan_with_its_noise_does_not_fit_a_finite_budget_either() -> None:
    fixed = Plan({"votes": Votes(9, 11, scale=99.0), "stop": Unbounded(REASON, 1.0)})
    with pytest.raises(BudgetExceeded, match="epsilon=inf"):
        Accountant(PrivacyBudget(50.0, 1e-5)).admit("x", fixed)


def test_what_has_a_guarantee_needs_a_finite_epsilon() -> None:
    with pytest.raises(InputError, match="'x' has one to give"):
        calibrate({"x": (Plan({"ones": Gaussians(2)}), 1.0)}, WITHOUT)
    with pytest.raises(InputError, match="for a filter, got inf"):
        Accountant(WITHOUT, adaptive=True).admit("x", PLAN)


def test_the_ledger_says_that_nothing_is_certified(tmp_path) -> None:
    path = tmp_path / "ledger.jsonl"
    accountant = Accountant(WITHOUT, ledger=path)
    payer = accountant.admit("pategan", PLAN)
    part = payer.plan.votes("votes")
    payer.charge(part, part.event(), 100, why="votes", sampler="float")
    for ledger in (accountant.ledger, read_ledger(path)):
        assert ledger.epsilon == ledger.budget.epsilon == math.inf
        assert ledger.curve.largest_auc() == ledger.curve.delta(50.0) == 1.0
        assert ledger.curve.tpr(np.array([0.0, 0.3])).tolist() == [1.0, 1.0]
        assert "epsilon infinite of inf" in str(ledger)
        assert "no guarantee: data-dependent accounting" in str(ledger)
        assert "are not differentially private" in ledger.statement()
        assert ledger.inexact == ("pategan: votes",)
        for text in (str(ledger), repr(ledger), ledger.statement()):
            assert "noise in floating point: its low bits are not certified (pategan" in text
        assert ledger.reservations[-1].event == NonPrivate(REASON)
    head = accountant.ledger.header()
    assert json.loads(json.dumps(head, allow_nan=False)) == head
    assert Ledger.opened(head).budget == WITHOUT


def test_the_target_sets_the_noise_and_votes_get_half_of_what_they_would_need() -> None:
    ready = calibrate({"x": (PLAN, 1.0)}, WITHOUT)["x"]
    certified = Plan({"ones": Gaussians(3, 0.3), "votes": Votes(100, 101, "laplace", 0.7)})
    target = certified.at(zcdp_rho(1.0, 1e-5))
    assert ready.gaussians("ones").event().stddev == pytest.approx(
        target.gaussians("ones").event().stddev
    )
    assert ready.votes("votes").event().scale == pytest.approx(
        target.votes("votes").event().scale / 2
    )


def test_one_event_without_a_guarantee_spoils_all_others() -> None:
    curve = compose([(Gaussian(9.0, 1.0), 2), (NonPrivate(REASON), 1)])
    assert curve.epsilon(0.5) == math.inf
    assert curve.engine(1e-5) == "no guarantee"
    assert compose([(Gaussian(9.0, 1.0), 2), (NonPrivate(REASON), 0)]).epsilon(0.1) < 1
