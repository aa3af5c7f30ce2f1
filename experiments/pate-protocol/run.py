"""PATE-GAN by the protocol of the study that compared six public ones, and what stands beside.

    python -m experiments pate-protocol cervical_cancer|epileptic_seizure [--methods "pategan;mst"]
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
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from experiments.pate_protocol.study import TABLES, scores_of, study_parts

import dp_synth as dps
from benchmarks.measured import Record, append, arguments, chosen, read
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
    **{name: Method(name) for name in ("mst", "clique_tree", "independent", "shuffled", "real")},
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


def key_of(name: str, asked: argparse.Namespace, training: int) -> Record:
    """Return the fields that tell one training from others: real rows are alike every time."""
    return {
        "table": asked.table,
        "method": name,
        "epsilon": METHODS[name].epsilon or asked.epsilon,
        "delta": DELTA,
        "training": training,
        "tables": 1 if name == "real" else asked.tables,
    }


def compute(asked: argparse.Namespace) -> None:
    """Do all trainings, a line each; with ``resume`` those alone that have none."""
    parts, results = study_parts(asked.table), asked.results / RESULTS
    done = read(results) if asked.resume else []
    for name in asked.methods.split(";"):
        for training in range(1 if name == "real" else asked.trainings):
            key = key_of(name, asked, training)
            if chosen(done, **key):
                continue
            started, tables = time.process_time(), key["tables"]
            made = tables_of(name, parts, asked.epsilon, training, tables)
            scores = [scores_of(rows, parts) for rows in made]
            seconds = round(time.process_time() - started, 1)
            command = f"python -m experiments pate-protocol {asked.table} --methods '{name}'"
            beside = {"command": command, "settings": settings_of(name, parts)}
            append(results, {**key, **beside, "seconds": seconds, "scores": scores})
            mean = np.mean([list(table.values()) for table in scores], axis=(0, 1))
            print(asked.table, name, training, mean.round(3), seconds, flush=True)


def main() -> None:
    """Do what is asked for, and print the means of each training."""
    parser = arguments((__doc__ or "").split("\n\n")[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--methods", default=";".join(METHODS))
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--trainings", type=int, default=5)
    parser.add_argument("--tables", type=int, default=5)
    warnings.simplefilter("ignore")  # of classifiers on one-sided tables
    compute(parser.parse_args())
