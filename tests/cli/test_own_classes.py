"""A class of one's own is named by module and class in every command, and so is the program."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dp_synth.cli import main

OWN = '''
from dataclasses import dataclass
import numpy as np
from dp_synth.attacks import Attack
from dp_synth.synthesizers import Independent


@dataclass(frozen=True)
class Own(Independent):
    """Independent columns by another name."""

    name = "own"


@dataclass(frozen=True)
class Same(Attack):
    """Scores all targets alike."""

    name = "same"

    def _scores(self, targets, view):
        return np.zeros(len(targets))
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_classes", raising=False)
    Path("own_classes.py").write_text(OWN)
    schema = {"name": "t", "columns": [{"name": "a", "type": "categorical", "size": 3}]}
    Path("t.meta.json").write_text(json.dumps(schema))
    for name, shift in (("members", 0), ("others", 1)):
        pd.DataFrame({"a": [(i + shift) % 3 for i in range(40)]}).to_csv(f"{name}.csv", index=False)
    return tmp_path


def test_synthesize_and_audit_take_a_synthesizer_of_ones_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--synthesizer", "own_classes:Own", "--epsilon", "1", "--delta", "1e-6"]
    tables = ["--data", "members.csv", "--schema", "t.meta.json", "--rows", "20"]
    files = ["--out", "rows.csv", "--release", "kept.npz", "--card", "card.json"]
    assert main(["synthesize", *given, *tables, *files]) == 0
    with Path("rows.csv").open() as rows:
        assert len(list(csv.reader(rows))) == 21
    assert main(["sample", "kept.npz", "--rows", "5", "--out", "more.csv"]) == 0
    capsys.readouterr()
    assert main(["audit", *given, "--runs", "20"]) == 0
    assert capsys.readouterr().out.startswith("own: claims epsilon 1.000")


def test_attack_takes_an_attack_of_ones_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = ["--members", "members.csv", "--non-members", "others.csv", "--schema", "t.meta.json"]
    chosen = ["--attack", "own_classes:Same", "--synthetic", "members.csv"]
    code = main(["attack", *tables, *chosen])
    spoken = capsys.readouterr()
    if code == 2:  # equal rows of so small a table may count as overlap
        pytest.fail(spoken.err)
    assert "own_classes:Same" in spoken.out


@pytest.mark.parametrize("word", ["synthesizer", "attack"])
def test_what_is_not_there_is_one_line(
    folder: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = ["--epsilon", "1", "--delta", "1e-6"]
    tables = [
        "--members",
        "members.csv",
        "--non-members",
        "others.csv",
        "--synthetic",
        "members.csv",
    ]
    commands = {
        "synthesizer": ["audit", *budget, "--synthesizer", "own_classes:None_"],
        "attack": ["attack", *tables, "--schema", "t.meta.json", "--attack", "own_classes:None_"],
    }
    assert main(commands[word]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"dp-synth: {word} 'own_classes:None_': ")
    assert said.count("\n") == 1


def test_the_package_runs_as_the_command_does(tmp_path: Path) -> None:
    for arguments, code in ((["--version"], 0), (["list", "nothing"], 2)):
        command = [sys.executable, "-m", "dp_synth", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "dp-synth" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
