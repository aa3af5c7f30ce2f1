"""Make a file of every format with the version of dp_synth at hand: ``made_files.py FOLDER``.

The table is made up, so that all of it may be published. What is in FOLDER is committed and never
made again: `test_formats` reads it with every later version.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

SCHEMA = {
    "name": "visits",
    "columns": [
        {"name": "ward", "type": "categorical", "categories": ["A", "B", "C, D"]},
        {"name": "age", "type": "integer", "lower": 18, "upper": 89, "missing": [""]},
        {"name": "dose", "type": "real", "lower": 0, "upper": 10, "bins": 20},
        {"name": "ill", "type": "categorical", "size": 2},
    ],
}
SMALL = {"steps": 8, "rate": 0.1, "fakes": 16, "critic_width": 4, "generator_width": 4}
SETTINGS: dict[str, dict[str, int | float]] = {
    "mst": {},
    "privbayes": {},
    "dpctgan": {**SMALL, "components": 16},
    "pategan": {"votes": 10, "teachers": 21, "rounds": 2, "steps": 8, "rows": 16},
}
GRID = """\
name: frozen
dataset: visits.csv
delta: 1.0e-5
seeds: 1
synthesizers: [independent, {name: clique_tree, set: {max_cells: 5000}}]
utility: {epsilons: [1], metrics: [tv1, tv2]}
leakage: {epsilons: [1], members: 100, isolated: 10, attacks: [closest_record]}
"""
EVENTS = """\
adjacency: add_remove
events:
  - {gaussian: {stddev: 2.0, sensitivity: 1.0}, count: 10}
  - {selection: {epsilon: 0.4}, count: 14}
"""
POLICY = """\
epsilon_at_most: 1.5
delta_at_most: 1.0e-4
unseeded: false
signatures:
  - {role: data owner, statement: The bounds were known without looking.}
"""


def visits(n: int = 450) -> pd.DataFrame:
    """Return made-up records of ``SCHEMA``."""
    rng = np.random.default_rng(0)
    ward = rng.integers(0, 3, n)
    age = np.clip(rng.normal(40 + 8 * ward, 12), 18, 89).astype(int)
    return pd.DataFrame(
        {
            "ward": np.array(["A", "B", "C, D"])[ward],
            "age": np.where(rng.random(n) < 0.05, "", age.astype(str)),
            "dose": np.round(rng.gamma(2 + ward, 1.2).clip(0, 10), 2),
            "ill": (rng.random(n) < 0.2 + 0.006 * (age - 18)).astype(int),
        }
    )


def run(folder: Path, *arguments: str) -> None:
    """Run ``dp-synth`` in the folder; what it says is shown where it fails."""
    command = [sys.executable, "-m", "dp_synth", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr}")


def facts(folder: Path) -> dict[str, object]:
    """Return what every version must read in these files."""
    from dp_synth.accounting import read_ledger
    from dp_synth.benchmark import open_store, read_record_file, read_records
    from dp_synth.report import DataCard
    from dp_synth.synthesizers import Release

    releases = {}
    for name in SETTINGS:
        release = Release.load(folder / f"{name}.npz")
        counts = {column: release.marginal([column]).counts.tolist() for column in ("ward", "ill")}
        releases[name] = {
            "synthesizer": release.synthesizer,
            "epsilon": release.epsilon,
            "answers": len(release.transcript),
            "counts": counts,
            "rows": _rows(folder / f"{name}.npz"),
        }
    ledgers = {}
    for file in sorted(folder.glob("*.ledger")):
        ledger = read_ledger(file)
        ledgers[file.name] = [len(ledger), len(ledger.charges), ledger.epsilon]
    stored = read_records(open_store(folder / "store"))
    return {
        "releases": releases,
        "ledgers": ledgers,
        "card": DataCard.load(folder / "card.json").digest,
        "records": [len(stored), float(stored["value"].sum())],
        "record_file": len(read_record_file(folder / "records.jsonl")),
    }


def _rows(release: Path) -> str:
    """Return the text of 20 rows that a seed draws from a release file."""
    from dp_synth.cli import main

    out = release.with_suffix(".rows.csv")
    main(["sample", str(release), "--rows", "20", "--seed", "3", "--out", str(out)])
    text = out.read_text()
    out.unlink()
    return text


def make(folder: Path) -> None:
    """Fill the folder."""
    folder.mkdir(parents=True)
    table = visits()
    table[:300].to_csv(folder / "visits.csv", index=False)
    table[300:].to_csv(folder / "holdout.csv", index=False)
    (folder / "visits.meta.json").write_text(json.dumps(SCHEMA, indent=1))
    (folder / "grid.yaml").write_text(GRID)
    (folder / "events.yaml").write_text(EVENTS)
    (folder / "policy.yaml").write_text(POLICY)
    paid = ["--data", "visits.csv", "--schema", "visits.meta.json", "--delta", "1e-5"]
    for name, settings in SETTINGS.items():
        chosen = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
        kept = ["--release", f"{name}.npz", "--ledger", f"{name}.ledger", "--out", f"{name}.csv"]
        fit = ["--synthesizer", name, *chosen, "--epsilon", "1", "--seed", "0", "--rows", "50"]
        run(folder, "synthesize", *paid, *fit, *kept)
    run(folder, "ledger", "new", "shared.ledger", "--epsilon", "2", "--delta", "1e-5")
    for name in ("independent", "mst"):
        more = ["--epsilon", "0.5", "--out", f"shared_{name}.csv", "--rows", "5", "--seed", "1"]
        run(folder, "synthesize", *paid, *more, "--synthesizer", name, "--ledger", "shared.ledger")
    run(folder, "card", "mst.npz", "--out", "card.json", "--title", "Visits")
    (folder / "card.html").unlink()  # a page is drawn, and never read again
    run(folder, "gate", "card.json", "--policy", "policy.yaml", "--sign", "data owner=A. Person")
    three = ["--real", "visits.csv", "--holdout", "holdout.csv", "--synthetic", "mst.csv"]
    run(folder, "evaluate", *three, "--schema", "visits.meta.json", "--json", "evaluation.json")
    run(folder, "benchmark", "run", "grid.yaml", "--store", "store", "--jobs", "1")
    run(
        folder,
        "benchmark",
        "export",
        "store",
        "--out",
        "records.jsonl",
        "--command",
        "made_files.py",
    )
    (folder / "facts.json").write_text(json.dumps(facts(folder), indent=1))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
