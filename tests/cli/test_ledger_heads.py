"""What a shared ledger has left, and what its head shows that seals cannot."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from dp_synth import AIM, MST, Accountant, PrivacyBudget, PublishedMST
from dp_synth.accounting import Ledger, read_ledger
from dp_synth.cli import main
from dp_synth.release import Release
from dp_synth.schema import Schema

COLUMNS = [{"name": name, "type": "categorical", "categories": ["x", "y"]} for name in "abc"]
CONTENT = {"name": "t", "columns": COLUMNS}
FRAME = pd.DataFrame({name: ["x", "y"] * 40 for name in "abc"})


@pytest.fixture
def shared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("t.csv", index=False)
    (tmp_path / "t.meta.json").write_text(json.dumps(CONTENT))
    assert main(["ledger", "new", "l.jsonl", "--epsilon", "2", "--delta", "1e-6"]) == 0
    return tmp_path / "l.jsonl"


def run(epsilon: object, *more: str) -> int:
    fixed = "synthesize --data t.csv --schema t.meta.json --delta 1e-6 --out s.csv --ledger l.jsonl"
    return main([*fixed.split(), "--epsilon", str(epsilon), *more])


def test_after_a_run_a_shared_ledger_says_which_epsilon_still_fits(shared, capsys):
    assert run(1) == 0
    said = capsys.readouterr().err
    found = re.search(r"a further run may ask for at most epsilon ([0-9.]+)", said)
    assert found
    assert 1 < float(found[1]) < 2
    assert "epsilon 2 of 2" not in said
    assert run(round(float(found[1]) * 1.01, 4)) == 3
    refused = capsys.readouterr().err
    assert f"enough for epsilon {found[1]}" in refused
    assert run(found[1]) == 0
    assert read_ledger(shared).epsilon_left < 0.1  # four digits were rounded down


@pytest.mark.parametrize("currency", ["zcdp", "gdp"])
def test_what_fits_is_found_in_either_currency_to_four_digits(currency):
    accountant = Accountant(PrivacyBudget(3, 1e-6), adaptive=currency)
    assert accountant.ledger.epsilon_left == 3
    MST().fit(FRAME, Schema.from_dict(CONTENT), accountant.portion(1), seed=0)
    left = accountant.ledger.epsilon_left
    assert accountant.amount(left) <= accountant.left() < accountant.amount(left * 1.001)


@pytest.mark.parametrize("left", [b"", b'{"format": "dp_synth.led'])
def test_a_run_begins_a_ledger_whose_first_line_a_crash_left_unfinished(shared, capsys, left):
    shared.write_bytes(left)
    assert run(0.5) == 0
    assert main(["ledger", "verify", "l.jsonl"]) == 0
    assert (f"line 2 says that {len(left)} bytes" in capsys.readouterr().out) == bool(left)


def test_a_run_goes_on_with_a_ledger_whose_last_line_was_never_finished(shared, capsys):
    assert run(0.5) == 0
    before = read_ledger(shared)
    with shared.open("ab") as file:
        file.write(b'{"kind": "reservation", "reci')
    assert main(["ledger", "show", "l.jsonl", "--head"]) == 0
    assert capsys.readouterr().out == before.head + "\n"
    assert run(0.5) == 0
    after = read_ledger(shared)
    assert after.entries[: len(before.entries)] == before.entries
    assert len(after.plans) == 2
    assert main(["ledger", "verify", "l.jsonl", "--head", before.head]) == 0
    assert "29 bytes of an unfinished line were cut" in capsys.readouterr().out


def test_a_planned_ledger_has_room_for_nothing_more():
    assert Ledger(PrivacyBudget(1, 1e-6)).epsilon_left == 0


def test_lines_cut_from_the_end_verify_until_the_head_that_was_noted_is_given(shared, capsys):
    assert run(0.5) == 0
    head = read_ledger(shared).head
    assert head in capsys.readouterr().err
    assert main(["ledger", "show", "l.jsonl", "--head"]) == 0
    assert capsys.readouterr().out == head + "\n"
    assert run(0.5) == 0
    assert main(["ledger", "verify", "l.jsonl", "--head", head]) == 0
    assert "head found" in capsys.readouterr().out
    later = read_ledger(shared).head
    lines = shared.read_text().splitlines(keepends=True)
    shared.write_text("".join(lines[:-2]))
    assert main(["ledger", "verify", "l.jsonl"]) == 0
    assert "only with --head is it seen" in capsys.readouterr().out
    assert main(["ledger", "verify", "l.jsonl", "--head", later]) == 2
    assert "lines were cut from its end" in capsys.readouterr().err


def test_a_release_and_its_card_carry_the_head_of_their_ledger(shared, capsys):
    assert run(0.5, "--release", "r.npz", "--card", "c.json") == 0
    head = read_ledger(shared).head
    kept = Release.load("r.npz")
    assert kept.ledger.head == head
    assert kept.ledger == read_ledger(shared)
    card = json.loads((shared.parent / "c.json").read_text())
    assert head in card["publishable"]["promise"]["statement"]


def test_a_budget_that_differs_is_refused_by_the_part_that_differs(shared, capsys):
    assert run(0.5, "--delta", "1e-7", "--adjacency", "replace_one") == 2
    said = capsys.readouterr().err
    assert "delta 1e-06, not 1e-07, and adjacency 'add_remove', not 'replace_one'" in said
    assert "epsilon" not in said


@pytest.mark.parametrize(
    ("method", "chosen"),
    [(MST(), "mst: answers"), (AIM(), "aim: rounds"), (PublishedMST(), "")],
)
def test_a_statement_says_where_a_filter_chose(method, chosen):
    release = method.fit(FRAME, Schema.from_dict(CONTENT), PrivacyBudget(1, 1e-6), seed=0)
    said = release.ledger.statement()
    assert ("chosen on the way" in said) == bool(chosen)
    assert ("events fixed in advance" in said) != bool(chosen)
    assert chosen in said
