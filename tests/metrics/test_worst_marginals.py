"""The marginals that fare worst, and what their histograms say."""

import numpy as np
import pandas as pd
import pytest
from made_comparisons import compare, kinds, number, schema_of

from dp_synth.metrics import workload_error
from dp_synth.metrics.evaluation import histogram, worst_marginals

SCHEMA = schema_of(
    {"a": kinds("x", "y", missing=["?"]), "b": kinds("0", "1"), "n": number(0, 9)}, label="b"
)


def table(rows, seed, skew=0.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": rng.choice(["x", "y", "?"], rows, p=[0.5 + skew, 0.4 - skew, 0.1]),
            "b": rng.choice(["0", "1"], rows),
            "n": rng.integers(0, 10, rows),
        }
    )


TRAIN, HOLDOUT, ROWS = table(600, 0), table(500, 1), table(400, 2, skew=0.3)


def test_the_worst_are_named_with_their_own_distance_and_that_of_fresh_records():
    compared = compare(SCHEMA, TRAIN, ROWS, HOLDOUT)
    columns, pairs = (worst_marginals(compared, degree) for degree in (1, 2))
    assert columns[0].columns == ("a",)
    assert (len(columns), len(pairs)) == (3, 3)
    for found in (columns, pairs):
        values = [one.distance.value for one in found]
        assert values == sorted(values, reverse=True)
        for one in found:
            chosen = SCHEMA.model_copy(update={"label": None}).select(list(one.columns))
            degree = len(one.columns)
            error = workload_error(TRAIN, ROWS, chosen, degree)
            floor = workload_error(TRAIN, HOLDOUT, chosen, degree)
            assert one.distance.value == pytest.approx(error.value)
            assert one.floor.value == pytest.approx(floor.value)
    assert worst_marginals(compared, 1, most=1) == columns[:1]


def test_a_histogram_has_the_share_of_each_cell_and_names_it():
    shares = histogram(compare(SCHEMA, TRAIN, ROWS, HOLDOUT), "a")
    assert shares["cell"].tolist() == ["x", "y", "?"]
    for name, frame in (("fitted", TRAIN), ("synthetic", ROWS), ("holdout", HOLDOUT)):
        expected = frame["a"].value_counts(normalize=True)[["x", "y", "?"]]
        assert shares[name].tolist() == pytest.approx(expected.tolist())
    numbers = histogram(compare(SCHEMA, TRAIN, ROWS, HOLDOUT), "n")
    assert numbers["cell"].tolist() == [str(i) for i in range(10)]
    assert numbers["fitted"].sum() == pytest.approx(1)


def test_an_empty_synthetic_table_has_empty_bars():
    shares = histogram(compare(SCHEMA, TRAIN, ROWS.head(0), HOLDOUT), "b")
    assert shares["synthetic"].tolist() == [0, 0]
