"""One-shot fits: one-way marginals, pairs selected by noisy scores, and what is left on both.

One filter of Gaussian DP pays for all answers. They are Gaussian, but for choices among the pairs
of a table so wide that scores of all of them would drown.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import (
    Filtered,
    FilteredGaussian,
    FilteredLaplace,
    FilteredSelection,
    PrivacyBudget,
    Selection,
    cost,
)
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference import (
    Compression,
    JunctionTreeModel,
    Model,
    combine,
    estimate,
    estimate_total,
    independent_model,
)
from dp_synth.inference.empirical_bayes import averaged_histogram
from dp_synth.inference.label_pairs import label_groups, label_model, label_pairs, told_by_pairs
from dp_synth.inference.one_way import widening_of
from dp_synth.inference.pair_errors import UNSURE, PairErrors, column_shares, column_weight
from dp_synth.inference.pair_selection import (
    MEAN_NOISE,
    Allocation,
    expected_distance,
    shrink_scores,
    spread,
)
from dp_synth.mechanisms import (
    Distances,
    l1_distance_sensitivity,
    marginal_sensitivity,
    measure,
    measure_distances,
    select,
)
from dp_synth.mechanisms.noise import LARGEST_SCALE
from dp_synth.mechanisms.table import ColumnProducts, PrivateTable
from dp_synth.transcript import MarginalAnswer, Measurement
from dp_synth.types import Clique, Codes

FIRST_LOOK = 0.1  # of the budget: one-way marginals, before anything is decided
PURE_FIRST_LOOK = (
    1.5  # times that at delta 0, where noise is as the inverse of a part, not its root
)
LEAST_SCORES, MOST_SCORES = 0.01, 0.08  # of the budget, for the scores of all pairs
FINE_SCORES = 0.01  # of the records: scores need no less noise than this
HEARD_SCORES = 0.12  # of the records: scores of no more noise are always asked for
FAINT_SCORES = 0.18  # of the records: scores of more noise are asked for where pairs surely pay
BLIND_SCORES = 0.25  # of the records: scores with more noise than this say nothing
MOST_CHOICES = 0.25  # of the budget, for choices of likely pairs where all scores would drown
MISSED = 0.4  # of the largest dependence: that much less, at most, a choice is expected to have
RARE_GROUPS = 12  # runs of rare categories of one column, at most
LARGEST_PAIR = 5_000_000  # cells; larger ones are neither scored nor measured
MADE, MADE_SEED = 40_000, 0  # records that a model makes for a training, and what draws them
LABEL_SHARE = 0.1  # of what is left, for pairs of the label where no others pay
LABEL_NOISE = 0.43  # of the records, on average: pairs of the label of more noise say nothing
WITH_LABEL = "pairs of the label"
CLEAR_OF_ROUNDING = 1 - 1e-9  # the last answer must not ask for a hair more than is left

Chooser = Callable[[Domain, Mapping[Clique, float], float, Mapping[str, float]], list[Clique]]


@dataclass(frozen=True)
class Selected:
    """One-way marginals, compression and selected pairs of a one-shot fit, by these scores.

    Larger cliques may stand among the pairs, whose weights are ``favour`` times their usual ones.
    There are no scores where only those of likely pairs could be heard.
    """

    compression: Compression
    ones: Sequence[Measurement]
    pairs: Sequence[Clique]
    scores: Mapping[Clique, float] = field(default_factory=dict)
    favour: float = 1.0


@dataclass(frozen=True)
class Measured:
    """Measurements of a one-shot fit: of columns as they are, of pairs over groups of codes.

    Pairs that hold the label, whatever they show, are ``unchosen``: they are believed as far as
    they stand out of their noise.
    """

    compression: Compression
    ones: Sequence[Measurement]
    pairs: Sequence[Measurement]
    unchosen: bool = False

    def model(self, domain: Domain) -> Model:
        """Return the model of highest entropy that fits; without pairs, independent columns."""
        if not self.pairs:
            return independent_model(domain, settled_columns(domain, self.ones))
        if self.unchosen:
            told = told_by_pairs(self.ones, self.pairs, self.compression)
            columns = settled_columns(domain, told)
            return label_model(domain, self.compression, columns, self.pairs)
        compression = self.compression.shared_by(domain, self.ones)
        ones = [compression.compress(one) for one in self.ones]
        return compression.refine(estimate(compression.domain, [*ones, *self.pairs]), domain)


def select_pairs(
    table: PrivateTable, budget: FilterBudget, choose: Chooser, *, coarseness: float
) -> Selected:
    """Measure every column, merge codes that noise would drown, and select pairs by scores.

    ``choose`` is given the domain of the groups, a score for each pair, the precision that is
    left and the columns' spreads; it sees noisy values only. Pairs that the table's questions want
    come before all others, where there are scores.
    """
    columns: list[Clique] = [(attribute,) for attribute in table.domain]
    first = _first_look(table.domain)
    if budget.is_pure and len(columns) > 1:
        first *= PURE_FIRST_LOOK
    ones = budget.measure(table, dict.fromkeys(columns, first / len(columns)), "a first look")
    compression = _compression(table.domain, ones, coarseness)
    coarse = table.coarsen(compression.groups)
    known = [compression.compress(one) for one in ones]
    errors = PairErrors.of(table.domain, compression, ones, estimate_total(ones))
    scores = _score_pairs(coarse, known, errors, budget)
    if not scores.values:
        return Selected(compression, ones, [])
    spreads = {one.clique[0]: spread(np.maximum(one.values, 0.0)) for one in known}
    useful = {pair: one for pair, one in scores.values.items() if pair not in table.idle}
    values = _favoured(useful, table.wanted)
    pairs = choose(coarse.domain, values, budget.precision_left, spreads)
    paying = errors.paying(scores.found, pairs, budget.precision_left, scores.stddev)
    kept = table.wanted.union(paying)
    paying = [pair for pair in pairs if pair in kept]
    favour = 1.0
    if scores.of_likely and paying:
        favour = errors.best_favour(scores.found, paying, budget.precision_left)
    every = {} if scores.of_likely else scores.values
    return Selected(compression, ones, paying, every, favour)


def _favoured(scores: Mapping[Clique, float], wanted: Collection[Clique]) -> Mapping[Clique, float]:
    """Return scores in which pairs that are wanted are above all others."""
    if not wanted:
        return scores
    largest = max(0.0, *scores.values())
    return {pair: one + 2 * largest * (pair in wanted) for pair, one in scores.items()}


def _compression(domain: Domain, ones: Sequence[Measurement], coarseness: float) -> Compression:
    """Return the groups of codes that a first look suggests."""
    return Compression.of(
        domain,
        ones,
        coarseness=coarseness,
        widening=widening_of(len(domain)),
        rare_groups=RARE_GROUPS,
    )


def check_first_look(part: Filtered, domain: Domain, budget: PrivacyBudget) -> None:
    """Raise InputError where noise of the first answers of `select_pairs` could not be drawn."""
    each = _first_look(domain) / len(domain) * (part.amount or 0.0)
    if part.currency == "pure":
        noise = math.sqrt(2) * l1_distance_sensitivity(budget.adjacency, budget.max_rows) / each
    else:
        sensitivity = marginal_sensitivity(budget.adjacency, budget.max_rows)
        noise = sensitivity / math.sqrt(each) if each else math.inf
    if noise > LARGEST_SCALE:
        raise InputError(
            f"{budget.said} is too small for {len(domain)} columns: a first look at them would "
            f"have noise of {noise:.3g} and say nothing; raise {budget.kind}, or choose fewer "
            "columns"
        )


def _first_look(domain: Domain) -> float:
    """Return the part of the budget that a first look at all columns costs."""
    return FIRST_LOOK if len(domain) > 1 else CLEAR_OF_ROUNDING


def measure_pairs(
    table: PrivateTable, seen: Selected, budget: FilterBudget, *, max_cells: int = sys.maxsize
) -> Measured:
    """Spend what is left on the chosen pairs and on columns; see `measure_columns` without pairs.

    What would get more noise than can be drawn is not measured: it would say nothing. One-way
    marginals are measured again, and combined with the first look by inverse variance.
    """
    columns = [one.clique for one in seen.ones]
    if not seen.pairs:
        return measure_columns(table, seen.compression, seen.ones, budget, max_cells=max_cells)
    coarse = table.coarsen(seen.compression.groups)
    merged = {
        a: table.domain.size(a) - coarse.domain.size(a)
        for a, ordered in zip(table.domain, table.domain.ordered, strict=True)
        if not ordered  # noise of single codes is smoothed where neighbours tell of each other
    }
    allocation = Allocation.of(coarse.domain, seen.pairs, budget.left, merged=merged)
    allocation = allocation.favouring(seen.favour)
    parts = {clique: allocation.of_clique(clique) for clique in (*columns, *seen.pairs)}
    parts = budget.parts_like(parts)
    again = {column: parts[column] for column in columns}
    ones = combine([*seen.ones, *budget.measure(table, again, "one-way marginals")])
    larger = {clique: parts[clique] for clique in seen.pairs if len(clique) > 2}
    chosen = {pair: parts[pair] for pair in seen.pairs if pair not in larger}
    pairs = budget.measure(coarse, larger, "interactions") if larger else []
    pairs += budget.measure(coarse, chosen, "chosen pairs")
    return Measured(seen.compression, ones, pairs)


def measure_columns(
    table: PrivateTable,
    compression: Compression,
    ones: Sequence[Measurement],
    budget: FilterBudget,
    *,
    max_cells: int = sys.maxsize,
) -> Measured:
    """Spend what is left on columns where no pair pays, but for a part on pairs of the label.

    Whoever names a label will predict it, and columns alone tell nothing of it. Its pairs with all
    others, over a few groups of codes each, cost `LABEL_SHARE` of what is left, of which columns
    get much back: a pair tells of both. They are left out where that noise would drown them, or
    their tree have more than ``max_cells``.
    """
    if len(ones) == 1:
        return Measured(compression, ones, [])
    groups = label_groups(table.domain, ones)
    parts = _label_parts(groups.domain, estimate_total(ones), budget)
    pairs: list[Measurement] = []
    if parts and sum(map(groups.domain.cells, parts)) <= max_cells:
        pairs = budget.measure(table.coarsen(groups.groups), parts, WITH_LABEL)
        compression = groups
    shares = budget.parts_like(shares_of_columns(table.domain, ones, budget))
    again = budget.measure(table, shares, "one-way marginals")
    return Measured(compression, combine([*ones, *again]), pairs, unchosen=bool(pairs))


def _label_parts(domain: Domain, total: float, budget: FilterBudget) -> dict[Clique, float]:
    """Return the part of the whole for each pair of the label; none where all would drown."""
    pairs = label_pairs(domain)
    cells = np.array([domain.cells(pair) for pair in pairs], dtype=float)
    weights = cells ** (2 / 3)  # least summed error
    parts = LABEL_SHARE * budget.left * weights / (weights.sum() or 1.0)
    shared = budget.parts_like(dict(zip(pairs, parts.tolist(), strict=True)))
    if not pairs:
        return {}
    noise = cells * [budget.stddev_of(1, shared[pair]) for pair in pairs]
    return shared if MEAN_NOISE * noise.mean() <= LABEL_NOISE * total else {}


@dataclass(frozen=True)
class Scores:
    """Scores of pairs: ``values`` to choose by, and how dependent the pairs were ``found``.

    ``stddev`` is the noise of a score. Where scores are ``of_likely`` pairs alone, these were
    chosen first.
    """

    values: Mapping[Clique, float]
    found: Mapping[Clique, float]
    stddev: float
    of_likely: bool = False


def shares_of_columns(
    domain: Domain, ones: Sequence[Measurement], budget: FilterBudget
) -> dict[Clique, float]:
    """Return the parts in which columns alone share what is left, given earlier answers.

    The error of a column is in proportion to its cells and to its noise; the summed error is
    least where precisions are as their cells to the power 2/3.
    """
    known = np.array([float(np.max(one.stddev)) ** -2 for one in ones]) / budget.whole
    weights = np.array([column_weight(domain, one.clique[0]) for one in ones])
    parts = column_shares(weights, known, budget.left).tolist()
    return {one.clique: part for one, part in zip(ones, parts, strict=True)}


def _score_pairs(
    table: PrivateTable, ones: Sequence[Measurement], errors: PairErrors, budget: FilterBudget
) -> Scores:
    """Return how far each pair seems from independent; nothing where noise would hide it all.

    Values are the noisy L1 distances, less what a sample of independent columns would show,
    shrunk by the part of their spread that is noise. They are not asked for where no pair could
    be worth what it takes from columns. Where those of all pairs would drown, likely pairs are
    chosen first, if choices would be heard, and they alone are scored; so at delta 0 also where all
    would be faint, as their noise is as their number there, not its root.
    """
    domain = table.domain
    every: list[Clique] = list(combinations(domain, 2))
    pairs = [pair for pair in every if domain.cells(pair) <= LARGEST_PAIR]
    total = errors.total
    part = _score_part(len(pairs), total, budget)
    stddev = budget.score_stddev(len(pairs), part)
    if not pairs:
        return Scores({}, {}, stddev)
    choices = None
    drown = stddev > min(BLIND_SCORES * total, LARGEST_SCALE)
    faint = budget.is_pure and stddev > HEARD_SCORES * total
    if drown or (faint and len(pairs) > len(domain)):
        choices = _Choices.of(errors, pairs, budget)
        if choices is None and drown:
            return Scores({}, {}, stddev)
    if choices is not None:
        part = choices.part + _score_part(choices.count, total, budget)
    heard = choices is None and stddev <= HEARD_SCORES * total
    unsure = UNSURE if choices is not None or stddev <= FAINT_SCORES * total else 1.0
    share, left = part / budget.left, budget.precision_left
    if not heard and not errors.could_pay(left, cost=share, unsure=unsure):
        return Scores({}, {}, stddev)
    independent = independent_model(table.domain, ones)
    expected = _pair_counts(independent)
    why = "scores of all pairs"
    if choices is not None:
        pairs, why = choices.make(table, expected, pairs, budget), "scores of likely pairs"
        part = _score_part(len(pairs), total, budget)
        stddev = budget.score_stddev(len(pairs), part)
    noisy = budget.score(Distances(table, expected), pairs, part, why)
    scores = noisy - _chances(expected, pairs)
    found = shrink_scores(errors.dependence(pairs, noisy, stddev), stddev)
    values = shrink_scores(scores, stddev)
    return Scores(
        dict(zip(pairs, values.tolist(), strict=True)),
        dict(zip(pairs, found.tolist(), strict=True)),
        stddev,
        of_likely=choices is not None,
    )


def _score_part(count: int, total: float, budget: FilterBudget) -> float:
    """Return the part of the budget that so many scores are worth."""
    return min(MOST_SCORES, max(LEAST_SCORES, budget.part_for(count, FINE_SCORES * total)))


@dataclass(frozen=True)
class _Choices:
    """Choices of likely pairs by the exponential mechanism: one for each of some columns.

    Noise of scores grows with the root of their number, that of a choice with the logarithm of
    the number of its candidates. These are the pairs of one column, fewer by far than all, and
    each column that depends on another has its own chance to show it. ``bound`` is the range of
    a choice, and ``part`` what all of them cost of the whole budget.
    """

    columns: Sequence[str]
    bound: float
    part: float

    @property
    def count(self) -> int:
        """How many pairs are chosen, at most."""
        return len(self.columns)

    @classmethod
    def of(
        cls, errors: PairErrors, pairs: Sequence[Clique], budget: FilterBudget
    ) -> _Choices | None:
        """Return as many choices as can be heard; None where not even one can be.

        The best of n candidates is missed by 2 sensitivity / range ln(n) on average, at most
        (McSherry & Talwar 2007): by `MISSED` of what a typical pair would have if one column told
        the other. Columns that may depend on others the most come first. There are no more
        choices than scores after them can tell apart.
        """
        attributes = errors.coarse.attributes
        largest = float(np.median(errors.largest_dependence(pairs)))
        if largest <= 0:
            return None
        bound = budget.choice_bound(len(attributes) - 1, MISSED * largest)
        each = budget.choice_part(bound)
        clear = budget.part_for(1, min(BLIND_SCORES * errors.total, LARGEST_SCALE))
        count = min(len(attributes), int(MOST_CHOICES / each), int(MOST_SCORES / clear))
        if not count:
            return None
        impurity = {a: c.impurity for a, c in zip(attributes, errors.columns, strict=True)}
        columns = sorted(attributes, key=impurity.__getitem__, reverse=True)[:count]
        return cls(columns, bound, count * each)

    def make(
        self,
        table: PrivateTable,
        expected: Callable[[Clique], NDArray[np.float64]],
        pairs: Sequence[Clique],
        budget: FilterBudget,
    ) -> list[Clique]:
        """Return a pair for each column: one that is far from independent and not chosen yet."""
        penalties = {pair: expected_distance(expected(pair)) for pair in pairs}
        distances = Distances(table, expected, penalties=penalties)
        of_column: dict[str, list[Clique]] = {column: [] for column in table.domain}
        for pair in pairs:
            for attribute in pair:
                of_column[attribute].append(pair)
        chosen: dict[Clique, None] = {}
        for column in self.columns:
            if left := [pair for pair in of_column[column] if pair not in chosen]:
                chosen[budget.choose(distances, left, self.bound)] = None
        return list(chosen)


def _pair_counts(model: JunctionTreeModel) -> Callable[[Clique], NDArray[np.float64]]:
    """Return the expected counts of pairs: products of columns, unless some cells cannot occur."""
    if model.domain.supports:
        return model.marginal
    columns = {attribute: model.marginal((attribute,)) for attribute in model.domain}
    return ColumnProducts(model.domain, columns, model.total)


def _chances(
    expected: Callable[[Clique], NDArray[np.float64]], pairs: Sequence[Clique]
) -> list[float]:
    """Return the L1 distance of a sample of independent columns from each pair's expectation."""
    if not isinstance(expected, ColumnProducts):
        return [expected_distance(expected(pair)) for pair in pairs]
    roots = {a: float(np.sqrt(np.maximum(c, 0.0)).sum()) for a, c in expected.columns.items()}
    unit = MEAN_NOISE / math.sqrt(expected.total)
    return [unit * roots[first] * roots[second] for first, second in pairs]


def measured_before(table: PrivateTable, part: Filtered, *, coarseness: float) -> Measured | None:
    """Return what `measure_pairs` gave, from the transcript of ``table``; None where it is not.

    For a fit that goes on from a checkpoint: the answers have been paid for, and are not asked
    again.
    """
    answers = [
        answer
        for answer in table.transcript
        if isinstance(answer, MarginalAnswer) and answer.part == part.name
    ]
    found = [Measurement(answer.clique, answer.values, answer.stddev) for answer in answers]
    ones = [one for one in found if len(one.clique) == 1]
    if not ones:
        return None
    first, pairs = ones[: len(table.domain)], [one for one in found if len(one.clique) > 1]
    if any(answer.why == WITH_LABEL for answer in answers):
        return Measured(label_groups(table.domain, first), combine(ones), pairs, unchosen=True)
    return Measured(_compression(table.domain, first, coarseness), combine(ones), pairs)


def made_records(found: Measured, domain: Domain) -> Codes:
    """Return records that the model of a one-shot fit makes, over its groups: always the same.

    Post-processing: a public seed draws as many as a training may want, MADE.
    """
    codes = found.model(domain).sample(MADE, np.random.default_rng(MADE_SEED))
    groups = found.compression.groups
    return np.stack([groups[a][codes[:, axis]] for axis, a in enumerate(domain)], axis=1)


@dataclass(frozen=True)
class FilterBudget:
    """A filter of Gaussian DP that pays for answers about one table, in parts of the whole.

    At delta 0 one of pure DP, whose answers have Laplace noise: of a part p of epsilon the noise
    is as 1 / p. What is decided by precisions takes it for one of Gaussian DP that gives as many
    answers as there are columns, and pairs of a tree, the same noise.
    """

    table: PrivateTable
    part: Filtered
    rng: np.random.Generator

    @property
    def left(self) -> float:
        """The part of the whole that is not spent."""
        left = self.table.payer.left(self.part) / (self.part.amount or 1.0)
        return left * CLEAR_OF_ROUNDING

    @property
    def is_pure(self) -> bool:
        """Whether it adds up epsilons, for a budget of delta 0."""
        return self.part.currency == "pure"

    @property
    def whole(self) -> float:
        """The precision, 1 / stddev^2, of one marginal that costs the whole."""
        if self.is_pure:
            return (self.stddev_of(1, 1.0)) ** -2 / max(1, 2 * len(self.table.domain) - 1)
        return self._amount / self._sensitivity**2

    @property
    def precision_left(self) -> float:
        """The precision, 1 / stddev^2, of one marginal that costs all that is left."""
        if self.is_pure:
            return self.left**2 * self.whole
        return self.left * self._amount / self._sensitivity**2

    def parts_like(self, parts: dict[Clique, float]) -> dict[Clique, float]:
        """Return parts of the same sum by which the same weighted error is least.

        Where errors are sums of w * noise, parts are as w^(2/3) of a filter of Gaussian DP, which
        is what they are thought for, and as w^(1/2) of one of pure DP.
        """
        if not self.is_pure:
            return parts
        weights = {clique: part**0.75 for clique, part in parts.items()}
        unit = math.fsum(parts.values()) / (math.fsum(weights.values()) or 1.0)
        return {clique: weight * unit * CLEAR_OF_ROUNDING for clique, weight in weights.items()}

    def measure(
        self, table: PrivateTable, parts: dict[Clique, float], why: str
    ) -> list[Measurement]:
        """Measure each clique at the cost of its part of the whole, unless noise is too large.

        Those of equal parts stand together, as in the transcript.
        """
        alike: dict[float, list[Clique]] = {}
        for clique, part in parts.items():
            if self.stddev_of(1, part) <= LARGEST_SCALE:
                alike.setdefault(part, []).append(clique)
        return [
            measurement
            for part, cliques in alike.items()
            for measurement in measure(table, cliques, self._counts(part), self.rng, why=why)
        ]

    def score(
        self, distances: Distances, pairs: list[Clique], part: float, why: str
    ) -> NDArray[np.float64]:
        """Score all these pairs at the cost of a part of the whole."""
        answers: FilteredGaussian | FilteredLaplace
        if self.is_pure:
            moved = round(self._score_sensitivity)
            answers = FilteredLaplace(self.part, len(pairs) / (part * self._amount), moved)
        else:
            answers = self._answers(len(pairs), part)
        return measure_distances(distances, pairs, answers, self.rng, why=why)

    def choose(self, distances: Distances, pairs: list[Clique], bound: float) -> Clique:
        """Choose one of the pairs by the exponential mechanism of this range."""
        choice = FilteredSelection(self.part, bound)
        return select(distances, pairs, choice, self.rng, why="a likely partner of a column")

    def choice_bound(self, count: int, missed: float) -> float:
        """Return the range at which a choice among so many misses no more on average."""
        return 2 * self._score_sensitivity / missed * math.log(max(count, 2))

    def choice_part(self, bound: float) -> float:
        """Return the part of the whole that a choice of this range costs."""
        return cost(Selection(bound), self.part.currency) / (self.part.amount or 1.0)

    def score_stddev(self, count: int, part: float) -> float:
        """Return the noise of so many scores that cost a part of the whole together."""
        if self.is_pure:
            return self.stddev_of(count, part)
        return math.sqrt(count / (part * self._amount)) * self._score_sensitivity

    def part_for(self, count: int, stddev: float) -> float:
        """Return the part of the whole at which so many scores have this noise."""
        if self.is_pure:
            return self.stddev_of(count, 1.0) / stddev
        return count * (self._score_sensitivity / stddev) ** 2 / self._amount

    def _counts(self, part: float) -> FilteredGaussian | FilteredLaplace:
        """Return what pays for a marginal at the cost of a part of the whole."""
        if not self.is_pure:
            return self._answers(1, part)
        return laplace_counts(self.table, self.part, 1 / (part * self._amount))

    def stddev_of(self, count: int, part: float) -> float:
        """Return about the noise of so many marginals that cost a part of the whole together."""
        if self.is_pure:  # the L1 sensitivity of a marginal is that of a score
            return math.sqrt(2) * self._score_sensitivity * count / (part * self._amount)
        return self._sensitivity * math.sqrt(count / (part * self._amount))

    def _answers(self, count: int, part: float) -> FilteredGaussian:
        return FilteredGaussian(self.part, math.sqrt(count / (part * self._amount)))

    @property
    def _amount(self) -> float:
        amount = self.part.amount or 0.0
        return 2 * amount if self.part.currency == "zcdp" else amount  # rho is half of mu^2

    @property
    def _sensitivity(self) -> float:
        return marginal_sensitivity(self.table.adjacency, self.table.payer.budget.max_rows)

    @property
    def _score_sensitivity(self) -> float:
        return l1_distance_sensitivity(self.table.adjacency, self.table.payer.budget.max_rows)


def laplace_counts(table: PrivateTable, part: Filtered, multiplier: float) -> FilteredLaplace:
    """Return what pays for a marginal with Laplace noise of this scale over its L1 sensitivity."""
    rows, replaced = table.payer.budget.max_rows, table.adjacency != "add_remove"
    return FilteredLaplace(part, multiplier, rows, replaced)


def settled_columns(domain: Domain, ones: Sequence[Measurement]) -> list[Measurement]:
    """Return the measurements of columns, their values histograms that noise may hide."""
    total = estimate_total(ones)
    orders = dict(zip(domain.attributes, domain.ordered, strict=True))
    return [
        replace(one, values=averaged_histogram(one, orders[one.clique[0]], total)) for one in ones
    ]
