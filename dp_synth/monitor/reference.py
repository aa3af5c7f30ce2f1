"""What a release says of its records, for a comparison with others: noisy counts over cells.

The counts are the very answers that a fit has paid for, not those of its model: what the model
leaves out is then no part of a comparison. A release without such answers, of a network, has its
model's counts instead, as if they were known without error.

Cells are groups of codes, merged by the release alone: ordered codes to about equal counts, others
until none of them drowns in the noise of the release. They are public before a record is read.

Cells that are chosen by the counts which they are compared with look larger, or smaller, than they
are: the largest of many alike had luck. So the counts are split in two that have independent
errors (Rasines & Young 2023; Leiner et al. 2025, of normal ones): with noise W as large as the
error of the counts x, cells are chosen by x + `SPLIT` W, and compared is x - W / `SPLIT`. Of counts
with Laplace noise, at delta 0, the two are uncorrelated, and nearly independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.estimates.misfit import FOUND
from dp_synth.inference import Model
from dp_synth.release import Release
from dp_synth.transcript import MarginalAnswer
from dp_synth.types import Clique, Codes, Floats

CELLS = {1: 20, 2: 5}  # of a column by itself, and in a pair: more would each hold little
ABOVE_NOISE = 4.0  # standard deviations of the noise of a cell, below which it is merged
LEAST_RECORDS = 30.0  # expected in a cell by itself
SPLIT = 3.0  # the larger, the less is lost for the comparison, and the rougher cells are chosen
DRAWN = 1_938  # seeds what counts are split by: a release is split alike whenever it is looked at
LARGEST_TABLE = 1_000_000  # cells of a pair of the model: larger ones are not looked at

Groups = Mapping[str, Codes]


@dataclass(frozen=True, eq=False)
class Total:
    """A number of records, and the standard deviation of the noise that it carries."""

    value: float
    stddev: float


@dataclass(frozen=True, eq=False)
class Reference:
    """Counts of one column or pair that a release has, over groups of its codes.

    ``counts`` and the variances of their noise have the shape of ``groups``, which give the cell
    of each code of each attribute; ``ordered`` says of how many cells, from the first on, the
    order means something (of a column by itself). ``apart`` is to be taken from the counts before
    they are compared: their error is then independent of the choice of the cells, and its
    variance, of sampling too, ``widened`` times as large. `likely` are the shares of the cells by
    what has chosen these, which tells nothing of the counts without what is ``apart``.
    """

    clique: Clique
    groups: Groups
    counts: Floats
    variances: Floats
    ordered: int
    apart: Floats
    widened: float

    @property
    def likely(self) -> Floats:
        """The shares of the cells, by what has chosen them."""
        masses = np.maximum(self.counts + SPLIT**2 * self.apart, 0.0)
        return np.asarray(masses / max(float(masses.sum()), 1e-300))


@dataclass(frozen=True, eq=False)
class References:
    """All that is compared: columns, pairs, and the number of records.

    ``sampled`` tells whether counts are those of a sample, the records that were fitted, rather
    than of the model, and ``laplace`` whether their noise is of that law, at delta 0.
    """

    columns: tuple[Reference, ...]
    pairs: tuple[Reference, ...]
    total: Total
    sampled: bool
    laplace: bool = False

    @classmethod
    def of(cls, release: Release, columns: Sequence[str], most_pairs: int) -> References:
        """Return what a release says of some columns, and of at most so many of their pairs.

        Pairs are those that were measured, the most dependent by the model first; of a release
        without measured marginals any pairs. InputError where it tells of none of the columns.
        """
        answers, model = _marginals(release), release.counted_model
        sampled = any(answer.clique for answer in answers)
        total = _total(release, answers) if sampled else Total(model.total, 0.0)
        made = _Making(model, model.domain, answers if sampled else None, total)
        ones = [found for name in columns if (found := made.reference((name,))) is not None]
        if not ones:
            raise InputError("the release has no counts of any of these columns to compare with")
        pairs = sorted(made.pairs(columns), key=made.dependence, reverse=True)
        twos = (found for pair in pairs[:most_pairs] if (found := made.reference(pair)) is not None)
        laplace = sampled and any(answer.noise == "laplace" for answer in answers)
        return cls(tuple(ones), tuple(twos), total, sampled, laplace)


def _marginals(release: Release) -> list[MarginalAnswer]:
    """Return the answers of a transcript that are over codes of the release's schema."""
    return [
        answer
        for answer in release.transcript
        if isinstance(answer, MarginalAnswer) and answer.part not in FOUND
    ]


def _total(release: Release, answers: Sequence[MarginalAnswer]) -> Total:
    """Return the number of records: public, or by all answers, each by its precision."""
    if release.ledger.budget.records_are_public:
        return Total(release.model.total, 0.0)
    return combined_total([(float(a.values.sum()), a.values.size * a.stddev**2) for a in answers])


def combined_total(sums: Sequence[tuple[float, float]]) -> Total:
    """Return the total of which noisy sums tell, of these values and variances.

    >>> combined_total([(100.0, 4.0), (110.0, 4.0)])
    Total(value=105.0, stddev=1.4142135623730951)
    """
    weights = np.array([1 / variance for _, variance in sums])
    values = np.array([value for value, _ in sums])
    return Total(float(weights @ values / weights.sum()), float(weights.sum() ** -0.5))


@dataclass(frozen=True, eq=False)
class _Making:
    """The way from answers, or from a model where there are none, to references."""

    model: Model
    domain: Domain
    answers: Sequence[MarginalAnswer] | None
    total: Total

    def pairs(self, columns: Sequence[str]) -> Iterator[Clique]:
        """Yield the pairs of which counts are known, in the order of the domain."""
        for pair in combinations(sorted(columns, key=self.domain.axis), 2):
            if self.domain.cells(pair) > LARGEST_TABLE:
                continue
            if self.answers is None or any(set(pair) <= set(a.clique) for a in self.answers):
                yield pair

    def dependence(self, pair: Clique) -> float:
        """Return how far the model has a pair from independent: a total variation."""
        table = np.maximum(self.model.marginal(pair), 0.0)
        table = table / max(float(table.sum()), 1e-300)
        apart = np.outer(table.sum(axis=1), table.sum(axis=0))
        return float(np.abs(table - apart).sum()) / 2

    def reference(self, clique: Clique) -> Reference | None:
        """Return the counts of a column or pair; None where the release has none."""
        fine = self._known(clique)
        if fine is None:
            return None
        groups, counts, variances = fine
        apart = self._as_error(clique, counts, variances) / SPLIT
        looked_at = counts + SPLIT**2 * apart
        merged = {
            name: self._merged(name, groups[name], looked_at, variances, axis)
            for axis, name in enumerate(clique)
        }
        known = [counts, variances, apart]
        for axis, name in enumerate(clique):
            known = [_folded(one, merged[name], axis) for one in known]
        counts, variances, apart = known
        cells = {name: merged[name][groups[name]] for name in clique}
        ordered = self._ordered_cells(clique[0], cells[clique[0]]) if len(clique) == 1 else 0
        widened = 1.0 if self.answers is None else 1 + SPLIT**-2
        return Reference(clique, cells, counts, variances, ordered, apart, widened)

    def _as_error(self, clique: Clique, counts: Floats, variances: Floats) -> Floats:
        """Return noise with the law of the counts' error: a sample's, and what they carry.

        0 of a model's, which are without error.
        """
        if self.answers is None:
            return np.zeros_like(counts)
        rng = np.random.default_rng([DRAWN, *map(self.domain.axis, clique)])
        masses = np.maximum(counts, 0.0)
        sampled = np.sqrt(masses) * rng.normal(size=counts.shape)
        sampled -= masses / max(float(masses.sum()), 1.0) * sampled.sum()
        return np.asarray(sampled + np.sqrt(variances) * rng.normal(size=counts.shape))

    def _known(self, clique: Clique) -> tuple[dict[str, Codes], Floats, Floats] | None:
        """Return the groups, counts and variances of the best answers that tell of a clique.

        Those over the same groups as the one of least noise are taken together, each by its
        precision.
        """
        if self.answers is None:
            counts = np.maximum(self.model.marginal(clique), 0.0)
            own = {name: np.arange(self.domain.size(name), dtype=np.int32) for name in clique}
            return own, counts, np.zeros_like(counts)
        telling = [answer for answer in self.answers if set(clique) <= set(answer.clique)]
        if not telling:
            return None
        told = [_over(answer, clique, self.domain) for answer in telling]
        groups, _, _ = min(told, key=lambda one: float(one[2].sum()))
        alike = [one for one in told if _same(one[0], groups)]
        weights = [1 / variances for _, _, variances in alike]
        whole = np.sum(weights, axis=0)
        sums = [weight * one[1] for weight, one in zip(weights, alike, strict=True)]
        return groups, np.sum(sums, axis=0) / whole, 1 / whole

    def _merged(
        self, name: str, groups: Codes, counts: Floats, variances: Floats, axis: int
    ) -> Codes:
        """Return the cell of each group of an attribute, from 0 without gaps."""
        others = tuple(other for other in range(counts.ndim) if other != axis)
        masses = np.maximum(counts.sum(axis=others), 0.0)
        noise = np.sqrt(variances.sum(axis=others))
        most, ordered = CELLS[counts.ndim], self.domain.ordered[self.domain.axis(name)]
        line = groups[:ordered]
        is_line = ordered > 1 and bool(np.all(np.diff(line) >= 0))
        own = int(line.max()) + 1 if is_line else 0
        is_line = is_line and not np.any(groups[ordered:] < own)
        cells = np.empty(len(masses), dtype=np.int64)
        first = 0
        if is_line:
            cells[:own] = _runs(masses[:own], noise[:own], most)
            first = own
        start = int(cells[:first].max()) + 1 if first else 0
        cells[first:] = start + _common(masses[first:], noise[first:], most)
        return np.unique(cells, return_inverse=True)[1].reshape(-1).astype(np.int32)

    def _ordered_cells(self, name: str, cells: Codes) -> int:
        """Return how many cells of an attribute are runs of its ordered codes."""
        ordered = self.domain.ordered[self.domain.axis(name)]
        line = cells[:ordered]
        return int(line.max()) + 1 if ordered > 1 and bool(np.all(np.diff(line) >= 0)) else 0


def _over(
    answer: MarginalAnswer, clique: Clique, domain: Domain
) -> tuple[dict[str, Codes], Floats, Floats]:
    """Return an answer over a part of its attributes: groups, counts, variances of the noise."""
    others = tuple(axis for axis, name in enumerate(answer.clique) if name not in clique)
    kept = [name for name in answer.clique if name in clique]
    counts = answer.values.sum(axis=others).transpose([kept.index(name) for name in clique])
    summed = math.prod(answer.values.shape[axis] for axis in others)
    groups = {
        name: np.asarray(answer.groups.get(name, np.arange(domain.size(name))), dtype=np.int32)
        for name in clique
    }
    return groups, counts, np.full(counts.shape, answer.stddev**2 * summed)


def _same(groups: Groups, others: Groups) -> bool:
    return all(np.array_equal(groups[name], others[name]) for name in groups)


def _folded(counts: Floats, cells: Codes, axis: int) -> Floats:
    """Return counts summed over the groups that become one cell, along an axis."""
    moved = np.moveaxis(counts, axis, 0)
    sums = np.zeros((int(cells.max()) + 1, *moved.shape[1:]))
    np.add.at(sums, cells, moved)
    return np.moveaxis(sums, 0, axis)


def _runs(masses: Floats, noise: Floats, most: int) -> Codes:
    """Return runs of ordered groups of about equal counts, each of them above its noise."""
    whole = max(float(masses.sum()), 1.0)
    runs, run, mass, variance = np.zeros(len(masses), dtype=np.int32), 0, 0.0, 0.0
    for place, (count, deviation) in enumerate(zip(masses, noise, strict=True)):
        runs[place] = run
        mass, variance = mass + count, variance + deviation**2
        if mass >= max(whole / most, ABOVE_NOISE * math.sqrt(variance), LEAST_RECORDS):
            run, mass, variance = run + 1, 0.0, 0.0
    if run and mass < max(ABOVE_NOISE * math.sqrt(variance), LEAST_RECORDS):
        runs[runs == run] = run - 1  # what is left at the end is no run by itself
    return runs


def _common(masses: Floats, noise: Floats, most: int) -> Codes:
    """Return a cell for each group that many records have; all others have the last together."""
    if not len(masses):
        return np.zeros(0, dtype=np.int32)
    clear = masses >= np.maximum(ABOVE_NOISE * noise, LEAST_RECORDS)
    order = np.argsort(-masses, kind="stable")
    kept = [place for place in order if clear[place]]
    kept = kept[: most - 1] if len(masses) > most else kept
    cells = np.full(len(masses), len(kept), dtype=np.int32)
    cells[sorted(kept)] = np.arange(len(kept))
    return cells
