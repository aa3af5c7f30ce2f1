"""Private tables: exact counts, public merging, and no way to be copied."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget
from dp_synth.counting import CodeCounts, Counts
from dp_synth.domain import Domain
from dp_synth.mechanisms.table import PrivateTable


def _private(codes: NDArray[np.int32] | Counts, domain: Domain) -> PrivateTable:
    plan = Plan({"ones": Gaussians(1, noise_multiplier=9.0)})
    return PrivateTable(codes, domain, Accountant(PrivacyBudget(1, 1e-6)).admit("test", plan))


def _random(rng: np.random.Generator) -> tuple[NDArray[np.int32], Domain]:
    sizes = tuple(int(size) for size in rng.integers(1, 6, size=4))
    codes = rng.integers(0, sizes, size=(int(rng.integers(0, 25)), 4), dtype=np.int32)
    return codes, Domain(("a", "b", "c", "d"), sizes)


def _slow_marginal(
    codes: NDArray[np.int32], domain: Domain, clique: tuple[str, ...]
) -> NDArray[np.float64]:
    counts = np.zeros(domain.shape(clique))
    for record in codes:
        counts[tuple(record[domain.axis(attribute)] for attribute in clique)] += 1
    return counts


@pytest.mark.parametrize("seed", range(50))
def test_marginals_are_counts_of_records(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, domain = _random(rng)
    table = _private(codes, domain)
    for size in range(5):
        clique = tuple(str(name) for name in rng.permutation(domain.attributes)[:size])
        found = table.exact_marginal(clique)
        assert found.dtype == np.float64
        assert np.array_equal(found, _slow_marginal(codes, domain, clique))
    assert table.reads == 5


class _Counted(CodeCounts):
    """Counts that say how many marginals they were asked for."""

    asked = 0

    def marginals(self, cliques: Sequence[tuple[str, ...]]) -> list[NDArray[np.float64]]:
        self.asked += len(cliques)
        return super().marginals(cliques)


@pytest.mark.parametrize("seed", range(20))
def test_a_remembering_table_is_the_same_and_counts_each_marginal_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, domain = _random(rng)
    counts = _Counted.of(codes, domain)
    table = _private(counts, domain)
    kept = table.remembering()
    assert kept.payer is table.payer
    assert kept.transcript is table.transcript
    for clique in (("a",), ("a", "b"), ("c", "a", "d")):
        asked = counts.asked
        for _ in range(3):
            found = kept.exact_marginal(clique)
            assert np.array_equal(found, _slow_marginal(codes, domain, clique))
        assert counts.asked == asked + 1
    assert kept.reads == 9


@pytest.mark.parametrize("seed", range(50))
def test_merging_codes_merges_the_cells_of_every_marginal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, domain = _random(rng)
    group = np.sort(rng.integers(0, domain.size("b"), size=domain.size("b"))).astype(np.int32)
    group = np.unique(group, return_inverse=True)[1].astype(np.int32)
    table = _private(codes, domain)
    coarse = table.coarsen({"b": group})
    expected = np.zeros((domain.size("a"), int(group.max()) + 1, domain.size("d")))
    for code, merged in enumerate(group):
        expected[:, merged] += table.exact_marginal(("a", "b", "d"))[:, code]
    assert np.array_equal(coarse.exact_marginal(("a", "b", "d")), expected)
    assert np.array_equal(coarse.exact_marginal(("c",)), table.exact_marginal(("c",)))
    assert coarse.payer is table.payer
    assert np.array_equal(
        table.exact_marginal(("b",)), _slow_marginal(codes, domain, ("b",))
    )  # the finer table is as it was


def test_several_marginals_are_read_at_once_and_each_is_one_read() -> None:
    codes, domain = _random(np.random.default_rng(0))
    table = _private(codes, domain)
    cliques = [("a", "b"), (), ("c",), ("b", "a")]
    for clique, found in zip(cliques, table.exact_marginals(cliques), strict=True):
        assert np.array_equal(found, _slow_marginal(codes, domain, clique))
    assert table.reads == 4
    assert table.exact_marginals([]) == []
    assert table.reads == 4


def test_a_table_over_a_store_answers_like_one_over_codes() -> None:
    codes, domain = _random(np.random.default_rng(0))
    group = np.zeros(domain.size("b"), dtype=np.int32)
    over_codes, over_store = (
        _private(records, domain) for records in (codes, CodeCounts.of(codes, domain))
    )
    for one, other in (
        (over_codes, over_store),
        (over_codes.coarsen({"b": group}), over_store.coarsen({"b": group})),
    ):
        assert one.domain == other.domain
        assert np.array_equal(one.exact_marginal(("b", "a")), other.exact_marginal(("b", "a")))
    assert repr(over_store) == repr(over_codes)


def test_a_store_over_other_attributes_or_sizes_is_refused() -> None:
    store = CodeCounts.of(np.zeros((3, 2), dtype=np.int32), Domain(("a", "b"), (2, 2)))
    for domain in (Domain(("a", "c"), (2, 2)), Domain(("a", "b"), (2, 3)), Domain(("a",), (2,))):
        with pytest.raises(ValueError, match="must count the attributes of the domain"):
            _private(store, domain)


def test_what_cannot_be_counted_is_refused_before_a_record_is_read() -> None:
    table = _private(np.zeros((3, 2), dtype=np.int32), Domain(("a", "b"), (9000, 9000)))
    with pytest.raises(ValueError, match="has 81,000,000 cells; at most 50,000,000"):
        table.shapes([("a",), ("a", "b")])
    with pytest.raises(KeyError, match="no attribute 'wage'"):
        table.shapes([("wage",)])
    assert table.shapes([("b",), ()]) == [(9000,), ()]
    assert table.reads == 0


def test_codes_must_have_a_column_for_each_attribute() -> None:
    domain = Domain(("a", "b"), (2, 2))
    for shape in ((3, 1), (3, 3), (6,)):
        with pytest.raises(ValueError, match="one column for each of 2 attributes"):
            _private(np.zeros(shape, dtype=np.int32), domain)


def test_a_private_table_cannot_be_copied_or_sent() -> None:
    table = _private(np.zeros((3, 1), dtype=np.int32), Domain(("a",), (2,)))
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            spread(table)


def test_a_private_table_does_not_tell_how_many_records_it_has() -> None:
    table = _private(np.zeros((1234, 1), dtype=np.int32), Domain(("a",), (2,)))
    assert repr(table) == "PrivateTable(1 attributes, paid by 'test')"
    assert not hasattr(table, "__len__")
    public = [getattr(table, name) for name in dir(table) if not name.startswith("_")]
    assert not any(isinstance(value, (np.ndarray, CodeCounts)) for value in public)
    assert 1234 not in public
