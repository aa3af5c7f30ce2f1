"""Rows of a junction tree: each clique's new attributes drawn given its separator alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Clique, Domain
from dp_synth.inference.junction_tree import JunctionTree

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]
Integers = NDArray[np.int64]
Numbers = NDArray[np.integer]

DIGIT = 16  # bits: numpy sorts integers of that width by radix, ten times as fast as others


def sample_rows(
    tree: JunctionTree, probabilities: Sequence[Floats], records: int, rng: np.random.Generator
) -> Codes:
    """Return ``records`` rows of codes, shape (records, attributes), column-major.

    Siblings in the tree are independent given what they share. Within a group of rows that agree
    on the separator the draws are stratified: random in order, but as many of each outcome as
    expected, up to one, which leaves out most of the sampling noise of independent draws.
    """
    domain = tree.domain
    codes = np.zeros((records, len(domain)), dtype=np.int32, order="F")
    for edge in tree.edges:
        new = tuple(a for a in tree.cliques[edge.child] if a not in edge.separator)
        outcomes = domain.cells(new)
        table = tree.project(edge.child, probabilities[edge.child], (*edge.separator, *new))
        groups = domain.cells(edge.separator)
        given = _cells(domain, codes, edge.separator).astype(np.min_scalar_type(groups))
        order = _shuffled_by_group(given, groups, rng)
        drawn = _draw_stratified(table.reshape(-1, outcomes), given, rng)
        for attribute, code in zip(
            new, np.unravel_index(np.arange(outcomes), domain.shape(new)), strict=True
        ):
            codes[order, domain.axis(attribute)] = code.astype(np.int32)[drawn]
    return codes


def _draw_stratified(table: Floats, given: Numbers, rng: np.random.Generator) -> Numbers:
    """Return a column of ``table`` for each row number in ``given``, sorted by row and column.

    The r-th of g equal rows takes the quantile (r + u) / g with one uniform u a group: systematic
    sampling. Of a column that ends at the quantile q, and of all before it, there are therefore
    ceil(q * g - u).
    """
    rows, columns = table.shape
    sizes = np.bincount(given, minlength=rows)[:, None]
    quantiles = np.cumsum(table, axis=1)
    mass = quantiles[:, -1:].copy()
    quantiles /= np.where(mass > 0, mass, 1.0)
    quantiles[mass[:, 0] <= 0] = np.arange(1, columns + 1) / columns  # rows that cannot occur
    ends = np.ceil(quantiles * sizes - rng.random((rows, 1)))
    ends = np.where(quantiles < 1, np.maximum(ends, 0), sizes).astype(np.int64)
    counts = np.diff(ends, axis=1, prepend=0)
    numbers = np.arange(columns, dtype=np.min_scalar_type(columns))
    return np.repeat(np.tile(numbers, rows), counts.ravel())


def _shuffled_by_group(given: Numbers, groups: int, rng: np.random.Generator) -> Integers:
    """Return the positions of ``given`` sorted by value, those of one value in random order."""
    order = rng.permutation(len(given))
    for shift in range(0, (groups - 1).bit_length(), DIGIT):
        digit = (given[order] >> shift).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
    return order


def _cells(domain: Domain, codes: Codes, clique: Clique) -> Integers:
    """Return the number of the cell of each row's marginal over ``clique``."""
    cells = np.zeros(len(codes), dtype=np.int64)
    for attribute in clique:
        cells *= domain.size(attribute)
        cells += codes[:, domain.axis(attribute)]
    return cells
