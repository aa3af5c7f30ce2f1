"""Run tests with the oldest version of each package that setup.cfg allows.

``python tests/check_floors.py FOLDER TESTS...`` makes an environment in FOLDER, where there is none
yet, and runs the tests there; the exit code is pytest's. The networks' extra is left out.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
SELECTED = "not slow and not browser"
# Old packages use what newer ones under them call deprecated.
WARNINGS = ("DeprecationWarning", "FutureWarning")


def floors(setup: Path) -> list[str]:
    """Return what the package needs, each requirement held to the lowest version that it allows."""
    content = configparser.ConfigParser()
    content.read(setup, encoding="utf-8")
    needed = content["options"]["install_requires"].split()
    return [requirement.replace(">=", "==") for requirement in needed]


def environment(folder: Path, pins: list[str]) -> Path:
    """Return the interpreter of the environment in ``folder``, where the pins are installed."""
    python, installed = folder / "bin" / "python", folder / "floors.txt"
    text = "\n".join(pins) + "\n"
    if installed.exists() and installed.read_text("utf-8") == text:
        return python
    venv.create(folder, with_pip=True, clear=True)
    passing = folder / "passing.txt"
    passing.write_text(text, encoding="utf-8")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--constraint", passing, "--editable", ".[test]"], cwd=ROOT, check=True)
    passing.rename(installed)
    return python


def main(folder: str, *tests: str) -> int:
    """Return the exit code of pytest over ``tests``."""
    python = environment(Path(folder).resolve(), floors(ROOT / "setup.cfg"))
    allowed = [word for kind in WARNINGS for word in ("-W", f"default::{kind}")]
    command = [python, "-m", "pytest", "-q", "-m", SELECTED, *allowed, "-n", "auto", *tests]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
