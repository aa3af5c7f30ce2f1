"""Sampled gradients: charged first, clipped row by row, drawn by coins, noisy as they say."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from dp_synth.accounting import Accountant, Plan, PrivacyBudget, SampledGaussians
from dp_synth.domain import Domain
from dp_synth.errors import BudgetExceeded, InputError, UnsupportedEvent
from dp_synth.mechanisms.table import PrivateTable

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.mechanisms import dp_sgd  # noqa: E402
from dp_synth.mechanisms.dp_sgd import (  # noqa: E402
    CHARGED_AT_ONCE,
    Critic,
    SampledGradients,
    clipped_sum,
    lattice_bits,
    poisson_sample,
)
from dp_synth.mechanisms.per_sample_gradients import CLIP_BITS  # noqa: E402

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


def test_noise_has_the_stddev_of_noise_multiplier_times_clip() -> None:
    gradients, critic = made_gradients(made_table(0), clip=3.0), made_critic(2, (50,))
    drawn = torch.cat([flat(gradients.step(critic, -1.0)) for _ in range(20)]).double()
    squares = float(drawn.square().sum()) / (2.0 * 3.0) ** 2
    # A chi-squared number of so many degrees is within 6 stddevs of its mean.
    assert abs(squares - len(drawn)) < 6 * math.sqrt(2 * len(drawn))
    assert abs(float(drawn.mean())) < 6 * 6.0 / math.sqrt(len(drawn))


def test_batches_are_as_large_as_the_coins_of_all_records_make_them() -> None:
    table, sizes = made_table(400), []

    def encode(codes: torch.Tensor, coins: torch.Tensor) -> torch.Tensor:
        sizes.append(len(codes))
        return codes.float()

    part = table.payer.plan.sampled("steps")
    gradients = SampledGradients(table, part, np.random.default_rng(5), clip=1.0, encode=encode)
    critic = made_critic()
    for _ in range(60):
        gradients.step(critic, -1.0)
    variance = 400 * 0.25 * 0.75
    assert abs(np.mean(sizes) - 100) < 6 * math.sqrt(variance / 60)
    assert 0.3 * variance < np.var(sizes) < 2.5 * variance  # beyond 6 stddevs of a chi-squared
    assert table.reads == 1


def test_every_step_is_charged_and_none_beyond_the_plan_is_taken() -> None:
    table = made_table(10)
    gradients, critic = made_gradients(table), made_critic()
    for _ in range(60):
        gradients.step(critic, -1.0)
    charges = table.payer.accountant.ledger.charges
    assert [entry.count for entry in charges] == [CHARGED_AT_ONCE, 60 - CHARGED_AT_ONCE]
    assert {entry.sampler for entry in charges} == {"exact"}
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        gradients.step(critic, -1.0)


def noise_by_slow_steps(bits: int) -> np.ndarray:
    """What leaves in two steps about no record: the noise alone, in its unit."""
    gradients, critic = made_gradients(made_table(0)), made_critic()
    steps = [flat(gradients.step(critic, -1.0)) for _ in range(2)]
    return torch.cat(steps).double().numpy() * 2.0**bits


def test_what_leaves_is_whole_numbers_of_a_public_unit() -> None:
    """Bits of a sum in floating point tell what the noise was added to; whole numbers do not."""
    units = noise_by_slow_steps(CLIP_BITS + 10)
    assert np.array_equal(units, np.rint(units))
    gradients = made_gradients(made_table(40, rate=1.0))
    first_layer, bias, *_ = gradients.step(made_critic(), -1.0)
    for values in (first_layer, bias):
        whole = values.double().numpy() * 2.0**CLIP_BITS
        assert np.array_equal(whole, np.rint(whole))
        assert np.any(whole % 2 == 1)  # and of no coarser one


def test_neighbours_whose_noise_is_one_differ_by_the_records_part_exactly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sums = []
    for records in (0, 1):
        own = np.random.default_rng(3)
        monkeypatch.setattr(
            dp_sgd,
            "rounded_gaussian",
            lambda stddev, shape, bits, own=own: np.rint(own.normal(0, stddev, shape)).astype(int),
        )
        gradients = made_gradients(made_table(records, rate=1.0))
        sums.append(flat(gradients.step(made_critic(), -1.0)).double())
    record = torch.from_numpy(made_table(1).exact_records()[0]).float()
    part = flat(clipped_sum(made_critic(), record, -1.0, 1.0))
    # Released in single precision, whose rounding is beyond the door.
    assert torch.allclose(sums[1] - sums[0], part, rtol=0, atol=2e-6)


def test_an_unseeded_step_takes_its_bits_from_the_operating_system_alone() -> None:
    plan = Plan({"steps": SampledGaussians(60, 0.25, noise_multiplier=2.0)})
    payer = Accountant(PrivacyBudget(1e4, 1e-6)).admit("test", plan)
    table = PrivateTable(np.zeros((9, 2), dtype=np.int32), DOMAIN, payer)
    rng = np.random.default_rng(0)
    before, torchs = rng.bit_generator.state, torch.random.get_rng_state()
    part = payer.plan.sampled("steps")
    seen: list[np.ndarray] = []
    for _ in range(2):
        gradients = SampledGradients(
            table, part, rng, clip=1.0, encode=lambda codes, coins: codes.float()
        )
        seen.append(flat(gradients.step(made_critic(), -1.0)).numpy())
    assert not np.array_equal(*seen)
    assert rng.bit_generator.state == before
    assert torch.equal(torch.random.get_rng_state(), torchs)


def test_every_record_has_a_coin_of_its_own_for_its_encoding() -> None:
    coins: list[torch.Tensor] = []

    def encode(codes: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        assert own.shape == (len(codes),)
        coins.append(own)
        return codes.float()

    table = made_table(300, rate=1.0)
    part = table.payer.plan.sampled("steps")
    gradients = SampledGradients(table, part, np.random.default_rng(5), clip=1.0, encode=encode)
    for _ in range(3):
        gradients.step(made_critic(), -1.0)
    drawn = torch.cat(coins).numpy()
    assert len(np.unique(drawn)) == len(drawn) == 900
    assert drawn.min() >= 0
    for values in (1, 7, 12):  # and what is left of a division is even, by a chi-squared test
        counts = np.bincount(drawn % values, minlength=values)
        expected = len(drawn) / values
        spread = float(np.sum((counts - expected) ** 2)) / expected
        assert spread < values + 12 * math.sqrt(values) + 20


def slow_sample(records: int, rate: float, words: list[int]) -> list[int]:
    """The records whose 64 bits are below the rate, in rational numbers."""
    return [i for i in range(records) if Fraction(words[i], 2**64) < Fraction(rate)]


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.026, 1 / 3, 2.0**-16, 1 - 2.0**-53, 2.0**-64, 1e-30])
def test_coins_are_64_bits_below_the_rate_and_never_fall_so_more_often(rate: float) -> None:
    """Also where the first 16 bits do not decide: at, beside and far from the threshold."""
    threshold = math.floor(Fraction(rate) * 2**64)
    assert Fraction(threshold, 2**64) <= Fraction(rate) < Fraction(threshold + 1, 2**64)
    near = {
        0,
        2**64 - 1,
        threshold - 2**48,
        threshold - 1,
        threshold,
        threshold + 1,
        threshold // 2,
    }
    words = sorted(word for word in near if 0 <= word < 2**64)
    tied = [word for word in words if word >> 48 == threshold >> 48]
    first = b"".join((word >> 48).to_bytes(2, "little") for word in words)
    rest = b"".join(((word & (2**48 - 1)) << 16 | 0xFFFF).to_bytes(8, "little") for word in tied)
    drawn = [first, rest]
    taken = poisson_sample(len(words), rate, lambda count: drawn.pop(0)[:count])
    # A word of exactly the threshold is below the real rate only by what was rounded off.
    right = [i for i in slow_sample(len(words), rate, words) if words[i] != threshold]
    assert taken.tolist() == right
    assert not drawn


def test_records_take_part_as_often_as_the_rate_says() -> None:
    bits = np.random.default_rng(7).bytes
    taken = [len(poisson_sample(1000, 0.026, bits)) for _ in range(400)]
    variance = 1000 * 0.026 * 0.974
    assert abs(np.mean(taken) - 26) < 6 * math.sqrt(variance / 400)
    assert abs(np.mean(taken) / 26 - 1.05) > 0.03  # and this could fail


def test_noise_too_large_for_the_lattice_makes_it_coarser_and_then_is_refused() -> None:
    assert lattice_bits(1.0) == lattice_bits(64.0) == CLIP_BITS
    assert lattice_bits(65.0) == CLIP_BITS - 1
    with pytest.raises(InputError, match="says nothing; raise epsilon"):
        lattice_bits(2.0**19)


def test_nothing_is_read_before_the_charge() -> None:
    table, critic = made_table(10), made_critic()
    table.payer.charge(table.payer.plan.sampled("steps"), _event(table), 60, why="elsewhere")
    with pytest.raises(BudgetExceeded):
        made_gradients(table).step(critic, -1.0)
    assert table.reads == 0


def test_steps_on_generated_rows_charge_nothing() -> None:
    table, critic = made_table(10), made_critic()
    made_gradients(table)
    clipped_sum(critic, torch.zeros(4, 2), -1.0, 1.0)
    assert (len(table.payer.accountant.ledger.charges), table.reads) == (0, 0)


def test_what_the_curve_of_sampling_does_not_cover_is_refused() -> None:
    accountant = Accountant(PrivacyBudget(1.0, 1e-6, unit="person", max_rows=201))
    with pytest.raises(UnsupportedEvent, match="units of at most 200 records, got 201"):
        accountant.admit("test", Plan({"steps": SampledGaussians(10, 0.1)}))
    assert not accountant.ledger.entries


def _event(table: PrivateTable):  # type: ignore[no-untyped-def]
    return table.payer.plan.sampled("steps").event()
