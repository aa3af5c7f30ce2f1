"""Drift of a column or pair between two tables: a test, and an interval for its size.

Let p and q be the distributions of two populations over K cells, each sampled by n records, and
``TV = max_S |p(S) - q(S)|`` their total variation. Of both samples noisy counts are known. With
``D`` the difference of the two vectors of shares, and ``e = D - (p - q)`` its error, which is a sum
of many small parts and so taken as normal, with ``c = 1/n + 1/n'`` and ``v`` the variances of noise
in parts of the records:

- for a fixed set S of cells ``|D(S)| - z s(S)`` is a lower bound on TV. Shares are balanced for
  it: all cells together are all records, so that what they lack of 1 is noise, of which each cell
  has its part ``v / sum v``. With a the part of S, ``s(S)^2`` is ``c P(S) (1 - P(S))`` and
  ``(1 - a) sum_S v``, and what the number of records is off by adds ``(a - P(S))^2`` times its
  relative variance, as balanced noise is independent of the sum;
- so is ``|D|_1 / 2 - m - z t / 2`` with ``t^2 = c + sum v``. The L1 norm of e is a function of
  standard normals that moves by no more than t (for signs s, ``Var(s e) <= c + sum v``, as
  ``s_k^2 = 1``), and exceeds its median by z t with no more than the chance of a normal
  (Borell 1975; Tsirelson, Ibragimov & Sudakov 1976). Its median is below its mean (Kwapien 1994),
  which is ``2 m = sum sqrt(2 / pi) s_k``;
- ``|D|_1 / 2 + z t / 2`` is an upper bound: with s the signs of p - q,
  ``|D|_1 >= s D = 2 TV + s e``.

Lower bounds are for every cell, every run of ordered cells from the first on, and the whole, with
a share of the chance each: the largest of them is above 0 only where there is drift, but for that
chance. A quarter of it is shared evenly (Bonferroni); the rest, over the sets of all columns, such
that a drift which can just be seen is seen the most often (`_aimed`). That is settled by what has
chosen the cells, which tells nothing of the counts that are compared. That counts of few records
are skewed is added as a quantile's first correction (Cornish & Fisher 1938): ``(z^2 - 1) / 6``
records at most. Where one unit holds up to m records, these may be alike, and sampling has up to m
times its variance.

Laplace noise, of tables at delta 0, has longer tails: up to eleven times as many alarms as stated
were raised where it was taken as normal. Sums of it and of normal errors have the saddlepoint
approximation of Lugannani & Rice (1980), which is off by a few hundredths of a chance at most
(`MARGIN`), whatever the shares of the two. The bound of the whole is one of normal errors, and is
left out then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from dp_synth.monitor.reference import Total
from dp_synth.types import Flags, Floats

SEEN = 0.9  # of the drift at which the chance of an alarm is shared: the chance to see it
EVEN = 0.25  # of the chance of an alarm, shared evenly
FAR = 60.0  # errors, beyond which no chance is a number
MARGIN = 0.9  # of a chance: what the approximation of a tail may be off by, and more
FEWEST = 100.0  # records of a table, fewer of which tell nothing
CLEAR = 10.0  # standard deviations by which their number must stand out from its noise


@dataclass(frozen=True, eq=False)
class Counts:
    """Noisy counts of one table over cells, variances of the noise, and its number of records.

    ``alike`` is how many records may be copies of one another: those of a unit. ``sampled`` is
    False of counts that are no sample: they have no error but noise. ``widened`` is by how much
    the variance of sampling is larger than a sample's: that of counts which were split. Noise is
    ``laplace``'s, or else normal.
    """

    values: Floats
    variances: Floats
    total: Total
    alike: int = 1
    sampled: bool = True
    widened: float = 1.0
    laplace: bool = False

    @property
    def tells(self) -> bool:
        """Whether there are enough records, clearly so, for shares of them to be normal."""
        least = max(FEWEST * self.alike, CLEAR * self.total.stddev)
        return self.total.value >= least

    @property
    def rate(self) -> float:
        """The variance of a share of one half, times four."""
        return self.alike * self.widened / self.total.value if self.sampled else 0.0

    @property
    def shares(self) -> Floats:
        """The part of all records in each cell, flat."""
        return self.values.ravel() / self.total.value

    @property
    def noise(self) -> Floats:
        """The variances of the noise of each share."""
        return self.variances.ravel() / self.total.value**2

    @property
    def part_of_noise(self) -> Floats:
        """The part of each cell in the variance of the noise of all; 0 where there is none."""
        return self.noise / max(float(self.noise.sum()), 1e-300)

    @property
    def balanced(self) -> Floats:
        """The shares moved so that they sum up to 1, each by its part of the noise."""
        return self.shares + self.part_of_noise * (1 - float(self.shares.sum()))

    @property
    def of_total(self) -> float:
        """The relative standard deviation of the number of records."""
        return self.total.stddev / self.total.value


@dataclass(frozen=True)
class Interval:
    """A total variation, and the ends between which it lies; 0 and 1 where nothing is known."""

    value: float
    low: float
    high: float


UNKNOWN = Interval(0.0, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Counts of two tables over the same cells, of which an interval for their drift is asked.

    ``ordered`` cells, from the first on, are in a meaningful order. ``likely`` are shares of the
    cells that are known beforehand, of the same shape as the counts: all alike if None.
    """

    then: Counts
    now: Counts
    ordered: int
    likely: Floats | None = None

    @property
    def tells(self) -> bool:
        """Whether both tables have enough records."""
        return self.then.tells and self.now.tells

    @cached_property
    def errors(self) -> _Errors:
        """The errors of the difference of shares."""
        return _Errors((self.then, self.now))

    @cached_property
    def sets(self) -> list[Flags]:
        """The sets of cells of which each has a lower bound."""
        return list(_sets(self.then.values.size, self.ordered))

    @property
    def variances(self) -> list[float]:
        """The variance of each set, as it is expected before any count is compared."""
        cells = self.then.values.size
        likely = np.full(cells, 1 / cells) if self.likely is None else self.likely.ravel()
        return [self.errors.variance(one, likely) for one in self.sets]

    def interval(self, chances: Floats, chance: float) -> Interval:
        """Return the interval of which the lower bounds have these chances, the whole the last.

        Of the upper end it is ``chance``.
        """
        differences, pooled = self.now.balanced - self.then.balanced, _pooled(self.then, self.now)
        lows = [0.0]
        *own, of_whole = chances.tolist()
        for one, wrong in zip(self.sets, own, strict=True):
            skewed = (float(ndtri(wrong)) ** 2 - 1) / 6 * self.errors.rate
            found = abs(float(differences[one].sum()))
            lows.append(found - self.errors.reach(one, pooled, wrong) - skewed)
        whole = float(np.abs(self.now.shares - self.then.shares).sum())
        middle = math.sqrt(2 / math.pi) * float(np.sqrt(self.errors.each(pooled)).sum())
        if not self.errors.has_laplace:
            lows.append((whole - middle - self.errors.reach_of_whole(of_whole)) / 2)
        low = min(max(lows), 1.0)
        high = min((whole + self.errors.reach_of_whole(chance)) / 2, 1.0)
        return Interval(min(max((whole - middle) / 2, low), high), low, high)


def drift_intervals(compared: Sequence[Comparison], chance: float) -> list[Interval]:
    """Return the total variation between the populations of two tables, of each comparison.

    All lower ends hold but for ``chance``, and so do all upper ends.
    """
    known = [one for one in compared if one.tells]
    shared = shared_chance([one.variances for one in known], chance * len(known) / len(compared))
    each = chance / len(compared)
    found = iter([one.interval(own, each) for one, own in zip(known, shared, strict=True)])
    return [next(found) if one.tells else UNKNOWN for one in compared]


def drift_interval(
    then: Counts, now: Counts, ordered: int, chance: float, likely: Floats | None = None
) -> Interval:
    """Return the interval of one comparison, each end of which is wrong with ``chance`` at most."""
    return drift_intervals([Comparison(then, now, ordered, likely)], chance)[0]


@dataclass(frozen=True, eq=False)
class _Errors:
    """The errors of a difference of shares: of sampling, of both kinds of noise, of the totals."""

    tables: tuple[Counts, Counts]

    @property
    def rate(self) -> float:
        """The variance, by sampling, of the share of one half, times four."""
        return sum(one.rate for one in self.tables)

    @property
    def has_laplace(self) -> bool:
        """Whether any noise is Laplace's."""
        return any(one.laplace and one.noise.any() for one in self.tables)

    def each(self, shares: Floats) -> Floats:
        """Return the variance of each cell as it was measured, of which these are the shares."""
        noise = sum(one.noise + (shares * one.of_total) ** 2 for one in self.tables)
        return np.asarray(self.rate * shares * (1 - shares) + noise)

    def of_set(self, cells: Flags, shares: Floats) -> tuple[float, Floats]:
        """Return the variances of a set of cells, of which these are the shares.

        Of its normal error, and of each number with Laplace noise in it. Shares are balanced.
        """
        share = min(max(float(shares[cells].sum()), 0.0), 1.0)
        normal, laplace = self.rate * share * (1 - share), [np.zeros(0)]
        for one in self.tables:
            part = float(one.part_of_noise[cells].sum())
            noise = np.where(cells, 1 - part, -part) ** 2 * one.noise
            normal += ((part - share) * one.of_total) ** 2
            if one.laplace:
                laplace.append(noise)
            else:
                normal += float(noise.sum())
        return normal, np.concatenate(laplace)

    def variance(self, cells: Flags, shares: Floats) -> float:
        """Return the variance of a set of cells, of which these are the shares."""
        normal, laplace = self.of_set(cells, shares)
        return normal + float(laplace.sum())

    def reach(self, cells: Flags, shares: Floats, chance: float) -> float:
        """Return what a set of cells exceeds by its error with no more than a chance."""
        return quantile(*self.of_set(cells, shares), chance)

    def reach_of_whole(self, chance: float) -> float:
        """Return the same of all cells as measured, each with any sign."""
        laplace = np.concatenate([np.zeros(0), *(t.noise for t in self.tables if t.laplace)])
        normal = sum(float(one.noise.sum()) for one in self.tables if not one.laplace)
        scales = math.hypot(*(one.of_total for one in self.tables))
        totals = scales * (2 * math.sqrt(normal + float(laplace.sum())) + scales)
        return quantile(self.rate + normal + totals, laplace, chance)


def shared_chance(variances: Sequence[Sequence[float]], chance: float) -> list[Floats]:
    """Return the chance of each set of cells of each comparison, and of the whole, on one side.

    ``variances`` are those of the sets. A part of the chance, `EVEN`, is shared evenly among
    comparisons, and within; the rest by `_aimed`. Twice all shares are ``chance``.

    >>> [[round(one, 5) for one in own.tolist()] for own in shared_chance([[1.0, 9.0]], 0.01)]
    [[0.00042, 0.00416, 0.00042]]
    """
    if not variances:
        return []
    even, aimed = EVEN * chance / 2 / len(variances), (1 - EVEN) * chance / 2
    deviations = np.sqrt(np.maximum(np.concatenate(variances), 1e-300))
    ends = np.cumsum([len(one) for one in variances])[:-1]
    return [
        np.append(own, 0.0) + even / (len(own) + 1)
        for own in np.split(_aimed(deviations / deviations.max(), aimed), ends)
    ]


def _aimed(deviations: Floats, chance: float) -> Floats:
    """Return shares of a chance by which sets of these errors see a drift the most often.

    Of a drift that is e errors of a set the quantile is e / 2 + c / e, by which the mean chance to
    see it is highest (Roeder & Wasserman 2009, sect. 3).
    """
    size = _just_seen(deviations, chance) / deviations
    most = float(size.max())

    def beyond(c: float) -> float:
        return float(ndtr(-size / 2 - c / size).sum()) - chance

    shares = ndtr(-size / 2 - brentq(beyond, -(most**2), FAR * most, rtol=1e-9) / size)
    return np.asarray(shares * (chance / max(float(shares.sum()), chance)))


def _just_seen(deviations: Floats, chance: float) -> float:
    """Return the drift that a set of the middle error shows with a chance of `SEEN`, if evenly.

    At smaller ones no set shows anything, whatever its share, and at larger ones each does.
    """
    needed = float(ndtri(SEEN) - ndtri(chance / len(deviations)))
    return needed * float(np.median(deviations))


def quantile(normal: float, laplace: Floats, chance: float) -> float:
    """Return what a sum of errors exceeds with a chance: one of them normal, others Laplace's.

    All are centred, and given by their variances. A chance of one half or less.

    >>> round(quantile(1.0, np.zeros(0), 0.025), 3)
    1.96
    >>> exact = -np.log(2 * 0.001)  # of one of scale 1
    >>> bool(exact <= quantile(0.0, np.array([2.0]), 0.001) <= 1.05 * exact)
    True
    """
    scales = np.sqrt(laplace[laplace > 0] / 2)
    if not len(scales):
        return -float(ndtri(chance)) * math.sqrt(normal)
    wanted, last = math.log(MARGIN * chance), (1 - 1e-9) / float(scales.max())

    def beyond(tilt: float) -> float:
        return math.log(max(_tail(normal, scales, tilt), 1e-300)) - wanted

    tilt = brentq(beyond, 0.0, last, rtol=1e-5)
    return _tilted(normal, scales, float(tilt))[1]


def _tail(normal: float, scales: Floats, tilt: float) -> float:
    """Return the chance beyond the mean of the tilted sum (Lugannani & Rice 1980, eq. 10)."""
    cumulant, mean, variance = _tilted(normal, scales, tilt)
    root, wald = math.sqrt(max(2 * (tilt * mean - cumulant), 0.0)), tilt * math.sqrt(variance)
    if root < 1e-3:  # both roots are the same there
        return 0.5
    density = math.exp(-(root**2) / 2) / math.sqrt(2 * math.pi)
    return float(ndtr(-root)) + density * (1 / wald - 1 / root)


def _tilted(normal: float, scales: Floats, tilt: float) -> tuple[float, float, float]:
    """Return the logarithm of E exp(tilt e), and its first two derivatives."""
    squares = scales**2
    left = 1 - squares * tilt**2
    cumulant = normal * tilt**2 / 2 - float(np.log(left).sum())
    mean = normal * tilt + float((2 * squares * tilt / left).sum())
    variance = normal + float((2 * squares * (2 - left) / left**2).sum())
    return cumulant, mean, variance


def _pooled(then: Counts, now: Counts) -> Floats:
    """Return the shares of both tables together, as if they came from one population."""
    if not then.sampled:
        return np.clip(then.shares, 0.0, 1.0)
    weight = now.rate / (then.rate + now.rate)  # of the table that is the other's better
    return np.clip(weight * then.shares + (1 - weight) * now.shares, 0.0, 1.0)


def _sets(cells: int, ordered: int) -> Iterator[Flags]:
    """Yield sets of cells: each by itself, and the first so many of those in order.

    Of two cells one stands for both; a set and all others differ alike.
    """
    places = np.arange(cells)
    for place in range(1 if cells == 2 else cells):
        yield places == place
    for last in range(2, min(ordered + 1, cells - 1)):
        yield places < last
