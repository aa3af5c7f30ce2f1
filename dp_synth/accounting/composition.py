"""Loss distributions of a whole sequence: event by event, or with selections as blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting.blocks import WORK, block_curve, is_affordable
from dp_synth.accounting.closed_forms import gaussian_delta, zcdp_epsilon
from dp_synth.accounting.events import (
    Approximate,
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Gaussian,
    Laplace,
    NoGuarantee,
    NoisyVote,
    PartitionSelection,
    Public,
    Pure,
    SampledGaussian,
    Selection,
    ThresholdedGaussian,
    TruncatedGaussian,
    ZeroConcentrated,
)
from dp_synth.accounting.losses import (
    LARGEST_LOSS,
    curve_distribution,
    loss_distribution,
    width,
)
from dp_synth.accounting.sampled_groups import GroupLosses
from dp_synth.accounting.tilting import LossDistribution
from dp_synth.errors import UnsupportedEvent

Floats = NDArray[np.float64]
Sequence = tuple[tuple[Event, int], ...]
Curve = Callable[[Floats], Floats]

EXCESS = 2e-7  # relative variance that rounding to the lattice may add, where it is cheap
EXCESS_OF_CURVES = (
    1e-6  # the same where an event is known by its curve, which is asked point by point
)
MOST_EXCESS = 5e-5  # the same where there are so many losses that it is not
DEVIATIONS = 24.0  # of the sum of all losses, that a lattice spans
CHEAP, LARGEST = 2**16, 2**21  # points of a lattice
FEW, FINEST = 2**17, 1_900_000  # points of one loss, at first and at most
BLUR, BLUR_OF_CURVES = 1e-3, 5e-3  # relative error of a delta from which a lattice is made finer
BLUR_BESIDE_CONTOURS = 1e-5  # the same of what a contour would tell, were delta larger
OF_CONTOURS = (Gaussian, SampledGaussian, TruncatedGaussian)
MOST_PRECISION = 10_000.0  # of all Gaussians; twice their mean loss, whose grid must be affordable
NEGLIGIBLE = 1e-20  # a delta at which blocks are cut off


@lru_cache(maxsize=8)
def event_by_event(sequence: Sequence) -> LossDistribution:
    """Return the composed losses, each event with a dominating pair of its own.

    On a lattice that is fine beside the composed loss. Holds in any order of release.
    UnsupportedEvent when an event's losses do not fit on a lattice.
    """
    merged = _merged(sequence)
    step = _step(merged)
    found = _composed(merged, step)
    allowed = BLUR_OF_CURVES if _asks_curves(merged) else BLUR
    if all(isinstance(event, OF_CONTOURS) for event, _ in merged):
        allowed = BLUR_BESIDE_CONTOURS
    for _ in range(4):
        blur = max(found.blur(), 1e-30)
        finer = step * max(1 / 8, math.sqrt(0.5 * min(allowed / blur, 1.0)))
        finer = max(finer, _widest(merged) / FINEST)
        if blur <= allowed or finer > 0.9 * step:
            break
        step = _aligned(merged, finer)
        try:
            found = _composed(merged, step)
        except UnsupportedEvent:  # of too many points: the coarser one holds as well
            break
    return found


@lru_cache(maxsize=8)
def with_blocks(sequence: Sequence) -> LossDistribution:
    """Return the composed losses with each run of selections as one block.

    Built from the last event to the first, so that each block starts from the curve of all that
    comes after it (`docs/accounting.md`). UnsupportedEvent without selections, or when losses do
    not fit on a lattice.
    """
    runs = [
        (selecting, tuple(run))
        for selecting, run in groupby(sequence, lambda part: isinstance(part[0], Selection))
    ]
    blocks = sum(len(run) for selecting, run in runs if selecting)
    if not blocks:
        raise UnsupportedEvent("there is no selection to take as a block")
    step, work = event_by_event(sequence).step, WORK / blocks
    after: LossDistribution | None = None
    curve: Curve | None = None  # of what comes after, where it is known better than by ``after``
    events_after: Sequence = ()
    for selecting, run in reversed(runs):
        if selecting:
            for part in reversed(run):
                curve = curve or _curve_of(after, events_after)
                last = _last_loss(part, after, events_after)
                curve = _block(part, curve, last, work)
                after = (
                    curve_distribution(curve, last, step)
                    if curve
                    else _composed((part,), step, after)
                )
                events_after = (part, *events_after)
        else:
            after, curve = _composed(_merged(run), step, after), None
            events_after = (*run, *events_after)
    assert after is not None
    return after


ENGINES: dict[str, Callable[[Sequence], LossDistribution]] = {
    "loss distributions": event_by_event,
    "loss distributions, selections as blocks": with_blocks,
}


def _block(part: tuple[Event, int], later: Curve | None, last: float, work: float) -> Curve | None:
    """Return the curve of equal selections and all that comes after; None where unaffordable."""
    event, count = part
    assert isinstance(event, Selection)
    if last > LARGEST_LOSS:
        raise UnsupportedEvent(f"losses up to {last:.4g} do not fit on a loss grid")
    if not is_affordable(event.epsilon, count, last):
        return None
    return _chords(*block_curve(event.epsilon, count, later, last, work=work))


def _last_loss(
    part: tuple[Event, int], after: LossDistribution | None, events_after: Sequence
) -> float:
    """An epsilon beyond which the delta of the block and what follows hardly falls."""
    event, count = part
    assert isinstance(event, Selection)
    alone = min(event.epsilon * count, zcdp_epsilon(event.rho * count, NEGLIGIBLE))
    last = alone + (0.0 if after is None else _reach(after))
    costs = [(each.rho, times) for each, times in (part, *events_after)]
    rho = math.fsum(cost * times for cost, times in costs if cost is not None)
    if all(cost is not None for cost, _ in costs):
        last = min(last, zcdp_epsilon(rho, NEGLIGIBLE))
    return last


def _reach(losses: LossDistribution) -> float:
    """An epsilon from 0 on at which the delta is negligibly above what no epsilon removes."""
    floor = max(each.infinite for each in losses.sums)
    if floor > 0.5:
        raise UnsupportedEvent(f"losses beyond {LARGEST_LOSS:.4g} do not fit on a loss grid")
    return losses.epsilon(floor * (1 + 1e-9) + NEGLIGIBLE)


def _curve_of(after: LossDistribution | None, events_after: Sequence) -> Curve | None:
    """The curve of later events at epsilons >= 0: exact where all are Gaussian."""
    if after is None:
        return None
    if all(isinstance(event, (Gaussian, Public)) for event, _ in events_after):
        gaussians = [(e, count) for e, count in events_after if isinstance(e, Gaussian)]
        mu = math.sqrt(sum(count / e.noise_multiplier**2 for e, count in gaussians))
        return lambda epsilons: np.array([gaussian_delta(mu, e) for e in epsilons])
    return after.deltas


def _chords(epsilons: Floats, deltas: Floats) -> Curve:
    """Continue a curve given at points, by chords in exp(epsilon) and by symmetry.

    A privacy curve is convex in exp(epsilon), so that it lies below its chords.
    """
    gains = np.exp(epsilons)

    def curve(wanted: Floats) -> Floats:
        positive = np.interp(np.exp(np.abs(wanted)), gains, deltas)
        gain = np.exp(np.minimum(wanted, 0.0))
        return np.where(wanted >= 0, positive, 1 - gain + gain * positive)

    return curve


def _composed(
    parts: Sequence, step: float, last: LossDistribution | None = None
) -> LossDistribution:
    total = last
    for event, count in parts:
        once = loss_distribution(event, step)
        if once is None:
            continue
        some = once.self_compose(count)
        total = some if total is None else total.compose(some)
    if total is None:
        raise UnsupportedEvent("there is nothing to compose")
    return total


def _merged(sequence: Sequence) -> Sequence:
    """Join all Gaussians to the one that they amount to, and equal events to one."""
    counts: dict[Event, int] = {}
    precision = 0.0
    for event, count in sequence:
        if isinstance(event, Gaussian):
            precision += count / event.noise_multiplier / event.noise_multiplier
        else:
            counts[event] = counts.get(event, 0) + count
    if precision > MOST_PRECISION:
        raise UnsupportedEvent(f"losses around {precision / 2:.4g} do not fit on a loss grid")
    if not precision:
        return tuple(counts.items())
    pieces = math.ceil(precision / LARGEST_LOSS)  # exp() of a piece's precision must not overflow
    return ((Gaussian(math.sqrt(pieces / precision), 1.0), pieces), *counts.items())


def _step(merged: Sequence) -> float:
    """Return a spacing of the lattice that is fine beside the deviation of the composed loss.

    Rounding to the lattice adds up to a sixth of its square to the variance of every loss.
    """
    sampled = (SampledGaussian, TruncatedGaussian)
    losses = sum(
        count * (event.steps if isinstance(event, sampled) else 1) for event, count in merged
    )
    deviation = math.sqrt(2 * sum(count * spread(event) for event, count in merged)) or 1.0
    if not math.isfinite(deviation):
        raise UnsupportedEvent("losses without a finite deviation do not fit on a loss grid")
    cheap = EXCESS_OF_CURVES if _asks_curves(merged) else EXCESS
    fine, needed = (math.sqrt(6 * excess / losses) for excess in (cheap, MOST_EXCESS))
    wanted = min(max(fine, DEVIATIONS / CHEAP), needed)
    step = max(deviation * max(wanted, DEVIATIONS / LARGEST), _widest(merged) / FEW)
    return _aligned(merged, step)


def _asks_curves(merged: Sequence) -> bool:
    """Whether an event is known by its curve alone."""
    return any(isinstance(event, Selection | NoisyVote | ZeroConcentrated) for event, _ in merged)


def _widest(merged: Sequence) -> float:
    """Return the width of the losses of one sampled sum, which may be far above their deviation."""
    sampled = (SampledGaussian, TruncatedGaussian)
    return max((width(event) for event, _ in merged if isinstance(event, sampled)), default=0.0)


def _aligned(merged: Sequence, step: float) -> float:
    """Return a step that is not larger, of which the losses of an event are multiples."""
    for event, _ in merged:
        if isinstance(event, (Pure, Approximate)) and event.epsilon:
            return event.epsilon / math.ceil(event.epsilon / step)
        unit = _unit(event)
        if unit >= step:
            return unit / math.ceil(unit / step)
    return step


def _unit(event: Event) -> float:
    """Return what an event's likely losses are multiples of, where they are few; else 0."""
    match event:
        case Laplace():
            return event.sensitivity / event.scale
        case DiscreteLaplace():
            return 1 / event.scale
        case DiscreteGaussian():
            return event.sensitivity / event.stddev**2 / 2
    return 0.0


def spread(event: Event) -> float:
    """Return roughly half the variance of an event's loss."""
    match event:
        case Approximate():
            return event.epsilon**2 / 2
        case ThresholdedGaussian():
            return event.counted.rho
        case NoGuarantee() | PartitionSelection():  # the latter is no part of a sequence
            return math.inf
        case SampledGaussian(is_simple=False):
            return event.steps * GroupLosses(event).mean_loss
        case SampledGaussian() | TruncatedGaussian():
            precision = 1 / event.noise_multiplier / event.noise_multiplier
            once = event.rate**2 * math.expm1(min(precision, LARGEST_LOSS))
            return event.steps * min(event.rate * precision / 2, once / 2)
    return event.rho
