import json
import os

import numpy as np
import pandas as pd
import pytest

from dp_synth.datasets import load
from dp_synth.metrics import (
    METRICS,
    MODELS,
    Compared,
    RealTables,
    evaluate,
    utility,
    workload_error,
)


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


def test_every_number_has_its_interval(adult):
    result = adult[-1]
    for name in [n for n in result if not n.endswith(("_low", "_high"))]:
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


def test_metrics_that_are_named_stand_beside_the_plain_ones(adult):
    schema, real, holdout, synthetic, plain = adult
    more = ("correlation", "consistency", "tv2")
    result = evaluate(real, holdout, synthetic, schema, more=more)
    assert plain.items() <= result.items()
    compared = Compared(RealTables(real, holdout, schema), synthetic)
    for name in more[:2]:
        for key, value in METRICS[name](compared).items():
            assert (result[key], result[f"{key}_low"]) == (value.value, value.low)
    with pytest.raises(ValueError, match="no metric 'corelation'; did you mean 'correlation'"):
        evaluate(real, holdout, synthetic, schema, more=["corelation"])


def test_empty_tables_are_evaluated(adult):
    schema, real, holdout, synthetic, _ = adult
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
