"""A scale that a reader knows: the share of real rows that would score like a method."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from math import inf, isnan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.benchmark.cell import SAMPLE_OF_ROWS
from dp_synth.benchmark.statistics.direction import better
from dp_synth.benchmark.statistics.intervals import over_seeds
from dp_synth.benchmark.statistics.methods import of_task
from dp_synth.errors import InputError
from dp_synth.readers import parse_json

WHOLE = "real_rows"  # a sample of 100 %
BASELINES = (SAMPLE_OF_ROWS, WHOLE)
BELOW, ABOVE = 0.0, inf  # the shares of a score that is off the scale

Floats = NDArray[np.float64]


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
        if place == len(self.shares):
            return ABOVE
        if self.goodness[place] == goodness:
            return float(self.shares[place])
        if place == 0:
            return BELOW
        low, high = self.goodness[place - 1 : place + 1]
        start, end = np.log(self.shares[place - 1 : place + 1])
        return float(np.exp(start + (goodness - low) / (high - low) * (end - start)))

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
        scale = _scale(of_table[of_table["synthesizer"].isin(BASELINES)], sign)
        if scale is not None:
            methods = of_table[~of_table["synthesizer"].isin(BASELINES)]
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
