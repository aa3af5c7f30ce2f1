"""Attacks by guesses: what each is called, and its excess risk over records never fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log, sqrt
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dp_synth.metrics.estimate import NORMAL_QUANTILE, Estimate, share
from dp_synth.schema import Schema

Made = TypeVar("Made", bound=Callable[..., object])

LARGEST_LOG_RATIO = 30.0  # beyond a ratio of 1e13 an end of an interval is taken as infinite


@dataclass(frozen=True)
class ExcessRisk:
    """How often an attack is right on fitted records, on fresh ones, and without the table.

    ``risk`` is (attack - control) / (1 - control): the part of what the fresh records leave to
    be gained. It is at most 1, 0 where fitted records fare like fresh ones, and below 0 where
    they fare better. ``baseline`` is the success of a guess that ignores the synthetic table.
    """

    attack: Estimate
    control: Estimate
    baseline: float
    risk: Estimate

    @classmethod
    def of(cls, attacked: ArrayLike, controls: ArrayLike, baseline: float) -> ExcessRisk:
        """Return the risk from the successes (true or false) on fitted and on fresh records.

        >>> print(ExcessRisk.of([True] * 90 + [False] * 10, [True, False] * 50, 0.5).risk)
        0.8000 [0.6381, 0.8926]
        """
        wins, trials = _count(attacked)
        control_wins, control_trials = _count(controls)
        return cls(
            share(wins, trials),
            share(control_wins, control_trials),
            baseline,
            excess(wins, trials, control_wins, control_trials),
        )


def cites(*keys: str, name: str | None = None) -> Callable[[Made], Made]:
    """Return a decorator that notes whom to cite for a function, which may go by another name.

    ``keys`` are those of references.bib, or whole BibTeX entries.
    """

    def noted(made: Made) -> Made:
        vars(made).update({"cites": keys} | ({} if name is None else {"name": name}))
        return made

    return noted


@dataclass(frozen=True, eq=False)
class AttackedTables:
    """What guesses are about: fitted and fresh records, and the synthetic table, of one schema."""

    members: pd.DataFrame
    controls: pd.DataFrame
    synthetic: pd.DataFrame
    schema: Schema
    seed: int = 0


@dataclass(frozen=True)
class Guess:
    """An attack by guesses: how it is run, and what figures, tables and reports say of it.

    ``run`` gives None where the tables are not of its kind. ``did`` is the beginning of a
    sentence about a {who} record, and ``fresh`` what stands for that of a fresh one after it.
    """

    name: str
    figure_label: str
    question: str
    did: str
    run: Callable[[AttackedTables], ExcessRisk | None]
    sees: str = "the synthetic table"
    fresh: str = "a fresh one"
    cites: tuple[str, ...] = ()  # keys of references.bib, or whole BibTeX entries


def excess(wins: int, trials: int, control_wins: int, control_trials: int) -> Estimate:
    """Return (attack - control) / (1 - control) with its 95 % score interval.

    It equals 1 - (1 - attack) / (1 - control), one less a ratio of two failure rates; so its
    interval is the score interval of a ratio of binomial shares (Koopman 1984; Miettinen &
    Nurminen 1985, without their factor N / (N - 1)), which holds near 0 and 1 where propagated
    errors do not. It treats trials as independent: for records given one synthetic table they
    are, nearly. Where neither group fails there is nothing to gain: 0, and no lower end.
    """
    if not trials or not control_trials:
        return Estimate(0.0, -inf, 1.0)
    misses, control_misses = trials - wins, control_trials - control_wins
    if not control_misses:
        value = 0.0 if not misses else -inf
    else:
        value = 1 - (misses / trials) / (control_misses / control_trials)
    low, high = _ratio_interval(misses, trials, control_misses, control_trials)
    return Estimate(value, min(1 - high, value), max(1 - low, value))


def _count(successes: ArrayLike) -> tuple[int, int]:
    flags = np.asarray(successes, dtype=bool)
    return int(flags.sum()), flags.size


def _ratio_interval(x: int, n: int, y: int, m: int) -> tuple[float, float]:
    """Return the ends of the score interval of (x / n) / (y / m)."""

    def beyond(log_ratio: float) -> float:
        return _score(x, n, y, m, ratio=float(np.exp(log_ratio)))

    middle = log(max(x, 0.5) / n * m / max(y, 0.5))
    low = 0.0 if not x else _root(beyond, middle, -LARGEST_LOG_RATIO, NORMAL_QUANTILE)
    high = inf if not y else _root(beyond, middle, LARGEST_LOG_RATIO, -NORMAL_QUANTILE)
    return low, high


def _root(beyond: Callable[[float], float], near: float, far: float, level: float) -> float:
    from scipy.optimize import brentq

    # The score falls as the ratio rises; at ``far`` it is beyond any level.
    if (beyond(near) - level) * (beyond(far) - level) > 0:
        near = -far
    return float(np.exp(brentq(lambda value: beyond(value) - level, near, far)))


def _score(x: int, n: int, y: int, m: int, *, ratio: float) -> float:
    """Return how many standard errors x / n lies above ``ratio`` times y / m.

    The error is at the likeliest rates among those of that ratio (Miettinen & Nurminen 1985).
    """
    a = (n + m) * ratio
    b = n * ratio + x + m + y * ratio
    rate = (b - sqrt(max(b * b - 4 * a * (x + y), 0.0))) / (2 * a)
    first = min(ratio * rate, 1.0)
    variance = first * (1 - first) / n + ratio**2 * rate * (1 - rate) / m
    difference = x / n - ratio * y / m
    # Without spread any difference decides; an infinite score would stop the search for a root.
    return difference / sqrt(max(variance, np.finfo(np.float64).tiny))
