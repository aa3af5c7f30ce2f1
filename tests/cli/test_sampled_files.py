"""Files that `dp-synth` writes and completes: text in CSV, values of their kinds in Parquet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from dp_synth import Independent, PrivacyBudget
from dp_synth.cli import main
from dp_synth.datasets import load, read_table, write_table
from dp_synth.release import Release
from dp_synth.schema import Schema

COLUMNS = [
    {"name": "age", "type": "integer", "lower": 0, "upper": 90, "missing": ["NA", ""]},
    {"name": "income, yearly", "type": "real", "lower": 0, "upper": 900, "missing": [""]},
    {"name": "a=b", "type": "categorical", "categories": ["x", "y", "x=y"], "missing": ["?"]},
    {"name": "a", "type": "categorical", "categories": ["b=x", "x"]},
    {"name": "born", "type": "datetime", "lower": "1930-01-01", "upper": "2020-12-31"},
    {"name": "alive", "type": "categorical", "categories": ["true", "false"]},
    {"name": "grade", "type": "ordinal", "categories": ["low", "high"]},
]


def people(count: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    days = np.datetime64("1990-01-01") + rng.integers(0, 9000, count)
    return pd.DataFrame(
        {
            "age": rng.choice(["NA", "", "3", "40", "77"], count),
            "income, yearly": rng.choice(["", "12.5", "800"], count),
            "a=b": rng.choice(["x", "y", "x=y", "?"], count),
            "a": rng.choice(["b=x", "x"], count),
            "born": days.astype("datetime64[D]").astype(str),
            "alive": rng.choice(["true", "false"], count),
            "grade": rng.choice(["low", "high"], count),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_table(people(), folder / "t.csv")
    (folder / "t.meta.json").write_text(json.dumps({"name": "t", "columns": COLUMNS}))
    assert synthesize(folder, folder / "synth.parquet", "--release", folder / "r.npz") == 0
    return folder


def synthesize(folder: Path, out: Path, *more: object) -> int:
    options = {"data": folder / "t.csv", "schema": folder / "t.meta.json", "out": out, "seed": 0}
    given = [f"--{name}={value}" for name, value in options.items()]
    return main(["synthesize", *given, "--epsilon=5", "--delta=1e-6", *map(str, more)])


def sample(folder: Path, out: Path, *more: object) -> int:
    command = ["sample", folder / "r.npz", "--out", out, "--seed", "1", *more]
    return main([str(part) for part in command])


def test_a_csv_file_of_the_bundled_table_is_what_its_codes_say_byte_for_byte(
    tmp_path: Path,
) -> None:
    data = load("adult")
    write_table(data.train.head(2_000), tmp_path / "adult.csv")
    data.schema.save(tmp_path / "adult.meta.json")
    options = {"data": "adult.csv", "schema": "adult.meta.json", "release": "r.npz", "out": "s.csv"}
    command = [f"--{name}={tmp_path / value}" for name, value in options.items()]
    more = ["--epsilon=1", "--delta=1e-9", "--seed=0", "--rows=300"]
    assert main(["synthesize", *command, *more]) == 0
    release = Release.load(tmp_path / "r.npz")
    rng = np.random.default_rng(1)
    decoded = release.schema.decode(release.model.sample(300, rng), rng)
    expected = decoded.to_csv(index=False, lineterminator="\n").encode()
    assert (tmp_path / "s.csv").read_bytes() == expected
    assert b"?" in expected


@pytest.mark.parametrize("verb", ["synthesize", "sample"])
def test_a_parquet_file_holds_values_of_the_kinds_of_the_schema(
    folder: Path, tmp_path: Path, verb: str
) -> None:
    path = folder / "synth.parquet" if verb == "synthesize" else tmp_path / "more.parquet"
    assert verb == "synthesize" or sample(folder, path) == 0
    kinds = {field.name: field.type for field in parquet.read_schema(path)}
    assert kinds["age"] == pa.int64()
    assert kinds["income, yearly"] == pa.float64()
    assert kinds["alive"] == pa.bool_()
    assert pa.types.is_timestamp(kinds["born"])
    assert pa.types.is_dictionary(kinds["grade"])
    frame = pd.read_parquet(path)
    assert 0 <= frame["age"].mean() <= 90
    assert frame["age"].isna().any()
    assert frame["income, yearly"].isna().any()
    assert frame["born"].dt.year.between(1930, 2020).all()
    assert frame["grade"].cat.ordered
    kept = Release.load(folder / "r.npz")
    assert (kept.schema.encode(read_table(path)) == kept.schema.encode(frame)).all()


def test_a_csv_file_tells_one_missing_mark_from_another(folder: Path, tmp_path: Path) -> None:
    assert sample(folder, tmp_path / "more.csv") == 0
    ages = read_table(tmp_path / "more.csv")["age"]
    assert {"NA", ""} < set(ages)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_of_a_file_are_completed(folder: Path, tmp_path: Path, ending: str) -> None:
    given = pd.DataFrame({"age": ["3", "", "77", "NA"], "a=b": ["x", "y", "", ""]})
    write_table(given, tmp_path / f"given.{ending}")
    out = tmp_path / "out.csv"
    assert sample(folder, out, "--given-rows", tmp_path / f"given.{ending}") == 0
    rows = read_table(out)
    assert list(rows) == list(people())
    assert rows["age"].tolist()[0::2] == ["3", "77"]
    assert rows["age"].tolist()[3] == "NA"
    assert rows["a=b"].tolist()[:2] == ["x", "y"]
    schema = Schema.load(folder / "t.meta.json")
    codes = schema.select(["born", "alive"]).encode(rows)
    assert len(codes) == 4


@pytest.mark.parametrize(
    "more", [["--rows", 3], ["--given", "age=3"], ["--balance", "grade"]], ids=lambda m: m[0]
)
def test_completing_a_file_takes_no_other_condition(
    folder: Path, tmp_path: Path, more: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(pd.DataFrame({"age": ["3"]}), tmp_path / "g.csv")
    assert sample(folder, tmp_path / "o.csv", "--given-rows", tmp_path / "g.csv", *more) == 2
    assert "--given-rows completes each row once" in capsys.readouterr().err
    assert not (tmp_path / "o.csv").exists()


def test_the_file_of_partial_rows_is_never_written_over(folder: Path, tmp_path: Path) -> None:
    write_table(pd.DataFrame({"age": ["3"]}), tmp_path / "g.csv")
    assert sample(folder, tmp_path / "g.csv", "--given-rows", tmp_path / "g.csv") == 2
    assert read_table(tmp_path / "g.csv").to_dict("list") == {"age": ["3"]}


@pytest.mark.parametrize(
    ("given", "column", "value"),
    [("a=b=x", "a=b", "x"), ("a=b=x=y", "a=b", "x=y"), ("a=x", "a", "x")],
)
def test_a_column_with_an_equal_sign_in_its_name_can_be_given(
    folder: Path, tmp_path: Path, given: str, column: str, value: str
) -> None:
    assert sample(folder, tmp_path / "o.csv", "--rows", 20, "--given", given) == 0
    assert set(read_table(tmp_path / "o.csv")[column]) == {value}


def test_a_column_with_a_comma_in_its_name_can_be_chosen(folder: Path, tmp_path: Path) -> None:
    chosen = 'age, "income, yearly",a=b'
    assert synthesize(folder, tmp_path / "o.csv", "--columns", chosen) == 0
    assert list(read_table(tmp_path / "o.csv")) == ["age", "income, yearly", "a=b"]


def test_an_index_that_pandas_wrote_is_said_and_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people().query("alive == 'true'").to_parquet(tmp_path / "part.parquet")
    assert main(["schema", "draft", str(tmp_path / "part.parquet")]) == 0
    printed = capsys.readouterr()
    names = [column["name"] for column in json.loads(printed.out)["columns"]]
    assert names == list(people())
    said = f"{tmp_path / 'part.parquet'}: '__index_level_0__' is an index of pandas"
    assert printed.err.count(said) == 1
    assert "Warning" not in printed.err


@pytest.mark.parametrize(
    ("given", "column", "values"),
    [
        ("a=b=x", "a=b", ["x"]),
        ("a=b=x=y", "a=b", ["x=y"]),
        ("a=b=c", "a", ["b=c"]),
        ("n=1=3..4", "n=1", [3, 4]),
        ("n=1=..", "n=1", [".."]),
        ("n=1=0..9", "n=1", list(range(10))),
        ("a=b=p..q", "a=b", ["p..q"]),
    ],
)
def test_names_and_values_that_hold_the_signs_between_them(
    given: str, column: str, values: list[object], tmp_path: Path
) -> None:
    columns = [
        {"name": "a=b", "type": "categorical", "categories": ["x", "x=y", "p..q"]},
        {"name": "a", "type": "categorical", "categories": ["b=x", "b=c"]},
        {"name": "n=1", "type": "integer", "lower": 0, "upper": 9, "missing": [".."]},
    ]
    schema = Schema.from_dict({"name": "t", "columns": columns})
    frame = pd.DataFrame(
        {
            "a=b": ["x", "x=y", "p..q"] * 100,
            "a": ["b=x", "b=c", "b=c"] * 100,
            "n=1": [3, "..", 9] * 100,
        }
    )
    Independent().fit(frame, schema, PrivacyBudget(50, 1e-6), seed=0).save(tmp_path / "r.npz")
    out = tmp_path / "out.csv"
    assert sample(tmp_path, out, "--rows", 40, "--given", given) == 0
    assert set(read_table(out)[column]) <= set(map(str, values))
