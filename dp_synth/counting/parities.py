"""Exact parities of many sets of bits: sums over records of the products of their signs.

Where the bits are few, one fast Walsh-Hadamard transform of the table of all their cells has the
parity of every set; else bits are packed into words, a bit a record, whose ones are counted set
by set. Records go by in blocks either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.cache import parities_in_place
from dp_synth.counting.columns import Column
from dp_synth.counting.marginals import Counts
from dp_synth.domain import NO_BIT, ParitySets
from dp_synth.errors import RowsNeeded
from dp_synth.types import Codes, Floats, Integers

Words = NDArray[np.uint64]
Bits = list[NDArray[np.bool_]]

MOST_TRANSFORMED = 22  # bits: a table of 32 MB
RADIX = 5  # bits that one product with a matrix transforms
WORDS_A_PASS = 2**17  # of all sets that are counted together: what stays in a core's cache
WORDS_OF_PARTS = 2**20  # of all parts of sets: 8 MB
PER_LINE_AND_BIT, PER_TRANSFORMED, PER_WORD = 2.0, 1.5, 3.0  # nanoseconds, to a factor of two


def count_parities(counts: Counts, asked: ParitySets) -> Floats:
    """Return for each set the records with an even number of its bits less those with an odd one.

    Whole numbers. KeyError for an unknown attribute, ValueError for bits of another size.
    """
    asked.check(counts.domain)
    try:
        return _from_records(counts, asked)
    except RowsNeeded:
        found = parities_in_place(counts, asked)
        return _from_marginals(counts, asked) if found is None else found


def _from_records(counts: Counts, asked: ParitySets) -> Floats:
    """Return the parities in that of both ways that is quicker."""
    bits = len(asked.halves)
    if bits <= MOST_TRANSFORMED:
        transformed = bits * (len(counts) * PER_LINE_AND_BIT + (1 << bits) * PER_TRANSFORMED)
        if transformed <= len(counts) / 64 * len(asked) * PER_WORD:
            return _transformed(counts, asked)
    return _from_words(counts, asked)


def _bits_of(block: Sequence[Column], places: dict[str, int], asked: ParitySets) -> Bits:
    """Return each bit of a block of records."""
    return [
        half.astype(bool)[block[places[attribute]]]
        for attribute, half in zip(asked.attributes, asked.halves, strict=True)
    ]


def _transformed(counts: Counts, asked: ParitySets) -> Floats:
    """Return the parities as cells of the transform of the table over all bits."""
    clique = tuple(dict.fromkeys(asked.attributes))
    places = {attribute: place for place, attribute in enumerate(clique)}
    table = np.zeros(1 << len(asked.halves))
    for block, weights in counts.blocks(clique):
        cells: Integers | int = 0
        for place, bit in enumerate(_bits_of(block, places, asked)):
            cells |= bit.astype(np.int64) << place
        table += np.bincount(np.atleast_1d(cells), weights, minlength=len(table))
    return np.asarray(walsh_hadamard(table)[_masks(asked.sets)])


def walsh_hadamard(table: Floats) -> Floats:
    """Return the sums of a table of 2**n cells with the sign of each set of its n bits.

    Cell s is the sum over all cells c of (-1)**|s & c| table[c] (Fino & Algazi 1976). Sums of
    whole numbers are exact up to 2**53.

    >>> walsh_hadamard(np.array([5.0, 1.0, 2.0, 0.0])).tolist()
    [8.0, 6.0, 4.0, 2.0]
    """
    size, after = len(table), 1
    while after < size:
        radix = min(1 << RADIX, size // after)
        signs = np.array([[1.0]])
        while len(signs) < radix:
            signs = np.block([[signs, signs], [signs, -signs]])
        if after == 1:
            table = table.reshape(-1, radix) @ signs
        else:
            table = signs @ table.reshape(-1, radix, after)
        after *= radix
    return table.reshape(-1)


def _masks(sets: Codes) -> Integers:
    """Return each set as a number with its bits; one that is named twice is in it no more."""
    masks = np.zeros(len(sets), dtype=np.int64)
    for column in sets.T:
        masks ^= np.where(column == NO_BIT, 0, np.int64(1) << np.maximum(column, 0))
    return masks


def _from_words(counts: Counts, asked: ParitySets) -> Floats:
    """Return the parities by counting the ones of packed words.

    A set is the exclusive or of two parts, of which there are far fewer than sets.
    """
    clique = tuple(dict.fromkeys(asked.attributes))
    places = {attribute: place for place, attribute in enumerate(clique)}
    middle = (asked.sets.shape[1] + 1) // 2
    first, second = (_parts(asked.sets[:, :middle]), _parts(asked.sets[:, middle:]))
    step = max(1, WORDS_OF_PARTS // max(len(first[0]), len(second[0])))
    odd, total = np.zeros(len(asked)), 0.0
    for block, weights in counts.blocks(clique):
        bits = _bits_of(block, places, asked)
        for weight, plane in _planes(bits, weights):
            lines = len(plane[0]) if plane else 0
            total += weight * lines
            for start in range(0, lines, 64 * step):
                words = _packed([bit[start : start + 64 * step] for bit in plane])
                sums = _sums(words, first[0]), _sums(words, second[0])
                odd += weight * _ones(sums, (first[1], second[1]))
    return total - 2 * odd


def _planes(bits: Bits, weights: Floats | None) -> Iterator[tuple[float, Bits]]:
    """Yield powers of two, and the bits of the lines whose weights hold them."""
    if weights is None:
        yield 1.0, bits
        return
    whole = weights.astype(np.int64)
    for plane in range(int(whole.max(initial=0)).bit_length()):
        chosen = np.flatnonzero(whole >> plane & 1)
        yield float(1 << plane), [bit[chosen] for bit in bits]


def _packed(bits: Bits) -> Words:
    """Return a line of words for each bit, and one of zeros."""
    lines = np.zeros((len(bits) + 1, -(-len(bits[0]) // 64) * 8), dtype=np.uint8)
    for line, bit in zip(lines, bits, strict=False):
        packed = np.packbits(bit)
        line[: len(packed)] = packed
    return lines.view(np.uint64)


def _parts(sets: Codes) -> tuple[Codes, Integers]:
    """Return the distinct lines of ``sets``, and which of them each line is."""
    if not sets.shape[1]:
        return np.full((1, 1), NO_BIT, dtype=np.int32), np.zeros(len(sets), dtype=np.int64)
    parts, places = np.unique(sets, axis=0, return_inverse=True)
    return parts, places.reshape(-1)


def _sums(words: Words, parts: Codes) -> Words:
    """Return the exclusive or of the bits of each part; the last line of words is that of none."""
    sums = words[parts[:, 0]]
    for column in parts.T[1:]:
        sums ^= words[column]
    return sums


def _from_marginals(counts: Counts, asked: ParitySets) -> Floats:
    """Return the parities from marginals of the bits of few attributes, where no records come."""
    patterns: dict[str, Codes] = {}  # of an attribute: the bits of each code, as one number
    for name, half in zip(asked.attributes, asked.halves, strict=True):
        patterns[name] = 2 * patterns.get(name, np.zeros(len(half), dtype=np.int64)) + half
    known = {name: np.unique(one, return_inverse=True)[1] for name, one in patterns.items()}
    groups = {name: codes.astype(np.int32) for name, codes in known.items()}
    firsts = {name: np.unique(one, return_index=True)[1] for name, one in patterns.items()}
    signs = [1.0 - 2.0 * h[firsts[a]] for a, h in zip(asked.attributes, asked.halves, strict=True)]
    sets = [[bit for bit in line if bit != NO_BIT] for line in asked.sets.tolist()]
    cliques = [tuple(sorted({asked.attributes[bit] for bit in one})) for one in sets]
    coarse = getattr(counts, "recounted", counts.coarsened)(groups)
    wanted = list(dict.fromkeys(cliques))
    tables = dict(zip(wanted, coarse.marginals(wanted), strict=True))
    found = np.zeros(len(sets))
    for number, (bits, clique) in enumerate(zip(sets, cliques, strict=True)):
        table = tables[clique]
        for name in reversed(clique):
            own = np.prod([signs[b] for b in bits if asked.attributes[b] == name], axis=0)
            table = table @ own
        found[number] = table
    return found


def _ones(sums: tuple[Words, Words], places: tuple[Integers, Integers]) -> Floats:
    """Return how many records have an odd number of the bits of each set."""
    ones = np.zeros(len(places[0]))
    step = max(1, WORDS_A_PASS // max(1, sums[0].shape[1]))
    for start in range(0, len(ones), step):
        part = slice(start, start + step)
        both = sums[0][places[0][part]] ^ sums[1][places[1][part]]
        ones[part] = ones_in(both).sum(axis=1, dtype=np.int64)
    return ones


def ones_in(words: Words) -> NDArray[np.uint8]:
    """Return how many bits of each word are set."""
    if hasattr(np, "bitwise_count"):
        return np.asarray(np.bitwise_count(words), dtype=np.uint8)
    return _ones_looked_up(words)


def _ones_looked_up(words: Words) -> NDArray[np.uint8]:
    """Return what `ones_in` does, as numpy before version 2 can do it."""
    short = np.ascontiguousarray(words).view(np.uint16).reshape(*words.shape, 4)
    return np.asarray(_ONES.take(short).sum(axis=-1, dtype=np.uint8))


_ONES = np.unpackbits(np.arange(2**16, dtype="<u2").view(np.uint8)).reshape(-1, 16)
_ONES = _ONES.sum(axis=1, dtype=np.uint8)
