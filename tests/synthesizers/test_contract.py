"""What every synthesizer keeps to, whatever the table and the budget."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from small_settings import SAMPLED, SMALL, small, small_classrooms  # noqa: F401

from dp_synth.accounting import (
    ADJACENCIES,
    Accountant,
    Filtered,
    Gaussian,
    PrivacyBudget,
    Round,
)
from dp_synth.accounting.filters import cost
from dp_synth.errors import BudgetExceeded, InputError, SchemaError
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.schema import Schema
from dp_synth.synthesizers import SYNTHESIZERS
from dp_synth.transcript import measured

pytestmark = pytest.mark.usefixtures("small_classrooms")

BUDGET = PrivacyBudget(epsilon=1.0, delta=1e-6)

SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 89},
            {"name": "wage", "type": "real", "lower": 0, "upper": 100, "missing": [""]},
            {"name": "job", "type": "categorical", "categories": ["a", "b", "never"]},
            {"name": "rank", "type": "ordinal", "size": 4, "missing": ["?"]},
            {"name": "born", "type": "datetime", "lower": "1930-01-01", "upper": "2020-12-31"},
            {"name": "one", "type": "categorical", "categories": ["only"]},
        ],
    }
)


def people(count, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 90, count)
    born = np.datetime64("2010-01-01") - age * np.timedelta64(300, "D")
    return pd.DataFrame(
        {
            "age": age.astype(str),
            "wage": np.where(rng.random(count) < 0.2, "", (age + rng.random(count)).astype(str)),
            "job": rng.choice(["a", "b"], count),
            "rank": rng.choice(["0", "1", "3", "?"], count),
            "born": born.astype(str),
            "one": ["only"] * count,
        }
    ).astype(object)


@pytest.fixture(params=list(SYNTHESIZERS))
def synthesizer(request):
    return small(request.param)


@cache
def fitted(name, seed, which=0):
    """The release of a fit that several tests look at; one of two where there is no seed."""
    assert which in (0, 1)
    return small(name).fit(people(300), SCHEMA, BUDGET, seed=seed)


@cache
def fitted_again(name):
    """The release of an object that had fitted another table, and its frame before and after."""
    synthesizer = replace(small(name))
    synthesizer.fit(people(200, seed=5), SCHEMA, BUDGET, seed=2)
    frame = people(300)
    frame.index = frame.index[::-1]
    before = frame.copy(deep=True)
    release = synthesizer.fit(frame, SCHEMA, BUDGET, seed=0)
    assert synthesizer == small(name)
    return release, before, frame


@cache
def fitted_for(name, epsilon, adjacency):
    """The release of a small table at a budget that several tests look at."""
    budget = PrivacyBudget(epsilon, 1e-6, adjacency)
    return small(name).fit(people(60), SCHEMA, budget, seed=0)


def arrays_of(model):
    return model.to_arrays().values()


def check_shape(rows, schema):
    """The right columns, and no value that the schema does not allow."""
    assert tuple(rows.columns) == schema.names
    typed = schema.in_kinds(rows)
    assert list(typed.dtypes) == list(rows.dtypes)
    assert typed.equals(rows)
    for column in schema.columns:
        numbers = column.values(rows[column.name])
        if column.type in ("integer", "real"):
            kept = numbers[~np.isnan(numbers)]
            assert ((kept >= column.lower) & (kept <= column.upper)).all()


def test_rows_have_the_columns_categories_and_kinds_of_the_schema(synthesizer):
    rows = fitted(synthesizer.name, 0).sample(200, seed=1)
    check_shape(rows, SCHEMA)
    assert len(rows) == 200
    assert rows["age"].dtype == np.int64


def test_one_seed_gives_one_result_bit_for_bit_and_another_seed_another(synthesizer):
    first, other = (fitted(synthesizer.name, seed) for seed in (0, 4))
    again, _, _ = fitted_again(synthesizer.name)  # whatever the object has fitted before
    for one, two in zip(arrays_of(first.model), arrays_of(again.model), strict=True):
        assert one.tobytes() == two.tobytes()
    assert first.model.total == again.model.total != other.model.total
    assert first.sample(50, seed=1).equals(again.sample(50, seed=1))
    assert not first.sample(50, seed=1).equals(first.sample(50, seed=2))


def test_without_a_seed_no_two_fits_and_no_two_samples_are_equal(synthesizer):
    first, second = (fitted(synthesizer.name, None, which) for which in (0, 1))
    assert first.model.total != second.model.total
    assert not first.sample(50).equals(first.sample(50))


def test_a_seeded_ledger_says_so_and_another_does_not(synthesizer):
    seeded = fitted(synthesizer.name, 0).ledger
    assert seeded.seeded
    assert "seeded: not for release" in str(seeded)
    fresh = fitted(synthesizer.name, None).ledger
    assert not fresh.seeded
    assert "seeded" not in str(fresh)


def test_the_table_is_left_as_it_was(synthesizer):
    _, before, frame = fitted_again(synthesizer.name)
    pd.testing.assert_frame_equal(frame, before)


def test_fitting_twice_is_as_fitting_once(synthesizer):
    once, (twice, _, _) = fitted(synthesizer.name, 0), fitted_again(synthesizer.name)
    assert once.sample(30, seed=0).equals(twice.sample(30, seed=0))


@pytest.mark.parametrize(
    ("epsilon", "adjacency"),
    [(0.01, "add_remove"), (1.0, "add_remove"), (1.0, "replace_one")],
)
def test_a_fit_spends_at_most_its_budget_and_at_least_99_percent(synthesizer, epsilon, adjacency):
    release = fitted_for(synthesizer.name, epsilon, adjacency)
    assert 0.99 * epsilon <= release.epsilon <= epsilon
    check_shape(release.sample(20, seed=0), SCHEMA)


def test_a_plan_takes_at_least_99_percent_of_a_large_budget_as_well(synthesizer):
    accountant = Accountant(PrivacyBudget(20.0, 1e-6))
    accountant.admit(synthesizer.name, synthesizer.charges(SCHEMA.domain))
    assert 0.99 * 20.0 <= accountant.epsilon() <= 20.0


def test_replacing_a_record_needs_noise_on_a_larger_sensitivity(synthesizer):
    moved, noise = [], []
    for adjacency in ADJACENCIES:
        ledger = fitted_for(synthesizer.name, 1.0, adjacency).ledger
        moved.append(next(e.event.sensitivity for e in ledger if isinstance(e.event, Gaussian)))
        lines = [e for e in ledger.reservations if isinstance(e.event, Gaussian)]
        noise.append({e.part: e.event.noise_multiplier for e in lines})
    assert moved[1] == pytest.approx(np.sqrt(2) * moved[0])
    for part, multiplier in noise[1].items():  # less where records need not be counted
        least = 0.8 if synthesizer.name in SAMPLED else 0.99  # shares of steps are approximate
        assert least < multiplier / noise[0][part] < 1 + 1e-9


def test_the_charged_events_are_those_of_the_plan(synthesizer):
    plan = synthesizer.charges(SCHEMA.domain)
    ledger = fitted(synthesizer.name, 0).ledger
    charged = dict.fromkeys(plan.parts, 0)
    for entry in ledger:
        charged[entry.part] += entry.count
    for name, part in plan.parts.items():
        if isinstance(part, Filtered):
            [amount] = [cost(e.event, part.currency) for e in ledger.reservations if e.part == name]
            inside = [e for e in ledger if e.part == name]
            rounds = [e for e in inside if isinstance(e.event, Round)]  # each pays for its answer
            spent = [e.count * cost(e.event, part.currency) for e in rounds or inside]
            assert 0.99 * amount <= sum(spent) <= amount
        else:
            assert charged[name] == part.count


ONE = {"name": "x", "type": "categorical", "categories": ["only"]}
MARKED = {"name": "x", "type": "integer", "lower": 0, "upper": 9, "missing": ["?"]}
TWO = [{"name": "x", "type": "ordinal", "size": 9}, {"name": "y", "type": "ordinal", "size": 2}]
TABLES = {
    "one attribute": ([{"name": "x", "type": "ordinal", "size": 3}], {"x": ["0", "1", "2"]}),
    "one attribute of one value": ([ONE], {"x": ["only"] * 5}),
    "only attributes of one value": (
        [ONE, {**ONE, "name": "y"}],
        {"x": ["only"] * 5, "y": ["only"] * 5},
    ),
    "a constant column": (TWO, {"x": ["4"] * 500, "y": ["0", "1"] * 250}),
    "all cells missing": ([MARKED, TWO[1]], {"x": ["?"] * 50, "y": ["0"] * 50}),
    "one record": (TWO, {"x": ["3"], "y": ["1"]}),
    "no record": (TWO, {"x": [], "y": []}),
    "unseen categories": ([ONE, TWO[1]], {"x": ["elsewhere"] * 9, "y": ["7", None, "x"] * 3}),
    "cells out of bounds": ([MARKED], {"x": ["-5", "1e300", "inf", "nan", "word", "3"]}),
}


EXTREMES = [(case, (1e-3, 1e3)[place % 2]) for place, case in enumerate(TABLES)]
USUAL = [(case, 1.0) for case in ("one record", "no record", "a constant column")]


@pytest.mark.parametrize(("case", "epsilon"), [*EXTREMES, *USUAL])
def test_no_content_of_a_table_stops_a_fit(synthesizer, case, epsilon):
    columns, cells = TABLES[case]
    schema = Schema.from_dict({"name": "t", "columns": columns})
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in cells.items()})
    release = synthesizer.fit(frame, schema, PrivacyBudget(epsilon, 1e-6), seed=0)
    assert release.epsilon <= epsilon
    for records in (0, 1, 40):
        rows = release.sample(records, seed=0)
        check_shape(rows, schema)
        assert len(rows) == records
    assert 0.5 <= release.largest_auc() <= 1


def test_measured_marginals_become_exact_as_epsilon_grows(synthesizer):
    if synthesizer.name == "dpgan":
        pytest.skip("the plain baseline is not held to what was measured")
    schema = SCHEMA.select(["job", "rank", "one"])
    frame = people(20_000)
    codes = schema.encode(frame)
    worst = []
    for epsilon in (0.01, 1e3):
        release = synthesizer.fit(frame, schema, PrivacyBudget(epsilon, 1e-6), seed=0)
        assert 0.99 * epsilon <= release.epsilon <= epsilon
        model = release.model
        gaps = []
        for clique in filter(None, measured(release.transcript)):
            exact = np.zeros(schema.domain.shape(clique))
            np.add.at(exact, tuple(codes[:, schema.domain.axis(a)] for a in clique), 1)
            gaps.append(np.abs(model.marginal(clique) - exact).sum() / 20_000)
        worst.append(max(gaps))
    assert worst[0] > 10 * worst[1]
    assert worst[1] < 1e-3


RULES = [
    {"impossible": {"age": {"below": 15}, "job": ["a", "b"]}},
    {"impossible": {"job": ["never"], "wage": {"from": 0}}},
]


def test_no_row_breaks_a_constraint_or_the_method_refuses_it_up_front(synthesizer):
    schema = Schema.from_dict({**SCHEMA.to_dict(), "constraints": RULES})
    if synthesizer.name in SMALL:
        with pytest.raises(InputError, match="constraints"):
            synthesizer.fit(people(300), schema, BUDGET, seed=0)
        return
    release = synthesizer.fit(people(500), schema, BUDGET, seed=0)
    rows = release.sample(3_000, seed=1)
    assert not ((rows["age"] < 15) & (rows["job"] != "never")).any()
    assert not ((rows["job"] == "never") & (rows["wage"].notna())).any()


def test_the_default_number_of_rows_is_the_noisy_total(synthesizer):
    totals = set()
    for seed in (0, 4, None):
        release = fitted(synthesizer.name, seed)
        assert len(release.sample(seed=0)) == round(release.model.total)
        totals.add(release.model.total)
    assert len(totals) == 3
    assert 300 not in totals


def test_nothing_is_read_when_the_budget_refuses(synthesizer, monkeypatch):
    made = []
    before = PrivateTable.__init__

    def remember(table, *arguments, **options):
        made.append(table)
        before(table, *arguments, **options)

    def refuse(*_arguments, **_options):
        raise BudgetExceeded("nothing was released")

    monkeypatch.setattr(PrivateTable, "__init__", remember)
    monkeypatch.setattr("dp_synth.accounting.plan.Reservation.charge", refuse)
    with pytest.raises(BudgetExceeded):
        synthesizer.fit(people(50), SCHEMA, BUDGET, seed=0)
    assert {table.reads for table in made} == {0}


def test_a_second_fit_on_one_accountant_is_refused(synthesizer):
    accountant = Accountant(BUDGET)
    synthesizer.fit(people(50), SCHEMA, accountant, seed=0)
    charged = len(accountant.ledger)
    with pytest.raises(BudgetExceeded, match="nothing was released"):
        synthesizer.fit(people(50), SCHEMA, accountant, seed=0)
    assert len(accountant.ledger) == charged


def test_an_identifier_is_refused_with_advice(synthesizer):
    schema = Schema.from_dict(
        {"name": "t", "columns": [{"name": "key", "type": "id"}, TWO[0], TWO[1]]}
    )
    frame = pd.DataFrame({"key": ["secret"], "x": ["1"], "y": ["1"]})
    with pytest.raises(SchemaError, match="--drop 'key'") as raised:
        synthesizer.fit(frame, schema, BUDGET, seed=0)
    assert "secret" not in str(raised.value)


def test_a_column_that_the_table_lacks_is_a_schema_error_that_charges_nothing(synthesizer):
    accountant = Accountant(BUDGET)
    with pytest.raises(SchemaError, match="'wage'"):
        synthesizer.fit(people(5).drop(columns="wage"), SCHEMA, accountant, seed=0)
    assert len(accountant.ledger) == 0
    synthesizer.check_budget(SCHEMA, accountant, seed=0)  # the budget is still whole
