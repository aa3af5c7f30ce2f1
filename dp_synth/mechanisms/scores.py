"""Noisy scores of many marginals at once: how far each is from what is expected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import FilteredGaussian, Gaussians
from dp_synth.comparison import GaussianComparison
from dp_synth.domain import Clique
from dp_synth.errors import InputError
from dp_synth.mechanisms.exact_noise import LARGEST_SCALE, Bits, rounded_gaussian
from dp_synth.mechanisms.randomness import random_bits
from dp_synth.mechanisms.selection import Distances
from dp_synth.transcript import ScoresAnswer

Floats = NDArray[np.float64]


def measure_distances(
    distances: Distances,
    cliques: Sequence[Clique],
    gaussians: Gaussians | FilteredGaussian,
    rng: np.random.Generator,
    *,
    why: str = "scores",
) -> Floats:
    """Return the distance of each marginal from its expectation, with Gaussian noise.

    The standard deviation is ``noise_multiplier`` times the sensitivity of one distance.
    BudgetExceeded when the table's slice cannot pay, KeyError for an unknown attribute, ValueError
    for weighted distances: nothing is then charged, read or drawn.

    Privacy
    -------
    One unit moves each distance by at most ``distances.sensitivity``; every noisy distance is a
    Gaussian mechanism of its own and charged as one event. Expectations are rounded to multiples
    of 1 / ``distances.fineness``, so that distances are whole multiples of it, and noise that is
    rounded to such multiples is post-processing of the continuous mechanism
    (``rounded_gaussian``).
    """
    if distances._weights is not None:  # fractions would show through noise on whole numbers
        raise ValueError("weighted distances are not whole numbers; measure them without weights")
    event = gaussians.event(distances.sensitivity)
    if event.stddev * distances.fineness > LARGEST_SCALE:
        raise InputError(f"noise of stddev {event.stddev:.3g} says nothing; raise epsilon")
    distances.refuse_foreign(cliques)
    payer = distances.table.payer
    payer.charge(gaussians, event, len(cliques), why=why, sampler="exact")
    bits, shape = random_bits(payer, rng), (len(cliques),)
    exact, table = distances._qualities(cliques), distances.table
    scores = exact + _noise(event.stddev, shape, bits, distances.fineness)
    table.transcript.append(
        ScoresAnswer(gaussians.name, why, tuple(cliques), scores, event.stddev, table.groups)
    )
    if table.twin is not None:
        there = distances._about(table.twin)._qualities(cliques)
        other = there + _noise(event.stddev, shape, bits, distances.fineness)
        table.comparisons.append(
            GaussianComparison(gaussians.name, why, exact, there, scores, other, event.stddev)
        )
    return scores.copy()


def _noise(stddev: float, shape: tuple[int, ...], bits: Bits, fineness: int) -> Floats:
    """Return Gaussian noise rounded to multiples of 1 / ``fineness``, a power of two: exact."""
    return rounded_gaussian(stddev * fineness, shape, bits) / fineness
