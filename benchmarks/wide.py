"""What fits of wide tables take and keep, beside those of another checkout with the same seeds.

    python -m benchmarks.wide [--columns 100 200 600 1000] [--records 10000] [--epsilon 10]
        [--synthesizer clique_tree] [--table NAME] [--against CHECKOUT]

Made tables: blocks of ten columns about one hidden number each, every second column of two codes
and the others of five; or copies of a table side by side, each in an order of its own. CPU seconds
of the fit, the peak memory of a process of its own, on one thread, and the mean total variation of
neighbouring columns' pairs.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.inputs import Source, load
from benchmarks.versions import ROOT, taken_by
from dp_synth.types import Codes

BLOCK = 10  # columns about one hidden number
SIZES = (2, 5)  # codes, by turns


def made(records: int, columns: int) -> tuple[pd.DataFrame, dict[str, object]]:
    """Return a table and its schema as a mapping."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(records, -(-columns // BLOCK))).repeat(BLOCK, axis=1)[:, :columns]
    numbers = (hidden + rng.normal(size=hidden.shape)) / np.sqrt(2)
    codes, fields = {}, []
    for place in range(columns):
        name, size = f"c{place}", SIZES[place % len(SIZES)]
        codes[name] = np.clip(np.floor(numbers[:, place] + size / 2), 0, size - 1).astype(int)
        fields.append({"name": name, "type": "ordinal", "size": size})
    return pd.DataFrame(codes), {"name": "wide", "columns": fields}


def fit(given: argparse.Namespace) -> dict[str, float]:
    """Return what one fit takes and keeps, by whichever version this process imports."""
    import dp_synth as dps

    (columns,) = given.columns
    if given.table:
        data = load(Source(given.table, columns=columns))
        frame, schema = data.train, data.schema
    else:
        frame, fields = made(given.records, columns)
        schema = dps.Schema.from_dict(fields)
    budget = dps.PrivacyBudget(given.epsilon, 1e-9)
    started = time.process_time()
    accountant = dps.Accountant(budget, simulate=True)
    recipe = dps.SYNTHESIZERS[given.synthesizer]()
    release = recipe.fit(frame, schema, accountant, seed=0)
    seconds = time.process_time() - started
    codes = [schema.encode(of) for of in (frame, release.sample(len(frame), seed=0))]
    return {"seconds": seconds, "tv": neighbours_tv(*codes)}


def neighbours_tv(real: Codes, rows: Codes) -> float:
    """Return the mean total variation of the pairs of neighbouring columns, given their codes."""
    found = []
    most = int(max(real.max(), rows.max())) + 1
    for one in range(real.shape[1] - 1):
        counts = [
            np.bincount(t[:, one] * most + t[:, one + 1], minlength=most**2) / len(t)
            for t in (real, rows)
        ]
        found.append(np.abs(counts[0] - counts[1]).sum() / 2)
    return float(np.mean(found))


def main() -> None:
    """Print a line for each width, the other checkout's numbers first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--columns", type=int, nargs="+", default=[100, 200, 600, 1000])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--epsilon", type=float, default=10.0)
    parser.add_argument("--synthesizer", default="clique_tree")
    parser.add_argument("--table", default="", help="copies of it, in place of made columns")
    parser.add_argument("--against", type=Path, help="another checkout, such as an older one")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        print(json.dumps(fit(given)), flush=True)
        return
    versions = [*([given.against.resolve()] if given.against else []), ROOT]
    settings = [
        f"--{name}={getattr(given, name)}"
        for name in ("records", "epsilon", "synthesizer", "table")
    ]
    for columns in given.columns:
        told = ("-m", "benchmarks.wide", "--here", f"--columns={columns}", *settings)
        said = f"{columns:>6} columns"
        for version in versions:
            taken = taken_by(version, *told)
            found = json.loads(taken.lines[-1])
            said += f"   {found['seconds']:7.1f} s {taken.megabytes:6.0f} MB  TV {found['tv']:.4f}"
        print(said, flush=True)


if __name__ == "__main__":
    main()
