"""DP-CTGAN and DPGAN on the coded Adult table at delta 1e-5, over five seeds.

    python benchmarks/deep_adult.py [--synthesizers dpctgan,dpgan] [--epsilons 1,3] [--seeds 5]
        [--set steps=1500 ...] [--steps]

Split, TV and boosting as in `synthesizers.py`; logistic
regression is that of `dps.metrics.utility`.
``--steps`` prints instead what a training step costs beside the same step without privacy.
Needs the folder that DP_SYNTH_DATA names, and the extra `deep`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np
import pandas as pd
from cells import boosted_auc
from inputs import Source, load
from scipy import stats

import dp_synth as dps
from dp_synth.accounting import calibrate
from dp_synth.metrics.classifiers import logistic_regression

DELTA = 1e-5
TIMED_STEPS = 200
MEASURES = ("tv", "tv1", "boosting", "logistic", "seconds", "wall_seconds")


def one_fit(recipe: dps.Synthesizer, epsilon: float, seed: int) -> dict[str, float]:
    """Return what one fit gives and costs, calibration apart."""
    parts = load(Source("adult_discrete"))
    train, holdout, schema = parts.train, parts.holdout, parts.schema
    budget = dps.PrivacyBudget(epsilon, DELTA)
    calibrate({recipe.name: (recipe.charges(schema.domain), 1.0)}, budget)
    started, clock = time.process_time(), time.perf_counter()
    release = recipe.fit(train, schema, budget, seed=seed)
    seconds, wall = time.process_time() - started, time.perf_counter() - clock
    rows = release.sample(seed=seed)
    tv = dps.metrics.workload_error
    scores = dps.metrics.utility(rows, holdout, schema, models={"logistic": logistic_regression})
    return {
        "tv": tv(train, rows, schema).value,
        "tv1": tv(train, rows, schema, degree=1).value,
        "boosting": boosted_auc(rows.astype(int), holdout.astype(int), schema.label or ""),
        "logistic": scores["logistic"]["auc"].value,
        "seconds": seconds,
        "wall_seconds": wall,
    }


def interval(values: list[float]) -> str:
    """Return the mean and its 95 % t-interval over seeds."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{np.mean(values):.4f} +- {half:.4f}"


def time_steps(rows: int = 1024, inputs: int = 320, width: int = 128) -> None:
    """Print the seconds of a critic's step, on records and generated rows, with privacy or not."""
    import torch

    from dp_synth.mechanisms.sampled_gradients import Critic, clipped_sum

    coins = torch.Generator().manual_seed(0)
    critic = Critic(inputs, [width], coins)
    real, made = ((torch.rand(rows, inputs, generator=coins) < 0.1).float() for _ in range(2))
    optimizer = torch.optim.Adam(critic.parameters())
    noise = np.random.default_rng(0)

    def plain() -> None:
        optimizer.zero_grad()
        (critic(made) - critic(real)).mean().backward()
        optimizer.step()

    def private() -> None:
        sums = clipped_sum(critic, real, torch.neg, 1.0), clipped_sum(critic, made, abs, 1.0)
        for parameter, ours, other in zip(critic.parameters(), *sums, strict=True):
            drawn = torch.from_numpy(noise.normal(0.0, 4.0, tuple(ours.shape)))
            parameter.grad = (ours + drawn.to(ours.dtype) + other) / rows
        optimizer.step()

    for name, step in (("without privacy", plain), ("with privacy", private)):
        step()
        started = time.process_time()
        for _ in range(TIMED_STEPS):
            step()
        print(f"{name}: {1000 * (time.process_time() - started) / TIMED_STEPS:.2f} ms a step")


def main() -> None:
    parser = argparse.ArgumentParser(description="The deep family on Adult")
    parser.add_argument("--synthesizers", default="dpctgan,dpgan")
    parser.add_argument("--epsilons", default="1,3")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[], help="settings, as name=value")
    parser.add_argument("--steps", action="store_true", help="time a training step")
    chosen = parser.parse_args()
    if chosen.steps:
        time_steps()
        return
    settings = {name: json.loads(value) for name, value in (s.split("=") for s in chosen.set)}
    for name in chosen.synthesizers.split(","):
        recipe = dps.SYNTHESIZERS[name](**settings)
        for epsilon in map(float, chosen.epsilons.split(",")):
            found = []
            for seed in range(chosen.seeds):
                found.append(one_fit(recipe, epsilon, seed))
                print(
                    name, epsilon, seed, {k: round(v, 4) for k, v in found[-1].items()}, flush=True
                )
            table = pd.DataFrame(found)
            for measure in MEASURES if chosen.seeds > 1 else ():
                print(f"  epsilon {epsilon:g} {measure}: {interval(table[measure].tolist())}")


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"deep_adult: {error}")
