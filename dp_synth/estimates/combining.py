"""Combined estimates: one interval from a statistic that was computed on several drawn tables.

`Release.sample_many` draws each of its m tables from a replica of the fit: records are drawn from
the released model M, answered with fresh noise, and the model is fitted anew (a parametric
bootstrap: Efron & Tibshirani 1993, sect. 6.5). With theta(M) the statistic in M and theta(M_i) that
in a replica, theta(M_i) lies about theta(M) as theta(M) lies about the population's theta(P): the
same noise, the same sampling of records. A table of rows adds the chance of its own rows: q_i lies
about theta(M_i) with variance u_i, the usual variance of the statistic on a table. So the variance
b of the q_i has the mean::

    b  =  noise + sampling + u,

and that of theta(M) about theta(P) is estimated by::

    T  =  b                     without u_i: too large by u, which is what a value from
                                one drawn table of as many rows has in addition,
    T  =  max(b - u, u)         with u_i: the mean u is also the least that sampling of as
                                many records has.

Student's t has m - 1 degrees of freedom; where u was taken off, ``(m - 1) (T / b)**2`` by
Satterthwaite 1946, and the interval is never wider than without.

The value that this is about is theta(M), the ``center``. Replicas are as biased about M as M is
about the population, as where noise or few cells draw everything to the middle: the mean of the
q_i has that bias twice, and b / m of variance in addition, which is added to T where it has to
serve.

With the mean for a center T is ``(1 + 1 / m) b - u``, as of Raghunathan, Reiter & Rubin 2003 for
synthetic populations. Their reason is another: their tables are drawn from the posterior given
the data, and so lie about a mean that is right, with its bias once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from dp_synth.errors import InputError
from dp_synth.estimates.estimate import LEVEL, check_level, shown
from dp_synth.types import Floats


@dataclass(frozen=True, repr=False)
class Combined:
    """A number with its interval, from several tables that were drawn of one release.

    ``between`` is the variance of the tables' values, ``within`` the mean of their own variances,
    0 where none were given. The interval covers noise and the sampling of the records; it knows
    nothing of what the model leaves out.
    """

    value: float
    low: float
    high: float
    stderr: float
    degrees: float
    between: float
    within: float
    tables: int
    level: float = LEVEL

    def __repr__(self) -> str:
        return f"<Combined: {self} at {100 * self.level:.6g} %, of {self.tables} tables>"

    def __str__(self) -> str:
        return shown(self.value, self.low, self.high)


def combine(
    values: Sequence[float] | ArrayLike,
    variances: Sequence[float] | ArrayLike | None = None,
    *,
    center: float | None = None,
    level: float = LEVEL,
) -> Combined:
    """Return one estimate from a statistic's values on the tables of `Release.sample_many`.

    ``variances`` are the usual ones of each value, as if its table had been observed: a squared
    standard error. They take the chance of drawn rows off, where ``values`` are of tables of about
    as many rows as there are records. ``center`` is the value of the release's own model, such as
    of `Release.estimate`, or of many rows of `Release.sample`; without one it is the mean, which
    has the bias of the model twice. The module's text has the rule and why it holds.

    The interval is right where the model has the statistic right in large tables: it covers noise
    and sampling, and not what the model leaves out. InputError for fewer than two tables, lists of
    different lengths, negative variances and what is no finite number.

    >>> combine([0.31, 0.35, 0.32, 0.36], center=0.33)
    <Combined: 0.330 [0.254, 0.406] at 95 %, of 4 tables>
    """
    level = check_level(level)
    found = _numbers("values", values)
    if (m := len(found)) < 2:
        raise InputError(f"two tables or more must be combined, got {m}")
    own = np.zeros(m) if variances is None else _numbers("variances", variances)
    if len(own) != m:
        raise InputError(f"each value has one variance, got {m} values and {len(own)} variances")
    if np.any(own < 0):
        raise InputError("a variance is 0 or more; give squared standard errors")
    between, within = float(found.var(ddof=1)), float(own.mean())
    value, whole = float(found.mean()), (1 + 1 / m) * between
    if center is not None:
        [value], whole = _numbers("the center", [center]).tolist(), between
    reach, stderr, degrees = _reach(whole, 0.0, m, level)
    if within:
        less = _reach(whole, within, m, level)
        reach, stderr, degrees = less if less[0] < reach else (reach, stderr, degrees)
    ends = value - reach, value + reach
    return Combined(value, *ends, stderr, degrees, between, within, m, level)


def _reach(whole: float, within: float, m: int, level: float) -> tuple[float, float, float]:
    """Return half of an interval's length, its standard error, and its degrees of freedom."""
    variance = max(whole - within, within)
    part = min(variance / whole, 1.0) if whole > 0 else 1.0
    degrees, stderr = (m - 1) * part**2, math.sqrt(variance)
    return float(stdtrit(degrees, (1 + level) / 2)) * stderr, stderr, degrees


def _numbers(what: str, given: Sequence[float] | ArrayLike) -> Floats:
    """Return finite numbers in one row; InputError for anything else."""
    try:
        numbers = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be numbers, one a table") from None
    if numbers.ndim != 1:
        raise InputError(f"{what} must be numbers, one a table, got {numbers.ndim} axes")
    if not np.isfinite(numbers).all():
        raise InputError(f"{what} must be finite numbers")
    return numbers
