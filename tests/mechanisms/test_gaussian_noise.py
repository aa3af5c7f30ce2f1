"""Noise on marginals has the law and the scale that were charged for it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare, norm

from dp_synth.accounting import Accountant, Adjacency, Gaussians, Plan, PrivacyBudget, Randomness
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.mechanisms import marginal_sensitivity, measure
from dp_synth.mechanisms.table import PrivateTable

LARGE = Domain(("place",), (40_000,))
EVERYWHERE = np.arange(40_000, dtype=np.int32)[:, None]  # one record in every place


def _table(
    budget: PrivacyBudget,
    *,
    codes: NDArray[np.int32] = EVERYWHERE,
    randomness: Randomness = "seeded",
    noise: float = 7.0,
) -> PrivateTable:
    plan = Plan({"ones": Gaussians(1, noise_multiplier=noise)})
    payer = Accountant(budget).admit("test", plan, randomness=randomness)
    return PrivateTable(codes, LARGE, payer)


def _noise(
    budget: PrivacyBudget, seed: int, *, randomness: Randomness = "seeded"
) -> tuple[NDArray[np.float64], float]:
    table = _table(budget, randomness=randomness)
    part = table.payer.plan.gaussians("ones")
    [answer] = measure(table, [("place",)], part, np.random.default_rng(seed))
    [entry] = table.payer.accountant.ledger
    charged = 7.0 * marginal_sensitivity(budget.adjacency, budget.max_rows)
    assert answer.stddev == entry.event.stddev == pytest.approx(charged)  # type: ignore[union-attr]
    return answer.values - 1.0, charged


def _pvalue(noise: NDArray[np.float64], stddev: float) -> float:
    """How well whole numbers follow a Gaussian of this scale rounded to the nearest of them."""
    edges = np.arange(-round(2.5 * stddev), round(2.5 * stddev) + 1) + 0.5
    chances = np.diff(norm.cdf(edges / stddev), prepend=0.0, append=1.0)
    cells = np.bincount(np.searchsorted(edges, noise), minlength=len(chances))
    return float(chisquare(cells, len(noise) * chances / chances.sum()).pvalue)


def _budget(adjacency: Adjacency, max_rows: int = 1) -> PrivacyBudget:
    return PrivacyBudget(1, 1e-6, adjacency, "person", max_rows)


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
@pytest.mark.parametrize("max_rows", [1, 3])
def test_noise_is_the_rounded_gaussian_that_was_charged(
    adjacency: Adjacency, max_rows: int
) -> None:
    noise, charged = _noise(_budget(adjacency, max_rows), seed=0)
    assert (noise == np.rint(noise)).all()
    assert _pvalue(noise, charged) > 1e-6
    assert _pvalue(noise, 0.95 * charged) < 1e-6  # the test can fail
    assert _pvalue(noise, 1.05 * charged) < 1e-6


def test_unseeded_noise_has_the_same_law_and_ignores_the_generator() -> None:
    budget = PrivacyBudget(1, 1e-6)
    noise, charged = _noise(budget, 0, randomness="os")
    assert _pvalue(noise, charged) > 1e-9  # fresh at every run
    assert (noise != _noise(budget, 0, randomness="os")[0]).any()


def test_an_unseeded_answer_leaves_the_generator_where_it_was() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    table = _table(PrivacyBudget(1, 1e-6), randomness="os")
    measure(table, [("place",)], table.payer.plan.gaussians("ones"), rng)
    assert rng.bit_generator.state == before


def test_noise_follows_the_seed_and_nothing_else() -> None:
    budget = PrivacyBudget(1, 1e-6)
    assert (_noise(budget, 3)[0] == _noise(budget, 3)[0]).all()
    assert (_noise(budget, 3)[0] != _noise(budget, 4)[0]).any()


def test_an_empty_table_is_answered_like_any_other() -> None:
    table = _table(PrivacyBudget(1, 1e-6), codes=np.empty((0, 1), dtype=np.int32))
    part = table.payer.plan.gaussians("ones")
    [answer] = measure(table, [("place",)], part, np.random.default_rng(0))
    assert _pvalue(answer.values, 7.0) > 1e-6


def test_noise_that_drowns_every_table_is_refused_before_the_charge() -> None:
    table = _table(PrivacyBudget(1, 1e-6), noise=1e10)
    with pytest.raises(InputError, match="says nothing; raise epsilon"):
        measure(table, [("place",)], table.payer.plan.gaussians("ones"), np.random.default_rng(0))
    assert len(table.payer.accountant.ledger) == table.reads == 0


def test_the_ledger_says_that_noise_is_exact() -> None:
    table = _table(PrivacyBudget(1, 1e-6))
    measure(table, [("place",)], table.payer.plan.gaussians("ones"), np.random.default_rng(0))
    assert [entry.sampler for entry in table.payer.accountant.ledger] == ["exact"]
