"""Marginals of coded records, exact: as dense arrays, or as the cells that records occupy.

Records go by in blocks. Several small marginals are summed from one joint table where counting it
costs less than going over the records for each: the larger they are, the larger the tables that
pay. Where cells are too many for an array, those with records are found by sorting: each is named
by int64 words, the mixed-radix numbers of runs of attributes whose cells int64 can number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import TracebackType
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.columns import Column, Columns, MemoryColumns
from dp_synth.domain import MOST_AXES, Domain
from dp_synth.types import Clique, Codes, Floats

T = TypeVar("T")

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

    def blocks(self, clique: Clique) -> Iterator[tuple[list[Column], Floats | None]]:
        """Yield the codes of ``clique``, a column each, of blocks of lines of records.

        With them how many records each line stands for, None where it is one.
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
    if (cells := prod(shape)) > LARGEST_DENSE:
        raise ValueError(
            f"marginal {clique} has {cells:,} cells; at most {LARGEST_DENSE:,} can be counted"
        )
    return shape


CELLS_A_LINE = 8  # so many cells cost as much to count densely as a line costs to sort
MAX_KEPT_CELLS = 2**21  # of marginals of records on disk: 16 MB
MAX_CONDENSED_CELLS = 2**22  # of the whole domain, where equal records may be taken together


class CodeCounts:
    """Exact counts over columns of codes: arrays, or files that are read in blocks.

    Where the whole domain is small and records repeat each other, equal ones are taken together.

    >>> codes = np.array([[0, 1], [1, 1], [1, 1]], dtype=np.int32)
    >>> counts = CodeCounts.of(codes, Domain(("a", "b"), (2, 3)))
    >>> counts.marginal(("b", "a")).tolist()
    [[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]
    >>> counts.sparse_marginal(("a", "b"))
    (array([1, 4]), array([1., 2.]))
    """

    def __init__(self, columns: Columns, domain: Domain) -> None:
        self.domain = domain
        self._columns = _condensed(columns, domain.sizes)
        # Each answer from disk is read from all records: what was counted is not counted anew.
        self._kept: dict[Clique, Floats] | None = None
        if not isinstance(self._columns, MemoryColumns):
            self._kept = {}
        self._coarse: tuple[Mapping[str, Codes], CodeCounts] | None = None

    @classmethod
    def of(cls, codes: Codes, domain: Domain) -> CodeCounts:
        """Return the counts of an array of codes, shape (records, attributes).

        The array is shared where it lies in Fortran order, as `Schema.encode` returns it.
        """
        if codes.ndim != 2 or codes.shape[1] != len(domain):
            raise ValueError(f"codes must have one column for each of {len(domain)} attributes")
        ordered = np.asfortranarray(codes, dtype=np.int32)
        for axis, (name, size) in enumerate(zip(domain, domain.sizes, strict=True)):
            column = ordered[:, axis]
            if len(column) and not 0 <= column.min() <= column.max() < size:
                raise ValueError(f"codes of {name!r} must lie in [0, {size})")
        return cls(MemoryColumns(list(ordered.T), len(ordered)), domain)

    def __len__(self) -> int:
        weights = self._columns.weights
        return len(self._columns) if weights is None else int(weights.sum())

    def marginal(self, clique: Clique) -> Floats:
        """Return the counts over ``clique``, axes in its order; errors as `dense_shape`."""
        return self.marginals([clique])[0]

    def marginals(self, cliques: Sequence[Clique]) -> list[Floats]:
        """Return the marginal over each clique, several from one joint table where it is cheaper.

        Errors as `dense_shape`, before anything is counted.
        """
        for clique in cliques:
            dense_shape(self.domain, clique)
        if self._kept is None:
            return self._count(cliques)
        new = [c for c in dict.fromkeys(cliques) if self._kept_over(c, self._kept) is None]
        found = dict(zip(new, self._count(new), strict=True))
        tables = []
        for clique in cliques:
            if clique in found:
                tables.append(found[clique].copy())
                continue
            known = self._kept_over(clique, self._kept)
            assert known is not None
            tables.append(
                _summed(self._kept[known], self._axes(known), self._axes(clique), self.domain.sizes)
            )
        left = MAX_KEPT_CELLS - sum(table.size for table in self._kept.values())
        for clique, table in found.items():
            if table.size <= left:
                self._kept[clique] = table
                left -= table.size
        return tables

    def _count(self, cliques: Sequence[Clique]) -> list[Floats]:
        return count_dense(self._columns, self.domain.sizes, [self._axes(c) for c in cliques])

    def _kept_over(self, clique: Clique, kept: Mapping[Clique, Floats]) -> Clique | None:
        """Return the clique of the smallest marginal in ``kept`` that tells that of ``clique``."""
        if clique in kept:
            return clique
        wider = (known for known in kept if set(clique) <= set(known))
        return min(wider, key=lambda known: kept[known].size, default=None)

    def sparse_marginal(self, clique: Clique) -> tuple[NDArray[np.int64], Floats]:
        """Return the numbers of the cells with records, in C order, and their counts.

        ValueError when the cells are too many to be numbered by int64: see `occupied`.
        """
        if (cells := self.domain.cells(clique)) > MAX_NUMBERED_CELLS:
            raise ValueError(
                f"marginal {clique} has {cells:,} cells, too many to number; take occupied()"
            )
        words, counts = self._words(clique)
        return words[0], counts

    def occupied(self, clique: Clique) -> tuple[Codes, Floats]:
        """Return the codes of the cells with records, shape (cells, attributes), and their counts.

        In C order; the clique may have any number of cells.
        """
        words, counts = self._words(clique)
        return codes_of(words, self.domain.shape(clique)), counts

    def blocks(self, clique: Clique) -> Iterator[tuple[list[Column], Floats | None]]:
        """Yield the codes of ``clique``, and the weights of lines, of blocks of them."""
        axes, weights = self._axes(clique), self._columns.weights
        for part in blocks(len(self._columns), block_length(len(axes))):
            block = self._columns.read(axes, part.start, part.stop)
            yield block, None if weights is None else weights[part]

    def coarsened(self, groups: Mapping[str, Codes]) -> CodeCounts:
        """Return the records with codes of some attributes relabelled: see Domain.coarsened.

        Records on disk are relabelled as they are read, from the same files.
        """
        for name, group in groups.items():
            if len(group) != (size := self.domain.size(name)):
                raise ValueError(f"groups of {name!r} must give each of its {size} codes a number")
        if self._coarse is not None and _are_equal(self._coarse[0], groups):
            return self._coarse[1]
        by_axis = {self.domain.axis(name): group for name, group in groups.items()}
        coarse = CodeCounts(self._columns.relabelled(by_axis), self.domain.coarsened(groups))
        if self._kept is not None:  # with what is counted in it
            self._coarse = {name: group.copy() for name, group in groups.items()}, coarse
        return coarse

    def close(self) -> None:
        """Give memory and files back, those of coarsened copies as well."""
        self._columns.close()

    def __enter__(self) -> CodeCounts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _axes(self, clique: Clique) -> tuple[int, ...]:
        return tuple(self.domain.axis(attribute) for attribute in clique)

    def _words(self, clique: Clique) -> tuple[list[NDArray[np.int64]], Floats]:
        if len(set(clique)) != len(clique):
            raise ValueError(f"a clique must name each attribute once, got {clique}")
        cells = self.domain.cells(clique)
        if cells > min(CELLS_A_LINE * len(self._columns), LARGEST_DENSE):
            return count_occupied(self._columns, self.domain.sizes, self._axes(clique))
        several = tuple(a for a in clique if self.domain.size(a) > 1)  # as few axes as can be
        table = self.marginal(several).reshape(-1)
        numbers = np.flatnonzero(table).astype(np.int64)
        return [numbers], table[numbers]


def _are_equal(one: Mapping[str, Codes], other: Mapping[str, Codes]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[a], other[a]) for a in one)


def _condensed(columns: Columns, sizes: tuple[int, ...]) -> Columns:
    """Return each distinct line once with its weight, where that at least halves the lines."""
    cells, lines = prod(sizes), len(columns)
    if not sizes or cells > min(CELLS_A_LINE * lines, MAX_CONDENSED_CELLS):
        return columns
    # An axis for each column of several codes alone: so few cells have 22 of them at most.
    several = tuple(axis for axis, size in enumerate(sizes) if size > 1)
    (joint,) = count_dense(columns, sizes, [several])
    table = joint.reshape(-1)
    present = np.flatnonzero(table).astype(np.int64)
    if 2 * len(present) > lines:
        return columns
    codes = codes_of([present], sizes)
    return MemoryColumns(list(codes.T), len(present), table[present])


MIN_BLOCK_LINES, MAX_BLOCK_LINES = 2**16, 2**20  # of a block: its cell numbers take 0.5 to 8 MB
MAX_BLOCK_CODES = 2**25  # of all columns of a block
CELLS_A_PASS = 2**22  # of all tables that are counted in one pass over the records


def block_length(axes: int) -> int:
    """Return how many lines to take at once of so many columns."""
    return max(min(MAX_BLOCK_LINES, MAX_BLOCK_CODES // max(axes, 1)), 2**14)


def blocks(lines: int, length: int) -> Iterator[slice]:
    """Return slices of at most ``length`` that make up ``lines``."""
    return (slice(start, min(start + length, lines)) for start in range(0, lines, length))


def count_dense(columns: Columns, sizes: Sequence[int], cliques: Sequence[Axes]) -> list[Floats]:
    """Return the marginal over each clique, axes in its order."""
    marginals: dict[int, Floats] = {}
    covers = cover(cliques, sizes, len(columns))
    for batch in in_passes(covers, lambda chosen: prod(sizes[axis] for axis in chosen.axes)):
        for chosen, table in zip(batch, _tables(columns, sizes, batch), strict=True):
            if len(chosen.members) == 1:  # the cover is that clique, axes in its order
                marginals[chosen.members[0]] = table.reshape([sizes[axis] for axis in chosen.axes])
                continue
            for position in chosen.members:
                marginals[position] = _summed(table, chosen.axes, cliques[position], sizes)
    return [marginals[position] for position in range(len(cliques))]


def in_passes(wanted: Iterable[T], cells: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield what is wanted in runs whose tables fit into memory together.

    >>> list(in_passes([1, CELLS_A_PASS, 2, 3], lambda own: own))
    [[1], [4194304], [2, 3]]
    """
    batch: list[T] = []
    together = 0
    for one in wanted:
        own = cells(one)
        if batch and together + own > CELLS_A_PASS:
            yield batch
            batch, together = [], 0
        batch.append(one)
        together += own
    if batch:
        yield batch


def _tables(columns: Columns, sizes: Sequence[int], covers: Sequence[Cover]) -> list[Floats]:
    """Return the counts of each cover, flat, in C order of its axes."""
    shapes = [tuple(sizes[axis] for axis in chosen.axes) for chosen in covers]
    tables = [np.zeros(prod(shape)) for shape in shapes]
    axes = sorted({axis for chosen in covers for axis in chosen.axes})
    place = {axis: i for i, axis in enumerate(axes)}
    # What stays in a core's cache is counted fastest, but each block goes over its whole tables.
    few = max(MIN_BLOCK_LINES, *map(len, tables))
    length = min(block_length(len(axes)), few, len(columns))
    # The shortest that number all cells of a table: half of the work is reading and writing them.
    kinds = [_short(len(table)) for table in tables]
    numbers = {kind: np.empty(length, dtype=kind) for kind in kinds}
    for part in blocks(len(columns), length) if length else ():
        block = columns.read(axes, part.start, part.stop)
        weights = None if columns.weights is None else columns.weights[part]
        for chosen, shape, table, kind in zip(covers, shapes, tables, kinds, strict=True):
            own = [block[place[axis]] for axis in chosen.axes]
            out = numbers[kind][: part.stop - part.start]
            _add(table, cell_numbers(own, shape, out), weights)
    return tables


def _short(cells: int) -> type[np.signedinteger]:
    return np.int16 if cells < 2**15 else np.int32 if cells < 2**31 else np.int64


def cell_numbers(
    block: Sequence[Column], shape: Sequence[int], out: NDArray[np.signedinteger]
) -> NDArray[np.signedinteger]:
    """Return the C-order number of each line's cell, written to ``out``, which can hold them."""
    if not block:
        out.fill(0)
        return out
    np.copyto(out, block[0], casting="unsafe")
    for column, size in zip(block[1:], shape[1:], strict=True):
        np.multiply(out, size, out=out)
        np.add(out, column, out=out, casting="unsafe")
    return out


def _add(table: Floats, numbers: NDArray[np.signedinteger], weights: Floats | None) -> None:
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


Axes = tuple[int, ...]  # positions of the attributes of a clique

MIN_JOINT_LINES = 20_000  # below, the search costs more than it saves
MAX_SHARED_CELLS = 2**17  # of a shared table: what stays in a core's cache
MAX_OPEN_TABLES = 32  # tables that a clique may join: the search grows with it

# Nanoseconds on a common core, good to a factor of two, which is all that the choice needs.
PER_LINE, PER_LINE_AND_AXIS, PER_CELL = 1.0, 0.5, 1.0


@dataclass(frozen=True)
class Cover:
    """A table to count, and the positions of the cliques that are summed from it."""

    axes: Axes
    members: tuple[int, ...]


@dataclass
class _Draft:
    axes: set[int]
    cells: int
    members: list[int]


def cover(cliques: Sequence[Axes], sizes: Sequence[int], lines: int) -> list[Cover]:
    """Return tables from which each clique can be summed, at little cost for so many lines.

    Greedy, the largest cliques first: each joins the table that it makes least more expensive,
    or opens its own.

    >>> cover([(0, 1), (1, 2), (0, 2)], sizes=(5, 5, 5), lines=1_000_000)
    [Cover(axes=(0, 1, 2), members=(0, 1, 2))]
    """
    if lines < MIN_JOINT_LINES:
        return [Cover(clique, (position,)) for position, clique in enumerate(cliques)]
    cells = [prod(sizes[axis] for axis in clique) for clique in cliques]
    drafts: list[_Draft] = []
    for position in sorted(range(len(cliques)), key=lambda i: -cells[i]):
        clique = cliques[position]
        alone = lines * (PER_LINE + PER_LINE_AND_AXIS * len(clique)) + PER_CELL * cells[position]
        _join(drafts, _Draft(set(clique), cells[position], [position]), alone, sizes, lines)
    return [_finished(draft, cliques, sizes) for draft in drafts]


def _join(
    drafts: list[_Draft], wanted: _Draft, alone: float, sizes: Sequence[int], lines: int
) -> None:
    """Add one clique to the draft that takes it for less than ``alone``, else as a new one."""
    least, best, best_cells = alone, None, 0
    for draft in drafts[-MAX_OPEN_TABLES:]:
        if PER_CELL * draft.cells >= least:
            continue
        new = wanted.axes - draft.axes
        cells = draft.cells * prod(sizes[axis] for axis in new)
        if cells > MAX_SHARED_CELLS and new:
            continue
        members = len(draft.members)
        visits = PER_CELL * (cells * (members + 1) - draft.cells * members)
        cost = visits + PER_LINE_AND_AXIS * lines * len(new)
        if cost < least:
            least, best, best_cells = cost, draft, cells
    if best is None:
        drafts.append(wanted)
    else:
        best.axes |= wanted.axes
        best.cells = best_cells
        best.members += wanted.members


def _finished(draft: _Draft, cliques: Sequence[Axes], sizes: Sequence[int]) -> Cover:
    if len(draft.members) == 1:
        return Cover(cliques[draft.members[0]], tuple(draft.members))
    # The longest axis last: sums then go over long contiguous runs.
    ordered = sorted(draft.axes, key=lambda axis: (sizes[axis], axis))
    return Cover(tuple(ordered), tuple(draft.members))


Words = list[NDArray[np.int64]]

MAX_NUMBERED_CELLS = 2**63


def runs(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the sizes in runs, each of at most 2**63 cells; one run where all fit.

    >>> runs((10, 2**62, 4, 5))
    [(10,), (4611686018427387904,), (4, 5)]
    """
    found: list[tuple[int, ...]] = [()]
    for size in shape:
        if prod(found[-1]) * size > MAX_NUMBERED_CELLS:
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
        found.append(grouped(words, None if columns.weights is None else columns.weights[part]))
        # Merged when the rest is as long as what was merged before: each cell moves rarely.
        if sum(len(counts) for _, counts in found[1:]) > len(found[0][1]):
            found = [merged(found)]
    nothing = [np.empty(0, dtype=np.int64) for _ in radices]
    return _in_c_order(*merged(found)) if found else (nothing, np.empty(0))


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


def merged(parts: Sequence[tuple[Words, Floats]]) -> tuple[Words, Floats]:
    """Return the distinct lines of several parts, each once, with the sum of its weights."""
    if len(parts) == 1:
        return parts[0]
    words = [np.concatenate(word) for word in zip(*(words for words, _ in parts), strict=True)]
    return grouped(words, np.concatenate([counts for _, counts in parts]))


def grouped(words: Words, weights: Floats | None) -> tuple[Words, Floats]:
    """Return each distinct line of words once, with the sum of its weights; one word in order.

    Lines of several words are sorted by a number mixed of them, which is quicker than by one
    word after another; where two lines share that number, they are sorted by their words.
    """
    if weights is None and len(words) == 1:
        ordered = [np.sort(words[0])]
        starts = np.flatnonzero(_begins(ordered))
        return [ordered[0][starts]], np.diff(starts, append=len(ordered[0])).astype(np.float64)
    key = words[0] if len(words) == 1 else _mixed(words)
    order = np.argsort(key)
    ordered = [word[order] for word in words]
    first = _begins(ordered)
    if len(words) > 1 and np.any(first & ~_begins([key[order]])):  # two lines of one number
        order = np.lexsort(words[::-1])
        ordered = [word[order] for word in words]
        first = _begins(ordered)
    starts = np.flatnonzero(first)
    if weights is None:
        counts = np.diff(starts, append=len(order)).astype(np.float64)
    else:
        counts = np.add.reduceat(weights[order], starts) if len(starts) else np.empty(0)
    return [word[starts] for word in ordered], counts


def _in_c_order(words: Words, counts: Floats) -> tuple[Words, Floats]:
    if len(words) == 1:
        return words, counts  # as grouped() leaves them
    order = np.lexsort(words[::-1])
    return [word[order] for word in words], counts[order]


def _begins(ordered: Words) -> NDArray[np.bool_]:
    """Tell which lines differ from the one before."""
    first = np.zeros(len(ordered[0]), dtype=bool)
    first[:1] = True
    for word in ordered:
        first[1:] |= word[1:] != word[:-1]
    return first


def _mixed(words: Words) -> NDArray[np.int64]:
    """Return a number for each line, which other lines hardly ever have (after splitmix64)."""
    key = np.zeros(len(words[0]), dtype=np.uint64)
    for word in words:
        key ^= word.view(np.uint64)
        key *= np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key.view(np.int64)
