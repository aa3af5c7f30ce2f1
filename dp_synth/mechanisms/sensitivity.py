"""How far one unit can move an answer, by adjacency."""

from __future__ import annotations

import math

from dp_synth.accounting import Adjacency


def marginal_sensitivity(adjacency: Adjacency, max_rows: int = 1) -> float:
    """Return the L2 sensitivity of one marginal's counts, for units of so many records.

    A record added or removed moves one cell by one; a record replaced moves two cells. All
    records of a unit may lie in one cell.

    >>> marginal_sensitivity("add_remove"), marginal_sensitivity("replace_one") ** 2
    (1.0, 2.0000000000000004)
    """
    return max_rows * (1.0 if adjacency == "add_remove" else math.sqrt(2.0))


def l1_distance_sensitivity(adjacency: Adjacency, max_rows: int = 1) -> float:
    """Return how far the L1 distance of one marginal's counts from fixed numbers can move.

    At most the L1 distance between the two tables' counts (triangle inequality).

    >>> l1_distance_sensitivity("add_remove"), l1_distance_sensitivity("replace_one")
    (1.0, 2.0)
    """
    return max_rows * (1.0 if adjacency == "add_remove" else 2.0)


def dependence_sensitivity(adjacency: Adjacency, max_rows: int = 1) -> float:
    """Return how far the L1 distance of a table from the product of its parts can move.

    For counts C of n records with row sums r and column sums c, the distance of C from r c / n.
    Write p = r / n and q = c / n. A record added to cell (i, j) moves C by e_i e_j and the
    product by e_i e_j - n / (n + 1) u v, where u = e_i - p and v = e_j - q, so that their
    difference moves by n / (n + 1) u v, of L1 norm at most |u| |v| <= 2 * 2. A record replaced
    is one removed and one added; the records of a unit come one by one. The number of records
    need not be public, as it must be for frequencies (PrivBayes, Zhang et al. 2017).

    >>> dependence_sensitivity("add_remove"), dependence_sensitivity("replace_one")
    (4.0, 8.0)
    """
    return max_rows * (4.0 if adjacency == "add_remove" else 8.0)
