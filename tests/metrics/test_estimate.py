import numpy as np
import pytest
from scipy.stats import binom, binomtest

from dp_synth.metrics import Estimate, clopper_pearson


def test_an_estimate_holds_its_value_between_its_ends():
    with pytest.raises(ValueError, match="low <= value <= high"):
        Estimate(0.5, 0.6, 0.7)
    with pytest.raises(ValueError, match="low <= value <= high"):
        Estimate(float("nan"), 0.0, 1.0)


def test_a_normal_interval_is_cut_to_what_is_possible():
    assert Estimate.normal(0.0, 0.01, least=0.0, most=1.0).low == 0.0
    assert Estimate.normal(1.0, 0.01, least=0.0, most=1.0).high == 1.0
    assert Estimate.normal(0.5, 0.01).high == pytest.approx(0.5 + 1.959964 * 0.1)


def test_a_bootstrap_interval_is_widened_to_its_value():
    estimate = Estimate.bootstrap(0.1, np.linspace(0.2, 0.4, 1001))
    assert estimate.low == 0.1
    assert estimate.high == pytest.approx(0.395)


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
