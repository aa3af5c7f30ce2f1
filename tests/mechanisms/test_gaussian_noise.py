"""Noise on marginals has the scale that was charged for it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from dp_synth.accounting import Accountant, Adjacency, Gaussians, Plan, PrivacyBudget
from dp_synth.domain import Domain
from dp_synth.mechanisms import marginal_sensitivity, measure
from dp_synth.table import PrivateTable

LARGE = Domain(("place",), (40_000,))


def _noise(adjacency: Adjacency, seed: int) -> tuple[np.ndarray, float]:
    accountant = Accountant(PrivacyBudget(1, 1e-6, adjacency))
    plan = Plan({"ones": Gaussians(1, noise_multiplier=7.0)})
    table = PrivateTable(
        np.arange(40_000, dtype=np.int32)[:, None], LARGE, accountant.admit("test", plan)
    )
    part = table.payer.plan.gaussians("ones")
    [answer] = measure(table, [("place",)], part, np.random.default_rng(seed))
    [entry] = accountant.ledger
    charged = 7.0 * marginal_sensitivity(adjacency)
    assert answer.stddev == entry.event.stddev == pytest.approx(charged)  # type: ignore[union-attr]
    return answer.values - 1.0, charged  # every place holds one record


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
def test_gaussian_noise_has_the_scale_it_was_charged_for(adjacency: Adjacency) -> None:
    noise, charged = _noise(adjacency, seed=0)
    assert kstest(noise, "norm", args=(0, charged)).pvalue > 1e-6
    assert kstest(noise, "norm", args=(0, 0.9 * charged)).pvalue < 1e-6  # the test can fail


def test_noise_follows_the_seed_and_nothing_else() -> None:
    assert (_noise("add_remove", 3)[0] == _noise("add_remove", 3)[0]).all()
    assert (_noise("add_remove", 3)[0] != _noise("add_remove", 4)[0]).any()


def test_an_empty_table_is_answered_like_any_other() -> None:
    accountant = Accountant(PrivacyBudget(1, 1e-6))
    plan = Plan({"ones": Gaussians(1, noise_multiplier=7.0)})
    nobody = np.empty((0, 1), dtype=np.int32)
    table = PrivateTable(nobody, LARGE, accountant.admit("test", plan))
    part = table.payer.plan.gaussians("ones")
    [answer] = measure(table, [("place",)], part, np.random.default_rng(0))
    assert kstest(answer.values, "norm", args=(0, 7.0)).pvalue > 1e-6
