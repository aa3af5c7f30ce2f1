"""A classifier of a thinned class, with and without more records of it, on held-out real ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

import dp_synth as dps
from dp_synth.metrics import METRICS, MODELS, Compared, RealTables
from dp_synth.metrics.prediction import Examples, LabelTask

DELTA = 1e-5
COMMON = 2000  # records of the other class that are kept
MODEL = "gradient_boosting"


@dataclass(frozen=True, eq=False)
class Thinned:
    """Some records of the common class, few of the rare one, and the other rare ones."""

    data: dps.datasets.Dataset
    common: pd.DataFrame
    rare: pd.DataFrame
    left_out: pd.DataFrame

    @classmethod
    def of_seed(cls, name: str, kept: int, seed: int) -> Thinned:
        """Return a table's training part thinned; the seed says which records are kept."""
        data, rng = loaded(name), np.random.default_rng(seed)
        is_rare = _is_rare(data, data.train)
        common, rare = (data.train[flags] for flags in (~is_rare, is_rare))
        order = rng.permutation(len(rare))
        return cls(
            data,
            common.iloc[rng.choice(len(common), COMMON, replace=False)],
            rare.iloc[order[:kept]],
            rare.iloc[order[kept:COMMON]],
        )

    @property
    def real(self) -> pd.DataFrame:
        """All that is kept."""
        return pd.concat([self.common, self.rare], ignore_index=True)

    @property
    def lacking(self) -> int:
        """How many rare records would make the classes equal."""
        return COMMON - len(self.rare)


@lru_cache(maxsize=2)
def loaded(name: str) -> dps.datasets.Dataset:
    """Return a named table."""
    return dps.datasets.load(name)


def more_of(thinned: Thinned, method: str, epsilon: float | None, seed: int) -> pd.DataFrame:
    """Return the rare records that a method adds to the kept ones.

    ``alone`` adds none, ``duplicates`` draws of the kept ones, ``more_real`` those left out; a
    synthesizer is fitted to all that is kept, and gives rare records alone.
    """
    if method == "alone":
        return thinned.rare.head(0)
    if method == "more_real":
        return thinned.left_out
    if method == "duplicates":
        places = np.random.default_rng(seed).integers(len(thinned.rare), size=thinned.lacking)
        return thinned.rare.iloc[places]
    assert epsilon is not None
    schema = thinned.data.schema
    release = dps.SYNTHESIZERS[method]().fit(
        thinned.real, schema, dps.PrivacyBudget(epsilon, DELTA), seed=seed
    )
    assert schema.label is not None
    assert schema.positive is not None
    return release.sample(thinned.lacking, seed=seed, given={schema.label: schema.positive})


def scores(thinned: Thinned, more: pd.DataFrame, seed: int) -> dict[str, float]:
    """Return what a classifier that learned from kept and added records scores on real ones."""
    task = LabelTask.of(thinned.data.schema)
    assert task is not None
    train = pd.concat([thinned.real, more], ignore_index=True)
    predicted = task.predict(
        task.examples(train), _held_out(thinned.data.name), MODELS[MODEL], seed
    )
    chance, labels = predicted.probabilities[:, 1], predicted.labels
    return {
        "auc": round(float(roc_auc_score(labels, chance)), 5),
        "average_precision": round(float(average_precision_score(labels, chance)), 5),
        "balanced_accuracy": round(float(balanced_accuracy_score(labels, predicted.named)), 5),
        "added": len(more),
    }


def unthinned(name: str, epsilon: float, seed: int) -> dict[str, float]:
    """Return what the metric `augmentation` says of a clique tree of the whole training part."""
    data = loaded(name)
    budget = dps.PrivacyBudget(epsilon, DELTA)
    release = dps.CliqueTree().fit(data.train, data.schema, budget, seed=seed)
    rows = release.sample(len(data.train), seed=seed)
    found = METRICS["augmentation"](Compared(_real(name), rows, seed))
    return {key.partition(":")[2]: round(one.value, 5) for key, one in found.items()}


@lru_cache(maxsize=2)
def _held_out(name: str) -> Examples:
    data = loaded(name)
    task = LabelTask.of(data.schema)
    assert task is not None
    return task.examples(data.holdout)


@lru_cache(maxsize=2)
def _real(name: str) -> RealTables:
    data = loaded(name)
    return RealTables(data.train, data.holdout, data.schema)


def _is_rare(data: dps.datasets.Dataset, frame: pd.DataFrame) -> pd.Series:
    return frame[data.schema.label].astype(str) == str(data.schema.positive)
