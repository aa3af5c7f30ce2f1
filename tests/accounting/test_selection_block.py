"""The curve of a block of selections against adversaries written out outcome by outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, norm

from dp_synth.accounting import Event, Gaussian, Selection, compose, selection_block
from dp_synth.accounting.budget import selection_delta
from dp_synth.accounting.pld import event_by_event, with_blocks
from dp_synth.accounting.selection_block import block_curve
from dp_synth.errors import UnsupportedEvent

Floats = NDArray[np.float64]
Events = tuple[tuple[Event, int], ...]

ROUNDING = 1e-13  # absolute, of sums of probabilities
EPSILONS = np.array([0.02, 0.2, 0.5, 1.0, 1.5])


def _gaussian_delta(mu: float, epsilon: Floats) -> Floats:
    """Balle & Wang 2018, Theorem 8, at any real epsilon; without noise where mu is 0."""
    if mu == 0:
        return np.maximum(-np.expm1(epsilon), 0.0)
    far = np.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    return np.asarray(norm.cdf(mu / 2 - epsilon / mu) - far)


def _delta_of_losses(chance: Floats, loss: Floats, epsilon: float, mu: float = 0.0) -> Floats:
    """Hockey-stick divergence of outcomes, summed over the last axis, then a Gaussian."""
    return np.asarray((chance * _gaussian_delta(mu, epsilon - loss)).sum(axis=-1))


def _play(ranges: Sequence[float], strategies: list[Floats]) -> tuple[Floats, Floats]:
    """Chances and losses of all outcomes of two-point selections whose t depend on the past.

    ``strategies[i]`` has shape (players, 2**i): the t at step i after each course of outcomes.
    """
    players = len(strategies[0])
    chance, loss = np.ones((players, 1)), np.zeros((players, 1))
    for range_, t in zip(ranges, strategies, strict=True):
        high = (math.exp(range_) - np.exp(t)) / math.expm1(range_)
        chance = np.concatenate([chance * high, chance * (1 - high)], axis=1)
        loss = np.concatenate([loss + t, loss + t - range_], axis=1)
    return chance, loss


def _every_strategy(grid: Floats, steps: int) -> list[Floats]:
    every = np.array(list(product(grid, repeat=2**steps - 1)))
    return [every[:, 2**i - 1 : 2 ** (i + 1) - 1] for i in range(steps)]


def _random_strategies(
    rng: np.random.Generator, ranges: Sequence[float], players: int
) -> list[Floats]:
    """Random t in every situation, a third of them at an end of the range."""
    found = []
    for i, range_ in enumerate(ranges):
        t = rng.uniform(-0.25, 1.25, (players, 2**i))
        found.append(range_ * np.clip(t, 0.0, 1.0))
    return found


def _block_delta(events: Events, epsilons: Floats) -> Floats:
    losses = with_blocks(compose(events).events)
    return np.asarray(losses.deltas(epsilons))


@pytest.mark.parametrize("range_", [0.001, 0.1, 1.0, 4.0, 20.0])
def test_a_block_of_one_is_one_selection_with_its_range_rounded_up(range_: float) -> None:
    epsilons, found = block_curve(range_, 1, None, range_)
    exact = selection_delta(range_, epsilons)
    rounded = selection_delta(range_ * (1 + 1 / selection_block.LATTICE), epsilons)
    assert (found >= exact - ROUNDING).all()
    assert (found <= rounded + ROUNDING).all()
    assert (found[1:-2] > exact[1:-2]).all()  # the range is rounded up, not down


@pytest.mark.parametrize(("count", "size"), [(2, 31), (3, 5)])
@pytest.mark.parametrize("range_", [0.4, 1.5])
def test_every_strategy_on_a_grid_stays_below_the_block_and_the_best_comes_near(
    count: int, size: int, range_: float
) -> None:
    strategies = _every_strategy(np.linspace(0, range_, size), count)
    chance, loss = _play([range_] * count, strategies)
    epsilons, found = block_curve(range_, count, None, count * range_)
    for place in (0, 150, 450, 700):
        best = _delta_of_losses(chance, loss, epsilons[place]).max()
        assert best <= found[place] + ROUNDING
        assert found[place] <= best * (1.02 if count == 2 else 1.25) + 1e-5


@pytest.mark.parametrize("mu", [0.0, 0.5])
def test_no_random_strategy_against_unequal_selections_exceeds_their_blocks(mu: float) -> None:
    ranges = (0.3, 1.0, 0.5)
    rng = np.random.default_rng(0)
    chance, loss = _play(ranges, _random_strategies(rng, ranges, 4000))
    after = ((Gaussian(1 / mu, 1.0), 1),) if mu else ()
    bounds = _block_delta((*((Selection(r), 1) for r in ranges), *after), EPSILONS)
    for epsilon, bound in zip(EPSILONS, bounds, strict=True):
        worst = _delta_of_losses(chance, loss, float(epsilon), mu).max()
        assert 0.5 * bound < worst <= bound + ROUNDING  # near enough for the test to fail


def _softmax_transcripts(
    rng: np.random.Generator, ranges: Sequence[float], tables: int
) -> tuple[Floats, Floats]:
    """Chances and losses of exponential mechanisms over 3 candidates, each after the last.

    Qualities have sensitivity 1 and depend on all earlier choices; half of the neighbours move
    every quality as far as may be.
    """
    chance, loss = np.ones((tables, 1)), np.zeros((tables, 1))
    for range_ in ranges:
        shape = (*chance.shape, 3)
        quality = rng.normal(0, 3, shape)
        move = np.clip(rng.uniform(-2, 2, shape), -1, 1)
        here = quality * range_ / 2
        there = here + move * range_ / 2
        log_p = here - np.log(np.exp(here).sum(axis=-1, keepdims=True))
        log_q = there - np.log(np.exp(there).sum(axis=-1, keepdims=True))
        chance = (chance[..., None] * np.exp(log_p)).reshape(tables, -1)
        loss = (loss[..., None] + log_p - log_q).reshape(tables, -1)
    return chance, loss


@pytest.mark.parametrize("mu", [0.0, 0.7])
def test_exponential_mechanisms_in_sequence_stay_below_their_block(mu: float) -> None:
    ranges = (0.8, 0.8, 1.2)
    chance, loss = _softmax_transcripts(np.random.default_rng(1), ranges, 3000)
    assert np.allclose(chance.sum(axis=1), 1)
    after = ((Gaussian(1 / mu, 1.0), 1),) if mu else ()
    bounds = _block_delta((*((Selection(r), 1) for r in ranges), *after), EPSILONS)
    for epsilon, bound in zip(EPSILONS, bounds, strict=True):
        worst = _delta_of_losses(chance, loss, float(epsilon), mu).max()
        assert 0.1 * bound < worst <= bound + ROUNDING


@pytest.mark.parametrize(("range_", "count"), [(0.2, 1), (0.2, 14), (1.0, 5), (8.0, 3)])
@pytest.mark.parametrize("mu", [0.0, 0.6])
def test_a_block_is_a_privacy_curve(range_: float, count: int, mu: float) -> None:
    def after(epsilons: Floats) -> Floats:
        return _gaussian_delta(mu, epsilons)

    epsilons, found = block_curve(range_, count, after if mu else None, count * range_ + 3 * mu)
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert (np.diff(found) <= ROUNDING).all()
    mirrored = epsilons[:0:-1]
    before = 1 - np.exp(-mirrored) + np.exp(-mirrored) * found[:0:-1]
    whole = np.concatenate([before, found])
    steps = np.diff(np.exp(np.concatenate([-mirrored, epsilons])))
    slopes = np.diff(whole) / steps
    assert (np.diff(slopes) >= -4 * ROUNDING / np.minimum(steps[1:], steps[:-1])).all()
    assert (slopes >= -1 - ROUNDING / steps).all()


SEQUENCES: list[Events] = [
    ((Selection(0.3), 6),),
    ((Selection(0.3), 6), (Gaussian(2.0, 1.0), 1)),
    ((Gaussian(4.0, 1.0), 2), (Selection(0.1), 30)),
    ((Gaussian(5.0, 1.0), 3), (Selection(0.5), 4), (Gaussian(3.0, 1.0), 2)),
    ((Selection(0.5), 2), (Gaussian(3.0, 1.0), 1), (Selection(0.2), 9), (Selection(0.4), 1)),
    ((Selection(1.0), 1), (Selection(0.05), 10), (Gaussian(2.0, 1.0), 1), (Selection(2.0), 1)),
]


@pytest.mark.parametrize("events", SEQUENCES)
def test_blocks_never_cost_more_than_selections_one_by_one(events: Events) -> None:
    apart = event_by_event(events).deltas(EPSILONS)
    assert (_block_delta(events, EPSILONS) <= 1.001 * apart + 1e-12).all()


@pytest.mark.parametrize(
    ("range_", "count", "mu"), [(0.1, 14, 0.3), (0.3, 6, 0.0), (0.5, 10, 1.0), (1.5, 3, 0.5)]
)
@pytest.mark.parametrize("first", [0.0, 0.4, 1.0])
def test_a_block_lies_between_the_best_fixed_t_and_a_little_above(
    range_: float, count: int, mu: float, first: float
) -> None:
    """``first`` is the part of the Gaussian noise's precision that comes before the block."""
    t = np.linspace(0, range_, 201)[:, None]
    high = np.clip((math.exp(range_) - np.exp(t)) / math.expm1(range_), 0, 1)
    often = np.arange(count + 1)
    chance = np.asarray(binom.pmf(often, count, high))
    loss = count * (t - range_) + often * range_
    shares = ((first, 0), (1 - first, 1))
    before, after = (
        ((Gaussian(1 / (mu * math.sqrt(share)), 1.0), 1),) if mu * share else ()
        for share, _ in shares
    )
    bounds = _block_delta((*before, (Selection(range_), count), *after), EPSILONS)
    for epsilon, bound in zip(EPSILONS, bounds, strict=True):
        floor = _delta_of_losses(chance, loss, float(epsilon), mu).max()
        assert floor <= bound + ROUNDING
        assert bound <= 1.25 * floor + 1e-6


def test_a_gaussian_between_two_blocks_is_counted_once_and_for_both() -> None:
    range_, mu, often = 0.4, 0.8, np.arange(6)
    t = np.linspace(0, range_, 201)[:, None]
    high = np.clip((math.exp(range_) - np.exp(t)) / math.expm1(range_), 0, 1)
    chance = np.asarray(binom.pmf(often, 5, high))
    loss = 5 * (t - range_) + often * range_
    events = (Selection(range_), 2), (Gaussian(1 / mu, 1.0), 1), (Selection(range_), 3)
    bounds = _block_delta(events, EPSILONS)
    for epsilon, bound in zip(EPSILONS, bounds, strict=True):
        floor = _delta_of_losses(chance, loss, float(epsilon), mu).max()
        assert floor <= bound <= 1.1 * floor


def test_a_gaussian_before_the_block_is_integrated_outside_of_it() -> None:
    first, later, range_, count = 0.6, 0.9, 0.5, 5
    epsilons, deltas = block_curve(range_, count, lambda e: _gaussian_delta(later, e), 14.0)
    events = (
        (Gaussian(1 / first, 1.0), 1),
        (Selection(range_), count),
        (Gaussian(1 / later, 1.0), 1),
    )
    noise = np.linspace(-9, 9, 20_001)
    weight = norm.pdf(noise) * (noise[1] - noise[0])
    found = _block_delta(events, EPSILONS)
    for epsilon, bound in zip(EPSILONS, found, strict=True):
        left = epsilon - (first**2 / 2 + first * noise)
        there = np.interp(np.abs(left), epsilons, deltas)
        gain = np.exp(np.minimum(left, 0))
        exact = (weight * np.where(left >= 0, there, 1 - gain + gain * there)).sum()
        assert bound == pytest.approx(exact, rel=1e-4)


def test_a_later_gaussian_costs_less_than_an_earlier_one() -> None:
    gaussian, selections = (Gaussian(1.5, 1.0), 1), (Selection(0.5), 8)
    before, after = (
        _block_delta(events, EPSILONS)
        for events in ((gaussian, selections), (selections, gaussian))
    )
    assert (after < before).all()


def test_a_coarser_lattice_only_raises_the_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    def curve(steps: int) -> Floats:
        found = block_curve(0.8, 6, lambda e: _gaussian_delta(0.5, e), 6.0)
        assert found[0][1] == pytest.approx(0.8 / steps)
        return found[1][:: steps // 12][:60]

    curves = []
    for steps in (600, 120, 24, 12):
        monkeypatch.setattr(selection_block, "LATTICE", steps)
        curves.append(curve(steps))
    for finer, coarser in pairwise(curves):
        assert (coarser > finer).all()
    monkeypatch.setattr(selection_block, "LATTICE", 600)
    monkeypatch.setattr(selection_block, "WORK", 1.0)
    assert (curve(12) == curves[-1]).all()


def test_less_work_never_lowers_the_curve_of_unequal_blocks() -> None:
    epsilons, fine = block_curve(0.5, 4, None, 2.0)
    coarse_epsilons, coarse = block_curve(0.5, 4, None, 2.0, work=1e4)
    assert len(coarse) < len(fine) / 5
    assert (np.interp(coarse_epsilons, epsilons, fine) <= coarse + ROUNDING).all()


def test_selections_too_small_for_a_lattice_are_composed_without_one() -> None:
    gaussian = (Gaussian(1.0, 1.0), 1)
    tiny = ((Selection(1e-7), 2), (Selection(0.5), 3), gaussian)
    without = _block_delta(tiny[1:], EPSILONS)
    found = _block_delta(tiny, EPSILONS)
    assert (found >= without * (1 - 1e-6)).all()  # each on a lattice of its own
    assert found == pytest.approx(without, rel=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_unequal_selections_in_any_order_stay_above_the_adversary_of_that_order(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    ranges = [float(r) for r in rng.permutation([0.2, 0.7, 1.3])]
    shares = _every_strategy(np.array([0.3, 0.5, 0.7, 0.85, 0.95]), 3)
    chance, loss = _play(ranges, [t * r for t, r in zip(shares, ranges, strict=True)])
    bounds = _block_delta(tuple((Selection(r), 1) for r in ranges), EPSILONS)
    for epsilon, bound in zip(EPSILONS, bounds, strict=True):
        worst = _delta_of_losses(chance, loss, float(epsilon)).max()
        assert 0.8 * bound < worst <= bound + ROUNDING


def test_no_selection_gives_no_block() -> None:
    with pytest.raises(UnsupportedEvent, match="no selection"):
        with_blocks(((Gaussian(1.0, 1.0), 2),))
