"""What is left of a fit that was paid for when a disk, a name or a person gets in the way."""

from __future__ import annotations

import errno
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

from dp_synth import release as releases
from dp_synth.accounting import read_ledger
from dp_synth.cli import main, outputs
from dp_synth.datasets import read_table, write_table
from dp_synth.errors import InputError
from dp_synth.release import Release
from dp_synth.report.card import DataCard, data_card
from dp_synth.synthesizers import Independent

COLUMNS = [
    {"name": "x", "type": "real", "lower": -5, "upper": 5, "decimals": 2},
    {"name": "n", "type": "integer", "lower": 0, "upper": 9},
    {"name": "l", "type": "categorical", "categories": ["a", "b"]},
]
CONTENT = {"name": "t", "label": "l", "columns": COLUMNS}


def people(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(count)
    numbers = rng.normal(size=count).round(2)
    return pd.DataFrame(
        {"x": numbers, "n": rng.integers(0, 9, count), "l": rng.choice(["a", "b"], count)}
    )


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_table(people(300), tmp_path / "in" / "t.csv")
    write_table(people(100), tmp_path / "in" / "h.csv")
    (tmp_path / "in" / "t.meta.json").write_text(json.dumps(CONTENT))


def synthesize(folder: Path, out: str = "s.csv", *more: str, **options: object) -> int:
    """Run the command on the table, to ``out`` in the folder of results."""
    usual = {"data": folder / "in" / "t.csv", "schema": folder / "in" / "t.meta.json"}
    usual |= {"epsilon": 1, "delta": 1e-6, "synthesizer": "independent", "seed": 0, "rows": 50}
    given = {**usual, "out": folder / "out" / out if out != "-" else out, **options}
    options = [f"--{name}={value}" for name, value in given.items() if value is not None]
    return main(["synthesize", *options, *more])


def results(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").iterdir())


def full(*_arguments: object, **_options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    return fail


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("length", [240, 255])
def test_names_as_long_as_the_disk_holds_are_written(length: int, tmp_path: Path) -> None:
    names = {end: f"{'n' * (length - len(end))}{end}" for end in (".csv", ".npz", ".json", ".html")}
    places = {"release": names[".npz"], "card": names[".json"]}
    where = {option: tmp_path / "out" / name for option, name in places.items()}
    (tmp_path / "out" / names[".html"]).touch()  # beside a card stands a page of as long a name
    assert synthesize(tmp_path, names[".csv"], **where) == 0
    assert results(tmp_path) == sorted(names.values())
    signs = "ü" * ((255 - 4) // 2)  # a name of as many bytes, of half as many signs
    assert synthesize(tmp_path, f"{signs}.csv") == 0


@pytest.mark.parametrize("option", ["out", "release", "card", "ledger"])
def test_a_longer_name_is_refused_before_anything_is_spent(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ending = {"out": ".csv", "release": ".npz", "card": ".json", "ledger": ".jsonl"}[option]
    places = {"ledger": tmp_path / "out" / "l.jsonl"}
    places |= {option: tmp_path / "out" / f"{'n' * 256}{ending}"}
    assert synthesize(tmp_path, **places) == 2
    assert "cannot be written: File name too long" in last_line(capsys)
    assert results(tmp_path) == []


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_that_cannot_be_written_cost_nothing_else_and_can_be_drawn_again(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, kept = tmp_path / "out" / f"s.{ending}", tmp_path / "out" / "kept-release-1.npz"
    with monkeypatch.context() as patch:
        patch.setattr(releases, "write_blocks", full)
        assert synthesize(tmp_path, out.name, card=tmp_path / "out" / "c.json") == 2
    said = last_line(capsys)
    assert said.startswith(f"dp-synth: {out}: No space left on device; all else was written; ")
    assert "stays spent, epsilon 1 of 1 at delta 1e-06" in said
    assert said.endswith(f"is kept in {kept}: `dp-synth sample` draws its rows at no cost")
    assert results(tmp_path) == ["c.html", "c.json", kept.name]
    assert main(["sample", str(kept), "--rows=50", "--seed=1", f"--out={out}"]) == 0
    again = out.read_bytes()
    assert synthesize(tmp_path, out.name) == 0
    assert out.read_bytes() == again


def test_a_release_that_was_asked_for_and_written_is_kept_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release = tmp_path / "out" / "r.npz"
    monkeypatch.setattr(releases, "write_blocks", full)
    assert synthesize(tmp_path, release=release) == 2
    assert f"the release is kept in {release}: " in last_line(capsys)
    assert results(tmp_path) == ["r.npz"]


def test_a_release_that_cannot_be_written_keeps_no_other_output_from_being_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, save = tmp_path / "out" / "r.npz", Release.save
    monkeypatch.setattr(
        Release, "save", lambda self, path: full() if path == asked else save(self, path)
    )
    assert synthesize(tmp_path, release=asked, card=tmp_path / "out" / "c.json") == 2
    assert last_line(capsys).startswith(f"dp-synth: {asked}: No space left on device; all else")
    assert results(tmp_path) == ["c.html", "c.json", "kept-release-1.npz", "s.csv"]


def test_where_the_folder_is_full_the_release_is_kept_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace = os.replace

    def full_there(source: Path, target: Path) -> None:
        full() if target.parent.name == "out" else replace(source, target)

    monkeypatch.setattr(os, "replace", full_there)
    (tmp_path / "here" / "kept-release-1.npz").write_text("another's")
    places = {"release": "r.npz", "card": "c.json"}
    where = {option: tmp_path / "out" / name for option, name in places.items()}
    assert synthesize(tmp_path, **where) == 2
    said = last_line(capsys)
    for name in ("s.csv", "r.npz", "c.json"):
        assert f"{tmp_path / 'out' / name}: No space left on device; " in said
    assert "all else" not in said
    assert "the release is kept in kept-release-2.npz: " in said
    assert results(tmp_path) == []
    assert Release.load("kept-release-2.npz").synthesizer == "independent"
    assert Path("kept-release-1.npz").read_text() == "another's"


def test_the_ledgers_folder_comes_before_the_working_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(releases, "write_blocks", full)
    ledger = tmp_path / "in" / "l.jsonl"
    assert synthesize(tmp_path, "-", ledger=ledger) == 2
    assert f"the release is kept in {tmp_path / 'in' / 'kept-release-1.npz'}: " in last_line(capsys)
    assert read_ledger(ledger).reservations


def test_a_defect_is_raised_once_all_else_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(DataCard, "write", raising(RuntimeError("odd")))
    with pytest.raises(RuntimeError, match="odd"):
        synthesize(tmp_path, card=tmp_path / "out" / "c.json")
    assert "c.json: a defect; all else was written; what the fit cost" in last_line(capsys)
    assert results(tmp_path) == ["kept-release-1.npz", "s.csv"]


@pytest.mark.parametrize("stop", ["interrupt", "terminate", "memory"])
def test_a_run_that_is_stopped_while_it_writes_keeps_its_release(
    stop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_arguments: object, **_options: object) -> None:
        if stop == "terminate":
            signal.raise_signal(signal.SIGTERM)
        raise MemoryError if stop == "memory" else KeyboardInterrupt

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(releases, "write_blocks", stopped)
    assert synthesize(tmp_path) == (2 if stop == "memory" else 130)
    printed = capsys.readouterr().err
    assert ("the memory did not suffice" if stop == "memory" else "s.csv: interrupted; ") in printed
    assert "stays spent, epsilon 1 of 1" in printed
    assert results(tmp_path) == ["kept-release-1.npz"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("charged", [True, False])
def test_a_fit_that_is_stopped_says_what_it_was_charged(
    charged: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fit = Independent._fit

    def stopped(self: Independent, *arguments: object) -> None:
        fit(self, *arguments)
        raise KeyboardInterrupt

    if charged:
        monkeypatch.setattr(Independent, "_fit", stopped)
    else:
        monkeypatch.setattr("dp_synth.cli.synthesize._table", raising(KeyboardInterrupt()))
    assert synthesize(tmp_path, ledger=tmp_path / "out" / "l.jsonl") == 130
    printed = capsys.readouterr().err
    assert ("what it was charged stays spent" in printed) == charged
    assert ("epsilon 1 of 1" in printed) == charged
    assert results(tmp_path) == ["l.jsonl"] * charged


def test_a_child_of_a_stopped_run_has_nothing_to_say() -> None:
    reading, writing = os.pipe()
    with outputs.stopped_gently():
        child = os.fork()
        if not child:
            os.write(writing, b"ready")
            time.sleep(60)
            os._exit(0)
        os.read(reading, 5)
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGTERM


def test_more_rows_than_a_disk_can_hold_are_refused_before_anything_is_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = tmp_path / "out" / "l.jsonl"
    assert synthesize(tmp_path, rows=10**15, ledger=ledger) == 2
    assert "1,000,000,000,000,000 rows take 6,000,000,000,000,000 bytes or more" in last_line(
        capsys
    )
    assert results(tmp_path) == []
    assert synthesize(tmp_path, release=tmp_path / "out" / "r.npz") == 0
    sample = ["sample", str(tmp_path / "out" / "r.npz"), f"--rows={10**15}", "--out=more.csv"]
    assert main(sample) == 2
    assert "bytes or more" in last_line(capsys)


def test_a_disk_without_any_room_is_refused_before_anything_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *how: full() if "s.csv" in str(path) else opened(path, *how)
    )
    assert synthesize(tmp_path, ledger=tmp_path / "out" / "l.jsonl") == 2
    said = f"dp-synth: {tmp_path / 'out' / 's.csv'}: cannot be written: No space left on device"
    assert last_line(capsys) == said
    assert results(tmp_path) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"columns": [*COLUMNS[:2], {**COLUMNS[2], "categories": ["a", "\ud800"]}]},
        {"columns": [*COLUMNS[:2], {**COLUMNS[2], "missing": ["\ud800"]}]},
        {"columns": [COLUMNS[0], {**COLUMNS[1], "format": {"prefix": "\ud800"}}, COLUMNS[2]]},
        {"name": "\ud800"},
        {"unit_of_privacy": "\ud800"},
        {"bounds_from": "\ud800"},
    ],
    ids=["category", "mark", "prefix", "name", "unit", "bounds"],
)
def test_texts_that_no_file_can_hold_are_refused_before_anything_is_spent(
    odd: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "t.meta.json").write_text(json.dumps({**CONTENT, **odd}))
    where = {"ledger": tmp_path / "out" / "l.jsonl", "card": tmp_path / "out" / "c.json"}
    assert synthesize(tmp_path, **where) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "a text in it holds half of a surrogate pair" in printed
    assert results(tmp_path) == []


def test_what_utf_8_cannot_write_is_refused_for_a_card_and_leaves_none(
    tmp_path: Path,
) -> None:
    release = tmp_path / "out" / "r.npz"
    assert synthesize(tmp_path, release=release) == 0
    made = ["card", str(release), f"--out={tmp_path / 'out' / 'c.json'}", "--title=a\udcff"]
    assert main(made) == 2
    with pytest.raises(InputError, match="half of a surrogate pair"):
        data_card(Release.load(release), title="a\udcff").write(tmp_path / "out" / "c.json")
    assert not (tmp_path / "out" / "c.json").exists()


@pytest.mark.parametrize("cell", ["1e300", "-1e300", "3e38"])
def test_one_cell_of_an_enormous_number_costs_no_internal_card(
    cell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("t.csv", "h.csv"):
        table = read_table(tmp_path / "in" / name)
        table.loc[5, "x"] = cell
        write_table(table, tmp_path / "in" / name)
    where = {"card": tmp_path / "out" / "c.json", "holdout": tmp_path / "in" / "h.csv"}
    assert synthesize(tmp_path, "s.csv", "--internal", **where) == 0, capsys.readouterr().err
    assert DataCard.load(tmp_path / "out" / "c.json").internal is not None


@pytest.mark.parametrize("seed", [0, None])
def test_the_internal_part_looks_at_the_rows_that_were_written(
    seed: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[pd.DataFrame] = []

    def part(_real: object, _fresh: object, made: pd.DataFrame, *_: object, **__: object) -> None:
        seen.append(made)
        raise outputs.InputError("seen")

    monkeypatch.setattr("dp_synth.report.internal.internal_part", part)
    where = {"card": tmp_path / "out" / "c.json", "holdout": tmp_path / "in" / "h.csv"}
    assert synthesize(tmp_path, "s.csv", "--internal", seed=seed, **where) == 2
    write_table(seen[0], "seen.csv")
    assert Path("seen.csv").read_bytes() == (tmp_path / "out" / "s.csv").read_bytes()


EVALUATE = "evaluate --real t.csv --holdout h.csv --synthetic s.csv --schema t.meta.json"
AUDIT = "audit --synthesizer independent --epsilon 1 --delta 1e-2 --runs 300"


@pytest.mark.parametrize(
    ("command", "written"),
    [
        (f"{EVALUATE} --metric none --json e.json --html e.html", ["e.json", "e.html"]),
        (f"{AUDIT} --json a.json", ["a.json"]),
    ],
    ids=["evaluate", "audit"],
)
def test_other_results_are_each_tried_and_named(
    command: str,
    written: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path / "in")
    write_table(people(90), "s.csv")
    replace, failing = os.replace, ""

    def full_there(source: Path, target: Path) -> None:
        full() if target.name == failing else replace(source, target)

    for failing in written:
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", full_there)
            assert main(command.split()) == 2
        printed = capsys.readouterr()
        assert printed.err.splitlines()[-1] == (
            f"dp-synth: {failing}: No space left on device; all else was written"
        )
        assert printed.out
        for other in set(written) - {failing}:
            assert Path(other).exists()
        for name in written:
            Path(name).unlink(missing_ok=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_keeps_the_release(tmp_path: Path) -> None:
    names = {"data": "t.csv", "schema": "t.meta.json"}
    given = [f"--{option}={tmp_path / 'in' / name}" for option, name in names.items()]
    more = ["--synthesizer=independent", "--epsilon=1", "--delta=1e-6", "--seed=0", "--out=-"]
    code = "import sys; from dp_synth.cli import main; sys.exit(main(sys.argv[1:]))"
    with open("/dev/full", "w") as gone:
        run = subprocess.run(
            [sys.executable, "-c", code, "synthesize", *given, *more],
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert "standard output: No space left on device; what the fit cost" in run.stderr
    assert "kept in kept-release-1.npz: " in run.stderr
    assert Release.load("kept-release-1.npz").epsilon <= 1
