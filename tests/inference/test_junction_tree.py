"""Junction trees, and belief propagation against sums over all cells."""

from itertools import pairwise

import numpy as np
import pytest

from dp_synth.domain import Domain
from dp_synth.inference import JunctionTree, JunctionTreeModel


def random_tree(rng):
    """A domain and cliques of one to three attributes that hang together without a cycle."""
    count = int(rng.integers(1, 7))
    names = tuple("abcdef"[:count])
    domain = Domain(names, tuple(int(size) for size in rng.integers(1, 5, count)))
    order = [str(name) for name in rng.permutation(names)]
    cliques = [tuple(order[: int(rng.integers(1, min(3, count) + 1))])]
    left = order[len(cliques[0]) :]
    while left:
        new = left[: int(rng.integers(1, 3))]
        left = left[len(new) :]
        host = [str(name) for name in rng.permutation(cliques[int(rng.integers(len(cliques)))])]
        cliques.append((*new, *host[: int(rng.integers(0, 3 - len(new) + 1))]))
    return domain, cliques


def joint_of(tree, potentials):
    """The probabilities of all cells, from the sum of log potentials over the whole domain."""
    log = np.zeros(tree.domain.sizes)
    for clique, potential in zip(tree.cliques, potentials, strict=True):
        shape = [tree.domain.size(a) if a in clique else 1 for a in tree.domain]
        log = log + potential.reshape(shape)
    joint = np.exp(log - log.max())
    return joint / joint.sum()


def marginal_of(domain, joint, clique):
    summed = joint.sum(axis=tuple(i for i, a in enumerate(domain) if a not in clique))
    kept = [a for a in domain if a in clique]
    return summed.transpose([kept.index(a) for a in clique])


def model_of(tree, potentials, total=1.0):
    return JunctionTreeModel(tree, tuple(tree.beliefs(potentials)), total)


@pytest.mark.parametrize("seed", range(60))
def test_belief_propagation_gives_the_marginals_of_the_whole_table(seed):
    rng = np.random.default_rng(seed)
    tree = JunctionTree.of(*random_tree(rng))
    potentials = [rng.normal(0, 2, tree.domain.shape(c)) for c in tree.cliques]
    joint = joint_of(tree, potentials)
    for clique, belief in zip(tree.cliques, tree.beliefs(potentials), strict=True):
        np.testing.assert_allclose(belief, marginal_of(tree.domain, joint, clique), atol=1e-12)


@pytest.mark.parametrize("seed", range(60))
def test_marginals_of_one_model_agree_on_overlaps(seed):
    rng = np.random.default_rng(seed)
    tree = JunctionTree.of(*random_tree(rng))
    tables = tree.beliefs([rng.normal(0, 30, tree.domain.shape(c)) for c in tree.cliques])
    for i, left in enumerate(tree.cliques):
        for j, right in enumerate(tree.cliques):
            shared = tuple(a for a in left if a in right)
            np.testing.assert_allclose(
                tree.project(i, tables[i], shared), tree.project(j, tables[j], shared), atol=1e-12
            )


def test_any_order_of_axes_and_any_independent_attributes_have_a_marginal():
    rng = np.random.default_rng(0)
    tree = JunctionTree.of(Domain(tuple("abcd"), (2, 3, 4, 2)), [("a", "b"), ("c", "b")])
    potentials = [rng.normal(size=tree.domain.shape(c)) for c in tree.cliques]
    model, joint = model_of(tree, potentials, 50.0), joint_of(tree, potentials)
    for clique in [("b", "a"), ("b",), ("d", "a"), ("c", "d")]:
        expected = 50 * marginal_of(tree.domain, joint, clique)
        np.testing.assert_allclose(model.marginal(clique), expected, atol=1e-10)


def test_a_marginal_of_attributes_linked_through_others_is_refused():
    tree = JunctionTree.of(Domain(tuple("abc"), (2, 2, 2)), [("a", "b"), ("b", "c")])
    model = model_of(tree, [np.zeros((2, 2))] * 2)
    with pytest.raises(KeyError, match="no clique of the model holds"):
        model.marginal(("a", "c"))


@pytest.mark.parametrize(
    "cliques",
    [
        [("a", "b"), ("b", "c"), ("a", "c")],
        [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")],
        [("a", "b", "c"), ("c", "d"), ("d", "a")],
    ],
)
def test_cliques_with_a_cycle_are_refused(cliques):
    with pytest.raises(ValueError, match="have a cycle"):
        JunctionTree.of(Domain(tuple("abcd"), (2, 2, 2, 2)), cliques)


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


def test_models_whose_numbers_are_no_distribution_are_refused():
    domain = Domain(("a",), (2,))
    good = {"clique_0": np.array([0.5, 0.5])}
    assert JunctionTreeModel.from_arrays(domain, [("a",)], good, 3.0).total == 3.0
    for table in ([0.5, np.nan], [1.5, -0.5], [0.5, 0.6], [1.0]):
        with pytest.raises(ValueError, match="table over"):
            JunctionTreeModel.from_arrays(domain, [("a",)], {"clique_0": np.array(table)}, 3.0)
    for total in (np.nan, np.inf, -1.0):
        with pytest.raises(ValueError, match="total"):
            JunctionTreeModel.from_arrays(domain, [("a",)], good, total)
    with pytest.raises(ValueError, match="not those of a junction tree"):
        JunctionTreeModel.from_arrays(domain, [("a", "b")], good, 3.0)
