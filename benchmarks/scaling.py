"""CPU seconds and peak memory of fits as a table grows longer and wider, at epsilon 1.

Longer: coded Adult (39,074 records, 14 columns) with its records repeated. Wider: copies of it side
by side, each in an order of its own, cut to so many columns; and two tables that are wide by
themselves. A process that is not done in ten minutes is a line that says so. Writes one line a fit
to ``scaling.jsonl`` and prints the table that is drawn from them. Needs the folder that
DP_SYNTH_DATA names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import tables
from fits import Fits, Method, compute
from inputs import Source
from measured import arguments

import dp_synth as dps

EPSILON = 1.0
METHODS: tuple[Method, ...] = (("independent", {}), ("mst", {}), ("clique_tree", {}))
SOURCES = (
    *(Source("adult_discrete", times=times) for times in (1, 10, 100)),
    *(Source("adult_discrete", columns=columns) for columns in (10, 25, 50, 100, 200)),
    Source("spambase"),
    Source("epileptic_seizure"),
)


def fits(seeds: int) -> Iterator[Fits]:
    """Yield each method on each table."""
    for source in SOURCES:
        yield Fits(source, METHODS, [EPSILON], range(seeds))


def main() -> None:
    given = arguments().parse_args()
    compute(fits(given.seeds), given.results / "scaling.jsonl", resume=given.resume)
    for name in tables.OF_FILE["scaling"]:
        print(f"\n{tables.draw(name, given.results)}")


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"scaling: {error}")
