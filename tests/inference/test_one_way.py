"""One-way estimates, and codes merged where noise drowns them."""

import numpy as np
import pytest
from whole_tables import marginal_of, over_seeds, possible_cells

from dp_synth.domain import Domain, Support
from dp_synth.inference import (
    Compression,
    JunctionTree,
    JunctionTreeModel,
    independent_model,
)
from dp_synth.inference.one_way import FEWEST_GROUPS, histogram, widening_of
from dp_synth.transcript import Measurement


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


@over_seeds(20)
def test_structural_zeros_leave_attributes_as_independent_as_they_allow(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((3, 4)) < 0.7
    mask[0], mask[:, 0] = True, True
    domain = Domain(("a", "b"), (3, 4), supports=(Support.of(("a", "b"), mask),))
    weights = [rng.random(3) + 0.1, rng.random(4) + 0.1]
    truth = np.where(mask, np.multiply.outer(*weights), 0)
    truth *= 1000 / truth.sum()
    ones = [Measurement((a,), marginal_of(domain, truth, (a,)), 0.01) for a in domain]
    counts = independent_model(domain, ones).marginal(("a", "b"))
    assert not counts[~mask].any()
    np.testing.assert_allclose(counts, truth, atol=1)


def test_a_histogram_smooths_ordered_codes_and_leaves_marks_alone():
    values = np.array([99.0, 101, 100, 98, 102, 100, 99, 101, 30, -4])
    found = histogram(Measurement(("x",), values, 5.0), 8, values.sum())
    assert np.ptp(found[:8]) == 0
    assert found[8] < 30
    assert found[9] == 0
    assert found.sum() == pytest.approx(values.sum())


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
        ([500, 29, 400], [0, 2, 1]),  # but stands at the end
        ([5, -3, 12], [0, 0, 0]),  # everything rare
        ([7], [0]),
    ],
)
def test_categories_below_three_stddevs_become_one_group(values, groups):
    compression, _ = compression_of(values, ordered=0)
    assert compression.groups["x"].tolist() == groups


def test_neighbouring_codes_merge_until_a_group_outweighs_its_noise():
    # A total of 1,000 and a stddev of 10: a group needs sqrt(1000 * 10) = 100 records.
    compression, _ = compression_of([160, 60, 50, 230, 500], ordered=5)
    assert compression.groups["x"].tolist() == [0, 1, 1, 2, 3]
    last, _ = compression_of([500, 450, 50], ordered=3)
    assert last.groups["x"].tolist() == [0, 1, 1]  # too small to stand alone
    coarse = Compression.of(
        Domain(("x",), (3,), (3,)),
        [Measurement(("x",), np.array([500.0, 450, 50]), 10.0)],
        coarseness=9.0,
    )
    assert coarse.groups["x"].tolist() == [0, 0, 0]


def test_widened_groups_are_larger_but_no_fewer_than_are_always_left():
    domain = Domain(("x",), (100,), (100,))
    one = Measurement(("x",), np.full(100, 1000.0), 10.0)
    sizes = [
        Compression.of(domain, [one], coarseness=2.0, widening=widening).domain.sizes[0]
        for widening in (1.0, 2.0, 1e6)
    ]
    # 100,000 records and a stddev of 10: groups of 2,000, twice that, and an eighth of all.
    assert sizes == [50, 25, 100 // 13]
    assert FEWEST_GROUPS == 8
    assert [widening_of(count) for count in (1, 15, 60)] == [1.0, 1.0, 8.0]


def test_widening_merges_no_codes_of_a_column_that_has_few():
    counts = np.array([670.0, 2_420, 3_830, 2_420, 660])
    for copies in (1, 2):
        size = 5 * copies
        one = Measurement(("x",), np.tile(counts, copies), 29.0)
        domain = Domain(("x",), (size,), (size,))
        found = [
            Compression.of(domain, [one], coarseness=0.4, widening=widening).domain.sizes[0]
            for widening in (1.0, 40.0)
        ]
        assert found[0] == size
        assert (found[1] == size) == (size <= FEWEST_GROUPS)


def test_rare_categories_are_runs_of_their_listed_order_where_they_hold_enough():
    values = np.full(60, 25.0)
    values[[10, 50]] = 1000.0
    domain = Domain(("x",), (60,), (0,))
    one = Measurement(("x",), values, 10.0)
    groups = Compression.of(domain, [one], coarseness=1.0, rare_groups=5).groups["x"]
    assert groups[[10, 50]].tolist() == [0, 1]
    rare = np.delete(groups, [10, 50])
    assert (np.diff(rare) >= 0).all()
    # 3,450 records and a stddev of 10: 1,450 rare ones make 7 groups of 186, of which 5 are had.
    assert set(rare) == {2, 3, 4, 5, 6}
    single = Compression.of(domain, [one], coarseness=1.0).groups["x"]
    assert set(np.delete(single, [10, 50])) == {2}


def random_compression(seed):
    """A wide column of ordered codes and marks beside one that forbids some of its cells."""
    rng = np.random.default_rng(seed)
    ordered, marks = int(rng.integers(0, 30)), int(rng.integers(1, 6))
    size = ordered + marks
    mask = np.ones((size, 2), dtype=bool)
    if seed % 2:
        mask[rng.random(size) < 0.3, 1] = False
    support = Support.of(("x", "y"), mask)
    domain = Domain(("x", "y"), (size, 2), (ordered, 0), supports=(support,))
    values = rng.exponential(rng.choice([1.0, 30.0, 1e3]), size)
    ones = [Measurement(("x",), values, 10.0), Measurement(("y",), np.full(2, 900.0), 10.0)]
    return domain, ones, Compression.of(domain, ones)


@over_seeds(50)
def test_only_codes_alike_merge_and_groups_have_no_gaps(seed):
    domain, _, compression = random_compression(seed)
    ordered = domain.ordered[0]
    group, alike = compression.groups["x"], domain.alike("x")
    for number in range(compression.domain.size("x")):
        members = np.flatnonzero(group == number)
        assert len(set(alike[members])) == 1
    assert not set(group[:ordered]) & set(group[ordered:])
    assert (np.diff(group[:ordered]) >= 0).all()
    assert (possible_cells(compression.domain)[group] == possible_cells(domain)).all()


@over_seeds(50)
def test_shares_of_a_group_sum_to_one_before_and_after_a_better_look(seed):
    domain, ones, compression = random_compression(seed)
    better = compression.shared_by(
        domain, [Measurement(one.clique, one.values + 1, 1.0) for one in ones]
    )
    for found in (compression, better):
        for attribute, group in found.groups.items():
            share = found.shares[attribute]
            assert (share >= 0).all()
            np.testing.assert_allclose(np.bincount(group, weights=share), 1.0)
    assert better.groups is compression.groups


@pytest.mark.parametrize("values", [[5, -3, 12], [0, 0, 0, 0], [-4.0]])
def test_a_group_without_records_is_shared_out_all_the_same(values):
    compression, _ = compression_of(values, ordered=0)
    np.testing.assert_allclose(compression.shares["x"].sum(), 1.0)


def test_a_compressed_measurement_keeps_its_sum_and_carries_the_noise_of_its_cells():
    compression, one = compression_of([500, 29, 300, 5, 8], ordered=0)
    compressed = compression.compress(one)
    assert compressed.values.tolist() == [500, 300, 42]
    np.testing.assert_allclose(compressed.stddev, [10, 10, 10 * np.sqrt(3)])


def refined(values, ordered=0):
    compression, one = compression_of(values, ordered)
    counts = np.maximum(compression.compress(one).values, 0)
    tree = JunctionTree.of(compression.domain, [("x",)])
    model = JunctionTreeModel(tree, (counts / counts.sum(),), float(counts.sum()))
    return compression.refine(model, Domain(("x",), (len(values),), (ordered,)))


@pytest.mark.parametrize(
    ("values", "ordered"),
    [
        ([500, 29, 400], 0),  # groups permute codes and merge none
        ([500, 29, 300, 5], 0),
        ([500, 400, 300], 0),
        ([160, 60, 50, 230, 500, 20, 700], 5),
    ],
)
def test_codes_keep_their_identity_through_groups_and_back(values, ordered):
    model = refined(values, ordered)
    counts = model.marginal(("x",))
    np.testing.assert_allclose(counts, values, rtol=0.2)  # rare ones share by smoothed estimates
    rows = model.sample(sum(values), np.random.default_rng(0))[:, 0]
    drawn = np.bincount(rows, minlength=len(values))
    # Six standard deviations of a draw within a group.
    assert (np.abs(drawn - counts) <= 1 + 6 * np.sqrt(counts)).all()


def test_columns_that_keep_their_codes_are_left_out_of_a_refined_model():
    assert refined([500, 400, 300]).groups == {}
    assert set(refined([500, 29, 400]).groups) == {"x"}
