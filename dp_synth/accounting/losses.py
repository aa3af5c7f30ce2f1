"""Privacy-loss distributions: what one event costs, in the form that composes exactly.

Noise is given per sensitivity, and the relation is that of one record more or less: a pair of
tables has two directions, and events whose losses differ in them keep both. Every distribution
here is pessimistic at every epsilon, see `dots`; `tilting` adds them up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from dp_synth.accounting.closed_forms import ROUNDING, Floats, selection_delta
from dp_synth.accounting.dots import Dots, of_atoms, of_curve, of_density
from dp_synth.accounting.events import (
    Approximate,
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Gaussian,
    Laplace,
    NoisyVote,
    Public,
    Pure,
    Round,
    SampledGaussian,
    Selection,
    ThresholdedGaussian,
    TruncatedGaussian,
    ZeroConcentrated,
)
from dp_synth.accounting.sampled_groups import GroupLosses
from dp_synth.accounting.tilting import LossDistribution
from dp_synth.accounting.votes import largest_loss, vote_delta
from dp_synth.errors import UnsupportedEvent

LARGEST_LOSS = 400.0  # its exp() is still far from overflow
MOST_POINTS = 2_000_000  # of one distribution, in memory and before composition
TAIL = 1e-30  # a chance so small that its loss may be taken as infinite
LARGEST_VOTE_NOISE = 2.0**40  # beyond, floating point cannot tell chances to win apart
TAIL_STDDEVS = 11.5  # beyond them a Gaussian has a chance below TAIL
PIECES = 100  # of an outcome's scale, between which its density is integrated


def loss_distribution(event: Event, step: float) -> LossDistribution | None:
    """Return a pessimistic loss distribution of the event on a grid of ``step``.

    All steps together of sampled Gaussians, else a single event; None for a ``Public`` one.
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
        case Public():
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
            return _discrete_laplace(event, step)
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
    _check_size(highest, 2 * highest / step)
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
    _check_gaussian(mu, rate, steps, step)
    removed = [(_removed(mu, rate, step), steps)]
    return LossDistribution(removed, [(_added(mu, rate, step), steps)] if rate < 1 else None)


def _group(event: SampledGaussian, step: float) -> LossDistribution:
    _check_size(0.0, _width_of(event) / step)
    group = GroupLosses(event)
    _check_size(0.0, event.steps * group.mean_loss / step)
    removed = [(group.removed(step), event.steps)]
    return LossDistribution(removed, None if event.replaced else [(group.added(step), event.steps)])


def _truncated(event: TruncatedGaussian, step: float) -> LossDistribution:
    """A step is a sampled Gaussian, and with the chance of a cut one that moves twice as far."""
    mu, rate, cut = 1 / event.noise_multiplier, event.rate, event.cut_once
    _check_gaussian(2 * mu if cut else mu, rate, event.steps, step)
    removed, added = (
        [(make(mu, rate, step).mixed(make(2 * mu, rate, step), cut), event.steps)]
        for make in (_removed, _added)
    )
    return LossDistribution(removed, added)


def _check_gaussian(mu: float, rate: float, steps: int, step: float) -> None:
    largest = mu * mu / 2 + TAIL_STDDEVS * mu
    _check_size(largest if rate < 1 else 0.0, _width(mu, rate) / step)
    _check_size(0.0, steps * _mean_loss(mu, rate) / step)


def _removed(mu: float, rate: float, step: float) -> Dots:
    """Losses where the record is there: its coin tossed, or the mean moved by ``mu``.

    Of outcomes in standard deviations, log(1 - rate + rate * exp(mu * y - mu**2 / 2)).
    """
    points, cells = _pieces(mu, rate, step, mu + TAIL_STDDEVS)

    def loss(y: Floats) -> tuple[Floats, Floats]:
        losses = _log_ratio(mu, rate, y)
        return losses, np.exp(losses - y * y / 2) / math.sqrt(2 * math.pi)

    beyond = rate * float(ndtr(mu - points[-1])) + (1 - rate) * float(ndtr(-points[-1]))
    below = float(ndtr(points[0])) * (1 + ROUNDING)
    return of_density(
        points,
        cells,
        loss,
        step,
        largest=mu * float(np.abs(points).max()) + mu * mu,
        tails=(beyond * (1 + ROUNDING), int(cells[0]) + 1, below),
    )


def _added(mu: float, rate: float, step: float) -> Dots:
    """Losses where the record is not there: the ratio turned about, outcomes around 0."""
    points, cells = _pieces(mu, rate, step, TAIL_STDDEVS)

    def loss(y: Floats) -> tuple[Floats, Floats]:
        return -_log_ratio(mu, rate, -y), np.exp(-y * y / 2) / math.sqrt(2 * math.pi)

    tail = float(ndtr(points[0])) * (1 + ROUNDING)
    beyond = float(ndtr(-TAIL_STDDEVS)) * (1 + ROUNDING)
    return of_density(
        -points[::-1],
        -cells[::-1] - 1,
        loss,
        step,
        largest=mu * float(np.abs(points).max()) + mu * mu,
        tails=(tail, int(-cells[-1]), beyond),
    )


def _log_ratio(mu: float, rate: float, y: Floats) -> Floats:
    power = mu * y - mu * mu / 2
    return np.log1p(rate * np.expm1(power)) if rate < 1 else power


def _pieces(mu: float, rate: float, step: float, last: float) -> tuple[Floats, NDArray[np.int64]]:
    """Return outcomes from -12 to ``last`` so that between two of them all losses share a cell."""
    ends = _log_ratio(mu, rate, np.array([-TAIL_STDDEVS, last])) / step
    inner = np.arange(math.floor(ends[0]) + 1, math.ceil(ends[1]), dtype=float)
    turned = np.expm1(inner * step) / rate
    at_dots = (np.log1p(turned) if rate < 1 else inner * step) / mu + mu / 2
    width = min(1.0, 1 / mu) / PIECES
    even = np.linspace(-TAIL_STDDEVS, last, math.ceil((last + TAIL_STDDEVS) / width) + 1)
    points = np.sort(np.concatenate([np.clip(at_dots, even[0], even[-1]), even]))
    below = np.searchsorted(at_dots, (points[1:] + points[:-1]) / 2)
    return points, math.floor(ends[0]) + below.astype(np.int64)


def width(event: SampledGaussian | TruncatedGaussian) -> float:
    """Return how far apart the losses of one step may lie, of outcomes that are kept apart."""
    if isinstance(event, SampledGaussian) and not event.is_simple:
        return _width_of(event)
    moved = 2 if isinstance(event, TruncatedGaussian) else 1
    return _width(moved / event.noise_multiplier, event.rate)


def _width_of(group: SampledGaussian) -> float:
    moved = group.rows / group.noise_multiplier
    _check_size(moved * (moved + TAIL_STDDEVS), 0.0)
    return GroupLosses(group).width()


def _width(mu: float, rate: float) -> float:
    if mu * (mu + TAIL_STDDEVS) > LARGEST_LOSS:
        return mu * mu + 2 * TAIL_STDDEVS * mu
    least, most = _log_ratio(mu, rate, np.array([-TAIL_STDDEVS, mu + TAIL_STDDEVS]))
    return float(most - least)


def _mean_loss(mu: float, rate: float) -> float:
    """Upper bound on the mean loss of one sampled step: convexity, or the chi-squared distance."""
    return min(rate * mu * mu / 2, rate * rate * math.expm1(min(mu * mu, 700.0)))


def _laplace(event: Laplace, step: float) -> LossDistribution:
    """Losses at both ends with chances of their own, and between them with a density."""
    most = event.sensitivity / event.scale
    _check_size(most, 2 * most / step)
    ends = np.array([0.5, math.exp(-most) / 2]) * (1 + ROUNDING)
    atoms = of_atoms(np.array([most, -most]), ends, 0.0, step)
    inner = np.arange(math.ceil(-most / step), math.floor(most / step) + 1) * step
    even = np.linspace(-most, most, math.ceil(2 * most * PIECES) + 1)
    points = np.unique(np.concatenate([even, np.clip(inner, -most, most)]))
    cells = np.floor((points[1:] + points[:-1]) / 2 / step).astype(np.int64)
    between = of_density(
        points, cells, lambda x: (x, np.exp((x - most) / 2) / 4), step, largest=most
    )
    return LossDistribution([(atoms.with_more(between), 1)])


def _discrete_gaussian(event: DiscreteGaussian, step: float) -> LossDistribution:
    """Loss of the noise k: sensitivity * (sensitivity - 2 * k) / (2 * stddev**2)."""
    shift, variance = event.sensitivity, event.stddev**2
    reach = math.ceil((TAIL_STDDEVS + 1) * event.stddev) + 1
    _check_size(shift * (shift + 2 * reach) / (2 * variance), 2 * reach)
    noise = np.arange(-reach, reach + 1, dtype=np.float64)
    chances = np.exp(-(noise**2) / (2 * variance))
    chances *= (1 + ROUNDING) / chances.sum()
    return _atoms(shift * (shift - 2 * noise) / (2 * variance), chances, TAIL, step)


def _discrete_laplace(event: DiscreteLaplace, step: float) -> LossDistribution:
    """Losses of the noise up to 0, between 0 and the sensitivity, and from there on."""
    rate, shift = 1 / event.scale, event.sensitivity
    _check_size(rate * shift, shift)
    noise = np.arange(shift + 1, dtype=np.float64)
    chances = np.exp(-rate * noise)
    chances[1:-1] *= -math.expm1(-rate)
    return _atoms(rate * (shift - 2 * noise), chances / (1 + math.exp(-rate)), 0.0, step)


def _approximate(epsilon: float, delta: float, step: float) -> LossDistribution:
    """The worst pair: randomized response, or with chance delta the truth (Kairouz et al. 2015)."""
    _check_size(epsilon, 2)
    chance = (1 - delta) / (1 + math.exp(-epsilon))
    losses = np.array([epsilon, -epsilon])
    return _atoms(losses, np.array([chance, chance * math.exp(-epsilon)]), delta, step)


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


def _check_size(widest: float, points: float) -> None:
    if widest > LARGEST_LOSS:
        raise UnsupportedEvent(
            f"losses up to {widest:.4g} do not fit on a loss grid, which ends at {LARGEST_LOSS:g}"
        )
    if points > MOST_POINTS:
        raise UnsupportedEvent(
            f"a loss distribution of {points:.4g} points is too large, the most is {MOST_POINTS}"
        )
