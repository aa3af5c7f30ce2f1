"""Intervals that hold the truth: lower bounds beside upper ones, against exact sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import mp, mpf

from dp_synth.accounting import Event, Gaussian, Selection, compose
from dp_synth.accounting.budget import gaussian_delta
from dp_synth.accounting.contour_integrals import contours
from dp_synth.accounting.events import (
    Approximate,
    DiscreteGaussian,
    DiscreteLaplace,
    Laplace,
    NoisyVote,
    NonPrivate,
    Pure,
    SampledGaussian,
    ThresholdedGaussian,
    TruncatedGaussian,
    ZeroConcentrated,
)
from dp_synth.accounting.lower_bounds import from_below
from dp_synth.errors import UnsupportedEvent

Events = list[tuple[Event, int]]

STEPS = SampledGaussian(1.0, 0.02, 200)
KINDS: list[tuple[Events, float]] = [  # and how far below the upper bound the lower one may lie
    ([(Gaussian(5.0, 1.0), 10)], 1e-12),
    ([(STEPS, 1)], 1e-9),
    ([(STEPS, 1), (Gaussian(4.0, 1.0), 3)], 1e-9),
    ([(SampledGaussian(1.0, 0.02, 1), 1)], 1e-5),
    ([(Gaussian(5.0, 1.0), 10), (Pure(0.3), 5)], 1e-5),
    ([(Pure(0.01), 1000)], 1e-7),
    ([(Laplace(2.0, 1.0), 3)], 1e-5),
    ([(DiscreteGaussian(4.0, 1), 3), (DiscreteLaplace(8.0, 1), 2)], 2e-3),
    ([(Approximate(0.1, 1e-8), 3), (Gaussian(9.0, 1.0), 1)], 1e-3),
    ([(Gaussian(9.0, 1.0), 5), (Selection(0.1), 14)], 2e-2),
    ([(NoisyVote("gaussian", 20.0, 11), 50)], 0.3),
    ([(ZeroConcentrated(0.02), 1), (Gaussian(9.0, 1.0), 1)], 0.2),
    ([(ThresholdedGaussian(5.0, 1.0, 1e-9), 1), (STEPS, 1)], 1e-3),
    ([(TruncatedGaussian(1.0, 0.02, 200, 60, 1000), 1)], 0.05),
]


@pytest.mark.parametrize(("events", "gap"), KINDS)
def test_the_lower_bound_lies_a_little_below_the_upper_one(events: Events, gap: float) -> None:
    curve = compose(events)
    low, high = curve.epsilon_bounds(1e-6)
    assert high == curve.epsilon(1e-6)
    assert high * (1 - gap) <= low <= high
    least, most = curve.delta_bounds(high / 2)
    assert most == curve.delta(high / 2)
    assert 0 < least <= most


@pytest.mark.parametrize(("epsilon", "count"), [(0.02, 400), (0.3, 40), (1.7, 6)])
@pytest.mark.parametrize("delta", [1e-5, 1e-12, 1e-40])
def test_an_interval_holds_the_exact_cost_of_repeated_responses(
    epsilon: float, count: int, delta: float
) -> None:
    curve = compose([(Pure(epsilon), count)])
    low, high = curve.epsilon_bounds(delta)
    assert low > 0.99 * high
    assert (
        _response_delta(epsilon, count, low) >= mpf(delta) >= _response_delta(epsilon, count, high)
    )


def _response_delta(epsilon: float, count: int, at: float) -> mpf:
    with mp.workdps(80):
        e, total = mpf(epsilon), mpf(0)
        high = 1 / (1 + mp.exp(-e))
        for truths in range(count + 1):
            loss = (2 * truths - count) * e
            if loss > at:
                chance = mp.binomial(count, truths) * high**truths * (1 - high) ** (count - truths)
                total += chance * (1 - mp.exp(at - loss))
        return total


def test_from_below_a_gaussian_is_never_above_its_closed_form() -> None:
    for mu, step in [(0.3, 0.01), (1.0, 0.003), (2.5, 0.05)]:
        (one, _) = from_below(((Gaussian(1 / mu, 1.0), 1),), step)
        (split, _) = from_below(((Gaussian(1 / mu, 1.0), 1), (Gaussian(1 / mu, 1.0), 3)), step)
        for epsilon in np.linspace(0.0, 4 * mu, 9).tolist():
            for found, total in ((one, mu), (split, 2 * mu)):
                true = gaussian_delta(total, epsilon)
                assert 0.98 * true - 1e-12 <= found.low_delta(epsilon) <= true


def test_a_lattice_from_below_stays_below_a_contour_and_one_from_above_above_it() -> None:
    sequence = compose([(SampledGaussian(1.2, 0.01, 300), 1)]).events
    low, high = contours(sequence).epsilons(1e-9)
    assert 0 < high - low < 1e-9
    sums = from_below(sequence, 1e-4)
    assert 0.999 * low < max(each.low_epsilon(1e-9) for each in sums) <= high


@pytest.mark.parametrize("reason", ["nothing bounds it"])
def test_what_has_no_guarantee_is_not_certified_in_one_line(reason: str) -> None:
    curve = compose([(NonPrivate(reason), 1)])
    for ask in (curve.epsilon_bounds, curve.delta_bounds):
        with pytest.raises(UnsupportedEvent, match="cannot be certified from below") as error:
            ask(0.5)
        assert "\n" not in str(error.value)


def test_an_infinite_epsilon_has_a_lower_bound_as_well() -> None:
    low, high = compose([(Approximate(0.1, 1e-7), 3)]).epsilon_bounds(1e-9)
    assert low == high == math.inf
