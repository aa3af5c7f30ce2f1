"""Two tables: no unit adds more than its bound to either, and rows of both fit together."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.errors import BudgetExceeded, InputError, ReleaseError, SchemaError
from dp_synth.mechanisms import l1_distance_sensitivity, marginal_sensitivity
from dp_synth.relational import TablesRelease, TablesSchema, fit_tables
from dp_synth.relational.fitting import CHILDREN, ROOTS, Joined
from dp_synth.relational.schema import NUMBER
from dp_synth.synthesizers import DPCTGAN, MST

MOST = 4
CONTENT = {
    "tables": {
        "homes": {
            "name": "homes",
            "bounds_from": "made",
            "columns": [
                {"name": "home", "type": "id"},
                {"name": "place", "type": "categorical", "categories": ["town", "land"]},
            ],
        },
        "people": {
            "name": "people",
            "bounds_from": "made",
            "columns": [
                {"name": "of", "type": "id"},
                {"name": "job", "type": "categorical", "categories": ["a", "b", "c"]},
                {"name": "age", "type": "integer", "lower": 0, "upper": 99, "bins": 10},
            ],
        },
    },
    "foreign_key": {"table": "people", "column": "of", "references": "homes", "key": "home"},
    "max_children": MOST,
}
SCHEMA = TablesSchema.from_dict(CONTENT)
BUDGET = PrivacyBudget(2.0, 1e-6)


def _tables(homes: int, seed: int, most: int = MOST) -> dict[str, pd.DataFrame]:
    """Return homes and people; those of one home have one job, which follows the place."""
    rng = np.random.default_rng(seed)
    place = rng.choice(["town", "land"], homes, p=[0.7, 0.3])
    sizes = rng.integers(0, most + 1, homes)
    job = np.where(place == "town", rng.choice(["a", "b"], homes), "c")
    owner = np.repeat(np.arange(homes), sizes)
    people = pd.DataFrame(
        {"of": owner, "job": job[owner], "age": rng.integers(0, 100, len(owner))}
    ).sample(frac=1, random_state=seed, ignore_index=True)
    return {"homes": pd.DataFrame({"home": np.arange(homes), "place": place}), "people": people}


def _counts(tables: dict[str, pd.DataFrame], seed: int) -> dict[str, object]:
    joined = Joined.of(tables, SCHEMA, np.random.default_rng(seed))
    return {name: joined.weighted(name)[1] for name in (ROOTS, CHILDREN)}


@pytest.mark.parametrize("adjacency", ["add_remove", "replace_one"])
def test_a_root_with_all_its_children_moves_no_marginal_by_more_than_its_bound(
    adjacency: str,
) -> None:
    rng, largest = np.random.default_rng(0), dict.fromkeys((ROOTS, CHILDREN), 0.0)
    for turn in range(40):
        tables = _tables(12, turn, most=1)  # others have a child alone: no order is at random
        units = [_tables(1, 1000 + turn), _tables(1, 2000 + turn)]
        if turn % 4 == 0:  # children that are all alike
            units[0]["people"] = pd.DataFrame({"of": [0] * (turn % 5), "job": "a", "age": 5})
        for unit in units:
            unit["homes"]["home"], unit["people"]["of"] = 99, 99
        here = {n: pd.concat([tables[n], units[0][n]], ignore_index=True) for n in tables}
        there = tables
        if adjacency == "replace_one":
            there = {n: pd.concat([tables[n], units[1][n]], ignore_index=True) for n in tables}
        own = int(rng.integers(2**31))
        one, other = _counts(here, own), _counts(there, own)
        for name in (ROOTS, CHILDREN):
            domain = one[name].domain  # type: ignore[attr-defined]
            for clique in [(a,) for a in domain] + list(combinations(domain, 2)):
                moved = one[name].marginal(clique) - other[name].marginal(clique)  # type: ignore[attr-defined]
                assert np.linalg.norm(moved) <= marginal_sensitivity(adjacency, MOST) + 1e-9  # type: ignore[arg-type]
                assert np.abs(moved).sum() <= l1_distance_sensitivity(adjacency, MOST)  # type: ignore[arg-type]
                largest[name] = max(largest[name], float(np.linalg.norm(moved)))
    assert min(largest.values()) >= 0.99 * marginal_sensitivity(adjacency, MOST)  # type: ignore[arg-type]


def test_rows_of_both_tables_fit_together_and_are_as_many_as_there_were() -> None:
    real = _tables(3000, 1)
    release = fit_tables(real, SCHEMA, BUDGET, seed=0)
    assert release.epsilon <= BUDGET.epsilon
    assert {entry.part for entry in release.ledger.charges}
    assert release.ledger.budget.unit == "home"
    assert release.ledger.budget.max_rows == MOST
    made = release.sample(3000, seed=0)
    homes, people = made["homes"], made["people"]
    assert list(homes.columns) == ["home", "place"]
    assert list(people.columns) == ["of", "job", "age"]
    assert homes["home"].is_unique
    assert people["of"].isin(homes["home"]).all()
    assert people["of"].value_counts().max() <= MOST
    assert len(people) == pytest.approx(len(real["people"]), rel=0.1)
    assert release.children.model.total == pytest.approx(len(real["people"]), rel=0.1)
    assert len(release.sample(seed=0)["homes"]) == pytest.approx(3000, rel=0.1)


def test_what_joins_the_tables_and_siblings_is_kept() -> None:
    release = fit_tables(_tables(4000, 2), SCHEMA, PrivacyBudget(8.0, 1e-6), seed=0)
    made = release.sample(4000, seed=0)
    both = made["people"].merge(made["homes"], left_on="of", right_on="home")
    on_land = both["place"].eq("land")
    assert both.loc[on_land, "job"].eq("c").mean() > 0.9
    assert both.loc[~on_land, "job"].eq("c").mean() < 0.1
    town = both[~on_land]
    jobs = town.groupby("of")["job"].nunique()[town["of"].value_counts().gt(1)]
    assert jobs.eq(1).mean() > 0.8  # a third were they drawn apart, for two and more


def test_what_has_no_root_or_is_beyond_the_bound_is_left_out_and_counted() -> None:
    tables = _tables(30, 3)
    lone = pd.DataFrame({"of": [500, 501], "job": "a", "age": 1})
    many = pd.DataFrame({"of": [700] * 9, "job": "b", "age": 2})
    more = pd.DataFrame({"home": [700, 700], "place": ["town", "land"]})
    tables["people"] = pd.concat([tables["people"], lone, many], ignore_index=True)
    tables["homes"] = pd.concat([tables["homes"], more], ignore_index=True)
    joined = Joined.of(tables, SCHEMA, np.random.default_rng(0))
    found = joined.dropped
    assert (found.without_root, found.beyond_most, found.repeated_roots) == (2, 5, 1)
    assert len(joined.roots) == 31
    assert len(joined.children) == len(tables["people"]) - 7
    numbers = joined.children[:, SCHEMA.children.domain.axis(NUMBER)]
    assert numbers.max() == MOST - 1


def test_one_absent_key_changes_nobody_elses() -> None:
    tables = _tables(40, 7)
    people = tables["people"]
    absent = pd.DataFrame({"of": [None], "job": "a", "age": 1})
    more = {**tables, "people": pd.concat([people, absent.astype({"of": float})])}
    assert more["people"]["of"].dtype == float
    one, other = (Joined.of(each, SCHEMA, np.random.default_rng(0)) for each in (tables, more))
    assert other.dropped.without_root == one.dropped.without_root + 1
    assert len(one.children) == len(other.children)
    np.testing.assert_array_equal(one.roots, other.roots)


def test_an_accountant_keeps_the_ledger(tmp_path: Path) -> None:
    own = PrivacyBudget(1.0, 1e-6, unit="home", max_rows=MOST)
    accountant = Accountant(own, ledger=tmp_path / "two.ledger")
    fit_tables(_tables(50, 8), SCHEMA, accountant, synthesizer=MST(), seed=0)
    assert (tmp_path / "two.ledger").exists()
    with pytest.raises(BudgetExceeded):
        fit_tables(_tables(50, 8), SCHEMA, accountant, synthesizer=MST(), seed=0)
    with pytest.raises(InputError, match="the unit of two tables is the root's key"):
        fit_tables({}, SCHEMA, Accountant(BUDGET))


def test_tables_without_a_child_or_without_a_row_are_fitted() -> None:
    tables = _tables(50, 4)
    none = {name: frame[:0] for name, frame in tables.items()}
    for one in ({**tables, "people": tables["people"][:0]}, none):
        made = fit_tables(one, SCHEMA, BUDGET, seed=0).sample(20, seed=0)
        assert len(made["homes"]) == 20


def test_a_release_is_kept_and_read_again(tmp_path: Path) -> None:
    release = fit_tables(_tables(300, 5), SCHEMA, BUDGET, synthesizer=MST(), seed=0)
    release.save(tmp_path / "two")
    again = TablesRelease.load(tmp_path / "two")
    for name, rows in release.sample(50, seed=1).items():
        assert again.sample(50, seed=1)[name].equals(rows)
    assert again.schema == SCHEMA
    with pytest.raises(InputError, match="is there already"):
        release.save(tmp_path / "two")
    with pytest.raises(ReleaseError, match="cannot be read"):
        TablesRelease.load(tmp_path / "none")
    release.children.save(tmp_path / "two" / "roots.npz")
    with pytest.raises(ReleaseError, match="its releases are not of its schema"):
        TablesRelease.load(tmp_path / "two")


def test_a_schema_is_kept_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "two.json").write_text(json.dumps(SCHEMA.to_dict()))
    assert TablesSchema.load(tmp_path / "two.json") == SCHEMA


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max_children": 0}, "max_children must be from 1 to 1,000, got 0"),
        ({"max_children": None}, "max_children"),
        ({"foreign_key": {**CONTENT["foreign_key"], "column": "job"}}, "'job' must be one of type"),  # type: ignore[dict-item]
        ({"foreign_key": {**CONTENT["foreign_key"], "key": "no"}}, "'no' must be one of type 'id'"),  # type: ignore[dict-item]
        ({"foreign_key": {**CONTENT["foreign_key"], "references": "cars"}}, "must be the two of"),  # type: ignore[dict-item]
        ({"foreign_key": {"table": "people"}}, "column"),
    ],
)
def test_a_schema_that_is_not_right_is_one_line(change: dict, said: str) -> None:
    with pytest.raises(SchemaError, match=said) as raised:
        TablesSchema.from_dict({**CONTENT, **change})
    assert "\n" not in str(raised.value)


def test_what_cannot_be_fitted_is_refused_before_anything_is_read() -> None:
    tables = _tables(10, 6)
    with pytest.raises(InputError, match="the tables must be"):
        fit_tables({"homes": tables["homes"]}, SCHEMA, BUDGET)
    with pytest.raises(SchemaError, match="table 'people': lacks column 'of'"):
        fit_tables({**tables, "people": tables["people"].drop(columns="of")}, SCHEMA, BUDGET)
    with pytest.raises(InputError, match="dpctgan does not fit two tables"):
        fit_tables({}, SCHEMA, BUDGET, synthesizer=DPCTGAN())
    with pytest.raises(InputError, match="the unit of two tables is the root's key 'home'"):
        fit_tables({}, SCHEMA, PrivacyBudget(1, 1e-6, unit="person", max_rows=2))
    with pytest.raises(InputError, match="share of the children must lie in"):
        fit_tables({}, SCHEMA, BUDGET, share=1.0)
    with pytest.raises((InputError, BudgetExceeded)):
        fit_tables({}, SCHEMA, PrivacyBudget(1e-9, 1e-12))
    with pytest.raises(InputError, match="whole number from 0"):
        fit_tables(tables, SCHEMA, BUDGET, seed=0).sample(-1)
