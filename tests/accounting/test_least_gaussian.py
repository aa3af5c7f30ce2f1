"""The Gaussian that a plan or a round is charged for lies above its curve, and hardly above."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from dp_synth.accounting import Gaussian, Round, Selection, compose, cost
from dp_synth.accounting.budget import gaussian_delta
from dp_synth.accounting.dominating_gaussian import (
    TAIL,
    amount_of_round,
    gaussian_deltas,
    is_below,
    least_amount,
    summarized,
)
from dp_synth.accounting.events import (
    Event,
    NoisyVote,
    Pure,
    SampledGaussian,
    ThresholdedGaussian,
    ZeroConcentrated,
)
from dp_synth.accounting.privacy_profile import PrivacyCurve
from dp_synth.accounting.selection_block import block_curve

PLANS: dict[str, list[tuple[Event, int]]] = {
    "selections between Gaussians": [(Gaussian(9, 1), 3), (Selection(0.2), 9), (Gaussian(9, 1), 3)],
    "sampled sums": [(Gaussian(20.0, 1.0), 3), (SampledGaussian(1.9, 0.026, 300), 1)],
    "few rare sums": [(SampledGaussian(0.8, 0.001, 200), 1)],
    "votes": [(NoisyVote("laplace", 40.0, 51), 50)],
    "thresholds": [(ThresholdedGaussian(5.0, 1.0, 1e-9), 2), (Gaussian(4.0, 1.0), 1)],
    "a filter of zCDP inside": [(ZeroConcentrated(0.02), 1)],
    "pure": [(Pure(0.1), 5)],
}
MUS = [1e-8, 1e-3, 0.3, 2.0, 9.0]


@pytest.mark.parametrize("mu", MUS)
def test_deltas_of_a_gaussian_are_rounded_to_the_side_that_is_asked_for(mu: float) -> None:
    epsilons = mu * np.linspace(0, 30, 200) + mu**2 / 2
    exact = np.array([gaussian_delta(mu, e) for e in epsilons])  # rounded up itself
    up, down = (gaussian_deltas(mu, epsilons, up=side) for side in (True, False))
    assert np.all(down <= exact)
    assert np.all(exact <= up * (1 + 1e-9))
    mirrored = 1 - np.exp(-epsilons) + np.exp(-epsilons) * up
    assert gaussian_deltas(mu, -epsilons, up=True) == pytest.approx(mirrored, rel=1e-12)


def test_a_curve_between_two_points_is_bounded_by_its_chord() -> None:
    mu, epsilons = 1.0, np.array([0.0, 1.0, 2.0, 3.0])  # far too few points
    own = gaussian_deltas(mu, epsilons, up=True)
    assert not is_below(epsilons, own, 1.0001)  # chords lie well above the curve itself
    assert is_below(epsilons, own, 1.3)


@pytest.mark.parametrize("allowance", [1e-3, 1e-7])
@pytest.mark.parametrize("name", PLANS)
def test_what_a_plan_is_charged_lies_above_its_curve_and_a_hundredth_less_does_not(
    name: str, allowance: float
) -> None:
    curve = compose(PLANS[name])
    amount = least_amount(curve, allowance)
    epsilons = np.linspace(0, curve.epsilon(max(allowance * amount, 1e-14) * 2), 97)

    def above(amount: float) -> np.ndarray:
        left_out = allowance * amount
        bound = left_out + (1 - left_out) * gaussian_deltas(math.sqrt(amount), epsilons, up=True)
        return np.asarray(bound * (1 + 1e-9) - curve.deltas(epsilons))

    assert above(amount).min() >= 0
    if name not in ("thresholds", "few rare sums"):  # theirs may be what is left out
        assert above(0.97 * amount).min() < 0


def test_gaussians_alone_cost_what_they_are() -> None:
    curve: PrivacyCurve = compose([(Gaussian(4.0, 2.0), 3)])
    assert least_amount(curve, 1e-6) == pytest.approx(3 / 16, rel=1e-12)


def test_what_no_bound_reaches_has_no_amount() -> None:
    assert least_amount(compose([(SampledGaussian(0.01, 0.5, 10), 1)]), 1e-9) == math.inf


@pytest.mark.parametrize("alpha", [0.99, 0.9, 0.7, 0.3])
@pytest.mark.parametrize("mu", [1e-3, 0.1, 1.0, 4.0])
def test_a_round_is_charged_a_gaussian_above_its_block_curve(alpha: float, mu: float) -> None:
    range_ = 2 * math.sqrt((1 - alpha) / alpha) * mu
    amount = cost(Round(range_, 1 / mu), "gdp")
    last = 12 * mu + mu**2 / 2 + range_

    def answer(epsilons: np.ndarray) -> np.ndarray:
        return gaussian_deltas(mu, epsilons, up=False)

    epsilons, deltas = block_curve(range_, 1, answer, last, work=2e6)
    assert np.all(deltas * (1 - 4e-2) <= gaussian_deltas(math.sqrt(amount), epsilons, up=True))
    assert mu**2 < amount <= mu**2 + cost(Selection(range_), "gdp")  # no more than one by one


@pytest.mark.parametrize(("range_", "multiplier"), [(30.0, 0.1), (800.0, 1.0), (1e-6, 1e6)])
def test_extreme_rounds_cost_a_finite_amount(range_: float, multiplier: float) -> None:
    amount = amount_of_round(range_, multiplier)
    assert multiplier**-2 < amount <= (1 / multiplier + 2 * range_ * multiplier) ** 2 * (1 + 1e-9)


def test_the_tail_that_no_point_was_compared_in_is_dominated() -> None:
    mu, range_ = 0.3, 0.2
    own = math.sqrt(amount_of_round(range_, 1 / mu))
    for deviations in (14.0, 20.0, 30.0, 35.0):
        epsilon = np.array([deviations * mu])
        shifted = gaussian_deltas(mu, epsilon - range_, up=True)  # no loss is more than the range
        assert shifted[0] <= gaussian_deltas(own, epsilon, up=False)[0]


def _after_answer(curve: np.ndarray, epsilons: np.ndarray, mu: float) -> np.ndarray:
    """The curve of a Gaussian answer and what follows it, by trapezia over its loss."""
    nodes = np.linspace(-8, 8, 801)
    weights = norm.pdf(nodes) * (nodes[1] - nodes[0])
    losses = mu**2 / 2 + mu * nodes
    return np.sum([w * _at(curve, epsilons, e) for w, e in _pairs(weights, losses, epsilons)], 0)


def _pairs(weights: np.ndarray, losses: np.ndarray, epsilons: np.ndarray):
    return ((w, epsilons - loss) for w, loss in zip(weights, losses, strict=True))


def _at(curve: np.ndarray, epsilons: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """A curve at any epsilon, by the symmetry of its two directions."""
    positive = np.interp(np.abs(wanted), epsilons, curve)
    gain = np.exp(np.minimum(wanted, 0.0))
    return np.where(wanted >= 0, positive, 1 - gain + gain * positive)


def _round(after: np.ndarray, epsilons: np.ndarray, range_: float, mu: float) -> np.ndarray:
    """The worst curve of a choice, its answer and what follows: an adversary picks t."""
    rest = _after_answer(after, epsilons, mu)
    best = np.zeros_like(epsilons)
    for t in np.linspace(0, range_, 41):
        chance = (math.exp(range_) - math.exp(t)) / math.expm1(range_)
        low, high = (_at(rest, epsilons, epsilons - t + by) for by in (0.0, range_))
        best = np.maximum(best, chance * low + (1 - chance) * high)
    return best


def test_no_adversary_who_fits_rounds_to_what_it_sees_beats_the_filter() -> None:
    """After one round any of several others, by what the loss is: the largest curve at each point.

    The true worst case of all strategies over this menu, each of which costs at most the limit.
    """
    ratio, mu = 2 * math.sqrt(1 / 9), 0.5
    first = amount_of_round(ratio * mu, 1 / mu)
    limit = 2 * first
    epsilons = np.linspace(0, 6, 1201)
    menu = []
    for share, by in [(1.0, ratio), (0.25, ratio), (1.0, 0.0), (1.0, 2 * ratio)]:
        own = math.sqrt(share * first)
        if by:
            own *= 0.999 * own / math.sqrt(amount_of_round(by * own, 1 / own))
            assert amount_of_round(by * own, 1 / own) <= share * first
        nothing = np.zeros_like(epsilons)
        later = (
            _round(nothing, epsilons, by * own, own)
            if by
            else gaussian_deltas(own, epsilons, up=True)
        )
        menu.append(later)
    worst = _round(np.max(menu, axis=0), epsilons, ratio * mu, mu)
    bound = gaussian_deltas(math.sqrt(limit), epsilons, up=True)
    inner = slice(0, 800)  # beyond, interpolation between points of the lattice shows
    assert np.all(worst[inner] <= bound[inner] * (1 + 1e-3))
    assert np.max(worst[inner] / bound[inner]) > 0.9  # it is no easy bound


def test_a_round_of_zcdp_costs_the_sum() -> None:
    one = Round(0.2, 3.0)
    assert cost(one, "zcdp") == pytest.approx(0.2**2 / 8 + 1 / 18)
    assert (
        compose([(one, 2)]).events
        == compose([(one.choice, 1), (one.answer, 1), (one.choice, 1), (one.answer, 1)]).events
    )


def test_the_regret_of_sampled_sums_is_a_fact_of_theirs() -> None:
    """Of DPCTGAN's plan at advantage .4: bounds from below leave no room for a smaller mu."""
    curve = compose([(Gaussian(9.356, 1.0), 15), (SampledGaussian(1.2201, 0.026, 1500), 1)])
    found = summarized(curve)
    low, _ = curve.delta_bounds(8.0)  # where mu is decided
    least = brentq(lambda mu: gaussian_delta(mu, 8.0) - (low - TAIL) / (1 - TAIL), 0.5, 2.0)
    assert 0.999 * found.mu < least <= found.mu
    regret = (gaussian_delta(least, 0.0) - curve.delta(0.0)) / 2
    assert 0.0155 < regret <= found.regret < 0.0165
