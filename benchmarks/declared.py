"""What questions that are declared before a fit cost its rows.

    python -m benchmarks.declared [--methods clique_tree mst] [--epsilon 1] [--seeds 10]

On coded Adult at delta 1e-9: the mean total variation of all pairs of columns, with three
questions that `experiments.coverage` draws, others for each seed, over that without, and the 95 %
t-interval of the ratio over seeds. Needs the folder that DP_SYNTH_DATA names.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import pandas as pd

import dp_synth as dps
from dp_synth.records import Spread
from experiments.coverage.questions import Generator, Population

DELTA, ASKED = 1e-9, 3


def main() -> None:
    """Print a line for each method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=["clique_tree", "mst"])
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    data = dps.datasets.load("adult_discrete")
    rows = pd.concat([data.train, data.holdout, data.reference], ignore_index=True)
    people = Population(data.schema, data.schema, rows, data.schema.encode(rows))
    budget = dps.PrivacyBudget(given.epsilon, DELTA)
    for method in given.methods:
        ratios = []
        for seed in range(given.seeds):
            questions = [one for _, one in Generator(people, seed).draw(ASKED)]
            errors = [
                dps.metrics.workload_error(
                    data.train,
                    dps.SYNTHESIZERS[method]()
                    .fit(data.train, data.schema, budget, seed=seed, questions=asked)
                    .sample(len(data.train), seed=seed),
                    data.schema,
                ).value
                for asked in (questions, None)
            ]
            ratios.append(errors[0] / errors[1])
        print(f"{method:12} {Spread.of(ratios).shown(4)} of the TV without questions", flush=True)


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"declared: {error}")
