import numpy as np
import pandas as pd
import pytest
from made_comparisons import compare, kinds, number, schema_of
from scipy.stats import t

from dp_synth.metrics import RealTables
from dp_synth.metrics.cell_metrics import DEGREE, QUERIES, Query, range_queries, workload

SCHEMA = schema_of({"a": number(0, 9), "b": number(0, 9), "c": kinds("x", "y", "z")})


def table(rows, seed, shift=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": np.minimum(rng.integers(0, 10, rows) + shift, 9),
            "b": rng.integers(0, 10, rows),
            "c": rng.choice(["x", "y", "z"], rows, p=[0.6, 0.3, 0.1]),
        }
    )


def test_a_query_counts_the_records_that_lie_in_all_of_its_ranges():
    codes = np.array([[0, 5], [3, 5], [4, 6], [3, 7]])
    query = Query((0, 1), (1, 5), (3, 6))
    assert query.holds(codes).tolist() == [False, True, False, False]


def test_the_error_is_the_mean_of_the_queries_errors_in_the_records_own_values():
    real, other = table(300, 0), table(200, 1, shift=2)
    found = range_queries(compare(SCHEMA, real, other))["range_queries"]
    errors = []
    tables = [frame.assign(c=frame["c"].map("xyz".index)).to_numpy() for frame in (real, other)]
    for query in workload(RealTables(real, real, SCHEMA)):
        axes = list(query.axes)
        shares = [
            ((values[:, axes] >= query.low) & (values[:, axes] <= query.high)).all(axis=1).mean()
            for values in tables
        ]
        errors.append(abs(shares[0] - shares[1]))
    assert len(errors) == QUERIES
    assert found.value == pytest.approx(np.mean(errors))


def test_the_prefix_error_is_the_mean_gap_of_distribution_functions():
    real, other = {"a": [0, 0, 1, 3], "c": ["x"] * 4}, {"a": [1, 3, 3, 3], "c": ["y"] * 4}
    schema = SCHEMA.select(["a", "c"])
    found = range_queries(compare(schema, real, other))["range_queries:prefix"]
    # Cells begin at 0, 1 and 3; below the second and third lie 2/4 and 3/4, and 0/4 and 1/4.
    assert found.value == pytest.approx((0.5 + 0.5) / 2)


def test_few_records_that_are_alike_vary_no_less_than_the_others():
    schema, real = SCHEMA.select(["a"]), table(1000, 0)[["a"]]
    found = range_queries(compare(schema, real, {"a": [0] * 5}))["range_queries:prefix"]
    counted = (9 - real["a"]) / 9  # by so many of the nine prefixes
    assert found.value == pytest.approx(1 - counted.mean())
    half = t.ppf(0.975, 4) * counted.std(ddof=1) / np.sqrt(5)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))
    many = range_queries(compare(schema, real, {"a": [0] * 30}))["range_queries:prefix"]
    assert many.high - many.low < half


def test_without_an_ordered_attribute_there_is_no_prefix():
    schema = SCHEMA.select(["c"])
    assert set(range_queries(compare(schema, {"c": ["x"]}, {"c": ["y"]}))) == {"range_queries"}


def test_ranges_are_of_ordered_attributes_and_points_of_categories_that_are_there():
    real = table(100, 0).assign(c="y")
    for query in workload(RealTables(real, real, SCHEMA)):
        assert len(query.axes) == DEGREE
        assert all(low <= high for low, high in zip(query.low, query.high, strict=True))
        place = query.axes.index(2)
        assert (query.low[place], query.high[place]) == (1, 1)


def test_a_missing_value_is_in_no_range():
    schema = schema_of({"a": number(0, 9, missing=["?"])})
    compared = compare(schema, {"a": list(range(10)) * 3}, {"a": ["?"] * 30})
    real = compared.real
    assert all(query.high[0] < 10 for query in workload(real))
    missed = np.mean([query.holds(real.train_codes).mean() for query in workload(real)])
    assert range_queries(compared)["range_queries"].value == pytest.approx(missed)


def test_the_same_records_have_no_error_in_any_order():
    real = table(200, 0)
    found = range_queries(compare(SCHEMA, real, real.iloc[::-1]))
    assert found["range_queries"].value == found["range_queries:prefix"].value == 0


def test_the_interval_holds_the_error_of_the_populations_that_are_apart():
    # The tables' own error estimates that of 40,000 records; 30 trials of 95 % miss more than
    # 9 times with a chance below 1e-5, and the width must shrink with the root of the records.
    schema = SCHEMA.select(["a"])
    truth = range_queries(compare(schema, table(40_000, 1), table(40_000, 2, shift=3)))
    misses, widths = 0, []
    for seed in range(30):
        pair = table(400, 100 + seed), table(400, 200 + seed, shift=3)
        found = range_queries(compare(schema, *pair))["range_queries:prefix"]
        exact = truth["range_queries:prefix"].value
        misses += not found.low <= exact <= found.high
        widths.append(found.high - found.low)
    assert misses <= 9
    more = range_queries(compare(schema, table(6400, 0), table(6400, 1, shift=3)))
    width = more["range_queries:prefix"].high - more["range_queries:prefix"].low
    assert width == pytest.approx(np.mean(widths) / 4, rel=0.1)
