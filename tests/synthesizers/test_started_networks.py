"""Networks that start from a model of paid marginals: what they charge, and what it gives them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget, read_ledger
from dp_synth.accounting.events import Gaussian, SampledGaussian
from dp_synth.accounting.plan import Filtered
from dp_synth.checkpoint import Checkpoint
from dp_synth.errors import InputError
from dp_synth.progress import Progress, watching_training
from dp_synth.release import Release
from dp_synth.report.card import data_card
from dp_synth.schema import Schema
from dp_synth.synthesizers import _one_shot, dpctgan
from dp_synth.synthesizers.dpctgan import DPCTGAN
from dp_synth.synthesizers.dpgan import DPGAN
from dp_synth.synthesizers.marginal_generator import MarginalGenerator

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.mechanisms import dp_sgd  # noqa: E402
from dp_synth.nn import gan  # noqa: E402
from dp_synth.nn.pretraining import BATCH, Likelihood  # noqa: E402

SIZES = {"fakes": 64, "critic_width": 8, "generator_width": 16, "components": 64}
STARTED = DPCTGAN(marginals=0.5, steps=26, rate=0.1, **SIZES)
ALONE = replace(STARTED, steps=0)
BUDGET = PrivacyBudget(1.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "a", "type": "categorical", "categories": ["x", "y", "z"]},
            {"name": "b", "type": "categorical", "categories": ["x", "y", "z"]},
            {"name": "c", "type": "integer", "lower": 0, "upper": 19},
        ],
    }
)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start with few steps, and charge 10 of the critic's at once."""
    monkeypatch.setattr(gan, "START_STEPS", 40)
    monkeypatch.setattr(dp_sgd, "CHARGED_AT_ONCE", 10)


def made_frame(records: int = 2_000) -> pd.DataFrame:
    """Columns a and b are equal but for one record in ten; c follows a."""
    rng = np.random.default_rng(0)
    a = rng.choice(3, records, p=[0.5, 0.3, 0.2])
    b = np.where(rng.random(records) < 0.1, rng.integers(0, 3, records), a)
    words = np.array(["x", "y", "z"])
    return pd.DataFrame({"a": words[a], "b": words[b], "c": 5 * a + rng.integers(0, 5, records)})


def pair_error(release: Release) -> float:
    """Total variation of the model's pair of a and b from that of the records."""
    real = pd.crosstab(made_frame()["a"], made_frame()["b"], normalize=True).to_numpy()
    ours = release.model.marginal(("a", "b"))[:3, :3]
    return float(np.abs(ours / ours.sum() - real).sum() / 2)


def test_marginals_are_one_part_of_the_plan_and_steps_another_by_their_shares() -> None:
    plan = STARTED.plan(SCHEMA.domain).at(0.1)
    assert list(plan.parts) == ["answers", "steps"]
    assert plan.filtered("answers") == Filtered("gdp", 0.5, amount=0.1, name="answers")
    steps = plan.sampled("steps")
    assert steps.rho_at(steps.noise_scale) == pytest.approx(0.05)
    more = replace(STARTED, marginals=0.9).plan(SCHEMA.domain).at(0.1)
    assert more.filtered("answers").amount == pytest.approx(0.18)
    assert more.sampled("steps").noise_scale > steps.noise_scale


def test_all_answers_are_charged_in_the_order_of_the_plan_and_within_the_budget() -> None:
    release = STARTED.fit(made_frame(), SCHEMA, BUDGET, seed=0)
    charges = list(release.ledger.charges)
    parts = [entry.part for entry in charges]
    assert parts == sorted(parts)
    assert {type(e.event) for e in charges if e.part == "answers"} == {Gaussian}
    steps = [entry for entry in charges if isinstance(entry.event, SampledGaussian)]
    assert sum(entry.count for entry in steps) == 26
    assert {entry.event.rate for entry in steps} == {STARTED.rate}
    assert 0.99 <= release.epsilon <= 1.0
    spent = sum(e.count / e.event.noise_multiplier**2 for e in charges if e.part == "answers")
    (granted,) = (e.event for e in release.ledger.reservations if e.part == "answers")
    assert 0.99 <= spent * granted.noise_multiplier**2 <= 1.0


def test_without_steps_all_of_the_budget_is_for_the_start() -> None:
    release = ALONE.fit(made_frame(), SCHEMA, BUDGET, seed=0)
    for entries in (release.ledger.reservations, release.ledger.charges):
        assert {entry.part for entry in entries} == {"answers"}
    assert 0.99 <= release.epsilon <= 1.0


def test_without_steps_rows_are_what_the_generator_is_brought_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brought: list[bytes] = []
    pretrain = gan._Trainer.pretrain

    def remembered(trainer, start):  # type: ignore[no-untyped-def]
        pretrain(trainer, start)
        brought.append(trainer.rows().tobytes())

    seen: list[bytes] = []
    train = gan.train
    monkeypatch.setattr(gan._Trainer, "pretrain", remembered)

    def trained(*given, **named):  # type: ignore[no-untyped-def]
        rows = train(*given, **named)
        seen.append(rows.tobytes())
        return rows

    monkeypatch.setattr(gan, "train", trained)
    ALONE.fit(made_frame(300), SCHEMA, BUDGET, seed=0)
    STARTED.fit(made_frame(300), SCHEMA, BUDGET, seed=0)
    assert seen[0] == brought[0]
    assert seen[1] != brought[1]


@pytest.mark.parametrize("recipe", [ALONE, STARTED], ids=["alone", "with steps"])
def test_what_columns_have_to_do_with_each_other_is_there_from_the_start(
    recipe: DPCTGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gan, "START_STEPS", 300)
    release = recipe.fit(made_frame(), SCHEMA, PrivacyBudget(8.0, 1e-6), seed=0)
    error = pair_error(release)
    assert error < 0.2, error  # of independent columns it is above 0.5


def test_a_release_is_saved_read_back_and_samples_the_same(tmp_path: Path) -> None:
    release = STARTED.fit(made_frame(300), SCHEMA, BUDGET, seed=0)
    release.save(tmp_path / "r.npz")
    again = Release.load(tmp_path / "r.npz")
    assert again.settings == release.settings
    assert again.sample(50, seed=1).equals(release.sample(50, seed=1))
    assert [a.part for a in again.transcript] == [a.part for a in release.transcript]


def stop_at(step: int):  # type: ignore[no-untyped-def]
    def watcher(progress: Progress) -> None:
        if progress.step >= step:
            raise KeyboardInterrupt

    return watching_training(watcher)


def test_a_seeded_fit_that_was_stopped_goes_on_to_the_uninterrupted_result(
    tmp_path: Path,
) -> None:
    whole = STARTED.fit(made_frame(), SCHEMA, BUDGET, seed=3)

    def fitted() -> Release:
        accountant = Accountant(BUDGET, ledger=tmp_path / "ledger.jsonl")
        place = Checkpoint(tmp_path / "kept.npz", 0.0)
        return STARTED.fit(made_frame(), SCHEMA, accountant, seed=3, checkpoint=place)

    for step in (10, 20):
        with stop_at(step), pytest.raises(KeyboardInterrupt):
            fitted()
        charges = read_ledger(tmp_path / "ledger.jsonl").charges
        assert sum(entry.count for entry in charges if entry.part == "steps") == step
    release = fitted()
    for one, two in zip(release.model.tables, whole.model.tables, strict=True):
        assert one.tobytes() == two.tobytes()
    assert release.ledger == replace(whole.ledger, entries=release.ledger.entries)


def test_answers_of_an_earlier_run_are_taken_from_its_transcript_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[_one_shot.Measured | None] = []
    measure_pairs = dpctgan.measure_pairs

    def remembered(table, seen, budget, **given):  # type: ignore[no-untyped-def]
        found.append(measure_pairs(table, seen, budget, **given))
        found.append(_one_shot.measured_before(table, budget.part, coarseness=dpctgan.COARSENESS))
        return found[0]

    monkeypatch.setattr(dpctgan, "measure_pairs", remembered)
    ALONE.fit(made_frame(), SCHEMA, BUDGET, seed=0)
    first, again = found
    assert first is not None
    assert again is not None
    assert len(first.pairs) == len(again.pairs) > 0
    for name in ("ones", "pairs"):
        for one, two in zip(getattr(first, name), getattr(again, name), strict=True):
            assert one.clique == two.clique
            assert one.values.tobytes() == two.values.tobytes()
            assert np.array_equal(one.stddev, two.stddev)
    for attribute, group in first.compression.groups.items():
        assert np.array_equal(group, again.compression.groups[attribute])


@pytest.mark.parametrize("records", [0, 1])
@pytest.mark.parametrize("columns", [["a"], ["a", "b", "c"]])
def test_hardly_any_records_or_columns_are_fitted_like_any_others(
    records: int, columns: list[str]
) -> None:
    frame, schema = made_frame()[:records][columns], SCHEMA.select(columns)
    release = STARTED.fit(frame, schema, BUDGET, seed=0)
    assert list(release.sample(5, seed=0).columns) == columns


def test_runs_of_release_only_and_select_only_charge_what_a_fit_does() -> None:
    [answers] = STARTED.release_only(made_frame(), SCHEMA, BUDGET, seed=0)
    assert len(answers) == len(STARTED.fit(made_frame(), SCHEMA, BUDGET, seed=0).transcript)
    [pairs] = STARTED.select_only(made_frame(), SCHEMA, BUDGET, seed=0)
    assert ("a", "b") in pairs


def test_a_card_names_both_parts() -> None:
    text = data_card(STARTED.fit(made_frame(300), SCHEMA, BUDGET, seed=0)).to_json()
    assert "chosen pairs" in text
    assert "gradients of the critic" in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"marginals": 1.0}, r"marginals must lie in \[0, 1\), got 1"),
        ({"marginals": -0.1}, "marginals must be a finite number from 0, got -0.1"),
        ({"marginals": 0.5, "late_share": 0.5}, "with marginals leave it 0"),
        ({"steps": 0}, "steps must be a whole number from 1, got 0"),
        ({"steps": -1, "marginals": 0.5}, "steps must be a whole number from 0, got -1"),
    ],
)
def test_settings_that_say_nothing_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DPCTGAN(**settings)  # type: ignore[arg-type]


def test_dpgan_has_no_start() -> None:
    with pytest.raises(TypeError, match="marginals"):
        DPGAN(marginals=0.5)  # type: ignore[call-arg]


def test_constraints_and_budgets_that_hear_nothing_are_refused_before_anything_is_charged() -> None:
    constraints = [{"impossible": {"a": ["x"], "b": ["y"]}}]
    schema = Schema.from_dict(SCHEMA.to_dict() | {"constraints": constraints})
    with pytest.raises(InputError, match="dpctgan cannot keep the schema's constraints"):
        STARTED.check_budget(schema, BUDGET)
    with pytest.raises(InputError, match="epsilon"):
        STARTED.check_budget(SCHEMA, PrivacyBudget(1e-12, 1e-15))


def test_the_likelihood_is_that_of_a_mixture_of_rows_of_independent_attributes() -> None:
    rng = np.random.default_rng(0)
    sizes, rows = (3, 2), np.concatenate([rng.dirichlet(np.ones(n), 4) for n in (3, 2)], axis=1)
    record = np.array([[2, 1]], dtype=np.int32)
    likelihood = Likelihood.of(record, sizes, "cpu")
    loss = likelihood.loss(torch.tensor(rows, dtype=torch.float32), torch.Generator())
    expected = -np.log(np.mean(rows[:, 2] * rows[:, 3 + 1]))
    assert BATCH > 1  # of a table of one record all of a batch are that record
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_a_marginal_generator_may_be_trained_on_the_records_of_the_trees_model() -> None:
    by_error = MarginalGenerator(steps=150, rows=64, width=16)
    by_likelihood = replace(by_error, objective="likelihood")
    release = by_likelihood.fit(made_frame(), SCHEMA, PrivacyBudget(8.0, 1e-6), seed=0)
    assert pair_error(release) < 0.2
    assert {entry.part for entry in release.ledger.charges} == {"answers"}
    [answers] = by_likelihood.release_only(made_frame(), SCHEMA, BUDGET, seed=0)
    assert len(answers) == len(by_likelihood.fit(made_frame(), SCHEMA, BUDGET, seed=0).transcript)
