"""Cells on a number line: edges given twice, decimals, and the fine cells of a paid choice."""

import numpy as np
import pytest

from dp_synth.errors import SchemaError
from dp_synth.schema import Schema
from dp_synth.schema.columns import make_bins


def one_column(**fields: object) -> Schema:
    return Schema.from_dict({"name": "t", "columns": [{"name": "x", **fields}]})


@pytest.mark.parametrize("whole", [True, False])
def test_an_edge_given_twice_is_a_cell_of_that_value_alone(whole):
    grid = make_bins(-5, 9, [-5, -5, 0, 0, 4, 9, 9], whole=whole)
    numbers = np.array([-5.0, -4.0, -1.0, 0.0, 1.0, 3.0, 4.0, 8.0, 9.0])
    assert grid.cells(numbers).tolist() == [0, 1, 1, 2, 3, 3, 4, 4, 5]
    drawn = grid.draw(np.repeat(np.arange(6, dtype=np.int32), 200), np.random.default_rng(0))
    assert set(drawn[:200]) == {-5.0}
    assert set(drawn[400:600]) == {0.0}
    assert set(drawn[1000:]) == {9.0}
    assert 0.0 not in drawn[600:800]


def test_edges_of_random_grids_make_the_same_grid_again():
    rng = np.random.default_rng(0)
    for _ in range(100):
        whole = bool(rng.integers(2))
        inner = rng.integers(-50, 50, rng.integers(2, 20)).astype(float)
        inner = inner if whole else inner / 7
        listed = np.sort(np.concatenate([np.unique(inner), np.unique(inner)[::3]]))
        if whole:  # the number after a cell of one value begins the next one
            after = np.unique(listed[:-1][np.diff(listed) == 0]) + 1
            listed = listed[~np.isin(listed, after)]
        lower, upper = listed[0] - rng.integers(2), listed[-1] + rng.integers(2)
        cuts = tuple(rng.uniform(lower - 5, upper + 5, 2).round())
        grid = make_bins(lower, upper, listed.tolist(), whole=whole, cuts=cuts)
        again = make_bins(lower, upper, grid.edges.tolist(), whole=whole)
        assert again.cuts.tolist() == grid.cuts.tolist()


def test_real_numbers_are_drawn_with_the_declared_decimals_and_uniformly():
    schema = one_column(type="real", lower=-0.5, upper=10, bins=[-0.5, 0, 0, 0.07, 1], decimals=2)
    every = np.repeat(np.arange(5, dtype=np.int32), 8_000)
    drawn = schema.decode(every[:, None], np.random.default_rng(0))["x"].to_numpy()
    assert (
        schema.column("x").encode(schema.decode(every[:, None], np.random.default_rng(1))["x"])
        == every
    ).all()
    assert all(float(f"{number:.2f}") == number for number in drawn)
    third = np.round(drawn[16_000:24_000] * 100)
    assert set(third) == {1, 2, 3, 4, 5, 6}  # the cell (0, 0.07) without its ends
    # 8,000 draws among 6 numbers: 5.5 standard deviations of a binomial are 184
    assert abs(np.bincount(third.astype(int))[1:] - 8_000 / 6).max() < 184


def test_a_cell_without_a_number_of_so_many_decimals_keeps_its_own_numbers():
    grid = make_bins(0.01, 0.99, [0.02, 0.03, 0.97], whole=False, decimals=1)
    cells = np.array([1] * 100, dtype=np.int32)
    drawn = grid.draw(cells, np.random.default_rng(0))
    assert (grid.cells(drawn) == cells).all()


KINDS = [
    {"type": "integer", "lower": 0, "upper": 100},
    {"type": "integer", "lower": -4600, "upper": 1341000},
    {"type": "integer", "lower": 1 - 2**53, "upper": 2**53 - 1},
    {"type": "integer", "lower": 2**53 - 102, "upper": 2**53 - 1},
    {"type": "real", "lower": 0, "upper": 4.54},
    {"type": "real", "lower": 0, "upper": 4.54, "decimals": 2},
    {"type": "real", "lower": -1e-9, "upper": 1e-9},
    {"type": "real", "lower": 0, "upper": 1e-300},
    {"type": "real", "lower": -(2.0**52), "upper": 2.0**52, "decimals": 12},
    {"type": "real", "lower": 1e6, "upper": 1e6 + 1e-3},
    {"type": "datetime", "lower": "1900-01-01", "upper": "2100-12-31"},
    {"type": "datetime", "lower": "2020-01-01T00:00:00", "upper": "2020-01-01T00:02:00"},
]


@pytest.mark.parametrize("fields", KINDS, ids=str)
def test_fine_cells_lie_within_the_bounds_and_bounds_and_zero_are_cells_alone(fields):
    schema = one_column(**fields)
    fine, grid = schema.fine["x"], schema.column("x").grid
    starts, whole = fine.grid.cuts[:-1], fine.grid.whole
    assert (np.diff(starts) > 0).all()
    assert starts[0] == grid.lower
    assert starts[-1] <= grid.upper
    assert len(starts) < 50_000
    assert 1 <= fine.depth == schema.domain.levels[0] <= 3
    zero = [0.0] if grid.lower < 0 < grid.upper and fields["type"] != "datetime" else []
    for value in [grid.lower, *zero, grid.upper]:
        cell = int(fine.grid.cells(np.array([value]))[0])
        assert fine.walls[cell]
        assert cell + 1 == len(starts) or fine.walls[cell + 1]
        drawn = fine.grid.draw(np.full(9, cell, dtype=np.int32), np.random.default_rng(0))
        assert set(drawn) == {value}
    if whole and grid.upper - grid.lower < 1000:
        assert len(starts) == grid.upper - grid.lower + 1


def test_fine_cells_begin_at_the_numbers_that_people_round_to():
    fine = one_column(type="real", lower=0, upper=900).fine["x"].grid
    for number in ["0.07", "3.5", "0.125", "19", "250", "899"]:
        assert float(number) in fine.cuts
    cents = one_column(type="real", lower=0, upper=5, decimals=2).fine["x"]
    assert len(cents.grid) == 501


def test_columns_with_declared_bins_or_few_values_have_no_fine_cells():
    for fields in (
        {"type": "integer", "lower": 0, "upper": 99},
        {"type": "integer", "lower": 0, "upper": 999, "bins": 10},
        {"type": "real", "lower": 3, "upper": 3},
        {"type": "real", "lower": 0, "upper": 3, "bins": [1, 2]},
        {"type": "ordinal", "size": 500},
        {"type": "datetime", "lower": "2020-01-01", "upper": "2020-02-01"},
    ):
        schema = one_column(**fields)
        assert schema.fine == {}
        assert schema.domain.levels == (0,)


@pytest.mark.parametrize("fields", KINDS, ids=str)
def test_a_schema_with_chosen_cells_goes_through_its_file(fields):
    rng = np.random.default_rng(0)
    schema = one_column(**fields, missing=["?"])
    fine = schema.fine["x"]
    begins = fine.walls | (rng.random(len(fine.walls)) < 20 / len(fine.walls))
    groups = np.cumsum(begins).astype(np.int32) - 1
    binned = schema.binned({"x": np.append(groups, groups[-1] + 1)})
    assert binned.domain.sizes == (groups[-1] + 2,)
    assert binned.domain.levels == (0,)
    again = Schema.from_dict(binned.to_dict())
    assert again == binned
    column, more = binned.column("x"), again.column("x")
    assert column.grid.cuts.tolist() == more.grid.cuts.tolist()
    assert column.grid.cuts.tolist() == [*fine.grid.cuts[:-1][begins], fine.grid.cuts[-1]]
    every = np.arange(binned.domain.sizes[0], dtype=np.int32).repeat(5)[:, None]
    assert (binned.encode(binned.decode(every, rng)) == every).all()


@pytest.mark.parametrize("kind", ["integer", "real"])
def test_a_log_scale_has_public_cells_of_equal_ratio_uniform_in_logarithms(kind):
    schema = one_column(type=kind, lower=1, upper=1_000_000, scale="log", bins=6)
    cuts = schema.column("x").grid.cuts
    np.testing.assert_allclose(cuts[:-1], 10.0 ** np.arange(6))
    assert schema.fine == {}
    assert Schema.from_dict(schema.to_dict()) == schema
    codes = np.full((20_000, 1), 4, dtype=np.int32)
    drawn = schema.decode(codes, np.random.default_rng(0))["x"].to_numpy()
    assert (schema.encode(schema.decode(codes, np.random.default_rng(0))) == 4).all()
    # Half of the logarithms lie below the root of the ends; 5.5 standard deviations are 0.02.
    assert abs((drawn < 10**4.5).mean() - 0.5) < 0.02


def test_a_log_scale_of_few_whole_numbers_leaves_out_cells_without_any():
    grid = one_column(type="integer", lower=1, upper=1000, scale="log").column("x").grid
    assert grid.cuts[:5].tolist() == [1, 2, 3, 4, 5]
    assert (np.diff(grid.cuts) >= 1).all()
    assert len(grid) < 64
    decades = one_column(type="integer", lower=5, upper=90, scale="log").column("x").grid
    assert len(decades) == 86  # a cell for each of few values, as without a scale


@pytest.mark.parametrize("lower", [0, -1])
def test_a_log_scale_is_refused_where_the_lower_bound_is_not_positive(lower):
    with pytest.raises(SchemaError, match="field 'scale': 'log' needs a lower bound above 0") as e:
        one_column(type="real", lower=lower, upper=9, scale="log")
    assert "\n" not in str(e.value)


DENSE = {"type": "real", "lower": 0, "upper": 3, "bins": [0, 1, 2, 3]}


def test_a_density_says_how_numbers_lie_inside_their_cells():
    schema = one_column(**DENSE, density=[0.0, 2.0, -20.0])
    assert Schema.from_dict(schema.to_dict()) == schema
    column, codes = schema.column("x"), np.repeat(np.arange(3, dtype=np.int32), 20_000)
    drawn = column.grid.draw(codes, np.random.default_rng(0))
    assert (column.grid.cells(drawn) == codes).all()
    for cell in range(3):
        inside = drawn[codes == cell]
        for part in (0.1, 0.5, 0.9):
            number = np.array([cell + part])
            below = column.grid.mass_below(np.array([cell], dtype=np.int32), number)[0]
            assert abs((inside < number).mean() - below) < 0.02  # 5.5 standard deviations
    np.testing.assert_allclose(
        column.grid.mass_below(np.array([1, 1], dtype=np.int32), np.array([1.5, 2.0])),
        [np.expm1(1.0) / np.expm1(2.0), 1.0],
    )


@pytest.mark.parametrize("density", [[0.0, 1.0], [0.0, 1.0, 501.0], [0.0, 1.0, float("nan")]])
def test_a_density_has_one_number_within_limits_for_each_cell(density):
    with pytest.raises(SchemaError, match="field 'density'"):
        one_column(**DENSE, density=density)
