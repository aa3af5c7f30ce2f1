"""One unit moves an answer by at most its stated sensitivity, and sometimes by all of it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from made_tables import DOMAIN, made_codes, made_table
from numpy.typing import NDArray

from dp_synth.accounting import Adjacency
from dp_synth.mechanisms import Distances, l1_distance_sensitivity, marginal_sensitivity
from dp_synth.mechanisms.table import PrivateTable

CLIQUES = [clique for size in (1, 2, 3) for clique in combinations(DOMAIN.attributes, size)]


def _neighbours(
    rng: np.random.Generator, adjacency: Adjacency, rows: int = 1
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Tables that differ in one unit of ``rows`` records, which are often alike."""
    codes = made_codes(rng, int(rng.integers(rows, 30)))
    alike = rng.random() < 0.5
    codes[:rows] = codes[0] if alike else codes[:rows]
    if adjacency == "add_remove":
        return codes, codes[rows:]
    other = codes.copy()
    other[:rows] = made_codes(rng, 1)[0] if alike else made_codes(rng, rows)
    return codes, other


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_one_unit_moves_a_marginal_by_at_most_its_sensitivity(
    adjacency: Adjacency, rows: int
) -> None:
    rng, largest = np.random.default_rng(0), 0.0
    payer = made_table(made_codes(rng, 0), adjacency).payer
    for _ in range(60):
        one, other = (
            PrivateTable(codes, DOMAIN, payer) for codes in _neighbours(rng, adjacency, rows)
        )
        for clique in CLIQUES:
            moved = one.exact_marginal(clique) - other.exact_marginal(clique)
            largest = max(largest, float(np.linalg.norm(moved)))
    assert largest == pytest.approx(marginal_sensitivity(adjacency, rows), rel=1e-12)


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_one_unit_moves_a_distance_by_at_most_its_sensitivity(
    adjacency: Adjacency, rows: int
) -> None:
    rng, largest = np.random.default_rng(1), 0.0
    payer = made_table(made_codes(rng, 0), adjacency).payer
    for _ in range(60):
        one, other = (
            PrivateTable(codes, DOMAIN, payer) for codes in _neighbours(rng, adjacency, rows)
        )
        expected = {clique: rng.uniform(0, 9, DOMAIN.shape(clique)) for clique in CLIQUES}
        for clique in CLIQUES:
            before, after = (Distances(table, expected.__getitem__) for table in (one, other))
            moved = abs(before._qualities([clique]) - after._qualities([clique]))
            largest = max(largest, float(moved[0]))
    assert largest == pytest.approx(l1_distance_sensitivity(adjacency, rows), rel=1e-12)
