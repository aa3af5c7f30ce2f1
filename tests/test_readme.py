"""The README's Python runs as it stands, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_readme_script_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    scripts = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert scripts
    names: dict[str, object] = {}
    for script in scripts:
        exec(compile(script, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "epsilon" in printed
    assert re.search(r"0\.\d+ \[0\.\d+, 0\.\d+\]", printed), "a value with its interval"


def test_every_file_that_the_readme_names_exists() -> None:
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`((?:benchmarks|dp_synth|tests|docs)/[\w./]+)`", README):
        assert (ROOT / path).exists(), path


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make (\w+)", README))
    assert named
    assert named <= targets
