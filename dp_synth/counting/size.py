"""How much memory a table takes as text, told from its file before it is read."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO

from dp_synth.dialect import COMMON, Dialect
from dp_synth.errors import InputError
from dp_synth.formats import is_read_whole
from dp_synth.formats import size_of as size_of_whole
from dp_synth.frames import parquet_batches, parquet_shape, texts_of

MEMORY_VARIABLE = "DP_SYNTH_MEMORY"
"""The environment variable that says how much memory tables may take, such as 4GB."""

SHARE = 0.75
"""Of the memory that is available, what tables may take where nobody says otherwise."""

READ, FITTED, COMPARED = 16, 36, 130
"""Bytes of memory a cell that is read as text, that is encoded for a fit, and that is compared by
metrics or attacks, beside four times its text."""

GZIP = b"\x1f\x8b"
SAMPLE = 2**20  # bytes at the beginning of a CSV file that are looked at
SAMPLED_RECORDS = 1_000  # at the beginning of a Parquet file
PROBE = 2**23  # bytes that are decompressed to see how well a file was compressed

_TIMES = 4
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class TableSize:
    """About how many rows and columns a table file has, and bytes as CSV: private, as rows are."""

    rows: int
    columns: int
    text: int

    def memory(self, a_cell: int) -> int:
        """Return the bytes that it takes where each cell takes ``a_cell`` beside its text."""
        return _TIMES * self.text + a_cell * self.rows * self.columns


def size_of(
    path: str | PathLike[str], dialect: Dialect | None = None, *, most: int = PROBE
) -> TableSize:
    """Return the size of a table file from what it says of itself and from its first records.

    Of a compressed CSV file at most so many bytes are decompressed; how well they were compressed
    then tells how long the rest is. That may be wrong, as what a Parquet file says of its rows may
    be: whoever reads it must stop by himself. OSError or InputError where it cannot be read.
    """
    if Path(path).name.lower().endswith(".parquet"):
        return _of_parquet(path)
    if is_read_whole(path):
        return TableSize(*size_of_whole(path))
    separator = (dialect or COMMON).delimiter.encode()
    with Path(path).open("rb") as file:
        sample, length = file.read(SAMPLE), os.fstat(file.fileno()).st_size
        pieces = iter([sample])
        if sample[: len(GZIP)] == GZIP:
            file.seek(0)
            pieces = _inflated(file)
        seen = lines = cells = 0
        for piece in pieces:
            seen += len(piece)
            lines += piece.count(b"\n") or piece.count(b"\r")
            cells += piece.count(separator)
            if seen >= most:
                break
        taken = min(file.tell(), length)
    times = length / max(taken, 1)
    return TableSize(int(lines * times), cells // max(lines, 1) + 1, int(seen * times))


def memory_limit() -> int:
    """Return the bytes that tables may take: those that DP_SYNTH_MEMORY says, else a share.

    The share is of what is available to this process, by the system, by its control group and by
    its own limits. InputError where the variable is no size.
    """
    return asked_memory() or int(SHARE * _available())


def asked_memory() -> int | None:
    """Return the bytes that DP_SYNTH_MEMORY says; None where it is not set."""
    given = os.environ.get(MEMORY_VARIABLE)
    if not given:
        return None
    found = _SIZE.fullmatch(given)
    if not found or not (size := int(float(found[1]) * _UNITS[found[2].lower()])):
        raise InputError(f"{MEMORY_VARIABLE} must be a size such as 4GB, got {given!r}")
    return size


def check_room(
    *paths: str | PathLike[str] | None, dialect: Dialect | None = None, a_cell: int = READ
) -> None:
    """Raise InputError where tables together need more memory than they may take.

    Nothing is read but the beginnings of their files. What cannot be looked at is passed over:
    reading it says why.
    """
    sizes: list[tuple[int, str, TableSize]] = []
    for path in paths:
        if path is not None and os.fspath(path) != "-":
            with suppress(OSError, InputError):
                size = size_of(path, dialect)
                sizes.append((size.memory(a_cell), os.fspath(path), size))
    needed, most = sum(bytes_needed for bytes_needed, *_ in sizes), memory_limit()
    if needed > most:
        of_one, name, size = max(sizes, key=lambda one: one[0])
        others = f", {_gigabytes(needed)} with the other tables" if needed > 1.1 * of_one else ""
        raise InputError(
            f"{name}: about {float(f'{size.rows:.2g}'):,.0f} rows x {size.columns:,} "
            f"column{'s' * (size.columns > 1)} need about "
            f"{_gigabytes(of_one)} of memory{others}, and {_gigabytes(most)} may be taken; "
            f"take a part of it, or set {MEMORY_VARIABLE}"
        )


def too_long(source: str) -> InputError:
    """Return the error for a file that turns out, while it is read, to need too much memory."""
    return InputError(
        f"{source}: needs more memory than the {_gigabytes(memory_limit())} that may be taken; "
        f"take a part of it, or set {MEMORY_VARIABLE}"
    )


def most_text(memory: int | None = None) -> int:
    """Return how many bytes of text tables may have at most, in so much memory or the limit."""
    return (memory_limit() if memory is None else memory) // _TIMES


def _of_parquet(path: str | PathLike[str]) -> TableSize:
    names, rows = parquet_shape(path)
    once = [name for name in names if names.count(name) == 1]
    batch = next(parquet_batches(path, once, SAMPLED_RECORDS), None)
    if batch is None or not batch.num_rows:
        return TableSize(rows, len(names), rows)
    text = sum(len(cell) + 1 for column in batch.columns for cell in texts_of(column))
    return TableSize(rows, len(names), rows * text // batch.num_rows)


def _inflated(file: IO[bytes]) -> Iterator[bytes]:
    """Give what a compressed file holds, for little of it that is read at one time."""
    inflate = zlib.decompressobj(wbits=31)
    with suppress(zlib.error):  # of a damaged file: reading it says so
        while piece := file.read(2**10):
            while piece:
                yield inflate.decompress(piece)
                piece = inflate.unused_data
                if inflate.eof:
                    inflate = zlib.decompressobj(wbits=31)


def _available() -> int:
    """Return the bytes of memory that this process may still take."""
    import psutil

    found: list[int] = [psutil.virtual_memory().available]
    with suppress(ImportError):
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            found.append(most - psutil.Process().memory_info().vms)
    with suppress(OSError, ValueError, StopIteration):
        group = next(one for one in Path("/proc/self/cgroup").read_text().splitlines())
        folder = Path("/sys/fs/cgroup", group.rpartition(":")[2].lstrip("/"))
        used = dict(one.split() for one in (folder / "memory.stat").read_text().splitlines())
        found.append(int((folder / "memory.max").read_text()) - int(used["anon"]))
    return max(min(found), 0)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
