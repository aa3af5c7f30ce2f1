"""`dp-synth ledger`: what is opened, verified, shown and exported."""

import csv
import io
import json

import pytest

from dp_synth.accounting import (
    Gaussian,
    PrivacyBudget,
    Selection,
    compose,
    ledger_file,
    read_ledger,
)
from dp_synth.accounting.events import Approximate, SampledGaussian
from dp_synth.accounting.ledger import Entry, Ledger
from dp_synth.accounting.ledger_file import LedgerFile
from dp_synth.audit.replayer import made_table
from dp_synth.cli import main
from dp_synth.report.publishable import costs_of

BUDGET = PrivacyBudget(1.0, 1e-6)
CHARGES = [
    ("mst", "ones", Gaussian(40.0, 1.0), 15),
    ("mst", "tree", Selection(0.05), 14),
    ("independent", "columns", Gaussian(60.0, 1.0), 15),
]


def entry(kind, recipe, part, event, count):
    return Entry(kind, recipe, part, event, count, "why, in words", "os")


def written(path, charges, budget=BUDGET):
    lines = [entry(kind, *charge) for kind in ("reservation", "charge") for charge in charges]
    LedgerFile(path, Ledger(budget)).append(lines)
    return path


@pytest.fixture
def ledger(tmp_path):
    return written(tmp_path / "ledger.jsonl", CHARGES)


def run(capsys, *arguments):
    code = main(["ledger", *map(str, arguments)])
    return code, capsys.readouterr()


def test_a_new_ledger_is_an_adaptive_root_and_is_never_overwritten(tmp_path, capsys):
    path = tmp_path / "ledger.jsonl"
    arguments = ["new", path, "--epsilon", "3", "--delta", "1e-6", "--adjacency", "replace_one"]
    assert run(capsys, *arguments)[0] == 0
    found = read_ledger(path)
    assert found.budget == PrivacyBudget(3.0, 1e-6, "replace_one")
    assert found.rule != "planned"
    assert found.epsilon == 0
    before = path.read_bytes()
    code, printed = run(capsys, *arguments)
    assert code == 2
    assert "a ledger is never overwritten" in printed.err
    assert path.read_bytes() == before


def test_of_two_who_open_one_ledger_at_once_the_second_is_refused(tmp_path, capsys, monkeypatch):
    arguments = ["new", tmp_path / "ledger.jsonl", "--epsilon", "3", "--delta", "1e-6"]
    assert run(capsys, *arguments)[0] == 0
    monkeypatch.setattr(ledger_file, "is_begun", lambda _: False)  # as it was when it looked
    code, printed = run(capsys, *arguments)
    assert (code, printed.out) == (2, "")
    assert "a ledger is never overwritten" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epsilon", "0", "--delta", "1e-6"], "epsilon must be a finite number above 0"),
        (["--epsilon", "1", "--delta", "1"], "delta must lie in"),
        (["--epsilon", "1", "--delta", "-0.1"], "delta must lie in"),
        (["--epsilon", "1", "--delta", "1e-6", "--adjacency", "swap"], "adjacency must be one"),
    ],
)
def test_a_ledger_that_cannot_be_opened_is_not_made(arguments, message, tmp_path, capsys):
    code, printed = run(capsys, "new", tmp_path / "ledger.jsonl", *arguments)
    assert code == 2
    assert message in printed.err
    assert not list(tmp_path.iterdir())


def test_a_ledger_without_delta_is_shared_by_adding_up_epsilons(tmp_path, capsys):
    (frame, schema), file = made_table(60), tmp_path / "ledger.jsonl"
    frame.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "t.json").write_text(json.dumps(schema.to_dict()))
    assert run(capsys, "new", file, "--epsilon", "1", "--delta", "0")[0] == 0
    places = [f"--data={tmp_path / 't.csv'}", f"--schema={tmp_path / 't.json'}", "--rows=5"]
    asked = [
        *places,
        f"--ledger={file}",
        "--epsilon=.5",
        "--delta=-0",
        f"--out={tmp_path / 'o.csv'}",
    ]
    for method in ("independent", "privbayes"):
        assert main(["synthesize", *asked, f"--synthesizer={method}"]) == 0
    kept = read_ledger(file)
    assert (kept.rule, kept.budget.delta) == ("pure", 0.0)
    assert 0.999 < kept.epsilon <= 1.0
    assert main(["synthesize", *asked, "--synthesizer=mst"]) == 3
    assert read_ledger(file).entries == kept.entries
    assert " at delta 0 (" in run(capsys, "verify", file)[1].out


def test_a_sound_ledger_verifies_with_its_certified_epsilon(ledger, capsys):
    code, printed = run(capsys, "verify", ledger)
    assert code == 0
    said = f"{ledger}: 6 entries; epsilon "
    assert printed.out.startswith(said)
    exact = compose((event, count) for _, _, event, count in CHARGES).epsilon(1e-6)
    assert exact <= float(printed.out.removeprefix(said).split()[0]) <= exact * (1 + 1e-3)


@pytest.mark.parametrize(
    ("damage", "number"),
    [
        (lambda text: text.replace('"noise_multiplier": 40.0', '"noise_multiplier": 80.0', 1), 2),
        (lambda text: text[:-20] + "\n", 7),
        (lambda text: "\n".join(text.split("\n")[:2] + text.split("\n")[3:]), 3),
        (lambda text: text.replace('"version": 2', '"version": 99', 1), 1),
        (lambda text: text.replace('"type": "selection"', '"type": "magic"', 1), 3),
        (lambda text: "not a ledger\n", 1),
    ],
    ids=["changed", "cut", "line taken out", "version", "event", "foreign"],
)
def test_a_damaged_ledger_ends_with_two_and_the_number_of_the_line(ledger, damage, number, capsys):
    ledger.write_text(damage(ledger.read_text()))
    for command in (["verify"], ["show"], ["export", "--out", "-"]):
        code, printed = run(capsys, command[0], ledger, *command[1:])
        assert (code, printed.out) == (2, "")
        assert f"{ledger}, line {number}: " in printed.err
        assert printed.err.count("\n") == 1


def test_a_ledger_that_spends_more_than_its_budget_is_not_sound(tmp_path, capsys):
    path = written(tmp_path / "ledger.jsonl", [("mst", "ones", Gaussian(1.0, 1.0), 15)])
    code, printed = run(capsys, "verify", path)
    assert code == 2
    assert "cost more than the budget in its head" in printed.err


def test_a_ledger_is_shown_with_its_statement(ledger, capsys):
    code, printed = run(capsys, "show", ledger)
    assert code == 0
    table, statement = printed.out.rstrip().split("\n\n")
    assert table == str(read_ledger(ledger))
    assert statement == read_ledger(ledger).statement()
    assert "\n" not in statement


def test_entries_are_exported_as_json_and_csv(ledger, tmp_path, capsys):
    assert run(capsys, "export", ledger, "--out", tmp_path / "l.json")[0] == 0
    assert run(capsys, "export", ledger, "--out", tmp_path / "l.csv")[0] == 0
    fields = json.loads((tmp_path / "l.json").read_text())
    assert Ledger.from_fields(fields) == read_ledger(ledger)
    assert fields["certified_epsilon"] == read_ledger(ledger).epsilon
    rows = list(csv.DictReader(io.StringIO((tmp_path / "l.csv").read_text())))
    back = [{**row, "count": int(row["count"]), "event": json.loads(row["event"])} for row in rows]
    assert tuple(Entry.from_fields(row) for row in back) == read_ledger(ledger).entries
    code, printed = run(capsys, "export", ledger, "--out", "-")
    assert code == 0
    assert json.loads(printed.out) == fields


def test_the_waterfall_shows_shares_of_the_zcdp_cost(ledger, tmp_path, capsys):
    rows = costs_of(read_ledger(ledger))
    costs = [15 / (2 * 40**2), 14 * 0.05**2 / 8, 15 / (2 * 60**2)]
    assert rows["share"].tolist() == pytest.approx([cost / sum(costs) for cost in costs])
    assert rows["part"].tolist() == ["ones", "tree", "columns"]
    path = tmp_path / "spent.png"
    assert run(capsys, "export", ledger, "--plot", path)[0] == 0
    assert path.stat().st_size > 5000


def test_sampled_batches_count_with_what_their_own_epsilon_is_worth():
    sampled = entry("reservation", "dpctgan", "steps", SampledGaussian(1.5, 0.01, 500), 1)
    same = entry("reservation", "mst", "ones", Gaussian(1.0, 1.0), 1)
    unbounded = entry("reservation", "other", "all", Approximate(1.0, 1e-3), 1)
    rows = costs_of(Ledger(PrivacyBudget(9.0, 1e-6), (sampled, same, unbounded)))
    assert rows["recipe"].tolist() == ["dpctgan", "mst"]
    unsampled = 500 / (2 * 1.5**2)
    assert 0 < rows["share"][0] < unsampled / (unsampled + 0.5) / 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --out for the entries, --plot for the figure, or both"),
        (["--out", "x.txt"], "--out must end in .json or .csv, or be -"),
        (["--out", "absent/x.csv"], "its folder does not exist"),
        (["--plot", "x.jpg"], "must end in .png or .pdf"),
    ],
)
def test_places_that_cannot_be_written_are_refused(ledger, arguments, message, capsys):
    code, printed = run(capsys, "export", ledger, *arguments)
    assert (code, printed.out) == (2, "")
    assert message in printed.err


def test_a_ledger_without_charges_has_nothing_to_draw(tmp_path, capsys):
    path = tmp_path / "ledger.jsonl"
    LedgerFile(path, Ledger(BUDGET)).append([])
    code, printed = run(capsys, "export", path, "--plot", tmp_path / "spent.png")
    assert code == 2
    assert "holds no charge yet" in printed.err
