"""What every store of records can be asked for, and which marginals are too large to be dense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import MOST_AXES, Clique, Codes, Domain

Floats = NDArray[np.float64]

LARGEST_DENSE = 50_000_000
"""Marginals of more cells than this (400 MB) are counted sparsely or not at all."""


class Counts(Protocol):
    """Private records that can be counted; all answers are exact, whole numbers."""

    @property
    def domain(self) -> Domain:
        """The attributes over which records are counted."""

    def __len__(self) -> int:
        """Return the number of records: private under add/remove adjacency."""

    def marginal(self, clique: Clique) -> Floats:
        """Return the counts over ``clique``, axes in its order.

        KeyError for an unknown attribute; ValueError when the cells are more than
        ``LARGEST_DENSE`` or an attribute is named twice.
        """

    def marginals(self, cliques: Sequence[Clique]) -> list[Floats]:
        """Return the marginal over each clique: less work than asking for one after another."""

    def sparse_marginal(self, clique: Clique) -> tuple[NDArray[np.int64], Floats]:
        """Return the numbers of the cells with records, in C order, and their counts.

        No other cell is allocated. ValueError when the cells are too many to be numbered by
        int64; ``occupied`` still gives them.
        """

    def occupied(self, clique: Clique) -> tuple[Codes, Floats]:
        """Return the codes of the cells with records, shape (cells, attributes), and their counts.

        Cells come in C order; a clique may have any number of them.
        """

    def coarsened(self, groups: Mapping[str, Codes]) -> Counts:
        """Return the records with codes of some attributes relabelled: see Domain.coarsened."""


def dense_shape(domain: Domain, clique: Clique) -> tuple[int, ...]:
    """Return the shape of the marginal over ``clique``, when it may be counted densely.

    Reads no record. KeyError for an unknown attribute, ValueError for one named twice, for more
    than ``MOST_AXES`` attributes or than ``LARGEST_DENSE`` cells.

    >>> dense_shape(Domain(("age", "wage"), (100, 1_000_000)), ("age", "wage"))
    Traceback (most recent call last):
    ValueError: marginal ('age', 'wage') has 100,000,000 cells; at most 50,000,000 can be counted
    """
    shape = domain.shape(clique)
    if len(set(clique)) != len(clique):
        raise ValueError(f"a clique must name each attribute once, got {clique}")
    if len(clique) > MOST_AXES:
        raise ValueError(
            f"a marginal may be over at most {MOST_AXES} attributes, got {len(clique)}"
        )
    if (cells := domain.cells(clique)) > LARGEST_DENSE:
        raise ValueError(
            f"marginal {clique} has {cells:,} cells; at most {LARGEST_DENSE:,} can be counted"
        )
    return shape
