import numpy as np
import pytest
from scipy import integrate
from scipy.special import ndtr, ndtri
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from dp_synth.audit import Roc

RUNS = 400
MOST_MISSES = binom.isf(1e-7, RUNS, 0.05)


def tpr_misses(mu, *, fpr=0.1, n=400, tied=False, shorten=1.0):
    """Count intervals without the true TPR of unit Gaussians at distance ``mu``."""
    rng, misses = np.random.default_rng(11), 0
    truth = 0.25 * fpr if tied else ndtr(ndtri(fpr) + mu)
    for seed in range(RUNS):
        members, others = rng.normal(mu, 1, n), rng.normal(0, 1, n)
        if tied:  # 0 or 1: others are 1 with chance 0.8, members with 0.2
            members, others = rng.random(n) < 0.2, rng.random(n) < 0.8
        rate = Roc(members, others, seed).tpr_at_fpr(fpr)
        low = rate.value - shorten * (rate.value - rate.low)
        high = rate.value + shorten * (rate.high - rate.value)
        misses += not low <= truth <= high
    return misses


@pytest.mark.parametrize(("mu", "fpr"), [(0.0, 0.01), (0.0, 0.1), (1.0, 0.1), (3.0, 0.1)])
def test_the_interval_of_a_tpr_misses_at_most_as_often_as_it_says(mu, fpr):
    assert tpr_misses(mu, fpr=fpr) <= MOST_MISSES


def test_ties_do_not_break_the_interval():
    # At a random order of ties, a share fpr of others comes from the 0.8 that score 1, and of
    # the members that score 1 the same part: 0.2 * fpr / 0.8.
    assert tpr_misses(0.0, tied=True) <= MOST_MISSES


def test_the_check_of_coverage_catches_an_interval_that_is_too_short():
    assert tpr_misses(1.0, shorten=0.4) > MOST_MISSES


def test_an_interval_from_the_members_alone_would_be_caught():
    # What is often reported: Clopper-Pearson at the empirical threshold, as if it were known.
    rng, misses = np.random.default_rng(12), 0
    truth = ndtr(ndtri(0.01) + 3.0)
    for _ in range(RUNS):
        members, others = rng.normal(3, 1, 400), rng.normal(0, 1, 400)
        share = (members > np.sort(others)[-5]).mean()
        misses += abs(share - truth) > 1.96 * np.sqrt(share * (1 - share) / 400)
    assert misses > MOST_MISSES
    assert tpr_misses(3.0, fpr=0.01) <= MOST_MISSES


def test_the_value_is_the_share_of_members_above_the_empirical_quantile():
    rng = np.random.default_rng(0)
    members, others = rng.normal(1, 1, 200), rng.normal(0, 1, 100)
    for fpr, allowed in ((0.004, 0), (0.01, 1), (0.05, 5), (0.29, 29), (0.999, 99)):
        threshold = np.sort(others)[::-1][allowed]
        expected = (members > threshold).mean()
        assert Roc(members, others).tpr_at_fpr(fpr).value == pytest.approx(expected)


def test_too_few_non_members_bound_nothing():
    rate = Roc(np.ones(1000), np.zeros(20)).tpr_at_fpr(0.01)
    assert (rate.low, rate.value, rate.high) == (0.0, 1.0, 1.0)
    assert Roc(np.zeros(1000), np.ones(3)).tpr_at_fpr(0.5).high == 1.0


def test_enough_perfect_scores_bound_from_below():
    rate = Roc(np.ones(1000), np.zeros(1000)).tpr_at_fpr(0.01)
    assert rate.value == rate.high == 1.0
    assert rate.low == pytest.approx(0.0125 ** (1 / 1000))


def test_the_area_is_that_of_scikit_learn_and_of_the_curve():
    rng = np.random.default_rng(0)
    for _ in range(30):
        members, others = rng.integers(1, 7, 50), rng.integers(0, 6, 70)
        roc = Roc(members, others)
        labels = np.repeat([1, 0], [50, 70])
        area = roc_auc_score(labels, np.concatenate([members, others]))
        assert roc.auc().value == pytest.approx(area)
        fpr, tpr = roc.curve()
        assert integrate.trapezoid(tpr, fpr) == pytest.approx(area)
        assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)


def test_swapped_groups_mirror_the_area():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 100), rng.normal(0, 1, 80)
    forward, backward = Roc(a, b).auc(), Roc(b, a).auc()
    assert backward.value == pytest.approx(1 - forward.value)
    assert backward.low == pytest.approx(1 - forward.high)


def test_one_seed_decides_ties_one_way():
    members, others = np.repeat([0, 1], 50), np.repeat([0, 1], [80, 20])
    assert Roc(members, others, 1).tpr_at_fpr(0.1) == Roc(members, others, 1).tpr_at_fpr(0.1)
    values = {Roc(members, others, seed).tpr_at_fpr(0.1).value for seed in range(20)}
    assert len(values) > 1
    # Half of the tied others are allowed, so about half of the 50 tied members pass.
    assert 0.05 < np.mean(list(values)) < 0.45


def test_later_changes_to_the_given_array_do_not_reach_the_scores():
    members = np.array([1.0, 2.0])
    roc = Roc(members, [0.0, 0.5])
    members[:] = -1
    assert roc.auc().value == 1.0


@pytest.mark.parametrize("scores", [[], [np.nan, 1.0], [[1.0, 2.0]]])
def test_scores_that_are_none_are_refused(scores):
    with pytest.raises(ValueError, match="member_scores"):
        Roc(scores, [1.0])
    with pytest.raises(ValueError, match="non_member_scores"):
        Roc([1.0], scores)


@pytest.mark.parametrize("fpr", [0.0, 1.0, -0.1, np.nan])
def test_a_rate_that_is_no_share_is_refused(fpr):
    with pytest.raises(ValueError, match=r"\(0, 1\)"):
        Roc([1.0], [0.0]).tpr_at_fpr(fpr)
