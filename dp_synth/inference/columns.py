"""What one-way measurements alone say: histograms, and codes too rare to be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.inference.estimation import estimate_total
from dp_synth.inference.junction_tree import JunctionTree
from dp_synth.inference.model import JunctionTreeModel
from dp_synth.measurement import Measurement

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]

RARE = 3.0  # in standard deviations of the noise, as in the paper of MST


def project_to_simplex(values: Floats, total: float, variance: Floats | float = 1.0) -> Floats:
    """Return the nearest non-negative vector that sums to ``total``, weighted by 1/variance.

    The exact solution by sorting (Held, Wolfe & Crowder 1974): cells move together, in
    proportion to their variance, and stop at zero.

    >>> project_to_simplex(np.array([5.0, 3.0, -4.0]), 4.0)
    array([3., 1., 0.])
    """
    spread = np.broadcast_to(np.asarray(variance, dtype=float), values.shape)
    order = np.argsort(-values / spread, kind="stable")
    shift = (total - np.cumsum(values[order])) / np.cumsum(spread[order])
    positive = np.flatnonzero(values[order] + spread[order] * shift > 0)
    last = positive[-1] if positive.size else 0  # where rounding swallows the total
    return np.asarray(np.maximum(values + spread * shift[last], 0.0), dtype=float)


def independent_model(domain: Domain, ones: Sequence[Measurement]) -> JunctionTreeModel:
    """Return the model in which all attributes are independent, fitted to one-way measurements.

    Least squares under non-negativity and one common total, attribute by attribute.
    """
    total = estimate_total(ones)
    histograms = {
        m.clique[0]: project_to_simplex(m.values, total, np.square(m.stddev)) / total for m in ones
    }
    tree = JunctionTree.of(domain, [])
    return JunctionTreeModel(tree, tuple(histograms[c[0]] for c in tree.cliques), total)


@dataclass(frozen=True, eq=False)
class Compression:
    """Codes merged into groups where noise drowns them, and how to share the groups out again.

    ``groups[attribute][code]`` is the code's group; ``splits[attribute]``, of shape (groups,
    codes), says which part of a group each of its codes gets.
    """

    domain: Domain
    groups: dict[str, Codes]
    splits: dict[str, Floats]

    @classmethod
    def of(cls, domain: Domain, ones: Sequence[Measurement]) -> Compression:
        """Return the compression that one-way measurements with equal cell noise suggest.

        Categories below three standard deviations of the noise become one group (McKenna,
        Miklau & Sheldon 2021, arXiv:2108.04978, sect. 3). Neighbouring codes of an ordered
        attribute merge until a group holds sqrt(total * stddev) records, so that a cell of two
        such attributes holds as many records as its noise is wide; the paper leaves wide
        ordered attributes as fine as they are, and their pairs drown. Groups are shared out
        in proportion to the one-way estimates.
        """
        model = independent_model(domain, ones)
        groups, splits = {}, {}
        for measurement in ones:
            attribute = measurement.clique[0]
            stddev = float(np.max(measurement.stddev))
            counts = model.marginal(measurement.clique)
            ordered = domain.ordered[domain.axis(attribute)]
            group = np.empty(counts.size, dtype=np.int32)
            least = max(RARE * stddev, math.sqrt(model.total * stddev))
            group[:ordered] = _merge_neighbours(counts[:ordered], least)
            first = int(group[:ordered].max()) + 1 if ordered else 0
            group[ordered:] = first + _merge_rare(measurement.values[ordered:], RARE * stddev)
            groups[attribute] = group
            splits[attribute] = _shares(group, counts)
        sizes = {attribute: len(split) for attribute, split in splits.items()}
        return cls(domain.resized(sizes), groups, splits)

    def compress(self, measurement: Measurement) -> Measurement:
        """Return a one-way measurement over the groups; a sum of k cells has sqrt(k) the noise."""
        group = self.groups[measurement.clique[0]]
        spread = np.broadcast_to(np.square(measurement.stddev), measurement.values.shape)
        return Measurement(
            measurement.clique,
            np.asarray(np.bincount(group, weights=measurement.values), dtype=float),
            np.sqrt(np.bincount(group, weights=spread)),
        )


def _merge_neighbours(counts: Floats, least: float) -> Codes:
    """Number runs of codes so that each run, from the left, holds at least ``least``."""
    group = np.empty(counts.size, dtype=np.int32)
    number, held = 0, 0.0
    for code, count in enumerate(counts):
        group[code] = number
        held += count
        if held >= least:
            number, held = number + 1, 0.0
    if number and held < least:
        group[group == number] = number - 1  # the last run is too small to stand alone
    return group


def _merge_rare(values: Floats, least: float) -> Codes:
    """Number codes one by one, but give all those below ``least`` the last number together."""
    kept = values >= least
    group = np.cumsum(kept) - 1
    return np.where(kept, group, kept.sum()).astype(np.int32)


def _shares(group: Codes, counts: Floats) -> Floats:
    member = group == np.arange(group.max() + 1)[:, None]
    weight = member * counts
    empty = weight.sum(axis=1, keepdims=True) == 0
    weight = np.where(empty, member, weight)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=float)
