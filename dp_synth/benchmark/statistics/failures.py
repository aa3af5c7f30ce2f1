"""Failed cells: how many there are, and the score that they take in a ranking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dp_synth.benchmark.statistics.direction import Better, better
from dp_synth.benchmark.statistics.methods import (
    BLOCK,
    CELL,
    method_names,
    of_task,
    recorded,
    values_of_metric,
    with_method,
)
from dp_synth.errors import InputError

FLOOR = "independent_without_noise"
WORST = "worst_observed"
COLUMNS = [*BLOCK, "synthesizer", "settings", "method", "seed", "value", "failed", "took", "error"]


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
    table = pd.concat([ended[COLUMNS], known[COLUMNS]]) if len(known) else ended[COLUMNS]
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
