"""Utility: how well models trained on a synthetic table predict the label of real records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.frames import Table, as_frame
from dp_synth.metrics.estimate import (
    FEWEST_FOR_DELONG,
    Estimate,
    area_under_roc,
    difference,
    left_out,
    mann_whitney_area,
    of_few,
    on_logit_scale,
    placements,
    random_groups,
    variance_of,
    without_each,
)
from dp_synth.metrics.fidelity import attributes_of, cells_of
from dp_synth.metrics.models import (
    MODELS,
    Categories,
    Factory,
    boosting_settings,
    features_as_numbers,
    features_of,
    learn_and_predict,
)
from dp_synth.schema import DiscreteColumn, NumericColumn, Schema
from dp_synth.types import Codes, Flags, Floats, Integers

BLOCK = 1_000_000  # records of a jackknife held at once
SCORES = ("auc", "average_precision", "f1")


@dataclass(frozen=True, eq=False)
class Examples:
    """Records whose label is known: features of shape (records, features), and class codes."""

    features: Floats
    labels: Codes
    categories: Categories

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, places: NDArray[np.integer] | Flags) -> Examples:
        """Return the examples at ``places``."""
        return Examples(self.features[places], self.labels[places], self.categories)

    def with_more(self, others: Examples) -> Examples:
        """Return these examples, and then ``others``."""
        features = np.concatenate([self.features, others.features])
        return Examples(features, np.concatenate([self.labels, others.labels]), self.categories)


@dataclass(frozen=True, eq=False)
class Predicted:
    """Labels of the tested records and what a model says of them, shape (records, classes)."""

    labels: Codes
    probabilities: Floats
    binary: bool

    def apart(self, c: int) -> tuple[Floats, Floats]:
        """Return the probabilities of a class that records of it have, and those of others."""
        inside = self.labels == c
        return self.probabilities[inside, c], self.probabilities[~inside, c]

    @property
    def scored(self) -> list[int]:
        """Classes over which scores are averaged: the positive one, or all that are present."""
        return [1] if self.binary else np.unique(self.labels).tolist()

    @property
    def named(self) -> Integers:
        """The class that each record is said to have: the likeliest, or positive from 0.5 on."""
        if self.binary:
            return (self.probabilities[:, 1] >= 0.5).astype(np.int64)
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True)
class LabelTask:
    """The label that is to be predicted; its positive class, against all others, if it has one."""

    schema: Schema
    label: DiscreteColumn
    positive: int | None

    @classmethod
    def of(cls, schema: Schema) -> LabelTask | None:
        """Return the task of ``schema``; None without a categorical or ordinal label and more."""
        label = None if schema.label is None else schema.column(schema.label)
        if not isinstance(label, DiscreteColumn) or len(attributes_of(schema)) < 2:
            return None
        if schema.positive is None:
            return cls(schema, label, None)
        cells = pd.Series([str(schema.positive)], dtype=object)
        return cls(schema, label, int(label.encode(cells)[0]))

    @property
    def binary(self) -> bool:
        """Whether one class is scored against all others."""
        return self.positive is not None

    @property
    def classes(self) -> int:
        """The number of classes that a model gives probabilities of."""
        return 2 if self.binary else self.label.size

    def examples(self, frame: pd.DataFrame) -> Examples:
        """Return the records of ``frame`` whose label is not missing."""
        codes, known = self.labels(frame)
        features, categories = features_of(frame[known], self.schema)
        return Examples(features, codes[known], categories)

    def labels(self, frame: pd.DataFrame) -> tuple[Codes, Flags]:
        """Return the class of each record of ``frame``, and which of them are not missing."""
        codes = self.label.encode(cells_of(frame, self.label))
        known = codes < self.label.size - len(self.label.missing)
        return (
            codes if self.positive is None else (codes == self.positive).astype(np.int32)
        ), known

    def predict(self, train: Examples, test: Examples, factory: Factory, seed: int) -> Predicted:
        """Return what a model that learned from ``train`` says of the records of ``test``.

        It is certain of the one class it saw, where it saw only one. Where it saw no two records
        that differ in a feature, it says of all how frequent each class was.
        """
        # A column without one known value in training teaches nothing; not every model bears it.
        columns = np.flatnonzero(~np.isnan(train.features).all(axis=0))
        categories = tuple(train.categories[i] for i in columns)
        probabilities = np.zeros((len(test), self.classes))
        seen = np.unique(train.labels)
        if len(seen) < 2:
            probabilities[:, seen] = 1.0
        elif not np.ptp(train.features[:, columns], axis=0).any():  # NaN beside a number differs
            counts = np.bincount(train.labels)[seen]
            probabilities[:, seen] = counts / counts.sum()
        elif len(test):
            probabilities[:, seen] = learn_and_predict(
                factory(categories, seed),
                train.features[:, columns],
                train.labels,
                test.features[:, columns],
            )
        return Predicted(test.labels, probabilities, self.binary)


def utility(
    train: Table,
    holdout: Table,
    schema: Schema,
    *,
    models: Mapping[str, Factory] = MODELS,
    seed: int = 0,
) -> dict[str, dict[str, Estimate]]:
    """Return the ``auc``, ``average_precision`` and ``f1`` on ``holdout`` of each model.

    Scores are those of the schema's ``positive`` class against all others; without one they are
    means over the classes present in ``holdout``, each against the rest. F1 is that of the
    prediction at probability 0.5, or of the likeliest class. Records whose label is missing are
    left out. Where ``train`` has fewer than two classes every score is a constant, so the AUC
    is 0.5. The result is empty when the schema has no label, or one that is not categorical or
    ordinal. Intervals are for the drawing of ``holdout``: DeLong for the AUC, else a jackknife.
    """
    task = LabelTask.of(schema)
    if task is None:
        return {}
    learned, tested = task.examples(as_frame(train)), task.examples(as_frame(holdout))
    return {
        name: scores_of(task.predict(learned, tested, factory, seed), seed)
        for name, factory in models.items()
    }


def scores_of(test: Predicted, seed: int) -> dict[str, Estimate]:
    """Return the ``auc``, ``average_precision`` and ``f1`` of a model's predictions."""
    rng = np.random.default_rng(seed)
    if not len(test.labels):
        return {
            "auc": Estimate(0.5, 0.0, 1.0),
            "average_precision": Estimate(0.0, 0.0, 1.0),
            "f1": Estimate(0.0, 0.0, 1.0),
        }
    return {
        "auc": auc_of(test, rng),
        "average_precision": _average_precision(test, rng),
        "f1": _f1(test, rng),
    }


def auc_of(test: Predicted, rng: np.random.Generator) -> Estimate:
    """Return the area under the ROC curve, or its mean over the classes present."""
    of_class = [area_under_roc(*test.apart(c), rng) for c in test.scored]
    if len(of_class) == 1:
        return of_class[0]
    mean = float(np.mean([area.value for area in of_class]))
    influence = auc_influence(test)
    trials = tellable(test)
    variance = float(influence.var(ddof=1)) / len(influence) if trials else 0.0
    joint = on_logit_scale(mean, variance, trials - 1)
    if trials >= FEWEST_FOR_DELONG and all(0 < area.value < 1 for area in of_class):
        return joint
    # A class told apart without error has no variance to show: its exact interval must speak.
    low, high = np.mean([[area.low, area.high] for area in of_class], axis=0)
    return Estimate(mean, min(joint.low, float(low)), max(joint.high, float(high)))


def auc_influence(test: Predicted) -> Floats:
    """Return the influence of each record on the mean of the areas: the mean of its influences.

    Its variance over records is DeLong's, with the correlation between classes' areas in it; the
    variance of the difference of two models' influences is that of the difference of their areas.
    """
    return np.asarray(np.mean([_influence(test, c) for c in test.scored], axis=0))


def _influence(test: Predicted, c: int) -> Floats:
    inside = test.labels == c
    influence, share = np.zeros(len(inside)), inside.mean()
    if 0 < share < 1:
        of_inside, of_outside = placements(*test.apart(c))
        area = of_inside.mean()
        influence[inside] = (of_inside - area) / share
        influence[~inside] = (of_outside - area) / (1 - share)
    return influence


def auc_gain(better: Predicted, worse: Predicted) -> Estimate:
    """Return the area of one model less that of another on the same records.

    The interval is that of DeLong, DeLong & Clarke-Pearson 1988 for correlated areas: a record
    that both models rank alike says nothing about their difference. Of fewer records than 30 it
    holds the wider one of areas of two tables as well.
    """
    if not len(better.labels):
        return Estimate(0.0, -1.0, 1.0)
    gain = sum(
        sign * float(np.mean([_plain_area(test, c) for c in test.scored]))
        for sign, test in ((1, better), (-1, worse))
    )
    trials = tellable(better)
    if trials <= 1:
        return Estimate(gain, -1.0, 1.0)
    influence = auc_influence(better) - auc_influence(worse)
    variance = float(influence.var(ddof=1)) / len(influence)
    found = Estimate.student(gain, variance, trials - 1, least=-1.0, most=1.0)
    if trials >= FEWEST_FOR_DELONG:
        return found
    apart = difference(*(auc_of(one, np.random.default_rng(0)) for one in (better, worse)))
    low, high = max(min(found.low, apart.low), -1.0), min(max(found.high, apart.high), 1.0)
    return Estimate(gain, low, high)


def _plain_area(test: Predicted, c: int) -> float:
    inside, outside = test.apart(c)
    return mann_whitney_area(inside, outside) if len(inside) and len(outside) else 0.5


def tellable(test: Predicted) -> float:
    """Return how many independent records the mean over scored classes is as good as.

    A class is told from the others by as many as are in the rarer of the two.
    """
    n = len(test.labels)
    inside = np.array([np.count_nonzero(test.labels == c) for c in test.scored])
    rarer = np.minimum(inside, n - inside)
    return float(len(rarer) ** 2 / (1 / rarer).sum()) if len(rarer) and rarer.all() else 0.0


def _jackknifed(test: Predicted, values: Floats) -> Estimate:
    """Return a score from its value, and those without each group of records."""
    trials = tellable(test)
    degrees = min(len(values) - 1, trials) - 1
    return of_few(float(values[0]), variance_of(values[1:]), degrees, trials)


def _average_precision(test: Predicted, rng: np.random.Generator) -> Estimate:
    counts = left_out(random_groups(len(test.labels), rng))
    step = max(1, BLOCK // len(test.labels))
    blocks = [_precisions(test, counts[at : at + step]) for at in range(0, len(counts), step)]
    return _jackknifed(test, np.concatenate(blocks))


def _precisions(test: Predicted, counts: Floats) -> Floats:
    """Return the mean over classes of the average precision, one for each row of counts."""
    total = np.zeros(len(counts))
    for c in test.scored:
        order = np.argsort(-test.probabilities[:, c], kind="stable")
        ordered = test.probabilities[order, c]
        last_of_tie = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        weights = counts[:, order]
        named = np.cumsum(weights, axis=1)[:, last_of_tie]
        weights *= test.labels[order] == c
        found = np.cumsum(weights, axis=1)[:, last_of_tie]
        gained = np.diff(found, axis=1, prepend=0.0)
        total += (gained * found / np.maximum(named, 1)).sum(axis=1) / np.maximum(found[:, -1], 1)
    return total / len(test.scored)


def _f1(test: Predicted, rng: np.random.Generator) -> Estimate:
    classes, groups = test.probabilities.shape[1], random_groups(len(test.labels), rng)
    cells = groups * classes**2 + test.labels * classes + test.named
    count = int(groups.max()) + 1
    confusions = np.bincount(cells, minlength=count * classes**2).reshape(count, -1)
    values = _f1_of(without_each(confusions.astype(np.float64)), classes, test.scored)
    return _jackknifed(test, values)


def _f1_of(confusions: Floats, classes: int, scored: list[int]) -> Floats:
    matrices = confusions.reshape(-1, classes, classes)
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    named_or_true = matrices.sum(axis=1) + matrices.sum(axis=2)
    scores: Floats = 2 * hits / np.maximum(named_or_true, 1)
    return np.asarray(scores[:, scored].mean(axis=1))


TINY = 1e-12  # a variance this far below what is missed of it is one but for rounding
PENALTY = 1.0  # of the linear model's squared weights
OF_NUMBERS = ("r2", "mean_absolute_error")


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
        from threadpoolctl import threadpool_limits

        features, values, categories = self.examples(train)
        tested, truth, _ = self.examples(test)
        columns = np.flatnonzero(~np.isnan(features).all(axis=0))
        if not len(values):
            said = np.full(len(truth), (self.label.lower + self.label.upper) / 2)
        elif not len(columns) or not np.ptp(features[:, columns], axis=0).any() or not len(truth):
            said = np.full(len(truth), values.mean())
        else:
            kinds = tuple(categories[i] for i in columns)
            learner = REGRESSORS[model](kinds, seed)
            with threadpool_limits(limits=1):  # the same sums wherever it runs
                learner.fit(features[:, columns], values)
                said = np.asarray(learner.predict(tested[:, columns]), dtype=np.float64)
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

    model: Regressor = HistGradientBoostingRegressor(**boosting_settings(categories, seed))
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
