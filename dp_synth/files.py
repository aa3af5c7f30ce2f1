"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What reading a damaged archive raises: numpy's, json's, zipfile's and zlib's own errors.
DAMAGES = (
    AttributeError,
    EOFError,
    KeyError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path to write to, beside ``path``, which takes its name when the block ends well.

    When the block or the disk fails, what was at ``path`` stays as it was and nothing is left.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_whole(Path(folder) / "a.txt") as passing:
    ...         _ = passing.write_text("whole")
    ...     [(found.name, found.read_text()) for found in Path(folder).iterdir()]
    [('a.txt', 'whole')]
    """
    target = Path(path)
    passing = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield passing
        os.replace(passing, target)
    finally:
        passing.unlink(missing_ok=True)
