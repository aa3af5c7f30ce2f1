"""DP-SGD: noisy sums of clipped gradients, over records that each toss a coin of their own.

Sums are taken in whole numbers, and each record's part depends on that record alone. Numbers are
whole multiples of public units, held in float64. Every sum of their products stays below 2^53 in
size, so that it is exact in any order: neither the blocks into which a processor cuts a product,
nor its instructions, nor what else is in a batch can change a bit of it. That holds because all
factors are cut to public limits:

| quantity | unit | limit |
|---|---|---|
| inputs of the network | 1 | 2^8 |
| weights and biases | 2^-12, of biases finer | 2^4 |
| outputs of a layer | 2^-10 | 2^8 |
| slopes | 2^-14 | 2^4 |

so that a layer of 2^16 inputs (the first may have 2^24) sums products below 2^50, and the squares
of a row below 2^52. A clipped slope is a multiple of 2^-16 of the clip at the finest, rounded
towards zero, so that no record's part has a norm above the clip.

Needs torch, so that only the modules of networks import it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dp_synth.accounting import SampledGaussians
from dp_synth.counting.records import rows_of_units
from dp_synth.counting.units import UnitRows
from dp_synth.errors import InputError
from dp_synth.mechanisms.noise import LARGEST_SCALE, Bits, random_bits, rounded_gaussian
from dp_synth.mechanisms.per_sample_gradients import (
    BLOCK,
    CLIP_BITS,
    MARGIN,
    Encoded,
    Loss,
    WholeSum,
    check_network,
    module_sums,
)
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.types import Codes, Integers

Encode = Callable[[Tensor, Tensor], Tensor]
"""Codes of shape (records, attributes) to inputs of shape (records, inputs), row by row.

With each record comes a coin of its own, a whole number of 62 random bits, of shape (records,):
what is drawn for a record is a function of it, and of nothing else.
"""

Lines = tuple[Codes, NDArray[np.int64]]
"""Distinct records, shape (lines, attributes), and how often each occurs."""

WHY = "gradients of the critic"
CHARGED_AT_ONCE = 50  # steps: a ledger on disk is written before each charge, not at every step
LEAST_BITS = 4  # of a clipped slope, so that a gradient is more than a few numbers

SLOPE = 0.2  # of the leaky rectifier below zero
INPUT_LIMIT = 2.0**8
WEIGHT_BITS, WEIGHT_LIMIT = 12, 2.0**4
OUTPUT_BITS, OUTPUT_LIMIT = 10, 2.0**8
SLOPE_BITS, SLOPE_LIMIT = 14, 2.0**4
MOST_INPUTS, LARGEST_WIDTH = 2**24, 2**16
ROWS_AT_ONCE = 2**16  # each adds at most 2^(CLIP_BITS + OUTPUT_BITS): 2^42 together

# Square roots, quotients and products are rounded, each by 2^-53 of itself; a row of a network of
# n layers meets fewer than 4 n + 8 of them. `MARGIN`, 2^-40, allows for two thousand layers.
_LEAST = 1e-300  # length by which a gradient of zero is divided, whatever the clip


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


@dataclass(frozen=True, eq=False)
class SampledSumLaw:
    """A noisy sum over a batch of records, or units, that tossed coins of chance ``rate``.

    ``known`` are the distinct records and how often each occurs, ``records`` reads those of any
    table; ``batch`` are the drawn ones, ``encoded`` as they were summed, ``noisy`` their sum with
    noise of ``noise_multiplier`` times the clip, ``released`` that sum as it left. ``encode``
    draws coins for records, ``summed`` sums gradients, ``noise`` and ``uniform`` are drawn afresh.
    Where units were drawn, ``owners`` are the places of those of the batch's records among
    ``units``, which ``units_of`` reads of any table, and ``encode`` takes records of one unit; None
    else.
    """

    part: str
    why: str
    rate: float
    noise_multiplier: float
    clip: float
    records: Callable[[PrivateTable], Lines]
    encode: Callable[[Tensor], Encoded]
    summed: Callable[[Encoded], list[WholeSum]]
    noise: Callable[[Sequence[WholeSum]], list[WholeSum]]
    uniform: Callable[[], float]
    known: Lines
    batch: Tensor
    encoded: Encoded
    noisy: Sequence[WholeSum]
    released: Sequence[Tensor]
    units_of: Callable[[PrivateTable], UnitRows]
    units: UnitRows | None
    owners: Integers | None


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
    others: the event says so (`sampled_groups`).

    Where the part draws ``by_unit``, a unit tosses one coin, and all its records come with it
    or none does. Each one's clipped gradient is divided by how many these are, so that the norm of
    their sum, the unit's part, is at most ``clip`` by the triangle inequality. It depends on the
    unit's own records and their coins alone. One unit added or removed moves a sum as one record
    does elsewhere; one that is exchanged for another, whatever its number of records, as one
    record that is exchanged.

    Sums are exact, in whole numbers of a unit, and
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
        if part.by_unit and not table.has_units:
            raise InputError(
                f"part {part.name!r} draws units, and nobody has said which records of this table "
                "are of one"
            )
        self._bits = random_bits(table.payer, rng)
        self._multiplier = part.event().noise_multiplier
        self._lattice_bits = lattice_bits(self._multiplier)
        self._paid = 0
        self._known: Lines | None = None
        self._units: UnitRows | None = None
        self._ends = np.empty(0, dtype=np.int64)
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

        def summed(batch: Encoded) -> list[WholeSum]:
            return whole_sums(network, batch, loss, self._clip, self._lattice_bits)

        def drawn(table: PrivateTable) -> tuple[Lines, Tensor, Integers | None, Encoded]:
            lines, owners = self._drawn(table)
            codes = torch.from_numpy(lines).to(device, torch.int64)
            return self._records(table), codes, owners, self._encoded(codes, owners)

        (known, codes, owners, encoded), noisy = self._table.answered(
            drawn, lambda batch: self._with_noise(summed(batch[-1]))
        )
        released = [total.times(self._clip).float() for total in noisy]
        law = SampledSumLaw(
            self._part.name,
            WHY,
            self._part.rate,
            self._multiplier,
            self._clip,
            PrivateTable.exact_records,
            self._encoded_alone,
            summed,
            self._noise,
            self._uniform,
            known,
            codes,
            encoded,
            noisy,
            released,
            PrivateTable.exact_units,
            self._units,
            owners,
        )
        self._table.record_answers(law)
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

    def _drawn(self, table: PrivateTable) -> tuple[Codes, Integers | None]:
        """Return the records whose coins fell so, each as often as it was drawn.

        Where units are drawn, all records of those whose coins fell so, and each one's unit.
        """
        if self._part.by_unit:
            if self._units is None:
                self._units = table.exact_units()
            taken = poisson_sample(len(self._units), self._part.rate, self._bits)
            return self._units.of_units(taken)
        codes, counts = self._records(table)
        taken = poisson_sample(int(counts.sum()), self._part.rate, self._bits)
        return codes[np.searchsorted(self._ends, taken, side="right")], None

    def _records(self, table: PrivateTable) -> Lines:
        """Return the private records, read at the first step."""
        if self._known is None:
            self._known = table.exact_records()
            self._ends = np.cumsum(self._known[1])  # of each kind, and of all kinds before it
        return self._known

    def _encoded(self, codes: Tensor, owners: Integers | None) -> Encoded:
        """Return records with coins; those of a unit share the clip in equal parts."""
        coins, shares = self._coins(codes), None
        if owners is not None:
            shares = torch.from_numpy(1.0 / rows_of_units(owners)).to(codes.device)
        return Encoded(self._encode(codes, coins), coins, shares)

    def _encoded_alone(self, codes: Tensor) -> Encoded:
        """Return the same of records; of all of one unit where units are drawn."""
        one = np.zeros(len(codes), dtype=np.int64) if self._part.by_unit else None
        return self._encoded(codes, one)

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

    def _uniform(self) -> float:
        return int.from_bytes(self._bits(8), "little") * 2.0**-64


class Critic(nn.Module):
    """A perceptron from encoded records to one score each.

    Nothing in it mixes the records of a batch, so that a record moves one row alone. InputError
    for layers so wide that sums in whole numbers could not be exact.
    """

    def __init__(self, inputs: int, widths: Sequence[int], coins: torch.Generator) -> None:
        super().__init__()
        if inputs > MOST_INPUTS or max(widths, default=0) > LARGEST_WIDTH:
            raise InputError(
                f"a critic has at most {MOST_INPUTS} inputs and layers of {LARGEST_WIDTH}, got "
                f"{inputs} and {max(widths, default=0)}"
            )
        sizes = [inputs, *widths, 1]
        self.layers = nn.ModuleList(
            linear(before, after, coins) for before, after in pairwise(sizes)
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Return scores, shape (records,)."""
        outputs: Tensor = self.layers[0](rows)
        for layer in self.layers[1:]:
            outputs = layer(nn.functional.leaky_relu(outputs, SLOPE))
        return outputs.squeeze(1)

    def linear_layers(self) -> list[nn.Linear]:
        """Return the layers, the first one first."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]


def linear(inputs: int, outputs: int, coins: torch.Generator) -> nn.Linear:
    """Return a layer drawn from ``coins``, weights of variance 1 / ``inputs``, no bias yet."""
    # skip_init: a plain layer would draw from torch's global generator first.
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        layer.weight.normal_(0.0, inputs**-0.5, generator=coins)
        layer.bias.zero_()
    return layer


def clipped_sum(
    network: nn.Module, rows: Tensor | Encoded, loss: Loss, clip: float
) -> list[Tensor]:
    """Return the sum of the rows' gradients, each of norm at most ``clip``, one a parameter."""
    return [total.times(clip) for total in whole_sums(network, rows, loss, clip)]


def whole_sums(
    network: nn.Module,
    rows: Tensor | Encoded,
    loss: Loss,
    clip: float,
    bits: int = CLIP_BITS,
) -> list[WholeSum]:
    """Return the exact sum of the rows' parts, a parameter each: whole numbers of norm <= clip.

    A part is the gradient of one row's loss over all parameters together, scaled down to ``clip``
    where it is longer, in multiples of 2^-``bits`` clips (finer at weights between layers) rounded
    towards zero. It depends on the network, that row and its coin alone. Rows that are not finite,
    or whose gradient is not, add nothing. Where rows have shares, a part is scaled by its own after
    it was clipped: norms of parts whose shares add up to one add up to ``clip`` at most.

    A `Critic` whose loss is a number times its score takes all rows at once; it sees them, and its
    own weights, rounded to the units of this module, and needs no coins. The gradients of any
    other network are those of opacus, row by row (`module_sums`).
    """
    if callable(loss) or not isinstance(network, Critic):
        return module_sums(network, rows, loss, clip, bits)
    batch = Encoded.of(rows)
    layers = [
        _critic_sums(network, batch.where(slice(at, at + ROWS_AT_ONCE)), float(loss), clip, bits)
        for at in range(0, max(1, len(batch.rows)), ROWS_AT_ONCE)
    ]
    return [
        WholeSum(sum((part.whole for part in parts[1:]), parts[0].whole), parts[0].bits)
        for parts in zip(*layers, strict=True)
    ]


@torch.no_grad()
def _critic_sums(
    critic: Critic, batch: Encoded, slope: float, clip: float, bits: int
) -> list[WholeSum]:
    """Return the rows' sums of a weight and a bias a layer.

    A row's gradient at a linear layer is the outer product of what goes in and of the slope of
    what comes out, so that its norm needs no gradient of the row's own (Goodfellow 2015,
    arXiv:1510.01799).
    """
    rows = batch.rows
    if not bool(torch.isfinite(rows.sum(dtype=torch.float64))):  # most batches need no copy
        batch = batch.where(torch.isfinite(rows).all(dim=1))
        rows = batch.rows
    weights = [_whole(layer.weight, WEIGHT_BITS, WEIGHT_LIMIT) for layer in critic.linear_layers()]
    given, outputs, units = _forward(critic, weights, rows)
    last = _whole(rows.new_full((len(rows), 1), slope), SLOPE_BITS, SLOPE_LIMIT)
    slopes = _backward(weights, outputs, last)
    squares = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    for values, unit, own in zip(given, units, slopes, strict=True):
        size = (values * values).sum(1) * 4.0**-unit + 1
        squares += size * ((own * own).sum(1) * 4.0**-SLOPE_BITS)
    longest = squares.sqrt().clamp(min=max(clip, _LEAST)).unsqueeze(1)
    factors = (1 - MARGIN) * 2.0 ** (bits - SLOPE_BITS) / longest
    if batch.shares is not None:
        factors = factors * batch.shares[:, None]
    sums = []
    for values, unit, own in zip(given, units, slopes, strict=True):
        clipped = (own * factors).to(torch.int32).double()  # a cast rounds towards zero
        sums.append(WholeSum((clipped.T @ values).long(), bits + unit))
        sums.append(WholeSum(clipped.sum(0).long(), bits))
    return sums


def _forward(
    critic: Critic, weights: Sequence[Tensor], rows: Tensor
) -> tuple[list[Tensor], list[Tensor], list[int]]:
    """Return what goes into each layer, what comes out of all but the last, and the bits of units.

    These are of what goes in; what comes out is told by its sign.
    """
    cut = rows.clamp(-INPUT_LIMIT, INPUT_LIMIT).round_()
    given, outputs, units = [cut.double()], [], [0]
    limit = OUTPUT_LIMIT * 2.0**OUTPUT_BITS
    for layer, weight in zip(critic.linear_layers()[:-1], weights[:-1], strict=True):
        unit = units[-1] + WEIGHT_BITS
        outputs.append((given[-1] @ weight.T).add_(_whole(layer.bias, unit, WEIGHT_LIMIT)))
        bent = nn.functional.leaky_relu(outputs[-1], SLOPE)
        given.append(bent.mul_(2.0 ** (OUTPUT_BITS - unit)).round_().clamp_(-limit, limit))
        units.append(OUTPUT_BITS)
    return given, outputs, units


def _backward(weights: Sequence[Tensor], outputs: Sequence[Tensor], last: Tensor) -> list[Tensor]:
    """Return the slopes of all layers' outputs; ``last`` is that of the scores."""
    slopes, limit = [last], SLOPE_LIMIT * 2.0**SLOPE_BITS
    for weight, out in zip(weights[:0:-1], outputs[::-1], strict=True):
        back = (slopes[-1] @ weight).mul_(2.0**-WEIGHT_BITS)
        bent = torch.ops.aten.leaky_relu_backward(back, out, SLOPE, False)
        slopes.append(bent.round_().clamp_(-limit, limit))
    return slopes[::-1]


def _whole(values: Tensor, bits: int, limit: float) -> Tensor:
    """Return the nearest multiples of 2^-``bits`` within the limit, counted in that unit."""
    cut = torch.nan_to_num(values.detach().double()).clamp_(-limit, limit)
    return cut.mul_(2.0**bits).round_()
