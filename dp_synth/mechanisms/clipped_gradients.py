"""Sums of clipped gradients in whole numbers: each record's part depends on that record alone.

Numbers are whole multiples of public units, held in float64. Every sum of their products stays
below 2^53 in size, so that it is exact in any order: neither the blocks into which a processor cuts
a product, nor its instructions, nor what else is in a batch can change a bit of it. That holds
because all factors are cut to public limits:

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

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from dp_synth.errors import InputError
from dp_synth.mechanisms.per_sample_gradients import (
    CLIP_BITS,
    MARGIN,
    Loss,
    WholeSum,
    module_sums,
)

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


def clipped_sum(network: nn.Module, rows: Tensor, loss: Loss, clip: float) -> list[Tensor]:
    """Return the sum of the rows' gradients, each of norm at most ``clip``, one a parameter."""
    return [total.times(clip) for total in whole_sums(network, rows, loss, clip)]


def whole_sums(
    network: nn.Module,
    rows: Tensor,
    loss: Loss,
    clip: float,
    bits: int = CLIP_BITS,
    coins: Tensor | None = None,
) -> list[WholeSum]:
    """Return the exact sum of the rows' parts, a parameter each: whole numbers of norm <= clip.

    A part is the gradient of one row's loss over all parameters together, scaled down to ``clip``
    where it is longer, in multiples of 2^-``bits`` clips (finer at weights between layers) rounded
    towards zero. It depends on the network, that row and its coin alone. Rows that are not finite,
    or whose gradient is not, add nothing.

    A `Critic` whose loss is a number times its score takes all rows at once; it sees them, and its
    own weights, rounded to the units of this module, and needs no coins. The gradients of any
    other network are those of opacus, row by row (`module_sums`).
    """
    if callable(loss) or not isinstance(network, Critic):
        return module_sums(network, rows, loss, clip, bits, coins)
    layers = [
        _critic_sums(network, few, float(loss), clip, bits)
        for few in torch.split(rows, ROWS_AT_ONCE)
    ]
    return [
        WholeSum(sum((part.whole for part in parts[1:]), parts[0].whole), parts[0].bits)
        for parts in zip(*layers, strict=True)
    ]


@torch.no_grad()
def _critic_sums(
    critic: Critic, rows: Tensor, slope: float, clip: float, bits: int
) -> list[WholeSum]:
    """Return the rows' sums of a weight and a bias a layer.

    A row's gradient at a linear layer is the outer product of what goes in and of the slope of
    what comes out, so that its norm needs no gradient of the row's own (Goodfellow 2015,
    arXiv:1510.01799).
    """
    if not bool(torch.isfinite(rows.sum(dtype=torch.float64))):  # most batches need no copy
        rows = rows[torch.isfinite(rows).all(dim=1)]
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
