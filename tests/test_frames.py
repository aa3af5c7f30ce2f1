"""Tables of other libraries, and frames of any column names, are fitted as their file is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.datasets import read_table
from dp_synth.errors import InputError, LeftOut, SchemaError
from dp_synth.frames import as_frame, column_of
from dp_synth.metrics import workload_error
from dp_synth.schema import Schema, check, draft
from dp_synth.synthesizers import MST

BUDGET = PrivacyBudget(1.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "visits",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 90, "missing": [""]},
            {"name": "ward", "type": "categorical", "categories": ["a", "b"], "missing": ["?"]},
            {"name": "born", "type": "datetime", "lower": "1930-01-01", "upper": "2020-12-31"},
            {"name": "new", "type": "categorical", "categories": ["false", "true"]},
        ],
    }
)


def visits() -> pa.Table:
    rng = np.random.default_rng(0)
    ages = [None if age > 85 else age for age in rng.integers(0, 91, 400).tolist()]
    days = np.datetime64("1990-01-01") + rng.integers(0, 9000, 400)
    return pa.table(
        {
            "age": pa.array(ages, pa.int16()),
            "ward": pa.array(rng.choice(["a", "b"], 400)).dictionary_encode(),
            "born": pa.array(days.astype("datetime64[D]")),
            "new": pa.array(rng.random(400) < 0.5),
        }
    )


class Streamed:
    """A table of another library: it has the Arrow stream and no other method."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Interchanged:
    """A table that has the dataframe interchange protocol alone."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> object:
        return self._table.__dataframe__(nan_as_null, allow_copy)


class Converted:
    """A table that can become a frame."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def to_pandas(self) -> pd.DataFrame:
        return self._table.to_pandas()


FORMS = {
    "table": lambda table: table,
    "batches": lambda table: table.to_reader(),
    "batch": lambda table: table.combine_chunks().to_batches()[0],
    "stream": Streamed,
    "conversion": Converted,
    "frame": lambda table: table.to_pandas(),
    "arrow frame": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_of_another_library_gives_the_release_of_its_parquet_file(
    form: str, tmp_path: Path
) -> None:
    table = visits()
    parquet.write_table(table, tmp_path / "t.parquet")
    expected = MST().fit(tmp_path / "t.parquet", SCHEMA, BUDGET, seed=0).sample(50, seed=0)
    fitted = MST().fit(FORMS[form](table), SCHEMA, BUDGET, seed=0)
    found = fitted.with_output("pandas").sample(50, seed=0)
    assert found.equals(expected)


def test_a_stream_that_was_read_is_refused_and_spends_nothing() -> None:
    """It would be an empty table, and its release one of noise alone."""
    stream, account = visits().to_reader(), Accountant(BUDGET, adaptive=True)
    MST().fit(stream, SCHEMA, account.portion(0.5), seed=0)
    spent = account.ledger.entries
    with pytest.raises(InputError, match=r"^the table is a stream .* which can be read once, and"):
        MST().fit(stream, SCHEMA, account, seed=0)
    assert account.ledger.entries == spent
    MST().fit(visits().to_reader(), SCHEMA, account, seed=0)  # another one is as good as any


def test_a_table_is_drafted_checked_and_encoded_as_its_parquet_file(tmp_path: Path) -> None:
    table = visits()
    parquet.write_table(table, tmp_path / "t.parquet")
    frame = read_table(tmp_path / "t.parquet")
    assert draft(table, "t") == draft(frame, "t")
    assert check(Streamed(table), SCHEMA) == check(frame, SCHEMA)
    assert (SCHEMA.encode(Streamed(table)) == SCHEMA.encode(frame)).all()


def test_the_interchange_protocol_is_read() -> None:
    table = visits().select(["age", "new"])
    assert as_frame(Interchanged(table)).equals(as_frame(table))


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        ([["1", "a"]], "got list; pd.DataFrame(...) makes one of it"),
        ({"age": [1]}, "got dict; pd.DataFrame(...) makes one of it"),
        (np.zeros((2, 4)), "got numpy.ndarray; pd.DataFrame(array, columns=[...]) names"),
        (None, "got NoneType"),
        (7, "got int"),
        (pd.Series([1]), "Series"),
        (pd.DataFrame, "got type"),
        (pa.chunked_array([[1]]), "ChunkedArray"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line_and_spends_nothing(
    data: object, advice: str
) -> None:
    accountant = Accountant(BUDGET)
    with pytest.raises(InputError) as caught:
        MST().fit(data, SCHEMA, accountant, seed=0)  # type: ignore[arg-type]
    assert advice in str(caught.value)
    assert "the table must be a pandas, Arrow or polars table, got" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(accountant.ledger)


@pytest.mark.parametrize("schema", [None, "t.meta.json", {"columns": []}])
def test_what_is_no_schema_is_refused_in_one_line_and_spends_nothing(schema: object) -> None:
    accountant = Accountant(BUDGET)
    with pytest.raises(InputError, match=r"the schema must be a Schema, got .*Schema\.load"):
        MST().fit(visits(), schema, accountant, seed=0)  # type: ignore[arg-type]
    assert not list(accountant.ledger)


def numbered(names: list[object]) -> pd.DataFrame:
    return pd.DataFrame(np.arange(40).reshape(-1, len(names)) % 2, columns=names)


NUMBERED = Schema.from_dict(
    {"name": "n", "columns": [{"name": str(i), "type": "categorical", "size": 2} for i in (0, 1)]}
)


def test_columns_named_by_numbers_are_matched_by_their_text() -> None:
    frame, named = numbered([0, 1]), numbered(["0", "1"])
    expected = MST().fit(named, NUMBERED, BUDGET, seed=0).sample(20, seed=0)
    assert MST().fit(frame, NUMBERED, BUDGET, seed=0).sample(20, seed=0).equals(expected)
    assert list(frame.columns) == [0, 1]
    assert check(frame, NUMBERED) == check(named, NUMBERED)
    unit = PrivacyBudget(1.0, 1e-6, unit="2")
    apart = numbered([0, 1, 2, 3])
    assert MST().fit(apart, NUMBERED, unit, seed=0).sample(5, seed=0) is not None


@pytest.mark.parametrize("names", [["0", "1", "1", "a"], [0, 1, "1", "a"]])
def test_a_name_that_stands_twice_is_refused_in_one_line(names: list[object]) -> None:
    with pytest.raises(SchemaError, match="column '1' stands twice in the table"):
        MST().fit(numbered(names), NUMBERED, BUDGET, seed=0)
    with pytest.raises(InputError, match="column '1' stands twice"):
        draft(numbered(names), "t")
    assert "column '1': stands twice in the table" in check(numbered(names), NUMBERED)


def test_an_arrow_table_with_a_name_twice_is_refused() -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["0", "0"])
    with pytest.raises(InputError, match="each column must have a name of its own"):
        MST().fit(table, NUMBERED, BUDGET, seed=0)


def test_an_index_that_pandas_wrote_is_left_out_and_said(tmp_path: Path) -> None:
    kept = visits().to_pandas().query("age > 40")
    kept.to_parquet(tmp_path / "t.parquet")
    assert "__index_level_0__" in parquet.read_schema(tmp_path / "t.parquet").names
    with pytest.warns(LeftOut, match=r"t\.parquet: '__index_level_0__' is an index of pandas"):
        frame = read_table(tmp_path / "t.parquet")
    assert list(frame) == list(SCHEMA.names)
    with pytest.warns(LeftOut, match="left out"):
        drafted = draft(pa.Table.from_pandas(kept), "t")
    assert [column["name"] for column in drafted["columns"]] == list(SCHEMA.names)


def test_where_a_frame_is_needed_other_tables_are_refused_with_the_way_on() -> None:
    table = visits()
    with pytest.raises(
        InputError, match=r"a pandas DataFrame is needed here, got Table; dp_synth\."
    ):
        column_of(table, "age")  # type: ignore[arg-type]
    assert workload_error(table, as_frame(table), SCHEMA).value == 0
