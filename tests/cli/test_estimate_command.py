"""`dp-synth estimate`: a table of answers, sentences, JSON, and one line for what is wrong."""

from __future__ import annotations

import json
from dataclasses import fields

import pandas as pd
import pytest

import dp_synth as dps
from dp_synth.cli import main
from dp_synth.estimates import Estimate, Share

SCHEMA = dps.Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
            {"name": "home town", "type": "categorical", "categories": ["n", "s"]},
            {"name": "age", "type": "integer", "lower": 0, "upper": 9},
        ],
    }
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A release on disk, whose fit was asked for a share."""
    rows = pd.DataFrame(
        {"sex": ["F", "M"] * 200, "home town": list("nssn") * 100, "age": [1, 4, 4, 9] * 100}
    )
    budget = dps.PrivacyBudget(epsilon=2, delta=1e-5)
    asked = [Share({"home town": "n"}, {"sex": "F"})]
    release = dps.MST().fit(rows, SCHEMA, budget, seed=0, questions=asked)
    path = tmp_path_factory.mktemp("kept") / "made.npz"
    release.save(path)
    return path


def run(capsys, *arguments):
    """Return the exit code, what was printed, and what was said on standard error."""
    code = main(["estimate", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


QUESTIONS = ["mean age where sex=F", "share `home town`=n where sex=F", "linear age ~ sex"]


def test_a_table_of_answers_is_printed_and_then_a_sentence_each(kept, capsys):
    code, out, err = run(capsys, kept, *QUESTIONS)
    assert (code, err) == (0, "")
    table, sentences = (part.splitlines() for part in out.split("\n\n"))
    head = ["question", "estimate", "low", "high", "noise", "sampling", "drawing", "misfit"]
    assert table[0].split() == head
    named = [*QUESTIONS[:2], "linear age ~ sex: Intercept", "linear age ~ sex: sex[T.M]"]
    assert [line.split("  ")[0] for line in table[1:]] == named
    found = dps.Release.load(kept).estimate(QUESTIONS[0])
    assert isinstance(found, Estimate)
    assert str(found) == "{} [{}, {}]".format(*table[1].split()[-7:-4])
    assert [line.split(": ")[0] for line in sentences][:2] == QUESTIONS[:2]
    assert len(sentences) == 4
    assert "Not certified" in sentences[-1]


def test_parts_of_ratios_are_said_to_be_of_their_logarithm(kept, capsys):
    ratio = "odds ratio age=5..9 between sex=F and sex=M"
    assert "of their logarithm" in run(capsys, kept, ratio)[1]
    assert "of their logarithm" not in run(capsys, kept, "median age")[1]


def test_what_an_interval_does_not_cover_is_marked_in_the_table(tmp_path, capsys):
    rows = pd.DataFrame({"sex": ["F", "M"] * 200, "home town": list("nssn") * 100, "age": 4})
    path, budget = tmp_path / "alone.npz", dps.PrivacyBudget(epsilon=2, delta=1e-5)
    dps.Independent().fit(rows, SCHEMA, budget, seed=0).save(path)
    asked = "share `home town`=n where sex=F", "share sex=F"
    code, out, _ = run(capsys, path, *asked)
    table, sentences = (part.splitlines() for part in out.split("\n\n"))
    assert code == 0
    assert [line.split("  ")[0] for line in table[1:3]] == [f"{asked[0]} *", asked[1]]
    assert table[3].startswith("*: the interval does not cover all")
    assert "not covered" in sentences[0]
    assert "not covered" not in sentences[1]


def test_answers_are_written_as_json_with_the_table_or_alone(kept, tmp_path, capsys):
    file = tmp_path / "answers.json"
    code, out, _ = run(capsys, kept, *QUESTIONS, "--level", "0.8", "--json", file)
    assert code == 0
    assert out.startswith("question")
    written = json.loads(file.read_text())
    code, out, _ = run(capsys, kept, *QUESTIONS, "--level", "0.8", "--json", "-")
    assert json.loads(out) == written
    assert (written["release"], written["level"]) == (str(kept), 0.8)
    release = dps.Release.load(kept)
    first, declared, *terms = written["estimates"]
    assert set(first) == {field.name for field in fields(Estimate)} | {"sentence"}
    assert declared["is_corrected"]
    assert not first["is_corrected"]
    assert [one["name"] for one in terms] == ["Intercept", "sex[T.M]"]
    for one, question in zip((first, declared), QUESTIONS, strict=False):
        found = release.estimate(question, level=0.8)
        assert isinstance(found, Estimate)
        assert (one["value"], one["low"], one["high"]) == (found.value, found.low, found.high)


def test_what_is_infinite_is_null_in_json(kept, capsys, monkeypatch):
    infinite = Estimate("mean age", "mean", 1.0, float("-inf"), float("inf"), 1.0, 1.0, 0.0, 1.0)
    monkeypatch.setattr(dps.Release, "estimate", lambda *_, **__: infinite)
    code, out, _ = run(capsys, kept, "mean age", "--json", "-")
    [one] = json.loads(out)["estimates"]
    assert (code, one["low"], one["high"], one["value"]) == (0, None, None, 1.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mean agee"], "did you mean 'age'"),
        (["mean age", "best age"], "no question 'best'"),
        (["mean sex"], "column 'sex' has no numbers"),
        (["share sex=X"], "column 'sex' has no category 'X'"),
        (["share home town=n"], "expected '='"),
        ([""], "a question is empty"),
        (["mean age", "--level", "95"], "a level lies between 0 and 1, got 95"),
        (["mean age", "--level", "nan"], "a level lies between 0 and 1"),
        (["mean age", "--json", "nowhere/answers.json"], "nowhere"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(kept, capsys, arguments, said):
    code, out, err = run(capsys, kept, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("dp-synth: ")
    assert err.count("\n") == 1
    assert said in err


def test_the_release_is_never_written_over_and_must_be_one(kept, tmp_path, capsys):
    before = kept.read_bytes()
    assert run(capsys, kept, "mean age", "--json", kept)[0] == 2
    assert kept.read_bytes() == before
    (tmp_path / "none.npz").write_text("no release")
    code, _, err = run(capsys, tmp_path / "none.npz", "mean age")
    assert (code, err.count("\n")) == (2, 1)
