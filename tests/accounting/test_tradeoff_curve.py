"""The attacker's side of a privacy curve: true-positive against false-positive rate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from random_plans import random_events
from scipy.stats import binom, norm

from dp_synth.accounting import Gaussian, PrivacyCurve, Selection, compose
from dp_synth.accounting.events import Approximate, Pure

FPR = np.concatenate([[0.0], np.geomspace(1e-9, 0.5, 200), np.linspace(0.5, 1.0, 101)[1:]])


def _gaussian(mu: float) -> PrivacyCurve:
    return compose([(Gaussian(1 / mu, 1.0), 1)])


@pytest.mark.parametrize("seed", range(50))
def test_tpr_is_concave_increasing_and_never_below_guessing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    curve = compose(random_events(rng, selections=seed % 10 == 0))
    tpr = curve.tpr(FPR)
    assert (tpr >= FPR - 1e-15).all()
    assert (np.diff(tpr) >= -1e-12).all()
    assert tpr[-1] == pytest.approx(1.0, abs=1e-12)
    slopes = np.diff(tpr) / np.diff(FPR)
    assert (np.diff(slopes) <= 1e-6 * (1 + slopes[:-1])).all()
    assert 0.5 < curve.largest_auc() <= 1.0


@pytest.mark.parametrize("mu", [1e-3, 0.05, 0.3, 1.0, 2.5, 6.0])
def test_tpr_against_gaussians_is_that_of_the_best_test(mu: float) -> None:
    best = norm.cdf(norm.ppf(FPR) + mu)  # Neyman & Pearson: a threshold on one normal variable
    tpr = _gaussian(mu).tpr(FPR)
    assert (tpr >= best - 1e-12).all()
    assert (tpr <= best + 1e-3).all()


@pytest.mark.parametrize("mu", [1e-3, 0.05, 0.3, 1.0, 2.5, 6.0])
def test_largest_auc_against_gaussians_is_the_binormal_area(mu: float) -> None:
    area = float(norm.cdf(mu / math.sqrt(2)))
    assert area <= _gaussian(mu).largest_auc() <= area + 1e-3


def test_tpr_against_one_selection_is_never_below_its_two_point_pair() -> None:
    range_, t = 2.0, 1.0
    q = -math.expm1(t - range_) / (math.exp(t) - math.exp(t - range_))
    p = math.exp(t) * q
    best = np.minimum(p * FPR / q, p + (1 - p) * np.maximum(FPR - q, 0) / (1 - q))
    tpr = compose([(Selection(range_), 1)]).tpr(FPR)
    assert (tpr >= best - 1e-9).all()
    assert tpr[FPR.searchsorted(q)] == pytest.approx(p, abs=0.05)


def test_no_event_leaves_the_attacker_guessing() -> None:
    assert (compose([]).tpr(FPR) == FPR).all()


def test_a_hopeless_budget_permits_a_perfect_attack() -> None:
    hopeless = compose([(Gaussian(0.02, 1.0), 1), (Selection(3.0), 4)])
    assert hopeless.largest_auc() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("epsilon", "delta"), [(1.0, 1e-2), (0.3, 1e-6), (2.0, 0.2)])
def test_tpr_against_an_event_of_known_epsilon_and_delta_is_exact(
    epsilon: float, delta: float
) -> None:
    gain = math.exp(epsilon)
    best = 1 - np.maximum(0, np.maximum(1 - delta - gain * FPR, (1 - delta - FPR) / gain))
    tpr = compose([(Approximate(epsilon, delta), 1)]).tpr(FPR)
    assert (tpr >= best - 1e-12).all()
    assert tpr == pytest.approx(best, abs=1e-9)


def test_tpr_against_repeated_responses_is_exact() -> None:
    chance = 1 / (1 + math.exp(-0.5))
    truths = np.arange(7)
    upper, lower = binom.pmf(truths, 6, chance), binom.pmf(truths, 6, 1 - chance)
    fpr = np.concatenate([[0.0], np.cumsum(lower[::-1])])
    tpr = np.concatenate([[0.0], np.cumsum(upper[::-1])])
    found = compose([(Pure(0.5), 6)]).tpr(FPR)
    assert found == pytest.approx(np.interp(FPR, fpr, tpr), abs=1e-9)
