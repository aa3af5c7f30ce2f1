"""Steps fitted to ordered counts, against a search over all ways to cut them."""

from itertools import combinations

import numpy as np
import pytest

from dp_synth.inference.smoothing import LEAST, PENALTY, smooth_ordered


def price(values, cuts, stddev, penalty):
    """The cost of steps that begin at these places, and the step function itself."""
    runs = np.split(values, cuts)
    levels = np.concatenate([np.full(len(run), run.mean()) for run in runs])
    return float(np.square((values - levels) / stddev).sum()) + penalty * len(runs), levels


@pytest.mark.parametrize("seed", range(50))
def test_smoothing_finds_the_cheapest_of_all_step_functions(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(LEAST, 11))
    steps = np.cumsum(rng.random(size) < 0.3)
    stddev, penalty = float(rng.uniform(0.5, 20)), float(rng.choice([0.5, PENALTY, 12.0]))
    values = 30.0 * rng.permutation(size + 1)[steps] + rng.normal(0, stddev, size)
    prices = [
        price(values, list(cuts), stddev, penalty)
        for count in range(size)
        for cuts in combinations(range(1, size), count)
    ]
    _, levels = min(prices, key=lambda found: found[0])
    np.testing.assert_allclose(smooth_ordered(values, stddev, penalty), levels, atol=1e-8)


def test_a_flat_stretch_is_averaged_and_a_spike_above_the_noise_is_kept():
    rng = np.random.default_rng(0)
    values = 100 + rng.normal(0, 5, 60)
    values[30] += 200
    smooth = smooth_ordered(values, 5.0)
    assert smooth[30] == pytest.approx(values[30])
    raw, flat = (np.square(np.delete(array, 30) - 100).mean() for array in (values, smooth))
    assert flat < raw / 2
    assert smooth.sum() == pytest.approx(values.sum())


def test_few_codes_are_left_as_they_are():
    values = np.random.default_rng(0).normal(0, 1, LEAST - 1)
    np.testing.assert_array_equal(smooth_ordered(values, 10.0), values)
