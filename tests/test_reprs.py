"""What stands for an object in a session is short, and shows nothing private."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dp_synth as dps
from dp_synth.accounting import Accountant, Gaussian, PrivacyBudget
from dp_synth.accounting.ledger import Entry, Ledger
from dp_synth.audit import Roc
from dp_synth.formatting import html_table
from dp_synth.metrics.estimate import Estimate
from dp_synth.schema import Schema

LONGEST = 1000
NAMES = [f"column number {i}" for i in range(100)]


@pytest.fixture(scope="module")
def shown() -> dict[str, object]:
    columns = [{"name": name, "type": "categorical", "categories": ["a", "b"]} for name in NAMES]
    schema = Schema.from_dict({"name": "t", "columns": columns})
    frame = pd.DataFrame(np.full((77, len(NAMES)), "secret"), columns=NAMES)
    budget = PrivacyBudget(1, 1e-6)
    accountant = Accountant(budget, adaptive=True)
    release = dps.Independent().fit(frame, schema, accountant, seed=0)
    five = NAMES[:5]
    alike = pd.DataFrame({name: ["a", "b"] * 1000 for name in five})  # AIM takes rounds for it
    other = dps.AIM().fit(alike, schema.select(five), budget, seed=0)
    scores = np.arange(5000.0)
    return {
        "release": release,
        "ledger": other.ledger,
        "model": other.model,
        "answers": other.transcript[0],
        "accountant": accountant,
        "schema": schema,
        "domain": schema.domain,
        "plan": dps.PublishedMST().charges(schema.domain),
        "data": dps.datasets.load("adult"),
        "view": dps.AttackerView(frame, schema, frame, transcript=other.transcript),
        "roc": Roc(scores, scores),
        "scores": dps.attacks.Scores(scores, scores > 9, scores, scores),
        "estimate": Estimate(1 / 3, 1 / 7, 2 / 3),
    }


def test_no_repr_is_longer_than_a_screen_holds(shown: dict[str, object]) -> None:
    for name, thing in shown.items():
        assert len(repr(thing)) <= LONGEST, name


@pytest.mark.parametrize("name", ["release", "ledger", "accountant", "schema", "domain", "data"])
def test_a_notebook_shows_a_table_of_ten_rows_at_most(shown: dict[str, object], name: str) -> None:
    page = shown[name]._repr_html_()  # type: ignore[attr-defined]
    assert page.startswith("<table>")
    assert max(part.count("<tr>") for part in page.split("<table>")) <= 12
    assert len(page) < 5000


def test_no_private_cell_is_in_a_repr(shown: dict[str, object]) -> None:
    for name, thing in shown.items():
        assert "secret" not in repr(thing), name


def test_a_ledger_folds_charges_of_one_purpose_and_prints_them_all(
    shown: dict[str, object],
) -> None:
    ledger = shown["ledger"]
    assert len(repr(ledger).splitlines()) < len(str(ledger).splitlines())
    assert sum(int(row[2]) for row in ledger.folded()) == sum(e.count for e in ledger)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("purposes", "left"), [(11, 0), (12, 2)])
def test_a_ledger_that_is_one_row_too_long_shows_it(purposes: int, left: int) -> None:
    event = Gaussian(3.0, 1.0)
    entries = tuple(
        Entry("charge", "mst", "answers", event, 1, f"purpose {i}", "operating system")
        for i in range(purposes)
    )
    lines = repr(Ledger(PrivacyBudget(1, 1e-6), entries)).splitlines()
    assert sum("purpose" in line for line in lines) == purposes - left
    assert (f"and {left} more rows" in lines) == bool(left)


def test_what_is_shown_is_escaped_and_the_rest_is_counted() -> None:
    page = html_table(["a", "b"], [["<script>", "&"]] * 13, ["<p>"])
    assert page.count("&lt;script&gt;") == 10
    assert "<script>" not in page
    assert "and 3 more" in page
