"""Batches that are cut to a fixed size cost what sampled ones do, and the chance of a cut."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from dp_synth.accounting import compose
from dp_synth.accounting.calibration import scaled
from dp_synth.accounting.event_file import parse_events
from dp_synth.accounting.events import (
    SampledGaussian,
    TruncatedGaussian,
    event_from_fields,
    event_to_fields,
)

SAMPLED = SampledGaussian(1.1, 256 / 39_000, 1000)
WIDE = TruncatedGaussian(1.1, 256 / 39_000, 1000, max_batch=600, max_records=50_000)


def test_a_cut_that_hardly_ever_happens_costs_next_to_nothing() -> None:
    assert WIDE.cut < 1e-20
    truncated, sampled = (compose([(event, 1)]).epsilon(1e-5) for event in (WIDE, SAMPLED))
    assert truncated == pytest.approx(sampled, rel=1e-3)  # each is pessimistic on its own grid


def test_the_chance_of_a_cut_is_that_of_a_binomial_at_each_step() -> None:
    event = TruncatedGaussian(1.1, 0.01, 7, max_batch=60, max_records=4000)
    exact = 7 * stats.binom.sf(59, 4000, 0.01)
    assert exact <= event.cut <= exact * (1 + 1e-6)


def test_a_likely_cut_costs_less_than_its_chance_added_to_delta() -> None:
    event = TruncatedGaussian(5.0, 0.01, 10, max_batch=60, max_records=4000)
    curve, sampled = compose([(event, 1)]), compose([(event.sampled, 1)])
    for epsilon in (0.0, 0.1, 0.5):
        added = event.cut + (1 - event.cut) * sampled.delta(epsilon)
        assert sampled.delta(epsilon) <= curve.delta(epsilon) < added


@pytest.mark.parametrize(("max_batch", "published"), [(100, 10.4139), (120, 6.0914)])
def test_batches_that_are_often_cut_cost_no_more_than_another_library_certifies(
    max_batch: int, published: float
) -> None:
    """dp-accounting 0.6.0, of a random subset of each batch, at delta 1e-5."""
    event = TruncatedGaussian(1.0, 0.1, 10, max_batch=max_batch, max_records=1000)
    epsilon = compose([(event, 1)]).epsilon(1e-5)
    assert compose([(event.sampled, 1)]).epsilon(1e-5) < epsilon <= published


def test_batches_that_are_always_cut_cost_a_sampled_sum_that_moves_twice_as_far() -> None:
    always = TruncatedGaussian(3.0, 0.2, 20, max_batch=1, max_records=10_000)
    twice = compose([(SampledGaussian(1.5, 0.2, 20), 1)])
    for epsilon in (0.5, 2.0, 5.0):
        assert compose([(always, 1)]).delta(epsilon) == pytest.approx(
            twice.delta(epsilon), rel=1e-3
        )


@pytest.mark.parametrize(("others", "batch"), [(2, 1), (3, 2), (4, 3), (4, 5)])
def test_the_bound_holds_for_a_cut_that_favours_one_record(others: int, batch: int) -> None:
    """Others add -1 each, the target 1, and the cut drops others first: the worst manner."""
    rate, noise = 0.4, 2.0
    points = np.linspace(-40, 40, 80_001)
    drawn = stats.binom.pmf(np.arange(others + 1), others, rate)
    without = sum(p * stats.norm.pdf(points, -min(k, batch), noise) for k, p in enumerate(drawn))
    kept = sum(
        p * stats.norm.pdf(points, 1 - min(k, batch - 1), noise) for k, p in enumerate(drawn)
    )
    target = (1 - rate) * without + rate * kept
    event = TruncatedGaussian(noise, rate, 1, max_batch=batch, max_records=others)
    curve = compose([(event, 1)])
    for epsilon in (0.05, 0.2, 0.5):
        for p, q in ((target, without), (without, target)):
            exact = integrate.trapezoid(np.maximum(p - np.exp(epsilon) * q, 0), points)
            assert curve.delta(epsilon) >= exact - 1e-9


def test_it_is_written_read_and_scaled_like_other_events() -> None:
    assert event_from_fields(event_to_fields(WIDE)) == WIDE
    text = (
        "events: [{truncated_gaussian: {noise_multiplier: 1.1, rate: 0.01, steps: 10, "
        "max_batch: 90, max_records: 5000}}]"
    )
    _, events = parse_events(text, "here")
    assert events == [(TruncatedGaussian(1.1, 0.01, 10, 90, 5000), 1)]
    assert scaled(events, 2.0)[0][0].noise_multiplier == 2.2
