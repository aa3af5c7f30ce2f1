"""Schemas drafted from a table, and what a table is told by its schema."""

import json

import pandas as pd
import pytest

from dp_synth.schema import Schema, check, draft, remarks


def drafted(cells: list[str]) -> dict[str, object]:
    (column,) = draft(pd.DataFrame({"x": cells}), "t")["columns"]
    return {key: value for key, value in column.items() if key != "name"}


MANY = [str(number * 3) for number in range(200)] * 2


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        (MANY, {"type": "integer", "lower": 0, "upper": 597}),
        ([*MANY, "?", ""], {"type": "integer", "lower": 0, "upper": 597, "missing": ["", "?"]}),
        (
            [*MANY, "N", "N"],
            {
                "type": "integer",
                "lower": 0,
                "upper": 597,
                "missing": ["N"],
                "note": "'N': read as missing: is it?",
            },
        ),
        ([*MANY, "0.5"], {"type": "real", "lower": 0.0, "upper": 597.0, "decimals": 1}),
        (["10", "9"] * 30, {"type": "categorical", "categories": ["9", "10"]}),
        (["1", "0"], {"type": "categorical", "categories": ["0", "1"]}),
        (
            ["a", "?", "b", "NA"],
            {"type": "categorical", "categories": ["NA", "a", "b"], "missing": ["?"]},
        ),
        (["", ""], {"type": "categorical", "categories": [], "missing": [""]}),
        ([], {"type": "categorical", "categories": [], "missing": [""]}),
        (
            ["2020-02-01", "2019-01-01"],
            {"type": "datetime", "lower": "2019-01-01", "upper": "2020-02-01"},
        ),
        ([f"name {i}" for i in range(60)], {"type": "id"}),
        (
            [str(i) for i in range(1, 61)],
            {
                "type": "id",
                "note": "read as an identifier, never synthesized; if it is a number, type integer",
            },
        ),
        (["00501", "00502"] * 2, {"type": "categorical", "categories": ["00501", "00502"]}),
    ],
)  # fmt: skip
def test_a_draft_guesses_the_type_of_a_column(cells, column):
    assert drafted(cells) == column
    assert Schema.from_dict(draft(pd.DataFrame({"x": cells}, dtype=object), "t")).name == "t"


def test_a_draft_says_that_its_bounds_were_read_from_the_data():
    content = draft(pd.DataFrame({"x": ["a"]}), "t")
    assert content["bounds_from"] == "read from the data: confirm each bound and category"


@pytest.fixture
def schema() -> Schema:
    return Schema.from_dict(
        {
            "name": "t",
            "columns": [
                {"name": "age", "type": "integer", "lower": 17, "upper": 90, "missing": ["?"]},
                {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
                {"name": "day", "type": "datetime", "lower": "2020-01-01", "upper": "2020-12-31"},
            ],
        }
    )


def test_a_table_that_matches_its_schema_has_no_findings(schema):
    frame = pd.DataFrame(
        {"age": ["17", "?"], "sex": ["F", "M"], "day": ["2020-01-01", "2020-12-31"]}
    )
    assert check(frame, schema) == []
    # and each of these ways to go wrong is found
    assert len(check(frame.assign(extra="1"), schema)) == 1
    assert len(check(frame.drop(columns="sex"), schema)) == 1


def test_findings_count_and_show_the_cells_that_do_not_match(schema):
    frame = pd.DataFrame(
        {
            "age": ["17", "99", "99", "young", "?"],
            "sex": ["F", "M", "X", "F", None],
            "day": ["2020-01-01", "2021-01-01", "May", "2020-01-02", "2020-01-03"],
        }
    )
    assert check(frame, schema) == [
        "column 'age': cell outside the bounds: 2 cells, such as '99'",
        "column 'age': cell that is no number: 1 cell, such as 'young'",
        "column 'sex': unseen category: 1 cell, such as 'X'",
        "column 'sex': absent cell without a missing mark in the schema: 1 cell",
        "column 'day': cell outside the bounds: 1 cell, such as '2021-01-01'",
        "column 'day': cell that is no date: 1 cell, such as 'May'",
    ]


def test_constant_identifying_and_free_text_columns_are_named():
    names = [f"a person called {'x' * 30} {i}" for i in range(60)]
    public = Schema.from_dict(
        {
            "name": "t",
            "columns": [
                {"name": "who", "type": "categorical", "categories": names},
                {"name": "same", "type": "categorical", "categories": ["a", "b"]},
                {"name": "key", "type": "id"},
            ],
        }
    )
    frame = pd.DataFrame({"who": names, "same": "a", "key": range(60)})
    findings = "\n".join(check(frame, public))
    assert "'who': looks like an identifier: 60 different cells" in findings
    assert "'who': reads like free text" in findings
    # an identifier fits whatever it holds: that it is left out is a remark, no mismatch
    assert "'key'" not in findings
    same, key = remarks(frame, public)
    assert same == "column 'same': holds the same cell in every record"
    assert "'key': is an identifier" in key
    assert "name it by --unit where it says whose records they are, else" in key
    assert "--drop 'key'" in key


@pytest.mark.parametrize(
    ("kind", "cells", "form"),
    [
        ("real", ["812,40", "3,55"], '{"decimal": ","}'),
        ("integer", [f"${n:,}" for n in range(500, 1500, 25)], '{"thousands": ",", "prefix": "$"}'),
        ("datetime", ["31/12/1980", "01/02/1985"], '"%d/%m/%Y"'),
    ],
)
def test_a_check_names_the_format_that_would_read_a_column(kind, cells, form):
    bounds = ("1970-01-01", "2000-01-01") if kind == "datetime" else (0, 2000)
    column = {"name": "x", "type": kind, "lower": bounds[0], "upper": bounds[1]}
    frame = pd.DataFrame({"x": cells * 9})
    assert remarks(frame, Schema.from_dict({"name": "t", "columns": [column]})) == [
        f"column 'x': its cells have the format {form}"
    ]
    named = {**column, "format": json.loads(form)}
    assert remarks(frame, Schema.from_dict({"name": "t", "columns": [named]})) == []
    assert check(frame, Schema.from_dict({"name": "t", "columns": [named]})) == []
