"""The incremental completion: chordal at every step, and as large as it said it would be."""

from itertools import combinations

import numpy as np
import pytest
from whole_tables import over_seeds

from dp_synth.domain import Domain
from dp_synth.inference.chordal_completion import Completion
from dp_synth.inference.junction_tree import JunctionTree
from dp_synth.inference.triangulation import bits_of, clique_of, total_cells, triangulate


def random_domain(rng, most):
    count = int(rng.integers(3, most + 1))
    return Domain(tuple(f"x{i}" for i in range(count)), tuple(rng.integers(1, 7, count).tolist()))


def random_cliques(rng, domain, size=2):
    cliques = list(combinations(domain, size))
    rng.shuffle(cliques)
    return [tuple(clique) for clique in cliques[: 3 * len(domain)]]


@over_seeds(100)
def test_a_completion_is_chordal_at_every_step_and_grows_by_what_it_said(seed):
    rng = np.random.default_rng(seed)
    domain = random_domain(rng, 12)
    completion, added = Completion(domain), []
    for clique in random_cliques(rng, domain, int(rng.integers(2, 4))):
        said = completion.cells_with(clique)
        completion.add(clique)
        added.append(clique)
        found = completion.cliques
        assert triangulate(domain, found) == found  # chordal: nothing to join
        assert said == completion.cells == sum(map(domain.cells, found))
        assert completion.holds(clique)
        assert completion.cells_with(clique) == said
        for one in added:
            assert any(set(one) <= set(held) for held in found)


@over_seeds(100)
def test_the_quick_bound_is_the_size_of_a_chordal_graph_with_the_pair(seed):
    rng = np.random.default_rng(seed)
    domain = random_domain(rng, 12)
    completion = Completion(domain)
    for added in random_cliques(rng, domain)[: int(rng.integers(0, 2 * len(domain)))]:
        completion.add(added)
    for pair in combinations(domain, 2):
        bound = completion.most_cells_with(pair)
        if completion.holds(pair):
            assert bound == completion.cells
            continue
        links = completion._forest.between(bits_of(domain, pair))
        inner = clique_of(domain, completion._forest.shared(links))
        # One of the pair, and its other half, joined to every separator on the path.
        stars = [[pair, *((end, other) for other in inner if end != other)] for end in pair]
        sizes = [total_cells(domain, [*completion.cliques, *star]) for star in stars]
        if all(
            completion._cliques[one] & completion._cliques[other]
            for one, near in links.items()
            for other in near
        ):
            assert bound >= min(sizes)
        if len(links) <= 2:
            assert bound == completion.cells_with(pair) == min(sizes)


@over_seeds(50)
def test_the_quick_bound_is_exact_between_components(seed):
    rng = np.random.default_rng(seed)
    domain = Domain(tuple(f"x{i}" for i in range(12)), tuple(rng.integers(1, 6, 12).tolist()))
    tree = [(f"x{int(rng.integers(0, i))}", f"x{i}") for i in range(1, 12) if rng.random() < 0.8]
    completion = Completion(domain, tree)
    components = JunctionTree.of(domain, tree).components
    for pair in combinations(domain, 2):
        if components[pair[0]] != components[pair[1]]:
            assert completion.most_cells_with(pair) == total_cells(domain, [*tree, pair])


@over_seeds(50)
def test_a_forest_grows_without_any_other_pair(seed):
    rng = np.random.default_rng(seed)
    domain = Domain(tuple(f"x{i}" for i in range(12)), tuple(rng.integers(1, 6, 12).tolist()))
    tree = [(f"x{int(rng.integers(0, i))}", f"x{i}") for i in range(1, 12) if rng.random() < 0.8]
    rng.shuffle(tree)
    tree = [tuple(pair) for pair in tree]
    completion = Completion(domain)
    for pair in tree:
        completion.add(pair)
    assert completion.cliques == triangulate(domain, tree) == Completion(domain, tree).cliques


@over_seeds(50)
def test_completing_afresh_never_adds_a_cell_and_keeps_all_that_was_added(seed):
    rng = np.random.default_rng(seed)
    domain = random_domain(rng, 10)
    completion, pairs = Completion(domain), random_cliques(rng, domain)
    for pair in pairs:
        completion.add(pair)
    before = completion.cells
    completion.complete_afresh()
    assert completion.cells == min(before, total_cells(domain, pairs))
    assert all(completion.holds(pair) for pair in pairs)
    for pair in combinations(domain, 2):  # and it grows on from there
        said = completion.cells_with(pair)
        completion.add(pair)
        assert completion.cells == said
    assert completion.cells == domain.cells(domain)


def test_an_unknown_attribute_is_named():
    completion = Completion(Domain(("a", "b"), (2, 2)))
    with pytest.raises(KeyError, match="c"):
        completion.add(("a", "c"))
