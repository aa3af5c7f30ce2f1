"""What it costs to find the categories of open columns, and how many are found.

The first table is arithmetic: how high a threshold is that costs the rest of a plan, one Gaussian,
a twentieth of its zCDP cost, over that of noisy counts beside a tenth of delta. ``bits`` is what
plans use where one record is added or removed, ``best`` the least of a search over the part of
delta; ``counts`` is what they use elsewhere. The second is a share of the zCDP cost that buys one
threshold. With ``--tables`` real tables are fitted whose texts are not listed, by this version
and, given ``--before``, by a checkout of an earlier one, with the same seeds: thresholds, how many
of the texts were found, and mean total variation of pairs. Two minutes of one core a version.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.versions import ROOT, lines_by
from paper.documents import markdown

SHARE, TENTH = 0.05, 0.1
SETTINGS = [(e, d) for d in (1e-6, 1e-9) for e in (0.3, 1.0, 3.0)]
PARTS_OF_DELTA = np.linspace(0.05, 0.95, 10)  # of what the rest leaves
EPSILONS, DELTA, RECORDS = (0.3, 1.0, 3.0), 1e-9, (5_000, 29_000)
OPEN = ("workclass", "education", "occupation", "native-country")
Line = dict[str, float]


def thresholds(epsilon: float, delta: float, columns: int) -> list[float]:
    """Return thresholds over that of counts at a tenth of delta: bits, the best of bits, counts."""
    from scipy.special import ndtri

    from dp_synth.accounting import Gaussians, Plan, PrivacyBudget, ThresholdedGaussians, compose
    from dp_synth.accounting.budget import gaussian_delta
    from dp_synth.accounting.events import Gaussian, PartitionSelection, ThresholdedGaussian
    from dp_synth.accounting.filters import limit

    kept = (1 - TENTH) * delta / (1 - TENTH * delta)
    rest = limit(PrivacyBudget(epsilon, kept), "gdp") * (1 - SHARE)
    spare = delta - gaussian_delta(math.sqrt(rest), epsilon)

    def reach(
        kind: Callable[[float, float], PartitionSelection | ThresholdedGaussian], part: float
    ) -> float:
        """The threshold, with the least noise that leaves the rest as it is."""
        each, low, high = part / columns, 0.1, 1e6
        while high > low * (1 + 1e-4):
            noise = math.sqrt(low * high)
            curve = compose([(kind(noise, each), columns), (Gaussian(rest**-0.5, 1.0), 1)])
            low, high = (low, noise) if curve.delta(epsilon) <= delta else (noise, high)
        return float(-ndtri(each)) * high

    def counts(noise: float, part: float) -> ThresholdedGaussian:
        return ThresholdedGaussian(noise, 1.0, part)

    plan = Plan({"open": ThresholdedGaussians(columns, SHARE), "rest": Gaussians(1, 1 - SHARE)})
    asked = plan.under(PrivacyBudget(epsilon, delta)).with_delta(delta, epsilon)
    part = columns * float(asked.thresholded("open").delta or 0.0)
    seen = columns * float(plan.with_delta(delta, epsilon).thresholded("open").delta or 0.0)
    before = reach(counts, TENTH * delta)
    best = min(reach(PartitionSelection, spare * one) for one in PARTS_OF_DELTA)
    found = [reach(PartitionSelection, part), best, reach(counts, seen)]
    return [one / before for one in found]


def fit(epsilon: float, records: int, seed: int) -> Line:
    """Return the line of one fit, done in this process by whichever version it imports."""
    import dp_synth as dps

    try:
        from dp_synth.mechanisms.partition_selection import least_count
    except ImportError:  # of a version in which it had another place
        from dp_synth.mechanisms.partitions import least_count  # type: ignore[no-redef]
    from dp_synth.schema import Schema

    folder = Path(os.environ["DP_SYNTH_DATA"])
    fields = json.loads((folder / "adult_raw.meta.json").read_text())
    frame = dps.datasets.load("adult_raw").train.sample(records, random_state=seed, replace=False)
    columns = [c for c in fields["columns"] if c["name"] != "fnlwgt"]
    listed = Schema.from_dict({**fields, "columns": columns})
    opened = [
        {**c, "categories": c["categories"][:1], "open": True} if c["name"] in OPEN else c
        for c in columns
    ]
    schema = Schema.from_dict({**fields, "columns": opened})
    frame = frame[[c["name"] for c in columns]]
    accountant = dps.Accountant(dps.PrivacyBudget(epsilon, DELTA), simulate=True)
    release = dps.MST().fit(frame, schema, accountant, seed=seed)
    event = next(e.event for e in release.ledger.charges if e.part == "categories")
    found = sum(len(release.schema.discrete(name).texts) for name in OPEN)
    rows = release.sample(records, seed=seed)
    error = dps.metrics.workload_error(frame, rows, listed, degree=2)
    threshold = least_count(event.stddev, event.delta)
    rest = next(e.event for e in release.ledger.reservations if e.part == "answers")
    noise = rest.noise_multiplier
    return {"threshold": threshold, "found": found, "tv2": error.value, "noise": noise}


def fitted_by(checkout: Path, *asked: object) -> Line:
    """Return the line of one fit by the version in a checkout, done in a process of its own."""
    return dict(json.loads(lines_by(checkout, "experiments.open_columns.run", "--fit", *asked)[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--tables", action="store_true", help="fit real tables")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    if given.fit:
        epsilon, records, seed = given.fit
        print(json.dumps(fit(float(epsilon), int(records), int(seed))))
        return
    rows = []
    for (epsilon, delta), columns in ((s, n) for s in SETTINGS for n in (1, 2, 5)):
        found = thresholds(epsilon, delta, columns)
        shares = [f"{SHARE * ratio**2:.4f}" for ratio in found[:1]]
        row = [f"({epsilon:g}, {delta:g})", str(columns), *(f"{one:.3f}" for one in found)]
        rows.append([*row, *shares])
    print(markdown(["budget", "columns", "bits", "best", "counts", "share of one threshold"], rows))
    if not given.tables:
        return
    from dp_synth.records import Spread

    checkouts = ({"before": given.before} if given.before else {}) | {"this": ROOT}
    rows = []
    for records, epsilon in ((n, e) for n in RECORDS for e in EPSILONS):
        for version, place in checkouts.items():
            lines = [fitted_by(place, epsilon, records, seed) for seed in range(given.seeds)]
            row = [str(records), f"{epsilon:g}", version, f"{lines[0]['threshold']:.0f}"]
            row += [Spread.of([line["found"] for line in lines]).shown(1)]
            row += [f"{lines[0]['noise']:.4g}", Spread.of([x["tv2"] for x in lines]).shown(4)]
            rows.append(row)
            print(*row, file=sys.stderr, flush=True)
    heads = ["records", "epsilon", "version", "threshold", "texts", "noise of all else"]
    print(markdown([*heads, "TV of pairs"], rows))


if __name__ == "__main__":
    main()
