"""Temporary folders that outlive nobody: whoever makes one removes it, or else whoever comes next.

What a cell or a peer writes to the temporary folder may hold private rows. A process that is
killed can remove nothing, so that its parent does; and what a killed parent leaves is removed by
the next one that makes a folder. That a folder's owner lives is not guessed from a number, which
another process may have got: the owner holds a lock on the folder, and the system gives that back.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

PREFIX = "dp-synth-"


class Scratch:
    """A new folder in the temporary one that its owner alone can read, until it is removed.

    >>> with Scratch() as scratch:
    ...     (scratch.path / "a").write_text("b")
    1
    >>> scratch.path.exists()
    False
    """

    def __init__(self) -> None:
        """Remove what owners left that are dead, and make a folder."""
        sweep()
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))  # of mode 0700
            lock = _locked(self.path)
            if lock is not None:  # else it was swept before it could be locked
                self._lock = lock
                return

    def remove(self) -> None:
        """Remove the folder, for good."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def sweep() -> None:
    """Remove the folders of this user in the temporary one whose owners are dead."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = _locked(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _locked(path: Path) -> int | None:
    """Return the open folder at ``path`` with a lock; None where it is another's or none."""
    folder = None
    with suppress(OSError):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held, there = os.fstat(folder), os.stat(path, follow_symlinks=False)
        private = held.st_uid == os.geteuid() and stat.S_IMODE(held.st_mode) == stat.S_IRWXU
        if private and os.path.samestat(held, there):
            return folder
    if folder is not None:
        os.close(folder)
    return None
