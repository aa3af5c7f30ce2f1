import numpy as np
import pandas as pd
import pytest
from made_comparisons import compare, kinds, number, schema_of
from scipy.stats import chi2_contingency

from dp_synth.metrics.correlation import correlation

NUMBERS = schema_of({"a": number(), "b": number(), "c": number(missing=[""])})
CATEGORIES = schema_of({"job": kinds("a", "b", "c"), "sex": kinds("f", "m", missing=["?"])})
MIXED = schema_of({"job": kinds("a", "b", "c"), "age": number(missing=[""])})


def numbers(rows, seed, strength):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 101, rows)
    b = np.where(rng.random(rows) < strength, a, rng.integers(0, 101, rows))
    c = np.where(rng.random(rows) < 0.2, "", rng.integers(0, 101, rows).astype(str))
    return pd.DataFrame({"a": a, "b": b, "c": c})


def categories(rows, seed, strength):
    rng = np.random.default_rng(seed)
    job = rng.choice(["a", "b", "c"], rows)
    own = np.where(job == "a", "f", np.where(job == "b", "m", "?"))
    sex = np.where(rng.random(rows) < strength, own, rng.choice(["f", "m", "?"], rows))
    return pd.DataFrame({"job": job, "sex": sex})


def mixed(rows, seed, strength):
    rng = np.random.default_rng(seed)
    job = rng.choice(["a", "b", "c"], rows)
    own = np.where(job == "a", 10, np.where(job == "b", 50, 90))
    age = np.where(rng.random(rows) < strength, own, rng.integers(0, 101, rows))
    return pd.DataFrame({"job": job, "age": np.where(rng.random(rows) < 0.1, "", age.astype(str))})


def bergsma(frame):
    counts = pd.crosstab(frame["job"], frame["sex"]).to_numpy()
    n, (r, k) = counts.sum(), counts.shape
    phi2 = chi2_contingency(counts, correction=False).statistic / n
    phi2 = max(0, phi2 - (r - 1) * (k - 1) / (n - 1))
    return np.sqrt(phi2 / (min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1))


def kelley(frame):
    known = frame[frame["age"] != ""].astype({"age": float})
    groups = [group for _, group in known.groupby("job")["age"]]
    n, k = len(known), len(groups)
    within = sum(((group - group.mean()) ** 2).sum() for group in groups) / (n - k)
    return np.sqrt(max(0, 1 - within / known["age"].var(ddof=1)))


def test_pearson_is_over_the_records_that_hold_both_values():
    real, other = numbers(500, 0, 0.8), numbers(400, 1, 0.1)
    expected = []
    for first, second in (("a", "b"), ("a", "c"), ("b", "c")):
        of = []
        for frame in (real, other):
            pair = frame[[first, second]].replace("", np.nan).astype(float).dropna()
            of.append(np.corrcoef(pair.T)[0, 1])
        expected.append(abs(of[0] - of[1]))
    found = correlation(compare(NUMBERS, real, other))
    assert set(found) == {"correlation:pearson"}
    assert found["correlation:pearson"].value == pytest.approx(np.mean(expected))


def test_cramers_v_is_corrected_as_bergsma_has_it():
    real, other = categories(300, 0, 0.7), categories(200, 1, 0.2)
    found = correlation(compare(CATEGORIES, real, other))
    assert set(found) == {"correlation:cramers_v"}
    expected = abs(bergsma(real) - bergsma(other))
    assert found["correlation:cramers_v"].value == pytest.approx(expected)


def test_the_correlation_ratio_is_corrected_as_kelley_has_it():
    real, other = mixed(300, 0, 0.7), mixed(200, 1, 0.2)
    found = correlation(compare(MIXED, real, other))
    assert set(found) == {"correlation:ratio"}
    assert found["correlation:ratio"].value == pytest.approx(abs(kelley(real) - kelley(other)))


@pytest.mark.parametrize(
    ("schema", "draw", "kind"),
    [
        (NUMBERS, numbers, "pearson"),
        (CATEGORIES, categories, "cramers_v"),
        (MIXED, mixed, "ratio"),
    ],
)
def test_intervals_hold_the_true_error(schema, draw, kind):
    name = f"correlation:{kind}"
    truth = correlation(compare(schema, draw(60_000, 1, 0.7), draw(60_000, 2, 0.3)))[name].value
    # More than 10 misses of 40 have a chance below 1e-5 at 5 %; an interval a third as wide
    # misses half the time.
    misses = short = 0
    for seed in range(40):
        pair = draw(500, 100 + seed, 0.7), draw(500, 200 + seed, 0.3)
        found = correlation(compare(schema, *pair))[name]
        misses += not found.low <= truth <= found.high
        short += abs(truth - found.value) > (found.high - found.low) / 6
    assert misses <= 10
    assert short > 7


def test_the_same_records_go_together_alike():
    for schema, draw in ((NUMBERS, numbers), (CATEGORIES, categories), (MIXED, mixed)):
        real = draw(100, 0, 0.5)
        for found in correlation(compare(schema, real, real.iloc[::-1])).values():
            assert found.value == pytest.approx(0, abs=1e-9)


def test_a_constant_goes_with_nothing_however_large_it_is():
    schema = schema_of({"a": number(0, 10**9), "b": number(0, 10**9)})
    real = pd.DataFrame({"a": np.arange(50), "b": np.arange(50)})
    other = pd.DataFrame({"a": np.full(50, 10**9 - 7), "b": np.arange(50)})
    assert correlation(compare(schema, real, other))["correlation:pearson"].value == 1.0
