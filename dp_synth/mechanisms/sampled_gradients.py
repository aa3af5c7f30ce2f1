"""Noisy sums of clipped gradients, over records that each toss a coin of their own.

Needs torch, so that only the modules of networks import it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dp_synth.accounting import SampledGaussians
from dp_synth.comparison import SampledComparison
from dp_synth.domain import Codes
from dp_synth.mechanisms.differing import one_more
from dp_synth.mechanisms.randomness import random_bits
from dp_synth.table import PrivateTable

Encode = Callable[[Tensor, torch.Generator], Tensor]
"""Codes of shape (records, attributes) to inputs of shape (records, inputs), row by row.

What it draws for a record comes from the generator that it is given, and from nowhere else.
"""

Loss = Callable[[Tensor], Tensor]
"""Scores of shape (records,) to losses of the same shape, row by row."""

WHY = "gradients of the critic"
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
    of its own, but must treat each alone. Steps are charged ``CHARGED_AT_ONCE``; BudgetExceeded,
    with nothing read, when the part has none left.

    Privacy
    -------
    At every step each record takes part by a coin of its own, of chance ``rate`` (Poisson
    sampling). The gradient of its loss over all parameters together is clipped to norm ``clip``,
    and the sum gets Gaussian noise of ``noise_multiplier`` times that: one `SampledGaussian`
    step (Abadi et al. 2016, arXiv:1607.00133). Batch sizes, clip factors and losses stay here.
    Coins and noise come from generators whose key is the operating system's, drawn anew at each
    charge and kept nowhere else; they are neither cryptographic nor exact in their last bits,
    and the ledger says "float".
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
        self._bits = random_bits(table.payer, rng)
        self._paid = 0
        self._more: tuple[Codes, bool] | None = None

    @property
    def settled(self) -> bool:
        """Whether every step that was charged is taken, so that the next one needs a charge."""
        return not self._paid

    def step(self, critic: Critic, loss: Loss) -> list[Tensor]:
        """Return the noisy sum of the clipped gradients of ``loss``, one a parameter."""
        device = next(critic.parameters()).device
        if self.settled:
            self._pay(device)
        self._paid -= 1
        codes = torch.from_numpy(self._drawn()).to(device, torch.int64)
        rows = self._encode(codes, self._record_coins)
        sums = clipped_sum(critic, rows, loss, self._clip)
        noisy = [total + noise for total, noise in zip(sums, self._noise(sums), strict=True)]
        if self._table.twin is not None:
            self._compare(
                partial(clipped_sum, critic, loss=loss, clip=self._clip), codes, rows, noisy
            )
        return noisy

    def _pay(self, device: torch.device) -> None:
        """Charge the next steps, then draw the key of their coins and noise."""
        payer, event = self._table.payer, self._part.event()
        steps = max(1, min(CHARGED_AT_ONCE, int(payer.left(self._part))))
        payer.charge(self._part, event, steps, why=WHY, sampler="float")
        self._paid = steps
        key = int.from_bytes(self._bits(16), "little")
        self._rng = np.random.Generator(np.random.Philox(key=key))
        # As secret as the noise: a record takes the next coins of a stream, so that one record
        # more hands all after it other coins, and the place in the stream counts the records.
        # Whoever knew the coins would see sums differ by more than one clipped gradient.
        self._record_coins = torch.Generator(device).manual_seed(int(self._rng.integers(2**63)))

    def _drawn(self) -> Codes:
        """Return the records whose coins fell so, each as often as it was drawn."""
        codes, counts = self._records
        drawn = self._rng.binomial(counts, self._part.rate)
        return np.repeat(codes, drawn, axis=0)

    @cached_property
    def _records(self) -> tuple[Codes, NDArray[np.int64]]:
        return self._table.exact_records()

    @property
    def _stddev(self) -> float:
        return self._part.event().noise_multiplier * self._clip

    def _noise(self, sums: Sequence[Tensor]) -> list[Tensor]:
        drawn = (self._rng.normal(0.0, self._stddev, tuple(total.shape)) for total in sums)
        return [
            torch.from_numpy(noise).to(total.device, total.dtype)
            for noise, total in zip(drawn, sums, strict=True)
        ]

    def _compare(
        self,
        summed: Callable[[Tensor], list[Tensor]],
        codes: Tensor,
        rows: Tensor,
        noisy: Sequence[Tensor],
    ) -> None:
        """Keep what the step says of the one record that only one of the two tables has."""
        if self._more is None:
            self._more = one_more(self._table)
        record, here_has_it = self._more
        target = torch.from_numpy(record).to(codes.device, torch.int64)
        alike = torch.nonzero((codes == target).all(dim=1))[:, 0]
        # Which of several equal records is meant is a coin: each was drawn with the same chance.
        every, counts = self._records
        equal = int((every == record).all(axis=1) @ counts)
        drawn = here_has_it and self._rng.random() * equal < len(alike)
        others = torch.ones(len(codes), dtype=torch.bool, device=codes.device)
        if drawn:
            others[alike[0]] = False
        own = rows[~others] if drawn else self._encode(target, self._record_coins)
        step, base = summed(own), summed(rows[others])
        size = math.sqrt(sum(float(part.square().sum()) for part in step))
        fresh = self._noise(step)

        def along(parts: Iterable[Tensor]) -> float:
            inner = sum(float((a * b).sum()) for a, b in zip(parts, step, strict=True))
            return inner / max(size, 1e-30) / self._stddev

        self._table.comparisons.append(
            SampledComparison(
                self._part.name,
                WHY,
                self._part.rate,
                size / self._stddev,
                along(total - known for total, known in zip(noisy, base, strict=True)),
                bool(self._rng.random() < self._part.rate),
                along(fresh),
                here_has_it,
            )
        )
