"""The tables that synthesizers are measured on, each with rows held out and its schema."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

import dp_synth as dps

NIST_COLUMNS = (
    "AGEP",
    "SEX",
    "MSP",
    "RAC1P",
    "HOUSING_TYPE",
    "OWN_RENT",
    "EDU",
    "PINCP_DECILE",
    "DVET",
    "DEYE",
)
AGE_BINS = 20


@dataclass(frozen=True)
class Source:
    """A named table, its records repeated, or its columns joined to as many as asked."""

    table: str
    times: int = 1
    columns: int = 0  # as the table has them when 0
    whole: bool = False  # nothing is held out

    @property
    def label(self) -> str:
        """What results call it."""
        repeated = f" x {self.times}" if self.times > 1 else ""
        joined = f", {self.columns} columns" if self.columns else ""
        return f"{self.table}{repeated}{joined}"


@dataclass(frozen=True, eq=False)
class Parts:
    """Records to fit, records of the same population to compare with, and their schema."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    schema: dps.Schema


def load(source: Source) -> Parts:
    """Return the first four fifths of a table, the rest, and the schema.

    ``dp_synth.datasets.load`` splits 60/20/20 along one fixed permutation: its parts joined are
    that permutation, of adult_discrete 39,074 records to fit and 9,768 held out.
    """
    data = dps.datasets.load(source.table)
    rows = pd.concat([data.train, data.holdout, data.reference], ignore_index=True)
    cut = len(rows) if source.whole else -(-len(rows) * 4 // 5)
    parts = Parts(rows[:cut], rows[cut:].reset_index(drop=True), data.schema)
    if source.table.startswith("nist") and source.whole:
        parts = _ten_features(parts)
    if source.columns:
        parts = _joined(parts, source.columns)
    if source.times > 1:
        parts = _repeated(parts, source.times)
    return parts


def _ten_features(parts: Parts) -> Parts:
    """Return ten demographic features, age as codes of its 20 quantile bins of this very table.

    The bins are read from the records and stand for public ones: inside an evaluation only.
    """
    schema = parts.schema.select(NIST_COLUMNS)
    fields = schema.to_dict()
    columns = fields["columns"]
    assert isinstance(columns, list)
    frame = parts.train[list(NIST_COLUMNS)].copy()
    ages = frame["AGEP"].to_numpy(dtype=float)
    cuts = np.unique(np.quantile(ages, np.arange(1, AGE_BINS) / AGE_BINS))
    frame["AGEP"] = np.searchsorted(cuts, ages, side="right").astype(str).astype(object)
    ordinal = {"name": "AGEP", "type": "ordinal", "size": len(cuts) + 1}
    fields["columns"] = [ordinal if column["name"] == "AGEP" else column for column in columns]
    return Parts(frame, frame[:0], dps.Schema.from_dict(fields))


def _joined(parts: Parts, count: int) -> Parts:
    """Return ``count`` columns: copies of the table side by side, each in an order of its own.

    Columns of one copy depend on each other as in the table, those of two copies do not.
    """
    fields = parts.schema.to_dict()
    columns = fields["columns"]
    assert isinstance(columns, list)
    rng = np.random.default_rng(0)
    frames: list[pd.DataFrame] = []
    wide: list[dict[str, object]] = []
    while len(wide) < count:
        copy = len(frames) + 1
        order = rng.permutation(len(parts.train))
        frames.append(parts.train.iloc[order].reset_index(drop=True).add_suffix(f" {copy}"))
        wide += [{**column, "name": f"{column['name']} {copy}"} for column in columns]
    schema = dps.Schema.from_dict({"name": "joined", "columns": wide[:count]})
    train = pd.concat(frames, axis=1)[list(schema.names)]
    return Parts(train, train[:0], schema)


def _repeated(parts: Parts, times: int) -> Parts:
    """Return the records many times over, as integers of one byte."""
    small = parts.train.astype(np.int8)
    return Parts(pd.concat([small] * times, ignore_index=True), parts.holdout, parts.schema)
