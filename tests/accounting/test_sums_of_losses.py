"""Bounds at small deltas hold in floating point: against exact sums, and without a floor."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy import fft

from dp_synth.accounting import PrivacyBudget, SampledGaussians, calibrate, compose
from dp_synth.accounting.discretization import UNIT
from dp_synth.accounting.events import Gaussian, NoisyVote, Pure, SampledGaussian
from dp_synth.accounting.plan import Plan
from dp_synth.accounting.pld import event_by_event

DELTAS = (1e-4, 1e-9, 1e-12, 1e-15, 1e-30, 1e-100, 1e-217)


def _response_delta(epsilon: float, count: int, at: float) -> float:
    """Delta of repeated randomized response, in sixty digits."""
    with mpmath.workdps(60):
        e, level = mpmath.mpf(epsilon), mpmath.mpf(at)
        high = 1 / (1 + mpmath.exp(-e))
        total = mpmath.mpf(0)
        for truths in range(count, -1, -1):
            loss = (2 * truths - count) * e
            if loss <= level:
                break
            chance = mpmath.binomial(count, truths) * high**truths * (1 - high) ** (count - truths)
            total += chance * (1 - mpmath.exp(level - loss))
        return float(total)


@pytest.mark.parametrize(("epsilon", "count"), [(0.01, 1000), (0.3, 40), (0.02, 400)])
def test_repeated_responses_cost_their_exact_sum_down_to_the_smallest_deltas(
    epsilon: float, count: int
) -> None:
    curve = compose([(Pure(epsilon), count)])
    for delta in DELTAS:
        found = curve.epsilon(delta)
        if found < epsilon * count:  # else basic composition, which is exact as well
            assert 0.995 * delta <= _response_delta(epsilon, count, found) <= delta
        assert _response_delta(epsilon, count, 0.9 * found) <= curve.delta(0.9 * found)


# Epsilon by a contour integral of one step's moments: experiments/certified-epsilon.
SMALL_DELTAS = [
    (SampledGaussian(0.8, 0.001, 100_000), 1e-12, 4.646625125),
    (SampledGaussian(0.6, 0.01, 1000), 1e-14, 18.04903247),
    (SampledGaussian(5.5, 0.0089, 580_774), 1e-9, 7.871354820),
    (SampledGaussian(0.467, 1.02e-4, 327_736), 1e-10, 8.606152499),
    (SampledGaussian(4.5, 0.026, 1500), 1e-12, 1.535686237),
    (SampledGaussian(4.5, 0.026, 1500), 1e-15, 1.759528076),
]


@pytest.mark.parametrize(("event", "delta", "true"), SMALL_DELTAS)
def test_many_sampled_steps_are_never_below_the_truth_at_small_deltas(
    event: SampledGaussian, delta: float, true: float
) -> None:
    assert true * (1 - 1e-9) <= compose([(event, 1)]).epsilon(delta) <= true * (1 + 1e-8)


def test_epsilon_never_falls_as_delta_falls() -> None:
    curve = compose([(SampledGaussian(0.8, 0.001, 100_000), 1)])
    epsilons = [curve.epsilon(10.0**-power) for power in range(1, 20)]
    assert all(0 <= less < more for less, more in pairwise(epsilons))


def test_a_tiny_delta_leaves_no_budget_unused() -> None:
    plan = Plan({"steps": SampledGaussians(1500, 0.026)})
    ready = calibrate({"steps": (plan, 1.0)}, PrivacyBudget(1.0, 1e-15))["steps"]
    assert 0.99 <= compose(ready.events()).epsilon(1e-15) <= 1.0
    assert ready.sampled("steps").event().noise_multiplier < 8


@pytest.mark.parametrize("bins", [2**10, 2**17, 2**20])
def test_transforms_are_as_exact_as_the_bound_on_them_says(bins: int) -> None:
    """Against eighty bits, or whatever more the platform has."""
    values = np.random.default_rng(0).exponential(size=bins)
    wide = fft.rfft(values.astype(np.longdouble))
    error = np.linalg.norm((fft.rfft(values) - wide).astype(np.complex128))
    assert error <= 8 * UNIT * math.log2(bins) * np.linalg.norm(wide.astype(np.complex128)) / 4


@pytest.mark.parametrize("delta", [1e-5, 1e-9, 1e-12])
def test_an_account_takes_one_transform(delta: float) -> None:
    events = [(Gaussian(12.0, 1.0), 15), (NoisyVote("gaussian", 150.0, 100), 1000)]
    event_by_event.cache_clear()
    curve = compose(events)
    assert 0 < curve.epsilon(delta) < 20
    (each,) = event_by_event(curve.events).sums
    assert len(each._levels) == 1
