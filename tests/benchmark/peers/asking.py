"""What the tests of peers ask for: a small table, and scripts that answer in some way."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dp_synth import PrivacyBudget
from dp_synth.benchmark.peers import PeerRequest
from dp_synth.schema import Schema

ROWS = 50
SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "job", "type": "categorical", "categories": ["NA", "b, c", "d"]},
            {"name": "age", "type": "integer", "lower": 0, "upper": 99, "missing": ["?"]},
            {"name": "pay", "type": "real", "lower": 0.0, "upper": 10.0, "bins": 4},
        ],
    }
)
TABLE = pd.DataFrame(
    {
        "job": ["NA", "b, c", "d", "d", "b, c"] * 20,
        "age": [str(age) for age in range(99)] + ["?"],
        "pay": ["2.5", "7.5", "0.0", "10.0", "1e0"] * 20,
    }
)

# Opens every script: reads the request, and can write an answer that is right.
PRELUDE = """
import csv, json, os, pathlib, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text())
told = {"format": 1, "versions": {"fake": "1"}, "notes": ["a note"],
        "declared": {"epsilon": request["epsilon"], "delta": request["delta"]}}
def answer(rows, names=("job", "age", "pay"), **changed):
    with open(folder / "rows.csv", "w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    (folder / "answer.json").write_text(json.dumps({**told, **changed}))
good = [("NA", "30", "0.25"), ("d", "?", "9.5")] * (request["rows"] // 2)
"""


def script(folder: Path, body: str) -> tuple[str, ...]:
    """Write a peer of which ``body`` is the end; return its command."""
    path = folder / "fake_peer.py"
    path.write_text(PRELUDE + body)
    return (sys.executable, str(path))


def request(command: tuple[str, ...] = (), **changed: Any) -> PeerRequest:
    """Return a request that differs from the usual one in the fields given."""
    fields: Mapping[str, Any] = {
        "peer": "fake",
        "method": "one",
        "table": TABLE,
        "schema": SCHEMA,
        "budget": PrivacyBudget(1.0, 1e-6),
        "rows": ROWS,
        "seed": 3,
        "command": command,
        "seconds": 30.0,
        **changed,
    }
    return PeerRequest(**fields)
