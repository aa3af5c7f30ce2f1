"""The one number of a curve: the least mu above it, and how far its trade-off lies below."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from dp_synth.accounting import Gaussian, NonPrivate, NoOp, PrivacyCurve, compose
from dp_synth.accounting.budget import gaussian_deltas
from dp_synth.accounting.dominating_gaussian import TAIL, GaussianSummary, regret, summarized
from dp_synth.accounting.events import (
    Event,
    Laplace,
    Pure,
    SampledGaussian,
    Selection,
    ThresholdedGaussian,
)

EVENTS: dict[str, list[tuple[Event, int]]] = {
    "pure": [(Pure(0.5), 1)],
    "selections": [(Selection(0.3), 10)],
    "laplace and gaussian": [(Gaussian(3.0, 1.0), 1), (Laplace(3.0, 1.0), 2)],
    "sampled": [(SampledGaussian(1.1, 0.01, 1000), 1)],
    "thresholds": [(ThresholdedGaussian(2.0, 1.0, 1e-4), 2)],
}


@pytest.mark.parametrize("name", EVENTS)
def test_the_gaussian_of_mu_is_nowhere_below_and_one_a_hair_smaller_is(name: str) -> None:
    curve = compose(EVENTS[name])
    found = summarized(curve)
    epsilons = np.linspace(0.0, 1.1 * curve.epsilon(found.left_out), 3001)
    deltas = curve.deltas(epsilons)

    def above(mu: float) -> np.ndarray:
        own = gaussian_deltas(mu, epsilons, up=False)
        return found.left_out + (1 - found.left_out) * own - deltas

    assert above(found.mu).min() > -1e-13
    assert above(found.mu * (1 - 1e-3)).min() < 0


@pytest.mark.parametrize("name", EVENTS)
def test_the_regret_is_the_least_shift_that_brings_the_curve_below(name: str) -> None:
    """Brute force on both trade-off curves: f(a + k) - k <= g(a) for all a, and for no less k."""
    curve = compose(EVENTS[name])
    found = summarized(curve)
    fprs = np.concatenate([np.geomspace(1e-7, 1e-2, 200), np.linspace(0.01, 0.999, 1500)])
    gaussian = (1 - found.left_out) * norm.cdf(norm.ppf(1 - fprs) - found.mu)

    def lies_below(shift: float) -> bool:
        moved = np.minimum(fprs + shift, 1.0)
        return bool(np.all(_tradeoff(curve, moved) - shift <= gaussian + 1e-9))

    assert lies_below(found.regret + 2e-5)
    assert not lies_below(found.regret - 1e-4 - 0.02 * found.regret)


def _tradeoff(curve: PrivacyCurve, fprs: np.ndarray) -> np.ndarray:
    epsilons = np.linspace(0.0, curve.epsilon(1e-9 + curve.told * 1.001), 1500)[:, None]
    deltas, gains = curve.deltas(epsilons[:, 0])[:, None], np.exp(epsilons)
    best = np.maximum(1 - deltas - gains * fprs, (1 - deltas - fprs) / gains).max(axis=0)
    return np.asarray(np.maximum(best, 0.0))


def test_a_gaussian_has_no_regret_and_nothing_is_left_out() -> None:
    assert summarized(compose([(Gaussian(4.0, 1.0), 4)])) == GaussianSummary(0.5, 0.0, 0.0)
    epsilons = np.linspace(0, 3, 1501)
    own = gaussian_deltas(0.5, epsilons, up=True)
    assert regret(epsilons, own, 0.5) < 1e-5  # of the grid
    assert regret(epsilons, own, 0.6) > 0.01


def test_nothing_public_has_a_mu_and_no_guarantee_has_none() -> None:
    assert summarized(compose([(NoOp(), 3)])).mu == 0
    told = summarized(compose([(NonPrivate("all is told"), 1)]))
    assert math.isinf(told.mu)
    assert str(told) == "Gaussian DP: no mu is known"


def test_what_is_left_out_is_said() -> None:
    sampled = summarized(compose(EVENTS["sampled"]))
    assert sampled.left_out == TAIL
    assert "but for a chance of 1e-12" in str(sampled)
    thresholds = compose(EVENTS["thresholds"])
    assert thresholds.told < summarized(thresholds).left_out < thresholds.told * 1.01
