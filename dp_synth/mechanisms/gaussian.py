"""Gaussian mechanism: on marginals, histograms of a score, and distances from expectations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import FilteredGaussian, Gaussians
from dp_synth.comparison import GaussianComparison
from dp_synth.domain import Clique, Codes
from dp_synth.errors import InputError
from dp_synth.mechanisms.exponential import Distances
from dp_synth.mechanisms.noise import LARGEST_SCALE, Bits, random_bits, rounded_gaussian
from dp_synth.mechanisms.table import PrivateTable, marginal_sensitivity
from dp_synth.transcript import HistogramAnswer, MarginalAnswer, Measurement, ScoresAnswer

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


CellsOf = Callable[[Codes], NDArray[np.integer]]


def measure_histogram(
    table: PrivateTable,
    cells_of: CellsOf,
    size: int,
    gaussians: Gaussians,
    rng: np.random.Generator,
    *,
    why: str = "scores of records",
) -> Floats:
    """Return how many records fall into each of ``size`` cells, with Gaussian noise.

    ``cells_of`` is public: codes of shape (records, attributes) to a cell a record, from 0. It
    looks at each record by itself. Cells beyond the last count as the last. Errors as `measure`.

    Privacy
    -------
    A record lies in one cell whatever the others are, so that the histogram is a marginal over
    one derived attribute: its L2 sensitivity is ``marginal_sensitivity``, and it is charged as
    one Gaussian event, noised and rounded as in `measure`.
    """
    event = gaussians.event(marginal_sensitivity(table.adjacency, table.payer.budget.max_rows))
    if event.stddev > LARGEST_SCALE:
        raise InputError(f"noise of stddev {event.stddev:.3g} says nothing; raise epsilon")
    table.payer.charge(gaussians, event, 1, why=why, sampler="exact")
    bits, exact = random_bits(table.payer, rng), _counted(table, cells_of, size)
    noisy = exact + rounded_gaussian(event.stddev, (size,), bits)
    table.transcript.append(HistogramAnswer(gaussians.name, why, noisy, event.stddev, table.groups))
    if table.twin is not None:
        there = _counted(table.twin, cells_of, size)
        other = there + rounded_gaussian(event.stddev, (size,), bits)
        table.comparisons.append(
            GaussianComparison(gaussians.name, why, exact, there, noisy, other, event.stddev)
        )
    return noisy.copy()


def _counted(table: PrivateTable, cells_of: CellsOf, size: int) -> Floats:
    codes, counts = table.exact_records()
    cells = np.clip(cells_of(codes), 0, size - 1)
    return np.bincount(cells, weights=counts, minlength=size).astype(np.float64)
