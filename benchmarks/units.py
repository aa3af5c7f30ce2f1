"""What do weights of rows bring, where the unit is a person with one row or many?

    python -m benchmarks.units [--persons N] [--max-rows M ...] [--methods NAME ...]

A table of visits, made from the bundled table: a person has 1 to 40 of them, 1.4 on average, and
most persons one. All visits of a person have his record; who visits often was drawn more often from
those that work little, so that persons and visits differ. Each method is fitted to the same visits
with the same seeds, once as it is and once with every row counted once, as was done before there
were weights. Printed are the mean total variation of all pairs of columns to all visits (those
beyond the bound too), with the 95 % t-interval over seeds, and the ratio of the two, also after
what visits of as many fresh persons are away (the floor) was taken off both. Then an audit of the
claim (`--runs` releases a world) by a person with one visit, with half as many as are used and with
all: the area under the ROC curve of the best attack, what the claim permits, and whether it stands;
one that holds does not with a chance of at most .001.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

import dp_synth as dps
from dp_synth.audit import audit, worst_case
from dp_synth.records import Spread

DELTA, AUDIT_LEVEL = 1e-9, 0.001
MOST_VISITS, MEAN_VISITS = 40, 1.4
UNIT = "person"
COLUMNS = ("age", "education", "marital-status", "occupation", "sex", "hours-per-week", "income")


def visits(persons: int, seed: int) -> pd.DataFrame:
    """Return the visits of so many persons, of whom few have many."""
    data = dps.datasets.load("adult")
    people = pd.concat([data.train, data.holdout], ignore_index=True)[list(COLUMNS)]
    rng = np.random.default_rng(seed)
    drawn = people.iloc[rng.integers(len(people), size=persons)].reset_index(drop=True)
    little = pd.to_numeric(drawn["hours-per-week"]).to_numpy() < 40
    often = rng.random(persons) < np.where(little, 0.25, 0.08)
    more = np.minimum(rng.geometric(1 / 3.8, persons), MOST_VISITS - 1)
    rows = 1 + often * more
    table = drawn.loc[np.repeat(drawn.index, rows)].reset_index(drop=True)
    return table.assign(**{UNIT: np.repeat(np.arange(persons), rows).astype(str)})


def counted_once(name: str) -> dps.Synthesizer:
    """Return a method that sees no weights: one of which no fit knows that it counts."""
    kind = dps.SYNTHESIZERS[name]
    return type(kind.__name__, (kind,), {"measures": ""})()  # type: ignore[no-any-return]


def errors(
    recipe: dps.Synthesizer, rows: pd.DataFrame, budget: dps.PrivacyBudget, seeds: range
) -> np.ndarray:
    """Return the distance of a method's rows from all visits, one a seed."""
    schema, found = dps.datasets.load("adult").schema.select(list(COLUMNS)), []
    for seed in seeds:
        release = recipe.fit(rows, schema, budget, seed=seed)
        made = release.sample(len(rows), seed=seed, kinds="written")
        found.append(dps.metrics.workload_error(rows, made, schema).value)
    return np.array(found)


def main() -> None:
    """Print a line a method, bound and epsilon."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--persons", type=int, default=30_000)
    parser.add_argument("--max-rows", nargs="+", type=int, default=(3, 10, 40))
    parser.add_argument("--epsilons", nargs="+", type=float, default=(0.3, 1.0, 3.0))
    parser.add_argument("--methods", nargs="+", default=("clique_tree", "mst", "independent"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=2000, help="of the audit; 0 for none")
    given = parser.parse_args()
    schema = dps.datasets.load("adult").schema.select(list(COLUMNS))
    rows, seeds = visits(given.persons, 0), range(given.seeds)
    fresh = [visits(given.persons, 1 + seed) for seed in seeds]
    floor = np.array([dps.metrics.workload_error(rows, one, schema).value for one in fresh])
    print(f"{len(rows):,} visits of {given.persons:,} persons; floor {Spread.of(floor).shown(4)}")
    budget = dps.PrivacyBudget(1.0, DELTA, unit=UNIT, max_rows=2)
    for most in given.max_rows:
        for epsilon in given.epsilons:
            for name in given.methods:
                own = replace(budget, epsilon=epsilon, max_rows=most)
                weighted = errors(dps.SYNTHESIZERS[name](), rows, own, seeds)
                once = errors(counted_once(name), rows, own, seeds)
                beyond = (weighted.mean() - floor.mean()) / (once.mean() - floor.mean())
                print(
                    f"max_rows {most:>3}  epsilon {epsilon:<4g} {name:<12}"
                    f"weighted {Spread.of(weighted).shown(4)}  once {Spread.of(once).shown(4)}  "
                    f"ratio {weighted.mean() / once.mean():.2f}, beyond the floor {beyond:.2f}",
                    flush=True,
                )
    for most, name in product(given.max_rows, given.methods) if given.runs else ():
        budget = dps.PrivacyBudget(1.0, 1e-5, unit=UNIT, max_rows=most)
        for visits_of_one in sorted({1, max(most // 2, 1), most}):
            design = worst_case(unit=UNIT, rows=visits_of_one)
            recipe = dps.SYNTHESIZERS[name]()
            report = audit(
                recipe, budget, design=design, runs=given.runs, level=AUDIT_LEVEL, seed=1
            )
            print(
                f"max_rows {most:>3}  {name:<12} a person of {visits_of_one:>2} visits: area "
                f"{report.total.area:.3f} of {report.total.permitted:.3f}, "
                f"{'stands' if report.passed else 'REFUTED'}",
                flush=True,
            )


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"units: {error}")
