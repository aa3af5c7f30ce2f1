"""Blocks of codes: ones in the right places, softmax block by block, draws with a gradient."""

from __future__ import annotations

import math

import pytest

from dp_synth.domain import Domain

torch = pytest.importorskip("torch", reason="the extra deep is not installed")

from dp_synth.nn.generator import Encoding  # noqa: E402

ENCODING = Encoding(Domain(("a", "b", "c"), (3, 1, 2)))


def coins(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_each_code_has_a_one_in_its_own_block() -> None:
    rows = ENCODING.one_hot(torch.tensor([[0, 0, 1], [2, 0, 0]]))
    assert rows.tolist() == [[1, 0, 0, 1, 0, 1], [0, 0, 1, 1, 1, 0]]


def test_a_softmax_is_one_of_each_block() -> None:
    logits = torch.randn(5, 6, generator=coins())
    rows = ENCODING.softmax(logits)
    expected = torch.cat([torch.softmax(part, 1) for part in logits.split((3, 1, 2), 1)], 1)
    assert torch.allclose(rows, expected)
    assert torch.allclose(ENCODING.log_softmax(logits), torch.log(expected), atol=1e-5)


def test_draws_are_one_hot_and_as_frequent_as_the_softmax_says() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 0.0, 2.0, 0.0]).repeat(20_000, 1)
    rows = ENCODING.straight_through(logits, coins(), 0.66)
    assert set(torch.unique(rows.round(decimals=4)).tolist()) == {0.0, 1.0}
    expected = ENCODING.softmax(logits[:1])[0]
    bound = 6 * torch.sqrt(expected * (1 - expected) / 20_000) + 1e-4
    assert (torch.abs(rows.mean(0) - expected) <= bound).all()


def test_a_gradient_passes_through_a_draw() -> None:
    logits = torch.zeros(4, 6, requires_grad=True)
    (ENCODING.straight_through(logits, coins(), 0.66)[:, 0]).sum().backward()
    assert logits.grad is not None
    assert (logits.grad[:, 0] > 0).all()
    assert (logits.grad[:, 3:] == 0).all()
    assert math.isfinite(float(logits.grad.sum()))
