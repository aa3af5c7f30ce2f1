"""Factor operations: tables summed onto some of their axes and scaled along them.

Plain numpy needs ten times as long where the last axis of a table is short, as it is wherever the
last attribute is a label of two classes: its inner loops are as long as that axis.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.types import Clique, Floats, Integers

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Scalar = TypeVar("Scalar", bound=np.generic)

SHORT = 8  # an inner loop of fewer cells costs more to start than to run
MANY_TABLES = 60  # of a tree: so many, and small, are summed together
SMALL_TABLE = 4_096  # cells
MATRIX_CELLS = 16_384  # the largest matrix of zeros and ones kept for one product


@dataclass(frozen=True, eq=False)
class Fold:
    """Sum of tables of one shape onto the axes in ``kept``, and the way back from a message.

    A message has a cell for each that is left. Tables are C-contiguous; messages are flat, in C
    order of the axes that are kept.

    >>> fold = Fold((2, 3), (1,))
    >>> table = np.arange(6.0).reshape(2, 3)
    >>> fold.sum(table)
    array([3., 5., 7.])
    >>> fold.add(table, np.array([10.0, 20.0, 30.0]))
    >>> table[1]
    array([13., 24., 35.])
    """

    shape: tuple[int, ...]
    kept: Collection[int]

    def sum(self, table: Floats) -> Floats:
        """Return the message that sums out the other axes, in memory of its own."""
        flat = table.reshape(-1)
        for before, size, after, matrix in self._sums:
            if before == after == 1:
                flat = np.add.reduce(flat, keepdims=True)
            elif after == 1 or matrix.ndim == 2:
                flat = (flat.reshape(before, size * after) @ matrix).reshape(-1)
            else:
                flat = (matrix @ flat.reshape(before, size, after)).reshape(-1)
        return flat if self._sums else flat.copy()

    def max(self, table: Floats) -> Floats:
        """Return the message of the largest cells along the other axes."""
        return np.asarray(table.max(axis=self._others).reshape(-1))

    def any(self, table: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the message that says where some cell along the other axes is true."""
        return np.asarray(table.any(axis=self._others).reshape(-1))

    def spread(self, message: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return the message as an array that broadcasts to the table's shape."""
        return message.reshape([n if i in self.kept else 1 for i, n in enumerate(self.shape)])

    def add(self, table: Floats, message: Floats) -> None:
        """Add the message to the table, in place."""
        self._apply(np.add, table, message)

    def multiply(self, table: Floats, message: Floats) -> None:
        """Multiply the table by the message, in place."""
        self._apply(np.multiply, table, message)

    def _apply(self, operation: np.ufunc, table: Floats, message: Floats) -> None:
        for matrix in self._growth.matrices:
            message = message.reshape(-1, len(matrix)) @ matrix
        view = table.reshape(self._growth.table_shape)
        operation(view, message.reshape(self._growth.message_shape), out=view)

    @property
    def _others(self) -> tuple[int, ...]:
        return tuple(i for i in range(len(self.shape)) if i not in self.kept)

    @cached_property
    def _groups(self) -> tuple[tuple[int, bool], ...]:
        """Neighbouring axes that are all kept, or all summed out, joined into one."""
        return _merged([(n, i in self.kept) for i, n in enumerate(self.shape) if n > 1])

    @cached_property
    def _sums(self) -> tuple[tuple[int, int, int, Floats], ...]:
        """Steps that sum one group each, the longest first: cells before, in and after it."""
        groups, steps = list(self._groups), []
        while not all(kept for _, kept in groups):
            sizes = [size for size, _ in groups]
            place = max(range(len(groups)), key=lambda i: (not groups[i][1], sizes[i], i))
            before, size, after = prod(sizes[:place]), sizes[place], prod(sizes[place + 1 :])
            steps.append((before, size, after, _summing(before, size, after)))
            groups = list(_merged([*groups[:place], *groups[place + 1 :]]))
        return tuple(steps)

    @cached_property
    def _growth(self) -> _Growth:
        """How a message grows until the inner loop of its broadcast is long enough."""
        groups, matrices = list(self._groups), []
        while len(groups) > 1 and groups[-1][0] < SHORT:
            (before, _), (size, kept) = groups[-2:]
            if kept and size * size * before > MATRIX_CELLS:
                break
            matrices.append(np.tile(np.eye(size), before) if kept else np.ones((1, size)))
            groups = list(_merged([*groups[:-2], (before * size, True)]))
        return _Growth(
            tuple(matrices),
            tuple(size for size, _ in groups),
            tuple(size if kept else 1 for size, kept in groups),
        )


@dataclass(frozen=True, eq=False)
class _Growth:
    """Matrices that repeat a message's cells, and the shapes in which it then broadcasts."""

    matrices: tuple[Floats, ...]
    table_shape: tuple[int, ...]
    message_shape: tuple[int, ...]


def _merged(groups: list[tuple[int, bool]]) -> tuple[tuple[int, bool], ...]:
    merged: list[tuple[int, bool]] = []
    for size, kept in groups:
        if merged and merged[-1][1] == kept:
            merged[-1] = (merged[-1][0] * size, kept)
        else:
            merged.append((size, kept))
    return tuple(merged)


def _summing(before: int, size: int, after: int) -> Floats:
    """Return the ones that sum a group; with short loops behind it, the whole step as a matrix."""
    if before > 1 and 1 < after <= SHORT and size * after * after <= MATRIX_CELLS:
        return np.tile(np.eye(after), (size, 1))
    return np.ones(size if before * after > 1 else 1)


@dataclass(frozen=True, eq=False)
class Projections:
    """Marginals of one table over ``shape``: subsets asked of it as it is, and those of its sums.

    Subsets share their sums: the attribute that the fewest of them need is summed out once for
    all that can do without it. The largest table is so read two or three times and not once a
    subset; the log potential of a clique, a sum over its subsets, is put together the same way.
    """

    shape: tuple[int, ...]
    here: tuple[int, ...]
    below: tuple[tuple[Fold, Projections], ...]
    incidence: csr_array | None = None  # of a small table with all of its subsets, in ``here``
    ends: tuple[int, ...] = ()  # of the subsets' parameters, in the incidence

    @classmethod
    def of(
        cls, domain: Domain, clique: Clique, wanted: Mapping[int, Clique], at_once: int = 0
    ) -> Projections:
        """Return the projections of ``clique`` onto numbered subsets, each in its own order.

        Several of a table of at most ``at_once`` cells are taken by one sparse matrix.
        """
        if len(wanted) > 1 and domain.cells(clique) <= at_once:
            ends = tuple(accumulate(map(domain.cells, wanted.values())))
            starts = dict(zip(wanted, (0, *ends), strict=False))
            whole = (clique, domain.shape(clique), wanted)
            matrix = _incidence([whole], starts, ends[-1])
            return cls(domain.shape(clique), tuple(wanted), (), matrix, ends[:-1])
        here = tuple(number for number, subset in wanted.items() if subset == clique)
        left = {number: subset for number, subset in wanted.items() if subset != clique}
        below = []
        while left:
            least = max(
                clique, key=lambda a: (sum(a not in s for s in left.values()), domain.size(a))
            )
            without = {number: s for number, s in left.items() if least not in s}
            left = {number: s for number, s in left.items() if least in s}
            rest = tuple(a for a in clique if a != least)
            kept = tuple(i for i, a in enumerate(clique) if a != least)
            below.append((Fold(domain.shape(clique), kept), cls.of(domain, rest, without, at_once)))
        return cls(domain.shape(clique), here, tuple(below))

    def collect(self, table: Floats, into: dict[int, Floats]) -> None:
        """Write the sums of ``table`` into ``into``, flat, at the numbers of their subsets."""
        if self.incidence is not None:
            sums = np.asarray(self.incidence.T @ table.reshape(-1))
            into.update(zip(self.here, np.split(sums, self.ends), strict=True))
            return
        for number in self.here:
            into[number] = table.reshape(-1)
        for fold, smaller in self.below:
            smaller.collect(fold.sum(table), into)

    def spread(self, parameters: Sequence[Floats]) -> Floats:
        """Return the table whose cells are the sums of their subsets' parameters, given flat."""
        if self.incidence is not None:
            own = np.concatenate([parameters[number] for number in self.here])
            return np.asarray(self.incidence @ own).reshape(self.shape)
        table = np.zeros(self.shape)
        for number in self.here:
            table += parameters[number].reshape(self.shape)
        for fold, smaller in self.below:
            fold.add(table, smaller.spread(parameters).reshape(-1))
        return table


@dataclass(frozen=True, eq=False)
class TreeProjections:
    """Marginals of all tables of a tree, and log potentials from parameters that lie flat.

    Of hundreds of small tables the calls cost more than the sums, so that these are taken at
    once: ``incidence`` is the sparse matrix, cells by parameters, of what each cell is part of.
    """

    count: int  # of parameters
    shapes: tuple[tuple[int, ...], ...]
    small: tuple[int, ...]
    large: Mapping[int, Projections]
    starts: tuple[int, ...]  # of each subset's parameters
    incidence: csr_array | None  # without small tables none

    @classmethod
    def of(
        cls,
        domain: Domain,
        cliques: Sequence[Clique],
        wanted: Mapping[int, Mapping[int, Clique]],
        at_once: int = 0,
    ) -> TreeProjections:
        """Return the projections of each clique onto its numbered subsets, in domain order.

        Sums of at most ``at_once`` cells are taken as in `Projections.of`.
        """
        subsets = {number: subset for own in wanted.values() for number, subset in own.items()}
        cells = [domain.cells(subsets[number]) for number in range(len(subsets))]
        starts = (0, *accumulate(cells))
        shapes = tuple(map(domain.shape, cliques))
        many = len(cliques) > MANY_TABLES
        small = tuple(i for i, shape in enumerate(shapes) if many and prod(shape) <= SMALL_TABLE)
        large = {
            i: Projections.of(domain, clique, wanted[i], at_once)
            for i, clique in enumerate(cliques)
            if i not in {*small}
        }
        wide = {i: (cliques[i], shapes[i], wanted[i]) for i in small}
        incidence = _incidence(wide.values(), starts, starts[-1]) if small else None
        return cls(starts[-1], shapes, small, large, starts[:-1], incidence)

    def collect(self, tables: Sequence[Floats]) -> Floats:
        """Return the sums of the tables, flat."""
        if self.incidence is not None:
            flat = np.concatenate([tables[i].reshape(-1) for i in self.small])
            found = np.asarray(self.incidence.T @ flat)
        else:
            found = np.empty(self.count)
        into: dict[int, Floats] = {}
        for i, projections in self.large.items():
            projections.collect(tables[i], into)
        for number, values in into.items():
            found[self.starts[number] : self.starts[number] + values.size] = values
        return found

    def spread(self, parameters: Floats) -> list[Floats]:
        """Return the tables whose cells are the sums of their subsets' parameters."""
        tables = [np.empty(0)] * len(self.shapes)
        if self.large:
            parts = np.split(parameters, self.starts[1:]) if self.starts else []
            for i, projections in self.large.items():
                tables[i] = projections.spread(parts)
        if self.incidence is None:
            return tables
        cells, start = self.incidence @ parameters, 0
        for i in self.small:
            end = start + prod(self.shapes[i])
            tables[i] = cells[start:end].reshape(self.shapes[i])
            start = end
        return tables


def _incidence(
    tables: Iterable[tuple[Clique, tuple[int, ...], Mapping[int, Clique]]],
    starts: Sequence[int] | Mapping[int, int],
    count: int,
) -> csr_array:
    """Return which parameters each cell of the tables, one after another, is the sum of."""
    from scipy.sparse import csr_array  # few fits need it

    columns, counts = [np.empty(0, dtype=np.int64)], [np.zeros(1, dtype=np.int64)]
    for clique, shape, wanted in tables:
        places = [starts[number] + _places(clique, shape, own) for number, own in wanted.items()]
        if places:
            columns.append(np.stack(places, axis=1).reshape(-1))
        counts.append(np.full(prod(shape), len(places)))
    column, ends = np.concatenate(columns), np.cumsum(np.concatenate(counts))
    return csr_array((np.ones(len(column)), column, ends), shape=(len(ends) - 1, count))


def _places(clique: Clique, shape: tuple[int, ...], subset: Clique) -> Integers:
    """Return the cell of a marginal that each cell of a table is part of, axes in one order."""
    own = [
        size if attribute in subset else 1 for attribute, size in zip(clique, shape, strict=True)
    ]
    return np.broadcast_to(np.arange(prod(own)).reshape(own), shape).reshape(-1)
