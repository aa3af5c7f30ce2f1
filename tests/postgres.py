"""A PostgreSQL server of a test's own, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

DEBIAN = Path("/usr/lib/postgresql")
NOBODY = "nobody"


def _program(name: str) -> str | None:
    """Return the newest program of this name, of Debian's folders or of the path."""
    places = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(places[-1]) if places else shutil.which(name)


def has_postgres() -> bool:
    """Tell whether the programs of a server are installed."""
    return _program("initdb") is not None and _program("pg_ctl") is not None


@contextmanager
def postgres_server() -> Iterator[str]:
    """Give the URL of an empty database of a server that ends with the block; else skip the test.

    It listens on a socket in a temporary folder alone, and runs as another user where this is
    root, who may not run one.
    """
    pytest.importorskip("psycopg")
    initdb, control = _program("initdb"), _program("pg_ctl")
    if initdb is None or control is None:
        pytest.skip("the programs of a PostgreSQL server are not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path has at most 107 bytes
    root = os.getuid() == 0
    user = pwd.getpwnam(NOBODY) if root else None
    own: dict[str, Any] = (
        {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    )
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)

    def run(*command: str) -> None:
        subprocess.run(
            command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=120, **own
        )

    data = str(folder / "data")
    settings = f"-k {folder} -c listen_addresses= -c fsync=off -c shared_buffers=4MB"
    try:
        run(initdb, "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        run(control, "-D", data, "-w", "-l", str(folder / "log"), "-o", settings, "start")
        try:
            yield f"postgresql://tests@{quote(str(folder), safe='')}/postgres"
        finally:
            run(control, "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
