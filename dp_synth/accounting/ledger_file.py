"""Ledgers on disk: append-only JSON lines, sealed and chained, shared under a lock."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dp_synth.accounting.balance import Balance
from dp_synth.accounting.ledger import FORMAT, Entry, Ledger
from dp_synth.errors import LedgerError
from dp_synth.readers import parse_json


class LedgerFile:
    """An append-only file of JSON lines, each with its SHA-256, and that of the line before it.

    The file is made by the first append. A line is on disk before the data that it pays for is
    read, so that a crash in between counts as spent. The chain shows accidents and careless
    edits. Whole lines cut from the end, and a chain computed anew, show only to who has noted an
    earlier ``Ledger.head``; see `entries_since`.
    """

    def __init__(self, path: str | Path, ledger: Ledger) -> None:
        self.path = Path(path)
        self.ledger = ledger
        self._last = ""
        self._size: int | None = None
        if self.path.exists():
            with self.locked():  # so that no line is seen half written
                pass

    def refresh(self) -> None:
        """Read what others have appended; LedgerError when the file is not as it should be."""
        if not self.path.exists():
            return
        size = self.path.stat().st_size
        if size == self._size:
            return
        found, last = _read(self.path)
        if found.rule == self.ledger.rule:  # what was set apart was fixed when it was opened
            self.ledger = replace(self.ledger, delta_apart=found.delta_apart)
        if found.header() != {**self.ledger.header(), "dp_synth": found.header()["dp_synth"]}:
            raise LedgerError(
                f"{self.path}: was opened for {difference(found, self.ledger)}; give the same, or "
                "another file"
            )
        self.ledger, self._last, self._size = found, last, size

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the file for this process alone, with what others have appended read in."""
        import fcntl

        name = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()
        guard = Path(tempfile.gettempdir()) / f"dp_synth-{name[:32]}.lock"
        with guard.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self.refresh()
            yield

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries and wait until they are on disk; on failure the file is as before."""
        lines = []
        if not self._last:
            lines.append(self._chain(self.ledger.header()))
        for entry in entries:
            lines.append(self._chain(entry.to_fields(), lines))
        data = "".join(line + "\n" for line in lines).encode()
        self._write(data)
        if lines:
            self._last = lines[-1]
        self._size = (self._size or 0) + len(data)
        entries = (*self.ledger.entries, *entries)
        self.ledger = replace(self.ledger, entries=entries, head=_digest(self._last))

    def _write(self, data: bytes) -> None:
        size = self.path.stat().st_size if self.path.exists() else None
        try:
            if size != self._size:
                raise FileExistsError
            file = self.path.open("xb" if size is None else "ab")
        except FileExistsError:
            raise LedgerError(
                f"{self.path}: was changed by another process; nothing was released"
            ) from None
        try:
            with file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self._restore(size)
            raise

    def _chain(self, fields: dict[str, object], before: Sequence[str] = ()) -> str:
        previous = before[-1] if before else self._last
        return _seal({**fields, "previous": _digest(previous)})

    def _restore(self, size: int | None) -> None:
        if size is None:
            self.path.unlink(missing_ok=True)
        else:
            os.truncate(self.path, size)


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


def read_ledger(path: str | Path) -> Ledger:
    """Return what the ledger file says, verified; LedgerError naming the line that is wrong."""
    return _read(Path(path))[0]


def entries_since(path: str | Path, head: str) -> int:
    """Return how many entries the ledger file has after the line whose SHA-256 was noted.

    LedgerError where no line has it: some were cut from the end, or the file was written anew.
    """
    read_ledger(path)
    lines = Path(path).read_text(encoding="utf-8").split("\n")[:-1]
    for later, line in enumerate(reversed(lines)):
        if _digest(line) == head.strip().lower():
            return later
    raise LedgerError(
        f"{path}: no line has the head {head.strip()!r}: lines were cut from its end, or it is "
        "another ledger"
    )


def _read(path: Path) -> tuple[Ledger, str]:
    """Return the ledger in a file and its last line."""
    data = path.read_bytes()
    if not data:
        raise LedgerError(f"{path}: empty, so not a ledger; give the path of a new file")
    lines = data.decode("utf-8", errors="replace").split("\n")
    last = lines.pop()
    ledger = read_lines(lines, str(path))
    if last:
        raise LedgerError(f"{path}, line {len(lines) + 1}: was not written to its end")
    return ledger, lines[-1]


def read_lines(lines: Sequence[str], source: str) -> Ledger:
    """Return what a ledger file's lines say; LedgerError naming the first line that is wrong."""
    previous = ""
    ledger: Ledger | None = None
    entries: list[Entry] = []
    balance = Balance()
    for number, line in enumerate(lines, 1):
        try:
            fields = _opened(line)
            if number == 1:
                ledger = Ledger.opened(fields)
            if line != _seal(fields):
                raise LedgerError("was changed after it was written")
            if fields.get("previous") != _digest(previous):
                raise LedgerError("does not continue the line before it; lines were moved or cut")
            if number > 1:
                entries.append(_next_entry(fields, balance))
        except LedgerError as error:
            raise LedgerError(f"{source}, line {number}: {error}") from error
        previous = line
    if ledger is None:
        raise LedgerError(f"{source}, line 1: empty, so not a ledger")
    return replace(ledger, entries=tuple(entries), head=_digest(previous))


def _next_entry(fields: Mapping[str, object], balance: Balance) -> Entry:
    """Return the entry of a line, counted in; LedgerError for a charge that nobody reserved."""
    entry = Entry.from_fields(fields)
    if entry.kind == "charge" and (why := balance.lacks(entry)):
        raise LedgerError(f"was charged and not reserved, so that nothing is certified: {why}")
    balance.add(entry)
    return entry


def _opened(line: str) -> dict[str, object]:
    """Return the JSON object of one line, without its seal."""
    try:
        fields = parse_json(line)
    except ValueError:
        raise LedgerError(f"not JSON, so not a line of a {FORMAT}") from None
    if not isinstance(fields, dict):
        raise LedgerError(f"not a JSON object, so not a line of a {FORMAT}")
    fields.pop("seal", None)
    return fields


def _seal(fields: Mapping[str, object]) -> str:
    """Return the line that says ``fields``, with the SHA-256 of all that it says."""
    return json.dumps({**fields, "seal": _digest(json.dumps(fields))})


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode(errors="surrogatepass")).hexdigest() if line else ""
