"""Gaussian noise on marginals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import FilteredGaussian, Gaussians
from dp_synth.comparison import GaussianComparison
from dp_synth.domain import Clique
from dp_synth.errors import InputError
from dp_synth.measurement import Measurement
from dp_synth.mechanisms.exact_noise import LARGEST_SCALE, Bits, rounded_gaussian
from dp_synth.mechanisms.randomness import random_bits
from dp_synth.mechanisms.sensitivity import marginal_sensitivity
from dp_synth.table import PrivateTable
from dp_synth.transcript import MarginalAnswer

Floats = NDArray[np.float64]

EXACT = 1e-6  # the stddev of a number that is known, in place of 0


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
    post-processing of the continuous mechanism, drawn exactly in law. Where the budget makes the
    number of records public, each table is moved onto it, which reads nothing else.
    """
    event = gaussians.event(marginal_sensitivity(table.adjacency, table.payer.budget.max_rows))
    if event.stddev > LARGEST_SCALE:
        raise InputError(f"noise of stddev {event.stddev:.3g} says nothing; raise epsilon")
    table.shapes(cliques)
    table.payer.charge(gaussians, event, len(cliques), why=why, sampler="exact")
    bits, exact = random_bits(table.payer, rng), table.exact_marginals(cliques)
    noisy = [
        Measurement(clique, values, event.stddev)
        for clique, values in zip(cliques, _with_noise(exact, event.stddev, bits), strict=True)
    ]
    table.transcript.extend(
        MarginalAnswer(gaussians.name, why, m.clique, m.values, event.stddev, table.groups)
        for m in noisy
    )
    if table.twin is not None:
        others = table.twin.exact_marginals(cliques)
        fresh = _with_noise(others, event.stddev, bits)
        answers = zip(exact, others, noisy, fresh, strict=True)
        table.comparisons.extend(
            GaussianComparison(gaussians.name, why, here, there, m.values, other, event.stddev)
            for here, there, m, other in answers
        )
    records = table.public_records
    return noisy if records is None else [_of_total(one, records) for one in noisy]


def count_records(
    table: PrivateTable, gaussians: Gaussians, rng: np.random.Generator
) -> list[Measurement]:
    """Return the number of records as a measurement of no attribute, charged before it is read.

    Exact, and free, where the budget makes it public; ``gaussians`` then hold no answer.
    """
    records = table.public_records
    if records is None:
        return measure(table, [()], gaussians, rng, why="number of records")
    return [Measurement((), np.array(records), EXACT)]


def _of_total(measurement: Measurement, records: float) -> Measurement:
    """Return the nearest table whose cells add up to the number of records."""
    values = measurement.values
    return replace(measurement, values=values + (records - values.sum()) / values.size)


def _with_noise(exact: Sequence[Floats], stddev: float, bits: Bits) -> list[Floats]:
    """Return the counts with noise, all of it drawn at once."""
    sizes = [counts.size for counts in exact]
    noise = rounded_gaussian(stddev, (sum(sizes),), bits)
    parts = np.split(noise, list(accumulate(sizes))[:-1]) if sizes else []
    return [counts + part.reshape(counts.shape) for counts, part in zip(exact, parts, strict=True)]
