"""From a private table to a mixture of rows: columns first, then networks over their groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Plan
from dp_synth.domain import Domain
from dp_synth.inference import Compression, estimate_total
from dp_synth.inference.columns import histogram
from dp_synth.inference.mixture import MixtureModel
from dp_synth.mechanisms import measure
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.nn.adversarial import train
from dp_synth.nn.generator import raked
from dp_synth.nn.training import Columns, Training
from dp_synth.transcript import MarginalAnswer, Measurement

Floats = NDArray[np.float64]

LEAST = 1e-6  # frequency of a group, so that none is out of reach


def fit_gan(
    table: PrivateTable,
    plan: Plan,
    training: Training,
    rng: np.random.Generator,
    *,
    columns: Columns,
) -> MixtureModel:
    """Return the rows of a generator, trained on what the parts "ones" and "steps" pay for.

    One-way marginals say which codes are one input of the networks (``Compression``), and how a
    group is shared out among its codes. Unless ``training`` gives their frequencies no weight,
    the rows are raked to them at the end.
    """
    cliques = [(attribute,) for attribute in table.domain]
    ones = _paid(table) or measure(
        table, cliques, plan.gaussians("ones"), rng, why="one-way marginals"
    )
    total = estimate_total(ones)
    compression = Compression.of(table.domain, ones, coarseness=columns.coarseness)
    frequencies = _frequencies(table.domain, ones, compression)
    coarse = table.coarsen(compression.groups)
    rows = train(coarse, plan.sampled("steps"), frequencies, training, records=total, rng=rng)
    weights = np.full(len(rows), 1 / len(rows))
    sizes = compression.domain.sizes
    tables = (
        raked(rows, frequencies, sizes)
        if training.frequencies_weight
        else tuple(np.split(rows, np.cumsum(sizes)[:-1], axis=1))
    )
    model = MixtureModel(compression.domain, weights, tables, total)
    return model.refined(table.domain, compression.groups, compression.shares)


def _paid(table: PrivateTable) -> list[Measurement]:
    """Return the one-way marginals that an earlier run of this fit has paid for, if one has."""
    return [
        Measurement(answer.clique, answer.values, answer.stddev)
        for answer in table.transcript
        if isinstance(answer, MarginalAnswer) and answer.part == "ones"
    ]


def _frequencies(domain: Domain, ones: Sequence[Measurement], compression: Compression) -> Floats:
    """Return the frequencies of all attributes' groups, side by side, summing to 1 in each."""
    total = estimate_total(ones)
    parts = []
    for one, ordered in zip(ones, domain.ordered, strict=True):
        counts = histogram(one, ordered, total)
        held = np.bincount(compression.groups[one.clique[0]], weights=counts)
        held = np.maximum(held / max(held.sum(), 1e-300), LEAST)
        parts.append(held / held.sum())
    return np.concatenate(parts)
