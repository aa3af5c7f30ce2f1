from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from dp_synth.errors import SchemaError
from dp_synth.metrics import (
    Binning,
    cliques_of,
    fidelity,
    kmarginal_score,
    mean_total_variation,
    workload_error,
)
from dp_synth.schema import Schema

SCHEMA = Schema.from_dict(
    {
        "name": "people",
        "columns": [
            {"name": "age", "type": "integer", "lower": 0, "upper": 99, "missing": ["?", ""]},
            {"name": "income", "type": "real", "lower": -10, "upper": 10},
            {"name": "children", "type": "integer", "lower": 0, "upper": 9},
            {"name": "score", "type": "ordinal", "size": 50},
            {"name": "grade", "type": "ordinal", "categories": ["low", "mid", "high"]},
            {"name": "job", "type": "categorical", "size": 40, "missing": ["?"]},
            {"name": "born", "type": "datetime", "lower": "1950-01-01", "upper": "2000-01-01"},
        ],
    }
)


def people(n, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 100, n).astype(str).astype(object)
    age[rng.random(n) < 0.1] = "?"
    age[rng.random(n) < 0.1] = ""
    days = pd.to_timedelta(rng.integers(0, 10_000, n), unit="D")
    return pd.DataFrame(
        {
            "age": age,
            "income": rng.normal(0, 3, n),
            "children": rng.integers(0, 4, n),
            "score": rng.integers(0, 50, n),
            "grade": rng.choice(["low", "mid", "high"], n),
            "job": rng.integers(0, 40, n).astype(str),
            "born": (pd.Timestamp("1960-01-01") + days).strftime("%Y-%m-%d"),
        }
    )


def slow_total_variation(real, other):
    a, b = Counter(map(tuple, real)), Counter(map(tuple, other))
    return 0.5 * sum(abs(a[c] / len(real) - b[c] / len(other)) for c in a.keys() | b.keys())


def test_long_columns_are_cut_at_the_20_quantiles_of_the_given_frame():
    frame, fresh = people(3000, 0), people(500, 1)
    codes = Binning.from_frame(SCHEMA, frame).codes(fresh)
    cuts = np.unique(np.quantile(frame["income"], [i / 20 for i in range(1, 20)]))
    np.testing.assert_array_equal(codes[:, 1], np.searchsorted(cuts, fresh["income"], side="right"))
    cuts = np.unique(np.quantile(frame["score"], [i / 20 for i in range(1, 20)]))
    np.testing.assert_array_equal(codes[:, 3], np.searchsorted(cuts, fresh["score"], side="right"))


def test_missing_cells_have_one_of_their_own_whatever_their_mark():
    frame = people(3000, 0)
    binning = Binning.from_frame(SCHEMA, frame)
    codes = binning.codes(frame)[:, 0]
    known = ~frame["age"].isin(["?", ""])
    assert codes[known].max() == binning.sizes[0] - 3
    assert set(codes[~known]) == {binning.sizes[0] - 2}


def test_categorical_and_short_ordinal_columns_keep_their_codes():
    frame = people(3000, 0)
    codes = Binning.from_frame(SCHEMA, frame).codes(frame)
    for axis in (4, 5):
        np.testing.assert_array_equal(codes[:, axis], SCHEMA.encode(frame)[:, axis])


def test_a_numeric_column_of_few_values_has_a_cell_for_each_and_what_lies_nearest():
    frame = people(100, 0).assign(children=[0, 2, 5, 9] * 25)
    fresh = people(5, 1).assign(children=[0, 1.9, 4, 6, 12])
    binning = Binning.from_frame(SCHEMA, frame)
    assert binning.sizes[2] == 4
    assert binning.codes(fresh)[:, 2].tolist() == [0, 1, 2, 2, 3]


def test_a_spike_makes_one_cut_and_not_many():
    schema = SCHEMA.select(["income"])
    frame = pd.DataFrame({"income": np.r_[np.zeros(900), np.linspace(1, 9, 100)]})
    binning = Binning.from_frame(schema, frame)
    assert binning.sizes == (4,)  # cuts at 0, which 17 quantiles share, and at the two others
    assert binning.codes(pd.DataFrame({"income": [-1.0, 0.0, 9.0]})).ravel().tolist() == [0, 1, 3]


def test_codes_stay_within_their_sizes_whatever_the_table_holds():
    binning = Binning.from_frame(SCHEMA, people(300, 0))
    odd = pd.DataFrame({name: ["", "?", "-1e9", "1e9", "never seen"] for name in SCHEMA.names})
    codes = binning.codes(odd)
    assert codes.min() >= 0
    assert (codes < binning.sizes).all()
    assert Binning.from_frame(SCHEMA, people(0, 0)).codes(odd).min() >= 0


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_mean_total_variation_is_that_of_a_slow_count(degree):
    rng = np.random.default_rng(2)
    sizes = (3, 4, 2, 7)
    real = np.stack([rng.integers(0, k, 200) for k in sizes], axis=1).astype(np.int32)
    other = np.stack([rng.integers(0, max(1, k - 1), 150) for k in sizes], axis=1).astype(np.int32)
    cliques = list(combinations(range(4), degree))
    expected = np.mean([slow_total_variation(real[:, c], other[:, c]) for c in cliques])
    assert mean_total_variation(real, other, sizes, cliques).value == pytest.approx(expected)


def test_renumbering_of_many_cells_changes_nothing(monkeypatch):
    rng = np.random.default_rng(2)
    real, other = (rng.integers(0, 30, (400, 3)).astype(np.int32) for _ in range(2))
    plain = mean_total_variation(real, other, (30,) * 3, [(0, 1, 2)])
    monkeypatch.setattr(fidelity, "MOST_CELLS", 50)
    assert mean_total_variation(real, other, (30,) * 3, [(0, 1, 2)]) == plain


def test_the_interval_has_the_spread_of_repeated_drawings():
    # The two laws are far apart, so the signs of the cell differences never change and the delta
    # method is exact. A variance from 400 drawings is off by 7 % (one standard deviation).
    rng = np.random.default_rng(3)
    p, q, sizes = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6]), (3, 3)
    values, variances = [], []
    for _ in range(400):
        real = rng.choice(3, (300, 2), p=p).astype(np.int32)
        other = rng.choice(3, (200, 2), p=q).astype(np.int32)
        estimate = mean_total_variation(real, other, sizes, [(0,), (1,)])
        values.append(estimate.value)
        variances.append(((estimate.high - estimate.low) / 2 / 1.959964) ** 2)
    assert np.mean(variances) == pytest.approx(np.var(values), rel=0.4)
    assert np.mean(values) == pytest.approx(0.4, abs=6 * np.sqrt(np.mean(variances) / 400))


def test_equal_tables_lie_at_zero_and_disjoint_ones_at_one():
    frame = people(200, 0)
    assert workload_error(frame, frame, SCHEMA).value == 0
    codes = np.zeros((50, 2), dtype=np.int32)
    assert mean_total_variation(codes, codes + 1, (2, 2), [(0, 1)]).value == 1


def test_an_empty_table_lies_at_one_from_others_and_at_zero_from_an_empty_one():
    frame, empty = people(20, 0), people(0, 0)
    assert workload_error(frame, empty, SCHEMA).value == 1
    assert workload_error(empty, frame, SCHEMA).value == 1
    assert workload_error(empty, empty, SCHEMA).value == 0
    assert workload_error(frame, people(1, 1), SCHEMA).high == 1


def test_the_kmarginal_score_is_1000_times_what_pairs_have_in_common():
    real, other = people(400, 0), people(300, 1)
    error = workload_error(real, other, SCHEMA, 2)
    score = kmarginal_score(real, other, SCHEMA)
    assert score.value == pytest.approx(1000 * (1 - error.value))
    assert score.low == pytest.approx(1000 * (1 - error.high))


def test_cuts_come_from_the_table_that_is_named():
    real, other = people(400, 0), people(300, 1)
    train = people(400, 2).assign(income=100.0)  # one value: income falls into one cell
    schema = SCHEMA.select(["income"])
    assert workload_error(real, other, schema, 1).value > 0
    assert workload_error(real, other, schema, 1, cuts_from=train).value == 0


def test_triples_are_sampled_by_the_seed_and_pairs_are_all_taken():
    assert len(cliques_of(14, 2)) == 91
    triples = cliques_of(14, 3, seed=5)
    assert len(set(triples)) == 100
    assert triples == cliques_of(14, 3, seed=5) != cliques_of(14, 3, seed=6)
    assert all(a < b < c for a, b, c in triples)
    assert len(cliques_of(5, 3)) == 10
    with pytest.raises(ValueError, match="degree"):
        cliques_of(2, 3)


def test_identifiers_are_left_out():
    plain = SCHEMA.to_dict()
    schema = Schema.from_dict(
        plain | {"columns": [{"name": "id", "type": "id"}, *plain["columns"]]}
    )
    real, other = people(100, 0).assign(id=range(100)), people(100, 1)
    assert workload_error(real, other, schema) == workload_error(real, other, SCHEMA)


def test_a_table_without_a_column_of_the_schema_is_refused_by_name():
    with pytest.raises(SchemaError, match="'born'"):
        workload_error(people(10, 0), people(10, 1).drop(columns="born"), SCHEMA)
