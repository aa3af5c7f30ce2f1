"""Cached counts: the same numbers as a store that counts anew, counted once."""

from __future__ import annotations

import numpy as np
import pytest

from dp_synth.counting import CachedCounts, CodeCounts, cache
from dp_synth.domain import Domain

DOMAIN = Domain(("a", "b", "c"), (6, 4, 5))
CLIQUES = [(), ("a",), ("c", "a"), ("b", "c"), ("c", "b", "a")]


def made_counts(seed: int) -> CodeCounts:
    codes = np.random.default_rng(seed).integers(0, DOMAIN.sizes, (40, 3), dtype=np.int32)
    return CodeCounts.of(codes, DOMAIN)


def made_groups(rng: np.random.Generator, size: int) -> np.ndarray:
    """Group numbers without gaps, in any order."""
    return np.unique(rng.integers(0, 3, size), return_inverse=True)[1].astype(np.int32)


@pytest.mark.parametrize("most", [cache.MAX_SUMMED_CELLS, 25, 0])
@pytest.mark.parametrize("seed", range(20))
def test_coarse_marginals_are_those_of_relabelled_records(seed, most, monkeypatch) -> None:
    monkeypatch.setattr(cache, "MAX_SUMMED_CELLS", most)
    rng, plain = np.random.default_rng(seed), made_counts(seed)
    groups = {
        name: made_groups(rng, DOMAIN.size(name)) for name in rng.permutation(DOMAIN.attributes)[:2]
    }
    known = CachedCounts(plain)
    coarse, wanted = known.coarsened(groups), plain.coarsened(groups)
    assert coarse.domain == wanted.domain
    assert len(coarse) == len(wanted)
    again = {name: made_groups(rng, wanted.domain.size(name)) for name in DOMAIN}
    for one, other in (
        (known, plain),
        (coarse, wanted),
        *[(coarse.coarsened(again), wanted.coarsened(again))],
    ):
        for got, expected in zip(one.marginals(CLIQUES), other.marginals(CLIQUES), strict=True):
            assert np.array_equal(got, expected)
        for got, expected in zip(one.occupied(("a", "b")), other.occupied(("a", "b")), strict=True):
            assert np.array_equal(got, expected)


def test_records_are_counted_once_and_what_is_kept_cannot_be_changed(monkeypatch) -> None:
    counted: list[tuple[str, ...]] = []
    plain = CodeCounts.marginals
    monkeypatch.setattr(
        CodeCounts,
        "marginals",
        lambda self, cliques: counted.extend(cliques) or plain(self, cliques),
    )
    known = CachedCounts(made_counts(0))
    for _ in range(3):
        table = known.marginal(("a", "b"))
        known.coarsened({"a": np.zeros(6, np.int32)}).marginal(("a", "b"))
    assert counted == [("a", "b")]
    with pytest.raises(ValueError, match="read-only"):
        table += 1


def test_what_does_not_fit_is_counted_each_time(monkeypatch) -> None:
    monkeypatch.setattr(cache, "MAX_CACHED_CELLS", 10)
    known = CachedCounts(made_counts(1))
    for _ in range(2):
        assert np.array_equal(known.marginal(("a", "b")), made_counts(1).marginal(("a", "b")))
    assert not known._cached
