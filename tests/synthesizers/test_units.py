"""Units of several records: so many are used, and one unit moves nothing by more."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from dp_synth.accounting import ADJACENCIES, Accountant, PrivacyBudget, compose
from dp_synth.accounting.events import Gaussian
from dp_synth.errors import SchemaError
from dp_synth.mechanisms import l1_distance_sensitivity, marginal_sensitivity
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST, Independent
from dp_synth.synthesizers.reading import keep_rows_of_units

SCHEMA = Schema.from_dict(
    {
        "name": "visits",
        "columns": [
            {"name": "ward", "type": "categorical", "categories": ["a", "b", "c"]},
            {"name": "night", "type": "categorical", "categories": ["no", "yes"]},
        ],
    }
)


def _budget(max_rows: int, epsilon: float = 1.0) -> PrivacyBudget:
    return PrivacyBudget(epsilon, 1e-6, unit="patient", max_rows=max_rows)


def _visits(rng: np.random.Generator, units: int = 12) -> pd.DataFrame:
    patients = np.repeat(np.arange(units), rng.integers(1, 9, units)).astype(str)
    count = len(patients)
    return pd.DataFrame(
        {
            "patient": rng.permutation(patients),
            "ward": rng.choice(["a", "b", "c"], count),
            "night": rng.choice(["no", "yes"], count),
        }
    )


@pytest.mark.parametrize("seed", range(50))
def test_of_each_unit_so_many_records_are_kept_and_no_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame, most = _visits(rng), int(rng.integers(1, 6))
    kept = keep_rows_of_units(frame, _budget(most), rng)
    before, after = Counter(frame["patient"]), Counter(kept["patient"])
    assert after == {unit: min(count, most) for unit, count in before.items()}
    assert kept.index.is_monotonic_increasing
    assert kept.equals(frame.loc[kept.index])


def test_each_record_of_a_unit_is_as_likely_to_be_kept_whoever_else_is_there() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"patient": ["x", "y", "x", "z", "x", "y", "x"]})
    draws = 1500
    for table in (frame, frame[frame["patient"] != "y"]):
        found = [keep_rows_of_units(table, _budget(2), rng) for _ in range(draws)]
        pairs = Counter(tuple(kept.index[kept["patient"] == "x"]) for kept in found)
        assert len(pairs) == 6  # every two of its four records
        assert chisquare(list(pairs.values())).pvalue > 1e-6


def test_one_unit_more_changes_no_record_of_those_that_have_few() -> None:
    rng = np.random.default_rng(1)
    frame = _visits(rng)
    for unit in frame["patient"].unique():
        without = frame[frame["patient"] != unit]
        for most in (8, 20):
            one, other = (keep_rows_of_units(t, _budget(most), rng) for t in (frame, without))
            assert one[one["patient"] != unit].equals(other)


def test_one_unit_more_or_less_moves_the_marginals_by_at_most_their_sensitivity() -> None:
    rng, largest = np.random.default_rng(2), 0.0
    for _ in range(60):
        frame = _visits(rng)
        frame.loc[frame["patient"] == "0", "ward"] = "a"  # all of one unit in one cell
        without, most = frame[frame["patient"] != "0"], int(rng.integers(1, 4))
        few = frame.groupby("patient").head(most)  # so that nobody else is cut at random
        one, other = (
            SCHEMA.encode(keep_rows_of_units(t, _budget(most), rng))
            for t in (few, few.loc[few.index.intersection(without.index)])
        )
        counts = [np.bincount(codes[:, 0], minlength=3) for codes in (one, other)]
        moved = counts[0] - counts[1]
        assert np.linalg.norm(moved) <= marginal_sensitivity("add_remove", most)
        assert np.abs(moved).sum() <= l1_distance_sensitivity("add_remove", most)
        largest = max(largest, float(np.linalg.norm(moved)) / most)
    assert largest == 1


def test_records_without_a_unit_are_those_of_one() -> None:
    frame = pd.DataFrame({"patient": ["x", None, None, None, "y"], "ward": list("abcab")})
    kept = keep_rows_of_units(frame, _budget(2), np.random.default_rng(0))
    assert kept["patient"].isna().sum() == 2
    assert len(kept) == 4


@pytest.mark.parametrize("adjacency", ADJACENCIES)
@pytest.mark.parametrize("max_rows", [1, 4])
def test_noise_grows_with_the_records_of_a_unit_and_is_charged_as_before(
    adjacency: str, max_rows: int
) -> None:
    budget = PrivacyBudget(1.0, 1e-6, adjacency, "patient", max_rows)  # type: ignore[arg-type]
    release = Independent().fit(_visits(np.random.default_rng(3)), SCHEMA, budget, seed=0)
    [entry] = release.ledger
    assert isinstance(entry.event, Gaussian)
    visits, schema = _visits(np.random.default_rng(3)), SCHEMA
    if max_rows > 1:  # beside the columns stands that of how many records a unit has
        visits = visits.assign(rows="1")
        more = {"name": "rows", "type": "categorical", "categories": ["1"]}
        fields = SCHEMA.to_dict()
        schema = Schema.from_dict({**fields, "columns": [*fields["columns"], more]})  # type: ignore[misc]
    alone = Independent().fit(visits, schema, PrivacyBudget(1.0, 1e-6), seed=0)
    single = alone.ledger.charges[0].event
    assert isinstance(single, Gaussian)
    assert entry.event.noise_multiplier == single.noise_multiplier
    expected = single.noise_multiplier * marginal_sensitivity(budget.adjacency, max_rows)
    assert entry.event.stddev == pytest.approx(expected)
    assert 0.999 <= release.epsilon <= 1.0


def test_the_whole_group_is_protected_as_the_ledger_says() -> None:
    for max_rows in (2, 5):
        ledger = (
            Independent()
            .fit(_visits(np.random.default_rng(4)), SCHEMA, _budget(max_rows), seed=0)
            .ledger
        )
        group = [  # all of a unit's records in one cell: its mean moves by max_rows
            (Gaussian(entry.event.stddev / max_rows, 1.0), entry.count)
            for entry in ledger
            if isinstance(entry.event, Gaussian)
        ]
        assert compose(group).epsilon(1e-6) == pytest.approx(ledger.epsilon, rel=1e-9)
        assert compose(group).epsilon(1e-6) <= 1.0


def test_the_statement_and_the_table_name_the_unit() -> None:
    accountant = Accountant(_budget(3))
    Independent().fit(_visits(np.random.default_rng(5)), SCHEMA, accountant, seed=0)
    said = accountant.ledger.statement()
    assert "adding or removing all records of one patient (at most 3 of them used)" in said
    assert "all records of one patient, at most 3 of them used, added" in str(accountant.ledger)
    record = Independent().fit(
        _visits(np.random.default_rng(5)), SCHEMA, PrivacyBudget(1.0, 1e-6), seed=0
    )
    assert "adding or removing one record, certified" in record.ledger.statement()


def test_a_table_without_the_units_column_is_refused_and_costs_nothing() -> None:
    accountant = Accountant(_budget(3))
    frame = _visits(np.random.default_rng(6)).drop(columns="patient")
    with pytest.raises(SchemaError, match="lacks column 'patient', which names the unit"):
        MST().fit(frame, SCHEMA, accountant)
    assert accountant.ledger.entries == ()


@pytest.mark.parametrize("records", [0, 1])
def test_hardly_any_records_are_fitted_like_many(records: int) -> None:
    frame = _visits(np.random.default_rng(7)).head(records)
    release = MST().fit(frame, SCHEMA, _budget(3), seed=0)
    assert len(release.sample(5, seed=0)) == 5
