"""Small valid files of every format, and the command that reads each of them."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.benchmark import Grid, open_store, plan, write_record_file
from dp_synth.benchmark.cell import Outcome, measured
from dp_synth.benchmark.store import gather, read_records, save
from dp_synth.cli import main
from dp_synth.inference import MixtureModel
from dp_synth.report.card import data_card
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST, Independent, PublishedMST
from dp_synth.transcript import Answer, HistogramAnswer, ScoresAnswer, VoteAnswer

BUDGET = PrivacyBudget(1.0, 1e-6)
SCHEMA = {
    "name": "small",
    "label": "job",
    "positive": "b,c",
    "unit_of_privacy": "row",
    "constraints": [{"impossible": {"job": ["ä"], "rank": [2]}}],
    "columns": [
        {"name": "age", "type": "integer", "lower": 0, "upper": 9, "missing": ["?"]},
        {"name": "job", "type": "categorical", "categories": ["ä", "b,c"]},
        {"name": "rank", "type": "ordinal", "size": 3},
        {"name": "paid", "type": "real", "lower": -1.5, "upper": 2e3, "bins": 5},
        {"name": "day", "type": "datetime", "lower": "2020-01-01", "upper": "2020-03-01"},
    ],
}
POLICY = """\
epsilon_at_most: 2
delta_at_most: 1.0e-5
unseeded: false
forbidden_columns: [identifier]
signatures:
  - {role: owner, statement: The bounds are public.}
"""
GRID = """\
name: small
dataset: [adult]
delta: 1.0e-5
seeds: 2
synthesizers: [independent, {name: mst, set: {as_published: true}}]
utility: {epsilons: [0.5, 1], metrics: [tv2], samples: [0.5]}
leakage: {epsilons: [1], members: 50, isolated: 10, attacks: [closest_record]}
limits: {seconds: 60, give_up: 2}
"""
EVENTS = """\
adjacency: add_remove
events:
  - gaussian: {stddev: 20.0, sensitivity: 1.0}
    count: 3
  - {selection: {epsilon: 0.1}, count: 2}
  - pure: {epsilon: 0.05}
"""
# Exit codes beside 0 and 2 that a command is documented to end with.
REFUSED = {"gate": 4, "synthesize": 3}


@dataclass(frozen=True)
class Target:
    """A file to change, how it is written, and the command that reads it from the same folder."""

    file: str
    kind: str
    arguments: tuple[str, ...]


def target(file: str, kind: str, arguments: str) -> Target:
    return Target(file, kind, tuple(arguments.split()))


FIT = "--schema schema.json --epsilon 1 --delta 1e-6 --synthesizer independent --seed 0"
GATE = "gate card.json --policy policy.yaml"
TARGETS = {
    "schema": target("schema.json", "json", "schema check table.csv schema.json"),
    "schema of a fit": target(
        "schema.json", "json", f"synthesize --data table.csv {FIT} --out out.csv"
    ),
    "table": target("table.csv", "csv", "schema check table.csv schema.json"),
    "table to draft": target("table.csv", "csv", "schema draft table.csv"),
    "packed table": target("table.csv.gz", "csv.gz", "schema check table.csv.gz schema.json"),
    "parquet table": target("table.parquet", "parquet", "schema draft table.parquet"),
    "table of a fit": target(
        "table.csv", "csv", f"synthesize --data table.csv {FIT} --out out.parquet"
    ),
    "given rows": target("given.csv", "csv", "sample tree.npz --given-rows given.csv --out -"),
    "release": target("release.npz", "npz", "sample release.npz --rows 5 --seed 0 --out out.csv"),
    "tree": target("tree.npz", "npz", "sample tree.npz --rows 5 --given job=ä --out -"),
    "mixture": target("mixture.npz", "npz", "sample mixture.npz --rows 5 --seed 0 --out -"),
    "release of a card": target("tree.npz", "npz", "card tree.npz --out out.json"),
    "ledger": target("ledger.jsonl", "ledger", "ledger verify ledger.jsonl"),
    "ledger to show": target("ledger.jsonl", "ledger", "ledger show ledger.jsonl"),
    "ledger to export": target("ledger.jsonl", "ledger", "ledger export ledger.jsonl --out -"),
    "card": target("card.json", "json", GATE),
    "signatures": target("card.signatures.json", "json", GATE),
    "policy": target("policy.yaml", "yaml", GATE),
    "grid": target("grid.yaml", "yaml", "benchmark status grid.yaml --store store"),
    "events": target("events.yaml", "yaml", "account events.yaml --delta 1e-6"),
    "records": target(
        "records.jsonl", "jsonl", "benchmark rank records.jsonl --metric tv2 --epsilon 1"
    ),
    "records to compare": target(
        "records.jsonl",
        "jsonl",
        "benchmark compare records.jsonl --first mst --second independent --metric tv2",
    ),
    "gathered records": target(
        "store/records.parquet", "records", "benchmark export store --command x --out out.jsonl"
    ),
    "cell": target("store/cells/*/*.json", "cell", "benchmark diff store other"),
    "cell of a grid": target(
        "store/cells/*/*.json", "cell", "benchmark status grid.yaml --store store"
    ),
}
SLOW = {  # by hand: they draw, or load much
    "records to draw": target("records.jsonl", "jsonl", "benchmark plot records.jsonl --out out"),
    "manifest": target(
        "store/manifest.json", "json", "benchmark report store --out out.html --card card.json"
    ),
    "card of a page": target(
        "card.json", "json", "benchmark report store --out out.html --card card.json"
    ),
}


def make(folder: Path) -> Path:
    """Write a valid file of each format into a new folder, and return it."""
    folder.mkdir()
    schema = Schema.from_dict(SCHEMA)
    (folder / "schema.json").write_text(json.dumps(SCHEMA, indent=1))
    frame = _frame(60)
    frame.to_csv(folder / "table.csv", index=False)
    packed = (folder / "table.csv").read_bytes()
    (folder / "table.csv.gz").write_bytes(gzip.compress(packed, mtime=0))
    typed = frame.assign(age=frame["age"].replace("?", "-1").astype(int))
    typed.to_parquet(folder / "table.parquet", index=False)
    frame.head(5).assign(job="", rank="", paid="", day="").to_csv(folder / "given.csv", index=False)
    accountant = Accountant(BUDGET, ledger=folder / "ledger.jsonl")
    Independent().fit(frame, schema, accountant, seed=0)
    released = MST().fit(frame, schema, BUDGET, seed=0)
    released.save(folder / "release.npz")
    tree = PublishedMST().fit(frame, schema, BUDGET, seed=0)
    tree.save(folder / "tree.npz")
    replace(released, model=_mixture(schema), transcript=_votes()).save(folder / "mixture.npz")
    data_card(tree).write(folder / "card.json")
    (folder / "card.html").unlink()
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "events.yaml").write_text(EVENTS)
    _sign(folder)
    _benchmark(folder)
    return folder


def _mixture(schema: Schema) -> MixtureModel:
    sizes = schema.domain.sizes
    tables = tuple(np.full((2, size), 1 / size) for size in sizes)
    plain = Schema.from_dict({**SCHEMA, "constraints": []})
    return MixtureModel(plain.domain, np.array([0.25, 0.75]), tables, 60.0)


def _votes() -> tuple[Answer, ...]:
    records = np.array([[1, 0, -1, 2, 3], [0, 1, 2, -1, 0]], dtype=np.int32)
    place, other = np.array([0, 1], dtype=np.int32), np.array([3, 0], dtype=np.int32)
    won = np.array([True, False])
    votes = VoteAnswer("votes", "as a test", records, place, other, won, "gaussian", 2.0, 9, {})
    counts = np.array([3.5, -1.0])
    scores = ScoresAnswer("look", "as a test", (("age",), ("job", "age")), counts, 2.0, {})
    return votes, HistogramAnswer("score", "as a test", counts, 2.0, {}), scores


def _frame(records: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rank = rng.integers(0, 3, records)
    return pd.DataFrame(
        {
            "age": rng.integers(0, 10, records).astype(str),
            "job": np.where((rank == 2) | (rng.random(records) < 0.5), "b,c", "ä"),
            "rank": rank.astype(str),
            "paid": np.round(rng.uniform(0, 1900, records), 2).astype(str),
            "day": [f"2020-02-{1 + one:02}" for one in rng.integers(0, 28, records)],
        }
    ).replace({"age": {"9": "?"}})


def _sign(folder: Path) -> None:
    gate = ["gate", str(folder / "card.json"), f"--policy={folder / 'policy.yaml'}"]
    assert main([*gate, "--sign", "owner=A. Holder"]) in (0, REFUSED["gate"])


def _benchmark(folder: Path) -> None:
    """Write a grid, a store of its cells as if they had been run, and another one."""
    (folder / "grid.yaml").write_text(GRID)
    grid = Grid.load(folder / "grid.yaml")
    cells = plan(grid)
    for name in ("store", "other"):
        store = open_store(folder / name)
        for place, cell in enumerate(cells):
            value = 0.1 + place / 100
            metric = "tv2" if cell.task == "utility" else "auc:closest_record"
            found = (measured(metric, value, value - 0.01, value + 0.01),)
            ended = Outcome(found, 0.5, 0.6, 100.0, "" if cell.is_baseline else "ledger")
            save(store, cell, ended if place % 7 else Outcome(error="ValueError: no"))
        gather(store, cells)
    manifest = {"grid": grid.model_dump(mode="json"), "runs": []}
    (folder / "store" / "manifest.json").write_text(json.dumps(manifest))
    write_record_file(read_records(open_store(folder / "store")), folder / "records.jsonl", "made")
