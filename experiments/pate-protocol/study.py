"""The tables, classifiers and statistic of the study that compared six public PATE-GANs.

Ganev, Annamalai & De Cristofaro 2024, "The Elusive Pursuit of Reproducing PATE-GAN",
arXiv:2406.13985; cleaning, split, classifiers and published values as in its code,
github.com/spalabucr/pategan-audit. XGBoost gives way to gradient boosting by histograms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import dp_synth as dps
from dp_synth.datasets import Dataset

Floats = NDArray[np.float64]
Score = tuple[float, float]  # AUROC and AUPRC

TABLES = ("cervical_cancer", "epileptic_seizure")
DROPPED = (
    "STDs_cervical_condylomatosis",
    "STDs_pelvic_inflammatory_disease",
    "STDs_genital_herpes",
    "STDs_molluscum_contagiosum",
    "STDs_AIDS",
    "STDs_Hepatitis_B",
    "STDs_HPV",
)
WHOLE_NUMBERS_ONLY = 2  # values of a column that is a category, not a number
SPLIT_SEED = 13

PUBLISHED: dict[str, dict[str, Score]] = {
    "cervical_cancer": {
        "original": (0.9265, 0.5280),
        "updated": (0.8739, 0.5129),
        "synthcity": (0.8584, 0.4919),
        "turing": (0.5000, 0.0640),
        "borealisai": (0.9431, 0.5606),
        "smartnoise": (0.8025, 0.4536),
    },
    "epileptic_seizure": {
        "original": (0.6867, 0.5854),
        "updated": (0.6187, 0.4892),
        "synthcity": (0.7165, 0.5643),
        "turing": (0.7425, 0.5856),
        "borealisai": (0.6730, 0.5301),
        "smartnoise": (0.6963, 0.5774),
    },
}
"""The study's statistic at epsilon 1 of each implementation, leaks included."""

PUBLISHED_REAL: dict[str, Score] = {
    "cervical_cancer": (0.9400, 0.6192),
    "epileptic_seizure": (0.8103, 0.7403),
}
"""The mean over classifiers that were trained on real rows."""


class Classifier(Protocol):
    """What is used of a classifier; it has ``predict_proba`` or ``decision_function`` beside."""

    def fit(self, inputs: Floats, labels: NDArray[np.int64]) -> Classifier:
        """Train, and return the classifier itself."""


@dataclass(frozen=True)
class Statistic:
    """Means over classifiers: of the best of all tables, and of the mean of a training's tables."""

    best: Score
    trainings: Sequence[Score]


def study_parts(table: str) -> Dataset:
    """Return the rows that the study trains on, those that it tests on, and a schema for them.

    Bounds and categories are those of the cleaned file, which stand for public ones inside an
    evaluation only.
    """
    from sklearn.model_selection import train_test_split

    data = dps.datasets.load(table)
    label = data.schema.label or ""
    raw = pd.concat([data.train, data.holdout, data.reference], ignore_index=True)
    rows = _cleaned(raw) if table == "cervical_cancer" else raw.apply(pd.to_numeric)
    rows[label] = (rows[label].astype(int) == int(str(data.schema.positive))).astype(int)
    rows = rows[[name for name in rows if name != label] + [label]]
    train, test = train_test_split(
        rows, stratify=rows[label], test_size=0.2, random_state=SPLIT_SEED
    )
    columns = [_column(rows[name]) for name in rows]
    fields = {"name": table, "label": label, "positive": "1", "columns": columns}
    schema = dps.Schema.from_dict(fields)
    train, test = (one.reset_index(drop=True) for one in (train, test))
    return replace(data, train=train, holdout=test, schema=schema)


def _cleaned(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that the study keeps, absent cells as the most frequent value."""
    kept = rows.drop(columns=list(DROPPED)).replace({"?": np.nan, "": np.nan})
    numbers = kept.apply(pd.to_numeric)
    filled: pd.DataFrame = numbers.fillna(numbers.mode().iloc[0])
    return filled


def _column(values: pd.Series) -> dict[str, object]:
    """Return the public facts of a column: its categories if there are two, else its bounds."""
    seen = np.unique(values.to_numpy(dtype=float))
    name = {"name": str(values.name)}
    if len(seen) <= WHOLE_NUMBERS_ONLY:
        return {**name, "type": "categorical", "categories": [f"{value:g}" for value in seen]}
    whole = bool(np.all(seen == np.floor(seen)))
    bounds = {"lower": float(seen[0]), "upper": float(seen[-1])}
    if whole:
        bounds = {key: int(bound) for key, bound in bounds.items()}
    return {**name, "type": "integer" if whole else "real", **bounds}


def classifiers() -> dict[str, Callable[[], Classifier]]:
    """Return the study's twelve, unfitted, each with a fixed seed."""
    from sklearn import (
        discriminant_analysis,
        ensemble,
        linear_model,
        naive_bayes,
        neural_network,
        svm,
        tree,
    )

    return {
        "logistic": lambda: linear_model.LogisticRegression(max_iter=2000),
        "forest": lambda: ensemble.RandomForestClassifier(random_state=0),
        "gaussian_nb": naive_bayes.GaussianNB,
        "bernoulli_nb": naive_bayes.BernoulliNB,
        "linear_svm": lambda: svm.LinearSVC(max_iter=10_000, random_state=0),
        "tree": lambda: tree.DecisionTreeClassifier(random_state=0),
        "lda": discriminant_analysis.LinearDiscriminantAnalysis,
        "adaboost": lambda: ensemble.AdaBoostClassifier(random_state=0),
        "bagging": lambda: ensemble.BaggingClassifier(random_state=0),
        "boosting": lambda: ensemble.GradientBoostingClassifier(random_state=0),
        "mlp": lambda: neural_network.MLPClassifier(max_iter=1000, random_state=0),
        "hist_boosting": lambda: ensemble.HistGradientBoostingClassifier(random_state=0),
    }


def scores_of(rows: pd.DataFrame, parts: Dataset) -> dict[str, Score]:
    """Return AUROC and AUPRC on the test rows of each classifier, trained on ``rows``.

    Inputs are scaled to [0, 1] by ``rows``. A classifier of one class says the same of all.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score
    from sklearn.preprocessing import MinMaxScaler

    label = parts.schema.label or ""
    inputs, labels = _inputs(rows, label)
    held, truth = _inputs(parts.holdout, label)
    if labels.min() == labels.max():
        return dict.fromkeys(classifiers(), (0.5, float(truth.mean())))
    scale, found = MinMaxScaler().fit(inputs), {}
    for name, make in classifiers().items():
        model = make().fit(scale.transform(inputs), labels)
        given = _ranking(model, scale.transform(held))
        score = roc_auc_score(truth, given), average_precision_score(truth, given)
        found[name] = (round(float(score[0]), 5), round(float(score[1]), 5))
    return found


def _inputs(rows: pd.DataFrame, label: str) -> tuple[Floats, NDArray[np.int64]]:
    numbers = rows.apply(pd.to_numeric).astype(float)
    return numbers.drop(columns=label).to_numpy(), numbers[label].to_numpy().astype(int)


def _ranking(model: Classifier, points: Floats) -> Floats:
    """Return how likely the positive class is, or what ranks it alike."""
    chances = getattr(model, "predict_proba", None)
    if chances is None:
        return np.asarray(model.decision_function(points))  # type: ignore[attr-defined]
    return np.asarray(np.nan_to_num(chances(points)[:, 1]))


def statistic(trainings: Sequence[Sequence[dict[str, Score]]]) -> Statistic:
    """Return the study's statistic of scores by training, table and classifier."""
    scores = np.array(
        [[[table[name] for name in classifiers()] for table in tables] for tables in trainings]
    )
    best = scores.max(axis=(0, 1)).mean(axis=0)
    means = scores.mean(axis=(1, 2))
    return Statistic((best[0], best[1]), [(one, other) for one, other in means])


def place(best: float, table: str, score: int) -> int:
    """Return the rank that ``best`` would have among the published, 1 the highest of seven."""
    return 1 + sum(published[score] > best for published in PUBLISHED[table].values())
