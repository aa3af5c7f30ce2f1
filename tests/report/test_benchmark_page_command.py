"""`dp-synth benchmark report`: sources in, one page out, and one line where something is wrong."""

from __future__ import annotations

import json

import pytest
import typer
from made_page import MANIFEST, made_records
from typer.testing import CliRunner

from dp_synth.benchmark import write_record_file
from dp_synth.cli.benchmark import report
from dp_synth.errors import InputError

app = typer.Typer()
app.command()(report)


def run(*arguments):
    """Run the command; what it raises is raised here."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False).output


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A store with a manifest, and exported records, in the folder where we are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store").mkdir()
    made_records().to_parquet(tmp_path / "store" / "records.parquet")
    (tmp_path / "store" / "manifest.json").write_text(json.dumps(MANIFEST))
    write_record_file(made_records(), tmp_path / "kept.jsonl", "make it")
    return tmp_path


def data_of(text):
    return json.loads(
        text.partition('<script type="application/json" id="data">')[2].partition("<")[0]
    )


def test_a_store_and_exported_records_become_a_page_that_says_what_made_it(folder):
    assert run("kept.jsonl", "--out", "kept.html") == "kept.html\n"
    kept = (folder / "kept.html").read_text()
    assert "No manifest was given" in kept
    assert "Read from: kept.jsonl." in kept
    assert run("store", "kept.jsonl") == "report.html\n"
    both = (folder / "report.html").read_text()
    assert "00ff" in both
    assert "Read from: store, kept.jsonl." in both
    assert data_of(both) == data_of(kept)  # a store beside its records changes no number


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "store" / "manifest.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "store" / "records.parquet").unlink(), "run the grid"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_no_page(folder, spoil, said):
    spoil(folder)
    with pytest.raises(InputError, match=said):
        run("store")
    assert not (folder / "report.html").exists()
