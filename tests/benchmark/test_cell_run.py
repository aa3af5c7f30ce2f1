"""Cells on the bundled table: baselines lie where they must, and one seed gives one result."""

import dataclasses
import math

import numpy as np
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.attacks import ClosestRecord
from dp_synth.benchmark.cell_run import (
    BASELINES,
    bootstrap_of_members,
    dataset,
    fresh_rows,
    game,
    independent_without_noise,
    plan,
    run_cell,
)
from dp_synth.benchmark.grid import LEAKAGE_BASELINES, UTILITY_BASELINES, Grid
from dp_synth.errors import GridError
from dp_synth.synthesizers import MST

MEMBERS = 400
GRID = {
    "name": "small",
    "dataset": "adult",
    "delta": 1e-5,
    "seeds": 1,
    "synthesizers": ["independent", "mst"],
    "utility": {"epsilons": [10], "metrics": ["tv1", "tv2", "kmarginal"]},
    "leakage": {"epsilons": [1], "members": MEMBERS, "isolated": 0, "attacks": ["closest_record"]},
}


@pytest.fixture(scope="module")
def cells():
    return {(c.task, c.synthesizer): c for c in plan(Grid.from_dict(GRID))}


def values(outcome):
    return {m.metric: m.value for m in outcome.measured}


def test_the_members_own_rows_are_found_and_fresh_rows_tell_nothing(cells):
    # The standard error of an AUC of two samples of 400 is at most 0.021.
    found = values(run_cell(cells["leakage", "no_privacy"]))
    assert found["auc:closest_record"] > 0.5 + 5 * 0.021
    assert found["tpr_at_fpr_0.1:closest_record"] > 0.1
    fresh = values(run_cell(cells["leakage", "fresh_rows"]))
    assert abs(fresh["auc:closest_record"] - 0.5) < 5 * 0.021
    assert "auc_ceiling" not in found


def test_a_private_release_is_attacked_below_what_its_ledger_permits(cells):
    outcome = run_cell(cells["leakage", "mst"])
    found = values(outcome)
    # At epsilon 1 and delta 1e-5 the trade-off curve of (epsilon, delta)-DP alone bounds the AUC.
    e = math.exp(1)
    assert 0.5 < found["auc_ceiling"] <= 1 - 1 / (1 + e) + 1e-4
    assert found["auc:closest_record"] < found["auc_ceiling"] + 5 * 0.021
    assert 0 < found["tv2"] < 1
    assert outcome.seconds > 0


@pytest.mark.filterwarnings("ignore:MST.as_published:DeprecationWarning")
def test_a_cell_fits_what_its_settings_make(cells):
    cell = cells["utility", "mst"]
    settings = '{"as_published":true,"coarseness":0.4}'
    older, own = (
        values(run_cell(dataclasses.replace(cell, synthesizer=name, settings=text)))
        for name, text in (("mst", settings), ("published_mst", "{}"))
    )
    assert older == own != values(run_cell(cell))


def test_baselines_lie_where_they_must(cells):
    real = values(run_cell(cells["utility", "real_rows"]))
    fresh = values(run_cell(cells["utility", "fresh_rows"]))
    shuffled = values(run_cell(cells["utility", "independent_without_noise"]))
    private = values(run_cell(cells["utility", "independent"]))
    assert real["tv2"] == 0
    assert real["kmarginal"] == 1000
    assert real["tv2_holdout"] > 0
    assert shuffled["tv1"] == 0
    assert 0 < fresh["tv2"] < shuffled["tv2"] < private["tv2"]
    assert fresh["kmarginal"] == pytest.approx(1000 * (1 - fresh["tv2"]))


def test_only_the_metrics_that_were_asked_for_are_measured(cells):
    found = values(run_cell(cells["utility", "real_rows"]))
    assert set(found) == {
        f"{name}{ending}" for name in ("tv1", "tv2", "kmarginal") for ending in ("", "_holdout")
    }


def test_one_seed_gives_one_result_and_another_gives_another(cells):
    cell = cells["leakage", "independent"]
    first, second = (run_cell(cell).measured for _ in range(2))
    assert first == second
    assert run_cell(dataclasses.replace(cell, seed=1)).measured != first


def test_a_game_is_fair_and_leaves_the_rest_of_the_table_apart():
    data = dataset("adult")
    played = game(data, 0, MEMBERS, 0)
    assert len(played.pool.members) == len(played.pool.non_members) == MEMBERS
    assert list(played.pool.members.columns) == list(data.train.columns)
    outside = len(played.fresh) + len(played.tested)
    assert outside + 2 * MEMBERS == len(data.train) + len(data.holdout)
    assert len(played.tested) < len(data.holdout)


def test_more_members_than_the_table_has_are_refused_before_any_cell_runs():
    grid = Grid.from_dict(GRID | {"leakage": {"epsilons": [1], "members": 10**6}})
    with pytest.raises(GridError, match=r"leakage.members: at most \d+ for the dataset 'adult'"):
        plan(grid)


def test_shuffled_columns_keep_their_values_and_lose_their_rows():
    train = dataset("adult").train
    before = train.copy()
    shuffled = independent_without_noise(train, train, np.random.default_rng(0))
    for name in train.columns:
        assert sorted(shuffled[name].astype(str)) == sorted(train[name].astype(str))
    assert not shuffled.equals(train)
    assert train.equals(before)


@pytest.mark.parametrize("baseline", [bootstrap_of_members, fresh_rows, independent_without_noise])
def test_a_baseline_of_no_records_is_a_table_of_no_records(baseline):
    empty = dataset("adult").train.iloc[:0]
    assert len(baseline(empty, empty, np.random.default_rng(0))) == 0


def test_an_attack_gives_no_value_where_a_cell_has_not_what_it_needs():
    attacks = ["transcript_ratio", "marginal_ratio", "rows_ratio"]
    leakage = {"epsilons": [1000], "members": MEMBERS, "isolated": 0, "attacks": attacks}
    grid = Grid.from_dict(GRID | {"synthesizers": ["mst"], "utility": None, "leakage": leakage})
    found = {cell.synthesizer: values(run_cell(cell)) for cell in plan(grid)}
    # A synthesizer that hides nothing is found out by who holds its marginals: 5 standard errors.
    assert found["mst"]["auc:transcript_ratio"] > 0.5 + 5 * 0.021
    assert found["mst"]["auc:marginal_ratio"] > 0.5 + 5 * 0.021
    assert found["mst"]["auc:rows_ratio"] > 0.5 + 5 * 0.021
    assert "auc:marginal_ratio" in found["fresh_rows"]
    for name in ("transcript_ratio", "rows_ratio"):
        assert not any(name in metric for metric in found["fresh_rows"])


def test_the_attacker_knows_the_synthesizer_and_its_budget(cells, monkeypatch):
    seen = []

    def scores(self, targets, view):
        seen.append((view.synthesizer, view.budget))
        return np.zeros(len(targets))

    monkeypatch.setattr(ClosestRecord, "scores", scores)
    run_cell(cells["leakage", "mst"])
    run_cell(cells["leakage", "fresh_rows"])
    known = (MST(), PrivacyBudget(1.0, 1e-5))
    assert seen == [known, known, (None, None), (None, None)]


COSTS = {"calibration_seconds", "fit_seconds", "mb_before_fit", "fit_peak_mb", "draw_seconds"}


def test_what_a_fit_takes_is_measured_apart_where_asked_and_changes_nothing_else(cells):
    utility = {"epsilons": [10], "metrics": ["tv1", "tv2", "kmarginal"]}
    asked = GRID | {"utility": utility | {"costs": True, "drawn": 10}}
    costly = {(c.task, c.synthesizer): c for c in plan(Grid.from_dict(asked))}
    plain, outcome = (run_cell(one["utility", "mst"]) for one in (cells, costly))
    found = values(outcome)
    costs = {name.removeprefix("cost:"): found.pop(name) for name in [*found] if "cost:" in name}
    assert found == values(plain)
    assert costs.keys() == COSTS
    assert costs["calibration_seconds"] + costs["fit_seconds"] == pytest.approx(outcome.seconds)
    assert costs["fit_peak_mb"] >= costs["mb_before_fit"] > 0
    baseline = values(run_cell(costly["utility", "real_rows"]))
    assert not [name for name in baseline if name.startswith("cost:")]
    assert costly["leakage", "mst"] == cells["leakage", "mst"]


def test_rows_are_drawn_for_their_time_only_beside_other_costs():
    utility = {"epsilons": [1], "drawn": 10}
    with pytest.raises(GridError, match="utility: drawn: is one of the costs"):
        Grid.from_dict(GRID | {"utility": utility})


def test_every_baseline_of_a_grid_is_one_that_a_cell_can_run():
    assert BASELINES.keys() == {*UTILITY_BASELINES, *LEAKAGE_BASELINES}
