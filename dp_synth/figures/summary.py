"""Records to what is drawn: one mean with an interval for each series and epsilon."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import pandas as pd

from dp_synth.formatting import rounded_up
from dp_synth.records import method_names, t_interval

RATES = "tpr_at_fpr_"
ATTACKED = re.compile(rf"(auc|{RATES}[0-9.e-]+):(.+?)(:isolated)?")


def ended(records: pd.DataFrame, *, task: str) -> pd.DataFrame:
    """Return the records of ``task`` that hold a value, with the name of their ``series``.

    A series is a synthesizer under one choice of settings, or a baseline. Where there is a column
    ``live``, the cells that it marks are left to ``live``.
    """
    kept = _with_series(records, task)
    return kept[~kept["live"]]


def live(records: pd.DataFrame, *, task: str) -> pd.DataFrame:
    """Return the records of ``task`` that were run to stand beside records, as ``ended`` does."""
    kept = _with_series(records, task)
    return kept[kept["live"]]


def _with_series(records: pd.DataFrame, task: str) -> pd.DataFrame:
    kept = records[(records["task"] == task) & (records["error"] == "")]
    kept = kept[kept["value"].notna()].copy()
    names, keys = method_names(kept), zip(kept["synthesizer"], kept["settings"], strict=True)
    kept["series"] = pd.Series([names[key] for key in keys], index=kept.index, dtype=object)
    kept["live"] = kept["live"].astype(bool) if "live" in kept else False
    return kept


def attacks_of(metrics: Iterable[str]) -> list[str]:
    """Return the attacks that leakage metrics are of: every attack has rates, no model has.

    >>> attacks_of(["auc:mine:Own", "tpr_at_fpr_0.01:mine:Own", "auc:gradient_boosting", "tv2"])
    ['mine:Own']
    """
    found = [ATTACKED.fullmatch(metric) for metric in metrics if metric.startswith(RATES)]
    return sorted({match[2] for match in found if match})


def without_attack(metric: str, attacks: Collection[str]) -> tuple[str, str]:
    """Return a leakage metric with ``{}`` for its attack, and the attack; "" where it has none.

    >>> without_attack("auc:mine:Own:isolated", ["mine:Own"]), without_attack("tv2", ["mine:Own"])
    (('auc:{}:isolated', 'mine:Own'), ('tv2', ''))
    """
    match = ATTACKED.fullmatch(metric)
    if match is None or match[2] not in attacks:
        return metric, ""
    return f"{match[1]}:{{}}{match[3] or ''}", match[2]


def spread(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return ``series, epsilon, mean, low, high, seeds`` of one metric, epsilon ascending.

    The interval is the 95 % t-interval of the mean over seeds. A single seed keeps the interval
    of its own record. Baselines have no epsilon: NaN, which sorts last.
    """
    rows = []
    chosen = records[records["metric"] == metric]
    for (series, epsilon), group in chosen.groupby(["series", "epsilon"], dropna=False):
        values = group["value"].to_numpy(float)
        own = float(group["low"].iloc[0]), float(group["high"].iloc[0])
        low, high = t_interval(values) or own
        rows.append((series, epsilon, float(values.mean()), low, high, len(values)))
    columns = ["series", "epsilon", "mean", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=columns).sort_values(["series", "epsilon"], ignore_index=True)


def fitted_series(records: pd.DataFrame) -> list[str]:
    """Return the series that were fitted under a budget, in the order of their names."""
    return sorted(records.loc[records["epsilon"].notna(), "series"].unique())


def conditions(records: pd.DataFrame) -> str:
    """Return in words what the points have in common: table, adjacency, delta, intervals."""
    fitted = records[records["epsilon"].notna()]
    parts = [", ".join(sorted(records["dataset"].unique()))]
    parts += [str(text).replace("_", "/") for text in sorted(fitted["adjacency"].unique())]
    parts += [f"δ = {rounded_up(delta)}" for delta in sorted(fitted["delta"].unique())]
    counts = fitted.groupby(["series", "epsilon", "metric"])["seed"].nunique()
    fewest, most = counts.min(), counts.max()
    seeds = f"{most}" if fewest == most else f"{fewest} to {most}"
    over = f"95 % t-interval over {seeds} seeds" if most > 1 else "95 % interval of one seed"
    return ", ".join(parts) + f"; mean and {over}"
