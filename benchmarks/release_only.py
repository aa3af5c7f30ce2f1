"""CPU milliseconds for one run of a mechanism alone, beside a whole fit and one that only selects.

The coded Adult table (39,074 records of 14 attributes, see `dp_synth.datasets.load`), its first
100 records, and six made-up records of 3 attributes, at epsilon 1 and delta 1e-9. A run is the
mean over several, after calibration, encoding and exact counts, which all runs share; a fit is one
call, calibration cached. The last two columns are fits over runs and runs a second.
"""

from __future__ import annotations

from functools import partial
from time import process_time

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import dp_synth as dps
from benchmarks.measured import least_seconds
from dp_synth.synthesizers import MST, CliqueTree, Independent, PublishedMST, Synthesizer

BUDGET = dps.PrivacyBudget(epsilon=1, delta=1e-9)
RECORDS = 39_074
SYNTHESIZERS = {
    "independent": Independent(),
    "mst": MST(),
    "mst, as published": PublishedMST(),
    "clique_tree": CliqueTree(),
}

Table = tuple[pd.DataFrame, dps.Schema, int]  # with how many runs to take the mean of


def tables() -> dict[str, Table]:
    data = dps.datasets.load("adult_discrete")
    adult = pd.concat([data.train, data.holdout])
    rng = np.random.default_rng(0)
    few = pd.DataFrame({name: rng.choice(list("abc"), 6) for name in "xyz"})
    columns = [{"name": n, "type": "categorical", "categories": ["a", "b", "c"]} for n in "xyz"]
    small = dps.Schema.from_dict({"name": "small", "columns": columns})
    return {
        "adult": (adult.head(RECORDS), data.schema, 20),
        "100 records": (adult.head(100), data.schema, 50),
        "6 records": (few, small, 1000),
    }


def run_milliseconds(synthesizer: Synthesizer, table: Table, *, selecting: bool) -> float:
    """Return the mean time of a run, what all runs share taken off."""
    frame, schema, runs = table
    repeat = synthesizer.select_only if selecting else synthesizer.release_only
    repeat(frame, schema, BUDGET, runs=1)
    one, more = (partial(repeat, frame, schema, BUDGET, runs=count) for count in (1, runs + 1))
    first, all_of_them = (least_seconds(work, 1, process_time) for work in (one, more))
    return 1000 * (all_of_them - first) / runs


def fit_milliseconds(synthesizer: Synthesizer, table: Table) -> float:
    """Return the time of one fit."""
    fit = partial(synthesizer.fit, table[0], table[1], BUDGET)
    return 1000 * least_seconds(fit, 1, process_time)


def main() -> None:
    print(f"{'table':12s}{'synthesizer':20s}{'fit':>10s}{'run':>9s}{'select':>9s}", end="")
    print(f"{'fit / run':>11s}{'runs / s':>10s}")
    for name, table in tables().items():
        for label, synthesizer in SYNTHESIZERS.items():
            run = run_milliseconds(synthesizer, table, selecting=False)
            choice = run_milliseconds(synthesizer, table, selecting=True)
            fit = fit_milliseconds(synthesizer, table)
            print(f"{name:12s}{label:20s}{fit:10.1f}{run:9.2f}{choice:9.2f}", end="")
            print(f"{fit / run:11.0f}{1000 / run:10.0f}", flush=True)


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
