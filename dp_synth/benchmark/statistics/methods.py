"""Records to cells that can be compared: each once, with the name of its method."""

from __future__ import annotations

import json

import pandas as pd

from dp_synth.errors import InputError
from dp_synth.extensions import nearest
from dp_synth.readers import parse_json

BLOCK = ("dataset", "epsilon", "delta", "adjacency")  # what methods are compared within
SERIES = ("dataset", "task", "synthesizer", "settings", "epsilon", "delta", "adjacency")
CELL = (*SERIES, "seed")
NEEDED = (*CELL, "metric", "value", "error")


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


def method_names(records: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return the name of the method that each synthesizer is under each of its settings.

    It is the synthesizer's, with those fields that differ at one and the same table: a method
    whose settings name the label of each table is one method over all tables.
    """
    names = {}
    for synthesizer, of_one in records.groupby("synthesizer"):
        rows = of_one[["dataset", "settings"]].drop_duplicates()
        fields = _differing(rows)
        for text in rows["settings"].unique():
            choice = parse_json(text)
            said = ", ".join(f"{field}={choice.get(field)}" for field in fields)
            names[str(synthesizer), text] = f"{synthesizer} ({said})" if said else str(synthesizer)
    return names


def with_method(rows: pd.DataFrame, names: dict[tuple[str, str], str]) -> pd.DataFrame:
    """Return ``rows`` with the column ``method``."""
    keys = zip(rows["synthesizer"], rows["settings"], strict=True)
    return rows.assign(method=[names[key] for key in keys])


def _differing(rows: pd.DataFrame) -> list[str]:
    differing: set[str] = set()
    for _, texts in rows.groupby("dataset")["settings"]:
        choices = [parse_json(text) for text in texts]
        for field in {field for choice in choices for field in choice}:
            if len({json.dumps(choice.get(field)) for choice in choices}) > 1:
                differing.add(field)
    return sorted(differing)
