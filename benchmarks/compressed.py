"""CPU seconds and peak memory of whole processes over short files of many records.

Made in a temporary folder are Parquet files of ten million records of 3 columns of text, and of 14
of integers (as many codes as coded Adult has), and a Parquet and a compressed CSV file of a hundred
million records of one text. `dp-synth synthesize` fits them and writes a thousand rows. Beside it
stand DuckDB's own count of all pairs of the same file, and what the command takes beyond its fit of
a thousand records. ``--against FOLDER`` measures a checkout of another version too, each process
within 8 GB. Linux alone: peaks are in its units.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

SIZES = (85, 9, 100, 16, 7, 15, 6, 5, 2, 100, 100, 99, 42, 2)  # of the coded Adult table
TEXTS = {"a": ("x", "y", "z"), "b": tuple("abcde"), "c": ("no", "yes")}
WHERE = Path(__file__).resolve().parents[1]
MOST = 8 * 10**9

# Made in a process of its own, whose memory would count as that of those measured.
MAKE = """
import gzip, json, sys
from itertools import repeat
import numpy as np, pyarrow as pa
from pyarrow import parquet
folder, sizes, texts = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
rng, block = np.random.default_rng(0), 1_000_000

def write(name, columns, records, described):
    table = pa.table(columns)
    with parquet.ParquetWriter(f"{folder}/{name}.parquet", table.schema) as writer:
        for left in range(records, 0, -block):
            writer.write_table(table.slice(0, left))
    columns = [{"name": key, **of} for key, of in described.items()]
    with open(f"{folder}/{name}.json", "w") as file:
        json.dump({"name": name, "columns": columns}, file)

def listed(texts):
    return {key: {"type": "categorical", "categories": of} for key, of in texts.items()}

three = {key: np.array(of)[rng.integers(0, len(of), block)] for key, of in texts.items()}
write("start", {key: cells[:1000] for key, cells in three.items()}, 1000, listed(texts))
write("three", three, 10 * block, listed(texts))
coded = {f"x{k}": rng.integers(0, size, block) for k, size in enumerate(sizes)}
ordinal = {f"x{k}": {"type": "ordinal", "size": size} for k, size in enumerate(sizes)}
write("fourteen", coded, 10 * block, ordinal)
write("one", {"a": np.array(["x"] * block)}, 100 * block, listed({"a": ["x", "y"]}))
with gzip.open(f"{folder}/one.csv.gz", "wb", 6) as file:
    file.write(b"a\\n")
    file.writelines(repeat(b"x\\n" * block, 100))
"""

DUCKDB = """
import sys
from itertools import combinations
import duckdb
table = duckdb.read_parquet(sys.argv[1])
for one, other in combinations(table.columns, 2):
    table.aggregate(f'"{one}", "{other}", count(*)').fetchall()
"""

COMMAND = "import sys; from dp_synth.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Taken:
    """What a process took: CPU seconds, megabytes at its peak, how it ended."""

    seconds: float
    megabytes: float
    code: int

    def __str__(self) -> str:
        ended = "" if not self.code else f" (exit {self.code})"
        return f"{self.seconds:7.2f} s {self.megabytes:7.0f} MB{ended}"


def taken_by(code: str, *arguments: str, version: Path = WHERE) -> Taken:
    """Return what a process of Python took, on one thread, with modules of a ``version``."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=version,  # where its modules are looked for
        env={**os.environ, **threads},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_AS, (MOST, MOST)),
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Taken(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, process.returncode)


def fit(file: Path, name: str, version: Path) -> Taken:
    """Return what it takes to fit a file, whose schema lies beside it."""
    schema, out = file.with_name(f"{file.name.split('.')[0]}.json"), file.with_name("rows.csv")
    budget = ("--epsilon", "1", "--delta", "1e-9", "--seed", "0", "--rows", "1000")
    places = ("--data", str(file), "--schema", str(schema), "--out", str(out))
    return taken_by(COMMAND, "synthesize", *places, *budget, "--synthesizer", name, version=version)


def compare(file: Path, names: Sequence[str], versions: Sequence[Path], *, repeats: int) -> None:
    """Print what each version takes to fit a file, beside DuckDB's count of its pairs."""
    print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB")
    duckdb = None
    if file.suffix == ".parquet":
        duckdb = least(partial(taken_by, DUCKDB, str(file)), repeats)
        print(f"  {'DuckDB, all pairs':<24} {duckdb}")
    for name in names:
        for version in versions:
            found = least(lambda name=name, at=version: fit(file, name, at), repeats)
            start = least(
                lambda at=version: fit(file.with_name("start.parquet"), "independent", at), 1
            )
            ratio = ""
            if duckdb is not None:
                whole = found.seconds / duckdb.seconds
                net = (found.seconds - start.seconds) / duckdb.seconds
                ratio = f"{whole:6.2f} of DuckDB's, {net:.2f} beyond the command's start"
            label = f"{name}{'' if version == WHERE else ', ' + version.name}"
            print(f"  {label:<24} {found}  {ratio}", flush=True)


def least(work: Callable[[], Taken], repeats: int) -> Taken:
    """Return the one of several runs that took least."""
    return min((work() for _ in range(repeats)), key=lambda one: one.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--against", type=Path, help="a checkout of another version")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    versions = [WHERE, *([given.against.resolve()] if given.against else [])]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = (json.dumps(SIZES), json.dumps(TEXTS))
        subprocess.run([sys.executable, "-c", MAKE, place, *made], check=True)
        compare(
            folder / "three.parquet",
            ("independent", "clique_tree"),
            versions,
            repeats=given.repeats,
        )
        compare(
            folder / "fourteen.parquet",
            ("independent", "clique_tree"),
            versions,
            repeats=given.repeats,
        )
        compare(folder / "one.parquet", ("independent",), versions, repeats=1)
        compare(folder / "one.csv.gz", ("independent",), versions, repeats=1)


if __name__ == "__main__":
    main()
