"""Counts of all pairs of columns at once: the product of a matrix of zeros and ones with itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.marginals import Counts, blocks
from dp_synth.domain import Domain
from dp_synth.types import Integers

MOST_CODES = 8_000  # of all columns together: the product then has 256 MB
MOST_RECORDS = 2**24  # up to which single precision holds every count
LINES = 4_096  # of one matrix
TILE = 1_024  # codes: the product is made of tiles, those below the diagonal left out

# Nanoseconds on a common core, good to a factor of two, which is all that the choice needs.
PER_PRODUCT, PER_PAIR, PER_PAIR_AND_LINE = 0.03, 50_000.0, 2.5


def first_codes(domain: Domain) -> Integers:
    """Return where each attribute's codes begin when those of all are numbered, and where they end.

    >>> first_codes(Domain(("a", "b"), (2, 3))).tolist()
    [0, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(domain.sizes, dtype=np.int64)])


def count_all_pairs(counts: Counts, pairs: int) -> NDArray[np.float32] | None:
    """Return how many records have each two codes of all attributes, shape (codes, codes).

    Exact, where the attribute of the row comes before that of the column; elsewhere no number is
    of use. Codes are numbered as `first_codes` says. None where so many ``pairs`` are counted
    faster one by one, or the numbers would not be exact.
    """
    domain = counts.domain
    codes, records = sum(domain.sizes), len(counts)
    alone = pairs * (PER_PAIR + records * PER_PAIR_AND_LINE)
    together = records * codes * codes * PER_PRODUCT
    if together > alone or codes > MOST_CODES or records > MOST_RECORDS:
        return None
    first = first_codes(domain)[:-1]
    found = np.zeros((codes, codes), dtype=np.float32)
    for block, weights in counts.blocks(domain.attributes):
        if weights is not None:
            return None
        for part in blocks(len(block[0]), LINES):
            lines = np.zeros((part.stop - part.start, codes), dtype=np.float32)
            every = np.arange(len(lines))
            for start, column in zip(first.tolist(), block, strict=True):
                lines[every, start + column[part].astype(np.int64)] = 1.0
            for tile in blocks(codes, TILE):
                found[tile, tile.start :] += lines[:, tile].T @ lines[:, tile.start :]
    return found
