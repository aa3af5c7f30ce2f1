"""Print the digests of a seeded release of every synthesizer, on numerics that are held still.

``digests.py --write`` makes the committed file anew: where an algorithm was changed on
purpose, never to let a change of structure pass. Networks round otherwise on processors of another
make, whatever their libraries are told: their digests stand beside a digest of what torch makes of
fixed numbers, and those of other processors are kept. Where a network was changed on purpose,
remove those first.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib import import_module
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
NETWORKS = ("dpctgan", "dpgan", "marginal_generator", "patectgan", "pategan")
# At epsilon 1 these leave so small a table to its columns, and would say nothing of their pairs.
CHOOSERS = ("aim", "clique_tree", "marginal_generator", "mst")
# Of methods by marginals at delta 0; networks have the same answers there, and training on top.
PURE = ["aim", "clique_tree", "independent", "mst", "mwem", "privbayes", "published_mst"]
KEYS = (
    (0, {"name": "visit", "type": "id", "pattern": "integer"}),
    (3, {"name": "person", "type": "id", "pattern": "P-[0-9]{6}"}),
)
LIBRARIES = ("numpy", "pandas", "scipy", "torch")


def numerics() -> dict[str, str]:
    """Return what the last bits of a fit depend on, beside the code."""
    found = {name: version(name) for name in LIBRARIES}
    return {**found, "system": platform.system(), "processor": platform.machine()}


def digests(delta: float = 1e-5, names: Sequence[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of what a release file would hold and of drawn rows, by method."""
    from made_files import SCHEMA, visits
    from small_settings import SMALL

    import dp_synth as dps

    schema = dps.Schema.from_dict(SCHEMA)
    found = {}
    for name, kind in sorted(dps.synthesizers.SYNTHESIZERS.items()):
        if names and name not in names:
            continue
        budget = dps.PrivacyBudget(5.0 if name in CHOOSERS else 1.0, delta)
        release = SMALL.get(name, kind()).fit(visits(), schema, budget, seed=0)
        found[name] = _digest(release)
    return found


def keys() -> str:
    """Return the same of a release whose rows have new keys."""
    from made_files import SCHEMA, visits

    import dp_synth as dps

    columns = list(SCHEMA["columns"])
    for place, column in KEYS:
        columns.insert(place, column)
    schema = dps.Schema.from_dict({**SCHEMA, "columns": columns})
    budget = dps.PrivacyBudget(1.0, 1e-5)
    return _digest(dps.Independent().fit(visits(), schema, budget, seed=0))


def _digest(release: Release) -> str:
    digest = hashlib.sha256(release.sample(200, seed=1).to_csv(index=False).encode())
    for key, array in sorted(_arrays(release).items()):
        digest.update(key.encode() + array.tobytes())
    return digest.hexdigest()


def kernels() -> str:
    """Return the SHA-256 of what torch makes of fixed numbers by the operations of a training."""
    torch = import_module("torch")
    generator = torch.Generator().manual_seed(0)
    digest = hashlib.sha256()
    for kind in (torch.float32, torch.float64):
        for rows, inner, columns in ((64, 128, 64), (7, 33, 5), (256, 96, 1)):
            first = torch.randn(rows, inner, generator=generator, dtype=kind, requires_grad=True)
            second = torch.randn(inner, columns, generator=generator, dtype=kind)
            product = first @ second
            curves = (product.tanh(), product.softmax(1), product.exp(), product.sigmoid())
            loss = sum(curve.sum() for curve in curves) + product.square().sum().sqrt()
            (gradient,) = torch.autograd.grad(loss, first)
            for found in (*curves, product, gradient):
                digest.update(found.detach().numpy().tobytes())
    return digest.hexdigest()[:16]


def found_here() -> dict[str, dict[str, str]]:
    """Return digests of this processor: of ``releases``, and of ``networks``."""
    every = digests()
    networks = {name: every.pop(name) for name in NETWORKS}
    return {
        "releases": every,
        "pure": digests(0.0, PURE),
        "keys": {"independent": keys()},
        "networks": networks,
        "kernels": {"torch": kernels()},
    }


def _arrays(release: Release) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a release file, but for the header, which names a version."""
    with TemporaryDirectory() as folder:
        release.save(Path(folder) / "release.npz")
        with np.load(Path(folder) / "release.npz") as kept:
            return {name: kept[name] for name in kept.files if name != "header"}


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in STILL.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **STILL})
    here = Path(__file__).parent
    sys.path += [str(here), str(here.parent / "synthesizers")]
    found = found_here()
    here_alone = {found["kernels"]["torch"]: found["networks"]}
    known = json.loads((here / "digests.json").read_text())
    kept = known["networks"] if known["numerics"] == numerics() else {}
    whole = {
        "numerics": numerics(),
        **{kind: found[kind] for kind in ("releases", "pure", "keys")},
        "networks": kept | here_alone,
    }
    if sys.argv[1:] == ["--write"]:
        (here / "digests.json").write_text(json.dumps(whole, indent=1) + "\n")
    else:
        print(json.dumps(found))
