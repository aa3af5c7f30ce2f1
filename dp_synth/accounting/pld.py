"""Privacy-loss distributions: of one event, and of a whole sequence of them.

Noise is given per sensitivity, and the relation is that of one record more or less: a pair of
tables has two directions, and events whose losses differ in them keep both. Every distribution
here is pessimistic at every epsilon, see `discretization`; `fft_composition` adds them up, event by
event or with runs of selections as blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting.budget import ROUNDING, gaussian_delta, selection_delta, zcdp_epsilon
from dp_synth.accounting.discretization import LARGEST_LOSS, PIECES, of_atoms, of_curve, of_density
from dp_synth.accounting.events import (
    Approximate,
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Gaussian,
    Laplace,
    LaplaceCounts,
    NoisyVote,
    NoOp,
    Pure,
    Round,
    SampledGaussian,
    Selection,
    ThresholdedGaussian,
    TruncatedGaussian,
    ZeroConcentrated,
    gaussian_precision,
)
from dp_synth.accounting.fft_composition import LossDistribution
from dp_synth.accounting.pate import largest_loss, vote_delta
from dp_synth.accounting.selection_block import WORK, block_curve, is_affordable
from dp_synth.accounting.subsampled_gaussian import (
    REACH,
    GroupLosses,
    losses_added,
    losses_removed,
    mean_loss,
    width_of_step,
)
from dp_synth.errors import UnsupportedEvent
from dp_synth.types import Floats

Sequence = tuple[tuple[Event, int], ...]
Curve = Callable[[Floats], Floats]

MOST_POINTS = 2_000_000  # of one distribution, in memory and before composition
TAIL = 1e-30  # a chance so small that its loss may be taken as infinite
LARGEST_VOTE_NOISE = 2.0**40  # beyond, floating point cannot tell chances to win apart
EXCESS = 2e-7  # relative variance that rounding to the lattice may add, where it is cheap
EXCESS_OF_CURVES = 1e-6  # the same where an event is known by its curve, asked point by point
MOST_EXCESS = 5e-5  # the same where there are so many losses that it is not
DEVIATIONS = 24.0  # of the sum of all losses, that a lattice spans
CHEAP, LARGEST = 2**16, 2**21  # points of a lattice
FEW, FINEST = 2**17, 1_900_000  # points of one loss, at first and at most
BLUR, BLUR_OF_CURVES = 1e-3, 5e-3  # relative error of a delta from which a lattice is made finer
BLUR_BESIDE_CONTOURS = 1e-5  # the same of what a contour would tell, were delta larger
OF_CONTOURS = (Gaussian, SampledGaussian, TruncatedGaussian)
MOST_PRECISION = 10_000.0  # of all Gaussians; twice their mean loss, whose grid must be affordable
NEGLIGIBLE = 1e-20  # a delta at which blocks are cut off


def loss_distribution(event: Event, step: float) -> LossDistribution | None:
    """Return a pessimistic loss distribution of the event on a grid of ``step``.

    All steps together of sampled Gaussians, else a single event; None for a ``NoOp`` one.
    UnsupportedEvent when a loss above 400 is likely enough to matter, or when the grid is so
    fine that it would not fit in memory: another engine must then bound the event.

    >>> from dp_synth.accounting.events import Pure
    >>> coins = loss_distribution(Pure(0.1), step=0.001).self_compose(10)
    >>> 0.99 < coins.epsilon(1e-9) <= 1.0 + 1e-9
    True
    """
    if not (math.isfinite(step) and step > 0):
        raise ValueError(f"step must be a finite number above 0, got {step}")
    match event:
        case NoOp():
            return None
        case Gaussian() | SampledGaussian():
            return _gaussian(event, step)
        case TruncatedGaussian():
            return _truncated(event, step)
        case ThresholdedGaussian():
            return _gaussian(event.counted, step).compose(_approximate(0.0, event.delta, step))
        case Laplace():
            return _laplace(event, step)
        case DiscreteGaussian():
            return _discrete_gaussian(event, step)
        case DiscreteLaplace():
            return _atoms(*discrete_laplace_losses(event), 0.0, step)
        case LaplaceCounts():
            once = _atoms(*discrete_laplace_losses(event.number), 0.0, step)
            return once.self_compose(event.numbers)
        case Pure():
            return _approximate(event.epsilon, 0.0, step)
        case Approximate():
            return _approximate(event.epsilon, event.delta, step)
        case Selection():
            return _selection(event, step)
        case Round():
            return _selection(event.choice, step).compose(_gaussian(event.answer, step))
        case NoisyVote():
            return _vote(event, step)
        case ZeroConcentrated():
            return _zero_concentrated(event, step)
    raise UnsupportedEvent(f"no certified engine bounds {event!r}")


def curve_distribution(
    delta_of_epsilon: Callable[[Floats], Floats], highest: float, step: float
) -> LossDistribution:
    """Return the least loss distribution on the grid that is nowhere below a privacy curve.

    The curve is asked once, at all points of the grid from -``highest`` to ``highest``, and must
    be that of both directions: delta(-e) = 1 - exp(-e) + exp(-e) * delta(e). What it leaves at
    ``highest`` becomes an infinite loss, so that cutting it short is never optimistic.
    """
    check_size(highest, 2 * highest / step)
    last = math.ceil(highest / step)
    deltas = delta_of_epsilon(np.arange(-last, last + 1, dtype=np.float64) * step)
    return LossDistribution([(of_curve(np.clip(deltas[last:], 0.0, 1.0), step), 1)])


def zcdp_deltas(rho: float, epsilon: Floats) -> Floats:
    """Return the optimal deltas at which ``rho``-zCDP implies DP, at each real ``epsilon``.

    Canonne, Kamath & Steinke 2020, Prop. 12, at the best order for each epsilon: where
    epsilon = (2 * alpha - 1) * rho + log(1 - 1 / alpha), interpolated, since every order gives
    an upper bound. Not convex in exp(epsilon) as it stands, hence not yet a privacy curve. At
    negative epsilon by symmetry of the two directions.
    """
    size = np.abs(epsilon)
    orders = np.geomspace(1e-12, 1e12, 4000)  # alpha - 1
    best = (2 * orders + 1) * rho - np.log1p(1 / orders)
    excess = np.exp(np.interp(size, best, np.log(orders)))
    alpha = 1 + excess
    log_delta = excess * (alpha * rho - size - np.log1p(1 / excess)) - np.log(alpha)
    positive = np.exp(np.minimum(log_delta, 0.0))
    gain = np.exp(np.minimum(epsilon, 0.0))
    return np.asarray(np.where(epsilon >= 0, positive, 1 - gain + gain * positive))


def convex_envelope(points: Floats, values: Floats) -> Floats:
    """Return the largest convex function below ``values``, at the same rising ``points``.

    A convex function that is nowhere above ``values`` is nowhere above their envelope either.

    >>> convex_envelope(np.array([0.0, 1.0, 2.0, 3.0]), np.array([3.0, 2.5, 1.0, 0.0])).tolist()
    [3.0, 2.0, 1.0, 0.0]
    """
    x, y = points.tolist(), values.tolist()
    corners: list[int] = []
    for i in range(len(x)):
        while len(corners) > 1:
            j, k = corners[-2], corners[-1]
            if (y[k] - y[j]) / (x[k] - x[j]) < (y[i] - y[k]) / (x[i] - x[k]):
                break
            corners.pop()
        corners.append(i)
    return np.interp(points, points[corners], values[corners])


def _gaussian(event: Gaussian | SampledGaussian, step: float) -> LossDistribution:
    if isinstance(event, SampledGaussian) and not event.is_simple:
        return _group(event, step)
    rate, steps = (event.rate, event.steps) if isinstance(event, SampledGaussian) else (1.0, 1)
    mu = 1 / event.noise_multiplier
    check_gaussian(mu, rate, steps, step)
    removed = [(losses_removed(mu, rate, step), steps)]
    return LossDistribution(removed, [(losses_added(mu, rate, step), steps)] if rate < 1 else None)


def _group(event: SampledGaussian, step: float) -> LossDistribution:
    check_size(0.0, _width_of(event) / step)
    group = GroupLosses(event)
    check_size(0.0, event.steps * group.mean_loss / step)
    removed = [(group.removed(step), event.steps)]
    return LossDistribution(removed, None if event.replaced else [(group.added(step), event.steps)])


def _truncated(event: TruncatedGaussian, step: float) -> LossDistribution:
    """A step is a sampled Gaussian, and with the chance of a cut one that moves twice as far."""
    mu, rate, cut = 1 / event.noise_multiplier, event.rate, event.cut_once
    check_gaussian(2 * mu if cut else mu, rate, event.steps, step)
    removed, added = (
        [(make(mu, rate, step).mixed(make(2 * mu, rate, step), cut), event.steps)]
        for make in (losses_removed, losses_added)
    )
    return LossDistribution(removed, added)


def check_gaussian(mu: float, rate: float, steps: int, step: float) -> None:
    """Raise UnsupportedEvent for sampled Gaussians whose losses do not fit on a lattice."""
    largest = mu * mu / 2 + REACH * mu
    check_size(largest if rate < 1 else 0.0, width_of_step(mu, rate) / step)
    check_size(0.0, steps * mean_loss(mu, rate) / step)


def width(event: SampledGaussian | TruncatedGaussian) -> float:
    """Return how far apart the losses of one step may lie, of outcomes that are kept apart."""
    if isinstance(event, SampledGaussian) and not event.is_simple:
        return _width_of(event)
    moved = 2 if isinstance(event, TruncatedGaussian) else 1
    return width_of_step(moved / event.noise_multiplier, event.rate)


def _width_of(group: SampledGaussian) -> float:
    moved = group.rows / group.noise_multiplier
    check_size(moved * (moved + REACH), 0.0)
    return GroupLosses(group).width()


def _laplace(event: Laplace, step: float) -> LossDistribution:
    """Losses at both ends with chances of their own, and between them with a density."""
    points, cells = laplace_pieces(event, step)
    most = float(points[-1])
    losses, chances = laplace_ends(most)
    atoms = of_atoms(losses, chances * (1 + ROUNDING), 0.0, step)
    between = of_density(points, cells, partial(between_ends, most), step, largest=most)
    return LossDistribution([(atoms.with_more(between), 1)])


def laplace_pieces(event: Laplace, step: float) -> tuple[Floats, NDArray[np.int64]]:
    """Return losses from end to end so that between two of them all share a cell, and the cells."""
    most = event.sensitivity / event.scale
    check_size(most, 2 * most / step)
    inner = np.arange(math.ceil(-most / step), math.floor(most / step) + 1) * step
    even = np.linspace(-most, most, math.ceil(2 * most * PIECES) + 1)
    points = np.unique(np.concatenate([even, np.clip(inner, -most, most)]))
    return points, np.floor((points[1:] + points[:-1]) / 2 / step).astype(np.int64)


def laplace_ends(most: float) -> tuple[Floats, Floats]:
    """Return both ends of a Laplace loss, and their chances."""
    return np.array([most, -most]), np.array([0.5, math.exp(-most) / 2])


def between_ends(most: float, losses: Floats) -> tuple[Floats, Floats]:
    """Return Laplace losses between both ends, and their density."""
    return losses, np.exp((losses - most) / 2) / 4


def discrete_gaussian_losses(event: DiscreteGaussian) -> tuple[Floats, Floats]:
    """Return sensitivity * (sensitivity - 2 * k) / (2 * stddev**2) of the noise k, and weights."""
    shift, variance = event.sensitivity, event.stddev**2
    reach = math.ceil((REACH + 1) * event.stddev) + 1
    check_size(shift * (shift + 2 * reach) / (2 * variance), 2 * reach)
    noise = np.arange(-reach, reach + 1, dtype=np.float64)
    return shift * (shift - 2 * noise) / (2 * variance), np.exp(-(noise**2) / (2 * variance))


def discrete_laplace_losses(event: DiscreteLaplace) -> tuple[Floats, Floats]:
    """Return losses of the noise up to 0, to the sensitivity, and from there on, and chances."""
    rate, shift = 1 / event.scale, event.sensitivity
    check_size(rate * shift, shift)
    noise = np.arange(shift + 1, dtype=np.float64)
    chances = np.exp(-rate * noise)
    chances[1:-1] *= -math.expm1(-rate)
    return rate * (shift - 2 * noise), chances / (1 + math.exp(-rate))


def response_losses(epsilon: float, delta: float) -> tuple[Floats, Floats]:
    """Return both losses of the worst pair of an (epsilon, delta)-DP event, and their chances.

    Randomized response, or with chance delta the truth (Kairouz et al. 2015).
    """
    check_size(epsilon, 2)
    chance = (1 - delta) / (1 + math.exp(-epsilon))
    return np.array([epsilon, -epsilon]), np.array([chance, chance * math.exp(-epsilon)])


def _discrete_gaussian(event: DiscreteGaussian, step: float) -> LossDistribution:
    losses, weights = discrete_gaussian_losses(event)
    return _atoms(losses, weights * ((1 + ROUNDING) / weights.sum()), TAIL, step)


def _approximate(epsilon: float, delta: float, step: float) -> LossDistribution:
    return _atoms(*response_losses(epsilon, delta), delta, step)


def _selection(event: Selection, step: float) -> LossDistribution:
    curve = partial(selection_delta, event.epsilon)
    return curve_distribution(curve, event.epsilon, step)


def _vote(event: NoisyVote, step: float) -> LossDistribution:
    if event.scale > LARGEST_VOTE_NOISE:
        raise UnsupportedEvent(f"a vote with noise of {event.scale:.4g} is as good as none")
    curve = partial(vote_delta, event)
    reach = min(largest_loss(event), _reach(curve)) + step
    return curve_distribution(curve, reach, step)


def _zero_concentrated(event: ZeroConcentrated, step: float) -> LossDistribution:
    """The convex envelope, in exp(epsilon), of the optimal conversion."""

    def curve(epsilon: Floats) -> Floats:
        return convex_envelope(np.exp(epsilon), zcdp_deltas(event.rho, epsilon))

    reach = _reach(partial(zcdp_deltas, event.rho))
    return curve_distribution(curve, reach, step)


def _atoms(values: Floats, chances: Floats, infinite: float, step: float) -> LossDistribution:
    dots = of_atoms(values, chances * (1 + ROUNDING), infinite, step)
    return LossDistribution([(dots, 1)])


def _reach(curve: Callable[[Floats], Floats]) -> float:
    """Return an epsilon at which the curve is below ``TAIL``, near the first; infinite if none."""
    epsilons = np.geomspace(1e-6, LARGEST_LOSS, 400)
    small = np.flatnonzero(curve(epsilons) < TAIL)
    return float(epsilons[small[0]]) if small.size else math.inf


def check_size(widest: float, points: float) -> None:
    """Raise UnsupportedEvent for a loss too large, or a distribution of too many points."""
    if widest > LARGEST_LOSS:
        raise UnsupportedEvent(
            f"losses up to {widest:.4g} do not fit on a loss grid, which ends at {LARGEST_LOSS:g}"
        )
    if points > MOST_POINTS:
        raise UnsupportedEvent(
            f"a loss distribution of {points:.4g} points is too large, the most is {MOST_POINTS}"
        )


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
    last = alone + (0.0 if after is None else _cut_off(after))
    costs = [(each.rho, times) for each, times in (part, *events_after)]
    rho = math.fsum(cost * times for cost, times in costs if cost is not None)
    if all(cost is not None for cost, _ in costs):
        last = min(last, zcdp_epsilon(rho, NEGLIGIBLE))
    return last


def _cut_off(losses: LossDistribution) -> float:
    """An epsilon from 0 on at which the delta is negligibly above what no epsilon removes."""
    floor = max(each.infinite for each in losses.sums)
    if floor > 0.5:
        raise UnsupportedEvent(f"losses beyond {LARGEST_LOSS:.4g} do not fit on a loss grid")
    return losses.epsilon(floor * (1 + 1e-9) + NEGLIGIBLE)


def _curve_of(after: LossDistribution | None, events_after: Sequence) -> Curve | None:
    """The curve of later events at epsilons >= 0: exact where all are Gaussian."""
    if after is None:
        return None
    if all(isinstance(event, (Gaussian, NoOp)) for event, _ in events_after):
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
    for event, count in sequence:
        if not isinstance(event, Gaussian):
            counts[event] = counts.get(event, 0) + count
    precision = gaussian_precision(sequence)
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
    losses = sum(count * event.answers for event, count in merged)
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
    return any(event.by_curve for event, _ in merged)


def _widest(merged: Sequence) -> float:
    """Return the width of the losses of one sampled sum, which may be far above their deviation."""
    sampled = (SampledGaussian, TruncatedGaussian)
    return max((width(event) for event, _ in merged if isinstance(event, sampled)), default=0.0)


def _aligned(merged: Sequence, step: float) -> float:
    """Return a step that is not larger, of which the losses of an event are multiples."""
    for event, _ in merged:
        if isinstance(event, (Pure, Approximate)) and event.epsilon:
            return event.epsilon / math.ceil(event.epsilon / step)
        if event.loss_unit >= step:
            return event.loss_unit / math.ceil(event.loss_unit / step)
    return step


def spread(event: Event) -> float:
    """Return roughly half the variance of an event's loss."""
    if isinstance(event, SampledGaussian) and not event.is_simple:
        return event.steps * GroupLosses(event).mean_loss
    if isinstance(event, SampledGaussian | TruncatedGaussian):
        precision = 1 / event.noise_multiplier / event.noise_multiplier
        once = event.rate**2 * math.expm1(min(precision, LARGEST_LOSS))
        return event.steps * min(event.rate * precision / 2, once / 2)
    return event.spread
