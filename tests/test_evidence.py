"""Rows that are as given: exactly so, the rest as the model has it, and balanced where asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dp_synth.accounting import PrivacyBudget
from dp_synth.errors import InputError
from dp_synth.release import Release
from dp_synth.sampling import read_given, read_given_rows
from dp_synth.schema import Schema
from dp_synth.synthesizers import MST

SCHEMA = Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 59, "bins": 6},
            {"name": "sex", "type": "categorical", "categories": ["F", "M"]},
            {
                "name": "wage",
                "type": "real",
                "lower": 0,
                "upper": 100,
                "bins": [0, 0, 10, 50, 100],
                "decimals": 2,
                "missing": ["?"],
            },
            {
                "name": "born",
                "type": "datetime",
                "lower": "1950-01-01",
                "upper": "1999-12-31",
                "bins": 5,
            },
            {"name": "rank", "type": "ordinal", "size": 3, "missing": ["", "9"]},
        ],
    }
)


@pytest.fixture(scope="module")
def release() -> Release:
    rng, count = np.random.default_rng(0), 2_000
    age = rng.integers(0, 60, count)
    wage = np.where(rng.random(count) < 0.3, 0.0, np.round(age * rng.random(count), 2))
    frame = pd.DataFrame(
        {
            "age": age,
            "sex": np.where(rng.random(count) < age / 60, "F", "M"),
            "wage": np.where(rng.random(count) < 0.1, "?", wage.astype(str)),
            "born": (np.datetime64("1999-01-01") - age * np.timedelta64(290, "D")).astype(str),
            "rank": rng.choice(["0", "1", "2", ""], count),
        }
    )
    return MST().fit(frame, SCHEMA, PrivacyBudget(3.0, 1e-6), seed=0)


@pytest.mark.parametrize(
    ("given", "meets"),
    [
        ({"age": 40}, lambda rows: rows["age"] == 40),
        ({"age": "40"}, lambda rows: rows["age"] == 40),
        ({"age": [3, 41, 42]}, lambda rows: rows["age"].isin([3, 41, 42])),
        ({"age": (15, 33)}, lambda rows: rows["age"].between(15, 33)),
        ({"age": (7, 7)}, lambda rows: rows["age"] == 7),
        ({"age": (-50, 3.5)}, lambda rows: rows["age"] <= 3),
        ({"sex": "F", "age": (20, 59)}, lambda rows: (rows["sex"] == "F") & (rows["age"] >= 20)),
        ({"wage": 0}, lambda rows: rows["wage"] == 0),
        ({"wage": 12.34}, lambda rows: rows["wage"] == 12.34),
        ({"wage": (0.5, 20)}, lambda rows: rows["wage"].between(0.5, 20)),
        ({"wage": "?"}, lambda rows: rows["wage"] == "?"),
        ({"wage": [None, 3.25]}, lambda rows: rows["wage"].isin(["?", 3.25])),
        ({"born": "1970-05-06"}, lambda rows: rows["born"] == "1970-05-06"),
        (
            {"born": ("1970-05-06", "1981-01-01")},
            lambda rows: rows["born"].between("1970-05-06", "1981-01-01"),
        ),
        ({"rank": 2}, lambda rows: rows["rank"] == "2"),
        ({"rank": ["0", "9"]}, lambda rows: rows["rank"].isin(["0", "9"])),
        ({"rank": None}, lambda rows: rows["rank"] == ""),
    ],
)
def test_all_rows_are_as_given(release, given, meets) -> None:
    rows = release.sample(300, seed=1, given=given, kinds="written")
    assert len(rows) == 300
    assert meets(rows).all()
    assert list(rows.dtypes) == list(release.sample(3, seed=0, kinds="written").dtypes)


def test_nothing_given_is_as_before(release) -> None:
    assert release.sample(50, seed=3, given={}).equals(release.sample(50, seed=3))


def test_ranges_take_cells_in_proportion_to_the_part_that_lies_within(release) -> None:
    (age,) = read_given(SCHEMA, {"age": (15, 33)})
    assert age.weights.tolist() == [0, 0.5, 1, 0.4, 0, 0]
    (wage,) = read_given(SCHEMA, {"wage": (0, 20)})
    assert wage.weights == pytest.approx([1, 1, 0.25, 0, 0])
    (born,) = read_given(SCHEMA, {"born": ("1950-01-01", "1999-12-31")})
    assert born.weights.tolist() == [1] * 5
    counts = release.model.marginal(("age",))
    rows = release.sample(20_000, seed=1, given={"age": (15, 33)})
    expected = counts * age.weights / (counts @ age.weights)
    shares = np.bincount(rows["age"] // 10, minlength=6) / len(rows)
    assert np.abs(shares - expected).max() < 1e-3  # stratified: off by rounding alone
    within = np.bincount(rows["age"], minlength=60)[20:30] / (rows["age"] // 10 == 2).sum()
    assert np.abs(within - 0.1).max() < 0.03  # uniform inside a cell: 5 of its deviations


def test_several_values_of_one_cell_come_equally_often(release) -> None:
    rows = release.sample(4_000, seed=0, given={"age": [41, 44]})
    assert abs((rows["age"] == 41).mean() - 0.5) < 5 * 0.5 / np.sqrt(4_000)


def test_the_rest_follows_as_the_model_has_it(release) -> None:
    pair = release.model.marginal(("age", "sex"))
    rows = release.sample(10_000, seed=2, given={"age": (50, 59)})
    share = pair[5, 0] / pair[5].sum()
    assert abs((rows["sex"] == "F").mean() - share) < 1e-3


def test_without_a_number_there_are_as_many_rows_as_the_model_expects(release) -> None:
    expected = release.model.marginal(("sex",))[0]
    assert len(release.sample(seed=0, given={"sex": "F"})) == round(expected)


def test_balanced_rows_have_each_value_that_can_occur_equally_often(release) -> None:
    rows = release.sample(1_001, seed=1, balance="sex")
    assert sorted(rows["sex"].value_counts()) == [500, 501]
    assert (rows["sex"].iloc[:500] == "F").sum() not in (0, 500)  # in random order
    pair = release.model.marginal(("age", "sex"))
    women = release.sample(20_000, seed=1, balance="sex").query("sex == 'F'")
    shares = np.bincount(women["age"] // 10, minlength=6) / len(women)
    assert np.abs(shares - pair[:, 0] / pair[:, 0].sum()).max() < 1e-3


def test_a_balance_keeps_to_what_is_given(release) -> None:
    rows = release.sample(90, seed=1, given={"rank": ["0", "1", "2"], "sex": "M"}, balance="rank")
    assert rows["rank"].value_counts().to_dict() == {"0": 30, "1": 30, "2": 30}
    assert set(rows["sex"]) == {"M"}
    cells = release.sample(600, seed=1, balance="age")["age"] // 10
    assert cells.value_counts().to_dict() == dict.fromkeys(range(6), 100)
    assert len(release.sample(0, balance="sex")) == 0
    assert len(release.sample(1, balance="rank")) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"income": "x"}, "no column 'income'; there are: age, sex"),
        ({"sex": "X"}, "column 'sex' has no category 'X'; there are: F, M"),
        ({"sex": ("F", "M")}, "column 'sex' has no ranges"),
        ({"sex": []}, "an empty list leaves no record"),
        ({"sex": None}, "column 'sex' has no missing values"),
        ({"age": 60}, "column 'age': takes a number from 0 to 59, got 60"),
        ({"age": 3.5}, "column 'age': holds whole numbers, got 3.5"),
        ({"age": "old"}, "takes a number from 0 to 59, got 'old'"),
        ({"age": True}, "takes a number from 0 to 59, got True"),
        ({"age": (30, 20)}, "must rise and meet its bounds"),
        ({"age": (70, 80)}, "must rise and meet its bounds"),
        ({"age": (3.2, 3.8)}, "holds whole numbers, and none is in that range"),
        ({"age": (3, None)}, "a range is a pair"),
        ({"age": (1, 2, 3)}, "a range is a pair"),
        ({"wage": "none"}, r"or a missing mark \('\?'\), got 'none'"),
        ({"born": "yesterday"}, "column 'born': takes a date from 1950-01-01 to 1999-12-31"),
    ],
)
def test_what_no_row_can_be_is_refused_in_one_line(release, given, said) -> None:
    with pytest.raises(InputError, match=said) as raised:
        release.sample(10, given=given)
    assert "\n" not in str(raised.value)


def test_what_has_probability_zero_and_an_unknown_balance_are_refused() -> None:
    schema = Schema.from_dict(
        {
            "name": "zeros",
            "columns": [
                {"name": "a", "type": "categorical", "categories": ["x", "y"]},
                {"name": "b", "type": "categorical", "categories": ["x", "y"]},
            ],
        }
    )
    frame = pd.DataFrame({"a": ["x"] * 5_000, "b": ["x", "y"] * 2_500})
    release = MST().fit(frame, schema, PrivacyBudget(1.0, 1e-6), seed=0)
    model = release.model.conditioned({"a": np.array([1.0, 0.0])})
    certain = Release("mst", {}, schema, model, release.ledger)
    with pytest.raises(InputError, match="no record of the release can have what is given of 'a'"):
        certain.sample(10, given={"a": "y"})
    assert certain.sample(9, seed=0, balance="a")["a"].tolist() == ["x"] * 9
    with pytest.raises(InputError, match="no column 'c'"):
        certain.sample(9, balance="c")


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [
        ({"type": "integer", "lower": 0, "upper": 100, "format": {"suffix": "%"}}, 45, 45),
        (
            {
                "type": "datetime",
                "lower": "1980-01-01",
                "upper": "1989-12-31",
                "format": "%d/%m/%Y",
            },
            "1985-06-05",
            "05/06/1985",
        ),
        (
            {"type": "datetime", "lower": "00:00", "upper": "23:59", "format": "%H:%M"},
            "9:27",
            "09:27",
        ),
    ],
)
def test_a_range_of_one_value_is_that_value_in_columns_of_any_format(column, low, high):
    schema = Schema.from_dict({"name": "t", "columns": [{"name": "x", **column}]})
    (found,) = read_given(schema, {"x": (low, high)})
    (same,) = read_given(schema, {"x": [high]})
    assert np.array_equal(found.weights, same.weights)


@pytest.mark.parametrize(
    ("form", "given", "number"),
    [
        ({"decimal": ","}, "27,4", 27.4),
        ({"decimal": ","}, "27.4", 27.4),  # as bounds are written
        ({"decimal": ",", "thousands": "."}, "1.234,5", 1234.5),
        ({"prefix": "$", "thousands": ","}, "$1,234.50", 1234.5),
        ({"suffix": " %"}, "45 %", 45.0),
    ],
)
def test_a_number_may_be_given_as_its_column_writes_it(form, given, number):
    column = {"name": "x", "type": "real", "lower": 0, "upper": 2000, "decimals": 2}
    plain = Schema.from_dict({"name": "t", "columns": [column]})
    written = Schema.from_dict({"name": "t", "columns": [{**column, "format": form}]})
    for value, same in ((given, number), ((given, given), (number, number))):
        (found,), (right,) = read_given(written, {"x": value}), read_given(plain, {"x": same})
        assert np.array_equal(found.weights, right.weights)
    rows = pd.DataFrame({"x": [given, ""]})
    assert np.array_equal(
        read_given_rows(written, rows), read_given_rows(plain, rows.replace(given, str(number)))
    )


@pytest.mark.parametrize("declared", [{"density": [0.0, -3.0]}, {"scale": "log"}], ids=str)
@pytest.mark.parametrize("kind", ["integer", "real"])
def test_a_range_picks_what_lies_in_it_by_the_density_of_its_cells(kind, declared):
    column = {"name": "x", "type": kind, "lower": 1, "upper": 1000, "bins": [1, 10, 1000]}
    schema = Schema.from_dict({"name": "t", "columns": [{**column, **declared}]})
    grid, rng = schema.column("x").grid, np.random.default_rng(0)
    every = grid.draw(np.repeat(np.arange(2, dtype=np.int32), 40_000), rng)
    for low, high in [(5, 300), (20, 21), (400, 1000)]:
        (one,) = read_given(schema, {"x": (low, high)})
        kept = every[(low <= every) & (every <= high)]
        counts = np.bincount(grid.cells(kept), minlength=2) / 40_000
        # 5.5 standard deviations of 40,000 draws are 0.014.
        np.testing.assert_allclose(one.weights, counts, atol=0.014)
        if counts[1] > 0.05:
            drawn = one.drawn.draw(np.full(len(kept), 1, dtype=np.int32), rng)[0]
            inside = kept[kept >= 10]
            assert abs(np.median(drawn) - np.median(inside)) < 0.1 * (high - max(low, 10))


def test_a_value_too_rare_for_its_density_to_be_computed_is_drawn_all_the_same():
    column = {"name": "x", "type": "integer", "lower": 1, "upper": 1000, "bins": [1, 10, 1000]}
    schema = Schema.from_dict({"name": "t", "columns": [{**column, "density": [0.0, -500.0]}]})
    (one,) = read_given(schema, {"x": [998, 999]})
    assert one.weights[1] > 0
    drawn = one.drawn.draw(np.full(50, 1, dtype=np.int32), np.random.default_rng(0))[0]
    assert set(drawn) == {998, 999}
