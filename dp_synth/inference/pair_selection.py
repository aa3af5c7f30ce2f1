"""Selection of pairs to measure, and of their precision, by noisy scores of all pairs."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from dp_synth.domain import Domain
from dp_synth.inference.chordal_completion import Completion
from dp_synth.inference.triangulation import as_many_as_fit
from dp_synth.types import Clique, Floats, Integers

Scores = Mapping[Clique, float]

MEAN_NOISE = math.sqrt(2 / math.pi)  # the mean size of a standard normal number
POWER = 0.6  # of cells, to precision: 2/3 minimises summed errors; less favours small marginals
ROUNDS = 6  # in which prices and what they allow are brought together

SURPLUS = 0.3  # weight of what is implied beyond a score, against what is not implied of one
FAINT = 1e-3  # correlations along a path that are as good as none
CELLS_POWER = 0.5  # of the cells that a pair takes, against what it gains
CLOSE = 1e-9  # relative: gains that are as good as equal
MISSES = 40  # pairs in a row without room: those left are worth less, and as large
LOOKS = 4000  # at pairs, at what the tree would have with them: of wide tables the best alone
QUICK_LOOKS = 30  # for each attribute, where they are more and a quick bound answers
MANY = 60  # attributes: of more than that, what a pair takes is told by a quick bound
RENEWALS = 10  # times that a full tree is completed afresh, to make room


def expected_distance(expected: Floats) -> float:
    """Return the L1 distance of a sample from its own expectation: mean size of Poisson noise."""
    return float(MEAN_NOISE * np.sqrt(np.maximum(expected, 0.0)).sum())


def spread(counts: Floats) -> float:
    """Return the L1 distance of an attribute paired with itself from independence: the largest.

    >>> spread(np.array([50.0, 50.0])), spread(np.array([100.0, 0.0]))
    (100.0, 0.0)
    """
    total = float(counts.sum())
    return 2 * (total - float(np.square(counts).sum()) / total) if total else 0.0


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

    def favouring(self, factor: float) -> Allocation:
        """Return the allocation in which all but one-way marginals weigh so many times as much."""
        if factor == 1:
            return self
        weights = {c: w if len(c) == 1 else factor * w for c, w in self.weights.items()}
        return Allocation(weights, self.precision)

    def of_clique(self, clique: Clique) -> float:
        """Return the precision that a clique gets."""
        return self.precision * self.weights[clique] / self._whole

    def price(self, domain: Domain, pair: Clique) -> float:
        """Return the L1 error that the noise of a pair adds at this unit of precision."""
        return float(self.prices(np.array([float(domain.cells(pair))]))[0])

    def prices(self, cells: Floats) -> Floats:
        """Return the L1 error that the noise of pairs of so many cells adds, for each of them."""
        return np.asarray(MEAN_NOISE * cells / np.sqrt(self.precision * cells**POWER / self._whole))

    @cached_property
    def _whole(self) -> float:
        return sum(self.weights.values())


def choose_pairs(
    domain: Domain,
    scores: Scores,
    precision: float,
    spreads: Mapping[str, float],
    *,
    max_cells: int,
) -> list[Clique]:
    """Return the pairs worth their noise, as far as a junction tree of ``max_cells`` holds them.

    ``scores`` say how much of the L1 distance to independence each pair would explain; noise
    costs the more, the more pairs share the precision. Pairs come in three passes: a maximum
    spanning forest, so that whatever depends on something is linked before one dense knot takes
    all cells; then those that surprise, by how far their scores are from what the chosen pairs
    imply; then the rest, by their scores. What they gain is weighed against the cells they take.
    ``spreads`` are those of the attributes: see `spread`.
    """
    choice = _Choice(domain, _Scored.of(domain, scores), precision, spreads, max_cells)
    choice.begin(choose_forest(domain, scores, precision))
    choice.extend(surprise=True)
    choice.extend(surprise=False)
    return as_many_as_fit(domain, choice.chosen, max_cells)


@dataclass(frozen=True, eq=False)
class _Scored:
    """Pairs as arrays: positions of their attributes, scores, and cells."""

    pairs: Sequence[Clique]
    first: Integers
    second: Integers
    scores: Floats
    cells: Floats

    @classmethod
    def of(cls, domain: Domain, scores: Scores) -> _Scored:
        """Return the pairs in the order of the scores."""
        pairs = list(scores)
        places = np.array([[domain.axis(a), domain.axis(b)] for a, b in pairs], dtype=np.int64)
        first, second = places.reshape(-1, 2).T
        sizes = np.array(domain.sizes, dtype=float)
        known = np.fromiter(scores.values(), dtype=float, count=len(pairs))
        return cls(pairs, first, second, known, sizes[first] * sizes[second])


class _Choice:
    """Pairs that are chosen one by one, what they imply of all others, and what these would cost.

    A score over the geometric mean of its attributes' spreads stands for a correlation, of binary
    attributes exactly. Along a path correlations multiply, and the strongest path counts.
    """

    def __init__(
        self,
        domain: Domain,
        scored: _Scored,
        precision: float,
        spreads: Mapping[str, float],
        max_cells: int,
    ) -> None:
        self.chosen: list[Clique] = []
        self._domain, self._scored = domain, scored
        self._precision, self._max_cells = precision, max_cells
        self._completion = Completion(domain)
        spread = np.maximum([spreads[attribute] for attribute in domain], 1.0)
        self._whole = np.sqrt(spread[scored.first] * spread[scored.second])
        self._correlations = np.clip(scored.scores / self._whole, 0.0, 1.0)
        self._implied = np.eye(len(domain))
        self._weights = scored.cells**POWER
        self._sizes = np.array(domain.sizes, dtype=float)
        self._left_out = np.full(len(domain), len(domain) - 1)
        self._open = np.ones(len(scored.pairs), dtype=bool)
        self._weight = float(self._ones(self._sizes, self._left_out).sum())
        self._renewals = RENEWALS
        self._looks = LOOKS if len(domain) <= MANY else max(LOOKS, QUICK_LOOKS * len(domain))

    def begin(self, pairs: Sequence[Clique]) -> None:
        """Take these first, the tree completed at once, and no more than it holds.

        Grown pair by pair, a tree can be a little smaller than one completed at once.
        """
        fitting = as_many_as_fit(self._domain, pairs, self._max_cells)
        self._completion = Completion(self._domain, fitting)
        places = {pair: place for place, pair in enumerate(self._scored.pairs)}
        for pair in fitting:
            self._take(places[pair])

    def extend(self, *, surprise: bool) -> None:
        """Add pairs by what they gain, over a power of the cells that they take, while any fits."""
        gains = self._gains(np.flatnonzero(self._open), surprise)
        places = np.flatnonzero(self._open)[gains > 0]
        order = gains[gains > 0] / self._scored.cells[places] ** CELLS_POWER
        completion = self._completion
        is_wide = len(self._domain) > MANY
        cells_with = completion.most_cells_with if is_wide else completion.cells_with
        heap = list(zip((-order).tolist(), places.tolist(), strict=True))
        heapq.heapify(heap)
        misses = 0
        while heap and misses < MISSES and self._looks:
            self._looks -= 1
            _, place = heapq.heappop(heap)
            pair = self._scored.pairs[place]
            grown = cells_with(pair)
            if grown > self._max_cells and self._renewals:
                self._renewals -= 1
                completion.complete_afresh()
                grown = cells_with(pair)
            if grown > self._max_cells:
                misses += 1
                continue
            taken = max(grown - completion.cells, self._scored.cells[place])
            worth = float(self._gains(np.array([place]), surprise)[0]) / taken**CELLS_POWER
            if worth <= 0:
                continue
            if heap and worth < -heap[0][0] * (1 - CLOSE):
                heapq.heappush(heap, (-worth, place))
                continue
            misses = 0
            completion.add(pair)
            self._take(place)

    def _gains(self, places: Integers, surprise: bool) -> Floats:
        """Return by how much pairs bring more than their noise costs."""
        scored = self._scored
        brought, weights = scored.scores[places], self._weights[places]
        if surprise:
            linked = self._implied[scored.first[places], scored.second[places]]
            implied = self._whole[places] * linked
            brought = np.maximum(brought - implied, SURPLUS * (implied - np.maximum(brought, 0.0)))
        shares = self._precision * weights / (self._weight + weights)
        return brought - MEAN_NOISE * scored.cells[places] / np.sqrt(shares)

    def _take(self, place: int) -> None:
        """Note a pair that is chosen, and what it implies."""
        one, other = int(self._scored.first[place]), int(self._scored.second[place])
        both = np.array([one, other])
        self.chosen.append(self._scored.pairs[place])
        self._open[place] = False
        before = self._ones(self._sizes[both], self._left_out[both])
        self._left_out[both] -= 1
        after = self._ones(self._sizes[both], self._left_out[both])
        self._weight += float((after - before).sum()) + float(self._weights[place])
        near = np.flatnonzero(self._implied[one] > FAINT)
        far = np.flatnonzero(self._implied[other] > FAINT)
        through = np.outer(self._implied[one, near], self._implied[other, far])
        block = np.ix_(near, far)
        found = np.maximum(self._implied[block], self._correlations[place] * through)
        self._implied[block] = found
        mirrored = (block[1], block[0])
        self._implied[mirrored] = np.maximum(self._implied[mirrored], found)

    @staticmethod
    def _ones(sizes: Floats, left_out: Integers) -> Floats:
        return np.asarray((sizes * np.maximum(left_out, 1)) ** POWER)


def _weight(domain: Domain, pair: Clique) -> float:
    return float(domain.cells(pair) ** POWER)


def choose_forest(domain: Domain, scores: Scores, precision: float) -> list[Clique]:
    """Return the maximum spanning forest of those pairs whose score is worth their noise.

    Kruskal's algorithm, by score; prices are those of a whole tree, then of what was left of it.
    """
    scored = _Scored.of(domain, scores)
    order = np.argsort(-scored.scores, kind="stable")
    tree = _spanning(domain, scored, order)
    for _ in range(ROUNDS):
        allocation = Allocation.of(domain, [scored.pairs[place] for place in tree], precision)
        worth = scored.scores > allocation.prices(scored.cells)
        smaller = _spanning(domain, scored, order[worth[order]])
        if smaller == tree:
            break
        tree = smaller
    return [scored.pairs[place] for place in tree]


def _spanning(domain: Domain, scored: _Scored, order: Integers) -> list[int]:
    """Return which pairs join two components, taken in this order."""
    component = np.arange(len(domain))
    tree: list[int] = []
    ends = zip(scored.first[order].tolist(), scored.second[order].tolist(), strict=True)
    for place, (one, other) in zip(order.tolist(), ends, strict=True):
        if component[one] != component[other]:
            tree.append(place)
            component[component == component[other]] = component[one]
            if len(tree) == len(domain) - 1:
                break
    return tree
