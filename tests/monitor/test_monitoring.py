"""Monitoring: charged to a budget of its own, honest about its null, and it sees what moved."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import dp_synth as dps
from dp_synth.accounting import RiskTarget
from dp_synth.errors import InputError
from dp_synth.inference import MixtureModel
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.monitor import Monitoring, check, monitor, monitor_exactly, monitoring_budget
from dp_synth.monitor.reference import SPLIT, References
from dp_synth.monitor.report import NOT_TO_PUBLISH, NULLS

SCHEMA = dps.Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "job", "type": "categorical", "categories": list("abcdef")},
            {"name": "age", "type": "integer", "lower": 18, "upper": 90, "missing": ["?"]},
            {"name": "pay", "type": "real", "lower": 0, "upper": 1000},
            {"name": "ill", "type": "categorical", "size": 2},
        ],
    }
)


def people(n, seed, shift=0.0):
    """Return records of the population; a part ``shift`` of them has become ill."""
    rng = np.random.default_rng(seed)
    job = rng.integers(0, 6, n)
    age = np.clip(rng.normal(30 + 5 * job, 12), 18, 90).astype(int).astype(object)
    age[rng.random(n) < 0.05] = "?"
    ill = (rng.random(n) < 0.3 + shift).astype(int)
    pay = np.clip(rng.gamma(2 + job, 50), 0, 1000)
    return pd.DataFrame({"job": np.array(list("abcdef"))[job], "age": age, "pay": pay, "ill": ill})


def released(budget=None, data=None, method=None):
    """Return a release of 8,000 of them."""
    budget = budget or dps.PrivacyBudget(1.0, 1e-6)
    recipe = method or dps.MST()
    return recipe.fit(people(8_000, 0) if data is None else data, SCHEMA, budget, seed=0)


RELEASE = released()
BUDGET = monitoring_budget(RELEASE, 0.5, 1e-6)


def test_nothing_is_found_where_nothing_moved_and_what_moved_is_found():
    same = monitor(RELEASE, people(8_000, 1), BUDGET, seed=1)
    assert same.found == ()
    assert "no drift found" in same.summary
    moved = monitor(RELEASE, people(8_000, 1, shift=0.1), BUDGET, seed=1)
    assert ("ill",) in [one.columns for one in moved.found]
    (ill,) = [one for one in moved.drifts if one.columns == ("ill",)]
    assert ill.low <= 0.1 <= ill.high
    assert moved.null == NULLS[True]
    lenient = monitor(RELEASE, people(8_000, 1, shift=0.1), BUDGET, Monitoring(0.05, 0.5), seed=1)
    assert lenient.found == ()


def test_false_alarms_are_no_more_often_than_they_say():
    """Forty releases of records of one population, each beside forty others of it."""
    alarms = 0
    for seed in range(40):
        release = released(data=people(3_000, 100 + seed), method=dps.Independent())
        report = monitor(release, people(3_000, 500 + seed), BUDGET, seed=seed)
        alarms += bool(report.found)
    assert alarms <= 11  # of 40 at .05: more has a chance below 1e-6


@pytest.mark.parametrize("method", [dps.Independent(), dps.MST()], ids=["independent", "mst"])
def test_the_choice_of_cells_by_their_own_counts_raises_no_alarms(method):
    """The largest of many categories that are alike had luck, which today's have not."""
    names = [f"z{i:03d}" for i in range(100)]
    columns = [{"name": name, "type": "categorical", "categories": names} for name in "ab"]
    schema, alarms = dps.Schema.from_dict({"name": "places", "columns": columns}), 0
    budget = dps.PrivacyBudget(3.0, 1e-6)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        then, now = (pd.DataFrame(rng.choice(names, (5_000, 2)), columns=["a", "b"]) for _ in "12")
        release = method.fit(then, schema, budget, seed=seed)
        alarms += bool(monitor(release, now, budget, seed=seed + 1_000).found)
    assert alarms <= 8  # of 20 at .05: more has a chance below 1e-6


def test_counts_are_split_into_two_of_independent_errors():
    """What chooses cells and what is compared, over many samples of one population."""
    schema = SCHEMA.select(["job"])
    chosen, compared = [], []
    for seed in range(400):
        release = dps.Independent().fit(
            people(2_000, seed), schema, dps.PrivacyBudget(1.0, 1e-6), seed=seed
        )
        rng = np.random.default_rng([seed, 1])  # stands for the one seed of all releases
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(np.random, "default_rng", lambda _, rng=rng: rng)
            (one,) = References.of(release, ("job",), 0).columns
        chosen.append((one.counts + SPLIT**2 * one.apart)[0])
        compared.append((one.counts - one.apart)[0])
        variance = 2_000 / 6 * 5 / 6 + one.variances[0]
    assert abs(np.corrcoef(chosen, compared)[0, 1]) < 5.1 / np.sqrt(400)
    assert np.var(compared) / (variance * one.widened) == pytest.approx(
        1, abs=5.1 * np.sqrt(2 / 400)
    )


def test_a_release_of_a_risk_is_monitored_by_an_epsilon():
    release = released(dps.PrivacyBudget.from_risk(advantage=0.3))
    budget = monitoring_budget(release, 0.5, 1e-6)
    assert (budget.epsilon, budget.delta, budget.risk) == (0.5, 1e-6, None)
    assert monitor(release, people(8_000, 1), budget, seed=0).epsilon <= 0.5


def test_a_risk_is_a_budget_of_todays_records_as_well():
    release = released(dps.PrivacyBudget(1.0, 1e-6, "replace_one"))
    risk = RiskTarget(advantage=0.1)
    budget = monitoring_budget(release, risk=risk)
    assert (budget.risk, budget.adjacency) == (risk, "replace_one")
    account = dps.Accountant(budget)
    monitor(release, people(8_000, 1), account)
    assert 0.099 < risk.largest(account.ledger.curve) <= 0.1
    for wrong in ({"epsilon": 1.0, "delta": 1e-6, "risk": risk}, {"epsilon": 1.0}, {}):
        with pytest.raises(InputError, match="is an epsilon and a delta, or a risk"):
            monitoring_budget(release, **wrong)


@pytest.mark.parametrize("fitted", [1e-6, 0.0])
@pytest.mark.parametrize("delta", [1e-6, 0.0])
def test_noise_is_taken_for_what_it_is_without_delta(fitted, delta, monkeypatch):
    release, laws = released(dps.PrivacyBudget(1.0, fitted)), []
    known = check.drift_intervals

    def told(compared, chance):
        laws.extend((one.then.laplace, one.now.laplace) for one in compared)
        return known(compared, chance)

    monkeypatch.setattr(check, "drift_intervals", told)
    budget = monitoring_budget(release, 0.5, delta)
    report = monitor(release, people(8_000, 1), budget, seed=0)
    assert set(laws) == {(not fitted, not delta)}
    assert (report.delta, report.found) == (delta, ())
    assert report.epsilon <= 0.5
    monitor_exactly(release, people(8_000, 1))
    assert set(laws) == {(not fitted, not delta), (not fitted, False)}


def test_the_whole_budget_is_charged_and_no_more():
    account = dps.Accountant(BUDGET)
    report = monitor(RELEASE, people(8_000, 1), account)
    assert 0.495 <= report.epsilon <= 0.5
    parts = [(entry.part, entry.count) for entry in account.ledger.charges]
    assert sum(count for part, count in parts if part == "columns") == 4
    assert sum(count for part, count in parts if part == "pairs") == len(report.drifts) - 4
    assert not account.ledger.uncovered
    assert not report.seeded


def test_what_cannot_be_paid_reads_nothing(monkeypatch):
    account = dps.Accountant(BUDGET)
    monitor(RELEASE, people(500, 1), account)
    before = account.ledger.entries

    def read(self, cliques):
        raise AssertionError("a record was read")

    monkeypatch.setattr(PrivateTable, "exact_marginals", read)
    with pytest.raises(dps.BudgetExceeded):
        monitor(RELEASE, "no-such-file.csv", account)
    assert account.ledger.entries == before


def test_exact_counts_are_for_the_holder_alone():
    report = monitor_exactly(RELEASE, people(8_000, 1))
    assert report.is_internal
    assert report.records_now == 8_000
    assert json.loads(report.to_json())["internal"] == NOT_TO_PUBLISH
    private = monitor(RELEASE, people(8_000, 1), BUDGET, seed=0)
    assert "internal" not in json.loads(private.to_json())
    both = zip(report.drifts, private.drifts, strict=True)
    assert all(exact.high <= noisy.high + 0.02 for exact, noisy in both)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_of_almost_nothing_goes_the_same_way(rows):
    report = monitor(RELEASE, people(rows, 1), BUDGET, seed=1)
    assert [(one.low, one.high) for one in report.drifts] == [(0.0, 1.0)] * len(report.drifts)
    assert report.summary.startswith("nothing can be told of a drift")
    assert report.found == ()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"adjacency": "replace_one"}, "adjacency"),
        ({"unit": "job"}, "unit"),
        ({"epsilon": float("inf")}, "epsilon"),
    ],
    ids=["adjacency", "unit", "epsilon"],
)
def test_a_budget_that_is_not_of_the_release_is_refused(change, named):
    with pytest.raises(dps.InputError, match=named):
        monitor(RELEASE, people(10, 1), replace(BUDGET, **change))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"alarm_rate": 0.0}, "alarm rate"),
        ({"tolerance": 1.0}, "tolerance"),
        ({"pairs": -1}, "pairs"),
        ({"columns": ()}, "columns"),
        ({"columns": ("job", "job")}, "columns"),
    ],
    ids=["rate", "tolerance", "pairs", "none", "twice"],
)
def test_bad_settings_are_refused_by_name(settings, named):
    with pytest.raises(dps.InputError, match=named):
        Monitoring(**settings)


def test_an_unknown_column_is_refused_before_anything_is_charged():
    account = dps.Accountant(BUDGET)
    with pytest.raises(dps.InputError, match="no column 'jbo'; did you mean 'job'"):
        monitor(RELEASE, people(10, 1), account, Monitoring(columns=("jbo",)))
    assert not account.ledger.entries


def test_columns_and_pairs_are_as_asked():
    asked = Monitoring(columns=("age", "ill"), pairs=0)
    report = monitor(RELEASE, people(8_000, 1), BUDGET, asked, seed=0)
    assert [one.columns for one in report.drifts] == [("age",), ("ill",)]


def test_a_public_number_of_records_is_taken_as_it_is():
    release = released(dps.PrivacyBudget(1.0, 1e-6, "replace_one"))
    report = monitor(release, people(6_000, 1), monitoring_budget(release, 0.5, 1e-6), seed=0)
    assert (report.records_then, report.records_now) == pytest.approx((8_000, 6_000))
    assert report.found == ()


def test_records_of_units_are_used_as_the_release_used_them():
    data = people(8_000, 0).assign(who=np.repeat(np.arange(2_000), 4))
    budget = dps.PrivacyBudget(3.0, 1e-6, "add_remove", "who", 2)
    release = dps.MST().fit(data, SCHEMA, budget, seed=0)
    today = people(8_000, 1).assign(who=np.repeat(np.arange(2_000), 4))
    report = monitor(release, today, monitoring_budget(release, 3.0, 1e-6), seed=0)
    assert report.records_now == pytest.approx(4_000, abs=400)
    assert report.found == ()


def test_a_release_without_measured_marginals_has_a_narrower_null():
    ones = [RELEASE.model.marginal((name,)) for name in SCHEMA.domain]
    tables = tuple(np.maximum(one, 0)[None, :] / np.maximum(one, 0).sum() for one in ones)
    domain = RELEASE.schema.domain
    network = replace(
        RELEASE, model=MixtureModel(domain, np.ones(1), tables, 8_000.0), transcript=()
    )
    report = monitor(network, people(8_000, 1), BUDGET, Monitoring(tolerance=0.2), seed=0)
    assert report.null == NULLS[False]
    assert report.found == ()


def test_cells_are_fixed_by_the_release_and_cover_every_code():
    found = References.of(RELEASE, RELEASE.schema.domain.attributes, 4)
    assert found.sampled
    assert found.total.value == pytest.approx(8_000, abs=8 * found.total.stddev)
    for one in (*found.columns, *found.pairs):
        for name, shape in zip(one.clique, one.counts.shape, strict=True):
            groups = one.groups[name]
            assert len(groups) == RELEASE.schema.domain.size(name)
            assert sorted(set(groups.tolist())) == list(range(shape))
        assert max(one.counts.shape) <= (20 if len(one.clique) == 1 else 5) + 1  # and marks
    age = next(one for one in found.columns if one.clique == ("age",))
    assert np.all(np.diff(age.groups["age"][:-1]) >= 0)  # the mark stands by itself
    assert age.ordered == age.counts.size - 1


def test_answers_about_a_column_are_taken_together():
    """The error of the shares is within what their variances say, over many fits."""
    squares, table = [], people(4_000, 0)
    for seed in range(60):
        release = dps.MST().fit(table, SCHEMA, dps.PrivacyBudget(1.0, 1e-6), seed=seed)
        for one in References.of(release, ("job", "ill"), 0).columns:
            exact = table[one.clique[0]].value_counts().sort_index().to_numpy()
            squares += ((one.counts - exact) ** 2 / one.variances).ravel().tolist()
    assert len(squares) == 60 * (6 + 2)
    assert np.mean(squares) == pytest.approx(1.0, abs=5.5 * np.sqrt(2 / len(squares)))


def test_open_columns_are_closed_before_others_are_read():
    fields = SCHEMA.to_dict()
    fields["columns"][0] |= {"open": True, "categories": ["a"]}
    schema = dps.Schema.from_dict(fields)
    release = dps.MST().fit(people(8_000, 0), schema, dps.PrivacyBudget(2.0, 1e-6), seed=0)
    today = people(8_000, 1)
    today.loc[:20, "job"] = "never seen"
    report = monitor(release, today, monitoring_budget(release, 1.0, 1e-6), seed=0)
    assert report.found == ()
