"""Check that wheel and sdist each run in an environment of nothing else, without network.

``python tests/check_installed.py dist constraints.txt`` makes the environment, and in it runs the
README's script and a grid of one cell on the bundled table.
"""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

README = Path(__file__).parents[1] / "README.md"
# Stands in the environment: every interpreter there reads it first, those of workers as well.
NO_NETWORK = '''
import socket

def refused(*_given, **_named):
    """Raise the error of a machine without network."""
    raise OSError("this environment is closed to the network")

socket.getaddrinfo = socket.socket.connect = refused
'''
SITE = "import site; print(site.getsitepackages()[0])"
GRID = """\
name: installed
dataset: adult
delta: 1.0e-9
seeds: 1
synthesizers: [mst]
utility:
  epsilons: [1]
  metrics: [tv2]
"""


def script() -> str:
    """Return the README's first block of Python, with the place that it is imported from."""
    found = re.search(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert found, f"{README}: no block of Python"
    return found[1] + "print(dps.__file__)\n"


def run(python: Path, folder: Path, *arguments: str) -> str:
    """Return what an interpreter printed, run in ``folder``; SystemExit with it where it fails."""
    command = [str(python), *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(arguments[:3])}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def check(python: Path, folder: Path) -> None:
    """Run script and grid with the installed package; SystemExit with the output on a failure."""
    printed = run(python, folder, "-I", "-c", script())
    if not Path(printed.split()[-1]).is_relative_to(folder):
        raise SystemExit(f"another dp_synth was imported: {printed.split()[-1]}")
    (folder / "grid.yaml").write_text(GRID, encoding="utf-8")
    tool = str(python.parent / "dp-synth")
    run(python, folder, "-I", tool, "benchmark", "run", "grid.yaml", "--store", "store")
    status = run(python, folder, "-I", tool, "benchmark", "status", "grid.yaml", "--store", "store")
    if "0 failed" not in status or "0 left" not in status:
        raise SystemExit(status)


def main(dist: str, constraints: str) -> int:
    """Return 0 when both archives run; the first that does not ends the program with its output."""
    archives = [path for kind in ("*.whl", "*.tar.gz") for path in Path(dist).resolve().glob(kind)]
    assert len(archives) == 2, f"{dist}: one wheel and one sdist, not {archives}"
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        venv.create(folder / "environment", with_pip=True)
        python = folder / "environment" / "bin" / "python"
        pins = ("--constraint", str(Path(constraints).resolve()))
        run(python, folder, *pip, *pins, str(archives[0]))
        hook = Path(run(python, folder, "-c", SITE).strip()) / "sitecustomize.py"
        for archive in archives:
            hook.unlink(missing_ok=True)
            run(python, folder, *pip, "--no-deps", "--force-reinstall", str(archive))
            hook.write_text(NO_NETWORK, encoding="utf-8")
            check(python, folder)
            print(f"runs in an environment of its own, without network: {archive.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
