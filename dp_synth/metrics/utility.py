"""Utility: how well classifiers trained on a synthetic table predict the label of real records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.metrics.auc import (
    FEWEST_FOR_DELONG,
    area_under_roc,
    mann_whitney_area,
    of_few,
    on_logit_scale,
    placements,
)
from dp_synth.metrics.estimate import (
    Estimate,
    difference,
    left_out,
    random_groups,
    variance_of,
    without_each,
)
from dp_synth.metrics.fidelity import attributes_of, cells_of
from dp_synth.metrics.models import MODELS, Categories, Factory, features_of, learn_and_predict
from dp_synth.schema import DiscreteColumn, Schema
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
    train: pd.DataFrame,
    holdout: pd.DataFrame,
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
    learned, tested = task.examples(train), task.examples(holdout)
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
    of_class = [_area(test, c, rng) for c in test.scored]
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


def _area(test: Predicted, c: int, rng: np.random.Generator) -> Estimate:
    inside, scores = test.labels == c, test.probabilities[:, c]
    return area_under_roc(scores[inside], scores[~inside], rng)


def _influence(test: Predicted, c: int) -> Floats:
    inside, scores = test.labels == c, test.probabilities[:, c]
    influence, share = np.zeros(len(scores)), inside.mean()
    if 0 < share < 1:
        of_inside, of_outside = placements(scores[inside], scores[~inside])
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
    inside, scores = test.labels == c, test.probabilities[:, c]
    if inside.all() or not inside.any():
        return 0.5
    return mann_whitney_area(scores[inside], scores[~inside])


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
