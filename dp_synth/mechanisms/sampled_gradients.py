"""Noisy sums of clipped gradients, over records that each toss a coin of their own.

Needs torch, so that only the modules of networks import it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dp_synth.accounting import SampledGaussians
from dp_synth.domain import Codes
from dp_synth.mechanisms.randomness import random_bits
from dp_synth.table import PrivateTable

Encode = Callable[[Tensor], Tensor]
"""Codes of shape (records, attributes) to inputs of shape (records, inputs), row by row."""

Loss = Callable[[Tensor], Tensor]
"""Scores of shape (records,) to losses of the same shape, row by row."""

CHARGED_AT_ONCE = 50  # steps: a ledger on disk is written before each charge, not at every step
SLOPE = 0.2  # of the leaky rectifier below zero


class Critic(nn.Module):
    """A perceptron from encoded records to one score each.

    Nothing in it mixes the records of a batch, so that a record moves one row alone.
    """

    def __init__(self, inputs: int, widths: Sequence[int], coins: torch.Generator) -> None:
        super().__init__()
        sizes = [inputs, *widths, 1]
        self.layers = nn.ModuleList(
            linear(before, after, coins) for before, after in pairwise(sizes)
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Return scores, shape (records,)."""
        return self.trace(rows)[1][-1].squeeze(1)

    def trace(self, rows: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return what goes into each layer, and what comes out of it."""
        ins, outs = [rows], [self.layers[0](rows)]
        for layer in self.layers[1:]:
            ins.append(nn.functional.leaky_relu(outs[-1], SLOPE))
            outs.append(layer(ins[-1]))
        return ins, outs


def linear(inputs: int, outputs: int, coins: torch.Generator) -> nn.Linear:
    """Return a layer drawn from ``coins``, weights of variance 1 / ``inputs``, no bias yet."""
    # skip_init: a plain layer would draw from torch's global generator first.
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        layer.weight.normal_(0.0, inputs**-0.5, generator=coins)
        layer.bias.zero_()
    return layer


def clipped_sum(critic: Critic, rows: Tensor, loss: Loss, clip: float) -> list[Tensor]:
    """Return the sum of the rows' gradients, each of norm at most ``clip``, one a parameter.

    A row's gradient at a linear layer is the outer product of what goes in and of the gradient
    of what comes out, so that its norm needs no gradient of the row's own (Goodfellow 2015,
    arXiv:1510.01799). Rows whose gradient is not finite add nothing.
    """
    ins, outs = critic.trace(rows)
    slopes = list(torch.autograd.grad(loss(outs[-1].squeeze(1)).sum(), outs))
    squares = torch.zeros(len(rows), device=rows.device)
    for given, slope in zip(ins, slopes, strict=True):
        squares = squares + (given.detach().square().sum(1) + 1) * slope.square().sum(1)
    finite = torch.isfinite(squares)
    if not bool(finite.all()):  # which copies; most batches need none
        ins, slopes = [given[finite] for given in ins], [slope[finite] for slope in slopes]
        squares = squares[finite]
    factors = (clip / squares.sqrt().clamp(min=clip)).unsqueeze(1)
    sums = []
    for given, slope in zip(ins, slopes, strict=True):
        scaled = slope * factors
        sums += [scaled.T @ given.detach(), scaled.sum(0)]
    return sums


class SampledGradients:
    """Steps down the gradient of private records: each charged before a record is read.

    ``part`` names the rate and the noise of each step; ``encode`` may treat a record with coins
    of its own, but must treat each alone. BudgetExceeded, with nothing read, when the part has
    no step left.

    Privacy
    -------
    At every step each record takes part by a coin of its own, of chance ``rate`` (Poisson
    sampling). The gradient of its loss over all parameters together is clipped to norm ``clip``,
    and the sum gets Gaussian noise of ``noise_multiplier`` times that: one `SampledGaussian`
    step (Abadi et al. 2016, arXiv:1607.00133). Batch sizes, clip factors and losses stay here.
    Coins and noise come from a generator whose seed is the operating system's; it is neither
    cryptographic nor exact in its last bits, and the ledger says "float".
    """

    def __init__(
        self,
        table: PrivateTable,
        part: SampledGaussians,
        rng: np.random.Generator,
        *,
        clip: float,
        encode: Encode,
    ) -> None:
        self._table = table
        self._part = part
        self._clip = clip
        self._encode = encode
        key = int.from_bytes(random_bits(table.payer, rng)(16), "little")
        self._rng = np.random.Generator(np.random.Philox(key=key))
        self._paid = 0
        self._records: tuple[Codes, NDArray[np.int64]] | None = None

    def step(self, critic: Critic, loss: Loss) -> list[Tensor]:
        """Return the noisy sum of the clipped gradients of ``loss``, one a parameter."""
        self._pay()
        device = next(critic.parameters()).device
        codes = torch.from_numpy(self._drawn()).to(device, torch.int64)
        noise_multiplier = self._part.event().noise_multiplier
        return [
            total + self._noise(total, noise_multiplier * self._clip)
            for total in clipped_sum(critic, self._encode(codes), loss, self._clip)
        ]

    def _pay(self) -> None:
        if not self._paid:
            payer = self._table.payer
            self._paid = max(1, min(CHARGED_AT_ONCE, int(payer.left(self._part))))
            event = self._part.event()
            payer.charge(
                self._part, event, self._paid, why="gradients of the critic", sampler="float"
            )
        self._paid -= 1

    def _drawn(self) -> Codes:
        """Return the records whose coins fell so, each as often as it was drawn."""
        if self._records is None:
            self._records = self._table.exact_records()
        codes, counts = self._records
        drawn = self._rng.binomial(counts, self._part.rate)
        return np.repeat(codes, drawn, axis=0)

    def _noise(self, like: Tensor, stddev: float) -> Tensor:
        drawn = self._rng.normal(0.0, stddev, tuple(like.shape))
        return torch.from_numpy(drawn).to(like.device, like.dtype)
