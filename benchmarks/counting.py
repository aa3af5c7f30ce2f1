"""Milliseconds for exact marginals, beside the usual ways to count, and for ten million records.

All pairs of the coded Adult table in memory (the folder DP_SYNTH_DATA names it; made-up codes of
the same sizes stand in for it), the sparse marginal of a clique of 10^8 cells, and a generated
Parquet file of ten million records that is encoded to disk and counted there. Ratios are to the
store of dp_synth, each the best of its repeats; memory is what this process grew by at its peak.

    python -m benchmarks.counting --fits

fits a clique tree to ten million records of Parquet instead, and prints beside it what DuckDB
alone takes to count all pairs of the same file, a query each: processor seconds (user and system)
and peak memory (on Linux) of whole processes of one thread. Records are those of Adult, drawn with
replacement; in the table "few repeat" they are drawn from a model of it, so that most differ.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
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


ROW_GROUP = 1_000_000

FIT = """
import sys
import dp_synth as dps
path, schema = sys.argv[1:]
budget = dps.PrivacyBudget(epsilon=1, delta=1e-9)
dps.CliqueTree().fit(path, dps.Schema.load(schema), budget, seed=0)
"""

ALL_PAIRS = """
import sys
from itertools import combinations
import duckdb
connection = duckdb.connect(config={"threads": 1})
connection.execute("SET enable_progress_bar = false")
table = connection.from_parquet(sys.argv[1])
for a, b in combinations(table.columns, 2):
    table.aggregate(f'"{a}", "{b}", count(*)', f'"{a}", "{b}"').fetchnumpy()
"""


def write_drawn(path: Path, source: Path, schema: Path, *, from_model: bool) -> None:
    """Write records of a table, or of a model of it, as pandas and Arrow write them."""
    import pyarrow as pa
    from pyarrow import parquet

    import dp_synth as dps

    frame, rng = pd.read_csv(source, keep_default_na=False), np.random.default_rng(0)
    table, release = pa.Table.from_pandas(frame, preserve_index=False), None
    if from_model:
        budget = dps.PrivacyBudget(epsilon=30, delta=1e-9)
        release = dps.CliqueTree().fit(source, Schema.load(schema), budget, seed=0)
    with parquet.ParquetWriter(path, table.schema) as writer:
        for seed, left in enumerate(range(LONG, 0, -ROW_GROUP)):
            records = min(left, ROW_GROUP)
            if release is None:
                part = table.take(pa.array(rng.integers(0, len(frame), records)))
            else:
                drawn = release.sample(records, seed=seed)
                kinds = {name: frame[name].dtype for name in frame}
                part = pa.Table.from_pandas(drawn.astype(kinds), table.schema, False)
            writer.write_table(part)


PEAK = """
with open("/proc/self/status") as status:  # that of getrusage begins with its parent's
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def run_alone(script: str, *given: Path) -> tuple[float, float]:
    """Return processor seconds and peak megabytes of a script in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", script + PEAK, *map(str, given)]
    before = getrusage(RUSAGE_CHILDREN)
    said = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
    used = getrusage(RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return seconds, int(said) / 1024


def time_fits(folder: Path) -> None:
    tables = {"coded Adult": ("adult_discrete", False), "raw Adult": ("adult_raw", False)}
    tables["coded Adult, few repeat"] = ("adult_discrete", True)
    print(f"{LONG:,} records of Parquet: CPU seconds, peak memory")
    for title, (name, from_model) in tables.items():
        source, schema = folder / f"{name}.csv", folder / f"{name}.meta.json"
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "long.parquet"
            write_drawn(path, source, schema, from_model=from_model)
            fit, memory = run_alone(FIT, path, schema)
            pairs, theirs = run_alone(ALL_PAIRS, path)
        print(f"{title}")
        print(f"  clique_tree, whole fit   {fit:9.1f} s {memory:9.0f} MB")
        print(f"  DuckDB, all pairs alone  {pairs:9.1f} s {theirs:9.0f} MB")
        print(f"  ratio                    {fit / pairs:9.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", action="store_true", help="whole fits of ten million records")
    if parser.parse_args().fits:
        if "DP_SYNTH_DATA" not in os.environ:
            raise SystemExit("DP_SYNTH_DATA must name the folder of tables")
        time_fits(Path(os.environ["DP_SYNTH_DATA"]))
        sys.exit()
    adult_codes, adult_domain = adult()
    with tempfile.TemporaryDirectory() as place:
        long_file = Path(place) / "long.parquet"
        write_long(long_file, adult_codes, adult_domain.attributes)
        time_long(long_file, adult_domain)  # first: a peak is never forgotten
    time_pairs(adult_codes, adult_domain)
    time_sparse()
