"""The marginals that a synthetic table reproduces worst, and their cells side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dp_synth.metrics.comparison import Compared
from dp_synth.metrics.estimate import Estimate
from dp_synth.metrics.fidelity import Axes, cliques_of, mean_total_variation

WORST = 10
"""So many columns and pairs of columns are named, those that are reproduced worst."""

MOST_PAIRS = 2_000
"""Of more pairs than this so many are compared, drawn by the seed."""


@dataclass(frozen=True)
class Marginal:
    """Columns whose synthetic marginal is compared with that of the fitted records.

    ``distance`` is the total variation between the two, ``floor`` that of the hold-out records'.
    """

    columns: tuple[str, ...]
    distance: Estimate
    floor: Estimate


def worst_marginals(
    compared: Compared, degree: int, *, most: int = WORST, seed: int = 0
) -> tuple[Marginal, ...]:
    """Return those marginals of ``degree`` columns that are furthest from the fitted records'."""
    real = compared.real
    names = [attribute.name for attribute in real.binning.attributes]

    def marginal(clique: Axes) -> Marginal:
        """Return how far one marginal is from that of the fitted records."""
        sizes = [real.binning.sizes[axis] for axis in clique]
        tables = (real.train_codes, compared.codes, real.holdout_codes)
        fitted, made, fresh = (codes[:, list(clique)] for codes in tables)
        whole = [tuple(range(len(clique)))]
        return Marginal(
            tuple(names[axis] for axis in clique),
            mean_total_variation(fitted, made, sizes, whole),
            mean_total_variation(fitted, fresh, sizes, whole),
        )

    found = map(marginal, _some(len(names), degree, seed))
    return tuple(sorted(found, key=lambda one: -one.distance.value)[:most])


def _some(attributes: int, degree: int, seed: int) -> list[Axes]:
    if attributes < degree:
        return []
    cliques = cliques_of(attributes, degree)
    if len(cliques) <= MOST_PAIRS:
        return cliques
    kept = np.random.default_rng(seed).choice(len(cliques), MOST_PAIRS, replace=False)
    return [cliques[i] for i in sorted(kept.tolist())]


def histogram(compared: Compared, column: str) -> pd.DataFrame:
    """Return the share of records in each cell of a column: of fitted, synthetic, fresh ones.

    Columns ``column, cell, fitted, synthetic, holdout``, a row a cell in the order of the schema.
    """
    real = compared.real
    axis = [attribute.name for attribute in real.binning.attributes].index(column)
    tables = {
        "fitted": real.train_codes,
        "synthetic": compared.codes,
        "holdout": real.holdout_codes,
    }
    cells = real.binning.labels(axis)
    shares = {
        name: np.bincount(codes[:, axis], minlength=len(cells)) / max(len(codes), 1)
        for name, codes in tables.items()
    }
    return pd.DataFrame({"column": column, "cell": cells, **shares})
