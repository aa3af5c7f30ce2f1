"""Expected errors of pairs of attributes: measured by themselves, or left to their columns.

By these a fit decides, of noisy answers and public facts alone, whether any pair is worth what it
takes from columns. Where records are few, none is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from dp_synth.domain import Domain
from dp_synth.inference.histograms import project_to_simplex
from dp_synth.inference.one_way import Compression
from dp_synth.inference.pair_selection import MEAN_NOISE, Allocation
from dp_synth.transcript import Measurement
from dp_synth.types import Clique, Floats, Integers

SEEN_CELLS = 20  # of an ordered attribute: errors are asked for in cells no finer than that
CAUTION = 2.0  # times its mean square, that noise may have in a score
EMPTY = 0.35  # of its noise: what is left of it in a cell that holds far less
DROWNED, HEARD = 0.2, 0.75  # of the noise of scores: means of dependences hardly, clearly heard
FAITHFUL = 0.12  # of the records: scores of more noise than this are believed where clearly heard
IMPLIED = 1.6  # times the error of columns, that pairs may seem to make where they are heard
UNSURE = 1.02  # times the error of columns, that likely pairs may make and still be looked for
IN_ROUNDS = 1.15  # the same of pairs in rounds, of which each is chosen for what it still tells
LEAST_PART = 0.01  # of what columns share: none gets less, however well it is known
FAINT = 0.5  # of the records: columns of more mean error say nothing that rounds could go by
PLAUSIBLE = 0.3  # of the largest dependence that two columns could have: few pairs have more


def column_weight(domain: Domain, attribute: str) -> float:
    """Return the precision, relative to others, at which noise of all columns adds least error."""
    size = domain.size(attribute)
    return float((size * seen_cells(domain, attribute)) ** (1 / 3))


def column_shares(weights: Floats, known: Floats, left: float) -> Floats:
    """Return how columns share a precision that is left, beside that at which each is known.

    Together they come as near to their ``weights`` as what is left allows, and none gets less
    than ``LEAST_PART`` of it.
    """
    wanted = weights * (float(known.sum()) + left) / weights.sum() - known
    parts = np.maximum(wanted, LEAST_PART * left)
    return np.asarray(parts * left / parts.sum())


def seen_cells(domain: Domain, attribute: str) -> int:
    """Return the number of cells of an attribute in which errors count."""
    ordered = domain.ordered[domain.axis(attribute)]
    return min(ordered, SEEN_CELLS) + domain.size(attribute) - ordered


@dataclass(frozen=True, eq=False)
class Column:
    """What the error of a column depends on.

    ``size`` counts its codes, ``seen`` the cells in which errors count, ``groups`` those in which
    pairs are measured. ``spread`` and ``grouped`` are the sums of square roots of probabilities
    over cells and groups, ``impurity`` is the chance that two records differ in their group.
    ``parts`` are the probabilities of groups.
    """

    size: int
    seen: int
    groups: int
    spread: float
    grouped: float
    impurity: float
    parts: Floats


@dataclass(frozen=True, eq=False)
class PairErrors:
    """Expected L1 errors, in records, of all pairs of attributes of ``domain``.

    Pairs are measured over the groups of a compression, whose domain ``coarse`` is. Errors of one
    cell that do not depend on each other add up in squares, and so do they here for whole tables:
    noise of columns, noise of a pair, the dependence that is left out, and chance. Chance enters
    twice: the records are a sample that lies off any product of its columns, and so are the rows
    that are drawn, whatever was measured.
    """

    coarse: Domain
    total: float
    columns: Sequence[Column]
    first: float  # the precision, 1 / stddev^2, at which each column is known

    @classmethod
    def of(
        cls, domain: Domain, compression: Compression, ones: Sequence[Measurement], total: float
    ) -> PairErrors:
        """Return the errors that first measurements of all columns, alike in noise, let expect."""
        columns = []
        for one in ones:
            attribute = one.clique[0]
            size, seen = domain.size(attribute), seen_cells(domain, attribute)
            part = project_to_simplex(one.values, total, np.square(one.stddev)) / total
            grouped = np.bincount(compression.groups[attribute], weights=part).astype(float)
            columns.append(
                Column(
                    size,
                    seen,
                    len(grouped),
                    min(float(np.sqrt(part).sum()), math.sqrt(seen)),
                    float(np.sqrt(grouped).sum()),
                    1 - float(np.square(grouped).sum()),
                    grouped,
                )
            )
        stddev = max(float(np.max(one.stddev)) for one in ones)
        return cls(compression.domain, total, columns, stddev**-2)

    def dependence(self, pairs: Sequence[Clique], scores: Floats, stddev: float) -> Floats:
        """Return how far pairs are from independent, given noisy distances from their columns.

        A distance holds the dependence, the chance of a sample and noise of the columns that it
        is taken from; the score has noise of its own. All of these add up in squares. Noise is
        taken off ``CAUTION`` times: it may have raised a score by more than it does on average.
        """
        i, j = self._places(pairs)
        sizes = np.array([column.size * column.groups for column in self.columns], dtype=float)
        noise = np.square(MEAN_NOISE) * sizes / self.first
        off = self._chance(i, j, grouped=True) ** 2 + CAUTION * (noise[i] + noise[j] + stddev**2)
        return np.asarray(np.sqrt(np.maximum(np.square(np.maximum(scores, 0.0)) - off, 0.0)))

    def largest_dependence(self, pairs: Sequence[Clique]) -> Floats:
        """Return how far pairs would be from independent if one column told the other."""
        impurity = np.array([column.impurity for column in self.columns])
        i, j = self._places(pairs)
        return np.asarray(2 * self.total * np.minimum(impurity[i], impurity[j]))

    def of_columns(self, dependences: Mapping[Clique, float], precision: float) -> float:
        """Return the summed error where columns alone share a precision."""
        weights = np.array([(c.size * c.seen) ** (1 / 3) for c in self.columns])
        known = np.full(len(self.columns), self.first)
        return self._summed(dependences, {}, known + column_shares(weights, known, precision))

    def of_pairs(self, dependences: Mapping[Clique, float], allocation: Allocation) -> float:
        """Return the summed error where columns and pairs share a precision."""
        attributes = self.coarse.attributes
        own = np.array([allocation.weights.get((a,), 0.0) for a in attributes])
        own *= allocation.precision / sum(allocation.weights.values())
        pairs: list[Clique] = [clique for clique in allocation.weights if len(clique) == 2]
        given: dict[Clique, float] = {pair: allocation.of_clique(pair) for pair in pairs}
        return self._summed(dependences, given, self.first + own)

    def paying(
        self,
        dependences: Mapping[Clique, float],
        pairs: Sequence[Clique],
        precision: float,
        noise: float = math.inf,
    ) -> list[Clique]:
        """Return the pairs if they win more than columns lose by sharing a precision with them.

        Else as many of the most dependent as do, of a half, a quarter and so on; else none. What
        chosen pairs imply of others is not counted, so that they may seem to lose a little, the
        more so the more dependences stand out from the ``noise`` of their scores; where noise is
        much beside the records, only if they stand out clearly.
        """
        alone = self.of_columns(dependences, precision)
        heard = float(np.mean(list(dependences.values()))) / noise if dependences else 0.0
        if noise <= FAITHFUL * self.total or heard >= HEARD:
            alone *= np.interp(heard, (DROWNED, HEARD), (1.0, IMPLIED))
        kept = list(pairs)
        while kept:
            allocation = Allocation.of(self.coarse, kept, precision)
            if self.of_pairs(dependences, allocation) < alone:
                return kept
            gain = {p: dependences.get(p, 0.0) - allocation.price(self.coarse, p) for p in kept}
            best = {*sorted(kept, key=gain.__getitem__, reverse=True)[: len(kept) // 2]}
            kept = [pair for pair in kept if pair in best]
        return []

    def best_favour(
        self, dependences: Mapping[Clique, float], pairs: Sequence[Clique], precision: float
    ) -> float:
        """Return how many times its usual weight a pair should have, for the least summed error.

        Usual weights leave out that pairs tell of their columns too. In a wide table, where columns
        take nearly all, pairs then win much by what columns hardly miss.
        """
        usual = Allocation.of(self.coarse, pairs, precision)
        best, least = 1.0, self.of_pairs(dependences, usual)
        while (error := self.of_pairs(dependences, usual.favouring(2 * best))) < least:
            best, least = 2 * best, error
        return best

    def could_pay(
        self,
        precision: float,
        *,
        cost: float = 0.0,
        in_rounds: bool = False,
        unsure: float = UNSURE,
    ) -> bool:
        """Say whether any pairs would win more than they cost, were they as dependent as is likely.

        ``cost`` is the part of the precision that it takes to find them. Columns share what is
        left with as many pairs as a tree has, or with fewer, and these may seem to err ``unsure``
        times as much. Where pairs are chosen in rounds, columns are not measured again, and there
        may be any number of pairs; where those columns drown, so does all that rounds would go by.
        """
        known = self._noise(np.full(len(self.columns), self.first))
        if in_rounds and np.mean(known) > FAINT * self.total:
            return False
        pairs = self._pairs
        likely = PLAUSIBLE * self.largest_dependence(pairs)
        dependences = dict(zip(pairs, likely.tolist(), strict=True))
        most = self.of_columns(dependences, precision) * (IN_ROUNDS if in_rounds else unsure)
        i, j = self._places(pairs)
        sizes = np.array(self.coarse.sizes, dtype=float)
        cells = sizes[i] * sizes[j]
        order = np.argsort(cells / np.maximum(likely, 1e-9), kind="stable")
        count = len(pairs) if in_rounds else len(self.columns) - 1
        while count:
            best = [pairs[place] for place in order[:count]]
            allocation = Allocation.of(self.coarse, best, precision * (1 - cost))
            if in_rounds:
                only = {pair: allocation.weights[pair] for pair in best}
                allocation = Allocation(only, allocation.precision)
            if self.of_pairs(dependences, allocation) < most:
                return True
            count = 2 * count // 3 if in_rounds else count // 2
        return False

    def _summed(
        self, dependences: Mapping[Clique, float], given: Mapping[Clique, float], own: Floats
    ) -> float:
        """Return the error of all pairs, some measured at the precision that is given for them."""
        pairs = self._pairs
        i, j = np.triu_indices(len(self.columns), 1)  # in the order of the pairs
        known = np.zeros((len(self.columns), len(self.columns)))
        one, other = self._places(list(given))
        known[one, other] = known[other, one] = list(given.values())
        precision = known[i, j]
        measured = precision > 0
        groups = np.array([column.groups for column in self.columns], dtype=float)
        told = np.zeros(len(self.columns))  # to a column, by the pairs that hold it
        np.add.at(told, i, precision / groups[j])
        np.add.at(told, j, precision / groups[i])
        whole, inside = np.square(self._noise(own + told)), self._inside
        drawn = np.square(self._chance(i, j))
        if len(dependences) == len(pairs) and list(dependences) == pairs:
            left = np.fromiter(dependences.values(), dtype=float, count=len(pairs))
        else:
            left = np.array([dependences.get(pair, 0.0) for pair in pairs])
        apart = np.square(left) + 2 * drawn + whole[i] + whole[j]
        noise = np.zeros(len(pairs))
        for place in np.flatnonzero(measured):
            noise[place] = self._pair_noise(i[place], j[place], precision[place])
        most = math.sqrt(2) * self.total  # as the two columns together
        heard = most**2 / (most**2 + np.square(noise))  # what drowns tells no dependence
        told_chance = np.minimum(drawn, np.square(self._chance(i, j, grouped=True)))
        together = np.square(_capped(noise, most)) + inside[i] * whole[i] + inside[j] * whole[j]
        together += 2 * drawn - heard * told_chance + (1 - heard) * np.square(left)
        return float(np.sqrt(np.where(measured, together, apart)).sum())

    def _noise(self, precision: Floats) -> Floats:
        """Return the L1 error of each column by its noise, never above what it could be."""
        sizes = np.array([column.size * column.seen for column in self.columns], dtype=float)
        return _capped(MEAN_NOISE * np.sqrt(sizes / precision), self.total)

    def _pair_noise(self, i: int, j: int, precision: float) -> float:
        """Return the L1 error of a pair by its own noise: less in cells that it may empty."""
        expected = self.total * np.multiply.outer(self.columns[i].parts, self.columns[j].parts)
        seen = np.minimum(expected * math.sqrt(precision), 1.0)
        return float((MEAN_NOISE * (EMPTY + (1 - EMPTY) * seen)).sum() / math.sqrt(precision))

    def _chance(self, i: Integers, j: Integers, *, grouped: bool = False) -> Floats:
        """Return the mean L1 distance of a sample of independent columns from its expectation."""
        names = "grouped" if grouped else "spread"
        spread = np.array([getattr(column, names) for column in self.columns])
        return np.asarray(MEAN_NOISE * math.sqrt(self.total) * spread[i] * spread[j])

    def _places(self, pairs: Sequence[Clique]) -> tuple[Integers, Integers]:
        if len(pairs) == len(self._pairs) and list(pairs) == self._pairs:
            return np.triu_indices(len(self.columns), 1)
        axis = {attribute: place for place, attribute in enumerate(self.coarse)}
        places = np.array([[axis[a], axis[b]] for a, b in pairs], dtype=np.int64).reshape(-1, 2)
        return places[:, 0], places[:, 1]

    @cached_property
    def _pairs(self) -> list[Clique]:
        """All pairs, in the order of the domain."""
        return list(combinations(self.coarse, 2))

    @cached_property
    def _inside(self) -> Floats:
        """The part of each column's error that lies inside of groups, where no pair tells it."""
        return np.array([1 - min(1.0, c.groups / c.seen) for c in self.columns])


def _capped(noise: Floats, total: float) -> Floats:
    """Return the error of noisy counts that are none below zero and add up to so many records."""
    return np.asarray(noise * total / np.hypot(noise, total))
