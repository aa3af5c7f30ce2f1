"""The tables that synthesizers are measured on, and the classifier that rows are measured by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

import dp_synth as dps
from dp_synth.datasets import Dataset
from dp_synth.metrics import Compared, Estimate
from dp_synth.schema import DiscreteColumn

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


def load(source: Source) -> Dataset:
    """Return a table of which four fifths are to be fitted, and the rest is held out.

    ``dp_synth.datasets.load`` splits 60/20/20 along one fixed permutation: its parts joined are
    that permutation, of adult_discrete 39,074 records to fit and 9,768 held out.
    """
    data = dps.datasets.load(source.table)
    rows = pd.concat([data.train, data.holdout, data.reference], ignore_index=True)
    cut = len(rows) if source.whole else -(-len(rows) * 4 // 5)
    held = rows[cut:].reset_index(drop=True)
    digest = hashlib.sha256(f"{data.sha256} {source}".encode()).hexdigest()
    parts = replace(data, train=rows[:cut], holdout=held, reference=held, sha256=digest)
    if source.table.startswith("nist") and source.whole:
        parts = _ten_features(parts)
    if source.columns:
        parts = _joined(parts, source.columns)
    if source.times > 1:
        small = parts.train.astype(np.int8)
        parts = replace(parts, train=pd.concat([small] * source.times, ignore_index=True))
    return replace(parts, name=f"{source.label}, four fifths")


def _ten_features(parts: Dataset) -> Dataset:
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
    none, schema = frame[:0], dps.Schema.from_dict(fields)
    return replace(parts, train=frame, holdout=none, reference=none, schema=schema)


def _joined(parts: Dataset, count: int) -> Dataset:
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
    return replace(parts, train=train, holdout=train[:0], reference=train[:0], schema=schema)


def numbers_of(rows: pd.DataFrame, schema: dps.Schema) -> pd.DataFrame:
    """Return numbers as they are, and categories by their place in the schema; -1 where missing."""
    columns = {}
    for column in schema.columns:
        name = column.name
        if isinstance(column, DiscreteColumn):
            places = {text: place for place, text in enumerate(column.texts)}
            columns[name] = rows[name].astype(str).map(places).fillna(-1)
        else:
            columns[name] = pd.to_numeric(rows[name], errors="coerce").fillna(-1)
    return pd.DataFrame(columns)


def boosted_auc(train: pd.DataFrame, holdout: pd.DataFrame, label: str) -> float:
    """Return the area under the ROC curve of LightGBM with 200 trees; 0.5 for a lone class."""
    from lightgbm import LGBMClassifier
    from sklearn.metrics import roc_auc_score

    if train[label].nunique() < 2:
        return 0.5
    model = LGBMClassifier(n_estimators=200, verbose=-1, n_jobs=1)
    model.fit(train.drop(columns=label).to_numpy(), train[label].to_numpy())
    scores = np.asarray(model.predict_proba(holdout.drop(columns=label).to_numpy()))[:, 1]
    return float(roc_auc_score(holdout[label].to_numpy(), scores))


def boosted(compared: Compared) -> Mapping[str, Estimate]:
    """Return ``auc_boosted``, the metric of grids: LightGBM trained on rows, tested on others."""
    schema = compared.real.schema
    if not schema.label or not len(compared.real.holdout):
        return {}
    tables = (numbers_of(rows, schema) for rows in (compared.synthetic, compared.real.holdout))
    area = boosted_auc(*tables, schema.label)
    return {"auc_boosted": Estimate(area, area, area)}


boosted.better = "higher"  # type: ignore[attr-defined]


def scored(rows: pd.DataFrame, data: Dataset, seed: int) -> dict[str, float]:
    """Return the TV of pairs of rows, and the AUC of gradient boosting trained on them."""
    models = {"boosting": dps.metrics.MODELS["gradient_boosting"]}
    scores = dps.metrics.utility(rows, data.holdout, data.schema, models=models, seed=seed)
    tv = dps.metrics.workload_error(data.train, rows, data.schema).value
    return {"tv": tv, "auc": scores["boosting"]["auc"].value}
