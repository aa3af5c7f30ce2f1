"""Lower bounds on what events cost: with the certified upper ones, an interval about the truth.

The events describe mechanisms, and the truth is the cost of the worst of them, against the worst
adversary. A lower bound shows one mechanism, and one adversary, whose cost is larger: of a
selection one of two outcomes is taken, of a vote an even split.

Sums of losses are bounded so: outcomes whose losses lie about one point of the lattice are merged,
which is post-processing. The merged loss is that point but for the square of the spacing: how far
it falls short at most is a shift, which all losses of an event are moved by. Chances are rounded
down, what lies outside a window is left out, and what a transform may have got wrong is taken off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting.budget import ROUNDING, gaussian_bounds, gaussian_epsilon
from dp_synth.accounting.contour_integrals import contours
from dp_synth.accounting.discretization import (
    LARGEST_LOSS,
    NODES,
    SLACK,
    UNIT,
    WEIGHTS,
    Dots,
)
from dp_synth.accounting.events import (
    Approximate,
    DiscreteGaussian,
    DiscreteLaplace,
    Event,
    Gaussian,
    Laplace,
    NoisyVote,
    NoOp,
    Pure,
    SampledGaussian,
    Selection,
    gaussian_precision,
)
from dp_synth.accounting.fft_composition import (
    OUTSIDE,
    SLACK_OF_SUMS,
    Level,
    LossSum,
    _Tilted,
    norm_of_shares,
    undone,
)
from dp_synth.accounting.pate import log_chances
from dp_synth.accounting.pld import (
    TAIL,
    between_ends,
    check_gaussian,
    discrete_gaussian_losses,
    discrete_laplace_losses,
    event_by_event,
    laplace_ends,
    laplace_pieces,
    response_losses,
)
from dp_synth.accounting.subsampled_gaussian import REACH, at_added, at_removed, pieces
from dp_synth.errors import UnsupportedEvent
from dp_synth.types import Floats

SHORT = 1 / 16  # of the spacing: a merged loss that falls further short counts one point lower
Sequence = tuple[tuple[Event, int], ...]
NEAR = np.geomspace(1e-15, 1e-3, 49)  # of an upper bound, by which a lower one falls short of it
SHARES = (0.5, 0.6, 0.65)  # of a selection's range, that an adversary may gain at every choice


@dataclass(frozen=True, eq=False)
class LowDots:
    """Lower bounds on the chances of losses: ``dots`` moved down by ``shift``."""

    dots: Dots
    shift: float


def merged(cells: NDArray[np.int64], p: Floats, q: Floats, infinite: float, step: float) -> LowDots:
    """Return the chances of outcomes by the lattice point that is nearest to their losses.

    ``p`` are lower bounds on chances where the record is there, ``q`` upper ones where it is not.
    """
    first = int(cells.min()) - 1
    size = int(cells.max()) - first + 1
    terms = float(np.bincount(cells - first, minlength=size).max() + 2)
    chances = np.bincount(cells - first, p, size) * (1 - UNIT * terms)
    others = np.bincount(cells - first, q, size) * (1 + UNIT * terms)
    used = np.flatnonzero((chances > 0) & (others > 0))
    places = (used + first) * step
    found = np.log(chances[used]) - np.log(others[used])
    short = places - found + SLACK * (2 + np.abs(places) + np.abs(np.log(chances[used])))
    far = short > SHORT * step
    shift = float(np.max(short[~far], initial=0.0))
    lower = used - np.where(far, np.ceil((short - shift) / step), 0).astype(np.int64)
    kept = np.where(lower < 0, 0.0, chances[used])
    total = np.asarray(np.bincount(np.maximum(lower, 0), kept, size), dtype=np.float64)
    return LowDots(Dots(step, first, total * (1 - 8 * UNIT), infinite), shift)


def of_density(
    points: Floats,
    halves: NDArray[np.int64],
    loss: Callable[[Floats], tuple[Floats, Floats]],
    step: float,
) -> LowDots:
    """Return the dots of an outcome with a density, from pieces that lie in half cells each."""
    half, middle = np.diff(points) / 2, (points[1:] + points[:-1]) / 2
    p, q = np.zeros(len(half)), np.zeros(len(half))
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        where = middle + node * half
        values, density = loss(where)
        mass = weight * half * density
        slack = SLACK * (2 + where * where + np.abs(values))
        p += mass * (1 - slack)
        q += mass * np.exp(-values) * (1 + slack)
    return merged((halves + 1) // 2, np.maximum(p, 0.0), q, 0.0, step)


def of_atoms(values: Floats, chances: Floats, infinite: float, step: float) -> LowDots:
    """Return the dots of finitely many losses of known chances."""
    p = chances * (1 - SLACK * (2 + np.abs(values)))
    q = chances * np.exp(-values) * (1 + SLACK * (2 + np.abs(values)))
    return merged(np.rint(values / step).astype(np.int64), p, q, infinite, step)


def low_dots(
    event: Event, step: float, share: float = 0.5
) -> tuple[list[tuple[LowDots, int]], ...]:
    """Return the lower dots of an event in each direction of adjacency, with how often.

    Of a selection those of two outcomes, of which one gains ``share`` of the range; of a vote
    one that is even at a half, and beyond it one whose winner is behind.
    """
    match event:
        case Gaussian() | SampledGaussian():
            return _gaussian(event, step)
        case Laplace():
            return (_laplace(event, step),)
        case DiscreteGaussian():
            return ([(_discrete_gaussian(event, step), 1)],)
        case DiscreteLaplace():
            return ([(of_atoms(*discrete_laplace_losses(event), 0.0, step), 1)],)
        case Pure():
            return ([(of_atoms(*response_losses(event.epsilon, 0.0), 0.0, step), 1)],)
        case Approximate():
            losses = response_losses(event.epsilon, event.delta)
            return ([(of_atoms(*losses, event.delta, step), 1)],)
        case Selection():
            return ([(_choice(event.epsilon, share, step), 1)],)
        case NoisyVote():
            return ([(_vote(event, share, step), 1)],)
    raise UnsupportedEvent(f"nothing bounds {event!r} from below")


def _choice(range_: float, share: float, step: float) -> LowDots:
    gain = share * range_
    high = math.expm1(range_ - gain) * math.exp(gain) / math.expm1(range_)
    values = np.array([gain, gain - range_])
    low = -math.expm1(-gain) / -math.expm1(-range_) * math.exp(gain - range_)
    return of_atoms(values, np.array([high, low]), 0.0, step)


def _vote(event: NoisyVote, share: float, step: float) -> LowDots:
    behind = min(round((share - 0.5) * 2 * event.scale), event.teachers // 2 - 1)
    lead = float(event.teachers % 2 - 2 * max(behind, 0))
    few, many = np.exp(log_chances(event, np.array([lead - 2.0, lead])))
    p, q = np.array([many, 1 - many]), np.array([few, 1 - few])
    rough = 2.0**-44 * np.array([1.0, 1.0])
    cells = np.rint(np.log(p / q) / step).astype(np.int64)
    return merged(cells, p - rough, q + rough, 0.0, step)


def _discrete_gaussian(event: DiscreteGaussian, step: float) -> LowDots:
    losses, weights = discrete_gaussian_losses(event)
    return of_atoms(losses, weights * ((1 - ROUNDING) / weights.sum() * (1 - TAIL)), 0.0, step)


def _gaussian(
    event: Gaussian | SampledGaussian, step: float
) -> tuple[list[tuple[LowDots, int]], ...]:
    rate, steps = (event.rate, event.steps) if isinstance(event, SampledGaussian) else (1.0, 1)
    if isinstance(event, SampledGaussian) and not event.is_simple:
        raise UnsupportedEvent("nothing bounds sums of several rows of a unit from below")
    mu = 1 / event.noise_multiplier
    check_gaussian(mu, rate, steps, step / 2)
    points, halves = pieces(mu, rate, step / 2, mu + REACH)
    first = [(of_density(points, halves, partial(at_removed, mu, rate), step), steps)]
    if rate == 1:
        return (first,)
    points, halves = pieces(mu, rate, step / 2, REACH)
    added = of_density(-points[::-1], -halves[::-1] - 1, partial(at_added, mu, rate), step)
    return first, [(added, steps)]


def _laplace(event: Laplace, step: float) -> list[tuple[LowDots, int]]:
    """One of three laws, told which: both ends, or between them."""
    points, halves = laplace_pieces(event, step / 2)
    most = float(points[-1])
    between = of_density(points, halves, partial(between_ends, most), step)
    atoms = of_atoms(*laplace_ends(most), 0.0, step)
    shift = max(between.shift, atoms.shift)
    total = atoms.dots.with_more(between.dots)
    lower = Dots(step, total.first, total.chances * (1 - 4 * SLACK), 0.0)
    return [(LowDots(lower, shift), 1)]


class LowSum(LossSum):
    """The sum of independent losses from below: lower bounds on delta at every epsilon."""

    def __init__(self, parts: list[tuple[LowDots, int]]) -> None:
        super().__init__([(low.dots, count) for low, count in parts])
        kept = math.fsum(count * math.log1p(-low.dots.infinite) for low, count in parts)
        self.infinite = (0.0 - math.expm1(kept)) * (1 - 1e-12)
        self.shift = math.fsum(count * low.shift for low, count in parts) * (1 + 8 * UNIT)

    def low_delta(self, epsilon: float) -> float:
        """Return a lower bound on delta at an epsilon >= 0."""
        moved = (epsilon + self.shift) * (1 + 8 * UNIT)
        found = 0.0
        for number in {self._level_at(moved), max(0, self._level_at(moved) - 1)}:
            level = self.level(number)
            if moved > level.step * level.first:
                found = max(found, float(level.delta(np.array([moved]))[0]))
        return max(0.0, (self.infinite + found) * (1 - 4 * UNIT))

    def low_epsilon(self, delta: float) -> float:
        """Return an epsilon, 0 or above, at which delta surely is larger; 0 where none is known."""
        if self.low_delta(0.0) <= delta:
            return 0.0
        if self.infinite > delta:
            return math.inf
        low, high = 0.0, max(self.step, 1e-300)
        while self.low_delta(high) > delta:
            low, high = high, 2 * high
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.low_delta(middle) > delta else (low, middle)
        return low

    def _untilted(self, tilted: _Tilted, transformed: tuple[Floats, float]) -> Level:
        """Undo the tilt: all that may be wrong, or come from outside the window, is taken off."""
        tilt, first, step = tilted.tilt, tilted.first, self.step
        chances, error = transformed
        away, exponent, slack = self._about_the_top(tilted, chances)
        error *= norm_of_shares(tilt, step, len(chances))
        error += 2 * math.exp(1 - OUTSIDE) / (1 + tilt)
        missing = (0.0, -math.inf)
        deltas = undone(np.maximum(chances, 0.0), away, tilt, step, missing, exponent - slack)
        lost = np.exp(np.minimum(exponent + slack + math.log(error) - tilt * away, 700.0))
        lost *= 1 + SLACK_OF_SUMS
        deltas = np.maximum(deltas - lost, 0.0)
        return Level(step, first, deltas, tilt, math.log(error) + tilted.log_scale)

    def _exact(self) -> Level:
        found = super()._exact()
        dots = self.parts[0][0]
        slack = 16 * UNIT * (len(dots.losses) + float(np.abs(dots.losses).max()))
        return Level(found.step, found.first, found.deltas * (1 - 2 * slack))


def from_below(
    sequence: tuple[tuple[Event, int], ...], step: float, share: float = 0.5
) -> list[LowSum]:
    """Return the sums of both directions on a lattice of this spacing.

    ``share`` as in ``low_dots``. UnsupportedEvent where nothing bounds an event from below.
    """
    directions: list[list[tuple[LowDots, int]]] = [[], []]
    for event, count in sequence:
        if not isinstance(event, Gaussian | NoOp):
            found = low_dots(event, step, share)
            for way, parts in zip(directions, (found[0], found[-1]), strict=True):
                way += [(dots, times * count) for dots, times in parts]
    if precision := gaussian_precision(sequence):
        shares = math.ceil(precision / LARGEST_LOSS)
        (parts,) = low_dots(Gaussian(math.sqrt(shares / precision) * (1 + 8 * UNIT), 1.0), step)
        directions = [[*way, (parts[0][0], shares)] for way in directions]
    return [LowSum(way) for way in directions if way]


def least_epsilon(sequence: Sequence, delta: float, upper: float) -> float:
    """Return a lower bound on epsilon at ``delta``, whose certified upper bound is ``upper``.

    UnsupportedEvent, in one line, where nothing bounds the events from below.
    """
    sequence = tuple((event.attained, count) for event, count in sequence)
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
    sequence = tuple((event.attained, count) for event, count in sequence)
    mu = _mu(sequence)
    if mu is not None:
        found = float(gaussian_bounds(mu, np.array([epsilon]))[0][0]) if mu else 0.0
        return min(max(found, 0.0), upper)
    try:
        return min(float(contours(sequence).intervals(np.array([epsilon]))[0][0]), upper)
    except UnsupportedEvent:
        return min(max(each.low_delta(epsilon) for each in _sums(sequence)), upper)


def _mu(sequence: Sequence) -> float | None:
    """Return what all events amount to as one Gaussian, rounded down; None if not all do."""
    if not all(isinstance(event, Gaussian | NoOp) for event, _ in sequence):
        return None
    return math.sqrt(gaussian_precision(sequence)) * (1 - 1e-15 * (2 + len(sequence)))


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
