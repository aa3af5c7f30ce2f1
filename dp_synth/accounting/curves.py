"""Privacy curves: certified upper bounds on what a fixed sequence of events costs.

All Gaussian events together are one Gaussian mechanism, whose curve is known in closed form.
Selections enter as privacy-loss distributions and are composed numerically, always rounded to
the pessimistic side. Zero-concentrated DP is a second certified engine; the smaller of the two
bounds is what is reported.

The parameters of the events must be fixed before the first of them is released. What is chosen
after seeing an output may not be composed in this way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr

from dp_synth.accounting.events import Event, Gaussian, Selection
from dp_synth.errors import UnsupportedEvent

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

Floats = NDArray[np.float64]

GRID_POINTS_PER_EPSILON = 3000  # loss grid: finer moves calibrated noise by less than 1e-5
GRID_POINTS_PER_SELECTION = 20  # a selection's whole loss range spans at least so many
TAIL = 1e-12  # trade-off curves are followed to this delta
LARGEST_LOSS = 400.0  # its exp() is still far from overflow
LARGEST_GRID = 30_000  # points per epsilon; very small ranges are rounded up to this grid
ROUNDING = 2.0**-48  # bounds the relative rounding error of one special function, and to spare


@dataclass(frozen=True)
class PrivacyCurve:
    """The privacy curve of Gaussians worth ``mu`` and of selections, as (range, count) pairs.

    ``mu`` is the distance of the means, in standard deviations, of the one Gaussian mechanism
    to which all Gaussian events amount (Dong, Roth & Su 2022, Cor. 3.3).
    """

    mu: float
    selections: tuple[tuple[float, int], ...] = ()

    @property
    def rho(self) -> float:
        """Total cost in zero-concentrated DP."""
        return self.mu**2 / 2 + sum(count * Selection(e).rho for e, count in self.selections)

    def delta(self, epsilon: float) -> float:
        """Return an upper bound on the smallest delta at ``epsilon`` >= 0."""
        if not self.selections:
            return gaussian_delta(self.mu, epsilon)
        bound = min(zcdp_delta(self.rho, epsilon), self._delta_apart(epsilon))
        if self._is_too_wide:
            return bound
        return min(bound, float(self._pld(epsilon).get_delta_for_epsilon(epsilon)))

    def epsilon(self, delta: float) -> float:
        """Return an upper bound on the smallest epsilon at ``delta``; infinite when none is."""
        if self.rho == 0:
            return 0.0
        if not math.isfinite(self.rho):
            return math.inf
        if delta == 0:
            return math.inf if self.mu else self._ranges
        if not self.selections:
            return gaussian_epsilon(self.mu, delta)
        bound = min(zcdp_epsilon(self.rho, delta), self._epsilon_apart(delta))
        if self._is_too_wide:
            return bound
        losses = self._pld(bound)
        if bound <= LARGEST_LOSS:
            return min(bound, float(losses.get_epsilon_for_delta(delta)))
        low, high = 0.0, bound
        while high - low > 1e-12 * high:
            middle = (low + high) / 2
            low, high = (
                (middle, high) if losses.get_delta_for_epsilon(middle) > delta else (low, middle)
            )
        return high

    def tpr(self, fpr: Floats) -> Floats:
        """Return the largest true-positive rate that any attack can have at each ``fpr``.

        The envelope of all certified (epsilon, delta) pairs, hence never too small
        (Kairouz, Oh & Viswanath 2015, Thm 2.4).
        """
        if self.rho == 0:
            return np.asarray(fpr, dtype=float)
        epsilons, deltas = self._profile()
        gain, kept = np.exp(epsilons)[:, None], (1 - deltas)[:, None]
        fnr = np.maximum(kept - gain * fpr, (kept - fpr) / gain).max(axis=0)
        return np.asarray(1 - np.clip(fnr, 0, 1), dtype=float)

    def largest_auc(self) -> float:
        """Return an upper bound on the area under any membership attack's ROC curve.

        The bound on the true-positive rate is concave in the false-positive rate, so that the
        midpoint rule used here never falls below its integral.
        """
        half = np.concatenate([[0.0], np.geomspace(1e-9, 0.5, 2000)])
        edges = np.concatenate([half, 1 - half[-2::-1]])
        middles = (edges[1:] + edges[:-1]) / 2
        return float(min(1.0, np.sum(np.diff(edges) * self.tpr(middles))))

    def _profile(self) -> tuple[Floats, Floats]:
        """Points (epsilon, delta) of the curve from epsilon 0 to where delta is negligible."""
        last = min(self.epsilon(TAIL), LARGEST_LOSS)
        epsilons = np.concatenate(
            [[0.0], np.geomspace(last * 1e-4, last, 400)] if last else [[0.0]]
        )
        if not self.selections:
            return epsilons, np.array([gaussian_delta(self.mu, e) for e in epsilons])
        if self._is_too_wide:
            return epsilons, np.array([zcdp_delta(self.rho, e) for e in epsilons])
        return epsilons, np.asarray(self._pld(last / 10).get_delta_for_epsilon(epsilons))

    @property
    def _ranges(self) -> float:
        """The epsilon of all selections together at delta 0."""
        return math.fsum(e * count for e, count in self.selections)

    def _epsilon_apart(self, delta: float) -> float:
        """Selections at delta 0 plus Gaussians at ``delta``: basic composition."""
        return self._ranges + (gaussian_epsilon(self.mu, delta) if self.mu else 0.0)

    def _delta_apart(self, epsilon: float) -> float:
        """Delta of the Gaussians at what the selections leave of ``epsilon``."""
        left = epsilon - self._ranges
        return gaussian_delta(self.mu, left) if left >= 0 else 1.0

    @property
    def _is_too_wide(self) -> bool:
        """Whether exp() of a selection's range would overflow on the loss grid."""
        return max(range_ for range_, _ in self.selections) > LARGEST_LOSS

    def _pld(self, epsilon: float) -> PrivacyLossDistribution:
        """The composed losses on a grid that is fine enough around ``epsilon``."""
        smallest = min(range_ for range_, _ in self.selections)
        scale = max(epsilon, math.sqrt(self.rho), self.rho / 10)
        step = min(scale / GRID_POINTS_PER_EPSILON, smallest / GRID_POINTS_PER_SELECTION)
        return _pld(self, max(step, scale / LARGEST_GRID))


def compose(events: Iterable[tuple[Event, int]]) -> PrivacyCurve:
    """Return the curve of events, each given with how often it happens.

    >>> one = compose([(Gaussian(noise_multiplier=5.0, sensitivity=1.0), 1)])
    >>> four = compose([(Gaussian(noise_multiplier=10.0, sensitivity=1.0), 4)])
    >>> one.epsilon(1e-5) == four.epsilon(1e-5)
    True
    """
    precision = 0.0
    selections: dict[float, int] = {}
    for event, count in events:
        match event:
            case Gaussian():
                precision += count / event.noise_multiplier / event.noise_multiplier
            case Selection():
                if count:
                    selections[event.epsilon] = selections.get(event.epsilon, 0) + count
            case _:
                raise UnsupportedEvent(f"no certified engine bounds {event!r}")
    return PrivacyCurve(math.sqrt(precision), tuple(sorted(selections.items())))


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Return the delta of one Gaussian mechanism (Balle & Wang 2018, Thm 8), rounded up.

    With scaled tails, so that nothing cancels where both of the theorem's terms are small.

    >>> round(gaussian_delta(mu=1.0, epsilon=1.0), 6)
    0.126937
    """
    if mu == 0:
        return 0.0
    near, far = epsilon / mu - mu / 2, epsilon / mu + mu / 2
    density = math.exp(-near * near / 2) / 2
    if density == 0:  # below the smallest number there is
        return 0.0 if near > 0 else 1.0
    loss = float(erfcx(far / math.sqrt(2)))
    if near <= 0:
        return min(1.0, float(ndtr(-near)) - density * loss + ROUNDING * (1 + far))
    gain = float(erfcx(near / math.sqrt(2)))
    return density * (1 + ROUNDING * (1 + near * far)) * (gain - loss + ROUNDING * gain)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the smallest epsilon of one Gaussian mechanism at ``delta``, rounded up."""
    from scipy import optimize

    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    high = zcdp_epsilon(mu**2 / 2, delta)
    root = float(
        optimize.brentq(lambda e: gaussian_delta(mu, e) - delta, 0.0, high, xtol=1e-14, rtol=1e-14)
    )
    step = 1e-14
    while gaussian_delta(mu, root) > delta:
        root, step = math.nextafter(root * (1 + step), math.inf), 2 * step
    return root


def zcdp_delta(rho: float, epsilon: float) -> float:
    """Return the optimal delta at which ``rho``-zCDP implies (epsilon, delta)-DP.

    Canonne, Kamath & Steinke 2020, Prop. 12 (arXiv:2004.00010v5): the minimum over orders
    ``alpha`` > 1. Any order gives an upper bound, so the search need not be exact.
    """

    from scipy import optimize

    def log_delta(log_excess: float) -> float:
        excess = math.exp(log_excess)  # alpha - 1
        alpha = 1 + excess
        return excess * (alpha * rho - epsilon) - math.log(alpha) + excess * math.log1p(-1 / alpha)

    found = optimize.minimize_scalar(log_delta, bounds=(-15.0, 15.0), method="bounded")
    return min(1.0, math.exp(min(float(found.fun), 0.0)))


def zcdp_epsilon(rho: float, delta: float) -> float:
    """Return the epsilon at which ``rho``-zCDP implies (epsilon, delta)-DP, rounded up."""
    if zcdp_delta(rho, 0.0) <= delta:
        return 0.0
    high = rho + 2 * math.sqrt(rho * math.log(1 / delta))  # Bun & Steinke 2016, Prop. 1.3
    low = 0.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if zcdp_delta(rho, middle) > delta else (low, middle)
    return high


def selection_delta(range_: float, epsilon: Floats) -> Floats:
    """Return the privacy curve of one selection whose loss has range ``range_``.

    The supremum over the worst-case pairs of a bounded-range mechanism, whose two losses are t
    and t - range_: attained at t = (epsilon + range_) / 2 (Dong, Durfee & Rogers 2020). At
    negative epsilon by symmetry of the two directions.
    """
    size = np.minimum(np.abs(epsilon), range_)
    positive = np.expm1((size - range_) / 2) ** 2 / -math.expm1(-range_)
    gain = np.exp(np.minimum(epsilon, 0.0))
    return np.where(epsilon >= 0, positive, 1 - gain + gain * positive)


@lru_cache(maxsize=32)
def _pld(curve: PrivacyCurve, step: float) -> PrivacyLossDistribution:
    """Compose the curve's parts on a grid of ``step``, rounded to the pessimistic side.

    Counts are expanded here and the relation is always add-or-remove with the noise given per
    sensitivity, since dp-accounting 0.6 drops the count of one kind of event and reads
    replacement in two ways.
    """
    from dp_accounting.pld import privacy_loss_distribution as losses

    parts = [_selection_pld(e, step).self_compose(count) for e, count in curve.selections]
    if curve.mu:
        parts.append(
            losses.from_gaussian_mechanism(
                1 / curve.mu, value_discretization_interval=step, use_connect_dots=True
            )
        )
    total = parts[0]
    for part in parts[1:]:
        total = total.compose(part)
    return total


def _selection_pld(range_: float, step: float) -> PrivacyLossDistribution:
    from dp_accounting.pld import pld_pmf
    from dp_accounting.pld import privacy_loss_distribution as losses

    last = math.ceil(range_ / step)
    grid = np.arange(-last, last + 1)
    pmf = pld_pmf.create_pmf_pessimistic_connect_dots(
        step, grid, selection_delta(range_, np.asarray(grid * step, dtype=float))
    )
    return losses.PrivacyLossDistribution(pmf)
