"""Pretraining: rows of probabilities under which records that a model makes are likely."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from dp_synth.inference import Compression
from dp_synth.transcript import Measurement
from dp_synth.types import Codes

BATCH = 512  # records of a step
MIN_PROBABILITY = 1e-7  # of a code, whose logarithm is taken


@dataclass(frozen=True, eq=False)
class Start:
    """What a training begins with: groups of codes, columns, and records of groups if any.

    ``ones`` are paid one-way marginals of the columns as they are. ``made`` are records that a
    model of noisy marginals makes, over the groups, shape (records, attributes): post-processing,
    so that any number of them costs nothing.
    """

    compression: Compression
    ones: Sequence[Measurement]
    made: Codes | None = None


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Records, by the places of their codes among those of all attributes, side by side."""

    places: Tensor
    width: int

    @classmethod
    def of(cls, made: Codes, sizes: tuple[int, ...], device: torch.device | str) -> Likelihood:
        """Return the likelihood of records of codes, shape (records, attributes)."""
        ends = list(accumulate(sizes, initial=0))
        places = torch.as_tensor(made.astype("int64")) + torch.tensor(ends[:-1])
        return cls(places.to(device), ends[-1])

    def loss(self, rows: Tensor, coins: torch.Generator) -> Tensor:
        """Return minus the mean log-likelihood of a batch, in nats, under the mixture of ``rows``.

        Each of the rows is one component of equal weight, its attributes independent: a latent
        class model. Marginals' errors say less: they leave out all that is not a measured pair,
        and count what is noise in it.
        """
        chosen = torch.randint(
            len(self.places), (BATCH,), generator=coins, device=self.places.device
        )
        batch = torch.zeros(BATCH, self.width, device=self.places.device)
        batch.scatter_(1, self.places[chosen], 1.0)
        each = batch @ torch.log(rows.clamp(min=MIN_PROBABILITY)).T
        likelihood: Tensor = torch.logsumexp(each, dim=1).mean()
        return math.log(len(rows)) - likelihood
