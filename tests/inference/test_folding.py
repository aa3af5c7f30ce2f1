"""Folded sums and broadcasts against plain numpy, on shapes that take every way through them."""

import numpy as np
import pytest

from dp_synth.inference.folding import Fold


@pytest.mark.parametrize("seed", range(120))
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
