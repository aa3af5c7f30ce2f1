"""A cache of exact marginals: each is counted once, and coarser ones are sums of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dp_synth.counting.columns import Column
from dp_synth.counting.marginals import Counts, dense_shape
from dp_synth.domain import Domain, ParitySets
from dp_synth.types import Clique, Codes, Floats

MAX_CACHED_CELLS = 2**24  # of all marginals that are kept: 128 MB
MAX_SUMMED_CELLS = 2**18  # larger marginals are quicker counted anew than summed


class CachedCounts:
    """Counts whose marginals are kept; coarsened copies add up what is kept here.

    Marginals are handed out as they are kept, and cannot be written to.
    """

    def __init__(self, source: Counts) -> None:
        self.domain = source.domain
        self.source = source
        self._cached: dict[Clique, Floats] = {}
        self._cells_left = MAX_CACHED_CELLS

    def __len__(self) -> int:
        return len(self.source)

    def marginal(self, clique: Clique) -> Floats:
        """Return the counts over ``clique``; errors as `dense_shape`."""
        return self.marginals([clique])[0]

    def marginals(self, cliques: Sequence[Clique]) -> list[Floats]:
        """Return the marginal over each clique; those not known are counted together."""
        new = [clique for clique in dict.fromkeys(cliques) if clique not in self._cached]
        found = dict(zip(new, self.source.marginals(new), strict=True)) if new else {}
        for clique, table in found.items():
            if table.size <= self._cells_left:
                self._cells_left -= table.size
                table.setflags(write=False)
                self._cached[clique] = table
        return [self._cached[c] if c in self._cached else found[c] for c in cliques]

    def sparse_marginal(self, clique: Clique) -> tuple[NDArray[np.int64], Floats]:
        """Return the cells with records and their counts; not kept."""
        return self.source.sparse_marginal(clique)

    def occupied(self, clique: Clique) -> tuple[Codes, Floats]:
        """Return the codes of the cells with records and their counts; not kept."""
        return self.source.occupied(clique)

    def blocks(self, clique: Clique) -> Iterator[tuple[list[Column], Floats | None]]:
        """Yield the codes of ``clique``, and the weights of lines; not kept."""
        return self.source.blocks(clique)

    def parities(self, asked: ParitySets) -> Floats | None:
        """Return the parities where the source counts them itself, else None."""
        return parities_in_place(self.source, asked)

    def coarsened(self, groups: Mapping[str, Codes]) -> AggregatedCounts:
        """Return the records with codes of some attributes relabelled; counts here are used."""
        return AggregatedCounts(self, groups)

    def recounted(self, groups: Mapping[str, Codes]) -> Counts:
        """Return what `coarsened` does, of which nothing is summed from what is kept here."""
        return self.source.coarsened(groups)


class AggregatedCounts:
    """Coarse counts that are sums of cached ones; large marginals are counted anew."""

    def __init__(self, fine: CachedCounts, groups: Mapping[str, Codes]) -> None:
        self.domain: Domain = fine.domain.coarsened(groups)
        self._fine = fine
        self._groups = groups
        self._orders: dict[str, tuple[NDArray[np.intp] | None, NDArray[np.intp]]] = {}

    @cached_property
    def _recounted(self) -> Counts:
        return self._fine.source.coarsened(self._groups)

    def __len__(self) -> int:
        return len(self._fine)

    def marginal(self, clique: Clique) -> Floats:
        """Return the counts over ``clique``; errors as `dense_shape`."""
        return self.marginals([clique])[0]

    def marginals(self, cliques: Sequence[Clique]) -> list[Floats]:
        """Return the marginal over each clique; errors as `dense_shape`."""
        for clique in cliques:
            dense_shape(self.domain, clique)
        small = [c for c in cliques if self._fine.domain.cells(c) <= MAX_SUMMED_CELLS]
        large = [c for c in cliques if self._fine.domain.cells(c) > MAX_SUMMED_CELLS]
        found = dict(zip(small, self._fine.marginals(small), strict=True))
        found = {clique: self._summed(clique, table) for clique, table in found.items()}
        found |= zip(large, self._recounted.marginals(large) if large else [], strict=True)
        return [found[clique] for clique in cliques]

    def _summed(self, clique: Clique, table: Floats) -> Floats:
        for axis, attribute in enumerate(clique):
            if attribute in self._groups:
                if attribute not in self._orders:
                    self._orders[attribute] = _grouping(self._groups[attribute])
                order, starts = self._orders[attribute]
                moved = table if order is None else table.take(order, axis)
                table = np.add.reduceat(moved, starts, axis)
        return table

    def sparse_marginal(self, clique: Clique) -> tuple[NDArray[np.int64], Floats]:
        """Return the cells with records and their counts."""
        return self._recounted.sparse_marginal(clique)

    def occupied(self, clique: Clique) -> tuple[Codes, Floats]:
        """Return the codes of the cells with records and their counts."""
        return self._recounted.occupied(clique)

    def blocks(self, clique: Clique) -> Iterator[tuple[list[Column], Floats | None]]:
        """Yield the codes of ``clique``, and the weights of lines."""
        return self._recounted.blocks(clique)

    def parities(self, asked: ParitySets) -> Floats | None:
        """Return the parities where the source counts them itself, else None."""
        return parities_in_place(self._recounted, asked)

    def coarsened(self, groups: Mapping[str, Codes]) -> AggregatedCounts:
        """Return the records with codes of some attributes relabelled once more."""
        return AggregatedCounts(self._fine, self._both(groups))

    def recounted(self, groups: Mapping[str, Codes]) -> Counts:
        """Return what `coarsened` does, of which nothing is summed from finer counts."""
        return self._fine.recounted(self._both(groups))

    def _both(self, groups: Mapping[str, Codes]) -> dict[str, Codes]:
        both = dict(self._groups)
        for attribute, group in groups.items():
            known = self._groups.get(attribute)
            both[attribute] = group if known is None else group[known]
        return both


def parities_in_place(counts: Counts, asked: ParitySets) -> Floats | None:
    """Return the parities that a store counts itself; None where it has no way of its own."""
    own = getattr(counts, "parities", None)
    return None if own is None else own(asked)


def _grouping(group: Codes) -> tuple[NDArray[np.intp] | None, NDArray[np.intp]]:
    """Return the order in which codes of one group stand together, and where each group starts."""
    order = None if np.all(group[1:] >= group[:-1]) else np.argsort(group, kind="stable")
    ordered = group if order is None else group[order]
    return order, np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
