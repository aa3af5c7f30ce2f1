"""Wherever a command looks a name up, a slip or another case is answered with what was meant."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from dp_synth.cli import main


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"age": [30, 40, 50], "sex": ["f", "m", "f"], "who": ["a", "b", "c"]})
    frame.to_csv("t.csv", index=False)
    columns = [
        {"name": "age", "type": "integer", "lower": 0, "upper": 99},
        {"name": "sex", "type": "categorical", "categories": ["f", "m"]},
        {"name": "who", "type": "id"},
    ]
    (tmp_path / "t.meta.json").write_text(json.dumps({"name": "t", "columns": columns}))


def fitted(*more: str) -> int:
    fixed = "synthesize --data t.csv --schema t.meta.json --epsilon 1 --delta 1e-9 --out s.csv"
    return main([*fixed.split(), *more])


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("options", "meant"),
    [
        (["--synthesizer", "mts", "--drop", "who"], "mst"),
        (["--synthesizer", "MST", "--drop", "who"], "mst"),
        (["--set", "Coarseness=1", "--drop", "who"], "coarseness"),
        (["--columns", "AGE,sex"], "age"),
        (["--drop", "Who"], "who"),
        (["--drop", "who", "--unit", "Who"], "who"),
    ],
)
def test_a_misspelt_name_is_answered_with_what_was_meant(options, meant, capsys):
    assert fitted(*options) == 2
    assert f"did you mean '{meant}'?" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("table")
def test_conditions_of_a_sample_name_the_column_that_was_meant(capsys):
    assert fitted("--drop", "who", "--release", "r.npz") == 0
    for option in ("--given=Age=30", "--balance=SEX"):
        capsys.readouterr()
        assert main(["sample", "r.npz", "--out", "-", option]) == 2
        assert "did you mean " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("audit --epsilon 1 --delta 1e-5 --synthesizer Independant", "independent"),
        ("peers install DPMM", "dpmm"),
        ("list synthesisers", "synthesizers"),
    ],
)
def test_other_commands_answer_alike(command, meant, capsys):
    assert main(command.split()) == 2
    assert f"did you mean '{meant}'?" in capsys.readouterr().err


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("evaluate --real t.csv --holdout t.csv --metric Tv2", "tv2"),
        ("attack --members t.csv --non-members t.csv --attack Closest_Record", "closest_record"),
    ],
)
def test_metrics_and_attacks_answer_alike(command, meant, capsys):
    assert main([*command.split(), "--synthetic", "t.csv", "--schema", "t.meta.json"]) == 2
    assert f"did you mean '{meant}'?" in capsys.readouterr().err


@pytest.mark.usefixtures("table")
def test_identifiers_are_left_out_by_naming_them_alone(capsys):
    assert fitted() == 2
    assert "--drop 'who'" in capsys.readouterr().err
    assert fitted("--drop", "who") == 0
    assert list(pd.read_csv("s.csv")) == ["age", "sex"]
    assert fitted("--drop", "who", "--columns", "age") == 2
    assert "give one of them" in capsys.readouterr().err


@pytest.mark.usefixtures("table")
def test_columns_may_have_commas_and_equals_signs_in_their_names(tmp_path, capsys):
    frame = pd.DataFrame({"a, b": ["x", "y"], "c=d": ["x", "y"], "c": ["x", "y"]})
    frame.to_csv("u.csv", index=False)
    columns = [{"name": n, "type": "categorical", "categories": ["x", "y"]} for n in frame]
    (tmp_path / "u.meta.json").write_text(json.dumps({"name": "u", "columns": columns}))
    fixed = "synthesize --data u.csv --schema u.meta.json --epsilon 1 --delta 1e-9 --out s.csv"
    assert main([*fixed.split(), "--columns", '"a, b",c=d', "--release", "r.npz"]) == 0
    assert list(pd.read_csv("s.csv")) == ["a, b", "c=d"]
    given = ["--given", "c=d=x", "--rows", "9"]
    assert main(["sample", "r.npz", "--out", "g.csv", *given]) == 0
    assert set(pd.read_csv("g.csv")["c=d"]) == {"x"}
