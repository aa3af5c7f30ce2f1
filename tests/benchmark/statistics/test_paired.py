"""Two methods on the same seeds: exact p-values, the t-interval, Holm's correction."""

import itertools

import numpy as np
import pytest
from made_cells import cell, table
from scipy import stats

from dp_synth.benchmark.statistics import holm, paired, sign_flip_p_value, t_interval
from dp_synth.benchmark.statistics.comparisons import signed_rank_p_value
from dp_synth.errors import InputError

DIFFERENCES = [0.03, -0.01, 0.04, 0.02, 0.05]


def two_methods(**changes):
    rows = [cell("mst", 0.2 + d, seed=seed, **changes) for seed, d in enumerate(DIFFERENCES)]
    return rows + [cell("aim", 0.2, seed=seed, **changes) for seed in range(5)]


def slow_p_value(differences):
    """Try every way to place the signs, one after another."""
    observed = abs(sum(differences))
    ways = list(itertools.product((-1, 1), repeat=len(differences)))
    sums = [abs(np.dot(way, differences)) for way in ways]
    return sum(total >= observed - 1e-12 for total in sums) / len(ways)


@pytest.mark.parametrize("seed", range(20))
def test_the_sign_flip_p_value_counts_every_way_to_place_the_signs(seed):
    rng = np.random.default_rng(seed)
    differences = rng.normal(0.5, 1, rng.integers(1, 10)).round(1)
    assert sign_flip_p_value(differences) == pytest.approx(slow_p_value(differences), abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_the_signed_rank_p_value_without_ties_is_the_exact_one_of_scipy(seed):
    rng = np.random.default_rng(seed)
    differences = rng.normal(0.3, 1, 4 + seed)
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert signed_rank_p_value(differences) == pytest.approx(expected, abs=1e-12)


def test_ties_and_zeros_keep_the_signed_rank_p_value_exact():
    # Without the zero, ranks 2, 2, 2, 4 and signs + + - +: |sum| >= 6 in 8 of 16 ways.
    assert signed_rank_p_value([1.0, 1.0, -1.0, 5.0, 0.0]) == pytest.approx(8 / 16)
    assert signed_rank_p_value([0.0, 0.0]) == 1.0


def test_p_values_of_exchangeable_signs_are_no_smaller_than_they_should_be():
    rng = np.random.default_rng(0)
    p_values = np.array([sign_flip_p_value(rng.normal(size=8)) for _ in range(800)])
    for level in (0.05, 0.1, 0.5):
        exact = np.floor(level * 2**7) / 2**7  # of continuous values: multiples of 2 ** (1 - n)
        tolerance = 5 * np.sqrt(exact * (1 - exact) / len(p_values))
        assert np.mean(p_values <= level) == pytest.approx(exact, abs=tolerance)


def test_many_differences_are_tested_by_drawn_signs_near_the_normal_limit():
    differences = np.random.default_rng(1).normal(0.3, 1, 60)
    z = differences.sum() / np.sqrt((differences**2).sum())
    # The normal limit is off by less than 1 / n here; 100,000 draws by 0.005 at five errors.
    assert sign_flip_p_value(differences) == pytest.approx(2 * stats.norm.sf(z), abs=0.012)
    assert sign_flip_p_value(np.ones(60)) == 1 / 100_001  # never zero


def test_holm_steps_down_from_the_smallest():
    # Holm 1979: 4 x 0.005, 3 x 0.01, 2 x 0.03, 1 x 0.04, none smaller than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_differences_are_taken_seed_by_seed_at_one_table_and_budget():
    records = table([*two_methods(), *two_methods(epsilon=2.0), cell("mst", 0.9, seed=9)])
    found = paired(records, "mst", "aim", "tv2")
    assert (found.better, [c.epsilon for c in found.comparisons]) == ("lower", [1.0, 2.0])
    one = found.comparisons[0]
    assert (one.dataset, one.delta, one.adjacency, one.pairs) == ("adult", 1e-5, "add_remove", 5)
    assert one.mean == pytest.approx(np.mean(DIFFERENCES))
    assert (one.low, one.high) == pytest.approx(t_interval(DIFFERENCES))
    # Of 32 ways to place the signs only four have a sum as large: those at which the 0.01 alone
    # or nothing stands against the rest.
    assert one.p_mean == pytest.approx(slow_p_value(DIFFERENCES)) == pytest.approx(4 / 32)
    assert one.p_holm == pytest.approx(2 * one.p_mean)
    assert one.least_p_value == 2 / 32
    assert "least possible 0.0625" in str(found)


def test_the_other_order_has_the_other_sign():
    records = table(two_methods())
    (one,), (other,) = (
        paired(records, *names, "tv2").comparisons for names in (("mst", "aim"), ("aim", "mst"))
    )
    assert (other.mean, other.low, other.high) == pytest.approx((-one.mean, -one.high, -one.low))
    assert other.p_mean == one.p_mean


@pytest.mark.parametrize("order", [("mst", "real_rows"), ("real_rows", "mst")])
def test_a_baseline_is_paired_at_every_epsilon_of_the_other(order):
    rows = [cell("real_rows", 0.0, epsilon=None, seed=seed) for seed in range(5)]
    records = table([*two_methods(), *two_methods(epsilon=2.0), *rows])
    found = paired(records, *order, "tv2").comparisons
    sign = 1 if order[0] == "mst" else -1
    assert [c.epsilon for c in found] == [1.0, 2.0]
    assert [c.mean for c in found] == pytest.approx([sign * (0.2 + np.mean(DIFFERENCES))] * 2)


def test_two_baselines_are_paired_without_an_epsilon():
    rows = [
        cell(name, value, epsilon=None, seed=seed)
        for seed in range(3)
        for name, value in (("real_rows", 0.0), ("fresh_rows", 0.1))
    ]
    (one,) = paired(table(rows), "fresh_rows", "real_rows", "tv2").comparisons
    assert (one.epsilon, one.adjacency, one.pairs) == (None, None, 3)


def test_one_pair_has_no_interval_and_proves_nothing():
    records = table([cell("mst", 0.1), cell("aim", 0.3)])
    (one,) = paired(records, "mst", "aim", "tv2").comparisons
    assert (one.low, one.high, one.p_mean, one.p_wilcoxon) == (None, None, 1.0, 1.0)
    assert "no interval of one pair" in str(one)


def test_the_least_possible_p_value_is_given_whether_signs_are_enumerated_or_drawn():
    for pairs in (5, 10, 40):
        rows = [cell("mst", 0.3, seed=seed) for seed in range(pairs)]
        rows += [cell("aim", 0.1, seed=seed) for seed in range(pairs)]
        (one,) = paired(table(rows), "mst", "aim", "tv2").comparisons
        assert one.p_mean == one.least_p_value


def test_without_a_common_seed_there_is_one_line():
    records = table([cell("mst", 0.1, seed=0), cell("aim", 0.3, seed=1), cell("aim", None)])
    with pytest.raises(InputError, match="no seed of tv2 in common") as caught:
        paired(records, "mst", "aim", "tv2")
    assert len(str(caught.value).splitlines()) == 1


def test_methods_that_are_not_there_and_a_method_with_itself_are_refused():
    records = table(two_methods())
    with pytest.raises(InputError, match=r"no method 'mts' .*'mst'\? there are: aim, mst"):
        paired(records, "mts", "aim", "tv2")
    with pytest.raises(InputError, match="mst cannot be compared with itself"):
        paired(records, "mst", "mst", "tv2")
