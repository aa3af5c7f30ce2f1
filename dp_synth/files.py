"""Files that are there whole or not at all, on disk or at any address that fsspec knows."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from dp_synth.errors import InputError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# Here a put is there whole or not at all, and a move would be a copy.
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss"})


@dataclass(frozen=True)
class Url:
    """A file or folder at an address of fsspec, with the few methods of ``Path`` that are needed.

    >>> folder = Url("memory://bucket/results")
    >>> print(folder / "cells" / "a.json")
    memory://bucket/results/cells/a.json
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> Url:
        return Url(f"{self.text.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """What stands after the last slash."""
        return self.text.rpartition("/")[2]

    def read_bytes(self) -> bytes:
        """Return the content of the file; FileNotFoundError where there is none."""
        files, path = self._reached()
        return bytes(files.cat_file(path))

    def exists(self) -> bool:
        """Tell whether a file or folder is there."""
        files, path = self._reached()
        files.invalidate_cache()
        return bool(files.exists(path))

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""
        files, path = self._reached()
        try:
            files.rm_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def put(self, content: bytes) -> None:
        """Write the file: at once to an object store, elsewhere under a name that is passing."""
        files, path = self._reached()
        if not OBJECT_STORES.isdisjoint(_protocols(files)):
            files.pipe_file(path, content)
            return
        folder, _, name = path.rpartition("/")
        passing = f"{folder}/{_passing(name)}"
        files.makedirs(folder, exist_ok=True)
        with ExitStack() as undo:
            undo.callback(_remove, files, passing)
            files.pipe_file(passing, content)
            files.mv(passing, path)
            undo.pop_all()

    def files_below(self) -> list[str]:
        """Return the full name of every file below this folder; none where it is absent."""
        files, path = self._reached()
        files.invalidate_cache()
        try:
            return [str(found) for found in files.find(path)]
        except FileNotFoundError:
            return []

    def _reached(self) -> tuple[AbstractFileSystem, str]:
        from fsspec.core import url_to_fs

        files, path = url_to_fs(self.text)
        return files, path


Location = Path | Url


def location(where: str | Path) -> Location:
    """Return the path or address that is meant; a ``file://`` address is a path.

    >>> print(location("file:///tmp/a%20b"), location("s3://bucket/results/"))
    /tmp/a b s3://bucket/results
    """
    if isinstance(where, Path) or "://" not in where:
        return Path(where)
    if where.startswith("file://"):
        return Path(url2pathname(urlsplit(where).path))
    return Url(where.rstrip("/"))


PRIVATE = 0o600
"""The mode of a file that holds what was computed from private rows: its owner alone reads it."""


@contextmanager
def written_whole(path: str | os.PathLike[str], *, private: bool = False) -> Iterator[Path]:
    """Give a path to write to, beside ``path``, which takes its name when the block ends well.

    When the block or the disk fails, what was at ``path`` stays as it was and nothing is left.
    A ``private`` file can be read by its owner alone from its first byte on, whatever the umask.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_whole(Path(folder) / "a.txt") as passing:
    ...         _ = passing.write_text("whole")
    ...     [(found.name, found.read_text()) for found in Path(folder).iterdir()]
    [('a.txt', 'whole')]
    """
    target = Path(path)
    passing = target.with_name(_passing(target.name))
    try:
        if private:
            os.close(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
        yield passing
        os.replace(passing, target)
    finally:
        passing.unlink(missing_ok=True)


def write_whole(target: Location, content: bytes, *, private: bool = False) -> None:
    """Write ``content`` to a path or address, whole or not at all; folders are made when absent.

    ``private`` as in `written_whole`; an address has modes of its own. The disk is not told to
    flush: when the power fails, a file of the last seconds may be short.
    """
    if isinstance(target, Url):
        target.put(content)
        return
    try:
        _write(target, content, private=private)
    except FileNotFoundError:  # the rule, from the second file of a folder on, is that it exists
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, content, private=private)


def check_writable(*written: Path | None, read: Iterable[str | Path | None] = ()) -> None:
    """Refuse places that nothing could be written to, that are named twice or also ``read``.

    None is no place, and "-" is standard input or output. InputError, before anything is spent.
    """
    taken = {Path(path).resolve() for path in read if path is not None and str(path) != "-"}
    for path in written:
        if path is None or str(path) == "-":
            continue
        if path.resolve() in taken:
            raise InputError(f"{path}: is named twice; give each file a place of its own")
        taken.add(path.resolve())
        if not path.parent.is_dir():
            raise InputError(f"{path}: its folder does not exist; make it, or name another place")
        if path.is_dir() or not os.access(path.parent, os.W_OK):
            raise InputError(f"{path}: cannot be written; name another place")


def _write(target: Path, content: bytes, *, private: bool) -> None:
    with written_whole(target, private=private) as passing:
        passing.write_bytes(content)


def _passing(name: str) -> str:
    """Return a name that no other process takes, on whatever machine it shares the folder from."""
    return f".{name}.{os.getpid()}-{secrets.token_hex(4)}.part"


def _remove(files: AbstractFileSystem, path: str) -> None:
    with suppress(OSError):
        files.rm_file(path)


def _protocols(files: AbstractFileSystem) -> set[str]:
    return {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
