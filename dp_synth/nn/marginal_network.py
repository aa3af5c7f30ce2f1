"""A generator whose rows of independent attributes reproduce noisy marginals together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from dp_synth.domain import Domain
from dp_synth.inference import estimate_total
from dp_synth.inference.histograms import project_to_simplex
from dp_synth.inference.mixture import MixtureModel
from dp_synth.nn.generator import check_rows, diverged, raked
from dp_synth.nn.pretraining import Likelihood
from dp_synth.progress import tell_training
from dp_synth.transcript import Measurement
from dp_synth.types import Codes, Floats

LATENT = 64  # numbers that a row is made from
WARM_UP = 50  # steps until the learning rate is whole
LAST_RATE = 0.02  # of the learning rate, at the last step
AVERAGED = 0.99  # of the averaged weights are kept at every step
BETAS = (0.9, 0.99)
EPS = 1e-15  # of Adam: gradients of an error that is divided by its precision are small
LEAST = 1e-6  # probability of a code at the start
LEAST_LEFT = 1e-9  # of a code after raking: no row may be left without any


@dataclass(frozen=True)
class Training:
    """How a generator is trained; nothing in it depends on records."""

    rows: int = 512
    width: int = 128
    steps: int = 1000
    learning_rate: float = 0.01
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class MarginalTargets:
    """Noisy frequencies of single codes and of pairs of codes, and the precision of each.

    All attributes' codes stand side by side: ``ones`` has shape (codes,), ``pairs`` (codes,
    codes); precision is 0 where nothing was measured.
    """

    sizes: tuple[int, ...]
    ones: Floats
    ones_precision: Floats
    pairs: Floats
    pairs_precision: Floats

    @classmethod
    def of(
        cls, domain: Domain, ones: Sequence[Measurement], pairs: Sequence[Measurement]
    ) -> MarginalTargets:
        """Return the targets of one measurement an attribute and of any pairs."""
        total = estimate_total(ones)
        ends = list(accumulate(domain.sizes, initial=0))
        codes = ends[-1]
        both = np.zeros((2, codes, codes), dtype=np.float32)
        single = np.zeros((2, codes))
        for one in ones:
            axis = domain.axis(one.clique[0])
            own = slice(ends[axis], ends[axis + 1])
            nearest = project_to_simplex(one.values, total, np.square(one.stddev))
            single[0, own] = nearest / total
            single[1, own] = np.square(total / one.stddev)
        for pair in pairs:
            first, second = (domain.axis(attribute) for attribute in pair.clique)
            block = slice(ends[first], ends[first + 1]), slice(ends[second], ends[second + 1])
            both[0][block] = pair.values / total
            both[1][block] = np.square(total / pair.stddev)
        return cls(domain.sizes, single[0], single[1], both[0], both[1])

    def loss(self, device: str) -> Callable[[Tensor], Tensor]:
        """Return the precision-weighted squared error of rows of probabilities.

        Expected frequencies of all pairs are one matrix product. The error is divided by the
        largest precision, which Adam's steps do not depend on, so that it stays in range.
        """
        largest = max(float(self.pairs_precision.max(initial=0)), float(self.ones_precision.max()))
        ones, pairs, ones_weight, pairs_weight = (
            torch.as_tensor(array, dtype=torch.float32, device=device)
            for array in (
                self.ones,
                self.pairs,
                self.ones_precision / largest,
                self.pairs_precision / largest,
            )
        )

        def error(rows: Tensor) -> Tensor:
            off_pairs = rows.T @ rows / len(rows) - pairs
            off_ones = rows.mean(dim=0) - ones
            return (pairs_weight * off_pairs**2).sum() + (ones_weight * off_ones**2).sum()

        return error


@dataclass
class RowGenerator:
    """A residual network from fixed latent vectors to rows of independent attributes.

    The latent vectors are drawn once and kept, so that the rows are a finite mixture whose
    marginals are exact: fresh vectors at every step give marginals that only an average over
    many batches knows, and train to twice the error.
    """

    sizes: tuple[int, ...]
    latent: Tensor
    weights: list[Tensor]
    averaged: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(
        cls, sizes: tuple[int, ...], ones: Floats, training: Training, seed: int
    ) -> RowGenerator:
        """Return a generator that starts near rows of the frequencies ``ones``."""
        coins = torch.Generator().manual_seed(seed)
        width, codes = training.width, sum(sizes)

        def drawn(fan_in: int, fan_out: int) -> Tensor:
            return torch.randn(fan_in, fan_out, generator=coins) / math.sqrt(3 * fan_in)

        start = torch.log(torch.as_tensor(np.maximum(ones, LEAST), dtype=torch.float32))
        tensors = [
            drawn(LATENT, width),
            torch.zeros(width),
            drawn(width, width),
            torch.zeros(width),
            drawn(width, codes),
            start,
        ]
        latent = torch.randn(training.rows, LATENT, generator=coins).to(training.device)
        weights = [tensor.to(training.device).requires_grad_() for tensor in tensors]
        return cls(sizes, latent, weights, [weight.detach().clone() for weight in weights])

    def rows(self, weights: Sequence[Tensor] | None = None) -> Tensor:
        """Return probabilities, shape (rows, codes): each attribute's codes sum to 1."""
        first, bias, second, other, last, start = self.weights if weights is None else weights
        activation = torch.nn.functional.leaky_relu
        hidden = activation(self.latent @ first + bias)
        hidden = hidden + activation(hidden @ second + other)
        logits = torch.split(hidden @ last + start, list(self.sizes), dim=1)
        return torch.cat([torch.softmax(part, dim=1) for part in logits], dim=1)

    def train(self, error: Callable[[Tensor], Tensor], training: Training) -> None:
        """Take Adam's steps down ``error``, and average the weights along the way.

        TrainingError when the error, or what the averaged weights make, is no longer finite.
        """
        optimizer = torch.optim.Adam(self.weights, lr=training.learning_rate, betas=BETAS, eps=EPS)
        for step in range(training.steps):
            for group in optimizer.param_groups:
                group["lr"] = training.learning_rate * learning_rate_at(step, training.steps)
            loss = error(self.rows())
            if not torch.isfinite(loss):
                what = f"the generator's loss is not finite at step {step + 1} of {training.steps}"
                raise diverged(what, training.learning_rate)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                kept = min(AVERAGED, (step + 1) / (step + 10))
                for mean, weight in zip(self.averaged, self.weights, strict=True):
                    mean.lerp_(weight, 1 - kept)
            tell_training(step + 1, training.steps, float(loss.detach()))
        check_rows(self._averaged_rows(), training.learning_rate)

    def model(self, domain: Domain, total: float, ones: Floats) -> MixtureModel:
        """Return the rows of the averaged weights as a model, raked to the frequencies ``ones``."""
        rows = self._averaged_rows()
        tables = raked(rows, np.maximum(ones, LEAST_LEFT), self.sizes)
        return MixtureModel(domain, np.full(len(rows), 1 / len(rows)), tables, total)

    @torch.no_grad()
    def _averaged_rows(self) -> Floats:
        rows: Floats = self.rows(self.averaged).cpu().double().numpy()
        return rows


def fit_rows(
    domain: Domain,
    ones: Sequence[Measurement],
    pairs: Sequence[Measurement],
    training: Training,
    rng: np.random.Generator,
) -> MixtureModel:
    """Return the mixture that a generator reaches, trained on noisy marginals alone."""
    targets = MarginalTargets.of(domain, ones, pairs)
    seed = int(rng.integers(2**63))
    generator = RowGenerator.of(domain.sizes, targets.ones, training, seed)
    generator.train(targets.loss(training.device), training)
    return generator.model(domain, estimate_total(ones), targets.ones)


def fit_likely_rows(
    domain: Domain,
    ones: Sequence[Measurement],
    made: Codes,
    training: Training,
    rng: np.random.Generator,
) -> MixtureModel:
    """Return the mixture under which records ``made`` by a model are likely, raked to columns.

    ``made`` has shape (records, attributes), and one-way marginals are over the same domain.
    """
    targets = MarginalTargets.of(domain, ones, ())
    seed = int(rng.integers(2**63))
    generator = RowGenerator.of(domain.sizes, targets.ones, training, seed)
    likelihood = Likelihood.of(made, domain.sizes, training.device)
    coins = torch.Generator(training.device).manual_seed(seed ^ 1)
    generator.train(lambda rows: likelihood.loss(rows, coins), training)
    return generator.model(domain, estimate_total(ones), targets.ones)


def learning_rate_at(step: int, steps: int) -> float:
    """Return the part of the learning rate at a step: a warm-up, then half a cosine."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1.0, (step + 1) / WARM_UP) * (LAST_RATE + (1 - LAST_RATE) * cosine)
