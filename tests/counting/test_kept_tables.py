"""Marginals that are kept tell coarser ones, and nothing that is finer."""

from __future__ import annotations

import numpy as np
import pytest

from dp_synth.counting import CodeCounts
from dp_synth.counting.kept_tables import KeptTables
from dp_synth.domain import Domain

DOMAIN = Domain(("a", "b", "c"), (6, 4, 5))
FINE = {"a": np.array([0, 0, 1, 2, 3, 3]), "c": np.array([1, 0, 0, 2, 3])}
COARSE = {"a": np.array([0, 0, 0, 1, 1, 1]), "c": np.array([1, 0, 0, 0, 0])}
ACROSS = {"a": np.array([0, 1, 1, 1, 1, 1])}


def _counts() -> CodeCounts:
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(0, size, 400) for size in DOMAIN.sizes])
    return CodeCounts.of(codes.astype(np.int32), DOMAIN)


def _told(groups: dict, clique: tuple[str, ...]) -> np.ndarray:
    return _counts().coarsened(groups).marginal(clique)


@pytest.mark.parametrize("clique", [(), ("a",), ("b",), ("c", "a"), ("b", "c"), ("c", "b", "a")])
@pytest.mark.parametrize(("kept", "wanted"), [({}, {}), ({}, FINE), (FINE, FINE), (FINE, COARSE)])
def test_sums_of_a_kept_table_are_the_counts_over_coarser_groups(
    clique: tuple[str, ...], kept: dict, wanted: dict
) -> None:
    tables = KeptTables()
    tables.keep(("c", "a", "b"), kept, _told(kept, ("c", "a", "b")))
    found = tables.find(clique, wanted)
    assert found is not None
    np.testing.assert_array_equal(found, _told(wanted, clique))


def test_what_a_kept_table_does_not_tell_is_not_made_up() -> None:
    tables = KeptTables()
    tables.keep(("a", "c"), FINE, _told(FINE, ("a", "c")))
    assert tables.find(("a",), ACROSS) is None  # parts a group
    assert tables.find(("a",), {}) is None  # its codes are merged
    assert tables.find(("b",), {}) is None
    assert tables.find(("c",), COARSE) is not None


def test_only_so_many_cells_are_kept_and_none_can_be_changed_from_outside() -> None:
    tables = KeptTables(left=10)
    one = _told({}, ("a",))
    tables.keep(("a",), {}, one)
    one[:] = 0
    tables.keep(("c",), {}, _told({}, ("c",)))  # 5 cells, of which there is room for 4
    assert tables.find(("c",), {}) is None
    found = tables.find(("a",), {})
    assert found is not None
    assert found.sum() == 400
