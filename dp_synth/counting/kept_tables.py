"""Counts of records that stay elsewhere: what was told is kept, and coarser counts are its sums."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.columns import Column
from dp_synth.counting.marginals import dense_shape
from dp_synth.domain import Domain
from dp_synth.errors import RowsNeeded
from dp_synth.types import Clique, Codes, Floats

MOST_CELLS = 2**24  # of all tables that are kept: 128 MB


@dataclass(frozen=True, eq=False)
class Kept:
    """Exact counts over a clique, and the group of each code of those attributes that have some."""

    clique: Clique
    groups: Mapping[str, Codes]
    table: Floats

    def told(self, clique: Clique, groups: Mapping[str, Codes]) -> Floats | None:
        """Return the counts over other groups; None where the own ones do not tell them.

        They do where all codes of one own group are of one group there.
        """
        if not set(clique) <= set(self.clique):
            return None
        merged = {}
        for name in clique:
            own, wanted = self.groups.get(name), groups.get(name)
            if own is None:
                merged[name] = wanted
                continue
            if wanted is None:
                wanted = np.arange(len(own), dtype=np.int32)
            firsts = wanted[np.unique(own, return_index=True)[1]]
            if not np.array_equal(firsts[own], wanted):
                return None
            merged[name] = firsts
        others = tuple(axis for axis, name in enumerate(self.clique) if name not in clique)
        table = np.asarray(self.table.sum(axis=others))
        left = [name for name in self.clique if name in clique]
        for axis, name in enumerate(left):
            group = merged[name]
            if group is not None:
                table = _summed(table, axis, group)
        ordered = table.transpose([left.index(name) for name in clique])
        return np.array(ordered, order="C")  # ascontiguousarray gives the total an axis


def _summed(table: Floats, axis: int, group: Codes) -> Floats:
    if np.array_equal(group, np.arange(len(group))):
        return table
    moved = np.moveaxis(table, axis, 0)
    sums = np.zeros((int(group.max()) + 1, *moved.shape[1:]))
    np.add.at(sums, group, moved)
    return np.moveaxis(sums, 0, axis)


@dataclass(eq=False)
class KeptTables:
    """What was counted of one table of records, as much as there is room for."""

    tables: list[Kept] = field(default_factory=list)
    left: int = MOST_CELLS

    def find(self, clique: Clique, groups: Mapping[str, Codes]) -> Floats | None:
        """Return the counts over groups of a clique's codes from the smallest table that has them.

        None where there is none.
        """
        for known in sorted(self.tables, key=lambda one: one.table.size):
            found = known.told(clique, groups)
            if found is not None:
                return found
        return None

    def keep(self, clique: Clique, groups: Mapping[str, Codes], table: Floats) -> None:
        """Keep a table where there is room."""
        if table.size <= self.left:
            self.left -= table.size
            own = {name: groups[name] for name in clique if name in groups}
            self.tables.append(Kept(clique, own, table.copy()))


class DistantCounts(ABC):
    """Exact counts of records that stay where they are: marginals come, and nothing else.

    ``domain`` has the codes after ``groups`` have relabelled those of some attributes. What was
    told is not asked again, nor what is a sum of that.
    """

    where: ClassVar[str]  # they stay

    def __init__(self, domain: Domain, groups: Mapping[str, Codes], kept: KeptTables) -> None:
        self.domain = domain
        self._groups = dict(groups)
        self._kept = kept

    @abstractmethod
    def _asked(self, cliques: Sequence[Clique]) -> list[Floats]:
        """Ask for the marginal over each clique; InputError where nobody answers."""

    @abstractmethod
    def _over(self, domain: Domain, groups: Mapping[str, Codes]) -> Self:
        """Return the counts of the same records over other groups."""

    def marginal(self, clique: Clique) -> Floats:
        """Return the counts over ``clique``, axes in its order; errors as `dense_shape`."""
        return self.marginals([clique])[0]

    def marginals(self, cliques: Sequence[Clique]) -> list[Floats]:
        """Return the marginal over each clique; those not known are asked for together.

        Errors as `dense_shape`, before any is asked for. InputError where nobody answers.
        """
        for clique in cliques:
            dense_shape(self.domain, clique)
        known = {c: self._kept.find(c, self._groups) for c in dict.fromkeys(cliques)}
        new = [clique for clique, found in known.items() if found is None]
        for clique, table in zip(new, self._asked(new) if new else [], strict=True):
            self._kept.keep(clique, self._groups, table)
            known[clique] = table
        return [np.array(known[clique]) for clique in cliques]

    def sparse_marginal(self, clique: Clique) -> tuple[NDArray[np.int64], Floats]:
        """Return the numbers of the cells with records, in C order, and their counts.

        RowsNeeded where the cells are too many for a marginal: they would be the records.
        """
        try:
            dense_shape(self.domain, clique)
        except ValueError:
            raise RowsNeeded(f"records stay {self.where}: only marginals come") from None
        table = self.marginal(clique).reshape(-1)
        numbers = np.flatnonzero(table).astype(np.int64)
        return numbers, table[numbers]

    def occupied(self, clique: Clique) -> tuple[Codes, Floats]:
        """Return the codes of the cells with records, and their counts; errors as above."""
        numbers, counts = self.sparse_marginal(clique)
        shape = self.domain.shape(clique)
        codes = np.stack(np.unravel_index(numbers, shape), axis=1) if clique else numbers[:, None]
        return codes[:, : len(clique)].astype(np.int32), counts

    def blocks(self, clique: Clique) -> Iterator[tuple[list[Column], Floats | None]]:
        """Yield the codes of the cells with records, and their counts; errors as above."""
        codes, counts = self.occupied(clique)
        yield list(codes.T), counts

    def coarsened(self, groups: Mapping[str, Codes]) -> Self:
        """Return the records with codes of some attributes relabelled: see Domain.coarsened."""
        both = dict(self._groups)
        for name, group in groups.items():
            known = both.get(name)
            both[name] = group if known is None else group[known]
        return self._over(self.domain.coarsened(groups), both)
