"""What does a fit cost where the table stays in its database, by the number of rows?

    python -m benchmarks.in_database [--rows N ...] [--methods NAME ...] [--folder FOLDER]

So many rows of the bundled table, drawn with replacement and kept as Parquet, with a view of DuckDB
over them. Each work runs alone, in a process of its own: all pairs of columns counted in one
statement (``GROUPING SETS`` over the columns as they are), and each method's fit at epsilon 1 to
the address of the view; up to a million rows also to the file, which is read into memory.
Printed are the statements that a fit asked, its processor time over that of counting all pairs, and
its largest memory in MB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from itertools import combinations
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import duckdb

import dp_synth as dps
from dp_synth.counting.database import DatabaseTable

ROWS, IN_MEMORY = (100_000, 1_000_000, 10_000_000), 1_000_000
DELTA, SEED, CHUNK = 1e-12, 0, 10_000_000
LEFT_OUT = "fnlwgt"  # 14 columns remain
MEMORY = "2GB"


def schema() -> dps.Schema:
    """Return the schema of the columns that are kept."""
    known = dps.datasets.load("adult").schema
    return known.select([name for name in known.names if name != LEFT_OUT])


def make(folder: Path, rows: int) -> str:
    """Write so many rows, and return the address of a view over them."""
    people = dps.datasets.load("adult").train[list(schema().names)]
    base, files = folder / f"people_{rows}.db", folder / f"rows_{rows}"
    files.mkdir(exist_ok=True)
    with duckdb.connect(str(base)) as connection:
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute("SELECT setseed(0.5)").fetchall()
        connection.register("given", people)
        connection.execute(
            "CREATE TEMP TABLE own AS SELECT row_number() OVER () AS r, * FROM given"
        )
        for part, start in enumerate(range(0, rows, CHUNK)):
            count = min(CHUNK, rows - start)
            connection.execute(
                f"COPY (SELECT own.* EXCLUDE (r) FROM (SELECT 1 + CAST(floor(random() * "
                f"{len(people)}) AS BIGINT) AS r FROM range({count})) JOIN own USING (r)) "
                f"TO '{files}/{part:04}.parquet' (FORMAT PARQUET)"
            )
        view = f"CREATE OR REPLACE VIEW people AS SELECT * FROM read_parquet('{files}/*.parquet')"
        connection.execute(view)
    return f"duckdb:///{base}?table=people"


def count_pairs(address: str) -> int:
    """Count all pairs of columns of the view once, and return the number of statements."""
    names = [f'"{name}"' for name in schema().names]
    sets = ", ".join(f"({one}, {other})" for one, other in combinations(names, 2))
    base = address.removeprefix("duckdb:///").partition("?")[0]
    with duckdb.connect(base, read_only=True, config={"memory_limit": MEMORY}) as connection:
        connection.execute(
            f"SELECT {', '.join(names)}, COUNT(*) FROM people GROUP BY GROUPING SETS ({sets})"
        ).fetchnumpy()
    return 1


def fit(name: str, data: str) -> int:
    """Fit a method to an address or files, and return the number of statements."""
    warnings.simplefilter("ignore")
    asked = list[int]()
    close = DatabaseTable.close

    def closed(table: DatabaseTable) -> None:
        asked.append(table.statements)
        close(table)

    DatabaseTable.close = closed  # type: ignore[method-assign]
    budget = dps.PrivacyBudget(epsilon=1, delta=DELTA)
    dps.SYNTHESIZERS[name]().fit(data, schema(), budget, seed=SEED)
    return sum(asked)


def work(what: str, data: str) -> dict[str, float]:
    """Do one work in this process, and return what it took."""
    before = time.process_time()
    statements = count_pairs(data) if what == "pairs" else fit(what, data)
    seconds = time.process_time() - before
    megabytes = getrusage(RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)
    return {"statements": statements, "seconds": seconds, "megabytes": megabytes}


def alone(what: str, data: str) -> dict[str, float]:
    """Return what a work takes in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.in_database", "--work", what, data]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Print a line a number of rows and method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=float, default=ROWS)
    parser.add_argument("--methods", nargs="+", default=("independent", "mst", "clique_tree"))
    parser.add_argument("--folder", type=Path, help="where the rows are made; a temporary one")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        print(json.dumps(work(*given.work)))
        return
    print("| rows | method | statements | CPU over all pairs once | memory, MB | in memory, CPU |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for rows in map(int, given.rows):
            address = make(Path(folder), rows)
            pairs = alone("pairs", address)
            print(
                f"| {rows:,} | all pairs once | 1 | 1.0 | {pairs['megabytes']:.0f} | |", flush=True
            )
            for name in given.methods:
                found, beside = alone(name, address), ""
                if rows <= IN_MEMORY:
                    held = alone(name, f"{folder}/rows_{rows}/0000.parquet")
                    beside = f"{held['seconds'] / pairs['seconds']:.1f}"
                print(
                    f"| {rows:,} | {name} | {found['statements']:.0f} | "
                    f"{found['seconds'] / pairs['seconds']:.1f} | {found['megabytes']:.0f} | "
                    f"{beside} |",
                    flush=True,
                )


if __name__ == "__main__":
    try:
        main()
    except dps.InputError as error:
        sys.exit(f"in_database: {error}")
