"""Schema files: what loads, and the one line that says why another does not."""

import json
import pickle

import pytest

from dp_synth.errors import SchemaError
from dp_synth.schema import Schema

AGE = {"name": "age", "type": "integer", "lower": 17, "upper": 90}
SEX = {"name": "sex", "type": "categorical", "categories": ["F", "M"]}


def schema_of(*columns: object, **fields: object) -> dict[str, object]:
    return {"name": "t", "columns": list(columns), **fields}


FAULTS = [
    (
        schema_of({**AGE, "upper": 3}),
        "column 'age': field 'upper': must be above lower (17), got 3",
    ),
    (schema_of({**AGE, "upper": "3"}), "column 'age': field 'upper': must be a number, got '3'"),
    (schema_of({**AGE, "upper": 3.5}), "column 'age': field 'upper': must be a whole number, got"),
    (schema_of({**AGE, "upper": float("inf")}), "column 'age': field 'upper': must be"),
    (
        schema_of({**AGE, "uper": 3}),
        "column 'age': field 'uper': unknown key; did you mean 'upper'? "
        "there are: name, missing, title, labels, note, density, type, lower, upper, scale, bins, "
        "decimals, format",
    ),
    (
        schema_of({"name": "age", "type": "integer", "lowr": 17, "upper": 90}),
        "column 'age': field 'lowr': unknown key; did you mean 'lower'?",
    ),
    (
        schema_of({"name": "sex", "type": "categorical", "catgories": ["F"]}),
        "column 'sex': field 'catgories': unknown key; did you mean 'cat",
    ),
    (
        schema_of({"name": "s", "type": "ordinal", "sise": 3}),
        "column 's': field 'sise': unknown key; did you mean 'size'?",
    ),
    (
        schema_of(AGE, {**SEX, "color": "red"}),
        "column 'sex': field 'color': unknown key; there are: name, miss",
    ),
    (
        schema_of({"name": "a", "tpye": "id"}),
        "column 'a': field 'type': is required, got the fields 'name', 'tpye'",
    ),
    (schema_of({"name": "age", "type": "integer"}), "column 'age': field 'lower': is required"),
    (
        schema_of({"name": "a", "type": "text"}),
        "column 'a': field 'type': must be categorical, ord",
    ),
    (schema_of({"name": "a"}), "column 'a': field 'type': is required"),
    (schema_of({"type": "id"}), "column number 1: field 'name': is required"),
    (schema_of({**AGE, "bins": 0}), "column 'age': field 'bins': must be a number of cells"),
    (schema_of({**AGE, "bins": 75}), "column 'age': field 'bins': must leave at least one whole"),
    (
        schema_of({**AGE, "bins": [20, 20, 20]}),
        "column 'age': field 'bins': must list increasing edges",
    ),
    (
        schema_of({**AGE, "bins": [20, 19]}),
        "column 'age': field 'bins': must list increasing edges",
    ),
    (
        schema_of({**AGE, "bins": [20, 20, 21, 21, 21]}),
        "column 'age': field 'bins': must list increasing edges",
    ),
    (
        schema_of({"name": "x", "type": "real", "lower": 1e15, "upper": 1e15 + 1}),
        "column 'x': field 'bins': must leave room between the bounds for each cell",
    ),
    (
        schema_of({**AGE, "decimals": 1}),
        "column 'age': field 'decimals': must stand in a column of type 'real'",
    ),
    (
        schema_of({"name": "x", "type": "real", "lower": 0, "upper": 1, "decimals": 13}),
        "column 'x': field 'decimals': must be at most 12, got 13",
    ),
    (
        schema_of({**AGE, "bins": [0, 20]}),
        "column 'age': field 'bins': must list edges that lie wit",
    ),
    (
        schema_of({**AGE, "bins": ["a", 20]}),
        "column 'age': field 'bins': must list numbers, got 'a'",
    ),
    (
        schema_of({**AGE, "bins": "many"}),
        "column 'age': field 'bins': must be a number of cells, or",
    ),
    (schema_of({**AGE, "missing": ["20"]}), "column 'age': field 'missing': '20' must lie outside"),
    (
        schema_of({**AGE, "missing": ["?", "?"]}),
        "column 'age': field 'missing': '?' is given twice",
    ),
    (schema_of(SEX, SEX), "column 'sex': is given twice"),
    (
        schema_of({**SEX, "categories": ["F", "F"]}),
        "column 'sex': field 'categories': 'F' is given twice",
    ),
    (
        schema_of({**SEX, "missing": ["M"]}),
        "column 'sex': field 'categories': 'M' is also a missing mark",
    ),
    (
        schema_of({**SEX, "categories": ["F", 1]}),
        "column 'sex': field 'categories': must be text, got 1",
    ),
    (schema_of({**SEX, "categories": []}), "column 'sex': field 'categories': must name at least"),
    (schema_of({**SEX, "size": 2}), "column 'sex': field 'categories': must be given, or else"),
    (
        schema_of({"name": "s", "type": "ordinal", "size": 3, "missing": ["2"]}),
        "column 's': field 'size': '2' is also a missing mark",
    ),
    (
        schema_of({"name": "d", "type": "datetime", "lower": "May 1", "upper": "2020-01-01"}),
        "column 'd': field 'lower': must be an ISO date or time such as 2024-01-31, got 'May 1'",
    ),
    (
        schema_of({"name": "d", "type": "datetime", "lower": "2020-02-01", "upper": "2020-01-01"}),
        "column 'd': field 'upper': must be above lower (2020-02-01), got 2020-01-01",
    ),
    (schema_of(SEX, label="gender"), "field 'label': must name a column, got 'gender'"),
    (
        schema_of(SEX, label="sex", positive="X"),
        "field 'positive': must be a category of 'sex' ('F', 'M'), got 'X'",
    ),
    (schema_of(SEX, positive="F"), "field 'positive': must stand beside 'label'"),
    (
        schema_of(SEX, labels="sex"),
        "field 'labels': unknown key; did you mean 'label'? there are: name",
    ),
    (
        {"name": "t", "colums": [SEX]},
        "field 'colums': unknown key; did you mean 'columns'?",
    ),
    (schema_of(), "field 'columns': must not be empty"),
    ({"columns": [SEX]}, "field 'name': is required"),
]


@pytest.mark.parametrize(("content", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_faulty_schema_file_is_refused_in_one_line_that_names_the_place(tmp_path, content, fault):
    path = tmp_path / "t.meta.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SchemaError) as caught:
        Schema.load(path)
    assert str(caught.value).startswith(f"{path}: {fault}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"{", "must be JSON"), (b"[]", "must be an object"), (b'"\xff"', "must be UTF-8 text")],
)
def test_a_file_that_is_no_json_object_is_refused(tmp_path, content, fault):
    path = tmp_path / "t.meta.json"
    path.write_bytes(content)
    with pytest.raises(SchemaError, match=fault):
        Schema.load(path)
    with pytest.raises(SchemaError, match="cannot be read: No such file"):
        Schema.load(tmp_path / "absent.json")


def test_a_schema_gives_back_the_file_it_was_read_from():
    content = schema_of(
        {**AGE, "bins": [17, 18, 65]}, SEX, label="sex", positive=None, bounds_from="the survey"
    )
    schema = Schema.from_dict(content)
    assert schema.to_dict() == content
    assert Schema.from_dict(schema.to_dict()) == schema == pickle.loads(pickle.dumps(schema))


WHOLE = schema_of(
    {**AGE, "bins": [17, 18, 65], "missing": ["?"]},
    {**SEX, "categories": ["f\u00e9minin", "M", ""], "open": True},
    {"name": "born", "type": "datetime", "lower": "1920-01-01", "upper": "2010-12-31"},
    {"name": "serial", "type": "id"},
    label="sex",
    positive="M",
    constraints=[{"impossible": {"age": {"from": 65}, "sex": ["M"]}}],
)


@pytest.mark.parametrize("names", [("age", "sex", "born", "serial"), ("born", "age")])
def test_a_saved_schema_is_the_one_that_is_loaded(tmp_path, names):
    schema = Schema.from_dict(WHOLE).select(names)
    schema.save(tmp_path / "t.meta.json")
    assert Schema.load(tmp_path / "t.meta.json") == schema
    assert [path.name for path in tmp_path.iterdir()] == ["t.meta.json"]


def test_a_schema_that_is_there_is_never_overwritten(tmp_path):
    path = tmp_path / "t.meta.json"
    path.write_text("confirmed by a person")
    with pytest.raises(SchemaError, match=r"is there already.* never overwritten") as raised:
        Schema.from_dict(WHOLE).save(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert path.read_text() == "confirmed by a person"


def test_a_schema_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    schema = Schema.from_dict(WHOLE)
    with pytest.raises(SchemaError, match=r"absent.*cannot be written: No such file"):
        schema.save(tmp_path / "absent" / "t.meta.json")

    def full(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(SchemaError, match="cannot be written: No space left on device"):
        schema.save(str(tmp_path / "t.meta.json"))
    assert list(tmp_path.iterdir()) == []


def test_a_positive_class_is_compared_as_text():
    coded = {"name": "y", "type": "categorical", "size": 2}
    assert Schema.from_dict(schema_of(coded, label="y", positive=1)).positive == 1
    assert Schema.from_dict(schema_of(coded, label="y", positive="1")).positive == "1"


def test_select_keeps_the_given_order_and_drops_a_label_left_out():
    schema = Schema.from_dict(schema_of(AGE, SEX, label="sex", positive="F"))
    assert schema.select(["sex", "age"]).names == ("sex", "age")
    assert schema.select(["sex"]).positive == "F"
    assert schema.select(["age"]).label is None
    assert schema.select(["age"]).positive is None
    with pytest.raises(SchemaError, match="schema 't' has no column 'size'; there are: age, sex"):
        schema.select(["size"])


def test_one_name_alone_is_a_name_and_no_list_of_letters():
    schema = Schema.from_dict(schema_of(AGE, SEX, label="sex", positive="F"))
    assert schema.without("age").names == ("sex",)
    assert schema.select("sex").names == ("sex",)
    with pytest.raises(SchemaError, match="no column 'ag'; did you mean 'age'"):
        schema.without("ag")


def test_sizes_count_a_code_for_each_missing_mark():
    schema = Schema.from_dict(schema_of(AGE, {**SEX, "missing": ["?", ""]}))
    assert schema.domain.sizes == (74, 4)


def test_identifiers_are_refused_with_how_to_leave_them_out():
    schema = Schema.from_dict(schema_of({"name": "person", "type": "id"}, AGE, SEX))
    with pytest.raises(
        SchemaError,
        match=r"'person' is an identifier.*--drop 'person'",
    ):
        _ = schema.domain
    assert schema.without(["person"]).domain.attributes == ("age", "sex")
