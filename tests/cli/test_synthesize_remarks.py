"""What `dp-synth synthesize` tells the data holder on standard error before it charges."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from dp_synth.cli import main
from dp_synth.counting import records
from dp_synth.datasets import write_table

FRAME = pd.DataFrame(
    {
        "income": [f"{i},50" for i in range(199)] + ["?"],
        "ok": ["True", "False"] * 100,
        "born": ["05/06/1980"] * 190 + ["1980-06-05"] * 10,
    }
)
COLUMNS = [
    {"name": "income", "type": "real", "lower": 0, "upper": 1000, "missing": ["?"]},
    {"name": "ok", "type": "categorical", "categories": ["true", "false"]},
    {"name": "born", "type": "datetime", "lower": "1900-01-01", "upper": "2020-12-31"},
]
PRIVATE = "private, for the data holder only: cells that do not fit (schema check shows them)"
TOLD = [
    PRIVATE,
    "  column 'income': cell that is no number: 199 of 200",
    "  column 'born': cell that is no date: 190 of 200",
]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for ending in ("csv", "parquet"):
        write_table(FRAME, tmp_path / f"t.{ending}")
    return tmp_path


def synthesize(
    folder: Path, *options: str, ending: str = "csv", **fields: object
) -> tuple[int, Path]:
    schema = folder / "t.meta.json"
    schema.write_text(json.dumps({"name": "t", "columns": COLUMNS, **fields}))
    out = folder / "rows.csv"
    command = ["synthesize", "--data", str(folder / f"t.{ending}"), "--schema", str(schema)]
    budget = ["--epsilon", "1", "--delta", "1e-6", "--synthesizer", "independent"]
    return main([*command, *budget, "--out", str(out), *options]), out


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("streamed", [False, True])
def test_columns_that_do_not_fit_are_told_to_the_holder_and_to_nobody_else(
    files: Path,
    ending: str,
    streamed: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if streamed:
        pytest.importorskip("duckdb", reason="the extra 'bigdata' is not installed")
        monkeypatch.setattr(records, "LARGEST_IN_MEMORY", 0)
    kept = ("--release", str(files / "r.npz"), "--ledger", str(files / "l.jsonl"))
    code, out = synthesize(files, *kept, "--card", str(files / "c.json"), ending=ending)
    printed = capsys.readouterr()
    assert code == 0
    assert printed.out == ""
    assert printed.err.splitlines()[:3] == TOLD
    for path in files.iterdir():
        if path.suffix in (".jsonl", ".json", ".html"):
            # by themselves: digests and fractions hold any three digits by chance
            assert not re.search(r"(?<![\w.])(199|190)(?![\w.])", path.read_text())
    assert len(pd.read_csv(out)) > 0


def test_without_the_check_nothing_private_is_printed(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = synthesize(files, "--no-check")
    assert code == 0
    assert "private" not in capsys.readouterr().err


def test_a_table_that_fits_is_not_remarked_upon(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = synthesize(files, "--columns", "ok")
    assert code == 0
    assert not {"private", "note:"} & set(capsys.readouterr().err.split())


def test_public_facts_that_weaken_the_promise_are_notes(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weak = {
        "bounds_from": "read from the data: confirm each bound and category",
        "unit_of_privacy": "person",
    }
    options = ("--columns", "ok", "--epsilon", "50", "--delta", "0.5", "--no-check")
    code, _ = synthesize(files, *options, **weak)
    said = capsys.readouterr().err
    assert code == 0
    notes = [line for line in said.splitlines() if line.startswith("note: ")]
    for note, words in zip(notes, ("a draft", "'person'", "epsilon 50", "delta 0.5"), strict=True):
        assert words in note
    assert "bounds read from the records: not certified" in said.splitlines()
