"""Gaussian noise on marginals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dp_synth.accounting import Gaussians
from dp_synth.domain import Clique
from dp_synth.measurement import Measurement
from dp_synth.mechanisms.sensitivity import marginal_sensitivity
from dp_synth.table import PrivateTable


def measure(
    table: PrivateTable,
    cliques: Sequence[Clique],
    gaussians: Gaussians,
    rng: np.random.Generator,
    *,
    why: str = "marginals",
) -> list[Measurement]:
    """Return the marginals over ``cliques`` with Gaussian noise, charged before they are read.

    Noise is drawn in floating point. BudgetExceeded when the table's slice cannot pay, KeyError
    for an unknown attribute: nothing is then charged, read or drawn.

    Privacy
    -------
    Each marginal is a vector of counts whose L2 sensitivity is ``marginal_sensitivity``; noise
    of ``noise_multiplier`` times that on every cell is one Gaussian mechanism (Dwork & Roth
    2014, App. A), charged as one Gaussian event a clique.
    """
    event = gaussians.event(marginal_sensitivity(table.adjacency))
    shapes = [table.domain.shape(clique) for clique in cliques]
    table.payer.charge(gaussians, event, len(cliques), why=why)
    return [
        Measurement(
            clique,
            table.exact_marginal(clique) + rng.normal(0.0, event.stddev, shape),
            event.stddev,
        )
        for clique, shape in zip(cliques, shapes, strict=True)
    ]
