"""Two worlds that differ in one record: what an attacker can tell, against what the ledger permits.

The attacker knows all other records and scores by the likelihood ratio, which for Gaussian noise on
marginals is the sum of the noisy counts of the target's cells.
"""

from __future__ import annotations

import numpy as np
import pytest

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget
from dp_synth.domain import Domain
from dp_synth.mechanisms import gaussian, measure
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.metrics.estimate import area_under_roc

RUNS = 250
BUDGET = PrivacyBudget(epsilon=1.0, delta=1e-5)
DOMAIN = Domain(("a", "b", "c"), (3, 3, 3))
OTHERS = np.array([[0, 1, 2], [1, 1, 1]], dtype=np.int32)
TARGET = np.array([[2, 2, 0]], dtype=np.int32)
SCORE_OF_ERROR = 4.75  # standard errors: a chance of one in a million


def attack(codes: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """Return a score a run, and the largest AUC that the ledger permits."""
    rng = np.random.default_rng(seed)
    cliques = [(attribute,) for attribute in DOMAIN]
    scores = []
    for _ in range(RUNS):
        accountant = Accountant(BUDGET)
        payer = accountant.admit("one-ways", Plan({"ones": Gaussians(3)}), randomness="seeded")
        table = PrivateTable(codes, DOMAIN, payer)
        noisy = measure(table, cliques, payer.plan.gaussians("ones"), rng)
        scores.append(sum(m.values[cell] for m, cell in zip(noisy, TARGET[0], strict=True)))
    return np.array(scores), accountant.ledger.curve.largest_auc()


def surely_above() -> tuple[float, float]:
    """Return an AUC that the attack surely has, and the largest that its ledger permits."""
    inside, permitted = attack(np.concatenate([OTHERS, TARGET]), seed=1)
    outside, _ = attack(OTHERS, seed=2)
    auc = area_under_roc(inside, outside, np.random.default_rng(0))
    error = (auc.high - auc.low) / (2 * 1.96)
    return auc.value - SCORE_OF_ERROR * error, permitted


def test_an_optimal_attack_stays_below_what_the_ledger_permits() -> None:
    least, permitted = surely_above()
    assert least <= permitted
    assert permitted == pytest.approx(0.575, abs=0.01)


def test_noise_that_is_four_times_too_small_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = gaussian.rounded_gaussian
    monkeypatch.setattr(
        gaussian, "rounded_gaussian", lambda stddev, shape, bits: exact(stddev / 4, shape, bits)
    )
    least, permitted = surely_above()
    assert least > permitted
