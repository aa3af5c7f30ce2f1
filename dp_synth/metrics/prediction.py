"""The prediction of a schema's label: examples to learn from, and what a model says of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.metrics.classifiers import Categories, Factory, features_of, learn_and_predict
from dp_synth.metrics.columns import attributes_of, cells_of
from dp_synth.schema import DiscreteColumn, Schema


@dataclass(frozen=True, eq=False)
class Examples:
    """Records whose label is known: features of shape (records, features), and class codes."""

    features: NDArray[np.float64]
    labels: NDArray[np.int32]
    categories: Categories

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, places: NDArray[np.integer] | NDArray[np.bool_]) -> Examples:
        """Return the examples at ``places``."""
        return Examples(self.features[places], self.labels[places], self.categories)

    def with_more(self, others: Examples) -> Examples:
        """Return these examples, and then ``others``."""
        features = np.concatenate([self.features, others.features])
        return Examples(features, np.concatenate([self.labels, others.labels]), self.categories)


@dataclass(frozen=True, eq=False)
class Predicted:
    """Labels of the tested records and what a model says of them, shape (records, classes)."""

    labels: NDArray[np.int32]
    probabilities: NDArray[np.float64]
    binary: bool

    @property
    def scored(self) -> list[int]:
        """Classes over which scores are averaged: the positive one, or all that are present."""
        return [1] if self.binary else np.unique(self.labels).tolist()

    @property
    def named(self) -> NDArray[np.int64]:
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

    def labels(self, frame: pd.DataFrame) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
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
