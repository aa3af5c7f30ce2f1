"""Scores of methods over seeds: means with intervals, failed cells, shares of real rows as a scale.

All take the table of records and look at no data. Nothing is pooled that has not the same budget.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import inf, isnan
from types import MappingProxyType
from typing import Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth import extensions
from dp_synth.benchmark.cell import SAMPLE_OF_ROWS
from dp_synth.errors import InputError
from dp_synth.extensions import nearest
from dp_synth.readers import parse_json
from dp_synth.records import BLOCK, CELL, LEVEL, SERIES, method_names, t_interval
from dp_synth.types import Floats

Better = Literal["lower", "higher"]
Kind = Literal["t", "bootstrap"]
Ends = tuple[float, float]

NEEDED = (*CELL, "metric", "value", "error")
FLOOR = "independent_without_noise"
WORST = "worst_observed"
SCORE_COLUMNS = [*BLOCK, "synthesizer", "settings", "method", "seed"]
SCORE_COLUMNS += ["value", "failed", "took", "error"]
MEAN_COLUMNS = [*SERIES, "metric", "mean", "low", "high", "seeds", "failed", "note"]
RESAMPLES = 10_000
FEWEST_RESAMPLED = 8
WHOLE = "real_rows"  # a sample of 100 %
SCALE_BASELINES = (SAMPLE_OF_ROWS, WHOLE)
BELOW, ABOVE = 0.0, inf  # the shares of a score that is off the scale


def values_of(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records that hold a value, each cell and metric once.

    Cells that were run live, only to stand beside their records, are left out. InputError where
    records have two different values of one thing: they are then of two versions of the code.
    """
    kept = recorded(records)
    kept = kept[(kept["error"] == "") & kept["value"].notna()]
    kept = kept.drop_duplicates([*CELL, "metric", "value"])
    twice = kept[kept.duplicated([*CELL, "metric"])]
    if len(twice):
        row = twice.iloc[0]
        raise InputError(
            f"two different values of {row['metric']} for {row['synthesizer']} on {row['dataset']},"
            f" epsilon {row['epsilon']:g}, seed {row['seed']}: give the records of one version"
        )
    return kept


def recorded(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records without those of live cells; InputError where they lack a column."""
    lacking = [name for name in NEEDED if name not in records]
    if lacking:
        raise InputError(f"not records of a benchmark: no column {', '.join(lacking)}")
    kept = records[~records["live"].astype(bool)] if "live" in records else records
    return kept.assign(error=kept["error"].fillna(""), metric=kept["metric"].fillna(""))


def values_of_metric(records: pd.DataFrame, metric: str, task: str) -> pd.DataFrame:
    """Return the values of one metric of one task with a column ``method``.

    InputError where there are none, naming the metrics that there are.
    """
    kept = of_task(records, task)
    found = values_of(kept)
    chosen = found[found["metric"] == metric]
    if chosen.empty:
        known = sorted(found["metric"].unique())
        raise InputError(f"no {task} record has the metric {metric!r}; {nearest(metric, known)}")
    return with_method(chosen, method_names(kept))


def of_task(records: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the records of one task, without those of live cells."""
    kept = recorded(records)
    return kept[kept["task"] == task]


def with_method(rows: pd.DataFrame, names: dict[tuple[str, str], str]) -> pd.DataFrame:
    """Return ``rows`` with the column ``method``."""
    keys = zip(rows["synthesizer"], rows["settings"], strict=True)
    return rows.assign(method=[names[key] for key in keys])


def better(metric: str, task: str = "utility") -> Better:
    """Return which end of ``metric`` is good: for the data of a cell, not for its attacker.

    A metric of ours or of an installed package says it of itself; InputError where none does. In
    the task ``leakage`` an ``auc`` is an attack's unless it is named after a model.

    >>> better("tv2_holdout"), better("auc:gradient_boosting"), better("subgroups:auc_gap")
    ('lower', 'higher', 'lower')
    >>> better("auc:density_ratio:isolated", "leakage"), better("auc:gradient_boosting", "leakage")
    ('lower', 'higher')
    """
    from dp_synth.metrics import MODELS

    if task == "leakage" and metric.startswith("auc"):
        return "higher" if metric.partition(":")[2] in MODELS else "lower"
    if metric.startswith(("tpr_at_fpr", "cost:")):
        return "lower"
    return _said_by_itself(metric)


def _said_by_itself(metric: str) -> Better:
    from dp_synth.metrics import METRICS

    first = metric.partition(":")[0]
    known = extensions.names("metrics", METRICS)
    name = next((one for one in (first, first.removesuffix("_holdout")) if one in known), None)
    # A dotted name is not imported: reading records runs no code but that of installed packages.
    said = name and getattr(extensions.find("metrics", name, METRICS), "better", None)
    if said not in ("lower", "higher"):
        raise InputError(
            f"nothing says whether a low or a high {metric!r} is better; a metric says it by its "
            f"attribute better, 'lower' or 'higher', and an entry point of the group "
            f"dp_synth.metrics, named {name or first!r}, says where it is"
        )
    return cast(Better, said)


def failed_cells(records: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each cell that failed and ended in no other record, with its ``error``."""
    kept = recorded(records)
    is_failed = kept["error"] != ""
    failed = kept[is_failed].drop_duplicates(list(CELL))
    ended = pd.MultiIndex.from_frame(kept.loc[~is_failed, list(CELL)].drop_duplicates())
    cells = pd.MultiIndex.from_frame(failed[list(CELL)])
    return failed.loc[~cells.isin(ended), [*CELL, "error"]].reset_index(drop=True)


def adjusted(
    records: pd.DataFrame, metric: str, *, task: str = "utility", floor: str = FLOOR
) -> pd.DataFrame:
    """Return a score for every fitted cell that was run, those that failed included.

    A failed cell takes the mean score of the baseline ``floor`` on its table; of the worst cell
    of its block where ``floor`` is "worst_observed" or was not run. Where that would reward
    failing it takes a worse one: of the worst of the method's other seeds in the block, or, if
    none ended, of the worst method there. Where nothing is known of a block its cells are left
    out. Column ``failed`` marks such cells, ``took`` says what score they took, ``error`` why.
    """
    kept = of_task(records, task)
    if floor != WORST and kept.loc[kept["synthesizer"] == floor, "epsilon"].notna().any():
        raise InputError(f"a floor is a baseline or {WORST!r}; {floor!r} was fitted")
    values = values_of_metric(kept, metric, task)
    ended = values[values["epsilon"].notna()].assign(failed=False, took="")
    failed = failed_cells(kept[kept["epsilon"].notna()])
    failed = with_method(failed, method_names(kept)).assign(failed=True)
    level = values[values["synthesizer"] == floor].groupby("dataset")["value"].mean().to_dict()
    way = better(metric, task)
    scores = [_score(row, ended, level.get(row["dataset"]), way) for _, row in failed.iterrows()]
    failed["value"] = [score for score, _ in scores]
    failed["took"] = [floor if is_floor else WORST for _, is_floor in scores]
    known = failed[failed["value"].notna()]
    table = (
        pd.concat([ended[SCORE_COLUMNS], known[SCORE_COLUMNS]])
        if len(known)
        else ended[SCORE_COLUMNS]
    )
    return table.sort_values([*BLOCK, "method", "seed"], ignore_index=True)


def _score(
    row: pd.Series[float], ended: pd.DataFrame, level: float | None, way: Better
) -> tuple[float, bool]:
    """Return the score of a failed cell, NaN if nothing is known, and whether it is the floor's."""
    block = ended[(ended[list(BLOCK)] == row[list(BLOCK)]).all(axis=1)]
    own = block.loc[block["method"] == row["method"], "value"]
    means = block.groupby("method")["value"].mean()
    rivals = own if len(own) else means
    if level is None:
        rivals = block["value"]
    scores = [*rivals, *([] if level is None else [level])]
    if not scores:
        return np.nan, False
    score = worst(scores, way)
    return score, score == level


def worst(values: Sequence[float], way: Better) -> float:
    """Return the worst of some values of a metric whose good end is ``way``."""
    return max(values) if way == "lower" else min(values)


def over_seeds(records: pd.DataFrame, interval: Kind = "t") -> pd.DataFrame:
    """Return the mean over seeds of every series and metric with its 95 % interval.

    Columns are those that make a series (dataset, task, synthesizer, settings, epsilon, delta,
    adjacency), ``metric``, ``mean``, ``low``, ``high``, ``seeds`` (that ended), ``failed`` (how
    many did not) and ``note``. Where an interval cannot be had, ``low`` and ``high`` are NaN and
    the note says why. Seeds differ in what is drawn by fit and sample (and in ``leakage`` by the
    game): an interval is about these, not about another table. Failed cells have no part in a
    mean; ``adjusted`` gives them a score.
    """
    if interval not in INTERVALS:
        raise InputError(f"an interval is one of {', '.join(INTERVALS)}, got {interval!r}")
    rows = []
    keys = [*SERIES, "metric"]
    for series, group in values_of(records).groupby(keys, dropna=False, sort=True):
        values = group["value"].to_numpy(float)
        ends = INTERVALS[interval](values)
        low, high = ends or (np.nan, np.nan)
        note = f"{len(values)} seeds: no {interval} interval of fewer than {FEWEST_RESAMPLED}"
        note = "" if ends else "one seed: no interval" if len(values) == 1 else note
        rows.append((*series, float(values.mean()), low, high, len(values), note))
    means = pd.DataFrame(rows, columns=[name for name in MEAN_COLUMNS if name != "failed"])
    failed = failed_cells(records).groupby(list(SERIES), dropna=False)["seed"].nunique()
    means = means.merge(failed.rename("failed").reset_index(), how="left", on=list(SERIES))
    return means.assign(failed=means["failed"].fillna(0).astype(int))[MEAN_COLUMNS]


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.float64], *, seed: int = 0
) -> Ends | None:
    """Return the BCa bootstrap's 95 % interval of the mean; None of fewer than eight values.

    Efron 1987. A plain percentile interval would leave out of account just that skewness for which
    one would want to leave the t-interval. Resampled values vary too little, by the factor
    ``sqrt((n - 1) / n)`` and by the missing tails of t, so that percentiles farther out are taken
    (Hesterberg 2015, sect. 5.3). Of fewer than eight values none is given: of these no percentile
    lies far enough.
    """
    from scipy.special import ndtr, stdtrit
    from scipy.stats import bootstrap

    numbers, count = np.asarray(values, float), len(values)
    if count < FEWEST_RESAMPLED:
        return None
    if np.ptp(numbers) == 0:
        return float(numbers[0]), float(numbers[0])
    reach = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * (count / (count - 1)) ** 0.5
    low, high = bootstrap(
        (numbers,),
        np.mean,
        method="BCa",
        n_resamples=RESAMPLES,
        confidence_level=float(2 * ndtr(reach) - 1),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(low), float(high)


INTERVALS: MappingProxyType[str, Callable[[NDArray[np.float64]], Ends | None]] = MappingProxyType(
    {"t": t_interval, "bootstrap": bootstrap_interval}
)


@dataclass(frozen=True, eq=False)
class Scale:
    """Shares of the real rows in ascending order, and how good each is: never falling."""

    shares: Floats
    goodness: Floats

    def share_of(self, goodness: float) -> float:
        """Return the share that is as good, 0 below the smallest and inf above the largest.

        Between shares that were run, goodness is taken to be linear in their logarithm. Where
        several are as good, the smallest is returned.
        """
        place = int(np.searchsorted(self.goodness, goodness, side="left"))
        if place < len(self.shares) and self.goodness[place] == goodness:
            return float(self.shares[place])
        logarithms = np.log(self.shares)
        return float(np.exp(np.interp(goodness, self.goodness, logarithms, left=-inf, right=inf)))

    def words(self, share: float) -> str:
        """Return ``share`` in per cent, or on which side of the scale it lies."""
        if share == BELOW:
            return f"below {_per_cent(self.shares[0])}"
        if share == ABOVE:
            return f"above {_per_cent(self.shares[-1])}"
        return _per_cent(share)


def equivalents(records: pd.DataFrame, metric: str, *, task: str = "utility") -> pd.DataFrame:
    """Return which share of the real rows scores like each method, on each table.

    Columns are those of ``over_seeds``, ``share`` with ``share_low`` and ``share_high`` (the
    shares that score like the ends of the mean's interval; NaN without one), and ``text``. A
    share of 0 says "below the smallest that was run", inf "above the largest". The scale is the
    isotonic regression of the mean scores of the baseline ``sample_of_rows`` on its share, to
    which ``real_rows`` add 100 %; its own error is not part of the interval. Tables without a
    scale are left out; InputError where there is none at all.
    """
    kept = of_task(records, task)
    means = over_seeds(kept[(kept["metric"] == metric) | (kept["metric"] == "")])
    sign = 1 if better(metric, task) == "higher" else -1
    rows = []
    for _, of_table in means.groupby("dataset"):
        scale = _scale(of_table[of_table["synthesizer"].isin(SCALE_BASELINES)], sign)
        if scale is not None:
            methods = of_table[~of_table["synthesizer"].isin(SCALE_BASELINES)]
            rows += [_placed(row, scale, sign) for _, row in methods.iterrows()]
    if not rows:
        raise InputError(
            f"no table has {metric} of the baseline {SAMPLE_OF_ROWS} at two shares or more "
            "beside methods; add it to the grid"
        )
    return pd.DataFrame(rows)


def _scale(baselines: pd.DataFrame, sign: int) -> Scale | None:
    """Return the scale of one table, None of fewer than two shares."""
    from sklearn.isotonic import isotonic_regression

    samples = baselines[baselines["synthesizer"] == SAMPLE_OF_ROWS]
    shares = [float(parse_json(text)["share"]) for text in samples["settings"]]
    if 1.0 not in shares:
        whole = baselines[baselines["synthesizer"] == WHOLE]
        samples = pd.concat([samples, whole])
        shares += [1.0] * len(whole)
    if len(shares) < 2:
        return None
    order = np.argsort(shares)
    means = sign * samples["mean"].to_numpy(float)[order]
    weights = samples["seeds"].to_numpy(float)[order]
    goodness = isotonic_regression(means, sample_weight=weights)
    return Scale(np.asarray(shares)[order], np.asarray(goodness, float))


def _placed(row: pd.Series[float], scale: Scale, sign: int) -> dict[Hashable, object]:
    """Return the row of a method with its place on the scale."""
    ends = ("low", "high") if sign > 0 else ("high", "low")  # the worse end first
    mean, worse, good = (sign * float(row[name]) for name in ("mean", *ends))
    share = scale.share_of(mean)
    if isnan(worse):
        low = high = float("nan")
        text = f"{scale.words(share)} ({row['note']})"
    else:
        low, high = scale.share_of(worse), scale.share_of(good)
        text = f"{scale.words(share)} [{scale.words(low)}, {scale.words(high)}]"
    placed: dict[Hashable, object] = dict(row.items())
    placed |= {"share": share, "share_low": low, "share_high": high, "text": text}
    return placed


def _per_cent(share: float) -> str:
    """Return a share in per cent with two digits that count.

    >>> _per_cent(1.0), _per_cent(0.1234), _per_cent(0.00123)
    ('100 %', '12 %', '0.12 %')
    """
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"
