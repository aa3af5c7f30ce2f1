"""All synthesizers on coded Adult, and two of them beside independent columns on six tables.

Writes one line a fit to ``adult.jsonl`` and ``never_worse.jsonl`` and prints the tables that are
drawn from them (``tables.py``): means with 95 % t-intervals over seeds. TV is the mean total
variation of all pairs, wide ordinal columns cut at the fitted records' 20-quantiles; AUC is that of
LightGBM (200 trees) trained on synthetic codes and tested on held-out records. Needs the folder
that DP_SYNTH_DATA names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import tables
from fits import Fits, Method, compute
from inputs import Source
from measured import arguments

import dp_synth as dps

EPSILONS = (0.1, 0.3, 1.0, 10.0)
METHODS: Sequence[Method] = (
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


def adult(seeds: int) -> Iterator[Fits]:
    """Yield every method at every epsilon on coded Adult, and what bounds them all."""
    coded, often = Source("adult_discrete"), [(name, {}) for name in SAMPLED_OFTEN]
    others = [epsilon for epsilon in EPSILONS if epsilon != 1]
    rest = [method for method in METHODS if method not in often]
    yield Fits(coded, METHODS, others, range(seeds), classified=True, baselines=True)
    yield Fits(coded, rest, [1.0], range(seeds), classified=True)
    yield Fits(coded, often, [1.0], range(seeds), classified=True, many_rows=MANY_ROWS)


def never_worse(seeds: int) -> Iterator[Fits]:
    """Yield the same seeds for independent columns and for those that must not fall below."""
    methods: list[Method] = [(name, {}) for name in ("independent", "mst", "clique_tree")]
    for table in SIX_TABLES:
        yield Fits(Source(table), methods, FLOOR_EPSILONS, range(seeds))


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
