"""Whether intervals hold on tables by which nothing was chosen: `experiments.coverage` on others.

    python -m benchmarks.coverage_elsewhere [--tables kdd_census_train nltcs credit_default_taiwan]
        [--draws 5] [--synthesizer clique_tree] [--epsilon 1]

Eight columns of each table, drawn by a seed among those of few enough numbers, are taken for a
population; 5,000 records are drawn anew for each release, which is asked the questions of the
generator. Printed is how many intervals, nominally of 95 %, hold the population's value, by what is
known of the columns, and the median width over that of a direct answer. Needs the folder that
DP_SYNTH_DATA names.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import numpy as np

import dp_synth as dps
from dp_synth.schema import NumericColumn, Schema
from experiments.coverage import run

TABLES = ("kdd_census_train", "nltcs", "credit_default_taiwan")
COLUMNS, SEED, MOST_NUMBERS, RECORDS = 8, 1, 2_000, 5_000


def chosen_columns(schema: Schema) -> tuple[str, ...]:
    """Return random columns, in order, of those whose every number may be a cell."""
    possible = [
        name
        for name in schema.names
        if not isinstance(column := schema.column(name), NumericColumn)
        or column.upper - column.lower < MOST_NUMBERS
    ]
    rng = np.random.default_rng(SEED)
    places = rng.choice(len(possible), min(COLUMNS, len(possible)), replace=False)
    return tuple(possible[place] for place in sorted(places))


def main() -> None:
    """Print a line for each table and what is known of the columns."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--synthesizer", default="clique_tree")
    parser.add_argument("--epsilon", type=float, default=1.0)
    given = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    for table in given.tables:
        run.COLUMNS[table] = chosen_columns(dps.datasets.load(table).schema)
        task = {"table": table, "records": RECORDS, "epsilon": given.epsilon, "declared": 0}
        task["synthesizer"] = given.synthesizer
        found = [run.cell({**task, "draw": draw}) for draw in range(given.draws)]
        for known in run.KNOWN:
            asked, covered, _ = run.pooled(found, known)
            if asked:
                line = f"{table:<24}{known:<20}{asked:>6}  {run.shown(covered, asked):<22}"
                print(f"{line}{run.width(found, known):7.2f}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"coverage_elsewhere: {error}")
