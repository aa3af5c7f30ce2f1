"""What must hold for every plan and every list of events, on inputs that hypothesis makes up."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from dp_synth.accounting import (
    Gaussian,
    Gaussians,
    Plan,
    PrivacyBudget,
    Selection,
    Selections,
    calibrate,
    compose,
)
from dp_synth.accounting.events import Laplace, NoisyVote, NoOp, Pure, ZeroConcentrated

FEW = settings(max_examples=25, derandomize=True, deadline=None)

multipliers = st.floats(0.5, 50)
gaussians = st.builds(Gaussian, noise_multiplier=multipliers, sensitivity=st.just(1.0))
selections = st.builds(Selection, epsilon=st.floats(0.02, 1))
others = st.one_of(
    st.builds(Laplace, scale=st.floats(2, 50), sensitivity=st.just(1.0)),
    st.builds(Pure, epsilon=st.floats(0.01, 0.5)),
    st.builds(ZeroConcentrated, rho=st.floats(1e-4, 0.1)),
    st.builds(NoisyVote, noise=st.just("gaussian"), scale=st.floats(20, 80), teachers=st.just(20)),
)
parts = st.tuples(st.one_of(gaussians, selections, others), st.integers(1, 3))
sequences = st.lists(parts, min_size=1, max_size=3)
deltas = st.floats(1e-9, 1e-2)


@FEW
@given(sequences, deltas, st.floats(1.5, 100))
def test_epsilon_falls_as_delta_grows(events, delta, factor) -> None:
    curve = compose(events)
    assert curve.epsilon(min(0.5, delta * factor)) <= curve.epsilon(delta) * (1 + 1e-6)


@FEW
@given(sequences, st.floats(0.05, 3), st.floats(1.1, 3))
def test_delta_falls_as_epsilon_grows(events, epsilon, factor) -> None:
    curve = compose(events)
    # The loss grid depends on epsilon, and each grid is pessimistic by its own small amount.
    assert curve.delta(epsilon * factor) <= curve.delta(epsilon) * (1 + 1e-3) + 1e-12


@FEW
@given(sequences, parts, deltas)
def test_one_event_more_never_costs_less(events, more, delta) -> None:
    # Blocks lie on lattices of their own, hence the slack.
    without = compose(events).epsilon(delta)
    assert compose([*events, more]).epsilon(delta) >= without * (1 - 2e-3) - 1e-9


@FEW
@given(sequences, deltas)
def test_what_is_public_costs_nothing(events, delta) -> None:
    curve = compose([(NoOp(), 5), *events, (NoOp(), 1)])
    assert math.isclose(curve.epsilon(delta), compose(events).epsilon(delta), rel_tol=1e-9)


@FEW
@given(st.lists(st.tuples(gaussians, st.integers(1, 20)), min_size=1, max_size=5), deltas)
def test_gaussians_cost_the_same_in_any_order(events, delta) -> None:
    forward, backward = (compose(e).epsilon(delta) for e in (events, events[::-1]))
    assert math.isclose(forward, backward, rel_tol=1e-9, abs_tol=1e-12)


@settings(FEW, max_examples=8)  # a search each
@given(st.floats(0.01, 20), deltas, st.integers(1, 5), st.floats(0.2, 5))
def test_a_calibrated_plan_meets_its_budget_from_below(epsilon, delta, count, share) -> None:
    plan = Plan({"ones": Gaussians(count), "tree": Selections(count, share=share)})
    found = calibrate({"plan": (plan, 1.0)}, PrivacyBudget(epsilon, delta))["plan"]
    assert 0.999 * epsilon <= compose(found.events()).epsilon(delta) <= epsilon


@FEW
@given(st.floats(0.05, 5), deltas, st.integers(2, 6))
def test_sharing_a_budget_never_needs_more_noise_than_splitting_it(epsilon, delta, k) -> None:
    plans = {str(i): (Plan({"ones": Gaussians(1)}), 1.0) for i in range(k)}
    joint = calibrate(plans, PrivacyBudget(epsilon, delta))["0"]
    split = calibrate({"0": plans["0"]}, PrivacyBudget(epsilon / k, delta / k))["0"]
    assert joint.gaussians("ones").event().stddev <= split.gaussians("ones").event().stddev
