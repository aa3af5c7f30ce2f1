"""Frames: tables of any library, their columns by name, and their cells as text.

Cells of any type are taken as the text that a CSV file of the table would hold.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import combinations
from math import log
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.errors import InputError, LeftOut, SchemaError, warn
from dp_synth.types import Floats

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

_READ: WeakSet[object] = WeakSet()  # streams that were read to their end
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


class ArrowTable(Protocol):
    """A table that hands out its columns in the Arrow C stream, as pyarrow's and polars' do."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return a capsule with an Arrow stream."""


def as_frame(table: object, source: str = "the table") -> pd.DataFrame:
    """Return a frame of pandas as it is, another library's table as a frame of text.

    Taken are tables that speak Arrow's C stream (pyarrow, polars, DuckDB), all others that narwhals
    knows, lazy ones after their computation, and those with the dataframe interchange protocol or
    a ``to_pandas``. A table of Arrow becomes the frame that `datasets.read_table` reads from its
    Parquet file. InputError for anything else, for columns without a name of their own, and for a
    stream of record batches that was read before; ``source`` opens its line.
    """
    if isinstance(table, pd.DataFrame):
        return table
    if not isinstance(table, (type, pd.Series, pd.Index)):
        if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
            return from_arrow(_arrow_of(table, source), source)
        known = nw.from_native(table, pass_through=True)
        if isinstance(known, nw.LazyFrame):
            return as_frame(_computed(known, source), source)
        if isinstance(known, nw.DataFrame):
            return known.to_pandas()
        if hasattr(table, "__dataframe__"):
            from pyarrow.interchange import from_dataframe

            return from_arrow(from_dataframe(table), source)
        if hasattr(table, "to_pandas") and isinstance(frame := table.to_pandas(), pd.DataFrame):
            return frame
    raise InputError(f"{_taken(source, table)}{_advice(table)}")


Table = pd.DataFrame | ArrowTable
"""A table that `as_frame` takes."""


def hold_frames(instance: object, *names: str) -> None:
    """Put the frame of pandas (`as_frame`) in the place of each named table of a frozen dataclass.

    For ``__post_init__``; fields that are None stay so. InputError names a field that is no table.
    """
    for name in names:
        if (table := getattr(instance, name)) is not None:
            object.__setattr__(instance, name, as_frame(table, name))


def from_arrow(table: pa.Table, source: str) -> pd.DataFrame:
    """Return an Arrow table as a frame of text, nulls as empty texts.

    Without the index that pandas wrote: see `without_index`. InputError for a name that is empty
    or stands twice; ``source`` opens its line.
    """
    names = without_index(table.column_names, source)
    if not all(names) or len(set(names)) < len(names):
        raise InputError(f"{source}: each column must have a name of its own")
    columns = {}  # as they would be read from the table's Parquet file
    for name in names:
        texts = [np.empty(0, dtype=object), *map(_each_text, table.column(name).chunks)]
        columns[name] = pd.Series(np.concatenate(texts), dtype="str")
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def _each_text(chunk: pa.Array) -> NDArray[np.object_]:
    """Return what `texts_of` does; cells of whole numbers, texts and times once for each value."""
    import pyarrow as pa

    kind = chunk.type
    listed, texts = chunk, None
    if not (pa.types.is_dictionary(kind) or pa.types.is_floating(kind) or pa.types.is_nested(kind)):
        with suppress(pa.ArrowException):  # kinds of which Arrow lists no distinct cells
            listed = chunk.dictionary_encode()
    if pa.types.is_dictionary(listed.type):
        distinct = texts_of(listed.dictionary)
        absent = len(distinct)
        places = listed.indices.cast(pa.int64()).fill_null(absent).to_numpy(zero_copy_only=False)
        if not len(places) or 0 <= places.min() <= places.max() <= absent:
            texts = np.array([*distinct, ""], dtype=object)[places]
    return np.array(texts_of(chunk), dtype=object) if texts is None else texts


def without_index(names: Iterable[str], source: str) -> list[str]:
    """Return the names of columns, without those that pandas gave to an index without a name.

    Row numbers of a table that was filtered or sorted are no column of it, though pandas writes
    them as one. A `LeftOut` warning that ``source`` opens says so.

    >>> without_index(["age", "sex"], "t.parquet")
    ['age', 'sex']
    """
    names = list(names)
    for name in filter(_PANDAS_INDEX.fullmatch, names):
        text = f"{source}: {name!r} is an index of pandas, no column: left out"
        warn(text, LeftOut)
    return [name for name in names if not _PANDAS_INDEX.fullmatch(name)]


def column_of(frame: pd.DataFrame, name: str, schema: str | None = None) -> pd.Series:
    """Return the column of ``frame`` whose name has this text, such as 0 for ``"0"``.

    SchemaError when there is none, or more than one; ``schema`` is that which names it.
    InputError for a table that is no frame.
    """
    if not isinstance(frame, pd.DataFrame):
        raise InputError(
            f"a pandas DataFrame is needed here, got {type(frame).__name__}; "
            "dp_synth.frames.as_frame makes one of it"
        )
    if frame.columns.inferred_type == "string" and frame.columns.is_unique and name in frame:
        return frame[name]
    places = [place for place, own in enumerate(frame.columns) if str(own) == name]
    if len(places) == 1:
        return frame.iloc[:, places[0]]
    if places:
        raise SchemaError(f"column {name!r} stands twice in the table; names must be distinct")
    of = "the schema" if schema is None else f"schema {schema!r}"
    shown = [repr(str(own)) for own in frame.columns[:20]]
    more = ", ..." if len(frame.columns) > 20 else ""
    raise SchemaError(
        f"column {name!r} of {of} is not in the table, which has {', '.join(shown)}{more}"
    )


def _arrow_of(table: object, source: str) -> pa.Table:
    import pyarrow as pa

    if isinstance(table, pa.RecordBatchReader):
        if table in _READ:  # of which nothing is left, as if nobody were in the table
            raise InputError(
                f"{source} is a stream of record batches, which can be read once, and was; give "
                "the table that its read_all() returns"
            )
        _READ.add(table)
    try:
        return table.read_all() if isinstance(table, pa.RecordBatchReader) else pa.table(table)
    except (pa.ArrowException, TypeError, ValueError):  # a single column speaks Arrow too
        raise InputError(_odd_kind(table, source) or _taken(source, table)) from None


def _odd_kind(table: object, source: str) -> str:
    """Return what is wrong with a frame that has a column of a kind that Arrow has not."""
    import pyarrow as pa

    known: Any = nw.from_native(table, pass_through=True)
    for name in known.columns if isinstance(known, nw.DataFrame) else ():
        try:
            pa.table(known.select(name).to_native())
        except (pa.ArrowException, TypeError, ValueError):
            kind = known.schema[name]
            return f"{source}: column {name!r} is of kind {kind}, which Arrow has not; cast it"
    return ""


def _computed(lazy: nw.LazyFrame[Any], source: str) -> object:
    """Return the table that a lazy one stands for; InputError, without the cause, for none."""
    try:
        return lazy.collect().to_native()
    except FOREIGN:  # whose messages may quote a record, which is private
        raise InputError(f"{source}: its lazy query cannot be computed; collect() it") from None


def _taken(source: str, table: object) -> str:
    kind = type(table)
    got = (
        kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    )
    return f"{source} must be a pandas, Arrow or polars table, got {got}"


def _advice(table: object) -> str:
    if isinstance(table, np.ndarray):
        return "; pd.DataFrame(array, columns=[...]) names its columns"
    if isinstance(table, (list, tuple, dict)):
        return "; pd.DataFrame(...) makes one of it"
    return ""


FOREIGN = (Exception,)
"""What a cell may raise, being an object of anybody's code; no fit may end of it."""

NO_PARQUET = "is not a Parquet file, or a damaged one"
CHANGED = "was written anew while it was read; read it when it is complete"

PAGES = 2**20  # bytes of a column that are read at one time
MOST_BYTES = 2**26  # of a block of records, however few records that are
LARGEST_RECORD = 2**30  # bytes: more is taken for a file that was made to fill memory
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # in a second


def text_of(cell: object) -> str:
    """Return a cell of any type as text; an absent one as an empty text.

    Narrow floats are written with as few digits as tell them apart, bytes as the text that they
    spell, durations as their number of seconds. What cannot be said as text is an empty one, and
    what UTF-8 cannot write of a text stands as ``\\ufffd``: nothing here raises.

    >>> text_of(np.float32(-99.9)), text_of(b"caf\\xc3\\xa9"), text_of(timedelta(days=1))
    ('-99.9', 'café', '86400')
    """
    if isinstance(cell, str):
        return well_formed(cell)
    if cell is None:
        return ""
    if isinstance(cell, bytes):
        return _spelled(cell)
    if isinstance(cell, timedelta):  # pandas' own, a subclass, counts nanoseconds beside
        microseconds = cell // timedelta(microseconds=1)
        return seconds_text(1000 * microseconds + getattr(cell, "nanoseconds", 0), 10**9)
    if isinstance(cell, np.timedelta64):
        return seconds_text(*_counted(cell))
    try:
        return well_formed(str(cell))
    except FOREIGN:  # an integer of more digits than Python writes, an object of foreign code
        return ""


def well_formed(text: str) -> str:
    """Return a text as UTF-8 can write it: halves of a pair joined, lone ones replaced.

    >>> well_formed("caf\\u00e9"), well_formed("\\ud83d\\ude00"), well_formed("a\\ud800")
    ('café', '😀', 'a�')
    """
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def seconds_text(count: int, per_second: int) -> str:
    """Return ``count`` parts of a second as a number of seconds, exactly.

    >>> seconds_text(90_000, 1_000), seconds_text(-1_500_000, 10**6)
    ('90', '-1.5')
    """
    whole, rest = divmod(abs(count), per_second)
    digits = str(per_second + rest)[1:].rstrip("0")
    return f"{'-' * (count < 0)}{whole}{'.' * bool(digits)}{digits}"


def texts_of(column: pa.Array) -> list[str]:
    """Return the cells of an Arrow array, of any type, as text (`text_of`)."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        distinct = texts_of(column.dictionary)
        return ["" if place is None else distinct[place] for place in column.indices.to_pylist()]
    if pa.types.is_floating(kind) and kind.bit_width < 64:
        narrow = np.float32 if kind.bit_width == 32 else np.float16
        cells = column.to_pylist()
        return ["" if cell is None else str(narrow(cell)) for cell in cells]
    if pa.types.is_duration(kind):
        counts = column.cast(pa.int64()).to_pylist()
        return ["" if cell is None else seconds_text(cell, _UNITS[kind.unit]) for cell in counts]
    try:
        return list(map(text_of, column.to_pylist()))
    except FOREIGN:  # at least one cell is none of Python's: they are read one by one
        return [_odd_text(cell) for cell in column]


def _odd_text(cell: pa.Scalar) -> str:
    """Return a cell as text that Python may have no object for; an empty one where there is none.

    Dates beyond Python's, times of a zone that is not known here (in UTC), bytes that are not
    UTF-8 in a column of text (replaced by ``\\ufffd``).
    """
    import pyarrow as pa

    kind = cell.type
    try:
        return text_of(cell.as_py())
    except FOREIGN:
        try:
            if pa.types.is_timestamp(kind) and kind.tz is not None:
                return text_of(cell.cast(pa.timestamp(kind.unit)).cast(pa.string()).as_py() + "Z")
            if hasattr(cell, "as_buffer"):
                return str(cell.as_buffer().to_pybytes(), "utf-8", "replace")
            return text_of(cell.cast(pa.string()).as_py())
        except FOREIGN:
            return ""


def parquet_names(path: str | PathLike[str]) -> list[str]:
    """Return the names of the columns of a Parquet file; InputError when it is none."""
    return parquet_shape(path)[0]


def parquet_shape(path: str | PathLike[str]) -> tuple[list[str], int]:
    """Return the names of the columns of a Parquet file, and how many records it says it has."""
    with _opened(path) as file:
        return [str(name) for name in file.schema_arrow.names], max(file.metadata.num_rows, 0)


def parquet_batches(
    path: str | PathLike[str], names: Sequence[str], records: int
) -> Iterator[pa.RecordBatch]:
    """Give the columns ``names`` of a Parquet file, at most so many records at a time.

    Texts and bytes come as dictionaries, however long a text that is repeated is. InputError where
    the file is damaged, or written anew while it is read. Neither threads nor whole row groups
    are used, so that memory does not grow with the file, and a short command ends without waiting
    for a reader.
    """
    import pyarrow as pa

    with _opened(path) as file:
        kinds = zip(file.schema_arrow.names, file.schema_arrow.types, strict=True)
        listed = [name for name, kind in kinds if _comes_listed(kind)]
    with _opened(path, listed) as file:
        if missing := [name for name in names if name not in file.schema_arrow.names]:
            raise InputError(f"{path}: column {missing[0]!r} is not in the file any more")
        began = _written(path)
        most = min(records, _room(file, path))
        try:
            batches = file.iter_batches(most, columns=list(names), use_threads=False)
            for batch in batches:
                chosen = batch.select(list(names))
                _check_places(chosen)
                yield chosen
        except (pa.ArrowException, OSError):
            # Their own messages may quote the record, which is private.
            changed = _written(path) != began
            raise InputError(f"{path}: {CHANGED if changed else NO_PARQUET}") from None
        if _written(path) != began:
            raise InputError(f"{path}: {CHANGED}")


def _written(path: str | PathLike[str]) -> tuple[int, int, int]:
    """Return what changes when a file is written or replaced; zeros where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns


def _check_places(batch: pa.RecordBatch) -> None:
    """Raise ArrowInvalid where a cell is a place that its list of distinct ones has not."""
    import pyarrow as pa
    from pyarrow import compute

    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            ends = compute.min_max(column.indices).as_py()
            if ends["max"] is not None and not 0 <= ends["min"] <= ends["max"] < len(
                column.dictionary
            ):
                raise pa.ArrowInvalid("a place is beyond the list")


def _comes_listed(kind: pa.DataType) -> bool:
    """Tell whether Parquet gives cells of a type by their number in a list of distinct ones."""
    import pyarrow as pa

    texts = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
    return pa.types.is_dictionary(kind) or kind in texts


def _room(file: parquet.ParquetFile, path: str | PathLike[str]) -> int:
    """Return how many records to take at once, by what the file says of their mean length.

    InputError where a single one would not do: a small file may hold lists without end.
    """
    described, columns = file.metadata, file.schema
    # Cells of fixed width and lists are longer in memory than in the file, which repeats none.
    wide = [
        place
        for place in range(len(columns))
        if columns.column(place).max_repetition_level or columns.column(place).length > 16
    ]
    largest = 8.0 * len(columns)
    for group in map(described.row_group, range(described.num_row_groups)):
        held = sum(
            group.column(place).num_values * max(8, columns.column(place).length) for place in wide
        )
        size = (max(group.total_byte_size, 0) + held) / max(group.num_rows, 1)
        largest = max(largest, 8.0 * len(columns) + size)
    if largest > LARGEST_RECORD:
        raise InputError(
            f"{path}: a record takes {largest / 1e9:.1f} GB of memory; leave out lists and texts"
        )
    return max(int(MOST_BYTES / largest), 1)


def _opened(path: str | PathLike[str], listed: Sequence[str] = ()) -> parquet.ParquetFile:
    """Return a Parquet file whose ``listed`` columns stay as they are: their texts are not checked.

    InputError where it is none.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with open(path, "rb"):  # its error says more than that of the reader
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return parquet.ParquetFile(
            str(path), read_dictionary=list(listed), pre_buffer=False, buffer_size=PAGES
        )
    except (pa.ArrowException, OSError):
        raise InputError(f"{path}: {NO_PARQUET}") from None


def _spelled(cell: bytes) -> str:
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return cell.decode("latin-1")


def _counted(cell: np.timedelta64) -> tuple[int, int]:
    unit, many = np.datetime_data(cell.dtype)
    if unit in _UNITS:
        return int(cell.astype(np.int64)) * many, _UNITS[unit]
    return int(cell.astype("timedelta64[s]").astype(np.int64)), 1


OVERLAP_CHANCE = 1e-6
"""Tables drawn apart are refused as overlapping with at most this chance, each pair of them."""


def refuse_shared(tables: Mapping[str, Table]) -> None:
    """Raise InputError where two of several real tables share records; their names are given.

    Records that were fitted, others that were not, and those that an attacker has must be of
    different people: whatever is measured between them would otherwise say how many they share.
    """
    frames = {name: as_frame(table, name) for name, table in tables.items()}
    for (first, one), (second, other) in combinations(frames.items(), 2):
        if overlap(one, other):
            raise InputError(f"{first} and {second} share records; give tables of different people")


def overlap(first: Table, second: Table) -> bool:
    """Tell whether the same people seem to stand in two tables.

    Different people may have equal records, so a pair of equal ones is no proof, nor are a few.
    Were the two tables drawn apart from one population, equal records would stand in one of them
    about as often as astride: what counts as overlap has a chance of at most 1e-6 then
    (Chernoff's bound). Where records are distinct otherwise, 20 that stand in both tables are
    enough, and two equal tables always are.
    """
    first, second = as_frame(first), as_frame(second)
    columns = [column for column in first.columns if column in second.columns]
    sides = [side[columns].astype(str).reset_index(drop=True) for side in (first, second)]
    if len(first) > 1 and sides[0].equals(sides[1]):
        return True
    if not columns or not len(first) or not len(second):
        return False
    keys = pd.concat(sides).groupby(columns, sort=False, dropna=False).ngroup().to_numpy()
    inside = np.bincount(keys[: len(first)], minlength=keys.max() + 1).astype(np.float64)
    outside = np.bincount(keys[len(first) :], minlength=keys.max() + 1).astype(np.float64)
    return _is_overlap(inside, outside)


def _is_overlap(inside: Floats, outside: Floats) -> bool:
    """Tell whether too many distinct records stand on both sides, given how often each occurs.

    A record that occurs t times, thrown by coins, stands on both sides with probability
    1 - p^t - (1 - p)^t, where p is the members' share of all.
    """
    times = inside + outside
    share = inside.sum() / times.sum()
    occurs, records = np.unique(times, return_counts=True)
    chance = np.clip(1 - share**occurs - (1 - share) ** occurs, 0.0, 1.0)
    astride = float(((inside > 0) & (outside > 0)).sum())
    slopes = np.geomspace(1e-3, 30.0, 200)
    growth = np.log1p(chance * np.expm1(slopes[:, None])) @ records
    log_probability = float(np.min(growth - slopes * astride))
    return log_probability <= log(OVERLAP_CHANCE)
