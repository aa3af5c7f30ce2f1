"""Every experiment has its parts, and its text and figure are those of its records."""

from __future__ import annotations

import json
import re
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

every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)


def loaded(folder):
    """Return the experiment that a folder's run.py makes."""
    return import_module(f"{QUESTIONS[folder.name]}.run").EXPERIMENT


def test_there_are_experiments():
    assert {"accounting-gain", "what-leaks-buy", "audit-tightness"} <= {
        folder.name for folder in FOLDERS
    }


@every_folder
def test_a_readme_has_question_method_answer_and_command(folder):
    text = (folder / "README.md").read_text()
    places = [text.index(part) for part in PARTS]
    assert places == sorted(places)
    assert f"python -m experiments {folder.name}" in text.replace("\n", " ")
    assert "CPU" in text


@every_folder
def test_a_readme_shows_one_figure_and_says_what_is_on_it(folder):
    figures = re.findall(r"!\[(.*?)\]\((.*?)\)", (folder / "README.md").read_text(), re.DOTALL)
    assert [name for _, name in figures] == ["figure.png"]
    assert len(figures[0][0]) >= LEAST_ALT


@every_folder
def test_no_value_begins_a_line_which_would_break_its_paragraph(folder):
    text = (folder / outline.README).read_text("utf-8")
    assert [line for line in text.splitlines() if line.startswith("<!-- value")] == []


@every_folder
def test_no_marker_of_a_readme_is_empty(folder):
    found = documents.MARKER.findall((folder / "README.md").read_text())
    assert found
    assert all(content.strip(" \n?") for _, _, content in found)


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
    for path in folder.glob("*.yaml"):
        assert Grid.load(path).cells(dict.fromkeys(Grid.load(path).dataset, "0" * 64))


def test_who_is_at_risk_has_a_record_of_every_task_that_it_would_run():
    """Else its stated run time is not that of its command."""
    folder = ROOT / "experiments" / "who-is-at-risk"
    measure = loaded(folder).measure
    tasks, parts = measure.__globals__["_tasks"], measure.__globals__["PARTS"]
    asked = [task for kind in parts for task in tasks(kind)]
    assert asked
    assert outline.missing(asked, outline.read(folder / outline.RECORDS)) == []


@every_folder
def test_readme_and_figure_are_those_of_the_records(folder):
    assert outline.differences(loaded(folder)) == []
