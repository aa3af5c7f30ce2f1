"""Records of files larger than memory: streamed in blocks (CSV by DuckDB), encoded to disk.

A block holds each column as distinct texts, and codes are looked up once for each of them.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.columns import DiskColumns, MemoryColumns
from dp_synth.counting.condensing import CodesWriter
from dp_synth.counting.marginals import CodeCounts, blocks
from dp_synth.counting.records import PrivateRecords, Units, finest_domain
from dp_synth.dialect import COMMON, REPLACEMENT, Dialect
from dp_synth.errors import InputError, SchemaError, missing_extra
from dp_synth.frames import parquet_batches, parquet_names
from dp_synth.schema import Misfits, Schema

if TYPE_CHECKING:
    import duckdb
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from dp_synth.domain import Domain
from dp_synth.frames import texts_of
from dp_synth.schema import DiscreteColumn, IdColumn, NumericColumn
from dp_synth.schema.check import faults_of
from dp_synth.schema.columns import Bins
from dp_synth.schema.constraints import Column as SchemaColumn
from dp_synth.schema.parsing import Cells
from dp_synth.types import Floats

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 2**16  # records that are read at one time
MOST_MEMORY = "500MB"  # of DuckDB, which needs a tenth of it for common files
GZIP = b"\x1f\x8b"
DIGEST = 16  # bytes of a unit's name: that two names share them all does not happen

MOST_WHOLE = 2**12  # integers of a column that are written ahead, whether or not they occur
MOST_CODED = 2**21  # integers between the ends of a column that are coded ahead
CODED_A_RECORD = 32  # of a block: more are not coded ahead for it
INT64 = 2**62  # beyond, the difference of two integers may not be one

T = TypeVar("T")

_ENCODINGS = {"utf-8-sig": "utf-8", "iso8859-1": "latin-1", "utf-16": "utf-16"}  # DuckDB's names

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,  # encoding is slower than reading; each thread holds buffers of its own
    "memory_limit": MOST_MEMORY,
    "temp_directory": "",  # private cells are never spilled to a file
    "autoinstall_known_extensions": False,
    "preserve_insertion_order": False,
}

# Quoted empty cells are empty text; a cell that is not there at all is told apart as null.
_CSV = """read_csv($path, columns = $columns, skip = $skip, compression = $compression,
    header = $header, auto_detect = false, delim = $delim, encoding = $encoding,
    quote = '"', escape = '"',
    strict_mode = true, null_padding = false, allow_quoted_nulls = false,
    buffer_size = 8000000)"""


class Texts(NamedTuple):
    """Cells of one column: ``distinct`` texts, and in ``places`` which of them each record holds.

    A text may stand twice, and need not occur. Columns of equal distinct texts share the list.
    """

    distinct: Sequence[str]
    places: NDArray[np.integer]

    @classmethod
    def of(cls, cells: Sequence[str]) -> Texts:
        """Return the texts of so many records."""
        places, distinct = pd.factorize(np.array(cells, dtype=object))
        return cls(list(distinct), places)


class Numbers(NamedTuple):
    """Cells of one column as a file has them: integers or 64-bit floats, and where none is."""

    values: NDArray[np.integer] | Floats
    absent: NDArray[np.bool_] | None


Block = Mapping[str, Texts]
"""The cells of several records, by column."""
TypedBlock = Mapping[str, Texts | Numbers]
"""The same, numbers as they are where a file has such."""
Blocks = Iterator[TypedBlock]


def read_counts(
    path: str | PathLike[str], schema: Schema, *, folder: str | PathLike[str] | None = None
) -> CodeCounts:
    """Return counts over the file at ``path``, of any length, encoded by ``schema``.

    The ending tells CSV (``.csv``, ``.csv.gz``) from Parquet. Cells are read as
    `datasets.read_table` reads them, with these differences in CSV: blanks around a quoted cell
    are dropped, and a comma after the last cell is let pass. What DuckDB cannot read (bytes that
    are no text, cells of megabytes, other encodings) is read anew by a slower reader. Codes lie in
    unnamed temporary files, in ``folder`` or the system's own; they
    go with the store, or at its `close`. InputError when the file is not such a table or DuckDB is
    not installed, SchemaError when it lacks a column of the schema.
    """
    own = schema.domain

    def encoded(blocks: Blocks) -> DiskColumns | MemoryColumns:
        """Return the codes of all blocks; nothing is left of them where one cannot be read."""
        encoders = encoders_of(schema, own)
        with _filled(CodesWriter(own.sizes, folder)) as writer:
            for block in blocks:
                writer.append([one.encode(block[name]) for name, one in encoders.items()])
            return writer.finish()

    dialect = schema.dialect or COMMON
    return CodeCounts(_read(path, own.attributes, dialect, encoded, _measured(schema)), own)


def read_records(
    path: str | PathLike[str],
    schema: Schema,
    *,
    unit: str | None = None,
    folder: str | PathLike[str] | None = None,
) -> PrivateRecords:
    """Return the records of the file at ``path``, of any length, for a fit over ``schema``.

    Files, cells, ``folder`` and errors are as for `read_counts`; fine codes of columns whose
    cells a fit chooses are kept as well. ``unit`` is the column that names the unit of each record.
    """
    schema = schema.without_keys
    names = list(schema.domain.attributes)
    if schema.open:
        raise SchemaError(
            f"{path}: column {schema.open[0]!r} is open, and categories that the schema does not "
            "list are found in tables in memory only; list them, or give a smaller table"
        )
    dialect = schema.dialect or COMMON
    if unit is not None and unit not in names:
        if unit not in column_names(path, dialect):
            raise SchemaError(f"{path}: lacks column {unit!r}, which names the unit")
        names.append(unit)

    def encoded(blocks: Blocks) -> PrivateRecords:
        """Return the records of all blocks; nothing is left where one cannot be read."""
        digests = [np.empty((0, 2), dtype=np.uint64)]
        misfits, finest = Misfits(), finest_domain(schema)
        encoders = encoders_of(schema, finest, misfits)
        # Lines stand beside their units' numbers, in the order of the file.
        writer = CodesWriter(finest.sizes, folder, in_order=unit is not None)
        with _filled(writer):
            for block in blocks:
                writer.append([one.encode(block[name]) for name, one in encoders.items()])
                if unit is not None:
                    digests.append(_digests(block[unit]))
            misfits.records = len(writer)
            units = None if unit is None else _numbered(digests)
            return PrivateRecords(schema, writer.finish(), unit, units, misfits=misfits)

    return _read(path, names, dialect, encoded, _measured(schema) - {unit})


def _measured(schema: Schema) -> frozenset[str | None]:
    """Return the columns of which a number in a file is what its text says."""
    columns = (schema.column(name) for name in schema.domain)
    return frozenset(c.name for c in columns if isinstance(c, NumericColumn) and c.format is None)


def column_names(path: str | PathLike[str], dialect: Dialect | None = None) -> list[str]:
    """Return the names of the columns of a table file; InputError when it is none."""
    is_gzip = _magic(path) == GZIP
    if Path(path).name.lower().endswith(".parquet"):
        return parquet_names(path)
    return [name for name in _header(path, dialect or COMMON, is_gzip=is_gzip).names if name]


@contextmanager
def _filled(writer: CodesWriter) -> Iterator[CodesWriter]:
    """Close ``writer`` where the block fails."""
    with ExitStack() as unfinished:
        unfinished.callback(writer.close)
        yield writer
        unfinished.pop_all()


def _digests(cells: Texts | Numbers) -> NDArray[np.uint64]:
    """Return a number of two words for each text; names would take far more memory."""
    assert isinstance(cells, Texts)
    words = b"".join(blake2b(str(t).encode(), digest_size=DIGEST).digest() for t in cells.distinct)
    return np.frombuffer(words, dtype=np.uint64).reshape(-1, 2).take(cells.places, axis=0)


def _numbered(digests: Sequence[NDArray[np.uint64]]) -> Units:
    """Return one number for each distinct digest."""
    lines = np.concatenate(digests)
    order = np.lexsort(lines.T)
    ordered = lines[order]
    is_new = np.any(ordered[1:] != ordered[:-1], axis=1)
    numbers = np.zeros(len(lines), dtype=np.int64)
    numbers[order[1:]] = np.cumsum(is_new)
    return numbers


class _Odd(Exception):
    """DuckDB cannot read the file as it is; Python's own reader, which is slower, may."""


@dataclass(frozen=True)
class _Header:
    """Empty lines before the first record, the names of all columns, whether lines end alike."""

    empty: int
    names: list[str]
    is_plain: bool


def _read(
    path: str | PathLike[str],
    wanted: Sequence[str],
    dialect: Dialect,
    encoded: Callable[[Blocks], T],
    measured: frozenset[str | None] = frozenset(),
) -> T:
    """Return what becomes of the records; read anew, and slower, where DuckDB cannot read them.

    Columns that are ``measured`` come as numbers where the file has such.

    Bytes that are no text and long cells are what it stops at, and may depend on the records.
    """
    name = Path(path).name.lower()
    if name.endswith(".parquet"):
        return encoded(_parquet_blocks(path, wanted, measured))
    if not name.endswith((".csv", ".csv.gz")):
        raise InputError(f"{path}: the name of a table file must end in .csv, .csv.gz or .parquet")
    with suppress(_Odd):
        return encoded(_csv_blocks(path, wanted, dialect))
    return encoded(_odd_blocks(path, wanted, dialect))


def _connect() -> duckdb.DuckDBPyConnection:
    try:
        import duckdb
    except ImportError:
        raise missing_extra("counting tables larger than memory", "DuckDB", "bigdata") from None
    connection = duckdb.connect(":memory:", config=_SETTINGS)
    connection.execute("SET enable_progress_bar = false")  # it is drawn on standard output
    return connection


def _csv_blocks(
    path: str | PathLike[str], wanted: Sequence[str], dialect: Dialect
) -> Iterator[Block]:
    is_gzip = _magic(path) == GZIP
    header = _header(path, dialect, is_gzip=is_gzip)
    names = header.names
    places = _places(names, wanted, path)
    if dialect.codec not in _ENCODINGS or not header.is_plain:
        raise _Odd
    given = {
        "path": _literal(path),
        # Names by place: DuckDB takes two that differ in case alone for one.
        "columns": {f"c{place}": "VARCHAR" for place in range(len(names))},
        "skip": header.empty,
        "header": dialect.has_header,
        "delim": dialect.delimiter,
        "encoding": _ENCODINGS[dialect.codec],
        "compression": "gzip" if is_gzip else "none",
    }
    # In a file of one column an empty line is no record; an empty cell is quoted there.
    kept = " WHERE c0 IS NOT NULL" if len(names) == 1 else ""
    return _stream(f"SELECT {_selected(places)} FROM {_CSV}{kept}", given, wanted)


def _odd_blocks(
    path: str | PathLike[str], wanted: Sequence[str], dialect: Dialect
) -> Iterator[Block]:
    """Give the records of a CSV file as `datasets.read_table` reads them, with little memory."""
    is_gzip = _magic(path) == GZIP
    names = _header(path, dialect, is_gzip=is_gzip).names
    places = _places(names, wanted, path)
    text = f"{dialect.encoding or 'UTF-8'} text{', whole,' if is_gzip else ''}"
    fault = InputError(
        f"{path}: must be {text} in which every record has one cell for each of the {len(names)} "
        "columns that the header names, with quotes closed"
    )
    is_clean = True
    try:
        with _text(path, dialect, is_gzip=is_gzip) as file:
            records = (row for row in dialect.records_in(file, strict=True) if row)
            for _ in range(dialect.has_header):
                next(records)
            while rows := list(islice(records, BATCH)):
                if any(len(row) != len(names) for row in rows):
                    raise fault
                columns = zip(wanted, places, strict=True)
                cells = {name: [row[place] for row in rows] for name, place in columns}
                is_clean &= not any(REPLACEMENT in "".join(column) for column in cells.values())
                yield {name: Texts.of(column) for name, column in cells.items()}
    except (csv.Error, OSError, EOFError, zlib.error):
        raise fault from None
    if not is_clean:
        dialect.warn_of_bytes(str(path))


def _parquet_blocks(
    path: str | PathLike[str], wanted: Sequence[str], measured: frozenset[str | None]
) -> Blocks:
    _places(parquet_names(path), wanted, path)
    readers = [TextReader() for _ in wanted]
    for batch in parquet_batches(path, wanted, BATCH):
        found: dict[str, Texts | Numbers] = {}
        for name, reader, column in zip(wanted, readers, batch.columns, strict=True):
            numbers = numbers_in(column) if name in measured else None
            found[name] = reader.read(column) if numbers is None else numbers
        yield found


def _stream(query: str, given: dict[str, object], names: Sequence[str]) -> Iterator[Block]:
    """Give the records as blocks of text; _Odd, without a cell in it, where DuckDB cannot."""
    connection = _connect()
    import duckdb
    import pyarrow as pa

    try:
        reader = connection.sql(query, params=given).to_arrow_reader(BATCH)
        yield from blocks_of(reader, names)
    except (duckdb.Error, pa.ArrowException, OSError):
        # Their own messages quote the record, which is private.
        raise _Odd from None
    finally:
        connection.close()


def _selected(places: Sequence[int]) -> str:
    return ", ".join(f"c{place}" for place in places)


def _literal(path: str | PathLike[str]) -> str:
    """Return ``path`` so that DuckDB, which reads patterns, takes it as it is."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(Path(path).absolute()))


def _places(names: Sequence[str], wanted: Sequence[str], path: str | PathLike[str]) -> list[int]:
    places = dict(reversed([(name, place) for place, name in enumerate(names)]))  # the first counts
    for name in wanted:
        if name not in places:
            raise SchemaError(f"{path}: lacks column {name!r}, which the schema names")
    return [places[name] for name in wanted]


def _magic(path: str | PathLike[str]) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(len(GZIP))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _noting_ends(lines: Iterable[str], ends: set[str]) -> Iterator[str]:
    """Give lines, and add to ``ends`` in which ways they end."""
    for line in lines:
        if end := line[len(line.rstrip("\r\n")) :]:
            ends.add(end)
        yield line


@contextmanager
def _text(
    path: str | PathLike[str], dialect: Dialect, *, is_gzip: bool
) -> Iterator[io.TextIOWrapper]:
    """Give a CSV file as text, in which bytes that are none are replaced."""
    with gzip.open(path) if is_gzip else Path(path).open("rb") as file:
        yield io.TextIOWrapper(file, encoding=dialect.codec, errors="replace", newline="")


def _header(path: str | PathLike[str], dialect: Dialect, *, is_gzip: bool) -> _Header:
    """Return what a CSV file begins with; InputError where that is no header."""
    try:
        with _text(path, dialect, is_gzip=is_gzip) as text:
            ends: set[str] = set()
            for empty, first in enumerate(dialect.records_in(_noting_ends(text, ends))):
                if first:
                    dialect.check_decoded(first, str(path))
                    # DuckDB would skip records as well as empty lines that end otherwise.
                    is_plain = not empty or len(ends) == 1
                    return _Header(empty, dialect.names_in(first, str(path)), is_plain)
    except csv.Error:
        raise InputError(f"{path}: its first line must be a header of column names") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise InputError(f"{path}: is a damaged gzip file") from None
    raise InputError(f"{path}: is empty; its first line must name the columns")


class TextReader:
    """Reads the Arrow arrays of one column, block by block, as `datasets.read_table` writes them.

    Each distinct cell is written once, and only anew where a block has others than the one before.
    """

    def __init__(self) -> None:
        self._dictionary: pa.Array | None = None
        self._whole: range | None = None
        self._texts: list[str] = []

    def read(self, column: pa.Array) -> Texts:
        """Return the cells of a block; a null is an empty text."""
        import pyarrow as pa

        if pa.types.is_integer(column.type) and (found := self._integers(column)):
            return found
        try:
            encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        except pa.ArrowNotImplementedError:  # lists and the like
            return Texts.of(texts_of(column))
        if self._dictionary is None or not encoded.dictionary.equals(self._dictionary):
            self._dictionary, self._whole = encoded.dictionary, None
            self._texts = [*texts_of(encoded.dictionary), ""]  # the last one is that of a null
        places = encoded.indices
        if places.null_count:
            places = places.cast(pa.int64()).fill_null(len(self._texts) - 1)
        return Texts(self._texts, places.to_numpy())

    def _integers(self, column: pa.Array) -> Texts | None:
        """Return integers that lie close together, by their distance from the least of them."""
        import pyarrow as pa
        from pyarrow import compute

        low, high = compute.min_max(column).as_py().values()
        if low is None or not -INT64 < low <= high < INT64:
            return None
        if 0 <= low <= high < MOST_WHOLE:  # most codes: they are their own places
            low = 0
        if self._whole is None or not (low in self._whole and high in self._whole):
            known = self._whole or range(low, high + 1)
            whole = range(min(low, known[0]), max(high, known[-1]) + 1)
            if len(whole) > MOST_WHOLE:
                return None
            self._dictionary, self._whole = None, whole
            self._texts = [*map(str, whole), ""]
        first = self._whole[0]
        numbers = column.cast(pa.int64())
        if numbers.null_count:
            numbers = numbers.fill_null(first + len(self._texts) - 1)
        places = numbers.to_numpy()
        return Texts(self._texts, places - first if first else places)


def numbers_in(column: pa.Array) -> Numbers | None:
    """Return the cells of a block of integers or 64-bit floats as they are; else None."""
    import pyarrow as pa

    kind = column.type
    if not pa.types.is_integer(kind) and kind != pa.float64():
        return None
    absent = None
    if column.null_count:
        absent = column.is_null().to_numpy(zero_copy_only=False)
        column = column.fill_null(0)
    return Numbers(column.to_numpy(), absent)


def blocks_of(batches: Iterable[pa.RecordBatch], names: Sequence[str]) -> Iterator[Block]:
    """Give each batch of Arrow's, whose columns are those ``names``, as a block."""
    readers = [TextReader() for _ in names]
    for batch in batches:
        columns = zip(names, readers, batch.columns, strict=True)
        yield {name: reader.read(column) for name, reader, column in columns}


class _Codes(NamedTuple):
    """The code of each of several cells, and by what is wrong which of them do not fit."""

    codes: NDArray[np.integer]
    faults: Mapping[str, NDArray[np.bool_]]


class Encoder:
    """Gives the codes of one column, over its own cells or those of ``grid``, as small integers.

    What does not fit the schema is counted in ``misfits`` as well.
    """

    def __init__(
        self, column: SchemaColumn, size: int, grid: Bins | None, misfits: Misfits | None
    ) -> None:
        self._column, self._grid, self._misfits = column, grid, misfits
        self._dtype = np.min_scalar_type(size - 1)
        self._texts: Sequence[str] | None = None
        self._of_texts = self._of_whole = _Codes(np.empty(0, dtype=self._dtype), {})
        self._whole = range(0)  # integers whose codes are known

    def encode(self, cells: Texts | Numbers) -> NDArray[np.integer]:
        """Return the code of each record."""
        if isinstance(cells, Numbers):
            return self._encode_numbers(*cells)
        if cells.distinct is not self._texts:
            self._of_texts = self._codes_of(np.array(cells.distinct, dtype=object))
            self._texts = cells.distinct
        return self._taken(self._of_texts, cells.places)

    def _encode_numbers(
        self, values: NDArray[np.integer] | Floats, absent: NDArray[np.bool_] | None
    ) -> NDArray[np.integer]:
        """Return the code of each number; of those that texts tell apart alone, by their text."""
        are_floats = values.dtype.kind == "f"
        finite = np.isfinite(values) if are_floats else None
        if absent is None and (finite is None or finite.all()):
            return self._encode_finite(values)
        known = np.ones(len(values), dtype=bool) if finite is None else finite
        if absent is not None:
            known = known & ~absent
        codes = np.empty(len(values), dtype=self._dtype)
        codes[known] = self._encode_finite(values[known])
        others = values[~known].astype(str).astype(object)
        if absent is not None:
            others[absent[~known]] = ""
        codes[~known] = self.encode(Texts.of(others.tolist()))
        return codes

    def _encode_finite(self, values: NDArray[np.integer] | Floats) -> NDArray[np.integer]:
        if values.dtype.kind != "f" and len(values):
            low, high = int(values.min()), int(values.max())
            is_known = low in self._whole and high in self._whole
            if is_known or self._widen(low, high, len(values)):
                places = values.astype(np.int64, copy=False)
                first = self._whole[0]
                return self._taken(self._of_whole, places - first if first else places)
        return self._taken(self._codes_of(values), None)

    def _widen(self, low: int, high: int, records: int) -> bool:
        """Have the codes of all integers from ``low`` to ``high`` ready, unless they are many."""
        most = min(MOST_CODED, CODED_A_RECORD * records)
        known = self._whole or range(low, high + 1)
        low, high = min(low, known[0]), max(high, known[-1])
        if high - low >= most or not -INT64 < low <= high < INT64:
            return False
        # As many more on the side that grew: a sorted column widens it few times.
        if low < known[0]:
            low = max(low - len(known), high - most + 1)
        if high > known[-1]:
            high = min(high + len(known), low + most - 1)
        self._whole = range(low, high + 1)
        parts = [
            self._codes_of(np.arange(part.start, part.stop) + low)
            for part in blocks(len(self._whole), BATCH)
        ]
        names = {what for part in parts for what in part.faults}
        nothing = np.zeros(BATCH, dtype=bool)
        self._of_whole = _Codes(
            np.concatenate([part.codes for part in parts]),
            {
                what: np.concatenate(
                    [part.faults.get(what, nothing)[: len(part.codes)] for part in parts]
                )
                for what in names
            },
        )
        return True

    def _taken(self, known: _Codes, places: NDArray[np.integer] | None) -> NDArray[np.integer]:
        """Return the codes at ``places``, in all of them where it is None, and count misfits."""
        if self._misfits is not None:
            for what, chosen in known.faults.items():
                found = chosen if places is None else chosen.take(places)
                self._misfits.note(self._column.name, what, int(np.count_nonzero(found)))
        return known.codes if places is None else known.codes.take(places)

    def _codes_of(self, distinct: NDArray[np.generic]) -> _Codes:
        column, cells = self._column, Cells(distinct, np.arange(len(distinct)))
        assert not isinstance(column, IdColumn)
        if isinstance(column, DiscreteColumn) or self._grid is None:
            codes = column.codes(cells)
        else:
            codes = column.codes(cells, self._grid)
        faults = {} if self._misfits is None else faults_of(column, cells)
        return _Codes(
            codes.astype(self._dtype),
            {what: chosen[:-1] for what, chosen in faults.items() if chosen[:-1].any()},
        )


def encoders_of(
    schema: Schema, domain: Domain, misfits: Misfits | None = None
) -> dict[str, Encoder]:
    """Return what encodes each column over ``domain``: the schema's own, or the finest one."""
    fine = {} if domain is schema.domain else schema.fine
    return {
        name: Encoder(schema.column(name), size, fine[name].grid if name in fine else None, misfits)
        for name, size in zip(domain, domain.sizes, strict=True)
    }
