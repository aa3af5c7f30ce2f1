"""The engines together: which is reported, what they bound, and what may not be composed."""

from __future__ import annotations

import math
from itertools import permutations

import dp_accounting
import numpy as np
import pytest
from dp_accounting import pld, rdp
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from dp_synth.accounting import Event, Gaussian, PrivacyCurve, Selection, compose
from dp_synth.accounting.budget import gaussian_delta, gaussian_epsilon, zcdp_epsilon
from dp_synth.accounting.events import (
    Approximate,
    DiscreteGaussian,
    DiscreteLaplace,
    Laplace,
    NoisyVote,
    NoOp,
    Pure,
    SampledGaussian,
    ZeroConcentrated,
)
from dp_synth.accounting.pld import ENGINES, event_by_event, with_blocks

Floats = NDArray[np.float64]
Events = list[tuple[Event, int]]

GRID = 1 + 1e-5  # losses lie on grids that depend on the question: bounds differ by this much
DELTA = 1e-6

EVERY_KIND: Events = [
    (Gaussian(8.0, 1.0), 3),
    (Selection(0.2), 5),
    (Laplace(20.0, 1.0), 2),
    (DiscreteGaussian(9.0, 1), 1),
    (DiscreteLaplace(15.0, 1), 1),
    (SampledGaussian(1.5, 0.01, 50), 1),
    (NoisyVote("gaussian", 12.0, 20), 4),
    (Pure(0.05), 3),
    (Approximate(0.02, 1e-8), 1),
    (ZeroConcentrated(0.004), 1),
    (NoOp(), 2),
    (Gaussian(10.0, 1.0), 2),
    (Selection(0.3), 2),
    (Gaussian(6.0, 1.0), 1),
]


def _alone(events: Events, delta: float) -> dict[str, float]:
    """Each engine's own epsilon, on a grid made for the curve's."""
    curve = compose(events)
    scale = curve.epsilon(delta)
    pure = sum(e.epsilon * count for e, count in events if isinstance(e, Selection))
    found = {"basic composition": pure + (gaussian_epsilon(curve.mu, delta) if curve.mu else 0.0)}
    assert curve.rho is not None
    found["zcdp"] = zcdp_epsilon(curve.rho, delta)
    for name, engine in ENGINES.items():
        if scale < 300:
            found[name] = float(engine(curve.events).epsilon(delta))
    return found


@pytest.mark.parametrize(
    ("events", "delta", "name"),
    [
        ([(Selection(0.01), 3)], 1e-300, "basic composition"),
        ([(Gaussian(0.005, 1.0), 1), (Selection(1.0), 400)], 1e-5, "zcdp"),
        ([(Selection(0.3), 6), (Gaussian(5.0, 1.0), 3)], 1e-6, list(ENGINES)[1]),
        ([(Gaussian(5.0, 1.0), 3), (Selection(0.1), 20)], 1e-9, list(ENGINES)[1]),
    ],
)
def test_the_least_of_the_certified_engines_is_reported(
    events: Events, delta: float, name: str
) -> None:
    curve, alone = compose(events), _alone(events, delta)
    assert curve.epsilon(delta) == pytest.approx(min(alone.values()), rel=1e-5)
    assert alone[curve.engine(delta)] == pytest.approx(curve.epsilon(delta), rel=1e-5)
    assert alone[name] <= min(alone.values()) * GRID


def test_gaussians_alone_have_their_exact_curve() -> None:
    curve = compose([(Gaussian(5.0, 1.0), 3), (NoOp(), 2)])
    assert curve.engine(1e-6) == "gaussian"
    assert curve.epsilon(1e-6) == gaussian_epsilon(math.sqrt(3) / 5, 1e-6)


def _floor(events: Events, epsilon: float) -> float:
    """What one adversary reaches who plays the same t in every selection, by sampling losses."""
    rng, size = np.random.default_rng(0), 200_000
    loss = np.zeros(size)
    for event, count in events:
        if isinstance(event, Gaussian):
            mu = math.sqrt(count) / event.noise_multiplier
            loss += mu * mu / 2 + mu * rng.standard_normal(size)
        elif isinstance(event, Selection):
            t = event.epsilon / 2
            high = (math.exp(event.epsilon) - math.exp(t)) / math.expm1(event.epsilon)
            loss += count * (t - event.epsilon) + event.epsilon * rng.binomial(count, high, size)
        elif isinstance(event, Laplace):
            for _ in range(count):
                noise = rng.laplace(0, event.scale / event.sensitivity, size)
                loss += (np.abs(noise - 1) - np.abs(noise)) * event.sensitivity / event.scale
        elif isinstance(event, Pure):
            high = 1 / (1 + math.exp(-event.epsilon))
            loss += event.epsilon * (2 * rng.binomial(count, high, size) - count)
    deltas = np.maximum(-np.expm1(epsilon - loss), 0)
    return float(deltas.mean() - 5.5 * deltas.std() / math.sqrt(size))  # wrong once in 1e7


MIXED: Events = [
    (Gaussian(5.0, 1.0), 2),
    (Laplace(4.0, 1.0), 2),
    (Selection(0.4), 5),
    (Pure(0.2), 3),
    (Gaussian(3.0, 1.0), 1),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("epsilon", [0.2, 0.5, 1.0])
def test_every_engine_is_above_what_one_adversary_reaches(engine: str, epsilon: float) -> None:
    bound = ENGINES[engine](tuple(MIXED)).delta(epsilon)
    assert 0.7 * bound < _floor(MIXED, epsilon) <= bound


def test_no_event_of_a_mixed_sequence_is_forgotten() -> None:
    bound = compose(MIXED).delta(0.5)
    for left_out in range(len(MIXED)):
        fewer = MIXED[:left_out] + MIXED[left_out + 1 :]
        assert compose(fewer).delta(0.5) < 0.99 * bound


@pytest.mark.parametrize("seed", range(3))
def test_events_of_every_kind_compose_in_any_order(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(EVERY_KIND))
    curve = compose([EVERY_KIND[i] for i in order])
    apart = event_by_event(tuple(EVERY_KIND)).epsilon(DELTA)
    epsilon = curve.epsilon(DELTA)
    assert 0.9 * apart < epsilon < apart * (1 + 1e-4)
    assert curve.delta(epsilon) <= DELTA * (1 + 1e-3)
    assert curve.engine(DELTA) == "loss distributions, selections as blocks"


def test_an_event_of_known_delta_keeps_that_delta_after_a_block() -> None:
    events = ((Selection(0.3), 5), (Gaussian(9.0, 1.0), 1), (Approximate(0.1, 1e-7), 1))
    found = with_blocks(events).epsilon(1e-6)
    assert found < event_by_event(events).epsilon(1e-6)
    assert compose(events).delta(50.0) >= 1e-7
    assert compose(events).epsilon(0.9e-7) == math.inf


def test_delta_at_epsilon_zero_is_answered_for_every_kind() -> None:
    for event, count in EVERY_KIND:
        assert 0 <= compose([(event, count)]).delta(0.0) < 0.5
    assert compose([(Approximate(0.0, 1e-6), 1)]).delta(0.0) == pytest.approx(1e-6, rel=1e-6)


@pytest.mark.parametrize("place", range(5))
def test_composing_with_something_public_is_identity(place: int) -> None:
    events: Events = [
        (Gaussian(5.0, 1.0), 1),
        (Selection(0.3), 2),
        (Selection(0.3), 3),
        (Gaussian(4.0, 1.0), 1),
    ]
    with_public = [*events[:place], (NoOp(), 1), *events[place:]]
    assert compose(with_public) == compose(events)
    assert compose([(NoOp(), 7)]).epsilon(0.0) == 0.0


@pytest.mark.parametrize("start", [0, 7])
def test_adding_an_event_lowers_neither_epsilon_nor_delta(start: int) -> None:
    events = EVERY_KIND[start:] + EVERY_KIND[:start]
    epsilon = delta = 0.0
    for i in range(1, 7):
        curve = compose(events[:i])
        more = curve.epsilon(DELTA), curve.delta(0.2)
        assert more[0] * GRID >= epsilon
        assert more[1] * GRID >= delta
        epsilon, delta = more
    assert epsilon > 0.1


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_every_order_of_a_plan_has_a_finite_cost_below_basic_composition(
    order: tuple[int, ...],
) -> None:
    events: Events = [(Selection(0.5), 2), (Selection(0.1), 9), (Gaussian(3.0, 1.0), 1)]
    curve = compose([events[i] for i in order])
    assert 0 < curve.epsilon(DELTA) < 0.9 * (1.9 + gaussian_epsilon(1 / 3, DELTA))


def _first_to_half() -> tuple[float, float]:
    """Distances of the means of one Gaussian to epsilon 0.5 and of another that completes 1."""
    first, whole = (
        brentq(lambda mu, e=e: gaussian_delta(mu, e) - 1e-5, 1e-3, 2.0, xtol=1e-14)
        for e in (0.5, 1.0)
    )
    return first, math.sqrt(whole**2 - first**2)


def _response_to_one(first: float) -> float:
    """The epsilon of the randomized response that completes epsilon 1 at delta 1e-5."""

    def excess(epsilon: float) -> float:
        sequence: Events = [(Gaussian(1 / first, 1.0), 1), (Pure(epsilon), 1)]
        return math.log(compose(sequence).delta(1.0) / 1e-5)

    return float(brentq(excess, 0.3, 0.7, xtol=1e-9))


def test_what_is_chosen_after_an_output_may_cost_more_than_each_choice() -> None:
    first, second = _first_to_half()
    epsilon = _response_to_one(first)
    gaussians: PrivacyCurve = compose([(Gaussian(1 / mu, 1.0), 1) for mu in (first, second)])
    response = compose([(Gaussian(1 / first, 1.0), 1), (Pure(epsilon), 1)])
    assert gaussians.delta(1.0) == pytest.approx(1e-5, rel=1e-6)
    assert response.delta(1.0) == pytest.approx(1e-5, rel=1e-4)

    noise = np.linspace(-12, 12, 20_001)
    weight = norm.pdf(noise) * (noise[1] - noise[0])
    left = 1 - (first**2 / 2 + first * noise)  # epsilon that the first output leaves
    far = np.exp(left) * norm.cdf(-second / 2 - left / second)
    of_gaussian = norm.cdf(second / 2 - left / second) - far
    high = 1 / (1 + math.exp(-epsilon))
    of_response = high * np.maximum(-np.expm1(left - epsilon), 0)
    of_response += (1 - high) * np.maximum(-np.expm1(left + epsilon), 0)
    each = (weight * of_gaussian).sum(), (weight * of_response).sum()
    assert each == pytest.approx((1e-5, 1e-5), rel=1e-3)
    chosen = (weight * np.maximum(of_gaussian, of_response)).sum()
    assert chosen == pytest.approx(1.91e-5, rel=5e-3)
    assert chosen > 1.9 * max(gaussians.delta(1.0), response.delta(1.0))


UPSTREAM = "dp-accounting has changed: read again why its accountants are not used"


def test_the_library_below_still_drops_the_count_of_randomized_responses() -> None:
    event = dp_accounting.RandomizedResponseDpEvent(noise_parameter=0.5, num_buckets=2)
    accountant = pld.PLDAccountant(dp_accounting.NeighboringRelation.REPLACE_ONE)
    ten = accountant.compose(dp_accounting.SelfComposedDpEvent(event, 10))
    right = 10 * math.log(3)
    assert ten.get_epsilon(1e-12) == pytest.approx(math.log(3), rel=1e-3), UPSTREAM
    ours = compose([(Pure(math.log(3)), 10)]).epsilon(1e-12)
    assert ours == pytest.approx(right, rel=1e-3)


def test_the_library_below_still_reads_replacement_in_two_ways() -> None:
    relation = dp_accounting.NeighboringRelation.REPLACE_ONE
    accountants = pld.PLDAccountant(relation), rdp.RdpAccountant(neighboring_relation=relation)
    doubled, single = (
        accountant.compose(dp_accounting.GaussianDpEvent(5.0)).get_epsilon(1e-5)
        for accountant in accountants
    )
    assert doubled == pytest.approx(1.555, abs=2e-3), UPSTREAM
    assert single == pytest.approx(0.795, abs=2e-2), UPSTREAM
