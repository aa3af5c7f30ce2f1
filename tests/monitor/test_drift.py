"""Intervals for a drift: they cover it as often as they say, and an error in them would be seen."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from dp_synth.monitor import drift
from dp_synth.monitor.drift import UNKNOWN, Counts, drift_interval, quantile, shared_chance
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


def most(chance, runs=RUNS):
    """Return how often it happens in all runs at most, but for a chance of 1e-7."""
    return binom.ppf(1 - 1e-7, runs, chance)


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


@pytest.mark.parametrize("laplace", [False, True])
def test_sets_of_cells_have_the_error_that_is_said_of_them(laplace):
    """Noise of unlike cells, and of the number of records, which is large here."""
    shares, spread = np.array([0.5, 0.3, 0.1, 0.1]), np.array([10.0, 60.0, 20.0, 90.0])
    draws, rng, off = 4_000, np.random.default_rng(4), 200.0
    sets = [np.array(one) for one in ([1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1])]
    found = np.empty((draws, len(sets)))

    def table():
        noise = rng.laplace(0, spread / np.sqrt(2)) if laplace else rng.normal(0, spread)
        values = rng.multinomial(2_000, shares) + noise
        return Counts(values, spread**2, Total(2_000 + rng.normal(0, off), off), laplace=laplace)

    for place in range(draws):
        one = drift.Comparison(table(), table(), 0)
        moved = one.now.balanced - one.then.balanced
        assert moved.sum() == pytest.approx(0, abs=1e-12)
        found[place] = [moved[cells == 1].sum() for cells in sets]
    exact = drift.Counts(2_000 * shares, spread**2, Total(2_000.0, off), laplace=laplace)
    errors = drift.Comparison(exact, exact, 0).errors
    for cells, seen in zip(sets, found.var(axis=0), strict=True):  # known to 2.3 %, six times
        assert seen == pytest.approx(errors.variance(cells == 1, shares), rel=0.15)


@pytest.mark.parametrize("told", [True, False])
def test_laplace_noise_raises_no_more_alarms_where_it_is_told(told):
    """Its tails are long: taken as normal, it raises several times as many as stated."""
    shares, rng, wrong = np.full(10, 0.1), np.random.default_rng(3), 0
    chance, total = 0.01, Total(2_000, 5.0)
    for _ in range(1_000):
        then, now = (
            Counts(
                rng.multinomial(2_000, shares) + rng.laplace(0, 60 / np.sqrt(2), 10),
                np.full(10, 60.0**2),
                total,
                laplace=told,
            )
            for _ in range(2)
        )
        wrong += drift_interval(then, now, 0, chance).low > 0
    assert bool(wrong <= most(chance, 1_000)) is told


def test_the_saddlepoint_is_above_the_exact_quantile_and_hardly_so():
    """Of one Laplace number beside a normal one, and of two alike: both have closed forms."""

    def with_normal(sigma, t):
        far, near = t / sigma + sigma, t / sigma - sigma
        tilted = np.exp(sigma**2 / 2) * (np.exp(-t) * ndtr(near) - np.exp(t) * ndtr(-far))
        return ndtr(-t / sigma) + tilted / 2

    for chance in (0.05, 1e-3, 1e-5):
        for sigma in (0.3, 1.0, 3.0):
            exact = with_normal(sigma, quantile(sigma**2, np.array([2.0]), chance))
            assert 0.8 * chance <= exact <= chance
        t = quantile(0.0, np.array([2.0, 2.0]), chance)
        assert 0.8 * chance <= (2 + t) * np.exp(-t) / 4 <= chance


def test_the_chance_is_shared_out_whole_and_most_where_it_decides():
    first, second = shared_chance([[1.0, 0.04, 2.0, 100.0], [1.0]], 0.01)
    assert 0.999 * 0.01 <= 2 * (first.sum() + second.sum()) <= 0.01 * (1 + 1e-9)
    assert first[2] > 1.5 * first[0] > 3 * max(first[1], first[3])  # of sure and hopeless sets
    assert first.min() >= first[4] == pytest.approx(0.01 / 2 / 4 / 2 / 5)
    assert second[1] == pytest.approx(0.01 / 2 / 4 / 2 / 2)
    assert shared_chance([], 0.01) == []


def test_no_other_sharing_sees_more_of_a_drift():
    """Shares that are moved a little, at the drift for which they were made."""
    deviations, rng = np.array([0.3, 0.5, 0.8, 1.0, 1.0]), np.random.default_rng(0)
    own = drift._aimed(deviations, 0.005)

    def seen(shares, size):
        return ndtr(size / deviations + ndtri(shares)).mean()

    size = drift._just_seen(deviations, 0.005)
    for _ in range(50):
        other = own * rng.uniform(0.8, 1.25, 5)
        assert seen(other * own.sum() / other.sum(), size) < seen(own, size)


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
