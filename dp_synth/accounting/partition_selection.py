"""Partition selection: which values of a table reach a threshold, and all released beside them.

A record holds one value, so that its absence changes one count by one. Given the noise on all
other counts, what is released tells one bit of that value's: whether its count plus Gaussian noise
reaches some threshold. With ``s`` the inverse standard deviation, the bit has chances Phi(t) and
Phi(t + s) for some real t, or 0 and at most delta where the value is new. If D is a valid
privacy curve of everything else, then the largest over all such pairs (q, p) of

    p D(epsilon - log(p / q)) + (1 - p) D(epsilon - log((1 - p) / (1 - q)))

is one of everything, as in `selection_block`: the supremum is taken at every epsilon. A new value
and one that others hold are alternatives here, so that the worst table pays for one of them, where
a ``ThresholdedGaussian`` pays for both and for counts that nobody sees. `docs/accounting.md` has
the proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy.special import log_ndtr, ndtr

from dp_synth.accounting.events import PartitionSelection
from dp_synth.types import Floats

Curve = Callable[[Floats], Floats]  # delta at each epsilon >= 0

MOST_SHIFT = 8.0  # of a count, in standard deviations: with less noise all counts may be seen
MOST_BITS = 24  # more columns are taken as if their counts were seen
REACH = 11.5  # standard deviations, beyond which a bit is as good as certain
FINE, FAR = 4.0, 0.1  # standard deviations up to which thresholds lie close, and the spacing beyond
CLOSE = 0.02  # the spacing of thresholds; it costs about half as much of a loss
POINTS = 400  # of the curve of everything else
BELOW, ABOVE = 14.0, 8.0  # shifts to both sides of the epsilons of interest that it is known in
ROUGH = 2.0**-46  # relative, of a logarithm of a chance
ROUNDING = 1e-12  # relative, of a delta
STEEPEST = 1e-3  # fall of a curve from one point to the next


class PartitionCurve:
    """The privacy curve of partition selections and everything else, between two epsilons.

    ``rest`` is the curve of everything else, valid in both directions of adjacency; it is asked
    at points about ``low`` to ``high``, and known in between by chords in exp(epsilon), since
    privacy curves are convex there.
    """

    def __init__(
        self,
        selected: Sequence[tuple[PartitionSelection, int]],
        rest: Curve,
        low: float,
        high: float,
    ) -> None:
        bits = [event for event, count in selected for _ in range(count)]
        widest = max(1 / event.noise_multiplier for event in bits)
        first = max(0.0, low - BELOW * widest)
        self._points = np.linspace(first, high + ABOVE * widest, POINTS)
        self._before = _tame(np.minimum(rest(self._points), 1.0))
        self._last = _pairs(bits[-1])
        for event in bits[:-1]:
            self._before = _tame(self._one(_pairs(event), self._points))

    def deltas(self, epsilons: Floats) -> Floats:
        """Return upper bounds on delta at each of the ``epsilons`` >= 0, shape (epsilons,)."""
        return self._one(self._last, epsilons)

    def _one(self, pairs: tuple[Floats, Floats, Floats], epsilons: Floats) -> Floats:
        """Return the curve with one bit more, the worst of its pairs at every epsilon."""
        ups, downs, chances = (each[:, None] for each in pairs)
        found = chances * self._at(epsilons - ups) + (1 - chances) * self._at(epsilons - downs)
        return np.asarray(np.minimum(found.max(axis=0) * (1 + ROUNDING), 1.0))

    def _at(self, epsilons: Floats) -> Floats:
        """Return the curve of what comes before at any epsilons, at negative ones by symmetry."""
        size = np.minimum(np.abs(epsilons), self._points[-1])
        known = np.interp(np.exp(size), np.exp(self._points), self._before)
        positive = np.where(size < self._points[0], 1.0, known)
        gain = np.exp(np.minimum(epsilons, 0.0))
        return np.asarray(np.where(epsilons >= 0, positive, 1 - gain + gain * positive))


def _tame(deltas: Floats) -> Floats:
    """Return deltas that nowhere fall so steeply that rounding would count on a chord."""
    found = deltas.tolist()
    for place in range(1, len(found)):
        found[place] = max(found[place], STEEPEST * found[place - 1])
    return np.array(found)


@lru_cache(maxsize=64)
def _pairs(event: PartitionSelection) -> tuple[Floats, Floats, Floats]:
    """Return pairs that dominate all of a bit's: its two losses, and the chance of the first.

    Both losses fall as t rises. A pair of two outcomes dominates all pairs whose losses lie within
    its own, hence one with the first loss at the lower end of an interval of t and the second at
    its upper end dominates all pairs within. Last come a new value on the one side, whose bit has
    an infinite loss, and on the other; they dominate all pairs beyond ``REACH`` as well.
    """
    shift, new = 1 / event.noise_multiplier, max(event.delta, float(ndtr(-REACH)))
    inner = np.linspace(-FINE - shift, FINE, math.ceil((2 * FINE + shift) / CLOSE))
    outer = np.linspace(FINE, REACH, math.ceil((REACH - FINE) / FAR))[1:]
    t = np.concatenate([-outer[::-1] - shift, inner, outer])
    up = _log_ratio(t + shift, t)[:-1]
    down = -_log_ratio(-t, -t - shift)[1:]
    gain, loss = np.expm1(up), np.expm1(down)
    chance = np.exp(up) * -loss / (gain - loss)
    certain = math.log1p(-new) * (1 + ROUGH)
    return (
        np.concatenate([up, [math.inf, -certain]]),
        np.concatenate([down, [certain, -math.inf]]),
        np.concatenate([chance, [new, 1.0]]),
    )


def _log_ratio(larger: Floats, smaller: Floats) -> Floats:
    """Return log(Phi(larger) / Phi(smaller)), rounded up."""
    logs = log_ndtr(larger), log_ndtr(smaller)
    return np.asarray(logs[0] - logs[1] + ROUGH * (np.abs(logs[0]) + np.abs(logs[1])))
