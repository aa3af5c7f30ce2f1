"""PATE-GAN by the protocol of the study that compared six public ones, and what stands beside.

    python benchmarks/pate_protocol.py cervical_cancer|epileptic_seizure [--methods "pategan;mst"]
        [--epsilon 1] [--trainings 5] [--tables 5] [--resume]

Delta 1e-5; each training gives tables of the training rows' number, each table's rows train the
study's twelve classifiers (`study.py`). A training is a line of JSON in
``results/pate_protocol.jsonl``. The study takes, for each classifier, the best of all tables,
which flatters: chance is measured alike (``shuffled``: real rows whose labels were permuted;
``independent``: noisy columns alone), beside marginal methods and real rows themselves.
Needs the folder that DP_SYNTH_DATA names, and the extra `deep`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from measured import RECORDS, read
from study import TABLES, Score, scores_of, study_parts

import dp_synth as dps
from dp_synth.datasets import Dataset

DELTA = 1e-5
RESULTS = "pate_protocol.jsonl"
FEW_RECORDS = {"label_share": 1.0, "votes": 40, "most_groups": 2}


@dataclass(frozen=True)
class Method:
    """A recipe with its settings, or what stands in for one; ``epsilon`` 0 takes the asked one."""

    synthesizer: str
    settings: Mapping[str, object] = field(default_factory=dict)
    epsilon: float = 0.0


METHODS = {
    "pategan": Method("pategan", FEW_RECORDS),
    "pategan, defaults": Method("pategan"),
    "pategan, teachers of the study": Method("pategan", FEW_RECORDS),
    "pategan, epsilon 1000": Method("pategan", epsilon=1000.0),
    "mst": Method("mst"),
    "clique_tree": Method("clique_tree"),
    "independent": Method("independent"),
    "shuffled": Method("shuffled"),
    "real": Method("real"),
}


def settings_of(name: str, parts: Dataset) -> dict[str, object]:
    """Return the settings of a method on a table, the label and its public number of teachers."""
    settings = dict(METHODS[name].settings)
    if METHODS[name].synthesizer != "pategan":
        return settings
    if name.endswith("of the study"):  # two, or rows by a thousand: odd, as votes here have to be
        settings["teachers"] = max(3, len(parts.train) // 1000 | 1)
    return {"label": parts.schema.label, **settings}


def tables_of(
    name: str, parts: Dataset, epsilon: float, training: int, tables: int
) -> Iterator[pd.DataFrame]:
    """Yield the tables of one training, of as many rows as were trained on."""
    method, train = METHODS[name], parts.train
    label = parts.schema.label or ""
    if method.synthesizer in ("real", "shuffled"):
        for table in range(tables):
            rng = np.random.default_rng([training, table])
            rows = train.copy()
            if method.synthesizer == "shuffled":
                rows[label] = rng.permutation(rows[label].to_numpy())
            yield rows
        return
    recipe = dps.SYNTHESIZERS[method.synthesizer](**settings_of(name, parts))
    budget = dps.PrivacyBudget(method.epsilon or epsilon, DELTA)
    release = recipe.fit(train, parts.schema, budget, seed=training)
    for table in range(tables):
        yield release.sample(len(train), seed=table, kinds="written")


def record_of(
    name: str, parts: Dataset, arguments: argparse.Namespace, training: int
) -> dict[str, object]:
    """Return a line of results: what was done, and every classifier's scores on every table."""
    started = time.process_time()
    scores: list[dict[str, Score]] = []
    for rows in tables_of(name, parts, arguments.epsilon, training, extent(name, arguments)[1]):
        scores.append(scores_of(rows, parts))
    return {
        **key_of(name, arguments, training),
        "command": f"pate_protocol.py {arguments.table} --methods '{name}'",
        "version": dps.__version__,
        "settings": settings_of(name, parts),
        "seconds": round(time.process_time() - started, 1),
        "scores": scores,
    }


def key_of(name: str, arguments: argparse.Namespace, training: int) -> dict[str, object]:
    """Return the fields that tell one training from others."""
    return {
        "table": arguments.table,
        "method": name,
        "epsilon": METHODS[name].epsilon or arguments.epsilon,
        "delta": DELTA,
        "training": training,
        "tables": extent(name, arguments)[1],
    }


def extent(name: str, arguments: argparse.Namespace) -> tuple[int, int]:
    """Return how many trainings, and tables each: real rows are the same every time."""
    return (1, 1) if name == "real" else (arguments.trainings, arguments.tables)


def compute(arguments: argparse.Namespace, results: Path) -> None:
    """Do all trainings, a line each; with ``resume`` those alone that have none."""
    parts = study_parts(arguments.table)
    done = read(results)
    for name in arguments.methods.split(";"):
        for training in range(extent(name, arguments)[0]):
            key = key_of(name, arguments, training)
            if arguments.resume and any(key.items() <= record.items() for record in done):
                continue
            record = record_of(name, parts, arguments, training)
            with results.open("a") as file:
                file.write(json.dumps(record) + "\n")
            mean = np.mean([list(table.values()) for table in record["scores"]], axis=(0, 1))  # type: ignore[attr-defined]
            print(arguments.table, name, training, mean.round(3), record["seconds"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--methods", default=";".join(METHODS))
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--trainings", type=int, default=5)
    parser.add_argument("--tables", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RECORDS / RESULTS)
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of classifiers on one-sided tables
    compute(arguments, arguments.results)


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"pate_protocol: {error}")
