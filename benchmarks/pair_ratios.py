"""How much inertia pairs of columns have for their distance from independence, table by table.

    python -m benchmarks.pair_ratios [--tables NAME ...] [--pairs 150] [--records 50000]

Of random pairs of columns of each table that DP_SYNTH_DATA names: the inertia (chi-square of the
pair over its records) over the squared L1 distance, less what sampling adds to both, of pairs that
stand out of it. Printed are the lower quartile, median and upper quartile, of the half of pairs
that depend less and of the other; then, of pairs of columns of numbers, the mean square of their
correlation over that of a normal pair of the same distance, and how many they are. Intervals for
pairs that a model left out rest on both (`dp_synth.estimates.misfit`: `UNEVEN_RATIO` and
`LINEAR_PART`). Real records are read.
"""

from __future__ import annotations

import argparse
import sys
from itertools import combinations

import numpy as np

import dp_synth as dps
from benchmarks.small_tables import drawn, names, whole
from dp_synth.estimates.groups import Group, has_numbers
from dp_synth.schema import Schema
from dp_synth.types import Codes, Floats

LARGEST = 20_000  # cells of a pair
MEAN_NOISE = np.sqrt(2 / np.pi)
CLEAR = 3.0  # deviations of chi-square by which a pair stands out of sampling
FEWEST = 6  # pairs, of which something is said


def ratio(codes: Codes, sizes: tuple[int, int]) -> tuple[float, float] | None:
    """Return the ratio of a pair, and its L1 distance; None where it does not stand out.

    The distance is less what sampling adds.
    """
    count = len(codes)
    cells = np.ravel_multi_index(tuple(codes.T), sizes)
    joint = np.bincount(cells, minlength=sizes[0] * sizes[1]).reshape(sizes) / count
    one, other = joint.sum(axis=1), joint.sum(axis=0)
    apart = np.outer(one, other)
    away, there = joint - apart, apart > 0
    free = (np.count_nonzero(one) - 1) * (np.count_nonzero(other) - 1)
    inertia = float((away[there] ** 2 / apart[there]).sum()) - free / count
    distance = float(np.abs(away).sum())
    chance = float(MEAN_NOISE * np.sqrt(apart / count).sum())
    square = distance**2 - chance**2
    if inertia <= CLEAR * np.sqrt(2 * free) / count or square <= chance**2 / 2:
        return None
    return inertia / square, float(np.sqrt(square))


def correlation(schema: Schema, names: tuple[str, str], codes: Codes) -> float | None:
    """Return the correlation of two columns; None where one is of no numbers, or of one alone."""
    if not all(has_numbers(schema, name) for name in names):
        return None
    numbers = [
        Group(schema, {}).numbers(name)[0][own] for name, own in zip(names, codes.T, strict=True)
    ]
    complete = ~np.isnan(numbers[0]) & ~np.isnan(numbers[1])
    first, second = (one[complete] for one in numbers)
    if min(map(len, map(np.unique, (first, second)))) < 2:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def quartiles(found: Floats) -> str:
    """Return the three quartiles in words."""
    return " ".join(f"{one:6.1f}" for one in np.quantile(found, (0.25, 0.5, 0.75)))


def main() -> None:
    """Print a line for each table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", nargs="+", help="all of the folder when left out")
    parser.add_argument("--pairs", type=int, default=150)
    parser.add_argument("--records", type=int, default=50_000)
    given = parser.parse_args()
    for name in given.tables or names():
        data, rng = whole(name), np.random.default_rng(0)
        rows = drawn(data.train, given.records if given.records < len(data.train) else 0, seed=0)
        codes, domain = data.schema.encode(rows), data.schema.domain
        pairs = list(combinations(range(len(domain)), 2))
        rng.shuffle(pairs)
        found, parts = [], list[float]()
        for pair in pairs[: given.pairs]:
            sizes = (domain.sizes[pair[0]], domain.sizes[pair[1]])
            if sizes[0] * sizes[1] <= LARGEST:
                found.append(one := ratio(codes[:, pair], sizes))
                both = (domain.attributes[pair[0]], domain.attributes[pair[1]])
                if one and (own := correlation(data.schema, both, codes[:, pair])) is not None:
                    parts.append((own / (np.pi / 2 * one[1])) ** 2)
        known = np.array([one for one in found if one is not None])
        if len(known) < FEWEST:
            continue
        less = known[:, 1] <= np.median(known[:, 1])
        halves = " | ".join(quartiles(known[side, 0]) for side in (less, ~less))
        linear = f"{np.mean(parts):6.2f}{len(parts):>5} pairs" if parts else ""
        print(f"{name:<24}{len(known):>5} pairs  {halves}  {linear}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"pair_ratios: {error}")
