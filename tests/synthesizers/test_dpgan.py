"""DPGAN: the plain baseline charges as DP-CTGAN does, and is held to no frequencies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.schema import Schema
from dp_synth.synthesizers.dpctgan import DPCTGAN
from dp_synth.synthesizers.dpgan import DPGAN

pytest.importorskip("torch", reason="the extra deep is not installed")

SETTINGS = {"steps": 60, "rate": 0.1, "fakes": 64, "critic_width": 16, "generator_width": 16}
BUDGET = PrivacyBudget(4.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "a", "type": "categorical", "categories": ["x", "y"]},
            {"name": "b", "type": "ordinal", "size": 5},
        ],
    }
)


def made_frame(records: int = 2_000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.random(records) < 0.05
    return pd.DataFrame(
        {"a": np.where(a, "x", "y"), "b": np.where(a, 4, rng.integers(0, 4, records))}
    )


def test_it_charges_what_dpctgan_does() -> None:
    plain, conditional = DPGAN(**SETTINGS), DPCTGAN(**SETTINGS)
    assert plain.plan(SCHEMA.domain) == conditional.plan(SCHEMA.domain)


def test_it_learns_from_gradients_alone_which_codes_are_rare() -> None:
    model = DPGAN(**SETTINGS).fit(made_frame(), SCHEMA, BUDGET, seed=0).model
    shares = model.marginal(("a",)) / model.total
    assert shares[0] < 0.35  # an even share is where its rows start


def test_one_seed_gives_one_model() -> None:
    first, again = (DPGAN(**SETTINGS).fit(made_frame(200), SCHEMA, BUDGET, seed=1) for _ in "ab")
    for one, two in zip(first.model.tables, again.model.tables, strict=True):
        assert one.tobytes() == two.tobytes()


def test_an_empty_table_gives_rows_all_the_same() -> None:
    frame = made_frame().iloc[:0]
    release = DPGAN(**SETTINGS).fit(frame, SCHEMA, BUDGET, seed=0)
    assert len(release.sample(20, seed=0)) == 20
