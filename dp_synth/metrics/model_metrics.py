"""Metrics by models: seven kinds trained on synthetic rows, with rare ones added, or to tell them.

Several kinds of models and their order, augmentation of real records, and propensity scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.metrics.comparison import LABEL_NEEDED, Compared, Metric
from dp_synth.metrics.estimate import (
    Estimate,
    left_out,
    of_few,
    paired_difference,
    quantile,
    random_groups,
    share,
    variance_of,
)
from dp_synth.metrics.models import (
    MODELS,
    MOST_LOGISTIC_STEPS,
    SEVERAL,
    Categories,
    Classifier,
    features_as_numbers,
    features_of,
    learn_and_predict,
    short_seed,
)
from dp_synth.metrics.prediction import Examples, Predicted, auc_gain, auc_of, tellable
from dp_synth.types import Codes, Floats

RESAMPLES = 100
FEWEST_TRIALS = 5  # records of the rarer class, from which an order of models is told


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


def _either_way(value: float, resampled: Floats, trials: int) -> Estimate:
    """Return the interval of a correlation of ranks, as wide to both sides as to the wider one.

    Noise takes agreement away: drawn again, it lies on the side of 0, while the truth may lie as
    far on the other one. Of few trials nothing is said.
    """
    if trials < FEWEST_TRIALS:
        return Estimate(value, -1.0, 1.0)
    found = Estimate.bootstrap(value, resampled, trials)
    half = max(found.high - value, value - found.low)
    return Estimate(value, max(value - half, -1.0), min(value + half, 1.0))


def areas(test: Predicted, counts: Floats) -> Floats:
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


def rank_agreement(first: Floats, second: Floats) -> Floats:
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


SEVERAL_MODELS = Metric(
    "several_models",
    "AUC of seven kinds of models trained on synthetic records, and their order",
    "higher",
    several_models,
    needs=LABEL_NEEDED,
)


MODEL = "gradient_boosting"
RARE_SHARE = 0.5  # of the commonest class: a class of fewer training records is rare


def augmentation(compared: Compared) -> Mapping[str, Estimate]:
    """Return what a model gains from synthetic records of rare classes beside all real ones.

    A class is rare that has less than half as many training records as the commonest. Synthetic
    records of it, drawn by the seed, fill it up to the commonest class's number as far as there
    are such records. A boosted classifier learns from training records with and without them,
    and both are tested on hold-out records, which neither saw.

    ``augmentation:auc_gain``
        area with them less area without.
    ``augmentation:recall``, ``augmentation:recall_gain``
        the share of rare-class hold-out records that are named as what they are, with them, and
        less that without them.

    Intervals are for the drawing of hold-out records (DeLong's for correlated areas; exact;
    normal over records). Empty where no class is rare, or none is in the hold-out. The rows are
    no privacy measure: the model has all training records.
    """
    real = compared.real
    if real.task is None or not len(real.examples("holdout")):
        return {}
    train = real.examples("train")
    counts = np.bincount(train.labels, minlength=real.task.classes)
    rare = np.flatnonzero((counts > 0) & (counts < RARE_SHARE * counts.max()))
    tested = np.isin(real.examples("holdout").labels, rare)
    if not tested.any():
        return {}
    more = _fill(compared.examples, counts, rare, np.random.default_rng(compared.seed))
    factory = MODELS[MODEL]
    without = real.predicted(MODEL, factory)
    learned = real.task.predict(
        train.with_more(more), real.examples("holdout"), factory, compared.seed
    )
    hits, before = (
        (one.named == one.labels)[tested].astype(np.float64) for one in (learned, without)
    )
    return {
        "augmentation:auc_gain": auc_gain(learned, without),
        "augmentation:recall": share(int(hits.sum()), len(hits)),
        "augmentation:recall_gain": paired_difference(hits, before),
    }


def _fill(
    synthetic: Examples,
    counts: NDArray[np.integer],
    rare: NDArray[np.integer],
    rng: np.random.Generator,
) -> Examples:
    """Return synthetic records of each rare class, so many as it lacks of the commonest."""
    chosen = []
    for label in rare.tolist():
        places = rng.permutation(np.flatnonzero(synthetic.labels == label))
        chosen.append(places[: int(counts.max() - counts[label])])
    return synthetic.at(np.concatenate(chosen))


AUGMENTATION = Metric(
    "augmentation",
    "gain of a model by synthetic records of rare classes beside the real ones",
    "higher",
    augmentation,
    needs="a categorical or ordinal label with a rare class",
)


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
