"""Classifiers that utility is measured with, and the features they are given."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import pandas as pd

from dp_synth.metrics.fidelity import attributes_of, cells_of, codes_of
from dp_synth.schema import Schema
from dp_synth.types import Codes, Floats

BOOSTING_ROUNDS = 100
MOST_SPLIT_CATEGORIES = 255  # histogram boosting bins no more; wider columns are split by code
MOST_DENSE_CATEGORIES = 255  # of a column, as numbers that are all held: memory grows with them
MOST_LOGISTIC_STEPS = 300  # of L-BFGS; stopping there is part of what the metric is
MOST_RECORDS = 10_000  # that a neighbour is looked for among, the first of them
NEIGHBOURS = 25
TREES = 50
SMALLEST_LEAF = 20  # of a tree of the forest, and of a tree alone
PASSES = 20  # of the network through the records
UNITS = 32
STEP = 0.01  # large, for a network that sees few records few times

Categories = tuple[int, ...]  # number of codes of each feature, 0 for a numeric one


class Classifier(Protocol):
    """What is asked of a model: the two methods of scikit-learn's classifiers."""

    def fit(self, features: Floats, labels: Codes) -> object:
        """Learn from ``features`` of shape (records, features) and at least two labels."""

    def predict_proba(self, features: Floats) -> Floats:
        """Return probabilities of shape (records, labels), labels in ascending order."""


class Transformer(Protocol):
    """What is asked of a preparation of features."""

    def fit_transform(self, features: Floats) -> Floats:
        """Return prepared features, having learned from the same how to prepare others."""

    def transform(self, features: Floats) -> Floats:
        """Return prepared features, as learned before."""


Factory = Callable[[Categories, int], Classifier]  # from the features' kinds and a seed


def short_seed(seed: int) -> int:
    """Return a seed in the 32 bits that scikit-learn and pandas take: ``seed``, or one made of it.

    >>> short_seed(7), 0 <= short_seed(2**32) < 2**32
    (7, True)
    """
    return seed if seed < 2**32 else int(np.random.SeedSequence(seed).generate_state(1)[0])


def boosting_settings(categories: Categories, seed: int) -> dict[str, Any]:
    """Return the settings of boosted trees, of classes and of numbers alike."""
    return {
        "max_iter": BOOSTING_ROUNDS,
        "max_leaf_nodes": 31,
        "learning_rate": 0.1,
        "categorical_features": [0 < size <= MOST_SPLIT_CATEGORIES for size in categories],
        "early_stopping": False,
        "random_state": short_seed(seed),
    }


def gradient_boosting(categories: Categories, seed: int) -> Classifier:
    """Return boosted trees with category splits; missing numbers are left to the trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model: Classifier = HistGradientBoostingClassifier(**boosting_settings(categories, seed))
    return model


def logistic_regression(categories: Categories, seed: int) -> Classifier:
    """Return an L2-regularised regression on one-hot categories and standardised numbers.

    It stops after 300 steps of L-BFGS, converged or not, and draws nothing.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=MOST_LOGISTIC_STEPS, tol=1e-3)
    return OnNumbers(categories, model, sparse=True)


def features_of(frame: pd.DataFrame, schema: Schema) -> tuple[Floats, Categories]:
    """Return all columns but the label as numbers, and how many categories each has.

    Shape (records, features). A categorical column gives its codes, missing marks included; the
    others give values, NaN where missing.
    """
    columns = [column for column in attributes_of(schema) if column.name != schema.label]
    features = np.empty((len(frame), len(columns)), order="F")
    for axis, column in enumerate(columns):
        series = cells_of(frame, column)
        categorical = column.type == "categorical"
        features[:, axis] = codes_of(column, series) if categorical else column.values(series)
    sizes = tuple(column.size if column.type == "categorical" else 0 for column in columns)
    return features, sizes


def learn_and_predict(
    model: Classifier, features: Floats, labels: Codes, targets: Floats
) -> Floats:
    """Return the probabilities of ``targets``, learned on one thread.

    One thread sums in one order whatever the number of cores, and models that are trained side
    by side do not wait for each other.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        model.fit(features, labels)
        return model.predict_proba(targets)


def features_as_numbers(categories: Categories, *, sparse: bool = False) -> Transformer:
    """Return what turns features into one-hot categories and standardised numbers.

    A missing number becomes the training mean, and a 1 in a column that says so. Dense, a column
    of more than 255 categories keeps a place for the 254 most frequent, and one for all others.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    kinds = [np.arange(size, dtype=np.float64) for size in categories if size]
    numeric = make_pipeline(
        SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    one_hot = OneHotEncoder(
        categories=kinds,
        sparse_output=sparse,
        max_categories=None if sparse else MOST_DENSE_CATEGORIES,
    )
    columns: Transformer = ColumnTransformer(
        [
            ("categories", one_hot, np.flatnonzero(categories)),
            ("numbers", numeric, np.flatnonzero(np.equal(categories, 0))),
        ]
    )
    return columns


@dataclass
class OnNumbers:
    """A model that is given one-hot categories and standardised numbers, none of them missing.

    A missing number becomes the training mean, and a 1 in a column that says so.
    """

    categories: Categories
    model: Classifier
    sparse: bool = False

    def fit(self, features: Floats, labels: Codes) -> OnNumbers:
        """Learn from ``features``; what goes in steps stops after its last, converged or not."""
        from sklearn.exceptions import ConvergenceWarning

        self._numbers = features_as_numbers(self.categories, sparse=self.sparse)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self._numbers.fit_transform(features), labels)
        return self

    def predict_proba(self, features: Floats) -> Floats:
        """Return probabilities of shape (records, labels), labels in ascending order."""
        chances = self.model.predict_proba(self._numbers.transform(features))
        return np.asarray(chances, dtype=np.float64)


@dataclass
class NearestNeighbours:
    """The vote of the nearest among the first records: a class that is not there has no vote."""

    categories: Categories

    def fit(self, features: Floats, labels: Codes) -> NearestNeighbours:
        """Keep the first 10,000 of ``features``; where they are few, all of them vote."""
        from sklearn.neighbors import KNeighborsClassifier

        kept = labels[:MOST_RECORDS]
        self._voting = np.isin(np.unique(labels), kept)
        model = KNeighborsClassifier(min(NEIGHBOURS, len(kept)), algorithm="brute")
        self._model = OnNumbers(self.categories, model).fit(features[:MOST_RECORDS], kept)
        return self

    def predict_proba(self, features: Floats) -> Floats:
        """Return probabilities of shape (records, labels), labels in ascending order."""
        shares = np.zeros((len(features), len(self._voting)))
        shares[:, self._voting] = self._model.predict_proba(features)
        return shares


def random_forest(categories: Categories, seed: int) -> Classifier:
    """Return fifty trees, which split categories by code."""
    from sklearn.ensemble import RandomForestClassifier

    model: Classifier = RandomForestClassifier(
        TREES, min_samples_leaf=SMALLEST_LEAF, random_state=short_seed(seed)
    )
    return model


def decision_tree(categories: Categories, seed: int) -> Classifier:
    """Return one tree, which splits categories by code."""
    from sklearn.tree import DecisionTreeClassifier

    model: Classifier = DecisionTreeClassifier(
        min_samples_leaf=SMALLEST_LEAF, random_state=short_seed(seed)
    )
    return model


def naive_bayes(categories: Categories, seed: int) -> Classifier:
    """Return Gaussian naive Bayes; it draws nothing."""
    from sklearn.naive_bayes import GaussianNB

    return OnNumbers(categories, GaussianNB())


def network(categories: Categories, seed: int) -> Classifier:
    """Return a perceptron of one hidden layer."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (UNITS,), learning_rate_init=STEP, max_iter=PASSES, random_state=short_seed(seed)
    )
    return OnNumbers(categories, model)


def nearest_neighbours(categories: Categories, seed: int) -> Classifier:
    """Return the vote of 25 neighbours among the first 10,000 records; it draws nothing."""
    return NearestNeighbours(categories)


MODELS: dict[str, Factory] = {
    "gradient_boosting": gradient_boosting,
    "logistic_regression": logistic_regression,
}
SEVERAL: Mapping[str, Factory] = MappingProxyType(
    {
        **MODELS,
        "random_forest": random_forest,
        "naive_bayes": naive_bayes,
        "network": network,
        "nearest_neighbours": nearest_neighbours,
        "decision_tree": decision_tree,
    }
)
