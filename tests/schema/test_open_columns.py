"""Columns whose list of categories is open: what they may be, and how unlisted texts are coded."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from dp_synth.counting import PrivateRecords, read_records
from dp_synth.errors import SchemaError
from dp_synth.schema import Schema

JOB: dict[str, object] = {
    "name": "job",
    "type": "categorical",
    "categories": ["b", "5"],
    "missing": ["?"],
    "open": True,
}
AGE: dict[str, object] = {"name": "age", "type": "integer", "lower": 0, "upper": 9}


def schema_of(*columns: object, **fields: object) -> Schema:
    return Schema.from_dict({"name": "t", "columns": list(columns), **fields})


def test_an_open_column_is_written_read_and_named_by_the_domain(tmp_path: Path) -> None:
    schema = schema_of(AGE, JOB)
    path = tmp_path / "t.meta.json"
    path.write_text(json.dumps(schema.to_dict()))
    assert Schema.load(path) == schema
    assert schema.domain.open == schema.open == ("job",)
    assert schema.to_dict()["columns"] == [AGE, JOB]
    closed = schema_of(AGE, {**JOB, "open": False})
    assert closed.domain.open == ()
    assert closed.domain.sizes == schema.domain.sizes


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        ({**JOB, "type": "ordinal"}, "column 'job': field 'open'|must stand in a categorical"),
        ({"name": "job", "type": "categorical", "size": 3, "open": True}, "must stand in a categ"),
        ({**JOB, "open": "yes"}, "column 'job': field 'open'"),
        ({**AGE, "open": True}, "field 'open': unknown key"),
    ],
)
def test_only_a_list_of_categories_can_be_open(column: object, fault: str) -> None:
    with pytest.raises(SchemaError, match=fault) as caught:
        schema_of(column)
    assert "\n" not in str(caught.value)


def test_a_constraint_on_an_open_column_names_categories() -> None:
    rank = {"name": "rank", "type": "categorical", "categories": ["1", "2"], "open": True}
    with pytest.raises(SchemaError, match="'rank': is open, so that a constraint must name"):
        schema_of(AGE, rank, constraints=[{"impossible": {"rank": {"below": 2}, "age": [3]}}])
    schema = schema_of(AGE, rank, constraints=[{"impossible": {"rank": ["1"], "age": [3]}}])
    wider = schema.opened({"rank": ("new",)})
    assert [support.mask((10, 3)).sum() for support in wider.supports] == [29]


def test_released_texts_follow_the_listed_ones_and_come_before_missing_marks() -> None:
    schema = schema_of(AGE, JOB)
    wider = schema.opened({"job": ("a", "z")})
    assert wider.discrete("job").texts == ("b", "5", "a", "z")
    assert wider.open == ("job",)
    assert wider.domain.sizes == (10, 5)
    assert wider.discrete("job").encode(pd.Series(["z", "?", "other"])).tolist() == [3, 4, 4]
    assert Schema.from_dict(wider.to_dict()) == wider
    assert schema.opened({"job": ()}) == schema


@pytest.mark.parametrize("marks", [["?"], []])
def test_unlisted_texts_are_coded_apart_and_fall_back_when_they_are_not_released(
    marks: list[str],
) -> None:
    schema = schema_of({**JOB, "missing": marks})
    cells = pd.Series(["x", "b", "5.0", "a", "x", "", None, "b "], dtype=object)
    records = PrivateRecords.of(pd.DataFrame({"job": cells}), schema)
    assert records.unlisted == {"job": ("a", "b ", "x")}  # as read; an empty cell is no text
    first = len(schema.discrete("job").texts) + len(marks)
    otherwise = 2 if marks else 0
    codes = [first + 2, 0, 1, first, first + 2, otherwise, otherwise, first + 1]
    counts = records.counts.marginal(("job",))
    assert [counts[code] for code in range(len(counts))] == [
        codes.count(code) for code in range(first + 3)
    ]
    wider, groups = records.opened({"job": ("x",)})
    relabelled = [int(groups["job"][code]) for code in codes]
    assert relabelled == wider.discrete("job").encode(cells).tolist()
    assert records.counts.coarsened(groups).domain.sizes == wider.domain.sizes


def test_a_stream_of_records_refuses_an_open_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("job\nb\n")
    with pytest.raises(SchemaError, match=r"column 'job' is open.* in memory only"):
        read_records(path, schema_of(JOB))
