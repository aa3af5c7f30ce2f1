import numpy as np
import pytest
from scipy.stats import binom, binomtest, ttest_ind

from dp_synth.metrics import Estimate, clopper_pearson
from dp_synth.metrics.estimate import (
    difference,
    gap_of_means,
    paired_difference,
    share,
    weighted_mean,
)


def test_an_estimate_holds_its_value_between_its_ends():
    with pytest.raises(ValueError, match="low <= value <= high"):
        Estimate(0.5, 0.6, 0.7)
    with pytest.raises(ValueError, match="low <= value <= high"):
        Estimate(float("nan"), 0.0, 1.0)


def test_an_interval_of_student_is_cut_to_what_is_possible():
    assert Estimate.student(0.0, 0.01, 9, least=0.0, most=1.0).low == 0.0
    assert Estimate.student(1.0, 0.01, 9, least=0.0, most=1.0).high == 1.0
    assert Estimate.student(0.5, 0.01, np.inf).high == pytest.approx(0.5 + 1.959964 * 0.1)
    assert Estimate.student(0.5, 0.01, 4).high == pytest.approx(0.5 + 2.776445 * 0.1)


def test_of_no_degrees_of_freedom_an_interval_is_all_that_is_possible():
    for variance, degrees in ((0.01, 0), (np.inf, 3)):
        assert Estimate.student(0.5, variance, degrees, least=0.0, most=1.0) == Estimate(0.5, 0, 1)
    assert Estimate.bootstrap(0.5, np.array([0.5]), 1, least=0.0, most=1.0) == Estimate(0.5, 0, 1)


def test_a_bootstrap_interval_is_widened_to_its_value_and_for_few_units():
    resampled = np.linspace(0.2, 0.4, 1001)
    many = Estimate.bootstrap(0.1, resampled, 10**9)
    assert (many.low, many.high) == pytest.approx((0.1, 0.395))
    few = Estimate.bootstrap(0.3, resampled, 5)
    short = 2.776445 / 1.959964 * np.sqrt(5 / 4)
    assert (few.low, few.high) == pytest.approx((0.3 - 0.095 * short, 0.3 + 0.095 * short))


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (7, 7), (3, 10), (40, 1000)])
def test_clopper_pearson_is_the_exact_interval_of_scipy(successes, trials):
    interval = binomtest(successes, trials).proportion_ci(0.95, "exact")
    assert clopper_pearson(successes, trials) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
def test_clopper_pearson_misses_at_most_its_tail_on_either_side(share):
    trials = 60
    ends = [clopper_pearson(k, trials) for k in range(trials + 1)]
    chances = binom.pmf(np.arange(trials + 1), trials, share)
    below = sum(p for p, (low, _) in zip(chances, ends, strict=True) if low > share)
    above = sum(p for p, (_, high) in zip(chances, ends, strict=True) if high < share)
    assert below <= 0.025
    assert above <= 0.025


def test_more_successes_than_trials_are_refused():
    with pytest.raises(ValueError, match=r"\[0, 5\]"):
        clopper_pearson(6, 5)


def test_the_difference_of_two_means_is_welchs_and_kept_within_its_range():
    first, second = np.array([1.0, 3.0]), np.array([0.5, 1.5])
    found = gap_of_means(first, second, most=10.0)
    welch = ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    half = welch.high - 1.0
    assert (found.value, found.low) == (1.0, 0.0)
    assert found.high == pytest.approx(1 + half)
    assert gap_of_means(first[:1], second, most=0.3) == Estimate(0.0, 0.0, 0.3)


def test_a_share_has_the_exact_interval():
    assert share(3, 10) == Estimate(0.3, *clopper_pearson(3, 10))
    assert share(0, 0) == Estimate(0.0, 0.0, 1.0)


def test_a_paired_difference_is_students_with_a_value_more_at_either_bound():
    first, second = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])
    more = np.array([1.0, 0, 0, 0, -1, 1])
    half = 3.182446 * np.sqrt(more.var(ddof=1) / 6)
    found = paired_difference(first, second)
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.25, max(-1.0, more.mean() - half), min(1.0, more.mean() + half))
    )
    same = paired_difference(np.ones(9), np.ones(9))  # nine that agree do not show that all do
    assert same.low < 0 < same.high
    assert paired_difference(first[:1], second[:1]) == Estimate(1.0, -1.0, 1.0)
    assert paired_difference(first[:0], second[:0]) == Estimate(0.0, -1.0, 1.0)


def test_the_interval_of_a_difference_of_shares_is_newcombes_tenth():
    # Newcombe 1998, Table II: 56/70 - 48/80 has (0.0524, 0.3339) by the score method.
    def wilson(hits, trials):
        z2, p = 1.959964**2, hits / trials
        middle = (p + z2 / (2 * trials)) / (1 + z2 / trials)
        half = np.sqrt(z2 * (p * (1 - p) + z2 / (4 * trials)) / trials) / (1 + z2 / trials)
        return Estimate(p, middle - half, middle + half)

    found = difference(wilson(56, 70), wilson(48, 80))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_a_weighted_mean_of_independent_values_is_narrower_than_each():
    one = Estimate(0.5, 0.3, 0.9)
    found = weighted_mean([one] * 4, [7] * 4)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.4, 0.7))
    uneven = weighted_mean([one, Estimate(0.1, 0.1, 0.1)], [1, 3])
    assert (uneven.value, uneven.low, uneven.high) == pytest.approx((0.2, 0.15, 0.3))
