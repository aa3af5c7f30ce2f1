"""A method is one file and one line: whatever speaks of methods finds there what it needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_methods import ENTRY, MADE, MADE_GUESS, MADE_METRIC, MadeAttack, MadeSynthesizer

import dp_synth as dps
from dp_synth.citation import label_of

TESTS = Path(__file__).parent
CONTRACTS = [  # files that go over the registries, and how many of their tests a made method is in
    ("synthesizers/test_contract.py", 20),
    ("attacks/test_attack_contract.py", 10),
    ("metrics/test_metric_registry.py", 10),
    ("test_citation.py", 2),
    ("docs/test_written.py", 3),
]
SCHEMA = dps.Schema.from_dict(
    {
        "name": "t",
        "columns": [
            {"name": "a", "type": "categorical", "size": 3},
            {"name": "b", "type": "categorical", "size": 2},
        ],
    }
)


def rows(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"a": rng.integers(0, 3, 60), "b": rng.integers(0, 2, 60)}).astype(str)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry, made in MADE:
        monkeypatch.setitem(registry, made.name, made)


@pytest.mark.usefixtures("added")
def test_a_card_says_what_an_added_synthesizer_says_of_itself() -> None:
    release = MadeSynthesizer().fit(rows(0), SCHEMA, dps.PrivacyBudget(1, 1e-6), seed=0)
    said = dps.report.data_card(release).publishable.method
    assert (said.title, said.reference) == (MadeSynthesizer.title, MadeSynthesizer.reference)


@pytest.mark.usefixtures("added")
def test_the_risk_report_runs_an_added_attack_and_an_added_guess_and_says_what_they_ask() -> None:
    found = dps.report.risk_report(rows(0), rows(1), rows(0), SCHEMA)
    table = found.table.set_index("attack")
    assert table.loc["made_attack", "question"] == MadeAttack.question
    assert table.loc["made_attack", "kind"] == "membership"
    assert table.loc["made_guess", "sentence"].startswith(MADE_GUESS.did.format(who="fitted"))
    texts = [text.get_text() for axes in found.draw() for text in axes.get_yticklabels()]
    assert {"Made attack", "Made guess"} <= set(texts)
    plt.close("all")


@pytest.mark.usefixtures("added")
@pytest.mark.parametrize("made", [made for _, made in MADE], ids=lambda made: made.name)
def test_an_added_method_is_cited_by_its_name_and_as_itself(made) -> None:
    assert dps.cite(made.name) == dps.cite(made)
    assert dps.cite(made).startswith(ENTRY)
    assert ("@article{mckenna2021," in dps.cite(made)) == (made is MadeSynthesizer)


def test_what_is_in_no_registry_is_cited_as_itself_alone() -> None:
    assert dps.cite(MadeSynthesizer()).startswith(ENTRY)
    with pytest.raises(dps.InputError, match="nothing to cite is called 'made_synthesizer'"):
        dps.cite("made_synthesizer")


@pytest.mark.usefixtures("added")
def test_figures_call_an_added_method_as_it_says_and_draw_one_that_nobody_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(TESTS / "figures")
    from made_records import made_records

    records = made_records().replace({"synthesizer": {"mst": "made_synthesizer", "aim": "nobodys"}})
    axes = dps.figures.utility_curves(records)
    drawn = {line.get_label() for panel in axes for line in panel.lines}
    assert "Made synthesizer" in drawn
    assert "made_synthesizer" not in drawn
    plt.close("all")
    assert label_of("made_metric") == MADE_METRIC.figure_label
    assert label_of("nobodys") is None


def test_added_methods_pass_what_all_methods_pass() -> None:
    files = [str(TESTS / file) for file, _ in CONTRACTS]
    words = "made_ or Made or everything_that_can_be_named"
    command = [sys.executable, "-m", "pytest", "-p", "made_methods", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-q", "-rA", "-k", words, *files],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    for file, least in CONTRACTS:
        assert len(re.findall(rf"^PASSED tests/{file}::", done.stdout, re.MULTILINE)) >= least, file
