"""What a page shows: means, intervals, ranks, costs and failures, against numbers by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from made_page import EPSILONS, GOOD, REASON, made_records

from dp_synth.errors import InputError
from dp_synth.report.benchmark_data import (
    FIELDS,
    LARGEST,
    LEAST_CONTRAST,
    SURFACES,
    contrast,
    looks,
    measures,
    page_data,
    readable,
)

T = 4.302652729911275  # the 97.5 % quantile of Student's t with two degrees of freedom


@pytest.fixture(scope="module")
def data():
    return page_data(made_records())


def points(data, **wanted):
    """Return the points whose series, dataset, metric and task are those."""
    found = []
    for row in data.points:
        point = dict(zip(FIELDS, row, strict=True))
        measure = data.measures[point["measure"]]
        point |= {
            "series": data.series[point["series"]].label,
            "dataset": data.datasets[point["dataset"]]["name"],
            "task": measure.task,
            "metric": measure.metric,
        }
        if all(point[key] == value for key, value in wanted.items()):
            found.append(point)
    return found


def test_a_point_is_the_mean_over_seeds_with_its_t_interval(data):
    (point,) = points(data, series="MST", dataset="census", metric="tv2", epsilon=10.0)
    half = T * 0.01 / np.sqrt(3)
    assert point["mean"] == pytest.approx(0.15)
    assert (point["low"], point["high"]) == pytest.approx((0.15 - half, 0.15 + half))
    assert (point["seeds"], point["text"]) == (3, "0.1500 (0.1252 to 0.1748)")


def test_one_seed_has_a_mean_and_no_interval():
    records = made_records()
    data = page_data(records[records["seed"] == 0])
    assert all(row[FIELDS.index("low")] is None for row in data.points)
    assert all("one seed, so no interval" in dataset["note"] for dataset in data.datasets)


def test_ranks_follow_the_direction_of_the_metric(data):
    order = sorted(GOOD, key=GOOD.get, reverse=True)
    for metric, epsilon in itertools.product(("tv2", "auc:gradient_boosting"), EPSILONS):
        found = points(data, metric=metric, dataset="adult", epsilon=epsilon, task="utility")
        ranks = {point["series"]: point["rank"] for point in found}
        assert sorted(ranks, key=ranks.get) == ["MST", "smartnoise/mst", "DP-CTGAN", "Independent"]
        assert len(order) == len(ranks)
    attacked = points(data, metric="auc:closest_record", epsilon=1.0)
    assert min(attacked, key=lambda point: point["rank"])["series"] == "Independent"


def test_a_mean_rank_counts_its_blocks_and_baselines_have_none(data):
    (point,) = points(
        data, series="MST", dataset="adult", metric="tv2", epsilon=1.0, task="utility"
    )
    assert (point["rank"], point["mean_rank"], point["blocks"]) == (1, 1, 2 * len(EPSILONS))
    for point in points(data, series="fresh real rows"):
        assert (point["epsilon"], point["rank"], point["mean_rank"]) == (None, None, None)


def test_a_mean_rank_is_over_blocks_of_the_most_methods_alone():
    records = made_records()
    gone = (records["dataset"] == "census") & (records["synthesizer"] == "mst")
    records = records[~(gone & (records["epsilon"] == 1.0))]
    found = points(page_data(records), metric="tv2", task="utility", dataset="census", epsilon=1.0)
    ranks = {p["series"]: (p["rank"], p["mean_rank"], p["blocks"]) for p in found}
    assert ranks["smartnoise/mst"] == (1.0, 2.0, 5.0)  # first where the best is missing


def test_ties_share_the_mean_of_their_ranks():
    records = made_records()
    tied = records["synthesizer"].isin(["mst", "smartnoise/mst"]) & (records["metric"] == "tv2")
    records.loc[tied, "value"] = 0.1
    found = points(page_data(records), metric="tv2", dataset="census", epsilon=1.0)
    ranks = {point["series"]: point["rank"] for point in found}
    assert ranks == {"MST": 1.5, "smartnoise/mst": 1.5, "DP-CTGAN": 3.0, "Independent": 4.0}


def test_the_ceiling_is_one_series_the_largest_over_methods(data):
    assert [series.kind for series in data.series].count("ceiling") == 1
    found = points(data, series=LARGEST)
    ceilings = {point["epsilon"]: point["mean"] for point in found}
    assert ceilings == pytest.approx({epsilon: 1 - 0.5 / (1 + epsilon) for epsilon in EPSILONS})
    assert all(point["rank"] is None for point in found)


def test_peers_are_told_from_fits_whose_ledger_is_ours(data):
    kinds = {series.label: series.kind for series in data.series}
    assert kinds["smartnoise/mst"] == "peer"
    assert {kinds["MST"], kinds["DP-CTGAN"]} == {"fitted"}
    assert kinds["fresh real rows"] == "baseline"


def test_failures_are_counted_by_their_reason_and_have_no_point(data):
    (failure,) = data.failures
    assert (failure.series, failure.dataset, failure.epsilon) == ("AIM", "census", 1.0)
    assert (failure.reason, failure.cells, data.failed) == (REASON, 2, 2)
    assert points(data, series="AIM") == []


def test_costs_are_medians_of_fits_once_each(data):
    cost = next(
        c for c in data.costs if (c.series, c.dataset, c.task) == ("MST", "adult", "utility")
    )
    assert cost.fits == 9
    assert (cost.seconds, cost.wall_seconds) == ((2.0, 1.0, 3.0), (3.0, 2.0, 4.0))
    assert cost.peak_mb == (100.0, 100.0, 100.0)


def test_live_cells_and_columns_that_older_records_lack_change_nothing(data):
    records = made_records()
    live = records.head(40).assign(live=True, value=9.0)
    beside = pd.concat([records.assign(live=False), live], ignore_index=True)
    assert page_data(beside).points == data.points
    older = records.drop(columns=["wall_seconds", "peak_mb", "budget"])
    assert page_data(older).points == data.points


def test_budgets_of_several_kinds_are_not_pooled():
    records = made_records()
    other = records[records["synthesizer"] == "mst"].assign(adjacency="replace_one", value=0.5)
    labels = {s.label for s in page_data(pd.concat([records, other], ignore_index=True)).series}
    assert {"MST [add/remove, δ = 1e-05]", "MST [replace one, δ = 1e-05]"} <= labels


def test_what_differs_in_settings_is_another_series_and_samples_are_hidden():
    records = made_records()
    base = records[records["synthesizer"] == "fresh_rows"]
    shares = [
        base.assign(synthesizer="sample_of_rows", settings=f'{{"share":{share}}}')
        for share in (0.1, 0.5)
    ]
    found = page_data(pd.concat([records, *shares], ignore_index=True)).series
    hidden = {series.label: series.kind for series in found if series.hidden}
    assert hidden == {
        "sample_of_rows (share=0.1)": "baseline",
        "sample_of_rows (share=0.5)": "baseline",
    }


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (pd.DataFrame({"a": [1]}), "no column 'dataset'"),
        (made_records().head(0), "nothing to show"),
        (made_records().tail(2), "nothing to show"),
    ],
)
def test_what_holds_no_values_is_refused_in_one_line(records, said):
    with pytest.raises(InputError, match=said):
        page_data(records)


def test_a_metric_nobody_knows_is_drawn_and_not_ranked():
    records = made_records()
    stranger = records[records["metric"] == "tv2"].assign(metric="of_my_own")
    data = page_data(pd.concat([records, stranger], ignore_index=True))
    found = points(data, metric="of_my_own")
    assert found
    assert {point["rank"] for point in found} == {None}


def test_measures_know_their_attack_and_chance():
    found = measures([("leakage", "auc:mine:isolated"), ("leakage", "tpr_at_fpr_0.01:mine")])
    area, rate = found
    assert (area.attack, area.kind, area.chance) == ("mine", "auc:{}:isolated", 0.5)
    assert (rate.kind, rate.about, rate.chance) == (
        "tpr_at_fpr_0.01:{}",
        "TPR at 1 % FPR, all targets",
        0.01,
    )


def test_no_two_series_look_alike_and_all_show_on_both_surfaces():
    names = [f"method{i}" for i in range(20)] + ["dpgan", "pategan"]
    found = looks(names, ["method3"])
    assert len(set(found.values())) == len(names)
    assert found["method3"].dashes != found["method2"].dashes  # a peer is told by its line
    for look in found.values():
        assert contrast(look.light, SURFACES["light"]) >= LEAST_CONTRAST
        assert contrast(look.dark, SURFACES["dark"]) >= LEAST_CONTRAST
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert readable("#000000", "#000000") != "#000000"
