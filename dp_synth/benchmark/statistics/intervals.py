"""What seeds say of a mean: 95 % intervals, and none where there is nothing to make one of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.benchmark.statistics.failures import failed_cells
from dp_synth.benchmark.statistics.methods import SERIES, values_of
from dp_synth.errors import InputError

LEVEL = 0.95
RESAMPLES = 10_000
FEWEST_RESAMPLED = 8
KINDS = ("t", "bootstrap")

Kind = Literal["t", "bootstrap"]
Ends = tuple[float, float]
COLUMNS = [*SERIES, "metric", "mean", "low", "high", "seeds", "failed", "note"]


def over_seeds(records: pd.DataFrame, interval: Kind = "t") -> pd.DataFrame:
    """Return the mean over seeds of every series and metric with its 95 % interval.

    Columns are those that make a series (dataset, task, synthesizer, settings, epsilon, delta,
    adjacency), ``metric``, ``mean``, ``low``, ``high``, ``seeds`` (that ended), ``failed`` (how
    many did not) and ``note``. Where an interval cannot be had, ``low`` and ``high`` are NaN and
    the note says why. Seeds differ in what is drawn by fit and sample (and in ``leakage`` by the
    game): an interval is about these, not about another table. Failed cells have no part in a
    mean; ``adjusted`` gives them a score.
    """
    if interval not in KINDS:
        raise InputError(f"an interval is one of {', '.join(KINDS)}, got {interval!r}")
    rows = []
    keys = [*SERIES, "metric"]
    for series, group in values_of(records).groupby(keys, dropna=False, sort=True):
        values = group["value"].to_numpy(float)
        ends = INTERVALS[interval](values)
        low, high = ends or (np.nan, np.nan)
        note = "" if ends else _why_none(len(values), interval)
        rows.append((*series, float(values.mean()), low, high, len(values), note))
    means = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "failed"])
    return _with_failed(means, records)[COLUMNS]


def t_interval(values: Sequence[float] | NDArray[np.float64]) -> Ends | None:
    """Return Student's 95 % interval of the mean (Student 1908); None of fewer than two values.

    It is exact for normal values however few they are, which is why it is the default of seeds.

    >>> [round(end, 4) for end in t_interval([1.0, 2.0, 3.0])]
    [-0.4841, 4.4841]
    """
    from scipy.special import stdtrit

    numbers = np.asarray(values, float)
    if len(numbers) < 2:
        return None
    error = float(numbers.std(ddof=1)) / len(numbers) ** 0.5
    half = float(stdtrit(len(numbers) - 1, (1 + LEVEL) / 2)) * error
    mean = float(numbers.mean())
    return mean - half, mean + half


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.float64], *, seed: int = 0
) -> Ends | None:
    """Return the BCa bootstrap's 95 % interval of the mean; None of fewer than eight values.

    Efron 1987, as Efron & Tibshirani 1993, sect. 14.3: percentiles of resampled means, moved for
    bias and skewness.
    A plain percentile interval would leave out of account just that skewness for which one would
    want to leave the t-interval. Resampled values vary too little, by the factor
    ``sqrt((n - 1) / n)`` and by the missing tails of t, so that percentiles farther out are taken
    (Hesterberg 2015, sect. 5.3). Of fewer than eight values none is given: of these no percentile
    lies far enough.
    """
    from scipy.special import ndtr, ndtri, stdtrit

    numbers = np.asarray(values, float)
    if len(numbers) < FEWEST_RESAMPLED:
        return None
    mean = float(numbers.mean())
    if np.ptp(numbers) == 0:
        return mean, mean
    rng = np.random.default_rng(seed)
    means = numbers[rng.integers(len(numbers), size=(RESAMPLES, len(numbers)))].mean(axis=1)
    below = (np.count_nonzero(means < mean) + np.count_nonzero(means <= mean)) / (2 * RESAMPLES)
    bias = float(ndtri(below))
    apart = numbers - mean
    acceleration = float((apart**3).sum() / (6 * (apart**2).sum() ** 1.5))
    count = len(numbers)
    reach = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * (count / (count - 1)) ** 0.5
    z = bias + reach * np.array([-1.0, 1.0])
    low, high = np.quantile(means, ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


INTERVALS: MappingProxyType[str, Callable[[NDArray[np.float64]], Ends | None]] = MappingProxyType(
    {"t": t_interval, "bootstrap": bootstrap_interval}
)


def _why_none(seeds: int, interval: Kind) -> str:
    if seeds == 1:
        return "one seed: no interval"
    return f"{seeds} seeds: no {interval} interval of fewer than {FEWEST_RESAMPLED}"


def _with_failed(means: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    counts = failed_cells(records).groupby(list(SERIES), dropna=False)["seed"].nunique()
    known = dict(zip(map(_plain, counts.index), counts, strict=True))
    series = means[list(SERIES)].itertuples(index=False)
    return means.assign(failed=[int(known.get(_plain(key), 0)) for key in series])


def _plain(key: Sequence[object]) -> tuple[object, ...]:
    """Return a key under which all kinds of missing are one."""
    return tuple(None if pd.isna(part) else part for part in key)  # type: ignore[call-overload]
