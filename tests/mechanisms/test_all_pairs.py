"""Distances of all pairs from one product of matrices: those of pairs that are counted alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget
from dp_synth.counting import CodeCounts
from dp_synth.counting.all_pairs import count_all_pairs, first_codes
from dp_synth.domain import Domain
from dp_synth.mechanisms import Distances
from dp_synth.mechanisms.table import ColumnProducts, PrivateTable
from dp_synth.types import Clique, Codes

RNG = np.random.default_rng(0)
SIZES = tuple(RNG.integers(1, 7, 60).tolist())
DOMAIN = Domain(tuple(f"c{place}" for place in range(len(SIZES))), SIZES)
PAIRS: list[Clique] = list(combinations(DOMAIN, 2))


def _codes(records: int) -> Codes:
    return RNG.integers(0, SIZES, size=(records, len(SIZES)), dtype=np.int32)


@pytest.mark.parametrize("records", [1, 300, 9_000])
def test_counts_are_those_of_each_pair(records: int) -> None:
    counts = CodeCounts.of(_codes(records), DOMAIN)
    found, first = count_all_pairs(counts, len(PAIRS)), first_codes(DOMAIN)
    assert found is not None
    for pair in PAIRS:
        one, other = (slice(*first[axis : axis + 2]) for axis in map(DOMAIN.axis, pair))
        assert (found[one, other] == counts.marginal(pair)).all()


@pytest.mark.parametrize("fineness", [1, 8])
def test_distances_are_those_of_each_pair(fineness: int) -> None:
    records = 700
    plan = Plan({"scores": Gaussians(1, noise_multiplier=5.0)})
    accountant = Accountant(PrivacyBudget(1e9, 1e-6))
    table = PrivateTable(_codes(records), DOMAIN, accountant.admit("test", plan))
    shares = {a: RNG.dirichlet(np.ones(DOMAIN.size(a))) * 699.3 for a in DOMAIN}
    products = ColumnProducts(DOMAIN, shares, 699.3)
    each = Distances(table, lambda pair: products(pair), fineness=fineness)
    together = Distances(table, products, fineness=fineness)
    assert together._learnt_together(PAIRS)
    assert (together._qualities(PAIRS) == each._qualities(PAIRS)).all()
    # Few pairs, or others than those in the order of the domain, are counted one by one.
    assert not Distances(table, products)._learnt_together(PAIRS[:1])
    assert not Distances(table, products)._learnt_together([(b, a) for a, b in PAIRS])


def test_few_pairs_of_many_codes_are_counted_one_by_one() -> None:
    domain = Domain(("a", "b"), (4_000, 4_001))
    assert count_all_pairs(CodeCounts.of(np.zeros((5, 2), np.int32), domain), 1) is None
