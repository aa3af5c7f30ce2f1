"""Partition selection: a bit of each column, new or held by others, whichever is worse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from dp_synth.accounting import compose
from dp_synth.accounting.budget import gaussian_delta
from dp_synth.accounting.dominating_gaussian import is_below, least_amount
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    PartitionSelection,
    SampledGaussian,
    Selection,
    ThresholdedGaussian,
)
from dp_synth.accounting.partition_selection import MOST_BITS, _pairs
from dp_synth.accounting.privacy_profile import PrivacyCurve

Floats = NDArray[np.float64]
Pair = tuple[float, float]  # chances of a bit under both tables
EPSILONS = (0.0, 0.05, 0.3, 1.0, 2.5)
SETTINGS = [(0.4, 1e-2), (2.0, 1e-4), (9.0, 1e-6), (80.0, 1e-9)]


def bits_of(noise: float, delta: float) -> list[Pair]:
    """The bits of counts that rise by one, from values that are new to ones that many hold."""
    threshold = math.ceil(1.5 - noise * float(ndtri(delta)))
    last = threshold + math.ceil(9 * noise)
    counts = np.unique(np.linspace(1, last, 60).astype(int))
    chances = [(c, ndtr((c + 0.5 - threshold) / noise)) for c in (*counts, *(counts + 1))]
    by_count = {count: float(chance) for count, chance in chances}
    new = by_count[1]
    assert new <= delta
    return [(0.0, new), *((by_count[c], by_count[c + 1]) for c in counts.tolist())]


def exact(bits: Sequence[Pair], rest: Callable[[float], float], epsilon: float) -> float:
    """Delta of independent bits and everything else: a sum over what the bits may be."""
    total = 0.0
    for outcome in itertools.product((0, 1), repeat=len(bits)):
        p = math.prod(b if o else 1 - b for (_, b), o in zip(bits, outcome, strict=True))
        q = math.prod(a if o else 1 - a for (a, _), o in zip(bits, outcome, strict=True))
        if p:
            total += p * (at_any(rest, epsilon - math.log(p / q)) if q else 1.0)
    return total


def at_any(curve: Callable[[float], float], epsilon: float) -> float:
    """A curve of both directions at an epsilon of either sign."""
    if epsilon >= 0:
        return curve(epsilon)
    return 1 - math.exp(epsilon) + math.exp(epsilon) * curve(-epsilon)


@pytest.mark.parametrize(("noise", "delta"), SETTINGS)
def test_the_curve_is_above_every_table_s_and_near_that_of_the_worst(
    noise: float, delta: float
) -> None:
    event, mu = PartitionSelection(noise, delta), 3 / noise
    curve = compose([(event, 1), (Gaussian(1 / mu, 1.0), 1)])
    pairs = bits_of(noise, delta)
    pairs += [(b, a) for a, b in pairs]  # the record is taken away
    for epsilon in EPSILONS:
        deltas = [exact([pair], lambda e: gaussian_delta(mu, e), epsilon) for pair in pairs]
        assert max(deltas) <= curve.delta(epsilon) <= 1
        assert curve.delta(epsilon) <= max(deltas) * 1.05 + 2e-9 + 0.3 * delta


def test_two_columns_are_bounded_whichever_their_counts_are() -> None:
    curve = compose([(PartitionSelection(2.0, 1e-4), 2), (Gaussian(1.5, 1.0), 1)])
    three = compose([(PartitionSelection(2.0, 1e-4), 3), (Gaussian(1.5, 1.0), 1)])
    pairs = bits_of(2.0, 1e-4)
    for epsilon in EPSILONS:
        worst = max(
            exact(both, lambda e: gaussian_delta(1 / 1.5, e), epsilon)
            for both in itertools.combinations_with_replacement(pairs, 2)
        )
        assert worst <= curve.delta(epsilon) <= worst * 1.2 + 1e-9
        assert curve.delta(epsilon) < three.delta(epsilon)


def test_of_different_columns_each_has_its_own_noise_and_none_is_forgotten() -> None:
    events = [(PartitionSelection(2.0, 1e-4), 1), (PartitionSelection(5.0, 1e-3), 1)]
    curve = compose([*events, (Gaussian(2.0, 1.0), 1)])
    choices = itertools.product(bits_of(2.0, 1e-4)[::3], bits_of(5.0, 1e-3)[::5])
    found = [exact(both, lambda e: gaussian_delta(0.5, e), 0.7) for both in choices]
    assert max(found) <= curve.delta(0.7) <= max(found) * 1.2
    assert compose([*events[::-1], (Gaussian(2.0, 1.0), 1)]).delta(0.7) == pytest.approx(
        curve.delta(0.7), rel=0.02
    )


@pytest.mark.parametrize("count", [1, 3])
def test_what_no_epsilon_removes_is_the_chance_of_new_values(count: int) -> None:
    curve = compose([(PartitionSelection(5.0, 1e-4), count), (Gaussian(3.0, 1.0), 1)])
    told = 1 - (1 - 1e-4) ** count
    assert curve.told == pytest.approx(told, rel=1e-10)
    assert curve.delta(60.0) == pytest.approx(told, rel=1e-6)
    assert curve.delta(60.0) >= told * (1 - 1e-13)
    assert curve.epsilon(told * (1 - 1e-9)) == math.inf
    assert curve.epsilon(told * 1.01) < math.inf


@pytest.mark.parametrize("rest", ["gaussian", "choices", "steps", "nothing"])
@pytest.mark.parametrize("delta", [1e-3, 1e-8])
def test_it_costs_less_than_if_counts_were_seen_and_more_than_nothing(
    rest: str, delta: float
) -> None:
    others: list[tuple[Event, int]] = {
        "gaussian": [(Gaussian(3.0, 1.0), 2)],
        "choices": [(Selection(0.2), 5), (Gaussian(5.0, 1.0), 3)],
        "steps": [(SampledGaussian(2.0, 0.01, 400), 1)],
        "nothing": [],
    }[rest]
    event = PartitionSelection(12.0, delta / 10)
    curve = compose([(event, 2), *others])
    seen = compose([(event.thresholded, 2), *others])
    epsilon = curve.epsilon(delta)
    assert compose(others).epsilon(delta) < epsilon < seen.epsilon(delta)
    assert curve.delta(epsilon) == pytest.approx(delta, rel=5e-3)
    low, high = curve.epsilon_bounds(delta)
    assert low <= high == epsilon
    for at in EPSILONS:
        assert curve.delta(at) <= seen.delta(at) * (1 + 1e-9)


def test_chances_of_every_threshold_lie_within_a_pair_of_the_curve_s() -> None:
    """Between two tables' chances of a bit lies no pair that two outcomes of the list miss."""
    for noise in (0.2, 3.0, 1e4, 2.0**32):
        ups, downs, chances = _pairs(PartitionSelection(noise, 1e-6))
        t = np.random.default_rng(0).uniform(-11 - 1 / noise, 11, 300)
        for a, b in zip(ndtr(t).tolist(), ndtr(t + 1 / noise).tolist(), strict=True):
            for e in (0.1 / noise, 1 / noise, 3 / noise):
                own = max(b - math.exp(e) * a, 0)
                with np.errstate(over="ignore"):
                    first = np.maximum(1 - np.exp(e - ups), 0)
                    second = np.maximum(1 - np.exp(e - downs), 0)
                assert own <= np.max(chances * first + (1 - chances) * second) * (1 + 1e-9)


def test_a_filter_s_amount_is_that_of_a_gaussian_above_the_curve() -> None:
    curve = compose([(PartitionSelection(10.0, 1e-9), 2), (Gaussian(4.0, 1.0), 1)])
    amount = least_amount(curve, 1e-6)
    counted = 1 / 16 + 2 / 100
    assert 1 / 16 < amount < counted
    epsilons = np.linspace(0.0, 2.0, 40)
    left = 1e-6 * amount
    deltas = np.array([curve.delta(e) for e in epsilons.tolist()])
    kept = [(1 - left) * gaussian_delta(math.sqrt(amount), e) for e in epsilons.tolist()]
    assert np.all(deltas <= left + np.array(kept))
    assert not is_below(epsilons, deltas, math.sqrt(0.99 * amount), left)


def test_its_bounds_on_attacks_hold_what_new_values_tell() -> None:
    curve = compose([(PartitionSelection(5.0, 1e-3), 1), (Gaussian(2.0, 1.0), 1)])
    fpr = np.array([0.0, 1e-4, 0.1, 0.5])
    tpr = curve.tpr(fpr)
    assert tpr[0] >= 1e-3
    assert np.all(tpr >= compose([(Gaussian(2.0, 1.0), 1)]).tpr(fpr))
    seen = compose([(ThresholdedGaussian(5.0, 1.0, 1e-3), 1), *_GAUSSIAN]).tpr(fpr)
    assert np.all(tpr <= seen * (1 + 1e-5))
    assert compose(_GAUSSIAN).largest_auc() < curve.largest_auc() < 1


_GAUSSIAN: list[tuple[Event, int]] = [(Gaussian(2.0, 1.0), 1)]


def test_of_little_noise_or_many_columns_counts_are_taken_as_seen() -> None:
    for event, count in ((PartitionSelection(0.05, 1e-5), 1), (PartitionSelection(9.0, 1e-9), 99)):
        assert count > MOST_BITS or event.noise_multiplier < 0.1
        assert compose([(event, count)]) == compose([(event.thresholded, count)])


def test_a_curve_without_bits_is_what_it_was() -> None:
    assert compose(_GAUSSIAN) == PrivacyCurve(((Gaussian(2.0, 1.0), 1),))
