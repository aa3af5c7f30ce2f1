"""Rows come back in the library of the frame that was fitted, with dtypes that were declared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.backends import BACKENDS, OF_PANDAS, Output
from dp_synth.errors import InputError, ReleaseError
from dp_synth.release import Release
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST, Independent, fit_jointly

pl = pytest.importorskip("polars")
BUDGET = PrivacyBudget(2.0, 1e-6)
SCHEMA = Schema.from_dict(
    {
        "name": "visits",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 90, "missing": [""]},
            {"name": "ward", "type": "categorical", "categories": ["a", "b", "c"]},
            {"name": "grade", "type": "ordinal", "categories": ["low", "high"], "missing": ["?"]},
            {"name": "born", "type": "datetime", "lower": "1930-01-01", "upper": "2020-12-31"},
            {
                "name": "seen",
                "type": "datetime",
                "lower": "2021-03-01T09:00:00+00:00",
                "upper": "2021-03-31T09:00:00+00:00",
                "missing": [""],
            },
            {"name": "new", "type": "categorical", "categories": ["false", "true"]},
            {"name": "stay", "type": "integer", "lower": 0, "upper": 86400, "missing": [""]},
            {"name": "fee", "type": "real", "lower": 0, "upper": 500},
        ],
    }
)
DTYPES = {
    "age": pl.Int8,
    "ward": pl.Categorical,
    "grade": pl.Enum(["low", "high"]),
    "born": pl.Date,
    "seen": pl.Datetime("us", "Europe/Berlin"),
    "new": pl.Boolean,
    "stay": pl.Duration("ms"),
    "fee": pl.Float32,
}
OF_SCHEMA = {
    "age": pl.Int64,
    "ward": pl.Enum(["a", "b", "c"]),
    "grade": pl.Enum(["low", "high"]),
    "born": pl.Datetime("ms"),
    "seen": pl.Datetime("ms", "UTC"),
    "new": pl.Boolean,
    "stay": pl.Int64,
    "fee": pl.Float64,
}


def visits(records: int = 600) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    moments = np.datetime64("2021-03-02T00:00:00.000") + 1000 * rng.integers(0, 900_000, records)
    stays = [None if stay < 9000 else stay for stay in rng.integers(0, 86400, records).tolist()]
    columns = {
        "age": rng.integers(0, 91, records),
        "ward": rng.choice(["a", "b"], records),
        "grade": rng.choice(["low", "high"], records),
        "born": np.datetime64("1990-01-01") + rng.integers(0, 9000, records),
        "seen": pl.Series(moments)
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone("Europe/Berlin"),
        "new": rng.random(records) < 0.5,
        "stay": pl.Series(stays) * 1000,
        "fee": rng.random(records) * 500,
    }
    return pl.DataFrame({n: pl.Series(c).cast(DTYPES[n]) for n, c in columns.items()})


def arrow_backed(frame: pl.DataFrame) -> pd.DataFrame:
    return frame.to_arrow().to_pandas(types_mapper=pd.ArrowDtype)


FORMS: dict[str, tuple[Any, str, type]] = {
    "polars": (lambda frame: frame, "polars", pl.DataFrame),
    "lazy": (lambda frame: frame.lazy(), "polars", pl.DataFrame),
    "narwhals": (nw.from_native, "polars", pl.DataFrame),
    "pyarrow": (lambda frame: frame.to_arrow(), "pyarrow", pa.Table),
    "batches": (lambda frame: frame.to_arrow().to_reader(), "pyarrow", pa.Table),
    "pandas": (lambda frame: frame.to_pandas(), "pandas", pd.DataFrame),
    "nullable": (lambda f: f.to_pandas().convert_dtypes(), "pandas_nullable", pd.DataFrame),
    "arrow-backed": (arrow_backed, "pandas_pyarrow", pd.DataFrame),
}


@pytest.fixture(scope="module")
def release() -> Release:
    return MST().fit(visits(), SCHEMA, BUDGET, seed=0)


@pytest.mark.parametrize("form", FORMS)
def test_rows_come_back_as_what_was_fitted_and_say_the_same(form: str, release: Release) -> None:
    shaped, backend, kind = FORMS[form]
    fitted = MST().fit(shaped(visits()), SCHEMA, BUDGET, seed=0)
    assert fitted.output == Output(backend)
    assert type(fitted.sample(20, seed=1)) is kind
    assert fitted.with_output("polars").sample(90, seed=1).equals(release.sample(90, seed=1))


def test_a_relation_of_duckdb_is_read_and_comes_back_as_an_arrow_table(release: Release) -> None:
    duckdb = pytest.importorskip("duckdb")
    table = visits().drop("stay").to_arrow()  # durations are intervals of months there
    schema = SCHEMA.without("stay")
    fitted = Independent().fit(duckdb.from_arrow(table), schema, BUDGET, seed=0)
    expected = Independent().fit(table, schema, BUDGET, seed=0)
    assert fitted.sample(50, seed=1).equals(expected.sample(50, seed=1))


def test_dtypes_are_those_of_the_schema_until_they_are_declared(release: Release) -> None:
    assert dict(release.sample(5, seed=1).schema) == OF_SCHEMA
    declared = release.with_output(dtypes=visits())
    assert dict(declared.sample(5, seed=1).schema) == DTYPES
    assert dict(release.sample(5, seed=1, kinds=visits()).schema) == DTYPES
    assert dict(release.with_output(dtypes=visits().lazy()).sample(5).schema) == DTYPES
    assert dict(declared.sample(5, seed=1, kinds="schema").schema) == OF_SCHEMA
    assert release.output == Output("polars")


def test_nothing_of_the_dtypes_of_a_frame_is_in_a_release_undeclared(tmp_path: Path) -> None:
    narrow = visits()
    wide = narrow.cast({"age": pl.Int64, "fee": pl.Float64, "grade": pl.String, "ward": pl.String})
    for place, frame in enumerate((narrow, wide)):
        MST().fit(frame, SCHEMA, BUDGET, seed=0).save(tmp_path / f"{place}.npz")
    first, second = (Release.load(tmp_path / f"{place}.npz") for place in (0, 1))
    assert first.output == second.output == Output("polars")
    assert first.sample(50, seed=1).equals(second.sample(50, seed=1))


def test_declared_values_are_those_of_the_schema_kinds(release: Release) -> None:
    plain, typed = release.sample(200, seed=1), release.sample(200, seed=1, kinds=visits())
    assert plain["age"].equals(typed["age"].cast(pl.Int64))
    assert plain["ward"].cast(pl.String).equals(typed["ward"].cast(pl.String))
    assert plain["stay"].equals(typed["stay"].dt.total_seconds())
    assert plain["born"].equals(typed["born"].cast(pl.Datetime("ms")))
    assert plain["seen"].dt.timestamp("ms").equals(typed["seen"].dt.timestamp("ms"))
    assert typed["stay"].null_count() > 0


@pytest.mark.parametrize("form", ["pandas", "nullable", "arrow-backed"])
def test_frames_of_pandas_come_back_with_their_declared_dtypes(form: str) -> None:
    frame = FORMS[form][0](visits())
    fitted = MST().fit(frame, SCHEMA, BUDGET, seed=0)
    found = fitted.with_output(dtypes=frame).sample(50, seed=1)
    categories = {"ward": ["a", "b", "c"], "grade": ["low", "high"]}
    for name, expected in frame.dtypes.items():
        if name in categories:  # never those of the frame
            assert list(found[name].cat.categories) == categories[name]
        elif name == "age" and form == "pandas":  # cells may be missing by the schema
            assert str(found[name].dtype) == "Int8"
        else:
            assert found[name].dtype == expected, name


def test_kinds_of_the_schema_are_nullable_or_of_arrow_where_the_frame_was(
    release: Release,
) -> None:
    nullable = release.with_output("pandas_nullable").sample(5, seed=1).dtypes
    assert {n: str(nullable[n]) for n in ("age", "new", "fee")} == {
        "age": "Int64",
        "new": "boolean",
        "fee": "Float64",
    }
    arrow = release.with_output("pandas_pyarrow").sample(5, seed=1).dtypes
    assert {n: str(arrow[n]) for n in ("age", "new", "fee", "seen")} == {
        "age": "int64[pyarrow]",
        "new": "bool[pyarrow]",
        "fee": "double[pyarrow]",
        "seen": "timestamp[s, tz=UTC][pyarrow]",
    }


def test_every_way_to_rows_gives_the_same_frames(release: Release) -> None:
    blocks = list(release.sample_blocks(100, seed=1, block=40))
    assert [type(block) for block in blocks] == [pl.DataFrame] * 3
    assert pl.concat(blocks).equals(release.sample(100, seed=1))
    assert all(isinstance(t, pl.DataFrame) for t in release.sample_many(2, 20, seed=0))
    partial = pl.DataFrame({"ward": ["c", None], "age": [None, 40]})
    completed = release.sample(given=partial, seed=0)
    assert completed["ward"][0] == "c"
    assert completed["age"][1] == 40
    joint = fit_jointly({MST(): 1, Independent(): 1}, visits(), SCHEMA, Accountant(BUDGET), seed=0)
    assert [one.output.backend for one in joint.values()] == ["polars", "polars"]


def test_cells_as_written_are_texts(release: Release) -> None:
    written = release.sample(300, seed=1, kinds="written")
    assert isinstance(written, pl.DataFrame)
    assert "?" in set(written["grade"])
    assert written["age"].dtype == pl.String
    assert isinstance(release.with_output("pandas").sample(3, kinds="written"), pd.DataFrame)
    for backend in ("pandas_nullable", "pandas_pyarrow"):
        rows = release.with_output(backend).sample(300, seed=1, kinds="written")
        assert rows["grade"].tolist() == written["grade"].to_list()


def test_a_saved_release_remembers_what_it_gives(tmp_path: Path, release: Release) -> None:
    declared = release.with_output(dtypes=visits())
    declared.save(tmp_path / "r.npz")
    loaded = Release.load(tmp_path / "r.npz")
    assert loaded.output == declared.output
    assert loaded.sample(50, seed=1).equals(declared.sample(50, seed=1))


def test_without_the_library_rows_come_in_pandas_and_it_is_said(
    tmp_path: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.with_output(dtypes=visits()).save(tmp_path / "r.npz")
    expected = release.with_output("pandas", dtypes=visits().to_arrow()).sample(20, seed=1)
    monkeypatch.setitem(sys.modules, "polars", None)
    loaded = Release.load(tmp_path / "r.npz")
    with pytest.warns(UserWarning, match="polars is not installed: rows come back in pandas"):
        found = loaded.sample(20, seed=1)
    assert isinstance(found, pd.DataFrame)
    assert found["age"].tolist() == expected["age"].tolist()
    with pytest.raises(InputError, match="polars is not installed: pip install polars"):
        release.with_output("polars")
    loaded.write_rows(tmp_path / "t.csv", 20, seed=1)


def test_rows_for_files_stay_what_they_are(tmp_path: Path, release: Release) -> None:
    release.with_output(dtypes=visits()).write_rows(tmp_path / "a.csv", 50, seed=1)
    release.with_output("pandas").write_rows(tmp_path / "b.csv", 50, seed=1)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


WRONG: list[tuple[object, str]] = [
    ({"age": "int8x"}, "column 'age' cannot be of kind int8x"),
    ({"agee": "int8"}, "dtypes: no column 'agee'; did you mean 'age'?"),
    ({"stay": pl.Int8}, "column 'stay' cannot be of kind int8[pyarrow]: it has numbers beyond"),
    ({"stay": pa.int16()}, "column 'stay' cannot be of kind int16[pyarrow]: it has numbers"),
    ({"ward": "int8"}, "column 'ward' cannot be of kind int8: its categories are no numbers"),
    ({"ward": pl.List(pl.Int8)}, "column 'ward' cannot be of kind large_list<item: int8>"),
    ({"seen": pl.Time}, "column 'seen' cannot be of kind time64[ns][pyarrow]: there is no way"),
    ({"ward": "timedelta64[s]"}, "column 'ward' cannot be of kind timedelta64[s]: its categor"),
    ({"age": "enum"}, "column 'age' cannot be of kind enum: the schema lists no categories of it"),
    ({"born": pl.Enum(["a"])}, "column 'born' cannot be of kind enum: the schema lists no cat"),
    ({"fee": None}, "column 'fee' cannot be of kind None; leave it out instead"),
    ({"fee": "U50"}, "column 'fee' cannot be of kind U50: there is no way to it"),
    ({"fee": "complex128"}, "column 'fee' cannot be of kind complex128: there is no way to it"),
    ("polars", "dtypes must be a frame, its dtypes or a mapping, got 'polars'"),
    (3, "dtypes must be a frame, its dtypes or a mapping, got int"),
]


@pytest.mark.parametrize(("dtypes", "said"), WRONG, ids=range(len(WRONG)))
def test_a_dtype_that_cannot_be_is_refused_before_a_row_is_drawn(
    dtypes: object, said: str, release: Release
) -> None:
    with pytest.raises(InputError) as caught:
        release.with_output(dtypes=dtypes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_truths_are_made_of_real_numbers_between_0_and_1() -> None:
    share = {"name": "s", "type": "real", "lower": 0, "upper": 1}
    with pytest.raises(InputError, match="'s' cannot be of kind bool: it has values that are nei"):
        Output().declared({"s": "bool"}, Schema.from_dict({"name": "t", "columns": [share]}))


@pytest.mark.parametrize("last", ["45", "about 45"], ids=["numbers", "an odd cell"])
def test_one_odd_cell_does_not_change_the_backend(last: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"age,ward\n30,a\n{last},b\n")
    frame = pd.read_csv(tmp_path / "t.csv", dtype_backend="numpy_nullable")
    assert Output.of(frame) == Output("pandas_nullable")


def test_texts_of_no_rows_are_of_the_kind_of_others(release: Release) -> None:
    for backend in ("polars", "pyarrow"):
        one = release.with_output(backend)
        some, none = (one.sample(records, seed=1, kinds="written") for records in (50, 0))
        assert none.schema == some.schema


def test_unknown_kinds_are_refused_before_a_block_is_asked_for(release: Release) -> None:
    with pytest.raises(InputError, match=r"kinds must be 'schema', 'written', .* got 'wirtten'"):
        release.sample_blocks(10, kinds="wirtten")  # type: ignore[arg-type]


def test_an_unknown_backend_is_refused_with_the_nearest(release: Release) -> None:
    with pytest.raises(InputError, match="no backend 'polrs'; did you mean 'polars'"):
        release.with_output("polrs")


@pytest.mark.parametrize(
    "fields",
    [
        {"backend": "excel"},
        {"backend": "polars", "dtypes": {"age": "V100000000000"}},
        {"backend": "polars", "dtypes": {"nobody": "int8"}},
        {"backend": "polars", "dtypes": {"age": 3}},
        {"backend": "polars", "dtypes": ["int8"]},
        {"backend": "polars", "dtypes": {"stay": "int8"}},
    ],
    ids=range(6),
)
def test_a_file_whose_output_does_not_fit_is_refused(
    fields: dict[str, object], tmp_path: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError):
        Output.from_fields(fields, SCHEMA)
    monkeypatch.setattr(Output, "to_fields", lambda self: fields)
    with pytest.raises(ReleaseError, match="not written, as it could not be read"):
        release.save(tmp_path / "r.npz")
    assert not (tmp_path / "r.npz").exists()


def test_a_release_of_a_file_or_of_pandas_is_written_as_before(tmp_path: Path) -> None:
    visits().drop("stay").with_columns(stay=1).write_csv(tmp_path / "t.csv")
    assert Independent().fit(tmp_path / "t.csv", SCHEMA, BUDGET, seed=0).output == OF_PANDAS
    frame = FORMS["pandas"][0](visits())
    Independent().fit(frame, SCHEMA, BUDGET, seed=0).save(tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz") as archive:
        assert '"output"' not in str(archive["header"])
    assert Release.load(tmp_path / "r.npz").output == OF_PANDAS


def test_a_lazy_table_that_fails_says_nothing_of_its_cells_and_spends_nothing() -> None:
    failing = visits().lazy().with_columns(pl.col("ward").cast(pl.Int8, strict=True).alias("ward"))
    accountant = Accountant(BUDGET)
    with pytest.raises(InputError) as caught:
        Independent().fit(failing, SCHEMA, accountant, seed=0)
    assert str(caught.value) == "the table: its lazy query cannot be computed; collect() it"
    assert caught.value.__suppress_context__
    assert not list(accountant.ledger)


def test_backends_are_all_known_to_narwhals() -> None:
    libraries = {backend.partition("_")[0] for backend in BACKENDS}
    assert libraries <= {one.value for one in nw.Implementation}


def test_a_kind_that_arrow_has_not_is_told_with_its_column() -> None:
    accountant = Accountant(BUDGET)
    wide = visits().with_columns(pl.col("age").cast(pl.Int128))
    with pytest.raises(InputError) as caught:
        Independent().fit(wide, SCHEMA, accountant)
    said = "the table: column 'age' is of kind Int128, which Arrow has not; cast it"
    assert str(caught.value) == said
    assert not list(accountant.ledger)


def test_what_narwhals_refuses_to_name_cannot_lose_a_release_that_was_paid() -> None:
    twice = pa.table([pa.array(["a"]), pa.array(["b"])], names=["ward", "ward"])
    with pytest.raises(Exception, match="unique"):
        nw.from_native(twice)
    assert Output.of(twice) == OF_PANDAS
