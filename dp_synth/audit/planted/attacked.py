"""Planted faults that an attack finds: in noise, in what is read for nothing, and in training.

Each is a small mechanism, what it claims, and which audit must find its fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import log_softmax, ndtri

from dp_synth.accounting import Adjacency, Gaussian, PrivacyCurve, Selection, compose
from dp_synth.accounting.events import DiscreteLaplace, Laplace, NoisyVote, SampledGaussian
from dp_synth.audit.likelihood_ratio import reached
from dp_synth.mechanisms import marginal_sensitivity
from dp_synth.mechanisms.noise import discrete_laplace, exact_choice, rounded_gaussian
from dp_synth.mechanisms.pate import winners
from dp_synth.types import Floats, Integers

Scores = Callable[[bool, int, np.random.Generator], Floats]
CaughtBy = Literal["area", "common_noise", "clopper_pearson", "structural"]

DELTA = 1e-5  # at which claims are stated


@dataclass(frozen=True)
class PlantedBug:
    """A mechanism that an attack scores: with a ``fault``, or, to test the auditor, with none.

    ``scores(inside, runs, rng)`` draws as many independent runs at once about the table with the
    target (``inside``) or without it, and returns the score of the best attack on each. ``runs``
    a world are enough for the audit named ``caught_by``. ``claim`` is what its author believes,
    under ``adjacency``; ``twin_of`` says whose code has or had the fault, as it was read in June
    2025 (smartnoise: smartnoise-synth 1.0.8), and what stands in a tracker, as repository#number.
    """

    name: str
    fault: str
    twin_of: str
    claim: PrivacyCurve
    scores: Scores
    runs: int
    caught_by: CaughtBy = "area"
    adjacency: Adjacency = "add_remove"

    @property
    def is_correct(self) -> bool:
        """Whether there is nothing to be found."""
        return not self.fault

    @cached_property
    def claimed_area(self) -> PrivacyCurve:
        """The claim, or one Gaussian that permits the same area where it is of something else.

        Nothing but its area is tested, and a noise factor takes a Gaussian no time.
        """
        if self.claim.is_gaussian:
            return self.claim
        distance = math.sqrt(2) * float(ndtri(self.claim.largest_auc()))
        return compose([(Gaussian(1 / distance, 1.0), 1)])


MU = {1: 0.268051, 4: 0.92493}  # Gaussian DP of this epsilon at delta 1e-5, rounded down
COLUMNS, CODES = 3, 3
TARGET, OTHER = 2, 0  # codes of two records, in every column
RECORDS = 1000  # by which a scale was wrongly divided
LARGEST_VALUE = 10  # of one record in a sum; the least is its negative


def one_way_change(record: int, other: int | None = None) -> tuple[float, ...]:
    """Return how one record moves all one-way counts, or how it does in place of another."""
    marks = np.eye(CODES)
    change = marks[record] - (0.0 if other is None else marks[other])
    return tuple(np.tile(change, COLUMNS).tolist())


def gaussian_claim(epsilon: int) -> PrivacyCurve:
    """Return the curve of a marginal a column, all together of ``epsilon`` at delta 1e-5."""
    return compose([(Gaussian(math.sqrt(COLUMNS) / MU[epsilon], 1.0), COLUMNS)])


@dataclass(frozen=True)
class NoisyCounts:
    """Log-likelihood ratios of counts with rounded Gaussian noise, up to scale and shift.

    ``change`` is how the target moves each count. The other records move both worlds alike.
    """

    change: tuple[float, ...]
    stddev: float

    def __call__(self, inside: bool, runs: int, rng: np.random.Generator) -> Floats:
        """Return a score a run."""
        change = np.array(self.change)
        noise = rounded_gaussian(self.stddev, (runs, len(change)), rng.bytes)
        return np.asarray((noise + inside * change) @ change)


def counts_with(epsilon: int, factor: float = 1.0) -> NoisyCounts:
    """Return one-way counts with ``factor`` times the noise that `gaussian_claim` needs."""
    return NoisyCounts(one_way_change(TARGET), factor * math.sqrt(COLUMNS) / MU[epsilon])


def laplace_count(inside: bool, runs: int, rng: np.random.Generator) -> Floats:
    """Return one count with two-sided geometric noise of epsilon 1."""
    return np.asarray(inside + discrete_laplace(1.0, (runs,), rng.bytes), dtype=np.float64)


def laplace_frequency(inside: bool, runs: int, rng: np.random.Generator) -> Floats:
    """Return a frequency with noise for counts, divided by the number of records once more."""
    share = inside / RECORDS
    return np.asarray(share + rng.laplace(0.0, 1 / RECORDS**2, runs))


def noise_used_twice(inside: bool, runs: int, rng: np.random.Generator) -> Floats:
    """Return the difference of two noisy marginals, whose cells the target moves apart."""
    noise = rounded_gaussian(math.sqrt(2) / MU[1], (runs, CODES), rng.bytes)
    first, second = (inside * np.eye(CODES)[code] + noise for code in (TARGET, OTHER))
    return np.asarray((first - second)[:, TARGET])


_REPLACED = one_way_change(TARGET, OTHER)
_TOO_FEW = "noise of standard deviation sigma / {} where sigma is needed"

NOISE_BUGS = (
    PlantedBug("P0 Gaussian", "", "", gaussian_claim(1), counts_with(1), 1500),
    PlantedBug("P0 Gaussian, epsilon 4", "", "", gaussian_claim(4), counts_with(4), 250),
    PlantedBug(
        "P0 Gaussian, common noise", "", "", gaussian_claim(1), counts_with(1), 100, "common_noise"
    ),
    PlantedBug("P0 Laplace", "", "", compose([(DiscreteLaplace(1.0, 1), 1)]), laplace_count, 1000),
    PlantedBug(
        "P0 Gaussian, replace one",
        "",
        "",
        gaussian_claim(1),
        NoisyCounts(_REPLACED, marginal_sensitivity("replace_one") * counts_with(1).stddev),
        1500,
        adjacency="replace_one",
    ),
    PlantedBug(
        "P1 sigma / sqrt 2",
        _TOO_FEW.format("sqrt(2)"),
        "a factor lost where a budget is shared",
        gaussian_claim(1),
        counts_with(1, math.sqrt(0.5)),
        1500,
    ),
    PlantedBug(
        "P1 sigma / sqrt 2, epsilon 4",
        _TOO_FEW.format("sqrt(2)"),
        "a factor lost where a budget is shared",
        gaussian_claim(4),
        counts_with(4, math.sqrt(0.5)),
        250,
    ),
    PlantedBug(
        "P1 sigma / sqrt 2, common noise",
        _TOO_FEW.format("sqrt(2)"),
        "a factor lost where a budget is shared",
        gaussian_claim(1),
        counts_with(1, math.sqrt(0.5)),
        100,
        "common_noise",
    ),
    PlantedBug(
        "P2 sigma / 2",
        _TOO_FEW.format(2),
        "a sensitivity of 1 that is 2",
        gaussian_claim(1),
        counts_with(1, 0.5),
        250,
    ),
    PlantedBug(
        "P3 sigma / 4",
        _TOO_FEW.format(4),
        "a sensitivity of 1 that is 4",
        gaussian_claim(1),
        counts_with(1, 0.25),
        250,
    ),
    PlantedBug(
        "P3 sigma / 4, by a threshold",
        _TOO_FEW.format(4),
        "a sensitivity of 1 that is 4",
        gaussian_claim(1),
        counts_with(1, 0.25),
        1000,
        "clopper_pearson",
    ),
    PlantedBug(
        "P3 scale / n",
        "the noise of counts is divided by the number of records twice",
        "DataSynthesizer up to 0.1.4 (DataSynthesizer#34), synthcity PrivBayes",
        compose([(Laplace(1.0, 1.0), 1)]),
        laplace_frequency,
        250,
    ),
    PlantedBug(
        "P4 histogram",
        "noise for a record added, where a record replaced moves two cells",
        "adjacency confused",
        gaussian_claim(1),
        NoisyCounts(_REPLACED, marginal_sensitivity("add_remove") * counts_with(1).stddev),
        1500,
        adjacency="replace_one",
    ),
    PlantedBug(
        "P4 sum",
        "noise for a record added, where a record replaced moves a sum twice as far",
        "adjacency confused",
        compose([(Gaussian(1 / MU[1], 1.0), 1)]),
        NoisyCounts((2.0 * LARGEST_VALUE,), LARGEST_VALUE / MU[1]),
        250,
        adjacency="replace_one",
    ),
    PlantedBug(
        "P9 noise used twice",
        "two marginals get the same noise, so that their difference has none",
        "one generator made anew from one seed",
        compose([(Gaussian(math.sqrt(2) / MU[1], 1.0), 2)]),
        noise_used_twice,
        10,
    ),
)


OTHERS = 100  # records beside the target
BINS = 10
STDDEV = 1 / MU[1]  # of a histogram's noise, at epsilon 1
EDGES = 2  # that a tree may begin with
RANGE = 1.005  # of a choice's loss, at epsilon 1 and delta 1e-5
# An MST-like release of epsilon 1 at delta 1e-5: ones, an edge, and its pair.
ONES_STDDEV, EDGE_RANGE, PAIR_STDDEV = 9.0, 0.333, 9.0


def values_seen(inside: bool, runs: int, rng: np.random.Generator) -> Floats:
    """Return whether the target's category, which nobody else has, is listed in a release."""
    codes = np.append(np.zeros(OTHERS, dtype=np.int64), [1] if inside else [])
    domain = np.unique(codes)
    released = rounded_gaussian(STDDEV, (runs, len(domain)), rng.bytes)  # of these alone
    return np.full(len(released), float(len(domain)))


def bounds_seen(inside: bool, runs: int, rng: np.random.Generator) -> Floats:
    """Return the noisy count of a histogram's first bin, whose bounds are those of the data.

    All others lie in [0, 1] and the target at 10: with it, the first bin holds all of them.
    """
    values = np.append(np.linspace(0.0, 1.0, OTHERS), [10.0] if inside else [])
    counts = np.histogram(values, BINS, (values.min(), values.max()))[0]
    noise = rounded_gaussian(STDDEV, (runs, BINS), rng.bytes)
    return np.asarray((counts + noise)[:, 0], dtype=np.float64)


def noise_where_counted(inside: bool, runs: int, rng: np.random.Generator) -> Floats:
    """Return whether the target's cell, empty without it, is other than zero."""
    counts = np.array([OTHERS, float(inside)])
    noise = rounded_gaussian(STDDEV, (runs, len(counts)), rng.bytes)
    released = counts + np.where(counts > 0, noise, 0)
    return np.asarray(released[:, 1] != 0, dtype=np.float64)


def exact_size(inside: bool, runs: int, rng: np.random.Generator) -> Floats:
    """Return the number of rows of a synthetic table that has as many as there are records."""
    return np.full(runs, float(OTHERS + inside))


def exact_argmax(inside: bool, runs: int, rng: np.random.Generator) -> Floats:
    """Return whether the edge of the largest exact score was chosen, the target's only with it."""
    qualities = np.array([OTHERS - 0.5, OTHERS - 1.0 + inside, 0.0])
    return np.full(runs, float(np.argmax(qualities) == 1))


def exact_threshold(inside: bool, runs: int, rng: np.random.Generator) -> Floats:
    """Return whether a noisy choice was kept, by its exact score, which decides alone."""
    qualities = np.array([OTHERS - 1.0 + inside, 0.0, 0.0])
    chosen = _choices(RANGE / 2 * qualities, runs, rng)
    return np.asarray(qualities[chosen] >= OTHERS, dtype=np.float64)


def edge_choice(inside: bool, runs: int, rng: np.random.Generator) -> Floats:
    """Return the log-likelihood ratios of choices by an exponential mechanism."""
    return _edge_ratios(RANGE, inside, runs, rng)[0]


def tree_release(inside: bool, runs: int, rng: np.random.Generator) -> Floats:
    """Return the log-likelihood ratios of one-way counts, of a choice, and of the pair chosen."""
    ones = NoisyCounts(one_way_change(1), ONES_STDDEV)(inside, runs, rng) / ONES_STDDEV**2
    edges, chosen = _edge_ratios(EDGE_RANGE, inside, runs, rng)
    pairs = inside * np.ones((runs, EDGES)) + rounded_gaussian(
        PAIR_STDDEV, (runs, EDGES), rng.bytes
    )
    return np.asarray(ones + edges + pairs[np.arange(runs), chosen] / PAIR_STDDEV**2)


def _edge_ratios(
    loss_range: float, inside: bool, runs: int, rng: np.random.Generator
) -> tuple[Floats, Integers]:
    """Return log-likelihood ratios, and what was chosen.

    The scores are distances from what was expected: the target brings one nearer and takes the
    other further away, so that the whole range of the loss is used.
    """
    there, here = np.array([10.5, 9.5]), np.array([9.5, 10.5])
    log_odds = [loss_range / 2 * quality for quality in (there, here)]
    chosen = _choices(log_odds[inside], runs, rng)
    ratios = log_softmax(log_odds[1]) - log_softmax(log_odds[0])
    return np.asarray(ratios[chosen]), chosen


def _choices(log_odds: Floats, runs: int, rng: np.random.Generator) -> Integers:
    return np.array([exact_choice(log_odds, rng.bytes) for _ in range(runs)])


_HISTOGRAM = compose([(Gaussian(1 / MU[1], 1.0), 1)])
_CHOICE = compose([(Selection(RANGE), 1)])
_TREE = compose(
    [
        (Gaussian(ONES_STDDEV, 1.0), COLUMNS),
        (Selection(EDGE_RANGE), 1),
        (Gaussian(PAIR_STDDEV, 1.0), 1),
    ]
)

DATA_BUGS = (
    PlantedBug("P0 exponential mechanism", "", "", _CHOICE, edge_choice, 1000),
    PlantedBug("P0 MST-like release", "", "", _TREE, tree_release, 1000),
    PlantedBug(
        "P5 categories seen",
        "the domain is what occurs in the data",
        "synthcity PrivBayes and AIM, smartnoise MST and AIM, dpmm before 2026 (dpmm#19)",
        _HISTOGRAM,
        values_seen,
        100,
    ),
    PlantedBug(
        "P6 bounds seen",
        "bounds are the least and the largest value of the data",
        "smartnoise PATE-GAN, synthcity PATE-GAN (synthcity#278)",
        _HISTOGRAM,
        bounds_seen,
        100,
    ),
    PlantedBug(
        "P7 empty cells without noise",
        "cells without records stay zero",
        "synthcity PrivBayes",
        _HISTOGRAM,
        noise_where_counted,
        100,
    ),
    PlantedBug(
        "P14 exact argmax",
        "the edge of the largest exact score is chosen",
        "synthcity PrivBayes",
        _CHOICE,
        exact_argmax,
        100,
    ),
    PlantedBug(
        "P14 exact threshold",
        "a noisy choice is dropped when its exact score is below a threshold",
        "synthcity PrivBayes",
        _CHOICE,
        exact_threshold,
        100,
    ),
    PlantedBug(
        "P15 exact number of records",
        "the synthetic table has as many rows as the private one",
        "smartnoise MST and AIM",
        _HISTOGRAM,
        exact_size,
        10,
    ),
)


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
