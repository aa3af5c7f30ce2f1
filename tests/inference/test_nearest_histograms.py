"""Histograms nearest to noisy counts, against solvers that know nothing of sorting."""

from itertools import combinations

import numpy as np
import pytest
from scipy import optimize
from scipy.stats import truncnorm
from whole_tables import over_seeds

from dp_synth.inference import project_to_simplex
from dp_synth.inference.histograms import (
    MIN_SMOOTHED,
    STEEPEST,
    STEP_PENALTY,
    density_slopes,
    simplex_mean,
    smooth_ordered,
)


@over_seeds(50)
def test_projection_is_the_nearest_point_that_bisection_finds(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 40))
    values, variance = rng.normal(0, 50, size), rng.uniform(0.1, 9, size)
    total = float(rng.uniform(0.1, 300))

    def excess(shift):
        return np.maximum(values + variance * shift, 0).sum() - total

    shift = optimize.bisect(excess, -1e5, 1e5, xtol=1e-12)
    found = project_to_simplex(values, total, variance)
    np.testing.assert_allclose(found, np.maximum(values + variance * shift, 0), atol=1e-6)
    assert found.sum() == pytest.approx(total)


@over_seeds(50)
def test_no_other_histogram_of_that_sum_is_nearer(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 9))
    values, variance = rng.normal(0, 5, size), rng.uniform(0.1, 9, size)
    found = project_to_simplex(values, 4.0, variance)

    def distance(histogram):
        return (np.square(histogram - values) / variance).sum()

    others = [distance(4.0 * rng.dirichlet(np.full(size, 0.5))) for _ in range(200)]
    near = [distance(0.99 * found + 0.04 * rng.dirichlet(np.ones(size))) for _ in range(200)]
    assert distance(found) <= min(others + near) + 1e-9


def test_a_histogram_of_the_right_sum_is_left_as_it_is():
    np.testing.assert_allclose(project_to_simplex(np.array([1.0, 0, 5]), 6.0), [1, 0, 5])


def test_projection_survives_values_that_swallow_the_total():
    found = project_to_simplex(np.array([1e20, 3.0]), 1.0)
    assert (found >= 0).all()


@over_seeds(25)
def test_the_mean_histogram_is_that_of_normals_cut_off_at_zero_with_one_shift(seed):
    rng = np.random.default_rng(seed)
    size, stddev = int(rng.integers(1, 12)), float(rng.uniform(0.5, 40))
    values, total = rng.normal(0, 20, size), float(rng.uniform(1, 200))

    def means(shift):
        centres = values + shift
        return truncnorm.mean(-centres / stddev, np.inf, loc=centres, scale=stddev)

    shift = optimize.brentq(lambda x: means(x).sum() - total, -20 * stddev - 60, 400)
    found = simplex_mean(values, total, stddev)
    np.testing.assert_allclose(found, means(shift), rtol=1e-4, atol=1e-4 * stddev)


def test_the_mean_histogram_is_the_nearest_one_without_noise_and_flat_when_all_is_noise():
    values = np.array([50.0, -20.0, 7.0])
    np.testing.assert_allclose(simplex_mean(values, 40.0, 0.0), project_to_simplex(values, 40.0))
    small = simplex_mean(values, 40.0, 1e-3)
    np.testing.assert_allclose(small, project_to_simplex(values, 40.0), atol=0.01)
    np.testing.assert_allclose(simplex_mean(values, 39.0, 1e9), 13.0, rtol=1e-3)


def price(values, cuts, stddev, penalty):
    """The cost of steps that begin at these places, and the step function itself."""
    runs = np.split(values, cuts)
    levels = np.concatenate([np.full(len(run), run.mean()) for run in runs])
    return float(np.square((values - levels) / stddev).sum()) + penalty * len(runs), levels


@over_seeds(50)
def test_smoothing_finds_the_cheapest_of_all_step_functions(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(MIN_SMOOTHED, 11))
    steps = np.cumsum(rng.random(size) < 0.3)
    stddev, penalty = float(rng.uniform(0.5, 20)), float(rng.choice([0.5, STEP_PENALTY, 12.0]))
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
    values = np.random.default_rng(0).normal(0, 1, MIN_SMOOTHED - 1)
    np.testing.assert_array_equal(smooth_ordered(values, 10.0), values)


def exponential_counts(cuts, rate):
    return np.exp(-rate * cuts[:-1]) - np.exp(-rate * cuts[1:])


@over_seeds(50)
def test_slopes_of_an_exponential_density_are_nearly_its_rate_times_the_width(seed):
    rng = np.random.default_rng(seed)
    cuts = np.cumsum(np.append(0.0, rng.uniform(0.1, 0.3, 12)))
    rate = float(rng.uniform(0.5, 2.0))
    found = density_slopes(cuts, 1e4 * exponential_counts(cuts, rate))
    # The density in the middle of a cell is its mean but for a part (rate * width)^2 / 24.
    np.testing.assert_allclose(found, -rate * np.diff(cuts), rtol=0.05, atol=0.02)
    mirrored = density_slopes(-cuts[::-1], 1e4 * exponential_counts(cuts, rate)[::-1])
    np.testing.assert_allclose(mirrored, -found[::-1], atol=1e-9)


def test_the_cell_of_a_long_tail_falls_off_from_where_its_neighbour_ends():
    cuts = np.array([0.0, 1, 2, 3, 1000])
    slopes = density_slopes(cuts, np.array([40.0, 20, 10, 10]))
    assert slopes[-1] == pytest.approx(-STEEPEST)  # no one comes near the bound
    assert (slopes[:-1] < 0).all()
    # A mean of 1/5 of the density at its inner end, where 1 / rate is 1/4.97 but for exp(-4.97).
    fifth = density_slopes(np.array([0.0, 1, 2, 3, 13]), np.array([5.0, 5, 5, 10]))
    rate = -fifth[-1]
    inner = np.exp(np.interp(3, [2.5, 8], np.log([5.0, 1.0])))
    assert -np.expm1(-rate) / rate == pytest.approx(1.0 / inner, rel=1e-6)


def test_peaks_empty_cells_and_spikes_have_no_slope_and_neighbours_look_over_spikes():
    even = np.arange(9.0)
    assert density_slopes(even, np.array([1.0, 2, 3, 2, 2, 2, 1, 0]))[[2, 4, 7]].tolist() == [0] * 3
    alone = density_slopes(even[:7], np.array([1.0, 2, 4, 500, 8, 16]))
    assert alone[3] == 0
    assert (alone[[1, 2, 4]] > 0).all()
    assert density_slopes(even[:2], np.array([3.0])).tolist() == [0]
    assert density_slopes(even[:4], np.zeros(3)).tolist() == [0] * 3
    single = np.array([0.0, np.nextafter(0.0, 1.0), 1, 2])  # one real number, and all others
    assert density_slopes(single, np.array([900.0, 20, 10]))[0] == 0


def test_what_rounding_leaves_of_an_empty_cell_is_no_count():
    cuts, counts = np.arange(7.0), np.array([40.0, 0.0, 20.0, 10.0, 0.0, 5.0])
    residues = np.where(counts > 0, counts, 1e-12)
    assert density_slopes(cuts, residues).tolist() == density_slopes(cuts, counts).tolist()
    assert np.abs(density_slopes(cuts, residues)).max() < 10
