"""Which pairs are chosen, and how finely they are measured."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import poisson
from whole_tables import over_seeds, random_domain

from dp_synth.domain import Domain
from dp_synth.inference import JunctionTree
from dp_synth.inference.pair_selection import (
    Allocation,
    choose_pairs,
    expected_distance,
    shrink_scores,
    spread,
)


def random_scores(seed, most=6):
    rng = np.random.default_rng(seed)
    domain = random_domain(rng, most)
    pairs = list(combinations(domain, 2))
    scores = rng.exponential(rng.choice([1.0, 100.0]), len(pairs)) - 20 * rng.random(len(pairs))
    return rng, domain, dict(zip(pairs, scores.tolist(), strict=True))


@pytest.mark.parametrize("expected", [5.0, 20.0, 300.0])
def test_the_expected_distance_is_that_of_a_poisson_number_from_its_mean(expected):
    counts = np.arange(2000)
    mean = float((poisson.pmf(counts, expected) * np.abs(counts - expected)).sum())
    assert expected_distance(np.full((3, 2), expected)) == pytest.approx(6 * mean, rel=0.03)
    assert expected_distance(np.array([-1.0, 0.0])) == 0.0


def test_scores_shrink_by_the_part_of_their_spread_that_is_noise():
    scores = np.array([3.0, -4.0, 0.0, 5.0])  # a mean square of 12.5
    np.testing.assert_allclose(shrink_scores(scores, 2.5), scores / 2)
    np.testing.assert_array_equal(shrink_scores(scores, 0.0), scores)
    assert not shrink_scores(scores, 4.0).any()
    assert shrink_scores(np.empty(0), 1.0).size == 0


def test_shrinking_lowers_the_squared_error():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 5, 2000)
    noisy = truth + rng.normal(0, 5, 2000)
    before, after = (np.square(s - truth).mean() for s in (noisy, shrink_scores(noisy, 5.0)))
    # The best linear estimate halves it here.
    assert after == pytest.approx(before / 2, rel=0.15)


@over_seeds(50)
def test_an_allocation_sums_to_its_precision(seed):
    rng, domain, scores = random_scores(seed)
    pairs = [pair for pair in scores if rng.random() < 0.5]
    allocation = Allocation.of(domain, pairs, 7.0)
    cliques = [(a,) for a in domain] + pairs
    assert sum(map(allocation.of_clique, cliques)) == pytest.approx(7.0)
    assert min(map(allocation.of_clique, cliques)) > 0


def test_a_pair_gets_more_precision_the_more_cells_it_has_and_columns_that_are_left_out():
    domain = Domain(tuple("abcd"), (2, 9, 9, 9))
    found = Allocation.of(domain, [("a", "b"), ("b", "c")], 1.0)
    assert found.of_clique(("b", "c")) > found.of_clique(("a", "b"))
    assert found.of_clique(("d",)) > found.of_clique(("b",))


@over_seeds(20)
def test_a_price_is_the_mean_size_of_the_noise_of_a_pair(seed):
    rng, domain, scores = random_scores(seed)
    for pair in scores:
        allocation = Allocation.of(domain, list(scores), 0.01)
        stddev = allocation.of_clique(pair) ** -0.5
        cells = domain.cells(pair)
        error = np.abs(rng.normal(0, stddev, (4000, cells))).sum(axis=1).mean()
        tolerance = 6 * stddev * math.sqrt(cells / 4000)
        assert allocation.price(domain, pair) == pytest.approx(error, abs=tolerance)


def wide_spreads(domain):
    """Return spreads so large that no pair implies any other."""
    return dict.fromkeys(domain, 1e9)


@over_seeds(50)
def test_chosen_pairs_are_worth_their_noise_and_keep_the_tree_small(seed):
    rng, domain, scores = random_scores(seed)
    spreads = wide_spreads(domain)
    most = int(sum(domain.sizes) * rng.choice([1, 2, 6]))
    chosen = choose_pairs(domain, scores, 1.0, spreads, max_cells=most)
    assert all(scores[pair] > 0 for pair in chosen)
    assert len(set(chosen)) == len(chosen)
    assert JunctionTree.of(domain, chosen).cells <= most or not chosen
    generous = choose_pairs(domain, scores, 1.0, spreads, max_cells=10**9)
    assert len(generous) >= len(chosen)
    # Where noise costs more than they bring, none is chosen.
    assert choose_pairs(domain, scores, 1e-12, spreads, max_cells=10**9) == []


@over_seeds(20)
def test_the_model_of_many_chosen_pairs_has_no_more_cells_than_allowed(seed):
    rng = np.random.default_rng(seed)
    domain = Domain(tuple(f"x{i}" for i in range(16)), tuple(rng.integers(2, 20, 16).tolist()))
    pairs = list(combinations(domain, 2))
    scores = dict(zip(pairs, (1e6 * rng.random(len(pairs))).tolist(), strict=True))
    for most in (4_000, 20_000):
        chosen = choose_pairs(domain, scores, 1.0, wide_spreads(domain), max_cells=most)
        assert 0.5 * most < JunctionTree.of(domain, chosen).cells <= most


@over_seeds(20)
def test_a_planted_chain_is_chosen_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    domain = Domain(tuple("abcdef"), (4,) * 6)
    chain = list(zip("abcde", "bcdef", strict=True))
    scores = {
        pair: 500.0 if pair in chain else float(rng.normal(0, 5))
        for pair in combinations(domain, 2)
    }
    spreads = dict.fromkeys(domain, 50_000.0)
    assert set(choose_pairs(domain, scores, 1.0, spreads, max_cells=10**6)) == set(chain)


def test_a_forest_comes_first_though_one_knot_would_take_all_cells():
    # All pairs of a, b, c are stronger than what links d, e and f, and fill the tree.
    domain = Domain(tuple("abcdef"), (20, 20, 20, 4, 4, 4))
    weak = {("c", "d"): 3000.0, ("c", "e"): 3000.0, ("d", "f"): 3000.0}
    knot = {pair: 90_000.0 - i for i, pair in enumerate(combinations("abc", 2))}
    scores = dict.fromkeys(combinations(domain, 2), 0.0) | weak | knot
    spreads = wide_spreads(domain)
    for most in (1_200, 2_000):
        chosen = set(choose_pairs(domain, scores, 10.0, spreads, max_cells=most))
        assert chosen == {("a", "b"), ("a", "c"), *weak}
    assert set(knot) <= set(choose_pairs(domain, scores, 10.0, spreads, max_cells=20_000))


def test_a_pair_that_a_path_implies_comes_after_one_that_none_does():
    # a - b - c with correlations of 0.9 imply 0.81; a and d are not linked but by 0.9 * 0.1.
    domain = Domain(tuple("abcd"), (6,) * 4)
    scores = {
        ("a", "b"): 9000.0,
        ("b", "c"): 9000.0,
        ("a", "c"): 8100.0,
        ("b", "d"): 5000.0,
        ("a", "d"): 4800.0,
        ("c", "d"): 0.0,
    }
    spreads = dict.fromkeys(domain, 10_000.0)
    chosen = choose_pairs(domain, scores, 1.0, spreads, max_cells=10**6)
    assert chosen[:3] == [("a", "b"), ("b", "c"), ("b", "d")]
    assert chosen.index(("c", "d")) < chosen.index(("a", "c"))  # independent, against the path


def test_the_spread_is_the_distance_of_an_attribute_from_itself():
    counts = np.array([10.0, 30.0, 60.0])
    product = np.outer(counts, counts) / counts.sum()
    assert spread(counts) == pytest.approx(np.abs(np.diag(counts) - product).sum())
    assert spread(np.zeros(3)) == 0.0
