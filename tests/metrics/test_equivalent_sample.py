from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from made_comparisons import compare, kinds, schema_of
from scipy.stats import t
from sklearn.isotonic import isotonic_regression

from dp_synth.datasets import load
from dp_synth.metrics import Compared, RealTables, equivalent_sample

SCHEMA = schema_of({"a": kinds(*"abcdefgh"), "b": kinds(*"abcdefgh"), "c": kinds(*"abcd")})


def table(rows, seed):
    rng = np.random.default_rng(seed)
    a = rng.choice(list("abcdefgh"), rows)
    b = np.where(rng.random(rows) < 0.5, a, rng.choice(list("abcdefgh"), rows))
    return pd.DataFrame(
        {"a": a, "b": b, "c": rng.choice(list("abcd"), rows, p=[0.7, 0.1, 0.1, 0.1])}
    )


@pytest.fixture(scope="module")
def real():
    return RealTables(table(4000, 0), table(2000, 1), SCHEMA)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
def test_fresh_records_are_worth_as_many_training_records(real, share):
    # One table in twenty may fall outside of its interval; more than 7 of 20 have a chance
    # below 1e-5. The middle of all tables says that there is no tilt.
    found = [
        equivalent_sample(Compared(real, table(round(4000 * share), 100 + seed)))
        for seed in range(20)
    ]
    misses = sum(not one.low <= share <= one.high for one in found)
    assert misses <= 7
    assert np.exp(np.mean(np.log([one.value for one in found]))) == pytest.approx(share, rel=0.35)


def distance_of(real, other):
    """The mean total variation of pairs, with its standard error over records of ``other``."""
    influences, gaps = np.zeros(len(other)), []
    for pair in combinations(SCHEMA.names, 2):
        names, values = list(pair), [f"{a} {b}" for a, b in other[list(pair)].to_numpy()]
        left = real[names].value_counts(normalize=True)
        right = other[names].value_counts(normalize=True)
        gap = right.sub(left, fill_value=0.0)
        gaps.append(gap.abs().sum() / 2)
        signs = {f"{a} {b}": np.sign(value) / 2 for (a, b), value in gap.items()}
        influences += [signs[value] / 3 for value in values]
    return np.mean(gaps), np.sqrt(influences.var(ddof=1) / len(other))


@pytest.fixture(scope="module")
def curves(real):
    """The shares of samples, and a curve of distances for each of five drawings."""
    rng, records = np.random.default_rng(0), len(real.train)
    shares = np.geomspace(10 / records, 1.0, 10)
    found = []
    for _ in range(5):
        order = real.train.iloc[rng.permutation(records)]
        samples = [order.head(round(share * records)) for share in shares]
        found.append([distance_of(real.holdout, sample)[0] for sample in samples])
    return shares, found


@pytest.mark.parametrize("rows", [80, 1600])
def test_an_interval_follows_the_curve_of_samples_to_its_ends(real, curves, rows):
    shares, curves = curves

    def log_share(distance, curve):
        falling = isotonic_regression(curve, increasing=False)
        return np.interp(-distance, -falling, np.log(shares))

    other, mean = table(rows, 5), np.mean(curves, axis=0)
    distance, error = distance_of(real.holdout, other)
    reach = t.ppf(0.975, 4)
    value = log_share(distance, mean)
    of_draws = reach * np.std([log_share(distance, one) for one in curves], ddof=1) / np.sqrt(5)
    far, near = (log_share(distance + side * reach * error, mean) for side in (1, -1))
    found = equivalent_sample(Compared(real, other))
    assert found.value == pytest.approx(np.exp(value))
    assert found.low == pytest.approx(np.exp(value - np.hypot(value - far, of_draws)))
    assert found.high == pytest.approx(min(np.exp(value + np.hypot(near - value, of_draws)), 1.0))
    assert error > 0


def test_the_training_records_are_worth_all_of_themselves(real):
    found = equivalent_sample(Compared(real, real.train))
    assert found.value == found.high == 1
    assert found.low > 0.3


def test_a_table_nearer_than_all_training_records_is_worth_no_more_than_all(real):
    found = equivalent_sample(Compared(real, real.holdout))
    assert (found.value, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize("rows", [0, 1, 300])
def test_a_table_farther_than_the_smallest_sample_is_worth_at_most_that(real, rows):
    far = table(rows, 0).assign(a="a", b="h", c="d")
    found = equivalent_sample(Compared(real, far))
    assert found.value == pytest.approx(10 / 4000)  # ten records are the smallest sample
    assert found.low == 0


def test_the_curve_is_drawn_once_for_all_tables(real):
    before = equivalent_sample(Compared(real, table(100, 7)))
    again = RealTables(real.train, real.holdout, SCHEMA)
    assert equivalent_sample(Compared(again, table(100, 7))) == before


def test_what_has_no_pairs_or_no_records_has_no_equivalent():
    for compared in (
        compare(SCHEMA.select(["a"]), table(9, 0), table(9, 1)),
        compare(SCHEMA, table(0, 0), table(9, 1)),
    ):
        with pytest.raises(ValueError, match="two attributes"):
            equivalent_sample(compared)


def test_a_sample_of_a_real_table_is_found_again():
    data = load("adult")
    real = RealTables(data.train, data.holdout, data.schema)
    found = equivalent_sample(Compared(real, data.reference.head(1954)))
    assert found.low < 0.1 < found.high
    assert 0.08 < found.value < 0.125
