"""What a crash, or a transfer, leaves of a ledger file: nothing acknowledged is lost."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from dp_synth.accounting import Accountant, Entry, Gaussian, Ledger, PrivacyBudget, read_ledger
from dp_synth.accounting.ledger_file import (
    LedgerFile,
    entries_since,
    examine,
    is_begun,
    read_bytes,
    repair,
)
from dp_synth.cli import main
from dp_synth.errors import LedgerError

BUDGET = PrivacyBudget(2.0, 1e-6)
EMPTY = Ledger(BUDGET, (), "gdp", delta_apart=0.02 * BUDGET.delta)


def line(kind: str, number: int) -> Entry:
    return Entry(kind, f"run-{number}", "ones", Gaussian(90.0, 1.0), 1, "ü \n", "os")  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def made(path: Path) -> list[tuple[int, tuple[Entry, ...]]]:
    """Write a ledger; return how long it was, and what it held, after each acknowledgement."""
    file, states = LedgerFile(path, EMPTY), [(0, ())]
    for number in range(3):
        two = [line("reservation", number), line("reservation", number + 10)]
        for entries in (two, [line("charge", number)]):
            file.append(entries)
            states.append((path.stat().st_size, file.ledger.entries))
    return states  # type: ignore[return-value]


def acknowledged(states: list[tuple[int, tuple[Entry, ...]]], length: int) -> tuple[Entry, ...]:
    return next(entries for size, entries in reversed(states) if size <= length)


def test_every_prefix_of_a_ledger_holds_all_that_was_acknowledged(path: Path) -> None:
    states = made(path)
    data, (_, whole) = path.read_bytes(), states[-1]
    for length in range(len(data) + 1):
        for zeros in (0, 40):
            found = read_bytes(data[:length] + bytes(zeros), "l")
            held = () if found.ledger is None else found.ledger.entries
            assert held == whole[: len(held)]
            assert len(held) >= len(acknowledged(states, length))


def test_after_every_kind_of_cut_a_ledger_is_written_on_and_verifies(path: Path) -> None:
    states = made(path)
    data = path.read_bytes()
    ends = [place for place, byte in enumerate(data) if byte == ord("\n")]
    around = {end + step for end in (-1, *ends) for step in (-1, 0, 1, 2, 60)}
    for length in sorted(n for n in around if 0 <= n <= len(data)):
        torn = data[:length]
        path.write_bytes(torn)
        file = LedgerFile(path, EMPTY)
        before = file.ledger.entries
        assert before[: len(acknowledged(states, length))] == acknowledged(states, length)
        assert path.read_bytes() == torn  # looking changes nothing
        file.append([line("reservation", 99)])
        again = examine(path)
        assert again.ledger is not None
        assert again.ledger.entries == (*before, line("reservation", 99)) == file.ledger.entries
        assert again.ended
        assert not again.rest
        kept = max(
            [0, *(end + 1 for end in ends if end < length), *(e for e in ends if e == length)]
        )
        assert [cut.size for cut in again.cuts.values()] == [length - kept] * (length > kept)
        assert file.ledger.head == again.ledger.head


def test_the_line_about_a_cut_says_what_it_was_and_is_part_of_the_chain(path: Path) -> None:
    made(path)
    whole = path.read_bytes()
    head = read_ledger(path).head
    path.write_bytes(whole + b'{"kind": "charge", "rec')
    LedgerFile(path, EMPTY).append([line("reservation", 9), line("charge", 9)])
    lines = path.read_bytes().splitlines()
    note = json.loads(lines[10])
    digest = hashlib.sha256(b'{"kind": "charge", "rec').hexdigest()
    assert {"kind": "cut", "version": 4, "bytes": 23, "sha256": digest}.items() <= note.items()
    assert whole == b"".join(one + b"\n" for one in lines[:10])  # nothing before it was touched
    assert json.loads(lines[0])["version"] == 3
    assert entries_since(path, head) == 2
    assert entries_since(path, hashlib.sha256(lines[10]).hexdigest()) == 2
    path.write_bytes(b"".join(one + b"\n" for one in (*lines[:10], *lines[11:])))
    with pytest.raises(LedgerError, match="line 11: does not continue the line before it"):
        read_ledger(path)


def test_a_whole_last_line_without_its_newline_counts(path: Path) -> None:
    made(path)
    whole = read_ledger(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert read_ledger(path) == whole
    file = LedgerFile(path, EMPTY)
    assert file.ledger == whole
    file.append([line("reservation", 7)])
    assert len(read_ledger(path).entries) == len(whole.entries) + 1
    assert not examine(path).cuts


@pytest.mark.parametrize(
    "left", [b"", b'{"format": "dp_', b'{"format": "dp_synth.ledger", "version": 2, "x']
)
def test_a_ledger_whose_first_line_was_never_finished_is_begun_anew(
    path: Path, left: bytes
) -> None:
    path.write_bytes(left)
    assert not is_begun(path)
    with pytest.raises(LedgerError, match="empty, so not a ledger"):
        read_ledger(path)
    assert Accountant(BUDGET, ledger=path, adaptive=True).open()
    assert read_ledger(path) == EMPTY
    assert len(examine(path).cuts) == bool(left)


@pytest.mark.parametrize("text", [b"my notes", b"{}", b'{"kind": "charge"', b"\0x"])
def test_a_file_of_another_kind_is_never_cut(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    assert is_begun(path)
    for attempt in (lambda: Accountant(BUDGET, ledger=path), lambda: repair(path)):
        with pytest.raises(LedgerError, match="line 1: not"):
            attempt()
    assert path.read_bytes() == text


def test_a_line_that_has_its_seal_is_never_taken_for_unfinished(path: Path) -> None:
    made(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # its newline, so that nothing ends it
    path.write_bytes(data)
    with pytest.raises(LedgerError, match="line 10: not JSON"):
        LedgerFile(path, EMPTY)
    assert repair(path) == [
        "the newline of its last line was added",
        "1 bytes after its last whole line were cut",
    ]
    assert len(read_ledger(path).entries) == 9


@pytest.mark.parametrize(
    ("damage", "done"),
    [
        (lambda data: data, []),
        (lambda data: data[:-1], ["the newline of its last line was added"]),
        (lambda data: data + b'{"kind": "ch', ["12 bytes after its last whole line were cut"]),
        (lambda data: data + bytes(4096), ["4096 bytes after its last whole line were cut"]),
        (lambda data: data + b"\n\n", ["2 bytes after its last whole line were cut"]),
        (lambda data: data + b"logout\n\xff\n", ["9 bytes after its last whole line were cut"]),
        (
            lambda data: data.replace(b"\n", b"\r\n"),
            ["line ends, or a mark at its start, of another system were taken out"],
        ),
        (
            lambda data: b"\xef\xbb\xbf" + data,
            ["line ends, or a mark at its start, of another system were taken out"],
        ),
        (
            lambda data: data[:-1].replace(b"\n", b"\r\n") + b"\r",
            [
                "line ends, or a mark at its start, of another system were taken out",
                "the newline of its last line was added",
                "1 bytes after its last whole line were cut",
            ],
        ),
    ],
    ids=["whole", "newline", "unfinished", "zeros", "blank", "foreign", "crlf", "mark", "cr"],
)
def test_what_can_be_proven_is_repaired_and_every_entry_kept(path: Path, damage, done) -> None:  # type: ignore[no-untyped-def]
    made(path)
    whole, data = read_ledger(path), path.read_bytes()
    path.write_bytes(damage(data))
    path.chmod(0o640)
    assert repair(path) == done
    assert read_ledger(path) == whole
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_bytes().startswith(data)
    assert repair(path) == []
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("damage", "number", "why"),
    [
        (lambda data: data[:-9] + b"X" + data[-8:], 10, "was changed after it was written"),
        (lambda data: b"recipf".join(data.rsplit(b"recipe", 1)), 10, "was changed after it"),
        (lambda data: data[:300] + data[301:], 1, "not JSON"),
        (lambda data: data.replace(b"run-1", b"run-7", 1), 3, "was changed"),
        (lambda data: data + data.split(b"\n")[-2] + b"\n", 11, "does not continue"),
        (lambda data: data[:-500] + bytes(100) + data[-400:], 9, "may stand there"),
    ],
    ids=["seal", "bit", "first", "earlier", "repeated", "hole"],
)
def test_what_cannot_be_proven_is_refused_with_its_line_and_left(
    path: Path, damage, number, why
) -> None:  # type: ignore[no-untyped-def]
    made(path)
    bad = damage(path.read_bytes())
    path.write_bytes(bad)
    with pytest.raises(LedgerError, match=rf"ledger\.jsonl, line {number}: .*{why}"):
        repair(path)
    assert path.read_bytes() == bad


@pytest.mark.parametrize("depth", [900, 980, 990, 1000, 100_000])
def test_a_line_that_is_nested_deeply_is_refused_in_a_line(path: Path, depth: int) -> None:
    made(path)
    with path.open("a") as file:
        file.write(f'{{"kind": {"[" * depth}{"]" * depth}}}\n')
    for read in (read_ledger, repair):
        with pytest.raises(LedgerError, match=r"line 11: not JSON"):
            read(path)


def test_a_ledger_of_several_names_is_not_parted_by_a_repair(path: Path) -> None:
    made(path)
    bad = path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(bad)
    (path.parent / "other.jsonl").hardlink_to(path)
    with pytest.raises(LedgerError, match=r"several names \(hard links\)"):
        repair(path)
    assert path.read_bytes() == bad


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"bytes": 0}, "bytes of a cut must be a whole number above 0"),
        ({"bytes": "9"}, "bytes of a cut must be a whole number above 0"),
        ({"version": 5}, "not a line about a cut of version 4"),
        ({"sha256": "\x1b[2J"}, "not a line about a cut of version 4"),
        ({"sha256": None}, "not a line about a cut of version 4"),
    ],
)
def test_a_line_about_a_cut_that_makes_no_sense_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], why: str
) -> None:
    from dp_synth.accounting.ledger_file import Cut

    made(path)
    path.write_bytes(path.read_bytes() + b'{"kind": "ch')
    fields = {**Cut.of(b'{"kind": "ch').to_fields(), **changes}
    monkeypatch.setattr(Cut, "to_fields", lambda _: fields)
    LedgerFile(path, EMPTY).append([])
    with pytest.raises(LedgerError, match=f"line 11: {why}"):
        read_ledger(path)


def test_a_full_disk_while_cutting_loses_no_line_and_the_cut_is_said_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind": "ch')
    file = LedgerFile(path, EMPTY)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "no space left")))
        with pytest.raises(OSError, match="no space left"):
            file.append([line("reservation", 7)])
    assert path.read_bytes() == whole
    file.append([line("reservation", 7)])
    found = examine(path)
    assert [cut.size for cut in found.cuts.values()] == [12]
    assert found.ledger == file.ledger == replace(EMPTY, entries=file.ledger.entries)


def test_the_command_line_says_what_is_cut_and_repairs(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(path)
    path.write_bytes(path.read_bytes() + b'{"kind": "ch')
    assert main(["ledger", "verify", str(path)]) == 0
    said = capsys.readouterr().out
    assert "12 bytes after line 10 are of a line that was never finished: nothing was" in said
    assert main(["ledger", "repair", str(path)]) == 0
    said = capsys.readouterr().out
    assert said == f"{path}: 12 bytes after its last whole line were cut; 9 entries\n"
    assert main(["ledger", "verify", str(path)]) == 0
    assert "line 11 says that 12 bytes of an unfinished line were cut" in capsys.readouterr().out
    assert main(["ledger", "repair", str(path)]) == 0
    assert "nothing to mend" in capsys.readouterr().out
    path.write_bytes(path.read_bytes().replace(b"run-1", b"run-7", 1))
    for command in ("verify", "repair"):
        assert main(["ledger", command, str(path)]) == 2
        printed = capsys.readouterr()
        assert f"{path}, line 3: was changed after it was written" in printed.err
        assert printed.err.count("\n") == 1
    assert main(["ledger", "repair", str(path.parent / "absent")]) == 2
    assert not (path.parent / "absent").exists()
