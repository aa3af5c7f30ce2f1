"""Selection of pairs to measure, and of their precision, by noisy scores of all pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from dp_synth.domain import Domain
from dp_synth.inference.triangulation import Completion, total_cells
from dp_synth.types import Clique, Floats

Scores = Mapping[Clique, float]

MEAN_NOISE = math.sqrt(2 / math.pi)  # the mean size of a standard normal number
POWER = 0.6  # of cells, to precision: 2/3 minimises summed errors; less favours small marginals
ROUNDS = 6  # in which prices and what they allow are brought together


def expected_distance(expected: Floats) -> float:
    """Return the L1 distance of a sample from its own expectation: mean size of Poisson noise."""
    return float(MEAN_NOISE * np.sqrt(np.maximum(expected, 0.0)).sum())


def shrink_scores(scores: Floats, stddev: float) -> Floats:
    """Return scores times the part of their mean square that is not noise, or zero.

    The linear estimate of least squared error (empirical Bayes, James & Stein 1961): where
    scores are no larger than their noise nothing is believed.
    """
    observed = float(np.mean(np.square(scores))) if scores.size else 0.0
    return scores * max(0.0, 1 - stddev**2 / observed) if observed else scores


@dataclass(frozen=True)
class Allocation:
    """Allocation of a precision, 1 / stddev^2, among one-way marginals and pairs, by weight."""

    weights: Mapping[Clique, float]
    precision: float

    @classmethod
    def of(
        cls,
        domain: Domain,
        pairs: Sequence[Clique],
        precision: float,
        *,
        merged: Mapping[str, int] = MappingProxyType({}),
    ) -> Allocation:
        """Share a precision so that the summed error of all pairs of attributes is small.

        A measured pair errs by its own noise, in proportion to its cells; one that is not
        measured by the noise of its two one-way marginals, so that each of these counts as
        often as its attribute is left out. Codes beyond those of ``domain``, so many of an
        attribute as ``merged`` says, are told apart by their one-way marginal in every pair.
        """
        left_out = dict.fromkeys(domain, len(domain) - 1)
        for attribute in (attribute for pair in pairs for attribute in pair):
            left_out[attribute] -= 1
        ones = {
            (a,): (domain.size(a) * max(1, n) + merged.get(a, 0) * (len(domain) - 1)) ** POWER
            for a, n in left_out.items()
        }
        return cls(ones | {pair: _weight(domain, pair) for pair in pairs}, precision)

    def of_clique(self, clique: Clique) -> float:
        """Return the precision that a clique gets."""
        return self.precision * self.weights[clique] / self._whole

    def price(self, domain: Domain, pair: Clique) -> float:
        """Return the L1 error that the noise of a pair adds at this unit of precision."""
        precision = self.precision * _weight(domain, pair) / self._whole
        return MEAN_NOISE * domain.cells(pair) / math.sqrt(precision)

    @cached_property
    def _whole(self) -> float:
        return sum(self.weights.values())


def choose_pairs(domain: Domain, scores: Scores, precision: float, max_cells: int) -> list[Clique]:
    """Return the pairs whose score is worth their noise, as far as a junction tree holds them.

    ``scores`` say how much of the L1 distance to independence each pair would explain. What a
    pair's noise costs depends on how many share the precision, so that the two are brought
    together in a few rounds; then pairs enter by net worth while the tree has at most
    ``max_cells`` cells.
    """
    chosen = [pair for pair, score in scores.items() if score > 0]
    net = dict(scores)
    for _ in range(ROUNDS):
        allocation = Allocation.of(domain, chosen, precision)
        net = {pair: score - allocation.price(domain, pair) for pair, score in scores.items()}
        worth = [pair for pair, gain in net.items() if gain > 0]
        if len(worth) == len(chosen):
            break
        chosen = worth
    completion = Completion(domain)
    kept = []
    for pair in sorted(chosen, key=lambda pair: -net[pair]):
        if completion.cells_with(pair) <= max_cells:
            completion.add(pair)
            kept.append(pair)
    return _fitting(domain, kept, max_cells)


def _fitting(domain: Domain, pairs: list[Clique], max_cells: int) -> list[Clique]:
    """Return as many of the first pairs as a tree holds that is made of them afresh.

    Grown pair by pair, a tree can be a little smaller than one completed at once.
    """
    fitting, beyond = 0, len(pairs) + 1
    middle = len(pairs)
    while beyond - fitting > 1:
        fits = total_cells(domain, pairs[:middle]) <= max_cells
        fitting, beyond = (middle, beyond) if fits else (fitting, middle)
        middle = (fitting + beyond) // 2
    return pairs[:fitting]


def _weight(domain: Domain, pair: Clique) -> float:
    return float(domain.cells(pair) ** POWER)


def choose_forest(domain: Domain, scores: Scores, precision: float) -> list[Clique]:
    """Return the maximum spanning forest of those pairs whose score is worth their noise.

    Kruskal's algorithm, by score; prices as in ``choose_pairs``, for a whole tree.
    """
    by_score = sorted(scores, key=lambda pair: -scores[pair])
    tree = _spanning(domain, by_score)
    for _ in range(ROUNDS):
        allocation = Allocation.of(domain, tree, precision)
        worth = [pair for pair in by_score if scores[pair] > allocation.price(domain, pair)]
        smaller = _spanning(domain, worth)
        if smaller == tree:
            break
        tree = smaller
    return tree


def _spanning(domain: Domain, pairs: Sequence[Clique]) -> list[Clique]:
    component = {attribute: attribute for attribute in domain}
    tree: list[Clique] = []
    for a, b in pairs:
        if component[a] != component[b]:
            tree.append((a, b))
            joined = component[b]
            component |= {c: component[a] for c, name in component.items() if name == joined}
    return tree
