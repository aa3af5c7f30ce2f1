import numpy as np
import pytest
from scipy.special import expit, logit, ndtr
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from dp_synth.metrics import area_under_roc

RUNS = 400


def coverage_misses(mu, n, shorten=1.0):
    rng = np.random.default_rng(7)
    truth, misses = ndtr(mu / np.sqrt(2)), 0
    for _ in range(RUNS):
        area = area_under_roc(rng.normal(mu, 1, n), rng.normal(0, 1, n), rng)
        low = area.value - shorten * (area.value - area.low)
        high = area.value + shorten * (area.high - area.value)
        misses += not low <= truth <= high
    return misses


# DeLong's interval is asymptotic: 6 % is allowed where 5 % is meant.
MOST_MISSES = binom.isf(1e-7, RUNS, 0.06)


@pytest.mark.parametrize(("mu", "n"), [(0.0, 250), (1.0, 250), (1.0, 30), (2.5, 250), (1.0, 20)])
def test_the_interval_of_an_area_misses_as_seldom_as_it_says(mu, n):
    assert coverage_misses(mu, n) <= MOST_MISSES


def test_the_check_of_coverage_catches_an_interval_of_half_the_length():
    assert coverage_misses(1.0, 250, shorten=0.5) > MOST_MISSES


def test_the_area_is_that_of_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    for _ in range(50):
        positive, negative = rng.integers(0, 5, 40) + 1.0, rng.integers(0, 5, 60) * 1.0
        labels = np.repeat([1, 0], [40, 60])
        expected = roc_auc_score(labels, np.concatenate([positive, negative]))
        assert area_under_roc(positive, negative, rng).value == pytest.approx(expected)


def test_the_interval_is_delongs_on_the_logit_scale():
    rng = np.random.default_rng(1)
    positive, negative = rng.normal(0.5, 1, 50).round(1), rng.normal(0, 1, 70).round(1)
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(axis=1).var(ddof=1) / 50 + wins.mean(axis=0).var(ddof=1) / 70
    area = wins.mean()
    half = 1.959964 * np.sqrt(variance) / (area * (1 - area))
    estimate = area_under_roc(positive, negative, rng)
    assert estimate.low == pytest.approx(expit(logit(area) - half), abs=1e-6)
    assert estimate.high == pytest.approx(expit(logit(area) + half), abs=1e-6)


@pytest.mark.parametrize("n", [5, 400])
def test_a_perfect_separation_has_the_exact_bound_of_its_pairs(n):
    estimate = area_under_roc(np.ones(n), np.zeros(n), np.random.default_rng(0))
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(0.025 ** (1 / n))
    mirrored = area_under_roc(np.zeros(n), np.ones(n), np.random.default_rng(0))
    assert mirrored.high == pytest.approx(1 - estimate.low)


def test_infinite_scores_are_ranked_like_others():
    rng = np.random.default_rng(0)
    assert area_under_roc(np.array([np.inf, 1.0]), np.array([-np.inf, 1.0]), rng).value == 0.875


def test_without_scores_nothing_is_known():
    estimate = area_under_roc(np.empty(0), np.ones(3), np.random.default_rng(0))
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.0, 1.0)
