"""Junction trees, and belief propagation against sums over all cells."""

from itertools import pairwise

import numpy as np
import pytest
from whole_tables import (
    joint_of,
    marginal_of,
    over_seeds,
    possible_cells,
    random_cliques,
    random_domain,
    random_tree,
    with_supports,
)

from dp_synth.domain import Domain, Support
from dp_synth.errors import InputError, SchemaError
from dp_synth.inference import JunctionTree, JunctionTreeModel
from dp_synth.inference.junction_tree import check_supports


def support(clique, rows):
    return Support.of(clique, np.array(rows, dtype=bool))


@over_seeds(50)
def test_belief_propagation_gives_the_marginals_of_the_whole_table(seed):
    rng = np.random.default_rng(seed)
    tree = random_tree(rng)
    potentials = [rng.normal(0, 2, tree.domain.shape(c)) for c in tree.cliques]
    given = [potential.copy() for potential in potentials]
    joint = joint_of(tree, potentials)
    for clique, belief in zip(tree.cliques, tree.beliefs(potentials), strict=True):
        np.testing.assert_allclose(belief, marginal_of(tree.domain, joint, clique), atol=1e-12)
    for before, after in zip(given, potentials, strict=True):
        np.testing.assert_array_equal(before, after)  # potentials are left as they are


@over_seeds(50)
def test_beliefs_stay_exact_where_potentials_span_more_than_a_float_can(seed):
    rng = np.random.default_rng(seed)
    tree = random_tree(rng)
    potentials = [
        rng.choice([-3e3, -800.0, 0.0, 700.0], tree.domain.shape(c)) for c in tree.cliques
    ]
    joint = joint_of(tree, potentials)
    for clique, belief in zip(tree.cliques, tree.beliefs(potentials), strict=True):
        np.testing.assert_allclose(belief, marginal_of(tree.domain, joint, clique), atol=1e-12)


@over_seeds(50)
def test_the_log_total_is_that_of_the_whole_table(seed):
    rng = np.random.default_rng(seed)
    tree = random_tree(rng)
    potentials = [rng.normal(0, 2, tree.domain.shape(c)) for c in tree.cliques]
    log = joint_of(tree, potentials)
    first = (0,) * len(tree.domain)
    at_first = sum(float(potential[(0,) * potential.ndim]) for potential in potentials)
    _, log_total = tree.propagation.run(potentials)
    assert log_total == pytest.approx(at_first - np.log(log[first]), abs=1e-9)


@over_seeds(50)
def test_structural_zeros_and_all_that_they_imply_get_exactly_nothing(seed):
    rng = np.random.default_rng(seed)
    domain = with_supports(rng, random_domain(rng))
    tree = JunctionTree.of(domain, random_cliques(rng, domain))
    potentials = [rng.normal(0, 300, domain.shape(c)) for c in tree.cliques]
    joint, possible = joint_of(tree, potentials), possible_cells(domain)
    for clique, belief in zip(tree.cliques, tree.beliefs(potentials), strict=True):
        impossible = marginal_of(domain, possible.astype(float), clique) == 0
        assert (belief[impossible] == 0).all()
        np.testing.assert_allclose(belief, marginal_of(domain, joint, clique), atol=1e-12)
    check_supports(domain)


def test_a_whole_slice_of_a_separator_can_be_impossible_on_either_side():
    for zeros in (support(("a", "b"), [[1, 1, 0]] * 2), support(("b", "c"), [[1], [1], [0]] * 1)):
        domain = Domain(tuple("abc"), (2, 3, 1), supports=(zeros,))
        tree = JunctionTree.of(domain, [("a", "b"), ("b", "c")])
        ab, bc = tree.beliefs([np.zeros((2, 3)), np.zeros((3, 1))])
        np.testing.assert_array_equal(ab.sum(axis=0), [0.5, 0.5, 0])
        np.testing.assert_array_equal(bc.sum(axis=1), [0.5, 0.5, 0])


def test_supports_that_leave_no_record_are_refused_by_the_names_of_their_columns():
    never_equal = support(("a", "b"), [[0, 1], [1, 0]])
    equal = [support(pair, [[1, 0], [0, 1]]) for pair in (("b", "c"), ("a", "c"))]
    domain = Domain(tuple("xabc"), (2, 2, 2, 2), supports=(never_equal, *equal))
    with pytest.raises(SchemaError, match="'a', 'b', 'c' contradict") as refused:
        check_supports(domain)
    assert "'x'" not in str(refused.value)
    check_supports(Domain(tuple("xabc"), (2, 2, 2, 2), supports=(never_equal, equal[0])))


@over_seeds(50)
def test_contradictions_are_found_just_where_no_cell_is_left(seed):
    rng = np.random.default_rng(seed)
    plain = random_domain(rng)
    cliques = [c for c in random_cliques(rng, plain) if c]
    masks = [rng.random(plain.shape(clique)) < 0.35 for clique in cliques]
    domain = Domain(plain.attributes, plain.sizes, supports=tuple(map(Support.of, cliques, masks)))
    if possible_cells(domain).any():
        check_supports(domain)
    else:
        with pytest.raises(SchemaError, match="contradict"):
            check_supports(domain)


@over_seeds(50)
def test_marginals_of_one_model_agree_on_overlaps(seed):
    rng = np.random.default_rng(seed)
    tree = random_tree(rng)
    tables = tree.beliefs([rng.normal(0, 30, tree.domain.shape(c)) for c in tree.cliques])
    for i, left in enumerate(tree.cliques):
        for j, right in enumerate(tree.cliques):
            shared = tuple(a for a in left if a in right)
            np.testing.assert_allclose(
                tree.project(i, tables[i], shared), tree.project(j, tables[j], shared), atol=1e-12
            )


@over_seeds(50)
def test_separators_hold_all_that_a_clique_shares_with_those_before_it(seed):
    rng = np.random.default_rng(seed)
    domain = with_supports(rng, random_domain(rng))
    tree = JunctionTree.of(domain, random_cliques(rng, domain))
    seen: set[str] = set()
    for edge in tree.edges:
        clique = set(tree.cliques[edge.child])
        assert clique & seen == set(edge.separator)
        assert edge.parent < 0 or set(edge.separator) <= set(tree.cliques[edge.parent])
        assert (edge.parent < 0) == (not edge.separator)
        seen |= clique
    assert seen == set(domain)
    assert tree.cells == sum(map(domain.cells, tree.cliques))


def test_cliques_with_a_cycle_are_joined():
    domain = Domain(tuple("abcd"), (2, 2, 2, 2))
    tree = JunctionTree.of(domain, [("a", "b"), ("b", "c"), ("a", "c")])
    assert tree.cliques == (("a", "b", "c"), ("d",))


def test_a_tree_of_more_cells_than_allowed_is_refused_with_both_numbers():
    domain = Domain(tuple("ab"), (30, 40))
    assert JunctionTree.of(domain, [("a", "b")], max_cells=1_200).cells == 1_200
    with pytest.raises(InputError, match=r"1,200 cells in all, at most 1,199 are allowed"):
        JunctionTree.of(domain, [("a", "b")], max_cells=1_199)


def test_a_tree_holds_the_supports_of_its_domain():
    domain = Domain(tuple("abc"), (2, 2, 1), supports=(support(("c", "a"), [[1, 0]]),))
    assert JunctionTree.of(domain, []).cliques == (("a", "c"), ("b",))


def test_a_tree_holds_maximal_cliques_and_attributes_that_no_clique_names():
    tree = JunctionTree.of(
        Domain(tuple("abcd"), (2, 2, 2, 2)), [("b", "a"), ("a",), ("a", "b"), ("c", "b")]
    )
    assert tree.cliques == (("a", "b"), ("b", "c"), ("d",))
    assert [(e.child, e.parent, e.separator) for e in tree.edges] == [
        (0, -1, ()),
        (1, 0, ("b",)),
        (2, -1, ()),
    ]


def test_of_equal_parents_the_smaller_is_taken():
    domain = Domain(tuple("abcd"), (9, 2, 3, 4))
    tree = JunctionTree.of(domain, [("a", "b"), ("b", "c"), ("b", "d")])
    assert [(e.child, e.parent) for e in tree.edges] == [(0, -1), (1, 0), (2, 1)]


def test_the_home_of_attributes_is_the_smallest_clique_that_holds_them():
    tree = JunctionTree.of(Domain(tuple("abc"), (9, 2, 3)), [("a", "b"), ("b", "c")])
    assert tree.home(("b",)) == 1
    assert tree.home(("b", "a")) == 0
    assert tree.home(("a", "c")) is None


def test_two_hundred_and_fifty_attributes_hang_in_one_tree():
    names = tuple(f"a{i}" for i in range(250))
    tree = JunctionTree.of(Domain(names, tuple(2 + i % 69 for i in range(250))), pairwise(names))
    assert len(tree.cliques) == len(tree.edges) == 249
    assert sum(edge.parent < 0 for edge in tree.edges) == 1
    ends = JunctionTreeModel(tree, tuple(tree.beliefs([np.zeros(s) for s in shapes(tree)])), 1.0)
    np.testing.assert_allclose(ends.marginal(("a249", "a0")), np.full((44, 2), 1 / 88))


def shapes(tree):
    return [tree.domain.shape(clique) for clique in tree.cliques]


@pytest.mark.parametrize("sizes", [(), (3,), (2, 1, 7, 2)])
def test_a_tree_of_independent_attributes_is_that_of_no_cliques(sizes: tuple[int, ...]) -> None:
    domain = Domain(tuple("abcd"[: len(sizes)]), sizes)
    assert JunctionTree.independent(domain) == JunctionTree.of(domain, [])
