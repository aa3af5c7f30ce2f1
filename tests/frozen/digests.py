"""Print the digests of a seeded release of every synthesizer, on numerics that are held still.

``digests.py > digests.json`` makes the committed file anew: where an algorithm was changed on
purpose, never to let a change of structure pass.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dp_synth.synthesizers import Release

# One kernel of each library, whatever the processor could do; read when they are loaded.
STILL = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
}
LIBRARIES = ("numpy", "pandas", "scipy", "torch")


def numerics() -> dict[str, str]:
    """Return what the last bits of a fit depend on, beside the code."""
    found = {name: version(name) for name in LIBRARIES}
    return {**found, "system": platform.system(), "processor": platform.machine()}


def digests() -> dict[str, str]:
    """Return the SHA-256 of what a release file would hold and of drawn rows, by method."""
    from made_files import SCHEMA, visits
    from small_settings import SMALL

    import dp_synth as dps

    schema = dps.Schema.from_dict(SCHEMA)
    found = {}
    for name, kind in sorted(dps.synthesizers.SYNTHESIZERS.items()):
        budget = dps.PrivacyBudget(1.0, 1e-5)
        release = SMALL.get(name, kind()).fit(visits(), schema, budget, seed=0)
        digest = hashlib.sha256(release.sample(200, seed=1).to_csv(index=False).encode())
        for key, array in sorted(_arrays(release).items()):
            digest.update(key.encode() + array.tobytes())
        found[name] = digest.hexdigest()
    return found


def _arrays(release: Release) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a release file, but for the header, which names a version."""
    with TemporaryDirectory() as folder:
        release.save(Path(folder) / "release.npz")
        with np.load(Path(folder) / "release.npz") as kept:
            return {name: kept[name] for name in kept.files if name != "header"}


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in STILL.items()):
        os.execve(sys.executable, [sys.executable, __file__], {**os.environ, **STILL})
    here = Path(__file__).parent
    sys.path += [str(here), str(here.parent / "synthesizers")]
    print(json.dumps({"numerics": numerics(), "releases": digests()}, indent=1))
