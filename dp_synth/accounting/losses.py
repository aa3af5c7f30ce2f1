"""Privacy-loss distributions: what one event costs, in the form that composes exactly.

Composition and the continuous noises are those of dp-accounting. Its counts and adjacencies are
not used: the relation is always add-or-remove, noise is given per sensitivity, and events are
repeated by ``self_compose``, since its accountants drop the count of one kind of event and read
replacement in two ways.

Every distribution here is pessimistic at every epsilon: privacy curves are convex in
exp(epsilon), so that chords between points of the loss grid never fall below them ("connect the
dots", Doroshenko et al. 2022, arXiv:2207.04380). What rounding in floating point can add is far
below any delta in use.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dp_synth.accounting.closed_forms import selection_delta
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
    SampledGaussian,
    Selection,
    ThresholdedGaussian,
    TruncatedGaussian,
    ZeroConcentrated,
)
from dp_synth.accounting.votes import largest_loss, vote_delta
from dp_synth.errors import UnsupportedEvent

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    from dp_synth.accounting.closed_forms import Floats

LARGEST_LOSS = 400.0  # its exp() is still far from overflow
MOST_POINTS = 2_000_000  # of one distribution, in memory and before composition
TAIL = 1e-30  # a chance so small that its loss may be taken as infinite
LARGEST_VOTE_NOISE = 2.0**40  # beyond, floating point cannot tell chances to win apart
TAIL_STDDEVS = 12.0  # beyond them a Gaussian has a chance below TAIL


def loss_distribution(event: Event, step: float) -> PrivacyLossDistribution | None:
    """Return a pessimistic loss distribution of the event on a grid of ``step``.

    All steps together of sampled Gaussians, else a single event; None for a ``Public`` one.
    UnsupportedEvent when a loss above 400 is likely enough to matter, or when the grid is so
    fine that it would not fit in memory: another engine must then bound the event.

    >>> from dp_synth.accounting.events import Pure
    >>> coins = loss_distribution(Pure(0.1), step=0.001).self_compose(10)
    >>> bool(0.99 < coins.get_epsilon_for_delta(1e-9) <= 1.0 + 1e-9)
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
            return _gaussian(event.sampled, step).compose(_approximate(0.0, event.cut, step))
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
        case NoisyVote():
            return _vote(event, step)
        case ZeroConcentrated():
            return _zero_concentrated(event, step)
    raise UnsupportedEvent(f"no certified engine bounds {event!r}")


def curve_distribution(
    delta_of_epsilon: Callable[[Floats], Floats], lowest: float, highest: float, step: float
) -> PrivacyLossDistribution:
    """Return the least loss distribution on the grid that is nowhere below a privacy curve.

    The curve is asked once, at all points of the grid that covers ``lowest`` to ``highest``,
    and must be that of both directions: delta(-e) = 1 - exp(-e) + exp(-e) * delta(e). What it
    leaves at ``highest`` becomes an infinite loss, so that cutting it short is never optimistic.
    """
    from dp_accounting.pld import pld_pmf
    from dp_accounting.pld import privacy_loss_distribution as losses

    _check_size(max(-lowest, highest), (highest - lowest) / step)
    first, last = math.floor(lowest / step), math.ceil(highest / step)
    deltas = delta_of_epsilon(np.arange(first, last + 1, dtype=np.float64) * step)
    pmf = pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(
        step, first, last, np.clip(deltas, 0.0, 1.0)
    )
    return losses.PrivacyLossDistribution(pmf)


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


def _gaussian(event: Gaussian | SampledGaussian, step: float) -> PrivacyLossDistribution:
    from dp_accounting.pld import privacy_loss_distribution as losses

    mu = 1 / event.noise_multiplier
    widest = mu * mu / 2 + TAIL_STDDEVS * mu
    rate, steps = (event.rate, event.steps) if isinstance(event, SampledGaussian) else (1.0, 1)
    _check_size(widest if rate < 1 else 0.0, 2 * widest / step)
    _check_size(0.0, steps * _mean_loss(mu, rate) / step)
    once = losses.from_gaussian_mechanism(
        event.noise_multiplier,
        value_discretization_interval=step,
        sampling_prob=rate,
        use_connect_dots=True,
    )
    return once.self_compose(steps) if steps > 1 else once  # a Fourier transform costs digits


def _mean_loss(mu: float, rate: float) -> float:
    """Upper bound on the mean loss of one sampled step: convexity, or the chi-squared distance."""
    return min(rate * mu * mu / 2, rate * rate * math.expm1(min(mu * mu, 700.0)))


def _laplace(event: Laplace, step: float) -> PrivacyLossDistribution:
    from dp_accounting.pld import privacy_loss_distribution as losses

    loss = event.sensitivity / event.scale
    _check_size(loss, 2 * loss / step)
    return losses.from_laplace_mechanism(
        1 / loss, value_discretization_interval=step, use_connect_dots=True
    )


def _discrete_gaussian(event: DiscreteGaussian, step: float) -> PrivacyLossDistribution:
    """Loss of the noise k: sensitivity * (sensitivity - 2 * k) / (2 * stddev**2)."""
    shift, variance = event.sensitivity, event.stddev**2
    reach = math.ceil((TAIL_STDDEVS + 1) * event.stddev) + 1
    _check_size(shift * (shift + 2 * reach) / (2 * variance), 2 * reach)
    noise = np.arange(-reach, reach + 1, dtype=np.float64)
    chances = np.exp(-(noise**2) / (2 * variance))
    return _atoms(shift * (shift - 2 * noise) / (2 * variance), chances / chances.sum(), TAIL, step)


def _discrete_laplace(event: DiscreteLaplace, step: float) -> PrivacyLossDistribution:
    """Losses of the noise up to 0, between 0 and the sensitivity, and from there on."""
    rate, shift = 1 / event.scale, event.sensitivity
    _check_size(rate * shift, shift)
    noise = np.arange(shift + 1, dtype=np.float64)
    chances = np.exp(-rate * noise)
    chances[1:-1] *= -math.expm1(-rate)
    return _atoms(rate * (shift - 2 * noise), chances / (1 + math.exp(-rate)), 0.0, step)


def _approximate(epsilon: float, delta: float, step: float) -> PrivacyLossDistribution:
    """The worst pair: randomized response, or with chance delta the truth (Kairouz et al. 2015)."""
    _check_size(epsilon, 2)
    chance = (1 - delta) / (1 + math.exp(-epsilon))
    losses = np.array([epsilon, -epsilon])
    return _atoms(losses, np.array([chance, chance * math.exp(-epsilon)]), delta, step)


def _selection(event: Selection, step: float) -> PrivacyLossDistribution:
    curve = partial(selection_delta, event.epsilon)
    return curve_distribution(curve, -event.epsilon, event.epsilon, step)


def _vote(event: NoisyVote, step: float) -> PrivacyLossDistribution:
    if event.scale > LARGEST_VOTE_NOISE:
        raise UnsupportedEvent(f"a vote with noise of {event.scale:.4g} is as good as none")
    curve = partial(vote_delta, event)
    reach = min(largest_loss(event), _reach(curve)) + step
    return curve_distribution(curve, -reach, reach, step)


def _zero_concentrated(event: ZeroConcentrated, step: float) -> PrivacyLossDistribution:
    """The convex envelope, in exp(epsilon), of the optimal conversion."""

    def curve(epsilon: Floats) -> Floats:
        return convex_envelope(np.exp(epsilon), zcdp_deltas(event.rho, epsilon))

    reach = _reach(partial(zcdp_deltas, event.rho))
    return curve_distribution(curve, -reach, reach, step)


def _atoms(
    values: Floats, chances: Floats, infinite: float, step: float
) -> PrivacyLossDistribution:
    """Connect the dots of finitely many losses: each is split between its two grid points.

    Shares keep both the chance and its share of the other table's, chance * exp(-loss), so that
    nothing cancels. Rounding losses up instead would add half a step of epsilon to every event.
    """
    from dp_accounting.pld import pld_pmf
    from dp_accounting.pld import privacy_loss_distribution as losses

    below = np.floor(values / step).astype(np.int64)
    upper = np.clip(np.expm1(below * step - values) / math.expm1(-step), 0.0, 1.0) * chances
    first = int(below.min())
    masses = np.bincount(below - first, chances - upper, int(below.max()) - first + 2)
    masses += np.bincount(below - first + 1, upper, len(masses))
    kept = np.flatnonzero(masses)
    probabilities = dict(zip((kept + first).tolist(), masses[kept].tolist(), strict=True))
    pmf = pld_pmf.create_pmf(probabilities, step, infinite, pessimistic_estimate=True)
    return losses.PrivacyLossDistribution(pmf)


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
