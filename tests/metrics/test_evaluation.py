import json
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dp_synth.datasets import load
from dp_synth.errors import InputError
from dp_synth.metrics import (
    METRICS,
    MODELS,
    Compared,
    RealTables,
    evaluate,
    utility,
    workload_error,
)
from dp_synth.metrics.models import features_as_numbers, features_of
from dp_synth.schema import Schema


@pytest.fixture(scope="module")
def adult():
    data = load("adult")
    rng = np.random.default_rng(0)
    real, holdout = data.train.head(3000), data.holdout.head(2000)
    columns = {name: rng.permutation(real[name].to_numpy(dtype=object)) for name in real}
    independent = pd.DataFrame(columns)
    return (
        data.schema,
        real,
        holdout,
        independent,
        evaluate(real, holdout, independent, data.schema),
    )


@pytest.fixture(scope="module")
def small(adult):
    """The same tables, where nothing is asked of how good they are."""
    schema, *tables, _ = adult
    return schema, *(table.head(300) for table in tables)


def test_every_number_has_its_interval(adult):
    result = adult[-1]
    assert result["remarks"] == {}
    assert result["failed"] == []
    worst = [*result["worst_columns"], *result["worst_pairs"]]
    assert [len(one["columns"]) for one in worst] == [1] * 10 + [2] * 10
    assert all(one["low"] <= one["value"] <= one["high"] for one in worst)
    others = ("_low", "_high", "remarks", "failed", "worst_columns", "worst_pairs")
    for name in [n for n in result if not n.endswith(others)]:
        value, low, high = (result[key] for key in (name, f"{name}_low", f"{name}_high"))
        if isinstance(value, dict):
            assert all(low[model] <= value[model] <= high[model] for model in value)
            assert set(value) == {"gradient_boosting", "logistic_regression"}
        else:
            assert low <= value <= high
    assert json.loads(json.dumps(result)) == result


def test_the_numbers_are_those_of_the_single_metrics(adult):
    schema, real, holdout, synthetic, result = adult
    for degree in (1, 2, 3):
        name = f"tv{degree}"
        error = workload_error(real, synthetic, schema, degree)
        assert (result[name], result[f"{name}_low"]) == (error.value, error.low)
        fresh = workload_error(holdout, synthetic, schema, degree, cuts_from=real)
        assert result[f"{name}_holdout"] == fresh.value
        floor = workload_error(real, holdout, schema, degree)
        assert result[f"{name}_floor"] == floor.value
    assert result["kmarginal"] == pytest.approx(1000 * (1 - result["tv2"]))
    scores = utility(real, holdout, schema)
    assert result["auc_real"] == {model: of["auc"].value for model, of in scores.items()}


def test_independent_columns_keep_the_marginals_and_lose_the_rest(adult):
    result = adult[-1]
    assert result["tv1"] < 1e-12
    assert result["tv2_low"] > result["tv2_floor_high"]
    for model, area in result["auc_low"].items():
        assert result["auc_real_low"][model] > 0.85 > area


def test_degrees_beyond_the_number_of_attributes_and_absent_labels_are_left_out(adult):
    schema, real, holdout, synthetic, _ = adult
    result = evaluate(real, holdout, synthetic, schema.select(["sex"]))
    assert "tv1" in result
    assert not {"tv2", "tv3", "kmarginal"} & set(result)
    assert result["auc"] == {}


def test_metrics_that_are_named_stand_beside_the_plain_ones(small):
    schema, real, holdout, synthetic = small
    plain = evaluate(real, holdout, synthetic, schema)
    more = ("correlation", "consistency", "tv2")
    result = evaluate(real, holdout, synthetic, schema, more=more)
    assert plain == {key: result[key] for key in plain}
    compared = Compared(RealTables(real, holdout, schema), synthetic)
    for name in more[:2]:
        for key, value in METRICS[name](compared).items():
            assert (result[key], result[f"{key}_low"]) == (value.value, value.low)
    with pytest.raises(ValueError, match="no metric 'corelation'; did you mean 'correlation'"):
        evaluate(real, holdout, synthetic, schema, more=["corelation"])


def test_empty_tables_are_evaluated(small):
    schema, real, holdout, synthetic = small
    result = evaluate(real, holdout, synthetic.head(0), schema)
    assert result["tv2"] == 1.0
    assert set(result["auc"].values()) == {0.5}
    assert evaluate(real.head(0), holdout.head(0), synthetic.head(0), schema)["tv2"] == 0.0


@pytest.mark.skipif("DP_SYNTH_DATA" not in os.environ, reason="DP_SYNTH_DATA names no folder")
def test_the_integer_coded_adult_table_gives_the_numbers_that_are_known_for_it():
    # 39,074 training and 9,768 held-out records: fresh rows 0.024, independent columns 0.071,
    # boosted trees trained on real rows 0.925. Splits differ in the third digit.
    data, rng = load("adult_discrete"), np.random.default_rng(0)
    whole = pd.concat([data.train, data.holdout, data.reference], ignore_index=True)
    order = rng.permutation(len(whole))
    train, holdout = whole.iloc[order[:39_074]], whole.iloc[order[39_074:]]
    independent = pd.DataFrame({name: rng.permutation(train[name].to_numpy()) for name in train})
    assert workload_error(train, holdout, data.schema).value == pytest.approx(0.024, abs=0.002)
    assert workload_error(train, independent, data.schema).value == pytest.approx(0.071, abs=0.003)
    one = {"gradient_boosting": MODELS["gradient_boosting"]}
    auc = utility(train, holdout, data.schema, models=one)["gradient_boosting"]["auc"]
    assert auc.value == pytest.approx(0.925, abs=0.01)


def people(rows, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows)
    return pd.DataFrame(
        {
            "age": age,
            "job": rng.choice(["a", "b"], rows),
            "pay": np.round(100.0 * age + 2000 * (age % 2) + rng.normal(0, 50, rows), 2),
        }
    )


PEOPLE = Schema.from_dict(
    {
        "name": "people",
        "label": "pay",
        "columns": [
            {"name": "age", "type": "integer", "lower": 18, "upper": 89},
            {"name": "job", "type": "categorical", "categories": ["a", "b"]},
            {"name": "pay", "type": "real", "lower": 0, "upper": 15_000},
        ],
    }
)


def test_a_numeric_label_is_predicted_beside_what_real_rows_teach():
    tables = people(500, 0), people(400, 1)
    good, mixed = people(500, 2), people(500, 2)
    mixed["pay"] = np.random.default_rng(0).permutation(mixed["pay"])
    found, lost = (evaluate(*tables, rows, PEOPLE) for rows in (good, mixed))
    for model in ("gradient_boosting", "linear_regression"):
        assert found["r2_low"][model] <= found["r2"][model] <= found["r2_high"][model]
        assert abs(found["r2"][model] - found["r2_real"][model]) < 0.05
        assert lost["r2_high"][model] < 0.3 < 0.7 < found["r2_low"][model]
        assert lost["mean_absolute_error_low"][model] > found["mean_absolute_error_high"][model]
    # The parity of the age moves the label by 2,000, which no line sees: its mean error is 1,000.
    # A tree does, as far as leaves of 20 records let it.
    errors = found["mean_absolute_error_real"]
    assert errors["linear_regression"] == pytest.approx(1000, rel=0.05)
    assert errors["gradient_boosting"] < 0.6 * errors["linear_regression"]
    assert "r2 and mean_absolute_error stand in the place" in found["remarks"]["label"]


def test_what_is_asked_for_and_cannot_be_had_is_said(small):
    schema, real, holdout, synthetic = small
    tables = people(200, 0), people(200, 1), people(200, 2)
    result = evaluate(*tables, PEOPLE, more=["several_models", "augmentation", "tv1"])
    assert result["remarks"]["several_models"].startswith("left out, it needs a categorical or")
    assert result["remarks"].keys() == {"several_models", "augmentation", "label"}
    asked = evaluate(real, holdout, synthetic, schema, more=["r2"])
    assert asked["remarks"] == {
        "r2": "left out, it needs a numeric label of two values or more, and a column beside it"
    }
    alone = schema.model_copy(update={"label": None, "positive": None})
    assert "names none" in evaluate(real, holdout, synthetic, alone)["remarks"]["label"]


def test_scores_that_say_nothing_are_said_to_say_nothing(small):
    schema, real, holdout, synthetic = small
    rich = holdout[holdout["income"] == ">50K"]
    assert "scores of models say nothing" in str(evaluate(real, rich, synthetic, schema)["remarks"])
    poor = synthetic[synthetic["income"] != ">50K"]
    said = evaluate(real, holdout, poor, schema)["remarks"]["synthetic"]
    assert "a model learns nothing from them" in said


def test_a_metric_that_fails_does_not_lose_the_others(small, monkeypatch):
    schema, real, holdout, synthetic = small

    def too_large(compared):
        raise MemoryError

    def broken(compared):
        raise KeyError("job")

    broken_metrics = dict(METRICS)
    for name, measure in (("correlation", too_large), ("consistency", broken)):
        broken_metrics[name] = replace(METRICS[name], measure=measure)
    monkeypatch.setattr("dp_synth.metrics.evaluation.METRICS", broken_metrics)
    more = ["correlation", "consistency", "range_queries"]
    result = evaluate(real, holdout, synthetic, schema, more=more)
    assert result["failed"] == ["consistency"]
    assert "does not fit into memory" in result["remarks"]["correlation"]
    assert "KeyError" in result["remarks"]["consistency"]
    assert result["range_queries"] >= 0
    assert result["tv2"] == workload_error(real, synthetic, schema).value


def test_a_table_that_is_given_as_its_own_holdout_is_refused(adult):
    schema, real, _, synthetic, _ = adult
    with pytest.raises(InputError, match="real and holdout share records"):
        evaluate(real, real.sample(frac=1, random_state=0), synthetic, schema)


def test_a_column_of_many_categories_takes_no_more_memory_than_its_most_frequent_ones():
    # 3,000 categories by 4,000 records would be 96 MB a model as one dense table.
    rng = np.random.default_rng(0)
    texts = [f"c{i}" for i in range(3000)]
    schema = Schema.from_dict(
        {
            "name": "wide",
            "label": "y",
            "columns": [
                {"name": "c", "type": "categorical", "categories": texts},
                {"name": "y", "type": "categorical", "categories": ["0", "1"]},
            ],
        }
    )
    code = rng.zipf(1.3, 4000) % 3000
    frame = pd.DataFrame({"c": np.array(texts)[code], "y": (code % 2).astype(str)})
    features, categories = features_of(frame, schema)
    dense = features_as_numbers(categories).fit_transform(features)
    assert dense.shape == (4000, 255)
    assert (dense.sum(axis=1) == 1).all()
    assert features_as_numbers(categories, sparse=True).fit_transform(features).shape == (
        4000,
        3000,
    )
