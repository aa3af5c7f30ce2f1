"""What an answer says between two tables: for auditors, who hold both. Private, never released.

Each comparison holds the answer about the table that was asked, ``here``, which later answers may
depend on, and fresh ones that the same mechanism gave after the same earlier answers, about the
other table, ``there``, too: nothing depends on these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class GaussianComparison:
    """Numbers with Gaussian noise of ``stddev``: exact ones of both tables, and noisy ones."""

    part: str
    why: str
    here: Floats
    there: Floats
    values: Floats
    values_there: Floats
    stddev: float

    @property
    def distance(self) -> float:
        """How far the tables are apart in this answer, in standard deviations of its noise."""
        return float(np.linalg.norm(self.here - self.there)) / self.stddev

    def log_ratio(self) -> float:
        """Return the log-likelihood of ``here``, less that of ``there``, given the answer."""
        return self._log_ratio(self.values)

    def fresh_log_ratio(self, *, there: bool) -> float:
        """Return the same, given a fresh answer: the noise of ``values_there`` on either table."""
        moved = 0.0 if there else self.here - self.there
        return self._log_ratio(self.values_there + moved)

    def _log_ratio(self, values: Floats) -> float:
        middle = (self.here + self.there) / 2
        return float(np.sum((self.here - self.there) * (values - middle))) / self.stddev**2


@dataclass(frozen=True, eq=False)
class ChoiceComparison:
    """A choice by an exponential mechanism: every candidate's log odds, and which was chosen.

    ``chosen_there`` and ``chosen_again``, about ``here``, are fresh choices.
    """

    part: str
    why: str
    here: Floats
    there: Floats
    chosen: int
    chosen_there: int
    chosen_again: int

    def log_ratio(self) -> float:
        """Return the log-likelihood of ``here``, less that of ``there``, given the choice."""
        return self._log_ratio(self.chosen)

    def fresh_log_ratio(self, *, there: bool) -> float:
        """Return the same, given a fresh choice about either table."""
        return self._log_ratio(self.chosen_there if there else self.chosen_again)

    def _log_ratio(self, chosen: int) -> float:
        return float(log_softmax(self.here)[chosen] - log_softmax(self.there)[chosen])


@dataclass(frozen=True, eq=False)
class VoteComparison:
    """Winners of noisy votes, and the log chance that the first class wins in either table.

    All of shape (votes,), in the order of the questions, of which both tables were asked the same.
    """

    part: str
    why: str
    here: Floats
    there: Floats
    won: Flags
    won_again: Flags
    won_there: Flags

    def log_ratio(self) -> float:
        """Return the log-likelihood of ``here``, less that of ``there``, given the winners."""
        return self._log_ratio(self.won)

    def fresh_log_ratio(self, *, there: bool) -> float:
        """Return the same, given fresh winners about either table."""
        return self._log_ratio(self.won_there if there else self.won_again)

    def _log_ratio(self, won: Flags) -> float:
        wins, losses = self.here - self.there, _log_less(self.here) - _log_less(self.there)
        return float(np.where(won, wins, losses).sum())


@dataclass(frozen=True, eq=False)
class SampledComparison:
    """A noisy sum over records that toss coins, of two tables of which one has one record more.

    ``shift`` is the size of what that record adds when its coin of chance ``rate`` falls so, in
    standard deviations of the noise; ``along`` is the noisy sum, less what all other records
    add, in its direction. An attacker who knew the others' coins would see just that.
    ``coin`` is that record's in a fresh sum, whose noise is ``fresh``. ``low_bits`` is 1 where
    floating-point noise (`reached`) leads to all numbers that left from the sum with the record
    alone, -1 from the sum without it alone, 0 from both or from neither.
    """

    part: str
    why: str
    rate: float
    shift: float
    along: float
    coin: bool
    fresh: float
    here_has_it: bool
    low_bits: int = 0

    def log_ratio(self) -> float:
        """Return the log-likelihood of ``here``, less that of ``there``, given the sum."""
        return self._log_ratio(self.along)

    def fresh_log_ratio(self, *, there: bool) -> float:
        """Return the same, given a fresh sum over either table."""
        has_it = self.here_has_it != there
        return self._log_ratio(self.fresh + self.shift * (self.coin and has_it))

    def _log_ratio(self, along: float) -> float:
        with_it = self.shift * (along - self.shift / 2)
        ratio = float(np.logaddexp(np.log1p(-self.rate), np.log(self.rate) + with_it))
        return ratio if self.here_has_it else -ratio


Comparison = GaussianComparison | ChoiceComparison | VoteComparison | SampledComparison


def reached(released: NDArray[np.float32], start: NDArray[np.float32]) -> Flags:
    """Return for each number whether noise in single precision leads to it from ``start``.

    Whether there is a number z with float32(start + z) == released: that nearest to the difference
    or one of three neighbours to either side. From some starts some numbers are out of reach
    (Mironov 2012; Jin et al. 2022, arXiv:2112.05307).

    >>> reached(np.float32([0.1, 0.1]), np.float32([0.0, 3.7])).tolist()
    [True, False]
    """
    noise = (released.astype(np.float64) - start).astype(np.float32)
    found = start + noise == released
    for side in (np.float32(-np.inf), np.float32(np.inf)):
        tried = noise
        for _ in range(3):
            tried = np.nextafter(tried, side)
            found |= start + tried == released
    return np.asarray(found)


def _log_less(log_chances: Floats) -> Floats:
    """Return the log of one less each chance."""
    return np.asarray(np.log(-np.expm1(np.minimum(log_chances, -1e-300))))
