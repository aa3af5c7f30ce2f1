"""Ledger files: append-only JSON lines, sealed and chained, verified, and mended where proven.

One writer holds a file at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dp_synth.accounting.ledger import FORMAT, Balance, Entry, Ledger
from dp_synth.errors import LedgerError
from dp_synth.files import APPENDING, hold, locked, written_whole
from dp_synth.readers import parse_json

CUT, CUT_VERSION = "cut", 4
"""The kind of a line that says what was cut, and the version from which there are such lines."""
BEGINNINGS = (f'{{"format": "{FORMAT}", "version": ', '{"kind": "')  # of the first line, of others
SEALED = re.compile(rb'"seal": "[0-9a-f]{64}"\}')  # how a whole line ends, and nothing before
WORDS = re.compile(rb'"(format|kind|recipe|part|event|why|randomness|sampler|previous|seal)"')
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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
        if differing := difference(found, self.ledger):
            raise LedgerError(
                f"{self.path}: was opened for {differing}; give the same, or another file"
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
    if found.budget.kind != asked.budget.kind:
        return f"{found.budget.said}, not {asked.budget.said}"
    if found.budget.risk is not None:
        del first["epsilon"]  # which comes of the risk, on each machine by its own rounding
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


@dataclass(frozen=True)
class Cut:
    """A line that says how many bytes of no whole line were cut, and what they were."""

    size: int
    sha256: str

    @classmethod
    def of(cls, rest: bytes) -> Cut:
        """Return the line for what is cut."""
        return cls(len(rest), hashlib.sha256(rest).hexdigest())

    def to_fields(self) -> dict[str, object]:
        """Return the line as a JSON object."""
        return {"kind": CUT, "version": CUT_VERSION, "bytes": self.size, "sha256": self.sha256}

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> Cut:
        """Return what ``to_fields`` wrote; LedgerError for anything else."""
        size, sha256 = fields.get("bytes"), fields.get("sha256")
        is_digest = isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256)
        if fields.get("version") != CUT_VERSION or not is_digest:
            raise LedgerError(f"not a line about a cut of version {CUT_VERSION}")
        if type(size) is not int or size < 1:
            raise LedgerError(f"bytes of a cut must be a whole number above 0, got {size!r}")
        return cls(size, str(sha256))


@dataclass(frozen=True)
class Reading:
    """What a ledger file holds, verified: its lines, what they say, and what no line is.

    ``ledger`` is None of a file in which not even the first line was finished. ``rest`` is what
    a crash has left of a line at the end, and ``ended`` whether the last whole line has its
    newline. ``cuts`` says by line what was cut before.
    """

    ledger: Ledger | None
    lines: tuple[str, ...]
    cuts: Mapping[int, Cut]
    rest: bytes = b""
    ended: bool = True

    def remarks(self) -> list[str]:
        """Return what was cut, and what is to be, in words."""
        nothing = "nothing was released for it"
        said = [
            f"line {number} says that {cut.size} bytes of an unfinished line were cut (SHA-256 "
            f"{cut.sha256}): {nothing}"
            for number, cut in self.cuts.items()
        ]
        if self.rest:
            said.append(
                f"{len(self.rest)} bytes after line {len(self.lines)} are of a line that was never "
                f"finished: {nothing}; the next entry, or `dp-synth ledger repair`, cuts them"
            )
        if not self.ended:
            said.append("the last line lacks its newline; it counts, and the next entry adds it")
        return said


class WrongLine(LedgerError):
    """A line of a ledger file is not as it should be."""

    def __init__(self, source: str, number: int, why: object) -> None:
        super().__init__(f"{source}, line {number}: {why}")
        self.number = number


def read_ledger(path: str | Path) -> Ledger:
    """Return what the ledger file says, verified; LedgerError naming the line that is wrong.

    What a crash has left of a last line is no part of it.
    """
    ledger = examine(path).ledger
    if ledger is None:
        raise LedgerError(f"{path}: empty, so not a ledger; give the path of a new file")
    return ledger


def is_begun(path: str | Path) -> bool:
    """Tell whether a ledger, or anything else, is in a file: not even a crash's unfinished line."""
    with suppress(LedgerError):
        return Path(path).exists() and examine(path).ledger is not None
    return True


def entries_since(path: str | Path, head: str) -> int:
    """Return how many entries the ledger file has after the line whose SHA-256 was noted.

    LedgerError where no line has it: some were cut from the end, or the file was written anew.
    """
    found = examine(path)
    for later, line in enumerate(reversed(found.lines)):
        if digest(line) == head.strip().lower():
            return later - sum(number > len(found.lines) - later for number in found.cuts)
    raise LedgerError(
        f"{path}: no line has the head {head.strip()!r}: lines were cut from its end, or it is "
        "another ledger"
    )


def examine(path: str | Path) -> Reading:
    """Return all that a ledger file holds, verified; LedgerError naming the line that is wrong.

    It is read without waiting for writers, unless one seems to be at work.
    """
    where = Path(path)
    if where.exists() and not where.is_file():
        raise LedgerError(f"{path}: is no regular file, so not a ledger")
    with where.open("rb") as file:
        with suppress(LedgerError, PermissionError):
            found = read_bytes(file.read(), str(path))
            if found.ledger is not None and not found.rest:
                return found
        with suppress(OSError):
            hold(file.fileno())
        file.seek(0)
        return read_bytes(file.read(), str(path))


def repaired(path: Path, handle: int) -> list[str]:
    """Mend a file that is held, see `repair`; return what was done, in words."""
    data = all_of(handle)
    plain = data.removeprefix(BYTE_ORDER_MARK).replace(b"\r\n", b"\n")
    kept, found = _provable(plain, str(path))
    done = []
    if plain != data:
        done.append("line ends, or a mark at its start, of another system were taken out")
    addition = b"" if found.ended else b"\n"
    if not found.ended:
        done.append("the newline of its last line was added")
    if rest := plain[kept:]:
        last = found.lines[-1]
        note = seal({**Cut.of(rest).to_fields(), "previous": digest(last)})
        addition += note.encode() + b"\n"
        done.append(f"{len(rest)} bytes after its last whole line were cut")
    if plain != data:
        _replace(path, plain[:kept] + addition)
    elif done:
        os.truncate(handle, kept)
        append_synced(handle, addition)
    return done


def _provable(data: bytes, source: str) -> tuple[int, Reading]:
    """Return how many bytes of a file surely stand, and what they say; LedgerError if unproven."""
    try:
        found = read_bytes(data, source)
        if found.ledger is None:
            raise LedgerError(
                f"{source}: not even its first line was finished, so that nothing was charged; a "
                "new run can be given it"
            )
        return len(data) - len(found.rest), found
    except WrongLine as error:
        lines = data.split(b"\n")[: error.number]
        kept = sum(len(line) + 1 for line in lines[:-1])
        if whole := SEALED.search(lines[-1]):  # what follows a whole line is not of it
            kept += whole.end()
        rest = data[kept:]
        if not kept or not rest or WORDS.search(rest):
            raise LedgerError(
                f"{error}; a line that was paid for may stand there, so that nothing is cut"
            ) from None
        return kept, read_bytes(data[:kept], source)


def _replace(path: Path, data: bytes) -> None:
    """Put a file of the same mode and owner in the place of one that is held."""
    if path.stat().st_nlink > 1:
        raise LedgerError(f"{path}: has several names (hard links); leave one, and repair that")
    with written_whole(path) as passing:
        passing.write_bytes(b"")
        shutil.copymode(path, passing)
        with suppress(OSError):
            shutil.chown(passing, path.stat().st_uid, path.stat().st_gid)
        with passing.open("ab") as file:
            append_synced(file.fileno(), data)
    sync_folder(path.parent)


def read_bytes(data: bytes, source: str) -> Reading:
    """Return what the bytes of a ledger file say; LedgerError naming the line that is wrong."""
    before, newline, tail = data.rpartition(b"\n")
    lines = before.decode(errors="replace").split("\n") if newline else []
    last = tail.rstrip(b"\0")  # zeros are blocks that were never written
    if _is_unfinished(last, is_first=not lines):
        rest, ended = tail, True
    else:
        rest, ended = tail[len(last) :], False
        lines.append(last.decode(errors="replace"))
    if not lines:
        return Reading(None, (), {}, rest)
    ledger, cuts = _verified(lines, source)
    return Reading(ledger, tuple(lines), cuts, rest, ended)


def _is_unfinished(last: bytes, *, is_first: bool) -> bool:
    """Tell whether what stands after the last newline is what a crash leaves of a line.

    That is the beginning of one. A line that has its seal was written to its end: what follows it
    is damage of another kind.
    """
    beginning = BEGINNINGS[not is_first].encode()
    return last[: len(beginning)] == beginning[: len(last)] and not SEALED.search(last)


def _verified(lines: Sequence[str], source: str) -> tuple[Ledger, dict[int, Cut]]:
    """Return what lines say, and by number what lines about cuts do."""
    previous = ""
    ledger: Ledger | None = None
    entries: list[Entry] = []
    cuts: dict[int, Cut] = {}
    balance = Balance()
    for number, line in enumerate(lines, 1):
        try:
            fields = _opened(line)
            if number == 1:
                ledger = Ledger.opened(fields)
            if line != seal(fields):
                raise LedgerError("was changed after it was written")
            if fields.get("previous") != digest(previous):
                raise LedgerError("does not continue the line before it; lines were moved or cut")
            if number > 1 and fields.get("kind") == CUT:
                cuts[number] = Cut.from_fields(fields)
            elif number > 1:
                entries.append(_next_entry(fields, balance))
        except LedgerError as error:
            raise WrongLine(source, number, error) from error
        except RecursionError:
            raise WrongLine(source, number, "nested too deeply for a line of a ledger") from None
        previous = line
    assert ledger is not None
    return replace(ledger, entries=tuple(entries), head=digest(previous)), cuts


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


def seal(fields: Mapping[str, object]) -> str:
    """Return the line that says ``fields``, with the SHA-256 of all that it says."""
    return json.dumps({**fields, "seal": digest(json.dumps(fields))})


def digest(line: str) -> str:
    """Return the SHA-256 of a line, "" of none."""
    return hashlib.sha256(line.encode(errors="surrogatepass")).hexdigest() if line else ""


def all_of(handle: int, start: int = 0) -> bytes:
    """Return the bytes of an open file from a place on."""
    os.lseek(handle, start, os.SEEK_SET)
    blocks = []
    while block := os.read(handle, 1 << 20):
        blocks.append(block)
    return b"".join(blocks)


def append_synced(handle: int, data: bytes) -> None:
    """Write all of ``data`` to an open file, and wait until it is on disk."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
    os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entry for a new file is on disk, where the system can say so."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
