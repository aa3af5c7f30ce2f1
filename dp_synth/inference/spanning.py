"""Sets of attributes as bits of one integer, and the tree that hangs cliques together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from dp_synth.domain import MOST_AXES, Clique, Domain

Links = dict[int, set[int]]  # positions of cliques, each with those next to it

NO_TABLE = 2**63  # cells: those of a table that has more axes than an array can have


@dataclass(frozen=True)
class Edge:
    """A clique with the parent that it hangs on; ``parent`` is -1 at the root of a component."""

    child: int
    parent: int
    separator: Clique


def bits_of(domain: Domain, clique: Iterable[str]) -> int:
    """Return the attributes as bits, that of the domain's first attribute lowest.

    >>> bits_of(Domain(("a", "b", "c"), (2, 2, 2)), ("c", "a"))
    5
    """
    bits = 0
    for attribute in clique:
        bits |= 1 << domain.axis(attribute)
    return bits


@lru_cache(maxsize=2**14)  # searches ask for the same sets again and again
def axes_of(bits: int) -> tuple[int, ...]:
    """Return the positions of the bits that are set, lowest first."""
    axes = []
    while bits:
        lowest = bits & -bits
        axes.append(lowest.bit_length() - 1)
        bits ^= lowest
    return tuple(axes)


def union_of(parts: Iterable[int]) -> int:
    """Return the attributes that some of the parts hold."""
    bits = 0
    for part in parts:
        bits |= part
    return bits


def in_several(parts: Iterable[int]) -> int:
    """Return the attributes that more than one of the parts hold."""
    seen = several = 0
    for part in parts:
        several |= seen & part
        seen |= part
    return several


def clique_of(domain: Domain, bits: int) -> Clique:
    """Return the attributes of these bits, in domain order."""
    return tuple(domain.attributes[axis] for axis in axes_of(bits))


def cells_of(domain: Domain, bits: int) -> int:
    """Return the cells of the marginal over the attributes of these bits.

    ``NO_TABLE`` at least for more than ``MOST_AXES`` attributes, which may have few cells where
    most of them have one code: whoever limits cells has then limited axes as well.
    """
    cells = prod([domain.sizes[axis] for axis in axes_of(bits)])
    return cells if bits.bit_count() <= MOST_AXES else max(cells, NO_TABLE)


def spanning_edges(domain: Domain, cliques: Sequence[Clique]) -> tuple[Edge, ...]:
    """Return a spanning forest of greatest shared attributes, by Prim's rule, parents first.

    Every such forest of the maximal cliques of a chordal graph has running intersection and the
    same separators (Koller & Friedman 2009, sect. 10.4.2); of equal parents the smaller is taken.
    """
    bits = [bits_of(domain, clique) for clique in cliques]
    parents = spanning_parents(bits, [domain.cells(clique) for clique in cliques])
    return tuple(
        Edge(child, parent, clique_of(domain, bits[child] & bits[parent]) if parent >= 0 else ())
        for child, parent in parents.items()
    )


def spanning_parents(cliques: Sequence[int], cells: Sequence[int]) -> dict[int, int]:
    """Return the parent of each clique, -1 where it shares nothing, parents before children."""
    parents: dict[int, int] = {}
    best = [-1] * len(cliques)
    shared = [0] * len(cliques)
    several = in_several(cliques)
    # Those that share nothing are never asked again: tables may have thousands of columns.
    left = [place for place, clique in enumerate(cliques) if clique & several]
    alone = deque(place for place, clique in enumerate(cliques) if not clique & several)
    while left or alone:
        child = max(left, key=shared.__getitem__, default=len(cliques))
        if not left or not shared[child]:
            while alone and alone[0] < child:
                parents[alone.popleft()] = -1
            if not left:
                break
        left.remove(child)
        parents[child] = best[child]
        held, size = cliques[child], cells[child]
        for other in left:
            count = (held & cliques[other]).bit_count()
            if count > shared[other] or (0 < count == shared[other] and size < cells[best[other]]):
                shared[other], best[other] = count, child
    return parents


@dataclass(frozen=True, eq=False)
class Forest:
    """Cliques as bits in a junction tree; components hang on the first, sharing nothing."""

    cliques: Sequence[int]
    parents: Sequence[int]
    depths: Sequence[int]
    holders: Mapping[int, int]  # the last clique that holds each axis

    @classmethod
    def of(cls, cliques: Sequence[int], parents: Mapping[int, int]) -> Forest:
        """Return the forest with these parents, -1 for none, given parents before children."""
        above, depths = [0] * len(cliques), [0] * len(cliques)
        holders: dict[int, int] = {}
        root = next(iter(parents), 0)
        for child, parent in parents.items():
            if child != root:
                above[child] = parent if parent >= 0 else root
                depths[child] = depths[above[child]] + 1
            holders.update(dict.fromkeys(axes_of(cliques[child]), child))
        return cls(cliques, above, depths, holders)

    def between(self, wanted: int) -> Links:
        """Return the smallest subtree whose cliques hold all that is wanted."""
        first, *others = dict.fromkeys(self.holders[axis] for axis in axes_of(wanted))
        links: Links = {first: set()}
        for other in others:
            self._link(links, first, other)
        ends = [node for node, near in links.items() if len(near) == 1]
        while ends:  # an end goes when the next clique has all that is wanted of it
            end = ends.pop()
            if len(links[end]) != 1:
                continue
            (near,) = links[end]
            if self.cliques[end] & wanted & ~self.cliques[near] == 0:
                del links[end]
                links[near].remove(end)
                if len(links[near]) == 1:
                    ends.append(near)
        return links

    def shared(self, links: Links) -> int:
        """Return the attributes of the separators inside a subtree."""
        return union_of(
            self.cliques[node] & self.cliques[other]
            for node, near in links.items()
            for other in near
        )

    def _link(self, links: Links, left: int, right: int) -> None:
        """Add the path between two cliques to ``links``."""
        while left != right:
            if self.depths[left] < self.depths[right]:
                left, right = right, left
            parent = self.parents[left]
            links.setdefault(left, set()).add(parent)
            links.setdefault(parent, set()).add(left)
            left = parent
