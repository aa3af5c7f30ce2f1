import numpy as np
import pandas as pd
import pytest
from made_comparisons import compare, kinds, number, schema_of

from dp_synth.metrics.consistency import consistency, dependencies

SCHEMA = schema_of(
    {
        "age": number(0, 99),
        "pay": {"type": "real", "lower": 0, "upper": 1, "missing": ["none"]},
        "day": {"type": "datetime", "lower": "2000-01-01", "upper": "2000-12-31"},
        "job": kinds("a", "b", missing=["?"]),
        "town": kinds("here", open=True),
    },
    constraints=[{"impossible": {"age": {"below": 15}, "job": ["b"]}}],
)
GOOD = {"age": 40, "pay": "0.5", "day": "2000-05-05", "job": "a", "town": "here"}


def table(*changes):
    return pd.DataFrame([GOOD | change for change in changes], dtype=object)


def shares(*changes):
    found = consistency(compare(SCHEMA, table({}), table(*changes)))
    return {name.partition(":")[2]: estimate.value for name, estimate in found.items()}


def test_what_a_schema_allows_breaks_nothing():
    good = shares(
        {},
        {"age": 0},
        {"age": "99"},
        {"pay": "none"},
        {"pay": 1},
        {"day": "2000-12-31"},
        {"job": "?"},
        {"town": "elsewhere"},
        {"age": 14, "job": "?"},
    )
    assert set(good.values()) == {0.0}
    assert set(good) == {"", "bounds", "categories", "constraints"}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"age": -1}, "bounds"),
        ({"age": 100}, "bounds"),
        ({"age": 40.5}, "bounds"),
        ({"age": "many"}, "bounds"),
        ({"age": None}, "bounds"),
        ({"pay": 1.5}, "bounds"),
        ({"pay": "unknown"}, "bounds"),
        ({"day": "2001-01-01"}, "bounds"),
        ({"day": "someday"}, "bounds"),
        ({"job": "c"}, "categories"),
        ({"town": None}, "categories"),
        ({"age": 14, "job": "b"}, "constraints"),
    ],
)
def test_each_fault_is_counted_under_its_kind(change, kind):
    found = shares({}, {}, {}, change)
    assert {name for name, value in found.items() if value} == {"", kind}
    assert found[kind] == found[""] == 0.25


def test_a_record_with_two_faults_counts_once():
    found = shares({}, {"age": 200, "job": "c"})
    assert found == {"": 0.5, "bounds": 0.5, "categories": 0.5, "constraints": 0.0}


def test_an_absent_cell_is_a_missing_mark_where_the_column_has_one():
    assert shares({"pay": None}, {"job": np.nan})[""] == 0


DEPENDENT = schema_of({"town": kinds("a", "b", "c"), "state": number(0, 5), "age": number()})


def towns(rows, seed, broken=0):
    rng = np.random.default_rng(seed)
    town = rng.choice(["a", "b", "c"], rows)
    state = np.array(["abc".index(name) // 2 for name in town])
    state[:broken] = 5
    return pd.DataFrame({"town": town, "state": state, "age": rng.integers(0, 101, rows)})


def test_a_column_that_gives_another_is_found_and_its_breaches_are_counted():
    compared = compare(DEPENDENT, towns(300, 0), towns(200, 1, broken=30), towns(100, 2))
    (found,) = dependencies(compared.real)
    assert (found.of, found.to) == ("town", "state")
    share = consistency(compared)["consistency:dependencies"]
    assert share.value == 30 / 200
    assert 0.09 < share.low < 0.15 < share.high < 0.22


def test_a_cell_that_no_real_record_holds_gives_nothing():
    real = towns(300, 0)
    compared = compare(DEPENDENT, real[real["town"] != "b"], real)
    (found,) = (one for one in dependencies(compared.real) if one.of == "town")
    assert set(found.gives) == {"a", "c"}
    assert not found.broken(real, DEPENDENT).any()


@pytest.mark.parametrize("part", ["train", "holdout"])
def test_one_real_exception_is_enough_against_a_dependency(part):
    tables = {"train": towns(300, 0), "holdout": towns(100, 2)}
    tables[part].loc[0, "state"] = 5
    compared = compare(DEPENDENT, tables["train"], towns(200, 1), tables["holdout"])
    assert dependencies(compared.real) == ()


def test_what_chance_could_have_made_is_no_dependency():
    # Cells that stand once each, or another column that is nearly constant, show nothing.
    few = pd.DataFrame({"town": ["a"], "state": [0], "age": [1]})
    lone = pd.DataFrame({"town": ["a"] * 90, "state": [1] * 90, "age": range(90)})
    lone.loc[0, "town"] = "b"
    keys = pd.DataFrame({"town": ["a", "b"] * 45, "state": [0, 1, 2] * 30, "age": range(90)})
    for train in (few, lone, keys):
        holdout = train.head(0)
        assert dependencies(compare(DEPENDENT, train, few, holdout).real) == ()


def test_independent_columns_have_no_dependency():
    schema = schema_of({f"c{i}": kinds("x", "y", "z") for i in range(8)})
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"c{i}": rng.choice(["x", "y", "z"], 60) for i in range(8)})
    assert dependencies(compare(schema, frame, frame).real) == ()


def test_no_synthetic_record_breaks_nothing_and_shows_nothing():
    found = consistency(compare(SCHEMA, table({}), table({}).head(0)))["consistency"]
    assert (found.value, found.low, found.high) == (0.0, 0.0, 1.0)
