"""Each row of the feature table says of which version it is, and how that was checked."""

from __future__ import annotations

import doctest
import importlib
import json
import re
from pathlib import Path

import pytest
import yaml

from paper import peer_numbers
from paper.tables import FIELD, MARKS, SHORT, field, filled, sources

ROOT = Path(__file__).parents[2]
READ = yaml.safe_load(FIELD.read_text(encoding="utf-8"))
PINNED = {"dp-accounting": "dp-accounting", "Opacus": "opacus", "OpenDP": "opendp"}
PEERS = {"smartnoise-synth": "smartnoise", "dpmm": "dpmm", "mbi": "mbi"}


@pytest.mark.parametrize("row", READ["libraries"], ids=lambda row: row["name"])
def test_a_row_has_a_mark_for_each_feature_a_version_and_a_source(row: dict[str, object]) -> None:
    assert set(row) == {"name", "version", "marks", "source", "note", "checked"}
    assert list(row["marks"]) == list(READ["features"])  # type: ignore[call-overload]
    assert set(row["marks"].values()) <= set(MARKS)  # type: ignore[attr-defined]
    assert "/" in str(row["source"])
    assert row["checked"] in ("read", "run", "listed")


def test_the_versions_are_those_that_we_pin_and_compare_with() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    versions = {row["name"]: str(row["version"]) for row in READ["libraries"]}
    for name, package in PINNED.items():
        assert f"{package}=={versions[name]}" in pins.splitlines()
    for name, peer in PEERS.items():
        folder = ROOT / "dp_synth" / "benchmark" / "peers" / "constraints"
        assert f"{name}=={versions[name]}" in (folder / f"{peer}.txt").read_text(encoding="utf-8")


def test_the_table_has_a_row_a_library_and_ours_below() -> None:
    rows = field({}).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [
        *(row["name"] for row in READ["libraries"]),
        "**dp_synth**",
    ]
    assert all(row.count("|") == len(SHORT) + 2 for row in rows)


def test_our_own_row_names_folders_that_are_there() -> None:
    for folder in re.split(r",\s*", READ["ours"]["source"]):
        assert (ROOT / folder).is_dir()


def test_other_libraries_are_shown_when_they_are_recorded_with_the_reason_of_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = {"epsilon": 1.0, "command": "the command"}
    good = {"synthesizer": "dpmm/mst", "metric": "tv2", "seconds": 150.0, "peak_mb": 480.0}
    lines = [{**shared, **good, "value": value, "error": ""} for value in (0.05, 0.06, 0.07)]
    failed = {"synthesizer": "mbi/mst", "metric": "", "value": None, "error": "took too long"}
    path = tmp_path / "peers.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {**shared, **failed}]))
    monkeypatch.setattr(peer_numbers, "PEERS", str(path))
    text = filled("{{table:peers}}", dict(peer_numbers.peers()))
    assert "| dpmm 0.1.9, MST | 0.0600 ± 0.0248 | - | 150.0 ± 0.0 | 480 ± 0 |" in text
    assert "| mbi 2.0.0, MST | no result | - | - | - |" in text
    assert "mbi 2.0.0, MST (`took too long`)" in text
    assert "`the command`" in text


def test_a_library_that_failed_at_some_seeds_keeps_its_values_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = {"epsilon": 1.0, "command": "the command", "synthesizer": "dpmm/mst"}
    failed = {**shared, "metric": "", "value": None, "error": "took too long"}
    good = {**shared, "metric": "tv2", "value": 0.05, "seconds": 1.0, "peak_mb": 1.0, "error": ""}
    path = tmp_path / "peers.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (failed, good)))
    monkeypatch.setattr(peer_numbers, "PEERS", str(path))
    text = filled("{{table:peers}}", dict(peer_numbers.peers()))
    assert "| dpmm 0.1.9, MST | 0.0500 |" in text
    assert "No result" not in text


def test_without_records_no_number_of_other_libraries_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_numbers, "PEERS", "benchmarks/results/none.jsonl")
    assert dict(peer_numbers.peers()) == {}
    assert not re.search(r"\d", filled("{{table:peers}}", {}))


@pytest.mark.parametrize(
    "name", ["number", "documents", "tables", "utility_numbers", "accounting_numbers"]
)
def test_the_examples_in_docstrings_hold(name: str) -> None:
    module = importlib.import_module(f"paper.{name}")
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_the_sources_name_every_version() -> None:
    said = sources({})
    assert all(str(row["version"]) in said for row in READ["libraries"])
