"""Marginals that are kept with the groups of codes they are over: coarser ones are sums of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

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
