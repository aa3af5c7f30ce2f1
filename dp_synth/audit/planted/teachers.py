"""Planted faults in training: votes of teachers who share records, gradients that are not cut."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dp_synth.accounting import compose
from dp_synth.accounting.events import NoisyVote, SampledGaussian
from dp_synth.audit.likelihood_ratio import reached
from dp_synth.audit.planted.base import PlantedBug
from dp_synth.mechanisms.noise import rounded_gaussian
from dp_synth.mechanisms.pate import winners
from dp_synth.types import Floats

VOTES = 25
VOTE = NoisyVote("gaussian", 26.35, 101)  # 25 of them: epsilon 1 at delta 1e-5
STEPS = SampledGaussian(1.695, 0.05, 50)  # epsilon 1 at delta 1e-5
SHARED = 10  # teachers that one record reaches
BATCH, LAYERS = 64, 4
COORDINATES, UNIT_BITS = 24, 26  # of a gradient, and of the unit of whole noise
NEVER_CUT = 100.0  # norm of the canary's gradient, in clipping norms


@dataclass(frozen=True)
class NoisyVotes:
    """How often the target's side won, in votes that are as even as they can be without it."""

    moved: int  # teachers whose vote the target turns

    def __call__(self, inside: bool, runs: int, rng: np.random.Generator) -> Floats:
        """Return a score a run."""
        gaps = np.full((runs, VOTES), -1 + 2 * self.moved * inside, dtype=np.int64)
        return np.asarray(winners(gaps, VOTE, rng.bytes).sum(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class CanaryGradients:
    """Log-likelihood ratios of noisy sums of gradients, along that of a canary.

    ``norm`` is what the canary adds where it takes part, in units for which the noise was made;
    all other gradients are orthogonal to it.
    """

    norm: float = 1.0
    rate: float = STEPS.rate

    def __call__(self, inside: bool, runs: int, rng: np.random.Generator) -> Floats:
        """Return a score a run."""
        shape, variance = (runs, STEPS.steps), STEPS.noise_multiplier**2
        drawn = (rng.random(shape) < self.rate) & inside
        sums = self.norm * drawn + rng.normal(0.0, STEPS.noise_multiplier, shape)
        ratios = self.norm * (sums - self.norm / 2) / variance
        each = np.logaddexp(math.log1p(-self.rate), math.log(self.rate) + ratios)
        return np.asarray(each.sum(axis=1))


@dataclass(frozen=True)
class LowBits:
    """In how many steps noise in single precision leads from the canary to what was released.

    The noise is right; it is drawn and added in floating point, or in whole numbers of a unit
    (``exact``). Other gradients are orthogonal to the canary's and known.
    """

    exact: bool

    def __call__(self, inside: bool, runs: int, rng: np.random.Generator) -> Floats:
        """Return a score a run."""
        shape = (runs, STEPS.steps, COORDINATES)
        units = np.rint(np.linspace(1, 2, COORDINATES) / COORDINATES**0.5 / 2 * 2**UNIT_BITS)
        canary = (units * 2.0**-UNIT_BITS).astype(np.float32)
        drawn = ((rng.random(shape[:2]) < STEPS.rate) & inside)[:, :, None]
        if self.exact:
            whole = rounded_gaussian(STEPS.noise_multiplier * 2**UNIT_BITS, shape, rng.bytes)
            released = ((drawn * units + whole) * 2.0**-UNIT_BITS).astype(np.float32)
        else:
            noise = rng.normal(0.0, STEPS.noise_multiplier, shape)
            released = drawn * canary + noise.astype(np.float32)
        steps = reached(released, np.broadcast_to(canary, shape)).all(axis=2)
        return np.asarray(steps.sum(axis=1), dtype=np.float64)


_VOTES = compose([(VOTE, VOTES)])
_STEPS = compose([(STEPS, 1)])

TEACHER_BUGS = (
    PlantedBug("P0 votes of teachers", "", "", _VOTES, NoisyVotes(1), 1000),
    PlantedBug("P0 sampled gradients", "", "", _STEPS, CanaryGradients(), 1000),
    PlantedBug("P0 whole sums of gradients", "", "", _STEPS, LowBits(exact=True), 100),
    PlantedBug(
        "P10 teachers share records",
        f"one record reaches {SHARED} teachers",
        "smartnoise PATECTGAN, synthcity PATE-GAN (synthcity#275), mlforhealthlabpub (#29)",
        _VOTES,
        NoisyVotes(SHARED),
        100,
    ),
    PlantedBug(
        "P12 no clipping",
        "gradients are summed at whatever norm they have",
        "akin to synthcity DPGAN, smartnoise DPGAN",
        _STEPS,
        CanaryGradients(NEVER_CUT),
        100,
    ),
    PlantedBug(
        "P12 clipping after averaging",
        "the mean gradient of a batch is clipped, with noise for one record's share of it",
        "akin to synthcity DPGAN, smartnoise DPGAN",
        _STEPS,
        CanaryGradients(float(BATCH)),
        100,
    ),
    PlantedBug(
        "P12 clipping by layer",
        f"each of {LAYERS} layers is clipped to the norm that all of them may have",
        "smartnoise DPGAN and DPCTGAN (smartnoise-sdk#569)",
        _STEPS,
        CanaryGradients(math.sqrt(LAYERS)),
        250,
    ),
    PlantedBug(
        "P13 rare class over-sampled",
        "records of a rare class take part ten times as often as is charged",
        "smartnoise DPCTGAN",
        _STEPS,
        CanaryGradients(rate=10 * STEPS.rate),
        100,
    ),
    PlantedBug(
        "P19 right noise, float bits",
        "sums of gradients get noise of the right scale in single precision",
        "Opacus (opacus#616), and whatever adds torch.normal to a sum",
        _STEPS,
        LowBits(exact=False),
        100,
    ),
)
