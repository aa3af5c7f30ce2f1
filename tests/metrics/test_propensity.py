import numpy as np
import pandas as pd
import pytest
from made_comparisons import compare, kinds, number, schema_of

from dp_synth.metrics import Compared, RealTables
from dp_synth.metrics.model_metrics import FEWEST_RECORDS, _terms, propensity_mse

SCHEMA = schema_of({"a": number(), "b": number(), "c": kinds("x", "y", missing=["?"])})


def table(rows, seed, paired=False, shift=0):
    rng = np.random.default_rng(seed)
    a = np.minimum(rng.integers(0, 101, rows) + shift, 100)
    b = a if paired else rng.integers(0, 101, rows)
    return pd.DataFrame({"a": a, "b": b, "c": rng.choice(["x", "y", "?"], rows)})


def found(holdout, synthetic, seed=0):
    return propensity_mse(Compared(RealTables(holdout.head(0), holdout, SCHEMA), synthetic, seed))


def test_tables_of_disjoint_values_have_the_largest_error_of_either_model():
    values = found(table(400, 0).assign(c="x"), table(400, 1).assign(c="y"))
    assert 0.24 < values["propensity_mse:tree"].value <= 0.25
    # Regularisation keeps the linear model from being certain.
    assert 0.2 < values["propensity_mse:logistic"].value <= 0.25


def test_tables_of_one_population_are_told_apart_no_better_than_by_chance():
    # The ratio is 1 within its interval, missed by 5 % of 10 pairs: more than 5 misses have a
    # chance below 1e-5.
    misses = dict.fromkeys(("logistic", "tree"), 0)
    for seed in range(10):
        values = found(table(200, 2 * seed), table(200, 2 * seed + 1), seed)
        for model in misses:
            ratio = values[f"propensity_mse:{model}:ratio"]
            misses[model] += not ratio.low <= 1 <= ratio.high
    assert max(misses.values()) <= 5


def test_a_tree_sees_the_dependence_that_a_linear_model_does_not():
    values = found(table(2000, 0, paired=True), table(2000, 1))
    assert values["propensity_mse:tree:ratio"].low > 3
    linear = values["propensity_mse:logistic:ratio"]
    assert linear.value < 2 < values["propensity_mse:tree:ratio"].value


def test_a_shift_is_seen_by_both_models_and_more_where_it_is_larger():
    near, far = (found(table(1500, 0), table(1500, 1, shift=shift)) for shift in (15, 50))
    for model in ("logistic", "tree"):
        name = f"propensity_mse:{model}"
        assert near[name].high < far[name].low
        assert near[f"{name}:ratio"].low > 1


def test_it_is_the_hold_out_that_is_compared_with():
    real, shifted = table(600, 0), table(600, 1, shift=50)
    alike = propensity_mse(compare(SCHEMA, shifted, table(600, 2), holdout=real))
    apart = propensity_mse(compare(SCHEMA, real, table(600, 2), holdout=shifted))
    assert alike["propensity_mse:logistic"].high < apart["propensity_mse:logistic"].low


class Memory:
    """A model that is certain of the records it learned from, and of no others."""

    def fit(self, features, labels):
        self.known = dict(zip(features[:, 0].tolist(), labels.tolist(), strict=True))

    def predict_proba(self, features):
        chances = np.array([self.known.get(value, 0.5) for value in features[:, 0].tolist()])
        return np.stack([1 - chances, chances], axis=1)


def test_no_record_is_judged_by_a_model_that_learned_from_it():
    features, labels = np.arange(90.0)[:, None], np.repeat(np.array([0, 1], dtype=np.int32), 45)
    assert _terms(features, labels, Memory(), np.random.default_rng(0)).tolist() == [0.0] * 90


@pytest.mark.parametrize("rows", [0, FEWEST_RECORDS - 1])
def test_too_few_records_teach_no_model(rows):
    assert found(table(100, 0), table(rows, 1)) == {}
    assert found(table(rows, 0), table(100, 1)) == {}


def test_the_label_is_one_of_the_columns_that_may_give_a_record_away():
    labelled = schema_of({"a": number(), "y": kinds("no", "yes")}, label="y")
    rng = np.random.default_rng(0)
    real = {"a": rng.integers(0, 101, 300), "y": ["no"] * 300}
    other = {"a": rng.integers(0, 101, 300), "y": ["yes"] * 300}
    values = propensity_mse(compare(labelled, real, other))
    assert values["propensity_mse:logistic"].value > 0.2
