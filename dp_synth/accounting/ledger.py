"""The ledger: what was charged, line by line, in memory and as hash-chained JSON lines."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from dp_synth._version import __version__
from dp_synth.accounting.budget import PrivacyBudget
from dp_synth.accounting.curves import PrivacyCurve, compose
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    Selection,
    event_from_fields,
    event_to_fields,
)
from dp_synth.errors import LedgerError, UnsupportedEvent

FORMAT, VERSION = "dp_synth.ledger", 1

Randomness = Literal["os", "seeded"]  # a seeded run can be repeated by whoever knows the seed


@dataclass(frozen=True)
class Entry:
    """One charge: who paid for what, how often, and with which randomness the noise was drawn."""

    recipe: str
    part: str
    event: Event
    count: int
    why: str
    randomness: Randomness

    def to_fields(self) -> dict[str, object]:
        """Return the entry as a JSON object."""
        return {**self.__dict__, "event": event_to_fields(self.event)}

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> Entry:
        """Return the entry that ``to_fields`` wrote; LedgerError for anything else."""
        try:
            known = {name: fields[name] for name in cls.__dataclass_fields__}
            event = event_from_fields(known.pop("event"))
        except KeyError as error:
            raise LedgerError(f"not a ledger entry: it has no {error}") from error
        except (TypeError, ValueError, UnsupportedEvent) as error:
            raise LedgerError(f"not a ledger entry: {error}") from error
        count, words = known["count"], [known[name] for name in ("recipe", "part", "why")]
        if type(count) is not int or count < 1:
            raise LedgerError(f"count of an entry must be a whole number above 0, got {count!r}")
        if known["randomness"] not in get_args(Randomness):
            raise LedgerError(f"unknown randomness {known['randomness']!r} of an entry")
        if not all(isinstance(word, str) for word in words):
            raise LedgerError(f"recipe, part and why of an entry must be text, got {words}")
        return cls(event=event, **known)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Ledger:
    """What was charged to one budget; safe to publish. Printing it gives a table."""

    budget: PrivacyBudget
    entries: tuple[Entry, ...] = field(default=())

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def curve(self) -> PrivacyCurve:
        """The certified privacy curve of all entries together."""
        return compose((entry.event, entry.count) for entry in self.entries)

    @property
    def epsilon(self) -> float:
        """Certified upper bound on what was spent, at the budget's delta."""
        return self.curve.epsilon(self.budget.delta)

    @property
    def seeded(self) -> bool:
        """Whether any noise can be repeated from a seed, so that it protects nobody."""
        return any(entry.randomness == "seeded" for entry in self.entries)

    def to_fields(self) -> dict[str, object]:
        """Return the ledger as a JSON object."""
        return {**_header(self.budget), "entries": [entry.to_fields() for entry in self.entries]}

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> Ledger:
        """Return the ledger that ``to_fields`` wrote; LedgerError for anything else."""
        entries = fields.get("entries")
        if not isinstance(entries, list):
            raise LedgerError("a ledger must have a list of entries")
        return cls(_budget_of(fields), tuple(Entry.from_fields(entry) for entry in entries))

    def __str__(self) -> str:
        budget = self.budget
        rows: dict[tuple[str, str, str, str], int] = {}
        for entry in self.entries:  # equal charges share a row
            row = (entry.recipe, entry.part, _describe(entry.event), entry.why)
            rows[row] = rows.get(row, 0) + entry.count
        table = [(recipe, part, str(n), *rest) for (recipe, part, *rest), n in rows.items()]
        lines = _align([("recipe", "part", "count", "event", "why"), *table])
        total = (
            f"epsilon {self.epsilon:.6g} of {budget.epsilon:g} at delta {budget.delta:g}, "
            f"adjacency {budget.adjacency}"
        )
        warning = ["seeded: not for release"] if self.seeded else []
        return "\n".join([*lines, total, *warning])


class LedgerFile:
    """An append-only file of JSON lines, each with its SHA-256, and that of the line before it.

    The file is made by the first append. A line is on disk before the data that it pays for is
    read, so that a crash in between counts as spent. The chain shows accidents and careless
    edits, not whole lines cut from the end, nor a chain computed anew.
    """

    def __init__(self, path: str | Path, budget: PrivacyBudget) -> None:
        self.path = Path(path)
        self.budget = budget
        self.entries: tuple[Entry, ...] = ()
        self._last = ""
        self._size: int | None = None
        if self.path.exists():
            self._size = self.path.stat().st_size
            self._read()

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries and wait until they are on disk; on failure the file is as before."""
        lines = []
        if not self._last:
            lines.append(self._chain(_header(self.budget)))
        lines += [self._chain(entry.to_fields(), lines) for entry in entries]
        data = "".join(line + "\n" for line in lines).encode()
        self._write(data)
        self._last = lines[-1]
        self._size = (self._size or 0) + len(data)
        self.entries += tuple(entries)

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

    def _read(self) -> None:
        data = self.path.read_bytes()
        if not data:
            raise LedgerError(f"{self.path}: empty, so not a ledger; give the path of a new file")
        lines = data.decode("utf-8", errors="replace").split("\n")
        last = lines.pop()
        budget, entries = read_lines(lines, str(self.path))
        if last:
            raise LedgerError(f"{self.path}, line {len(lines) + 1}: was not written to its end")
        if budget != self.budget:
            raise LedgerError(f"{self.path}: was opened for {budget}, not for {self.budget}")
        self.entries, self._last = entries, lines[-1]


def read_lines(lines: Sequence[str], source: str) -> tuple[PrivacyBudget, tuple[Entry, ...]]:
    """Return what a ledger file's lines say; LedgerError naming the first line that is wrong."""
    previous = ""
    budget: PrivacyBudget | None = None
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            fields = _opened(line)
            if number == 1:
                budget = _budget_of(fields)
            if line != _seal(fields):
                raise LedgerError("was changed after it was written")
            if fields.get("previous") != _digest(previous):
                raise LedgerError("does not continue the line before it; lines were moved or cut")
            if number > 1:
                entries.append(Entry.from_fields(fields))
        except LedgerError as error:
            raise LedgerError(f"{source}, line {number}: {error}") from error
        previous = line
    if budget is None:
        raise LedgerError(f"{source}: empty, so not a ledger")
    return budget, tuple(entries)


def _opened(line: str) -> dict[str, object]:
    """Return the JSON object of one line, without its seal."""
    try:
        fields = json.loads(line)
    except ValueError:
        raise LedgerError(f"not JSON, so not a line of a {FORMAT}") from None
    if not isinstance(fields, dict):
        raise LedgerError(f"not a JSON object, so not a line of a {FORMAT}")
    fields.pop("seal", None)
    return fields


def _seal(fields: Mapping[str, object]) -> str:
    """Return the line that says ``fields``, with the SHA-256 of all that it says."""
    return json.dumps({**fields, "seal": _digest(json.dumps(fields))})


def _header(budget: PrivacyBudget) -> dict[str, object]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "dp_synth": __version__,
        "epsilon": budget.epsilon,
        "delta": budget.delta,
        "adjacency": budget.adjacency,
    }


def _budget_of(fields: Mapping[str, object]) -> PrivacyBudget:
    if fields.get("format") != FORMAT or fields.get("version") != VERSION:
        raise LedgerError(f"not a {FORMAT} of version {VERSION}")
    try:
        return PrivacyBudget(fields["epsilon"], fields["delta"], fields["adjacency"])  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"the budget in its head is not one: {error}") from error


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode(errors="surrogatepass")).hexdigest() if line else ""


def _describe(event: Event) -> str:
    if isinstance(event, Gaussian):
        return f"gaussian, stddev {event.stddev:.4g}, sensitivity {event.sensitivity:.4g}"
    if isinstance(event, Selection):
        return f"selection, loss range {event.epsilon:.4g}"
    kind, *numbers = event_to_fields(event).items()
    return ", ".join([str(kind[1]), *(f"{name} {value}" for name, value in numbers)])


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
