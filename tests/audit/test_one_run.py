import math
from functools import cache

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import binom, kstest

from dp_synth.accounting.budget import gaussian_epsilon
from dp_synth.audit import guesses, one_run_bound, one_run_gaussian_bound, one_run_mean_p_value
from dp_synth.audit.bounds import one_run_p_value
from dp_synth.errors import InputError

DELTA, AUDITS = 1e-5, 500
MOST_ALARMS = binom.isf(1e-7, AUDITS, 0.05)


def canaries(mu, count, rng):
    """Return scores of a Gaussian histogram with a cell for each canary, and the coins."""
    coins = rng.random(count) < 0.5
    return rng.normal(size=count) + mu * coins, coins


@cache
def both(right, made, count):
    return [f(right, made, count, DELTA).epsilon for f in (one_run_bound, one_run_gaussian_bound)]


def exceeded(mu, truth, count, share):
    """Return how often either bound was above the epsilon of Gaussian DP of ``truth``."""
    rng, epsilon = np.random.default_rng(1), gaussian_epsilon(truth, DELTA)
    found = np.array(
        [both(*guesses(*canaries(mu, count, rng), share), count) for _ in range(AUDITS)]
    )
    return (found > epsilon).sum(axis=0)


@pytest.mark.parametrize(("mu", "count", "share"), [(0.27, 200, 0.2), (1.0, 100, 0.5), (2, 50, 1)])
def test_bounds_exceed_the_truth_no_more_often_than_their_level(mu, count, share):
    assert (exceeded(mu, mu, count, share) <= MOST_ALARMS).all()


def test_a_false_claim_is_refuted_by_both_and_sooner_through_the_whole_curve():
    one, gaussian = exceeded(2.5, 0.5, 200, 0.3)
    assert gaussian > one > MOST_ALARMS


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_pure_privacy_has_the_binomial_tail_of_randomised_response(epsilon):
    chance = 1 / (1 + math.exp(-epsilon))
    for right, made in ((0, 10), (7, 10), (10, 10)):
        expected = sum(binom.pmf(k, made, chance) for k in range(right, made + 1))
        assert one_run_p_value(right, made, 30, epsilon, 0.0) == pytest.approx(expected)


def test_a_delta_adds_what_theorem_5_2_says():
    epsilon, canary_count, right, made = 1.0, 40, 9, 12
    chance = 1 / (1 + math.exp(-epsilon))
    tail = binom.sf(right - 1, made, chance)
    # alpha = max over i of P[right - i <= W < right] * 2 / i, for all i up to the canaries.
    gains = [
        2 * (binom.cdf(right - 1, made, chance) - binom.cdf(right - i - 1, made, chance)) / i
        for i in range(1, canary_count + 1)
    ]
    found = one_run_p_value(right, made, canary_count, epsilon, 1e-3)
    assert found == pytest.approx(tail + canary_count * 1e-3 * max(gains))


def test_all_right_guesses_prove_the_known_epsilon():
    bound = one_run_bound(40, 40, 100, 0.0)
    assert bound.epsilon == pytest.approx(logit(0.05 ** (1 / 40)), abs=1e-4)
    assert bound.epsilon == bound.ceiling
    assert one_run_bound(20, 40, 100, 0.0).epsilon == 0


def test_the_gaussian_bound_at_no_privacy_loss_is_near_the_binomial_test():
    # At mu = 0 guesses are coins: what the recursion refutes, the exact tail must refute too.
    for right in range(30, 60):
        refuted = one_run_gaussian_bound(right, 60, 60, DELTA).epsilon > 0
        tail = binom.sf(right - 1, 60, 0.5)
        assert not (refuted and tail > 0.05)
        assert refuted or tail > 0.005


def test_bounds_rise_with_right_guesses_and_fall_with_canaries():
    for bound in (one_run_bound, one_run_gaussian_bound):
        rising = [bound(right, 50, 200, 1e-3).epsilon for right in (30, 40, 45, 50)]
        assert rising == sorted(rising)
        assert rising[-1] > rising[0]
        assert bound(45, 50, 2000, 1e-3).epsilon <= bound(45, 50, 200, 1e-3).epsilon


def test_guesses_are_about_the_extremes_and_ties_follow_no_coin():
    scores, coins = [5.0, 4.0, 3.0, 2.0, 1.0, 0.0], [True, True, False, True, False, True]
    assert guesses(scores, coins, 1.0) == (3, 6)
    assert guesses(scores, coins, 0.67) == (3, 4)
    assert guesses(np.exp(scores), coins, 0.67) == guesses(scores, coins, 0.67)
    assert guesses(np.arange(200.0), np.ones(200), 0.29) == (29, 58)
    rng, right = np.random.default_rng(0), 0
    for _ in range(200):
        tied = rng.random(100) < 0.5
        right += guesses(tied * 0.0 + (np.arange(100) == 0), tied, 1.0)[0]
    assert abs(right - 10_000) < 5 * math.sqrt(200 * 25)


def test_scores_that_say_nothing_are_refused():
    for scores, coins, share, message in (
        ([1.0, np.nan], [True, False], 1.0, "must be numbers"),
        ([1.0, 1.0], [True, False], 1.0, "not all the same"),
        ([1.0, 2.0], [True], 1.0, "one score and one coin"),
        ([1.0, 2.0], [True, False], 0.5, "makes no guess about 2"),
    ):
        with pytest.raises(InputError, match=message):
            guesses(scores, coins, share)
    with pytest.raises(InputError, match="some canaries must be in"):
        one_run_mean_p_value([1.0, 2.0], [True, True], stddev=1.0, mu=1.0)


def test_the_p_value_of_means_is_uniform_at_the_truth_and_small_below_it():
    rng = np.random.default_rng(2)
    drawn = [canaries(0.8, 60, rng) for _ in range(AUDITS)]
    at, below, above = (
        [one_run_mean_p_value(3 * s, c, stddev=3.0, mu=mu) for s, c in drawn]
        for mu in (0.8, 0.0, 1.6)
    )
    assert kstest(at, "uniform").pvalue > 1e-6
    assert np.mean(np.array(below) < 0.05) > 0.8
    assert np.mean(np.array(above) < 0.05) < 0.01
