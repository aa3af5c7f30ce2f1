"""Files that are there whole or not at all, on disk or at any address that fsspec knows."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import zipfile
import zlib
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
        passing = f"{folder}/{passing_name(name)}"
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


BLOCK = 4096  # bytes

NAME_KEPT = 40  # characters of a name that stand in the one that its file has in passing

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
    passing = target.with_name(passing_name(target.name))
    try:
        with named_in_errors(target, passing):
            if private:
                os.close(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
            yield passing
            os.replace(passing, target)
    finally:
        with suppress(OSError):  # what is raised already says more
            passing.unlink(missing_ok=True)


@contextmanager
def named_in_errors(target: str | Path, passing: Path | None = None) -> Iterator[None]:
    """Let an OSError of the block that names no file, or ``passing``, name ``target``.

    >>> with named_in_errors("rows.csv"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    OSError: [Errno 28] No space left on device: 'rows.csv'
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None and str(error.filename) != str(passing):
            raise
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        raise OSError(error.errno or errno.EIO, reason, str(target)) from error


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

    A file is made in each folder, under the name that a result would have in passing, and removed.
    None is no place, and "-" is standard input or output. InputError, before anything is spent.
    """
    taken = {Path(path).resolve() for path in read if path is not None and str(path) != "-"}
    for path in written:
        if path is None or str(path) == "-":
            continue
        try:
            place = path.resolve()
            path.exists()  # OSError for a name that is longer than names may be
            known, has_folder = place in taken, path.parent.is_dir()
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
            raise InputError(f"{str(path)!r}: cannot be written: {_reason(error)}") from None
        taken.add(place)
        if known:
            raise InputError(f"{path}: is named twice; give each file a place of its own")
        if not has_folder:
            raise InputError(f"{path}: its folder does not exist; make it, or name another place")
        if path.is_dir() or not os.access(path.parent, os.W_OK):
            raise InputError(f"{path}: cannot be written; name another place")
        _try(path)


def _try(path: Path) -> None:
    """Raise InputError where no file can be made that would take the name ``path``."""
    passing = path.with_name(passing_name(path.name))
    try:
        try:
            with os.fdopen(
                os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb"
            ) as file:
                file.write(bytes(BLOCK))  # which a full disk has no room for
        finally:
            passing.unlink(missing_ok=True)
        folder, own = path.parent.stat(), path.lstat() if path.exists() else None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {_reason(error)}") from None
    owners = {0, folder.st_uid, folder.st_uid if own is None else own.st_uid}
    if folder.st_mode & stat.S_ISVTX and getattr(os, "geteuid", int)() not in owners:
        raise InputError(f"{path}: is another user's, and cannot be replaced in this folder")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _write(target: Path, content: bytes, *, private: bool) -> None:
    with written_whole(target, private=private) as passing:
        passing.write_bytes(content)


def passing_name(name: str) -> str:
    """Return a name that no other process takes, on whatever machine it shares the folder from."""
    # As long a name as the disk can hold leaves no room for more, so that it is cut.
    return f".{name[:NAME_KEPT]}.{os.getpid()}-{secrets.token_hex(4)}.part"


def _remove(files: AbstractFileSystem, path: str) -> None:
    with suppress(OSError):
        files.rm_file(path)


def _protocols(files: AbstractFileSystem) -> set[str]:
    return {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
