"""A process killed at any moment costs nothing; `experiments/survival/run.py` kills many more."""

import sys
from pathlib import Path

import pytest

from experiments.survival import commands as killed_commands
from experiments.survival import run as kills

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a matter of POSIX")


@pytest.mark.parametrize("kill", [kills.kill_runner, kills.kill_worker])
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_changes_no_record_repeats_no_cell_and_leaves_no_process(tmp_path, kill, seed):
    found = kill(seed, tmp_path)
    assert found == kills.Kill(found.done, other_records=False, run_again=0, left_behind=0)


def test_what_a_kill_costs_is_found(tmp_path):
    store = kills.open_store(tmp_path)
    kills.run(kills.CELLS, store, kills.undisturbed)
    kept = kills._files(store)
    assert not kills._judged(store, kept, 0).cost
    first, second, *_ = kept
    first.unlink()
    second.write_bytes(b"other")
    found = kills._judged(store, kept, 0)
    assert (found.other_records, found.run_again) == (True, 2)


@pytest.mark.slow
def test_a_command_that_is_killed_keeps_what_it_was_charged_for(tmp_path):
    found = killed_commands.kill_fit(0, tmp_path)
    assert found.faults == ()


def test_what_a_killed_command_must_not_leave_is_found(tmp_path):
    command = (killed_commands.FIT + "independent --ledger l.jsonl").split()
    with killed_commands._place(tmp_path / "here"):
        assert killed_commands._again(command, killed_commands._check_fit) == []
        Path("temporary/table.csv").write_text("private")
        assert len(killed_commands._again(command, killed_commands._check_fit)) == 1
        ledger, rows = Path("l.jsonl").read_text(), Path("out.csv").read_text()
        Path("out.csv").write_text(rows[:-100])
        assert "out.csv is not whole" in killed_commands._check_fit()[0]
        Path("out.csv").write_text(rows)
        Path("l.jsonl").write_text("".join(ledger.splitlines(keepends=True)[:2]))
        assert "answers were not charged" in killed_commands._check_fit()[0]
        Path("l.jsonl").write_text(ledger.replace("charge", "change", 1))
        assert "the ledger: " in killed_commands._check_fit()[0]
