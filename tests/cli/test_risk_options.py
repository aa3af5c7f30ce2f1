"""`--risk` in place of `--epsilon`, and what commands tell beside epsilon."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from dp_synth.accounting import Gaussian, compose, read_ledger
from dp_synth.accounting.risk_target import largest_advantage
from dp_synth.cli import main

COLUMNS = [{"name": name, "type": "categorical", "categories": ["x", "y"]} for name in "abc"]
FRAME = pd.DataFrame({name: ["x", "y"] * 40 for name in "abc"})
FIXED = "synthesize --data t.csv --schema t.meta.json --out s.csv"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("t.csv", index=False)
    Path("t.meta.json").write_text(json.dumps({"name": "t", "columns": COLUMNS}))


def run(text: str) -> int:
    return main(text.split())


@pytest.mark.parametrize(
    ("risk", "said"),
    [
        ("advantage=0.1", "advantage 0.1 of 0.1"),
        ("tpr=.2,fpr=.1", "tpr 0.2 of 0.2 at fpr 0.1"),
        ("reidentification=0.3,baseline=0.1", "reidentification 0.3 of 0.3 at baseline 0.1"),
    ],
)
def test_a_run_keeps_the_risk_and_tells_mu_and_regret_beside_epsilon(
    risk: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"{FIXED} --risk {risk} --ledger l.jsonl --card card.json --seed 0") == 0
    ledger = read_ledger("l.jsonl")
    assert ledger.cost <= ledger.budget.target
    assert ledger.cost == pytest.approx(ledger.budget.target, rel=1e-6)
    capsys.readouterr()
    for command in ("ledger show l.jsonl", "ledger verify l.jsonl"):
        assert run(command) == 0
        shown = capsys.readouterr().out
        assert said in shown
        assert re.search(r"epsilon [0-9.]+ at delta 1e-09", shown)
        assert re.search(r"Gaussian DP: mu [0-9.]+, regret 0, largest advantage of any", shown)
    promise = json.loads(Path("card.json").read_text())["publishable"]["promise"]
    assert promise["risk"] == str(ledger.budget.risk)
    assert promise["advantage"] == ledger.advantage
    assert (promise["mu"], promise["regret"]) == (ledger.gaussian.mu, 0.0)
    page = Path("card.html").read_text()
    assert "mu of Gaussian DP" in page


@pytest.mark.parametrize("command", [FIXED, "ledger new l.jsonl", "audit --runs 2"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--risk advantage=0.1 --epsilon 1 --delta 1e-9", "give one of them"),
        ("", "--epsilon is missing"),
        ("--epsilon 1", "--delta is missing"),
        ("--risk advantage=0", "which no noise reaches"),
        ("--risk tpr=0.1,fpr=0.1", "tpr must be above fpr"),
        ("--risk reidentification=0.1,baseline=0.5", "reidentification must be above baseline"),
        ("--risk advantage=low", "must be a number"),
        ("--risk advantage=0.1 --delta 0", "delta beside a risk must lie in (0, 1)"),
    ],
)
def test_a_risk_that_cannot_be_met_is_one_line_and_nothing_is_written(
    command: str, options: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path.cwd().iterdir())
    assert run(f"{command} {options}") == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert sorted(Path.cwd().iterdir()) == before


def test_a_shared_ledger_says_which_risk_still_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ledger new l.jsonl --risk advantage=0.3") == 0
    assert run(f"{FIXED} --risk advantage=0.1 --ledger l.jsonl") == 0
    found = re.search(r"may ask for at most advantage ([0-9.]+)", capsys.readouterr().err)
    assert found
    assert run(f"{FIXED} --risk advantage=0.3 --ledger l.jsonl") == 3
    assert run(f"{FIXED} --risk advantage={found[1]} --ledger l.jsonl") == 0
    assert read_ledger("l.jsonl").advantage <= 0.3


def test_events_are_scaled_to_a_risk(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("account --gaussian 2 --count 4 --calibrate --risk advantage=0.1 --json") == 0
    found = json.loads(capsys.readouterr().out)
    curve = compose([(Gaussian(2.0 * found["factor"], 1.0), 4)])
    assert found["risk"] == found["advantage"] == largest_advantage(curve) <= 0.1
    assert found["mu"] == pytest.approx(1 / found["factor"])
    assert found["regret"] == 0
    assert run("account --gaussian 2 --delta 1e-6 --plot c.png") == 0
    assert "mu 0.5, regret 0" in capsys.readouterr().out
    assert run("account --gaussian 2 --risk advantage=0.1") == 2
    assert "--risk goes with --calibrate" in capsys.readouterr().err
