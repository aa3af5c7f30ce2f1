"""Loss distributions against exact values, from which they may depart upwards only."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, signal, stats

from dp_synth.accounting.budget import gaussian_delta, zcdp_delta
from dp_synth.accounting.events import (
    Approximate,
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Gaussian,
    Laplace,
    NoisyVote,
    NoOp,
    Pure,
    SampledGaussian,
    Selection,
    ZeroConcentrated,
)
from dp_synth.accounting.pld import (
    convex_envelope,
    curve_distribution,
    loss_distribution,
    zcdp_deltas,
)
from dp_synth.errors import UnsupportedEvent

STEP = 1 / 3000
ROUNDING = 1e-12  # of composed chances: numpy's Fourier transforms are exact to about this


def deltas_of(
    event: Event, epsilons: np.ndarray, *, count: int = 1, step: float = STEP
) -> np.ndarray:
    losses = loss_distribution(event, step)
    assert losses is not None
    composed = losses.self_compose(count)
    return np.array([composed.delta(epsilon) for epsilon in epsilons.tolist()])


def epsilon_of(event: Event, delta: float, *, count: int = 1, step: float = STEP) -> float:
    losses = loss_distribution(event, step)
    assert losses is not None
    return float(losses.self_compose(count).epsilon(delta))


def hockey_stick(upper: np.ndarray, lower: np.ndarray, epsilon: float) -> float:
    return float(np.maximum(upper - math.exp(epsilon) * lower, 0).sum())


def assert_just_above(found: np.ndarray, exact: np.ndarray, relative: float) -> None:
    assert np.all(found >= exact * (1 - 1e-9) - ROUNDING)
    assert np.all(found <= exact * (1 + relative) + ROUNDING)


def test_two_laplace_answers_cost_what_the_integral_over_the_first_says() -> None:
    loss = 0.7

    def one(epsilon: float) -> float:
        if epsilon <= -loss:
            return -math.expm1(epsilon)
        return max(0.0, -math.expm1((epsilon - loss) / 2))

    def two(epsilon: float) -> float:
        kinks = [kink for kink in (epsilon - loss, epsilon + loss) if -loss < kink < loss]
        between = integrate.quad(
            lambda first: math.exp((first - loss) / 2) / 4 * one(epsilon - first),
            -loss,
            loss,
            points=kinks or None,
        )[0]
        return one(epsilon - loss) / 2 + math.exp(-loss) / 2 * one(epsilon + loss) + float(between)

    epsilons = np.linspace(0.0, 1.35, 28)
    exact = np.array([two(epsilon) for epsilon in epsilons.tolist()])
    assert_just_above(deltas_of(Laplace(2.0, 1.4), epsilons, count=2), exact, 1e-5)


def test_ten_laplace_answers_cost_what_a_direct_convolution_says() -> None:
    """Losses rounded down to a fine grid give a lower bound, and the true one is near."""
    loss, fine = 0.3, 0.3 / 4000
    cells = np.arange(-4000, 4000)
    tail = np.exp((np.append(cells, 4000) * fine - loss) / 2) / 2  # P(loss' <= x), x in the middle
    single = np.append(np.diff(tail), 0.5)
    single[0] += math.exp(-loss) / 2
    total = single
    for _ in range(9):
        total = signal.fftconvolve(total, single)
    losses = (np.arange(len(total)) - 40_000) * fine
    epsilons = np.linspace(0.0, 2.0, 11)
    below = np.array([total @ np.maximum(0, -np.expm1(e - losses)) for e in epsilons])
    found = deltas_of(Laplace(1.0, loss), epsilons, count=10)
    assert np.all(found >= below - ROUNDING)
    assert np.all(found <= below * 1.01 + ROUNDING)


@pytest.mark.parametrize(("noise_multiplier", "count"), [(1.0, 1), (5.0, 4), (30.0, 50)])
def test_gaussian_answers_cost_what_their_closed_form_says(
    noise_multiplier: float, count: int
) -> None:
    epsilons = np.linspace(0.0, 3.0, 13)
    mu = math.sqrt(count) / noise_multiplier
    exact = np.array([gaussian_delta(mu, epsilon) for epsilon in epsilons.tolist()])
    found = deltas_of(Gaussian(noise_multiplier, 2.0), epsilons, count=count)
    assert_just_above(found, exact, 1e-3)


@pytest.mark.parametrize(
    ("scale", "sensitivity"), [(0.8, 1), (0.8, 3), (2.0, 1), (11.0, 1), (11.0, 25)]
)
@pytest.mark.parametrize("kind", [DiscreteGaussian, DiscreteLaplace])
def test_discrete_noise_costs_what_the_sum_over_its_values_says(
    kind: type[DiscreteGaussian | DiscreteLaplace], scale: float, sensitivity: int
) -> None:
    noise = np.arange(-600, 601)
    power = noise**2 / (2 * scale**2) if kind is DiscreteGaussian else np.abs(noise) / scale
    chances = np.exp(-power) / np.exp(-power).sum()
    epsilons = np.linspace(0.0, 6.0, 25)
    exact = np.array(
        [hockey_stick(chances[:-sensitivity], chances[sensitivity:], e) for e in epsilons]
    )
    assert_just_above(deltas_of(kind(scale, sensitivity), epsilons), exact, 1e-3)


@pytest.mark.parametrize(
    ("stddev", "times"), [(1.0, 2.14), (2.0, 1.30), (5.0, 1.05), (30.0, 1.001)]
)
def test_discrete_gaussian_noise_costs_more_than_continuous_by_a_shrinking_factor(
    stddev: float, times: float
) -> None:
    """So many times the delta of one continuous answer, at most, where that is above 1e-8."""
    last = 0.5 / stddev**2 + 6 / stddev
    epsilons = np.linspace(0.0, last, 3001)
    continuous = np.array([gaussian_delta(1 / stddev, e) for e in epsilons.tolist()])
    found = deltas_of(DiscreteGaussian(stddev, 1), epsilons, step=last / 3000)
    excess = np.max((found / continuous)[continuous > 1e-8]) - 1
    assert 0.9 * (times - 1) <= excess <= 1.2 * (times - 1)


@pytest.mark.parametrize(("stddev", "expected"), [(2.0, 9.6019), (5.0, 3.26418), (26.19, 0.52193)])
def test_fifteen_discrete_gaussians_cost_no_more_than_a_coarser_certified_bound(
    stddev: float, expected: float
) -> None:
    """Printed by dp-accounting with losses rounded up; the continuous ones are within 0.1 %."""
    found = epsilon_of(DiscreteGaussian(stddev, 1), 1e-5, count=15)
    assert found <= expected * (1 + 1e-4)
    assert found >= expected * (1 - 2e-3)


@pytest.mark.parametrize(("epsilon", "count"), [(1.0, 5), (math.log(3), 10), (0.05, 200)])
def test_pure_events_cost_what_repeated_randomized_response_does(
    epsilon: float, count: int
) -> None:
    truths = np.arange(count + 1)
    chance = 1 / (1 + math.exp(-epsilon))
    upper, lower = (
        stats.binom.pmf(truths, count, chance),
        stats.binom.pmf(truths, count, 1 - chance),
    )
    epsilons = np.linspace(0.0, 0.99 * count * epsilon, 20)
    exact = np.array([hockey_stick(upper, lower, e) for e in epsilons])
    assert_just_above(deltas_of(Pure(epsilon), epsilons, count=count), exact, 1e-2)


def test_ten_pure_events_cost_ten_times_their_epsilon_at_a_vanishing_delta() -> None:
    exact = 10 * math.log(3)  # 10.986, where a dropped count would say 1.0986
    found = epsilon_of(Pure(math.log(3)), 1e-12, count=10)
    assert exact - 1e-6 <= found <= exact + 10 * STEP


@pytest.mark.parametrize("epsilon", [0.0, 0.4])
def test_approximate_events_cost_what_the_theorem_on_their_composition_says(
    epsilon: float,
) -> None:
    """Kairouz, Oh & Viswanath 2015, Thm 3.3: 1 - (1 - delta)^k beside randomized response."""
    count, delta = 8, 1e-3
    hidden = (1 - delta) ** count
    epsilons = np.linspace(0.0, 3.5, 15)
    truths = np.arange(count + 1)
    chance = 1 / (1 + math.exp(-epsilon))
    upper, lower = (
        stats.binom.pmf(truths, count, chance),
        stats.binom.pmf(truths, count, 1 - chance),
    )
    exact = np.array([1 - hidden + hidden * hockey_stick(upper, lower, e) for e in epsilons])
    found = deltas_of(Approximate(epsilon, delta), epsilons, count=count)
    assert_just_above(found, exact, 1e-3)


@pytest.mark.parametrize(("steps", "noise_multiplier"), [(1000, 1.0751), (10_000, 2.5634)])
def test_sampled_gaussians_need_the_noise_known_for_them(
    steps: int, noise_multiplier: float
) -> None:
    """The least noise at (1, 1e-5) for batches of 256 of 39,000, known to three digits."""
    enough, too_little = (
        SampledGaussian(noise_multiplier + shift, 256 / 39_000, steps) for shift in (2e-3, -2e-3)
    )
    assert epsilon_of(enough, 1e-5, step=1 / 6000) <= 1
    assert epsilon_of(too_little, 1e-5) > 1


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_one_sampled_gaussian_costs_the_larger_of_both_directions(rate: float) -> None:
    """Each direction ends or begins at the value where its loss is epsilon."""
    stddev = 0.9

    def removed(epsilon: float) -> float:
        gain = (math.expm1(epsilon) + rate) / rate  # the ratio of the two Gaussians there
        start = stddev**2 * math.log(gain) + 0.5
        near, far = stats.norm.sf(np.array([start - 1, start]) / stddev)
        return float(rate * (near - gain * far))

    def added(epsilon: float) -> float:
        gain = 1 + math.expm1(-epsilon) / rate
        if gain <= 0:
            return 0.0
        end = stddev**2 * math.log(gain) + 0.5
        near, far = stats.norm.cdf(np.array([end, end - 1]) / stddev)
        return float(rate * math.exp(epsilon) * (gain * near - far))

    epsilons = np.linspace(0.0, 3.0, 16)
    exact = np.array([max(removed(epsilon), added(epsilon)) for epsilon in epsilons.tolist()])
    found = deltas_of(SampledGaussian(stddev, rate, 1), epsilons)
    assert found == pytest.approx(exact, rel=1e-4, abs=1e-15)
    assert np.all(found >= exact * (1 - 1e-9) - 1e-15)


def test_sampling_all_records_is_the_gaussian_mechanism() -> None:
    epsilons = np.linspace(0.0, 4.0, 9)
    sampled = deltas_of(SampledGaussian(3.0, 1.0, 7), epsilons)
    plain = deltas_of(Gaussian(3.0, 1.0), epsilons, count=7)
    assert sampled == pytest.approx(plain, rel=1e-12)


def test_sampling_fewer_records_or_steps_never_costs_more() -> None:
    epsilons = np.linspace(0.0, 2.0, 9)
    base = deltas_of(SampledGaussian(1.0, 0.05, 40), epsilons, step=1e-3)
    for cheaper in (SampledGaussian(1.0, 0.04, 40), SampledGaussian(1.0, 0.05, 30)):
        assert np.all(deltas_of(cheaper, epsilons, step=1e-3) < base)


@pytest.mark.parametrize("rho", [1e-6, 0.01, 0.5, 8.0])
def test_a_zcdp_slice_never_costs_less_than_the_gaussian_of_the_same_rho(rho: float) -> None:
    unit = math.sqrt(2 * rho)
    epsilons = np.linspace(0.0, 6 * unit + rho, 40)
    found = deltas_of(ZeroConcentrated(rho), epsilons, step=unit / 500)
    gaussian = np.array([gaussian_delta(unit, epsilon) for epsilon in epsilons.tolist()])
    converted = np.array([zcdp_delta(rho, epsilon) for epsilon in epsilons.tolist()])
    assert np.all(found >= gaussian)
    assert np.all(found <= converted * (1 + 1e-3))


def test_the_curve_of_a_zcdp_slice_is_convex_where_the_conversion_is_not() -> None:
    ratios = np.linspace(math.exp(-1.5), math.exp(1.5), 301)
    second = np.diff(zcdp_deltas(0.05, np.log(ratios)), 2)
    assert second.min() < -1e-4  # at epsilon 0, where the two directions meet
    found = deltas_of(ZeroConcentrated(0.05), np.log(ratios))
    assert np.diff(found, 2).min() >= -1e-12
    assert np.all(found <= zcdp_deltas(0.05, np.log(ratios)) + 1e-6)
    assert np.all(np.diff(found) < 0)


@pytest.mark.parametrize("rho", [1e-8, 0.03, 2.0, 150.0])
def test_the_orders_of_the_conversion_are_as_good_as_searched_ones(rho: float) -> None:
    epsilons = np.geomspace(1e-3, 12.0, 40) * math.sqrt(rho) + rho
    searched = np.array([zcdp_delta(rho, epsilon) for epsilon in epsilons.tolist()])
    assert zcdp_deltas(rho, epsilons) == pytest.approx(searched, rel=1e-6, abs=1e-300)


def test_a_convex_envelope_is_the_lowest_chord_over_each_point() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, y = np.cumsum(rng.uniform(0.01, 1, 12)), rng.normal(size=12)
        chords = [
            np.interp(x, x[[j, k]], y[[j, k]], left=math.inf, right=math.inf)
            for j in range(12)
            for k in range(j + 1, 12)
        ]
        assert convex_envelope(x, y) == pytest.approx(np.min(chords, axis=0), abs=1e-9)


def test_a_curve_cut_short_or_laid_on_a_coarse_grid_only_costs_more() -> None:
    def curve(epsilon: np.ndarray) -> np.ndarray:
        return np.array([gaussian_delta(1.0, e) if e >= 0 else _mirrored(e) for e in epsilon])

    def _mirrored(epsilon: float) -> float:
        return 1 - math.exp(epsilon) + math.exp(epsilon) * gaussian_delta(1.0, -epsilon)

    epsilons = np.linspace(0.0, 6.0, 50)
    exact = curve(epsilons)
    for reach, step in [(12.0, 0.01), (12.0, 0.3), (2.0, 0.01)]:
        losses = curve_distribution(curve, reach, step)
        found = np.array([losses.delta(e) for e in epsilons.tolist()])
        assert np.all(found >= exact - 1e-12)
    assert found[-1] == pytest.approx(gaussian_delta(1.0, 2.0))  # an infinite loss beyond the cut


COSTLIER: list[tuple[Callable[[float], Event], float, float]] = [
    (lambda scale: Laplace(scale, 1.0), 2.0, 3.0),
    (lambda stddev: DiscreteGaussian(stddev, 2), 2.0, 3.0),
    (lambda scale: DiscreteLaplace(scale, 2), 2.0, 3.0),
    (lambda noise: SampledGaussian(noise, 0.1, 5), 2.0, 3.0),
    (lambda scale: NoisyVote("laplace", scale, 20), 2.0, 3.0),
    (Pure, 0.5, 0.4),
    (Selection, 0.5, 0.4),
    (ZeroConcentrated, 0.05, 0.04),
    (lambda delta: Approximate(0.5, delta), 1e-3, 1e-4),
]


@pytest.mark.parametrize(("make", "costlier", "cheaper"), COSTLIER)
def test_more_noise_or_a_smaller_promise_never_costs_more(
    make: Callable[[float], Event], costlier: float, cheaper: float
) -> None:
    epsilons = np.linspace(0.0, 1.0, 11)
    more = deltas_of(make(costlier), epsilons, count=4)
    less = deltas_of(make(cheaper), epsilons, count=4)
    assert np.all(less < more)
    assert np.all(np.diff(more) < 0)


@pytest.mark.parametrize("event", [Laplace(3.0, 1.0), Pure(0.3), DiscreteGaussian(4.0, 1)])
def test_a_coarse_grid_costs_more_than_a_fine_one_and_not_much(event: Event) -> None:
    fine = epsilon_of(event, 1e-6, count=20, step=1e-4)
    coarse = epsilon_of(event, 1e-6, count=20, step=1e-2)
    assert fine - 1e-4 <= coarse <= 1.01 * fine


def test_what_is_public_has_no_losses() -> None:
    assert loss_distribution(NoOp(), STEP) is None


@pytest.mark.parametrize(
    "event",
    [
        Laplace(0.001, 1.0),
        DiscreteGaussian(0.05, 1),
        DiscreteLaplace(0.001, 1),
        SampledGaussian(0.01, 0.5, 10),
        NoisyVote("laplace", 1e-3, 100),
        Pure(401.0),
        Selection(500.0),
        ZeroConcentrated(1e3),
    ],
)
def test_losses_too_large_for_the_grid_are_refused_in_one_line(event: Event) -> None:
    with pytest.raises(UnsupportedEvent, match=r"^losses up to \S+ do not fit .* ends at 400$"):
        loss_distribution(event, STEP)


@pytest.mark.parametrize(
    ("event", "step"),
    [
        (Laplace(1.0, 1.0), 1e-8),
        (Gaussian(0.1, 1.0), 1e-6),
        (DiscreteGaussian(1e6, 1), 1e-3),
        (DiscreteLaplace(1e7, 10_000_000), 1e-3),
        (SampledGaussian(0.06, 0.5, 10_000_000), 1e-3),
    ],
)
def test_a_distribution_too_large_for_memory_is_refused(event: Event, step: float) -> None:
    with pytest.raises(UnsupportedEvent, match=r"is too large, the most is 2000000$"):
        loss_distribution(event, step)


@pytest.mark.parametrize(
    "event",
    [
        Gaussian(1e5, 1.0),
        DiscreteGaussian(2e4, 1),
        SampledGaussian(50.0, 1e-6, 1000),
        NoisyVote("gumbel", 0.02, 1000),
        Pure(1e-9),
        Pure(399.0),
        Approximate(0.0, 0.1),
        Selection(399.0),
        ZeroConcentrated(1e-12),
        ZeroConcentrated(150.0),
    ],
)
def test_extreme_events_have_a_falling_curve_without_a_warning(event: Event) -> None:
    found = deltas_of(event, np.array([0.0, 0.1, 1.0, 100.0, 1000.0]), step=0.02)
    assert np.all(np.diff(found) <= 1e-9)
    assert found[0] > 0
    assert found[-1] <= 0.1


@pytest.mark.parametrize("step", [0.0, -1.0, math.nan, math.inf])
def test_the_step_of_the_grid_must_be_a_finite_number_above_zero(step: float) -> None:
    with pytest.raises(ValueError, match="step must be a finite number above 0"):
        loss_distribution(Pure(1.0), step)
