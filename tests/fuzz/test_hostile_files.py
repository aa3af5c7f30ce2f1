"""Files of anybody, through the command line: one line and exit code 2, or the command's work.

A few hundred changed files of every format; `make fuzz` tries thousands, each process within
bounds of memory.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import CHANGES, changed
from trials import Fault, trial

EXAMPLES = 6  # of each format and command


@pytest.mark.parametrize("name", TARGETS)
def test_a_changed_file_is_refused_in_a_line_or_read(name: str, corpus: Path) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.integers(0, 2**32 - 1))
    def tried(seed: int) -> None:
        trial(name, seed, corpus, corpus.with_name("tried"))

    tried()


@pytest.mark.parametrize("name", TARGETS)
def test_the_file_that_is_changed_is_a_good_one(name: str, corpus: Path) -> None:
    from trials import read

    target = TARGETS[name]
    file = sorted(corpus.glob(target.file))[0]
    place, folder = file.relative_to(corpus), corpus.with_name("tried")
    assert read(target, place, file.read_bytes(), corpus, folder) == 0


@pytest.mark.parametrize("kind", CHANGES)
def test_changes_change_and_can_be_made_again(kind: str, corpus: Path) -> None:
    file = next(target.file for target in TARGETS.values() if target.kind == kind)
    content = sorted(corpus.glob(file))[0].read_bytes()
    made = [changed(content, kind, seed) for seed in range(20)]
    assert made == [changed(content, kind, seed) for seed in range(20)]
    assert len({*made, content}) > 10


@pytest.mark.parametrize(
    "broken", ["raises", "leaves a file", "changes its input", "says two lines"]
)
def test_a_command_that_is_at_fault_is_found(
    broken: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def main(arguments: list[str]) -> int:
        import sys

        if broken == "raises":
            raise KeyError("header")
        if broken == "leaves a file":
            Path(".out.csv.part").touch()
        if broken == "changes its input":
            Path("table.csv").write_text("a\n1\n")
        print("dp-synth: no\n" * (2 if broken == "says two lines" else 1), file=sys.stderr)
        return 2

    monkeypatch.setattr("trials.main", main)
    with pytest.raises(Fault):
        trial("release", 0, corpus, tmp_path / "tried")
