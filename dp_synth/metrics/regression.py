"""What a model trained on a synthetic table predicts of a numeric label of real records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from dp_synth.metrics.estimate import Estimate, left_out, random_groups, variance_of
from dp_synth.metrics.fidelity import attributes_of, cells_of
from dp_synth.metrics.models import (
    BOOSTING_ROUNDS,
    MOST_SPLIT_CATEGORIES,
    Categories,
    features_as_numbers,
    features_of,
)
from dp_synth.schema import NumericColumn, Schema
from dp_synth.types import Floats

TINY = 1e-12  # a variance this far below what is missed of it is one but for rounding
PENALTY = 1.0  # of the linear model's squared weights
SCORES = ("r2", "mean_absolute_error")


class Regressor(Protocol):
    """What is asked of a model: the two methods of scikit-learn's regressors."""

    def fit(self, features: Floats, values: Floats) -> object:
        """Learn from ``features`` of shape (records, features)."""

    def predict(self, features: Floats) -> Floats:
        """Return one value a record."""


@dataclass(frozen=True)
class RegressionTask:
    """The numeric label that is to be predicted, between its public bounds."""

    schema: Schema
    label: NumericColumn

    @classmethod
    def of(cls, schema: Schema) -> RegressionTask | None:
        """Return the task of ``schema``; None without a numeric label and a column beside it."""
        label = None if schema.label is None else schema.column(schema.label)
        if not isinstance(label, NumericColumn) or len(attributes_of(schema)) < 2:
            return None
        return cls(schema, label)

    def examples(self, frame: pd.DataFrame) -> tuple[Floats, Floats, Categories]:
        """Return features, values and the features' kinds of records whose label is known."""
        values = self.label.values(cells_of(frame, self.label))
        known = ~np.isnan(values)
        features, categories = features_of(frame[known], self.schema)
        return features, np.clip(values[known], self.label.lower, self.label.upper), categories

    def errors(self, train: pd.DataFrame, test: pd.DataFrame, model: str, seed: int) -> Errors:
        """Return what ``model`` misses of ``test`` after learning from ``train``.

        Where ``train`` holds no known label it says the middle of the bounds; where no two of its
        records differ in a feature, their mean.
        """
        features, values, categories = self.examples(train)
        tested, truth, _ = self.examples(test)
        columns = np.flatnonzero(~np.isnan(features).all(axis=0))
        if not len(values):
            said = np.full(len(truth), (self.label.lower + self.label.upper) / 2)
        elif not len(columns) or not np.ptp(features[:, columns], axis=0).any() or not len(truth):
            said = np.full(len(truth), values.mean())
        else:
            kinds = tuple(categories[i] for i in columns)
            said = _learned(
                REGRESSORS[model](kinds, seed), features[:, columns], values, tested[:, columns]
            )
        return Errors(truth, np.clip(said, self.label.lower, self.label.upper))


@dataclass(frozen=True, eq=False)
class Errors:
    """The label of each tested record and what a model says of it, shape (records,)."""

    truth: Floats
    said: Floats

    def scores(self, seed: int) -> dict[str, Estimate]:
        """Return ``r2`` and ``mean_absolute_error``.

        The share of the label's variance that is explained, negative for a model worse than the
        mean of the tested records; and the mean distance, in units of the label. Intervals are
        for the drawing of the tested records: Student's on the log scale, of what is not
        explained, by a jackknife. Empty where the tested records have one value or none: there
        is nothing to explain.
        """
        n = len(self.truth)
        if not n or not np.ptp(self.truth):
            return {}
        groups = random_groups(n, np.random.default_rng(seed))
        counts = left_out(groups)
        records = counts.sum(axis=1)
        centred = self.truth - self.truth.mean()
        squares = counts @ (self.truth - self.said) ** 2
        spread = counts @ centred**2 - (counts @ centred) ** 2 / records
        missed = _on_log_scale(squares / np.maximum(spread, squares * TINY))
        return {
            "r2": Estimate(1 - missed.value, 1 - missed.high, 1 - missed.low),
            "mean_absolute_error": _on_log_scale(counts @ np.abs(self.truth - self.said) / records),
        }


def _on_log_scale(jackknifed: Floats) -> Estimate:
    """Return the interval of a positive number from its value and those without each group."""
    value, degrees = float(jackknifed[0]), len(jackknifed) - 2
    if not value:
        return Estimate(0.0, 0.0, 0.0)
    found = Estimate.student(0.0, variance_of(jackknifed[1:] / value), degrees)
    return Estimate(value, value * float(np.exp(found.low)), value * float(np.exp(found.high)))


def regression_scores(
    train: pd.DataFrame, holdout: pd.DataFrame, schema: Schema, *, seed: int = 0
) -> dict[str, dict[str, Estimate]]:
    """Return the ``r2`` and ``mean_absolute_error`` on ``holdout`` of each model.

    By the names of `REGRESSORS`. Empty where the label of ``schema`` is no number, or has one
    value in ``holdout``.
    """
    task = RegressionTask.of(schema)
    if task is None:
        return {}
    found = {name: task.errors(train, holdout, name, seed).scores(seed) for name in REGRESSORS}
    return {name: scores for name, scores in found.items() if scores}


def gradient_boosting(categories: Categories, seed: int) -> Regressor:
    """Return boosted trees with category splits; missing numbers are left to the trees."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    model: Regressor = HistGradientBoostingRegressor(
        max_iter=BOOSTING_ROUNDS,
        max_leaf_nodes=31,
        learning_rate=0.1,
        categorical_features=[0 < size <= MOST_SPLIT_CATEGORIES for size in categories],
        early_stopping=False,
        random_state=seed,
    )
    return model


def linear_regression(categories: Categories, seed: int) -> Regressor:
    """Return a ridge regression on one-hot categories and standardised numbers; draws nothing."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    model: Regressor = make_pipeline(
        features_as_numbers(categories, sparse=True), Ridge(PENALTY, solver="sparse_cg")
    )
    return model


REGRESSORS: Mapping[str, Callable[[Categories, int], Regressor]] = {
    "gradient_boosting": gradient_boosting,
    "linear_regression": linear_regression,
}


def _learned(model: Regressor, features: Floats, values: Floats, targets: Floats) -> Floats:
    """Return what ``model`` says of ``targets``, on one thread: the same sums wherever it runs."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        model.fit(features, values)
        return np.asarray(model.predict(targets), dtype=np.float64)
