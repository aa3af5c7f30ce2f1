import numpy as np
import pandas as pd
from scipy.stats import norm, poisson

from dp_synth.attacks import density
from dp_synth.attacks.density import counts_at, expected_counts, likely_cells, log_odds
from dp_synth.schema import Schema

SIZES = (3, 4, 2)


def codes(n, seed):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.integers(0, size, n) for size in SIZES]).astype(np.int32)


def slow_counts(targets, table, clique):
    return [(table[:, clique] == target[list(clique)]).all(axis=1).sum() for target in targets]


def test_counts_are_of_the_targets_own_cells(monkeypatch):
    targets, first, second = codes(20, 0), codes(30, 1), codes(40, 2)
    for most in (density.MOST_CELLS, 5):  # renumbered where a clique has more cells
        monkeypatch.setattr(density, "MOST_CELLS", most)
        for clique in ((1,), (2, 0), (0, 1, 2)):
            found = counts_at([targets, first, second], SIZES, clique)
            np.testing.assert_array_equal(found[0], slow_counts(targets, first, clique))
            np.testing.assert_array_equal(found[1], slow_counts(targets, second, clique))


def test_without_noise_the_odds_are_the_ratio_of_poisson_chances():
    counts, expected = np.arange(1.0, 30.0), 7.5
    exact = poisson.logpmf(counts - 1, expected) - poisson.logpmf(counts, expected)
    np.testing.assert_allclose(log_odds(counts, np.full(29, expected), 0.0), exact)


def test_with_noise_the_odds_are_near_the_exact_ratio():
    expected, stddev = 40.0, 5.0
    seen = np.linspace(20, 60, 9)
    c = np.arange(0, 200)
    noise = norm.pdf(seen[:, None], c, stddev)
    outside, inside = poisson.pmf(c, expected), poisson.pmf(c - 1, expected)
    exact = np.log((noise * inside).sum(axis=1) / (noise * outside).sum(axis=1))
    found = log_odds(seen, np.full(9, expected), stddev**2)
    np.testing.assert_allclose(found, exact, atol=0.03)  # first order in 1 / sqrt(expected)
    assert np.abs(log_odds(seen, np.full(9, expected), 0.0) - exact).max() > 0.2


def test_negative_counts_have_finite_odds():
    assert np.isfinite(log_odds(np.array([-9.0]), np.array([0.1]), 0.01)).all()


def test_expected_counts_scale_with_the_records_and_say_how_unsure_they_are():
    # A count of 8 among 100 has a variance of about 8; scaled by 1/2, of a quarter of that.
    expected, variance = expected_counts(np.array([8.0]), 100, 50.0, 0.0)
    assert (expected[0], variance[0]) == (4.0, 2.0)


def test_public_cells_are_kept_and_others_are_quantiles_of_the_reference():
    schema = Schema.from_dict(
        {
            "name": "t",
            "columns": [
                {"name": "known", "type": "integer", "lower": 0, "upper": 1000, "bins": 4},
                {"name": "found", "type": "integer", "lower": 0, "upper": 100_000},
            ],
        }
    )
    reference = pd.DataFrame({"known": range(1000), "found": range(1000)})
    binning = likely_cells(schema, reference)
    assert binning.sizes == (4, 50)
    assert binning.codes(reference)[-1].tolist() == [3, 49]
