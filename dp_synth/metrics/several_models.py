"""What kinds of models learn from synthetic records, and whether they rank as on real ones."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dp_synth.metrics.classifiers import (
    MODELS,
    Categories,
    Classifier,
    Factory,
    features_as_numbers,
    short_seed,
)
from dp_synth.metrics.compared import Compared
from dp_synth.metrics.estimate import Estimate
from dp_synth.metrics.jackknife import left_out, random_groups, variance_of
from dp_synth.metrics.prediction import Predicted
from dp_synth.metrics.ranking import of_few
from dp_synth.metrics.utility import auc_of, tellable

RESAMPLES = 100
FEWEST_TRIALS = 5  # records of the rarer class, from which an order of models is told
MOST_RECORDS = 10_000  # that a neighbour is looked for among, the first of them
NEIGHBOURS = 25
TREES = 50
SMALLEST_LEAF = 20  # of a tree of the forest, and of a tree alone
PASSES = 20  # of the network through the records
UNITS = 32
STEP = 0.01  # large, for a network that sees few records few times


@dataclass
class OnNumbers:
    """A model that is given one-hot categories and standardised numbers, none of them missing."""

    categories: Categories
    model: Classifier

    def fit(self, features: NDArray[np.float64], labels: NDArray[np.int32]) -> OnNumbers:
        """Learn from ``features``; a network stops after twenty passes, converged or not."""
        from sklearn.exceptions import ConvergenceWarning

        self._numbers = features_as_numbers(self.categories)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self._numbers.fit_transform(features), labels)
        return self

    def predict_proba(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities of shape (records, labels), labels in ascending order."""
        return self.model.predict_proba(self._numbers.transform(features))


@dataclass
class NearestNeighbours:
    """The vote of the nearest among the first records: a class that is not there has no vote."""

    categories: Categories

    def fit(self, features: NDArray[np.float64], labels: NDArray[np.int32]) -> NearestNeighbours:
        """Keep the first 10,000 of ``features``; where they are few, all of them vote."""
        from sklearn.neighbors import KNeighborsClassifier

        kept = labels[:MOST_RECORDS]
        self._voting = np.isin(np.unique(labels), kept)
        model = KNeighborsClassifier(min(NEIGHBOURS, len(kept)), algorithm="brute")
        self._model = OnNumbers(self.categories, model).fit(features[:MOST_RECORDS], kept)
        return self

    def predict_proba(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
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


def several_models(compared: Compared) -> Mapping[str, Estimate]:
    """Return the AUC on hold-out records of seven kinds of models, and how their order agrees.

    ``several_models:auc:<model>``
        that of a model which learned from synthetic records, as ``auc``.
    ``several_models:mean_auc``
        the mean of these (Jordon, Yoon & van der Schaar 2019 take twelve kinds, and ask for
        the order of them too).
    ``several_models:rank_agreement``
        Spearman's correlation between these areas and those of the same models after learning
        from the training records: at 1 a synthetic table leads to the choice of model that the
        real one leads to. It is 0 where all areas of either are the same.

    The intervals of the last two are for the drawing of hold-out records, on which all models
    are tested: by a jackknife, and by a bootstrap.
    """
    if compared.real.task is None or not len(compared.real.examples("holdout")):
        return {}
    learned = {name: compared.predicted(name, factory) for name, factory in SEVERAL.items()}
    rng = np.random.default_rng(compared.seed)
    found = {  # drawn as `scores_of` draws them: a model has one interval, wherever it is shown
        f"several_models:auc:{name}": auc_of(one, np.random.default_rng(compared.seed))
        for name, one in learned.items()
    }
    real = [compared.real.predicted(name, factory) for name, factory in SEVERAL.items()]
    over = intervals_over_models(list(learned.values()), real, rng)
    return found | {f"several_models:{name}": estimate for name, estimate in over.items()}


def intervals_over_models(
    learned: Sequence[Predicted], real: Sequence[Predicted], rng: np.random.Generator
) -> dict[str, Estimate]:
    """Return the ``mean_auc`` of models on the same records, and their ``rank_agreement``."""
    records, trials = len(learned[0].labels), tellable(learned[0])
    drawn = [
        np.bincount(rng.integers(records, size=records), minlength=records)
        for _ in range(RESAMPLES)
    ]
    groups = left_out(random_groups(records, rng))
    counts = np.concatenate([groups, np.array(drawn)])
    of_synthetic, of_real = (
        np.stack([areas(one, counts) for one in models], axis=1) for models in (learned, real)
    )
    mean = of_synthetic.mean(axis=1)[: len(groups)]
    agreement = rank_agreement(of_synthetic, of_real)
    value, resampled = float(agreement[0]), agreement[len(groups) :]
    degrees = min(len(groups) - 1, trials) - 1
    return {
        "mean_auc": of_few(float(mean[0]), variance_of(mean[1:]), degrees, trials),
        "rank_agreement": _either_way(value, resampled, int(trials)),
    }


def _either_way(value: float, resampled: NDArray[np.float64], trials: int) -> Estimate:
    """Return the interval of a correlation of ranks, as wide to both sides as to the wider one.

    Noise takes agreement away: drawn again, it lies on the side of 0, while the truth may lie as
    far on the other one. Of few trials nothing is said.
    """
    if trials < FEWEST_TRIALS:
        return Estimate(value, -1.0, 1.0)
    found = Estimate.bootstrap(value, resampled, trials)
    half = max(found.high - value, value - found.low)
    return Estimate(value, max(value - half, -1.0), min(value + half, 1.0))


def areas(test: Predicted, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the AUC, or its mean over classes present, with each row of ``counts`` of records."""
    total = np.zeros(len(counts))
    for c in test.scored:
        order = np.argsort(test.probabilities[:, c], kind="stable")
        ordered = test.probabilities[order, c]
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        weights, inside = counts[:, order], test.labels[order] == c
        positive = np.add.reduceat(weights * inside, starts, axis=1)
        negative = np.add.reduceat(weights * ~inside, starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        wins = (positive * below).sum(axis=1)
        total += np.where(pairs > 0, wins / np.maximum(pairs, 1), 0.5)
    return total / max(len(test.scored), 1)


def rank_agreement(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Spearman's correlation of each row of two arrays, 0 where one has no order.

    >>> rank_agreement(np.array([[1.0, 2.0, 3.0]]), np.array([[0.1, 0.5, 0.9]])).tolist()
    [1.0]
    """
    from scipy.stats import rankdata

    ranks = [rankdata(one, axis=1) for one in (first, second)]
    centred = [one - one.mean(axis=1, keepdims=True) for one in ranks]
    scale = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    product = (centred[0] * centred[1]).sum(axis=1)
    return np.asarray(np.where(scale > 0, product / np.where(scale > 0, scale, 1.0), 0.0))
