"""What was computed from private rows can be read by its owner alone, whatever the umask is."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from dp_synth.cli import main
from dp_synth.files import write_whole, written_whole
from dp_synth.schema import Schema

COLUMNS = [
    {"name": "a", "type": "categorical", "categories": ["x", "y"]},
    {"name": "n", "type": "integer", "lower": 0, "upper": 99},
]
CONTENT = {"name": "t", "columns": COLUMNS}
FRAME = pd.DataFrame({"a": ["x", "y"] * 45, "n": range(90)})


@pytest.fixture(autouse=True)
def _generous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: str | Path) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def test_a_private_file_is_so_from_its_first_byte_and_takes_the_place_of_one_that_was_not() -> None:
    Path("a").write_text("old")
    assert mode("a") == 0o666
    with written_whole("a", private=True) as passing:
        assert mode(passing) == 0o600
        passing.write_text("new")
        assert mode(passing) == 0o600
    assert mode("a") == 0o600
    write_whole(Path("folder/b"), b"x", private=True)
    assert mode("folder/b") == 0o600
    with written_whole("c") as passing:
        passing.write_text("public")
    assert mode("c") == 0o666


def test_evaluations_attacks_and_audits_of_an_own_table_write_private_files() -> None:
    Path("t.meta.json").write_text(json.dumps(CONTENT))
    for start, name in enumerate(("real", "holdout", "synth")):
        FRAME[30 * start : 30 * start + 30].to_csv(f"{name}.csv", index=False)
    tables = "--real real.csv --holdout holdout.csv --synthetic synth.csv --schema t.meta.json"
    audited = "audit --synthesizer independent --epsilon 1 --delta 1e-2 --runs 300"
    for command in (
        f"evaluate {tables} --metric none --json e.json --html e.html",
        f"{audited} --data real.csv --schema t.meta.json --json a.json",
        f"{audited} --json made.json",
        "attack --members real.csv --non-members holdout.csv --synthetic synth.csv "
        "--schema t.meta.json --attack closest_record --json s.json",
    ):
        assert main(command.split()) == 0, command
    assert [mode(path) for path in ("e.json", "e.html", "a.json", "s.json")] == [0o600] * 4
    assert mode("made.json") == 0o666


def test_an_internal_card_and_a_verdict_by_private_numbers_are_private_files() -> None:
    Path("t.meta.json").write_text(json.dumps(CONTENT))
    FRAME[:60].to_csv("real.csv", index=False)
    FRAME[60:].to_csv("holdout.csv", index=False)
    fit = "synthesize --data real.csv --schema t.meta.json --epsilon 1 --delta 1e-3"
    kept = "--synthesizer independent --rows 40 --out synth.csv --release r.npz --card c.json"
    assert main(f"{fit} {kept} --internal --holdout holdout.csv".split()) == 0
    assert [mode(path) for path in ("c.json", "c.html")] == [0o600] * 2
    assert main(["card", "r.npz", "--out", "p.json"]) == 0
    assert [mode(path) for path in ("p.json", "p.html")] == [0o666] * 2
    Path("public.yaml").write_text("epsilon_at_most: 2\n")
    Path("private.yaml").write_text("tv2_at_most: 1\ndecision_is_private: accepted\n")
    assert main(["gate", "p.json", "--policy", "public.yaml", "--json", "public.json"]) == 0
    assert main(["gate", "c.json", "--policy", "private.yaml", "--json", "private.json"]) == 0
    assert (mode("public.json"), mode("private.json")) == (0o666, 0o600)


def test_a_draft_of_a_schema_is_private_and_a_confirmed_one_is_not() -> None:
    Schema.from_dict({**CONTENT, "bounds_from": "read from the data: confirm"}).save("d.meta.json")
    Schema.from_dict(CONTENT).save("c.meta.json")
    assert (mode("d.meta.json"), mode("c.meta.json")) == (0o600, 0o666)
