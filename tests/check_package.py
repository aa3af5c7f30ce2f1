"""Check that the built wheel and sdist hold the bundled table, its schema and its licences."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

WANTED = (
    "dp_synth/py.typed",
    *(str(path) for path in sorted(Path("dp_synth").rglob("__init__.pyi"))),
    "dp_synth/datasets/adult.csv.gz",
    "dp_synth/datasets/adult.meta.json",
    "dp_synth/datasets/LICENSES",
)


def missing(names: list[str]) -> list[str]:
    """Return what is wanted but not among an archive's names."""
    return [wanted for wanted in WANTED if not any(name.endswith(wanted) for name in names)]


def main(folder: str) -> int:
    """Return 0 when both archives are complete, and say what is not."""
    (wheel,) = Path(folder).glob("*.whl")
    (sdist,) = Path(folder).glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as of_wheel, tarfile.open(sdist) as of_sdist:
        contents = {wheel: of_wheel.namelist(), sdist: of_sdist.getnames()}
    faults = [
        f"{path}: lacks {name}" for path, names in contents.items() for name in missing(names)
    ]
    print("\n".join(faults) or f"complete: {wheel.name} and {sdist.name}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
