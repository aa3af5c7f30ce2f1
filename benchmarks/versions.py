"""Processes that run a script of this folder with the package of another checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lines_by(checkout: Path, script: str, *told: object, **variables: str) -> list[str]:
    """Return the lines that ``benchmarks.SCRIPT`` prints with ``dp_synth`` of a checkout.

    Everything else, helpers of scripts as well, comes from here: an older version has none, or
    others. ``variables`` are added to the environment.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "dp_synth").symlink_to(checkout.resolve() / "dp_synth")
        path = os.pathsep.join([folder, str(ROOT)])
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{script}", *map(str, told)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path} | variables,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return done.stdout.splitlines()
