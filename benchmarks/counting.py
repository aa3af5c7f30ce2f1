"""Milliseconds for exact marginals, beside the usual ways to count, and for ten million records.

All pairs of the coded Adult table in memory (the folder DP_SYNTH_DATA names it; made-up codes of
the same sizes stand in for it), the sparse marginal of a clique of 10^8 cells, and a generated
Parquet file of ten million records that is encoded to disk and counted there. Ratios are to the
store of dp_synth, each the best of its repeats; memory is what this process grew by at its peak.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter

import numpy as np
import pandas as pd

from benchmarks.measured import least_seconds
from dp_synth.counting import CodeCounts, read_counts
from dp_synth.datasets import read_table
from dp_synth.domain import Domain
from dp_synth.schema import Schema
from dp_synth.types import Clique, Codes

SIZES = (85, 9, 100, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42, 2)  # of the coded Adult table
RECORDS = 48_842
LONG = 10_000_000


def best(work: Callable[[], object], repeats: int) -> float:
    """Return milliseconds, the least of ``repeats``."""
    return 1000 * least_seconds(work, repeats)


def adult() -> tuple[Codes, Domain]:
    folder = os.environ.get("DP_SYNTH_DATA")
    if folder is None:
        names = tuple(f"x{axis}" for axis in range(len(SIZES)))
        rng = np.random.default_rng(0)
        return rng.integers(0, SIZES, (RECORDS, len(SIZES)), dtype=np.int32), Domain(names, SIZES)
    table = Path(folder) / "adult_discrete.csv"
    schema = Schema.load(table.with_name("adult_discrete.meta.json"))
    return schema.encode(read_table(table)), schema.domain


def one_bincount_a_pair(codes: Codes, sizes: tuple[int, ...]) -> None:
    for a, b in combinations(range(len(sizes)), 2):
        numbers = codes[:, a].astype(np.int64) * sizes[b] + codes[:, b]
        np.bincount(numbers, minlength=sizes[a] * sizes[b])


def add_at(codes: Codes, sizes: tuple[int, ...]) -> None:
    for a, b in combinations(range(len(sizes)), 2):
        np.add.at(np.zeros((sizes[a], sizes[b])), (codes[:, a], codes[:, b]), 1.0)


def unique(codes: Codes, sizes: tuple[int, ...]) -> None:
    for a, b in combinations(range(len(sizes)), 2):
        np.unique(codes[:, a].astype(np.int64) * sizes[b] + codes[:, b], return_counts=True)


def histogram2d(codes: Codes, sizes: tuple[int, ...]) -> None:
    for a, b in combinations(range(len(sizes)), 2):
        cells = (sizes[a], sizes[b])
        np.histogram2d(codes[:, a], codes[:, b], cells, ((0, sizes[a]), (0, sizes[b])))


def crosstab(codes: Codes, sizes: tuple[int, ...]) -> None:
    for a, b in combinations(range(len(sizes)), 2):
        pd.crosstab(codes[:, a], codes[:, b])


PEERS: dict[str, Callable[[Codes, tuple[int, ...]], None]] = {
    "one bincount a pair": one_bincount_a_pair,
    "numpy add.at": add_at,
    "numpy unique": unique,
    "numpy histogram2d": histogram2d,
    "pandas crosstab": crosstab,
}


def time_pairs(codes: Codes, domain: Domain) -> None:
    pairs = list(combinations(domain.attributes, 2))
    counts = CodeCounts.of(codes, domain)
    ours = best(partial(counts.marginals, pairs), 15)
    print(f"{len(pairs)} pairs of {len(codes):,} records x {len(domain)} attributes")
    print(f"  {'dp_synth':<22} {ours:9.1f} ms")
    for name, count in PEERS.items():
        took = best(partial(count, codes, domain.sizes), 3 if count is not crosstab else 1)
        print(f"  {name:<22} {took:9.1f} ms   {took / ours:6.1f} x")


def time_sparse() -> None:
    domain = Domain(("a", "b", "c", "d"), (100,) * 4)
    codes = np.random.default_rng(0).integers(0, 100, (1_000_000, 4), dtype=np.int32)
    counts = CodeCounts.of(codes, domain)
    ours = best(partial(counts.sparse_marginal, domain.attributes), 3)

    def dense() -> None:
        numbers = np.ravel_multi_index(tuple(codes.T), domain.sizes)
        np.flatnonzero(np.bincount(numbers, minlength=domain.cells(domain)))

    took = best(dense, 1)
    print("clique of 100,000,000 cells, 1,000,000 records")
    print(f"  {'dp_synth, sparse':<22} {ours:9.1f} ms")
    print(f"  {'dense, then nonzero':<22} {took:9.1f} ms   {took / ours:6.1f} x")


def write_long(path: Path, codes: Codes, names: tuple[str, ...]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(dict(zip(names, codes.T, strict=True)))
    with parquet.ParquetWriter(path, table.schema) as writer:
        for left in range(LONG, 0, -len(codes)):
            writer.write_table(table.slice(0, left))


def megabytes() -> float:
    """Return the peak of this process, in the units of Linux."""
    return getrusage(RUSAGE_SELF).ru_maxrss / (1024 if sys.platform.startswith("linux") else 2**20)


def time_long(path: Path, domain: Domain) -> None:
    columns = [
        {"name": name, "type": "ordinal", "size": size}
        for name, size in zip(domain, domain.sizes, strict=True)
    ]
    schema = Schema.from_dict({"name": "long", "columns": columns})
    pairs: list[Clique] = list(combinations(domain.attributes, 2))
    before, start = megabytes(), perf_counter()
    with read_counts(path, schema) as counts:
        read = perf_counter()
        counts.marginals(pairs)
        counted = perf_counter()
        print(f"{len(counts):,} records in {path.stat().st_size / 1e6:.0f} MB of Parquet")
    print(f"  read and encoded       {read - start:9.1f} s")
    print(f"  {len(pairs)} pairs counted       {counted - read:9.1f} s")
    print(f"  peak memory            {megabytes() - before:9.0f} MB above {before:.0f} MB")


if __name__ == "__main__":
    adult_codes, adult_domain = adult()
    with tempfile.TemporaryDirectory() as place:
        long_file = Path(place) / "long.parquet"
        write_long(long_file, adult_codes, adult_domain.attributes)
        time_long(long_file, adult_domain)  # first: a peak is never forgotten
    time_pairs(adult_codes, adult_domain)
    time_sparse()
