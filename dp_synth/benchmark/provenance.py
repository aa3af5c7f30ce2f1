"""What made the records of a store: versions, code, kind of machine, data, grid, and the run."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import dp_synth
from dp_synth._version import __version__
from dp_synth.benchmark.cell import Cell, Outcome, canonical_json, code_digest, processor
from dp_synth.benchmark.store import Store, reached
from dp_synth.files import Location, write_whole

FORMAT = 2
PACKAGES = (
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "dp-accounting",
    "pyarrow",
    "lightgbm",
    "torch",
    "opacus",
)
MOST_GIT_SECONDS = 10.0


@dataclass(frozen=True)
class RunSummary:
    """What one run did, and with what; None where it is not known.

    ``data`` has the SHA-256 of each table. ``cluster`` is the kind of the scheduler's address,
    "" for processes of this machine. ``started`` and ``ended`` are times of UTC as ISO 8601.
    ``peak_mb`` is the most that a cell held, ``fit_seconds`` the processor time of all fits.
    """

    data: Mapping[str, str] = field(default_factory=dict)
    jobs: int | None = None
    threads: int = 1
    cluster: str = ""
    started: str | None = None
    ended: str | None = None
    wall_seconds: float | None = None
    cells_run: int = 0
    cells_failed: int = 0
    peak_mb: float | None = None
    fit_seconds: float | None = None


def summarise(
    cells: Iterable[Cell],
    ended: Iterable[tuple[Cell, Outcome | None]],
    *,
    started: datetime,
    jobs: int | None = None,
    cluster: str = "",
) -> RunSummary:
    """Return the summary of a run that ends now.

    ``cells`` are those of the grid, ``ended`` those that this run was to do with their outcomes,
    None for cells that it did not come to. ``cluster`` is the address of a scheduler.
    """
    now = datetime.now(UTC)
    done = [outcome for _, outcome in ended if outcome is not None]
    peaks = [outcome.peak_mb for outcome in done if outcome.peak_mb is not None]
    seconds = [outcome.seconds for outcome in done if outcome.seconds is not None]
    return RunSummary(
        data={cell.dataset: cell.dataset_sha256 for cell in cells},
        jobs=jobs,
        cluster=address_kind(cluster),
        started=started.astimezone(UTC).isoformat(timespec="seconds"),
        ended=now.isoformat(timespec="seconds"),
        wall_seconds=(now - started).total_seconds(),
        cells_run=len(done),
        cells_failed=sum(bool(outcome.error) for outcome in done),
        peak_mb=max(peaks, default=None),
        fit_seconds=sum(seconds) if seconds else None,
    )


def address_kind(address: str) -> str:
    """Return what a scheduler's address says without naming a machine.

    >>> address_kind("tls://10.0.0.3:8786"), address_kind("host:8786"), address_kind("")
    ('tls', 'tcp', '')
    """
    scheme, separator, _ = address.partition("://")
    if separator:
        return scheme
    return "tcp" if address else ""


def write_manifest(
    store: Store, grid: Mapping[str, object], run: RunSummary | None = None
) -> Location:
    """Write what made the records and of which grid; return the file that is this run's alone.

    It is named by the time of UTC and a random part and never written again; ``manifest.json`` in
    the store's folder is the latest. Neither names a machine, a user or a folder, but for those
    that the grid itself names.
    """
    content = {
        "format": FORMAT,
        "name": grid["name"],
        "grid": dict(grid),
        "grid_sha256": hashlib.sha256(canonical_json(grid).encode()).hexdigest(),
        **_code(),
        "system": sys.platform,
        "processor": processor(),
        "cores": os.cpu_count(),
        **asdict(run or RunSummary()),
    }
    with reached(store, "written"):
        path = _new_file(store.runs)
        text = json.dumps({"run": path.name.removesuffix(".json"), **content}, indent=1) + "\n"
        write_whole(path, text.encode())
        write_whole(store.folder / "manifest.json", text.encode())
    return path


def _new_file(folder: Location) -> Location:
    while True:
        path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.json"
        if not path.exists():
            return path


def _code() -> dict[str, object]:
    """Return the versions of all code that takes part."""
    commit, dirty = checkout(Path(dp_synth.__file__).parent)
    return {
        "dp_synth": __version__,
        "code_sha256": code_digest(),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "packages": {name: _version_of(name) for name in PACKAGES},
    }


def checkout(package: Path) -> tuple[str | None, bool | None]:
    """Return the commit that a package is of, and whether tracked files differ from it.

    Both are None where git is absent or does not track the package: an installed one may well lie
    below the repository of something else.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    commit = _git(package, "rev-parse", "HEAD")
    changes = _git(package, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git answers; None where it cannot."""
    # A hook's variables would point at another repository; a lock would be in its user's way.
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            env=own | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            check=True,
            timeout=MOST_GIT_SECONDS,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version_of(package: str) -> str | None:
    with suppress(PackageNotFoundError):
        return version(package)
    return None
