"""Life of a data card: what happened to a release, in a chain to which entries are only added.

A file of JSON lines beside the card. Each entry has the SHA-256 of the one before, the first that
of the card's publishable part, so that an entry which was changed, moved or taken out of the middle
is seen. One cut off the end is not, unless its digest, the head, was noted elsewhere: it is printed
whenever an entry is added, and may be given when the life is read.

Entries are claims of those who wrote them, not cryptography: the chain is worth as much as a head
that was noted where nobody could change it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from dp_synth.accounting.ledger_file import all_of, append_synced
from dp_synth.errors import InputError
from dp_synth.extensions import nearest
from dp_synth.faults import first_fault
from dp_synth.files import APPENDING, locked
from dp_synth.readers import read_json_lines
from dp_synth.report.card import DataCard

Kind = Literal["created", "validated", "signed", "deployed", "checked", "retired"]
KINDS: tuple[str, ...] = get_args(Kind)
"""What can happen to a release."""

Value = str | int | float | bool | None


class LifeError(InputError):
    """The life of a card is malformed, or its chain does not hold."""


@dataclass(frozen=True)
class Event:
    """What happened, who says so, where or how in a sentence, and numbers that belong to it."""

    kind: Kind
    by: str
    note: str = ""
    found: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"no event is called {self.kind!r}; {nearest(self.kind, KINDS)}")
        if not self.by.strip():
            raise InputError("an event must say by whom")
        for name, text in (("by", self.by), ("note", self.note)):
            if not _is_text(text):
                raise InputError(f"{name} of an event must be text in UTF-8, got {text!r}")


def _is_text(text: str) -> bool:
    """Tell whether a file can hold it: not the half of a pair that bytes of no UTF-8 become."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class LifeEntry:
    """An event, when it was noted (UTC), and the digest of the entry before it."""

    kind: Kind
    by: str
    note: str
    found: Mapping[str, Value]
    at: str
    previous: str

    @property
    def digest(self) -> str:
        """SHA-256 of the entry: the head of the chain, where it is the last one."""
        written = json.dumps(asdict(self), sort_keys=True, allow_nan=False)
        return hashlib.sha256(written.encode()).hexdigest()

    @property
    def time(self) -> datetime:
        """When it was noted; LifeError where that is no time."""
        try:
            found = datetime.fromisoformat(self.at)
        except ValueError:
            raise LifeError(f"'at' of an entry must be a time, got {self.at!r}") from None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def __str__(self) -> str:
        said = f": {self.note}" if self.note else ""
        return f"{self.at[:10]} {self.kind} by {self.by}{said}"


def life_file(card: str | Path) -> Path:
    """Return where the life of a card is kept.

    >>> life_file("adult.json").name
    'adult.life.jsonl'
    """
    return Path(card).with_suffix(".life.jsonl")


def read_life(path: Path, card: DataCard, *, head: str | None = None) -> tuple[LifeEntry, ...]:
    """Return the life of a card, empty where none is there.

    LifeError for a line that is no entry, for a chain that does not hold, for that of another card,
    and where the digest ``head`` is of none of its entries: then its end was cut off.
    """
    entries = tuple(_entries(path)) if path.exists() else ()
    _check_chain(path, card, entries)
    known = {card.digest, *(one.digest for one in entries)}
    if head is not None and head not in known:
        raise LifeError(f"{path}: has no entry with the digest {head!r}: its end was cut off")
    return entries


def add_event(path: Path, card: DataCard, *events: Event) -> tuple[LifeEntry, ...]:
    """Add events to the life of a card, and return what was added.

    The first is preceded by one that says when the card was made known ("created"). Nothing is
    written where the life does not hold; whoever else adds meanwhile waits.
    """
    with locked(path) as handle:
        entries = list(read_life(path, card)) if path.stat().st_size else []
        before = len(entries)
        if not entries and (not events or events[0].kind != "created"):
            _append(entries, card, Event("created", f"dp_synth {card.dp_synth}"))
        for event in events:
            if event.kind == "created" and entries:
                raise LifeError(f"{path}: the card is created already")
            _append(entries, card, event)
        added = entries[before:]
        text = "".join(f"{json.dumps(asdict(one), ensure_ascii=False)}\n" for one in added)
        _write(path, handle, text.encode())
    return tuple(added)


def last_of(entries: Sequence[LifeEntry], kind: Kind) -> LifeEntry | None:
    """Return the last entry of a kind; None where there is none."""
    return next((one for one in reversed(entries) if one.kind == kind), None)


def _append(entries: list[LifeEntry], card: DataCard, event: Event) -> None:
    previous = entries[-1].digest if entries else card.digest
    at = datetime.now(UTC).isoformat(timespec="seconds")
    found = dict(event.found)
    entries.append(LifeEntry(event.kind, event.by, event.note, found, at, previous))


def _write(path: Path, handle: int | None, content: bytes) -> None:
    """Append to the file that is held, and have the disk keep it: all of it or nothing.

    A newline that its last line lacks is added.
    """
    own = os.open(path, APPENDING) if handle is None else handle
    size = os.fstat(own).st_size
    try:
        if size and all_of(own, size - 1) != b"\n":
            content = b"\n" + content
        append_synced(own, content)
    except OSError:
        os.truncate(own, size)
        raise
    finally:
        if handle is None:
            os.close(own)


def _entries(path: Path) -> list[LifeEntry]:
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(LifeEntry)
    found: list[LifeEntry] = []
    for number, fields in enumerate(read_json_lines(path), 1):
        try:
            found.append(adapter.validate_python(fields))
        except ValidationError as error:
            raise LifeError(f"{path}: line {number}: {first_fault(error).line()}") from None
        if unknown := [name for name in fields if name not in asdict(found[-1])]:
            raise LifeError(f"{path}: line {number}: {unknown[0]}: unknown key")
    return found


def _check_chain(path: Path, card: DataCard, entries: Sequence[LifeEntry]) -> None:
    expected = card.digest
    for number, entry in enumerate(entries, 1):
        if entry.previous != expected:
            why = "an entry before it was changed or removed"
            if number == 1:
                why = "it is the life of another card, or its first entry was removed"
            raise LifeError(f"{path}: line {number}: the chain does not hold: {why}")
        expected = entry.digest
        _ = entry.time
