"""The delete-a-group jackknife: variances of statistics that have no simple formula."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUPS = 40
FEWEST_RECORDS = 30
"""Below it the values left out say too little of counts and of clipped statistics."""


def degrees_of(groups: int, records: int) -> int:
    """Return the degrees of freedom of a jackknife, 0 where it is of too few records."""
    return groups - 1 if records >= FEWEST_RECORDS else 0


def random_groups(records: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a random group of each record, 40 of equal size or as many as there are records."""
    return rng.permutation(np.arange(records) % min(GROUPS, max(records, 1)))


def without_each(by_group: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums over all groups, and then over all but each one, along the first axis.

    >>> without_each(np.array([[1.0], [2.0], [4.0]])).ravel().tolist()
    [7.0, 6.0, 5.0, 3.0]
    """
    whole = by_group.sum(axis=0, keepdims=True)
    return np.concatenate([whole, whole - by_group])


def variance_of(left_out: NDArray[np.float64]) -> float:
    """Return the variance of a statistic from its values with each group left out.

    (G - 1) / G times their sum of squares about the mean (Kott 2001).
    """
    groups = len(left_out)
    return float((groups - 1) * left_out.var()) if groups > 1 else float("inf")


def left_out(groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how often each record counts: all of them first, then all but each group.

    >>> left_out(np.array([0, 1, 0])).tolist()
    [[1.0, 1.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    kept = groups != np.arange(groups.max(initial=-1) + 1)[:, None]
    return np.concatenate([np.ones((1, len(groups))), kept])
