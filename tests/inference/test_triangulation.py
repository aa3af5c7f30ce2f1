"""Chordal completions against their definition, and what one more clique is said to cost."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from whole_tables import over_seeds, random_cliques, random_domain, with_supports

from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference import JunctionTree, JunctionTreeModel, triangulation
from dp_synth.inference.chordal_completion import Completion
from dp_synth.inference.triangulation import as_many_as_fit, fits, total_cells, triangulate


def is_chordal(domain, cliques):
    """Whether attributes can be taken away one by one, each with neighbours that are all linked."""
    near = {a: {b for c in cliques if a in c for b in c} - {a} for a in domain}
    while near:
        free = next(
            (a for a in near if all(c in near[b] for b, c in combinations(near[a], 2))), None
        )
        if free is None:
            return False
        for other in near.pop(free):
            near[other].discard(free)
    return True


def maximal_cliques(domain, pairs):
    """All maximal cliques of a graph, by trying every set of attributes."""
    linked = {frozenset(pair) for pair in pairs}
    sets = [
        frozenset(s)
        for size in range(1, len(domain) + 1)
        for s in combinations(domain, size)
        if all(frozenset(p) in linked for p in combinations(s, 2))
    ]
    return {s for s in sets if not any(s < other for other in sets)}


@over_seeds(50)
def test_a_completion_is_chordal_holds_every_clique_and_lists_all_its_maximal_ones(seed):
    rng = np.random.default_rng(seed)
    domain = with_supports(rng, random_domain(rng))
    cliques = random_cliques(rng, domain)
    found = triangulate(domain, cliques)
    for clique in (*cliques, *(s.clique for s in domain.supports), *((a,) for a in domain)):
        assert any(set(clique) <= set(other) for other in found)
    assert is_chordal(domain, found)
    pairs = [pair for clique in found for pair in combinations(clique, 2)]
    assert {frozenset(clique) for clique in found} == maximal_cliques(domain, pairs)
    assert total_cells(domain, cliques) == sum(map(domain.cells, found))


def test_the_check_of_chordal_graphs_can_fail():
    domain = Domain(tuple("abcd"), (2, 2, 2, 2))
    assert not is_chordal(domain, [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")])


@over_seeds(50)
def test_cliques_without_a_cycle_return_themselves_at_any_sizes(seed):
    rng = np.random.default_rng(seed)
    domain = random_domain(rng)
    once = triangulate(domain, random_cliques(rng, domain))
    other = Domain(domain.attributes, tuple(int(n) for n in rng.integers(1, 99, len(domain))))
    assert triangulate(domain, once) == triangulate(other, reversed(once)) == once


def test_of_two_ways_to_cut_a_square_the_one_of_fewer_cells_is_taken():
    square = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    assert total_cells(Domain(tuple("abcd"), (9, 2, 9, 2)), square) == 2 * 9 * 2 * 2
    assert total_cells(Domain(tuple("abcd"), (2, 9, 2, 9)), square) == 2 * 9 * 2 * 2


def test_a_completion_is_nearly_as_good_as_the_best_of_many_random_orders():
    rng = np.random.default_rng(0)
    names = tuple("abcdefgh")
    pairs = list(combinations(names, 2))
    ratios, first = [], []
    for _ in range(40):
        domain = Domain(names, tuple(int(n) for n in rng.choice([2, 3, 30], 8)))
        picked = [pairs[i] for i in rng.permutation(len(pairs))[:14]]
        random = [_cells_of_order(domain, picked, list(rng.permutation(8))) for _ in range(60)]
        ratios.append(total_cells(domain, picked) / min(random))
        first.append(random[0] / min(random))
    assert np.mean(ratios) < 1.05
    assert np.mean(first) > 2  # what an order of no thought costs


def _cells_of_order(domain, pairs, order):
    near = {a: {b for p in pairs if a in p for b in p} - {a} for a in domain}
    cliques = []
    for axis in order:
        gone = domain.attributes[axis]
        clique = {gone, *near[gone]}
        cliques.append(clique)
        for other in near.pop(gone):
            near[other] |= clique
            near[other] -= {gone, other}
    return sum(
        domain.cells(c)
        for i, c in enumerate(cliques)
        if not any(c < d for d in cliques) and c not in cliques[:i]
    )


@over_seeds(10)
def test_many_attributes_are_completed_as_few_are(seed, monkeypatch):
    """What an attribute would join is added up in a matrix, or pair by pair: the same tree."""
    rng = np.random.default_rng(seed)
    names = tuple(f"c{i}" for i in range(triangulation.MANY_ATTRIBUTES + 5))
    domain = Domain(names, tuple(rng.integers(2, 30, len(names)).tolist()))
    pairs = [tuple(sorted(rng.choice(names, 2, replace=False), key=domain.axis)) for _ in range(90)]
    found = triangulate(domain, pairs)
    monkeypatch.setattr(triangulation, "MANY_ATTRIBUTES", len(names))
    assert found == triangulate(domain, pairs)


@over_seeds(20)
def test_as_many_of_the_first_pairs_are_kept_as_a_tree_holds(seed):
    rng = np.random.default_rng(seed)
    domain = Domain(tuple("abcdefgh"), tuple(rng.integers(2, 9, 8).tolist()))
    every = list(combinations(domain, 2))
    pairs = [every[place] for place in rng.permutation(len(every))]
    most = int(rng.integers(50, 5_000))
    beside = [("a", "b", "c")] if seed % 2 else []
    kept = as_many_as_fit(domain, pairs, most, beside)
    assert kept == pairs[: len(kept)]
    assert not kept or fits(domain, [*beside, *kept], most)
    if len(kept) < len(pairs):
        one_more = [*beside, *pairs[: len(kept) + 1]]
        assert total_cells(domain, one_more) > most
        assert not fits(domain, one_more, most)


def test_two_hundred_and_fifty_attributes_of_a_tree_stay_pairs():
    names = tuple(f"a{i}" for i in range(250))
    domain = Domain(names, tuple(2 + i % 69 for i in range(250)))
    for tree in (list(pairwise(names)), [(names[0], name) for name in names[1:]]):
        assert set(triangulate(domain, tree)) == set(tree)


@over_seeds(50)
def test_a_growing_completion_never_costs_more_than_it_said(seed):
    rng = np.random.default_rng(seed)
    domain = random_domain(rng)
    completion, added = Completion(domain, []), []
    for clique in random_cliques(rng, domain, size=4):
        asked = {c: completion.cells_with(c) for c in (*random_cliques(rng, domain), clique)}
        assert asked == {c: completion.cells_with(c) for c in asked}  # asking changes nothing
        completion.add(clique)
        added.append(clique)
        assert completion.cells <= asked[clique]
        assert completion.cells == total_cells(domain, completion.cliques)
        assert triangulate(domain, completion.cliques) == completion.cliques
        assert all(any(set(c) <= set(d) for d in completion.cliques) for c in added)
        assert completion.cells_with(clique) == completion.cells


@over_seeds(50)
def test_what_one_more_pair_costs_is_exact_where_nothing_needs_completing(seed):
    rng = np.random.default_rng(seed)
    domain = Domain(tuple("abcdef"), tuple(int(n) for n in rng.integers(2, 9, 6)))
    order = [str(a) for a in rng.permutation(list("abcdef"))]
    tree = [(order[i], order[int(rng.integers(i))]) for i in range(1, 6) if rng.random() < 0.8]
    completion = Completion(domain, tree)
    for pair in combinations(domain, 2):
        if is_chordal(domain, [*tree, pair]):
            assert completion.cells_with(pair) == total_cells(domain, [*tree, pair])
        else:
            assert completion.cells_with(pair) >= total_cells(domain, [*tree, pair])


ONE_CODE = Domain(tuple(f"c{i}" for i in range(60)), (1,) * 58 + (2, 2))


def test_a_clique_of_more_attributes_than_an_array_has_axes_has_no_room():
    pairs = list(combinations(ONE_CODE.attributes[:33], 2))
    assert total_cells(ONE_CODE, pairs) > 2**60
    assert total_cells(ONE_CODE, pairs[:-1]) < 100
    completion = Completion(ONE_CODE, pairs[:-1])
    assert completion.cells_with(pairs[-1]) > 2**60
    with pytest.raises(InputError, match="at most 1,000,000 are allowed"):
        JunctionTree.of(ONE_CODE, pairs, max_cells=1_000_000)


def test_a_joint_of_distant_attributes_goes_by_any_number_of_attributes_of_one_code():
    names = ONE_CODE.attributes
    chain = [("c58", *names[:30]), (*names[:30], *names[30:31]), (*names[1:31], "c59")]
    tree = JunctionTree.of(ONE_CODE, chain, max_cells=1000)
    potentials = [np.zeros(ONE_CODE.shape(clique)) for clique in tree.cliques]
    model = JunctionTreeModel(tree, tuple(tree.beliefs(potentials)), 8.0)
    assert model.marginal(("c58", "c40", "c59")).tolist() == [[[2.0, 2.0]], [[2.0, 2.0]]]
