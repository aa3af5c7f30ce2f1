"""What every metric keeps to: names, intervals, and tables with little or nothing in them."""

import math
import os

import numpy as np
import pandas as pd
import pytest

from dp_synth.datasets import load
from dp_synth.metrics import METRICS, Compared, RealTables, kmarginal, utility, workload_error
from dp_synth.metrics.prediction import OF_NUMBERS
from dp_synth.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "t",
        "label": "label",
        "positive": "yes",
        "columns": [
            {"name": "x", "type": "real", "lower": 0, "upper": 1, "missing": [""]},
            {"name": "age", "type": "integer", "lower": 0, "upper": 99},
            {"name": "day", "type": "datetime", "lower": "2000-01-01", "upper": "2001-01-01"},
            {"name": "job", "type": "categorical", "categories": ["a", "b", "c"], "missing": ["?"]},
            {"name": "level", "type": "ordinal", "size": 4},
            {"name": "label", "type": "categorical", "categories": ["no", "yes"]},
        ],
    }
)


def table(rows, seed):
    rng = np.random.default_rng(seed)
    job = rng.choice(["a", "b", "c", "?"], rows, p=[0.4, 0.3, 0.2, 0.1])
    x = rng.random(rows)
    chance = np.where(job == "a", 0.5, 0.1) * x
    days = pd.Timestamp("2000-01-01") + pd.to_timedelta(rng.integers(0, 366, rows), unit="D")
    return pd.DataFrame(
        {
            "x": np.where(rng.random(rows) < 0.1, "", x.astype(str)),
            "age": (100 * x).astype(int),
            "day": days.strftime("%Y-%m-%d"),
            "job": job,
            "level": rng.integers(0, 4, rows),
            "label": np.where(rng.random(rows) < chance, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def real():
    return RealTables(table(600, 0), table(500, 1), SCHEMA)


@pytest.fixture(scope="module")
def numeric():
    schema = SCHEMA.model_copy(update={"label": "age", "positive": None})
    return RealTables(table(600, 0), table(500, 1), schema)


@pytest.mark.parametrize("name", METRICS)
def test_values_begin_with_the_metrics_name_and_lie_within_finite_intervals(real, numeric, name):
    metric = METRICS[name]
    found = metric(Compared(numeric if name in OF_NUMBERS else real, table(600, 2)))
    assert metric.name == name
    assert metric.better in ("lower", "higher")
    assert found
    for key, estimate in found.items():
        assert key == name or key.startswith((f"{name}:", f"{name}_holdout"))
        assert -math.inf < estimate.low <= estimate.value <= estimate.high < math.inf


def test_the_same_seed_gives_the_same_values_whatever_was_asked_before():
    tables = (RealTables(table(300, 0), table(250, 1), SCHEMA) for _ in range(2))
    first, again = (Compared(one, table(300, 2), 5) for one in tables)
    backwards = {name: METRICS[name](again) for name in reversed(METRICS)}
    assert {name: metric(first) for name, metric in METRICS.items()} == backwards


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    "rows", [(0, 0, 0), (50, 50, 0), (50, 0, 50), (0, 50, 50), (50, 50, 3), (3, 50, 50), (1, 1, 1)]
)
def test_tables_with_next_to_nothing_in_them_give_values_or_none_and_no_error(name, rows):
    train, holdout, synthetic = (table(n, seed) for seed, n in enumerate(rows))
    found = METRICS[name](Compared(RealTables(train, holdout, SCHEMA), synthetic))
    for estimate in found.values():
        assert estimate.low <= estimate.value <= estimate.high


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("columns", [["x"], ["job"], ["label"], ["age", "day"], ["job", "level"]])
def test_what_a_table_has_not_is_left_out(name, columns):
    schema = SCHEMA.select(columns)
    found = METRICS[name](Compared(RealTables(table(90, 0), table(90, 1), schema), table(90, 2)))
    without_label = {"auc", "average_precision", "f1", "several_models", "augmentation"}
    if name in without_label or (name, len(columns)) in {("tv2", 1), ("tv3", 1), ("tv3", 2)}:
        assert not found
    if name in ("tv1", "range_queries", "propensity_mse", "consistency"):
        assert found


@pytest.mark.parametrize("name", METRICS)
def test_constant_and_wholly_missing_columns_are_no_obstacle(name):
    def spoilt(seed):
        return table(150, seed).assign(x="", age=7, job="b", day="2000-05-05")

    real = RealTables(spoilt(0), spoilt(1), SCHEMA)
    for estimate in METRICS[name](Compared(real, spoilt(2))).values():
        assert estimate.low <= estimate.value <= estimate.high


@pytest.mark.parametrize("name", METRICS)
def test_records_that_differ_in_the_label_alone_teach_nothing_and_end_nothing(name, real):
    same = table(1, 2).drop(columns="label")
    frame = pd.concat([same] * 40, ignore_index=True).assign(label=["no"] * 30 + ["yes"] * 10)
    found = METRICS[name](Compared(real, frame))
    for key, estimate in found.items():
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.value == 0.5 or not key.startswith(("auc:", "several_models:auc"))


@pytest.mark.parametrize("name", METRICS)
def test_a_column_without_a_value_is_no_obstacle_where_it_is_the_only_one(name):
    schema = SCHEMA.select(["x"])
    frame = pd.DataFrame({"x": [""] * 60})
    for estimate in METRICS[name](Compared(RealTables(frame, frame, schema), frame)).values():
        assert estimate.low <= estimate.value <= estimate.high


def test_the_plain_metrics_are_the_plain_functions(real):
    rows = table(400, 3)
    compared = Compared(real, rows, 4)
    for degree in (1, 2, 3):
        found = METRICS[f"tv{degree}"](compared)
        assert found == {
            f"tv{degree}": workload_error(real.train, rows, SCHEMA, degree),
            f"tv{degree}_holdout": workload_error(
                real.holdout, rows, SCHEMA, degree, cuts_from=real.train
            ),
        }
    pairs = METRICS["tv2"](compared)["tv2"]
    assert METRICS["kmarginal"](compared)["kmarginal"] == kmarginal(pairs)
    scores = utility(rows, real.holdout, SCHEMA, seed=4)
    for name in ("auc", "average_precision", "f1"):
        expected = {f"{name}:{model}": of[name] for model, of in scores.items()}
        assert METRICS[name](compared) == expected


def test_models_are_trained_once_for_all_scores(real):
    compared = Compared(real, table(300, 3))
    METRICS["auc"](compared)
    first = compared.scores
    METRICS["f1"](compared)
    assert compared.scores is first


def test_a_table_that_lacks_a_column_is_refused_by_name(real):
    with pytest.raises(ValueError, match="'job'"):
        METRICS["tv1"](Compared(real, table(10, 0).drop(columns="job")))


LOWER = (
    "tv2",
    "correlation:cramers_v",
    "range_queries",
    "propensity_mse:tree",
    "subgroups:worst_tv",
)
HIGHER = ("auc:gradient_boosting", "equivalent_sample", "rare_combinations:precision")


def test_better_says_which_way_a_metric_points():
    data = load("adult")
    real = RealTables(data.train.head(1500), data.holdout.head(1000), data.schema)
    rng = np.random.default_rng(0)
    shuffled = pd.DataFrame({name: rng.permutation(real.train[name]) for name in real.train})
    good, bad = Compared(real, data.reference.head(1500)), Compared(real, shuffled)
    for keys, better in ((LOWER, "lower"), (HIGHER, "higher")):
        for key in keys:
            metric = METRICS[key.split(":")[0]]
            assert metric.better == better
            apart = metric(good)[key], metric(bad)[key]
            below, above = apart if better == "lower" else apart[::-1]
            assert below.high < above.low


@pytest.mark.skipif("DP_SYNTH_DATA" not in os.environ, reason="DP_SYNTH_DATA names no folder")
@pytest.mark.parametrize("name", ["german_credit", "pums_1k"])
def test_every_metric_runs_on_other_tables(name):
    data = load(name)
    compared = Compared(RealTables(data.train, data.holdout, data.schema), data.reference)
    found = {key for metric in METRICS.values() for key in metric(compared)}
    assert {"tv2", "range_queries", "consistency"} <= found
