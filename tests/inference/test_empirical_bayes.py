"""Histograms where noise may hide most of a column."""

import numpy as np
import pytest
from scipy.stats import gamma, norm
from whole_tables import over_seeds

from dp_synth.inference.empirical_bayes import (
    SHAPES,
    averaged_histogram,
    posterior_medians,
)
from dp_synth.inference.histograms import project_to_simplex, simplex_mean
from dp_synth.transcript import Measurement


@over_seeds(30)
def test_histograms_are_counts_that_sum_to_the_total(seed):
    rng = np.random.default_rng(seed)
    size, stddev = int(rng.integers(1, 200)), float(10 ** rng.uniform(-6, 4))
    total = float(10 ** rng.uniform(0, 6))
    one = Measurement(("x",), rng.normal(total / size, stddev, size), stddev)
    for found in (
        posterior_medians(one.values, total, stddev),
        averaged_histogram(one, int(rng.integers(0, size + 1)), total),
    ):
        assert (found >= 0).all()
        assert found.sum() == pytest.approx(total)


def test_without_noise_counts_are_left_as_they_are():
    values = np.array([0.0, 1.0, 5.0, 40.0, 1000.0, 0.0])
    for stddev in (1e-9, 1e-3):
        found = posterior_medians(values, values.sum(), stddev)
        np.testing.assert_allclose(found, values, atol=10 * stddev)


def test_medians_are_those_of_the_posterior_under_each_shape_by_its_likelihood(monkeypatch):
    values, total, stddev = np.array([12.0, -4.0, 3.0, 25.0, 1.0]), 40.0, 6.0
    grid = np.linspace(1e-6, 100, 400_001)
    for shape in (1.0, 3.0):
        monkeypatch.setattr("dp_synth.inference.empirical_bayes.SHAPES", (shape,))
        prior = gamma.pdf(grid, shape, scale=total / len(values) / shape)
        medians = []
        for value in values:
            mass = np.cumsum(prior * norm.pdf(value, grid, stddev))
            medians.append(grid[np.searchsorted(mass, mass[-1] / 2)])
        expected = np.array(medians) * total / sum(medians)
        found = posterior_medians(values, total, stddev)
        np.testing.assert_allclose(found, expected, atol=0.15 * stddev)


@pytest.mark.parametrize("sparse", [True, False])
def test_the_average_errs_less_than_the_nearest_histogram_whatever_the_column(sparse):
    rng, stddev, records = np.random.default_rng(0), 15.0, 300
    shares = np.full(40, 0.1 / 38) if sparse else np.full(40, 1 / 40)
    shares[:2] = [0.6, 0.3] if sparse else shares[:2]
    gains = []
    for _ in range(60):
        counts = rng.multinomial(records, shares / shares.sum()).astype(float)
        one = Measurement(("x",), counts + rng.normal(0, stddev, 40), stddev)
        nearest = project_to_simplex(one.values, records)
        found = averaged_histogram(one, 0, records)
        gains.append(np.abs(nearest - counts).sum() - np.abs(found - counts).sum())
    # Six standard errors of the mean away from no gain.
    assert np.mean(gains) > 6 * np.std(gains) / np.sqrt(len(gains))


def test_of_few_codes_no_prior_is_learnt():
    one = Measurement(("x",), np.array([30.0, -10.0]), 20.0)
    mean = simplex_mean(one.values, 25.0, 20.0)
    nearest = project_to_simplex(one.values, 25.0)
    np.testing.assert_allclose(averaged_histogram(one, 0, 25.0), (2 * nearest + mean) / 3)


def test_shapes_go_from_a_few_codes_that_hold_all_to_all_alike():
    assert min(SHAPES) < 0.1 < 1 < max(SHAPES)


def test_a_spike_tells_nothing_of_what_noise_hides():
    """The medians of the others are what they would be without it, in a smaller table."""
    noisy = np.random.default_rng(0).normal(20.0, 30.0, 40)
    alone = posterior_medians(noisy, 900.0, 30.0)
    beside = posterior_medians(np.append(noisy, 4000.0), 4900.0, 30.0)
    np.testing.assert_allclose(beside, np.append(alone, 4000.0), rtol=1e-12)
