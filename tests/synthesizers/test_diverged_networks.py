"""A training that diverges ends as one error, or its release is one that can be read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.errors import TrainingError
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers.dpctgan import DPCTGAN
from dp_synth.synthesizers.dpgan import DPGAN
from dp_synth.synthesizers.marginal_generator import MarginalGenerator
from dp_synth.synthesizers.patectgan import PATECTGAN
from dp_synth.synthesizers.pategan import PATEGAN

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.nn.marginal_network import RowGenerator  # noqa: E402

BUDGET = PrivacyBudget(1.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 62},
            {"name": "rank", "type": "ordinal", "size": 5},
            {"name": "job", "type": "categorical", "categories": ["x", "y"]},
        ],
    }
)
SMALL = {"fakes": 64, "components": 256, "critic_width": 16, "generator_width": 16}
KEPT = "; what was charged stays charged"


def made_frame(records: int = 1000) -> pd.DataFrame:
    """Return columns of which each tells another: a network is trained on pairs of them."""
    rank = np.random.default_rng(0).integers(0, 5, records)
    return pd.DataFrame({"age": rank * 13 + 5, "rank": rank, "job": np.where(rank < 3, "x", "y")})


@pytest.mark.parametrize("kind", [DPGAN, DPCTGAN])
@pytest.mark.parametrize("settings", [{}, {"late_share": 0.0}, {"late_share": 1.0}])
def test_weights_that_are_no_numbers_end_the_fit_whatever_the_loss_says(
    kind: type, settings: dict[str, float]
) -> None:
    accountant = Accountant(BUDGET)
    recipe = kind(learning_rate=1e9, steps=60, **SMALL, **settings)
    with pytest.raises(TrainingError, match="lower learning_rate, 1000000000") as told:
        recipe.fit(made_frame(), SCHEMA, accountant, seed=0)
    assert str(told.value).endswith(KEPT)
    assert "not finite" in str(told.value)
    assert "\n" not in str(told.value)
    assert accountant.ledger.charges


@pytest.mark.parametrize("kind", [DPGAN, DPCTGAN, MarginalGenerator])
@pytest.mark.parametrize("rate", [10.0, 1e5, 1e20, 1e30])
@pytest.mark.parametrize("steps", [1, 55])
def test_a_release_of_any_learning_rate_can_be_sampled_and_read_again(
    kind: type, rate: float, steps: int, tmp_path: Path
) -> None:
    small = {} if kind is MarginalGenerator else SMALL
    try:
        release = kind(learning_rate=rate, steps=steps, **small).fit(
            made_frame(), SCHEMA, BUDGET, seed=0
        )
    except TrainingError:
        return
    release.save(tmp_path / "release.npz")
    assert len(Release.load(tmp_path / "release.npz").sample(50, seed=0)) == 50


@pytest.mark.parametrize(
    "recipe",
    [MarginalGenerator(steps=5), PATEGAN(votes=20, steps=5), PATECTGAN(votes=20, steps=5)],
    ids=lambda recipe: recipe.name,
)
def test_rows_of_averaged_weights_that_are_no_numbers_end_the_fit(
    recipe: MarginalGenerator | PATEGAN | PATECTGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = RowGenerator.rows

    def rows(generator: RowGenerator, weights=None):  # type: ignore[no-untyped-def]
        made = make(generator, weights)
        return made if weights is None else made * torch.nan

    monkeypatch.setattr(RowGenerator, "rows", rows)
    with pytest.raises(TrainingError, match="the generator's rows are not finite") as told:
        recipe.fit(made_frame(), SCHEMA, BUDGET, seed=0)
    assert str(told.value).endswith(KEPT)
