"""What do units drawn whole cost and bring in networks, where a person has one row or many?

    python -m benchmarks.network_units [--persons N] [--max-rows M ...] [--epsilons E ...]

First, a step of DP-SGD whose coins are those of persons, beside one whose coins are those of rows,
both with as many rows expected: the ratio of their CPU times, the least of several turns. Then how
long the mean of five clipped gradients is, in clips, where five rows are of people who have nothing
to do with each other: one less that is the most that clipping a unit as a whole could add. At last,
a line a bound and epsilon, fits of `dpctgan` to the visits of `benchmarks.units`, by rows and by
persons, beside `clique_tree`: the noise of a step in clips, the mean total variation of all pairs
of columns to all visits, and the AUC of a logistic regression trained on made rows and tested on
visits of fresh persons, each with the 95 % t-interval over seeds.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import pandas as pd

import dp_synth as dps
from benchmarks.units import COLUMNS, DELTA, UNIT, visits
from dp_synth.accounting import Accountant, Plan, SampledGaussians
from dp_synth.accounting.events import SampledGaussian
from dp_synth.counting.units import UnitRows
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.metrics.prediction import MODELS
from dp_synth.records import Spread

LEARNER = "logistic_regression"
ROWS, TURNS, STEPS, WIDTH = 1024, 7, 40, 128  # rows expected in a step, of a critic this wide
MOST, TOGETHER = 10, 5


def step_cost(rows: pd.DataFrame, schema: dps.Schema) -> tuple[float, float]:
    """Return the CPU time of a step over persons by that of one over rows, and a part's length."""
    import torch

    from dp_synth.mechanisms.dp_sgd import Critic, SampledGradients
    from dp_synth.nn.generator import Encoding

    torch.set_num_threads(1)
    codes, units = schema.encode(rows), pd.factorize(rows[UNIT])[0]
    domain, critics, steps = schema.domain, [], []
    encoding = Encoding(domain, torch.device("cpu"))
    for by_unit in (False, True):
        part = SampledGaussians(
            2 * TURNS * STEPS, ROWS / len(rows), noise_multiplier=4.0, by_unit=by_unit
        )
        budget = dps.PrivacyBudget(1e4, DELTA, unit=UNIT, max_rows=MOST)
        payer = Accountant(budget).admit("steps", Plan({"steps": part}), randomness="seeded")
        table = PrivateTable(codes, domain, payer)
        table.keep_units(UnitRows.of(domain.attributes, list(codes.T), units))
        steps.append(
            SampledGradients(
                table,
                payer.plan.sampled("steps"),
                np.random.default_rng(0),
                clip=1.0,
                encode=lambda lines, coins: encoding.one_hot(lines),
            )
        )
        critics.append(Critic(encoding.width, [WIDTH], torch.Generator().manual_seed(0)))
    least = [np.inf, np.inf]
    for _ in range(TURNS):
        for which, (critic, gradients) in enumerate(zip(critics, steps, strict=True)):
            gradients.step(critic, -1.0)  # warm
            started = time.process_time()
            for _ in range(STEPS):
                gradients.step(critic, -1.0)
            least[which] = min(least[which], time.process_time() - started)
    return least[1] / least[0], _length(critics[0], codes, encoding)


def _length(critic: object, codes: np.ndarray, encoding: object) -> float:
    """Return how long the mean of clipped gradients of five rows, drawn at random, is in clips."""
    import torch

    from dp_synth.mechanisms.dp_sgd import clipped_sum

    found, rng = [], np.random.default_rng(0)
    for _ in range(200):
        lines = torch.from_numpy(codes[rng.integers(len(codes), size=TOGETHER)]).long()
        inputs = encoding.one_hot(lines)  # type: ignore[attr-defined]
        parts = clipped_sum(critic, inputs, -1.0, 1.0)  # type: ignore[arg-type]
        found.append(float(sum(part.square().sum() for part in parts)) ** 0.5 / TOGETHER)
    return float(np.mean(found))


def fitted(
    recipe: dps.Synthesizer,
    tables: tuple[pd.DataFrame, pd.DataFrame],
    budget: dps.PrivacyBudget,
    seeds: range,
) -> str:
    """Return the noise, total variation and AUC of fits, a seed each, as a piece of a line."""
    rows, fresh = tables
    schema = dps.datasets.load("adult").schema.select(list(COLUMNS))
    far, areas, noise = [], [], 0.0
    for seed in seeds:
        release = recipe.fit(rows, schema, budget, seed=seed)
        made = release.sample(len(rows), seed=seed, kinds="written")
        far.append(dps.metrics.workload_error(rows, made, schema).value)
        models = {LEARNER: MODELS[LEARNER]}
        told = dps.metrics.utility(made, fresh, schema, models=models)
        areas.append(told[LEARNER]["auc"].value)
        events = (entry.event for entry in release.ledger.charges)
        noise = max(
            (e.noise_multiplier for e in events if isinstance(e, SampledGaussian)), default=0
        )
    told = f"noise {noise:6.2f} clips  " if noise else " " * 20
    return (
        f"{told}TV {Spread.of(np.array(far)).shown(4)}  AUC {Spread.of(np.array(areas)).shown(3)}"
    )


def main() -> None:
    """Print the cost of a step, then a line a bound, epsilon and method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--persons", type=int, default=30_000)
    parser.add_argument("--max-rows", nargs="+", type=int, default=(10,))
    parser.add_argument("--epsilons", nargs="+", type=float, default=(1.0, 3.0))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    given = parser.parse_args()
    schema = dps.datasets.load("adult").schema.select(list(COLUMNS))
    rows, fresh = visits(given.persons, 0), visits(given.persons // 4, 1)
    ratio, length = step_cost(rows, schema)
    print(f"{len(rows):,} visits of {given.persons:,} persons, {given.steps} steps")
    print(f"a step over persons takes {ratio:.2f} times the CPU of one over rows", flush=True)
    print(f"a part of {TOGETHER} rows of strangers is {length:.2f} clips long", flush=True)
    recipes = {
        "dpctgan by rows": dps.DPCTGAN(steps=given.steps),
        "dpctgan by persons": dps.DPCTGAN(steps=given.steps, sampled="units"),
        "clique_tree": dps.SYNTHESIZERS["clique_tree"](),
    }
    for most in given.max_rows:
        for epsilon in given.epsilons:
            budget = dps.PrivacyBudget(epsilon, DELTA, unit=UNIT, max_rows=most)
            for name, recipe in recipes.items():
                found = fitted(recipe, (rows, fresh), budget, range(given.seeds))
                print(f"max_rows {most:>3}  epsilon {epsilon:<4g} {name:<19}{found}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"network_units: {error}")
