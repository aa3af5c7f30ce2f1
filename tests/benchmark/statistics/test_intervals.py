"""Intervals of a mean: equal to scipy's, holding the truth as often as they say, or not there."""

import math

import numpy as np
import pytest
from made_cells import cell, table
from scipy import stats

from dp_synth.benchmark.statistics import bootstrap_interval, over_seeds, t_interval
from dp_synth.errors import InputError

RUNS = 2000


def coverage(interval, draw, truth, runs=RUNS):
    """Return the share of so many intervals that hold ``truth``."""
    rng = np.random.default_rng(0)
    ends = [interval(draw(rng)) for _ in range(runs)]
    return np.mean([low <= truth <= high for low, high in ends])


def test_the_t_interval_is_that_of_scipy():
    values = [0.11, 0.13, 0.12, 0.18, 0.1]
    mean, error = np.mean(values), stats.sem(values)
    assert t_interval(values) == pytest.approx(stats.t.interval(0.95, 4, mean, error))


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_t_interval_of_normal_values_holds_the_truth_in_95_cases_of_100(seeds):
    share = coverage(t_interval, lambda rng: rng.normal(3, 2, seeds), 3)
    # Exact, so that only the number of runs is left: five standard errors of a binomial share.
    assert share == pytest.approx(0.95, abs=5 * math.sqrt(0.95 * 0.05 / RUNS))


def test_the_bootstrap_is_the_bca_interval_of_scipy_at_a_level_for_few_values():
    values = np.random.default_rng(3).exponential(size=25)
    reach = stats.t.ppf(0.975, 24) * math.sqrt(25 / 24)
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=40_000,
        method="BCa",
        confidence_level=1 - 2 * stats.norm.sf(reach),
        rng=np.random.default_rng(1),
    ).confidence_interval
    # An end is a quantile near 1.8 % of 10,000 means, within 4 % of their standard deviation.
    assert bootstrap_interval(values) == pytest.approx(tuple(found), abs=0.2 * stats.sem(values))
    low, high = bootstrap_interval(values)
    assert high - values.mean() > values.mean() - low  # a percentile's skew, and more


def test_the_bootstrap_holds_the_mean_of_eight_values_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr("dp_synth.benchmark.statistics.scores.RESAMPLES", 200)
    share = coverage(bootstrap_interval, lambda rng: rng.normal(0, 1, 8), 0, runs=800)
    # The correction for a skewness that is not there costs a little.
    assert share > 0.93 - 5 * math.sqrt(0.95 * 0.05 / 800)
    plain = 1 - 2 * stats.t.sf(stats.norm.ppf(0.975) * math.sqrt(7 / 8), 7)
    assert share > plain  # that of the normal quantile and of a deviation too small


def test_what_cannot_be_had_is_not_invented():
    assert t_interval([0.3]) is None
    assert bootstrap_interval([0.1] * 7) is None
    assert bootstrap_interval([0.25] * 8) == (0.25, 0.25)


def test_means_are_over_seeds_of_one_table_budget_and_settings():
    rows = [cell("mst", value, seed=seed) for seed, value in enumerate((0.1, 0.2, 0.3))]
    rows += [cell("mst", None, seed=3), cell("mst", 0.7, epsilon=2.0)]
    rows += [cell("mst", 0.5, adjacency="replace_one"), cell("real_rows", 0.0, epsilon=None)]
    found = over_seeds(table(rows)).set_index(["synthesizer", "epsilon", "adjacency"])
    first = found.loc[("mst", 1.0, "add_remove")]
    assert first["mean"] == pytest.approx(0.2)
    assert (first["low"], first["high"]) == pytest.approx(t_interval([0.1, 0.2, 0.3]))
    assert (first["seeds"], first["failed"], first["note"]) == (3, 1, "")
    alone = found.loc[("mst", 2.0, "add_remove")]
    assert math.isnan(alone["low"])
    assert math.isnan(alone["high"])
    assert (alone["seeds"], alone["failed"], alone["note"]) == (1, 0, "one seed: no interval")
    assert len(found) == 4


def test_too_few_seeds_for_a_bootstrap_are_said():
    rows = table([cell("mst", 0.1 * seed, seed=seed) for seed in range(5)])
    (row,) = over_seeds(rows, interval="bootstrap").to_dict("records")
    assert math.isnan(row["low"])
    assert row["note"] == "5 seeds: no bootstrap interval of fewer than 8"


def test_an_unknown_interval_is_refused():
    with pytest.raises(InputError, match="one of t, bootstrap, got 'z'"):
        over_seeds(table([cell("mst", 0.1)]), interval="z")
