"""Options for files that are not plain CSV, in each command that reads a table."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from dp_synth.cli import main
from dp_synth.datasets import Dialect, read_table
from dp_synth.schema import Schema

RNG = np.random.default_rng(0)
OPTIONS = {"separator", "decimal", "encoding", "no-header", "names", "index"}
READERS = [
    ("schema", "draft"),
    ("schema", "check"),
    ("synthesize",),
    ("evaluate",),
    ("attack",),
    ("audit",),
    ("card",),
]


@pytest.fixture
def table(tmp_path):
    """A file as a spreadsheet in Germany writes it, and its dialect said by options."""
    days = pd.to_datetime("1950-01-01") + pd.to_timedelta(RNG.integers(0, 20_000, 300), unit="D")
    frame = pd.DataFrame(
        {
            "größe": [f"{x:.2f}".replace(".", ",") for x in RNG.uniform(1.5, 2, 300)],
            "geboren": days.strftime("%d.%m.%Y"),
            "wert": [f"{n % 7 + 0.5},{n % 1000:03d}" for n in range(300)],
            "ort": RNG.choice(["Köln", "Bonn"], 300),
        }
    )
    frame["wert"] = [f"{n % 7},{n:03d}" for n in range(300)]
    path = tmp_path / "t.csv"
    frame.to_csv(path, sep=";", index=False, encoding="latin-1")
    return path


SAID = ["--separator", ";", "--encoding", "latin-1", "--decimal", ","]


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_each_command_that_reads_tables_takes_the_options(command, capsys):
    assert main([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"--{option}" in shown for option in OPTIONS)


def drafted(table, tmp_path, capsys, *options):
    capsys.readouterr()
    assert main(["schema", "draft", str(table), *options]) == 0
    schema = tmp_path / "t.meta.json"
    schema.write_text(capsys.readouterr().out)
    return schema


def test_a_drafted_schema_reads_its_table_and_rows_come_back_in_the_same_way(
    table, tmp_path, capsys
):
    schema = drafted(table, tmp_path, capsys, *SAID)
    kept = {column["name"]: column for column in json.loads(schema.read_text())["columns"]}
    assert kept["größe"]["format"] == kept["wert"]["format"] == {"decimal": ","}
    assert main(["schema", "check", str(table), str(schema)]) == 0
    assert capsys.readouterr().out.startswith("the table matches its schema")
    out, release = tmp_path / "s.csv", tmp_path / "r.npz"
    fit = ["synthesize", "--data", str(table), "--schema", str(schema), "--out", str(out)]
    fit += ["--epsilon", "5", "--delta", "1e-6", "--seed", "0", "--synthesizer", "independent"]
    assert main([*fit, "--release", str(release)]) == 0
    capsys.readouterr()
    assert main(["sample", str(release), "--rows", "9", "--out", str(tmp_path / "m.csv")]) == 0
    for written in (out, tmp_path / "m.csv"):
        assert main(["schema", "check", str(written), str(schema)]) == 0
        text = written.read_text(encoding="latin-1")
        assert text.startswith("größe;geboren;wert;ort\n")
        assert "," in text.splitlines()[1].split(";")[0]
    evaluated = [
        "--real",
        str(table),
        "--holdout",
        str(tmp_path / "m.csv"),
        "--synthetic",
        str(out),
    ]
    assert main(["evaluate", *evaluated, "--schema", str(schema), "--metric", "none"]) == 0


def test_options_stand_above_what_the_schema_says(table, tmp_path, capsys):
    plain = tmp_path / "plain.meta.json"
    content = {"type": "real", "lower": 1, "upper": 3}
    plain.write_text(json.dumps({"name": "t", "columns": [{"name": "größe", **content}]}))
    assert main(["schema", "check", str(table), str(plain)]) == 2
    assert "give --encoding" in capsys.readouterr().err
    assert main(["schema", "check", str(table), str(plain), *SAID[:2]]) == 2
    assert main(["schema", "check", str(table), str(plain), *SAID[:4]]) == 2
    assert "no number: 300 cells" in capsys.readouterr().out
    assert main(["schema", "check", str(table), str(plain), *SAID]) == 2
    assert "no number" not in capsys.readouterr().out  # the other columns are left out
    rows = tmp_path / "s.csv"
    fit = ["synthesize", "--data", str(table), "--schema", str(plain), "--out", str(rows), *SAID]
    fit += ["--epsilon", "5", "--delta", "1e-6", "--synthesizer", "independent", "--rows", "50"]
    assert main(fit) == 0
    kept = Schema.load(plain).read_as(Dialect(separator=";", encoding="latin-1", decimal=","))
    values = kept.column("größe").values(read_table(rows, kept.dialect)["größe"])
    assert 1 <= values.min() < values.max() <= 3


def test_a_file_without_a_header_is_drafted_by_numbered_or_given_names(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("".join(f"{20 + i % 40},{'fm'[i % 2]}\n" for i in range(200)))
    assert main(["schema", "draft", str(path)]) == 0
    assert "the first line reads like a record" in capsys.readouterr().err
    schema = drafted(path, tmp_path, capsys, "--no-header")
    assert Schema.load(schema).names == ("column_1", "column_2")
    assert main(["schema", "check", str(path), str(schema)]) == 0
    named = drafted(path, tmp_path, capsys, "--names", "age,sex")
    assert Schema.load(named).names == ("age", "sex")
    assert main(["schema", "check", str(path), str(named)]) == 0


def test_an_index_column_is_left_out_by_a_word(tmp_path, capsys):
    path = tmp_path / "t.csv"
    pd.DataFrame({"x": ["a", "b"] * 50}).to_csv(path)
    assert main(["schema", "draft", str(path)]) == 2
    assert "leave it out with --index" in capsys.readouterr().err
    schema = drafted(path, tmp_path, capsys, "--index")
    assert Schema.load(schema).names == ("x",)
    assert main(["schema", "check", str(path), str(schema)]) == 0


@pytest.mark.parametrize(
    ("option", "line"),
    [
        (["--separator", "ab"], "--separator: must be one sign, such as ';', got 'ab'"),
        (["--decimal", ";"], "--decimal: must be '.' or ','"),
        (["--encoding", "none"], "--encoding: must be one that Python knows"),
        (["--names", "a,a"], "--names: must be distinct"),
    ],
)
def test_a_wrong_option_is_one_line_before_anything_is_read(option, line, capsys):
    assert main(["schema", "draft", "absent.csv", *option]) == 2
    printed = capsys.readouterr()
    assert line.lower() in printed.err.lower()
    assert printed.err.count("\n") == 1


def test_a_check_whose_only_remark_is_an_identifier_ends_with_zero(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("key,sex\n" + "".join(f"k{i},{'fm'[i % 2]}\n" for i in range(90)))
    schema = drafted(path, tmp_path, capsys)
    assert main(["schema", "check", str(path), str(schema)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "the table matches its schema"
    assert "column 'key': is an identifier, which is never synthesized" in lines[1]


def test_questions_of_a_draft_stand_on_standard_error_and_in_its_notes(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("born\n" + "".join(f"0{i % 9 + 1}/02/1990\n" for i in range(90)))
    assert main(["schema", "draft", str(path)]) == 0
    printed = capsys.readouterr()
    (column,) = json.loads(printed.out)["columns"]
    first, last = printed.err.splitlines()
    assert first == f"column 'born': {column['note']}"
    assert "is the day or the month first?" in first
    assert last == "read from the data: confirm each bound and category"


def test_a_text_that_the_encoding_lacks_is_refused_before_a_charge_or_replaced(tmp_path, capsys):
    open_column = {"name": "a", "type": "categorical", "categories": ["x"], "open": True}
    schema = {"name": "t", "columns": [open_column], "dialect": {"encoding": "latin-1"}}
    pd.DataFrame({"a": ["€"] * 200}).to_parquet(tmp_path / "t.parquet")
    fixed = [
        *("synthesize", "--data", str(tmp_path / "t.parquet"), "--epsilon", "9"),
        *("--delta", "1e-3", "--schema", str(tmp_path / "t.meta.json")),
        *("--ledger", str(tmp_path / "l.jsonl"), "--out", str(tmp_path / "s.csv")),
    ]
    (tmp_path / "t.meta.json").write_text(
        json.dumps({**schema, "columns": [{**open_column, "categories": ["x", "€"]}]})
    )
    assert main(fixed) == 2
    assert "column 'a': latin-1 has no sign for a text of it" in capsys.readouterr().err
    assert not (tmp_path / "l.jsonl").exists()
    (tmp_path / "t.meta.json").write_text(json.dumps(schema))
    assert main(fixed) == 0
    assert "latin-1 lacks signs of it" in capsys.readouterr().err
    assert "?" in (tmp_path / "s.csv").read_text(encoding="latin-1")


@pytest.mark.parametrize("check", [True, False])
def test_bytes_that_are_no_text_are_told_in_one_line_unless_nobody_wants_to_know(
    check, tmp_path, capsys
):
    columns = [{"name": "a", "type": "categorical", "categories": ["x"], "missing": [""]}]
    (tmp_path / "t.meta.json").write_text(json.dumps({"name": "t", "columns": columns}))
    (tmp_path / "t.csv").write_bytes(b"a\nx\nsecret\xff\n")
    command = [
        *("synthesize", "--data", str(tmp_path / "t.csv"), "--epsilon", "9", "--delta", "1e-6"),
        *("--schema", str(tmp_path / "t.meta.json"), "--out", str(tmp_path / "s.csv")),
    ]
    assert main(command if check else [*command, "--no-check"]) == 0
    said = capsys.readouterr().err
    assert said.count("some bytes of its cells are no UTF-8 text") == check
    assert "secret" not in said
