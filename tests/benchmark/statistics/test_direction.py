"""Which end of a metric is the good one."""

from importlib.metadata import EntryPoint

import pytest
from made_cells import over_tables

from dp_synth import extensions
from dp_synth.benchmark.statistics import better, paired, ranking
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


OWN = """
class Wins:
    better = "higher"

    def __call__(self, compared):
        return {}


wins, mute = Wins(), len
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Make metrics look installed by a package of somebody else."""
    (tmp_path / "own_metrics_of_direction.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint(name, f"own_metrics_of_direction:{name}", "dp_synth.metrics")
        for name in ("wins", "mute", "absent")
    ]
    monkeypatch.setattr(extensions, "entry_points", lambda group: points)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("metric", ["wins", "wins:rows", "wins_holdout"])
def test_metrics_of_an_installed_package_are_ranked_and_compared_by_their_own_direction(metric):
    scores = {"mst": [0.9, 0.8, 0.9], "aim": [0.5, 0.6, 0.7]}
    found = ranking(over_tables(scores, metric=metric), metric)
    assert found.better == "higher"
    assert found.mean_ranks == {"mst": 1.0, "aim": 2.0}
    assert paired(over_tables(scores, metric=metric), "mst", "aim", metric).better == "higher"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("mute", "high 'mute' is better; .* attribute better, .* dp_synth.metrics, named 'mute'"),
        ("own_metrics:wins", "'own_metrics:wins' is better; .* named 'own_metrics'"),
        ("absent", r"entry point 'absent' \(own_metrics_of_direction:absent\): "),
    ],
)
def test_a_metric_without_a_direction_is_refused_with_how_to_declare_one(metric, said):
    with pytest.raises(InputError, match=said) as caught:
        ranking(over_tables({"mst": [0.9], "aim": [0.5]}, metric=metric), metric)
    assert "\n" not in str(caught.value)
