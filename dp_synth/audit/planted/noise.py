"""Planted faults in the noise: too little of it, for other neighbours, or used twice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dp_synth.accounting import Gaussian, PrivacyCurve, compose
from dp_synth.accounting.events import DiscreteLaplace, Laplace
from dp_synth.audit.planted.base import PlantedBug
from dp_synth.mechanisms import marginal_sensitivity
from dp_synth.mechanisms.noise import discrete_laplace, rounded_gaussian
from dp_synth.types import Floats

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
