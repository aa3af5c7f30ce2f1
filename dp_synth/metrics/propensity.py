"""How well a classifier tells synthetic records from real ones: the propensity score error."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from dp_synth.metrics.comparison import Compared, Metric
from dp_synth.metrics.estimate import Estimate, quantile
from dp_synth.metrics.models import (
    MOST_LOGISTIC_STEPS,
    Categories,
    Classifier,
    features_as_numbers,
    features_of,
    learn_and_predict,
    short_seed,
)
from dp_synth.types import Codes, Floats

FOLDS = 3
SHUFFLES = 5  # of which records are said to be synthetic, for the null expectation
MOST_RECORDS = 5_000  # taken of either table
FEWEST_RECORDS = 30  # below this in either table, no model is worth its fit
SMALLEST_LEAVES = 20, 0.01  # records of a tree's leaf, and their share: whichever is more


Prepared = tuple[Floats, Classifier]


def _logistic(features: Floats, categories: Categories, seed: int) -> Prepared:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=MOST_LOGISTIC_STEPS, tol=1e-3)
    # Prepared without a look at the labels, and so for all folds and shuffles at once.
    return features_as_numbers(categories).fit_transform(features), model


def _tree(features: Floats, categories: Categories, seed: int) -> Prepared:
    from sklearn.tree import DecisionTreeClassifier

    fewest, share = SMALLEST_LEAVES
    leaf = max(fewest, round(share * len(features)))
    return features, DecisionTreeClassifier(min_samples_leaf=leaf, random_state=short_seed(seed))


MODELS_OF_PROPENSITY = MappingProxyType({"logistic": _logistic, "tree": _tree})


def propensity_mse(compared: Compared) -> Mapping[str, Estimate]:
    """Return how far propensity scores lie from a coin's, by model, and the ratio to chance.

    ``propensity_mse:<model>`` is pMSE, the mean of (p - 1/2)^2, p being the chance that a record
    is synthetic (Snoke, Raab, Nowok, Dibben & Slavkovic 2018): 0 where no model tells, 1/4 at
    most. It is between hold-out records and as many synthetic ones, drawn by the seed (5,000 at
    most): the training records would do injustice to rows that repeat them. Other than in the
    paper each p comes from a model that learned from the other folds, so that a tree can be used
    without pruning by hand.

    ``propensity_mse:<model>:ratio`` divides by the mean pMSE when a coin says which records are
    synthetic: the paper's null expectation, here by shuffling, since models see other folds. It
    is near 1 where a model cannot tell the tables apart.

    Intervals are Student's (that of the ratio on the log scale), from the larger of the variance
    over records and the variance under the coin, which has the training of the models in it.
    """
    schema = compared.real.schema.model_copy(update={"label": None, "positive": None})
    count = min(len(compared.real.holdout), len(compared.synthetic), MOST_RECORDS)
    if count < FEWEST_RECORDS:
        return {}
    rng = np.random.default_rng(compared.seed)
    drawn = [_drawn(table, count, rng) for table in (compared.real.holdout, compared.synthetic)]
    parts = [features_of(table, schema) for table in drawn]
    features, categories = np.concatenate([part for part, _ in parts]), parts[0][1]
    known = np.flatnonzero(~np.isnan(features).all(axis=0))
    if not len(known):
        return {}
    features, categories = features[:, known], tuple(categories[i] for i in known)
    found: dict[str, Estimate] = {}
    for name, prepare in MODELS_OF_PROPENSITY.items():
        values = _pmse(*prepare(features, categories, compared.seed), rng)
        found |= {f"propensity_mse:{name}{end}": value for end, value in values.items()}
    return found


def _drawn(table: pd.DataFrame, count: int, rng: np.random.Generator) -> pd.DataFrame:
    return table.iloc[rng.choice(len(table), count, replace=False)]


def _pmse(features: Floats, model: Classifier, rng: np.random.Generator) -> dict[str, Estimate]:
    """Return the pMSE of the second half of the records against the first, and its ratio.

    There is no ratio where the model never says anything but one half.
    """
    labels = np.repeat(np.array([0, 1], dtype=np.int32), len(features) // 2)
    terms = _terms(features, labels, model, rng)
    nulls = np.array(
        [_terms(features, rng.permutation(labels), model, rng).mean() for _ in range(SHUFFLES)]
    )
    value, expected = float(terms.mean()), float(nulls.mean())
    of_records, of_nulls = float(terms.var(ddof=1)) / len(terms), float(nulls.var(ddof=1))
    variance = max(of_records, of_nulls)
    degrees = len(terms) - 1 if of_records > of_nulls else SHUFFLES - 1
    pmse = Estimate.student(value, variance, degrees, least=0.0, most=0.25)
    if not expected:
        return {"": pmse}
    spread = variance / max(value, expected) ** 2 + nulls.var(ddof=1) / SHUFFLES / expected**2
    factor = float(np.exp(quantile(SHUFFLES - 1) * np.sqrt(spread)))
    ratio = value / expected
    return {"": pmse, ":ratio": Estimate(ratio, ratio / factor, ratio * factor)}


def _terms(features: Floats, labels: Codes, model: Classifier, rng: np.random.Generator) -> Floats:
    """Return (p - 1/2)^2 of each record, by a model that learned from the other folds."""
    folds = np.empty(len(labels), dtype=np.int64)
    for label in (0, 1):  # as many of either in each fold: p then centres on one half
        places = rng.permutation(np.flatnonzero(labels == label))
        folds[places] = np.arange(len(places)) % FOLDS
    chances = np.empty(len(labels))
    for fold in range(FOLDS):
        inside = folds == fold
        told = learn_and_predict(model, features[~inside], labels[~inside], features[inside])
        chances[inside] = told[:, 1]
    return (chances - 0.5) ** 2


PROPENSITY_MSE = Metric(
    "propensity_mse",
    "how well a model tells synthetic from hold-out records, and that beside chance",
    "lower",
    propensity_mse,
    needs="a known value, and thirty hold-out and synthetic records",
)
