"""Processes with the package of this checkout or of another one: what they print and take."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
COMMAND = ("-c", "import sys; from dp_synth.cli import main; sys.exit(main())")  # dp-synth itself


@dataclass(frozen=True)
class Taken:
    """What a process took: CPU seconds, megabytes at its peak; what it printed; how it ended."""

    seconds: float
    megabytes: float
    lines: Sequence[str]
    code: int

    def __str__(self) -> str:
        ended = f" (exit {self.code})" if self.code else ""
        return f"{self.seconds:8.2f} s {self.megabytes:6.0f} MB{ended}"


def taken_by(
    checkout: Path,
    *told: object,
    check: bool = True,
    most: int | None = None,
    variables: Mapping[str, str] = ONE_THREAD,
) -> Taken:
    """Return what Python took that was ``told`` so, with ``dp_synth`` of a checkout.

    Everything else, helpers of scripts as well, comes from here: an older version has none, or
    others. ``most`` bytes of memory are all that it may have. Peaks are in the units of Linux.
    """
    limit = (most, most)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as printed:
        Path(folder, "dp_synth").symlink_to(checkout.resolve() / "dp_synth")
        path = os.pathsep.join([folder, str(ROOT)])
        process = subprocess.Popen(
            [sys.executable, *map(str, told)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path} | variables,
            stdout=printed,
            stderr=None if check else subprocess.DEVNULL,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_AS, limit) if most else None,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if check and process.returncode:
            raise SystemExit(f"{checkout}: {told[1]} ended with {process.returncode}")
        printed.seek(0)
        lines = printed.read().splitlines()
    return Taken(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, lines, process.returncode)


def lines_by(checkout: Path, module: str, *told: object, **variables: str) -> Sequence[str]:
    """Return the lines that a module prints with ``dp_synth`` of a checkout."""
    return taken_by(checkout, "-m", module, *told, variables=variables).lines


def by_turns(versions: Sequence[Path], work: Callable[[Path], Taken], repeats: int) -> list[Taken]:
    """Return the least that each version took of several turns, so that a busy machine is fair."""
    turns = [[work(version) for version in versions] for _ in range(repeats)]
    return [min(each, key=lambda one: one.seconds) for each in zip(*turns, strict=True)]


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of the children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
