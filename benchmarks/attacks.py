"""What each attack finds on Adult, over seeds: mean AUC with its 95 % interval, and CPU seconds.

    python -m benchmarks.attacks [--epsilon 1000] [--seeds 10] [--first-seed 100]
        [--recipes "mst" "mst, as published"]

1,000 members and 1,000 non-members drawn at random, a fit to the members, and as many synthetic
rows; the attacker has the dataset's reference part, knows the synthesizer and its budget, and, for
``transcript_ratio`` alone, holds the release. The interval is Student's over seeds. Each fit's
numbers are a line of JSON in ``results/attacks.jsonl``, where a line of the same fit is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from time import process_time

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import dp_synth as dps
from benchmarks import measured
from benchmarks.measured import Record, arguments, read, shown
from dp_synth.attacks import ATTACKS, split_pool
from dp_synth.synthesizers import MST, CliqueTree, PrivBayes, PublishedMST, Synthesizer

RECIPES: Mapping[str, Synthesizer] = {
    "mst": MST(),
    "mst, as published": PublishedMST(),
    "clique_tree": CliqueTree(),
    "privbayes": PrivBayes(),
}
RECORDS, DELTA = 1000, 1e-5
FILE = "attacks.jsonl"


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


def record(label: str, epsilon: float, seed: int) -> Record:
    """Return the line of one fit: what was fitted, and what each attack found."""
    fit = {"table": "adult", "recipe": label, "epsilon": epsilon, "delta": DELTA, "seed": seed}
    found = attacked(RECIPES[label], epsilon, seed)
    values = {name: {"auc": auc, "seconds": seconds} for name, (auc, seconds) in found.items()}
    about = {"records": RECORDS, "version": dps.__version__, "command": "attacks.py"}
    return {**fit, **about, "values": values}


def summary(records: Sequence[Record]) -> Iterator[str]:
    """Yield a line for each attack: mean AUC with its interval, and mean CPU seconds."""
    for name in ATTACKS:
        found = [record["values"][name] for record in records]
        seconds = fmean(one["seconds"] for one in found)
        yield f"  {name:24s}{shown([one['auc'] for one in found], 3)}{seconds:8.2f}"


def keep(path: Path, found: Sequence[Record]) -> None:
    """Add lines to a file of results, in place of earlier ones of the same fits."""
    same = ("table", "recipe", "epsilon", "seed")
    new = {tuple(record[key] for key in same) for record in found}
    others = [one for one in read(path) if tuple(one[key] for key in same) not in new]
    measured.keep(path, [*others, *found])


def main() -> None:
    """Fit and attack seed by seed, keep a line a fit, and print means."""
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.set_defaults(seeds=10)
    parser.add_argument("--epsilon", type=float, default=1000.0)
    parser.add_argument("--first-seed", type=int, default=0, help="the others follow it")
    parser.add_argument("--recipes", nargs="*", choices=list(RECIPES), default=list(RECIPES)[:2])
    asked = parser.parse_args()
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    print(f"epsilon {asked.epsilon:g}, {asked.seeds} seeds; AUC and CPU seconds of an attack")
    for label in asked.recipes:
        found = [record(label, asked.epsilon, seed) for seed in seeds]
        keep(asked.results / FILE, found)
        print(f"\n{label}", *summary(found), sep="\n", flush=True)


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
