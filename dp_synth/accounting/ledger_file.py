"""Ledgers on disk: append-only JSON lines, sealed and chained, held by one writer at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dp_synth.accounting.ledger import Entry, Ledger
from dp_synth.accounting.ledger_lines import (
    Cut,
    all_of,
    append_synced,
    digest,
    read_bytes,
    repaired,
    seal,
    sync_folder,
)
from dp_synth.errors import LedgerError
from dp_synth.files import APPENDING, locked


class LedgerFile:
    """An append-only file of JSON lines, each with its SHA-256, and that of the line before it.

    The file is made by the first append. A line is on disk, and so is the folder's entry for the
    file, before the data that it pays for is read: a crash in between counts as spent, and a line
    that a crash left unfinished paid for nothing. The next append cuts it and says so in a line.
    A line that lacks its newline alone may have paid: it counts.

    The chain shows accidents and careless edits. Whole lines cut from the end, and a chain
    computed anew, show only to who has noted an earlier ``Ledger.head``; see `entries_since`.
    """

    def __init__(self, path: str | Path, ledger: Ledger) -> None:
        self.path = Path(path)
        self.ledger = ledger
        self._last = ""
        self._size = self._kept = 0  # bytes of the file, and those of lines that count
        self._rest, self._ended = b"", True
        self._handle: int | None = None
        if self.path.exists():
            with self.locked():  # so that no line is seen half written
                pass

    @property
    def is_begun(self) -> bool:
        """Whether its first line was on disk when it was last looked at."""
        return bool(self._last)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the file for this process alone, with what others have appended read in.

        LedgerError when it is not as it should be.
        """
        with _held(self.path) as self._handle:
            try:
                self._refresh(self._handle)
                yield
            finally:
                self._handle = None

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries and wait until they are on disk; on failure the file is as before.

        But for what a crash had left of a line, which may be gone.
        """
        if self._handle is None:
            with self.locked():
                self.append(entries)
            return
        lines: list[str] = []
        if not self._last:
            lines.append(self._chain(self.ledger.header()))
        if self._rest:
            lines.append(self._chain(Cut.of(self._rest).to_fields(), lines))
        for entry in entries:
            lines.append(self._chain(entry.to_fields(), lines))
        data = "".join(line + "\n" for line in lines).encode()
        self._write(self._handle, data if self._ended else b"\n" + data)
        self._rest, self._ended = b"", True
        self._last = lines[-1] if lines else self._last
        entries = (*self.ledger.entries, *entries)
        self.ledger = replace(self.ledger, entries=entries, head=digest(self._last))

    def _refresh(self, handle: int) -> None:
        """Read what others have appended."""
        size = os.fstat(handle).st_size
        if size == self._size:
            return
        data = all_of(handle)
        found = read_bytes(data, str(self.path))
        if self._last and self._last not in found.lines:
            raise self._changed()
        if found.ledger is not None:
            self._adopt(found.ledger)
        self._last = found.lines[-1] if found.lines else ""
        self._rest, self._ended = found.rest, found.ended
        self._size, self._kept = len(data), len(data) - len(found.rest)

    def _adopt(self, found: Ledger) -> None:
        """Take over what the file says; LedgerError where it was opened for something else."""
        if found.rule == self.ledger.rule:  # what was set apart was fixed when it was opened
            self.ledger = replace(self.ledger, delta_apart=found.delta_apart)
        if found.header() != {**self.ledger.header(), "dp_synth": found.header()["dp_synth"]}:
            raise LedgerError(
                f"{self.path}: was opened for {difference(found, self.ledger)}; give the same, or "
                "another file"
            )
        self.ledger = found

    def _write(self, handle: int, data: bytes) -> None:
        """Append to what counts, and see that it stands there and nowhere else."""
        last = self._last.encode() + b"\n" * self._ended if self._last else b""
        start = self._kept - len(last)
        if os.fstat(handle).st_size != self._size or all_of(handle, start)[: len(last)] != last:
            raise self._changed()
        try:
            if self._rest:
                os.truncate(handle, self._kept)
                self._size = self._kept
            append_synced(handle, data)
            if not self._last:
                sync_folder(self.path.resolve().parent)
        except OSError:
            os.truncate(handle, self._size)
            raise
        if os.lseek(handle, 0, os.SEEK_CUR) != self._kept + len(data):
            raise self._changed()  # another wrote in spite of the lock, and was first
        self._size = self._kept = self._kept + len(data)

    def _chain(self, fields: dict[str, object], before: Sequence[str] = ()) -> str:
        previous = before[-1] if before else self._last
        return seal({**fields, "previous": digest(previous)})

    def _changed(self) -> LedgerError:
        return LedgerError(f"{self.path}: was changed by another process; nothing was released")


def difference(found: Ledger, asked: Ledger) -> str:
    """Return what a ledger was opened for that is not what is asked now, part by part.

    >>> from dp_synth.accounting import PrivacyBudget
    >>> difference(Ledger(PrivacyBudget(1, 1e-9)), Ledger(PrivacyBudget(1, 1e-6), (), "gdp"))
    "delta 1e-09, not 1e-06, and rule 'planned', not 'gdp'"
    """
    first, second = ({**ledger.header(), "dp_synth": None} for ledger in (found, asked))
    return ", and ".join(
        f"{name} {first[name]!r}, not {second[name]!r}"
        for name in first
        if name in second and name != "version" and first[name] != second[name]
    )


def repair(path: str | Path) -> list[str]:
    """Mend what can be proven of a ledger file; return what was done, in words.

    Nothing is cut in which a line may stand that was paid for: only what follows the last whole
    line, and is an unfinished line, or holds none of the words that each line has. Line ends and
    a byte order mark that a transfer has put in are taken out where the seals hold without them.
    LedgerError, and nothing changed, where anything else is wrong.
    """
    where = Path(path).resolve(strict=True)
    with _held(where) as handle:
        return repaired(where, handle)


@contextmanager
def _held(path: Path) -> Iterator[int]:
    """Hold a file for this process alone; give a descriptor of it."""
    with locked(path) as held:
        handle = os.open(path, APPENDING) if held is None else held
        try:
            yield handle
        finally:
            if held is None:
                os.close(handle)
