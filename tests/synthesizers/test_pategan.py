"""PATE-GAN and PATE-CTGAN: every vote is charged, and votes carry what columns share."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.accounting.events import NoisyVote
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.synthesizers import PATECTGAN, PATEGAN, Release
from dp_synth.transcript import VoteAnswer

pytest.importorskip("torch", reason="the extra deep is not installed")

BOTH = (PATEGAN, PATECTGAN)
SMALL = {"votes": 60, "teachers": 301, "rounds": 2, "steps": 150, "rows": 64}
BUDGET = PrivacyBudget(5.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "x", "type": "ordinal", "size": 4},
            {"name": "y", "type": "categorical", "categories": ["no", "yes"]},
            {"name": "z", "type": "ordinal", "size": 3},
        ],
    }
)


def made_frame(records: int = 6_000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, records)
    y = np.where(rng.random(records) < np.where(x >= 2, 0.9, 0.1), "yes", "no")
    z = rng.integers(0, 3, records)
    return pd.DataFrame({"x": x.astype(str), "y": y, "z": z.astype(str)}).astype(object)


@pytest.mark.parametrize("kind", BOTH)
def test_votes_say_how_columns_belong_together(kind: type[PATEGAN] | type[PATECTGAN]) -> None:
    release = kind(**SMALL, label="y").fit(made_frame(), SCHEMA, BUDGET, seed=0)  # type: ignore[arg-type]
    share = release.model.marginal(("x", "y")) / release.model.total
    yes = share[:, 1] / share.sum(axis=1)
    assert yes[:2].max() < 0.4 < 0.6 < yes[2:].min()


@pytest.mark.parametrize("kind", BOTH)
def test_the_ledger_has_every_vote_with_the_noise_of_the_plan(
    kind: type[PATEGAN] | type[PATECTGAN],
) -> None:
    release = kind(**SMALL).fit(made_frame(200), SCHEMA, BUDGET, seed=0)  # type: ignore[arg-type]
    votes = [e for e in release.ledger.charges if isinstance(e.event, NoisyVote)]
    assert sum(entry.count for entry in votes) == 60
    assert len({entry.event for entry in votes}) == 1
    assert 0.99 * 5 <= release.epsilon <= 5


def test_one_way_marginals_are_the_paid_ones() -> None:
    release = PATEGAN(**SMALL).fit(made_frame(), SCHEMA, PrivacyBudget(50, 1e-6), seed=0)  # type: ignore[arg-type]
    share = release.model.marginal(("x",)) / release.model.total
    exact = np.bincount(made_frame()["x"].astype(int)) / 6_000
    assert np.abs(share - exact).max() < 0.01


def test_a_table_without_two_values_anywhere_needs_no_votes() -> None:
    schema = SCHEMA.select(["x"])
    release = PATEGAN(**SMALL).fit(made_frame(100), schema, BUDGET, seed=0)  # type: ignore[arg-type]
    assert not [e for e in release.ledger.charges if isinstance(e.event, NoisyVote)]
    assert len(release.sample(20, seed=0)) == 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teachers": 100}, "odd"),
        ({"teachers": 101, "records": 50}, "no more teachers than the 50 records"),
        ({"votes": 0}, "votes must be 1 or more"),
        ({"share": 1.0}, r"share must lie in \(0, 1\)"),
        ({"most_groups": 1}, "most_groups must be 2 or more"),
        ({"accounting": "rough"}, "one of exact, data_dependent, got 'rough'"),
        ({"target_epsilon": 1.0}, "say epsilon in the budget"),
        ({"accounting": "data_dependent", "noise": "laplace"}, "a finite target_epsilon above 0"),
        ({"accounting": "data_dependent", "target_epsilon": 1.0}, "set noise to laplace"),
    ],
)
@pytest.mark.parametrize("kind", BOTH)
def test_settings_that_cannot_be_are_refused(
    kind: type[PATEGAN], settings: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        kind(**settings)  # type: ignore[arg-type]


def test_a_label_that_is_no_column_is_refused_before_anything_is_charged() -> None:
    accountant = Accountant(BUDGET)
    with pytest.raises(InputError, match="no attribute 'income'; there are: x, y, z"):
        PATEGAN(**SMALL, label="income").fit(made_frame(50), SCHEMA, accountant, seed=0)  # type: ignore[arg-type]
    assert len(accountant.ledger) == 0


def test_importing_the_synthesizers_does_not_load_torch() -> None:
    code = "import sys, dp_synth.synthesizers.pategan; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


WITHOUT = PrivacyBudget(math.inf, 1e-6)
PAPER = {**SMALL, "accounting": "data_dependent", "noise": "laplace", "target_epsilon": 5.0}


def answered(release: Release) -> int:
    return sum(len(a.winners) for a in release.transcript if isinstance(a, VoteAnswer))


@pytest.mark.parametrize("kind", BOTH)
def test_votes_are_kept_with_a_release_and_read_back(
    kind: type[PATEGAN] | type[PATECTGAN], tmp_path
) -> None:
    release = kind(**SMALL).fit(made_frame(300), SCHEMA, BUDGET, seed=0)  # type: ignore[arg-type]
    release.save(tmp_path / "release.npz")
    again = Release.load(tmp_path / "release.npz")
    assert answered(release) == answered(again) == 60
    for one, other in zip(release.transcript, again.transcript, strict=True):
        assert type(one) is type(other)
        if isinstance(one, VoteAnswer) and isinstance(other, VoteAnswer):
            assert np.array_equal(one.records, other.records)
            assert np.array_equal(one.winners, other.winners)
    assert np.isnan(again.marginal(["x"]).stderr).all()


@pytest.mark.parametrize("kind", BOTH)
def test_runs_of_the_mechanism_alone_give_the_votes_of_a_fit_without_its_generator(
    kind: type[PATEGAN] | type[PATECTGAN], monkeypatch
) -> None:
    recipe = kind(**SMALL)  # type: ignore[arg-type]
    release = recipe.fit(made_frame(300), SCHEMA, BUDGET, seed=0)

    def fail(*_arguments, **_options):
        raise AssertionError("trained")

    monkeypatch.setattr("dp_synth.nn.pate_training.generator_of", fail)
    (run,) = recipe.release_only(made_frame(300), SCHEMA, BUDGET, seed=0)
    assert [type(a) for a in run] == [type(a) for a in release.transcript]
    assert sum(len(a.winners) for a in run if isinstance(a, VoteAnswer)) == 60
    with pytest.raises(AssertionError, match="trained"):
        recipe.fit(made_frame(300), SCHEMA, BUDGET, seed=0)


@pytest.mark.parametrize("kind", BOTH)
def test_data_dependent_accounting_certifies_nothing(
    kind: type[PATEGAN] | type[PATECTGAN], tmp_path
) -> None:
    release = kind(**PAPER).fit(made_frame(3_000), SCHEMA, WITHOUT, seed=0)  # type: ignore[arg-type]
    assert release.epsilon == math.inf
    assert release.largest_auc() == 1.0
    assert "no guarantee: data-dependent accounting" in str(release.ledger)
    release.save(tmp_path / "release.npz")
    assert Release.load(tmp_path / "release.npz").epsilon == math.inf
    assert len(release.sample(20, seed=0)) == 20


def test_votes_go_on_for_longer_the_larger_the_target_and_the_clearer_they_are() -> None:
    def heard(target: float, teachers: int) -> int:
        recipe = PATEGAN(**{**PAPER, "target_epsilon": target, "teachers": teachers})  # type: ignore[arg-type]
        (run,) = recipe.release_only(made_frame(), SCHEMA, WITHOUT, seed=2)
        return sum(len(a.winners) for a in run if isinstance(a, VoteAnswer))

    assert 0 < heard(1.0, 301) < heard(5.0, 301) < heard(40.0, 301) == 60
    assert heard(5.0, 31) < heard(5.0, 301)  # as little noise for leads that are far smaller


def test_a_finite_budget_for_data_dependent_accounting_is_refused_unspent() -> None:
    accountant = Accountant(BUDGET)
    with pytest.raises(InputError, match=r"'pategan' has no guarantee to give.*epsilon inf"):
        PATEGAN(**PAPER).fit(made_frame(50), SCHEMA, accountant, seed=0)  # type: ignore[arg-type]
    assert accountant.ledger.entries == ()


def test_too_small_an_epsilon_is_refused_unspent_with_the_least_that_works() -> None:
    accountant = Accountant(PrivacyBudget(1e-6, 1e-9))
    with pytest.raises(InputError, match=r"too small for 'pategan'.*the least epsilon that works"):
        PATEGAN(**SMALL).fit(made_frame(50), SCHEMA, accountant, seed=0)  # type: ignore[arg-type]
    assert accountant.ledger.entries == ()
