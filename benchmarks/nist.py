"""K-marginal of ten demographic features at epsilon 1, delta 1e-9, beside what bounds it.

1000 x (1 - mean total variation of all 45 pairs) on all records of nist_ma2019, age cut into its
20 quantile bins. Every method is fitted with the same seeds, and the differences are paired. The
noiseless tree is MST as published at an epsilon of 10,000. Writes one line a fit to ``nist.jsonl``
and prints the tables that are drawn from them. Needs the folder that DP_SYNTH_DATA names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

import dp_synth as dps
from benchmarks import tables
from benchmarks.fits import Fits, Method, compute
from benchmarks.inputs import Source, load
from benchmarks.measured import Record, arguments, keep, read

EPSILON = 1.0


SOURCE = Source("nist_ma2019", whole=True)


def fits(seeds: int) -> Iterator[Fits]:
    """Yield each method at its epsilon; columns without noise are a baseline beside them."""
    methods: list[Method] = [(name, {}) for name in ("independent", "mst", "clique_tree", "aim")]
    published: list[Method] = [("mst", {"as_published": True})]
    yield Fits(SOURCE, methods, [EPSILON], range(seeds), baselines=True)
    yield Fits(SOURCE, published, [tables.NOISELESS], range(seeds))


def bootstrap(seeds: int) -> Iterator[Record]:
    """Yield a line a seed of the records themselves, drawn with replacement."""
    data = load(SOURCE)
    for seed in range(seeds):
        chosen = np.random.default_rng(seed).integers(len(data.train), size=len(data.train))
        rows = data.train.iloc[chosen].reset_index(drop=True)
        values = {"tv": dps.metrics.workload_error(data.train, rows, data.schema).value}
        what = {"table": SOURCE.label, "synthesizer": "bootstrap", "settings": {}, "epsilon": 0.0}
        yield {**what, "seed": seed, "version": dps.__version__, "values": values}


def main() -> None:
    given = arguments().parse_args()
    results = given.results / "nist.jsonl"
    compute(fits(given.seeds), results, resume=given.resume)
    keep(results, [*read(results), *bootstrap(given.seeds)])
    for name in tables.OF_FILE["nist"]:
        print(f"\n{tables.draw(name, given.results)}")


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"nist: {error}")
