"""What a classifier trained on a synthetic table is worth on real records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.metrics.classifiers import (
    MODELS,
    Categories,
    Factory,
    features_of,
    learn_and_predict,
)
from dp_synth.metrics.columns import attributes_of, cells_of
from dp_synth.metrics.estimate import Estimate
from dp_synth.metrics.ranking import area_under_roc, on_logit_scale, placements
from dp_synth.schema import DiscreteColumn, Schema

RESAMPLES = 200
BLOCK = 1_000_000  # resampled records held at once
SCORES = ("auc", "average_precision", "f1")


@dataclass(frozen=True)
class _Test:
    """Labels of the tested records and what a model says of them, shape (records, classes)."""

    labels: NDArray[np.int32]
    probabilities: NDArray[np.float64]
    binary: bool

    @property
    def scored(self) -> list[int]:
        """Classes over which scores are averaged: the positive one, or all that are present."""
        return [1] if self.binary else np.unique(self.labels).tolist()


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
    ordinal. Intervals are for the drawing of ``holdout``: DeLong for the AUC, else bootstrap.
    """
    label = None if schema.label is None else schema.column(schema.label)
    if not isinstance(label, DiscreteColumn) or len(attributes_of(schema)) < 2:
        return {}
    positive = _positive_code(schema, label)
    train_y, known = _labels(train, label, positive)
    test_y, testable = _labels(holdout, label, positive)
    train_x, test_x, categories = _features(train[known], holdout[testable], schema)
    scores = {}
    for name, factory in models.items():
        probabilities = np.zeros((len(test_x), label.size if positive is None else 2))
        seen = np.unique(train_y[known])
        if len(seen) < 2 or not categories:
            probabilities[:, seen] = 1.0
        elif len(probabilities):
            probabilities[:, seen] = learn_and_predict(
                factory(categories, seed), train_x, train_y[known], test_x
            )
        test = _Test(test_y[testable], probabilities, positive is not None)
        scores[name] = _scores(test, np.random.default_rng(seed))
    return scores


def _features(
    train: pd.DataFrame, test: pd.DataFrame, schema: Schema
) -> tuple[NDArray[np.float64], NDArray[np.float64], Categories]:
    train_x, categories = features_of(train, schema)
    test_x, _ = features_of(test, schema)
    # A column without one known value in training teaches nothing, and not every model bears it.
    known = np.flatnonzero(~np.isnan(train_x).all(axis=0))
    return train_x[:, known], test_x[:, known], tuple(categories[i] for i in known)


def _positive_code(schema: Schema, label: DiscreteColumn) -> int | None:
    if schema.positive is None:
        return None
    return int(label.encode(pd.Series([str(schema.positive)], dtype=object))[0])


def _labels(
    frame: pd.DataFrame, label: DiscreteColumn, positive: int | None
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    codes = label.encode(cells_of(frame, label))
    known = codes < label.size - len(label.missing)
    return (codes if positive is None else (codes == positive).astype(np.int32)), known


def _scores(test: _Test, rng: np.random.Generator) -> dict[str, Estimate]:
    if not len(test.labels):
        return {
            "auc": Estimate(0.5, 0.0, 1.0),
            "average_precision": Estimate(0.0, 0.0, 1.0),
            "f1": Estimate(0.0, 0.0, 1.0),
        }
    return {
        "auc": _auc(test, rng),
        "average_precision": _average_precision(test, rng),
        "f1": _f1(test, rng),
    }


def _auc(test: _Test, rng: np.random.Generator) -> Estimate:
    of_class = [_area_and_influence(test, c, rng) for c in test.scored]
    areas = [area for area, _ in of_class]
    if len(areas) == 1:
        return areas[0]
    mean = float(np.mean([area.value for area in areas]))
    # The influence of one record on the mean of the areas is the mean of its influences: DeLong's
    # variance, with the correlation between the classes' areas in it.
    influence = np.mean([influence for _, influence in of_class], axis=0)
    joint = on_logit_scale(mean, float(influence.var(ddof=1)) / len(influence))
    if all(0 < area.value < 1 for area in areas):
        return joint
    # A class told apart without error has no variance to show: its exact interval must speak.
    low, high = np.mean([[area.low, area.high] for area in areas], axis=0)
    return Estimate(mean, min(joint.low, float(low)), max(joint.high, float(high)))


def _area_and_influence(
    test: _Test, c: int, rng: np.random.Generator
) -> tuple[Estimate, NDArray[np.float64]]:
    inside, scores = test.labels == c, test.probabilities[:, c]
    area = area_under_roc(scores[inside], scores[~inside], rng)
    influence = np.zeros(len(scores))
    share = inside.mean()
    if 0 < share < 1:
        of_inside, of_outside = placements(scores[inside], scores[~inside])
        influence[inside] = (of_inside - area.value) / share
        influence[~inside] = (of_outside - area.value) / (1 - share)
    return area, influence


def _average_precision(test: _Test, rng: np.random.Generator) -> Estimate:
    n = len(test.labels)
    value = float(_precisions(test, np.ones((1, n)))[0])
    blocks = []
    step = max(1, BLOCK // n)
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        drawn = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        blocks.append(_precisions(test, counts.astype(np.float64)))
    return Estimate.bootstrap(value, np.concatenate(blocks))


def _precisions(test: _Test, counts: NDArray[np.float64]) -> NDArray[np.float64]:
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


def _f1(test: _Test, rng: np.random.Generator) -> Estimate:
    classes = test.probabilities.shape[1]
    predicted = (
        (test.probabilities[:, 1] >= 0.5).astype(np.int64)
        if test.binary
        else test.probabilities.argmax(axis=1)
    )
    confusion = np.bincount(test.labels * classes + predicted, minlength=classes**2)
    n = len(test.labels)
    # F1 depends on the records through the confusion matrix alone: resample that.
    resampled = rng.multinomial(n, confusion / n, size=RESAMPLES)
    value, *spread = _f1_of(np.vstack([confusion, resampled]), classes, test.scored)
    return Estimate.bootstrap(float(value), np.array(spread))


def _f1_of(confusions: NDArray[np.int64], classes: int, scored: list[int]) -> NDArray[np.float64]:
    matrices = confusions.reshape(-1, classes, classes)
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    named_or_true = matrices.sum(axis=1) + matrices.sum(axis=2)
    scores: NDArray[np.float64] = 2 * hits / np.maximum(named_or_true, 1)
    return np.asarray(scores[:, scored].mean(axis=1))
