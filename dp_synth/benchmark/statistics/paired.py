"""Two methods on the same seeds: differences, their interval, and exact tests of no difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.benchmark.statistics.direction import Better, better
from dp_synth.benchmark.statistics.intervals import t_interval
from dp_synth.benchmark.statistics.methods import BLOCK, values_of_metric
from dp_synth.errors import InputError
from dp_synth.extensions import nearest
from dp_synth.rounding import rounded_up

MOST_ENUMERATED = 20  # pairs: a million ways to place the signs
DRAWS = 100_000
CLOSE = 1e-9  # relative: sums so near are one sum in exact arithmetic
DECIMALS = 9  # of the largest: differences that agree so far are tied

Floats = NDArray[np.float64]


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
        if self.pairs > MOST_ENUMERATED:
            return 1 / (1 + DRAWS)
        return min(1.0, 2.0 ** (1 - self.pairs))

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
    return Paired(first, second, metric, task, better(metric, task), _comparisons(pairs))


def _of_method(values: pd.DataFrame, name: str) -> pd.DataFrame:
    found = values[values["method"] == name]
    if found.empty:
        known = sorted(values["method"].unique())
        raise InputError(f"no method {name!r} has this metric; {nearest(name, known)}")
    return found[[*BLOCK, "seed", "value"]]


def _comparisons(pairs: pd.DataFrame) -> tuple[Comparison, ...]:
    groups = [group for _, group in pairs.groupby(list(BLOCK), dropna=False)]
    p_values = [sign_flip_p_value(group["difference"].to_numpy(float)) for group in groups]
    return tuple(map(_compared, groups, p_values, holm(p_values)))


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

    Fisher 1935, sect. 21. Exact up to 20 differences: every way to place the signs is summed.
    Beyond that signs are drawn and the observed ones counted among them, so that the p-value
    still bounds the error (Phipson & Smyth 2010).

    >>> sign_flip_p_value([1.0, 2.0, 3.0, 4.0, 5.0])
    0.0625
    """
    sizes = np.abs(np.asarray(differences, float))
    observed = abs(float(np.asarray(differences, float).sum())) - CLOSE * float(sizes.sum())
    if len(sizes) > MOST_ENUMERATED:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(DRAWS, len(sizes)))
        return float((1 + np.count_nonzero(np.abs(signs @ sizes) >= observed)) / (1 + DRAWS))
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    return float(np.mean(np.abs(sums) >= observed))


def signed_rank_p_value(differences: Sequence[float] | Floats) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test, exact as ``sign_flip_p_value``.

    Wilcoxon 1945: differences of zero are dropped, tied ones share their mean rank, and the law
    is that of the ranks at hand, so that ties cost no exactness.
    """
    from scipy.stats import rankdata

    numbers = np.asarray(differences, float)
    largest = float(np.abs(numbers).max(initial=0.0))
    if not largest:
        return 1.0
    numbers = np.round(numbers / largest, DECIMALS)
    numbers = numbers[numbers != 0]
    return sign_flip_p_value(np.sign(numbers) * rankdata(np.abs(numbers)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in their order (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p_values[i]))
        corrected[i] = largest
    return corrected
