"""What metadata may have taken from records is a draft, column by column, and stays one."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from dp_synth.cli import main
from dp_synth.errors import SchemaError
from dp_synth.schema import Schema
from dp_synth.schema.foreign import import_schema
from dp_synth.schema.foreign.described import columns_of

FOREIGN = Path(__file__).parents[1] / "data" / "foreign"


def notes(content: dict[str, object]) -> dict[str, str]:
    return {str(one["name"]): str(one.get("note", "")) for one in columns_of(content)}


def fields(*columns: dict[str, object], **rest: object) -> dict[str, object]:
    return {"fields": list(columns), **rest}


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(content))
    return path


def test_checks_of_pandera_are_drafts_as_nobody_says_who_wrote_them() -> None:
    content = import_schema(FOREIGN / "pandera_0.35.0_people.yaml")
    found = notes(content)
    assert str(content["bounds_from"]).startswith("read from the data")
    assert "range" in found["age"]
    assert "values" in found["sex"]
    assert "that no cell is missing" in found["ok"]
    assert "records" not in found["name"]  # a key has neither
    assert "records" not in found["band"]  # nothing is said of it


def test_sdv_says_of_records_that_no_cell_is_missing() -> None:
    found = notes(import_schema(FOREIGN / "sdv_2.0.0_visits.json"))
    assert "that no cell is missing" in found["insured"]


def test_categories_that_pandas_lists_are_drafts_and_its_truths_are_not(tmp_path: Path) -> None:
    frame = pd.DataFrame({"kind": pd.Categorical(["b", "a", "b"]), "sure": [True, False, True]})
    path = written(tmp_path, json.loads(frame.to_json(orient="table", index=False))["schema"])
    content = import_schema(path)
    found = notes(content)
    assert "categories" in found["kind"]
    assert "records" not in found["sure"]
    assert "'kind'" in str(content["bounds_from"])
    plain = fields({"name": "kind", "type": "string", "constraints": {"enum": ["a", "b"]}})
    assert "records" not in notes(import_schema(written(tmp_path, plain)))["kind"]


def test_a_draft_is_still_one_after_its_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    column = {"name": "age", "type": "integer", "lower": 0, "upper": 9}
    said = "read from the data of 'age'; else a codebook"
    schema = {"name": "t", "columns": [column], "bounds_from": said}
    source, out = tmp_path / "draft.json", tmp_path / "out.json"
    source.write_text(json.dumps(schema))
    assert main(["schema", "export", str(source), "--as", "table-schema", "--out", str(out)]) == 0
    assert "the schema is a draft, and so is this: read from the data" in capsys.readouterr().err
    content = import_schema(out)
    assert str(content["bounds_from"]).startswith("read from the data")
    assert "bounds" in notes(content)["age"]


def test_columns_that_a_table_fills_stand_beside_those_that_were_drafts_before() -> None:
    table = pd.read_csv(FOREIGN / "sdv_visits.csv", dtype=str, keep_default_na=False)
    content = import_schema(FOREIGN / "sdv_1.24.0_visits.json", data=table)
    said = str(content["bounds_from"])
    assert said.startswith("read from the data")
    assert "'ward'" in said
    assert Schema.from_dict(content).is_draft


@pytest.mark.parametrize(
    ("rule", "low", "high"),
    [
        ({"minimum": 0.5, "maximum": 9.5}, 1, 9),
        ({"exclusiveMinimum": 0.5, "exclusiveMaximum": 9.5}, 1, 9),
        ({"exclusiveMinimum": 0, "exclusiveMaximum": 10}, 1, 9),
    ],
)
def test_ends_of_whole_numbers_are_whole_in_table_schemas(
    rule: dict[str, float], low: int, high: int, tmp_path: Path
) -> None:
    path = written(tmp_path, fields({"name": "a", "type": "integer", "constraints": rule}))
    (column,) = columns_of(import_schema(path))
    assert (column["lower"], column["upper"]) == (low, high)


@pytest.mark.parametrize(
    ("check", "low", "high"),
    [("a > 17.5 AND a < 99.5", 18, 99), ("a > 17 AND a < 99", 18, 98), ("a >= 17.5", 18, None)],
)
def test_ends_of_whole_numbers_are_whole_in_databases(
    check: str, low: int, high: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute(f"CREATE TABLE t (a INTEGER CHECK ({check}))")
    (column,) = columns_of(import_schema(path))
    assert (column["lower"], column["upper"]) == (low, high)


def pandera(dtype: str, **checks: object) -> str:
    lines = [f"      {name}: {value}" for name, value in checks.items()]
    column = ["schema_type: dataframe", "columns:", "  a:", f"    dtype: {dtype}", "    checks:"]
    return "\n".join([*column, *lines, "name: t", "version: 0.35.0", ""])


def test_ends_of_whole_numbers_are_whole_and_finite_in_pandera(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(pandera("int64", greater_than=0.5, less_than=9.5))
    (column,) = columns_of(import_schema(path))
    assert (column["lower"], column["upper"]) == (1, 9)
    path.write_text(pandera("float64", less_than=".inf"))
    with pytest.raises(SchemaError, match=r"column 'a': field 'less_than'.*finite"):
        import_schema(path)


def test_names_of_columns_are_found_in_any_case_as_sql_does(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute(
            'CREATE TABLE t ("Age" INTEGER CHECK (age >= 0), "Paid" INTEGER, CHECK (paid < AGE), '
            "tags INTEGER[])"
        )
    by_name = {str(one["name"]): one for one in columns_of(import_schema(path))}
    assert by_name["Age"]["lower"] == 0
    assert "not read" in str(by_name["Paid"]["note"])
    assert by_name["tags"]["type"] == "id"
    assert "several values" in str(by_name["tags"]["note"])


def test_a_name_that_two_tables_of_a_database_have_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE SCHEMA other; CREATE TABLE t (a INTEGER)")
        database.execute("CREATE TABLE other.t (b INTEGER)")
    with pytest.raises(SchemaError, match="table 't' stands in several of its schemas"):
        import_schema(path)


def test_cells_that_contradict_metadata_are_told_in_one_line_without_a_cell(tmp_path: Path) -> None:
    rule = {"minimum": 50}
    path = written(tmp_path, fields({"name": "a", "type": "integer", "constraints": rule}))
    with pytest.raises(SchemaError, match=r"column .a.: .*contradict what is said of it") as told:
        import_schema(path, data=pd.DataFrame({"a": ["7", "8", "9"]}))
    assert "\n" not in str(told.value)
    assert "9" not in str(told.value).replace(str(path), "")
