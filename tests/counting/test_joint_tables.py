"""Shared tables: each clique is in its table, and sharing is chosen only where it pays."""

from __future__ import annotations

from itertools import combinations
from math import prod

import numpy as np
import pytest

from dp_synth.counting.marginals import MAX_SHARED_CELLS, MIN_JOINT_LINES, cover


@pytest.mark.parametrize("seed", range(50))
def test_each_clique_is_summed_from_one_table_that_contains_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 200, size=8).tolist()
    cliques = [
        tuple(rng.permutation(8)[: rng.integers(0, 5)].tolist()) for _ in range(rng.integers(0, 60))
    ]
    covers = cover(cliques, sizes, int(rng.integers(1, 10_000_000)))
    members = sorted(position for chosen in covers for position in chosen.members)
    assert members == list(range(len(cliques)))
    for chosen in covers:
        assert all(set(cliques[position]) <= set(chosen.axes) for position in chosen.members)
        if len(chosen.members) == 1:
            assert chosen.axes == cliques[chosen.members[0]]
        elif any(len(chosen.axes) > len(cliques[position]) for position in chosen.members):
            largest = max(prod(sizes[a] for a in cliques[i]) for i in chosen.members)
            assert prod(sizes[axis] for axis in chosen.axes) <= max(MAX_SHARED_CELLS, largest)


def test_more_records_make_fewer_and_larger_tables() -> None:
    sizes = (85, 9, 100, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42, 2)
    pairs = list(combinations(range(14), 2))
    tables = [
        len(cover(pairs, sizes, lines)) for lines in (MIN_JOINT_LINES - 1, 50_000, 10_000_000)
    ]
    assert tables[0] == 91
    assert 91 > tables[1] > tables[2] > 9


def test_large_tables_are_not_joined() -> None:
    covers = cover([(0, 1), (1, 2)], (500, 500, 500), 10_000_000)
    assert [chosen.axes for chosen in covers] == [(0, 1), (1, 2)]
