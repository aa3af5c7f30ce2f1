"""One-way estimates, and codes merged where noise drowns them."""

import numpy as np
import pytest
from scipy import optimize

from dp_synth.domain import Domain
from dp_synth.inference import (
    Compression,
    JunctionTree,
    JunctionTreeModel,
    independent_model,
    project_to_simplex,
)
from dp_synth.measurement import Measurement


@pytest.mark.parametrize("seed", range(50))
def test_projection_is_the_nearest_point_that_bisection_finds(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 40))
    values, variance = rng.normal(0, 50, size), rng.uniform(0.1, 9, size)
    total = float(rng.uniform(0.1, 300))

    def excess(shift):
        return np.maximum(values + variance * shift, 0).sum() - total

    shift = optimize.bisect(excess, -1e5, 1e5, xtol=1e-12)
    found = project_to_simplex(values, total, variance)
    np.testing.assert_allclose(found, np.maximum(values + variance * shift, 0), atol=1e-6)
    assert found.sum() == pytest.approx(total)


def test_projection_survives_values_that_swallow_the_total():
    found = project_to_simplex(np.array([1e20, 3.0]), 1.0)
    assert (found >= 0).all()


def test_independent_attributes_have_the_product_of_their_marginals():
    domain = Domain(("a", "b"), (2, 3))
    ones = [
        Measurement(("a",), np.array([60.0, 40.0]), 1.0),
        Measurement(("b",), np.array([50.0, 50.0, -10.0]), 1.0),
    ]
    model = independent_model(domain, ones)
    a, b = model.marginal(("a",)), model.marginal(("b",))
    assert b[2] == 0
    np.testing.assert_allclose(model.marginal(("b", "a")), np.outer(b, a) / model.total)


def compression_of(values, ordered, stddev=10.0):
    domain = Domain(("x",), (len(values),), (ordered,))
    one = Measurement(("x",), np.array(values, dtype=float), stddev)
    return Compression.of(domain, [one]), one


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        ([500, 400, 300], [0, 1, 2]),  # nothing rare
        ([500, 29, 300, 5], [0, 2, 1, 2]),  # below three stddevs together, at the end
        ([500, 400, 29], [0, 1, 2]),  # a single rare one is not merged with others
        ([5, -3, 12], [0, 0, 0]),  # everything rare
        ([7], [0]),
    ],
)
def test_categories_below_three_stddevs_become_one_group(values, groups):
    compression, _ = compression_of(values, ordered=0)
    assert compression.groups["x"].tolist() == groups


def test_neighbouring_codes_merge_until_a_group_outweighs_its_noise():
    # A total of 1,000 and a stddev of 10: a group needs sqrt(1000 * 10) = 100 records.
    compression, _ = compression_of([60, 60, 130, 20, 90, 540, 60, 40], ordered=8)
    assert compression.groups["x"].tolist() == [0, 0, 1, 2, 2, 3, 4, 4]
    last, _ = compression_of([500, 450, 50], ordered=3)
    assert last.groups["x"].tolist() == [0, 1, 1]  # too small to stand alone


@pytest.mark.parametrize("seed", range(50))
def test_marks_never_merge_with_ordered_codes_and_groups_have_no_gaps(seed):
    rng = np.random.default_rng(seed)
    ordered, marks = int(rng.integers(1, 30)), int(rng.integers(1, 4))
    values = rng.exponential(rng.choice([1.0, 30.0, 1e3]), ordered + marks)
    compression, _ = compression_of(values, ordered)
    group = compression.groups["x"]
    assert not set(group[:ordered]) & set(group[ordered:])
    assert set(group) == set(range(len(compression.splits["x"])))
    assert compression.domain.sizes == (len(compression.splits["x"]),)
    assert (np.diff(group[:ordered]) >= 0).all()


@pytest.mark.parametrize("values", [[500, 29, 300, 5], [5, -3, 12], [0, 0, 0, 0], [-4.0]])
def test_a_group_is_shared_out_whole_among_its_own_codes(values):
    compression, _ = compression_of(values, ordered=0)
    split, group = compression.splits["x"], compression.groups["x"]
    np.testing.assert_allclose(split.sum(axis=1), 1.0)
    assert (split[group[None, :] != np.arange(len(split))[:, None]] == 0).all()


def test_a_compressed_measurement_keeps_its_sum_and_carries_the_noise_of_its_cells():
    compression, one = compression_of([500, 29, 300, 5, 8], ordered=0)
    compressed = compression.compress(one)
    assert compressed.values.tolist() == [500, 300, 42]
    np.testing.assert_allclose(compressed.stddev, [10, 10, 10 * np.sqrt(3)])


def test_expanding_keeps_group_marginals_and_shares_them_out_independently():
    rng = np.random.default_rng(0)
    coarse = Domain(("x", "y"), (2, 3))
    table = rng.dirichlet(np.ones(6)).reshape(2, 3)
    model = JunctionTreeModel(JunctionTree.of(coarse, [("x", "y")]), (table,), 100.0)
    split = np.array([[0.25, 0.0, 0.75, 0.0], [0.0, 1.0, 0.0, 0.0]])
    finer = model.expand(Domain(("x", "y"), (4, 3)), {"x": split})
    fine = finer.marginal(("x", "y"))
    np.testing.assert_allclose(fine[0] + fine[2], 100 * table[0])
    np.testing.assert_allclose(fine[2], 75 * table[0])
    np.testing.assert_allclose(fine[1], 100 * table[1])
    np.testing.assert_allclose(finer.marginal(("y",)), model.marginal(("y",)))
