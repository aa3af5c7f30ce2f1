"""Marginals of any attributes, evidence, and models as arrays, against tables of all cells."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from whole_tables import aligned, marginal_of, over_seeds, random_cliques, random_model

from dp_synth.domain import Domain, Support
from dp_synth.errors import InputError
from dp_synth.inference import JunctionTree, JunctionTreeModel


def chain(sizes):
    names = tuple("abcdefgh"[: len(sizes)])
    tree = JunctionTree.of(Domain(names, sizes), pairwise(names))
    rng = np.random.default_rng(0)
    tables = tree.beliefs([rng.normal(size=tree.domain.shape(c)) for c in tree.cliques])
    return JunctionTreeModel(tree, tuple(tables), 1.0)


@over_seeds(50)
def test_any_attributes_in_any_order_have_their_marginal(seed):
    rng = np.random.default_rng(seed)
    model, joint = random_model(rng)
    domain = model.domain
    for size in range(len(domain) + 1):
        for subset in combinations(domain, size):
            clique = tuple(str(a) for a in rng.permutation(subset))
            expected = 50 * marginal_of(domain, joint, clique)
            np.testing.assert_allclose(model.marginal(clique), expected, atol=1e-10)


@over_seeds(30)
def test_marginals_hold_where_probabilities_vanish(seed):
    model, joint = random_model(np.random.default_rng(seed), spread=400.0)
    for clique in combinations(model.domain, 2):
        expected = 50 * marginal_of(model.domain, joint, clique)
        np.testing.assert_allclose(model.marginal(clique), expected, atol=1e-10)


def test_a_marginal_of_too_many_cells_is_refused_with_both_numbers():
    model = chain((50, 2, 60))
    assert model.marginal(("a", "c"), max_cells=3_000).shape == (50, 60)
    with pytest.raises(InputError, match=r"3,000 cells, at most 2,999 are allowed"):
        model.marginal(("a", "c"), max_cells=2_999)


def test_a_table_on_the_way_counts_as_well():
    names = tuple("xabcy")
    cliques = [("x", "a", "b", "c"), ("a", "b", "c", "y")]
    tree = JunctionTree.of(Domain(names, (2, 9, 9, 9, 2)), cliques)
    tables = tree.beliefs([np.zeros(tree.domain.shape(c)) for c in tree.cliques])
    model = JunctionTreeModel(tree, tuple(tables), 1.0)
    np.testing.assert_allclose(model.marginal(("x", "y")), np.full((2, 2), 0.25))
    with pytest.raises(InputError, match=r"needs a table of 1,458 cells, at most 1,000"):
        model.marginal(("x", "y"), max_cells=1_000)


@over_seeds(50)
def test_evidence_gives_the_conditional_distribution_and_the_expected_records(seed):
    rng = np.random.default_rng(seed)
    model, joint = random_model(rng)
    domain = model.domain
    picked = [a for a in domain if rng.random() < 0.5]
    weights = {a: rng.uniform(0.1, 3, domain.size(a)) for a in picked}
    for attribute in picked[1:]:  # and hard evidence on all but one
        weights[attribute][rng.permutation(domain.size(attribute))[1:]] = 0
    for attribute, weight in weights.items():
        joint = joint * aligned(domain, (attribute,), weight)
    given = model.conditioned(weights)
    assert given.total == pytest.approx(50 * joint.sum())
    for clique in (*random_cliques(rng, domain), *((a,) for a in domain)):
        expected = 50 * marginal_of(domain, joint, clique)
        np.testing.assert_allclose(given.marginal(clique), expected, atol=1e-10)


def test_evidence_of_a_tiny_probability_is_met_exactly():
    domain = Domain(("a", "b"), (2, 2))
    table = np.array([[1 - 1e-200, 0.0], [1e-200, 3e-200]])
    model = JunctionTreeModel(JunctionTree.of(domain, [("a", "b")]), (table,), 1.0)
    given = model.conditioned({"a": np.array([0.0, 1.0])})
    np.testing.assert_allclose(given.probabilities[0], [[0, 0], [0.25, 0.75]])
    assert given.total == pytest.approx(4e-200)


def test_evidence_that_no_record_meets_is_refused():
    domain = Domain(("a", "b", "c"), (2, 2, 2))
    tree = JunctionTree.of(domain, [("a", "b")])
    model = JunctionTreeModel(tree, (np.eye(2) / 2, np.array([1.0, 0.0])), 9.0)
    first, second = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert model.conditioned({"a": first}).total == pytest.approx(4.5)
    assert model.conditioned({}).total == pytest.approx(9)
    for weights in ({"a": first, "b": second}, {"c": second}, {"a": np.zeros(2)}):
        with pytest.raises(ValueError, match="has probability zero"):
            model.conditioned(weights)


@pytest.mark.parametrize("weight", [[1.0], [1.0, -1.0], [1.0, np.nan], [np.inf, 1.0]])
def test_weights_that_are_no_weights_are_refused(weight):
    with pytest.raises(ValueError, match="weights of 'a' must be"):
        chain((2, 2)).conditioned({"a": np.array(weight)})


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
    with pytest.raises(ValueError, match="no attributes 'b'"):
        JunctionTreeModel.from_arrays(domain, [("a", "b")], good, 3.0)


def test_cliques_that_are_not_those_of_a_tree_are_refused():
    domain = Domain(("a", "b", "c"), (2, 2, 2))
    cliques = [("a", "b"), ("a", "c"), ("b", "c")]
    tables = {f"clique_{i}": np.full((2, 2), 0.25) for i in range(3)}
    with pytest.raises(ValueError, match="not those of a junction tree"):
        JunctionTreeModel.from_arrays(domain, cliques, tables, 3.0)


@over_seeds(20)
def test_a_model_comes_back_from_its_arrays(seed):
    model, _ = random_model(np.random.default_rng(seed))
    again = JunctionTreeModel.from_arrays(
        model.domain, model.tree.cliques, model.to_arrays(), model.total
    )
    assert again.tree == model.tree
    for one, other in zip(model.probabilities, again.probabilities, strict=True):
        np.testing.assert_array_equal(one, other)


def test_models_with_mass_on_a_structural_zero_are_refused():
    zeros = (Support.of(("b", "a"), np.array([[True, True], [False, True]])),)
    domain = Domain(("a", "b"), (2, 2), supports=zeros)
    good = {"clique_0": np.array([[0.5, 0.0], [0.25, 0.25]])}
    assert JunctionTreeModel.from_arrays(domain, [("a", "b")], good, 3.0).total == 3.0
    bad = {"clique_0": np.full((2, 2), 0.25)}
    with pytest.raises(ValueError, match="must be 0 where nothing occurs"):
        JunctionTreeModel.from_arrays(domain, [("a", "b")], bad, 3.0)
