"""A stranger's metadata to a release in two commands; and what the commands refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dp_synth.cli import main
from dp_synth.datasets import read_table
from dp_synth.formats.statistical import read_codebook
from dp_synth.schema import Schema, check

FOREIGN = Path(__file__).parents[1] / "data" / "foreign"

ROUTES = {  # metadata, table, what the import is told beside, what the fit is, ending of the rows
    "sdv": ("sdv_2.0.0_visits.json", "sdv_visits.csv", [], ["--drop", "visit_id"], "csv"),
    "table schema": (
        "frictionless_package-1067.json",
        "frictionless_analysis-data.csv",
        ["--table", "analysis-data", "--data", ""],
        [],
        "xlsx",
    ),
    "spss": ("haven_iris.sav", "haven_iris.sav", ["--data", ""], [], "sav"),
    "stata": ("haven_iris.dta", "haven_iris.dta", ["--data", ""], [], "dta"),
}


@pytest.mark.parametrize("route", ROUTES)
def test_a_strangers_metadata_come_to_a_release_in_two_commands(
    route: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata, table, told, more, ending = ROUTES[route]
    data, schema = str(FOREIGN / table), tmp_path / "t.meta.json"
    told = [option or data for option in told]
    assert main(["schema", "import", str(FOREIGN / metadata), *told, "--out", str(schema)]) == 0
    out = tmp_path / f"rows.{ending}"
    command = ["synthesize", "--data", data, "--schema", str(schema), "--epsilon", "1"]
    command += ["--delta", "1e-6", "--rows", "60", "--out", str(out)]
    command += ["--release", str(tmp_path / "release.npz"), *more]
    assert main(command) == 0, capsys.readouterr().err
    public = Schema.load(schema)
    chosen = public.without(["visit_id"]) if more else public
    rows = read_table(out)
    assert len(rows) == 60
    assert check(rows, chosen) == []
    assert public.is_draft
    assert schema.stat().st_mode & 0o077 == 0
    if ending == "sav":
        assert read_codebook(out).labels["Species"]["1"] == "setosa"


def test_what_is_missing_is_asked_for_and_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.meta.json"
    assert main(["schema", "import", str(FOREIGN / "haven_iris.sav"), "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert said.count("bounds are missing") == 4
    assert json.loads(out.read_text())["columns"][0]["lower"] is None
    assert main(["schema", "check", str(FOREIGN / "haven_iris.sav"), str(out)]) == 2
    assert "column 'Sepal.Length': field 'lower'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["pyreadstat_simple_alltypes.sav"], "column 'x': field 'value labels'"),
        (["croissant_0.8_titanic.json"], "field 'conformsTo'"),
        (["sdv_2.0.0_visits.json", "--format", "csvw"], "--format must be one of sdv"),
        (["croissant_1.0_movielens.json"], "say by --table which table is meant: 'movies'"),
        (["croissant_1.0_movielens.json", "--table", "x"], "has no table 'x'; there are 'movies'"),
        (["haven_iris.sav", "--numeric", "x"], "has no column 'x'"),
        (["absent.json"], "cannot be read"),
        (["sdv_visits.csv"], "metadata of no kind that is read here"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "line",
)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(
    arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.meta.json"
    file, *options = arguments
    assert main(["schema", "import", str(FOREIGN / file), *options, "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert line in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
    assert not out.exists()


def test_a_schema_that_is_there_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.meta.json"
    out.write_text("confirmed")
    source = FOREIGN / "sdv_2.0.0_visits.json"
    assert main(["schema", "import", str(source), "--out", str(out)]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert out.read_text() == "confirmed"


@pytest.mark.parametrize("kind", ["sdv", "table-schema"])
def test_a_schema_is_exported_and_what_is_lost_is_told(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, schema = FOREIGN / "pyreadstat_ordered_category.sav", tmp_path / "t.meta.json"
    assert main(["schema", "import", str(source), "--out", str(schema)]) == 0
    out = tmp_path / "t.json"
    assert main(["schema", "export", str(schema), "--as", kind, "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert ("SDV has no labels" in said) == (kind == "sdv")
    assert main(["schema", "import", str(out)]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["columns"][0]["categories"] == ["1", "2", "3"]
    assert main(["schema", "export", str(schema), "--as", "csvw"]) == 2
    assert "--as must be sdv or table-schema" in capsys.readouterr().err
