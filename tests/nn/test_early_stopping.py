"""Early stopping: by generated rows and paid answers alone; steps not taken are not charged."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from dp_synth.accounting import Accountant, Plan, PrivacyBudget, SampledGaussians
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers.dpctgan import DPCTGAN
from dp_synth.synthesizers.dpgan import DPGAN

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.mechanisms import dp_sgd  # noqa: E402
from dp_synth.nn import gan  # noqa: E402
from dp_synth.nn.gan import MIN_GAIN, EarlyStopping  # noqa: E402
from dp_synth.nn.settings import GanSettings  # noqa: E402

DOMAIN = Domain(("a", "b"), (3, 2))
FREQUENCIES = np.array([0.5, 0.25, 0.25, 0.5, 0.5])
SIZES = {"fakes": 32, "critic_width": 8, "generator_width": 8, "components": 64}
TRAINING = DPCTGAN(**SIZES)
PLAIN = DPGAN(**SIZES)
BLOCK = 4
STEPS = 6 * BLOCK


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dp_sgd, "CHARGED_AT_ONCE", BLOCK)
    monkeypatch.setattr(gan, "WARM_UP", 5)


def made_table(records: int = 100) -> PrivateTable:
    plan = Plan({"steps": SampledGaussians(STEPS, 0.5, noise_multiplier=3.0)})
    accountant = Accountant(PrivacyBudget(1e3, 1e-6))
    codes = np.random.default_rng(0).integers(0, DOMAIN.sizes, (records, 2), dtype=np.int32)
    return PrivateTable(codes, DOMAIN, accountant.admit("test", plan, randomness="seeded"))


def trained(table: PrivateTable, training: GanSettings):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    return gan.train(table, gan.Targets(FREQUENCIES, 100.0), training, rng=rng)


def made_game(training: GanSettings = TRAINING) -> gan._Trainer:
    return gan._Trainer(DOMAIN, gan.Targets(FREQUENCIES, 100.0), training, np.random.default_rng(0))


def charged(table: PrivateTable) -> int:
    return sum(entry.count for entry in table.payer.accountant.ledger.charges)


def test_it_is_over_after_so_many_blocks_without_a_gain() -> None:
    patience = EarlyStopping(2)
    misfits = [0.5, 0.4, 0.4 * (1 - MIN_GAIN / 2), 0.3, 0.31, 0.29999]
    assert [patience.is_over(lambda m=misfit: m) for misfit in misfits] == [False] * 5 + [True]
    assert not EarlyStopping(1).is_over(lambda: 5.0)


def test_without_patience_nothing_is_even_asked() -> None:
    def never() -> float:
        raise AssertionError

    assert not EarlyStopping(0).is_over(never)


def test_a_training_stops_and_charges_no_step_that_it_does_not_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    misfits = iter([0.5, 0.4, 0.4, 0.4])
    monkeypatch.setattr(gan._Trainer, "misfit", lambda _game: next(misfits))
    table = made_table()
    rows = trained(table, replace(TRAINING, patience=2))
    assert charged(table) == 4 * BLOCK < STEPS
    assert np.allclose(rows[:, :3].sum(axis=1), 1)
    ledger = table.payer.accountant.ledger
    assert sum(entry.count for entry in ledger.reservations) == STEPS
    assert ledger.epsilon == made_table().payer.accountant.ledger.epsilon  # of what is reserved


def test_a_training_that_learns_nothing_more_stops_by_itself() -> None:
    table = made_table()
    trained(table, replace(TRAINING, patience=1, learning_rate=1e-9))
    assert charged(table) == 2 * BLOCK


def test_patience_that_never_ends_leaves_the_result_as_it_is() -> None:
    without, with_patience = made_table(), made_table()
    expected = trained(without, TRAINING)
    assert trained(with_patience, replace(TRAINING, patience=99)).tobytes() == expected.tobytes()
    assert charged(with_patience) == charged(without) == STEPS


@pytest.mark.parametrize("training", [TRAINING, PLAIN], ids=["conditional", "plain"])
def test_the_misfit_falls_to_zero_as_rows_come_to_be_as_they_should(training: GanSettings) -> None:
    game = made_game(training)
    condition = game._latent(training.components, torch.Generator().manual_seed(0))[1]
    even = torch.as_tensor(FREQUENCIES).repeat(training.components, 1)
    obedient = even.clone()
    if condition is not None:  # the attribute of the condition has its code, the other is even
        told = torch.cat(
            [part.sum(1, keepdim=True).expand_as(part) for part in condition.split([3, 2], 1)], 1
        )
        obedient = torch.where(told > 0, condition.double(), even)
    game.encoding.softmax = lambda _logits: obedient
    assert game.misfit() < (0.1 if game.settings.conditional else 1e-6)  # of drawn conditions
    wrong = torch.zeros_like(even)
    wrong[:, [2, 4]] = 1.0
    game.encoding.softmax = lambda _logits: wrong
    apart = (0.75 + 0.5) / 2
    disobeyed = float(wrong[condition > 0].eq(0).float().mean()) if condition is not None else 0.0
    assert game.misfit() == pytest.approx(apart + disobeyed)


def test_the_misfit_knows_no_record_and_moves_no_coin() -> None:
    game = made_game()
    before = game.coins.get_state()
    first = game.misfit()
    assert game.misfit() == first
    assert math.isfinite(first)
    assert torch.equal(before, game.coins.get_state())
    held = [value for value in vars(game).values() if isinstance(value, PrivateTable)]
    assert not held  # it has no way to any record


def test_misfits_of_other_records_are_equal_until_noisy_steps_make_them_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One table has no record: the same noisy sums must give the same misfits."""
    seen: list[list[float]] = []
    misfit = gan._Trainer.misfit

    def remembered(game: gan._Trainer) -> float:
        seen[-1].append(misfit(game))
        return seen[-1][-1]

    def noise_alone(gradients, critic, loss):  # type: ignore[no-untyped-def]
        step(gradients, critic, loss)
        return [torch.full_like(p, 0.01) for p in critic.parameters()]

    step = gan.SampledGradients.step
    monkeypatch.setattr(gan._Trainer, "misfit", remembered)
    monkeypatch.setattr(gan.SampledGradients, "step", noise_alone)
    for records in (0, 500):
        seen.append([])
        trained(made_table(records), replace(TRAINING, patience=99))
    assert seen[0] == seen[1]
    assert len(seen[0]) == STEPS // BLOCK


@pytest.mark.parametrize("kind", [DPGAN, DPCTGAN])
def test_patience_below_zero_is_an_input_error(kind: type) -> None:
    with pytest.raises(InputError, match="patience must be a whole number from 0"):
        kind(patience=-1)
