"""Gaussian noise on marginals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from dp_synth.accounting import FilteredGaussian, Gaussians
from dp_synth.domain import Clique
from dp_synth.errors import InputError
from dp_synth.measurement import Measurement
from dp_synth.mechanisms.exact_noise import LARGEST_SCALE, rounded_gaussian
from dp_synth.mechanisms.randomness import random_bits
from dp_synth.mechanisms.sensitivity import marginal_sensitivity
from dp_synth.table import PrivateTable
from dp_synth.transcript import MarginalAnswer


def measure(
    table: PrivateTable,
    cliques: Sequence[Clique],
    gaussians: Gaussians | FilteredGaussian,
    rng: np.random.Generator,
    *,
    why: str = "marginals",
) -> list[Measurement]:
    """Return the marginals over ``cliques`` with Gaussian noise, charged before they are read.

    BudgetExceeded when the table's slice cannot pay, KeyError for an unknown attribute, ValueError
    for too many cells: nothing is then charged, read or drawn. Noise comes from the operating
    system unless the slice is seeded, then from ``rng``.

    Privacy
    -------
    Each marginal is a vector of counts whose L2 sensitivity is ``marginal_sensitivity``; noise
    of ``noise_multiplier`` times that on every cell is one Gaussian mechanism (Dwork & Roth
    2014, App. A), charged as one Gaussian event a clique. Counts are whole numbers and so is
    the noise: a count plus a rounded Gaussian is the rounding of the count plus that Gaussian,
    post-processing of the continuous mechanism, drawn exactly in law.
    """
    event = gaussians.event(marginal_sensitivity(table.adjacency, table.payer.budget.max_rows))
    if event.stddev > LARGEST_SCALE:
        raise InputError(f"noise of stddev {event.stddev:.3g} says nothing; raise epsilon")
    shapes = table.shapes(cliques)
    table.payer.charge(gaussians, event, len(cliques), why=why, sampler="exact")
    sizes = [math.prod(shape) for shape in shapes]
    noise = rounded_gaussian(event.stddev, (sum(sizes),), random_bits(table.payer, rng))
    parts = np.split(noise, list(accumulate(sizes))[:-1]) if cliques else []
    exact = table.exact_marginals(cliques)
    noisy = [
        Measurement(clique, counts + part.reshape(shape), event.stddev)
        for clique, counts, part, shape in zip(cliques, exact, parts, shapes, strict=True)
    ]
    table.transcript.extend(
        MarginalAnswer(gaussians.name, why, m.clique, m.values, event.stddev, table.groups)
        for m in noisy
    )
    return noisy
