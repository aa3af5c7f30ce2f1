"""All synthesizers on coded Adult, and two of them beside independent columns on six tables.

Writes one line a fit to ``adult.jsonl`` and ``never_worse.jsonl`` and prints the tables that are
drawn from them (``tables.py``): means with 95 % t-intervals over seeds. TV is the mean total
variation of all pairs, wide ordinal columns cut at the fitted records' 20-quantiles; AUC is that of
LightGBM (200 trees) trained on synthetic codes and tested on held-out records. Needs the folder
that DP_SYNTH_DATA names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

import tables
from cells import Fit, Task, arguments, compute
from inputs import Source

import dp_synth as dps

EPSILONS = (0.1, 0.3, 1.0, 10.0)
METHODS: Sequence[tuple[str, Mapping[str, object]]] = (
    ("independent", {}),
    ("mst", {}),
    ("mst", {"as_published": True}),
    ("clique_tree", {}),
    ("privbayes", {}),
    ("mwem", {}),
    ("aim", {}),
    ("aim", {"all_gaussian": True}),
)
MANY_ROWS = 1_000_000
SAMPLED_OFTEN = ("mst", "clique_tree")  # at epsilon 1
SIX_TABLES = (
    "adult_discrete",
    "nist_ma2019",
    "bank_marketing",
    "credit_default_taiwan",
    "german_credit",
    "nltcs",
)
FLOOR_EPSILONS = (0.1, 1.0, 10.0)


def adult(seeds: int) -> Iterator[Task]:
    """Yield every method at every epsilon on coded Adult, and what bounds them all."""
    source = Source("adult_discrete")
    constant = [Fit(name, 0.0, 0) for name in ("held-out rows", "real rows")]
    shuffled = [Fit("independent without noise", 0.0, seed) for seed in range(seeds)]
    yield Task(source, [*constant, *shuffled], classified=True)
    for name, settings in METHODS:
        for epsilon in EPSILONS:
            many = MANY_ROWS if epsilon == 1 and name in SAMPLED_OFTEN and not settings else 0
            fits = [Fit(name, epsilon, seed, settings) for seed in range(seeds)]
            yield Task(source, fits, classified=True, many_rows=many)


def never_worse(seeds: int) -> Iterator[Task]:
    """Yield the same seeds for independent columns and for those that must not fall below."""
    for table in SIX_TABLES:
        fits = [
            Fit(name, epsilon, seed)
            for name in ("independent", "mst", "clique_tree")
            for epsilon in FLOOR_EPSILONS
            for seed in range(seeds)
        ]
        yield Task(Source(table), fits)


PARTS = {"adult": adult, "never_worse": never_worse}


def main() -> None:
    parser = arguments()
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all when left out")
    given = parser.parse_args()
    for part in given.parts or PARTS:
        if part not in PARTS:
            parser.error(f"no part {part!r}; there are {', '.join(PARTS)}")
        compute(PARTS[part](given.seeds), given.results / f"{part}.jsonl", resume=given.resume)
        for name in tables.OF_FILE[part]:
            print(f"\n{tables.draw(name, given.results)}")


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"synthesizers: {error}")
