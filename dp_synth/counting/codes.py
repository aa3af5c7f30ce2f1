"""A store of coded records that counts marginals in blocks, by the cheapest way it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting import dense, sparse
from dp_synth.counting.base import LARGEST_DENSE, dense_shape
from dp_synth.counting.columns import Columns, MemoryColumns
from dp_synth.domain import Clique, Codes, Domain

Floats = NDArray[np.float64]

CELLS_A_LINE = 8  # so many cells cost as much to count densely as a line costs to sort
MOST_JOINT_CELLS = 2**22  # of the whole domain, where equal records may be taken together


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
        return dense.count(self._columns, self.domain.sizes, [self._axes(c) for c in cliques])

    def sparse_marginal(self, clique: Clique) -> tuple[NDArray[np.int64], Floats]:
        """Return the numbers of the cells with records, in C order, and their counts.

        ValueError when the cells are too many to be numbered by int64: see `occupied`.
        """
        if (cells := self.domain.cells(clique)) > sparse.MOST_NUMBERS:
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
        return sparse.codes_of(words, self.domain.shape(clique)), counts

    def coarsened(self, groups: Mapping[str, Codes]) -> CodeCounts:
        """Return the records with codes of some attributes relabelled: see Domain.coarsened.

        Records on disk are relabelled as they are read, from the same files.
        """
        for name, group in groups.items():
            if len(group) != (size := self.domain.size(name)):
                raise ValueError(f"groups of {name!r} must give each of its {size} codes a number")
        by_axis = {self.domain.axis(name): group for name, group in groups.items()}
        return CodeCounts(self._columns.relabelled(by_axis), self.domain.coarsened(groups))

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
            return sparse.count_occupied(self._columns, self.domain.sizes, self._axes(clique))
        several = tuple(a for a in clique if self.domain.size(a) > 1)  # as few axes as can be
        table = self.marginal(several).reshape(-1)
        numbers = np.flatnonzero(table).astype(np.int64)
        return [numbers], table[numbers]


def _condensed(columns: Columns, sizes: tuple[int, ...]) -> Columns:
    """Return each distinct line once with its weight, where that at least halves the lines."""
    cells, lines = prod(sizes), len(columns)
    if not sizes or cells > min(CELLS_A_LINE * lines, MOST_JOINT_CELLS):
        return columns
    # An axis for each column of several codes alone: so few cells have 22 of them at most.
    several = tuple(axis for axis, size in enumerate(sizes) if size > 1)
    (joint,) = dense.count(columns, sizes, [several])
    table = joint.reshape(-1)
    present = np.flatnonzero(table).astype(np.int64)
    if 2 * len(present) > lines:
        return columns
    codes = sparse.codes_of([present], sizes)
    return MemoryColumns(list(codes.T), len(present), table[present])
