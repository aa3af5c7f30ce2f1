"""What replicas of a release take, beside another checkout, and how far they are from tight fits.

    python -m benchmarks.replicas [--synthesizers clique_tree mst aim independent] [--epsilon 1]
        [--count 50] [--table adult_discrete] [--against CHECKOUT]

CPU seconds of the replicas on one thread, scaled to ``--count`` where a checkout makes another
number of them and does not redraw records. Then, for this checkout, over all cells of columns and
measured pairs: the mean ratio of standard errors to those of tight fits with the same noise and
records, the largest distance of a ratio from 1, and the distance of the replicas' cells from the
tight ones, as a part of how far these move. Needs the folder that DP_SYNTH_DATA names.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.versions import ROOT, taken_by

TIGHT_RESIDUAL, TIGHT_ITERATIONS = 1e-5, 5_000
LEAST_ERROR = 1.0  # records: standard errors below it are not compared
COMPARED = 20  # replicas that are fitted tightly as well


def made(path: str, count: int) -> dict[str, float]:
    """Return the CPU seconds of replicas and their number, by any version."""
    from dp_synth.inference import bootstrap
    from dp_synth.release import Release

    release = Release.load(path)
    started = time.process_time()
    if hasattr(bootstrap, "Replica"):
        found = sum(1 for _ in _replicas(release, count))
    else:
        found = len(bootstrap.replicas(release.model, release.transcript))  # type: ignore[call-arg]
    return {"seconds": time.process_time() - started, "count": found}


def _replicas(release: Any, count: int) -> Any:
    from dp_synth.inference.bootstrap import replicas

    return replicas(release.model, release.transcript, redraw=True, count=count)


def apart(path: str) -> str:
    """Return how far standard errors, and cells, are from those of tight fits."""
    from dp_synth.inference import estimation
    from dp_synth.release import Release
    from dp_synth.transcript import measured

    release = Release.load(path)
    names = list(release.schema.domain)
    pairs = {c for c in measured(release.transcript) if len(c) > 1}
    cliques = [*((name,) for name in names), *sorted(pairs)]

    def cells(model: Any) -> Any:
        return np.concatenate([model.marginal(clique).ravel() for clique in cliques])

    def moves() -> Any:
        return np.array([cells(one.model) for one in _replicas(release, COMPARED)]) - cells(
            release.model
        )

    quick = moves()
    usual = estimation.RESIDUAL, estimation.ITERATIONS
    estimation.RESIDUAL, estimation.ITERATIONS = TIGHT_RESIDUAL, TIGHT_ITERATIONS
    tight = moves()
    estimation.RESIDUAL, estimation.ITERATIONS = usual
    errors = np.sqrt(np.mean(quick**2, axis=0)), np.sqrt(np.mean(tight**2, axis=0))
    ratio = (errors[0] / np.maximum(errors[1], 1e-9))[errors[1] > LEAST_ERROR]
    largest = np.abs(ratio - 1).max()
    far = np.linalg.norm(quick - tight) / np.linalg.norm(tight)
    return (
        f"standard errors {ratio.mean():.4f} of tight ones, at most {largest:.3f} "
        f"off; cells {far:.3f} off"
    )


def main() -> None:
    """Print a line for each synthesizer, the other checkout's seconds first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    every = ["clique_tree", "mst", "aim", "independent"]
    parser.add_argument("--synthesizers", nargs="+", default=every)
    parser.add_argument("--table", default="adult_discrete")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--against", type=Path, help="another checkout, such as an older one")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        print(json.dumps(made(given.here, given.count)), flush=True)
        return
    import dp_synth as dps
    from benchmarks.inputs import Source, load

    data = load(Source(given.table))
    versions = [*([given.against.resolve()] if given.against else []), ROOT]
    for name in given.synthesizers:
        accountant = dps.Accountant(dps.PrivacyBudget(given.epsilon, 1e-9), simulate=True)
        release = dps.SYNTHESIZERS[name]().fit(data.train, data.schema, accountant, seed=0)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder, "release.npz"))
            release.save(path)
            said = f"{name:12}"
            told = ("-m", "benchmarks.replicas", f"--here={path}", f"--count={given.count}")
            for version in versions:
                found = json.loads(taken_by(version, *told).lines[-1])
                said += f" {found['seconds'] * given.count / found['count']:7.2f} s"
            print(f"{said}   {apart(path)}", flush=True)


if __name__ == "__main__":
    main()
