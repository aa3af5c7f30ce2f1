"""The bundled table, and tables that are named here but held by the user."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from dp_synth.datasets.sources import ADULT, NAMED, Source
from dp_synth.datasets.tables import content_of, parse_csv, read_table, write_blocks, write_table
from dp_synth.dialect import COMMON, Dialect
from dp_synth.errors import DatasetUnavailable, InputError
from dp_synth.extensions import listed, unknown
from dp_synth.formatting import ROWS, html_table
from dp_synth.schema import Schema

__all__ = [
    "Dataset",
    "Dialect",
    "describe",
    "from_file",
    "from_frame",
    "load",
    "names",
    "read_table",
    "write_blocks",
    "write_table",
]

FOLDER_VARIABLE = "DP_SYNTH_DATA"
"""The environment variable that names the folder of tables that are not bundled."""

SHARES = (0.6, 0.2, 0.2)
"""Parts of a table's records that become train, holdout and reference."""

_ADULT_SHA256 = "fe24177a5b0df1874e6afc5748b7d9e547ca25880a84c4310f39b7ccf1b0da37"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table in three fixed parts, with what is public about it and whom to cite.

    ``train`` is to be synthesized, ``holdout`` to be tested on, ``reference`` is what an attacker
    may know. ``sha256`` is of the file that was read; of a table of one's own it is of its schema
    as well, so that another schema makes another table.
    """

    name: str
    train: pd.DataFrame
    holdout: pd.DataFrame
    reference: pd.DataFrame
    schema: Schema
    citation: str
    licence: str
    sha256: str

    def __repr__(self) -> str:
        return f"<Dataset {self.name}: {'; '.join(f'{what} {of}' for what, of in self._facts())}>"

    def _repr_html_(self) -> str:
        return html_table(("", ""), [*self._facts(), ("cite", self.citation)])

    def _facts(self) -> list[tuple[str, str]]:
        """Return what is to be known at a glance."""
        return [
            ("train", f"{len(self.train):,} records"),
            ("holdout", f"{len(self.holdout):,} records"),
            ("reference", f"{len(self.reference):,} records"),
            ("columns", f"{len(self.schema.names)}: {listed(self.schema.names, ROWS)}"),
            ("label", self.schema.label or "none"),
        ]


def names() -> tuple[str, ...]:
    """Return the names that `load` knows: the bundled table first, the others by alphabet."""
    return ("adult", *sorted(NAMED))


def describe(name: str) -> str:
    """Return whom to cite for the table called ``name``."""
    return (ADULT if name == "adult" else NAMED[name]).citation


def load(name: str, path: str | PathLike[str] | None = None) -> Dataset:
    """Return the table called ``name``, split the same way every time.

    ``adult`` is bundled. Any other is read from ``path``, a CSV file whose schema
    ``<stem>.meta.json`` lies beside it, else from the folder that the environment variable
    ``DP_SYNTH_DATA`` names; DatasetUnavailable says where to get it when it is in neither.

    >>> data = load("adult")
    >>> len(data.train), len(data.holdout), len(data.reference)
    (19536, 6512, 6513)
    """
    if name == "adult":
        return _load_adult(path)
    if name not in NAMED:
        raise DatasetUnavailable(unknown("table is called", name, names()))
    table = _find(name, NAMED[name], path)
    stem = table.name.removesuffix(".gz").removesuffix(".csv")
    schema = Schema.load(table.with_name(f"{stem}.meta.json"))
    content = content_of(table, DatasetUnavailable)
    sha256 = hashlib.sha256(content).hexdigest()
    cells = parse_csv(content, str(table), schema.dialect or COMMON)
    return _dataset(name, cells, schema, NAMED[name], sha256=sha256)


def from_file(path: str | PathLike[str]) -> Dataset:
    """Return a table of one's own, split the same way every time, named by its path.

    ``path`` ends in .csv, .csv.gz or .parquet, and its schema ``<stem>.meta.json`` lies beside
    it. DatasetUnavailable where either is not to be found.
    """
    table = Path(path)
    stem = table.name.removesuffix(".gz").removesuffix(".csv").removesuffix(".parquet")
    beside = table.with_name(f"{stem}.meta.json")
    for needed in (table, beside):
        if not needed.is_file():
            raise DatasetUnavailable(f"{needed}: is not there; a table needs its schema beside it")
    source = Source(place=str(path), citation=f"{stem}, a table of one's own", licence="unknown")
    content = b"".join(content_of(one, DatasetUnavailable) for one in (table, beside))
    sha256 = hashlib.sha256(content).hexdigest()
    schema = Schema.load(beside)
    cells = read_table(str(path), schema.dialect)
    return _dataset(str(path), cells, schema, source, sha256=sha256)


def from_frame(frame: pd.DataFrame, schema: Schema, name: str = "") -> Dataset:
    """Return a table of one's own, split as `from_file` does; its name is the schema's by default.

    ``sha256`` is of the cells as they are split and of the schema. SchemaError for a column that
    the frame lacks.
    """
    source = Source(place="memory", citation=f"{schema.name}, a frame", licence="unknown")
    made = _dataset(name or schema.name, frame, schema, source, sha256="")
    digest = hashlib.sha256(schema.model_dump_json().encode())
    for part in (made.train, made.holdout, made.reference):
        digest.update(part.to_csv(index=False).encode())
    return replace(made, sha256=digest.hexdigest())


def _load_adult(path: str | PathLike[str] | None) -> Dataset:
    bundled = Path(__file__).parent / "adult.csv.gz"
    table = Path(path) if path is not None else bundled
    content = content_of(table, DatasetUnavailable)
    found = hashlib.sha256(content).hexdigest()
    if found != _ADULT_SHA256:
        raise InputError(
            f"{table}: is not the table that dp_synth bundles: its SHA-256 must be "
            f"{_ADULT_SHA256}, got {found}"
        )
    schema = Schema.load(bundled.with_name("adult.meta.json"))
    return _dataset("adult", parse_csv(content, str(table)), schema, ADULT, sha256=found)


def _find(name: str, source: Source, path: str | PathLike[str] | None) -> Path:
    folder = os.environ.get(FOLDER_VARIABLE)
    places = [Path(folder) / f"{name}.csv", Path(folder) / f"{name}.csv.gz"] if folder else []
    places = places if path is None else [Path(path)]
    for place in places:
        if place.is_file():
            return place
    looked = f"not at {', '.join(map(str, places))}" if places else f"{FOLDER_VARIABLE} is not set"
    raise DatasetUnavailable(
        f"table {name!r} is not bundled and {looked}: get it from {source.place}, and put it as "
        f"{name}.csv or {name}.csv.gz beside its schema {name}.meta.json into the folder that "
        f"{FOLDER_VARIABLE} names"
    )


def _dataset(
    name: str, cells: pd.DataFrame, schema: Schema, source: Source, *, sha256: str
) -> Dataset:
    frame = schema.typed(cells)
    order = np.random.default_rng(0).permutation(len(frame))
    cuts = [int(SHARES[0] * len(frame)), int((SHARES[0] + SHARES[1]) * len(frame))]
    train, holdout, reference = (
        frame.iloc[part].reset_index(drop=True) for part in np.split(order, cuts)
    )
    said = (source.citation, source.licence, sha256)
    return Dataset(name, train, holdout, reference, schema, *said)
