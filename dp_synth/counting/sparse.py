"""The cells of a marginal that records occupy, however many cells there are.

A cell is named by one or more int64 words, each the mixed-radix number of a run of attributes
whose cells int64 can number.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.columns import Columns
from dp_synth.counting.covers import Axes
from dp_synth.counting.dense import block_length, blocks, cell_numbers
from dp_synth.domain import Codes

Floats = NDArray[np.float64]
Words = list[NDArray[np.int64]]

MOST_NUMBERS = 2**63


def runs(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the sizes in runs, each of at most 2**63 cells; one run where all fit.

    >>> runs((10, 2**62, 4, 5))
    [(10,), (4611686018427387904,), (4, 5)]
    """
    found: list[tuple[int, ...]] = [()]
    for size in shape:
        if prod(found[-1]) * size > MOST_NUMBERS:
            found.append(())
        found[-1] += (size,)
    return found


def count_occupied(columns: Columns, sizes: Sequence[int], axes: Axes) -> tuple[Words, Floats]:
    """Return the words of the cells over ``axes`` with records, in C order, and their counts."""
    radices = runs([sizes[axis] for axis in axes])
    found: list[tuple[Words, Floats]] = []
    for part in blocks(len(columns), block_length(len(axes))):
        block = columns.read(axes, part.start, part.stop)
        words, first = [], 0
        for run in radices:
            out = np.empty(part.stop - part.start, dtype=np.int64)
            words.append(cell_numbers(block[first : first + len(run)], run, out))
            first += len(run)
        found.append(_distinct(words, None if columns.weights is None else columns.weights[part]))
        # Merged when the rest is as long as what was merged before: each cell moves rarely.
        if sum(len(counts) for _, counts in found[1:]) > len(found[0][1]):
            found = [_merged(found)]
    nothing = [np.empty(0, dtype=np.int64) for _ in radices]
    return _merged(found) if found else (nothing, np.empty(0))


def codes_of(words: Words, shape: Sequence[int]) -> Codes:
    """Return the codes that ``words`` number, shape (cells, attributes)."""
    codes = np.empty((len(words[0]), len(shape)), dtype=np.int32, order="F")
    axis = len(shape)
    for numbers, run in zip(reversed(words), reversed(runs(shape)), strict=True):
        rest = numbers
        for size in reversed(run):
            axis -= 1
            rest, codes[:, axis] = np.divmod(rest, size)
    return codes


def _merged(parts: Sequence[tuple[Words, Floats]]) -> tuple[Words, Floats]:
    if len(parts) == 1:
        return parts[0]
    words = [np.concatenate(word) for word in zip(*(words for words, _ in parts), strict=True)]
    return _distinct(words, np.concatenate([counts for _, counts in parts]))


def _distinct(words: Words, weights: Floats | None) -> tuple[Words, Floats]:
    """Return each distinct line of words once, in order, with the sum of its weights."""
    if weights is None and len(words) == 1:
        numbers, repeats = np.unique(words[0], return_counts=True)
        return [numbers], repeats.astype(np.float64)
    order = np.lexsort(words[::-1])
    ordered = [word[order] for word in words]
    first = np.zeros(len(order), dtype=bool)
    first[:1] = True
    for word in ordered:
        first[1:] |= word[1:] != word[:-1]
    starts = np.flatnonzero(first)
    each = np.ones(len(order)) if weights is None else weights[order]
    counts = np.add.reduceat(each, starts) if len(starts) else np.empty(0)
    return [word[starts] for word in ordered], counts
