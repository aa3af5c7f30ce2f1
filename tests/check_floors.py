"""Run tests with the oldest version of each package that setup.cfg allows.

``python tests/check_floors.py FOLDER TESTS...`` makes an environment in FOLDER, where there is none
yet, and runs the tests there; the exit code is pytest's. The networks' extra is left out, and the
package is not built: a path leads to it, so that others may build it meanwhile.
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
SITE = "import site; print(site.getsitepackages()[0])"


def floors(setup: Path) -> tuple[list[str], list[str]]:
    """Return what the package needs, held to the lowest versions, and what its tests need."""
    content = configparser.ConfigParser()
    content.read(setup, encoding="utf-8")
    needed = content["options"]["install_requires"].split()
    tested = content["options.extras_require"]["test"].split()
    return [requirement.replace(">=", "==") for requirement in needed], tested


def environment(folder: Path, pins: list[str], others: list[str]) -> Path:
    """Return the interpreter of the environment in ``folder``, where all of it is installed."""
    python, installed = folder / "bin" / "python", folder / "floors.txt"
    text = "\n".join([*pins, *others]) + "\n"
    if installed.exists() and installed.read_text("utf-8") == text:
        return python
    venv.create(folder, with_pip=True, clear=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, *pins, *others], check=True)
    site = subprocess.run([python, "-c", SITE], check=True, capture_output=True, text=True)
    Path(site.stdout.strip(), "dp_synth.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    installed.write_text(text, encoding="utf-8")
    return python


def main(folder: str, *tests: str) -> int:
    """Return the exit code of pytest over ``tests``."""
    python = environment(Path(folder).resolve(), *floors(ROOT / "setup.cfg"))
    allowed = [word for kind in WARNINGS for word in ("-W", f"default::{kind}")]
    command = [python, "-m", "pytest", "-q", "-m", SELECTED, *allowed, "-n", "auto", *tests]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
