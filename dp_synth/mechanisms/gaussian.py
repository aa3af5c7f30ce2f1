"""Gaussian mechanism: on marginals, histograms, parities, distances, and sums of vectors.

At delta 0 what is counted has Laplace noise instead, and goes the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import (
    FilteredGaussian,
    FilteredLaplace,
    Gaussian,
    Gaussians,
    LaplaceCounts,
    Laplaces,
)
from dp_synth.domain import ParitySets
from dp_synth.errors import InputError, UnsupportedEvent
from dp_synth.mechanisms.laplace import LaplaceLaw, laplace_noise
from dp_synth.mechanisms.noise import LARGEST_SCALE, Bits, random_bits, rounded_gaussian
from dp_synth.mechanisms.table import (
    Distances,
    PrivateTable,
    marginal_sensitivity,
    parity_sensitivity,
    sum_sensitivity,
)
from dp_synth.transcript import (
    AskedSums,
    HistogramAnswer,
    MarginalAnswer,
    Measurement,
    NoiseKind,
    ParityAnswer,
    ScoresAnswer,
    SumsAnswer,
)
from dp_synth.types import Clique, Codes, Floats, Integers

CellsOf = Callable[[Codes], NDArray[np.integer]]
Noise = Callable[[Sequence[Floats]], list[Floats]]
NumberPayment = Gaussians | FilteredGaussian | Laplaces | FilteredLaplace

VectorsOf = Callable[[Codes], Integers]

EXACT = 1e-6  # the stddev of a number that is known, in place of 0

LARGEST_BOUND = 2**26  # of a record's vector: larger numbers in it count as this
MOST_SUMS = 1024  # squares of so many such numbers add up to less than 2^63
LARGEST_SUM = 2**53  # larger sums count as this, which moves none further; floats hold it exactly


@dataclass(frozen=True, eq=False)
class GaussianLaw:
    """Arrays with Gaussian noise of ``stddev``: the exact ones ``here``, and the noisy ``values``.

    ``exact`` reads the former of any table, and ``draw`` adds fresh noise to them.
    """

    part: str
    why: str
    exact: Callable[[PrivateTable], Sequence[Floats]]
    draw: Callable[[Sequence[Floats]], Sequence[Floats]]
    stddev: float
    here: Sequence[Floats]
    values: Sequence[Floats]


def measure(
    table: PrivateTable,
    cliques: Sequence[Clique],
    gaussians: NumberPayment,
    rng: np.random.Generator,
    *,
    why: str = "marginals",
) -> list[Measurement]:
    """Return the marginals over ``cliques`` with Gaussian noise, charged before they are read.

    With discrete Laplace noise where a part with such noise pays, as at delta 0.

    BudgetExceeded when the table's reservation cannot pay, KeyError for an unknown attribute,
    ValueError for too many cells: nothing is then charged, read or drawn. Noise comes from the
    operating system unless the reservation is seeded, then from ``rng``.

    Privacy
    -------
    Each marginal is a vector of counts whose L2 sensitivity is ``marginal_sensitivity``; noise
    of ``noise_multiplier`` times that on every cell is one Gaussian mechanism (Dwork & Roth
    2014, App. A), charged as one Gaussian event a clique. Counts are whole numbers and so is
    the noise: a count plus a rounded Gaussian is the rounding of the count plus that Gaussian,
    post-processing of the continuous mechanism, drawn exactly in law. Laplace noise is whole as
    well: a unit of r records moves one cell by r or several by r together, a replaced one as many
    the other way, which is what `LaplaceCounts` charges for. Where the budget makes the number of
    records public, each table is moved onto it, which reads nothing else.
    """
    event = _count_event(gaussians, table)
    table.shapes(cliques)
    table.payer.charge(gaussians, event, len(cliques), why=why, sampler="exact")
    law = _law(
        table, (event, rng), lambda one: one.exact_marginals(cliques), gaussians.name, why=why
    )
    noisy = [Measurement(c, v, event.stddev) for c, v in zip(cliques, law.values, strict=True)]
    answers = [
        MarginalAnswer(
            law.part, why, one.clique, one.values, event.stddev, table.groups, noise_of(law)
        )
        for one in noisy
    ]
    table.record_answers(law, answers)
    records = table.public_records
    return noisy if records is None else [_of_total(one, records) for one in noisy]


def count_records(
    table: PrivateTable, gaussians: Gaussians | Laplaces, rng: np.random.Generator
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


def measure_distances(
    distances: Distances,
    cliques: Sequence[Clique],
    gaussians: NumberPayment,
    rng: np.random.Generator,
    *,
    why: str = "scores",
) -> Floats:
    """Return the distance of each marginal from its expectation, with Gaussian noise.

    With discrete Laplace noise where a part with such noise pays, as at delta 0.

    The standard deviation is ``noise_multiplier`` times the sensitivity of one distance.
    BudgetExceeded when the table's reservation cannot pay, KeyError for an unknown attribute,
    ValueError for weighted distances: nothing is then charged, read or drawn.

    Privacy
    -------
    One unit moves each distance by at most ``distances.sensitivity``; every noisy distance is a
    Gaussian mechanism of its own and charged as one event. Expectations are rounded to multiples
    of 1 / ``distances.fineness``, so that distances are whole multiples of it, and noise that is
    rounded to such multiples is post-processing of the continuous mechanism
    (``rounded_gaussian``). Laplace noise is of such multiples, exactly.
    """
    if distances._weights is not None:  # fractions would show through noise on whole numbers
        raise ValueError("weighted distances are not whole numbers; measure them without weights")
    table, fineness = distances.table, distances.fineness
    event = _event(gaussians, distances.sensitivity, fineness)
    _check_moved(event, distances.sensitivity * fineness)
    distances.refuse_foreign(cliques)
    table.payer.charge(gaussians, event, len(cliques), why=why, sampler="exact")

    def exact(any_table: PrivateTable) -> list[Floats]:
        return [distances._about(any_table)._qualities(cliques)]

    law = _law(table, (event, rng), exact, gaussians.name, why=why, fineness=fineness)
    (scores,) = law.values
    stddev = event.stddev if isinstance(event, Gaussian) else event.stddev / fineness
    kind = noise_of(law)
    answer = ScoresAnswer(law.part, why, tuple(cliques), scores, stddev, table.groups, kind)
    table.record_answers(law, [answer])
    return scores.copy()


def measure_histogram(
    table: PrivateTable,
    cells_of: CellsOf,
    size: int,
    gaussians: Gaussians | Laplaces,
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
    event = _count_event(gaussians, table)
    table.payer.charge(gaussians, event, 1, why=why, sampler="exact")

    def exact(any_table: PrivateTable) -> list[Floats]:
        return [_counted(any_table, cells_of, size)]

    law = _law(table, (event, rng), exact, gaussians.name, why=why)
    (noisy,) = law.values
    kind = noise_of(law)
    answer = HistogramAnswer(law.part, why, noisy, event.stddev, table.groups, kind)
    table.record_answers(law, [answer])
    return noisy.copy()


def measure_parities(
    table: PrivateTable,
    asked: ParitySets,
    gaussians: NumberPayment,
    rng: np.random.Generator,
    *,
    why: str = "parities",
) -> Floats:
    """Return the noisy parity of each set of bits: the sum over records of their signs' product.

    A bit of 0 has the sign 1, a bit of 1 the sign -1. Shape (sets,), in their order. Errors as
    `measure`, ValueError for bits that are not over the table's codes or for no set at all.

    Privacy
    -------
    All parities are one vector of whole numbers, whose L2 sensitivity is ``parity_sensitivity``;
    noise of ``noise_multiplier`` times that on each is one Gaussian mechanism, charged as one
    event, and rounded as in `measure`.
    """
    asked.check(table.domain)
    if not len(asked):
        raise ValueError("there must be a set of bits, at least, to ask the parity of")
    rows = table.payer.budget.max_rows
    event = _gaussian_event(gaussians, parity_sensitivity(len(asked), table.adjacency, rows))
    table.payer.charge(gaussians, event, 1, why=why, sampler="exact")

    def exact(any_table: PrivateTable) -> list[Floats]:
        return [any_table.exact_parities(asked)]

    law = _law(table, (event, rng), exact, gaussians.name, why=why)
    (noisy,) = law.values
    table.record_answers(
        law, [ParityAnswer(law.part, why, asked, noisy, event.stddev, table.groups)]
    )
    return noisy.copy()


@dataclass(frozen=True, eq=False)
class RecordVectors:
    """Public vectors of whole numbers, one a record, whose sum over records is asked for.

    ``of`` takes codes of ``attributes``, shape (records, attributes), and gives whole numbers of
    shape (records, sums). It looks at each record by itself: the vector of a record must be the
    same, bit for bit, whatever the others are. ``bound`` is the L2 norm to which vectors are
    clipped, and ``asked`` says what each sum stands for. ValueError for no attribute, no sum, or
    more of either size than `clip_vectors` can square.
    """

    attributes: Clique
    of: VectorsOf
    bound: int
    asked: AskedSums

    def __post_init__(self) -> None:
        if not self.attributes or not 0 < len(self.asked) <= MOST_SUMS:
            raise ValueError(f"there must be 1 to {MOST_SUMS} sums, and an attribute to read")
        if not 1 <= self.bound <= LARGEST_BOUND or self.bound != int(self.bound):
            raise ValueError(
                f"the bound of vectors must be a whole number from 1 to {LARGEST_BOUND}, got "
                f"{self.bound}"
            )


def measure_sums(
    table: PrivateTable,
    vectors: RecordVectors,
    gaussians: NumberPayment,
    rng: np.random.Generator,
    *,
    why: str = "sums",
) -> Floats:
    """Return the sum over records of their vectors, each clipped in norm, with Gaussian noise.

    Whole numbers of shape (sums,). Errors as `measure`.

    Privacy
    -------
    The vector of each record is a function of its own codes, and `clip_vectors` makes its norm
    at most ``vectors.bound`` in whole numbers, without rounding. So a unit moves the sum by at
    most ``sum_sensitivity``; noise of ``noise_multiplier`` times that on each number is one
    Gaussian mechanism, charged as one event, and rounded as in `measure`.
    """
    table.domain.shape(vectors.attributes)
    budget = table.payer.budget
    moved = sum_sensitivity(vectors.bound, table.adjacency, budget.max_rows)
    event = _gaussian_event(gaussians, moved)
    table.payer.charge(gaussians, event, 1, why=why, sampler="exact")

    def exact(any_table: PrivateTable) -> list[Floats]:
        return [_summed(any_table, vectors)]

    law = _law(table, (event, rng), exact, gaussians.name, why=why)
    (noisy,) = law.values
    asked, bound = vectors.asked, int(vectors.bound)
    answer = SumsAnswer(law.part, why, asked, noisy, bound, event.stddev, table.groups)
    table.record_answers(law, [answer])
    return noisy.copy()


def clip_vectors(vectors: Integers, bound: int) -> Integers:
    """Return whole vectors, shape (records, numbers), of L2 norm up to ``bound``, exactly.

    A longer one is multiplied by ``bound`` over its norm, which is rounded up, and its numbers
    are rounded towards zero: no norm is then above. All in int64 and without overflow, as numbers
    beyond ``LARGEST_BOUND`` count as that first.

    >>> clip_vectors(np.array([[3, -4], [30, -40], [0, 7]]), 6).tolist()
    [[3, -4], [3, -4], [0, 6]]
    """
    cut = np.clip(vectors, -LARGEST_BOUND, LARGEST_BOUND).astype(np.int64)
    squares = (cut * cut).sum(axis=1)
    norms = np.sqrt(squares.astype(np.float64)).astype(np.int64) + 2  # not below the root
    for _ in range(4):  # what floating point and the 2 may have put on top
        norms -= (norms - 1) ** 2 >= squares
    scaled = np.sign(cut) * (np.abs(cut) * bound // np.maximum(norms, 1)[:, None])
    return np.where((squares > bound**2)[:, None], scaled, cut)


def _summed(table: PrivateTable, vectors: RecordVectors) -> Floats:
    sums = np.zeros(len(vectors.asked), dtype=np.int64)
    for codes, counts in table.exact_blocks(vectors.attributes):
        found = vectors.of(codes)
        if found.dtype.kind != "i" or found.shape != (len(codes), len(sums)):
            raise ValueError(f"vectors must be {len(sums)} whole numbers a record")
        sums += counts @ clip_vectors(found, vectors.bound)
    return np.clip(sums, -LARGEST_SUM, LARGEST_SUM).astype(np.float64)


def _counted(table: PrivateTable, cells_of: CellsOf, size: int) -> Floats:
    codes, counts = table.exact_records()
    cells = np.clip(cells_of(codes), 0, size - 1)
    return np.bincount(cells, weights=counts, minlength=size).astype(np.float64)


def noise_of(law: GaussianLaw | LaplaceLaw) -> NoiseKind:
    """Return what a transcript calls the noise of a law."""
    return "gaussian" if isinstance(law, GaussianLaw) else "laplace"


def stddev_of(gaussians: NumberPayment, sensitivity: float) -> float:
    """Return the standard deviation of the noise of whole numbers, of this L2 sensitivity."""
    return _event(gaussians, sensitivity).stddev


def noise_of_counts(gaussians: NumberPayment, table: PrivateTable) -> float:
    """Return the standard deviation of the noise that counts of a marginal will have."""
    return stddev_of(gaussians, _sensitivity(table))


def _sensitivity(table: PrivateTable) -> float:
    return marginal_sensitivity(table.adjacency, table.payer.budget.max_rows)


def _count_event(gaussians: NumberPayment, table: PrivateTable) -> Gaussian | LaplaceCounts:
    """Return what one table of counts is charged as."""
    event = _event(gaussians, _sensitivity(table))
    each = table.payer.budget.max_rows
    _check_moved(event, each * (1 if table.adjacency == "add_remove" else 2))
    return event


def _gaussian_event(gaussians: NumberPayment, sensitivity: float) -> Gaussian:
    """Return what an answer is charged as that is only asked for with Gaussian noise."""
    event = _event(gaussians, sensitivity)
    if not isinstance(event, Gaussian):
        raise UnsupportedEvent("parities and sums have Gaussian noise, which needs a delta above 0")
    return event


def _event(
    gaussians: NumberPayment, sensitivity: float, fineness: int = 1
) -> Gaussian | LaplaceCounts:
    """Return what one answer is charged as; InputError for noise that is too large to draw.

    Of Gaussian noise in its own units, of Laplace noise in multiples of 1 / ``fineness``.
    """
    if isinstance(gaussians, Laplaces | FilteredLaplace):
        event: Gaussian | LaplaceCounts = gaussians.event(fineness)
        stddev = event.stddev
    else:
        event = gaussians.event(sensitivity)
        stddev = event.stddev * fineness
    if stddev > LARGEST_SCALE:
        raise InputError(f"noise of stddev {event.stddev:.3g} says nothing; raise epsilon")
    return event


def _check_moved(event: Gaussian | LaplaceCounts, moved: float) -> None:
    """Raise ValueError for Laplace noise of a smaller L1 sensitivity than the numbers move by."""
    if isinstance(event, LaplaceCounts) and event.numbers * event.sensitivity < moved:
        raise ValueError(f"{event} is for numbers that move by less than {moved:g} together")


def _law(
    table: PrivateTable,
    drawn: tuple[Gaussian | LaplaceCounts, np.random.Generator],
    exact: Callable[[PrivateTable], list[Floats]],
    part: str,
    *,
    why: str,
    fineness: int = 1,
) -> GaussianLaw | LaplaceLaw:
    """Read what was charged for, and return it with noise, and by what law that was drawn.

    ``drawn`` are what was charged for, and where the noise comes from in a seeded fit.
    """
    event, rng = drawn
    bits = random_bits(table.payer, rng)
    noise = partial(_with_noise, event=event, bits=bits, fineness=fineness)
    here, values = table.answered(exact, noise)
    if isinstance(event, LaplaceCounts):
        scale = event.scale / fineness
        return LaplaceLaw(part, why, exact, noise, scale, fineness, here, values)
    return GaussianLaw(part, why, exact, noise, event.stddev, here, values)


def _with_noise(
    exact: Sequence[Floats], *, event: Gaussian | LaplaceCounts, bits: Bits, fineness: int
) -> list[Floats]:
    """Return the numbers with noise, all of it drawn at once, in multiples of 1 / ``fineness``.

    That is a power of two, so that quotients and sums are exact.
    """
    sizes = [counts.size for counts in exact]
    shape = (sum(sizes),)
    if isinstance(event, LaplaceCounts):
        noise = laplace_noise(event, shape, bits) / fineness
    else:
        noise = rounded_gaussian(event.stddev * fineness, shape, bits) / fineness
    parts = np.split(noise, list(accumulate(sizes))[:-1]) if sizes else []
    return [counts + part.reshape(counts.shape) for counts, part in zip(exact, parts, strict=True)]
