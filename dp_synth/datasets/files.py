"""Table files: CSV and Parquet in and out, every cell read as text."""

from __future__ import annotations

import csv
import gzip
import io
import os
import sys
import zlib
from os import PathLike
from pathlib import Path

import pandas as pd

from dp_synth.errors import InputError
from dp_synth.files import written_whole
from dp_synth.frames import without_index
from dp_synth.typed_cells import parquet_batches, parquet_names, texts_of

RECORDS = 2**16  # of a Parquet file that are read at one time
_ENDINGS = ".csv, .csv.gz or .parquet"


def read_table(path: str | PathLike[str]) -> pd.DataFrame:
    """Return the table at ``path``, each cell as the text that the file holds.

    The ending tells CSV (``.csv``, ``.csv.gz``) from Parquet; ``-`` reads CSV from standard input.
    No text means "missing" here: ``NA`` and the empty cell stay as they are, and a null of a
    Parquet file becomes an empty text; its other cells are written as `typed_cells.text_of` does.
    InputError when the file is not such a table.
    """
    if os.fspath(path) == "-":
        return parse_csv(sys.stdin.buffer.read(), source="standard input")
    if _kind(path) == "parquet":
        return _parse_parquet(path)
    return parse_csv(_content(path), str(path))


def write_table(frame: pd.DataFrame, path: str | PathLike[str]) -> None:
    """Write ``frame`` to ``path`` all at once, or leave what was there as it was.

    The ending is as in `read_table`; ``-`` writes CSV to standard output.
    """
    if os.fspath(path) == "-":
        sys.stdout.write(_to_csv(frame))
        return
    kind = _kind(path)
    content = _to_parquet(frame) if kind == "parquet" else _to_csv(frame).encode("utf-8")
    if kind == "csv.gz":
        content = gzip.compress(content, mtime=0)  # the same table gives the same bytes
    with written_whole(path) as passing:
        passing.write_bytes(content)


def parse_csv(content: bytes, source: str) -> pd.DataFrame:
    """Return the table in the bytes of a CSV file; ``source`` opens the line of an InputError."""
    if content[:2] == b"\x1f\x8b":
        content = _decompress(content, source)
    names = _header(content, source)
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    options = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
    )
    parse = arrow_csv.ParseOptions(newlines_in_values=True)
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(content), parse_options=parse, convert_options=options
        )
    except pa.ArrowInvalid:
        # The parser's own message quotes the record, which is private.
        raise InputError(
            f"{source}: every record must have one cell for each of the {len(names)} columns "
            "that the header names, with quotes closed"
        ) from None
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _header(content: bytes, source: str) -> list[str]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{source}: must be UTF-8 text") from None
    try:
        names = next((row for row in csv.reader(io.StringIO(text, newline="")) if row), [])
    except csv.Error:
        raise InputError(f"{source}: its first line must be a header of column names") from None
    if not names:
        raise InputError(f"{source}: is empty; its first line must name the columns")
    _check_names(names, source)
    return names


def _check_names(names: list[str], source: str) -> None:
    for name in names:
        if not name:
            raise InputError(f"{source}: a column has no name; the header must name each column")
        if names.count(name) > 1:
            raise InputError(f"{source}: column {name!r} stands twice; names must be distinct")


def _kind(path: str | PathLike[str]) -> str:
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
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        raise InputError(f"{source}: is a damaged gzip file") from None


def _parse_parquet(path: str | PathLike[str]) -> pd.DataFrame:
    names = without_index(parquet_names(path), str(path))
    _check_names(names, str(path))
    cells: dict[str, list[str]] = {name: [] for name in names}
    for batch in parquet_batches(path, names, RECORDS):
        for name, column in zip(names, batch.columns, strict=True):
            cells[name] += texts_of(column)
    return pd.DataFrame({name: pd.Series(texts, dtype="str") for name, texts in cells.items()})


def _to_csv(frame: pd.DataFrame) -> str:
    text: str = frame.to_csv(index=False, lineterminator="\n")
    if "\r" in text:  # which is quoted only where all text is
        text = frame.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    return text


def _to_parquet(frame: pd.DataFrame) -> bytes:
    # Parquet columns have one type: values beside missing marks are written as text.
    mixed = {
        name: frame[name].map(str, na_action="ignore").astype(object)
        for name in frame.columns
        if frame[name].dtype == object
    }
    content: bytes = frame.assign(**mixed).to_parquet(index=False)
    return content
