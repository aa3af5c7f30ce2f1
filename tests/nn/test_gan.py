"""The training of both networks: repeatable, watched, stopped at what is no number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dp_synth.accounting import Accountant, Plan, PrivacyBudget, SampledGaussians
from dp_synth.domain import Domain
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.synthesizers.dpctgan import DPCTGAN
from dp_synth.synthesizers.dpgan import DPGAN

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.mechanisms import dp_sgd  # noqa: E402
from dp_synth.nn import gan  # noqa: E402
from dp_synth.progress import Progress, watching_training  # noqa: E402

DOMAIN = Domain(("a", "b"), (3, 2))
FREQUENCIES = np.array([0.5, 0.25, 0.25, 0.5, 0.5])
TRAINING = DPCTGAN(steps=8, fakes=32, critic_width=8, generator_width=8, components=64)


TARGETS = gan.Targets(FREQUENCIES, 100.0)


@pytest.fixture(autouse=True)
def few_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gan, "WARM_UP", 5)


def made_table(steps: int = 8) -> PrivateTable:
    plan = Plan({"steps": SampledGaussians(steps, 0.5, noise_multiplier=3.0)})
    accountant = Accountant(PrivacyBudget(1e3, 1e-6))
    codes = np.random.default_rng(0).integers(0, DOMAIN.sizes, (100, 2), dtype=np.int32)
    return PrivateTable(codes, DOMAIN, accountant.admit("test", plan, randomness="seeded"))


def trained(seed: int = 0, training=TRAINING, table=None):  # type: ignore[no-untyped-def]
    table = table or made_table()
    return gan.train(
        table,
        gan.Targets(FREQUENCIES, 100.0),
        training,
        rng=np.random.default_rng(seed),
    )


def test_rows_are_probabilities_and_one_seed_gives_them_bit_for_bit() -> None:
    first, again, other = trained(1), trained(1), trained(2)
    assert first.shape == (64, 5)
    assert np.allclose(first[:, :3].sum(1), 1)
    assert np.allclose(first[:, 3:].sum(1), 1)
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_the_global_generator_of_torch_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    trained()
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_watcher_sees_steps_the_generators_loss_and_a_growing_epsilon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dp_sgd, "CHARGED_AT_ONCE", 4)
    seen: list[Progress] = []
    table = made_table()
    with watching_training(seen.append):
        trained(table=table)
    trained()  # nobody watches any more
    assert [progress.step for progress in seen] == list(range(1, 9))
    epsilons = [progress.epsilon for progress in seen]
    assert epsilons == sorted(epsilons)
    assert 0 < epsilons[0] < epsilons[-1]
    assert epsilons[-1] == pytest.approx(table.payer.accountant.ledger.epsilon)
    assert all(np.isfinite(progress.generator_loss) for progress in seen)


def test_a_loss_that_is_no_number_stops_the_training_and_what_was_spent_stays_so() -> None:
    table = made_table()
    with pytest.raises(FloatingPointError, match="at step 1 of 8; lower learning_rate"):
        trained(training=replace(TRAINING, frequencies_weight=1e300), table=table)
    assert sum(entry.count for entry in table.payer.accountant.ledger.charges) == 8


def late(share: float, components: int = 64):  # type: ignore[no-untyped-def]
    plain = DPGAN(steps=8, fakes=32, critic_width=8, generator_width=8, late_share=share)
    return replace(plain, components=components)


def test_released_rows_are_those_that_late_generators_made_on_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[np.ndarray] = []
    fakes = gan._Trainer._fakes

    def remembered(game):  # type: ignore[no-untyped-def]
        found = fakes(game)
        if torch.is_grad_enabled():  # a step of the generator, not of the critic
            made.append(game.encoding.softmax(found[1].detach()).numpy())
        return found

    monkeypatch.setattr(gan._Trainer, "_fakes", remembered)
    rows = trained(training=late(0.5))
    assert len(made) == 8
    expected = np.concatenate([one[:16] for one in made[4:]])
    assert rows.tobytes() == expected.astype(float).tobytes()


def test_of_more_rows_than_components_as_many_of_each_generator_are_taken() -> None:
    whole, few = (trained(training=late(1.0, components)) for components in (64, 4))
    assert (len(whole), len(few)) == (64, 4)
    assert few.tobytes() == whole[::16].tobytes()  # the first row of every second generator


def test_which_rows_are_released_changes_no_step_of_the_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: list[bytes] = []
    rows = gan._Trainer.rows

    def remembered(game):  # type: ignore[no-untyped-def]
        ends.append(game.generator.last.weight.detach().numpy().tobytes())
        return rows(game)

    monkeypatch.setattr(gan._Trainer, "rows", remembered)
    first, other = (trained(training=late(share)) for share in (0.0, 0.8))
    assert ends[0] == ends[1]
    assert first.shape == other.shape
    assert first.tobytes() != other.tobytes()


def test_the_critics_weights_stay_within_their_limit() -> None:
    game = gan._Trainer(DOMAIN, TARGETS, TRAINING, np.random.default_rng(0))
    game.move_critic([torch.full_like(p, 100.0) for p in game.critic.parameters()])
    largest = max(float(p.detach().abs().max()) for p in game.critic.parameters())
    assert 0 < largest <= TRAINING.weight_limit * (1 + 1e-6)


def test_a_step_of_the_generator_leaves_the_critic_as_it_was() -> None:
    game = gan._Trainer(DOMAIN, TARGETS, TRAINING, np.random.default_rng(0))
    before = [p.detach().clone() for p in game.critic.parameters()]
    made = game.generator.last.bias.detach().clone()
    game.move_generator(against_critic=True)
    assert all(torch.equal(a, b) for a, b in zip(before, game.critic.parameters(), strict=True))
    assert not torch.equal(made, game.generator.last.bias)


def test_coins_of_records_do_not_move_those_of_generated_rows() -> None:
    game = gan._Trainer(DOMAIN, TARGETS, TRAINING, np.random.default_rng(0))
    before = game.coins.get_state()
    game.encode(torch.tensor([[0, 1], [2, 0]]), torch.tensor([5, 8]))
    assert torch.equal(before, game.coins.get_state())


def test_an_unwanted_device_is_not_taken() -> None:
    assert gan.device_of("cpu") == torch.device("cpu")
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert gan.device_of("auto") == torch.device(expected)
