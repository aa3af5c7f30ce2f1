"""Files of Arrow (Feather and IPC), read and written record batch by record batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from dp_synth.dialect import check_names
from dp_synth.errors import InputError
from dp_synth.formats import FileSize, check_readable, needs_more_memory
from dp_synth.frames import from_arrow, texts_of, without_index

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MAGIC = b"ARROW1"
OLD_FEATHER = b"FEA1"
NO_ARROW = "is not an Arrow file, or a damaged one"


@contextmanager
def opened(path: str | PathLike[str]) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Give the schema of an Arrow file and its batches; InputError where it is none."""
    import pyarrow as pa
    from pyarrow import ipc

    check_readable(path)
    try:
        with pa.OSFile(str(path), "rb") as file:
            begins = file.read(len(MAGIC))
            if begins[: len(OLD_FEATHER)] == OLD_FEATHER:
                raise InputError(
                    f"{path}: is a Feather file of version 1; write it anew with version 2"
                )
            file.seek(0)
            if begins == MAGIC:
                reader = ipc.open_file(file)
                count = reader.num_record_batches
                yield reader.schema, (reader.get_batch(i) for i in range(count))
            else:
                stream = ipc.open_stream(file)
                yield stream.schema, iter(stream)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        # Arrow's own message may quote a record, which is private.
        raise InputError(f"{path}: {NO_ARROW}") from None


def read_arrow(path: str | PathLike[str], most: int) -> pd.DataFrame:
    """Return the table in an Arrow file as text; InputError as `formats.read` says."""
    import pyarrow as pa

    with opened(path) as (schema, batches):
        names = without_index(schema.names, str(path))
        check_names(names, str(path))
        cells: dict[str, list[pa.Array]] = {name: [] for name in names}
        for batch in batches:
            batch.validate(full=True)
            for name in names:
                texts = texts_of(batch.column(name))
                most -= sum(map(len, texts)) + len(texts)
                if most < 0:
                    raise needs_more_memory(path)
                cells[name].append(pa.array(texts, pa.string()))
        columns = [pa.chunked_array(cells[name], pa.string()) for name in names]
        return from_arrow(pa.table(columns, names=names), str(path))


def size_of_arrow(path: str | PathLike[str]) -> FileSize:
    """Return the size of an Arrow file, told from its length and its first batch."""
    with opened(path) as (schema, batches):
        first = next(batches, None)
        if first is None or not first.num_rows:
            return FileSize(0, len(schema.names), 0)
        text = sum(len(cell) + 1 for column in first.columns for cell in texts_of(column))
        length = max(Path(path).stat().st_size, text)
        times = max(length / max(first.nbytes, 1), 1.0)
    return FileSize(int(first.num_rows * times), len(schema.names), int(text * times))


def write_arrow(blocks: Iterable[pa.Table], path: Path, *, compressed: bool) -> None:
    """Write tables of one schema below one another as an Arrow file, compressed by LZ4 if asked."""
    from pyarrow import ipc

    rest = iter(blocks)
    first = next(rest)
    options = ipc.IpcWriteOptions(
        compression="lz4" if compressed else None, emit_dictionary_deltas=True
    )
    with ipc.new_file(str(path), first.schema, options=options) as writer:
        for table in chain([first], rest):
            writer.write_table(table)
