"""Does monitoring raise false alarms no more often than it says, and does it see a small shift?

    python -m benchmarks.monitor [--draws 200] [--shifted 100] [--table adult_raw] [--method mst]

A draw splits a random permutation of the table: 20,000 records are fitted at epsilon 1, and as many
others are today's, monitored at epsilon .5. Both are samples of one population, so that any drift
found is a false alarm. Then, for each column, 3 % of today's records get another value in it, the
one of a record drawn at random: the column has moved by a total variation of .03. Printed are the
share of draws with a false alarm, and the power: the share of shifts that raise any alarm, and one
of the column itself; each with its 95 % interval (Clopper & Pearson 1934).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

import dp_synth as dps
from benchmarks.small_tables import whole
from dp_synth.monitor import DriftReport, Monitoring, monitor, monitoring_budget
from dp_synth.synthesizers import SYNTHESIZERS

RECORDS = 20_000
EPSILON_FITTED, EPSILON, DELTA = 1.0, 0.5, 1e-6
SHIFT = 0.03


@dataclass(frozen=True, eq=False)
class Draw:
    """A release of some records, others of the same population, and a generator of its own."""

    release: dps.Release
    today: pd.DataFrame
    rng: np.random.Generator

    def report(self, today: pd.DataFrame, rate: float) -> DriftReport:
        """Return what monitoring finds in a table."""
        budget = monitoring_budget(self.release, EPSILON, DELTA)
        seed = int(self.rng.integers(2**31))
        return monitor(self.release, today, budget, Monitoring(rate), seed=seed)


def draws(table: str, method: str, count: int, records: int) -> Iterator[Draw]:
    """Yield releases of random records of a table, and as many others."""
    data, recipe = whole(table), SYNTHESIZERS[method]()
    budget = dps.PrivacyBudget(EPSILON_FITTED, DELTA)
    for seed in range(count):
        rng = np.random.default_rng(seed)
        rows = data.train.iloc[rng.permutation(len(data.train))[: 2 * records]]
        fitted, today = rows.iloc[:records], rows.iloc[records:].reset_index(drop=True)
        yield Draw(recipe.fit(fitted, data.schema, budget, seed=seed), today, rng)


def shifted(today: pd.DataFrame, column: str, rng: np.random.Generator) -> pd.DataFrame:
    """Return a table of which 3 % of the records have another value of a column."""
    cells = today[column]
    value = cells.iloc[int(rng.integers(len(cells)))]
    others = np.flatnonzero((cells != value).to_numpy())
    count = min(round(SHIFT * len(cells)), len(others))
    moved = today.copy()
    moved.iloc[rng.choice(others, count, replace=False), today.columns.get_loc(column)] = value
    return moved


def told(hits: int, trials: int) -> str:
    """Return a share with its 95 % interval."""
    ends = binomtest(hits, trials).proportion_ci(0.95)
    return f"{hits / trials:.3f} [{ends.low:.3f}, {ends.high:.3f}] of {trials:,}"


def main() -> None:
    """Print rates of false alarms, and power by column."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--shifted", type=int, default=100)
    parser.add_argument("--table", default="adult_raw")
    parser.add_argument("--method", default="mst", choices=sorted(SYNTHESIZERS))
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--rate", type=float, default=0.05)
    asked = parser.parse_args()
    alarms, seen, own = 0, dict[str, int](), dict[str, int]()
    done = 0
    for done, draw in enumerate(draws(asked.table, asked.method, asked.draws, asked.records), 1):
        alarms += bool(draw.report(draw.today, asked.rate).found)
        if done > asked.shifted:
            continue
        for column in draw.release.schema.domain:
            found = draw.report(shifted(draw.today, column, draw.rng), asked.rate).found
            seen[column] = seen.get(column, 0) + bool(found)
            hit = any(one.columns == (column,) for one in found)
            own[column] = own.get(column, 0) + hit
    print(f"false alarms at a stated rate of {asked.rate:g}: {told(alarms, done)}")
    trials = min(asked.shifted, done)
    for name, hits in (("any", seen), ("the column's own", own)):
        if hits:
            print(f"power, {name} alarm: {told(sum(hits.values()), trials * len(hits))}")
            for column, count in sorted(hits.items(), key=lambda one: one[1]):
                print(f"    {column}: {told(count, trials)}")


if __name__ == "__main__":
    main()
