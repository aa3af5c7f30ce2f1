"""Factor operations against plain numpy, on shapes that take every way through them."""

import numpy as np
import pytest
from whole_tables import aligned, marginal_of, over_seeds, random_domain

from dp_synth.domain import Domain
from dp_synth.inference.factors import MANY_TABLES, Fold, Projections, TreeProjections


@over_seeds(50)
def test_folding_is_what_numpy_does_along_the_other_axes(seed):
    rng = np.random.default_rng(seed)
    axes = int(rng.integers(0, 6))
    shape = tuple(int(n) for n in rng.choice([1, 2, 3, 7, 9, 20], axes))
    kept = frozenset(int(i) for i in np.flatnonzero(rng.random(axes) < 0.5))
    others = tuple(i for i in range(axes) if i not in kept)
    fold, table = Fold(shape, kept), rng.normal(size=shape)
    summed = fold.sum(table)
    np.testing.assert_allclose(summed, table.sum(axis=others).reshape(-1), atol=1e-9)
    np.testing.assert_array_equal(fold.max(table), table.max(axis=others).reshape(-1))
    np.testing.assert_array_equal(fold.any(table > 1), (table > 1).any(axis=others).reshape(-1))
    message = rng.normal(size=summed.shape)
    spread = message.reshape([n if i in kept else 1 for i, n in enumerate(shape)])
    added, multiplied = table.copy(), table.copy()
    fold.add(added, message)
    fold.multiply(multiplied, message)
    np.testing.assert_array_equal(added, table + spread)
    np.testing.assert_array_equal(multiplied, table * spread)


def test_a_sum_that_leaves_every_axis_shares_no_memory_with_the_table():
    table = np.arange(3.0).reshape(3, 1)
    message = Fold((3, 1), frozenset([0])).sum(table)
    message += 1
    assert table.reshape(-1).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("shape", "kept"), [((40, 300, 2), {0, 2}), ((300, 2, 60), {0, 2})])
def test_wide_tables_fold_as_small_ones_do(shape, kept):
    table = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(
        Fold(shape, frozenset(kept)).sum(table), table.sum(axis=1).reshape(-1), atol=1e-9
    )


def random_case(seed):
    """A domain, some subsets of it in domain order, numbered with gaps, and the projections."""
    rng = np.random.default_rng(seed)
    domain = random_domain(rng)
    numbers = sorted(rng.choice(40, int(rng.integers(1, 12)), replace=False).tolist())
    wanted = {n: tuple(a for a in domain if rng.random() < 0.5) for n in numbers}
    return rng, domain, wanted, Projections.of(domain, domain.attributes, wanted)


@over_seeds(50)
def test_collected_sums_are_the_plain_ones(seed):
    rng, domain, wanted, projections = random_case(seed)
    table = rng.normal(size=domain.sizes)
    found = [np.empty(0)] * 40
    projections.collect(table, found)
    for number, subset in wanted.items():
        np.testing.assert_allclose(
            found[number].reshape(domain.shape(subset)),
            marginal_of(domain, table, subset),
            atol=1e-9,
        )


@over_seeds(50)
def test_spreading_adds_up_the_parameters_of_all_subsets_and_is_the_transpose(seed):
    rng, domain, wanted, projections = random_case(seed)
    parameters = [np.empty(0)] * 40
    for number, subset in wanted.items():
        parameters[number] = rng.normal(size=domain.cells(subset))
    plain = sum(
        (aligned(domain, s, parameters[n].reshape(domain.shape(s))) for n, s in wanted.items()),
        np.zeros(domain.sizes),
    )
    spread = projections.spread(parameters)
    np.testing.assert_allclose(spread, plain, atol=1e-9)
    table, sums = rng.normal(size=domain.sizes), [np.empty(0)] * 40
    projections.collect(table, sums)
    paired = sum(float(sums[number] @ parameters[number]) for number in wanted)
    assert float((table * spread).sum()) == pytest.approx(paired, abs=1e-9)


def test_a_table_that_nothing_is_asked_of_spreads_zeros():
    _, domain, _, _ = random_case(0)
    projections = Projections.of(domain, domain.attributes, {})
    projections.collect(np.ones(domain.sizes), [])
    assert not projections.spread([]).any()


def test_many_tables_are_summed_together_as_each_by_itself():
    rng = np.random.default_rng(0)
    sizes = tuple(rng.integers(1, 5, MANY_TABLES + 12).tolist())
    domain = Domain(tuple(f"c{place}" for place in range(len(sizes))), (*sizes[:-1], 5_000))
    names = domain.attributes
    cliques = [names[place : place + 3] for place in range(len(names) - 2)]
    wanted, number = {}, 0
    for place, (one, other, third) in enumerate(cliques):
        subsets = [(one,), (one, third), (one, other, third)][: place % 4]
        wanted[place] = dict(enumerate(subsets, start=number))
        number += len(subsets)
    projections = TreeProjections.of(domain, cliques, wanted)
    assert list(projections.large) == [len(cliques) - 1]  # the others are small
    each = [Projections.of(domain, clique, wanted[place]) for place, clique in enumerate(cliques)]
    parameters = rng.normal(size=projections.count)
    parts = np.split(parameters, projections.starts[1:])
    tables = projections.spread(parameters)
    for table, alone in zip(tables, each, strict=True):
        np.testing.assert_allclose(table, alone.spread(parts), atol=1e-12)
    sums = {}
    for table, alone in zip(tables, each, strict=True):
        alone.collect(table, sums)
    expected = np.concatenate([sums[place] for place in range(number)])
    np.testing.assert_allclose(projections.collect(tables), expected, atol=1e-9)
