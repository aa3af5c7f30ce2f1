"""`dp-synth synthesize` with a column whose list of categories is open."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from dp_synth.cli import main
from dp_synth.release import Release

SCHEMA = {
    "name": "people",
    "columns": [
        {"name": "job", "type": "categorical", "categories": ["clerk"], "open": True},
        {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
    ],
}


def synthesize(folder: Path, *more: str) -> int:
    jobs = ["clerk"] * 400 + ["smith"] * 300 + ["astronaut"]
    frame = pd.DataFrame({"job": jobs, "sex": ["F", "M", "M"] * 233 + ["F", "F"]})
    frame.to_csv(folder / "people.csv", index=False)
    (folder / "people.meta.json").write_text(json.dumps(SCHEMA))
    given = {
        "data": folder / "people.csv",
        "schema": folder / "people.meta.json",
        "out": folder / "synth.csv",
        "epsilon": 1,
        "delta": 1e-6,
        "seed": 0,
    }
    return main(["synthesize", *(f"--{name}={value}" for name, value in given.items()), *more])


def test_frequent_categories_come_out_and_the_ledger_says_what_they_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert synthesize(tmp_path, f"--release={tmp_path / 'r.npz'}", "--rows=200") == 0
    printed = capsys.readouterr().err
    assert "categories of 'job'" in printed
    assert "astronaut" not in printed
    assert set(pd.read_csv(tmp_path / "synth.csv")["job"]) == {"clerk", "smith"}
    assert Release.load(tmp_path / "r.npz").schema.discrete("job").texts == ("clerk", "smith")


def test_an_adaptive_ledger_pays_for_categories_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = tmp_path / "people.jsonl"
    assert main(["ledger", "new", str(ledger), "--epsilon=2", "--delta=1e-6"]) == 0
    assert synthesize(tmp_path, f"--ledger={ledger}") == 0
    assert "categories of 'job'" in capsys.readouterr().err
    assert main(["ledger", "verify", str(ledger)]) == 0
    assert "all runs on this ledger together" in capsys.readouterr().out
