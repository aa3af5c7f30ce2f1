"""Are pairs of columns worth anything where records are few? Methods beside independent columns.

    python -m benchmarks.small_tables [--tables NAME ...] [--methods NAME ...] [--records N ...]

Of each table that DP_SYNTH_DATA names, random subsets of a few hundred records, another for each
seed; 0 records stand for all of them. Each method is fitted to the very records, and with the very
seeds, that ``independent`` is, and as many rows are drawn. Printed are the mean total variation of
all pairs of columns (TV) of independent columns, and by how much that of the method is above it,
with the 95 % t-interval over seeds; ``above`` marks a cell whose mean is more than .002 above,
``worse`` one whose whole interval is above 0. Where the schema names a label of two classes, the
mean AUC of gradient boosting that was trained on 5,000 rows, on records that were not drawn,
stands beside; by chance it is .5. The last lines list the marked cells.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import dp_synth as dps
from benchmarks.inputs import boosted_auc, numbers_of
from benchmarks.measured import append
from dp_synth.datasets import Dataset
from dp_synth.records import Spread

RECORDS = (300, 600, 1500)
EPSILONS = (0.3, 1.0)
METHODS = ("clique_tree", "mst", "aim")
DELTA = 1e-9
SLACK = 0.002  # of TV: no method may be further above independent columns
TRAINED, LEAST_TESTED, MOST_TESTED = 5000, 200, 8000  # rows of a classifier, and of its test


def names() -> list[str]:
    """Return the tables of the folder that DP_SYNTH_DATA names; InputError where it names none."""
    folder = os.environ.get("DP_SYNTH_DATA")
    if not folder:
        raise dps.InputError("DP_SYNTH_DATA must name the folder of tables that are not bundled")
    return sorted(path.name.removesuffix(".meta.json") for path in Path(folder).glob("*.meta.json"))


def whole(name: str) -> Dataset:
    """Return a table all of whose records are there to be fitted."""
    data = dps.datasets.load(name)
    rows = pd.concat([data.train, data.holdout, data.reference], ignore_index=True)
    return replace(data, train=rows, holdout=rows[:0], reference=rows[:0])


def drawn(rows: pd.DataFrame, records: int, seed: int) -> pd.DataFrame:
    """Return a random subset of so many records, all of them for 0."""
    if not records:
        return rows
    return rows.iloc[_places(len(rows), records, seed)].reset_index(drop=True)


def left_over(rows: pd.DataFrame, records: int, seed: int) -> pd.DataFrame:
    """Return records that `drawn` leaves, no more than `MOST_TESTED`; none for 0."""
    if not records:
        return rows[:0]
    return rows.drop(index=rows.index[_places(len(rows), records, seed)])[:MOST_TESTED]


def _places(count: int, records: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).choice(count, size=records, replace=False)


def measured(
    name: str, rows: pd.DataFrame, others: pd.DataFrame, data: Dataset, epsilon: float, seed: int
) -> tuple[float, float]:
    """Return TV of pairs of a method's rows to the records, and AUC on others; nan without."""
    schema, budget = data.schema, dps.PrivacyBudget(epsilon=epsilon, delta=DELTA)
    release = dps.SYNTHESIZERS[name]().fit(rows, schema, budget, seed=seed)
    found = release.sample(len(rows), seed=seed, kinds="written")
    distance = dps.metrics.workload_error(rows, found, schema).value
    if schema.label is None or len(others) < LEAST_TESTED or others[schema.label].nunique() != 2:
        return distance, math.nan
    made = release.sample(TRAINED, seed=seed, kinds="written")
    return distance, boosted_auc(numbers_of(made, schema), numbers_of(others, schema), schema.label)


def cells(data: Dataset, given: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """Yield a line for each method, number of records and epsilon, and whether it is marked."""
    for records in given.records:
        if records > len(data.train):
            continue
        for epsilon in given.epsilons:
            names = ("independent", *given.methods)
            values: dict[str, list[float]] = {name: [] for name in names}
            areas: dict[str, list[float]] = {name: [] for name in names}
            for seed in given.seeds:
                rows = drawn(data.train, records, seed)
                others = left_over(data.train, records, seed)
                for name in names:
                    tv, auc = measured(name, rows, others, data, epsilon, seed)
                    values[name].append(tv)
                    areas[name].append(auc)
                    line = {"table": data.name, "records": len(rows), "epsilon": epsilon}
                    line |= {"synthesizer": name, "seed": seed, "tv": tv, "auc": auc}
                    if given.results:
                        append(given.results, line)
            alone = np.array(values["independent"])
            for name in given.methods:
                away = Spread.of(np.array(values[name]) - alone)
                marks = ["above"] if away.mean > SLACK else []
                marks += ["worse"] if away.mean > away.half else []
                cell = f"{data.name:<22}{records or len(data.train):>7}{epsilon:>6g}  {name:<12}"
                cell += f"{alone.mean():.4f}  {away.shown(4, sign=True)}"
                if not np.isnan(areas[name]).any():
                    cell += f"  auc {np.mean(areas[name]):.3f}"
                yield "  ".join([cell, *marks]), bool(marks)


def main() -> None:
    """Print a line a cell, and the marked ones again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", nargs="+", help="all of the folder when left out")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--records", nargs="+", type=int, default=RECORDS, help="0 for all")
    parser.add_argument("--epsilons", nargs="+", type=float, default=EPSILONS)
    parser.add_argument("--seeds", nargs="+", type=int, default=range(2, 7))
    parser.add_argument("--results", type=Path, help="a file that a line of JSON a fit is added to")
    given = parser.parse_args()
    marked = []
    for table in given.tables or names():
        for line, wrong in cells(whole(table), given):
            print(line, flush=True)
            marked += [line] * wrong
    print(f"{len(marked)} cells are marked", *marked, sep="\n")


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"small_tables: {error}")
