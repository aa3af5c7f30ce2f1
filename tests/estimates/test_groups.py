"""Moments of cells are those of the numbers that are drawn in them."""

from __future__ import annotations

import numpy as np
import pytest
from made_distributions import SCHEMA

from dp_synth.errors import InputError
from dp_synth.estimates.groups import Group, Intervals
from dp_synth.schema import Schema


def column(**fields: object) -> Schema:
    return Schema.from_dict({"name": "one", "columns": [{"name": "x", **fields}]})


KINDS = {
    "whole": {"type": "integer", "lower": -3, "upper": 30, "bins": [-3, 0, 1, 10]},
    "whole, sloped": {"type": "integer", "lower": 0, "upper": 30, "bins": [0, 1, 4, 10],
                      "density": [0, 2, -3, 6]},
    "whole, logarithm": {"type": "integer", "lower": 1, "upper": 100_000, "scale": "log",
                         "bins": 4},
    "real": {"type": "real", "lower": 0, "upper": 9, "bins": [0, 0, 1, 4]},
    "real, sloped": {"type": "real", "lower": 0, "upper": 9, "bins": [0, 1, 4],
                     "density": [-0.05, 60, -9]},
    "real, logarithm": {"type": "real", "lower": 0.5, "upper": 9, "scale": "log", "bins": 2},
    "decimals": {"type": "real", "lower": 0, "upper": 9, "bins": [0, 1, 4.25], "decimals": 1},
    "no decimals": {"type": "real", "lower": 0, "upper": 90, "bins": 6, "decimals": 0,
                    "density": [1, 2, 0, -1, 3, -2]},
    "dates": {"type": "datetime", "lower": "2020-01-01", "upper": "2020-12-31", "bins": 3},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_those_of_drawn_numbers(kind: str) -> None:
    schema = column(**KINDS[kind])
    grid = schema.column("x").grid
    draws = 40_000
    cells = np.repeat(np.arange(len(grid), dtype=np.int32), draws)
    numbers = grid.draw(cells, np.random.default_rng(0)).reshape(-1, draws)
    means, variances = Group.of(schema).numbers("x")
    tail = np.sqrt(variances / draws)
    assert np.all(np.abs(means - numbers.mean(axis=1)) <= 5 * tail + 1e-9)
    assert variances == pytest.approx(numbers.var(axis=1), rel=0.05, abs=1e-9)


def test_categories_have_the_numbers_that_they_write() -> None:
    numbers, variances = Group.of(SCHEMA).numbers("house size")
    assert numbers[:3].tolist() == [1, 2, 4]
    assert np.isnan(numbers[3])
    assert variances[:3].tolist() == [0, 0, 0]
    assert np.isnan(Group.of(SCHEMA).numbers("grade")[0][5])


def test_a_group_takes_the_part_of_a_cell_that_meets_all_that_is_given() -> None:
    group = Group.of(SCHEMA, {"hours": (5, 30)}, {"hours": (7, 20), "sex": "F"})
    assert group.parts["hours"].weights == pytest.approx([0.3, 11 / 15, 0, 0, 0])
    means, variances = group.numbers("hours")
    assert means[:2] == pytest.approx([8, 15])
    assert variances[:2] == pytest.approx([np.var([7, 8, 9]), np.var(np.arange(10, 21))])
    assert group.parts["sex"].weights.tolist() == [1, 0]


def test_values_of_one_cell_share_it() -> None:
    means, variances = Group.of(SCHEMA, {"hours": [1, 4, 30]}).numbers("hours")
    assert means[0] == pytest.approx(2.5)
    assert variances[0] == pytest.approx(np.var([1, 4]))
    assert means[2] == pytest.approx(30)


def test_all_of_a_range_is_all_of_the_column() -> None:
    every, part = (Group.of(SCHEMA, given) for given in ({}, {"wage": (0, 40)}))
    assert part.parts["wage"].weights[:5] == pytest.approx(np.ones(5))
    for whole, cut in zip(every.numbers("wage"), part.numbers("wage"), strict=True):
        assert cut[:5] == pytest.approx(whole[:5])


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ([{"age": 20}, {"age": (25, 30)}], "column 'age': no record can meet both"),
        ([{"sex": "F"}, {"sex": "M"}], "column 'sex': no record can meet both"),
        ([{"wage": (0, 20)}, {"wage": (20, 40)}], "column 'wage': no record can meet both"),
        ([{"wage": 7.5}], "holds real numbers, of which one alone has no share"),
        ([{"height": 1}], "no column 'height'"),
    ],
)
def test_groups_without_records_are_refused(conditions, said) -> None:
    with pytest.raises(InputError, match=said):
        Group.of(SCHEMA, *conditions)


def test_a_range_to_where_a_cell_begins_has_nothing_of_that_cell() -> None:
    assert Group.of(SCHEMA, {"wage": (0, 10)}).parts["wage"].weights.tolist() == [1, 1, 1, 0, 0, 0]
    assert Group.of(SCHEMA, {"wage": (5, 10.5)}).parts["wage"].weights[3] > 1e-6
    with pytest.raises(InputError, match="one alone has no share"):
        Group.of(SCHEMA, {"wage": [0, 5]})


def test_a_lone_number_that_is_a_cell_has_its_share() -> None:
    assert Group.of(SCHEMA, {"wage": 0}).parts["wage"].weights[0] == 1


def test_a_part_of_an_interval_lies_where_so_many_are_below() -> None:
    for kind in ("real, sloped", "real, logarithm", "whole, sloped"):
        grid = column(**KINDS[kind]).column("x").grid
        every = Intervals.whole(grid)
        for place in range(len(grid)):
            for part in (0.1, 0.5, 0.9):
                number, density = every.position(place, part)
                cell = np.array([place], dtype=np.int32)
                below = [
                    every.grid.mass_below(cell, np.array([number + step]))[0]
                    for step in (0, 1e-6, -1e-6)
                ]
                assert below[0] == pytest.approx(part)
                assert density == pytest.approx((below[1] - below[2]) / 2e-6, rel=1e-4)
