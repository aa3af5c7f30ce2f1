from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from dp_synth.metrics import MODELS, utility
from dp_synth.schema import Schema


def schema_of(labels=("no", "yes"), positive="yes", **columns):
    label = {"name": "label", "type": "categorical", "categories": list(labels), "missing": ["?"]}
    features = [{"name": "x", "type": "real", "lower": 0, "upper": 1, "missing": [""]}]
    features += [{"name": name, **column} for name, column in columns.items()]
    head = {"name": "t", "label": "label"} | ({"positive": positive} if positive else {})
    return Schema.from_dict(head | {"columns": [*features, label]})


@dataclass
class Fixed:
    """Says that feature 0 is the probability of the second class."""

    def fit(self, features, labels):
        return self

    def predict_proba(self, features):
        return np.stack([1 - features[:, 0], features[:, 0]], axis=1)


@dataclass
class Softmax:
    """Says that the classes' odds are the features."""

    def fit(self, features, labels):
        return self

    def predict_proba(self, features):
        return features / features.sum(axis=1, keepdims=True)


def table(n, seed, decimals=2):
    rng = np.random.default_rng(seed)
    x = rng.random(n).round(decimals)
    return pd.DataFrame({"x": x, "label": np.where(rng.random(n) < x, "yes", "no")})


def fixed_scores(holdout):
    return utility(table(50, 9), holdout, schema_of(), models={"fixed": lambda *_: Fixed()})[
        "fixed"
    ]


def test_binary_scores_are_those_of_scikit_learn_with_ties():
    for seed in range(20):
        holdout = table(300, seed, decimals=1)
        scores, truth = fixed_scores(holdout), holdout["label"] == "yes"
        assert scores["auc"].value == pytest.approx(roc_auc_score(truth, holdout["x"]))
        expected = average_precision_score(truth, holdout["x"])
        assert scores["average_precision"].value == pytest.approx(expected)
        assert scores["f1"].value == pytest.approx(f1_score(truth, holdout["x"] >= 0.5))


def slow_f1(truth, named):
    return 2 * (truth & named).sum() / (truth.sum() + named.sum())


def test_bootstrap_intervals_have_the_spread_of_a_slow_bootstrap():
    holdout = table(600, 0)
    truth, x = (holdout["label"] == "yes").to_numpy(), holdout["x"].to_numpy()
    rng = np.random.default_rng(1)
    drawn = [rng.integers(600, size=600) for _ in range(300)]
    slow = {
        "average_precision": [average_precision_score(truth[i], x[i]) for i in drawn],
        "f1": [slow_f1(truth[i], x[i] >= 0.5) for i in drawn],
    }
    scores = fixed_scores(holdout)
    for name, values in slow.items():
        low, high = np.quantile(values, [0.025, 0.975])
        # Either width is off by some 8 %: a factor of 1.6 is more than five standard deviations.
        assert 1 / 1.6 < (scores[name].high - scores[name].low) / (high - low) < 1.6
        assert low < scores[name].value < high


def multiclass():
    rng = np.random.default_rng(4)
    odds = rng.random((500, 3)) + 0.01
    labels = [rng.choice(["a", "b", "c"], p=row / row.sum()) for row in odds]
    frame = pd.DataFrame({"x": odds[:, 0], "y": odds[:, 1], "z": odds[:, 2], "label": labels})
    number = {"type": "real", "lower": 0, "upper": 2}
    return frame, schema_of(("a", "b", "c"), None, y=number, z=number)


def test_without_a_positive_class_scores_are_means_over_the_classes_present():
    frame, schema = multiclass()
    scores = utility(frame, frame, schema, models={"softmax": lambda *_: Softmax()})["softmax"]
    odds = frame[["x", "y", "z"]].to_numpy()
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    truth = frame["label"].map({"a": 0, "b": 1, "c": 2}).to_numpy()
    one_hot = np.eye(3)[truth]
    assert scores["auc"].value == pytest.approx(roc_auc_score(one_hot, probabilities))
    expected = average_precision_score(one_hot, probabilities)
    assert scores["average_precision"].value == pytest.approx(expected)
    expected = f1_score(truth, odds.argmax(axis=1), average="macro")
    assert scores["f1"].value == pytest.approx(expected)


def test_the_interval_of_a_mean_area_has_the_spread_of_a_bootstrap():
    frame, schema = multiclass()
    scores = utility(frame, frame, schema, models={"softmax": lambda *_: Softmax()})["softmax"]
    rng, areas = np.random.default_rng(0), []
    odds = frame[["x", "y", "z"]].to_numpy()
    one_hot = np.eye(3)[frame["label"].map({"a": 0, "b": 1, "c": 2})]
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    for _ in range(100):
        rows = rng.integers(500, size=500)
        areas.append(roc_auc_score(one_hot[rows], probabilities[rows]))
    width = scores["auc"].high - scores["auc"].low
    assert width == pytest.approx(2 * 1.96 * np.std(areas), rel=0.35)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_learns_what_there_is_to_learn_and_nothing_else(model):
    rng = np.random.default_rng(0)
    kind = {"type": "categorical", "size": 4, "missing": ["?"]}
    schema = schema_of(
        job=kind, day={"type": "datetime", "lower": "2000-01-01", "upper": "2001-01-01"}
    )

    def draw(n, informed):
        job, x = rng.integers(0, 4, n).astype(str), rng.random(n).astype(str).astype(object)
        job[rng.random(n) < 0.1], x[rng.random(n) < 0.1] = "?", ""
        chance = np.where(np.isin(job, ["1", "?"]), 0.95, 0.05) if informed else 0.5
        days = pd.Timestamp("2000-01-01") + pd.to_timedelta(rng.integers(0, 366, n), unit="D")
        label = np.where(rng.random(n) < chance, "yes", "no")
        return pd.DataFrame({"x": x, "job": job, "day": days.strftime("%Y-%m-%d"), "label": label})

    one = {model: MODELS[model]}
    holdout = draw(1000, informed=True)
    learned = utility(draw(1000, informed=True), holdout, schema, models=one)[model]["auc"]
    assert learned.low > 0.85
    # A null area has a standard deviation of 0.019 here.
    null = utility(draw(1000, informed=False), draw(1000, informed=False), schema, models=one)
    assert abs(null[model]["auc"].value - 0.5) < 0.1


def test_records_without_a_label_are_neither_learned_nor_tested():
    holdout = table(200, 0)
    spoilt = pd.concat([holdout, holdout.assign(label="?", x=0.99)], ignore_index=True)
    assert fixed_scores(spoilt) == fixed_scores(holdout)
    train = table(200, 1)
    mixed = pd.concat([train, train.assign(label="?", x=0.01)], ignore_index=True)
    for name in MODELS:
        one = {name: MODELS[name]}
        assert utility(mixed, holdout, schema_of(), models=one) == utility(
            train, holdout, schema_of(), models=one
        )


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_a_training_table_of_one_class_scores_like_a_constant(rows):
    train = table(rows, 0).assign(label="yes")
    for scores in utility(train, table(200, 1), schema_of()).values():
        assert scores["auc"].value == 0.5


def test_a_class_that_was_never_trained_has_the_lowest_score():
    frame, schema = multiclass()
    train = frame[frame["label"] != "c"].reset_index(drop=True)
    scores = utility(train, frame, schema)
    for of in scores.values():
        assert 0.4 < of["auc"].value < 1


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_holdout_of_almost_nothing_gives_wide_intervals_and_no_error(rows):
    for scores in utility(table(100, 0), table(rows, 1), schema_of()).values():
        for estimate in scores.values():
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert scores["auc"].high - scores["auc"].low > 0.8


def test_columns_of_one_value_all_missing_or_of_many_categories_are_no_obstacle():
    kinds = {
        "constant": {"type": "integer", "lower": 0, "upper": 5},
        "absent": {"type": "real", "lower": 0, "upper": 1, "missing": [""]},
        "wide": {"type": "categorical", "size": 600},
        "huge": {"type": "real", "lower": 0, "upper": 1e9},
    }
    rng = np.random.default_rng(0)
    frame = table(300, 0).assign(constant=3, absent="", wide=rng.integers(0, 600, 300))
    frame = frame.assign(huge=rng.lognormal(10, 3, 300))
    for scores in utility(
        frame, table(100, 1).assign(**frame[list(kinds)][:100]), schema_of(**kinds)
    ).values():
        assert scores["auc"].value > 0.6


def test_without_a_usable_label_there_are_no_scores():
    frame = table(20, 0)
    plain = schema_of().to_dict()
    no_label = Schema.from_dict({k: v for k, v in plain.items() if k not in ("label", "positive")})
    numeric = Schema.from_dict(no_label.to_dict() | {"label": "x"})
    assert utility(frame, frame, no_label) == {}
    assert utility(frame, frame, numeric) == {}
    assert utility(frame, frame, schema_of().select(["label"])) == {}


def test_the_same_seed_gives_the_same_scores():
    train, holdout = table(300, 0), table(200, 1)
    assert utility(train, holdout, schema_of(), seed=3) == utility(
        train, holdout, schema_of(), seed=3
    )
