"""Who is at risk of being told to be a member, and for whom a release is good for less."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

from experiments.who_is_at_risk.fairness import fare
from experiments.who_is_at_risk.rarity_games import Setting, play
from experiments.who_is_at_risk.words import draw, texts

import dp_synth as dps
from benchmarks.measured import Record, append, read
from experiments.outline import RECORDS, Experiment, begin, missing

HERE = Path(__file__).resolve().parent
SEEDS = 5
RECIPES = {"mst": dps.MST(), "clique_tree": dps.CliqueTree(), "no_privacy": None}
FITTED = (("no_privacy", None), *product(("mst", "clique_tree"), (1.0, 10.0)))
PARTS = {"leakage": (*FITTED, ("mst", 1000.0)), "fairness": FITTED}


def measure(resume: bool) -> None:
    """Write the games of every method, epsilon and seed, then the scores by group."""
    begin(HERE, resume)
    path = HERE / RECORDS
    tasks = [task for kind in PARTS for task in _tasks(kind)]
    for task in missing(tasks, read(path)):
        started = time.process_time()
        found = _found(task)
        seconds = round(time.process_time() - started, 1)
        append(path, {**task, "found": found, "seconds": seconds})


def _tasks(kind: str) -> Iterator[Record]:
    for seed, (name, epsilon) in product(range(SEEDS), PARTS[kind]):
        yield {"kind": kind, "synthesizer": name, "epsilon": epsilon, "seed": seed}


def _found(task: Record) -> Mapping[str, object]:
    recipe, epsilon, seed = RECIPES[task["synthesizer"]], task["epsilon"] or 0.0, task["seed"]
    if task["kind"] == "fairness":
        return fare(recipe, epsilon, seed)
    return play(Setting.of_seed(seed), recipe, epsilon, seed)


EXPERIMENT = Experiment(HERE, (HERE / RECORDS,), texts, draw, measure)
