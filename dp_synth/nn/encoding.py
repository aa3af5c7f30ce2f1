"""Coded records as networks take them and give them: one block of inputs an attribute."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from dp_synth.domain import Domain

LEAST = 1e-7  # probability whose logarithm is taken


class Encoding:
    """Blocks of one-hot inputs for the codes of a domain, side by side.

    Networks' outputs in the same places are logits; a softmax is one of each block.
    """

    def __init__(self, domain: Domain, device: torch.device | str = "cpu") -> None:
        self.sizes = domain.sizes
        self.width = sum(domain.sizes)
        self.starts = torch.tensor(
            list(accumulate(domain.sizes, initial=0))[:-1], device=device, dtype=torch.int64
        )
        # Blocks padded to one width make a softmax of all of them one call.
        self._widest = max(domain.sizes)
        places = [
            torch.arange(size) + number * self._widest for number, size in enumerate(domain.sizes)
        ]
        self._places = torch.cat(places).to(device)

    def one_hot(self, codes: Tensor) -> Tensor:
        """Return a one in the place of each code: (records, attributes) to (records, width)."""
        return self.marks(codes + self.starts)

    def marks(self, places: Tensor) -> Tensor:
        """Return a one in each of the places: shape (records, any) to (records, width)."""
        empty = torch.zeros(len(places), self.width, device=places.device)
        return empty.scatter_(1, places, 1.0)

    def softmax(self, logits: Tensor) -> Tensor:
        """Return the probabilities of each block's codes, shape (records, width)."""
        blocks = torch.softmax(self._padded(logits), dim=2)
        return blocks.reshape(len(logits), -1)[:, self._places]

    def straight_through(self, logits: Tensor, coins: torch.Generator, heat: float) -> Tensor:
        """Return one-hot draws of each block, with the gradient of a softmax at ``heat``.

        Gumbel-softmax, straight through (Jang, Gu & Poole 2017, arXiv:1611.01144).
        """
        waits = torch.empty_like(logits).exponential_(generator=coins)
        noisy = logits - torch.log(waits.clamp(min=1e-30))
        drawn = self.one_hot(self._padded(noisy.detach()).argmax(dim=2))
        soft = self.softmax(noisy / heat)
        return drawn + soft - soft.detach()

    def log_softmax(self, logits: Tensor) -> Tensor:
        """Return the logarithms of `softmax`, bounded from below."""
        return torch.log(self.softmax(logits).clamp(min=LEAST))

    def _padded(self, logits: Tensor) -> Tensor:
        empty = logits.new_full((len(logits), len(self.sizes) * self._widest), -torch.inf)
        return empty.index_copy(1, self._places, logits).reshape(len(logits), -1, self._widest)
