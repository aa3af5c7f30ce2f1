"""Which end of a metric is the good one."""

import pytest

from dp_synth.benchmark.statistics import better
from dp_synth.errors import InputError


@pytest.mark.parametrize(
    ("metric", "task", "way"),
    [
        ("tv1", "utility", "lower"),
        ("tv3_holdout", "utility", "lower"),
        ("tv2", "leakage", "lower"),
        ("propensity_mse", "utility", "lower"),
        ("correlation:pearson", "utility", "lower"),
        ("range_queries", "utility", "lower"),
        ("consistency:bounds", "utility", "lower"),
        ("subgroups:auc_gap", "utility", "lower"),
        ("kmarginal_holdout", "utility", "higher"),
        ("auc:gradient_boosting", "utility", "higher"),
        ("auc:logistic_regression", "leakage", "higher"),
        ("average_precision:gradient_boosting", "utility", "higher"),
        ("f1:gradient_boosting", "utility", "higher"),
        ("augmentation:auc_gain", "utility", "higher"),
        ("auc:closest_record", "leakage", "lower"),
        ("auc:closest_record:isolated", "leakage", "lower"),
        ("auc:an_attack_of_somebody", "leakage", "lower"),
        ("auc_ceiling", "leakage", "lower"),
        ("tpr_at_fpr_0.01:density_ratio", "leakage", "lower"),
    ],
)
def test_every_metric_of_a_record_has_a_good_end(metric, task, way):
    assert better(metric, task) == way


def test_a_metric_that_is_not_known_here_says_it_of_itself(monkeypatch):
    class Metric:
        better = "higher"

    monkeypatch.setattr("dp_synth.metrics.METRICS", {"mine": Metric()})
    assert better("mine:part") == "higher"


def test_a_metric_of_which_nothing_is_said_is_refused():
    with pytest.raises(InputError, match="'taste' is better"):
        better("taste")
