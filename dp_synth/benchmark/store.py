"""Results on disk: one file a cell, written whole or not at all, gathered as one table."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from dp_synth._version import __version__
from dp_synth.benchmark.cell import RECORD_COLUMNS, Cell, Outcome, canonical_json, records
from dp_synth.errors import InputError
from dp_synth.files import written_whole

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "dp-accounting")


@dataclass(frozen=True)
class Store:
    """A folder with ``cells/``, ``failures/``, ``records.parquet`` and ``manifest.json``."""

    folder: Path

    @property
    def cells(self) -> Path:
        """Folder with one JSON file a cell, named by its key."""
        return self.folder / "cells"

    @property
    def failures(self) -> Path:
        """Folder with the trace of each failed cell, for whoever mends it."""
        return self.folder / "failures"

    @property
    def records(self) -> Path:
        """The gathered records."""
        return self.folder / "records.parquet"


@dataclass(frozen=True)
class _CellFile:
    format: int
    key: str
    version: str
    cell: Cell
    outcome: Outcome


_CELL_FILE = TypeAdapter(_CellFile)


def open_store(folder: Path) -> Store:
    """Return the store in ``folder``, made when absent; InputError when it cannot be written."""
    store = Store(folder)
    try:
        store.cells.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=store.cells):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"the store {folder} cannot be written ({reason}); name another with --store"
        ) from None
    return store


def save(store: Store, cell: Cell, outcome: Outcome) -> None:
    """Write what a cell gave; a trace goes to a file of its own and leaves with the failure."""
    trace = store.failures / f"{cell.key}.txt"
    if outcome.error:
        store.failures.mkdir(exist_ok=True)
        trace.write_text(f"{cell}\n{outcome.error}\n{outcome.trace}", encoding="utf-8")
    else:
        trace.unlink(missing_ok=True)
    kept = dataclasses.replace(outcome, trace="")
    content = dataclasses.asdict(_CellFile(FORMAT, cell.key, __version__, cell, kept))
    text = json.dumps(content, allow_nan=False, indent=1)
    with written_whole(store.cells / f"{cell.key}.json") as passing:
        passing.write_text(text, encoding="utf-8")


def read(store: Store, cell: Cell) -> Outcome | None:
    """Return what the cell gave; None when it never ended or its file is damaged or foreign."""
    try:
        found = _CELL_FILE.validate_json((store.cells / f"{cell.key}.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    if (found.format, found.key, found.cell) != (FORMAT, cell.key, cell):
        return None
    return found.outcome


def gather(store: Store, cells: Iterable[Cell]) -> Path:
    """Write the records of those ``cells`` that ended, in their order, as one Parquet file."""
    import pyarrow
    from pyarrow import parquet

    kinds = {str: pyarrow.string(), float: pyarrow.float64(), int: pyarrow.int64()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in RECORD_COLUMNS.items()])
    rows = [
        row
        for cell in cells
        if (outcome := read(store, cell)) is not None
        for row in records(cell, outcome)
    ]
    table = pyarrow.Table.from_pylist(rows, schema=schema)
    with written_whole(store.records) as passing:
        parquet.write_table(table, passing)
    return store.records


def read_records(store: Store) -> pd.DataFrame:
    """Return the gathered records; InputError when there are none or the file is not ours."""
    import pandas
    from pyarrow import ArrowInvalid

    try:
        table = pandas.read_parquet(store.records)
    except FileNotFoundError:
        raise InputError(f"no records in {store.folder}: run the grid first") from None
    except ArrowInvalid:
        raise InputError(f"{store.records}: not a Parquet file; run the grid again") from None
    if list(table.columns) != list(RECORD_COLUMNS):
        raise InputError(f"{store.records}: not the records of a benchmark; run the grid again")
    return table


def write_manifest(store: Store, grid: dict[str, object]) -> None:
    """Write which versions and which kind of machine made the records, and of which grid."""
    content = {
        "format": FORMAT,
        "grid": grid["name"],
        "grid_sha256": hashlib.sha256(canonical_json(grid).encode()).hexdigest(),
        "dp_synth": __version__,
        "python": platform.python_version(),
        "packages": {name: _version_of(name) for name in PACKAGES},
        "system": sys.platform,
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }
    text = json.dumps(content, indent=1) + "\n"
    with written_whole(store.folder / "manifest.json") as passing:
        passing.write_text(text, encoding="utf-8")


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
