"""`dp-synth card`, `gate` and `synthesize --card`: from a private table to a signed decision."""

import json

import pytest

from dp_synth.cli import main
from dp_synth.datasets import load, read_table, write_table
from dp_synth.report.card import DataCard
from dp_synth.report.internal import MARK

COLUMNS = "age,sex,income"
POLICY = """
epsilon_at_most: 1
signatures:
  - {role: owner, statement: The bounds are public.}
  - {role: officer, statement: The unit is right.}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A table in parts, its schema, a release that no seed made, rows of it, and its card."""
    folder, data = tmp_path_factory.mktemp("private"), load("adult")
    write_table(data.train.head(400), folder / "train.csv")
    write_table(data.holdout.head(300), folder / "holdout.csv")
    (folder / "schema.json").write_text(json.dumps(data.schema.to_dict()))
    (folder / "policy.yaml").write_text(POLICY)
    made = {"out": "rows.csv", "release": "r.npz", "card": "card.json"}
    assert synthesize(folder, **{name: folder / file for name, file in made.items()}) == 0
    return folder


@pytest.fixture(scope="module")
def internal(files):
    """The card with an internal part, made of the release and of the tables."""
    assert card(files, files / "inside.json", "--internal", *tables(files)) == 0
    return files / "inside.json"


def synthesize(files, *flags, **options):
    given = {
        "data": files / "train.csv",
        "schema": files / "schema.json",
        "epsilon": 1,
        "delta": 1e-9,
        "columns": COLUMNS,
        **options,
    }
    return main(["synthesize", *(f"--{name}={value}" for name, value in given.items()), *flags])


def card(files, out, *more):
    return main(["card", str(files / "r.npz"), f"--out={out}", *map(str, more)])


def tables(files):
    named = {"real": "train", "holdout": "holdout", "synthetic": "rows"}
    return [f"--{name}={files / file}.csv" for name, file in named.items()]


def gate(path, policy, *more):
    return main(["gate", str(path), f"--policy={policy}", *map(str, more)])


def one_line(capsys):
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_synthesize_writes_a_publishable_card_and_its_page(files):
    made = DataCard.load(files / "card.json")
    assert made.internal is None
    assert not made.publishable.blocking
    assert made.publishable.promise.epsilon <= 1
    assert [one.name for one in made.publishable.public_inputs.columns] == COLUMNS.split(",")
    assert "<h1>adult</h1>" in (files / "card.html").read_text()


def test_a_card_made_afterwards_is_the_same(files, tmp_path, capsys):
    assert card(files, tmp_path / "card.json") == 0
    assert capsys.readouterr() == ("", "")
    assert (tmp_path / "card.json").read_bytes() == (files / "card.json").read_bytes()


def test_what_is_declared_stands_in_the_card(files, tmp_path):
    said = ["--title=T", "--source=adult", "--intended=a", "--intended=b", "--not-intended=c"]
    assert card(files, tmp_path / "c.json", *said) == 0
    part = DataCard.load(tmp_path / "c.json").publishable
    assert (part.title, part.intended, part.not_intended) == ("T", ("a", "b"), ("c",))
    assert "10.24432/C5XW20" in part.source.citation
    assert card(files, tmp_path / "c.json", "--source=Me 2020", "--licence=mine") == 0
    source = DataCard.load(tmp_path / "c.json").publishable.source
    assert (source.citation, source.licence) == ("Me 2020", "mine")


def test_the_internal_part_is_written_on_request_alone(files, tmp_path):
    paths = {"out": tmp_path / "s.csv", "card": tmp_path / "c.json"}
    assert synthesize(files, "--internal", holdout=files / "holdout.csv", **paths) == 0
    made = DataCard.load(tmp_path / "c.json")
    assert made.internal.mark == MARK
    assert made.internal.attacks
    assert MARK in (tmp_path / "c.html").read_text().lower()
    assert len(read_table(tmp_path / "s.csv")) > 0


def test_an_internal_card_made_afterwards_has_the_same_publishable_part(files, internal):
    made = DataCard.load(internal)
    assert made.internal.attacks
    assert made.digest == DataCard.load(files / "card.json").digest


def test_a_holdout_that_shares_rows_costs_the_internal_part_alone(files, tmp_path, capsys):
    paths = {"out": tmp_path / "s.csv", "card": tmp_path / "c.json"}
    copy = tmp_path / "copy.csv"
    copy.write_bytes((files / "train.csv").read_bytes())
    assert synthesize(files, "--internal", holdout=copy, **paths) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"dp-synth: the internal part of {tmp_path / 'c.json'}: ")
    assert "; all else was written; what the fit cost stays spent, epsilon 1 of 1" in last
    assert f"the release is kept in {tmp_path / 'kept-release-1.npz'}: " in last
    assert DataCard.load(tmp_path / "c.json").internal is None


@pytest.mark.parametrize(
    ("flags", "options", "message"),
    [
        (["--internal"], {"card": "c.json"}, "--internal and --holdout go together"),
        (
            [],
            {"card": "c.json", "holdout": "holdout.csv"},
            "--holdout is for --internal or for --validate",
        ),
        (["--internal"], {"holdout": "holdout.csv"}, "say where it goes with --card"),
        ([], {"card": "c.html"}, "must end in .json"),
        ([], {"card": "absent/c.json"}, "its folder does not exist"),
        (["--internal"], {"card": "c.json", "holdout": "policy.yaml"}, "policy.yaml"),
        (["--internal"], {"card": "c.json", "holdout": "absent.csv"}, "absent.csv"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_spent(
    files, tmp_path, capsys, flags, options, message
):
    given = {"card": tmp_path, "holdout": files}
    paths = {name: given[name] / value for name, value in options.items()}
    ledger = tmp_path / "ledger.jsonl"
    assert synthesize(files, *flags, out=tmp_path / "s.csv", ledger=ledger, **paths) == 2
    assert message in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_never_written_over_a_file_that_is_read_or_named(files, tmp_path, capsys):
    named = tmp_path / "c.html"
    assert synthesize(files, out=tmp_path / "s.csv", card=tmp_path / "c.json", release=named) == 2
    assert "is named twice" in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--internal"], "--internal needs --real and --holdout and --synthetic"),
        (["--real=x.csv"], "add --internal"),
        (["--reference=x.csv"], "add --internal"),
    ],
)
def test_tables_and_the_internal_part_go_together(files, tmp_path, capsys, more, message):
    assert card(files, tmp_path / "c.json", *more) == 2
    assert message in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_release_has_no_card(files, tmp_path, capsys):
    wrong = str(files / "train.csv")
    assert main(["card", wrong, f"--out={tmp_path / 'c.json'}"]) == 2
    assert "cannot be read as a release" in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_verdict_as_json_is_all_that_stands_on_standard_output(files, tmp_path, capsys):
    path = tmp_path / "card.json"
    path.write_bytes((files / "card.json").read_bytes())
    assert gate(path, files / "policy.yaml", "--json=-") == 4
    assert json.loads(capsys.readouterr().out)["passed"] is False
    assert [found.name for found in tmp_path.iterdir()] == ["card.json"]


def test_a_card_passes_the_gate_once_everybody_has_signed(files, tmp_path, capsys):
    path, policy = tmp_path / "card.json", files / "policy.yaml"
    path.write_bytes((files / "card.json").read_bytes())
    assert gate(path, policy) == 4
    shown = capsys.readouterr().out
    assert "owner: The bounds are public. [to be signed]" in shown
    assert shown.endswith("not passed\n")
    assert gate(path, policy, "--sign=owner=Ada L.") == 4
    assert gate(path, policy, "--sign=officer=Bob") == 0
    shown = capsys.readouterr().out
    assert "[signed by Ada L. on " in shown
    assert shown.endswith("\npassed\n")
    assert gate(path, policy, f"--release={files / 'r.npz'}") == 0
    assert path.read_bytes() == (files / "card.json").read_bytes()
    signed = json.loads((tmp_path / "card.signatures.json").read_text())["signatures"]
    assert [one["name"] for one in signed] == ["Ada L.", "Bob"]
    assert {one["publishable_sha256"] for one in signed} == {DataCard.load(path).digest}
    assert card(files, path, "--title=another") == 0
    assert gate(path, policy) == 4  # the signatures were for another card


def test_who_signed_the_internal_card_has_signed_the_public_one_and_not_the_reverse(
    files, internal, tmp_path, capsys
):
    public, inside, policy = (
        tmp_path / "public.json",
        tmp_path / "inside.json",
        files / "policy.yaml",
    )
    public.write_bytes((files / "card.json").read_bytes())
    inside.write_bytes(internal.read_bytes())
    assert gate(inside, policy, "--sign=owner=Ada", "--sign=officer=Bob") == 0
    assert gate(public, policy) == 4
    signed = tmp_path / "inside.signatures.json"
    assert gate(public, policy, f"--signatures={signed}") == 0
    signed.rename(tmp_path / "kept.json")
    assert gate(public, policy, "--sign=owner=Ada", "--sign=officer=Bob") == 0
    assert gate(inside, policy, f"--signatures={tmp_path / 'public.signatures.json'}") == 4
    assert card(files, public, "--title=another") == 0
    assert gate(public, policy, f"--signatures={tmp_path / 'kept.json'}") == 4
    capsys.readouterr()
    assert gate(public, policy, f"--signatures={signed}") == 2
    assert "is not there" in one_line(capsys)


def test_each_check_is_shown_with_threshold_value_and_verdict(files, tmp_path, capsys):
    policy = tmp_path / "policy.yaml"
    policy.write_text("epsilon_at_most: 0.5\ndelta_at_most: 1e-9\n")
    assert gate(files / "card.json", policy) == 4
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["epsilon", "at", "most", "0.5", "1", "FAIL"] in rows
    assert ["delta", "at", "most", "1e-09", "1e-09", "pass"] in rows


@pytest.mark.parametrize(
    ("sign", "message"),
    [
        ("ownr=Ada", "did you mean 'owner'? there are: owner, officer"),
        ("owner", "ROLE=NAME"),
        ("owner= ", "ROLE=NAME"),
    ],
)
def test_nobody_signs_for_an_unknown_role_or_without_a_name(files, tmp_path, capsys, sign, message):
    path = tmp_path / "card.json"
    path.write_bytes((files / "card.json").read_bytes())
    assert gate(path, files / "policy.yaml", f"--sign={sign}") == 2
    assert message in one_line(capsys)
    assert [place.name for place in tmp_path.iterdir()] == ["card.json"]


def test_wrong_files_are_told_in_one_line(files, tmp_path, capsys):
    assert gate(files / "absent.json", files / "policy.yaml") == 2
    assert "absent.json" in one_line(capsys)
    assert gate(files / "schema.json", files / "policy.yaml") == 2
    assert "no data card" in one_line(capsys)
    assert gate(files / "card.json", files / "absent.yaml") == 2
    assert "absent.yaml" in one_line(capsys)
    assert main(["gate", str(files / "card.json")]) == 2
    assert "--show-policy" in one_line(capsys)


def test_a_policy_to_start_from_is_shown(files, tmp_path, capsys):
    assert main(["gate", "--show-policy"]) == 0
    policy = tmp_path / "policy.yaml"
    policy.write_text(capsys.readouterr().out)
    assert gate(files / "card.json", policy) == 4
    assert "internal part" in capsys.readouterr().out


def test_a_gate_may_decide_by_what_the_fit_paid_for_and_a_policy_must_accept_more(
    files, tmp_path, capsys
):
    public, policy, kept = (tmp_path / name for name in ("public.json", "p.yaml", "kept.npz"))
    made = {"out": tmp_path / "s.csv", "release": kept, "card": public, "epsilon": 5}
    assert synthesize(files, **made, holdout=files / "holdout.csv", validate=0.2) == 0
    assert "validation_holdout" in capsys.readouterr().err
    policy.write_text("noisy_tv2_at_most: 1\nnoisy_advantage_at_most: 1\n")
    written = tmp_path / "verdict.json"
    assert gate(public, policy, f"--release={kept}", f"--json={written}") == 0
    assert "warning" not in capsys.readouterr().out
    said = json.loads(written.read_text())
    assert (said["passed"], said["private"], said["remark"]) == (True, [], "")
    assert {check["name"] for check in said["checks"]} >= {"noisy_tv2", "noisy_advantage"}
    policy.write_text("unseeded: true\ntv2_at_most: 1\n")
    assert gate(public, policy) == 2
    assert "line 2: exact private numbers would decide (tv2_at_most)" in one_line(capsys)
    policy.write_text("tv2_at_most: 1\ndecision_is_private: accepted\n")
    assert gate(public, policy, f"--json={written}") == 4  # this card has no internal part
    shown = capsys.readouterr().out.splitlines()
    cost = "one record can flip this verdict; it is outside epsilon"
    remark = f"decided by exact private numbers (tv2_at_most): {cost}"
    assert shown[-2:] == [f"warning: {remark}", "not passed"]
    assert json.loads(written.read_text())["remark"] == remark
    assert gate(public, policy, f"--json={policy}") == 2
    assert "is named twice" in one_line(capsys)
