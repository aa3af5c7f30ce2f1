from __future__ import annotations

import numpy as np
import pytest
from experiments.tradeoff_small.covered import Covered, compared, means, of_paper, table
from experiments.who_is_at_risk.rarity_games import above_own, own_areas, rate_above
from scipy import stats

SEEDS, NUMBERS = 5, 20


def covered(values: np.ndarray) -> Covered:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Covered("x", float(values.mean()), float(half), len(values), 0.5, ("mst", 1.0, "tv"))


def test_all_numbers_of_an_unchanged_program_agree_in_95_of_100_reruns():
    rng, repeats = np.random.default_rng(0), 400
    wrong = 0
    for _ in range(repeats):
        first, again = rng.normal(size=(2, NUMBERS, SEEDS))
        wrong += any(
            abs(b.mean() - a.mean()) > covered(a).tolerance(SEEDS, NUMBERS)
            for a, b in zip(first, again, strict=True)
        )
    # At most 5 %: beyond this by chance once in a million.
    assert wrong <= stats.binom.ppf(1 - 1e-6, repeats, 0.05)
    assert wrong > 0  # and not because everything would agree


def test_a_rerun_with_fewer_seeds_may_be_farther_off():
    one = covered(np.random.default_rng(1).normal(size=SEEDS))
    assert one.tolerance(2, NUMBERS) > one.tolerance(SEEDS, NUMBERS) > one.tolerance(SEEDS, 1)


def test_a_number_that_draws_nothing_may_be_off_by_half_its_last_digit():
    assert Covered("x", 0.0, None, 1, 5e-5, ("real rows", 0.0, "tv")).tolerance(5, 20) == 5e-5


@pytest.mark.parametrize(
    ("away", "agrees"), [(0.9, True), (-0.9, True), (1.1, False), (-1.1, False)]
)
def test_a_rerun_that_is_farther_off_than_its_tolerance_differs_on_either_side(away, agrees):
    one = covered(np.random.default_rng(1).normal(size=SEEDS))
    again = one.value + away * one.tolerance(SEEDS, 1)
    found = compared([one], {one.key: (again, SEEDS)}, 1)
    assert [each.agrees for each in found] == [agrees]
    assert ("| agrees |" if agrees else "| **differs** |") in table(found)


def test_most_covered_names_are_numbers_of_the_paper():
    found = of_paper()
    assert len(found) > 20
    assert len({one.key for one in found}) == len(found)


def test_means_are_over_the_seeds_of_a_method_epsilon_and_value():
    lines = [
        {"synthesizer": "mst", "epsilon": 1.0, "seed": seed, "values": {"tv": float(seed)}}
        for seed in (5, 6, 9)
    ]
    assert means(lines) == {("mst", 1.0, "tv"): (pytest.approx(20 / 3), 3)}


def test_a_targets_own_area_compares_it_with_itself_alone():
    rng = np.random.default_rng(2)
    scores, member = rng.integers(0, 4, size=(12, 5)).astype(float), rng.random((12, 5)) < 0.5
    for target, area in enumerate(own_areas(scores, member)):
        inside = scores[member[:, target], target]
        outside = scores[~member[:, target], target]
        wins = np.sign(inside[:, None] - outside[None, :])
        assert area == pytest.approx((wins.mean() + 1) / 2)


def test_what_is_taken_off_a_score_leaves_its_own_game_out():
    rng = np.random.default_rng(3)
    scores, member = rng.normal(size=(8, 3)), rng.random((8, 3)) < 0.5
    found = above_own(scores, member)
    for game, target in np.ndindex(scores.shape):
        others = ~member[:, target] & (np.arange(8) != game)
        expected = scores[game, target] - scores[others, target].mean()
        assert found[game, target] == pytest.approx(expected)


def test_the_share_of_members_above_is_at_the_rate_that_was_asked_for():
    scores = np.concatenate([np.arange(1000.0), np.arange(1000.0) + 500])[:, None]
    member = np.repeat([False, True], 1000)[:, None]
    rate = rate_above(scores, member, np.ones(1), fpr=0.1)
    assert rate == pytest.approx(0.6, abs=0.002)


def test_a_target_that_stands_for_more_people_counts_for_more():
    member = np.array([[False, False], [True, True]])
    scores = np.array([[0.0, 0.0], [1.0, -1.0]])
    assert rate_above(scores, member, np.array([3.0, 1.0]), fpr=0.01) == pytest.approx(0.75)


def test_false_alarms_are_counted_by_the_people_that_a_target_stands_for():
    """One who is out stands for less than 1 % of all: an alarm about that one is permitted."""
    member = np.array([[False, False], [True, True]])
    scores = np.array([[5.0, 0.0], [1.0, 1.0]])
    assert rate_above(scores, member, np.array([0.03, 3.97]), fpr=0.01) == 1.0
    assert rate_above(scores, member, np.array([1.0, 1.0]), fpr=0.01) == 0.0
