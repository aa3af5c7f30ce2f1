"""Results in a folder or at an address: one file a cell, whole or not there; gathered as a table.

A cell's file is JSON whose first line holds the format, the key and the SHA-256 of all that
follows. Reading compares that line with what it must be; the rest is then as it was written, and
needs no validation. A file that is cut short, damaged, of another cell or of another format is a
cell that never ended, and is run again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dp_synth._version import __version__
from dp_synth.benchmark.cell import Cell, Outcome, records
from dp_synth.errors import InputError
from dp_synth.files import Location, Url, location, write_whole
from dp_synth.readers import parse_json
from dp_synth.records import ADDED, RECORD_COLUMNS, check_settings_texts
from dp_synth.settings import checked

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow

FORMAT = 2
READERS = 32  # threads, where each file is a request to another machine
BATCH = 1024  # cells that are looked at together, so that few are held in memory
ROWS = 50_000  # records of a row group of the gathered table
MOST_RECORDS = 2**22  # of a gathered table that is read: a gigabyte and a half
DIGEST, UNKNOWN = b"dp_synth.sha256", b"0" * 64  # a key of its metadata, and what is hashed there
DIGEST_PLACE = re.compile(DIGEST + rb"\x18@([0-9a-f]{64})")  # key and value, as Parquet has them
FIELDS = tuple(field.name for field in dataclasses.fields(Cell))

READABLE = "is its name right, and may you read it?"
KEPT = "finished cells are kept: make room, then run the grid again and it goes on from them"

T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    """Where results are: ``cells/``, ``failures/``, ``runs/`` and what is gathered from them."""

    folder: Location

    @cached_property
    def cells(self) -> Location:
        """Folder with one JSON file a cell, in folders by the first two digits of its key."""
        return self.folder / "cells"

    @property
    def failures(self) -> Location:
        """Folder with the trace of each failed cell, for whoever mends it."""
        return self.folder / "failures"

    @property
    def runs(self) -> Location:
        """Folder with a manifest a run."""
        return self.folder / "runs"

    @property
    def records(self) -> Location:
        """The gathered records."""
        return self.folder / "records.parquet"

    def file_of(self, key: str) -> Location:
        """Return where the file of the cell of that key is."""
        return self.cells / f"{key[:2]}/{key}.json"


@dataclass(frozen=True)
class StoredCell:
    """A cell as any version of the package left it; ``written`` is a time of UTC as text."""

    cell: Cell
    outcome: Outcome
    version: str
    written: str


def store_at(where: str | Path) -> Store:
    """Return the store of a folder or address, which is neither made nor looked for."""
    return Store(location(where))


def open_store(where: str | Path) -> Store:
    """Return the store of a folder or address, made when absent; InputError when read-only."""
    store = store_at(where)
    probe = store.cells / f".{secrets.token_hex(8)}.probe"
    with reached(store, "written", "name another with --store"):
        write_whole(probe, b"")
        probe.unlink(missing_ok=True)
    return store


def save(store: Store, cell: Cell, outcome: Outcome) -> None:
    """Write what a cell gave; a trace goes to a file of its own and leaves with the failure.

    A failure never takes the place of a result, such as another run's. InputError where the store
    cannot be written, as when the disk is full; what had been saved before stays as it was.
    """
    key = cell.key
    trace = store.failures / f"{key}.txt"
    with reached(store, "written"):
        known = read(store, cell) if outcome.error else None
        if known is not None and not known.error:
            return
        if outcome.error:
            text = f"{cell}\n{outcome.error}\n{outcome.trace}"
            write_whole(trace, text.encode(), private=True)
        else:
            trace.unlink(missing_ok=True)
        write_whole(store.file_of(key), _content(key, cell, outcome), private=True)


def read(store: Store, cell: Cell) -> Outcome | None:
    """Return what the cell gave; None when it never ended or its file is damaged or foreign."""
    key = cell.key
    return _outcome(cell, _opened(key, _bytes(store, store.file_of(key))))


def outcomes(store: Store, cells: Iterable[Cell]) -> Iterator[tuple[Cell, Outcome | None]]:
    """Give each cell, in order, with what ``read`` returns; the store is listed once.

    Whatever another run saves in the meantime may be there or not.
    """
    present = _keys(store)
    for batch in _batches(cells):
        keys = [cell.key for cell in batch]
        sought = [key if key in present else None for key in keys]
        for cell, key, content in zip(batch, keys, _all_bytes(store, sought), strict=True):
            yield cell, _outcome(cell, _opened(key, content))


def stored(store: Store) -> Iterator[StoredCell | None]:
    """Give every cell of the store, whatever version wrote it; None for each damaged file."""
    for keys in _batches(sorted(_keys(store))):
        for key, content in zip(keys, _all_bytes(store, keys), strict=True):
            yield _stored_cell(_opened(key, content))


def gather(store: Store, cells: Iterable[Cell]) -> Location:
    """Write the records of those ``cells`` that ended, in their order, as one Parquet file."""
    from pyarrow import Table, parquet

    rows = (
        row
        for cell, outcome in outcomes(store, cells)
        if outcome is not None
        for row in records(cell, outcome)
    )
    schema, sink = _parquet_schema().with_metadata({DIGEST: UNKNOWN}), io.BytesIO()
    with parquet.ParquetWriter(sink, schema) as writer:
        for group in _batches(rows, ROWS):
            writer.write_table(Table.from_pylist(group, schema=schema))
    with reached(store, "written"):
        write_whole(store.records, _sealed(sink.getvalue()), private=True)
    return store.records


def read_records(store: Store) -> pd.DataFrame:
    """Return the gathered records; InputError when there are none or the file is not ours.

    Or when a byte of it changed: its metadata hold the SHA-256 of all others. Files of before that
    was so have none.
    """
    from pyarrow import ArrowException

    content = _bytes(store, store.records)
    if content is None:
        raise InputError(f"no records in {store.folder}: run the grid first")
    if DIGEST in content and content != _sealed(content):
        raise InputError(f"{store.records}: was changed after it was written; run the grid again")
    try:
        table = _records_in(content)
        check_settings_texts(table["settings"].unique(), "the records")
    except InputError as error:
        raise InputError(f"{store.records}: {error}; run the grid again") from None
    except (ArrowException, OSError, ValueError):
        raise InputError(f"{store.records}: not a Parquet file; run the grid again") from None
    for name in ADDED.keys() - set(table.columns):
        table[name] = ADDED[name]
    return table[list(RECORD_COLUMNS)]


def _records_in(content: bytes) -> pd.DataFrame:
    """Return the table in the bytes of a Parquet file; InputError where it is of other columns."""
    import numpy as np
    from pyarrow import BufferReader, parquet

    # Without helper threads, which may outlive a short command.
    with parquet.ParquetFile(BufferReader(content), pre_buffer=False) as file:
        schema = file.schema_arrow
        if not RECORD_COLUMNS.keys() - ADDED.keys() <= set(schema.names) <= RECORD_COLUMNS.keys():
            raise InputError("not the records of a benchmark")
        for name, kind in zip(schema.names, schema.types, strict=True):
            if not _holds(kind, RECORD_COLUMNS[name]):
                raise InputError(f"column {name!r} must not be of the kind {kind}")
        if file.metadata.num_rows > MOST_RECORDS:
            raise InputError(f"holds more than {MOST_RECORDS:,} records")
        table: pd.DataFrame = file.read(use_threads=False).to_pandas(use_threads=False)
    for name, kind in RECORD_COLUMNS.items():
        if kind is float and name in table and np.isinf(table[name].to_numpy(float)).any():
            raise InputError(f"column {name!r} holds a number that is not finite")
    return table


def _holds(kind: pyarrow.DataType, wanted: type) -> bool:
    """Tell whether a column of this kind is of texts, numbers or whole numbers, as is wanted."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _holds(kind.value_type, wanted)
    if types.is_null(kind):
        return True
    if wanted is str:
        return bool(types.is_string(kind) or types.is_large_string(kind))
    whole = bool(types.is_integer(kind))
    return whole or (wanted is float and bool(types.is_floating(kind)))


def _sealed(content: bytes) -> bytes:
    """Return a gathered file with the SHA-256 of all its bytes in the place of its digest."""
    found = list(DIGEST_PLACE.finditer(content))
    if not found:
        return b""
    before, after = content[: found[-1].start(1)], content[found[-1].end(1) :]
    digest = hashlib.sha256(before + UNKNOWN + after).hexdigest()
    return before + digest.encode() + after


def _content(key: str, cell: Cell, outcome: Outcome) -> bytes:
    kept = dataclasses.replace(outcome, trace="")
    content = {
        "version": __version__,
        "written": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "cell": dataclasses.asdict(cell),
        "outcome": dataclasses.asdict(kept),
    }
    body = json.dumps(content, allow_nan=False)[1:].encode() + b"\n"
    return _head(key, body) + body


def _head(key: str, body: bytes) -> bytes:
    digest = hashlib.sha256(body).hexdigest()
    return f'{{"format": {FORMAT}, "key": "{key}", "sha256": "{digest}",\n'.encode()


def _opened(key: str, content: bytes | None) -> dict[str, Any]:
    """Return what a cell's file holds beside its first line; nothing where it is not whole."""
    head, line_end, body = (content or b"").partition(b"\n")
    if head + line_end != _head(key, body):
        return {}
    try:
        found = parse_json(b"{" + body)
    except InputError:  # whole, but not as ours
        return {}
    return found if isinstance(found, dict) else {}


def _outcome(cell: Cell, found: Mapping[str, Any]) -> Outcome | None:
    """Return the outcome of a file's content; None where it is not this cell's."""
    if found.get("cell") != {name: getattr(cell, name) for name in FIELDS}:
        return None
    try:
        return Outcome.from_fields(found.get("outcome"))
    except ValueError:  # whole, but with other fields than ours
        return None


def _stored_cell(found: Mapping[str, Any]) -> StoredCell | None:
    try:
        cell = Cell.from_fields(found.get("cell"))
        said = checked(found, {"version": str, "written": str})
    except ValueError:
        return None
    outcome = _outcome(cell, found)
    return None if outcome is None else StoredCell(cell, outcome, said["version"], said["written"])


def _keys(store: Store) -> set[str]:
    """Return the keys of all cells that have a file."""
    with reached(store, "read", READABLE):
        names = list(_names(store.cells))
    # A name that begins with a dot is of a file that is being written, or was never finished.
    return {name[:-5] for name in names if name.endswith(".json") and not name.startswith(".")}


def _names(cells: Location) -> Iterator[str]:
    if isinstance(cells, Url):
        yield from (found.rpartition("/")[2] for found in cells.files_below())
        return
    with suppress(FileNotFoundError, NotADirectoryError):
        for folder in os.scandir(cells):
            if folder.is_dir():
                yield from os.listdir(folder.path)


def _bytes(store: Store, file: Location | None) -> bytes | None:
    if file is None:
        return None
    with reached(store, "read", READABLE), suppress(FileNotFoundError, NotADirectoryError):
        return file.read_bytes()
    return None


def _all_bytes(store: Store, keys: Sequence[str | None]) -> Iterator[bytes | None]:
    """Give the content of the files of a batch; None where there is none or it is not sought."""
    files = (None if key is None else store.file_of(key) for key in keys)
    if isinstance(store.folder, Path):
        yield from (_bytes(store, file) for file in files)
        return
    with ThreadPoolExecutor(READERS) as readers:
        yield from readers.map(partial(_bytes, store), files)


def _batches(values: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    remaining = iter(values)
    while batch := list(islice(remaining, size)):
        yield batch


def _parquet_schema() -> pyarrow.Schema:
    import pyarrow

    kinds = {str: pyarrow.string(), float: pyarrow.float64(), int: pyarrow.int64()}
    return pyarrow.schema([(name, kinds[kind]) for name, kind in RECORD_COLUMNS.items()])


@contextmanager
def reached(store: Store, done: str, what_now: str = KEPT) -> Iterator[None]:
    """Turn what goes wrong at a store into the one line of an InputError.

    ``done`` is what cannot be "read" or "written"; the line ends with ``what_now``.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        # The clients of object stores raise exceptions of their own; on disk it is OSError.
        if not isinstance(error, OSError) and isinstance(store.folder, Path):
            raise
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        line = f"the store {store.folder} cannot be {done} ({reason}); {what_now}"
        raise InputError(" ".join(line.split())) from None
