"""What cannot be paid is refused before anything is opened: the budget is named, not the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import dp_synth as dps
from dp_synth.accounting import Accountant, PrivacyBudget, SubAccountant
from dp_synth.cli import main
from dp_synth.errors import BudgetExceeded
from dp_synth.schema import Schema

BUDGET = PrivacyBudget(1.0, 1e-6)
CONTENT = {
    "name": "t",
    "columns": [{"name": n, "type": "categorical", "categories": ["x", "y"]} for n in "ab"],
}
SCHEMA = Schema.from_dict(CONTENT)
FRAME = pd.DataFrame({"a": ["x", "y"] * 20, "b": ["y", "y"] * 20})
RECIPE = dps.Independent()


class Untouchable:
    """A table that nobody may look at."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise AssertionError("it was opened")


def planned(folder: Path) -> Accountant:
    accountant = Accountant(BUDGET)
    RECIPE.fit(FRAME, SCHEMA, accountant)
    return accountant


def on_disk(folder: Path) -> Accountant:
    RECIPE.fit(FRAME, SCHEMA, Accountant(BUDGET, ledger=folder / "l.jsonl"))
    return Accountant(BUDGET, ledger=folder / "l.jsonl")


def adaptive(folder: Path) -> Accountant:
    accountant = Accountant(BUDGET, adaptive=True)
    RECIPE.fit(FRAME, SCHEMA, accountant)
    return accountant


def portion(folder: Path) -> SubAccountant:
    return adaptive(folder).portion(0.5)


def turns(folder: Path) -> Accountant:
    accountant = Accountant(BUDGET, planned=[(RECIPE, 1.0)])
    RECIPE.fit(FRAME, SCHEMA, accountant)
    return accountant


PAYERS: list[Callable[[Path], Accountant | SubAccountant]] = [
    planned,
    on_disk,
    adaptive,
    portion,
    turns,
]
DAMAGED = {
    "missing.csv": None,
    "broken.csv": b'a,b\n"x,y\n\x00\xff',
    "broken.csv.gz": b"\x1f\x8b\x00",
    "broken.parquet": b"PAR1",
}


@pytest.mark.parametrize("payer", PAYERS)
def test_an_exhausted_budget_is_told_before_the_table_is_opened(
    payer: Callable[[Path], Accountant | SubAccountant], tmp_path: Path
) -> None:
    spent = payer(tmp_path)
    for name, content in DAMAGED.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    for data in (Untouchable(), *(tmp_path / name for name in DAMAGED)):
        with pytest.raises(BudgetExceeded, match="nothing was released"):
            RECIPE.fit(data, SCHEMA, spent)
        if payer is not turns:
            with pytest.raises(BudgetExceeded, match="nothing was released"):
                dps.fit_jointly({RECIPE: 1.0, dps.MST(): 1.0}, data, SCHEMA, spent)


@pytest.mark.parametrize("shared", [False, True])
def test_the_command_says_that_the_budget_is_spent_whatever_its_files_are(
    shared: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("t.csv", index=False)
    (tmp_path / "t.meta.json").write_text(json.dumps(CONTENT))
    if shared:
        assert main(["ledger", "new", "l.jsonl", "--epsilon", "1", "--delta", "1e-6"]) == 0
    fixed = "synthesize --schema t.meta.json --epsilon 1 --delta 1e-6 --out s.csv --ledger l.jsonl"
    command = [*fixed.split(), "--synthesizer", "independent", "--data"]
    assert main([*command, "t.csv"]) == 0
    kept = (tmp_path / "l.jsonl").read_bytes()
    for name, content in DAMAGED.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        for more in ([], ["--card", "c.json", "--internal", "--holdout", name]):
            capsys.readouterr()
            assert main([*command, name, *more]) == 3
            said = capsys.readouterr().err
            assert "nothing was released" in said
            assert said.count("\n") == 1
    assert (tmp_path / "l.jsonl").read_bytes() == kept
