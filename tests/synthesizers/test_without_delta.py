"""Marginal methods and votes meet a budget without delta; training by DP-SGD says why not."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import dp_synth as dps
from dp_synth.audit import replay
from dp_synth.audit.checks import answers_are_charged
from dp_synth.audit.likelihood_ratio import compare
from dp_synth.audit.replayer import made_table
from dp_synth.errors import InputError
from dp_synth.estimates import Share
from dp_synth.mechanisms import gaussian
from dp_synth.synthesizers import SYNTHESIZERS
from dp_synth.synthesizers.aim import AIM
from dp_synth.synthesizers.validation import Validation

PURE = dps.PrivacyBudget(2.0, 0.0)
REPLACED = dps.PrivacyBudget(2.0, 0.0, "replace_one")
MARGINALS = ("independent", "mst", "published_mst", "clique_tree", "aim", "mwem", "privbayes")
EXACT = ("independent",)  # whose worst neighbour moves all that is charged


@pytest.mark.parametrize("budget", [PURE, REPLACED], ids=["add_remove", "replace_one"])
@pytest.mark.parametrize("name", MARGINALS)
def test_a_marginal_method_uses_a_budget_without_delta_and_is_charged_for_all(name, budget):
    frame, schema = made_table(400)
    release = SYNTHESIZERS[name]().fit(frame, schema, budget, seed=0)
    assert 0.99 * 2 < release.ledger.epsilon <= 2.0
    assert not release.ledger.uncovered
    assert not release.ledger.inexact
    assert answers_are_charged(release.ledger, release.transcript).passed
    assert len(release.sample(50, seed=1)) == 50


@pytest.mark.parametrize("budget", [PURE, REPLACED], ids=["add_remove", "replace_one"])
@pytest.mark.parametrize("name", MARGINALS)
def test_no_neighbour_moves_more_than_the_ledger_says(name, budget):
    report = replay(SYNTHESIZERS[name](), budget, *made_table(40), seed=0)
    assert report.passed, report
    assert report.is_complete
    assert 1 < report.audited_epsilon <= report.claimed_epsilon <= 2.0
    if name in EXACT:
        assert report.audited_epsilon >= 0.99 * report.claimed_epsilon


def related(records):
    """Return a table of numbers, dates and related categories, of people with several rows."""
    rng = np.random.default_rng(0)
    first = rng.integers(2, size=records)
    other = np.where(rng.random(records) < 0.1, 1 - first, first)
    frame = pd.DataFrame(
        {
            "who": rng.integers(0, records // 2, records).astype(str),
            "a": np.array(["x", "y"])[first],
            "b": np.array(["x", "y"])[other],
            "age": np.clip(rng.normal(30 + 20 * first, 9), 0, 99).round(),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 90, records), "D"),
        }
    )
    frame["day"] = frame["day"].dt.strftime("%Y-%m-%d")
    days = {"lower": "2020-01-01", "upper": "2020-03-31"}
    columns = [
        {"name": "a", "type": "categorical", "categories": ["x", "y"]},
        {"name": "b", "type": "categorical", "categories": ["x", "y"]},
        {"name": "age", "type": "real", "lower": 0, "upper": 99, "missing": [""]},
        {"name": "day", "type": "datetime", **days},
    ]
    return frame, dps.Schema.from_dict({"name": "people", "columns": columns})


def is_pure(ledger):
    """Tell whether a ledger's reservations and charges add up to its budget, as fractions."""
    for entries in (ledger.reservations, ledger.charges):
        spent = sum(one.event.pure_epsilon * one.count for one in entries)
        if not 0.98 * ledger.budget.epsilon < spent <= Fraction(ledger.budget.epsilon):
            return False
    return True


@pytest.fixture
def without_gaussians(monkeypatch):
    """No Gaussian noise can be drawn, nor charged."""

    def drawn(*_):
        raise AssertionError("Gaussian noise at delta 0")

    monkeypatch.setattr(gaussian, "rounded_gaussian", drawn)


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
@pytest.mark.parametrize("name", MARGINALS)
def test_nothing_on_the_way_is_gaussian_and_epsilons_add_up(name, adjacency, without_gaussians):
    """First looks, cells of numbers, totals, choices and validation, of units of two rows."""
    frame, schema = related(600)
    budget = dps.PrivacyBudget(30.0, 0.0, adjacency, "who", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        release = SYNTHESIZERS[name]().fit(
            frame, schema, budget, seed=0, validation=Validation(0.1)
        )
    assert is_pure(release.ledger)
    kinds = {one.noise for one in release.transcript if hasattr(one, "noise")}
    assert kinds == {"laplace"}
    assert {"bins", "validation_count"} <= {one.part for one in release.transcript}
    for one in release.ledger.charges:  # one number that moves twice, not two that move once
        assert one.part != "validation_distances" or not one.event.replaced
    assert release.ledger.rule == "planned"
    assert release.ledger.statement().startswith(f"The releases ({name}) are (30, 0)-")


def test_joint_plans_turns_and_portions_are_pure(without_gaussians):
    frame, schema = related(300)
    budget, three = dps.PrivacyBudget(6.0, 0.0), (dps.MST(), dps.PrivBayes(), dps.AIM())
    joint = dps.Accountant(budget)
    dps.fit_jointly(dict(zip(three, (1, 2, 1), strict=True)), frame, schema, joint, seed=0)
    turns = dps.Accountant(budget, planned=[(three[0], 1.0), (three[1], 6.0)])
    adaptive = dps.Accountant(budget, adaptive=True)
    for method in three[:2]:
        method.fit(frame, schema, turns, seed=0)
        method.fit(frame, schema, adaptive.portion(3.0), seed=0)
    for account in (joint, turns, adaptive):
        assert is_pure(account.ledger)
        assert 5.99 < account.epsilon() <= 6.0
    first = [one for one in turns.ledger.charges if one.recipe == "1-mst"]
    assert 0.98 < sum(one.event.pure_epsilon * one.count for one in first) <= 1


@pytest.mark.parametrize(
    ("epsilon", "why"), [(4.0, "scores of likely pairs"), (16.0, "scores of all pairs")]
)
@pytest.mark.parametrize("name", ["mst", "clique_tree"])
def test_no_neighbour_moves_scores_of_pairs_further(name, epsilon, why):
    rng = np.random.default_rng(0)
    first = rng.integers(2, size=(2, 1, 400)) ^ (rng.random((2, 3, 400)) < 0.1)
    codes = first.reshape(6, 400)
    cells = {f"x{place}": np.array(["a", "b"])[line] for place, line in enumerate(codes)}
    columns = [{"name": n, "type": "categorical", "categories": ["a", "b"]} for n in cells]
    frame, schema = pd.DataFrame(cells), dps.Schema.from_dict({"name": "t", "columns": columns})
    method, budget = SYNTHESIZERS[name](), dps.PrivacyBudget(epsilon, 0.0)
    assert why in {one.why for one in method.fit(frame, schema, budget, seed=0).transcript}
    report = replay(method, budget, frame, schema, seed=0)
    assert report.passed
    assert report.is_complete
    assert 0.9 * epsilon < report.audited_epsilon <= report.claimed_epsilon <= epsilon


def test_losses_between_neighbours_are_those_of_the_exact_law():
    frame, schema = made_table(40)
    runs = compare(dps.Independent(), (frame, frame[1:]), schema, PURE, runs=400, seed=0)
    losses = np.array([sum(one.log_ratio() for one in run.comparisons) for run in runs])
    fresh = np.array(
        [sum(one.fresh_log_ratio(there=True) for one in run.comparisons) for run in runs]
    )
    assert np.abs(losses).max() <= 2.0 + 1e-9
    assert all(sum(one.distance for one in run.comparisons) <= 2.0 + 1e-9 for run in runs)
    each = 2.0 / 5  # of five columns, each a coin that falls right with this chance
    right = 1 / (1 + np.exp(-each))
    mean, deviation = 2.0 * (2 * right - 1), 2 * each * np.sqrt(5 * right * (1 - right))
    for found, expected in ((losses, mean), (fresh, -mean)):
        assert abs(found.mean() - expected) <= 5.5 * deviation / np.sqrt(len(runs))
        assert abs(found.mean() - 0.6 * expected) > 2 * deviation / np.sqrt(len(runs))


def test_a_release_keeps_the_law_of_its_noise(tmp_path):
    frame, schema = made_table(400)
    release = dps.MST().fit(frame, schema, PURE, seed=0, validation=Validation(0.1))
    release.save(tmp_path / "r.npz")
    again = dps.Release.load(tmp_path / "r.npz")
    assert again.ledger == release.ledger
    kinds = [getattr(one, "noise", None) for one in again.transcript]
    assert kinds == [getattr(one, "noise", None) for one in release.transcript]
    assert {kind for kind in kinds if kind} == {"laplace"}
    assert again.validation == release.validation


@pytest.mark.parametrize("name", ["dpgan", "dpctgan"])
def test_dp_sgd_is_refused_before_anything_is_read(name):
    pytest.importorskip("torch")
    _, schema = made_table(40)
    with pytest.raises(InputError, match="delta must be above 0 for training by DP-SGD"):
        SYNTHESIZERS[name]().fit("no such file", schema, PURE)


def test_what_needs_gaussian_noise_is_refused_by_its_name():
    frame, schema = made_table(40)
    for name in ("all_gaussian", "interactions"):
        with pytest.raises(InputError, match=f"{name} needs Gaussian noise"):
            AIM(**{name: True}).fit(frame, schema, PURE)
    with pytest.raises(InputError, match="questions need a delta above 0"):
        dps.MST().fit(frame, schema, PURE, questions=[Share({"a": "x"})])


def test_votes_without_delta_have_laplace_noise_that_is_exact():
    pytest.importorskip("torch")
    frame, schema = made_table(200)
    method = SYNTHESIZERS["pategan"](votes=30, teachers=11, steps=5, rows=64)
    release = method.fit(frame, schema, PURE, seed=0)
    votes = [one for one in release.transcript if hasattr(one, "winners")]
    assert {(one.noise, one.teachers) for one in votes} == {("laplace", 11)}
    assert not release.ledger.inexact
    assert 1.98 < release.ledger.epsilon <= 2.0


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, 1])
def test_an_interval_of_a_validation_holds_under_laplace_noise(part):
    """Of 300 draws each interval of 95 % may miss 15; a miss of 40 has a chance below 1e-7."""
    frame, schema = made_table(400)
    missed = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(150 * part, 150 * part + 150):
            method = dps.Independent()
            found = method.fit(frame, schema, PURE, seed=seed, validation=Validation(0.5))
            records = found.validation.records
            missed += not records.low <= len(frame) <= records.high
    assert missed <= 25
