"""How near rows alone come to the transcript they were made from, and it to the best test.

    python -m benchmarks.rows_alone [--seeds 5] [--first-seed 200] [--epsilons 10 100 1000]

1,000 members and 1,000 non-members of a table drawn at random, and a fit to the members by each
recipe. ``transcript_ratio`` holds the release; ``rows_ratio`` and ``marginal_ratio`` see so many
synthetic rows, know the synthesizer, its budget and how many were fitted, and have the dataset's
reference. What is printed is the AUC less 0.5 as a part of the transcript's own, with Student's
95 % interval over seeds, each of which is a fit of its own.

Beside it stands what the best test of the noisy counts finds on average: one that knows the
population (all records of the dataset) and not who else was fitted, under the normal law of counts
(``dp_synth.attacks.joint_ratio``). What was released beside the counts, such as scores of pairs
and choices, is not in it; in a second figure it is, as if each moved for every record by all that
was charged for it. No attack on the rows, which are made of both, does better than that one.

``cell by cell`` is the transcript's attack without the ratio of all counts at once.

Each fit's numbers are a line of JSON in ``results/rows_alone.jsonl``, where a line of the same fit
is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import ndtr
from threadpoolctl import threadpool_limits

import dp_synth as dps
from benchmarks.attacks import RECIPES, keep
from benchmarks.measured import Record, Results, arguments, shown
from dp_synth.attacks import Attack, MarginalRatio, Pool, RowsRatio, TranscriptRatio, split_pool
from dp_synth.attacks.joint_ratio import NormalCounts, places
from dp_synth.attacks.transcript_ratio import tables_of
from dp_synth.synthesizers import AIM, Synthesizer
from dp_synth.transcript import MarginalAnswer
from dp_synth.types import Floats
from paper.documents import markdown

ROWS = (1_000, 10_000, 100_000)
RECORDS, DELTA = 1000, 1e-5
FILE = "rows_alone.jsonl"
MEASURED: Mapping[str, Synthesizer] = {**RECIPES, "aim": AIM()}
SHOWN = ("mst", "clique_tree", "aim")
PEOPLE, PAIRS = 5_000, 200_000  # drawn to average over two records
SEEING: Mapping[str, Attack] = {"marginal": MarginalRatio(), "rows": RowsRatio()}


def area(attack: Attack, view: dps.AttackerView, pool: Pool) -> float:
    """Return the area of an attack on the pool."""
    members, others = (attack.scores(part, view) for part in (pool.members, pool.non_members))
    return dps.Roc(members, others).auc().value


def best_areas(release: dps.Release, people: pd.DataFrame, seed: int) -> tuple[float, float]:
    """Return the AUC of the best test of the counts, and with all else at its worst.

    A record's ratio is N(d^2 / 2, d^2) if it was fitted and N(-d^2 / 2, d^2) if not, so that one
    that was passes another that was not with chance Phi(sqrt(d_1^2 + d_2^2) / 2).
    """
    tables = tables_of(release.transcript or (), release.schema)
    sizes = [table.values.size for table in tables]
    codes = release.schema.encode(people)
    known = places([table.cells(codes, release.schema) for table in tables], sizes)
    noise = np.repeat([table.variance for table in tables], sizes)
    rng = np.random.default_rng(seed)
    drawn = known[rng.choice(len(known), PEOPLE, replace=False)]
    _, squared = NormalCounts(known, noise, RECORDS).log_ratios(drawn, np.zeros(len(noise)))
    pairs = rng.choice(squared, (PAIRS, 2))

    def area(beside: float) -> float:
        together: Floats = (pairs + beside).sum(axis=1)
        return float(ndtr(np.sqrt(together) / 2).mean())

    return area(0.0), area(beside_counts(release))


def beside_counts(release: dps.Release) -> float:
    """Return the squared mu of all that was charged and is no noisy marginal."""
    charged = sum(entry.count * entry.event.squared_mu for entry in release.ledger.charges)
    answers = [one for one in release.transcript or () if isinstance(one, MarginalAnswer)]
    return max(float(charged - sum(1 / one.stddev**2 for one in answers)), 0.0)


def parts(table: str, label: str, epsilon: float, seed: int) -> dict[str, float]:
    """Return the transcript's AUC, that of rows, and the parts of the gain that rows reach."""
    data = dps.datasets.load(table)
    frame = pd.concat([data.train, data.holdout], ignore_index=True)
    rng = np.random.default_rng(seed)
    pool = split_pool(frame, data.schema, data.reference, members=RECORDS, isolated=0, rng=rng)
    recipe, budget = MEASURED[label], dps.PrivacyBudget(epsilon, DELTA)
    accountant = dps.Accountant(budget, simulate=True)
    release = recipe.fit(pool.members, data.schema, accountant, seed=seed)
    view = dps.AttackerView(
        release.sample(1, seed=seed),
        release.schema,
        data.reference,
        synthesizer=recipe,
        budget=budget,
        records=RECORDS,
    )
    holder = replace(view, transcript=release.transcript)
    found = {"transcript": area(TranscriptRatio(), holder, pool)}
    found["cell by cell"] = area(TranscriptRatio(together=False), holder, pool)
    everybody = pd.concat([frame, data.reference], ignore_index=True)
    found["best"], beside = best_areas(release, everybody, seed)
    found["permitted"] = release.largest_auc()
    found["best_with_choices"] = min(beside, found["permitted"])
    for rows in ROWS:
        seen = replace(view, synthetic=release.sample(rows, seed=seed))
        for name, attack in SEEING.items():
            found[f"{name}_{rows}"] = area(attack, seen, pool)
            gained = (found[f"{name}_{rows}"] - 0.5) / (found["transcript"] - 0.5)
            found[f"{name}_{rows}_part"] = gained
    return found


def record(table: str, label: str, epsilon: float, seed: int) -> Record:
    """Return the line of one fit."""
    fit = {"table": table, "recipe": label, "epsilon": epsilon, "delta": DELTA, "seed": seed}
    about = {"records": RECORDS, "version": dps.__version__, "command": "rows_alone.py"}
    return {**fit, **about, "values": parts(table, label, epsilon, seed)}


def summary(records: Sequence[Record]) -> Iterator[str]:
    """Yield a line for each attack and number of rows, as a part of the transcript's gain."""
    for name in ("transcript", "cell by cell", "best", "best_with_choices", "permitted"):
        yield f"  AUC, {name:20s}{shown([one['values'][name] for one in records], 3)}"
    for rows in ROWS:
        reached = shown([one["values"][f"rows_{rows}"] for one in records], 3)
        yield f"  AUC, {f'{rows:,} rows':20s}{reached}"
    for name in SEEING:
        for rows in ROWS:
            gained = [one["values"][f"{name}_{rows}_part"] for one in records]
            yield f"  {name:10s}{rows:>9,} rows{shown(gained, 2):>16s} of its gain"


def rows_table(results: Results) -> str:
    """Return the table of committed lines: what rows reach of the transcript's gain."""
    head = ["method", "epsilon", "AUC with the transcript", "cell by cell"]
    head += ["best test", "with choices", "ledger"]
    head += [f"marginal ratio, {ROWS[-1]:,} rows", *(f"ratio of {rows:,} rows" for rows in ROWS)]
    shorter = ("transcript", "cell by cell", "best", "best_with_choices", "permitted")
    keys = {(line["recipe"], line["epsilon"]) for line in results.records}
    lines = []
    for label, epsilon in sorted(keys, key=lambda key: (list(MEASURED).index(key[0]), key[1])):
        of = [
            line["values"]
            for line in results.records
            if (line["recipe"], line["epsilon"]) == (label, epsilon)
        ]
        columns = [f"marginal_{ROWS[-1]}_part", *(f"rows_{rows}_part" for rows in ROWS)]
        cells = [shown([one[column] for one in of], 2) for column in columns]
        areas = [shown([one[name] for one in of], 3) for name in shorter]
        lines.append([label, f"{epsilon:g}", *areas, *cells])
    return markdown(head, lines)


def main() -> None:
    """Fit and attack seed by seed, keep a line a fit, and print means."""
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("--table", default="adult")
    parser.add_argument("--epsilons", type=float, nargs="*", default=[10.0, 100.0, 1000.0])
    parser.add_argument("--first-seed", type=int, default=200, help="the others follow it")
    parser.add_argument("--recipes", nargs="*", choices=list(MEASURED), default=list(SHOWN))
    asked = parser.parse_args()
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    for label in asked.recipes:
        for epsilon in asked.epsilons:
            found = [record(asked.table, label, epsilon, seed) for seed in seeds]
            keep(asked.results / FILE, found)
            print(f"\n{label}, epsilon {epsilon:g}", *summary(found), sep="\n", flush=True)


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
