"""Metadata that other programs wrote: read, completed, written, and read again."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import frictionless
import mlcroissant
import pytest

from dp_synth.schema import Schema
from dp_synth.schema.foreign import (
    EXPORTS,
    describe,
    detect,
    import_schema,
    questions,
    sdv,
    table_schema,
)
from dp_synth.schema.foreign.described import columns_of

FOREIGN = Path(__file__).parents[1] / "data" / "foreign"
TABLES = {  # which table is meant, where a file has several
    "frictionless_country.package.json": "country-3",
    "frictionless_package-1067.json": "analysis-data",
    "frictionless_package-storage.json": "article",
    "croissant_1.0_movielens.json": "ratings",
    "croissant_1.0_simple-join.json": "users",
    "croissant_1.1_mnist.json": "default",
    "croissant_1.1_squad_v2.json": "squad_v2",
}
KINDS = {
    "sdv": "sdv_*.json",
    "table-schema": "frictionless_*.json",
    "croissant": "croissant_1.*.json",
    "pandera": "pandera_*.*",
    "spss": "*.*sav",
    "stata": "*.dta",
    "sas": "*.xpt",
}
REFUSED = {"pyreadstat_simple_alltypes.sav"}
FILES = [
    pytest.param(kind, path, id=path.name)
    for kind, pattern in KINDS.items()
    for path in sorted(FOREIGN.glob(pattern))
    if path.name not in REFUSED
]


def imported(path: Path) -> dict[str, object]:
    return import_schema(path, table=TABLES.get(path.name))


def completed(content: dict[str, object]) -> dict[str, object]:
    """What a person makes of it who answers every question."""
    whole = copy.deepcopy(content)
    for column in columns_of(whole):
        if column["type"] is None:
            column["type"] = "id"
        if column.get("categories", "") is None:
            column["categories"] = ["a", "b"]
        ends = ("1900-01-01", "2100-12-31") if column["type"] == "datetime" else (-5000, 9999)
        if column.get("format") == "%H:%M:%S":
            ends = ("00:00:00", "23:59:59")
        if str(column.get("format", "")).endswith(("%S",)) and "%Y" in str(column.get("format")):
            ends = ("1900-01-01T00:00:00", "2100-12-31T00:00:00")
        for key, end in zip(("lower", "upper"), ends, strict=True):
            if column.get(key, "") is None:
                column[key] = end
        marks = column.get("missing")
        if isinstance(marks, list) and column["type"] in ("integer", "real"):
            column["missing"] = [mark for mark in marks if not mark.lstrip("-").isdigit()]
    return whole


@pytest.mark.parametrize(("kind", "path"), FILES)
def test_the_format_of_a_file_is_told_from_its_content(kind: str, path: Path) -> None:
    assert detect(path) == kind


@pytest.mark.parametrize(("kind", "path"), FILES)
def test_what_a_file_says_is_a_schema_once_all_is_answered(kind: str, path: Path) -> None:
    content = imported(path)
    asked = questions(content)
    nulls = [c["name"] for c in columns_of(content) if None in c.values()]
    assert bool(asked) == bool(nulls)
    assert all(any(repr(name) in line for line in asked) for name in nulls)
    schema = Schema.from_dict(completed(content))
    assert schema.names == tuple(
        one.name for one in describe(path, table=TABLES.get(path.name)).columns
    )


EXPORTED = [one for one in FILES if one.values[0] in ("sdv", "table-schema")]


@pytest.mark.parametrize(("kind", "path"), EXPORTED)
def test_a_schema_that_is_written_and_read_again_is_the_same(
    kind: str, path: Path, tmp_path: Path
) -> None:
    before = Schema.from_dict(completed(imported(path)))
    content, _ = EXPORTS[kind](before)
    again = tmp_path / f"{path.name}.json"
    again.write_text(json.dumps(content))
    after = Schema.from_dict(import_schema(again))
    assert without_notes(after) == without_notes(before)


@pytest.mark.parametrize("path", [one.values[1] for one in FILES], ids=lambda path: path.name)
def test_a_table_schema_keeps_what_all_formats_say(path: Path, tmp_path: Path) -> None:
    before = Schema.from_dict(completed(imported(path)))
    content, lost = EXPORTS["table-schema"](before)
    again = tmp_path / "again.json"
    again.write_text(json.dumps(content))
    after = Schema.from_dict(import_schema(again))
    kept = without_notes(before, "decimals" if any("decimals" in line for line in lost) else "")
    assert without_notes(after) == kept


def without_notes(schema: Schema, *more: str) -> list[dict[str, object]]:
    """The columns without what is said beside them, and in one order of keys."""
    columns = columns_of(schema.to_dict())
    left_out = ("note", *more)
    kept = [{k: v for k, v in column.items() if k not in left_out} for column in columns]
    return [
        {"name": column["name"], "type": "id", "title": column.get("title")}
        if column["type"] == "id"
        else column
        for column in kept
    ]


@pytest.mark.parametrize("path", [one.values[1] for one in EXPORTED], ids=lambda path: path.name)
def test_the_official_reader_takes_what_is_written(path: Path) -> None:
    schema = Schema.from_dict(completed(imported(path)))
    content, _ = EXPORTS["table-schema"](schema)
    read = frictionless.Schema.from_descriptor(content)
    assert [one.name for one in read.fields] == list(schema.names)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", sorted(FOREIGN.glob("croissant_1.0*")), ids=lambda path: path.name)
def test_the_official_reader_finds_the_same_columns(path: Path) -> None:
    whole = mlcroissant.Dataset(path)
    key = TABLES.get(path.name)
    sets = {one.id: one for one in whole.metadata.record_sets}
    meant = sets[key] if key else max(sets.values(), key=lambda one: len(one.fields))
    assert len(describe(path, table=key).columns) == len(meant.fields)


def test_what_sdv_may_have_read_from_the_records_is_a_draft_by_column() -> None:
    content = imported(FOREIGN / "sdv_2.0.0_visits.json")
    drafted = {c["name"] for c in columns_of(content) if "records" in str(c.get("note", ""))}
    assert drafted == {"admitted", "ward", "nights", "fee", "pain", "insured"}
    schema = Schema.from_dict(content)
    assert schema.is_draft
    assert "'fee'" in (schema.bounds_from or "")


def test_a_codebook_is_documentation_with_labels_marks_and_measures() -> None:
    content = imported(FOREIGN / "pyreadstat_sample_missing.sav")
    by_name = {str(column["name"]): column for column in columns_of(content)}
    order = by_name["myord"]
    assert order["type"] == "ordinal"
    assert order["categories"] == ["1", "2", "3"]
    assert order["missing"] == ["-1", "-2", "-3", ""]
    assert order["labels"] == {"-1": "missing", "1": "low", "2": "medium", "3": "high"}
    assert by_name["mylabl"]["title"] == "labeled"
    assert by_name["mydate"]["type"] == by_name["dtime"]["type"] == "datetime"
    assert "2000 to 3000" in str(by_name["mynum"]["note"])
    assert not str(content["bounds_from"]).startswith("read from the data")


def test_the_letters_of_stata_are_missing_marks() -> None:
    (column,) = columns_of(imported(FOREIGN / "haven_tagged-na-double.dta"))
    assert column["missing"] == [".a", ".z", ""]
    assert column["type"] == "real"


def test_checks_of_pandera_are_bounds_and_categories() -> None:
    for ending in ("yaml", "json"):
        content = imported(FOREIGN / f"pandera_0.35.0_people.{ending}")
        by_name = {str(column["name"]): column for column in columns_of(content)}
        assert (by_name["age"]["lower"], by_name["age"]["upper"]) == (0, 120)
        assert (by_name["height"]["lower"], by_name["height"]["upper"]) == (0.3, 3)
        assert by_name["sex"]["categories"] == ["F", "M"]
        assert by_name["sex"]["missing"] == [""]
        assert by_name["born"]["upper"] == "2030-01-01"
        assert by_name["name"]["type"] == "id"
        assert questions(content) == ["column 'band': categories are missing"]


@pytest.mark.parametrize("written", [sdv.written, table_schema.written], ids=["sdv", "table"])
def test_patterns_of_new_keys_are_written_and_read(written, tmp_path: Path) -> None:
    patterns = {"key": "P-[0-9]{6}", "number": "integer", "id": "uuid", "old": None}
    columns: list[dict[str, object]] = [
        {"name": name, "type": "id", **({"pattern": text} if text else {})}
        for name, text in patterns.items()
    ]
    columns.append({"name": "sex", "type": "categorical", "categories": ["f", "m"]})
    content, lost = written(Schema.from_dict({"name": "people", "columns": columns}))
    place = tmp_path / "people.json"
    place.write_text(json.dumps(content))
    again = Schema.from_dict(import_schema(place))
    assert {name: again.column(name).pattern for name in patterns} == patterns
    assert not lost
    place.write_text(json.dumps(content).replace("P-[0-9]{6}", "P-[0-9]+"))
    column = Schema.from_dict(import_schema(place)).column("key")
    assert (column.pattern, column.note) == (None, "'P-[0-9]+' is no pattern of new keys: left out")
