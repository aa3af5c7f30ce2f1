"""Curves against closed forms and against slow, independent evaluations."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from dp_synth.accounting import Event, Gaussian, Selection, compose
from dp_synth.accounting.budget import (
    bisect,
    gaussian_delta,
    gaussian_epsilon,
    selection_delta,
    zcdp_delta,
    zcdp_epsilon,
)
from dp_synth.accounting.pld import event_by_event
from dp_synth.errors import UnsupportedEvent

Floats = NDArray[np.float64]


def _precise_delta(mu: float, epsilon: float) -> mp.mpf:
    """Balle & Wang 2018, Theorem 8, to 80 digits."""
    with mp.workdps(80):
        m, e = mp.mpf(mu), mp.mpf(epsilon)
        return +(mp.ncdf(m / 2 - e / m) - mp.exp(e) * mp.ncdf(-m / 2 - e / m))


def _random_gaussians(number: int) -> list[tuple[float, float]]:
    rng = np.random.default_rng(0)
    mus = 10 ** rng.uniform(-5, 1.5, number)
    return [(float(mu), float(mu * abs(mu / 2 + rng.uniform(-2, 9)))) for mu in mus]


def test_a_bisection_ends_close_to_the_root_and_on_the_side_where_it_holds() -> None:
    for root in np.random.default_rng(0).uniform(0.001, 1.0, 50).tolist():
        low = bisect(lambda x, root=root: x <= root, 0.0, 1.0)
        high = bisect(lambda x, root=root: x >= root, 1.0, 0.0)
        assert root * (1 - 2e-9) <= low <= root <= high <= root * (1 + 2e-9)


def test_one_gaussian_is_the_analytic_gaussian_mechanism_and_never_below_it() -> None:
    for mu, epsilon in _random_gaussians(300):
        exact = _precise_delta(mu, epsilon)
        found = mp.mpf(gaussian_delta(mu, epsilon))
        assert exact <= found <= exact * (1 + mp.mpf(1e-6)) + mp.mpf(1e-300), (mu, epsilon)


def test_epsilon_of_one_gaussian_is_exact_and_never_below() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        mu, delta = float(10 ** rng.uniform(-4, 1.3)), float(10 ** rng.uniform(-12, -1))
        epsilon = gaussian_epsilon(mu, delta)
        assert _precise_delta(mu, epsilon) <= delta
        if epsilon:
            assert _precise_delta(mu, epsilon * (1 - 1e-6)) > delta


def test_extreme_noise_gives_neither_warning_nor_error() -> None:
    assert compose([(Gaussian(1e200, 1.0), 3)]).epsilon(1e-9) == 0.0
    assert compose([(Gaussian(1e-200, 1.0), 3)]).epsilon(1e-9) == math.inf
    assert gaussian_delta(1e-200, 1.0) == 0.0
    assert gaussian_delta(1e3, 1.0) == 1.0
    assert compose([(Gaussian(1e-200, 1.0), 1), (Selection(1.0), 2)]).epsilon(1e-9) == math.inf
    assert compose([(Gaussian(1e200, 1.0), 1), (Selection(1.0), 2)]).epsilon(1e-9) <= 2.0
    assert compose([(Gaussian(1e13, 1.0), 1)]).largest_auc() == pytest.approx(0.5, abs=1e-9)


def test_k_gaussians_are_one_of_a_kth_of_the_variance() -> None:
    for k in (2, 5, 43):
        many = compose([(Gaussian(7.0, 1.0), k)])
        one = compose([(Gaussian(7.0 / math.sqrt(k), 1.0), 1)])
        assert many.epsilon(1e-9) == pytest.approx(one.epsilon(1e-9), rel=1e-12)
        assert many.delta(0.7) == pytest.approx(one.delta(0.7), rel=1e-11)


def test_sensitivity_changes_the_noise_and_not_the_cost() -> None:
    assert Gaussian(3.0, 2.0).stddev == 6.0
    twice, once = compose([(Gaussian(3.0, 2.0), 1)]), compose([(Gaussian(3.0, 1.0), 1)])
    assert twice.epsilon(1e-6) == once.epsilon(1e-6) > 0


def _grid_zcdp_delta(rho: float, epsilon: float) -> float:
    """Canonne, Kamath & Steinke 2020, Prop. 12, as printed, least over a grid of orders."""
    alpha = 1 + np.geomspace(1e-6, 1e6, 200_001)
    log_delta = (alpha - 1) * (alpha * rho - epsilon) - np.log(alpha - 1)
    log_delta = log_delta + alpha * np.log1p(-1 / alpha)
    return float(min(1.0, np.exp(min(log_delta.min(), 0.0))))


@pytest.mark.parametrize("rho", [1e-6, 1e-3, 0.05, 1.0, 20.0])
def test_zcdp_conversion_is_the_least_over_all_orders(rho: float) -> None:
    for stretch in (0.5, 1.0, 3.0, 6.0):
        epsilon = rho + stretch * 2 * math.sqrt(rho)
        assert zcdp_delta(rho, epsilon) == pytest.approx(_grid_zcdp_delta(rho, epsilon), rel=1e-5)


@pytest.mark.parametrize("delta", [1e-12, 1e-5, 0.1])
def test_zcdp_epsilon_is_rounded_up_and_below_the_textbook_bound(delta: float) -> None:
    for rho in (1e-5, 0.01, 1.0, 30.0):
        epsilon = zcdp_epsilon(rho, delta)
        assert _grid_zcdp_delta(rho, epsilon) <= delta * (1 + 1e-6)
        if epsilon:
            assert _grid_zcdp_delta(rho, epsilon * (1 - 1e-5)) > delta
        assert epsilon < rho + 2 * math.sqrt(rho * math.log(1 / delta))


def test_gaussian_curve_lies_below_its_zcdp_conversion() -> None:
    for mu in (0.05, 0.3, 1.0, 4.0):
        for delta in (1e-9, 1e-5, 1e-2):
            assert gaussian_epsilon(mu, delta) < zcdp_epsilon(mu**2 / 2, delta)


def _two_point_delta(range_: float, epsilon: float) -> float:
    """The largest delta of any pair on two outcomes whose losses are t and t - range_."""
    t = np.linspace(0, range_, 20_001)[1:-1]
    q = -np.expm1(t - range_) / (np.exp(t) - np.exp(t - range_))
    p = np.exp(t) * q
    gain = math.exp(epsilon)
    hockey = np.maximum(p - gain * q, 0) + np.maximum((1 - p) - gain * (1 - q), 0)
    return float(max(hockey.max(), 1 - gain, 0.0))


@pytest.mark.parametrize("range_", [0.01, 0.3, 1.0, 5.0])
def test_selection_curve_is_the_worst_two_point_pair(range_: float) -> None:
    for share in (-1.5, -1.0, -0.4, 0.0, 0.1, 0.5, 0.9, 1.0, 2.0):
        epsilon = share * range_
        found = float(selection_delta(range_, np.array([epsilon]))[0])
        worst = _two_point_delta(range_, epsilon)
        assert found == pytest.approx(worst, rel=1e-5, abs=1e-12)
        assert found >= worst - 1e-15


def test_pure_epsilons_add_at_delta_zero() -> None:
    curve = compose([(Selection(0.25), 3), (Selection(1.5), 2)])
    assert curve.epsilon(0.0) == 3.75
    assert curve.delta(3.75) == 0.0 < curve.delta(3.0)
    assert compose([(Selection(1.0), 1), (Gaussian(9.0, 1.0), 1)]).epsilon(0.0) == math.inf


def test_no_engine_is_worse_than_the_sum_of_pure_epsilons() -> None:
    assert compose([(Selection(20.0), 10)]).epsilon(1e-300) == 200.0
    assert compose([(Selection(50.0), 1)]).epsilon(1e-9) <= 50.0


def test_nothing_costs_nothing() -> None:
    curve = compose([])
    assert curve.epsilon(0.0) == curve.epsilon(1e-9) == curve.delta(0.0) == 0.0
    assert curve.largest_auc() == pytest.approx(0.5, abs=1e-12)
    assert compose([(Selection(1.0), 0), (Gaussian(1.0, 1.0), 0)]) == curve


def test_selections_cost_at_most_a_gaussian_twice_as_far_and_at_least_one_of_them() -> None:
    one, many = compose([(Selection(0.5), 1)]), compose([(Selection(0.5), 12)])
    assert one.epsilon(1e-6) < many.epsilon(1e-6) < zcdp_epsilon(12 * 0.5**2 / 2, 1e-6)


def _convolved_delta(range_: float, count: int, mu: float, epsilon: float) -> float:
    """Compose by plain convolution of losses that connect the dots of each curve."""
    step = range_ / 150
    last = round(8 * range_ / step) if mu else 150

    def masses(curve: Floats, grid: Floats) -> Floats:
        slopes = np.diff(curve) / np.diff(np.exp(grid))
        return np.diff(np.concatenate([[-1.0], slopes, [0.0]])) * np.exp(grid)

    narrow = np.arange(-150.0, 151.0) * step
    one = masses(selection_delta(range_, narrow), narrow)
    total, half = np.ones(1), 0
    for _ in range(count):
        total, half = np.convolve(total, one), half + 150
    if mu:
        wide = np.arange(-float(last), last + 1.0) * step
        exact = norm.cdf(mu / 2 - wide / mu) - np.exp(wide) * norm.cdf(-mu / 2 - wide / mu)
        total, half = np.convolve(total, masses(exact, wide)), half + last
    losses = np.arange(-half, half + 1) * step
    return float((total * np.maximum(-np.expm1(epsilon - losses), 0)).sum())


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_every_count_is_composed_as_often_as_it_says(count: int, mu: float) -> None:
    after: list[tuple[Event, int]] = [(Gaussian(1 / mu, 1.0), 1)] if mu else []
    curve = compose([(Selection(1.5), count), *after])
    losses = event_by_event(curve.events)
    for epsilon in (0.3, 1.2):
        expected = _convolved_delta(1.5, count, mu, epsilon)
        assert losses.delta(epsilon) == pytest.approx(expected, rel=2e-3)
        assert curve.delta(epsilon) <= 1.002 * expected
    fewer = compose([(Selection(1.5), count - 1), *after])
    assert fewer.delta(1.0) < 0.95 * curve.delta(1.0)


def test_a_count_costs_the_same_as_events_one_by_one() -> None:
    selection: tuple[Event, int] = (Selection(0.3), 1)
    gaussian: tuple[Event, int] = (Gaussian(5.0, 1.0), 1)
    at_once = compose([(Selection(0.3), 4), (Gaussian(5.0, 1.0), 4)])
    assert compose([selection] * 4 + [gaussian] * 4) == at_once
    interleaved = compose([selection, gaussian] * 4)
    expected = event_by_event(at_once.events).epsilon(1e-6)
    found = event_by_event(interleaved.events).epsilon(1e-6)
    assert found == pytest.approx(expected, rel=1e-9)
    assert at_once.epsilon(1e-6) < interleaved.epsilon(1e-6) <= found  # one block, or four


def test_very_small_ranges_beside_large_ones_stay_affordable_and_certified() -> None:
    without = compose([(Gaussian(1.0, 1.0), 1)]).epsilon(1e-5)
    gaussian: tuple[Event, int] = (Gaussian(1.0, 1.0), 1)
    tiny: tuple[Event, int] = (Selection(1e-6), 2)
    for events in ([gaussian, tiny], [tiny, gaussian]):
        assert without <= compose(events).epsilon(1e-5) <= 1.0001 * without


def test_hopeless_plans_stay_affordable_and_above_their_gaussians() -> None:
    for mu, range_, count in ((40.0, 10.0, 3), (1000.0, 1.0, 5), (3.0, 800.0, 2)):
        curve = compose([(Gaussian(1 / mu, 1.0), 1), (Selection(range_), count)])
        for delta in (1e-9, 0.1):
            apart = gaussian_epsilon(mu, delta) + range_ * count
            assert gaussian_epsilon(mu, delta) < curve.epsilon(delta) <= apart * (1 + 1e-14)  # up
            assert curve.delta(curve.epsilon(delta)) <= 1.2 * delta  # on another grid


def test_an_event_of_unknown_kind_is_refused() -> None:
    with pytest.raises(UnsupportedEvent, match="no certified engine"):
        compose([("laplace", 1)])  # type: ignore[list-item]
