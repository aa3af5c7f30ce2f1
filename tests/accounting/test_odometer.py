"""An odometer beside the filter: what was spent, whatever made one stop there."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dp_synth.accounting import FILTER_KINDS, Accountant, FilterKind, Gaussians, Plan, PrivacyBudget
from dp_synth.accounting.budget import gaussian_delta
from dp_synth.accounting.filters import STEPS, Filter

BUDGET = PrivacyBudget(2.0, 1e-5)


def _rule(currency: FilterKind) -> Filter:
    return Filter(BUDGET, currency, 0.02 * BUDGET.delta)


@pytest.mark.parametrize("currency", FILTER_KINDS)
def test_it_rises_with_what_is_spent_and_says_less_than_the_filter_for_half_of_it(
    currency: FilterKind,
) -> None:
    rule = _rule(currency)
    read = [rule.odometer(part * rule.limit) for part in np.linspace(0, 1, 41)]
    assert read[0] == 0
    assert read == sorted(read)
    assert read[20] < BUDGET.epsilon < read[40] < 1.5 * BUDGET.epsilon
    assert rule.odometer(1.01 * rule.limit) == math.inf


def test_the_nested_filters_share_delta() -> None:
    rule = _rule("gdp")
    total = rule.apart
    for step in range(1, STEPS + 1):
        amount = rule.limit * (step / STEPS) ** 2
        total += gaussian_delta(math.sqrt(amount), rule.odometer(amount))
    assert 0.99 * BUDGET.delta <= total <= BUDGET.delta


def test_whoever_stops_on_what_they_saw_has_no_more_than_the_odometer_says() -> None:
    """Brownian motion, the loss of any Gaussian filter: stop at its first loss above the reading.

    The mass that P(S) has beyond E_Q[1_S exp(reading)], S being what was stopped so, is at most
    delta; here by simulation of many short steps under P, with weights exp(-loss) for Q.
    """
    budget = PrivacyBudget(2.0, 0.05)
    rule = Filter(budget, "gdp", 1e-3)
    rng, runs, steps = np.random.default_rng(0), 20_000, 100
    amounts = rule.limit * np.arange(1, steps + 1) / steps
    read = np.array([rule.odometer(amount * (1 - 1e-12)) for amount in amounts])
    mu = math.sqrt(rule.limit / steps)
    losses = np.cumsum(rng.normal(mu**2 / 2, mu, (runs, steps)), axis=1)
    over = losses > read
    first = np.argmax(over, axis=1)
    stopped = over.any(axis=1)
    gained = 1 - np.exp(read[first] - losses[np.arange(runs), first])
    excess = np.where(stopped, gained, 0.0)
    mean, error = float(excess.mean()), float(excess.std()) / math.sqrt(runs)
    assert mean + 6 * error <= budget.delta
    single = np.where(over[:, -1], 1 - np.exp(read[-1] - losses[:, -1]), 0.0)
    assert 0 < float(single.mean()) < mean  # stopping on what one sees does gain something


@pytest.mark.parametrize("currency", FILTER_KINDS)
def test_an_accountant_says_what_was_spent_and_where_the_filter_says_no_less(
    currency: FilterKind,
) -> None:
    accountant = Accountant(BUDGET, adaptive=currency)
    assert accountant.odometer() == 0
    ones = Plan({"ones": Gaussians(3)})
    accountant.portion(0.4).admit_jointly({"first": (ones, 1.0)})
    assert 0.4 < accountant.odometer() < 0.7
    assert "so far at most epsilon 0." in str(accountant.ledger)
    assert accountant.epsilon() == BUDGET.epsilon
    accountant.admit("second", ones)
    assert accountant.odometer() == BUDGET.epsilon
    assert "no less than the whole filter" in str(accountant.ledger)


def test_a_planned_root_is_its_own_odometer() -> None:
    accountant = Accountant(BUDGET)
    accountant.admit("first", Plan({"ones": Gaussians(3)}))
    assert accountant.odometer() == accountant.epsilon()
    assert "odometer" not in str(accountant.ledger)
