"""Noisy sums of clipped gradients, over records that each toss a coin of their own.

Needs torch, so that only the modules of networks import it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dp_synth.accounting import SampledGaussians
from dp_synth.comparison import SampledComparison, reached
from dp_synth.domain import Codes
from dp_synth.errors import InputError
from dp_synth.mechanisms.clipped_gradients import OUTPUT_BITS, Critic, whole_sums
from dp_synth.mechanisms.differing import one_more
from dp_synth.mechanisms.exact_noise import LARGEST_SCALE, Bits, rounded_gaussian
from dp_synth.mechanisms.per_sample_gradients import (
    BLOCK,
    CLIP_BITS,
    Loss,
    WholeSum,
    check_network,
)
from dp_synth.mechanisms.randomness import random_bits
from dp_synth.table import PrivateTable

Encode = Callable[[Tensor, Tensor], Tensor]
"""Codes of shape (records, attributes) to inputs of shape (records, inputs), row by row.

With each record comes a coin of its own, a whole number of 62 random bits, of shape (records,):
what is drawn for a record is a function of it, and of nothing else.
"""

WHY = "gradients of the critic"
CHARGED_AT_ONCE = 50  # steps: a ledger on disk is written before each charge, not at every step
LEAST_BITS = 4  # of a clipped slope, so that a gradient is more than a few numbers


def poisson_sample(records: int, rate: float, bits: Bits) -> NDArray[np.int64]:
    """Return which of so many records take part, each by a coin of its own, of chance ``rate``.

    A coin is 64 random bits below ``rate`` times 2^64, rounded down: never more often than the
    real ``rate`` says, by less than 2^-64. The last 48 bits are drawn where the first 16 do not
    decide.
    """
    threshold = math.floor(Fraction(rate) * 2**64)
    high, low = divmod(threshold, 2**48)
    first = np.frombuffer(bits(2 * records), dtype="<u2").astype(np.int32)
    taken = first < high
    tied = np.flatnonzero(first == high)
    rest = np.frombuffer(bits(8 * len(tied)), dtype="<u8") >> np.uint64(16)
    taken[tied] = rest < np.uint64(low)
    return np.flatnonzero(taken)


def lattice_bits(noise_multiplier: float) -> int:
    """Return how fine clipped slopes are, so that their noise can be drawn; InputError for none."""
    bits = min(CLIP_BITS, math.floor(math.log2(LARGEST_SCALE / noise_multiplier)) - OUTPUT_BITS)
    if bits < LEAST_BITS:
        raise InputError(
            f"noise of {noise_multiplier:.3g} times the clip says nothing; raise epsilon"
        )
    return bits


class SampledGradients:
    """Steps down the gradient of private records: each charged before a record is read.

    ``part`` names the rate and the noise of each step; ``encode`` may treat a record with coins
    of its own, but must treat each alone. Steps are charged ``CHARGED_AT_ONCE``; BudgetExceeded,
    with nothing read, when the part has none left.

    Privacy
    -------
    At every step each record takes part by a coin of its own, of chance ``rate`` at most (Poisson
    sampling). The gradient of its loss over all parameters together is clipped to norm ``clip``,
    and the sum gets Gaussian noise of ``noise_multiplier`` times that: one `SampledGaussian`
    step (Abadi et al. 2016, arXiv:1607.00133), whose loss grows with the rate. All ``max_rows``
    records of a unit may be drawn, each by its own coin, and replaced ones stand against as many
    others: the event says so (`sampled_groups`). Sums are exact, in whole numbers of a unit, and
    a record's part is a function of that record and its coin alone (`whole_sums`): a network of
    which that does not hold is refused, with nothing charged. Noise is whole as well: a sum plus a
    rounded Gaussian is the rounding of the sum plus that Gaussian, post-processing of the
    continuous mechanism, drawn exactly in law (`rounded_gaussian`). What leaves is these whole
    numbers, scaled. All coins and noise are bits of the operating system, unless the payer is
    seeded; batch sizes, clip factors and losses
    stay here.
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
        self._multiplier = part.event().noise_multiplier
        self._lattice_bits = lattice_bits(self._multiplier)
        self._paid = 0
        self._more: tuple[Codes, bool] | None = None
        self._checked: nn.Module | None = None

    @property
    def settled(self) -> bool:
        """Whether every step that was charged is taken, so that the next one needs a charge."""
        return not self._paid

    def step(self, network: nn.Module, loss: Loss) -> list[Tensor]:
        """Return the noisy sum of the clipped gradients of ``loss``, one a parameter."""
        device = next(network.parameters()).device
        if network is not self._checked:
            self._check(network, device)
        if self.settled:
            self._pay()
        self._paid -= 1
        codes = torch.from_numpy(self._drawn()).to(device, torch.int64)
        coins = self._coins(codes)
        rows = self._encode(codes, coins)

        def summed(rows: Tensor, coins: Tensor) -> list[WholeSum]:
            return whole_sums(network, rows, loss, self._clip, self._lattice_bits, coins)

        noisy = self._with_noise(summed(rows, coins))
        released = [total.times(self._clip).float() for total in noisy]
        if self._table.twin is not None:
            self._compare(summed, codes, rows, coins, noisy, released)
        return released

    def _check(self, network: nn.Module, device: torch.device) -> None:
        """Raise InputError for a network whose gradients are not each of one record alone.

        It is tried with records that a public seed draws from the domain.
        """
        if not isinstance(network, Critic):
            public = np.random.default_rng(0)
            sizes = self._table.domain.sizes
            codes = torch.from_numpy(public.integers(0, sizes, (BLOCK, len(sizes)))).to(device)
            coins = torch.from_numpy(public.integers(0, 2**62, BLOCK)).to(device)
            check_network(network, self._encode(codes, coins))
        self._checked = network

    def _pay(self) -> None:
        """Charge the next steps."""
        payer, event = self._table.payer, self._part.event()
        steps = max(1, min(CHARGED_AT_ONCE, int(payer.left(self._part))))
        payer.charge(self._part, event, steps, why=WHY, sampler="exact")
        self._paid = steps

    def _drawn(self) -> Codes:
        """Return the records whose coins fell so, each as often as it was drawn."""
        codes, counts = self._records
        taken = poisson_sample(int(counts.sum()), self._part.rate, self._bits)
        return codes[np.searchsorted(self._ends, taken, side="right")]

    @cached_property
    def _records(self) -> tuple[Codes, NDArray[np.int64]]:
        return self._table.exact_records()

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """How many records there are of each kind and of all kinds before it."""
        return np.cumsum(self._records[1])

    def _coins(self, codes: Tensor) -> Tensor:
        """Return a coin for each record, for what its encoding draws.

        As secret as the noise: that neighbouring sums differ by one part needs that nobody knows
        which coin is whose, for a record more hands all after it other coins of the same law.
        """
        words = np.frombuffer(self._bits(8 * len(codes)), dtype="<u8") >> np.uint64(2)
        return torch.from_numpy(words.astype(np.int64)).to(codes.device)

    def _with_noise(self, sums: Sequence[WholeSum]) -> list[WholeSum]:
        """Return the sums with noise of the charged scale, in their own units."""
        return [
            WholeSum(total + drawn.whole, bits)
            for (total, bits), drawn in zip(sums, self._noise(sums), strict=True)
        ]

    def _noise(self, sums: Sequence[WholeSum]) -> list[WholeSum]:
        """Return noise for each of the sums; that of one unit is drawn at once."""
        drawn: dict[int, Tensor] = {}
        for unit in dict.fromkeys(bits for _, bits in sums):
            cells = sum(total.numel() for total, bits in sums if bits == unit)
            noise = rounded_gaussian(self._multiplier * 2.0**unit, (cells,), self._bits)
            drawn[unit] = torch.from_numpy(noise).to(sums[0].whole.device)
        found = []
        for total, bits in sums:
            own, drawn[bits] = drawn[bits][: total.numel()], drawn[bits][total.numel() :]
            found.append(WholeSum(own.reshape(total.shape), bits))
        return found

    def _compare(
        self,
        summed: Callable[[Tensor, Tensor], list[WholeSum]],
        codes: Tensor,
        rows: Tensor,
        coins: Tensor,
        noisy: Sequence[WholeSum],
        released: Sequence[Tensor],
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
        drawn = here_has_it and self._uniform() * equal < len(alike)
        others = torch.ones(len(codes), dtype=torch.bool, device=codes.device)
        if drawn:
            others[alike[0]] = False
        own = coins[~others] if drawn else self._coins(target)
        step = summed(rows[~others] if drawn else self._encode(target, own), own)
        base = summed(rows[others], coins[others])
        size = math.sqrt(sum(float(part.times(1.0).square().sum()) for part in step))

        def along(parts: Iterable[Tensor]) -> float:
            inner = sum(float((a * b.times(1.0)).sum()) for a, b in zip(parts, step, strict=True))
            return inner / max(size, 1e-30) / self._multiplier

        fresh = self._noise(step)
        self._table.comparisons.append(
            SampledComparison(
                self._part.name,
                WHY,
                self._part.rate,
                size / self._multiplier,
                along(a.times(1.0) - b.times(1.0) for a, b in zip(noisy, base, strict=True)),
                bool(self._uniform() < self._part.rate),
                along(noise.times(1.0) for noise in fresh),
                here_has_it,
                self._low_bits(released, base, step),
            )
        )

    def _low_bits(
        self, released: Sequence[Tensor], base: Sequence[WholeSum], step: Sequence[WholeSum]
    ) -> int:
        """Return 1 where only the sum with the record leads to what was released, -1 without."""
        starts = [
            [total.times(self._clip) for total in base],
            [a.times(self._clip) + b.times(self._clip) for a, b in zip(base, step, strict=True)],
        ]
        without, with_it = (
            all(
                bool(reached(value.cpu().numpy(), start.float().cpu().numpy()).all())
                for value, start in zip(released, sums, strict=True)
            )
            for sums in starts
        )
        return int(with_it) - int(without)

    def _uniform(self) -> float:
        return int.from_bytes(self._bits(8), "little") * 2.0**-64
