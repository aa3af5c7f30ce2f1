"""`dp-synth synthesize` with networks: a bar, a clear end at no number, and checkpoints."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Ledger, read_ledger
from dp_synth.cli import main

pytest.importorskip("torch", reason="the extra deep is not installed")

SMALL = {"rate": 0.1, "fakes": 32, "critic_width": 8, "generator_width": 8, "components": 64}
COLUMNS = [
    {"name": "a", "type": "categorical", "categories": ["x", "y", "z"]},
    {"name": "b", "type": "ordinal", "size": 4},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    b = rng.integers(0, 4, 2_000)  # which follows a, so that their pair is worth measuring
    pd.DataFrame({"a": np.array(["x", "y", "z", "x"])[b], "b": b}).to_csv(
        tmp_path / "private.csv", index=False
    )
    schema = {"name": "made", "columns": COLUMNS}
    (tmp_path / "made.meta.json").write_text(json.dumps(schema))
    return tmp_path


def command(
    folder: Path, *more: str, synthesizer: str = "dpctgan", **settings: object
) -> list[str]:
    """The words of the command; with a ledger, and few rows."""
    settings = {**(SMALL if "gan" in synthesizer else {}), **settings}
    return [
        "synthesize",
        *(f"--data={folder / 'private.csv'}", f"--schema={folder / 'made.meta.json'}"),
        *("--epsilon=1", "--delta=1e-6", "--rows=20", f"--synthesizer={synthesizer}"),
        *(f"--out={folder / 'synth.csv'}", f"--ledger={folder / 'ledger.jsonl'}"),
        *(f"--set={name}={value}" for name, value in settings.items()),
        *more,
    ]


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("dp-synth: ")
    return said


def line_after_the_charge(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is said of a fit that failed, below the table of what it was charged."""
    charged, said = capsys.readouterr().err.split("dp-synth: ")
    assert charged.startswith("the fit did not end; what it was charged stays spent:\n")
    assert said.count("\n") == 1
    return said


def steps_charged(ledger: Ledger) -> int:
    return sum(entry.count for entry in ledger.charges if entry.part == "steps")


def test_a_training_that_comes_to_no_number_ends_with_one_line_and_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = folder / "release.npz"
    words = command(folder, f"--release={release}", steps=60, learning_rate=1e38)
    assert main(words) == 2
    assert "loss is not finite" in (said := line_after_the_charge(capsys))
    assert "lower learning_rate" in said
    assert not (folder / "synth.csv").exists()
    assert not release.exists()
    ledger = read_ledger(folder / "ledger.jsonl")
    assert 0 < steps_charged(ledger) <= 60
    assert 0.99 <= ledger.epsilon <= 1.0


def test_a_generator_of_marginals_that_comes_to_no_number_ends_alike(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"steps": 20, "rows": 32, "width": 16, "learning_rate": 1e38}
    assert main(command(folder, "--seed=0", synthesizer="marginal_generator", **settings)) == 2
    assert "loss is not finite" in line_after_the_charge(capsys)
    assert not (folder / "synth.csv").exists()
    assert len(read_ledger(folder / "ledger.jsonl")) > 0


class Terminal(io.StringIO):
    """Standard error, as somebody looks at it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("synthesizer", "settings", "shown"),
    [
        ("dpctgan", {"steps": 60}, ["60/60", "loss", "epsilon 0.9"]),
        ("marginal_generator", {"steps": 10, "rows": 32, "width": 16}, ["10/10", "loss"]),
    ],
)
def test_a_terminal_is_shown_steps_loss_and_epsilon(
    synthesizer: str,
    settings: dict[str, object],
    shown: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for name, value in {"TERM": "xterm", "COLUMNS": "160"}.items():
        monkeypatch.setenv(name, value)
    assert main(command(folder, "--seed=0", synthesizer=synthesizer, **settings)) == 0
    for words in shown:
        assert words in terminal.getvalue()


def test_no_bar_is_drawn_where_nobody_looks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(folder, "--seed=0", steps=60)) == 0
    said = capsys.readouterr().err
    assert "loss" not in said
    assert "\x1b" not in said


def test_a_checkpoint_needs_a_ledger(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in command(folder, steps=60) if not word.startswith("--ledger")]
    assert main([*words, f"--checkpoint={folder / 'kept.npz'}"]) == 2
    assert "--checkpoint needs --ledger" in one_line(capsys)


def test_a_checkpoint_of_a_synthesizer_that_keeps_none_is_refused_with_nothing_reserved(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command(folder, f"--checkpoint={folder / 'kept.npz'}", synthesizer="mst")
    assert main(words) == 2
    assert "mst keeps no checkpoints" in one_line(capsys)
    assert not (folder / "ledger.jsonl").exists()


def test_a_checkpoint_has_a_place_of_its_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(folder, f"--checkpoint={folder / 'ledger.jsonl'}", steps=60)) == 2
    assert "is named twice" in one_line(capsys)


def wait_until(there: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not there():
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.002)


def test_a_killed_training_goes_on_with_the_same_command_within_its_reservation(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps, kept, ledger = 240, folder / "kept.npz", folder / "ledger.jsonl"
    words = command(folder, f"--checkpoint={kept}", steps=steps)
    code = "import sys; from dp_synth.cli import main; sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.PIPE) as victim:
        wait_until(lambda: kept.exists() and ledger.read_text().count("gradients") >= 2, victim)
        os.kill(victim.pid, signal.SIGKILL)
    assert victim.returncode == -signal.SIGKILL
    before = read_ledger(ledger)
    assert 100 <= steps_charged(before) < steps
    assert not (folder / "synth.csv").exists()
    assert main([*words, "--seed=1"]) == 2  # which is another fit
    assert "kept for a fit with another seed" in one_line(capsys)
    assert main(words) == 0
    after = read_ledger(ledger)
    assert after.entries[: len(before.entries)] == before.entries
    assert after.reservations == before.reservations
    assert steps_charged(after) == steps
    assert 0.99 <= after.epsilon <= 1.0
    assert len(pd.read_csv(folder / "synth.csv")) == 20
    assert not kept.exists()
    assert main(words) == 3  # all is spent, and the checkpoint gone
