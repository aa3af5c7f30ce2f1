"""The ten lines of other libraries run where these libraries are installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from blocks import ROOT, Block, blocks

from dp_synth.benchmark.peers import environments

PAGE = ROOT / "docs" / "how-to" / "migrate.md"
MODULES = {"sdv": "sdv", "smartnoise": "snsynth", "synthcity": "synthcity"}
THEIRS = {block.marks["peer"]: block for block in blocks(PAGE) if "peer" in block.marks}
(MADE, *_) = (block for block in blocks(PAGE) if block.language == "python")
(OURS,) = (block for block in blocks(PAGE) if "Synthesizer.create(" in block.text and block.is_run)
LINES = 10


def interpreter_with(peer: str) -> str:
    """The Python that has a library: that of its environment, or this one; skips without."""
    own = str(environments.root() / peer / "bin" / "python")
    looks = f"import importlib.util as u; raise SystemExit(u.find_spec({MODULES[peer]!r}) is None)"
    for python in (own, sys.executable):
        if Path(python).exists() and not subprocess.run([python, "-c", looks]).returncode:
            return python
    pytest.skip(f"{MODULES[peer]} is not installed")


def statements(block: Block) -> int:
    """How many lines a block has, with those that are continued as one."""
    return sum(not line.startswith((" ", ")")) for line in block.text.splitlines() if line)


def test_every_library_has_its_lines_and_none_has_more_than_ten() -> None:
    assert set(THEIRS) == set(MODULES)
    assert all(statements(block) <= LINES for block in (*THEIRS.values(), OURS))


@pytest.mark.parametrize("peer", MODULES)
def test_the_lines_of_another_library_make_rows(peer: str, tmp_path: Path) -> None:
    python = interpreter_with(peer)
    for text, program in ((MADE.text, sys.executable), (THEIRS[peer].text, python)):
        (tmp_path / "lines.py").write_text(text, encoding="utf-8")
        left = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [program, "lines.py"], cwd=tmp_path, env=left, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert len(rows) == 500
    assert set(rows.columns) == {"age", "employed", "region"}
    assert set(rows["employed"]) <= {"yes", "no"}
