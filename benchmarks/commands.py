"""CPU seconds and peak memory of whole commands, beside those of another checkout, as ratios.

    python -m benchmarks.commands [start] [sample] [files] [--against CHECKOUT] [--repeats 3]

**start**: the bare import, a list, and fits of coded Adult where DP_SYNTH_DATA names its folder.
**sample**: ten million rows (``--rows``) to CSV and to Parquet, of a release of the bundled table
that the other checkout made, whose file both can read.
**files**: fits of short files of many records, made in a temporary folder: Parquet files of ten
million records of 3 columns of text, and of 14 of integers (as many codes as coded Adult has), a
Parquet and a compressed CSV file of a hundred million records of one text; and of a thousand
records, which is the command's start. DuckDB's own count of all pairs of a file stands beside.

Each is the least of several turns; each process has one thread, and 8 GB. Linux alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.counting import SIZES
from benchmarks.versions import COMMAND, ROOT, Taken, by_turns, taken_by

TEXTS = {"a": ("x", "y", "z"), "b": tuple("abcde"), "c": ("no", "yes")}
MOST = 8 * 10**9
BLOCK = 1_000_000
FILES = {
    "start.parquet": ("independent",),
    "three.parquet": ("independent", "clique_tree"),
    "fourteen.parquet": ("independent", "clique_tree"),
    "one.parquet": ("independent",),
    "one.csv.gz": ("independent",),
}
RELEASE = """
import sys, dp_synth as dps
data = dps.datasets.load("adult")
schema = data.schema.select([name for name in data.schema.names if name != "education-num"])
budget = dps.PrivacyBudget(epsilon=1, delta=1e-9)
dps.MST().fit(data.train, schema, budget, seed=0).save(sys.argv[1])
"""
DUCKDB = """
import sys
from itertools import combinations
import duckdb
table = duckdb.read_parquet(sys.argv[1])
for one, other in combinations(table.columns, 2):
    table.aggregate(f'"{one}", "{other}", count(*)').fetchall()
"""

Work = tuple[str, Sequence[object]]  # its name, and what Python is told


def fit(table: Path, schema: Path, name: str, *more: object) -> Sequence[object]:
    """Return the command that fits a table and writes rows beside its schema, or elsewhere."""
    budget = ("--epsilon=1", "--delta=1e-9", "--seed=0", f"--synthesizer={name}")
    return (*COMMAND, "synthesize", f"--data={table}", f"--schema={schema}", *budget, *more)


def start(folder: Path, _given: argparse.Namespace) -> Iterator[Work]:
    """Yield what takes hardly anything, and fits of coded Adult."""
    yield "import dp_synth", ("-c", "import dp_synth")
    yield "list synthesizers", (*COMMAND, "list", "synthesizers")
    table = Path(os.environ.get("DP_SYNTH_DATA", "."), "adult_discrete.csv")
    if not table.exists():
        print("DP_SYNTH_DATA does not name the folder of coded Adult: no fit is measured")
        return
    for name in ("independent", "mst"):
        out = f"--out={folder / 'rows.csv'}"
        yield f"synthesize {name}", fit(table, table.with_suffix(".meta.json"), name, out)


def sample(folder: Path, given: argparse.Namespace) -> Iterator[Work]:
    """Yield the same rows written to each kind of file."""
    release = folder / "release.npz"
    taken_by(given.against or ROOT, "-c", RELEASE, release)
    for ending in ("csv", "parquet"):
        out = f"--out={folder / 'rows'}.{ending}"
        told = (*COMMAND, "sample", release, f"--rows={given.rows}", "--seed=1", out)
        yield f"{given.rows:,} rows to {ending}", told


def files(folder: Path, _given: argparse.Namespace) -> Iterator[Work]:
    """Yield fits of each file, after DuckDB's count of its pairs."""
    making = get_context("spawn").Process(target=make, args=(folder,))  # its memory is its own
    making.start()
    making.join()
    for file, names in FILES.items():
        path = folder / file
        print(f"{file}: {path.stat().st_size / 1e6:.2f} MB")
        if path.suffix == ".parquet":
            yield "DuckDB, all pairs", ("-c", DUCKDB, path)
        schema, out = folder / f"{file.split('.')[0]}.json", f"--out={folder / 'rows.csv'}"
        for name in names:
            yield name, fit(path, schema, name, "--rows=1000", out)


def make(folder: Path) -> None:
    """Write the files and their schemas."""
    rng = np.random.default_rng(0)
    texts = {key: np.array(of)[rng.integers(0, len(of), BLOCK)] for key, of in TEXTS.items()}
    listed = {key: {"type": "categorical", "categories": of} for key, of in TEXTS.items()}
    coded = {f"x{k}": rng.integers(0, size, BLOCK) for k, size in enumerate(SIZES)}
    ordinal = {f"x{k}": {"type": "ordinal", "size": size} for k, size in enumerate(SIZES)}
    write(folder / "start", {key: cells[:1000] for key, cells in texts.items()}, 1000, listed)
    write(folder / "three", texts, 10 * BLOCK, listed)
    write(folder / "fourteen", coded, 10 * BLOCK, ordinal)
    one = {"a": {"type": "categorical", "categories": ["x", "y"]}}
    write(folder / "one", {"a": np.array(["x"] * BLOCK)}, 100 * BLOCK, one)
    with gzip.open(folder / "one.csv.gz", "wb", 6) as file:
        file.write(b"a\n")
        file.writelines(repeat(b"x\n" * BLOCK, 100))


def write(
    path: Path, columns: Mapping[str, np.ndarray], records: int, described: Mapping[str, dict]
) -> None:
    """Write a Parquet file of so many records, the same block again and again, and its schema."""
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(columns)
    with parquet.ParquetWriter(path.with_suffix(".parquet"), table.schema) as writer:
        for left in range(records, 0, -BLOCK):
            writer.write_table(table.slice(0, left))
    fields = [{"name": key, **of} for key, of in described.items()]
    path.with_suffix(".json").write_text(json.dumps({"name": path.name, "columns": fields}))


def line(name: str, found: Sequence[Taken]) -> str:
    """Return what each version took, and the ratios of this one to the other."""
    said = f"  {name:<26}" + "  ".join(map(str, found))
    if len(found) > 1:
        ratios = (getattr(found[-1], of) / getattr(found[0], of) for of in ("seconds", "megabytes"))
        said += "   ratios {:.2f}, {:.2f}".format(*ratios)
    return said


PARTS = {"start": start, "sample": sample, "files": files}


def main() -> None:
    """Print a line for each piece of work, the other checkout's numbers first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all when left out")
    parser.add_argument("--against", type=Path, help="another checkout, such as an older one")
    parser.add_argument("--rows", type=int, default=10_000_000, help="that are sampled")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    versions = [*([given.against.resolve()] if given.against else []), ROOT]
    for part in given.parts or PARTS:
        if part not in PARTS:
            parser.error(f"no part {part!r}; there are {', '.join(PARTS)}")
        print(f"{part}: CPU seconds and peak memory of whole processes")
        with tempfile.TemporaryDirectory() as folder:
            for name, told in PARTS[part](Path(folder), given):
                work = partial(_taken, told)
                print(line(name, by_turns(versions, work, given.repeats)), flush=True)


def _taken(told: Sequence[object], version: Path) -> Taken:
    return taken_by(version, *told, check=False, most=MOST)


if __name__ == "__main__":
    main()
