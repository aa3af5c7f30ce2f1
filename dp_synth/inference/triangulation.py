"""Triangulation of cliques: chordal completions, their cells, and their spanning trees.

Sets of attributes are bits of one integer: searches go through millions of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from dp_synth.domain import MOST_AXES, Domain
from dp_synth.types import Clique

Links = dict[int, set[int]]  # positions of cliques, each with those next to it
Numbered = Sequence[int] | Mapping[int, int]  # cliques as bits, by their numbers
Graph = list[int]  # the neighbours of each attribute, as bits, itself left out
Cost = Callable[[Domain, Graph, int], tuple[int, int]]

MANY_ATTRIBUTES = 40  # of more than that, what they join is added up in a matrix
NO_TABLE = 2**63  # cells: those of a table that has more axes than an array can have


@dataclass(frozen=True)
class Edge:
    """Edge of a junction tree from a clique to its parent, -1 at the root of a component."""

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

    cliques: Numbered
    parents: Mapping[int, int]
    depths: Mapping[int, int]
    holders: Mapping[int, int]  # the last clique that holds each axis

    @classmethod
    def of(cls, cliques: Numbered, parents: Mapping[int, int]) -> Forest:
        """Return the forest with these parents, -1 for none, given parents before children."""
        root = next(iter(parents), 0)
        above, depths = dict.fromkeys(parents, root), dict.fromkeys(parents, 0)
        holders: dict[int, int] = {}
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


def triangulate(domain: Domain, cliques: Iterable[Clique]) -> tuple[Clique, ...]:
    """Return the maximal cliques of a chordal graph that holds all these cliques.

    It holds those of the domain's supports and every attribute as well. Attributes are eliminated
    one by one: first those that join nothing new, then the cheapest by the cells of the pairs
    that it joins, by their number, or by the cells of the clique that it leaves; the completion
    of fewest cells of the three is returned (Koller & Friedman 2009, sect. 9.4.3: weighted
    min-fill, min-fill and min-weight). Maximal cliques without a cycle return unchanged.

    >>> square = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    >>> triangulate(Domain(tuple("abcd"), (9, 2, 9, 2)), square)
    (('a', 'b', 'd'), ('b', 'c', 'd'))
    """
    return _named(domain, complete(domain, graph_of(domain, cliques)))


def total_cells(domain: Domain, cliques: Iterable[Clique]) -> int:
    """Return the cells of all cliques that ``triangulate`` returns, a table each.

    >>> total_cells(Domain(tuple("abc"), (9, 2, 3)), [("a", "b"), ("b", "c")])
    24
    """
    return _total(domain, complete(domain, graph_of(domain, cliques)))


def graph_of(domain: Domain, cliques: Iterable[Clique]) -> Graph:
    """Return the graph of these cliques and of the domain's supports."""
    graph = [0] * len(domain)
    for clique in (*cliques, *(support.clique for support in domain.supports)):
        join(graph, bits_of(domain, clique))
    return graph


def join(graph: Graph, bits: int) -> None:
    """Join all attributes of these bits, pair by pair, in place."""
    for axis in axes_of(bits):
        graph[axis] |= bits & ~(1 << axis)


def complete(domain: Domain, graph: Graph) -> list[int]:
    """Return the maximal cliques of the cheapest of three completions."""
    return min(_completions(domain, graph), key=lambda found: _total(domain, found))


def fits(domain: Domain, cliques: Iterable[Clique], max_cells: int) -> bool:
    """Return whether ``total_cells`` is at most ``max_cells``."""
    found = _completions(domain, graph_of(domain, cliques))
    return any(_total(domain, one) <= max_cells for one in found)


def as_many_as_fit(
    domain: Domain, pairs: Sequence[Clique], max_cells: int, beside: Sequence[Clique] = ()
) -> list[Clique]:
    """Return as many of the first pairs as a tree of ``max_cells`` holds ``beside`` others.

    Mostly all of them or nearly all, so that steps from the last one on are doubled until the
    tree is small enough.
    """

    def is_small(count: int) -> bool:
        return fits(domain, [*beside, *pairs[:count]], max_cells)

    fitting, beyond, step = len(pairs), len(pairs) + 1, 1
    while fitting and not is_small(fitting):
        fitting, beyond, step = max(fitting - step, 0), fitting, 2 * step
    while beyond - fitting > 1:
        middle = (fitting + beyond) // 2
        fitting, beyond = (middle, beyond) if is_small(middle) else (fitting, middle)
    return list(pairs[:fitting])


def _completions(domain: Domain, graph: Graph) -> Iterator[list[int]]:
    """Yield the maximal cliques of three completions, of one where nothing is to be filled."""
    everything = (1 << len(domain)) - 1
    if len(domain) > MANY_ATTRIBUTES:
        cells = _JoinedCells(domain, graph)
        cliques, filled = eliminate(domain, graph, everything, cells, joined=cells.join)
    else:
        cliques, filled = eliminate(domain, graph, everything, joined_cells)
    yield cliques
    if filled:
        for cost in (_clique_cells, _joined_pairs):
            yield eliminate(domain, graph, everything, cost)[0]


def eliminate(
    domain: Domain,
    graph: Graph,
    left: int,
    cost: Cost,
    joined: Callable[[int], object] = lambda _: None,
) -> tuple[list[int], bool]:
    """Return the maximal cliques that elimination leaves, and whether it joined any pair.

    ``joined`` is told attributes that are joined on the way.
    """
    graph = graph.copy()
    cliques: list[int] = []
    costs: dict[int, tuple[int, int]] = {}
    unchecked, filled = left, False
    while left:
        axis, unchecked = _next_free(graph, unchecked)
        if axis < 0:
            for other in axes_of(left):
                if other not in costs:
                    costs[other] = cost(domain, graph, other)
            axis, filled = min(axes_of(left), key=costs.__getitem__), True
            touched = union_of(graph[near] for near in axes_of(graph[axis]))
            join(graph, graph[axis])
            joined(graph[axis])
        else:
            touched = graph[axis]
        cliques.append(graph[axis] | 1 << axis)
        left &= ~(1 << axis)
        for other in axes_of(graph[axis]):
            graph[other] &= left
        for other in axes_of(touched):
            costs.pop(other, None)
        unchecked = (unchecked | touched) & left
    return maximal(cliques), filled


def _next_free(graph: Graph, unchecked: int) -> tuple[int, int]:
    """Return the first attribute whose neighbours are joined, -1 if none, and those after it."""
    while unchecked:
        axis = (unchecked & -unchecked).bit_length() - 1
        near = graph[axis]
        unchecked &= unchecked - 1
        if all(near & ~graph[other] == 1 << other for other in axes_of(near)):
            return axis, unchecked
    return -1, 0


def _clique_cells(domain: Domain, graph: Graph, axis: int) -> tuple[int, int]:
    return cells_of(domain, graph[axis] | 1 << axis), axis


def _joined_pairs(domain: Domain, graph: Graph, axis: int) -> tuple[int, int]:
    near = graph[axis]
    missing = sum((near & ~graph[other]).bit_count() - 1 for other in axes_of(near))
    return missing, cells_of(domain, near | 1 << axis)


def joined_cells(domain: Domain, graph: Graph, axis: int) -> tuple[int, int]:
    """Return the cells of the pairs that eliminating an attribute joins, and of its clique."""
    near, sizes = graph[axis], domain.sizes
    missing = sum(
        sizes[one] * sizes[other]
        for one in axes_of(near)
        for other in axes_of(near & ~graph[one] & -(2 << one))  # each pair once
    )
    return missing, cells_of(domain, near | 1 << axis)


class _JoinedCells:
    """What `joined_cells` returns, of a graph of many attributes that are joined on the way.

    ``_joined`` has the cells of all pairs that are joined, and on its diagonal those of an
    attribute with itself: what lacks of the square of summed sizes is missing twice.
    """

    def __init__(self, domain: Domain, graph: Graph) -> None:
        self._sizes = np.array(domain.sizes, dtype=np.float64)  # sums are whole, and exact
        self._joined = np.diag(self._sizes**2)
        for axis, near in enumerate(graph):
            others = list(axes_of(near))
            self._joined[axis, others] = self._sizes[axis] * self._sizes[others]

    def join(self, bits: int) -> None:
        """Note that all attributes of these bits are joined, pair by pair."""
        axes = np.array(axes_of(bits), dtype=np.intp)
        sizes = self._sizes[axes]
        self._joined[axes[:, None], axes] = np.outer(sizes, sizes)

    def __call__(self, domain: Domain, graph: Graph, axis: int) -> tuple[int, int]:
        near = np.array(axes_of(graph[axis]), dtype=np.intp)
        missing = self._sizes[near].sum() ** 2 - self._joined[near[:, None], near].sum()
        return round(missing / 2), cells_of(domain, graph[axis] | 1 << axis)


def maximal(cliques: Sequence[int]) -> list[int]:
    """Return the cliques that no other one holds, each once, the largest first."""
    kept: list[int] = []
    several = in_several(set(cliques))
    for clique in sorted(set(cliques), key=lambda clique: (-clique.bit_count(), clique)):
        if clique and not clique & several:
            kept.append(clique)
            continue
        for other in kept:  # a loop, since it is gone through millions of times
            if clique & other == clique:
                break
        else:
            kept.append(clique)
    return kept


def _total(domain: Domain, cliques: Iterable[int]) -> int:
    return sum(cells_of(domain, clique) for clique in cliques)


def _named(domain: Domain, cliques: Iterable[int]) -> tuple[Clique, ...]:
    """Return the cliques by name, in the order of their attributes' positions."""
    return tuple(clique_of(domain, c) for c in sorted(cliques, key=lambda c: [*axes_of(c)]))
