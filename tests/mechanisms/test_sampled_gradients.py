"""Sampled gradients: charged first, clipped row by row, drawn by coins, noisy as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dp_synth.accounting import Accountant, Plan, PrivacyBudget, SampledGaussians
from dp_synth.domain import Domain
from dp_synth.errors import BudgetExceeded, UnsupportedEvent
from dp_synth.table import PrivateTable

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.mechanisms.sampled_gradients import (  # noqa: E402
    CHARGED_AT_ONCE,
    Critic,
    SampledGradients,
    clipped_sum,
)

DOMAIN = Domain(("a", "b"), (3, 2))


def made_table(records: int, *, steps: int = 60, rate: float = 0.25) -> PrivateTable:
    """A table whose plan grants steps of noise multiplier 2."""
    plan = Plan({"steps": SampledGaussians(steps, rate, noise_multiplier=2.0)})
    accountant = Accountant(PrivacyBudget(1e4, 1e-6))
    codes = np.random.default_rng(0).integers(0, DOMAIN.sizes, (records, 2), dtype=np.int32)
    return PrivateTable(codes, DOMAIN, accountant.admit("test", plan, randomness="seeded"))


def made_gradients(table: PrivateTable, *, clip: float = 1.0, seed: int = 1) -> SampledGradients:
    part = table.payer.plan.sampled("steps")
    rng = np.random.default_rng(seed)
    return SampledGradients(table, part, rng, clip=clip, encode=lambda codes, coins: codes.float())


def made_critic(inputs: int = 2, widths: tuple[int, ...] = (5, 4)) -> Critic:
    return Critic(inputs, widths, torch.Generator().manual_seed(0))


def flat(parts: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([part.reshape(-1) for part in parts])


def gradients_by_opacus(critic: Critic, rows: torch.Tensor) -> torch.Tensor:
    """The gradient of each row's softplus loss, shape (rows, parameters)."""
    opacus = pytest.importorskip("opacus", reason="opacus is the oracle of per-row gradients")
    plain = torch.nn.Sequential()
    for layer in critic.layers:
        plain.extend([layer, torch.nn.LeakyReLU(0.2)])
    wrapped = opacus.GradSampleModule(plain[:-1], loss_reduction="sum")
    given = rows.clone().requires_grad_()  # without it torch warns of opacus' hooks
    torch.nn.functional.softplus(wrapped(given)).sum().backward()
    return torch.cat([p.grad_sample.reshape(len(rows), -1) for p in critic.parameters()], dim=1)


@pytest.mark.parametrize("clip", [1e-3, 0.5, 1e3])
def test_each_rows_gradient_is_that_of_opacus_scaled_down_to_the_clip(clip: float) -> None:
    critic = made_critic(6)
    rows = 3 * torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    found = flat(clipped_sum(critic, rows, torch.nn.functional.softplus, clip))
    each = gradients_by_opacus(critic, rows)
    factors = (clip / each.norm(dim=1)).clamp(max=1.0)
    expected = (factors[:, None] * each).sum(0)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5 * clip)
    assert bool((factors < 1).any()) == (clip < 1e3)


def test_one_row_more_moves_the_sum_by_the_clip_at_most() -> None:
    critic = made_critic(6)
    rows = 100 * torch.randn(30, 6, generator=torch.Generator().manual_seed(2))
    whole = flat(clipped_sum(critic, rows, torch.neg, 0.7))
    without = flat(clipped_sum(critic, rows[1:], torch.neg, 0.7))
    assert 0.69 < float((whole - without).norm()) < 0.7 * (1 + 1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_row_whose_gradient_is_not_finite_adds_nothing(bad: float) -> None:
    critic = made_critic(3)
    rows = torch.randn(5, 3, generator=torch.Generator().manual_seed(3))
    broken = torch.cat([rows, torch.full((1, 3), bad)])
    expected = flat(clipped_sum(critic, rows, torch.neg, 1.0))
    assert torch.equal(flat(clipped_sum(critic, broken, torch.neg, 1.0)), expected)


def test_noise_has_the_stddev_of_noise_multiplier_times_clip() -> None:
    gradients, critic = made_gradients(made_table(0), clip=3.0), made_critic(2, (50,))
    drawn = torch.cat([flat(gradients.step(critic, torch.neg)) for _ in range(20)]).double()
    squares = float(drawn.square().sum()) / (2.0 * 3.0) ** 2
    # A chi-squared number of so many degrees is within 6 stddevs of its mean.
    assert abs(squares - len(drawn)) < 6 * math.sqrt(2 * len(drawn))
    assert abs(float(drawn.mean())) < 6 * 6.0 / math.sqrt(len(drawn))


def test_batches_are_as_large_as_the_coins_of_all_records_make_them() -> None:
    table, sizes = made_table(400), []

    def encode(codes: torch.Tensor, coins: torch.Generator) -> torch.Tensor:
        sizes.append(len(codes))
        return codes.float()

    part = table.payer.plan.sampled("steps")
    gradients = SampledGradients(table, part, np.random.default_rng(5), clip=1.0, encode=encode)
    critic = made_critic()
    for _ in range(60):
        gradients.step(critic, torch.neg)
    variance = 400 * 0.25 * 0.75
    assert abs(np.mean(sizes) - 100) < 6 * math.sqrt(variance / 60)
    assert 0.3 * variance < np.var(sizes) < 2.5 * variance  # beyond 6 stddevs of a chi-squared
    assert table.reads == 1


def test_every_step_is_charged_and_none_beyond_the_plan_is_taken() -> None:
    table = made_table(10)
    gradients, critic = made_gradients(table), made_critic()
    for _ in range(60):
        gradients.step(critic, torch.neg)
    charges = table.payer.accountant.ledger.charges
    assert [entry.count for entry in charges] == [CHARGED_AT_ONCE, 60 - CHARGED_AT_ONCE]
    assert {entry.sampler for entry in charges} == {"float"}
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        gradients.step(critic, torch.neg)


def test_each_charge_brings_a_key_of_its_own_for_coins_and_noise() -> None:
    table, critic = made_table(10), made_critic()
    streams: list[tuple[int, int]] = []

    def encode(codes: torch.Tensor, coins: torch.Generator) -> torch.Tensor:
        streams.append((coins.initial_seed(), id(gradients._rng)))
        return codes.float()

    part, rng = table.payer.plan.sampled("steps"), np.random.default_rng(5)
    gradients = SampledGradients(table, part, rng, clip=1.0, encode=encode)
    settled = []
    for _ in range(60):
        settled.append(gradients.settled)
        gradients.step(critic, torch.neg)
    assert [step for step, now in enumerate(settled) if now] == [0, CHARGED_AT_ONCE]
    assert len(set(streams[:CHARGED_AT_ONCE])) == len(set(streams[CHARGED_AT_ONCE:])) == 1
    assert streams[0][0] != streams[-1][0]
    again = np.random.default_rng(5)
    again.bytes(16)
    again.bytes(16)  # two keys, and nothing else, are drawn from a seed
    assert rng.bit_generator.state == again.bit_generator.state


def test_nothing_is_read_before_the_charge() -> None:
    table, critic = made_table(10), made_critic()
    table.payer.charge(table.payer.plan.sampled("steps"), _event(table), 60, why="elsewhere")
    with pytest.raises(BudgetExceeded):
        made_gradients(table).step(critic, torch.neg)
    assert table.reads == 0


def test_steps_on_generated_rows_charge_nothing() -> None:
    table, critic = made_table(10), made_critic()
    made_gradients(table)
    clipped_sum(critic, torch.zeros(4, 2), torch.neg, 1.0)
    assert (len(table.payer.accountant.ledger.charges), table.reads) == (0, 0)


@pytest.mark.parametrize(
    "budget",
    [
        PrivacyBudget(1.0, 1e-6, "replace_one"),
        PrivacyBudget(1.0, 1e-6, unit="person", max_rows=2),
    ],
)
def test_what_the_curve_of_sampling_does_not_cover_is_refused(budget: PrivacyBudget) -> None:
    accountant = Accountant(budget)
    with pytest.raises(UnsupportedEvent, match="sampled batches are certified"):
        accountant.admit("test", Plan({"steps": SampledGaussians(10, 0.1)}))
    assert not accountant.ledger.entries


def _event(table: PrivateTable):  # type: ignore[no-untyped-def]
    return table.payer.plan.sampled("steps").event()
