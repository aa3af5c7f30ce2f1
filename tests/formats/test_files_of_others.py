"""Files of SPSS, Stata, SAS, Arrow and Excel: read as text, and rows back in the same kind."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyreadstat
import pytest

from dp_synth import PrivacyBudget
from dp_synth.cli import main
from dp_synth.counting import is_larger_than_memory
from dp_synth.datasets import read_table, write_table
from dp_synth.datasets.codebooks import unwritable
from dp_synth.errors import InputError, LeftOut
from dp_synth.formats import STATISTICAL, kind_of
from dp_synth.formats.sheets import MOST_ROWS, read_sheet
from dp_synth.formats.statistical import read_codebook
from dp_synth.schema import Schema
from dp_synth.synthesizers import Independent

FOREIGN = Path(__file__).parents[1] / "data" / "foreign"
SURVEY = Schema.from_dict(
    {
        "name": "survey",
        "bounds_from": "the questionnaire",
        "columns": [
            {
                "name": "sex",
                "type": "categorical",
                "categories": ["1", "2"],
                "missing": ["9", ""],
                "title": "Sex of the person",
                "labels": {"1": "male", "2": "female", "9": "refused"},
            },
            {"name": "pain", "type": "ordinal", "categories": ["1", "2", "3"]},
            {"name": "ward", "type": "categorical", "categories": ["=A1", "übrige"]},
            {"name": "age", "type": "integer", "lower": 0, "upper": 120, "missing": ["-7", ""]},
            {"name": "fee", "type": "real", "lower": 0, "upper": 99.5, "missing": [""]},
            {"name": "born", "type": "datetime", "lower": "1950-01-01", "upper": "2020-12-31"},
            {
                "name": "seen",
                "type": "datetime",
                "lower": "2020-01-01T00:00:00",
                "upper": "2020-12-31T00:00:00",
                "format": "%Y-%m-%d %H:%M:%S",
                "missing": [""],
            },
        ],
    }
)


@pytest.fixture(scope="module")
def release() -> object:
    rng, n = np.random.default_rng(0), 400
    rows = pd.DataFrame(
        {
            "sex": rng.choice(["1", "2", "9", ""], n),
            "pain": rng.choice(["1", "2", "3"], n),
            "ward": rng.choice(["=A1", "übrige"], n),
            "age": rng.choice(["20", "30", "-7"], n),
            "fee": rng.choice(["1.5", "20.25", ""], n),
            "born": rng.choice(["1960-02-03", "2001-12-31"], n),
            "seen": rng.choice(["2020-02-03 10:20:30", ""], n),
        }
    )
    return Independent().fit(rows, SURVEY, PrivacyBudget(50, 1e-6), seed=0)


KINDS = ("sav", "zsav", "dta", "xpt", "feather", "arrow", "xlsx", "parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_back_in_every_kind_and_match_their_schema(
    release: object, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / f"rows.{kind}"
    release.write_rows(path, 300, 1)  # type: ignore[attr-defined]
    table = read_table(path)
    assert list(table.columns) == list(SURVEY.names)
    assert len(table) == 300
    from dp_synth.schema import check

    # A kind without words for one of the marks has an absent cell in its place.
    assert [line for line in check(table, SURVEY) if "absent cell" not in line] == []
    plain = tmp_path / "rows.csv"
    release.write_rows(plain, 300, 1)  # type: ignore[attr-defined]
    text = read_table(plain)
    for name in ("pain", "ward"):
        assert table[name].tolist() == text[name].tolist()
    assert table["born"].str[:10].tolist() == text["born"].tolist()
    numbers = pd.to_numeric(text["fee"]).to_numpy()
    assert np.allclose(pd.to_numeric(table["fee"]), numbers, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("kind", ["sav", "zsav"])
def test_a_file_of_spss_tells_labels_marks_measures_and_titles(
    release: object, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / f"rows.{kind}"
    release.write_rows(path, 50, 1)  # type: ignore[attr-defined]
    book = read_codebook(path)
    assert book.labels["sex"] == {"1": "male", "2": "female", "9": "refused"}
    assert book.ranges["sex"] == [("9", "9")]
    assert book.ranges["age"] == [("-7", "-7")]
    assert book.titles["sex"] == "Sex of the person"
    assert (book.measure("pain"), book.measure("fee")) == ("ordinal", "scale")
    assert book.is_whole("age")


def test_a_file_of_stata_tells_labels_and_titles(release: object, tmp_path: Path) -> None:
    release.write_rows(tmp_path / "rows.dta", 50, 1)  # type: ignore[attr-defined]
    book = read_codebook(tmp_path / "rows.dta")
    assert book.labels["sex"] == {"1": "male", "2": "female", "9": "refused"}
    assert book.titles["sex"] == "Sex of the person"


def test_letters_of_stata_are_read_and_written(tmp_path: Path) -> None:
    path = FOREIGN / "haven_tagged-na-double.dta"
    cells = read_table(path)["x"]
    assert set(cells) >= {"1", ".a", ".h", ".z"}
    schema = Schema.from_dict(
        {
            "name": "t",
            "columns": [
                {
                    "name": "x",
                    "type": "integer",
                    "lower": 1,
                    "upper": 5,
                    "missing": [".a", ".z", ""],
                    "labels": {".a": "apple"},
                }
            ],
        }
    )
    rows = pd.DataFrame({"x": ["1", ".a", ".z", "", "2"] * 100})
    fitted = Independent().fit(rows, schema, PrivacyBudget(50, 1e-6), seed=0)
    fitted.write_rows(tmp_path / "rows.dta", 200, 1)
    assert set(read_table(tmp_path / "rows.dta")["x"]) >= {"1", "2", ".a", ".z", ""}
    assert read_codebook(tmp_path / "rows.dta").labels["x"] == {".a": "apple"}


@pytest.mark.parametrize("ending", ["sav", "zsav", "por", "dta", "xpt"])
def test_one_table_is_the_same_text_in_the_files_of_all_programs(ending: str) -> None:
    table = read_table(FOREIGN / f"pyreadstat_sample.{ending}")
    table.columns = table.columns.str.lower()
    assert table["mynum"].tolist() == ["1.1", "1.2", "-1000.3", "-1.4", "1000.3"]
    assert table["mylabl"].tolist() == ["1", "2", "1", "2", "1"]
    assert table["mydate"].tolist() == ["2018-05-06", "1880-05-06", "1960-01-01", "1583-01-01", ""]
    assert table["dtime"][0] == "2018-05-06 10:10:10"
    assert table["mytime"][1] == "23:10:10"


def test_a_file_of_sas_is_read_and_not_written(tmp_path: Path) -> None:
    table = read_table(FOREIGN / "haven_datetime.sas7bdat")
    assert table["VAR1"][0] == "2015-02-02 14:42:12"
    with pytest.raises(InputError, match=r"such files are read, not written; give .*xpt"):
        write_table(table, tmp_path / "rows.sas7bdat")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stream", [False, True])
def test_polars_files_of_arrow_are_read(stream: bool, tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, None, 3], "b": ["x", "y", "z"], "c": [True, False, None]})
    frame = frame.with_columns(pl.col("b").cast(pl.Categorical))
    path = tmp_path / "t.arrow"
    (frame.write_ipc_stream if stream else frame.write_ipc)(path)
    table = read_table(path)
    assert table["a"].tolist() == ["1", "", "3"]
    assert table["b"].tolist() == ["x", "y", "z"]
    assert table["c"].tolist() == ["True", "False", ""]


def test_the_first_sheet_is_read_with_numbers_dates_and_truths(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["n", "when", "day", "ok", "text", None])
    sheet.append([3.0, datetime(2020, 1, 2, 3, 4, 5), date(2021, 1, 2), True, "é", None])
    sheet.append([2.5, None, None, False, None, None])
    sheet.append([None] * 6)
    book.create_sheet("notes")
    book.save(tmp_path / "t.xlsx")
    with pytest.warns(LeftOut, match="only its first sheet is read, not 'notes'"):
        table = read_table(tmp_path / "t.xlsx")
    assert table.to_numpy().tolist() == [
        ["3", "2020-01-02 03:04:05", "2021-01-02", "true", "é"],
        ["2.5", "", "", "false", ""],
    ]


def test_texts_that_begin_as_formulas_stay_texts(release: object, tmp_path: Path) -> None:
    release.write_rows(tmp_path / "rows.xlsx", 50, 1)  # type: ignore[attr-defined]
    sheet = openpyxl.load_workbook(tmp_path / "rows.xlsx").active
    place = [cell.value for cell in sheet[1]].index("ward")
    cells = [row[place] for row in sheet.iter_rows(min_row=2)]
    assert {cell.value for cell in cells} == {"=A1", "übrige"}
    assert {cell.data_type for cell in cells} == {"s"}


@pytest.mark.parametrize("kind", [*STATISTICAL, "feather", "arrow", "xlsx"])
def test_a_damaged_file_is_refused_in_a_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{kind}"
    path.write_bytes(b"PK\x03\x04 nothing that any program wrote" * 20)
    with pytest.raises(InputError, match="damaged") as refused:
        read_table(path)
    assert "\n" not in str(refused.value)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        read_table(path)


@pytest.mark.parametrize("name", ["haven_iris.sav", "haven_iris.dta"])
def test_a_file_that_needs_more_memory_is_refused_before_it_is_read(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DP_SYNTH_MEMORY", "10kB")
    with pytest.raises(InputError, match="memory"):
        read_table(FOREIGN / name)
    assert not is_larger_than_memory(FOREIGN / name)  # as nothing streams it


def test_a_sheet_that_unpacks_to_more_than_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(pd.DataFrame({"a": ["x" * 30_000] * 1000}), tmp_path / "t.xlsx")
    assert (tmp_path / "t.xlsx").stat().st_size < 400_000
    with monkeypatch.context() as unopened:
        unopened.setattr(openpyxl, "load_workbook", None)  # it is not opened at all
        with pytest.raises(InputError, match="memory"):
            read_sheet(tmp_path / "t.xlsx", 2**20)
    monkeypatch.setenv("DP_SYNTH_MEMORY", "5MB")
    with pytest.raises(InputError, match="memory"):
        read_table(tmp_path / "t.xlsx")


@pytest.mark.parametrize(
    ("kind", "name"), [("dta", "Sepal.Length"), ("xpt", "a b"), ("sav", "1st"), ("dta", "a" * 33)]
)
def test_names_that_a_file_cannot_hold_are_refused_before_a_fit(
    kind: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = Schema.from_dict(
        {"name": "t", "columns": [{"name": name, "type": "integer", "lower": 0, "upper": 3}]}
    )
    assert "a name in" in (unwritable(schema, f"rows.{kind}") or "")
    schema.save(tmp_path / "t.meta.json")
    (tmp_path / "t.csv").write_text(f"{name}\n1\n2\n")
    ledger = tmp_path / "ledger.jsonl"
    command = ["synthesize", "--data", str(tmp_path / "t.csv"), "--schema"]
    command += [str(tmp_path / "t.meta.json"), "--epsilon", "1", "--delta", "1e-6"]
    command += ["--out", str(tmp_path / f"rows.{kind}"), "--ledger", str(ledger)]
    assert main(command) == 2
    assert repr(name) in capsys.readouterr().err
    assert not ledger.exists()


def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    for package, kind in (("pyreadstat", "sav"), ("openpyxl", "xlsx")):
        path = tmp_path / f"t.{kind}"
        write_table(frame, path)
        monkeypatch.setitem(sys.modules, package, None)
        for use in (lambda path=path: read_table(path), lambda path=path: write_table(frame, path)):
            with pytest.raises(InputError, match=r"pip install '\.\[files\]'"):
                use()
    assert kind_of("t.xlsx") == "xlsx"
    assert MOST_ROWS == 1_048_576


def test_reading_csv_loads_no_package_of_other_kinds() -> None:
    code = (
        "import sys; from dp_synth.datasets import read_table; import dp_synth; "
        "print([m for m in ('pyreadstat', 'openpyxl', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_pyreadstat_reads_of_our_file_is_what_was_written(
    release: object, tmp_path: Path
) -> None:
    release.write_rows(tmp_path / "rows.sav", 50, 1)  # type: ignore[attr-defined]
    frame, metadata = pyreadstat.read_sav(tmp_path / "rows.sav", apply_value_formats=True)
    assert set(frame["sex"].dropna().astype(str)) <= {"male", "female", "refused"}
    assert frame["seen"].dtype.kind == "M"
    assert io.StringIO(frame.to_csv()).readline().count(",") == len(SURVEY.names)
    assert metadata.variable_measure["sex"] == "nominal"
