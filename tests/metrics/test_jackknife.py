import numpy as np
import pytest

from dp_synth.metrics.estimate import GROUPS, random_groups, variance_of, without_each


def test_groups_are_of_equal_size():
    groups = random_groups(1000, np.random.default_rng(0))
    assert np.bincount(groups).tolist() == [1000 // GROUPS] * GROUPS
    assert sorted(random_groups(3, np.random.default_rng(0))) == [0, 1, 2]
    assert len(random_groups(0, np.random.default_rng(0))) == 0


def test_the_variance_of_a_mean_is_the_textbooks_where_each_record_is_a_group():
    values = np.random.default_rng(0).random(25)
    sums = without_each(values[:, None])[1:, 0]
    assert variance_of(sums / 24) == pytest.approx(values.var(ddof=1) / 25)


def test_one_group_says_nothing():
    assert variance_of(np.array([1.0])) == float("inf")
