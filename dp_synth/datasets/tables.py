"""Table files: every cell is read as text, and they are written in blocks, as pandas does."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dp_synth.counting.duckdb import blocks_of
from dp_synth.counting.size import check_room, most_text, too_long
from dp_synth.dialect import COMMON, Dialect, check_names
from dp_synth.errors import InputError
from dp_synth.files import named_in_errors, written_whole
from dp_synth.formats import ARROW, SHEETS, STREAMED, WRITTEN, is_read_whole, kind_of
from dp_synth.formats import read as read_whole
from dp_synth.frames import parquet_batches, parquet_names, without_index
from dp_synth.schema import Column, DiscreteColumn, IdColumn, Schema
from dp_synth.schema.parsing import NumberFormat
from dp_synth.types import Floats

if TYPE_CHECKING:
    import pyarrow as pa

Content = bytes | memoryview

PARSED_BYTES, MAX_PARSED_BYTES = 2**20, 2**31 - 1  # bytes of a CSV file that are parsed at one time
RECORDS = 2**16  # of a Parquet file that are read at one time

BLOCK = 2**17
"""Records that are written at one time."""

GZIP = 31  # what zlib calls windows of the largest size in a file of gzip
PLAIN_FROM, PLAIN_BELOW = 1e-4, 1e10  # here Arrow and Python write the same digits of a number


def read_table(path: str | PathLike[str], dialect: Dialect | None = None) -> pd.DataFrame:
    """Return the table at ``path``, each cell as the text that the file holds.

    The ending tells the kind: CSV (``.csv``, ``.csv.gz``), Parquet, Arrow (``.feather``,
    ``.arrow``), ``.xlsx``, SPSS (``.sav``, ``.zsav``, ``.por``), Stata (``.dta``) or SAS (``.xpt``,
    ``.sas7bdat``); ``-`` reads CSV from standard input. Codes of value labels stay codes.
    ``dialect`` says how a CSV file is written, where not in the common way: a schema may hold it.
    No text means "missing" here: ``NA`` and the empty cell stay as they are, and a null of a
    Parquet file becomes an empty text; its other cells are written as `frames.text_of` does.
    Bytes of a cell that are not of the encoding stand as ``\\ufffd``, and SchemaMismatch warns of
    them. InputError when the file is not such a table, or needs more memory than tables may take
    (`counting.size.memory_limit`): before it is read, or while it is where it hides its length.
    """
    dialect = dialect or COMMON
    if os.fspath(path) == "-":
        return parse_csv(_limited(sys.stdin.buffer, "standard input"), "standard input", dialect)
    check_room(path, dialect=dialect)
    if is_read_whole(path):
        return read_whole(path, most_text())
    if kind_of(path) == "parquet":
        return _parse_parquet(path)
    return parse_csv(content_of(path), str(path), dialect)


def parse_csv(content: bytes, source: str, dialect: Dialect = COMMON) -> pd.DataFrame:
    """Return the table in the bytes of a CSV file; ``source`` opens the line of an InputError."""
    if content[:2] == b"\x1f\x8b":
        content = _decompress(content, source)
    text, is_clean = _decoded(content, dialect)
    first = _first_record(text, source, dialect)
    if not is_clean:
        dialect.check_decoded(first, source)
        dialect.warn_of_bytes(source)
    names = dialect.names_in(first, source)
    if dialect.encoding is not None or not is_clean:
        content = text.encode("utf-8")
    table = _parsed(content, names, dialect)
    if table is None:
        # The parser's own message quotes the record, which is private.
        raise InputError(
            f"{source}: every record must have one cell for each of the {len(names)} columns "
            "that the header names, with quotes closed"
        )
    frame: pd.DataFrame = table.select([name for name in names if name]).to_pandas()
    return frame


def _parsed(content: bytes, names: list[str], dialect: Dialect) -> pa.Table | None:
    """Return the table in the bytes of a UTF-8 file; None where they are not one."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    options = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
    )
    parse = arrow_csv.ParseOptions(newlines_in_values=True, delimiter=dialect.delimiter)
    for block in (
        PARSED_BYTES,
        min(len(content) + 1, MAX_PARSED_BYTES),
    ):  # a record must fit into one
        read = arrow_csv.ReadOptions(
            column_names=None if dialect.has_header else names, block_size=max(block, PARSED_BYTES)
        )
        with suppress(pa.ArrowInvalid):
            return arrow_csv.read_csv(
                io.BytesIO(content), read_options=read, parse_options=parse, convert_options=options
            )
    return None


def _decoded(content: bytes, dialect: Dialect) -> tuple[str, bool]:
    """Return a file as text, and whether all of it is: bytes that are none are replaced."""
    try:
        return content.decode(dialect.codec), True
    except UnicodeError:
        return content.decode(dialect.codec, "replace"), False


def _first_record(text: str, source: str, dialect: Dialect) -> list[str]:
    lines = dialect.records_in(io.StringIO(text, newline=""))
    try:
        found = next((row for row in lines if row), [])
    except csv.Error:
        raise InputError(f"{source}: its first line must be a header of column names") from None
    if not found:
        raise InputError(f"{source}: is empty; its first line must name the columns")
    return found


def content_of(path: str | PathLike[str], error: type[InputError] = InputError) -> bytes:
    """Return the bytes of a file; an ``error`` in one line that names it, else."""
    try:
        return Path(path).read_bytes()
    except OSError as fault:
        raise error(f"{path}: cannot be read: {fault.strerror}") from None


def _decompress(content: bytes, source: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            return _limited(file, source)
    except (OSError, EOFError, zlib.error):
        raise InputError(f"{source}: is a damaged gzip file") from None


def _limited(file: IO[bytes] | gzip.GzipFile, source: str) -> bytes:
    """Return what is left of a file; InputError where that is more than tables may have."""
    most, parts = most_text(), []
    while part := file.read(PARSED_BYTES):
        parts.append(part)
        most -= len(part)
        if most < 0:
            raise too_long(source)
    return b"".join(parts)


def _parse_parquet(path: str | PathLike[str]) -> pd.DataFrame:
    import pyarrow as pa

    names = without_index(parquet_names(path), str(path))
    check_names(names, str(path))
    cells: dict[str, list[pa.Array]] = {name: [] for name in names}
    most = most_text()
    for block in blocks_of(parquet_batches(path, names, RECORDS), names):
        for name, texts in block.items():
            lengths = np.array([len(text) for text in texts.distinct])
            most -= int(lengths.take(texts.places).sum()) + len(texts.places)
            if most < 0:  # before a short file's long texts are written out
                raise too_long(str(path))
            cells[name].append(pa.array(texts.distinct, pa.string()).take(pa.array(texts.places)))
    columns = [pa.chunked_array(chunks, pa.string()) for chunks in cells.values()]
    frame: pd.DataFrame = pa.table(columns, names=names).to_pandas(use_threads=False)
    return frame


def write_table(
    frame: pd.DataFrame, path: str | PathLike[str], dialect: Dialect | None = None
) -> None:
    """Write ``frame`` to ``path`` all at once, or leave what was there as it was.

    The ending and ``dialect`` are as in `read_table`, an index is not written; ``-`` writes CSV to
    standard output, as UTF-8.
    """
    if os.fspath(path) != "-" and not kind_of(path).startswith("csv"):
        write_blocks([frame], path)
        return
    # What pandas writes of dates depends on all that stand in a column.
    others = [i for i, kind in enumerate(frame.dtypes) if not _is_plain(kind)]
    frame = frame.copy(deep=False)
    for i in others:
        frame.isetitem(i, _texts(frame.iloc[:, i]).to_numpy())
    starts = range(0, max(len(frame), 1), BLOCK)
    write_blocks((frame.iloc[start : start + BLOCK] for start in starts), path, dialect)


def write_blocks(
    blocks: Iterable[pd.DataFrame],
    path: str | PathLike[str],
    dialect: Dialect | None = None,
    *,
    lossy: bool = False,
    schema: Schema | None = None,
) -> None:
    """Write frames of the same columns, one or more, below one another, as `write_table` does.

    No more than one of them is held, but all for SPSS, Stata and SAS, whose files tell the labels
    and missing marks of ``schema``. The columns of a Parquet or Arrow file have the kinds that they
    have in the first frame. In a ``lossy`` file signs that its encoding lacks stand as "?".
    """
    dialect = dialect or COMMON
    if os.fspath(path) == "-":
        with named_in_errors("standard output"):
            _print(_csv(blocks, dialect))
        return
    kind = kind_of(path, WRITTEN)
    if kind not in STREAMED:
        with written_whole(path) as passing:
            _write_other(blocks, passing, kind, schema)
        return
    with written_whole(path) as passing, passing.open("wb") as file:
        if kind == "parquet":
            _write_parquet(blocks, file)
            return
        content = _encoded(_csv(blocks, dialect), dialect, path, lossy=lossy)
        for part in _zipped(content) if kind == "csv.gz" else content:
            file.write(part)


def _write_other(
    blocks: Iterable[pd.DataFrame], path: Path, kind: str, schema: Schema | None
) -> None:
    """Write a file of Arrow, a spreadsheet, or one of a statistical program."""
    if kind in ARROW:
        from dp_synth.formats.arrow import write_arrow

        write_arrow(_arrow_tables(blocks), path, compressed=kind == "feather")
    elif kind in SHEETS:
        from dp_synth.formats.sheets import write_sheet

        write_sheet(blocks, path)
    else:
        from dp_synth.datasets.codebooks import write_statistical

        write_statistical(blocks, path, kind, schema)


def lacking_signs(schema: Schema, path: str | PathLike[str]) -> list[str]:
    """Return the names of columns with a text that the encoding of a table file cannot write."""
    said = None if schema.dialect is None else schema.dialect.encoding
    if os.fspath(path) == "-" or not kind_of(path).startswith("csv") or said is None:
        return []
    return [column.name for column in schema.columns if not _can_write(column, said)]


def _can_write(column: Column, encoding: str) -> bool:
    texts = column.texts if isinstance(column, DiscreteColumn) else ()
    form = "" if isinstance(column, (DiscreteColumn, IdColumn)) else column.format
    if isinstance(form, NumberFormat):
        form = f"{form.prefix}{form.thousands or ''}{form.suffix}"
    try:
        "".join((column.name, *texts, *column.missing, form or "")).encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _print(content: Iterable[Content]) -> None:
    if sys.stdout.isatty():  # where what acts on a terminal is spelled out
        for part in content:
            sys.stdout.write(str(part, "utf-8"))
        return
    sys.stdout.flush()
    for part in content:
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()


def _encoded(
    content: Iterable[Content], dialect: Dialect, path: str | PathLike[str], *, lossy: bool
) -> Iterator[Content]:
    """Give UTF-8 in the encoding of the dialect; InputError where it lacks a sign."""
    encoding = dialect.encoding or "utf-8"
    made = codecs.getincrementalencoder(encoding)("replace" if lossy else "strict")
    try:
        for part in content:
            yield part if dialect.encoding is None else made.encode(str(part, "utf-8"))
    except UnicodeEncodeError:
        raise InputError(f"{path}: {encoding} has no sign for a text of the schema") from None


def _zipped(content: Iterable[Content]) -> Iterator[Content]:
    """Give a file of gzip without a time: the same table gives the same bytes."""
    made = zlib.compressobj(9, zlib.DEFLATED, GZIP)
    for part in content:
        yield made.compress(part)
    yield made.flush()


def _write_parquet(blocks: Iterable[pd.DataFrame], file: IO[bytes]) -> None:
    from pyarrow import parquet

    rest = _arrow_tables(blocks)
    first = next(rest)
    with parquet.ParquetWriter(file, first.schema) as writer:
        writer.write_table(first)
        for table in rest:
            writer.write_table(table)


def _arrow_tables(blocks: Iterable[pd.DataFrame]) -> Iterator[pa.Table]:
    """Give frames as tables of Arrow, all of the kinds of the first."""
    import pyarrow as pa

    schema = None
    for frame in blocks:
        table = pa.Table.from_pandas(_plain(frame), schema=schema, preserve_index=False)
        schema = schema or table.schema
        yield table


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with values beside missing marks as text: a column has one type."""
    mixed = {
        name: frame[name].map(str, na_action="ignore").astype(object)
        for name in frame.columns
        if frame[name].dtype == object
    }
    return frame.assign(**mixed)


def _csv(blocks: Iterable[pd.DataFrame], dialect: Dialect) -> Iterator[Content]:
    """Give the lines of a CSV file as UTF-8, block by block, the header first."""
    has_header = dialect.has_header
    for frame in blocks:
        if has_header:
            yield _header(list(frame.columns), dialect.delimiter)
            has_header = False
        yield _lines(frame, dialect.delimiter)


def _header(names: list[Any], delimiter: str) -> bytes:
    import pyarrow as pa

    texts = pa.array(list(map(str, names)), pa.large_string())
    quoted = _quoted(texts, delimiter, is_alone=len(names) == 1).to_pylist()
    return f"{delimiter.join(quoted)}\n".encode()


def _lines(frame: pd.DataFrame, delimiter: str) -> Content:
    """Return the lines of a frame, which lie one after another in the memory of Arrow's array."""
    from pyarrow import compute

    if not len(frame):
        return b""
    is_alone = frame.shape[1] == 1
    columns = [_cells(frame.iloc[:, i], delimiter, is_alone) for i in range(frame.shape[1])]
    columns[-1] = compute.binary_join_element_wise(columns[-1], *_scalars("", "\n"))
    lines = compute.binary_join_element_wise(*columns, *_scalars(delimiter))
    ends = np.frombuffer(lines.buffers()[1], dtype=np.int64)
    return memoryview(lines.buffers()[2])[: ends[len(lines)]]


def _cells(column: pd.Series, delimiter: str, is_alone: bool) -> pa.Array:
    """Return the cells of a column as a CSV file holds them; absent ones are empty."""
    import pyarrow as pa

    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        own = _cells(column.cat.categories.to_series(), delimiter, is_alone)
        empty = _quoted(pa.array([""], own.type), delimiter, is_alone=is_alone)
        codes = column.cat.codes.to_numpy().astype(np.int64)
        return pa.concat_arrays([own, empty]).take(pa.array(np.where(codes < 0, len(own), codes)))
    if kind.kind in "iu" and isinstance(kind, np.dtype):
        texts = pa.array(column.to_numpy()).cast(pa.large_string())
    elif kind == np.float64:
        texts = _float_texts(column.to_numpy())
    else:
        texts = _text_array(column if _is_plain(kind) else _texts(column))
    return _quoted(texts, delimiter, is_alone=is_alone)


def _is_plain(kind: Any) -> bool:
    """Tell whether what is written of a cell depends on nothing but the cell."""
    if isinstance(kind, (pd.CategoricalDtype, pd.StringDtype)):
        return True
    return isinstance(kind, np.dtype) and (kind.kind in "iuO" or kind == np.float64)


def _text_array(column: pd.Series) -> pa.Array:
    import pyarrow as pa

    cells = column.tolist()
    if not all(type(cell) is str for cell in cells):
        absent = column.isna().tolist()
        cells = ["" if no else str(cell) for cell, no in zip(cells, absent, strict=True)]
    return pa.array(cells, pa.large_string())


def _texts(column: pd.Series) -> pd.Series:
    """Return what pandas writes of cells of another kind, such as dates."""
    written = column.to_csv(index=False, header=False, lineterminator="\n")
    rows = [row[0] if row else "" for row in csv.reader(io.StringIO(written, newline=""))]
    return pd.Series(rows, dtype=object)


def _float_texts(numbers: Floats) -> pa.Array:
    """Return numbers with as few digits as tell them apart, as Python writes them; NaN is empty."""
    import pyarrow as pa
    from pyarrow import compute

    texts = pa.array(numbers).cast(pa.large_string())
    is_whole = numbers == np.rint(numbers)
    if is_whole.any():
        pointed = compute.binary_join_element_wise(texts, *_scalars("", ".0"))
        texts = compute.if_else(pa.array(is_whole), pointed, texts)
    size = np.abs(numbers)
    odd = np.flatnonzero(~((size >= PLAIN_FROM) & (size < PLAIN_BELOW)) & (numbers != 0))
    if not len(odd):
        return texts
    said = ["" if number != number else repr(number) for number in numbers[odd].tolist()]
    at = np.zeros(len(numbers), dtype=bool)
    at[odd] = True
    return compute.replace_with_mask(texts, pa.array(at), pa.array(said, texts.type))


def _scalars(*texts: str) -> list[pa.Scalar]:
    import pyarrow as pa

    return [pa.scalar(text, pa.large_string()) for text in texts]


def _quoted(texts: pa.Array, delimiter: str, *, is_alone: bool) -> pa.Array:
    """Return texts in quotes where they need them: an empty one where nothing stands beside it."""
    from pyarrow import compute

    signs = "".join(f"\\x{{{ord(sign):x}}}" for sign in f'"\r\n{delimiter}')
    needed = compute.match_substring_regex(texts, f"[{signs}]")
    if is_alone:
        needed = compute.or_(needed, compute.equal(texts, ""))
    if not compute.any(needed).as_py():
        return texts
    quote, empty = _scalars('"', "")
    doubled = compute.replace_substring(texts, '"', '""')
    inside = compute.binary_join_element_wise(quote, doubled, quote, empty)
    return compute.if_else(needed, inside, texts)
