"""Counts in memory: exact by every way of counting, and refused only for public reasons."""

from __future__ import annotations

import numpy as np
import pytest
from made_counts import NAMES, halved, made_table, slow_marginal, some_cliques

from dp_synth.counting import LARGEST_DENSE, CodeCounts, marginals
from dp_synth.counting.columns import MemoryColumns
from dp_synth.domain import Domain
from dp_synth.types import Codes


def _lines(counts: CodeCounts) -> int:
    """How many lines the store goes over."""
    return len(counts._columns)


@pytest.mark.parametrize("seed", range(50))
def test_marginals_are_counts_of_records_in_the_order_of_the_clique(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, domain = made_table(rng, int(rng.integers(0, 30)))
    counts, cliques = CodeCounts.of(codes, domain), some_cliques(rng)
    for clique, found in zip(cliques, counts.marginals(cliques), strict=True):
        assert found.dtype == np.float64
        assert found.flags.c_contiguous
        assert np.array_equal(found, slow_marginal(codes, domain, clique))
        assert np.array_equal(found, counts.marginal(clique))


@pytest.mark.parametrize("seed", range(20))
def test_counting_in_blocks_over_several_passes_changes_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    codes, domain = made_table(rng, 500)
    cliques = some_cliques(rng)
    expected = CodeCounts.of(codes, domain).marginals(cliques)
    monkeypatch.setattr(marginals, "block_length", lambda axes: 37)
    monkeypatch.setattr(marginals, "CELLS_A_PASS", 50)
    monkeypatch.setattr(marginals, "MIN_BLOCK_LINES", int(rng.integers(1, 200)))
    found = CodeCounts(MemoryColumns(list(codes.T), len(codes)), domain).marginals(cliques)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_marginals_from_shared_tables_do_not_share_memory() -> None:
    codes, domain = made_table(np.random.default_rng(0), 200_000, largest=30)
    counts = CodeCounts.of(codes, domain)
    cliques = [("a", "b"), ("b", "a"), ("a", "b"), ("a",), ("c", "a"), ()]
    found = counts.marginals(cliques)
    before = [one.copy() for one in found]
    for one in found:
        one += 1
    assert all(np.array_equal(one, old + 1) for one, old in zip(found, before, strict=True))
    assert before[-1].shape == ()
    assert before[-1] == 200_000
    assert np.array_equal(before[0], before[1].T)


def _repeating(rng: np.random.Generator) -> tuple[Codes, Domain]:
    codes, domain = made_table(rng, 8, largest=3)
    return codes[rng.integers(0, 8, size=3000)], domain


@pytest.mark.parametrize("seed", range(10))
def test_records_that_repeat_each_other_are_counted_once_with_their_weight(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, domain = _repeating(rng)
    counts, cliques = CodeCounts.of(codes, domain), some_cliques(rng)
    assert _lines(counts) <= 8
    assert len(counts) == 3000
    for clique, found in zip(cliques, counts.marginals(cliques), strict=True):
        assert np.array_equal(found, slow_marginal(codes, domain, clique))
    coarse = counts.coarsened({"a": halved(domain, "a")})
    assert len(coarse) == 3000
    assert coarse.marginal(("a",)).sum() == 3000
    cells, sums = counts.sparse_marginal(NAMES)
    dense_cells = slow_marginal(codes, domain, NAMES).reshape(-1)
    assert np.array_equal(cells, np.flatnonzero(dense_cells))
    assert np.array_equal(sums, dense_cells[cells])


@pytest.mark.parametrize("seed", range(20))
def test_merging_codes_twice_is_merging_them_by_both_groups(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, domain = made_table(rng, 40, largest=9)
    counts = CodeCounts.of(codes, domain)
    once = counts.coarsened({"b": halved(domain, "b"), "d": halved(domain, "d")})
    twice = once.coarsened({"b": halved(once.domain, "b")})
    relabelled = codes.copy()
    relabelled[:, 1] //= 4
    relabelled[:, 3] //= 2
    assert twice.domain.sizes[1] == (domain.sizes[1] + 3) // 4
    for clique in some_cliques(rng):
        expected = slow_marginal(relabelled, twice.domain, clique)
        assert np.array_equal(twice.marginal(clique), expected)
        assert np.array_equal(counts.marginal(clique), slow_marginal(codes, domain, clique))


def test_codes_in_fortran_order_are_shared_and_never_written_to() -> None:
    codes, domain = made_table(np.random.default_rng(0), 1000, largest=40)
    codes = np.asfortranarray(codes)
    codes.flags.writeable = False
    counts = CodeCounts.of(codes, domain)
    counts.coarsened({"a": halved(domain, "a")}).marginals([("a", "b"), ("e",)])
    assert np.shares_memory(counts._columns.read([2], 0, 1000)[0], codes)


def test_more_cells_than_can_be_dense_are_refused_by_public_numbers() -> None:
    domain = Domain(("a", "b"), (10_000, 10_000))
    counts = CodeCounts.of(np.full((7, 2), 77, dtype=np.int32), domain)
    with pytest.raises(ValueError, match="has 100,000,000 cells; at most 50,000,000") as caught:
        counts.marginals([("a",), ("a", "b")])
    assert "7" not in str(caught.value)
    assert domain.cells(("a", "b")) > LARGEST_DENSE
    assert counts.marginal(("b",))[77] == 7


def test_wrong_cliques_groups_and_codes_are_refused() -> None:
    codes, domain = np.zeros((3, 2), dtype=np.int32), Domain(("a", "b"), (2, 5))
    counts = CodeCounts.of(codes, domain)
    with pytest.raises(KeyError, match="no attribute 'wage'"):
        counts.marginal(("wage",))
    for ask in (counts.marginal, counts.sparse_marginal, counts.occupied):
        with pytest.raises(ValueError, match="must name each attribute once"):
            ask(("a", "a"))
    with pytest.raises(ValueError, match="groups of 'b' must give each of its 5 codes a number"):
        counts.coarsened({"b": np.zeros(4, dtype=np.int32)})
    with pytest.raises(ValueError, match="one column for each of 2 attributes"):
        CodeCounts.of(codes[:, :1], domain)
    for wrong in (-1, 2):
        with pytest.raises(ValueError, match=r"codes of 'a' must lie in \[0, 2\)"):
            CodeCounts.of(codes + np.array([wrong, 0], dtype=np.int32), domain)


def test_an_empty_table_has_zero_counts() -> None:
    counts = CodeCounts.of(np.empty((0, 2), dtype=np.int32), Domain(("a", "b"), (2, 3)))
    assert len(counts) == 0
    assert counts.marginal(("b", "a")).tolist() == [[0, 0]] * 3
    assert counts.marginal(()).tolist() == 0
    cells, sums = counts.sparse_marginal(("a", "b"))
    assert (cells.dtype, len(cells), len(sums)) == (np.int64, 0, 0)
    assert counts.marginals([]) == []


MANY = Domain(tuple(f"c{i}" for i in range(90)), (1,) * 40 + (2,) * 5 + (1,) * 40 + (3,) * 5)


def _many(records: int) -> Codes:
    return np.random.default_rng(0).integers(0, MANY.sizes, (records, 90), dtype=np.int32)


def test_more_columns_than_an_array_has_axes_are_counted_where_most_have_one_code() -> None:
    codes = _many(20_000)  # of 7,776 cells: equal records are taken together
    counts = CodeCounts.of(codes, MANY)
    assert _lines(counts) < 10_000
    assert np.array_equal(
        counts.marginal(("c40", "c89", "c0")), slow_marginal(codes, MANY, ("c40", "c89", "c0"))
    )
    found, times = counts.occupied(MANY.attributes)
    distinct, repeats = np.unique(codes, axis=0, return_counts=True)
    assert np.array_equal(found, distinct)
    assert np.array_equal(times, repeats)


def test_many_marginals_of_columns_of_one_code_are_summed_from_tables_that_numpy_can_hold() -> None:
    codes = _many(30_000)
    counts = CodeCounts(MemoryColumns(list(codes.T), len(codes)), MANY)
    cliques = [(a, b) for a in MANY.attributes[:45] for b in MANY.attributes[45:]]
    for clique, found in zip(cliques, counts.marginals(cliques), strict=True):
        assert found.shape == MANY.shape(clique)
        assert found.sum() == 30_000
    for clique in cliques[-3:]:
        assert np.array_equal(counts.marginal(clique), slow_marginal(codes, MANY, clique))


def test_a_marginal_of_more_attributes_than_an_array_has_axes_is_refused() -> None:
    counts = CodeCounts.of(_many(5), MANY)
    with pytest.raises(ValueError, match="over at most 32 attributes, got 33"):
        counts.marginal(MANY.attributes[:33])
