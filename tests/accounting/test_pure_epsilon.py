"""At delta 0 plans have noise that keeps a pure epsilon, and the ledger adds it up exactly."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from dp_synth.accounting import (
    Accountant,
    Filtered,
    FilteredLaplace,
    FilteredSelection,
    Gaussian,
    Gaussians,
    LaplaceCounts,
    Laplaces,
    Plan,
    PrivacyBudget,
    SampledGaussians,
    Selections,
    ThresholdedGaussians,
    Votes,
    calibrate,
    compose,
    cost,
)
from dp_synth.accounting.events import (
    Approximate,
    DiscreteLaplace,
    NoisyVote,
    laplace_scale,
    laplace_stddev,
)
from dp_synth.accounting.filters import limit
from dp_synth.errors import BudgetExceeded, InputError, UnsupportedEvent

PURE = PrivacyBudget(1.0, 0.0)
MST = Plan({"ones": Gaussians(15), "tree": Selections(14), "pairs": Gaussians(14)})


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
@pytest.mark.parametrize("unit", [(None, 1), ("person", 3)])
def test_a_plan_uses_a_budget_without_delta_and_never_passes_it(adjacency, unit):
    budget = PrivacyBudget(1.0, 0.0, adjacency, *unit)
    ready = calibrate({"mst": (MST.under(budget), 1.0)}, budget)["mst"]
    assert 1 - 1e-6 < compose(ready.events()).epsilon(0.0) <= 1.0
    ones = ready.gaussians("ones").event()
    assert ones.numbers * ones.sensitivity == unit[1] * (1 if adjacency == "add_remove" else 2)
    assert 15 / ones.noise_multiplier == pytest.approx(1 / 3)  # a third of epsilon, as of rho


@pytest.mark.parametrize(("scale", "count"), [(3.0, 7), (0.1, 4), (14.2857, 1000)])
def test_composed_laplace_answers_sum_up_exactly_without_delta(scale, count):
    for event in (LaplaceCounts(scale), LaplaceCounts(scale, 3, replaced=True)):
        moved = event.numbers * event.sensitivity
        found, exact = compose([(event, count)]).epsilon(0.0), count * moved / Fraction(event.scale)
        assert exact <= Fraction(found) <= exact * (1 + Fraction(1, 2**51))


def exact_delta(move: tuple[int, ...], scale: float, epsilon: float, reach: int = 60) -> float:
    """The hockey-stick divergence of moved discrete Laplace vectors, summed cell by cell."""
    ks = np.arange(-reach, reach + 1)
    law = np.exp(-np.abs(ks) / scale)
    law /= law.sum()
    total = 0.0
    for noise in product(range(len(ks)), repeat=len(move)):
        p = math.prod(law[i] for i in noise)
        moved = [i + m for i, m in zip(noise, move, strict=True)]
        q = math.prod(law[i] if 0 <= i < len(ks) else 0.0 for i in moved)
        total += max(0.0, p - math.exp(epsilon) * q)
    return total


def test_a_move_spread_over_several_numbers_tells_no_more_than_one_of_a_single_number():
    scale = 1.7
    for epsilon in np.linspace(0, 3 / scale, 9):
        whole = exact_delta((3,), scale, epsilon)
        for parts in [(2, 1), (1, 2), (2, -1)]:
            assert exact_delta(parts, scale, epsilon, reach=35) <= whole + 1e-8


@pytest.mark.parametrize("replaced", [False, True])
def test_the_curve_of_one_answer_is_the_exact_one(replaced):
    event = LaplaceCounts(1.3, 2, replaced)
    move = (2, -2) if replaced else (2,)
    for epsilon in (0.0, 0.3, 0.6):
        exact = exact_delta(move, event.scale, epsilon, reach=110)
        found = compose([(event, 1)]).delta(epsilon)
        assert exact - 1e-9 <= found <= exact + 2e-5


def test_a_positive_delta_buys_less_epsilon_than_the_sum():
    curve = compose([(LaplaceCounts(30.0, 1, replaced=True), 30)])
    low, high = curve.epsilon_bounds(1e-6)
    assert high < 0.6 < curve.epsilon(0.0) <= 1.0 + 1e-12
    assert high - low < 1e-6


def test_less_noise_or_another_direction_is_not_covered():
    planned = LaplaceCounts(4.0, 2, replaced=False)
    assert planned.covers(LaplaceCounts(4.0, 2048))
    assert planned.covers(LaplaceCounts(5.0, 4, replaced=True))
    assert not planned.covers(LaplaceCounts(3.9, 2))
    assert not planned.covers(LaplaceCounts(4.0, 3))
    assert not planned.covers(DiscreteLaplace(8.0, 2))
    assert not LaplaceCounts(4.0, 1, replaced=True).covers(LaplaceCounts(4.0, 1))


def test_what_covers_has_no_smaller_curve():
    pairs = [
        (LaplaceCounts(4.0, 1), LaplaceCounts(4.0, 6)),
        (LaplaceCounts(4.0, 2), LaplaceCounts(4.0, 2, replaced=True)),
    ]
    for planned, charged in pairs:
        assert planned.covers(charged)
        for epsilon in np.linspace(0, 0.25, 11):
            more, less = (compose([(e, 1)]).delta(epsilon) for e in (planned, charged))
            assert less <= more + 1e-9


@pytest.mark.parametrize("scale", [0.05, 0.7, 3.0, 900.0])
def test_scales_and_deviations_are_those_of_the_law(scale):
    ks = np.arange(0, int(60 * scale) + 5)
    law = np.exp(-ks / scale) * np.where(ks == 0, 1, 2)
    exact = math.sqrt(float((ks**2 * law).sum() / law.sum()))
    assert laplace_stddev(scale) == pytest.approx(exact, rel=1e-9)
    assert laplace_scale(laplace_stddev(scale)) == pytest.approx(scale, rel=1e-9)


def test_scales_are_never_rounded_below_what_is_charged():
    rng = np.random.default_rng(0)
    for multiplier in rng.uniform(0.01, 1e6, 200):
        event = LaplaceCounts(float(multiplier), 3, replaced=True)
        assert Fraction(6) / Fraction(event.scale) <= event.pure_epsilon


def test_sampled_sums_and_open_columns_have_no_pure_epsilon():
    with pytest.raises(InputError, match="delta must be above 0 for training by DP-SGD, got 0"):
        Plan({"steps": SampledGaussians(10, 0.1)}).under(PURE)
    opened = Plan({"categories": ThresholdedGaussians(1)}).under(PURE)
    with pytest.raises(InputError, match="open columns needs a delta above 0, got 0: what no"):
        calibrate({"mst": (opened, 1.0)}, PURE)


def test_votes_have_laplace_noise_of_the_papers_epsilon():
    votes = Plan({"votes": Votes(50, 101)}).under(PURE)
    ready = calibrate({"pate": (votes, 1.0)}, PURE)["pate"].votes("votes")
    assert ready.noise == "laplace"
    assert ready.event().pure_epsilon == 2 / Fraction(ready.scale)
    assert compose([(ready.event(), 50)]).epsilon(0.0) == pytest.approx(1.0)
    assert NoisyVote("gaussian", 9.0, 101).pure_epsilon is None


def test_a_filter_adds_up_epsilons_and_pays_for_what_keeps_one():
    accountant = Accountant(PURE)
    plan = Plan({"answers": Filtered("gdp")})
    paid = accountant.admit("mst", plan)
    part = paid.plan.filtered("answers")
    assert (part.currency, part.amount) == ("pure", pytest.approx(1.0))
    paid.charge(FilteredLaplace(part, 4.0), LaplaceCounts(4.0), 2, why="ones")
    assert paid.left(part) == pytest.approx(0.5)
    paid.charge(FilteredSelection(part, 0.25), FilteredSelection(part, 0.25).event(), 1, why="pick")
    with pytest.raises(BudgetExceeded, match=r"asks for 0.26 but part 'answers'"):
        paid.charge(FilteredLaplace(part, 1 / 0.26), LaplaceCounts(1 / 0.26), 1, why="more")
    with pytest.raises(UnsupportedEvent, match="no pure cost is known of Gaussian"):
        paid.charge(part, Gaussian(100.0, 1.0), 1, why="more")
    with pytest.raises(UnsupportedEvent, match="no pure cost is known of Approximate"):
        cost(Approximate(0.1, 0.1), "pure")
    assert 1 - 1e-6 < accountant.epsilon() <= 1.0
    assert not accountant.ledger.uncovered


def test_an_adaptive_root_without_delta_adds_up_epsilons():
    accountant = Accountant(PURE, adaptive=True)
    half = accountant.portion(0.5)
    half.admit_jointly({"first": (MST, 1.0)})
    assert accountant.left() == pytest.approx(0.5)
    accountant.admit("second", Plan({"answers": Filtered("gdp")}))
    assert accountant.left() == 0
    assert accountant.epsilon() == 1.0
    with pytest.raises(BudgetExceeded):
        accountant.admit("third", Plan({"ones": Laplaces(1, noise_multiplier=100.0)}))
    assert "certified by a filter that adds up epsilons" in accountant.ledger.statement()
    with pytest.raises(InputError, match="a filter in pure DP is for delta 0"):
        limit(PrivacyBudget(1.0, 1e-9), "pure")
