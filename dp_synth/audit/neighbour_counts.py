"""All neighbours of a private table, as counts that differ from its own by a record or two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Adjacency, Reservation
from dp_synth.counting import CachedCounts, CodeCounts, Counts
from dp_synth.counting.columns import Column
from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.mechanisms.simulation import watched
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.types import Clique, Codes, Floats, Integers

NONE = -1  # in place of the number of a record
Change = Callable[[PrivateTable], PrivateTable]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Neighbours of a table: which of ``records`` each lacks, and which it has more; `NONE`.

    ``records`` are distinct, shape (records, attributes); ``removed`` and ``added`` count them,
    shape (neighbours,). ``possible`` is how many neighbours there are: equal records are one.
    """

    records: Codes
    removed: Integers
    added: Integers
    possible: int

    def __len__(self) -> int:
        return len(self.removed)

    @property
    def is_complete(self) -> bool:
        """Whether these are all neighbours."""
        return len(self) == self.possible

    @classmethod
    def of(
        cls, counts: Counts, adjacency: Adjacency, most: int, rng: np.random.Generator
    ) -> Neighbours:
        """Return all neighbours over the domain of ``counts``, or ``most`` that are drawn.

        InputError for a table without any.
        """
        domain = counts.domain
        present, _ = counts.occupied(domain.attributes)
        cells, replaced = prod(domain.sizes), adjacency == "replace_one"
        possible = len(present) * (cells - 1) if replaced else len(present) + cells
        if not possible:
            raise InputError("a table without records, or of one cell, has no neighbours to replay")
        if possible > most:
            return cls._drawn(domain, present, most, rng, replaced=replaced, possible=possible)
        records = _codes(np.arange(cells), domain)
        places = np.ravel_multi_index(tuple(present.T), domain.sizes).astype(np.int64)
        every = np.arange(cells, dtype=np.int64)
        if replaced:
            removed, added = np.repeat(places, cells), np.tile(every, len(places))
            kept = removed != added
            return cls(records, removed[kept], added[kept], possible)
        none_of = np.full(len(places), NONE), np.full(cells, NONE)
        removed = np.concatenate([places, none_of[1]])
        return cls(records, removed, np.concatenate([none_of[0], every]), possible)

    @classmethod
    def _drawn(
        cls,
        domain: Domain,
        present: Codes,
        most: int,
        rng: np.random.Generator,
        *,
        replaced: bool,
        possible: int,
    ) -> Neighbours:
        """Draw neighbours: added records are of any cells, or one cell away from a present one."""
        count = most if replaced else max(1, most - min(len(present), most // 2))
        anywhere = rng.integers(0, domain.sizes, (count, len(domain)))
        if len(present):
            near = present[rng.integers(len(present), size=count)]
            away = rng.random(near.shape) < 1 / len(domain)
            chosen = rng.random(count) < 0.5
            anywhere = np.where(chosen[:, None], np.where(away, anywhere, near), anywhere)
        lines = np.arange(len(present))
        if len(lines) > most // 2 and not replaced:
            lines = rng.choice(lines, most // 2, replace=False)
        records, number = np.unique(
            np.concatenate([present, anywhere]).astype(np.int32), axis=0, return_inverse=True
        )
        number = number.reshape(-1).astype(np.int64)
        own, added = number[: len(present)], number[len(present) :]
        if replaced:
            removed = own[rng.integers(len(present), size=count)]
        else:
            removed = np.concatenate([own[lines], np.full(count, NONE)])
            added = np.concatenate([np.full(len(lines), NONE), added])
        pairs = np.unique(np.stack([removed, added]), axis=1)
        pairs = pairs[:, pairs[0] != pairs[1]]
        return cls(records, pairs[0], pairs[1], possible)

    def with_changed(
        self, number: int, domain: Domain, present: Codes, rng: np.random.Generator, tries: int
    ) -> Neighbours:
        """Return neighbours near one of these: another value of its record, or another removed."""
        added, removed = int(self.added[number]), int(self.removed[number])
        more = np.full((tries, len(domain)), NONE, dtype=np.int32)
        fewer = more.copy()
        if added != NONE:
            more[:] = self.records[added]
            axes = rng.integers(len(domain), size=tries)
            more[np.arange(tries), axes] = rng.integers(0, np.array(domain.sizes)[axes])
        if removed != NONE:
            fewer[:] = self.records[removed]
            others = rng.random(tries) < (0.5 if added != NONE else 1.0)
            fewer[others] = present[rng.integers(len(present), size=int(others.sum()))]
        records, places = np.unique(np.concatenate([more, fewer]), axis=0, return_inverse=True)
        numbers = np.where((records < 0).any(axis=1), NONE, np.arange(len(records)))
        both = numbers[places.reshape(-1)].reshape(2, -1).astype(np.int64)
        both = np.unique(both[:, both[0] != both[1]], axis=1)
        return Neighbours(records, both[1], both[0], self.possible)

    def label(self, number: int) -> str:
        """Return a neighbour in words: its codes, which are private."""
        words = []
        for verb, places in (("without", self.removed), ("with", self.added)):
            if places[number] != NONE:
                words.append(f"{verb} {tuple(self.records[places[number]].tolist())}")
        return ", ".join(words)


@dataclass(frozen=True, eq=False)
class NeighbourTables:
    """The neighbours of a table after the public ``changes`` of its codes, as private tables."""

    counts: SharedCounts
    neighbours: Neighbours
    payer: Reservation
    changes: tuple[Change, ...] = ()

    @classmethod
    def of(cls, counts: Counts, neighbours: Neighbours, payer: Reservation) -> NeighbourTables:
        """Return the neighbours of a table as it was read, before any change of its codes."""
        return cls(SharedCounts(counts), neighbours, payer)

    def changed(self, changes: tuple[Change, ...]) -> NeighbourTables:
        """Return the same neighbours after these changes."""
        return NeighbourTables(self.counts, self.neighbours, self.payer, changes)

    def __iter__(self) -> Iterator[PrivateTable]:
        """Yield the neighbours, one after another."""
        return iter(self._tables)

    @cached_property
    def _tables(self) -> list[PrivateTable]:
        near = self.neighbours
        return [
            self._changed(ShiftedCounts(self.counts, _record(near, fewer), _record(near, more)))
            for fewer, more in zip(near.removed.tolist(), near.added.tolist(), strict=True)
        ]

    @property
    def own(self) -> PrivateTable:
        """The table itself, after the changes."""
        return self._changed(ShiftedCounts(self.counts, None, None))

    @cached_property
    def codes(self) -> Codes:
        """The records of the neighbours after the changes, which treat each column by itself."""
        domain = self.counts.domain
        found = []
        for axis, size in enumerate(domain.sizes):
            line = np.zeros((1, len(domain)), dtype=np.int32)
            into = np.empty(size, dtype=np.int32)
            for code in np.unique(self.neighbours.records[:, axis]).tolist():
                line[0, axis] = code
                changed = self._changed(CodeCounts.of(line.copy(), domain))
                into[code] = changed.exact_records()[0][0, axis]
            found.append(into[self.neighbours.records[:, axis]])
        return np.stack(found, axis=1)

    def _changed(self, counts: Counts) -> PrivateTable:
        with watched(None):
            table = PrivateTable(counts, counts.domain, self.payer)
            for change in self.changes:
                table = change(table)
        return table


class SharedCounts:
    """Counts that many neighbours start from: each marginal and each coarser copy is made once."""

    def __init__(self, source: Counts) -> None:
        self.domain = source.domain
        self.counts = CachedCounts(source)
        self._coarse: dict[int, tuple[Mapping[str, Codes], SharedCounts]] = {}

    def coarsened(self, groups: Mapping[str, Codes]) -> SharedCounts:
        """Return the same after these groups: the same object for the same mapping."""
        if id(groups) not in self._coarse:
            coarse = SharedCounts(self.counts.source.coarsened(groups))
            self._coarse[id(groups)] = groups, coarse
        return self._coarse[id(groups)][1]


Record = tuple[int, ...]


class ShiftedCounts:
    """The counts of a table without a record, with another one, or both."""

    def __init__(self, base: SharedCounts, removed: Record | None, added: Record | None) -> None:
        self.domain = base.domain
        self._base = base
        self._moved = [(one, by) for one, by in ((removed, -1.0), (added, 1.0)) if one is not None]
        self._ends = removed, added

    def __len__(self) -> int:
        return len(self._base.counts) + int(sum(by for _, by in self._moved))

    def marginal(self, clique: Clique) -> Floats:
        """Return the counts over ``clique``; errors as `dense_shape`."""
        return self.marginals([clique])[0]

    def marginals(self, cliques: Sequence[Clique]) -> list[Floats]:
        """Return the marginal over each clique."""
        found = []
        for clique, known in zip(cliques, self._base.counts.marginals(cliques), strict=True):
            table = known.copy()
            axes = [self.domain.axis(attribute) for attribute in clique]
            for record, by in self._moved:
                table[tuple(record[axis] for axis in axes)] += by
            found.append(table)
        return found

    def sparse_marginal(self, clique: Clique) -> tuple[NDArray[np.int64], Floats]:
        """Return the cells with records and their counts."""
        table = self.marginal(clique).reshape(-1)
        cells = np.flatnonzero(table).astype(np.int64)
        return cells, table[cells]

    def occupied(self, clique: Clique) -> tuple[Codes, Floats]:
        """Return the codes of the cells with records and their counts."""
        codes, counts = self._base.counts.occupied(clique)
        axes = [self.domain.axis(attribute) for attribute in clique]
        lines = [[record[axis] for axis in axes] for record, _ in self._moved]
        every = np.concatenate([codes, np.array(lines, dtype=np.int32).reshape(-1, len(axes))])
        weights = np.concatenate([counts, [by for _, by in self._moved]])
        found, places = np.unique(every, axis=0, return_inverse=True)
        sums = np.bincount(places.reshape(-1), weights, minlength=len(found))
        return found[sums > 0].astype(np.int32), np.asarray(sums[sums > 0], dtype=np.float64)

    def blocks(self, clique: Clique) -> Iterator[tuple[list[Column], Floats | None]]:
        """Yield the codes of ``clique``, and how many records each line stands for."""
        codes, counts = self.occupied(clique)
        yield list(codes.T), counts

    def coarsened(self, groups: Mapping[str, Codes]) -> ShiftedCounts:
        """Return the records with codes of some attributes relabelled."""
        removed, added = (
            None
            if record is None
            else tuple(
                int(groups[name][code]) if name in groups else code
                for name, code in zip(self.domain, record, strict=True)
            )
            for record in self._ends
        )
        return ShiftedCounts(self._base.coarsened(groups), removed, added)


def _record(neighbours: Neighbours, number: int) -> Record | None:
    return None if number == NONE else tuple(neighbours.records[number].tolist())


def _codes(numbers: Integers, domain: Domain) -> Codes:
    return np.stack(np.unravel_index(numbers, domain.sizes), axis=1).astype(np.int32)
