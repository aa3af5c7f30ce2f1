"""Privacy profiles: certified upper bounds on what a fixed sequence of events costs.

Gaussians alone have the exact curve of one Gaussian mechanism. Anything else is composed as
privacy-loss distributions, rounded to the pessimistic side; runs of selections are taken as
blocks, together with what comes after them. Zero-concentrated DP and basic composition are
further certified engines. The least of the bounds is reported.

The parameters of the events must be fixed before the first of them is released, and they must
be released in the order given. What is chosen after seeing an output may not be composed so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TypeVar

import numpy as np
from scipy.special import ndtr

from dp_synth.accounting.budget import (
    bisect,
    gaussian_delta,
    gaussian_epsilon,
    zcdp_delta,
    zcdp_epsilon,
)
from dp_synth.accounting.contour_integrals import Contours, contours
from dp_synth.accounting.discretization import LARGEST_LOSS
from dp_synth.accounting.events import (
    Approximate,
    Event,
    Gaussian,
    LaplaceCounts,
    NoOp,
    PartitionSelection,
    Pure,
    SampledGaussian,
    gaussian_precision,
)
from dp_synth.accounting.fft_composition import LossDistribution
from dp_synth.accounting.partition_selection import MOST_BITS, MOST_SHIFT, PartitionCurve
from dp_synth.accounting.pld import ENGINES
from dp_synth.errors import UnsupportedEvent
from dp_synth.types import Floats

Sequence = tuple[tuple[Event, int], ...]
Losses = Contours | LossDistribution
Answer = TypeVar("Answer")

CONTOUR = "contour integrals"

ROUNDING = 1e-12  # relative, towards the pessimistic side
TAIL = 1e-12  # trade-off curves are followed to this delta
MOST_CORNERS = 1000  # of a curve's, at which its bound on attacks is exact
FAR = 1e-6  # relative, above what no epsilon removes, to which a curve is followed
CLOSE = 1e-12  # relative, to which an epsilon is bisected
MOST_WIDENED = 8  # times, of what partition selections may add to an epsilon


@dataclass(frozen=True)
class PrivacyCurve:
    """The privacy curve of events, each with how often it happens, in their order of release.

    ``beside`` is the chance that, whatever the events' losses are, all is told. It comes of
    thresholds, whose dominating pair is that of a Gaussian and, apart, that of a mechanism which
    is (0, delta)-DP: the curve is ``beside`` + (1 - ``beside``) times that of the events. It is
    1 where something among them has no guarantee. ``selected`` are partition selections, whose
    noise and thresholds are fixed in advance, so that they may be taken as the first of all.
    """

    events: Sequence
    beside: float = 0.0
    selected: tuple[tuple[PartitionSelection, int], ...] = ()

    @cached_property
    def told(self) -> float:
        """Chance that all is told, which no epsilon removes, rounded up."""
        if not self.selected or self.beside == 1:
            return self.beside
        kept = math.fsum(count * math.log1p(-event.delta) for event, count in self.selected)
        return -math.expm1(kept + math.log1p(-self.beside)) * (1 + ROUNDING)

    @cached_property
    def mu(self) -> float:
        """Distance of the means, in standard deviations, of the Gaussian that all of them are.

        All Gaussian events together amount to one (Dong, Roth & Su 2022, Cor. 3.3).
        """
        return math.sqrt(gaussian_precision(self.events))

    @cached_property
    def rho(self) -> float | None:
        """Total cost of the events in zero-concentrated DP; None when one has none."""
        if self.selected:
            return None
        costs = [self.mu**2 / 2]
        for event, count in self.events:
            if isinstance(event, (Gaussian, NoOp)):
                continue
            cost = event.rho_at_most
            if cost is None:
                return None
            costs.append(count * cost)
        return math.fsum(costs)

    def epsilon(self, delta: float) -> float:
        """Return an upper bound on the smallest epsilon at ``delta``; infinite when none is."""
        left = self._left(delta)
        return math.inf if left < 0 else min(bound for _, bound in self._epsilons(left))

    def engine(self, delta: float) -> str:
        """Return the name of the engine whose epsilon at ``delta`` is the least."""
        if self.beside == 1:
            return "no guarantee"
        left = max(0.0, self._left(delta))
        return min(self._epsilons(left), key=lambda found: found[1])[0]

    def delta(self, epsilon: float) -> float:
        """Return an upper bound on the smallest delta at ``epsilon`` >= 0."""
        return float(self.deltas(np.array([epsilon]))[0])

    def epsilon_bounds(self, delta: float) -> tuple[float, float]:
        """Return a lower and an upper bound on the smallest epsilon at ``delta``.

        The worst mechanism that the events describe has an epsilon between them. UnsupportedEvent
        where nothing bounds it from below.

        >>> low, high = compose([(SampledGaussian(4.5, 0.026, 1500), 1)]).epsilon_bounds(1e-12)
        >>> round(low, 8), round(high, 8), high - low < 1e-9
        (1.53568624, 1.53568624, True)
        """
        from dp_synth.accounting.lower_bounds import least_epsilon

        self._check_certifiable()
        upper = self.epsilon(delta)
        return (0.0 if self._is_free else least_epsilon(self.events, delta, upper)), upper

    def delta_bounds(self, epsilon: float) -> tuple[float, float]:
        """Return a lower and an upper bound on the smallest delta at ``epsilon`` >= 0.

        As ``epsilon_bounds``.
        """
        from dp_synth.accounting.lower_bounds import least_delta

        self._check_certifiable()
        upper = self.delta(epsilon)
        return (0.0 if self._is_free else least_delta(self.events, epsilon, upper)), upper

    def _check_certifiable(self) -> None:
        if self.beside == 1:
            raise UnsupportedEvent("cannot be certified from below: an event without a guarantee")

    def _left(self, delta: float) -> float:
        """Return what of ``delta`` the events may take, rounded down; negative when nothing."""
        if not self.beside:
            return delta
        if self.beside == 1:
            return -1.0
        return (delta - self.beside) / (1 - self.beside) * (1 - ROUNDING)

    def tpr(self, fpr: Floats) -> Floats:
        """Return the largest true-positive rate that any attack can have at each ``fpr``.

        The envelope of all certified (epsilon, delta) pairs, hence never too small
        (Kairouz, Oh & Viswanath 2015, Thm 2.1).
        """
        if self.beside == 1:
            return np.ones_like(fpr, dtype=float)
        if self._is_free:
            return np.asarray(fpr, dtype=float)
        epsilons, deltas = self._profile
        gain, kept = np.exp(epsilons)[:, None], ((1 - self.beside) * (1 - deltas))[:, None]
        fnr = np.maximum(kept - gain * fpr, (kept - fpr) / gain).max(axis=0)
        return np.asarray(1 - np.clip(fnr, 0, 1), dtype=float)

    def largest_auc(self) -> float:
        """Return an upper bound on the area under any membership attack's ROC curve.

        The bound on the true-positive rate is concave in the false-positive rate, so that the
        midpoint rule used here never falls below its integral. One Gaussian has the closed form
        Phi(mu / sqrt(2)).
        """
        if self.is_gaussian and not self.beside:
            return min(1.0, float(ndtr(self.mu / math.sqrt(2))) * (1 + ROUNDING))
        half = np.concatenate([[0.0], np.geomspace(1e-9, 0.5, 2000)])
        edges = np.concatenate([half, 1 - half[-2::-1]])
        middles = (edges[1:] + edges[:-1]) / 2
        return float(min(1.0, np.sum(np.diff(edges) * self.tpr(middles))))

    def _epsilons(self, delta: float) -> Iterator[tuple[str, float]]:
        """Yield each certified engine's name and its epsilon at ``delta``."""
        if self._is_free:
            yield "exact", 0.0
            return
        if self.selected:
            yield "partition selections, one after another", self._epsilon_selected(delta)
            return
        if self.is_gaussian:
            yield "gaussian", gaussian_epsilon(self.mu, delta) if delta else math.inf
            return
        yield "basic composition", self._epsilon_apart(delta)
        if not delta:
            return
        composed = list(self._by_losses(lambda losses: losses.epsilon(delta)))
        least = min((bound for _, bound in composed), default=math.inf)
        if self.rho is not None and (
            math.isinf(least) or zcdp_delta(self.rho, least) <= delta  # else it is larger
        ):
            yield "zcdp", zcdp_epsilon(self.rho, delta)
        yield from composed

    @cached_property
    def _profile(self) -> tuple[Floats, Floats]:
        """Points (epsilon, delta) of the curve from epsilon 0 to where delta is negligible."""
        tail = max(TAIL, self.told * (1 + FAR)) if self.selected else TAIL
        last = min(*(bound for _, bound in self._epsilons(tail)), LARGEST_LOSS)
        points = np.geomspace(last * 1e-4, last, 400) if last else np.empty(0)
        epsilons = np.unique(np.concatenate([[0.0], points, self._corners]))
        return epsilons, self._deltas(epsilons)

    def deltas(self, epsilons: Floats) -> Floats:
        """Return upper bounds on the smallest delta at each of the ``epsilons`` >= 0."""
        if self.beside == 1:
            return np.ones_like(epsilons)
        return np.asarray(self.beside + (1 - self.beside) * self._deltas(epsilons))

    def _deltas(self, epsilons: Floats) -> Floats:
        if self.selected:
            low, high = float(np.min(epsilons)), float(np.max(epsilons))
            return PartitionCurve(self.selected, self._rest._deltas, low, high).deltas(epsilons)
        if self.is_gaussian:
            return np.array([gaussian_delta(self.mu, e) for e in epsilons])
        bounds = [np.array([self._delta_apart(e) for e in epsilons])]
        if self.rho is not None:
            bounds.append(np.array([zcdp_delta(self.rho, e) for e in epsilons]))
        bounds += [deltas for _, deltas in self._by_losses(lambda losses: losses.deltas(epsilons))]
        return np.asarray(np.min(bounds, axis=0))

    @cached_property
    def _rest(self) -> PrivacyCurve:
        """The curve without partition selections and what is told beside."""
        return PrivacyCurve(self.events)

    def _epsilon_selected(self, delta: float) -> float:
        """Bisect between the epsilon of all else and one that is found to be enough."""
        low = self._rest.epsilon(delta)
        if not low < LARGEST_LOSS or PrivacyCurve((), 0.0, self.selected).told >= delta:
            return math.inf
        width = 2 * math.fsum(count / event.noise_multiplier for event, count in self.selected)
        for _ in range(MOST_WIDENED):
            high = low + width
            curve = PartitionCurve(self.selected, self._rest._deltas, low, high)
            if curve.deltas(np.array([high]))[0] <= delta:
                break
            width *= 4
        else:
            return math.inf
        return bisect(lambda e: bool(curve.deltas(np.array([e]))[0] <= delta), high, low, CLOSE)

    @property
    def _corners(self) -> Floats:
        """Epsilons at which the curve of one pure event, or several alike, has its corners."""
        if len(self.events) != 1 or self.selected:
            return np.empty(0)
        event, count = self.events[0]
        if not isinstance(event, (Pure, Approximate)):
            return np.empty(0)
        signs = np.arange(count, max(0, count - 2 * MOST_CORNERS) - 1, -2, dtype=np.float64)
        return np.asarray(event.epsilon * signs)

    @property
    def _is_free(self) -> bool:
        public = all(isinstance(event, NoOp) for event, _ in self.events)
        return not self.selected and (public or self.rho == 0)

    @cached_property
    def is_gaussian(self) -> bool:
        """Whether the closed form of one Gaussian mechanism holds."""
        gaussian = all(isinstance(event, (Gaussian, NoOp)) for event, _ in self.events)
        return gaussian and not self.selected

    def _by_losses(self, ask: Callable[[Losses], Answer]) -> Iterator[tuple[str, Answer]]:
        """Yield what each engine that composes losses answers; a contour's alone is the best."""
        try:
            yield CONTOUR, ask(contours(self.events))
            return
        except UnsupportedEvent:
            pass
        for name, engine in ENGINES.items():
            try:
                yield name, ask(engine(self.events))
            except UnsupportedEvent:
                continue  # the other engines bound it, or ``epsilon`` is infinite

    def _epsilon_apart(self, delta: float) -> float:
        """Gaussians at ``delta``, everything else at what it promises: basic composition."""
        left = delta
        if self._deltas_apart:
            left = (delta - self._deltas_apart) * (1 - ROUNDING)
        total = self._promises
        if left < 0 or total is None:
            return math.inf
        promised = float(total)
        if promised < total:
            promised = math.nextafter(promised, math.inf)
        if self.mu:
            beside = gaussian_epsilon(self.mu, left) if left else math.inf
            promised = math.nextafter(promised + beside, math.inf)
        return promised

    def _delta_apart(self, epsilon: float) -> float:
        total = self._promises
        if total is None or total > Fraction(epsilon):
            return 1.0
        left = math.nextafter(float(Fraction(epsilon) - total), -math.inf) if total else epsilon
        left = max(left, 0.0)
        return min(1.0, gaussian_delta(self.mu, left) + self._deltas_apart * (1 + ROUNDING))

    @cached_property
    def _promises(self) -> Fraction | None:
        """Sum of the epsilons that events but Gaussians keep; None where one keeps none."""
        total = Fraction(0)
        for event, count in self._others:
            if event.pure_epsilon is None:
                return None
            total += event.pure_epsilon * count
        return total

    @cached_property
    def _deltas_apart(self) -> float:
        """What events of a known delta add to it."""
        others = [(e, count) for e, count in self._others if isinstance(e, Approximate)]
        if len(others) == 1 and others[0][1] == 1:
            return others[0][0].delta
        return math.fsum(event.delta * count for event, count in others) * (1 + ROUNDING)

    @cached_property
    def _others(self) -> list[tuple[Event, int]]:
        return [
            (event, count)
            for event, count in self.events
            if not isinstance(event, (Gaussian, NoOp))
        ]


def compose(events: Iterable[tuple[Event, int]]) -> PrivacyCurve:
    """Return the curve of events, each given with how often it happens, in their order.

    >>> one = compose([(Gaussian(noise_multiplier=5.0, sensitivity=1.0), 1)])
    >>> four = compose([(Gaussian(noise_multiplier=10.0, sensitivity=1.0), 4)])
    >>> one.epsilon(1e-5) == four.epsilon(1e-5)
    True
    """
    sequence: list[tuple[Event, int]] = []
    selected: dict[PartitionSelection, int] = {}
    kept = 0.0  # logarithm of the chance that no threshold tells all
    for event, count in _apart(events):
        if not count:
            continue
        if event.told == 1:
            return PrivacyCurve((), 1.0)
        if isinstance(event, PartitionSelection):
            bits = sum(selected.values()) + count
            if bits <= MOST_BITS and MOST_SHIFT * event.noise_multiplier >= 1:
                selected[event] = selected.get(event, 0) + count
                continue
            event = event.thresholded
        kept += count * math.log1p(-event.told)
        event = event.untold
        if isinstance(event, LaplaceCounts):
            count, event = count * event.numbers, event.number
        if isinstance(event, SampledGaussian):  # grids are made for all steps at once
            event, count = replace(event, steps=event.steps * count), 1
        if sequence and sequence[-1][0] == event:
            sequence[-1] = (event, sequence[-1][1] + count)
        elif not isinstance(event, NoOp):  # it would only part a block in two
            sequence.append((event, count))
    beside = (0.0 - math.expm1(kept)) * (1 + ROUNDING)
    return PrivacyCurve(tuple(sequence), beside, tuple(selected.items()))


def _apart(events: Iterable[tuple[Event, int]]) -> Iterator[tuple[Event, int]]:
    """Yield the events with a round's choice and answer one after the other."""
    for event, count in events:
        if not isinstance(event, Event):
            raise UnsupportedEvent(f"no certified engine bounds {event!r}")
        if len(event.outputs) == 1:
            yield event, count
            continue
        for _ in range(count):
            yield from ((output, 1) for output in event.outputs)
