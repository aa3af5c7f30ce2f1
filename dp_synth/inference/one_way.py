"""One-way estimates: histograms of single attributes, and the merging of codes too rare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.inference.estimation import estimate
from dp_synth.inference.expanded_model import RefinedModel
from dp_synth.inference.graphical_model import JunctionTreeModel
from dp_synth.inference.histograms import (
    estimate_total,
    project_to_simplex,
    simplex_mean,
    smooth_ordered,
)
from dp_synth.inference.junction_tree import JunctionTree
from dp_synth.transcript import Measurement
from dp_synth.types import Codes, Floats

RARE_DEVIATIONS = 3.0  # in standard deviations of the noise, as in the paper of MST

FEWEST_GROUPS = 8  # of an ordered attribute that widening leaves
MANY_ATTRIBUTES, WIDENING_POWER = 15, 1.5


def widening_of(attributes: int) -> float:
    """Return how many times larger groups are to be, for pairs of so many attributes.

    Pairs grow as the square of the attributes, and they share one budget and one junction tree:
    from 15 attributes on more of them are seen, and held, with fewer cells each.

    >>> widening_of(14), round(widening_of(60), 6)
    (1.0, 8.0)
    """
    return math.pow(max(1.0, attributes / MANY_ATTRIBUTES), WIDENING_POWER)


def histogram(one: Measurement, ordered: int, total: float) -> Floats:
    """Return the histogram that a one-way measurement suggests: smooth, non-negative, of a sum.

    Its first ``ordered`` codes are smoothed (``smooth_ordered``).
    """
    stddev = float(np.max(one.stddev))
    values = one.values.copy()
    values[:ordered] = smooth_ordered(values[:ordered], stddev)
    return project_to_simplex(values, total, np.square(one.stddev))


def cautious_histogram(one: Measurement, ordered: int, total: float) -> Floats:
    """Return a histogram for noise that may hide it: half ``histogram``, half ``simplex_mean``.

    The nearest histogram has too few cells where noise drowns counts, the mean of all that are
    likely is too flat where it does not; between them the error is smaller than that of both.
    """
    mean = simplex_mean(one.values, total, float(np.max(one.stddev)))
    return (histogram(one, ordered, total) + mean) / 2


def independent_model(domain: Domain, ones: Sequence[Measurement]) -> JunctionTreeModel:
    """Return the model in which all attributes are independent, fitted to one-way measurements.

    Least squares under non-negativity and one common total, attribute by attribute. Where some
    cells cannot occur, attributes are as independent as that allows (``estimate``).
    """
    total = estimate_total(ones)
    histograms = {
        m.clique[0]: project_to_simplex(m.values, total, np.square(m.stddev)) / total for m in ones
    }
    if domain.supports:
        return estimate(domain, ones)
    tree = JunctionTree.independent(domain)
    return JunctionTreeModel(tree, tuple(histograms[c[0]] for c in tree.cliques), total)


@dataclass(frozen=True, eq=False)
class Compression:
    """Codes merged into groups where noise drowns them, and how to share the groups out again.

    ``groups[attribute][code]`` is the code's group, ``shares[attribute][code]`` the part of that
    group that the code gets. ``domain`` is that of the groups.
    """

    domain: Domain
    groups: dict[str, Codes]
    shares: dict[str, Floats]

    @classmethod
    def of(
        cls,
        domain: Domain,
        ones: Sequence[Measurement],
        *,
        coarseness: float = 1.0,
        widening: float = 1.0,
        rare_groups: int = 1,
    ) -> Compression:
        """Return the compression that one-way measurements suggest.

        Categories below three standard deviations of the noise become one group (McKenna,
        Miklau & Sheldon 2021, arXiv:2108.04978, sect. 3). Neighbouring codes of an ordered
        attribute merge until a group holds ``coarseness * sqrt(total * stddev)`` records: at 1 a
        cell of two such attributes holds as many records as its noise is wide; the paper leaves
        wide ordered attributes as fine as they are, and their pairs drown. ``widening`` times as
        many where ``FEWEST_GROUPS`` remain all the same: see ``widening_of``; attributes of no
        more codes than that stay as they are. Rare categories become up to ``rare_groups`` runs
        of the order in which they are listed, each as large as such a group: codes of
        industries, diagnoses or places are mostly listed by what they mean. Codes that occur in
        different places by the domain's supports are never merged.
        Groups are shared out in proportion to the smoothed one-way estimates.
        """
        total = estimate_total(ones)
        groups, shares = {}, {}
        for one in ones:
            attribute = one.clique[0]
            stddev = float(np.max(one.stddev))
            ordered = domain.ordered[domain.axis(attribute)]
            counts = histogram(one, ordered, total)
            alike = domain.alike(attribute)
            own = coarseness * math.sqrt(total * stddev)
            wider = (
                min(widening * own, total / FEWEST_GROUPS) if counts.size > FEWEST_GROUPS else own
            )
            least = max(RARE_DEVIATIONS * stddev, own, wider)
            group = np.empty(counts.size, dtype=np.int32)
            group[:ordered] = _merge_neighbours(counts[:ordered], alike[:ordered], least)
            first = int(group[:ordered].max()) + 1 if ordered else 0
            kept = one.values[ordered:] >= RARE_DEVIATIONS * stddev
            run = _runs(np.where(kept, 0.0, counts[ordered:]), least, rare_groups)
            group[ordered:] = first + _merge_rare(kept, alike[ordered:], run)
            groups[attribute] = group
            shares[attribute] = _shares(group, counts)
        return cls(domain.coarsened(groups), groups, shares)

    @classmethod
    def identity(cls, domain: Domain) -> Compression:
        """Return the compression that merges nothing."""
        groups = {a: np.arange(domain.size(a), dtype=np.int32) for a in domain}
        return cls(domain, groups, {a: np.ones(domain.size(a)) for a in domain})

    def shared_by(self, domain: Domain, ones: Sequence[Measurement]) -> Compression:
        """Return the same groups, shared out as better one-way measurements suggest."""
        total = estimate_total(ones)
        shares = {
            one.clique[0]: _shares(
                self.groups[one.clique[0]],
                histogram(one, domain.ordered[domain.axis(one.clique[0])], total),
            )
            for one in ones
        }
        return Compression(self.domain, self.groups, shares)

    def shared_as(self, columns: Sequence[Measurement]) -> Compression:
        """Return the same groups, shared out as the histograms of all columns are."""
        shares = {one.clique[0]: _shares(self.groups[one.clique[0]], one.values) for one in columns}
        return Compression(self.domain, self.groups, shares)

    def refine(self, model: JunctionTreeModel, domain: Domain) -> RefinedModel:
        """Return the model over ``domain``, whose codes share out the groups of ``model``."""
        changed = [a for a, g in self.groups.items() if not np.array_equal(g, np.arange(len(g)))]
        groups = {attribute: self.groups[attribute] for attribute in changed}
        return RefinedModel(model, domain, groups, {a: self.shares[a] for a in changed})

    def compress(self, measurement: Measurement) -> Measurement:
        """Return a one-way measurement over the groups; a sum of k cells has sqrt(k) the noise."""
        group = self.groups[measurement.clique[0]]
        spread = np.broadcast_to(np.square(measurement.stddev), measurement.values.shape)
        return Measurement(
            measurement.clique,
            np.asarray(np.bincount(group, weights=measurement.values), dtype=float),
            np.sqrt(np.bincount(group, weights=spread)),
        )


def _merge_neighbours(counts: Floats, alike: Codes, least: float) -> Codes:
    """Number runs of like codes so that each run, from the left, holds at least ``least``."""
    group = np.empty(counts.size, dtype=np.int32)
    number, first, held = 0, 0, 0.0
    for code, count in enumerate(counts):
        if code and alike[code] != alike[code - 1] and first < code:
            number = _close(group, alike, first, number, held >= least) + 1
            first, held = code, 0.0
        group[code] = number
        held += count
        if held >= least:
            number, first, held = number + 1, code + 1, 0.0
    if first < counts.size:
        _close(group, alike, first, number, held >= least)
    return group


def _close(group: Codes, alike: Codes, first: int, number: int, large: bool) -> int:
    """Join a run that is too small to the one before it, where that is alike; return its number."""
    if large or not first or alike[first] != alike[first - 1]:
        return number
    group[group == number] = number - 1
    return number - 1


def _runs(counts: Floats, least: float, most: int) -> Codes:
    """Number up to ``most`` runs of codes that hold alike many, each at least ``least``."""
    held = float(counts.sum())
    runs = max(1, min(most, int(held / least) if least else 1))
    middles = np.cumsum(counts) - counts / 2
    return np.minimum(middles * (runs / max(held, 1e-300)), runs - 1).astype(np.int32)


def _merge_rare(kept: NDArray[np.bool_], alike: Codes, run: Codes) -> Codes:
    """Number codes one by one, but give those not kept, of one class and run, one number."""
    codes = np.arange(len(kept))
    classes = alike.astype(np.int64) * (int(run.max(initial=0)) + 1) + run
    alone = np.where(kept, codes, len(kept) + classes)
    order = np.concatenate([codes[kept], np.unique(alone[~kept])])
    numbers = np.empty(int(alone.max(initial=0)) + 1, dtype=np.int32)
    numbers[order] = np.arange(len(order), dtype=np.int32)
    return np.asarray(numbers[alone])


def _shares(group: Codes, counts: Floats) -> Floats:
    held = np.bincount(group, weights=counts)[group]
    evenly = 1 / np.bincount(group)[group]
    return np.divide(counts, held, out=evenly, where=held > 0)
