"""Pairs of the label with every other attribute, where records are too few to choose any pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dp_synth.domain import Domain
from dp_synth.inference.estimation import estimate
from dp_synth.inference.expanded_model import RefinedModel
from dp_synth.inference.one_way import FEWEST_GROUPS, Compression, independent_model
from dp_synth.transcript import Measurement
from dp_synth.types import Clique, Floats

FEW_CODES = 2  # of an attribute, which are left as they are


def label_groups(domain: Domain, ones: Sequence[Measurement]) -> Compression:
    """Return codes merged into a few large groups an attribute, as first measurements suggest.

    An ordered attribute is left with about ``FEWEST_GROUPS``, and so are rare categories, by the
    order in which they are listed. Attributes of ``FEW_CODES`` stay as they are, however rare some
    are, and so does a label of no more than ``FEWEST_GROUPS``.
    """
    found = Compression.of(domain, ones, widening=math.inf, rare_groups=FEWEST_GROUPS)
    whole = Compression.identity(domain)
    kept = [
        attribute
        for attribute in domain
        if domain.size(attribute) <= (FEWEST_GROUPS if attribute == domain.label else FEW_CODES)
    ]
    groups = found.groups | {attribute: whole.groups[attribute] for attribute in kept}
    shares = found.shares | {attribute: whole.shares[attribute] for attribute in kept}
    return Compression(domain.coarsened(groups), groups, shares)


def label_pairs(domain: Domain) -> list[Clique]:
    """Return the pairs of the label with every other attribute; none without a label.

    >>> label_pairs(Domain(("age", "income", "sex"), (4, 2, 2), label="income"))
    [('age', 'income'), ('income', 'sex')]
    """
    label = domain.label
    if label is None or domain.size(label) < 2:
        return []
    place = domain.axis(label)
    return [
        (attribute, label) if axis < place else (label, attribute)
        for axis, attribute in enumerate(domain)
        if axis != place and domain.size(attribute) > 1
    ]


def told_by_pairs(
    columns: Sequence[Measurement], pairs: Sequence[Measurement], compression: Compression
) -> list[Measurement]:
    """Return measurements of columns, each moved by what pairs over groups tell of its groups.

    The sum of a group is known twice: from the column, and from each pair that holds it. Both are
    combined by inverse variance, and the change is shared out by the variances of codes: least
    squares, one pair after another.
    """
    known = {one.clique[0]: one for one in columns}
    for pair in pairs:
        for axis, attribute in enumerate(pair.clique):
            one, groups = known[attribute], compression.groups[attribute]
            told = pair.values.sum(axis=1 - axis)
            noise = float(np.mean(np.square(pair.stddev))) * pair.values.shape[1 - axis]
            variances = np.broadcast_to(np.square(one.stddev), one.values.shape)
            whole = np.bincount(groups, weights=variances)
            gain = 1 / (whole + noise)
            missed = told - np.bincount(groups, weights=one.values)
            values = one.values + variances * (gain * missed)[groups]
            left = variances * (1 - variances * gain[groups])
            known[attribute] = Measurement(one.clique, values, np.sqrt(left))
    return [known[one.clique[0]] for one in columns]


def label_model(
    domain: Domain,
    compression: Compression,
    columns: Sequence[Measurement],
    pairs: Sequence[Measurement],
) -> RefinedModel:
    """Return the tree in which all attributes depend on the label alone, as far as noise allows.

    ``columns`` are histograms of attributes as they are, without noise that can be told from
    counts; ``pairs`` are noisy ones over the groups of ``compression``. These are pulled towards
    independence by `standing_out`, so that what is only noise changes no row.
    """
    compression = compression.shared_as(columns)
    grouped = [compression.compress(one) for one in columns]
    independent = independent_model(compression.domain, grouped)
    found = []
    for pair in pairs:
        expected = independent.marginal(pair.clique)
        variance = float(np.mean(np.square(pair.stddev)))
        found.append(
            replace(pair, values=expected + standing_out(pair.values - expected, variance))
        )
    return compression.refine(estimate(compression.domain, [*grouped, *found]), domain)


def standing_out(residual: Floats, variance: float) -> Floats:
    """Return what two attributes do together beyond their columns, less what noise would show.

    Row and column means are taken off, and the rest is shrunk by its part that is noise of this
    variance a cell (the positive-part estimator of James & Stein 1961, in large dimensions).

    >>> standing_out(np.array([[9.0, -7.0], [-9.0, 7.0]]), 16.0)
    array([[ 7.5, -7.5],
           [-7.5,  7.5]])
    """
    rows, columns = residual.mean(axis=1, keepdims=True), residual.mean(axis=0, keepdims=True)
    together = residual - rows - columns + residual.mean()
    free = (residual.shape[0] - 1) * (residual.shape[1] - 1)
    size = float(np.square(together).sum())
    return np.asarray(together * max(0.0, 1 - free * variance / size if size else 0.0))
