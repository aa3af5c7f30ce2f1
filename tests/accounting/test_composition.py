"""What must hold for every composition and every calibration."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from random_plans import mst_plan, random_events, random_plan

import dp_synth.accounting
from dp_synth.accounting import (
    Accountant,
    Gaussian,
    Gaussians,
    Plan,
    PrivacyBudget,
    Selections,
    calibrate,
    compose,
)
from dp_synth.accounting.pld import event_by_event
from dp_synth.errors import InputError

GRID = 1 + 1e-5  # losses lie on grids that depend on the question: bounds differ by this much

CASES = [(seed, seed % 27 == 0) for seed in range(54)]  # a few with selections, as they cost


@pytest.mark.parametrize(("seed", "selections"), CASES)
def test_epsilon_falls_as_delta_grows_and_delta_as_epsilon_grows(
    seed: int, selections: bool
) -> None:
    curve = compose(random_events(np.random.default_rng(seed), selections=selections))
    deltas = (1e-12, 1e-9, 1e-6, 1e-3, 0.1)
    epsilons = [curve.epsilon(delta) for delta in deltas]
    for delta, larger, smaller in zip(deltas, epsilons, epsilons[1:], strict=False):
        assert larger > smaller or larger == smaller == 0
        assert curve.delta(larger) <= delta * (1 + 1e-3)
    found = [curve.delta(epsilon) for epsilon in (0.0, 0.1, 0.5, 1.0, 3.0)]
    assert all(earlier > later or later == 0 for earlier, later in pairwise(found))


@pytest.mark.parametrize("seed", range(54))
def test_order_of_events_costs_nothing_without_selections(seed: int) -> None:
    rng = np.random.default_rng(seed)
    events = random_events(rng, selections=False)
    shuffled = [events[i] for i in rng.permutation(len(events))]
    expected = compose(events).epsilon(1e-6)
    assert compose(shuffled).epsilon(1e-6) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_order_of_events_costs_nothing_where_each_is_composed_on_its_own(seed: int) -> None:
    rng = np.random.default_rng(seed)
    events = random_events(rng, selections=True)
    shuffled = [events[i] for i in rng.permutation(len(events))]
    expected = event_by_event(tuple(events)).epsilon(1e-6)
    found = event_by_event(tuple(shuffled)).epsilon(1e-6)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_no_order_costs_more_than_events_composed_each_on_its_own(seed: int) -> None:
    rng = np.random.default_rng(200 + seed)
    events = random_events(rng, selections=True)
    shuffled = [events[i] for i in rng.permutation(len(events))]
    found = compose(shuffled).epsilon(1e-6)
    most = event_by_event(tuple(events)).epsilon(1e-6)
    assert 0 < found <= most * GRID


@pytest.mark.parametrize(("seed", "selections"), CASES)
def test_adding_an_event_never_lowers_epsilon(seed: int, selections: bool) -> None:
    rng = np.random.default_rng(seed)
    events = random_events(rng, selections=selections)
    spent = 0.0
    for i in range(1, len(events) + 1):
        total = compose(events[:i]).epsilon(1e-6)
        assert total * GRID >= spent
        spent = total
    assert spent > 0


def _target(rng: np.random.Generator) -> tuple[float, float]:
    return float(10 ** rng.uniform(-4, 3)), float(10 ** rng.uniform(-12, -1))


@pytest.mark.parametrize(("seed", "selections"), CASES)
def test_calibration_meets_the_target_and_never_exceeds_it(seed: int, selections: bool) -> None:
    rng = np.random.default_rng(100 + seed)
    epsilon, delta = _target(rng)
    budget = PrivacyBudget(epsilon, delta)
    plan = calibrate({"plan": (random_plan(rng, selections=selections), 1.0)}, budget)["plan"]
    assert 0.999 * epsilon <= compose(plan.events()).epsilon(delta) <= epsilon


@pytest.mark.parametrize("delta", [1e-12, 0.1])
@pytest.mark.parametrize("epsilon", [1e-4, 1000.0])
def test_calibration_works_at_the_corners_of_its_range(epsilon: float, delta: float) -> None:
    few = Plan({"ones": Gaussians(3), "tree": Selections(2), "pairs": Gaussians(2)})
    plan = calibrate({"few": (few, 1.0)}, PrivacyBudget(epsilon, delta))["few"]
    assert 0.999 * epsilon <= compose(plan.events()).epsilon(delta) <= epsilon


def test_selections_alone_are_calibrated_at_delta_zero() -> None:
    plan = calibrate({"choices": (Plan({"tree": Selections(4)}), 1.0)}, PrivacyBudget(2, 0))
    assert plan["choices"].selections("tree").epsilon == pytest.approx(0.5, rel=1e-6)


def test_gaussians_at_delta_zero_are_refused() -> None:
    with pytest.raises(InputError, match="raise delta"):
        calibrate({"plan": (Plan({"ones": Gaussians(3)}), 1.0)}, PrivacyBudget(1, 0))


def test_weights_share_the_zcdp_cost() -> None:
    plans = {"mst": (mst_plan(), 3.0), "ones": (Plan({"ones": Gaussians(7)}), 1.0)}
    ready = calibrate(plans, PrivacyBudget(1, 1e-6))
    assert ready["mst"].rho / ready["ones"].rho == pytest.approx(3.0, rel=1e-12)
    events = [event for plan in ready.values() for event in plan.events()]
    assert 0.999 <= compose(events).epsilon(1e-6) <= 1.0


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_that_share_nothing_are_refused(weight: float) -> None:
    plan = Plan({"ones": Gaussians(2)})
    with pytest.raises(InputError, match="'second' must be a finite number above 0"):
        calibrate({"first": (plan, 1.0), "second": (plan, weight)}, PrivacyBudget(1, 1e-6))


def test_noise_that_is_given_is_never_calibrated_away() -> None:
    fixed = Plan({"ones": Gaussians(2, noise_multiplier=5.0)})
    with pytest.raises(InputError, match="'fixed' has its noise already"):
        Accountant(PrivacyBudget(1, 1e-6)).admit_jointly(
            {"fixed": (fixed, 1.0), "free": (Plan({"ones": Gaussians(2)}), 1.0)}
        )


def test_a_plan_without_events_takes_no_share() -> None:
    empty, plan = Plan({"tree": Selections(0)}), Plan({"ones": Gaussians(2)})
    together = calibrate({"empty": (empty, 5.0), "plan": (plan, 1.0)}, PrivacyBudget(1, 1e-6))
    alone = calibrate({"plan": (plan, 1.0)}, PrivacyBudget(1, 1e-6))
    assert together["plan"] == alone["plan"]
    assert list(together["empty"].events()) == []
    assert list(calibrate({"empty": (empty, 1.0)}, PrivacyBudget(1, 0))["empty"].events()) == []


def test_no_accountant_of_another_library_is_used() -> None:
    folder = Path(dp_synth.accounting.__file__).parent
    assert [path for path in folder.glob("*.py") if "dp_accounting" in path.read_text()] == []


def test_equal_events_cost_the_same_under_both_adjacencies() -> None:
    plan, costs = Plan({"ones": Gaussians(2, noise_multiplier=5.0)}), []
    for adjacency in ("add_remove", "replace_one"):
        accountant = Accountant(PrivacyBudget(3, 1e-6, adjacency))
        payer = accountant.admit("plan", plan)
        payer.charge(payer.plan.gaussians("ones"), Gaussian(5.0, 1.0), 2, why="test")
        costs.append(accountant.epsilon())
    assert costs[0] == costs[1] > 0
