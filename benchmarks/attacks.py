"""What each attack finds on Adult, over seeds: mean AUC with its 95 % interval, and CPU seconds.

1,000 members and 1,000 non-members drawn at random, a fit to the members, and as many synthetic
rows; the attacker has the dataset's reference part, knows the synthesizer and its budget, and, for
``transcript_ratio`` alone, holds the release. The interval is Student's over seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from time import process_time

import numpy as np
import pandas as pd
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

import dp_synth as dps
from dp_synth.attacks import ATTACKS, split_pool
from dp_synth.synthesizers import MST, CliqueTree, PrivBayes, Synthesizer

RECIPES: Mapping[str, Synthesizer] = {
    "mst": MST(),
    "mst, as published": MST(as_published=True),
    "clique_tree": CliqueTree(),
    "privbayes": PrivBayes(),
}
RECORDS, DELTA = 1000, 1e-5


def attacked(recipe: Synthesizer, epsilon: float, seed: int) -> dict[str, tuple[float, float]]:
    """Return the AUC and the CPU seconds of each attack on one fit."""
    data = dps.datasets.load("adult")
    frame = pd.concat([data.train, data.holdout], ignore_index=True)
    rng = np.random.default_rng(seed)
    pool = split_pool(frame, data.schema, data.reference, members=RECORDS, isolated=0, rng=rng)
    budget = dps.PrivacyBudget(epsilon, DELTA)
    accountant = dps.Accountant(budget, simulate=True)
    release = recipe.fit(pool.members, data.schema, accountant, seed=seed)
    rows = release.sample(RECORDS, seed=seed)
    black_box = dps.AttackerView(
        rows, data.schema, data.reference, synthesizer=recipe, budget=budget
    )
    holder = replace(black_box, schema=release.schema, transcript=release.transcript)
    found = {}
    for name, kind in ATTACKS.items():
        view = holder if kind.needs_transcript else black_box
        start = process_time()
        roc = dps.Roc(*(kind().scores(part, view) for part in (pool.members, pool.non_members)))
        found[name] = roc.auc().value, process_time() - start
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epsilon", type=float, default=1000.0)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--recipes", nargs="*", choices=list(RECIPES), default=list(RECIPES)[:2])
    asked = parser.parse_args()
    print(f"epsilon {asked.epsilon:g}, {asked.seeds} seeds; AUC and CPU seconds of an attack")
    for label in asked.recipes:
        runs = [attacked(RECIPES[label], asked.epsilon, seed) for seed in range(asked.seeds)]
        print(f"\n{label}")
        for name in ATTACKS:
            areas, seconds = np.array([run[name] for run in runs]).T
            half = student.ppf(0.975, len(areas) - 1) * areas.std(ddof=1) / np.sqrt(len(areas))
            print(f"  {name:24s}{areas.mean():.3f} +- {half:.3f}{seconds.mean():8.2f}", flush=True)


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
