"""Metadata that contradict themselves or a table: one line that names column and field."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from dp_synth.errors import InputError, SchemaError
from dp_synth.schema import Schema
from dp_synth.schema.foreign import import_schema, questions
from dp_synth.schema.foreign.described import columns_of

FOREIGN = Path(__file__).parents[1] / "data" / "foreign"


def sdv(column: dict[str, object], version: str = "V2") -> dict[str, object]:
    return {
        "tables": {"t": {"columns": {"a": column}}},
        "relationships": [],
        "METADATA_SPEC_VERSION": version,
    }


def fields(*columns: dict[str, object], **rest: object) -> dict[str, object]:
    return {"fields": list(columns), **rest}


NUMBER = {"name": "a", "type": "integer", "constraints": {"minimum": 5, "maximum": 2}}
CROISSANT = {"@context": {}, "recordSet": [], "conformsTo": "http://mlcommons.org/croissant/2.0"}
WRONG = {
    "a range turned round": (
        sdv({"sdtype": "numerical", "range_min": 5, "range_max": 2}),
        "column 'a': field 'range_max': must be at least range_min",
    ),
    "a date of another format": (
        sdv({"sdtype": "datetime", "datetime_format": "%d/%m/%Y", "range_min": "soon"}),
        "column 'a': field 'range_min': must be a date",
    ),
    "a value listed twice": (
        sdv({"sdtype": "categorical", "range_values": ["x", "x"]}),
        "column 'a': field 'categories': 'x' is given twice",
    ),
    "no sdtype": (sdv({}), "column 'a': field 'sdtype': is required"),
    "an unknown version": (
        sdv({"sdtype": "id"}, "V3"),
        "field 'METADATA_SPEC_VERSION': must be one of",
    ),
    "no range at all": (
        sdv({"sdtype": "numerical", "range_min": "low"}),
        "column 'a': field 'range_min': must be a number",
    ),
    "bounds turned round": (fields(NUMBER), "column 'a': .*field 'maximum': must be at least"),
    "a value that means missing": (
        fields(
            {"name": "a", "type": "string", "constraints": {"enum": ["x", "-"]}},
            missingValues=["-"],
        ),
        "column 'a': .*field 'enum': '-' is also in missingValues",
    ),
    "a type that there is not": (
        fields({"name": "a", "type": "money"}),
        "column 'a': field 'type': must be a type of Table Schema",
    ),
    "a later Table Schema": (
        fields(
            {"name": "a"}, **{"$schema": "https://datapackage.org/profiles/3.0/tableschema.json"}
        ),
        "must be of version 1 or 2.0",
    ),
    "a name that stands twice": (
        fields({"name": "a", "type": "integer"}, {"name": "a", "type": "integer"}),
        "column 'a': is described twice",
    ),
    "a later Croissant": (CROISSANT, "field 'conformsTo': must be Croissant 1.0 or 1.1"),
    "none of the formats": ({"rows": 3}, "metadata of no kind that is read here"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_metadata_are_refused_in_a_line_that_names_the_field(
    case: str, tmp_path: Path
) -> None:
    content, line = WRONG[case]
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=line) as refused:
        import_schema(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_labels_that_do_not_cover_the_codes_are_refused_without_a_code() -> None:
    path = FOREIGN / "pyreadstat_simple_alltypes.sav"
    with pytest.raises(SchemaError, match="column 'x': field 'value labels': does not cover") as no:
        import_schema(path)
    assert "9" not in str(no.value).replace(str(path), "")
    content = import_schema(path, numeric=["x"])
    column = columns_of(content)[0]
    assert column["type"] == "integer"
    assert column["labels"] == {
        "1": "red",
        "2": "green",
        "3": "blue",
    }


def test_an_old_croissant_is_refused() -> None:
    with pytest.raises(SchemaError, match="field 'conformsTo'"):
        import_schema(FOREIGN / "croissant_0.8_titanic.json")


def test_nulls_are_refused_by_name_when_the_schema_is_read() -> None:
    content = import_schema(FOREIGN / "frictionless_schema-valid.json")
    assert "column 'age': bounds are missing" in questions(content)
    with pytest.raises(SchemaError, match=r"column '(age|name)'"):
        Schema.from_dict(content)


VISITS = FOREIGN / "sdv_2.0.0_visits.json"


def visits() -> pd.DataFrame:
    return pd.read_csv(FOREIGN / "sdv_visits.csv", dtype=str, keep_default_na=False)


@pytest.mark.parametrize(
    ("column", "cell", "field"),
    [("ward", "cellar", "categories"), ("nights", "31", "lower, upper")],
)
def test_a_table_that_contradicts_its_metadata_is_refused(
    column: str, cell: str, field: str
) -> None:
    table = visits()
    import_schema(VISITS, data=table)
    table.loc[7, column] = cell
    with pytest.raises(SchemaError, match=f"column '{column}': field '{field}'") as refused:
        import_schema(VISITS, data=table)
    assert cell not in str(refused.value).replace(str(VISITS), "")


def test_a_column_that_the_table_lacks_is_named() -> None:
    with pytest.raises(SchemaError, match="column 'ward': field 'name': is not in the table"):
        import_schema(VISITS, data=visits().drop(columns="ward"))


def test_what_is_missing_is_drafted_from_a_table_and_marked_so() -> None:
    content = import_schema(FOREIGN / "sdv_1.24.0_visits.json", data=visits())
    assert questions(content) == []
    schema = Schema.from_dict(content)
    assert schema.is_draft
    assert "'ward'" in (schema.bounds_from or "")
    by_name = {str(column["name"]): column for column in columns_of(content)}
    assert sorted(by_name["ward"]["categories"]) == ["children", "internal", "surgery"]  # type: ignore[call-overload]
    assert by_name["nights"]["upper"] == 29


def test_dictionaries_are_drafts_and_types_are_not(tmp_path: Path) -> None:
    kinds = pa.array(["b", "a", "b", None]).dictionary_encode()
    table = pa.table({"kind": kinds, "sure": [True, False, True, True], "age": [1, 2, 3, 4]})
    parquet.write_table(table, tmp_path / "t.parquet")
    feather.write_feather(table, tmp_path / "t.feather")
    for ending in ("parquet", "feather"):
        content = import_schema(tmp_path / f"t.{ending}")
        kind, sure, age = columns_of(content)
        assert kind["categories"] == ["b", "a"]
        assert "records" in str(kind["note"])
        assert sure["categories"] == ["false", "true"]
        assert "note" not in sure
        assert age["lower"] is None
        assert questions(content) == ["column 'age': bounds are missing"]


def test_constraints_of_a_database_are_bounds_categories_and_keys(tmp_path: Path) -> None:
    path = tmp_path / "people.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE TYPE answer AS ENUM ('yes', 'no')")
        database.execute(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, age INTEGER NOT NULL CHECK (age BETWEEN "
            "0 AND 120), ok answer NOT NULL, sex VARCHAR CHECK (sex IN ('F', 'M')), height "
            "DECIMAL(5, 2) CHECK (height > 0.3 AND 3 >= height), born DATE CHECK (born >= DATE "
            "'1900-01-01' AND born < '2030-01-01'), paid BIGINT, CHECK (paid < age))"
        )
    content = import_schema(path)
    by_name = {str(column["name"]): column for column in columns_of(content)}
    assert content["name"] == "people"
    assert by_name["id"]["type"] == "id"
    assert (by_name["age"]["lower"], by_name["age"]["upper"]) == (0, 120)
    assert by_name["ok"]["categories"] == ["yes", "no"]
    assert "missing" not in by_name["ok"]
    assert by_name["sex"]["categories"] == ["F", "M"]
    assert by_name["sex"]["missing"] == [""]
    assert (by_name["height"]["lower"], by_name["height"]["upper"]) == (0.3, 3)
    assert by_name["height"]["decimals"] == 2
    assert by_name["born"]["lower"] == "1900-01-01"
    assert "not read" in str(by_name["paid"]["note"])
    assert questions(content) == ["column 'paid': bounds are missing"]
    assert import_schema(f"duckdb:///{path}?table=people")["columns"] == content["columns"]
    with pytest.raises(InputError, match="takes no --numeric and no other --format"):
        import_schema(f"duckdb:///{path}", "sdv")


def test_a_check_that_holds_for_nobody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.duckdb"
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE TABLE t (age INTEGER CHECK (age > 5), CHECK (age < 2))")
    with pytest.raises(SchemaError, match="column 'age': field 'CHECK'"):
        import_schema(path)
