"""Comparisons of methods: pairs seed by seed, ranks over tables, tests of no difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import inf, isinf, isnan, sqrt

import numpy as np
import pandas as pd

from dp_synth.benchmark.statistics.scores import FLOOR, Better, adjusted, better, values_of_metric
from dp_synth.errors import InputError, missing_extra
from dp_synth.extensions import nearest
from dp_synth.formatting import rounded_up
from dp_synth.records import BLOCK, t_interval
from dp_synth.types import Floats

DRAWS = 100_000  # ways to place signs; where there are no more, all of them are tried
BATCH = 10_000
DECIMALS = 9  # of the largest: differences that agree so far are tied
TIED_DECIMALS = 12  # scores that agree so far are tied
LEVEL = 0.05
FEWEST_BLOCKS = 3
FEWEST_METHODS = 3
NOTHING_LEFT = 1e-9  # of chi-squared, below its largest value

Groups = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Comparison:
    """Differences first - second at one table and budget, over ``pairs`` seeds.

    ``p_mean`` is of the sign-flip test of the mean, ``p_wilcoxon`` of the signed-rank test, and
    ``p_holm`` the former, corrected for all comparisons made together. ``low`` and ``high`` are
    None for one pair.
    """

    dataset: str
    epsilon: float | None
    delta: float | None
    adjacency: str | None
    pairs: int
    mean: float
    low: float | None
    high: float | None
    p_mean: float
    p_wilcoxon: float
    p_holm: float

    @property
    def least_p_value(self) -> float:
        """The least p-value that so many pairs can give, whatever the differences are."""
        ways = 2.0**self.pairs
        return min(1.0, 2 / ways) if ways <= DRAWS else 1 / (1 + DRAWS)

    def __str__(self) -> str:
        place = (
            self.dataset
            if self.epsilon is None
            else f"{self.dataset}, epsilon {rounded_up(self.epsilon, 6)}"
        )
        ends = "no interval of one pair"
        if self.low is not None and self.high is not None:
            ends = f"[{self.low:+.4f}, {self.high:+.4f}]"
        return (
            f"{place}: {self.mean:+.4f} {ends}, {self.pairs} pairs, p {self.p_mean:.4g} "
            f"(signed ranks {self.p_wilcoxon:.4g}, Holm {self.p_holm:.4g}, "
            f"least possible {self.least_p_value:.4g})"
        )


@dataclass(frozen=True)
class Paired:
    """Two methods by one metric: a comparison for each table and budget that both were run at."""

    first: str
    second: str
    metric: str
    task: str
    better: Better
    comparisons: tuple[Comparison, ...]

    def __str__(self) -> str:
        head = f"{self.first} - {self.second}, {self.metric} ({self.better} is better):"
        return "\n".join([head, *(f"  {comparison}" for comparison in self.comparisons)])


def paired(
    records: pd.DataFrame, first: str, second: str, metric: str, *, task: str = "utility"
) -> Paired:
    """Return the differences of two methods, seed by seed, at each table and budget.

    In the task ``leakage`` cells of one seed share their members and targets. In ``utility`` they
    share the table alone, so that pairs gain nothing there, and cost no more than a few degrees
    of freedom. Tables and budgets are not pooled: their differences have other scales, and cells
    of several epsilons share their seeds. A baseline, which has no epsilon, is paired with each
    of the other's. Seeds at which either failed have no pair. InputError where there is none.
    """
    if first == second:
        raise InputError(f"{first} cannot be compared with itself; name two methods")
    values = values_of_metric(records, metric, task)
    one, other = (_of_method(values, name) for name in (first, second))
    keys = ["dataset", "seed"]
    if one["epsilon"].notna().all() and other["epsilon"].notna().all():
        keys = [*BLOCK, "seed"]
    elif one["epsilon"].isna().all():
        one = one[[*keys, "value"]]
    else:
        other = other[[*keys, "value"]]
    pairs = one.merge(other, on=keys, suffixes=("_first", "_second"))
    if pairs.empty:
        raise InputError(
            f"{first} and {second} have no seed of {metric} in common at one table and budget"
        )
    for name in BLOCK:
        pairs[name] = pairs.get(name, None)
    pairs["difference"] = pairs["value_first"] - pairs["value_second"]
    groups = [group for _, group in pairs.groupby(list(BLOCK), dropna=False)]
    p_values = [sign_flip_p_value(group["difference"].to_numpy(float)) for group in groups]
    comparisons = tuple(map(_compared, groups, p_values, holm(p_values)))
    return Paired(first, second, metric, task, better(metric, task), comparisons)


def _of_method(values: pd.DataFrame, name: str) -> pd.DataFrame:
    found = values[values["method"] == name]
    if found.empty:
        known = sorted(values["method"].unique())
        raise InputError(f"no method {name!r} has this metric; {nearest(name, known)}")
    return found[[*BLOCK, "seed", "value"]]


def _compared(group: pd.DataFrame, p_mean: float, p_holm: float) -> Comparison:
    differences = group["difference"].to_numpy(float)
    first = group.iloc[0].to_dict()
    low, high = t_interval(differences) or (None, None)
    return Comparison(
        dataset=str(first["dataset"]),
        epsilon=_number(first["epsilon"]),
        delta=_number(first["delta"]),
        adjacency=None if pd.isna(first["adjacency"]) else str(first["adjacency"]),
        pairs=len(differences),
        mean=float(differences.mean()),
        low=low,
        high=high,
        p_mean=p_mean,
        p_wilcoxon=signed_rank_p_value(differences),
        p_holm=p_holm,
    )


def _number(value: float | None) -> float | None:
    return None if value is None or isnan(value) else float(value)


def sign_flip_p_value(differences: Sequence[float] | Floats, *, seed: int = 0) -> float:
    """Return the two-sided p-value of the sum, were each sign as likely as its opposite.

    Fisher 1935, sect. 21. Exact up to 16 differences: every way to place the signs is summed.
    Beyond that signs are drawn and the observed ones counted among them, so that the p-value
    still bounds the error (Phipson & Smyth 2010).

    >>> sign_flip_p_value([1.0, 2.0, 3.0, 4.0, 5.0])
    0.0625
    """
    from scipy.stats import permutation_test

    if len(differences) < 2:
        return 1.0
    numbers = np.asarray(differences, float) / (float(np.abs(differences).max()) or 1.0)

    def size_of_sum(signed: Floats, axis: int) -> Floats:
        # Sums that are one in exact arithmetic must not differ by an order of summation.
        sums: Floats = np.abs(np.round(signed.sum(axis=axis), DECIMALS))
        return sums

    found = permutation_test(
        (numbers,),
        size_of_sum,
        permutation_type="samples",
        n_resamples=DRAWS,
        batch=BATCH,
        alternative="greater",
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def signed_rank_p_value(differences: Sequence[float] | Floats) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test, exact as ``sign_flip_p_value``.

    Wilcoxon 1945: differences of zero are dropped, tied ones share their mean rank, and the law
    is that of the ranks at hand, so that ties cost no exactness.
    """
    from scipy.stats import rankdata

    numbers = np.asarray(differences, float)
    numbers = np.round(numbers / (float(np.abs(numbers).max(initial=0.0)) or 1.0), DECIMALS)
    numbers = numbers[numbers != 0]
    return sign_flip_p_value(np.sign(numbers) * rankdata(np.abs(numbers)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in their order (Holm 1979).

    >>> [round(p_value, 3) for p_value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError:
        raise missing_extra("Holm's correction", "statsmodels", "benchmark") from None
    return [float(p) for p in multipletests(p_values, method="holm")[1]] if len(p_values) else []


@dataclass(frozen=True)
class Friedman:
    """Friedman's chi-squared and the F of Iman and Davenport, each with its p-value.

    The first is known to be too careful; decide by the second (Demsar 2006, sect. 3.2.2).
    """

    chi_squared: float
    p_chi_squared: float
    f: float
    p_f: float

    @property
    def rejects(self) -> bool:
        """Whether methods differ at all, at the level of 5 %."""
        return self.p_f < LEVEL

    def __str__(self) -> str:
        return (
            f"Friedman chi-squared {self.chi_squared:.2f} (p {self.p_chi_squared:.3g}), "
            f"Iman-Davenport F {self.f:.2f} (p {self.p_f:.3g})"
        )


@dataclass(frozen=True, eq=False)
class Tests:
    """What ranks over blocks tell apart, at the level of 5 %.

    ``pairs`` has columns ``first``, ``second``, ``p_wilcoxon`` and ``p_holm``. ``groups`` are the
    runs of neighbours in rank among whom Nemenyi's test finds no difference, ``holm_groups``
    those of the signed-rank tests, then each pair beyond them that these do not tell apart
    either; where Friedman's test finds none, all methods are one group.
    """

    friedman: Friedman
    critical_difference: float
    pairs: pd.DataFrame
    groups: Groups
    holm_groups: Groups
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return all of it as JSON can hold it; an infinite F is None."""
        friedman = asdict(self.friedman)
        return {
            "friedman": friedman | {"f": None if isinf(self.friedman.f) else self.friedman.f},
            "critical_difference": self.critical_difference,
            "pairs": self.pairs.to_dict("records"),
            "groups": [list(group) for group in self.groups],
            "holm_groups": [list(group) for group in self.holm_groups],
        }

    def __str__(self) -> str:
        lines = [str(self.friedman)]
        lines.append(f"critical difference (Nemenyi, 5 %): {self.critical_difference:.3f}")
        lines += [f"  not told apart: {', '.join(group)}" for group in self.groups]
        lines.append("signed-rank tests of pairs after Holm's correction, 5 %:")
        lines += [f"  not told apart: {', '.join(group)}" for group in self.holm_groups]
        return "\n".join(lines)


def why_no_tests(blocks: int, methods: int) -> str:
    """Return why no test can be made of so many ranks, empty where it can.

    >>> why_no_tests(2, 4)
    'no test: 2 blocks, and Friedman needs 3 or more'
    """
    if blocks < FEWEST_BLOCKS:
        named = "1 block" if blocks == 1 else f"{blocks} blocks"
        return f"no test: {named}, and Friedman needs {FEWEST_BLOCKS} or more"
    if methods < FEWEST_METHODS:
        return f"no test: {methods} methods, and Friedman needs {FEWEST_METHODS} or more"
    return ""


def tests_of(scores: pd.DataFrame, ranks: pd.DataFrame) -> Tests:
    """Return all tests of ``ranks`` (blocks, methods), columns in the order of mean rank.

    Pairs are tested on ``scores`` themselves: whether mean ranks of two methods differ depends on
    which others are ranked beside them (Benavoli, Corani & Mangili 2016).
    """
    methods = list(ranks.columns)
    means = dict(zip(methods, ranks.mean().to_list(), strict=True))
    friedman = friedman_test(ranks)
    least = critical_difference(len(methods), len(ranks))
    pairs = signed_rank_pairs(scores[methods])
    names = zip(pairs["first"], pairs["second"], strict=True)
    p_values = dict(zip(names, pairs["p_holm"].to_list(), strict=True))
    if friedman.rejects:
        groups = _groups(methods, lambda one, other: means[other] - means[one] < least)
        runs = _groups(methods, lambda one, other: p_values[one, other] >= LEVEL)
        alike = [pair for pair, p_value in p_values.items() if p_value >= LEVEL]
        holm_groups = (*runs, *(p for p in alike if not any({*p} <= {*run} for run in runs)))
    else:
        groups = holm_groups = (tuple(methods),)
    notes = _notes_on_tests(friedman, len(ranks), len(pairs))
    return Tests(friedman, least, pairs, groups, holm_groups, notes)


def friedman_test(ranks: pd.DataFrame) -> Friedman:
    """Return Friedman's test of ``ranks`` of shape (blocks, methods), corrected for ties.

    Friedman 1937, with ties as Conover 1999, sect. 5.8; F by Iman & Davenport 1980. Where every
    rank is tied nothing speaks against equal methods: p is 1.
    """
    from scipy.special import fdtrc
    from scipy.stats import friedmanchisquare

    blocks, freedom = len(ranks), ranks.shape[1] - 1
    if (ranks.nunique(axis=1) == 1).all():
        return Friedman(0.0, 1.0, 0.0, 1.0)
    chi_squared, p_chi_squared = map(float, friedmanchisquare(*ranks.to_numpy().T))
    left = blocks * freedom - chi_squared
    if left < NOTHING_LEFT:  # every block has the same order
        return Friedman(chi_squared, p_chi_squared, inf, 0.0)
    f = (blocks - 1) * chi_squared / left
    return Friedman(chi_squared, p_chi_squared, f, float(fdtrc(freedom, freedom * (blocks - 1), f)))


def critical_difference(methods: int, blocks: int) -> float:
    """Return by how much mean ranks must differ to be told apart at 5 %.

    Nemenyi 1963, as Demsar 2006, sect. 3.2.2: quantiles of the studentized range over sqrt(2).

    >>> round(critical_difference(methods=4, blocks=14), 2)
    1.25
    """
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1 - LEVEL, methods, inf)) / sqrt(2)
    return quantile * sqrt(methods * (methods + 1) / (6 * blocks))


def signed_rank_pairs(scores: pd.DataFrame) -> pd.DataFrame:
    """Return Wilcoxon's p-value of every pair of columns over the rows, raw and after Holm."""
    names = list(combinations(scores.columns, 2))
    p_values = [signed_rank_p_value((scores[a] - scores[b]).to_numpy(float)) for a, b in names]
    rows = [(*pair, *found) for pair, *found in zip(names, p_values, holm(p_values), strict=True)]
    return pd.DataFrame(rows, columns=["first", "second", "p_wilcoxon", "p_holm"])


def _groups(methods: Sequence[str], alike: Callable[[str, str], bool]) -> Groups:
    """Return the longest runs of two or more neighbours of whom each two are ``alike``."""
    runs: list[tuple[int, int]] = []
    for start in range(len(methods)):
        end = start + 1
        while end < len(methods) and all(alike(m, methods[end]) for m in methods[start:end]):
            end += 1
        if end - start > 1 and (not runs or end > runs[-1][1]):
            runs.append((start, end))
    return tuple(tuple(methods[start:end]) for start, end in runs)


def _notes_on_tests(friedman: Friedman, blocks: int, pairs: int) -> tuple[str, ...]:
    notes = []
    if not friedman.rejects:
        notes.append("Friedman finds no difference between methods at 5 %: no pair is told apart")
    least = 2.0 ** (1 - blocks) * pairs
    if least > LEVEL:
        notes.append(
            f"signed ranks of {pairs} pairs over {blocks} blocks cannot tell any pair apart: "
            f"the least p-value after Holm is {min(1.0, least):.3g}"
        )
    return tuple(notes)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Mean ranks of methods over blocks, 1 being best, and which of them can be told apart.

    ``scores`` and ``ranks`` have a row a block (table and budget) and a column a method.
    ``failures`` counts the cells of each method that failed and took another score. ``notes``
    say what else a reader must know: why there is no test, what was left out.
    """

    metric: str
    task: str
    better: Better
    scores: pd.DataFrame
    ranks: pd.DataFrame
    mean_ranks: Mapping[str, float]  # best first
    failures: Mapping[str, int]
    tests: Tests | None
    notes: tuple[str, ...]

    @property
    def blocks(self) -> int:
        """How many tables and budgets were ranked over."""
        return len(self.ranks)

    @property
    def critical_difference(self) -> float | None:
        """Nemenyi's critical difference of mean ranks; None where there is no test."""
        return None if self.tests is None else self.tests.critical_difference

    @property
    def groups(self) -> Groups:
        """The runs of methods that Nemenyi's test cannot tell apart."""
        return () if self.tests is None else self.tests.groups

    def to_dict(self) -> dict[str, object]:
        """Return all of it as JSON can hold it."""
        scores = self.scores.reset_index().to_dict("records")
        return {
            "metric": self.metric,
            "task": self.task,
            "better": self.better,
            "blocks": [{str(name): value for name, value in row.items()} for row in scores],
            "mean_ranks": dict(self.mean_ranks),
            "failures": dict(self.failures),
            "tests": None if self.tests is None else self.tests.to_dict(),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        over = "1 block" if self.blocks == 1 else f"{self.blocks} blocks"
        lines = [f"{self.metric} ({self.better} is better), mean ranks over {over}:"]
        width = max(map(len, self.mean_ranks))
        for method, rank in self.mean_ranks.items():
            failed = self.failures[method]
            said = f"  ({failed} failed)" if failed else ""
            lines.append(f"  {rank:5.2f}  {method:<{width}}{said}".rstrip())
        if self.tests is not None:
            lines.append(str(self.tests))
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def ranking(
    records: pd.DataFrame,
    metric: str,
    epsilon: float | None = None,
    *,
    task: str = "utility",
    methods: Sequence[str] | None = None,
    floor: str = FLOOR,
) -> Ranking:
    """Return how fitted methods rank by ``metric`` over tables, as Demsar 2006 compares them.

    A block is a table at ``epsilon``; without it, a table at each epsilon. A score is the mean
    over seeds, failed ones with the score that ``adjusted`` gives them. Ranked are ``methods``, all
    by default, over the blocks in which each of them was run. Ties share their mean rank.
    """
    cells = adjusted(records, metric, task=task, floor=floor)
    chosen = _chosen(cells, epsilon, methods)
    table = chosen.pivot_table(
        index=list(BLOCK), columns="method", values="value", aggfunc="mean"
    ).round(TIED_DECIMALS)
    scores = table.dropna()
    if scores.empty:
        raise InputError(
            "no table and budget has a score of every method; name methods that were run together"
        )
    way = better(metric, task)
    ranks = scores.rank(axis=1, ascending=way == "lower")
    used = chosen[pd.MultiIndex.from_frame(chosen[list(BLOCK)]).isin(scores.index)]
    failures = used.groupby("method")["failed"].sum()
    means = ranks.mean().sort_values(kind="stable")
    why = why_no_tests(*ranks.shape)
    tests = None if why else tests_of(scores, ranks[means.index])
    notes = [why] if tests is None else tests.notes
    return Ranking(
        metric=metric,
        task=task,
        better=way,
        scores=scores,
        ranks=ranks,
        mean_ranks={str(name): float(rank) for name, rank in means.items()},
        failures={str(name): int(count) for name, count in failures.items()},
        tests=tests,
        notes=(*_notes_on_blocks(table, scores, used), *notes),
    )


def _chosen(
    cells: pd.DataFrame, epsilon: float | None, methods: Sequence[str] | None
) -> pd.DataFrame:
    if epsilon is not None:
        known = ", ".join(f"{value:g}" for value in sorted(cells["epsilon"].unique()))
        cells = cells[cells["epsilon"] == epsilon]
        if cells.empty:
            raise InputError(f"no cell at epsilon {epsilon:g}; there are: {known}")
    names = sorted(cells["method"].unique())
    strange = [name for name in methods or () if name not in names]
    if strange:
        raise InputError(f"no method {strange[0]!r} was fitted; {nearest(strange[0], names)}")
    chosen = names if methods is None else list(dict.fromkeys(methods))
    if len(chosen) < 2:
        raise InputError(f"a ranking is of two methods or more, got {', '.join(chosen) or 'none'}")
    return cells[cells["method"].isin(chosen)]


def _notes_on_blocks(table: pd.DataFrame, scores: pd.DataFrame, used: pd.DataFrame) -> list[str]:
    notes = []
    if len(table) > len(scores):
        notes.append(f"{len(table) - len(scores)} blocks without a score of each method left out")
    if scores.index.get_level_values("dataset").has_duplicates:
        notes.append(
            "several budgets of one table are no independent blocks: p-values are too small"
        )
    failed = used[used["failed"]]
    if len(failed):
        took = ", ".join(sorted(failed["took"].unique()))
        notes.append(f"{len(failed)} failed cells took the score of: {took}")
    return notes
