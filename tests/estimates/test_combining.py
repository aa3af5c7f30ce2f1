"""Combined estimates: by hand, refused, and over many releases of a small population."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from scipy.stats import t as student

import dp_synth as dps
from dp_synth.estimates import Combined, combine

VALUES = [0.31, 0.35, 0.32, 0.36]
BETWEEN = float(np.var(VALUES, ddof=1))


def test_with_a_center_the_interval_is_of_the_spread_of_tables() -> None:
    found = combine(VALUES, center=0.33)
    reach = student.ppf(0.975, 3) * np.sqrt(BETWEEN)
    assert (found.value, found.stderr) == (0.33, pytest.approx(np.sqrt(BETWEEN)))
    assert (found.low, found.high) == (pytest.approx(0.33 - reach), pytest.approx(0.33 + reach))
    assert (found.degrees, found.tables, found.level) == (3, 4, 0.95)


def test_without_a_center_the_mean_adds_its_own_variance() -> None:
    found = combine(np.array(VALUES), level=0.8)
    assert found.value == pytest.approx(np.mean(VALUES))
    assert found.high - found.value == pytest.approx(student.ppf(0.9, 3) * np.sqrt(BETWEEN * 1.25))


@pytest.mark.parametrize("center", [None, 0.33])
def test_variances_of_the_tables_are_taken_off(center: float | None) -> None:
    many = np.tile(VALUES, 10)
    between = float(many.var(ddof=1))
    own = np.full(40, between / 4)
    found = combine(many, own, center=center)
    whole = between * (1 + 1 / 40 if center is None else 1.0)
    assert (found.between, found.within) == (pytest.approx(between), pytest.approx(own[0]))
    left = whole - own[0]
    assert found.stderr == pytest.approx(np.sqrt(left))
    assert found.degrees == pytest.approx(39 * (left / whole) ** 2)


def test_no_interval_is_wider_for_variances_and_none_is_below_them() -> None:
    plain = combine(VALUES, center=0.33)
    for share in (0.0, 0.1, 0.4, 0.9, 1.5, 30.0):
        found = combine(VALUES, [share * BETWEEN] * 4, center=0.33)
        assert found.high - found.low <= plain.high - plain.low
        assert found.stderr**2 >= min(share, 1) * BETWEEN * (1 - 1e-12)
    assert combine([1.0, 1.0], [0.0, 0.0]).low == 1.0


def test_it_is_one_line() -> None:
    found = combine(VALUES, center=0.33)
    assert str(found) == "0.330 [0.254, 0.406]"
    assert repr(found) == "<Combined: 0.330 [0.254, 0.406] at 95 %, of 4 tables>"


@pytest.mark.parametrize(
    ("values", "variances", "more", "said"),
    [
        ([0.3], None, {}, "two tables or more must be combined, got 1"),
        ([], None, {}, "two tables or more must be combined, got 0"),
        ([0.3, 0.4], [0.1], {}, "each value has one variance, got 2 values and 1 variances"),
        ([0.3, np.nan], None, {}, "values must be finite numbers"),
        ([0.3, np.inf], None, {}, "values must be finite numbers"),
        ([0.3, 0.4], [0.1, np.nan], {}, "variances must be finite numbers"),
        ([0.3, 0.4], [0.1, -0.1], {}, "a variance is 0 or more"),
        ([0.3, 0.4], None, {"center": np.nan}, "the center must be finite numbers"),
        (["a", "b"], None, {}, "values must be numbers"),
        (0.3, None, {}, "values must be numbers, one a table, got 0 axes"),
        ([[0.3, 0.4]], None, {}, "values must be numbers, one a table, got 2 axes"),
        ([0.3, 0.4], None, {"level": 95}, "a level lies between 0 and 1, got 95"),
    ],
)
def test_what_cannot_be_combined_is_told_in_one_line(values, variances, more, said) -> None:
    with pytest.raises(dps.InputError, match=said) as error:
        combine(values, variances, **more)
    assert "\n" not in str(error.value)


SCHEMA = dps.Schema.from_dict(
    {
        "name": "made",
        "columns": [
            {"name": "a", "type": "categorical", "categories": ["0", "1"]},
            {"name": "b", "type": "categorical", "categories": ["0", "1", "2"]},
        ],
    }
)
RECORDS, TABLES, FITS, SHARE = 300, 6, 80, 0.4
BUDGETS = {"much noise": 0.3, "little noise": 5.0}


@lru_cache
def found(epsilon: float) -> list[tuple[float, list[float], list[float]]]:
    """Of releases of fresh records: a share in the model, in tables, and its usual variances."""
    rng, budget = np.random.default_rng(0), dps.PrivacyBudget(epsilon=epsilon, delta=1e-5)
    results = []
    for seed in range(FITS):
        ones = rng.random(RECORDS) < SHARE
        rows = pd.DataFrame({"a": np.where(ones, "1", "0"), "b": rng.choice(list("012"), RECORDS)})
        release = dps.Independent().fit(rows, SCHEMA, budget, seed=seed)
        counts = release.model.marginal(("a",))
        tables = release.sample_many(TABLES, seed=seed, kinds="written")
        shares = [(float((table["a"] == "1").mean()), len(table)) for table in tables]
        own = [p * (1 - p) / n for p, n in shares]
        results.append((float(counts[1] / counts.sum()), [p for p, _ in shares], own))
    return results


def covered(intervals: list[tuple[float, float]]) -> int:
    """How many intervals hold the population's share."""
    return sum(low <= SHARE <= high for low, high in intervals)


def ends(one: Combined) -> tuple[float, float]:
    """The ends of an interval."""
    return one.low, one.high


@pytest.mark.parametrize("noise", BUDGETS)
def test_combined_intervals_cover_the_population_and_naive_ones_do_not(noise: str) -> None:
    of_fits = found(BUDGETS[noise])
    ways = [
        [ends(combine(q, u, center=model)) for model, q, u in of_fits],
        [ends(combine(q, center=model)) for model, q, _ in of_fits],
        [ends(combine(q, u)) for _, q, u in of_fits],
        [ends(combine(q)) for _, q, _ in of_fits],
    ]
    assert [binom.cdf(covered(way), FITS, 0.95) > 1e-6 for way in ways] == [True] * 4
    # As if one table had been observed, or all of them together.
    single = [(q[0], u[0]) for _, q, u in of_fits]
    pooled = [(float(np.mean(q)), u[0] / TABLES) for _, q, u in of_fits]
    naive = [single, pooled] if noise == "much noise" else [pooled]
    for way in naive:
        normal = [(q - 1.96 * u**0.5, q + 1.96 * u**0.5) for q, u in way]
        assert binom.cdf(covered(normal), FITS, 0.95) < 1e-6
