"""Clipped gradients: exact sums in whole numbers, no part above the clip, each of its row alone."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from dp_synth.errors import InputError
from dp_synth.nn.settings import LARGEST_WEIGHT
from dp_synth.nn.settings import LARGEST_WIDTH as WIDEST_SETTING

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.mechanisms import dp_sgd  # noqa: E402
from dp_synth.mechanisms.dp_sgd import (  # noqa: E402
    INPUT_LIMIT,
    LARGEST_WIDTH,
    MOST_INPUTS,
    OUTPUT_BITS,
    OUTPUT_LIMIT,
    ROWS_AT_ONCE,
    SLOPE_BITS,
    SLOPE_LIMIT,
    WEIGHT_BITS,
    WEIGHT_LIMIT,
    Critic,
    clipped_sum,
    whole_sums,
)
from dp_synth.mechanisms.per_sample_gradients import CLIP_BITS, WholeSum  # noqa: E402

DEEP = (9, 7)
EXACT = 2**53  # whole numbers up to here are float64


def made_critic(
    inputs: int = 2, widths: tuple[int, ...] = (5, 4), *, scale: float = 1.0, seed: int = 0
) -> Critic:
    critic = Critic(inputs, widths, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.mul_(scale)
    return critic


def one_hot(records: int, inputs: int, marks: int = 3, seed: int = 1) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    rows = np.zeros((records, inputs), dtype=np.float32)
    rows[np.arange(records)[:, None], rng.integers(0, inputs, (records, marks))] = 1
    return torch.from_numpy(rows)


def flat(parts: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([part.reshape(-1) for part in parts])


def whole(sums: list[WholeSum]) -> torch.Tensor:
    return flat([total.whole for total in sums])


def exact_norm_squared(sums: list[WholeSum]) -> Fraction:
    """The squared norm in clips, in rational numbers."""
    return sum(
        (
            Fraction(sum(int(x) ** 2 for x in total.whole.reshape(-1)), 4**total.bits)
            for total in sums
        ),
        Fraction(0),
    )


def gradients_by_opacus(critic: Critic, rows: torch.Tensor, loss=torch.neg) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """The gradient of each row's loss, shape (rows, parameters)."""
    opacus = pytest.importorskip("opacus", reason="opacus is the oracle of per-row gradients")
    plain = torch.nn.Sequential()
    for layer in critic.layers:
        plain.extend([layer, torch.nn.LeakyReLU(0.2)])
    wrapped = opacus.GradSampleModule(plain[:-1], loss_reduction="sum")
    given = rows.clone().requires_grad_()  # without it torch warns of opacus' hooks
    loss(wrapped(given)).sum().backward()
    return torch.cat([p.grad_sample.reshape(len(rows), -1) for p in critic.parameters()], dim=1)


@pytest.mark.parametrize("widths", [(8,), (6, 5, 4)])
@pytest.mark.parametrize("clip", [1e-3, 0.5, 1e3])
def test_each_rows_gradient_is_that_of_opacus_scaled_down_to_the_clip(
    clip: float, widths: tuple[int, ...]
) -> None:
    critic, rows = made_critic(6, widths), one_hot(40, 6)
    found = flat(clipped_sum(critic, rows, -1.0, clip))
    each = gradients_by_opacus(critic, rows)
    factors = (clip / each.norm(dim=1)).clamp(max=1.0)
    expected = (factors[:, None] * each).sum(0).double()
    # Weights, outputs and slopes are rounded to 2^-10 and finer, a clipped slope to 2^-16 clips.
    lost = len(rows) * 2.0**-CLIP_BITS * clip
    assert float((found - expected).norm()) < 2.0**-8 * float(expected.norm()) + 10 * lost
    assert bool((factors < 1).any()) == (clip < 1e3)


def test_the_sums_of_the_widest_layers_stay_below_what_is_exact() -> None:
    weight, output = WEIGHT_LIMIT * 2**WEIGHT_BITS, OUTPUT_LIMIT * 2**OUTPUT_BITS
    slope, clipped = SLOPE_LIMIT * 2**SLOPE_BITS, 2.0 ** (CLIP_BITS + OUTPUT_BITS)
    largest = {
        "first layer": MOST_INPUTS * INPUT_LIMIT * weight + weight,
        "deeper layer": LARGEST_WIDTH * output * weight + weight * 2**OUTPUT_BITS,
        "slopes": LARGEST_WIDTH * slope * weight,
        "square of inputs": MOST_INPUTS * INPUT_LIMIT**2 + 1,
        "square of outputs": LARGEST_WIDTH * output**2 + 4**OUTPUT_BITS,
        "square of slopes": LARGEST_WIDTH * slope**2,
        "batch": ROWS_AT_ONCE * clipped,
    }
    assert max(largest.values()) <= EXACT, largest
    assert (LARGEST_WEIGHT, WIDEST_SETTING) == (WEIGHT_LIMIT, LARGEST_WIDTH)


def exact_sums(critic: Critic, row: list[int]) -> tuple[list[int], list[int]]:
    """What the first layer gives and the slopes of its outputs, in integers without a limit."""
    cut = [
        [int(w) for w in line]
        for line in dp_sgd._whole(critic.layers[0].weight, WEIGHT_BITS, WEIGHT_LIMIT)
    ]
    bias = dp_sgd._whole(critic.layers[0].bias, WEIGHT_BITS, WEIGHT_LIMIT)
    outs = [
        sum(w * x for w, x in zip(line, row, strict=True)) + int(b)
        for line, b in zip(cut, bias, strict=True)
    ]
    return outs, [sum(x * x for x in row)]


def test_sums_of_the_largest_numbers_agree_with_integers_without_a_limit() -> None:
    rng = np.random.default_rng(0)
    critic = made_critic(500, (4,), scale=1e6)  # every weight at its limit
    codes = rng.choice([-300, -256, 255, 256, 1000], (8, 500))
    rows = torch.from_numpy(codes.astype(np.float32))
    weights = [dp_sgd._whole(layer.weight, WEIGHT_BITS, WEIGHT_LIMIT) for layer in critic.layers]
    given, outputs, _ = dp_sgd._forward(critic, weights, rows)
    for place, row in enumerate(np.clip(codes, -256, 256).tolist()):
        outs, squares = exact_sums(critic, row)
        assert [int(x) for x in outputs[0][place]] == outs
        assert int((given[0][place] * given[0][place]).sum()) == squares[0]


@pytest.mark.parametrize("widths", [(16,), DEEP, ()])
def test_a_rows_part_is_the_same_whatever_else_is_in_the_batch(widths: tuple[int, ...]) -> None:
    """Bit for bit, for batches of many sizes, where products in floating point differ."""
    critic = made_critic(60, widths, scale=3.0)
    rows = one_hot(300, 60, marks=9)
    each = torch.stack([whole(whole_sums(critic, row, -1.0, 1.0)) for row in rows.split(1)])
    rng = np.random.default_rng(2)
    for size in (0, 1, 2, 7, 31, 64, 257, 300):
        chosen = torch.from_numpy(rng.permutation(300)[:size].astype(np.int64))
        found = whole(whole_sums(critic, rows[chosen], -1.0, 1.0))
        assert torch.equal(found, each[chosen].sum(0))


def test_more_rows_than_are_taken_at_once_have_the_same_sum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    critic, rows = made_critic(6, DEEP), one_hot(100, 6)
    at_once = whole(whole_sums(critic, rows, 1.0, 1.0))
    monkeypatch.setattr(dp_sgd, "ROWS_AT_ONCE", 7)
    assert torch.equal(whole(whole_sums(critic, rows, 1.0, 1.0)), at_once)


def adversarial_rows(inputs: int) -> torch.Tensor:
    """Rows of zeros, of limits, beyond them, between whole numbers, tiny and huge."""
    rng = np.random.default_rng(5)
    rows = [
        np.zeros(inputs),
        np.full(inputs, INPUT_LIMIT),
        np.full(inputs, -1e30),
        np.full(inputs, 0.5),
        np.full(inputs, 1.0000001),
        np.full(inputs, 1e-40),
        *rng.choice([-1e38, -257.5, -0.5, 0.0, 1e-30, 3.49999, 256.5, 3e38], (9, inputs)),
        *rng.normal(0, 100, (9, inputs)),
    ]
    return torch.from_numpy(np.array(rows, dtype=np.float32))


@pytest.mark.parametrize("scale", [1.0, 1e3, math.nan])
@pytest.mark.parametrize("clip", [1e-320, 0.7, 1e300])
def test_no_rows_part_has_a_norm_above_the_clip_not_even_by_a_rounding(
    clip: float, scale: float
) -> None:
    largest = Fraction(0)
    for seed, widths in enumerate([(5,), DEEP, ()]):
        critic = made_critic(4, widths, scale=scale, seed=seed)
        for bits in (4, CLIP_BITS):
            for row in adversarial_rows(4).split(1):
                part = whole_sums(critic, row, -1.0, clip, bits)
                largest = max(largest, exact_norm_squared(part))
    assert largest <= 1
    if clip < 1 and math.isfinite(scale):  # and the clip is nearly used: this could fail
        assert largest > 0.99


def test_one_row_more_moves_the_sum_by_exactly_its_own_part() -> None:
    """Which floating point did not: one record moved sums by more than a clip."""
    critic, clip = made_critic(174, (128,)), 0.7
    rows = one_hot(1400, 174, marks=15)
    whole_batch = whole_sums(critic, rows, -1.0, clip)
    without = whole_sums(critic, rows[1:], -1.0, clip)
    own = whole_sums(critic, rows[:1], -1.0, clip)
    for a, b, part in zip(whole_batch, without, own, strict=True):
        assert torch.equal(a.whole - b.whole, part.whole)
    assert 0.99 < exact_norm_squared(own) <= 1


@pytest.mark.parametrize("loss", [-1.0, torch.neg], ids=["by layers", "by opacus"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_row_whose_gradient_is_not_finite_adds_nothing(bad: float, loss) -> None:  # type: ignore[no-untyped-def]
    critic, rows = made_critic(3), one_hot(5, 3, marks=1)
    broken = torch.cat([rows, torch.full((1, 3), bad)])
    expected = flat(clipped_sum(critic, rows, loss, 1.0))
    assert torch.equal(flat(clipped_sum(critic, broken, loss, 1.0)), expected)


def test_a_critic_too_wide_for_exact_sums_is_refused() -> None:
    with pytest.raises(InputError, match="at most 16777216 inputs and layers of 65536"):
        Critic(2, [LARGEST_WIDTH + 1], torch.Generator())
