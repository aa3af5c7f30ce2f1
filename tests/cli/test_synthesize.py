"""`dp-synth synthesize` and `dp-synth sample`, from a private table to synthetic rows."""

import errno
import io
import json
import os
import re
import sys

import pandas as pd
import pytest

from dp_synth import release as releases
from dp_synth.cli import main
from dp_synth.datasets import load, read_table, write_table
from dp_synth.release import Release
from dp_synth.schema import Schema

REAL_TABLES = ["nist_ma2019", "german_credit", "bank_marketing"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, data = tmp_path_factory.mktemp("private"), load("adult")
    write_table(data.train.head(2_000), folder / "adult.csv")
    (folder / "adult.meta.json").write_text(json.dumps(data.schema.to_dict()))
    return folder


def synthesize(files, *flags, **options):
    """Run the command with these options over the usual ones; None leaves an option out."""
    usual = {
        "data": files / "adult.csv",
        "schema": files / "adult.meta.json",
        "epsilon": 1,
        "delta": 1e-9,
        "synthesizer": "mst",
        "columns": "age,sex,income",
        "seed": 0,
    }
    given = {name: value for name, value in {**usual, **options}.items() if value is not None}
    options = [f"--{name}={value}" for name, value in given.items()]
    return main(["synthesize", *flags, *options])


def sample(*arguments):
    return main(["sample", *map(str, arguments)])


def one_line(capsys):
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("dp-synth: ")
    return printed.err


def test_a_private_table_becomes_synthetic_rows_a_release_and_more_rows(files, tmp_path, capsys):
    out, kept, more = tmp_path / "synth.csv", tmp_path / "adult.npz", tmp_path / "more.parquet"
    assert synthesize(files, out=out, release=kept, rows=500, columns=None) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "epsilon" in printed.err
    assert "seeded: not for release" in printed.err
    assert sample(kept, "--out", more, "--rows", 70) == 0
    assert capsys.readouterr() == ("", "")
    schema = Schema.load(files / "adult.meta.json")
    for path, rows in ((out, 500), (more, 70)):
        table = read_table(path)
        assert len(table) == rows
        assert tuple(table.columns) == schema.names
    assert sorted(os.listdir(tmp_path)) == ["adult.npz", "more.parquet", "synth.csv"]


def test_a_budget_without_delta_and_new_keys_need_a_word_each(files, tmp_path, capsys):
    content = json.loads((files / "adult.meta.json").read_text())
    content["columns"].insert(0, {"name": "key", "type": "id", "pattern": "K[0-9]{3}"})
    schema, out = tmp_path / "keyed.meta.json", tmp_path / "rows.csv"
    schema.write_text(json.dumps(content))
    asked = {"schema": schema, "columns": "key,age,sex,income", "delta": 0, "out": out}
    assert synthesize(files, **asked, rows=300) == 0
    assert "epsilon 1 of 1 at delta 0" in capsys.readouterr().err
    rows = read_table(out)
    assert tuple(rows.columns) == ("key", "age", "sex", "income")
    assert rows["key"].str.fullmatch(r"K[0-9]{3}").all()
    assert rows["key"].is_unique
    out.unlink()
    for more, said in (({"rows": 1001}, "fewer than the 1,001 rows"), ({}, "give --rows, or")):
        assert synthesize(files, **asked, **more, ledger=tmp_path / "l.jsonl") == 2
        assert said in one_line(capsys)
    assert os.listdir(tmp_path) == ["keyed.meta.json"]


def test_the_same_seed_gives_the_same_files_and_another_seed_others(files, tmp_path):
    out = [tmp_path / f"{i}.csv" for i in range(4)]
    for path, seed in zip(out[:3], (1, 1, 2), strict=True):
        assert synthesize(files, out=path, seed=seed, release=path.with_suffix(".npz")) == 0
    assert out[0].read_bytes() == out[1].read_bytes() != out[2].read_bytes()
    assert sample(out[0].with_suffix(".npz"), "--out", out[3], "--seed", 2) == 0
    assert out[3].read_bytes() == out[0].read_bytes()  # rows of the fit have the seed after its own


def test_a_file_larger_than_memory_goes_by_as_a_stream_with_the_same_rows(
    files, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("duckdb", reason="the extra 'bigdata' is not installed")
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    assert synthesize(files, out=small) == 0
    said = capsys.readouterr().err
    monkeypatch.setattr("dp_synth.counting.records.LARGEST_IN_MEMORY", 0)
    assert synthesize(files, out=large) == 0
    assert capsys.readouterr().err.split("\n")[0] == said.split("\n")[0]  # columns left out
    assert large.read_bytes() == small.read_bytes()
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert synthesize(files, out=large) == 0  # read as a whole while there is room for it
    monkeypatch.setenv("DP_SYNTH_MEMORY", "10B")
    assert synthesize(files, out=large, ledger=tmp_path / "ledger.jsonl", columns="age") == 2
    assert "pip install '.[bigdata]'" in capsys.readouterr().err.splitlines()[-1]


def test_standard_input_and_output_carry_tables(files, tmp_path, monkeypatch, capsys):
    content = (files / "adult.csv").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    kept = tmp_path / "adult.npz"
    assert synthesize(files, data="-", out="-", rows=30, release=kept) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert list(table.columns) == ["age", "sex", "income"]
    assert len(table) == 30
    assert sample(kept, "--out", "-", "--rows", 0) == 0
    assert capsys.readouterr() == ("age,sex,income\n", "")


def test_columns_left_out_are_named_and_no_rows_are_a_header(files, tmp_path, capsys):
    out = tmp_path / "none.csv"
    assert synthesize(files, out=out, rows=0, columns="sex,age") == 0
    assert out.read_text() == "sex,age\n"
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("columns left out: ")
    assert "education" in first


@pytest.mark.parametrize("synthesizer", ["independent", "mst"])
def test_a_ledger_holds_what_was_charged_and_is_never_used_twice(
    files, tmp_path, capsys, synthesizer
):
    out, ledger = tmp_path / "synth.csv", tmp_path / "ledger.jsonl"
    assert synthesize(files, out=out, ledger=ledger, synthesizer=synthesizer) == 0
    before = out.read_bytes(), ledger.read_bytes()
    entries = [json.loads(line) for line in ledger.read_text().splitlines()[1:]]
    assert {entry["recipe"] for entry in entries} == {synthesizer}
    capsys.readouterr()
    assert synthesize(files, out=out, ledger=ledger, synthesizer=synthesizer, seed=5) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "already holds a plan" in printed.err.splitlines()[-1]
    assert (out.read_bytes(), ledger.read_bytes()) == before


def test_what_a_ledger_cannot_pay_is_refused_before_the_table_or_the_holdout_is_opened(
    files, tmp_path, capsys
):
    out, ledger, card = (tmp_path / name for name in ("out.csv", "ledger.jsonl", "card.json"))
    assert synthesize(files, out=out, ledger=ledger, synthesizer="independent") == 0
    before = ledger.read_bytes()
    private = {"data": "absent.csv", "holdout": "absent.csv", "card": card}
    internal = ["--internal"]
    given = {"out": out, "ledger": ledger, "synthesizer": "independent", **private}
    assert synthesize(files, *internal, **given) == 3
    assert "already holds a plan" in capsys.readouterr().err
    assert ledger.read_bytes() == before
    assert synthesize(files, *internal, **{**given, "ledger": None}) == 2  # which can be paid
    assert "absent.csv: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epsilon": 0}, "epsilon must be a finite number above 0"),
        ({"epsilon": -1}, "epsilon must be a finite number above 0"),
        ({"epsilon": "nan"}, "epsilon must be a finite number above 0"),
        ({"epsilon": "inf"}, "epsilon must be a finite number above 0"),
        ({"delta": 1}, "delta must lie in [0, 1)"),
        ({"delta": -0.1}, "delta must lie in [0, 1)"),
        ({"delta": 0, "question": "mean age"}, "questions need a delta above 0"),
        ({"adjacency": "bounded"}, "add_remove, replace_one"),
        ({"synthesizer": "gan"}, "there are: independent, mst"),
        ({"set": "depth=3"}, "'mst' has no setting 'depth'; there are: coarseness"),
        ({"set": "coarsenes=1"}, "did you mean 'coarseness'?"),
        ({"set": "name=x"}, "'mst' has no setting 'name'"),
        ({"set": "nonsense"}, "--set takes name=value"),
        ({"set": "coarseness=abc"}, "coarseness must be a number, got 'abc'"),
        ({"set": "as_published=yes"}, "as_published must be True or False, got 'yes'"),
        ({"columns": "age,absent"}, "no column 'absent'"),
        ({"columns": ","}, "no column was chosen"),
        ({"columns": "age,age"}, "chosen twice"),
        ({"data": "absent.csv"}, "absent.csv: cannot be read"),
        ({"data": "table.ods"}, "table.ods: the name of a table file must end"),
        ({"schema": "absent.json"}, "absent.json: cannot be read"),
    ],
)
def test_wrong_arguments_are_one_line_and_spend_nothing(files, tmp_path, capsys, options, said):
    out, ledger = tmp_path / "synth.csv", tmp_path / "ledger.jsonl"
    out.write_text("as it was")
    assert synthesize(files, **{"out": out, "ledger": ledger, **options}) == 2
    assert said in one_line(capsys)
    assert out.read_text() == "as it was"
    assert os.listdir(tmp_path) == ["synth.csv"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"out": "{}/absent/synth.csv"}, "its folder does not exist"),
        ({"release": "{}/absent/adult.npz"}, "its folder does not exist"),
        ({"ledger": "{}/absent/ledger.jsonl"}, "its folder does not exist"),
        ({"release": "{}"}, "cannot be written"),
        ({"out": "{}/synth.ods"}, "must end in .csv, .csv.gz, .parquet"),
        ({"release": "{}/ledger.jsonl"}, "is named twice"),
        ({"out": "{}/private.csv", "data": "{}/private.csv"}, "is named twice"),
    ],
)
def test_places_that_cannot_be_written_are_refused_before_anything_is_spent(
    files, tmp_path, capsys, options, said
):
    (tmp_path / "private.csv").write_bytes((files / "adult.csv").read_bytes())
    usual = {"out": "{}/synth.csv", "ledger": "{}/ledger.jsonl", "release": "{}/adult.npz"}
    places = {name: place.format(tmp_path) for name, place in {**usual, **options}.items()}
    assert synthesize(files, **places) == 2
    assert said in one_line(capsys)
    assert os.listdir(tmp_path) == ["private.csv"]
    assert (tmp_path / "private.csv").read_bytes() == (files / "adult.csv").read_bytes()


def test_a_folder_without_leave_to_write_is_refused_before_anything_is_spent(
    files, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(os, "access", lambda path, mode, **_: mode != os.W_OK)
    assert synthesize(files, out=tmp_path / "a.csv", ledger=tmp_path / "l.jsonl") == 2
    assert "cannot be written" in one_line(capsys)
    assert os.listdir(tmp_path) == []


def full(*_arguments, **_options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_at_the_end_leaves_the_output_before_it(files, tmp_path, capsys, monkeypatch):
    out = tmp_path / "synth.csv"
    out.write_text("as it was")
    monkeypatch.setattr(os, "replace", full)
    assert synthesize(files, out=out) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"dp-synth: {out}: No space left on device; what the fit cost stays ")
    assert last.endswith("the release could not be kept anywhere either")
    assert out.read_text() == "as it was"
    assert os.listdir(tmp_path) == ["synth.csv"]


def test_a_ledger_that_cannot_be_written_releases_nothing(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    assert synthesize(files, out=tmp_path / "synth.csv", ledger=tmp_path / "l.jsonl") == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("No space left on device")
    assert os.listdir(tmp_path) == []


def test_no_private_value_stands_in_a_message(files, tmp_path, capsys):
    content = "age,sex,income\nsecret-age,secret-sex,secret-income\n"
    (tmp_path / "odd.csv").write_text(content)
    (tmp_path / "short.csv").write_text("age,sex\n47,secret-sex\n")
    (tmp_path / "broken.csv").write_text(content + "secret-age\n")
    out = tmp_path / "synth.csv"
    assert synthesize(files, data=tmp_path / "odd.csv", out=out, rows=5) == 0
    assert synthesize(files, data=tmp_path / "short.csv", out=out) == 2
    assert synthesize(files, data=tmp_path / "broken.csv", out=out) == 2
    printed = capsys.readouterr()
    assert "column 'income'" in printed.err
    assert "secret" not in printed.out + printed.err
    assert "secret" not in out.read_text()


def test_an_identifier_is_refused_with_how_to_leave_it_out(tmp_path, capsys):
    columns = [{"name": "key", "type": "id"}, {"name": "x", "type": "ordinal", "size": 2}]
    schema, data = tmp_path / "t.meta.json", tmp_path / "t.csv"
    schema.write_text(json.dumps({"name": "t", "columns": columns}))
    data.write_text("key,x\nsecret,1\n")
    where = {"data": data, "schema": schema, "out": tmp_path / "s.csv"}
    assert synthesize(tmp_path, **where, columns=None) == 2
    line = one_line(capsys)
    assert "--drop 'key'" in line
    assert "secret" not in line
    assert synthesize(tmp_path, **where, columns="x") == 0


def test_a_damaged_release_and_a_wrong_place_for_rows_are_one_line(files, tmp_path, capsys):
    kept = tmp_path / "adult.npz"
    kept.write_bytes(b"PK\x03\x04 nothing")
    assert sample(kept, "--out", tmp_path / "more.csv") == 2
    assert "cannot be read as a release" in one_line(capsys)
    assert sample(tmp_path / "absent.npz", "--out", tmp_path / "more.csv") == 2
    assert "absent.npz: No such file" in one_line(capsys)
    assert sample(kept, "--out", tmp_path / "absent" / "more.csv") == 2
    assert "its folder does not exist" in one_line(capsys)
    assert sample(kept, "--out", tmp_path / "more.ods") == 2
    assert "must end in" in one_line(capsys)
    assert os.listdir(tmp_path) == ["adult.npz"]


@pytest.fixture(scope="module")
def kept(files):
    assert synthesize(files, out=files / "kept.csv", release=files / "kept.npz") == 0
    return files / "kept.npz"


def test_rows_are_as_given_and_balanced_as_asked(kept, tmp_path):
    out = tmp_path / "more.csv"
    options = ["--rows", 90, "--given", "age=30..39", "--balance", "sex", "--out", out]
    assert sample(kept, *options, "--given", "income=>50K") == 0
    rows = read_table(out)
    assert rows["age"].astype(int).between(30, 39).all()
    assert set(rows["income"]) == {">50K"}
    assert rows["sex"].value_counts().tolist() == [45, 45]
    assert sample(kept, "--rows", 30, "--given=age=40", "--given=age=50", "--out", out) == 0
    assert set(read_table(out)["age"]) == {"40", "50"}


def test_a_default_that_noise_made_huge_is_bounded_and_said(kept, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(releases, "MOST_BY_DEFAULT", 7)
    assert sample(kept, f"--out={tmp_path / 'more.csv'}", "--seed=0") == 0
    printed = capsys.readouterr()
    assert re.fullmatch(r"dp-synth: the noisy number of records is [\d,]+; 7 are .*\n", printed.err)
    assert len(read_table(tmp_path / "more.csv")) == 7


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--given", "age"], "--given takes COLUMN=VALUE or COLUMN=LOW..HIGH, got 'age'"),
        (["--given", "wage=3"], "no column 'wage'"),
        (["--given", "sex=X"], "column 'sex' has no category 'X'"),
        (["--given", "age=9..3"], "a range (low, high) must rise"),
        (["--given", "age=20", "--given", "age=30..39"], "must be all that is given of a column"),
        (["--given", "age=30..39", "--given", "age=20"], "must be all that is given of a column"),
        (["--balance", "wage"], "no column 'wage'"),
    ],
)
def test_rows_that_cannot_be_as_given_are_one_line_and_no_file(
    kept, tmp_path, capsys, options, said
):
    capsys.readouterr()
    assert sample(kept, "--rows", 5, *options, "--out", tmp_path / "more.csv") == 2
    assert said in one_line(capsys)
    assert os.listdir(tmp_path) == []


def test_the_number_of_private_rows_is_not_that_of_synthetic_ones(files, tmp_path):
    kept = tmp_path / "adult.npz"
    assert synthesize(files, out=tmp_path / "s.csv", release=kept) == 0
    release = Release.load(kept)
    assert release.model.total != 2_000
    assert len(release.sample(seed=1)) == len(read_table(tmp_path / "s.csv"))


@pytest.mark.parametrize("name", REAL_TABLES)
def test_a_real_table_is_synthesized_and_evaluated_as_it_is(name, tmp_path, capsys):
    if not os.environ.get("DP_SYNTH_DATA"):
        pytest.skip("DP_SYNTH_DATA, the folder of real tables, is not set")
    data = load(name)
    schema, tables = tmp_path / "t.meta.json", {"train": data.train, "holdout": data.holdout}
    schema.write_text(json.dumps(data.schema.to_dict()))
    for part, frame in tables.items():
        write_table(frame.head(400), tmp_path / f"{part}.csv")
    where = {"data": tmp_path / "train.csv", "schema": schema, "out": tmp_path / "s.csv"}
    identifiers = {column.name for column in data.schema.columns if column.type == "id"}
    columns = ",".join(n for n in data.schema.names if n not in identifiers) or None
    assert synthesize(tmp_path, **where, columns=columns if identifiers else None, rows=400) == 0
    named = [("real", "train"), ("holdout", "holdout"), ("synthetic", "s")]
    arguments = [f"--{option}={tmp_path / file}.csv" for option, file in named]
    capsys.readouterr()
    assert main(["evaluate", *arguments, f"--schema={schema}", "--json=-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert 0 < result["tv2"] < 1


def test_an_own_synthesizer_is_fitted_by_its_dotted_name(files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_method.py").write_text(
        "from dp_synth import Independent\nclass Own(Independent):\n    name = 'own'\n"
        "def no_method(): pass\n"
    )
    out = tmp_path / "s.csv"
    assert synthesize(files, out=out, synthesizer="own_method:Own") == 0
    assert len(pd.read_csv(out))
    assert "own" in capsys.readouterr().err
    assert synthesize(files, out=out, synthesizer="own_method:no_method") == 2
    assert "must be a dataclass that is a Synthesizer" in one_line(capsys)


def test_questions_are_answered_on_standard_error_and_paid_by_the_same_budget(
    files, tmp_path, capsys
):
    out, kept = tmp_path / "synth.csv", tmp_path / "adult.npz"
    asked = ["--question", "mean age where sex=Female", "--question=share income=>50K"]
    assert synthesize(files, *asked, out=out, release=kept, rows=50) == 0
    said = capsys.readouterr().err
    assert re.search(
        r"dp-synth: mean age where sex=Female: mean [\d.]+, [\d.]+ to [\d.]+ \(95", said
    )
    assert "corrections of answers" in said
    release = Release.load(kept)
    assert [one.name for one in release.answers] == ["mean", "share"]
    assert release.epsilon <= 1
    assert synthesize(files, "--question", "mean agee", data="absent.csv", out=out) == 2
    assert "did you mean 'age'" in one_line(capsys)
