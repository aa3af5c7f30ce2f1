"""The ledger on disk: written before anything is read, and refused once it was changed."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any, NoReturn

import pytest

from dp_synth.accounting import (
    Accountant,
    Entry,
    Gaussian,
    Gaussians,
    Ledger,
    Plan,
    PrivacyBudget,
    Reservation,
    Selection,
    Selections,
    read_ledger,
)
from dp_synth.errors import BudgetExceeded, LedgerError

BUDGET = PrivacyBudget(2.0, 1e-6)
PLAN = Plan({"ones": Gaussians(3), "tree": Selections(2)})


def _open(path: Path) -> Accountant:
    return Accountant(BUDGET, ledger=path)


def _charge(payer: Reservation, count: int = 1) -> None:
    part = payer.plan.gaussians("ones")
    payer.charge(part, part.event(1 / 3), count, why="ones: \u00fc, \u2028 and \n")


def _made(path: Path) -> Accountant:
    accountant = _open(path)
    payer = accountant.admit("fit", PLAN)
    _charge(payer, 2)
    _charge(payer)
    tree = payer.plan.selections("tree")
    payer.charge(tree, tree.event(), 2, why="an edge")
    return accountant


def _kinds(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line).get("kind", "head") for line in lines]


def test_the_file_is_made_at_admission_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    accountant = _open(path)
    with pytest.raises(BudgetExceeded):
        accountant.admit("greedy", Plan({"ones": Gaussians(9, noise_multiplier=0.1)}))
    assert not path.exists()
    payer = accountant.admit("fit", PLAN)
    assert _kinds(path) == ["head", "reservation", "reservation"]
    with pytest.raises(BudgetExceeded):
        _charge(payer, 4)
    assert len(_kinds(path)) == 3
    _charge(payer)
    assert _kinds(path) == ["head", "reservation", "reservation", "charge"]


def test_an_adaptive_ledger_can_be_opened_before_anything_is_asked_of_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for _ in range(2):
        Accountant(BUDGET, ledger=path, adaptive=True).open()
        assert _kinds(path) == ["head"]
    assert read_ledger(path) == Ledger(BUDGET, (), "gdp", delta_apart=0.02 * BUDGET.delta)
    assert read_ledger(path).epsilon == 0


def test_the_head_says_what_the_ledger_is_for(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    budget = PrivacyBudget(2.0, 1e-6, "replace_one", "person", 3)
    Accountant(budget, ledger=path, adaptive="gdp", simulate=True).open()
    head = json.loads(path.read_text(encoding="utf-8"))
    expected = {"unit": "person", "max_rows": 3, "rule": "gdp", "simulation": True, "version": 3}
    assert expected.items() <= head.items()
    assert read_ledger(path).budget == budget
    assert read_ledger(path).simulation


def test_entries_come_back_bit_for_bit(tmp_path: Path) -> None:
    written = _made(tmp_path / "ledger.jsonl")
    read = _open(tmp_path / "ledger.jsonl")
    assert read.ledger == written.ledger
    assert len(read.ledger) == 3
    assert read.epsilon() == written.epsilon() > 0
    assert Ledger.from_fields(json.loads(json.dumps(read.ledger.to_fields()))) == read.ledger


def test_a_ledger_with_charges_refuses_every_new_plan(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    _made(path)
    before = path.read_bytes()
    with pytest.raises(BudgetExceeded, match=r"ledger\.jsonl already holds a plan"):
        _open(path).admit("again", Plan({"ones": Gaussians(1, noise_multiplier=1e6)}))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("other", "part"),
    [
        (PrivacyBudget(2.5, 1e-6), "epsilon 2.0, not 2.5;"),
        (PrivacyBudget(2, 1e-5), "delta 1e-06, not 1e-05;"),
        (PrivacyBudget(2, 1e-6, "replace_one"), "adjacency 'add_remove', not 'replace_one';"),
        (PrivacyBudget(2, 1e-5, unit="who"), "delta 1e-06, not 1e-05, and unit None, not 'who';"),
    ],
)
def test_a_ledger_of_another_budget_is_refused_by_what_differs(
    tmp_path: Path, other: PrivacyBudget, part: str
) -> None:
    _made(tmp_path / "ledger.jsonl")
    with pytest.raises(LedgerError, match=rf"ledger\.jsonl: was opened for {re.escape(part)}"):
        Accountant(other, ledger=tmp_path / "ledger.jsonl")


def test_a_ledger_of_another_kind_of_root_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    _made(path)
    with pytest.raises(LedgerError, match="opened for rule 'planned', not 'gdp'"):
        Accountant(BUDGET, ledger=path, adaptive="gdp")
    with pytest.raises(LedgerError, match="opened for simulation False, not True"):
        Accountant(BUDGET, ledger=path, simulate=True)


def test_every_changed_byte_is_noticed_and_its_line_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    _made(path)
    good = path.read_bytes()
    for position in range(0, len(good), 7):
        line = good[:position].count(b"\n") + 1
        for change in (1, 0x80):
            bad = bytearray(good)
            bad[position] ^= change
            path.write_bytes(bytes(bad))
            with pytest.raises(LedgerError, match=rf"ledger\.jsonl, line {line}: "):
                _open(path)
    path.write_bytes(good)
    assert len(_open(path).ledger) == 3


@pytest.mark.parametrize(
    ("order", "line"), [((0, 2, 3), 2), ((0, 1, 3), 3), ((0, 2, 1, 3), 2), ((0, 1, 1, 2, 3), 3)]
)
def test_lines_removed_moved_or_repeated_are_noticed(
    tmp_path: Path, order: tuple[int, ...], line: int
) -> None:
    path = tmp_path / "ledger.jsonl"
    _made(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[i] for i in order))
    with pytest.raises(LedgerError, match=rf"line {line}: does not continue the line before it"):
        _open(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,sex\n39,Male\n", "line 1: not JSON"),
        ("[1, 2]\n", "line 1: not a JSON object"),
        ('{"format": "other", "version": 1}\n', "line 1: not a dp_synth.ledger of version 2"),
        ("\x00\udcff\udcfe\n", "line 1: not JSON"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    with pytest.raises(LedgerError, match=rf"ledger\.jsonl[:,] {message}"):
        _open(path)


def _rewritten(path: Path, line: int, **changes: object) -> None:
    """Change one line as a program would that knows the format, seals and all."""
    from dp_synth.accounting.ledger_file import digest, seal

    previous, lines = "", []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields: dict[str, Any] = json.loads(text)
        del fields["seal"]
        fields |= changes if number == line else {}
        fields["previous"] = digest(previous)
        previous = seal(fields)
        lines.append(previous + "\n")
    path.write_text("".join(lines), encoding="utf-8")


def test_a_version_from_the_future_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    _made(path)
    _rewritten(path, 0)
    assert len(_open(path).ledger) == 3  # rewriting alone changes nothing
    _rewritten(path, 1, version=4)
    with pytest.raises(LedgerError, match=r"line 1: not a dp_synth\.ledger of version 2 or 3"):
        _open(path)


@pytest.mark.parametrize("apart", [{}, {"delta_apart": 1}, {"delta_apart": 0.9}])
def test_a_head_must_say_how_much_of_delta_is_set_apart(
    apart: dict[str, float], tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    _made(path)
    _rewritten(path, 1, version=3, **apart)
    with pytest.raises(LedgerError, match="line 1: delta_apart must be at most half of its delta"):
        _open(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"event": {"type": "cauchy", "scale": 2.0}}, "unknown event"),
        ({"event": {"type": "gaussian", "noise_multiplier": 2.0}}, "unknown event"),
        ({"event": {"type": "selection", "epsilon": -1}}, "must be a finite number above 0"),
        ({"event": "gaussian"}, "must be an object"),
        ({"count": -3}, "count of an entry must be a whole number above 0"),
        ({"count": 1.5}, "count of an entry must be a whole number above 0"),
        ({"randomness": "dice"}, "unknown randomness 'dice'"),
        ({"sampler": "approximate"}, "unknown sampler 'approximate'"),
        ({"kind": "refund"}, "unknown kind 'refund'"),
        ({"why": None}, "must be text"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = tmp_path / "ledger.jsonl"
    _made(path)
    _rewritten(path, 3, **changes)
    with pytest.raises(LedgerError, match=rf"ledger\.jsonl, line 3: .*{message}"):
        _open(path)


def test_a_ledger_without_its_fields_is_refused() -> None:
    entry = Entry("charge", "fit", "tree", Selection(0.1), 2, "edge", "os")
    fields = Ledger(BUDGET, (entry,)).to_fields()
    for missing in ("entries", "format", "epsilon", "adjacency", "unit", "rule", "simulation"):
        with pytest.raises(LedgerError):
            Ledger.from_fields({name: fields[name] for name in fields if name != missing})


def _full_disk(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "no space left on device")


def _full_after(written: int) -> Any:
    def fsync(handle: int) -> NoReturn:
        os.ftruncate(handle, os.fstat(handle).st_size - written)
        _full_disk()

    return fsync


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("failing", ["open", "fsync", "part of a line"])
def test_a_full_disk_leaves_the_file_as_it_was_and_nothing_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool, failing: str
) -> None:
    path = tmp_path / "ledger.jsonl"
    accountant = _open(path)
    payer = None if first else accountant.admit("fit", PLAN)
    before, ledger = (path.read_bytes() if payer else None), accountant.ledger
    with monkeypatch.context() as patch:
        if failing == "open":
            patch.setattr(os, "open", _full_disk)
        else:
            patch.setattr(os, "fsync", _full_disk if failing == "fsync" else _full_after(20))
        with pytest.raises(OSError, match="no space"):
            _charge(payer or accountant.admit("fit", PLAN))
    assert (path.read_bytes() if path.exists() else None) == before
    assert accountant.ledger == ledger
    _charge(payer or accountant.admit("fit", PLAN), 3)  # all that was left is left
    assert _open(path).ledger == accountant.ledger


def test_of_two_accountants_that_race_for_one_new_file_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    one, other = _open(path), _open(path)
    _charge(one.admit("fit", PLAN))
    before = path.read_bytes()
    with pytest.raises(BudgetExceeded, match=r"ledger\.jsonl already holds a plan .* nothing was"):
        other.admit("fit", PLAN)
    assert path.read_bytes() == before
    assert other.ledger == one.ledger  # what it may not spend, it can see


@pytest.mark.parametrize("change", ["appended", "removed", "replaced"])
def test_a_file_that_was_tampered_with_meanwhile_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "ledger.jsonl"
    payer = _open(path).admit("fit", PLAN)
    _charge(payer)
    if change == "appended":
        with path.open("a", encoding="utf-8") as file:
            file.write("{}\n")
    elif change == "removed":
        path.unlink()
    else:
        path.write_text("another's\n", encoding="utf-8")
    with pytest.raises(LedgerError, match=r"line 5: |changed by another|line 1: not JSON"):
        _charge(payer)
    assert payer.left(payer.plan.gaussians("ones")) == 2


def test_each_charge_is_on_disk_before_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "ledger.jsonl", []
    payer = _open(path).admit("fit", PLAN)
    fsync = os.fsync

    def note(handle: int) -> None:
        synced.append(os.fstat(handle).st_size)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    for _ in range(2):
        _charge(payer)
        assert synced[-1] == path.stat().st_size
    assert len(synced) == 2


def test_floats_of_events_survive_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    plan = Plan({"ones": Gaussians(1, noise_multiplier=26.188886351554064)})
    payer = _open(path).admit("fit", plan)
    payer.charge(plan.gaussians("ones"), Gaussian(26.18888635155407, 2**0.5), 1, why="roots")
    [entry] = _open(path).ledger
    assert entry.event == Gaussian(26.18888635155407, 1.4142135623730951)
