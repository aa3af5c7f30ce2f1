"""What attacks and metrics cost as tables grow: CPU seconds of whole processes.

    python -m benchmarks.attack_growth [--records 1000 10000 100000] [--only closest_record domias]
        [--before CHECKOUT] [--most 1000]

As many targets as synthetic and as reference records. Targets and reference are rows of coded
Adult (the folder DP_SYNTH_DATA names it; else the bundled one) drawn with replacement, synthetic
ones are drawn from a fit of MST to it. With the folder of an earlier version as CHECKOUT it does
the same, and its seconds, the ratio, and the largest difference of scores stand beside: relative
to the larger of the score and 1. What would take longer than ``--most`` seconds, by what the last
size took if it grows with the square, is left out.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

import dp_synth as dps
from benchmarks.versions import ROOT, taken_by
from dp_synth import attacks, metrics
from dp_synth.attacks import ATTACKS, Guessing, Secret
from dp_synth.attacks.article_29 import GUESSES, Method
from dp_synth.schema import Schema

PARTS = ("members", "others", "reference", "synthetic")
SECRET = "sex"
SAME = 1e-9  # of rounding
BUDGET = dps.PrivacyBudget(10.0, 1e-6)

Tables = Mapping[str, pd.DataFrame]
Work = Callable[[Tables, Schema], object]


def by_attack(name: str) -> Work:
    """Return the scores of members, in the eyes of an attacker who knows the synthesizer."""

    def scores(tables: Tables, schema: Schema) -> object:
        view = dps.AttackerView(
            tables["synthetic"], schema, tables["reference"], synthesizer=dps.MST(), budget=BUDGET
        )
        return ATTACKS[name]().scores(tables["members"], view)

    return scores


def guessing(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the two groups that guesses are made about."""
    return tables["members"], tables["others"]


def by_guess(method: Method) -> Work:
    """Return how much oftener a secret is guessed for members than for others."""

    def risk(tables: Tables, schema: Schema) -> object:
        secret = Secret(SECRET, schema, tables["synthetic"])
        return attacks.attribute_inference(*guessing(tables), secret, method=method)

    return risk


def all_metrics(tables: Tables, schema: Schema) -> object:
    """Compute every metric of the catalogue."""
    real = metrics.RealTables(*guessing(tables), schema)
    compared = metrics.Compared(real, tables["synthetic"], 0)
    return [metric(compared) for metric in metrics.METRICS.values()]


WORK: Mapping[str, Work] = {
    **{name: by_attack(name) for name, kind in ATTACKS.items() if not kind.needs_transcript},
    "isolation": lambda t, schema: attacks.vulnerability(t["members"], schema),
    "linkability": lambda t, schema: attacks.linkability(*guessing(t), t["synthetic"], schema),
    "singling_out_1": lambda t, schema: attacks.singling_out(
        *guessing(t), t["synthetic"], schema, guessing=Guessing(columns=1)
    ),
    "singling_out_3": lambda t, schema: attacks.singling_out(*guessing(t), t["synthetic"], schema),
    **{f"inference_{method}": by_guess(method) for method in GUESSES},
    "reconstruction": lambda t, schema: attacks.linear_reconstruction(
        *guessing(t), Secret(SECRET, schema, t["synthetic"])
    ),
    "overlap": lambda t, schema: attacks.overlap(*guessing(t)),
    "risk report": lambda t, schema: attacks.privacy_risks(
        *guessing(t), t["synthetic"], schema, t["reference"]
    ),
    "all metrics": all_metrics,
}


def write_tables(folder: Path, records: int) -> None:
    """Draw the tables, and keep them with their schema."""
    data = dps.datasets.load("adult_discrete" if "DP_SYNTH_DATA" in os.environ else "adult")
    pool = pd.concat([data.train, data.holdout], ignore_index=True)
    rng = np.random.default_rng(0)
    halves = np.array_split(rng.permutation(len(pool)), len(PARTS) - 1)
    for name, half in zip(PARTS, halves, strict=False):
        rows = pool.iloc[rng.choice(half, records)]
        rows.reset_index(drop=True).to_pickle(folder / f"{name}.pkl")
    accountant = dps.Accountant(BUDGET, simulate=True)
    release = dps.MST().fit(data.train, data.schema, accountant, seed=0)
    release.sample(records, seed=0).to_pickle(folder / "synthetic.pkl")
    data.schema.save(folder / "schema.json")


def work(name: str, folder: Path, out: Path) -> None:
    """Do one piece of work on the tables of a folder, and keep scores."""
    tables = {part: pd.read_pickle(folder / f"{part}.pkl") for part in PARTS}
    found = WORK[name](tables, Schema.load(folder / "schema.json"))
    if isinstance(found, np.ndarray):
        np.save(out, found)


def measured(name: str, folder: Path, checkout: Path) -> tuple[float, np.ndarray | None]:
    """Return the CPU seconds of a process that does one piece of work, and the scores."""
    out = folder / "scores.npy"
    out.unlink(missing_ok=True)
    taken = taken_by(checkout, "-m", "benchmarks.attack_growth", "--work", name, folder, out)
    return taken.seconds, np.load(out) if out.exists() else None


def line(name: str, folder: Path, before: Path | None, most: float) -> tuple[str, float]:
    """Return what one piece of work took, in words and in seconds; ``most`` is left for it."""
    seconds, scores = measured(name, folder, ROOT)
    said = f"{seconds:10.1f}"
    if before is not None and most > 0:
        earlier, expected = measured(name, folder, before)
        said += f"{earlier:10.1f}{earlier / seconds:8.1f}"
        seconds = max(seconds, earlier)
        if scores is not None and expected is not None:
            apart = np.abs(scores - expected) / np.maximum(np.abs(expected), 1)
            said += "   equal" if not apart.any() else f"   {apart.max():.0e}"
            said += (
                f", {(apart > SAME).mean():.2%} above {SAME:.0e}" if (apart > SAME).any() else ""
            )
    return said, seconds


def main() -> None:
    """Print a line for each piece of work and each number of records."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--only", nargs="+", choices=list(WORK), default=list(WORK))
    parser.add_argument("--before", type=Path)
    parser.add_argument("--most", type=float, default=1000.0)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(asked.work[0], Path(asked.work[1]), Path(asked.work[2]))
        return
    beside = "    before   ratio   difference of scores" if asked.before else ""
    print(f"{'':26s}{'records':>10s}{'CPU s':>10s}{beside}")
    taken = dict.fromkeys(asked.only, (0.0, 1))
    for records in sorted(asked.records):
        with TemporaryDirectory() as name:
            write_tables(Path(name), records)
            for one in asked.only:
                seconds, last = taken[one]
                if seconds * (records / last) ** 2 > asked.most:
                    print(f"{one:26s}{records:10,d}  left out", flush=True)
                    continue
                said, seconds = line(one, Path(name), asked.before, asked.most)
                taken[one] = (seconds, records)
                print(f"{one:26s}{records:10,d}{said}", flush=True)


if __name__ == "__main__":
    main()
