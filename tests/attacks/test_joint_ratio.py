"""The ratio of all counts at once is the normal law's own, and tells worlds apart as it says."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from dp_synth.attacks.joint_ratio import NormalCounts, places

RECORDS = 50
SIZES = (3, 4, 12)


def drawn(people, seed):
    """Cells of people in two columns and in their pair, shape (people, 3)."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 3, people)
    second = np.where(rng.random(people) < 0.5, first, rng.integers(0, 4, people))
    return places([first, second, 4 * first + second], SIZES)


KNOWN = drawn(4000, 0)
NOISE = np.repeat([4.0, 9.0, 2.25], SIZES)
LAW = NormalCounts(KNOWN, NOISE, RECORDS)


def marks(cells):
    return np.eye(sum(SIZES))[cells].sum(axis=1)


def test_places_are_those_of_all_cells_in_a_row():
    assert drawn(100, 1).min(axis=0).tolist() == [0, 3, 7]
    assert drawn(100, 1).max(axis=0).tolist() == [2, 6, 18]


@pytest.mark.parametrize(
    "given", [{}, {"spread": 1.5}, {"shrunk": 0.1, "smoothing": 0.5}, {"shrunk": 1.0}]
)
def test_it_is_the_difference_of_two_normal_log_densities(given):
    law = replace(LAW, **given)
    targets, counts = drawn(20, 2), np.random.default_rng(3).normal(20, 10, sum(SIZES))
    every = marks(KNOWN)
    covariance = np.cov(every.T, bias=True)
    own = np.diag(law.shrunk * np.diag(covariance) + law.smoothing / len(KNOWN))
    covariance = (1 - law.shrunk) * covariance + own
    covariance = law.spread * RECORDS * covariance + np.diag(NOISE)
    mean = every.mean(axis=0)
    found, squared = law.log_ratios(targets, counts)
    for place, target in enumerate(marks(targets)):
        worlds = (RECORDS * mean + target - mean, RECORDS * mean)
        inside, outside = (
            multivariate_normal(world, covariance).logpdf(counts) for world in worlds
        )
        assert found[place] == pytest.approx(inside - outside, abs=1e-8)
        shift = target - mean
        assert squared[place] == pytest.approx(shift @ np.linalg.solve(covariance, shift))


def test_a_table_measured_twice_says_what_its_precise_mean_says():
    cells = drawn(200, 4)[:, :1]
    twice = NormalCounts(np.hstack([cells, cells + 3]), np.repeat([2.0, 6.0], 3), RECORDS)
    once = NormalCounts(cells, np.full(3, 1.5), RECORDS)  # 1 / (1 / 2 + 1 / 6)
    counts = np.array([10.0, 20.0, 21.0, 13.0, 22.0, 16.0])
    mean = (3 * counts[:3] + counts[3:]) / 4
    for one, other in zip(
        twice.log_ratios(np.hstack([cells, cells + 3]), counts),
        once.log_ratios(cells, mean),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_worlds_lie_as_far_apart_as_its_distance_says():
    rng, runs, target = np.random.default_rng(5), 4000, drawn(1, 6)
    scores = {}
    for inside in (True, False):
        members = KNOWN[rng.integers(0, len(KNOWN), (runs, RECORDS))]
        if inside:
            members[:, :1] = target
        counts = np.stack(
            [np.bincount(one.ravel(), minlength=sum(SIZES)) for one in members]
        ) + rng.normal(0, np.sqrt(NOISE), (runs, sum(SIZES)))
        scores[inside] = np.array([LAW.log_ratios(target, one)[0][0] for one in counts])
    squared = LAW.log_ratios(target, counts[0])[1][0]
    permitted = norm.isf(1e-7)
    for inside, sign in ((True, 1), (False, -1)):
        # Means of `runs` normal values; with the record inside one fewer is drawn, 1 of 50.
        error = permitted * np.sqrt(squared / runs)
        assert scores[inside].mean() == pytest.approx(sign * squared / 2, abs=error)
        assert scores[inside].var() == pytest.approx(
            squared, rel=permitted * np.sqrt(2 / runs) + 0.02
        )
    assert squared > 0.05
