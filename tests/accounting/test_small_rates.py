"""Sampled Gaussians of small rates: tight, and one law behind every point of a curve."""

from __future__ import annotations

import numpy as np
import pytest
from experiments.certified_epsilon.small_rates import oracle_delta, oracle_epsilon

from dp_synth.accounting import compose
from dp_synth.accounting.events import SampledGaussian

SETTINGS = [
    (2.0, 0.001, 10_000),
    (1.0, 0.001, 1),
    (0.7, 0.1, 3),
    (1.0, 0.05, 300),
    (0.85, 0.05, 10_000),
    (10.0, 0.02, 1),
    (5.0, 0.02, 30),
    (3.0, 0.02, 1000),
]


@pytest.mark.parametrize(("multiplier", "rate", "steps"), SETTINGS)
def test_bounds_follow_an_oracle_that_shares_nothing_with_them(
    multiplier: float, rate: float, steps: int
) -> None:
    curve = compose([(SampledGaussian(multiplier, rate, steps), 1)])
    target = min(1e-6, curve.delta(0.0) / 10)
    delta = oracle_delta(multiplier, rate, steps)
    found = curve.epsilon(target)
    true = oracle_epsilon(delta, target, found)
    assert true * (1 - 1e-8) <= found <= true * (1 + 1e-3)
    for share in (0.2, 0.6):
        exact = delta(share * true)
        assert exact * (1 - 1e-8) <= curve.delta(share * true) <= exact * (1 + 5e-3)


def test_many_steps_of_a_tiny_rate_cost_what_they_truly_do() -> None:
    curve = compose([(SampledGaussian(1.0, 1e-4, 10_000), 1)])
    assert 0.054918 <= curve.epsilon(1e-7) <= 0.05493  # the oracle's, in six digits 0.0549185


def test_a_curve_has_no_cliff_and_answers_both_ways_alike() -> None:
    curve = compose([(SampledGaussian(2.0, 0.001, 10_000), 1)])
    epsilons = np.linspace(0.0, 0.3, 61)
    deltas = np.array([curve.delta(epsilon) for epsilon in epsilons.tolist()])
    assert np.all(np.diff(deltas) < 0)
    assert np.all(deltas[1:] > 0.5 * deltas[:-1])
    assert 0.005148 <= curve.delta(0.05) <= 0.00515
    for epsilon, delta in zip(epsilons[1::6].tolist(), deltas[1::6].tolist(), strict=True):
        assert curve.epsilon(delta) == pytest.approx(epsilon, rel=1e-6)


def test_an_attack_on_hardly_any_loss_is_hardly_better_than_guessing() -> None:
    curve = compose([(SampledGaussian(2.0, 0.001, 10_000), 1)])
    assert 0.51 < curve.largest_auc() < 0.53
    fpr = np.array([0.1, 0.5])
    epsilons = np.linspace(0.0, 0.3, 301)
    certified = [curve.delta(epsilon) + np.exp(epsilon) * fpr for epsilon in epsilons.tolist()]
    assert curve.tpr(fpr) == pytest.approx(np.min(certified, axis=0), abs=3e-4)
