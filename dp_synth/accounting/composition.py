"""Loss distributions of a whole sequence: event by event, or with selections as blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting.blocks import WORK, block_curve, is_affordable
from dp_synth.accounting.closed_forms import gaussian_delta, zcdp_epsilon
from dp_synth.accounting.events import (
    Event,
    Gaussian,
    Public,
    SampledGaussian,
    Selection,
    TruncatedGaussian,
)
from dp_synth.accounting.losses import LARGEST_LOSS, curve_distribution, loss_distribution
from dp_synth.errors import UnsupportedEvent

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    Losses: TypeAlias = PrivacyLossDistribution
else:
    Losses = object

Floats = NDArray[np.float64]
Sequence = tuple[tuple[Event, int], ...]
Curve = Callable[[Floats], Floats]

GRID_POINTS_PER_EPSILON = 3000  # loss grid: finer moves calibrated noise by less than 1e-5
GRID_POINTS_PER_STEPS = 30  # for each root of the number of sampled steps, which add up errors
GRID_POINTS_PER_RANGE = 20  # a pure event's whole loss range spans at least so many
LARGEST_GRID = 30_000  # points per epsilon; very small ranges are rounded up to this grid
MOST_PRECISION = 10_000.0  # of all Gaussians; twice their mean loss, whose grid must be affordable
NEGLIGIBLE = 1e-15  # a delta at which blocks are cut off
ROUNDING = 0.02  # of a whole distribution's mass: more, and its grid is too fine for floating point


@lru_cache(maxsize=32)
def event_by_event(sequence: Sequence, epsilon: float) -> Losses:
    """Return the composed losses, each event with a dominating pair of its own.

    On a grid fine enough around ``epsilon``. Holds in any order of release. UnsupportedEvent
    when an event's losses do not fit on a grid.
    """
    return _composed(_merged(sequence), _step(sequence, epsilon))


@lru_cache(maxsize=32)
def with_blocks(sequence: Sequence, epsilon: float) -> Losses:
    """Return the composed losses with each run of selections as one block.

    Built from the last event to the first, so that each block starts from the curve of all that
    comes after it (`docs/accounting.md`). UnsupportedEvent without selections, or when losses do
    not fit on a grid.
    """
    runs = [
        (selecting, tuple(run))
        for selecting, run in groupby(sequence, lambda part: isinstance(part[0], Selection))
    ]
    blocks = sum(len(run) for selecting, run in runs if selecting)
    if not blocks:
        raise UnsupportedEvent("there is no selection to take as a block")
    step, work = _step(sequence, epsilon), WORK / blocks
    after: Losses | None = None
    curve: Curve | None = None  # of what comes after, where it is known better than by ``after``
    events_after: Sequence = ()
    for selecting, run in reversed(runs):
        if selecting:
            for part in reversed(run):
                curve = curve or _curve_of(after, events_after)
                last = _last_loss(part, after, events_after)
                curve = _block(part, curve, last, work)
                after = (
                    curve_distribution(curve, -last, last, step)
                    if curve
                    else _composed((part,), step, after)
                )
                events_after = (part, *events_after)
        else:
            after, curve = _composed(_merged(run), step, after), None
            events_after = (*run, *events_after)
    assert after is not None
    return after


ENGINES: dict[str, Callable[[Sequence, float], Losses]] = {
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


def _last_loss(part: tuple[Event, int], after: Losses | None, events_after: Sequence) -> float:
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


def _reach(losses: Losses) -> float:
    """An epsilon from 0 on at which the delta is negligibly above what no epsilon removes."""
    floor = float(losses.get_delta_for_epsilon(LARGEST_LOSS))
    if floor > 0.5:
        raise UnsupportedEvent(f"losses beyond {LARGEST_LOSS:.4g} do not fit on a loss grid")
    return max(0.0, float(losses.get_epsilon_for_delta(floor * (1 + 1e-9) + NEGLIGIBLE)))


def _curve_of(after: Losses | None, events_after: Sequence) -> Curve | None:
    """The curve of later events at epsilons >= 0: exact where all are Gaussian."""
    if after is None:
        return None
    if all(isinstance(event, (Gaussian, Public)) for event, _ in events_after):
        gaussians = [(e, count) for e, count in events_after if isinstance(e, Gaussian)]
        mu = math.sqrt(sum(count / e.noise_multiplier**2 for e, count in gaussians))
        return lambda epsilons: np.array([gaussian_delta(mu, e) for e in epsilons])
    return lambda epsilons: np.asarray(after.get_delta_for_epsilon(epsilons), dtype=float)


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


def _composed(parts: Sequence, step: float, last: Losses | None = None) -> Losses:
    total = last
    with np.errstate(over="ignore", invalid="ignore"):  # what it spoils is refused
        for event, count in parts:
            once = loss_distribution(event, step)
            if once is None:
                continue
            some = _sound(once.self_compose(count) if count > 1 else once)
            total = some if total is None else _sound(total.compose(some))
    if total is None:
        raise UnsupportedEvent("there is nothing to compose")
    return total


def _sound(losses: Losses) -> Losses:
    """Return the losses if they still sum to one; what is left when they do not bounds nothing."""
    mass = float(losses.get_delta_for_epsilon(-2 * LARGEST_LOSS))
    if not abs(mass - 1) <= ROUNDING:
        raise UnsupportedEvent(f"losses of total mass {mass:.4g}: the loss grid is too fine")
    return losses


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


def _step(sequence: Sequence, epsilon: float) -> float:
    """Return the spacing of a loss grid that is fine enough around ``epsilon``."""
    points = float(GRID_POINTS_PER_EPSILON)
    sampled = (SampledGaussian, TruncatedGaussian)
    steps = [event.steps for event, _ in sequence if isinstance(event, sampled)]
    points = max([points, *(GRID_POINTS_PER_STEPS * math.sqrt(count) * 3 for count in steps)])
    ranges = [event.epsilon for event, _ in sequence if isinstance(event, Selection)]
    step = min([epsilon / points, *(range_ / GRID_POINTS_PER_RANGE for range_ in ranges)])
    return max(step, epsilon / LARGEST_GRID)
