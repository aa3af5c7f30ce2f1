"""Lower bounds on what events cost: with the certified upper ones, an interval about the truth.

The events describe mechanisms, and the truth is the cost of the worst of them, against the worst
adversary. A lower bound shows one mechanism, and one adversary, whose cost is larger.
"""

from __future__ import annotations

import math

import numpy as np

from dp_synth.accounting.closed_forms import gaussian_epsilon
from dp_synth.accounting.composition import event_by_event
from dp_synth.accounting.contours import contours
from dp_synth.accounting.domination import gaussian_bounds
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    NoisyVote,
    Public,
    Selection,
    ThresholdedGaussian,
    TruncatedGaussian,
    ZeroConcentrated,
)
from dp_synth.accounting.optimistic import LowSum, from_below
from dp_synth.errors import UnsupportedEvent

Sequence = tuple[tuple[Event, int], ...]

NEAR = np.geomspace(1e-15, 1e-3, 49)  # of an upper bound, by which a lower one falls short of it
SHARES = (0.5, 0.6, 0.65)  # of a selection's range, that an adversary may gain at every choice


def least_epsilon(sequence: Sequence, delta: float, upper: float) -> float:
    """Return a lower bound on epsilon at ``delta``, whose certified upper bound is ``upper``.

    UnsupportedEvent, in one line, where nothing bounds the events from below.
    """
    sequence = _attained(sequence)
    mu = _mu(sequence)
    if mu is not None:
        return min(_least_of_gaussian(mu, delta, upper), upper)
    if delta:
        try:
            return min(contours(sequence).epsilons(delta)[0], upper)
        except UnsupportedEvent:
            pass
    return min(max(each.low_epsilon(delta) for each in _sums(sequence)), upper)


def least_delta(sequence: Sequence, epsilon: float, upper: float) -> float:
    """Return a lower bound on delta at ``epsilon``, whose certified upper bound is ``upper``.

    UnsupportedEvent as in ``least_epsilon``.
    """
    sequence = _attained(sequence)
    mu = _mu(sequence)
    if mu is not None:
        found = float(gaussian_bounds(mu, np.array([epsilon]))[0][0]) if mu else 0.0
        return min(max(found, 0.0), upper)
    try:
        return min(float(contours(sequence).intervals(np.array([epsilon]))[0][0]), upper)
    except UnsupportedEvent:
        return min(max(each.low_delta(epsilon) for each in _sums(sequence)), upper)


def _attained(sequence: Sequence) -> Sequence:
    """Return events of a known law in place of those that describe many mechanisms.

    For a zCDP cost a Gaussian, for released values their noisy counts, and for cut batches those
    of a table that is too small to be cut.
    """
    found: list[tuple[Event, int]] = []
    for event, count in sequence:
        match event:
            case ThresholdedGaussian():
                found.append((event.counted, count))
            case TruncatedGaussian():
                found.append((event.sampled, count))
            case ZeroConcentrated():
                found.append((Gaussian(1 / math.sqrt(2 * event.rho) * (1 + 1e-15), 1.0), count))
            case _:
                found.append((event, count))
    return tuple(found)


def _mu(sequence: Sequence) -> float | None:
    """Return what all events amount to as one Gaussian, rounded down; None if not all do."""
    precision = 0.0
    for event, count in sequence:
        if isinstance(event, Gaussian):
            precision += count / event.noise_multiplier / event.noise_multiplier
        elif not isinstance(event, Public):
            return None
    return math.sqrt(precision) * (1 - 1e-15 * (2 + len(sequence)))


def _least_of_gaussian(mu: float, delta: float, upper: float) -> float:
    if not mu or not delta or not math.isfinite(upper):
        return 0.0 if not mu else upper
    tried = gaussian_epsilon(mu, delta) * (1 - NEAR)
    larger = gaussian_bounds(mu, tried)[0] > delta
    return float(tried[np.argmax(larger)]) if larger.any() else 0.0


def _sums(sequence: Sequence) -> list[LowSum]:
    several = any(isinstance(event, Selection | NoisyVote) for event, _ in sequence)
    try:
        step = event_by_event(sequence).step
        shares = SHARES if several else SHARES[:1]
        return [each for share in shares for each in from_below(sequence, step, share)]
    except UnsupportedEvent as error:
        raise UnsupportedEvent(f"cannot be certified from below: {error}") from None
