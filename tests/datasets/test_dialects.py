"""Files that are not plain CSV: separators, encodings, no header, an index; read and written."""

from __future__ import annotations

import gzip

import pandas as pd
import pytest
from pydantic import ValidationError

from dp_synth.counting import CodeCounts, column_names, duckdb, read_counts
from dp_synth.datasets import Dialect, from_file, read_table, write_table
from dp_synth.errors import InputError
from dp_synth.schema import Schema

TABLE = pd.DataFrame(
    {"a": ["1,5", "x", ""], "b c": ["ü", "NA", 'say "x"'], "d": ["p;q", "r|s", "t\tu"]}
)
DIALECTS = [
    {},
    {"separator": ";"},
    {"separator": "tab"},
    {"separator": "|", "encoding": "latin-1"},
    {"encoding": "utf-16"},
    {"names": ["a", "b c", "d"]},
    {"names": ["a", "b c", "d"], "separator": ";", "encoding": "latin-1"},
]


def schema_of(frame: pd.DataFrame, said: dict[str, object]) -> Schema:
    columns = [
        {"name": name, "type": "categorical", "categories": sorted({"unseen", *frame[name]})}
        for name in frame
    ]
    return Schema.from_dict({"name": "t", "dialect": said or None, "columns": columns})


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
@pytest.mark.parametrize("said", DIALECTS, ids=str)
def test_a_table_survives_a_round_trip_in_any_dialect(said, ending, tmp_path):
    path, dialect = tmp_path / f"t.{ending}", Dialect(**said)
    write_table(TABLE, path, dialect)
    assert read_table(path, dialect).to_dict("list") == TABLE.to_dict("list")


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
@pytest.mark.parametrize("said", DIALECTS, ids=str)
def test_a_streamed_file_holds_the_same_records_as_in_memory(said, ending, tmp_path):
    pytest.importorskip("duckdb", reason="the extra 'bigdata' is not installed")
    path, schema = tmp_path / f"t.{ending}", schema_of(TABLE, said)
    write_table(TABLE, path, schema.dialect)
    memory = CodeCounts.of(schema.encode(read_table(path, schema.dialect)), schema.domain)
    every = schema.domain.attributes
    with read_counts(path, schema) as disk:
        for found, expected in zip(disk.occupied(every), memory.occupied(every), strict=True):
            assert found.tolist() == expected.tolist()
    assert column_names(path, schema.dialect) == list(TABLE)


@pytest.mark.parametrize(
    "header", [",x,y\n0,1,2\n1,3,4\n", '"","x","y"\n"1","1","2"\n"2","3","4"\n']
)
def test_the_index_that_pandas_and_r_write_is_left_out(header, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(header)
    with pytest.raises(InputError, match="first column has no name: is it a row index"):
        read_table(path)
    frame = read_table(path, Dialect(index=True))
    assert frame.to_dict("list") == {"x": ["1", "3"], "y": ["2", "4"]}
    write_table(frame, path)  # rows that are written have none, and are read the same way
    assert read_table(path, Dialect(index=True)).to_dict("list") == frame.to_dict("list")


def test_a_file_without_a_header_numbers_its_columns_or_takes_their_names(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("41,f\n52,m\n")
    assert list(read_table(path, Dialect(names=()))) == ["column_1", "column_2"]
    frame = read_table(path, Dialect(names=("age", "sex")))
    assert frame.to_dict("list") == {"age": ["41", "52"], "sex": ["f", "m"]}
    with pytest.raises(InputError, match="has 2 columns, and 3 are named"):
        read_table(path, Dialect(names=("a", "b", "c")))


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"a;b;c\n1;2;3\n", "its header holds ';' and no ',': is it the separator?"),
        (b"a\tb\n1\t2\n", "its header holds tabs and no ',': is it the separator?"),
        (b"a|b\n1|2\n", "holds '|' and no ','"),
        ("ä,b\nü,2\n".encode("latin-1"), "must be UTF-8 text; else give --encoding"),
        (b"7777,7777,3\n1,2,3\n", "if that line is no header, give --no-header"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_file_of_another_dialect_is_refused_with_a_hint_and_no_cell(
    content, hint, streamed, tmp_path
):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_table(path) if not streamed else column_names(path)
    message = str(caught.value)
    assert hint in message
    assert "7777" not in message
    assert "\n" not in message


def test_a_header_of_one_name_with_another_sign_is_read_where_the_comma_is_said(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1\n")
    assert list(read_table(path, Dialect(separator=","))) == ["a;b"]


def test_a_separator_that_the_header_does_not_hold_is_refused_without_showing_a_cell(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("7777,f\n")
    with pytest.raises(
        InputError, match=r"holds ',' and no ';': is the comma the separator\?"
    ) as c:
        read_table(path, Dialect(separator=";"))
    assert "7777" not in str(c.value)


def test_a_wrong_encoding_and_a_text_that_it_lacks_are_refused_in_one_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("ä,b\nü,2\n".encode("latin-1"))
    with pytest.raises(InputError, match="is not written in ascii"):
        read_table(path, Dialect(encoding="ascii"))
    with pytest.raises(InputError, match="ascii has no sign for a text"):
        write_table(TABLE, path, Dialect(encoding="ascii"))


def test_a_file_too_large_for_memory_may_be_written_in_any_encoding(tmp_path):
    (tmp_path / "t.csv").write_bytes("a,b\n€,2\n".encode("cp1252"))
    (block,) = duckdb._read(tmp_path / "t.csv", ["a"], Dialect(encoding="cp1252"), list)
    assert [block["a"].distinct[place] for place in block["a"].places] == ["€"]


@pytest.mark.parametrize(
    "said",
    [{"separator": "ab"}, {"separator": '"'}, {"decimal": ";"}, {"encoding": "none such"},
     {"names": ["a", "a"]}, {"names": [""]}, {"separater": ";"}],
)  # fmt: skip
def test_a_dialect_that_cannot_be_is_refused(said):
    with pytest.raises(ValidationError):
        Dialect(**said)


def test_a_table_of_ones_own_is_read_as_its_schema_says(tmp_path):
    schema = schema_of(TABLE, {"separator": ";", "encoding": "latin-1"})
    write_table(pd.concat([TABLE] * 5), tmp_path / "t.csv", schema.dialect)
    schema.save(tmp_path / "t.meta.json")
    data = from_file(tmp_path / "t.csv")
    assert len(data.train) + len(data.holdout) + len(data.reference) == 15
    assert set(data.train["b c"]) <= set(TABLE["b c"])


def test_a_damaged_gzip_file_is_refused_in_any_dialect(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a;b\n1;2\n")[:-9])
    with pytest.raises(InputError, match="is a damaged gzip file"):
        read_table(path, Dialect(separator=";"))
