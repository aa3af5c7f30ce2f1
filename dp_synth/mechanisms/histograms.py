"""Noisy histograms of a public score of records."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Gaussians
from dp_synth.comparison import GaussianComparison
from dp_synth.domain import Codes
from dp_synth.errors import InputError
from dp_synth.mechanisms.exact_noise import LARGEST_SCALE, rounded_gaussian
from dp_synth.mechanisms.randomness import random_bits
from dp_synth.mechanisms.sensitivity import marginal_sensitivity
from dp_synth.table import PrivateTable
from dp_synth.transcript import HistogramAnswer

Floats = NDArray[np.float64]
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
