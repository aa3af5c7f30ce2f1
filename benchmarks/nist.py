"""K-marginal of ten demographic features at epsilon 1, delta 1e-9, beside what bounds it.

1000 x (1 - mean total variation of all 45 pairs) on all records of nist_ma2019, age cut into its
20 quantile bins. Every method is fitted with the same seeds, and the differences are paired. The
noiseless tree is MST as published at an epsilon of 10,000. Writes one line a fit to ``nist.jsonl``
and prints the tables that are drawn from them. Needs the folder that DP_SYNTH_DATA names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import tables
from cells import Fit, Task, arguments, compute
from inputs import Source

import dp_synth as dps

EPSILON = 1.0


def tasks(seeds: int) -> Iterator[Task]:
    """Yield each method and each bound, all seeds in one process."""
    source = Source("nist_ma2019", whole=True)
    for name in ("independent", "mst", "clique_tree", "aim"):
        yield Task(source, [Fit(name, EPSILON, seed) for seed in range(seeds)])
    published = {"as_published": True}
    yield Task(source, [Fit("mst", tables.NOISELESS, seed, published) for seed in range(seeds)])
    for name in ("independent without noise", "bootstrap"):
        yield Task(source, [Fit(name, 0.0, seed) for seed in range(seeds)])


def main() -> None:
    given = arguments().parse_args()
    compute(tasks(given.seeds), given.results / "nist.jsonl", resume=given.resume)
    for name in tables.OF_FILE["nist"]:
        print(f"\n{tables.draw(name, given.results)}")


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"nist: {error}")
