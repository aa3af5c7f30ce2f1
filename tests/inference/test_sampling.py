"""Rows of a model: as many of each as expected, and nothing in them that the model lacks."""

import numpy as np
import pytest
from scipy import stats
from whole_tables import over_seeds, random_model

from dp_synth.domain import Domain
from dp_synth.inference import JunctionTree, JunctionTreeModel

ROWS = 100_000


def star():
    """Two children x and y of one parent p, both strongly tied to it."""
    domain = Domain(("p", "x", "y"), (4, 5, 6))
    rng = np.random.default_rng(7)
    parent = np.array([0.4, 0.3, 0.2, 0.1])[:, None]
    tables = (parent * rng.dirichlet(np.ones(5), 4), parent * rng.dirichlet(np.ones(6), 4))
    return JunctionTreeModel(JunctionTree.of(domain, [("p", "x"), ("p", "y")]), tables, 1e5)


@pytest.fixture(scope="module")
def model():
    return star()


@pytest.fixture(scope="module")
def codes(model):
    return model.sample(ROWS, np.random.default_rng(1))


def conditional_information(parent, x, y):
    """The mutual information of x and y given the parent, in nats, by plugging in counts."""
    joint = np.zeros((parent.max() + 1, x.max() + 1, y.max() + 1))
    np.add.at(joint, (parent, x, y), 1 / len(parent))
    independent = joint.sum(2)[:, :, None] * joint.sum(1)[:, None, :]
    independent = independent / joint.sum((1, 2))[:, None, None]
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / independent[seen])).sum())


def excess_information(codes, rng):
    """Information between siblings less its mean over permutations within the parent's values."""
    parent, x, y = codes[:, 0], codes[:, 1], codes[:, 2]
    by_chance = []
    for _ in range(6):
        shuffled = rng.permutation(len(parent))
        order = shuffled[np.argsort(parent[shuffled], kind="stable")]
        place = np.argsort(parent, kind="stable")
        permuted = np.empty_like(y)
        permuted[place] = y[order]
        by_chance.append(conditional_information(parent, x, permuted))
    return conditional_information(parent, x, y) - np.mean(by_chance)


def test_each_cell_is_within_one_row_of_what_its_parent_group_expects(model, codes):
    groups = np.bincount(codes[:, 0], minlength=4)
    assert np.abs(groups - model.marginal(("p",))).max() <= 1
    for child, clique in ((1, ("p", "x")), (2, ("p", "y"))):
        table = model.marginal(clique)
        counts = np.zeros(table.shape)
        np.add.at(counts, (codes[:, 0], codes[:, child]), 1)
        expected = groups[:, None] * table / table.sum(axis=1, keepdims=True)
        assert np.abs(counts - expected).max() < 1 + 1e-6


def test_pairs_that_the_tree_only_implies_come_with_the_frequencies_of_the_model(model, codes):
    given_p = model.marginal(("p", "x")) / model.marginal(("p",))[:, None]
    expected = given_p.T @ model.marginal(("p", "y"))
    counts = np.zeros(expected.shape)
    np.add.at(counts, (codes[:, 1], codes[:, 2]), 1)
    statistic = ((counts - expected) ** 2 / expected).sum()
    # Margins are nearly fixed, so the statistic has at most the variance of independent draws.
    assert statistic < stats.chi2.isf(1e-6, expected.size - 1)


def test_siblings_are_independent_given_their_parent(codes):
    rng = np.random.default_rng(2)
    assert abs(excess_information(codes, rng)) < 0.01
    ordered = codes.copy()  # rows sorted within the groups of the parent: the defect to catch
    for value in range(4):
        rows = np.flatnonzero(codes[:, 0] == value)
        ordered[rows, 1] = np.sort(codes[rows, 1])
        ordered[rows, 2] = np.sort(codes[rows, 2])
    assert excess_information(ordered, rng) > 0.1


def test_the_order_of_rows_carries_nothing(codes):
    for column in range(3):
        for lag in (1, 2, 7):
            pair = codes[:-lag, column], codes[lag:, column]
            # A correlation of n independent rows has a stddev of 1 / sqrt(n): five of them.
            assert abs(np.corrcoef(*pair)[0, 1]) < 5 / np.sqrt(ROWS)
        position = np.corrcoef(np.arange(ROWS), codes[:, column])[0, 1]
        assert abs(position) < 5 / np.sqrt(ROWS)


def test_the_same_generator_gives_the_same_rows(model):
    first, again, other = (model.sample(500, np.random.default_rng(s)) for s in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("records", [0, 1, 2])
def test_few_rows_have_the_shape_of_many(model, records):
    codes = model.sample(records, np.random.default_rng(0))
    assert codes.shape == (records, 3)
    assert codes.dtype == np.int32
    assert codes.flags.f_contiguous


def test_outcomes_without_probability_never_occur():
    domain = Domain(("a", "b"), (3, 3))
    table = np.zeros((3, 3))
    table[0, 0], table[2, 1] = 0.5, 0.5  # a code of a that cannot occur, a last cell of none
    model = JunctionTreeModel(JunctionTree.of(domain, [("a", "b")]), (table,), 10.0)
    codes = model.sample(5_001, np.random.default_rng(0))
    assert {tuple(row) for row in codes.tolist()} == {(0, 0), (2, 1)}


def test_single_rows_have_the_probabilities_of_the_model():
    model = star()
    rng = np.random.default_rng(5)
    drawn = np.concatenate([model.sample(1, rng)[:, 0] for _ in range(1_500)])
    statistic, expected = np.bincount(drawn, minlength=4), 1_500 * model.marginal(("p",)) / 1e5
    assert stats.chisquare(statistic, expected).pvalue > 1e-6


@over_seeds(30)
def test_every_clique_is_within_one_row_of_what_its_separator_expects(seed):
    model, _ = random_model(np.random.default_rng(seed), spread=3.0)
    domain, tree = model.domain, model.tree
    codes = model.sample(2_000, np.random.default_rng(seed))
    for edge in tree.edges:
        clique, probabilities = tree.cliques[edge.child], model.probabilities[edge.child]
        counts = np.zeros(probabilities.shape)
        np.add.at(counts, tuple(codes[:, domain.axis(a)] for a in clique), 1)
        new = tuple(i for i, a in enumerate(clique) if a not in edge.separator)
        mass = probabilities.sum(axis=new, keepdims=True)
        given = np.divide(probabilities, mass, out=np.zeros(counts.shape), where=mass > 0)
        expected = counts.sum(axis=new, keepdims=True) * given
        assert np.abs(counts - expected).max() < 1 + 1e-6


def test_rows_follow_separators_of_more_cells_than_two_bytes_count():
    domain = Domain(tuple("abcd"), (300, 300, 2, 2))
    tree = JunctionTree.of(domain, [("a", "b", "c"), ("a", "b", "d")])
    parity = np.add.outer(np.arange(300), np.arange(300)) % 2
    table = np.stack([parity == 0, parity == 1], axis=2) / 90_000
    model = JunctionTreeModel(tree, (table, table), 1.0)
    codes = model.sample(50_000, np.random.default_rng(0))
    assert len(np.unique(codes[:, 0] * 300 + codes[:, 1])) > 49_000
    for child in (2, 3):
        assert (codes[:, child] == (codes[:, 0] + codes[:, 1]) % 2).all()
