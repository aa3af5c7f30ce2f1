"""A fit that is stopped goes on from its checkpoint: with the same ledger, never beyond it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget, read_ledger
from dp_synth.errors import BudgetExceeded, CheckpointError, InputError
from dp_synth.schema import Schema
from dp_synth.synthesizers import DPCTGAN, DPGAN, MST, MarginalGenerator, Release, Synthesizer

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth import checkpoint as checkpoints  # noqa: E402
from dp_synth.checkpoint import Checkpoint  # noqa: E402
from dp_synth.mechanisms import dp_sgd  # noqa: E402
from dp_synth.nn import gan  # noqa: E402
from dp_synth.progress import Progress, watching_training  # noqa: E402

SETTINGS = {"steps": 26, "rate": 0.1, "fakes": 32, "critic_width": 8, "generator_width": 8}
RECIPE = DPCTGAN(**SETTINGS, components=64)
BUDGET = PrivacyBudget(1.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "a", "type": "categorical", "categories": ["x", "y", "z"]},
            {"name": "b", "type": "categorical", "categories": ["x", "y"], "open": True},
            {"name": "c", "type": "integer", "lower": 0, "upper": 999},
        ],
    }
)
PLAIN = SCHEMA.select(["a"])


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charge 10 steps at once, so that 26 steps are three blocks."""
    monkeypatch.setattr(dp_sgd, "CHARGED_AT_ONCE", 10)
    monkeypatch.setattr(gan, "WARM_UP", 5)


class Stopped(Exception):
    """What ends a training in these tests, as a crash would."""


def made_frame(records: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": rng.choice(["x", "y", "z"], records),
            "b": rng.choice(["x", "y", "unlisted"], records),
            "c": rng.integers(0, 300, records),
        }
    )


def stop_at(step: int):  # type: ignore[no-untyped-def]
    """Have the training stopped when it tells of a step from this one on."""

    def watcher(progress: Progress) -> None:
        if progress.step >= step:
            raise Stopped

    return watching_training(watcher)


def fitted(
    folder: Path,
    recipe: Synthesizer = RECIPE,
    schema: Schema = PLAIN,
    *,
    seed: int | None = 3,
    seconds: float = 0.0,
    validation: float | None = None,
) -> Release:
    """Fit as a new process would, with the ledger and the checkpoint of this folder."""
    accountant = Accountant(BUDGET, ledger=folder / "ledger.jsonl")
    place = Checkpoint(folder / "kept.npz", seconds)
    return recipe.fit(
        made_frame(), schema, accountant, seed=seed, checkpoint=place, validation=validation
    )


def stopped(folder: Path, step: int, *arguments: object, **options: object) -> None:
    with stop_at(step), pytest.raises(Stopped):
        fitted(folder, *arguments, **options)  # type: ignore[arg-type]
    assert (folder / "kept.npz").exists()


def steps_charged(folder: Path) -> int:
    charges = read_ledger(folder / "ledger.jsonl").charges
    return sum(entry.count for entry in charges if entry.part == "steps")


def same_model(one: Release, two: Release) -> bool:
    pairs = zip(one.model.to_arrays().items(), two.model.to_arrays().items(), strict=True)
    return all(a == b and x.tobytes() == y.tobytes() for (a, x), (b, y) in pairs)


@pytest.mark.parametrize("schema", [PLAIN, SCHEMA], ids=["declared", "cells found by the fit"])
@pytest.mark.parametrize("recipe", [RECIPE, DPGAN(**SETTINGS, components=64)], ids=lambda r: r.name)
def test_a_seeded_fit_stopped_at_a_checkpoint_gives_the_uninterrupted_result(
    recipe: Synthesizer, schema: Schema, tmp_path: Path
) -> None:
    whole = recipe.fit(made_frame(), schema, BUDGET, seed=3)
    stopped(tmp_path, 10, recipe, schema)
    stopped(tmp_path, 20, recipe, schema)  # which begins at the 11th
    assert steps_charged(tmp_path) == 20
    release = fitted(tmp_path, recipe, schema)
    assert same_model(release, whole)
    assert release.schema.to_dict() == whole.schema.to_dict()
    assert release.ledger == replace(whole.ledger, entries=release.ledger.entries)
    assert steps_charged(tmp_path) == 26
    assert [a.values.tobytes() for a in release.transcript] == [
        a.values.tobytes() for a in whole.transcript
    ]


def test_a_fit_that_was_stopped_is_validated_as_one_that_was_not(tmp_path: Path) -> None:
    whole = RECIPE.fit(made_frame(), SCHEMA, BUDGET, seed=3, validation=0.1)
    stopped(tmp_path, 10, RECIPE, SCHEMA, validation=0.1)
    with pytest.raises(CheckpointError, match="another validation"):
        fitted(tmp_path, RECIPE, SCHEMA, validation=0.2)
    release = fitted(tmp_path, RECIPE, SCHEMA, validation=0.1)
    assert same_model(release, whole)
    assert release.validation == whole.validation
    assert release.validation is not None


def test_a_completed_fit_takes_its_checkpoint_away_and_changes_no_result(tmp_path: Path) -> None:
    assert same_model(fitted(tmp_path), RECIPE.fit(made_frame(), PLAIN, BUDGET, seed=3))
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.jsonl"]


@pytest.mark.parametrize("seed", [3, None])
def test_steps_charged_after_the_checkpoint_are_spent(seed: int | None, tmp_path: Path) -> None:
    stopped(tmp_path, 14, seed=seed)  # in the second block, which is charged whole
    assert steps_charged(tmp_path) == 20
    seen: list[int] = []
    with watching_training(lambda progress: seen.append(progress.step)):
        release = fitted(tmp_path, seed=seed)
    assert min(seen) > 20
    assert max(seen) == 26
    ledger = read_ledger(tmp_path / "ledger.jsonl")
    assert release.ledger == ledger
    assert steps_charged(tmp_path) == 26 == RECIPE.steps
    assert len(ledger.reservations) == 2  # the columns and the steps, once
    assert ledger.epsilon <= BUDGET.epsilon


def test_a_fit_that_lost_its_last_block_ends_with_what_it_has(tmp_path: Path) -> None:
    stopped(tmp_path, 24)
    assert steps_charged(tmp_path) == 26
    assert len(fitted(tmp_path).sample(5, seed=0)) == 5
    assert steps_charged(tmp_path) == 26


def test_the_first_block_is_not_lost_with_the_columns_that_were_paid_for(tmp_path: Path) -> None:
    stopped(tmp_path, 1, seconds=1e9)
    fitted(tmp_path)
    assert steps_charged(tmp_path) == 26
    ones = [e for e in read_ledger(tmp_path / "ledger.jsonl").charges if e.part == "ones"]
    assert [entry.count for entry in ones] == [1]


def test_between_two_writes_the_wait_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    written = []
    monkeypatch.setattr(checkpoints.Keeper, "_write", lambda *_: written.append(now[0]))
    with watching_training(lambda progress: now.__setitem__(0, 10.0 * progress.step)):
        fitted(tmp_path, seconds=120.0)
    assert written == [0.0, 190.0]  # not at 90, after the first block, since 120 is more


def test_two_that_go_on_from_one_checkpoint_never_charge_more_than_was_reserved(
    tmp_path: Path,
) -> None:
    stopped(tmp_path, 10)
    kept = (tmp_path / "kept.npz").read_bytes()
    first = fitted(tmp_path)
    (tmp_path / "kept.npz").write_bytes(kept)
    second = fitted(tmp_path)  # with no step left
    assert steps_charged(tmp_path) == 26
    assert not same_model(first, second)


def test_a_process_that_still_lives_cannot_charge_what_another_has_used(tmp_path: Path) -> None:
    seen: list[int] = []

    def go_on_elsewhere(progress: Progress) -> None:
        if progress.step >= 10 and not seen:
            seen.append(progress.step)
            fitted(tmp_path)

    with watching_training(go_on_elsewhere), pytest.raises(BudgetExceeded, match="other processes"):
        fitted(tmp_path)
    assert steps_charged(tmp_path) == 26


def everything_in(path: Path) -> bytes:
    with np.load(path) as arrays:
        return b"".join(arrays[name].tobytes() for name in arrays.files)


def test_neither_bits_of_the_noise_nor_coins_of_records_are_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[bytes] = []
    bits = dp_sgd.random_bits

    def remembered_bits(*arguments):  # type: ignore[no-untyped-def]
        source = bits(*arguments)

        def draw(count: int) -> bytes:
            drawn.append(source(count))
            return drawn[-1]

        return draw

    monkeypatch.setattr(dp_sgd, "random_bits", remembered_bits)
    stopped(tmp_path, 20, seed=None)
    held = everything_in(tmp_path / "kept.npz")
    long = [one for one in drawn if len(one) >= 8]
    assert len(long) > 20 * 3  # of each step: who takes part, coins of encodings, noise
    for one in long:
        assert not any(one[i : i + 8] in held for i in range(0, len(one) - 7, 8))


def test_a_fit_with_fresh_randomness_keeps_no_state_of_a_generator_of_its_own(
    tmp_path: Path,
) -> None:
    for seed in (None, 3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        stopped(folder, 10, seed=seed)
        with np.load(folder / "kept.npz") as arrays:
            numbers = json.loads(str(arrays["header"]))["numbers"]
        assert ("rng" in numbers) == (seed is not None)


def test_categories_that_were_not_released_are_not_in_the_file(tmp_path: Path) -> None:
    frame = made_frame().assign(b=["secret", *["unlisted"] * 299])
    accountant = Accountant(BUDGET, ledger=tmp_path / "ledger.jsonl")
    with stop_at(1), pytest.raises(Stopped):
        RECIPE.fit(frame, SCHEMA, accountant, seed=0, checkpoint=tmp_path / "kept.npz")
    held = everything_in(tmp_path / "kept.npz")
    assert "unlisted".encode("utf-32-le") in held
    assert "secret".encode("utf-32-le") not in held


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": replace(RECIPE, steps=27)}, "another settings"),
        ({"recipe": DPGAN(**SETTINGS)}, "another synthesizer"),
        ({"schema": SCHEMA}, "another schema"),
        ({"seed": 4}, "another seed"),
        ({"seed": None}, "another seed"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused_with_nothing_charged(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    stopped(tmp_path, 10)
    before = (tmp_path / "ledger.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match=said):
        fitted(tmp_path, **change)  # type: ignore[arg-type]
    assert (tmp_path / "ledger.jsonl").read_bytes() == before
    assert (tmp_path / "kept.npz").exists()


@pytest.mark.parametrize("other", ["none", "of another budget", "of another fit"])
def test_a_checkpoint_of_another_ledger_is_refused_with_nothing_charged(
    other: str, tmp_path: Path
) -> None:
    stopped(tmp_path, 10)
    path = tmp_path / "other.jsonl"
    budget = PrivacyBudget(2.0, 1e-6) if other == "of another budget" else BUDGET
    if other == "of another fit":
        DPGAN(**SETTINGS).fit(made_frame(), PLAIN, Accountant(budget, ledger=path), seed=3)
    before = path.read_bytes() if path.exists() else b""
    accountant = Accountant(budget, ledger=path)
    with pytest.raises(CheckpointError, match="kept with another ledger"):
        RECIPE.fit(made_frame(), PLAIN, accountant, seed=3, checkpoint=tmp_path / "kept.npz")
    assert (path.read_bytes() if path.exists() else b"") == before


def changed_head(path: Path, **changes: object) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(str(arrays["header"])) | changes
    np.savez(path, **{**arrays, "header": np.array(json.dumps(header))})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-300]), "it is damaged"),
        (lambda path: path.write_bytes(b""), "it is damaged"),
        (lambda path: np.savez(path, nothing=np.zeros(1)), "it is damaged"),
        (lambda path: changed_head(path, format="else"), "no dp_synth.checkpoint"),
        (lambda path: changed_head(path, version=9), "go on with the version that wrote it"),
        (lambda path: changed_head(path, dp_synth="0"), "go on with the version that wrote it"),
        (lambda path: changed_head(path, noise={}), "its noise is not that of this fit"),
        (lambda path: changed_head(path, numbers={}), "of other networks"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(damage, said, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    stopped(tmp_path, 10)
    before = (tmp_path / "ledger.jsonl").read_bytes()
    damage(tmp_path / "kept.npz")
    with pytest.raises(CheckpointError, match=said) as refused:
        fitted(tmp_path)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "ledger.jsonl").read_bytes() == before


def test_a_checkpoint_with_less_noise_than_was_reserved_is_refused(tmp_path: Path) -> None:
    stopped(tmp_path, 10)
    noise = {"ones": {"noise_multiplier": 0.1}, "steps": {"noise_multiplier": 0.1}}
    changed_head(tmp_path / "kept.npz", noise=noise)
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        fitted(tmp_path)
    assert steps_charged(tmp_path) == 10


@pytest.mark.parametrize("recipe", [MST(), MarginalGenerator()], ids=lambda recipe: recipe.name)
def test_a_synthesizer_that_keeps_none_says_so(recipe: Synthesizer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{recipe.name} keeps no checkpoints"):
        fitted(tmp_path, recipe)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["budget", "in memory", "adaptive", "portion", "turns"])
def test_a_checkpoint_needs_a_ledger_on_disk_for_this_fit_alone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    payers = {
        "budget": lambda: BUDGET,
        "in memory": lambda: Accountant(BUDGET),
        "adaptive": lambda: Accountant(BUDGET, ledger=path, adaptive=True),
        "portion": lambda: Accountant(BUDGET, ledger=path, adaptive=True).portion(0.5),
        "turns": lambda: Accountant(BUDGET, ledger=path, planned=[(RECIPE, 1.0)]),
    }
    with pytest.raises(InputError, match="a checkpoint needs a ledger on disk"):
        RECIPE.fit(made_frame(), PLAIN, payers[kind](), checkpoint=tmp_path / "kept.npz")
    assert not (tmp_path / "kept.npz").exists()


def test_a_wait_below_zero_is_an_input_error() -> None:
    for seconds in (-1.0, float("nan")):
        with pytest.raises(InputError, match="must be 0 or more"):
            Checkpoint("kept.npz", seconds)


def test_the_plan_of_a_ledger_stays_one_for_everybody_else(tmp_path: Path) -> None:
    stopped(tmp_path, 10)
    again = Accountant(BUDGET, ledger=tmp_path / "ledger.jsonl")
    with pytest.raises(BudgetExceeded, match="already holds a plan for the whole budget"):
        RECIPE.fit(made_frame(), PLAIN, again, seed=3)
    fitted(tmp_path)
    with pytest.raises(BudgetExceeded, match="already holds a plan for the whole budget"):
        fitted(tmp_path)
