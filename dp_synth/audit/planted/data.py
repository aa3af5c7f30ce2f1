"""Planted faults in what is read from the records for nothing: domains, bounds, cells, choices."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from dp_synth.accounting import Gaussian, Selection, compose
from dp_synth.audit.planted.base import PlantedBug
from dp_synth.audit.planted.noise import COLUMNS, MU, NoisyCounts, one_way_change
from dp_synth.mechanisms.noise import exact_choice, rounded_gaussian
from dp_synth.types import Floats, Integers

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
