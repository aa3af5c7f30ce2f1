"""What other people wrote is shown as text: nothing of it acts on a terminal or fakes a line."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shlex
import sys
from pathlib import Path

import pytest

from dp_synth.accounting import Accountant, Gaussians, Plan, PrivacyBudget
from dp_synth.cli import main
from dp_synth.cli.outputs import shown_training
from dp_synth.formatting import InertText, inert, inert_streams

FAKED = "head found: nothing was changed"
EVIL = f"\x1b]0;t\x07\x1b[2J\x9b31m\u202e\n{FAKED}"
ACTING = ("\x1b]", "\x07", "\x1b[2J", "\x9b", "\u202e")  # bars have escapes of their own
ROWS = [[EVIL if i % 2 else "b", str(i % 7)] for i in range(40)]
SCHEMA = {
    "name": EVIL,
    "columns": [
        {"name": EVIL, "type": "categorical", "categories": [EVIL, "b"]},
        {"name": "n", "type": "integer", "lower": 0, "upper": 6},
    ],
}
POLICY = {
    "epsilon_at_most": 10,
    "signatures": [{"role": "owner", "statement": f"It is right.{EVIL}"}],
}
GRID = {
    "name": "g",
    "dataset": ["t.csv"],
    "delta": 1e-3,
    "seeds": 1,
    "synthesizers": ["independent"],
    "utility": {"epsilons": [1], "metrics": ["tv1"]},
}
FIT = "synthesize --data t.csv --schema t.meta.json --epsilon 1 --delta 1e-3 --synthesizer"


class Terminal(io.StringIO):
    """Standard output and error as a person sees them."""

    def isatty(self) -> bool:
        return True


def seen(command: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Run a command and return its exit code and all that a terminal was given."""
    terminal = Terminal()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", terminal)
        patched.setattr(sys, "stderr", terminal)
        code = main(command)
    return code, terminal.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose names, categories and charges are not what they seem, and its files."""
    folder = tmp_path_factory.mktemp("evil")
    for name, more in (("t", []), ("h", []), ("wide", [EVIL + "2"])):
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            header = [EVIL, "n", *more]
            csv.writer(file).writerows([header, *([*row, *more] for row in ROWS)])
    contents = {
        "t.meta.json": SCHEMA,
        "policy.yaml": POLICY,
        "g.yaml": GRID,
        "bad.yaml": {**GRID, f"x{EVIL}": 1},
        "events.yaml": {"events": [{f"x{EVIL}": 1}]},
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    with contextlib.chdir(folder):
        fit = f"{FIT} independent --seed 0 --rows 40 --out s.csv --release r.npz --card c.json"
        assert main(shlex.split(fit)) == 0
        accountant = Accountant(PrivacyBudget(1, 1e-3, unit=EVIL), ledger="l.jsonl")
        payer = accountant.admit(f"mst{EVIL}", Plan({"ones": Gaussians(1)}))
        part = payer.plan.gaussians("ones")
        payer.charge(part, part.event(1.0), 1, why=f"for{EVIL}")
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


COMMANDS = [
    "schema draft t.csv",
    "schema check wide.csv t.meta.json",
    f"{FIT} independent --seed 0 --rows 5 --out -",
    f"{FIT.replace('t.csv', 'wide.csv')} independent --seed 0 --rows 5 --out o.csv",
    f"{FIT} independent --columns EVIL2 --out o.csv",
    f"{FIT} EVIL --out o.csv",
    f"{FIT} mst --set EVIL=1 --out o.csv",
    "sample r.npz --rows 3 --given EVIL=nowhere --out -",
    "sample r.npz --rows 3 --seed 1 --out -",
    "evaluate --real t.csv --holdout h.csv --synthetic s.csv --schema t.meta.json",
    "evaluate --real EVIL --holdout h.csv --synthetic s.csv --schema t.meta.json",
    "attack --members t.csv --non-members h.csv --synthetic s.csv --schema t.meta.json",
    "audit --synthesizer EVIL --epsilon 1 --delta 1e-3",
    "account events.yaml --delta 1e-3",
    "ledger show l.jsonl",
    "ledger verify l.jsonl",
    "ledger export l.jsonl --out -",
    "ledger show EVIL",
    "gate c.json --policy policy.yaml --sign owner=EVIL",
    "card r.npz --title EVIL --source EVIL --out EVIL/c.json",
    "list EVIL",
    "benchmark run bad.yaml",
    "benchmark run g.yaml --store s --set synthesizers=[EVIL]",
    "benchmark run g.yaml --store s",
    "benchmark status g.yaml --store s",
    "benchmark rank EVIL --metric tv1",
    "benchmark diff EVIL EVIL",
    "benchmark report EVIL --out EVIL/r.html",
    "peers install EVIL",
    "EVIL",
    "list --EVIL",
]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_shows_outside_text_as_text(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [word.replace("EVIL", EVIL) for word in shlex.split(command)]
    code, shown = seen(words, monkeypatch)
    assert code in (0, 2, 4), shown
    assert shown
    assert [sign for sign in ACTING if sign in shown] == []
    data = command.endswith("--out -") and not command.startswith("ledger")
    if not data:  # a cell of synthetic rows holds the ends of lines that its category has
        assert not any(line.startswith(FAKED) for line in shown.splitlines())


@pytest.mark.usefixtures("here")
def test_what_is_shown_is_there_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    spelled = "\\u001b[2J\\u009b31m\\u202e\\u000a"
    for command in ("ledger show l.jsonl", "gate c.json --policy policy.yaml --sign owner=" + EVIL):
        assert seen(command.split(" ", 5), monkeypatch)[1].count(spelled) >= 2, command


@pytest.mark.usefixtures("here")
def test_rows_for_a_file_or_a_program_stay_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    capsys.readouterr()
    assert main(["sample", "r.npz", "--rows", "9", "--seed", "1", "--out", "-"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0][0] == EVIL
    assert {row[0] for row in rows[1:]} <= {EVIL, "b"}


@pytest.mark.usefixtures("here")
def test_json_stays_json(monkeypatch: pytest.MonkeyPatch) -> None:
    code, shown = seen(["ledger", "export", "l.jsonl", "--out", "-"], monkeypatch)
    assert code == 0
    assert EVIL in json.loads(shown)["entries"][-1]["why"]
    assert json.loads('"' + inert("a\U000e0041\u202eb\x7f") + '"') == "a\U000e0041\u202eb\x7f"


def test_letters_of_all_scripts_stay_as_they_are() -> None:
    text = "Größe\t年齢 \u0633\u0646\u200c\u0647\u0627 שם 👩\u200d🔬 e\u0301\r\n"
    assert inert(text) == text


def test_a_bar_is_drawn_and_what_is_printed_beside_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with inert_streams():
        assert isinstance(sys.stderr, InertText)
        with shown_training("mst"):
            print("\x1b[2Jbeside", file=sys.stderr)
    assert sys.stderr is terminal
    assert "\\u001b[2Jbeside" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()  # of the bar alone
    assert "\x1b[2J" not in terminal.getvalue()
