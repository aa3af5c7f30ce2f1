"""The README and the audit guide run as they stand, and what they name exists.

The site's other pages are run in tests/docs.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "docs"))

from blocks import blocks, check_command, command_lines
from experiments.audit_tightness.tables import power_table

from dp_synth.attacks import ATTACKS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
AUDITING = (ROOT / "docs" / "auditing.md").read_text()


def run_scripts(page: Path) -> dict[str, object]:
    scripts = [block for block in blocks(page) if block.language == "python"]
    assert scripts
    names: dict[str, object] = {}
    for script in scripts:
        exec(compile(script.text, script.where, "exec"), names)
    return names


def test_the_readme_script_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    run_scripts(ROOT / "README.md")
    printed = capsys.readouterr().out
    assert "epsilon" in printed
    assert re.search(r"0\.\d+ \[0\.\d+, 0\.\d+\]", printed), "a value with its interval"


def test_the_audit_guide_runs_and_finds_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    run_scripts(ROOT / "docs" / "auditing.md")
    printed = capsys.readouterr().out.splitlines()
    of_own = [line for line in printed if line.startswith(("area", "clopper_pearson: epsilon"))]
    assert [line.endswith("VIOLATED") for line in of_own] == [True, False, True]
    assert float(re.findall(r">= ([\d.]+)", of_own[1])[0]) < 1.25, "what noise of 3 is worth"
    found = [line for line in printed if line.startswith(("P0", "P2", "P8"))]
    assert ["FAILED" in line for line in found] == [False, True, True]
    assert sum(line.startswith("FAILED") for line in printed) == 2
    assert sum(line.startswith("passed area: ") for line in printed) == 1, "a count as claimed"
    assert any(line.startswith("  passed: nothing refutes") for line in printed)
    assert "True" in printed


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/auditing.md"])
def test_every_command_and_every_option_that_a_document_shows_exists(name: str) -> None:
    for block in blocks(ROOT / name):
        if block.language == "console":
            lines = command_lines(block)
            assert lines, block.where
            for line in lines:
                check_command(line)
        else:
            ast.parse(block.text, block.where)


@pytest.mark.parametrize(("text", "folder"), [(README, ROOT), (AUDITING, ROOT / "docs")])
def test_every_file_that_a_document_names_exists(text: str, folder: Path) -> None:
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
        assert (folder / path).exists(), path
    for path in re.findall(r"`?((?:benchmarks|dp_synth|tests|docs)/[\w./-]+\w)`?", text):
        assert (ROOT / path).exists(), path


def test_the_audit_guide_names_attacks_that_exist_with_what_they_need() -> None:
    rows = re.findall(
        r"^\| ((?:no|black|white)-box[^|]*)\|[^|]*\|([^|]*)\|$", AUDITING, re.MULTILINE
    )
    named = {model.strip(): re.findall(r"`(\w+)`", attacks) for model, attacks in rows}
    needs = {name: set(attack.needs()) for name, attack in ATTACKS.items()}
    known = {name for names in named.values() for name in names} - {"audit"}
    assert known == set(ATTACKS)
    assert all(needs[name] == {"synthetic"} for name in named["no-box"])
    assert all("reference" in needs[name] for name in named["no-box with a reference"])
    assert "transcript" in needs["transcript_ratio"]


def test_the_readme_says_of_every_attack_what_it_needs() -> None:
    said: dict[str, str] = {}
    rows = re.findall(r"^\| (`attacks\.[^|]*)\|[^|]*\|([^|]*)\|", README, re.MULTILINE)
    for names, needs in rows:
        said |= dict.fromkeys(re.findall(r"`(?:attacks\.)?(\w+)`", names), needs.strip())
    for attack in ATTACKS.values():
        words = "" if attack.measures == "membership" else f"{attack.measures}; "
        assert said[attack.__name__] == f"{words}needs {attack.needs_in_words()}"


def test_the_audit_guide_has_the_table_that_its_records_give() -> None:
    lines = (ROOT / "benchmarks" / "results" / "audit_runs.jsonl").read_text().splitlines()
    assert power_table([json.loads(line) for line in lines]) in AUDITING


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make ([\w-]+)", README))
    assert named
    assert named <= targets
