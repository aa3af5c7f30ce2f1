"""Per-sample gradients of any network, by opacus, as whole numbers of norm at most a clip.

What one record adds to a sum must depend on that record alone. Two things could bring others in:

- The network: one that centres its batch, or normalises it, mixes records. `opacus` differentiates
  it for one record at a time (its functorch mode, ``vmap`` of ``grad``): whatever the network
  computes, it computes of a batch of one. Its hooks, and ghost clipping with them, run the network
  on the whole batch and sum in floating point, which lets others in twice: they are for rows that
  are public (`ghost_sum`).
- The arithmetic: products of many records at once are cut into blocks, and how they are cut, and so
  how a record's product is rounded, depends on how many records there are, and on its place. Here
  a product is always of `BLOCK` records, and a record's place in it follows from its own coin. What
  else is in the block are operands of other rows of the product, which no row's own sum reads.
  `check_network` tries that, bit for bit, with public records before any private one is read.

So a record's part is a function of the network, the record and its coin. It is put on a lattice,
cut to the clip (`on_lattice`), and summed in integers, in any order.

Needs torch and opacus, so that only the modules of networks import it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dp_synth.errors import InputError, missing_extra

Loss = Callable[[Tensor], Tensor] | float
"""Scores of shape (records,) to losses of the same shape, row by row; a number: times the score."""

CLIP_BITS = 16  # of a clipped gradient, in clips
BLOCK = 32  # records whose gradients are computed together, always as many
MARGIN = 2.0**-40  # for the roundings of a norm and of a quotient, each of 2^-53

FAILURES = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(RuntimeError, TypeError, ValueError),
)
"""What a network that others wrote may raise when it is made or tried."""

_CLOSE = 1e-3  # relative: between two orders of the same sums in single precision
_FAR = 2.0**-20  # of a score that is this small nothing relative is known


class WholeSum(NamedTuple):
    """A sum of clipped gradients of one parameter: ``whole`` times 2^-``bits`` clips."""

    whole: Tensor  # int64, of the parameter's shape
    bits: int

    def times(self, clip: float) -> Tensor:
        """Return the real numbers that are meant, as float64."""
        return self.whole.double() * (clip * 2.0**-self.bits)


class Encoded(NamedTuple):
    """Encoded records of a batch.

    ``coins`` hold a whole number of 62 random bits a record, by which it was encoded and takes its
    place in a block; records that are public may do without. ``shares`` say what part of the clip
    a record has, at most one; None for all of it.
    """

    rows: Tensor
    coins: Tensor | None = None
    shares: Tensor | None = None

    @classmethod
    def of(cls, rows: Tensor | Encoded) -> Encoded:
        """Return the records as they are, or rows that are public as records."""
        return rows if isinstance(rows, Encoded) else cls(rows)

    def where(self, kept: Tensor | slice) -> Encoded:
        """Return those of the records that a mask, or a slice of places, keeps."""
        coins = None if self.coins is None else self.coins[kept]
        shares = None if self.shares is None else self.shares[kept]
        return Encoded(self.rows[kept], coins, shares)


def on_lattice(gradients: Tensor, clip: float, bits: int = CLIP_BITS) -> Tensor:
    """Return rows of gradients as whole multiples of 2^-``bits`` clips, of norm at most ``clip``.

    Shape (records, parameters), int64. Each is scaled down where it is longer, by a norm that is
    rounded upwards (n + 1 roundings, in whatever order n squares are summed), and rounded towards
    zero. Rows that are not finite are zero.
    """
    return _cut(gradients.to(torch.float64, copy=True), clip, bits).long()


def _cut(rows: Tensor, clip: float, bits: int, shares: Tensor | None = None) -> Tensor:
    """Put float64 rows on the lattice where they are: new memory would be most of the work.

    ``shares`` of the clip are what rows are scaled by as well, shape (records,).
    """
    rows /= clip
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    rows[~torch.isfinite(norms[:, 0])] = 0.0
    margin = 1 - MARGIN - rows.shape[1] * 2.0**-52
    factors = torch.nan_to_num(margin * 2.0**bits / norms.clamp(min=1.0))
    rows *= factors if shares is None else factors * shares[:, None]
    return rows.trunc_()


def module_sums(
    network: nn.Module,
    rows: Tensor | Encoded,
    loss: Loss,
    clip: float,
    bits: int = CLIP_BITS,
) -> list[WholeSum]:
    """Return the exact sum of the rows' parts, one a trainable parameter.

    Without coins rows take the places in their order, which is for rows that are public.
    """
    rows, coins, shares = Encoded.of(rows)
    gradients = _PerSample(network, loss)
    total = torch.zeros(gradients.width, dtype=torch.int64, device=rows.device)
    each = total.new_empty((BLOCK, gradients.width), dtype=torch.float64)
    if coins is None:
        coins = torch.arange(len(rows), device=rows.device) << 32
    places = (coins >> 32).remainder(BLOCK)
    turns = _turns(places)
    for turn in range(int(turns.max()) + 1 if len(rows) else 0):
        now = turns == turn
        block = rows.new_zeros((BLOCK, *rows.shape[1:]))
        block[places[now]] = rows[now]
        taken = block.new_zeros(BLOCK, dtype=torch.float64)
        taken[places[now]] = 1.0
        own = None if shares is None else taken.clone()
        if own is not None and shares is not None:
            own[places[now]] = shares[now]
        parts = _cut(gradients.of(block, each), clip, bits, own)
        total += (taken @ parts).long()  # below 2^53: exact
    return [WholeSum(part, bits) for part in gradients.apart(total)]


def check_network(network: nn.Module, rows: Tensor) -> None:
    """Raise InputError unless opacus gives the gradient of each record, and of it alone.

    ``rows`` are public, and as many and of the same shape as those of a block. Tried are: one
    score a record, that depends on no other; gradients that are those of autograd; and that a
    record's gradient has the same bits whatever else is in the block.
    """
    if find_spec("opacus") is None:
        raise missing_extra("a network of one's own", "opacus", "deep")
    for name, layer in network.named_modules():
        if any(True for _ in layer.buffers(recurse=False)):
            raise InputError(
                f"{type(layer).__name__} {name!r} of the critic has buffers, which keep what it "
                "has seen of other records; use LayerNorm or GroupNorm, or no buffers"
            )
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError("the critic has no parameter to train")
    try:
        scores = network(rows)
        if scores.numel() == len(rows):
            gradients = _PerSample(network, -1.0)
            each = gradients.of(rows)
    except FAILURES as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"opacus cannot take the gradient of each record of this {type(network).__name__}: "
            f"{type(error).__name__}: {reason}"
        ) from error
    if scores.numel() != len(rows):
        raise InputError(
            f"a critic gives one score a record, got shape {tuple(scores.shape)} for {len(rows)}"
        )
    for place in (0, len(rows) - 1):
        alone = network(rows[place : place + 1]).reshape(())
        if not _alike(scores.reshape(-1)[place], alone):
            raise InputError(
                "the critic's score of a record depends on the others in its batch; each record "
                "must be scored alone"
            )
        if not _alike(each[place], gradients.by_autograd(-alone)):
            raise InputError("opacus' gradient of a record is not that of autograd")
    first = torch.arange(len(rows), device=rows.device) % 3 == 0
    mixed = gradients.of(torch.where(_as_wide(first, rows), rows, rows.flip(0)))
    if not torch.equal(torch.where(first[:, None], each, gradients.of(rows.flip(0))), mixed):
        raise InputError(
            f"on {rows.device} the gradient of a record depends on the others of its block; use "
            "another device or other layers"
        )


def ghost_sum(network: nn.Module, rows: Tensor, slope: float, clip: float) -> list[Tensor]:
    """Return the sum of clipped gradients of ``slope`` times the scores of rows that are public.

    Ghost clipping (Goodfellow 2015, arXiv:1510.01799; Li et al. 2022, arXiv:2110.05679): norms by
    opacus' hooks, without gradients of single rows, then a weighted gradient of all. For the layers
    that the hooks know; `knows_ghosts` tells.
    """
    from opacus.grad_sample import GradSampleModuleFastGradientClipping

    trained = [one for one in network.parameters() if one.requires_grad]
    hooked = GradSampleModuleFastGradientClipping(
        network, loss_reduction="sum", max_grad_norm=clip, use_ghost_clipping=True
    )
    try:
        given = rows.detach().requires_grad_()  # without it torch warns of the hooks
        losses = slope * network(given).reshape(len(rows))
        losses.sum().backward(retain_graph=True)
        factors = hooked.get_clipping_coef().detach()
        hooked.disable_hooks()
        return list(torch.autograd.grad((factors * losses).sum(), trained))
    finally:
        hooked.remove_hooks()
        for one in trained:
            one.grad = None


def knows_ghosts(network: nn.Module, rows: Tensor) -> bool:
    """Whether `ghost_sum` of the network is what `module_sums` gives, tried on public rows."""
    from opacus.grad_sample import GradSampleModule

    for layer in network.modules():
        own = any(True for _ in layer.parameters(recurse=False))
        if own and type(layer) not in GradSampleModule.GRAD_SAMPLERS:
            return False
    clip = 1.0
    slow = torch.cat([one.times(clip).flatten() for one in module_sums(network, rows, 1.0, clip)])
    try:
        found = ghost_sum(network, rows, 1.0, clip)
    except FAILURES:  # of layers that are used in other ways
        return False
    return _alike(torch.cat([one.flatten() for one in found]).double(), slow)


class _PerSample:
    """The gradients of each record of a block, all trainable parameters side by side."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        from opacus.grad_sample.functorch import prepare_layer

        self._asked = _Losses(network, loss)
        self._trained = [one for one in network.parameters() if one.requires_grad]
        self.width = sum(map(torch.numel, self._trained))
        # A copy that lives for one sum: what a network keeps outside its parameters goes with it.
        prepare_layer(self._asked)

    @torch.no_grad()
    def of(self, block: Tensor, into: Tensor | None = None) -> Tensor:
        """Return one row of gradients a record of the block, in float64, ``into`` a given place."""
        from opacus.grad_sample.functorch import ft_compute_per_sample_gradient

        with torch.backends.cudnn.flags(benchmark=False, deterministic=True):
            ones = block.new_ones(len(block))
            found = ft_compute_per_sample_gradient(self._asked, [block], ones)
        if into is None:
            into = block.new_empty((len(block), self.width), dtype=torch.float64)
        for own, one in zip(self.apart(into), self._trained, strict=True):
            own.copy_(found[one])
        return into

    def by_autograd(self, loss: Tensor) -> Tensor:
        """Return the gradient of one loss, laid out as those of a block."""
        found = torch.autograd.grad(loss, self._trained, allow_unused=True, materialize_grads=True)
        return torch.cat([one.reshape(-1) for one in found])

    def apart(self, beside: Tensor) -> list[Tensor]:
        """Return views of what stands side by side, of each parameter's shape behind the rows."""
        parts = torch.split(beside, [one.numel() for one in self._trained], dim=-1)
        rows = beside.shape[:-1]
        return [
            part.reshape(*rows, *one.shape) for part, one in zip(parts, self._trained, strict=True)
        ]


class _Losses(nn.Module):
    """A network with its loss behind it, one number a record."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network = network
        self._loss = loss

    def forward(self, rows: Tensor) -> Tensor:
        """Return the losses, shape (records,)."""
        scores: Tensor = self.network(rows).reshape(len(rows))
        return self._loss(scores) if callable(self._loss) else self._loss * scores


def _turns(places: Tensor) -> Tensor:
    """Return how many rows before each have the same place: the block that each belongs to."""
    order = torch.argsort(places, stable=True)
    counts = torch.bincount(places, minlength=BLOCK)
    starts = torch.cumsum(counts, 0) - counts
    turns = torch.empty_like(places)
    turns[order] = torch.arange(len(places), device=places.device) - starts[places[order]]
    return turns


def _as_wide(flags: Tensor, rows: Tensor) -> Tensor:
    return flags.reshape(-1, *[1] * (rows.dim() - 1))


def _alike(found: Tensor, expected: Tensor) -> bool:
    return float((found - expected).detach().norm()) <= _CLOSE * max(
        float(expected.detach().norm()), _FAR
    )
