"""Small private tables and accountants from a seeded generator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Accountant, Adjacency, Gaussians, Plan, PrivacyBudget, Selections
from dp_synth.domain import Domain
from dp_synth.mechanisms.table import PrivateTable

DOMAIN = Domain(("age", "sex", "job"), (4, 2, 3))


def made_codes(rng: np.random.Generator, records: int) -> NDArray[np.int32]:
    """Uniform codes over DOMAIN."""
    return rng.integers(0, DOMAIN.sizes, size=(records, len(DOMAIN)), dtype=np.int32)


def made_table(
    codes: NDArray[np.int32],
    adjacency: Adjacency = "add_remove",
    *,
    answers: int = 3,
    choices: int = 2,
    ledger: Path | None = None,
    max_rows: int = 1,
) -> PrivateTable:
    """A table whose plan grants ``answers`` Gaussians of multiplier 5 and choices of range 0.4."""
    plan = Plan(
        {
            "ones": Gaussians(answers, noise_multiplier=5.0),
            "tree": Selections(choices, epsilon=0.4),
        }
    )
    budget = PrivacyBudget(1e9, 1e-6, adjacency, "person" if max_rows > 1 else None, max_rows)
    accountant = Accountant(budget, ledger=ledger)
    return PrivateTable(codes, DOMAIN, accountant.admit("test", plan))
