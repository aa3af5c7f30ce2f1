"""The published worst case of six PATE-GANs, played by ours: three columns, five records alike.

    python -m experiments.audit_tightness.worst_case [--runs 1000]

Ganev, Annamalai & De Cristofaro 2024 (arXiv:2406.13985) fit each implementation at epsilon 1, delta
1e-5 with two teachers to five records of zeros, and to these and one record of ones; a threshold
chosen on 200 runs a world is bounded on 400 others at level 0.1, of which their intervals use half.
Ours takes no even number of teachers: it is fitted with one, so that the record has all of the
vote, and with three. Scores are the exact likelihood ratios of all that is released, which no
attack is better than; a third of the runs chooses the threshold, level 0.05. The exit code is 1
where more than epsilon 1 is found. A line a fit in ``results/pate_worst_case.jsonl``.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

import dp_synth as dps
from benchmarks.measured import Record, arguments, keep
from dp_synth.accounting import Accountant, PrivacyCurve
from dp_synth.audit import (
    NeighbouringTables,
    area_test,
    clopper_pearson_bound,
    gaussian_bound,
)
from experiments.faults import worlds_of

BUDGET = dps.PrivacyBudget(1.0, 1e-5)
SEED, LEVEL = 20_261_122, 0.05
TEACHERS, VOTES, ALIKE = (1, 3), 8, 5
FILE = "pate_worst_case.jsonl"
# From the study's code, github.com/spalabucr/pategan-audit, code/nb_plot.ipynb, white-box on the
# worst data: the area under the ROC curve and the empirical epsilon of each implementation.
PUBLISHED = {
    "original": (1.0, 4.68),
    "updated": (0.786, 2.18),
    "synthcity": (1.0, 4.68),
    "turing": (1.0, 4.68),
    "borealis": (0.988, 4.53),
    "smartnoise": (1.0, 4.68),
}
PUBLISHED_RUNS = 400  # a world, that each of these is bounded on


def worst_data() -> NeighbouringTables:
    """Return five records of zeros, and these with one of ones."""
    fields = [{"name": n, "type": "categorical", "categories": ["0", "1"]} for n in "ABC"]
    schema = dps.Schema.from_dict({"name": "worst", "columns": fields})
    outside = pd.DataFrame([["0"] * 3] * ALIKE, columns=list("ABC"))
    target = pd.DataFrame([["1"] * 3], columns=list("ABC"))
    inside = pd.concat([outside, target], ignore_index=True)
    return NeighbouringTables("worst data", schema, inside, outside)


def played(teachers: int, runs: int) -> Record:
    """Return what so many releases of each table tell, as a line of results."""
    recipe, design = dps.PATEGAN(votes=VOTES, teachers=teachers, rounds=1), worst_data()
    noise, coins = np.random.SeedSequence([SEED, teachers]).spawn(2)
    worlds = worlds_of(recipe, design, BUDGET, runs, noise)
    rng, delta = np.random.default_rng(coins), BUDGET.delta
    bound = clopper_pearson_bound(worlds, delta, level=LEVEL, rng=rng)
    gaussian = gaussian_bound(worlds, delta, level=LEVEL, rng=rng)
    area = area_test(worlds, claim_of(recipe, design), delta, level=LEVEL, rng=rng)
    found = {
        "auc": area.area,
        "permitted_auc": area.permitted,
        "epsilon": bound.epsilon,
        "ceiling": bound.ceiling,
        "epsilon_if_gaussian": gaussian.epsilon,
        "epsilon_if_curve": area.epsilon_if_curve,
    }
    settings = {"teachers": teachers, "votes": VOTES, "runs": runs, "level": LEVEL}
    claim = {"claimed_epsilon": BUDGET.epsilon, "delta": delta}
    return {**settings, **claim, "values": found}


def claim_of(recipe: dps.PATEGAN, design: NeighbouringTables) -> PrivacyCurve:
    """Return the curve of the ledger that a fit would have."""
    accountant = Accountant(BUDGET, simulate=True)
    accountant.admit(recipe.name, recipe.charges(design.schema.domain))
    return accountant.ledger.curve


def main() -> None:
    """Print ours beside the published ones, and keep a line a fit."""
    parser = arguments()
    parser.add_argument("--runs", type=int, default=1000)
    asked = parser.parse_args()
    records = [played(teachers, asked.runs) for teachers in TEACHERS]
    for record in records:
        print(f"ours, {record['teachers']} teachers: {record['values']}")
    for name, (auc, epsilon) in PUBLISHED.items():
        print(f"{name}: attack AUC {auc:g}, empirical epsilon {epsilon:g}")
    keep(asked.results / FILE, records, version=dps.__version__, command="worst_case.py")
    names = ("epsilon", "epsilon_if_gaussian", "epsilon_if_curve")
    if any(record["values"][name] > BUDGET.epsilon for record in records for name in names):
        sys.exit("worst_case: more than was claimed")


if __name__ == "__main__":
    main()
