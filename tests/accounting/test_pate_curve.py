"""The curve of one noisy vote against all splits, and how much noise many votes need."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from dp_synth.accounting.events import NoisyVote, VoteNoise
from dp_synth.accounting.pate import largest_loss, vote_delta
from dp_synth.accounting.pld import loss_distribution

NOISES: tuple[VoteNoise, ...] = ("gaussian", "laplace", "gumbel")
EPSILONS = np.linspace(-3.0, 6.0, 37)


def chances_to_win(event: NoisyVote) -> np.ndarray:
    """The chance of the first class with 0, 1, ... votes, from distributions of scipy."""
    gaps = 2.0 * np.arange(event.teachers + 1) - event.teachers
    match event.noise:
        case "gaussian":
            return np.asarray(stats.norm.cdf(gaps, scale=event.scale * math.sqrt(2)))
        case "gumbel":
            return np.asarray(stats.logistic.cdf(gaps, scale=event.scale))
        case "laplace":
            return np.array([_laplace_below(gap / event.scale) for gap in gaps])


def _laplace_below(gap: float) -> float:
    """P(X - Y < gap), where X - Y is also the difference of two Gamma(2) variables."""
    mass = integrate.quad(
        lambda y: y * math.exp(-y) * special.gammainc(2.0, gap + y),
        max(0.0, -gap),
        max(0.0, -gap) + 60.0,
        epsabs=1e-15,
        epsrel=1e-12,
    )
    return float(mass[0])


def brute_force(event: NoisyVote, epsilon: float) -> float:
    """The hockey-stick divergence at every split, of both outcomes, in both directions."""
    first = chances_to_win(event)
    table = np.stack([first, 1 - first])
    more, fewer = table[:, 1:], table[:, :-1]
    gain = math.exp(epsilon)
    up = np.maximum(more - gain * fewer, 0).sum(axis=0)
    down = np.maximum(fewer - gain * more, 0).sum(axis=0)
    return float(max(up.max(), down.max()))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("teachers", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("scale", [0.4, 2.0, 20.0])
def test_the_curve_is_the_maximum_over_all_splits(
    noise: VoteNoise, teachers: int, scale: float
) -> None:
    event = NoisyVote(noise, scale, teachers)
    expected = np.array([brute_force(event, epsilon) for epsilon in EPSILONS])
    tolerance = (1e-13 if noise == "laplace" else 3e-16) * (1 + np.exp(EPSILONS))
    found = vote_delta(event, EPSILONS)
    assert np.all(found >= expected - tolerance)
    assert np.all(found <= expected + tolerance + 1e-12)


@pytest.mark.parametrize("noise", ["gaussian", "gumbel"])
def test_a_thousand_teachers_are_searched_as_well_as_a_few(noise: VoteNoise) -> None:
    event = NoisyVote(noise, 25.0, 1001)
    epsilons = np.linspace(0.0, 1.0, 50)
    expected = [brute_force(event, epsilon) for epsilon in epsilons]
    assert vote_delta(event, epsilons) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("noise", NOISES)
def test_no_loss_is_larger_than_the_largest(noise: VoteNoise) -> None:
    event = NoisyVote(noise, 3.0, 9)
    last = largest_loss(event)
    assert vote_delta(event, np.array([last * (1 + 1e-9)]))[0] == 0
    assert vote_delta(event, np.array([last * (1 - 1e-3)]))[0] > 0


@pytest.mark.parametrize("noise", NOISES)
def test_more_noise_and_fewer_teachers_never_cost_more(noise: VoteNoise) -> None:
    epsilons = np.linspace(0, 2, 40)
    quieter, louder = (NoisyVote(noise, scale, 50) for scale in (4.0, 5.0))
    assert np.all(vote_delta(quieter, epsilons) >= vote_delta(louder, epsilons))
    fewer, more = (NoisyVote(noise, 5.0, teachers) for teachers in (10, 50))
    assert np.all(vote_delta(more, epsilons) >= vote_delta(fewer, epsilons) - 1e-15)


@pytest.mark.parametrize("noise", NOISES)
def test_the_curve_falls_and_is_convex_in_the_exponential_of_epsilon(noise: VoteNoise) -> None:
    ratios = np.linspace(0.05, 8.0, 400)
    deltas = vote_delta(NoisyVote(noise, 1.5, 20), np.log(ratios))
    assert np.all(np.diff(deltas) <= 0)
    assert np.all(np.diff(deltas, 2) >= -1e-13)


def test_extreme_noise_neither_warns_nor_leaves_the_unit_interval() -> None:
    epsilons = np.array([-800.0, -1.0, 0.0, 1.0, 800.0])
    for noise in NOISES:
        for scale in (1e-4, 1e9):
            deltas = vote_delta(NoisyVote(noise, scale, 1_000_000), epsilons)
            assert np.all((deltas >= 0) & (deltas <= 1))
            assert np.all(np.diff(deltas) <= 0)


def least_scale(
    noise: VoteNoise, teachers: int, queries: int, bracket: tuple[float, float]
) -> float:
    """The least noise at which so many votes together are (1, 1e-5)-DP, by bisection."""
    low, high = bracket
    while high / low > 1 + 2e-4:
        middle = math.sqrt(low * high)
        losses = loss_distribution(NoisyVote(noise, middle, teachers), 1 / 3000)
        assert losses is not None
        spent = losses.self_compose(queries).epsilon(1e-5)
        low, high = (middle, high) if spent > 1 else (low, middle)
    return high


@pytest.mark.parametrize(
    ("noise", "teachers", "queries", "expected"),
    [
        ("laplace", 100, 100, 1 / 0.02477),
        ("laplace", 100, 1000, 1 / 0.007875),
        ("gumbel", 100, 100, 1 / 0.02338),
        ("gaussian", 100, 100, 51.8),
        ("gaussian", 100, 1000, 151.3),
        ("gaussian", 10, 100, 43.9),
        ("gaussian", 1000, 100, 52.8),
    ],
)
def test_many_votes_need_no_more_noise_than_an_exact_composition(
    noise: VoteNoise, teachers: int, queries: int, expected: float
) -> None:
    """Expected values from a separate implementation that tries every split, to three digits."""
    found = least_scale(noise, teachers, queries, (0.9 * expected, 1.1 * expected))
    assert found == pytest.approx(expected, rel=1.5e-3)


def test_exact_composition_needs_less_noise_than_the_histogram_that_hides_in_a_vote() -> None:
    both_counts = math.sqrt(2 * 100) / 0.26805  # one Gaussian of this mu is (1, 1e-5)-DP
    assert least_scale("gaussian", 100, 100, (30.0, 80.0)) < 0.99 * both_counts
