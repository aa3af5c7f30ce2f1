"""The tables in the documents are those that the committed results give, figure by figure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DRAW = Path(__file__).parents[1] / "benchmarks" / "tables.py"


def check(results: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DRAW), "--check", "--results", str(results)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_measured_table_is_drawn_from_the_committed_results() -> None:
    done = check(DRAW.with_name("results"))
    assert done.returncode == 0, done.stderr


def test_a_table_that_other_results_give_is_noticed(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert done.returncode != 0
    assert "its tables are not those of" in done.stderr
