"""Table files: CSV and Parquet, every cell read as text."""

from __future__ import annotations

import csv
import gzip
import io
import os
import sys
import zlib
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import pandas as pd

from dp_synth.counting.size import check_room, most_text, too_long
from dp_synth.counting.texts import blocks_of
from dp_synth.dialect import COMMON, Dialect, check_names
from dp_synth.errors import InputError
from dp_synth.frames import without_index
from dp_synth.typed_cells import parquet_batches, parquet_names

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK, LARGEST_BLOCK = 2**20, 2**31 - 1  # bytes of a CSV file that are parsed at one time
RECORDS = 2**16  # of a Parquet file that are read at one time
_ENDINGS = ".csv, .csv.gz or .parquet"


def read_table(path: str | PathLike[str], dialect: Dialect | None = None) -> pd.DataFrame:
    """Return the table at ``path``, each cell as the text that the file holds.

    The ending tells CSV (``.csv``, ``.csv.gz``) from Parquet; ``-`` reads CSV from standard input.
    ``dialect`` says how a CSV file is written, where not in the common way: a schema may hold it.
    No text means "missing" here: ``NA`` and the empty cell stay as they are, and a null of a
    Parquet file becomes an empty text; its other cells are written as `typed_cells.text_of` does.
    Bytes of a cell that are not of the encoding stand as ``\\ufffd``, and SchemaMismatch warns of
    them. InputError when the file is not such a table, or needs more memory than tables may take
    (`counting.size.memory_limit`): before it is read, or while it is where it hides its length.
    """
    dialect = dialect or COMMON
    if os.fspath(path) == "-":
        return parse_csv(_limited(sys.stdin.buffer, "standard input"), "standard input", dialect)
    check_room(path, dialect=dialect)
    if kind_of(path) == "parquet":
        return _parse_parquet(path)
    return parse_csv(_content(path), str(path), dialect)


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
    for block in (BLOCK, min(len(content) + 1, LARGEST_BLOCK)):  # a record must fit into one
        read = arrow_csv.ReadOptions(
            column_names=None if dialect.has_header else names, block_size=max(block, BLOCK)
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


def kind_of(path: str | PathLike[str]) -> str:
    """Return the kind of a table file by its ending: csv, csv.gz or parquet; else InputError."""
    name = Path(path).name.lower()
    for ending in ("csv", "csv.gz", "parquet"):
        if name.endswith(f".{ending}"):
            return ending
    raise InputError(f"{path}: the name of a table file must end in {_ENDINGS}")


def _content(path: str | PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _decompress(content: bytes, source: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            return _limited(file, source)
    except (OSError, EOFError, zlib.error):
        raise InputError(f"{source}: is a damaged gzip file") from None


def _limited(file: IO[bytes] | gzip.GzipFile, source: str) -> bytes:
    """Return what is left of a file; InputError where that is more than tables may have."""
    most, parts = most_text(), []
    while part := file.read(BLOCK):
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
    frame: pd.DataFrame = pa.table(columns, names=names).to_pandas()
    return frame
