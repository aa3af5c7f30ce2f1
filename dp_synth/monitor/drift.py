"""Drift of a column or pair between two tables: a test, and an interval for its size.

Let p and q be the distributions of two populations over K cells, each sampled by n records, and
``TV = max_S |p(S) - q(S)|`` their total variation. Of both samples noisy counts are known. With
``D`` the difference of the two vectors of shares, and ``e = D - (p - q)`` its error, which is a sum
of many small parts and so taken as normal, with ``c = 1/n + 1/n'`` and ``v`` the variances of noise
in parts of the records:

- for a fixed set S of cells ``|D(S)| - z s(S)`` is a lower bound on TV, where
  ``s(S)^2 = c P(S) (1 - P(S)) + sum_S v``;
- so is ``|D|_1 / 2 - m - z t / 2`` with ``t^2 = c + sum v``. The L1 norm of e is a function of
  standard normals that moves by no more than t (for signs s, ``Var(s e) <= c + sum v``, as
  ``s_k^2 = 1``), and exceeds its median by z t with no more than the chance of a normal
  (Borell 1975; Tsirelson, Ibragimov & Sudakov 1976). Its median is below its mean (Kwapien 1994),
  which is ``2 m = sum sqrt(2 / pi) s_k``;
- ``|D|_1 / 2 + z t / 2`` is an upper bound: with s the signs of p - q,
  ``|D|_1 >= s D = 2 TV + s e``.

Lower bounds are for every cell, every run of ordered cells from the first on, and the whole, with
Bonferroni's share of a chance each: the largest of them is above 0 only where there is drift, but
for that chance. That counts of few records are skewed is added as a quantile's first correction
(Cornish & Fisher 1938): ``(z^2 - 1) / 6`` records at most. Where one unit holds up to m records,
these may be alike, and sampling has up to m times its variance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from dp_synth.monitor.reference import Total
from dp_synth.types import Flags, Floats

FEWEST = 100.0  # records of a table, fewer of which tell nothing
CLEAR = 10.0  # standard deviations by which their number must stand out from its noise


@dataclass(frozen=True, eq=False)
class Counts:
    """Noisy counts of one table over cells, variances of the noise, and its number of records.

    ``alike`` is how many records may be copies of one another: those of a unit. ``sampled`` is
    False of counts that are no sample: they have no error but noise. ``widened`` is by how much
    the variance of sampling is larger than a sample's: that of counts which were split.
    """

    values: Floats
    variances: Floats
    total: Total
    alike: int = 1
    sampled: bool = True
    widened: float = 1.0

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


def drift_interval(then: Counts, now: Counts, ordered: int, chance: float) -> Interval:
    """Return the total variation between the populations of two tables, over their cells.

    ``ordered`` cells, from the first on, are in a meaningful order. Each end is wrong with no
    more than ``chance``.
    """
    if not (then.tells and now.tells):
        return UNKNOWN
    differences, rate = now.shares - then.shares, then.rate + now.rate
    noise = then.noise + now.noise
    pooled = _pooled(then, now)
    scales = np.hypot(then.of_total, now.of_total)
    sets = list(_sets(len(pooled), ordered))
    z = float(-ndtri(chance / (2 * (len(sets) + 1))))
    skewed = (z**2 - 1) / 6 * rate
    lows = [0.0]
    for one in sets:
        share = min(max(float(pooled[one].sum()), 0.0), 1.0)
        error = rate * share * (1 - share) + float(noise[one].sum()) + (share * scales) ** 2
        lows.append(abs(float(differences[one].sum())) - z * math.sqrt(error) - skewed)
    whole = float(np.abs(differences).sum())
    each = np.sqrt(rate * pooled * (1 - pooled) + noise + (pooled * scales) ** 2)
    middle = math.sqrt(2 / math.pi) * float(each.sum())
    reach = math.sqrt(rate + (math.sqrt(float(noise.sum())) + scales) ** 2)
    lows.append((whole - middle - z * reach) / 2)
    low = min(max(lows), 1.0)
    high = min((whole - float(ndtri(chance)) * reach) / 2, 1.0)
    return Interval(min(max((whole - middle) / 2, low), high), low, high)


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
