"""Whether synthetic records of a rare class help a model that has the real ones too."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from experiments.synthetic_plus_real.augment import Thinned, more_of, scores, unthinned
from experiments.synthetic_plus_real.gains import EPSILONS, KEPT, TABLES, draw, texts

import dp_synth as dps
from benchmarks.measured import Record, append, read
from experiments.outline import RECORDS, Experiment, begin, missing

HERE = Path(__file__).resolve().parent
SEEDS = 5
PLAIN = (("alone", None), ("duplicates", None), *product(("clique_tree",), EPSILONS))
GENERATED = ("marginal_generator", 3.0, 100)  # ten seconds a fit: at one setting alone


def measure(resume: bool) -> None:
    """Write the scores of every table, number of kept records, method and seed."""
    if "DP_SYNTH_DATA" not in os.environ:
        raise dps.InputError("DP_SYNTH_DATA must name the folder of tables that are not bundled")
    begin(HERE, resume)
    path = HERE / RECORDS
    for task in missing([*_thinned(), *_whole(), *_generated()], read(path)):
        started = time.process_time()
        values = _values(task)
        seconds = round(time.process_time() - started, 1)
        append(path, {**task, "values": values, "seconds": seconds})


def _thinned() -> Iterator[Record]:
    for seed, table in product(range(SEEDS), TABLES):
        for kept, (method, epsilon) in product(KEPT, PLAIN):
            yield _task(table, kept, method, epsilon, seed)
        yield _task(table, KEPT[0], "more_real", None, seed)


def _generated() -> Iterator[Record]:
    method, epsilon, kept = GENERATED
    for seed, table in product(range(SEEDS), TABLES):
        yield _task(table, kept, method, epsilon, seed)


def _whole() -> Iterator[Record]:
    for seed, table in product(range(SEEDS), TABLES):
        yield _task(table, None, "clique_tree", 3.0, seed)


def _task(table: str, kept: int | None, method: str, epsilon: float | None, seed: int) -> Record:
    return {"table": table, "kept": kept, "method": method, "epsilon": epsilon, "seed": seed}


def _values(task: Record) -> dict[str, float]:
    table, epsilon, seed = task["table"], task["epsilon"], task["seed"]
    if task["kept"] is None:
        return unthinned(table, epsilon, seed)
    thinned = Thinned.of_seed(table, task["kept"], seed)
    return scores(thinned, more_of(thinned, task["method"], epsilon, seed), seed)


EXPERIMENT = Experiment(HERE, (HERE / RECORDS,), texts, draw, measure)
