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


def test_a_store_becomes_a_page_that_says_what_made_it(folder):
    assert run("store") == "report.html\n"
    text = (folder / "report.html").read_text()
    assert "00ff" in text
    assert "Read from: store." in text


def test_exported_records_need_no_store_and_no_manifest(folder):
    assert run("kept.jsonl", "--out", "kept.html") == "kept.html\n"
    text = (folder / "kept.html").read_text()
    assert "No manifest was given" in text
    assert "Read from: kept.jsonl." in text


def test_a_store_beside_its_records_changes_no_number(folder):
    run("kept.jsonl", "--out", "kept.html")
    run("store", "kept.jsonl", "--out", "both.html")

    def data(name):
        text = (folder / name).read_text()
        return text.partition('<script type="application/json" id="data">')[2].partition("<")[0]

    assert json.loads(data("kept.html")) == json.loads(data("both.html"))


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
