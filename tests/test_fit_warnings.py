"""What a fit tells its caller before anything is charged: cells that do not fit, weak promises."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dp_synth as dps
from dp_synth.accounting import read_ledger
from dp_synth.accounting.ledger import UNCONFIRMED
from dp_synth.counting import records
from dp_synth.datasets import write_table
from dp_synth.report.card import data_card
from dp_synth.schema import Misfits, draft
from dp_synth.schema.schema import BOUNDS_FROM
from dp_synth.synthesizers.reading import telling

FIELDS = {
    "name": "people",
    "columns": [
        {"name": "age", "type": "integer", "lower": 0, "upper": 9},
        {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
    ],
}
SCHEMA = dps.Schema.from_dict(FIELDS)
FITTING = pd.DataFrame({"age": ["1", "2"] * 20, "sex": ["F", "M"] * 20})
ODD = FITTING.assign(sex=["Fem", "M"] * 20)
BUDGET = dps.PrivacyBudget(1.0, 1e-6)


def fit(frame: object, schema: dps.Schema = SCHEMA, payer: object = BUDGET) -> dps.Release:
    return dps.Independent().fit(frame, schema, payer)  # type: ignore[arg-type]


def said(frame: pd.DataFrame, schema: dps.Schema, budget: dps.PrivacyBudget) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(frame, schema, budget)
    return [str(one.message) for one in caught if one.category is dps.PrivacyWarning]


def test_a_fit_warns_of_cells_that_do_not_fit_without_a_private_word() -> None:
    with pytest.warns(dps.SchemaMismatch) as caught:
        fit(ODD)
    (only,) = [str(one.message) for one in caught]
    assert "schema.check(frame) tells the data holder which" in only
    assert not any(word in only for word in ("sex", "Fem", "20", "40"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(FITTING)


def test_a_warning_that_is_an_error_comes_before_anything_is_charged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    accountant = dps.Accountant(BUDGET, ledger=path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", dps.SchemaMismatch)
        with pytest.raises(dps.SchemaMismatch):
            fit(ODD, payer=accountant)
        draft_of = {**FIELDS, "bounds_from": BOUNDS_FROM}
        warnings.simplefilter("error", dps.PrivacyWarning)
        with pytest.raises(dps.PrivacyWarning):
            fit(FITTING, dps.Schema.from_dict(draft_of), accountant)
    assert accountant.ledger.entries == ()
    assert not path.exists()
    fit(FITTING, payer=accountant)  # the whole budget is still there


def test_who_asks_is_told_the_numbers_in_place_of_a_warning_in_memory_and_streamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("duckdb", reason="the extra 'bigdata' is not installed")
    heard: list[Misfits] = []
    write_table(ODD, tmp_path / "t.csv")
    with telling(heard.append), warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(ODD)
        fit(FITTING)
        monkeypatch.setattr(records, "LARGEST_IN_MEMORY", 0)
        fit(tmp_path / "t.csv")
    lines = ["column 'sex': unseen category: 20 of 40"]
    assert [misfits.lines() for misfits in heard] == [lines, lines]


@pytest.mark.parametrize(
    ("more", "budget", "words"),
    [
        ({"bounds_from": "the questionnaire"}, BUDGET, []),
        ({"unit_of_privacy": "row"}, BUDGET, []),
        (
            {"bounds_from": "read from the data: confirm each bound and category"},
            BUDGET,
            ["a draft that nobody has confirmed"],
        ),
        ({"unit_of_privacy": "person"}, BUDGET, ["the unit of privacy is 'person'"]),
        ({"unit_of_privacy": "person"}, dps.PrivacyBudget(1, 1e-6, unit="who", max_rows=2), []),
        ({}, dps.PrivacyBudget(20, 1e-6), []),
        ({}, dps.PrivacyBudget(50, 0.5), ["epsilon 50 is unusually", "delta 0.5 is unusually"]),
    ],
)
def test_a_fit_says_which_public_facts_weaken_its_promise(
    more: dict[str, str], budget: dps.PrivacyBudget, words: list[str]
) -> None:
    schema = dps.Schema.from_dict({**FIELDS, **more})
    found = said(FITTING.assign(who=np.arange(40) // 2), schema, budget)
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))


def test_a_simulation_which_nobody_will_publish_warns_of_no_promise() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(FITTING, payer=dps.Accountant(dps.PrivacyBudget(1000.0, 1e-6), simulate=True))


DRAFT = dps.Schema.from_dict(draft(FITTING, "people"))


def test_a_draft_is_not_certified_in_ledger_statement_and_card_until_it_says_whence(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.jsonl"
    release = fit(FITTING, DRAFT, dps.Accountant(BUDGET, ledger=path))
    assert {entry.why for entry in release.ledger.reservations} == {UNCONFIRMED}
    for text in (str(release.ledger), release.ledger.statement(), str(read_ledger(path))):
        assert UNCONFIRMED in text
    assert UNCONFIRMED in data_card(release).publishable.blocking[0].text
    confirmed = dps.Schema.from_dict({**DRAFT.to_dict(), "bounds_from": "the questionnaire"})
    other = fit(FITTING, confirmed)
    assert {entry.why for entry in other.ledger.reservations} == {"plan"}
    assert UNCONFIRMED not in str(other.ledger) + other.ledger.statement()
    assert not data_card(other).publishable.blocking


@pytest.mark.parametrize("adaptive", [True, False])
def test_one_ledger_of_several_fits_says_so_where_one_of_them_has_a_draft(adaptive: bool) -> None:
    recipes = [] if adaptive else [(dps.Independent(), 0.5), (dps.Independent(), 1.0)]
    accountant = dps.Accountant(BUDGET, adaptive=adaptive, planned=recipes)
    payer = accountant.portion(0.5) if adaptive else accountant
    first = fit(FITTING, DRAFT, payer)
    second = fit(FITTING, DRAFT if not adaptive else SCHEMA, accountant)
    assert UNCONFIRMED in str(first.ledger)
    assert UNCONFIRMED in str(second.ledger)


def test_a_short_command_that_reads_parquet_ends_without_helper_threads(tmp_path: Path) -> None:
    pd.DataFrame({"x": range(50)}).to_parquet(tmp_path / "t.parquet")
    code = (
        "import sys, os\n"
        "from dp_synth.datasets import read_table\n"
        "import pyarrow.parquet\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "assert len(read_table(sys.argv[1])) == 50\n"
        "print(len(os.listdir('/proc/self/task')) - before)"
    )
    if not Path("/proc/self/task").exists():
        pytest.skip("threads are counted in /proc")
    command = [sys.executable, "-c", code, str(tmp_path / "t.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


@pytest.mark.parametrize("source", ["frame", "file", "jointly"])
def test_a_warning_is_of_the_line_that_asked_for_the_fit(source: str, tmp_path: Path) -> None:
    weak = dps.Schema.from_dict({**FIELDS, "bounds_from": BOUNDS_FROM})
    write_table(ODD, tmp_path / "odd.csv")
    data = tmp_path / "odd.csv" if source == "file" else ODD
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if source == "jointly":
            dps.fit_jointly({dps.Independent(): 1}, data, weak, dps.Accountant(BUDGET))
        else:
            fit(data, weak)
    assert {one.category for one in caught} == {dps.SchemaMismatch, dps.PrivacyWarning}
    assert {one.filename for one in caught} == {__file__}
