"""The marginal generator: pairs without a tree, one filter of Gaussian answers, exact mixtures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.errors import InputError
from dp_synth.inference.mixture import MixtureModel
from dp_synth.schema import Schema
from dp_synth.synthesizers import MarginalGenerator
from dp_synth.transcript import MarginalAnswer, measured

pytest.importorskip("torch", reason="the extra deep is not installed")

SMALL = MarginalGenerator(steps=300, rows=64, width=32)
COLUMNS = [{"name": name, "type": "ordinal", "size": 4} for name in "abcd"]
SCHEMA = Schema.from_dict({"name": "made", "columns": COLUMNS})


def cycle(records: int = 20_000) -> pd.DataFrame:
    """Four columns, each close to every other: all six pairs matter."""
    rng = np.random.default_rng(0)
    base = rng.integers(0, 4, records)
    columns = {
        name: np.where(rng.random(records) < 0.3, rng.integers(0, 4, records), base)
        for name in "abcd"
    }
    return pd.DataFrame(columns).astype(str).astype(object)


def test_all_pairs_that_matter_are_measured_and_had_where_a_tree_of_two_holds_three() -> None:
    frame = cycle()
    release = SMALL.fit(frame, SCHEMA, PrivacyBudget(10, 1e-6), seed=0)
    pairs = {clique for clique in measured(release.transcript) if len(clique) == 2}
    assert len(pairs) == 6
    codes = SCHEMA.encode(frame)
    for a, b in pairs:
        exact = np.zeros((4, 4))
        np.add.at(exact, (codes[:, "abcd".index(a)], codes[:, "abcd".index(b)]), 1)
        assert np.abs(release.model.marginal((a, b)) - exact).sum() / 20_000 < 0.03


def test_only_gaussian_answers_are_charged_and_training_reads_nothing_else() -> None:
    release = SMALL.fit(cycle(2_000), SCHEMA, PrivacyBudget(1, 1e-6), seed=0)
    charged = sum(entry.count for entry in release.ledger.charges)
    scores = charged - sum(isinstance(a, MarginalAnswer) for a in release.transcript)
    assert {type(entry.event).__name__ for entry in release.ledger.charges} == {"Gaussian"}
    assert scores == 6  # one a pair


def test_what_is_released_is_a_mixture_that_can_be_conditioned() -> None:
    release = SMALL.fit(cycle(5_000), SCHEMA, PrivacyBudget(5, 1e-6), seed=0)
    assert isinstance(release.model, MixtureModel)
    assert release.model.kind == "mixture"
    rows = release.sample(400, seed=0, given={"a": "3"})
    assert set(rows["a"].astype(str)) == {"3"}
    assert (rows["b"].astype(str) == "3").mean() > 0.4


def test_a_release_only_run_charges_what_a_fit_does() -> None:
    [answers] = SMALL.release_only(cycle(2_000), SCHEMA, PrivacyBudget(5, 1e-6), seed=0)
    fitted = SMALL.fit(cycle(2_000), SCHEMA, PrivacyBudget(5, 1e-6), seed=0)
    assert len(answers) == len(fitted.transcript)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be 1 or more"),
        ({"rows": 0}, "rows must be 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number above 0"),
    ],
)
def test_settings_that_train_nothing_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MarginalGenerator(**settings)  # type: ignore[arg-type]


def test_a_missing_extra_is_one_line_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dp_synth.nn.settings.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install '\.\[deep\]'"):
        SMALL.plan(SCHEMA.domain)
