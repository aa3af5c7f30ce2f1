"""Prints how often audits catch noise that is too small, and how often they alarm at none.

Scores are exact: those of the best attack on one Gaussian mechanism, drawn in batches whose seeds
are fixed here. Each row is so many audits with the Clopper-Pearson interval of their alarms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from scipy.optimize import brentq

from benchmarks.measured import arguments, keep
from dp_synth.accounting import Gaussian, compose
from dp_synth.accounting.budget import gaussian_epsilon
from dp_synth.audit import Worlds, area_test, clopper_pearson_bound, gaussian_bound
from dp_synth.metrics.estimate import clopper_pearson
from paper.documents import markdown

DELTA, LEVEL, SEED = 1e-5, 0.05, 20_261_122
AUDITS = 400
ROOT_2 = math.sqrt(2)


@dataclass(frozen=True)
class Row:
    """So many audits of a mechanism whose noise is ``1 / factor`` of what it claims."""

    test: str
    epsilon: float
    factor: float
    runs: int
    audits: int = AUDITS


ROWS = (
    *(Row("area", 1, factor, 1500) for factor in (1, ROOT_2, 2)),
    *(Row("area", 1, factor, 1000) for factor in (1, ROOT_2, 2)),
    *(Row("area", 1, factor, 250) for factor in (1, ROOT_2, 2, 4)),
    *(Row("area", 4, factor, 250) for factor in (1, ROOT_2, 2)),
    *(Row("area", 10, factor, 250) for factor in (1, ROOT_2)),
    *(Row("common_noise", 1, factor, 100) for factor in (1, ROOT_2)),
    *(Row("gaussian_threshold", 1, factor, 1500) for factor in (1, ROOT_2, 2, 4)),
    *(Row("clopper_pearson", 1, factor, 4000) for factor in (1, ROOT_2, 2, 4)),
)


def alarms(row: Row, rng: np.random.Generator) -> Iterator[bool]:
    """Yield whether each of a row's audits refutes the claim."""
    mu = brentq(lambda m: gaussian_epsilon(m, DELTA) - row.epsilon, 1e-3, 20.0)
    claim = compose([(Gaussian(1 / mu, 1.0), 1)])
    for _ in range(row.audits):
        noise = rng.normal(size=row.runs)
        other = noise if row.test == "common_noise" else rng.normal(size=row.runs)
        worlds = Worlds.of(mu * row.factor + noise, other)
        match row.test:
            case "clopper_pearson":
                bound = clopper_pearson_bound(worlds, DELTA, level=LEVEL, rng=rng)
                yield bound.epsilon > row.epsilon
            case "gaussian_threshold":
                yield gaussian_bound(worlds, DELTA, level=LEVEL, rng=rng).epsilon > row.epsilon
            case _:
                common = row.test == "common_noise"
                found = area_test(worlds, claim, DELTA, level=LEVEL, common_noise=common, rng=rng)
                yield not found.passed


def main() -> None:
    """Print the table, and keep a line a row."""
    asked = arguments(__doc__).parse_args()
    streams = np.random.SeedSequence(SEED).spawn(len(ROWS))
    records = []
    rows = []
    for row, stream in zip(ROWS, streams, strict=True):
        count = sum(alarms(row, np.random.default_rng(stream)))
        values = {"alarms": count / row.audits}
        values |= dict(zip(("low", "high"), clopper_pearson(count, row.audits), strict=True))
        records.append({**asdict(row), "level": LEVEL, "delta": DELTA, "values": values})
        cells = [row.test, f"{row.epsilon:g}", f"{row.factor:.3g}", str(row.runs)]
        rows.append([*cells, "{alarms:.3f} [{low:.3f}, {high:.3f}]".format(**values)])
    print(markdown(["test", "epsilon", "noise too small by", "runs a world", "alarms"], rows))
    keep(asked.results / "audit_power.jsonl", records)


if __name__ == "__main__":
    main()
