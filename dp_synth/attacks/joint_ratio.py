"""The likelihood ratio of many noisy tables at once, by the normal law of their counts.

Tables that share columns, or repeat a clique over coarser groups, say the same thing twice, under
noise of their own. Let phi(x) mark the cells of record x in all tables, with mean p and covariance
P in the population. Noisy counts y of n records that nobody knows are then nearly normal with
mean n p and covariance S = n P + V, where V holds the variances of the noise; with x among them
the mean moves by u = phi(x) - p. The best test of the two (Neyman & Pearson 1933) is

    log ratio = u' S^-1 (y - n p) - u' S^-1 u / 2,

and d^2 = u' S^-1 u is the squared Mahalanobis distance between both worlds: the ratio of a record
that was not fitted is N(-d^2 / 2, d^2), that of one that was fitted N(d^2 / 2, d^2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import csr_array

from dp_synth.types import Floats

MOST_CELLS = 4000  # of all tables together: beyond it the covariance is neither held nor inverted


@dataclass(frozen=True, eq=False)
class NormalCounts:
    """The law of noisy counts of ``records`` records drawn from a population.

    ``known`` has shape (people, tables): the place of each known person's cell among the cells of
    all tables; ``noise`` holds the variance of each cell's noise, shape (cells,). Of the known
    people's covariance, ``shrunk`` is the part that its diagonal replaces, since few people show
    little of what many cells have to do with each other, and ``smoothing`` what each cell has
    beyond those who were seen in it. ``spread`` is how often the sampling of the records counts:
    1, and more where what is expected is an estimate.
    """

    known: NDArray[np.intp]
    noise: Floats
    records: float
    spread: float = 1.0
    shrunk: float = 0.0
    smoothing: float = 0.0

    @cached_property
    def mean(self) -> Floats:
        """The share of people in each cell, shape (cells,)."""
        people, cells = len(self.known), len(self.noise)
        counts = np.bincount(self.known.ravel(), minlength=cells)
        shares: Floats = counts / np.float64(people)
        return shares

    @cached_property
    def _factor(self) -> Floats:
        """The lower triangle L of S = L L', shape (cells, cells)."""
        marks = self._marks(self.known)
        covariance = (marks.T @ marks).toarray() / len(self.known)
        covariance -= np.outer(self.mean, self.mean)
        covariance *= 1 - self.shrunk
        own = self.shrunk * self.mean * (1 - self.mean) + self.smoothing / len(self.known)
        covariance[np.diag_indices_from(covariance)] += own
        covariance *= self.records * self.spread
        covariance[np.diag_indices_from(covariance)] += self.noise
        factor: Floats = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        return factor

    def log_ratios(self, cells: NDArray[np.intp], counts: Floats) -> tuple[Floats, Floats]:
        """Return the log ratio of each person and its d^2, both of shape (people,).

        ``cells`` are the places of the persons' cells, shape (people, tables); ``counts`` the
        noisy counts of all tables, shape (cells,).
        """
        shifts = self._whitened((self._marks(cells).toarray() - self.mean).T)
        squared: Floats = np.einsum("ij,ij->j", shifts, shifts)
        excess = self._whitened(counts - self.records * self.mean)
        return excess @ shifts - squared / 2, squared

    def _whitened(self, values: Floats) -> Floats:
        found: Floats = solve_triangular(self._factor, values, lower=True, check_finite=False)
        return found

    def _marks(self, cells: NDArray[np.intp]) -> csr_array:
        people, tables = cells.shape
        ends = np.arange(0, cells.size + 1, tables)
        ones = np.ones(cells.size)
        return csr_array((ones, cells.ravel(), ends), shape=(people, len(self.noise)))


def places(cells: Sequence[NDArray[np.intp]], sizes: Sequence[int]) -> NDArray[np.intp]:
    """Return the places of cells of several tables in all of their cells, (people, tables)."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    found: NDArray[np.intp] = np.stack(cells, axis=1) + starts.astype(np.intp)
    return found
