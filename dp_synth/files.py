"""Files that are there whole or not at all, on disk or at any address that fsspec knows."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
        from urllib.parse import urlsplit
        from urllib.request import url2pathname

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


APPENDING = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""How a file is opened that lines are added to: no pipe is waited for."""
NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
"""What a file system answers that has no file locks."""
PATIENCE = 300.0
"""Seconds that a marker is waited for: unlike a lock, it can outlive who made it."""


@contextmanager
def locked(path: str | os.PathLike[str], *, to_replace: bool = False) -> Iterator[int | None]:
    """Hold the file at ``path`` for this process alone, waiting for whoever holds it.

    What is held is the file itself, whatever name it is opened by or moved to, and its own mode
    says who may. An absent one is made, empty, and is gone at the end if it still is. Read what
    is to be changed inside the block; whoever puts another file in its place does so last.

    Gives a descriptor of the file, to read and append; None where there are no file locks. There
    a marker beside it, ``path`` with ".lock", stands for the lock: it is gone at the end, and the
    next to come removes one whose process has died on the same machine. InputError where the file
    cannot be held: no regular file, behind a marker that stays, or read-only, unless it is
    ``to_replace`` as a whole, which only its folder must allow.
    """
    target = Path(path).resolve()
    is_new = not target.exists()
    handle = _held(target, to_replace)
    if handle is None:
        with _marked(target):
            os.close(_opened(target, to_replace))
            try:
                yield None
            finally:
                if is_new:
                    _drop_empty(target)
        return
    from filelock import unlock_descriptor

    try:
        yield handle
    finally:
        if is_new and _is_at(target, handle):
            _drop_empty(target)
        with suppress(OSError):  # a process that was forked meanwhile has it open, too
            unlock_descriptor(handle)
        os.close(handle)


def hold(handle: int) -> bool:
    """Wait until an open file is this process's alone; False where there are no file locks.

    Closing it, as the end of the process does, lets it go.
    """
    if "filelock" not in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # imported, it tells of a Python without fcntl
            import filelock  # noqa: F401
    from filelock import lock_descriptor

    if os.name == "nt":  # whose locks keep other handles of the same process from reading
        return False
    try:
        return lock_descriptor(handle, poll_interval=0.01)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        raise


def _held(target: Path, to_replace: bool) -> int | None:
    """Return a descriptor of the file that is held; None where there are no file locks."""
    while True:
        with ExitStack() as release:
            handle = _opened(target, to_replace)
            release.callback(os.close, handle)
            if not hold(handle):
                return None
            if _is_at(target, handle):  # and was not replaced or removed while we waited
                release.pop_all()
                return handle


def _opened(target: Path, to_replace: bool) -> int:
    """Return a descriptor to read a file and append to it, made where there is none."""
    handle = None
    try:
        while handle is None:
            with suppress(FileNotFoundError):
                handle = os.open(target, APPENDING)
            if handle is None and not target.parent.is_dir():
                raise InputError(f"{target}: its folder does not exist; make it, or name another")
            if handle is None:
                with suppress(FileExistsError):
                    handle = os.open(target, APPENDING | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        if to_replace and target.exists() and os.access(target.parent, os.W_OK):
            return os.open(target, os.O_RDONLY)
        raise InputError(f"{target}: cannot be opened to write ({error.strerror})") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError(f"{target}: is no regular file")
    return handle


def _is_at(target: Path, handle: int) -> bool:
    """Tell whether an open file is what its name stands for now: opened again, as NFS asks."""
    try:
        with target.open("rb") as again:
            return os.path.samestat(os.fstat(again.fileno()), os.fstat(handle))
    except FileNotFoundError:
        return False


def _drop_empty(target: Path) -> None:
    """Remove a file that is held, where nothing was written to it."""
    with suppress(OSError):
        if not target.stat().st_size:
            target.unlink()


@contextmanager
def _marked(target: Path) -> Iterator[None]:
    """Hold a file by a marker beside it; InputError where another's stays."""
    import filelock

    marker = f"{target}.lock"
    kind = filelock.FileLock if os.name == "nt" else filelock.SoftFileLock
    with ExitStack() as release:
        try:
            release.enter_context(kind(marker, timeout=PATIENCE))
        except filelock.Timeout:
            raise InputError(
                f"{marker}: has held {target.name} for {PATIENCE:g} seconds{_who(marker)}; delete "
                "it if that process has ended"
            ) from None
        if target.exists() and target.stat().st_nlink > 1:
            raise InputError(
                f"{target}: has several names (hard links), which cannot be held together where "
                "there are no file locks; leave one"
            )
        yield


def _who(marker: str) -> str:
    """Return which process made a marker, in words; nothing where it does not say."""
    with suppress(OSError, ValueError):
        process, machine, *_ = Path(marker).read_text("utf-8")[:400].split("\n")
        return f", made by process {int(process)} on {machine!r}"
    return ""
