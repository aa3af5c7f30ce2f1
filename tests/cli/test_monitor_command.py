"""`dp-synth monitor`, `life` and `card --as`: from a release to what is said of it a year later."""

import json

import pytest

from dp_synth.accounting import read_ledger
from dp_synth.cli import main
from dp_synth.datasets import load, write_table
from dp_synth.report.card import DataCard
from dp_synth.report.life import life_file, read_life

COLUMNS = ["age", "sex", "income"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A release with its card and rows, today's records, and others of whom most are women."""
    folder, data = tmp_path_factory.mktemp("private"), load("adult")
    rows = data.train[COLUMNS].sample(frac=1, random_state=0)
    write_table(rows.head(8_000), folder / "then.csv")
    today = rows.iloc[8_000:16_000].reset_index(drop=True)
    write_table(today, folder / "now.csv")
    today.loc[:4_000, "sex"] = "Female"
    write_table(today, folder / "moved.csv")
    schema = data.schema.select(COLUMNS)
    (folder / "schema.json").write_text(json.dumps(schema.to_dict()))
    made = {"out": "rows.csv", "release": "r.npz", "card": "card.json"}
    given = {"data": "then.csv", "schema": "schema.json", **made}
    options = [f"--{name}={folder / file}" for name, file in given.items()]
    assert main(["synthesize", *options, "--epsilon=1", "--delta=1e-6"]) == 0
    return folder


def monitor(files, data, *more):
    return main(["monitor", str(files / "r.npz"), f"--data={files / data}", *map(str, more)])


BUDGET = ("--epsilon=0.5", "--delta=1e-6")
LENIENT = "--tolerance=0.2"  # beyond which noise alone, that no seed fixes, is never found


def one_line(capsys):
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_a_check_is_charged_to_its_own_ledger_and_noted_in_the_life(files, tmp_path, capsys):
    ledger, report = tmp_path / "today.jsonl", tmp_path / "d.json"
    card, _ = DataCard.load(files / "card.json").write(tmp_path / "card.json")
    places = (f"--ledger={ledger}", f"--json={report}", f"--card={card}", "--by=Ada")
    assert monitor(files, "now.csv", *BUDGET, LENIENT, *places) == 0
    assert "no drift beyond 0.2 found" in capsys.readouterr().out
    assert 0 < read_ledger(ledger).epsilon <= 0.5
    said = json.loads(report.read_text("utf-8"))
    assert (said["format"], said["seeded"]) == ("dp_synth.drift", False)
    last = read_life(life_file(card), DataCard.load(card))[-1]
    assert (last.kind, last.by, last.found["drift"]) == ("checked", "Ada", False)
    policy = tmp_path / "policy.yaml"
    policy.write_text("checked_within_days: 1\ndrift_at_most: 0.5\n")
    assert main(["gate", str(card), f"--policy={policy}"]) == 0
    policy.write_text("drift_at_most: 0.0001\n")
    assert main(["gate", str(card), f"--policy={policy}"]) == 4


def test_a_risk_is_a_budget_too(files, tmp_path, capsys):
    ledger = tmp_path / "today.jsonl"
    assert monitor(files, "now.csv", "--risk=advantage=0.1", LENIENT, f"--ledger={ledger}") == 0
    assert read_ledger(ledger).budget.risk.advantage == 0.1
    capsys.readouterr()
    for options, said in (
        (("--risk=advantage=0.1", "--epsilon=1"), "give one of them"),
        (("--risk=advantage=2",), "advantage must lie above 0"),
        (("--risk=advantage=0.1", "--internal"), "--internal spends nothing; leave --risk out"),
        (("--delta=1e-6",), "give --epsilon, the budget of today's records, or --risk, or"),
    ):
        assert monitor(files, "now.csv", *options) == 2
        assert said in one_line(capsys)


def test_a_look_at_some_columns_says_so_in_the_life(files, tmp_path):
    card, _ = DataCard.load(files / "card.json").write(tmp_path / "card.json")
    for options, left_out in (((), 0), (("--columns=sex",), 2)):
        assert (
            monitor(files, "now.csv", *BUDGET, LENIENT, f"--card={card}", "--by=A", *options) == 0
        )
        last = read_life(life_file(card), DataCard.load(card))[-1]
        assert last.found["columns_left_out"] == left_out


def test_a_life_is_not_overwritten_by_the_report(files, tmp_path, capsys):
    card, _ = DataCard.load(files / "card.json").write(tmp_path / "card.json")
    options = (f"--card={card}", "--by=A", f"--json={life_file(card)}")
    assert monitor(files, "now.csv", *BUDGET, LENIENT, *options) == 2
    assert "is named twice" in one_line(capsys)
    assert not life_file(card).exists()


def test_the_gate_neither_overwrites_a_life_nor_signs_where_it_is_broken(files, tmp_path, capsys):
    card, _ = DataCard.load(files / "card.json").write(tmp_path / "card.json")
    policy, life = tmp_path / "policy.yaml", life_file(card)
    policy.write_text("signatures: [{role: lead, statement: fine}]")
    life.write_text("{}\n")
    gate = ["gate", str(card), f"--policy={policy}"]
    assert main([*gate, f"--json={life}"]) == 2
    assert "is named twice" in one_line(capsys)
    assert main([*gate, "--sign=lead=Ada"]) == 2
    assert "line 1" in one_line(capsys)
    assert life.read_text() == "{}\n"
    assert not (tmp_path / "card.signatures.json").exists()


def test_a_drift_ends_with_code_four(files, capsys):
    assert monitor(files, "moved.csv", *BUDGET) == 4
    assert "drift in" in capsys.readouterr().out
    assert monitor(files, "moved.csv", *BUDGET, "--tolerance=0.9") == 0
    assert monitor(files, "moved.csv", "--internal") == 4
    assert "not to be published" in capsys.readouterr().err


def test_a_portion_of_an_adaptive_ledger_pays(files, tmp_path):
    ledger = tmp_path / "shared.jsonl"
    assert main(["ledger", "new", str(ledger), "--epsilon=1", "--delta=1e-6"]) == 0
    assert monitor(files, "now.csv", *BUDGET, LENIENT, f"--ledger={ledger}") == 0
    again = monitor(files, "now.csv", *BUDGET, LENIENT, f"--ledger={ledger}")
    assert again == 0  # epsilons of portions add up to less than their sum
    assert monitor(files, "now.csv", "--epsilon=0.9", "--delta=1e-6", f"--ledger={ledger}") == 3


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), "--epsilon"),
        (("--epsilon=0.5",), "--delta"),
        (("--internal", "--epsilon=1"), "--epsilon"),
        (("--internal", "--card=card.json", "--by=A"), "life is published"),
        ((*BUDGET, "--card=card.json"), "--by"),
        ((*BUDGET, "--columns=agee"), "no column 'agee'"),
        ((*BUDGET, "--alarm-rate=2"), "alarm rate"),
        (("--epsilon=-1", "--delta=1e-6"), "epsilon"),
    ],
    ids=["epsilon", "delta", "both", "life", "by", "column", "rate", "budget"],
)
def test_wrong_options_are_told_in_a_line_and_nothing_is_written(
    files, tmp_path, monkeypatch, capsys, options, named
):
    monkeypatch.chdir(tmp_path)
    assert monitor(files, "now.csv", *options) == 2
    assert named in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_card_of_another_release_gets_no_entry(files, tmp_path, capsys):
    other = json.loads((files / "card.json").read_text("utf-8"))
    other["publishable"]["promise"]["delta"] = 1e-7
    (tmp_path / "card.json").write_text(json.dumps(other))
    assert monitor(files, "now.csv", *BUDGET, f"--card={tmp_path / 'card.json'}", "--by=A") == 2
    assert "is not the card of this release" in one_line(capsys)
    assert [one.name for one in tmp_path.iterdir()] == ["card.json"]


def test_a_life_is_shown_and_added_to(files, tmp_path, capsys):
    card, _ = DataCard.load(files / "card.json").write(tmp_path / "card.json")
    assert main(["life", str(card)]) == 0
    assert "nothing is noted yet" in capsys.readouterr().out
    assert main(["life", str(card), "--add=deployed", "--by=Bob", "--note=at home"]) == 0
    printed = capsys.readouterr()
    assert "deployed by Bob: at home" in printed.out
    head = printed.err.split("head of the life: ")[1][:64]
    assert main(["life", str(card), f"--head={head}"]) == 0
    place = life_file(card)
    place.write_text(place.read_text("utf-8").splitlines()[0] + "\n")
    capsys.readouterr()
    assert main(["life", str(card), f"--head={head}"]) == 2
    assert "its end was cut off" in one_line(capsys)
    for wrong in (["--add=eaten", "--by=A"], ["--add=checked"], ["--by=A"]):
        assert main(["life", str(card), *wrong]) == 2
        one_line(capsys)


def test_a_passport_is_written_and_what_is_absent_is_listed(files, tmp_path, capsys):
    person = tmp_path / "person.yaml"
    person.write_text("region: Portugal\n")
    out = tmp_path / "record.yaml"
    command = ["card", str(files / "r.npz"), "--as=registry", f"--person={person}"]
    assert main([*command, f"--out={out}"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "for a person to say" in printed.err
    assert "curators" in printed.err
    assert "region" not in printed.err
    assert main(command) == 0
    assert capsys.readouterr().out == out.read_text("utf-8")


def test_a_passport_of_what_must_not_be_released_says_so(files, tmp_path, capsys):
    schema = json.loads((files / "schema.json").read_text("utf-8"))
    schema["bounds_from"] = "read from the data: replace by what the documentation says"
    (tmp_path / "s.json").write_text(json.dumps(schema))
    command = ["synthesize", f"--data={files / 'then.csv'}", f"--schema={tmp_path / 's.json'}"]
    command += ["--epsilon=1", "--delta=1e-6", "--seed=0", f"--release={tmp_path / 'r.npz'}"]
    assert main([*command, f"--out={tmp_path / 'rows.csv'}"]) == 0
    capsys.readouterr()
    assert main(["card", str(tmp_path / "r.npz"), "--as=sdv"]) == 0
    printed = capsys.readouterr()
    json.loads(printed.out)
    assert "warning: not to be released: seeded: not for release" in printed.err
    assert printed.err.count("warning: not to be released") == 2  # and bounds read from the data


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--as=registri", "--out=r.yaml"), "did you mean 'registry'"),
        (("--as=registry", "--out=r.json"), "must end in .yaml"),
        (("--as=croissant", "--out=c.json"), "--synthetic"),
        (("--as=registry", "--person=p.yaml", "--out=r.yaml"), "line 1: regoin: unknown key"),
        (("--as=registry", "--person=absent.yaml"), "absent.yaml"),
        (("--as=registry", "--internal"), "--internal"),
        (("--as=registry", "--licence=MIT"), "--licence"),
        (("--as=registry", "--real=absent.csv"), "--real is of the card; with --as, no real rows"),
        (("--as=registry", "--holdout=absent.csv"), "--holdout"),
        (("--as=registry", "--reference=absent.csv"), "--reference"),
        (("--as=registry", "--separator=;"), "rows are read as the schema of the release says"),
        (("--as=registry", "--title= "), "a title must not be empty"),
        (("--person=p.yaml", "--out=c.json"), "--as"),
        ((), "--out"),
    ],
    ids=[
        *("name", "ending", "rows", "key", "absent", "internal", "licence", "real", "holdout"),
        *("reference", "dialect", "title", "person", "out"),
    ],
)
def test_wrong_passports_are_told_in_a_line_and_nothing_is_written(
    files, tmp_path, monkeypatch, capsys, options, named
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text("regoin: x\n")
    assert main(["card", str(files / "r.npz"), *options]) == 2
    assert named in one_line(capsys)
    assert [one.name for one in tmp_path.iterdir()] == ["p.yaml"]
