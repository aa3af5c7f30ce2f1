"""Marginals as dense arrays: records go by in blocks, each table is counted by its cell numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.columns import Column, Columns
from dp_synth.counting.covers import Axes, Cover, cover

Floats = NDArray[np.float64]

FEW_LINES, MOST_LINES = 2**16, 2**20  # of a block: its cell numbers take 0.5 to 8 MB
MOST_CODES = 2**25  # of all columns of a block
CELLS_A_PASS = 2**22  # of all tables that are counted in one pass over the records


def block_length(axes: int) -> int:
    """Return how many lines to take at once of so many columns."""
    return max(min(MOST_LINES, MOST_CODES // max(axes, 1)), 2**14)


def blocks(lines: int, length: int) -> Iterator[slice]:
    """Return slices of at most ``length`` that make up ``lines``."""
    return (slice(start, min(start + length, lines)) for start in range(0, lines, length))


def count(columns: Columns, sizes: Sequence[int], cliques: Sequence[Axes]) -> list[Floats]:
    """Return the marginal over each clique, axes in its order."""
    marginals: dict[int, Floats] = {}
    for batch in _passes(cover(cliques, sizes, len(columns)), sizes):
        for chosen, table in zip(batch, _tables(columns, sizes, batch), strict=True):
            if len(chosen.members) == 1:  # the cover is that clique, axes in its order
                marginals[chosen.members[0]] = table.reshape([sizes[axis] for axis in chosen.axes])
                continue
            for position in chosen.members:
                marginals[position] = _summed(table, chosen.axes, cliques[position], sizes)
    return [marginals[position] for position in range(len(cliques))]


def _passes(covers: Sequence[Cover], sizes: Sequence[int]) -> Iterator[list[Cover]]:
    batch: list[Cover] = []
    cells = 0
    for chosen in covers:
        own = prod(sizes[axis] for axis in chosen.axes)
        if batch and cells + own > CELLS_A_PASS:
            yield batch
            batch, cells = [], 0
        batch.append(chosen)
        cells += own
    if batch:
        yield batch


def _tables(columns: Columns, sizes: Sequence[int], covers: Sequence[Cover]) -> list[Floats]:
    """Return the counts of each cover, flat, in C order of its axes."""
    shapes = [tuple(sizes[axis] for axis in chosen.axes) for chosen in covers]
    tables = [np.zeros(prod(shape)) for shape in shapes]
    axes = sorted({axis for chosen in covers for axis in chosen.axes})
    place = {axis: i for i, axis in enumerate(axes)}
    # What stays in a core's cache is counted fastest, but each block goes over its whole tables.
    few = max(FEW_LINES, *map(len, tables))
    length = min(block_length(len(axes)), few, len(columns))
    numbers = np.empty(length, dtype=np.intp)
    for part in blocks(len(columns), length) if length else ():
        block = columns.read(axes, part.start, part.stop)
        weights = None if columns.weights is None else columns.weights[part]
        for chosen, shape, table in zip(covers, shapes, tables, strict=True):
            own = [block[place[axis]] for axis in chosen.axes]
            _add(table, cell_numbers(own, shape, numbers[: part.stop - part.start]), weights)
    return tables


def cell_numbers(
    block: Sequence[Column], shape: Sequence[int], out: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the C-order number of each line's cell, written to ``out``."""
    if not block:
        out.fill(0)
        return out
    np.copyto(out, block[0])
    for column, size in zip(block[1:], shape[1:], strict=True):
        np.multiply(out, size, out=out)
        np.add(out, column, out=out)
    return out


def _add(table: Floats, numbers: NDArray[np.int64], weights: Floats | None) -> None:
    if len(table) <= 4 * len(numbers):
        table += np.bincount(numbers, weights, minlength=len(table))
    else:  # going over all cells would cost more than going over the lines
        np.add.at(table, numbers, 1.0 if weights is None else weights)


def _summed(flat: Floats, axes: Axes, clique: Axes, sizes: Sequence[int]) -> Floats:
    """Return the marginal over ``clique`` of a flat table over ``axes``.

    Columns of one code, of which there may be more than an array has axes, make none of it.
    """
    several = [axis for axis in axes if sizes[axis] > 1]
    table = flat.reshape([sizes[axis] for axis in several])
    others = tuple(place for place, axis in enumerate(several) if axis not in clique)
    kept = [axis for axis in several if axis in clique]
    summed = np.asarray(table.sum(axis=others))  # a copy, also where nothing is summed
    ordered = summed.transpose([kept.index(axis) for axis in clique if axis in kept])
    return np.asarray(ordered, order="C").reshape([sizes[axis] for axis in clique])
