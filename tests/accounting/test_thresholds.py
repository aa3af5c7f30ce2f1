"""Thresholded counts cost what Gaussian ones do, and a delta beside it that nothing amplifies."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from dp_synth.accounting import (
    ADJACENCIES,
    Accountant,
    Adjacency,
    Gaussians,
    Plan,
    PrivacyBudget,
    Selections,
    ThresholdedGaussians,
    calibrate,
    compose,
)
from dp_synth.accounting.calibration import noise_factor
from dp_synth.accounting.event_file import parse_events
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    PartitionSelection,
    Selection,
    ThresholdedGaussian,
)
from dp_synth.accounting.plan import SPARE_SHARE
from dp_synth.accounting.pld import loss_distribution
from dp_synth.errors import BudgetExceeded, InputError
from dp_synth.mechanisms.partition_selection import least_count

EVENT = ThresholdedGaussian(3.0, 1.0, 1e-4)
OPEN = Plan(
    {"categories": ThresholdedGaussians(2, share=0.2), "ones": Gaussians(3), "tree": Selections(2)}
)


@pytest.mark.parametrize("count", [1, 4])
def test_the_curve_is_that_of_the_counts_with_each_delta_beside(count: int) -> None:
    rest: list[tuple[Event, int]] = [(Gaussian(5.0, 1.0), 3), (Selection(0.4), 2)]
    curve, counted = compose([(EVENT, count), *rest]), compose([(EVENT.counted, count), *rest])
    beside = 1 - (1 - EVENT.delta) ** count
    for epsilon in (0.0, 0.3, 1.0, 2.5):
        expected = beside + (1 - beside) * counted.delta(epsilon)
        assert curve.delta(epsilon) == pytest.approx(expected, rel=1e-9)
        assert curve.delta(curve.epsilon(1e-3)) <= 1e-3 * (1 + 1e-9)
    assert curve.epsilon(beside * 0.999) == math.inf
    assert counted.epsilon(1e-3) < curve.epsilon(1e-3) < math.inf


def test_the_curve_agrees_with_composed_loss_distributions() -> None:
    losses = loss_distribution(EVENT, 1e-3)
    assert losses is not None
    twice, curve = losses.self_compose(2), compose([(EVENT, 2)])
    for epsilon in (0.1, 0.5, 1.5):
        exact = float(twice.delta(epsilon))
        assert curve.delta(epsilon) == pytest.approx(exact, rel=1e-3)


def test_no_attack_is_bounded_below_what_the_delta_alone_gives() -> None:
    fpr = np.array([0.0, 1e-3, 0.1])
    with_delta, without = compose([(EVENT, 1)]).tpr(fpr), compose([(EVENT.counted, 1)]).tpr(fpr)
    assert with_delta[0] >= EVENT.delta > without[0]
    assert np.all(with_delta >= without)


@pytest.mark.parametrize("delta", [1e-9, 1e-3])
@pytest.mark.parametrize("epsilon", [0.1, 3.0])
def test_calibration_uses_the_budget_and_never_more(epsilon: float, delta: float) -> None:
    plan = calibrate({"solo": (OPEN, 1.0)}, PrivacyBudget(epsilon, delta))["solo"]
    spent = compose(plan.events()).epsilon(delta)
    assert 0.99 * epsilon <= spent <= epsilon
    part = plan.thresholded("categories")
    assert 0 < 2 * (part.delta or 0.0) < SPARE_SHARE[False] * delta


def test_one_bit_of_each_count_is_paid_as_it_is_released() -> None:
    """The same threshold, and more: less of delta, rho or noise, in an account of one bit."""
    budget = PrivacyBudget(1.0, 1e-9)
    counts = calibrate({"solo": (OPEN, 1.0)}, budget)["solo"]
    bits = calibrate({"solo": (OPEN.under(budget), 1.0)}, budget)["solo"]
    assert 0.99 <= compose(bits.events()).epsilon(budget.delta) <= 1.0
    assert bits.gaussians("ones").noise_multiplier == pytest.approx(
        counts.gaussians("ones").noise_multiplier, rel=0.01
    )
    least = [
        least_count(event.stddev, event.delta)
        for event in (plan.thresholded("categories").event() for plan in (counts, bits))
    ]
    assert least[1] < 0.8 * least[0]
    assert OPEN.under(PrivacyBudget(1.0, 1e-9, "replace_one")) == OPEN
    assert OPEN.under(PrivacyBudget(1.0, 1e-9, unit="person", max_rows=2)) == OPEN


def test_plans_calibrated_together_share_the_delta_of_thresholds_by_weight() -> None:
    budget = PrivacyBudget(1.0, 1e-6)
    plan = Plan({"categories": ThresholdedGaussians(2, share=0.2), "ones": Gaussians(3)})
    names = [str(place) for place in range(11)]  # more than could each have a tenth of delta
    ready = calibrate({name: (plan, 1.0 + (name == "0")) for name in names}, budget)
    deltas = [2 * (plan.thresholded("categories").delta or 0.0) for plan in ready.values()]
    assert 0 < math.fsum(deltas) < SPARE_SHARE[False] * budget.delta
    assert deltas[0] == pytest.approx(2 * deltas[1], rel=0.1)
    events = [event for plan in ready.values() for event in plan.events()]
    assert 0.99 <= compose(events).epsilon(budget.delta) <= 1.0


def test_delta_zero_allows_no_threshold() -> None:
    with pytest.raises(InputError, match="needs a delta above 0"):
        calibrate({"solo": (OPEN, 1.0)}, PrivacyBudget(1.0, 0.0))


@pytest.mark.parametrize("currency", ["zcdp", "gdp"])
def test_a_filter_pays_thresholds_from_the_delta_that_is_set_apart(currency: str) -> None:
    accountant = Accountant(PrivacyBudget(1.0, 1e-6), adaptive=currency)  # type: ignore[arg-type]
    plans = [
        payer.admit_jointly({"solo": (OPEN, 1.0)})["solo"].plan
        for payer in (accountant.portion(0.5), accountant)
    ]
    ledger = accountant.ledger
    deltas = [plan.thresholded("categories").event().delta for plan in plans]
    assert deltas[0] < deltas[1]  # in proportion to what each costs of the filter
    assert 0.4 * ledger.delta_apart < 2 * sum(deltas) < 0.51 * ledger.delta_apart
    rule = ledger.filter
    assert rule is not None
    assert (1 - 1e-5) * rule.limit <= ledger.spent(rule.currency) <= rule.limit
    assert ledger.epsilon == 1.0
    assert 0.999 < ledger.curve.epsilon(1e-6) <= 1.0


@pytest.mark.parametrize("currency", ["zcdp", "gdp"])
def test_thresholds_of_more_delta_than_a_filter_sets_apart_are_refused(currency: str) -> None:
    accountant = Accountant(PrivacyBudget(1.0, 1e-6), adaptive=currency)  # type: ignore[arg-type]
    with pytest.raises(BudgetExceeded, match=r"take a budget of epsilon .*nothing was released"):
        accountant.admit("solo", OPEN.with_delta(1e-6).at(1e-6))
    assert accountant.ledger.entries == ()


@pytest.mark.parametrize("adjacency", ADJACENCIES)
def test_a_slice_pays_no_larger_delta_than_was_planned(adjacency: Adjacency) -> None:
    payer = Accountant(PrivacyBudget(1.0, 1e-6, adjacency)).admit("solo", OPEN)
    part = payer.plan.thresholded("categories")
    event = part.event()
    assert isinstance(event, PartitionSelection) == (adjacency == "add_remove")
    for worse in (
        replace(event, delta=2 * event.delta),
        replace(event, noise_multiplier=0.9 * event.noise_multiplier),
        Gaussian(event.noise_multiplier, 1.0),
        ThresholdedGaussian(event.noise_multiplier, 1.0, event.delta / 2)
        if adjacency == "add_remove"
        else PartitionSelection(event.noise_multiplier, event.delta),
    ):
        with pytest.raises(BudgetExceeded, match="nothing was released"):
            payer.charge(part, worse, 1, why="categories")
    payer.charge(part, event, 2, why="categories")
    assert len(payer.accountant.ledger) == 1


def test_it_is_read_from_a_file_and_scaled_but_for_its_delta() -> None:
    text = "events: [{thresholded_gaussian: {noise_multiplier: 3, sensitivity: 1, delta: 0.0001}}]"
    _, events = parse_events(text, "here")
    assert events == [(EVENT, 1)]
    selected = "events: [{partition_selection: {noise_multiplier: 3, delta: 0.0001}, count: 2}]"
    assert parse_events(selected, "here")[1] == [(PartitionSelection(3.0, 1e-4), 2)]
    factor = noise_factor(events, 0.5, 1e-3)
    scaled = ThresholdedGaussian(3.0 * factor, 1.0, 1e-4)
    assert 0.49 < compose([(scaled, 1)]).epsilon(1e-3) <= 0.5
    with pytest.raises(InputError, match="no factor of the noise"):
        noise_factor(events, 0.5, 1e-5)
