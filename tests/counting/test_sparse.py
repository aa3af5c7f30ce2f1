"""Sparse counts: the same cells as dense ones, and cliques of any number of cells."""

from __future__ import annotations

import numpy as np
import pytest
from made_counts import made_table, some_cliques

from dp_synth.counting import CodeCounts, marginals
from dp_synth.domain import Domain


@pytest.mark.parametrize("most_numbers", [2**63, 40])  # 40: cells take several words
@pytest.mark.parametrize("seed", range(15))
def test_sparse_counts_are_the_dense_ones_without_their_zeros(
    seed: int, most_numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    table, domain = made_table(rng, 300)
    counts = CodeCounts.of(table, domain)
    monkeypatch.setattr(marginals, "CELLS_A_LINE", 0)  # no clique is small enough to be dense
    monkeypatch.setattr(marginals, "block_length", lambda axes: 60)
    cliques = [clique for clique in some_cliques(rng) if clique]
    expected = [np.flatnonzero(counts.marginal(clique)) for clique in cliques]
    monkeypatch.setattr(marginals, "MAX_NUMBERED_CELLS", most_numbers)
    for clique, cells in zip(cliques, expected, strict=True):
        found, sums = counts.occupied(clique)
        shape = domain.shape(clique)
        assert np.array_equal(np.ravel_multi_index(tuple(found.T), shape), cells)
        assert np.array_equal(sums, counts.marginal(clique).reshape(-1)[cells])
        if domain.cells(clique) <= most_numbers:
            assert np.array_equal(counts.sparse_marginal(clique)[0], cells)


def test_a_clique_of_ten_to_the_sixteen_cells_is_counted_by_its_records() -> None:
    rng = np.random.default_rng(0)
    domain = Domain(("a", "b", "c", "d"), (10_000,) * 4)
    table = rng.integers(0, 10_000, (500, 4), dtype=np.int32)
    table[250:] = table[:250]
    cells, sums = CodeCounts.of(table, domain).sparse_marginal(("d", "a", "c", "b"))
    numbers = np.ravel_multi_index(tuple(table[:250, [3, 0, 2, 1]].T), (10_000,) * 4)
    assert np.array_equal(cells, np.sort(numbers))
    assert np.array_equal(sums, np.full(250, 2.0))


def test_more_cells_than_int64_can_number_are_still_counted() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"x{i}" for i in range(30))
    table = rng.integers(0, 1000, (400, 30), dtype=np.int32)
    counts = CodeCounts.of(np.repeat(table, 3, axis=0), Domain(names, (1000,) * 30))
    with pytest.raises(ValueError, match=r"too many to number; take occupied\(\)"):
        counts.sparse_marginal(names)
    found, sums = counts.occupied(names)
    assert np.array_equal(found, table[np.lexsort(table.T[::-1])])
    assert np.array_equal(sums, np.full(400, 3.0))


def test_cell_numbers_reach_the_end_of_int64() -> None:
    domain = Domain(("a", "b"), (2**31, 2**31))
    last = np.full((2, 2), 2**31 - 1, dtype=np.int32)
    cells, sums = CodeCounts.of(last, domain).sparse_marginal(("a", "b"))
    assert (cells.tolist(), sums.tolist()) == ([2**62 - 1], [2.0])


def test_the_empty_clique_counts_all_records() -> None:
    counts = CodeCounts.of(*made_table(np.random.default_rng(0), 50))
    cells, sums = counts.sparse_marginal(())
    assert (cells.tolist(), sums.tolist()) == ([0], [50.0])
    assert counts.occupied(())[0].shape == (1, 0)
