"""Every experiment has its parts, and its text and figure are those of its records."""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from dp_synth.benchmark import Grid
from experiments import QUESTIONS, outline
from paper import documents

ROOT = Path(__file__).parents[2]

FOLDERS = sorted(path.parent for path in (ROOT / "experiments").glob("*/run.py"))
PARTS = ("**Question.**", "**Method.**", "**Answer.**")
LARGEST = 1_000_000  # bytes of records that are small enough to commit
LEAST_ALT = 40  # characters that tell somebody who cannot see a figure what it shows

DRAWN = [path for path in FOLDERS if "EXPERIMENT =" in (path / "run.py").read_text("utf-8")]
"""Those that have a figure and a filled README; the others print what pages of the site show."""

every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
every_drawn = pytest.mark.parametrize("folder", DRAWN, ids=lambda path: path.name)


def loaded(folder):
    """Return the experiment that a folder's run.py makes."""
    return import_module(f"{QUESTIONS[folder.name]}.run").EXPERIMENT


def test_there_are_experiments():
    drawn = {folder.name for folder in DRAWN}
    assert {"accounting-gain", "what-leaks-buy", "audit-tightness"} <= drawn
    assert {folder.name for folder in FOLDERS} - drawn


@every_folder
def test_a_readme_has_question_method_answer_and_command(folder):
    text = (folder / "README.md").read_text()
    places = [text.index(part) for part in PARTS]
    assert places == sorted(places)
    assert f"python -m experiments {folder.name}" in text.replace("\n", " ")
    assert "CPU" in text


@every_drawn
def test_a_readme_shows_one_figure_and_says_what_is_on_it(folder):
    figures = re.findall(r"!\[(.*?)\]\((.*?)\)", (folder / "README.md").read_text(), re.DOTALL)
    assert [name for _, name in figures] == ["figure.png"]
    assert len(figures[0][0]) >= LEAST_ALT


@every_drawn
def test_no_value_begins_a_line_which_would_break_its_paragraph(folder):
    text = (folder / outline.README).read_text("utf-8")
    assert [line for line in text.splitlines() if line.startswith("<!-- value")] == []


@every_drawn
def test_no_marker_of_a_readme_is_empty(folder):
    found = documents.MARKER.findall((folder / "README.md").read_text())
    assert found
    assert all(content.strip(" \n?") for _, _, content in found)


@pytest.mark.parametrize("folder", sorted({*FOLDERS} - {*DRAWN}), ids=lambda path: path.name)
def test_one_that_draws_nothing_says_what_it_takes(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [folder.name, "--help"])
    with pytest.raises(SystemExit) as ended:
        import_module(f"{QUESTIONS[folder.name]}.run").main()
    assert ended.value.code == 0
    assert "usage" in capsys.readouterr().out


@every_folder
def test_links_of_a_readme_lead_somewhere(folder):
    for target in re.findall(r"\]\(([^)#]+)", (folder / "README.md").read_text()):
        assert "://" in target or (folder / target).exists(), target


@every_folder
def test_records_are_lines_of_json_with_a_version_and_small(folder):
    for path in folder.glob("*.jsonl"):
        assert path.stat().st_size < LARGEST
        lines = path.read_text().splitlines()
        assert lines
        assert all(json.loads(line).get("version") for line in lines)


@every_folder
def test_grids_can_be_run(folder):
    for path in folder.glob("grid*.yaml"):
        assert Grid.load(path).cells(dict.fromkeys(Grid.load(path).dataset, "0" * 64))


def test_who_is_at_risk_has_a_record_of_every_task_that_it_would_run():
    """Else its stated run time is not that of its command."""
    folder = ROOT / "experiments" / "who-is-at-risk"
    measure = loaded(folder).measure
    tasks, parts = measure.__globals__["_tasks"], measure.__globals__["PARTS"]
    asked = [task for kind in parts for task in tasks(kind)]
    assert asked
    assert outline.missing(asked, outline.read(folder / outline.RECORDS)) == []


@every_drawn
def test_readme_and_figure_are_those_of_the_records(folder):
    assert outline.differences(loaded(folder)) == []
