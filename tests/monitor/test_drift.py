"""Intervals for a drift: they cover it as often as they say, and an error in them would be seen."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from dp_synth.monitor import drift
from dp_synth.monitor.drift import UNKNOWN, Counts, drift_interval
from dp_synth.monitor.reference import Total

ALIKE = np.array([0.3, 0.2, 0.2, 0.15, 0.1, 0.05])
MOVED = np.array([0.27, 0.2, 0.2, 0.15, 0.1, 0.08])  # a total variation of .03
RUNS, CHANCE = 3_000, 0.05


def counts(rng, shares, records=20_000, stddev=60.0):
    """Return the noisy counts of a sample, and of its number."""
    noise = rng.normal(0, stddev, len(shares))
    total = Total(records + rng.normal(0, 20.0), 20.0)
    values = rng.multinomial(records, shares) + noise
    return Counts(values, np.full(len(shares), stddev**2), total)


def wrong_ends(before, after, *, change=lambda one: one, runs=RUNS):
    """Return how often the lower end, and the upper end, is on the wrong side of the truth."""
    rng, truth, low, high = np.random.default_rng(0), np.abs(before - after).sum() / 2, 0, 0
    for _ in range(runs):
        then, now = counts(rng, before), counts(rng, after)
        found = drift_interval(change(then), change(now), len(before), CHANCE)
        low += found.low > truth
        high += found.high < truth
    return low, high


def most(chance):
    """Return how often it happens in all runs at most, but for a chance of 1e-7."""
    return binom.ppf(1 - 1e-7, RUNS, chance)


@pytest.mark.parametrize("after", [ALIKE, MOVED], ids=["alike", "moved"])
def test_each_end_is_wrong_no_more_often_than_it_says(after):
    low, high = wrong_ends(ALIKE, after)
    assert low <= most(CHANCE)
    assert high <= most(CHANCE)


def test_noise_that_is_not_counted_would_be_seen():
    def quiet(one):
        return replace(one, variances=one.variances * 0.0)

    low, _ = wrong_ends(ALIKE, ALIKE, change=quiet)
    assert low > most(CHANCE)


def test_sampling_that_is_not_counted_would_be_seen():
    low, _ = wrong_ends(ALIKE, ALIKE, change=lambda one: replace(one, sampled=False))
    assert low > most(CHANCE)


def test_few_records_in_a_cell_raise_no_more_alarms():
    """Counts of a few dozen are skewed: what a table of many rare cells, little noise has."""
    shares, rng, wrong = np.full(20, 0.0015), np.random.default_rng(1), 0
    shares = np.append(shares, 1 - shares.sum())
    for _ in range(RUNS):
        then, now = counts(rng, shares, 200_000, 0.1), counts(rng, shares, 20_000, 0.1)
        wrong += drift_interval(then, now, 0, CHANCE).low > 0
    assert wrong <= most(CHANCE)


def test_a_small_shift_is_seen():
    rng = np.random.default_rng(2)
    seen = 0
    for _ in range(200):
        found = drift_interval(counts(rng, ALIKE), counts(rng, MOVED), 6, CHANCE / 30)
        seen += found.low > 0
        assert 0 <= found.low <= found.value <= found.high <= 1
    assert seen >= binom.ppf(1e-7, 200, 0.9)


def test_copies_of_records_widen_the_interval():
    rng = np.random.default_rng(3)
    then, now = counts(rng, ALIKE, stddev=1.0), counts(rng, MOVED, stddev=1.0)
    one = drift_interval(then, now, 0, CHANCE)
    four = drift_interval(replace(then, alike=4), replace(now, alike=4), 0, CHANCE)
    assert four.low < one.low
    assert four.high > one.high


def test_signs_of_cells_add_no_more_variance_than_the_bound_says():
    """``Var(s e) <= c + sum v`` for all signs, on which the upper end and the median rest."""
    rng = np.random.default_rng(4)
    for _ in range(50):
        cells = int(rng.integers(2, 8))
        p, v, c = rng.dirichlet(np.ones(cells)), rng.gamma(1, 1e-4, cells), rng.gamma(1, 1e-3)
        covariance = c * (np.diag(p) - np.outer(p, p)) + np.diag(v)
        signs = 2 * ((np.arange(2**cells)[:, None] >> np.arange(cells)) & 1) - 1
        variances = np.einsum("ij,jk,ik->i", signs, covariance, signs)
        assert variances.max() <= c + v.sum() + 1e-15


@pytest.mark.parametrize(
    "total", [Total(20.0, 1.0), Total(-30.0, 20.0), Total(500.0, 100.0)], ids=str
)
def test_too_few_records_tell_nothing(total):
    then = counts(np.random.default_rng(5), ALIKE)
    assert drift_interval(then, replace(then, total=total), 6, CHANCE) == UNKNOWN


def test_runs_of_ordered_cells_and_single_ones_are_looked_at():
    def places(cells, ordered):
        return [np.flatnonzero(one).tolist() for one in drift._sets(cells, ordered)]

    assert places(2, 2) == [[0]]
    assert places(4, 0) == [[0], [1], [2], [3]]
    assert places(5, 4) == [[0], [1], [2], [3], [4], [0, 1], [0, 1, 2]]
    assert math.isfinite(drift_interval(*[counts(np.random.default_rng(6), ALIKE)] * 2, 6, 0.5).low)
