"""Cliques joined until no cycle is left: chordal completions, and the cells that they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dp_synth.domain import Clique, Domain
from dp_synth.inference.spanning import (
    Forest,
    Links,
    axes_of,
    bits_of,
    cells_of,
    clique_of,
    in_several,
    spanning_parents,
    union_of,
)

Graph = list[int]  # the neighbours of each attribute, as bits, itself left out
Cost = Callable[[Domain, Graph, int], tuple[int, int]]


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
    return _named(domain, _complete(domain, _graph(domain, cliques)))


def total_cells(domain: Domain, cliques: Iterable[Clique]) -> int:
    """Return the cells of all cliques that ``triangulate`` returns, a table each.

    >>> total_cells(Domain(tuple("abc"), (9, 2, 3)), [("a", "b"), ("b", "c")])
    24
    """
    return _total(domain, _complete(domain, _graph(domain, cliques)))


class Completion:
    """A chordal graph that grows clique by clique, and knows what one more would cost.

    For searches that ask about many cliques and add few. What it answers is an upper bound: a
    clique that is added is completed both where the graph stands and afresh, and the cheaper kept.

    >>> completion = Completion(Domain(tuple("abcd"), (9, 2, 9, 2)), [("a", "b"), ("b", "c")])
    >>> completion.cells, completion.cells_with(("a", "c")), completion.cells_with(("c", "d"))
    (38, 164, 54)
    >>> completion.add(("c", "d"))
    >>> completion.cliques
    (('a', 'b'), ('b', 'c'), ('c', 'd'))
    """

    def __init__(self, domain: Domain, cliques: Iterable[Clique] = ()) -> None:
        self.domain = domain
        self._graph = _graph(domain, cliques)
        self._growth: dict[tuple[int, ...], int] = {}
        self._settle(_complete(domain, self._graph))

    @property
    def cells(self) -> int:
        """The cells of all cliques of the completion."""
        return self._cells

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The maximal cliques of the completion; ``triangulate`` returns them unchanged."""
        return _named(self.domain, self._cliques)

    def cells_with(self, clique: Clique) -> int:
        """Return the cells that the completion has, at most, once ``clique`` is added."""
        wanted = bits_of(self.domain, clique)
        if self._holds(wanted):
            return self._cells
        links = self._forest.between(wanted)
        key = (wanted, *sorted(self._cliques[node] for node in links))
        if key not in self._growth:
            old = [self._cliques[node] for node in links]
            new = self._joined(wanted, links)
            both = _total(self.domain, _maximal([*old, *new]))
            self._growth[key] = both - _total(self.domain, old)
        return self._cells + self._growth[key]

    def add(self, clique: Clique) -> None:
        """Add ``clique``, and the pairs that keep the graph chordal."""
        wanted = bits_of(self.domain, clique)
        _join(self._graph, wanted)
        if self._holds(wanted):
            return
        grown = _maximal([*self._cliques, *self._joined(wanted, self._forest.between(wanted))])
        afresh = _complete(self.domain, self._graph)
        self._settle(min(grown, afresh, key=lambda cliques: _total(self.domain, cliques)))

    def _settle(self, cliques: list[int]) -> None:
        """Take these maximal cliques as they are, and hang them in one forest."""
        sizes = [cells_of(self.domain, clique) for clique in cliques]
        self._cliques = cliques
        self._cells = sum(sizes)
        self._forest = Forest.of(cliques, spanning_parents(cliques, sizes))
        self._filled = [0] * len(self.domain)
        for clique in cliques:
            for axis in axes_of(clique):
                self._filled[axis] |= clique

    def _holds(self, wanted: int) -> bool:
        """Say whether the graph has all pairs of these attributes, so that some clique has them."""
        return all(wanted & ~self._filled[axis] == 0 for axis in axes_of(wanted))

    def _joined(self, wanted: int, links: Links) -> list[int]:
        """Return the cliques that joining the wanted attributes makes of those between them.

        An attribute that one of those cliques has for itself joins nothing new, so that what is
        left to complete is separators and the wanted attributes.
        """
        inner = wanted | self._forest.shared(links)
        graph = [0] * len(self.domain)
        for node in links:
            _join(graph, self._cliques[node] & inner)
        _join(graph, wanted)
        return _eliminate(self.domain, graph, inner, _joined_cells)[0]


def _graph(domain: Domain, cliques: Iterable[Clique]) -> Graph:
    graph = [0] * len(domain)
    for clique in (*cliques, *(support.clique for support in domain.supports)):
        _join(graph, bits_of(domain, clique))
    return graph


def _join(graph: Graph, bits: int) -> None:
    for axis in axes_of(bits):
        graph[axis] |= bits & ~(1 << axis)


def _complete(domain: Domain, graph: Graph) -> list[int]:
    """Return the maximal cliques of the cheapest of three completions."""
    everything = (1 << len(domain)) - 1
    cliques, filled = _eliminate(domain, graph, everything, _joined_cells)
    if not filled:
        return cliques
    others = (_eliminate(domain, graph, everything, c)[0] for c in (_clique_cells, _joined_pairs))
    return min(cliques, *others, key=lambda found: _total(domain, found))


def _eliminate(domain: Domain, graph: Graph, left: int, cost: Cost) -> tuple[list[int], bool]:
    """Return the maximal cliques that elimination leaves, and whether it joined any pair."""
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
            _join(graph, graph[axis])
        else:
            touched = graph[axis]
        cliques.append(graph[axis] | 1 << axis)
        left &= ~(1 << axis)
        for other in axes_of(graph[axis]):
            graph[other] &= left
        for other in axes_of(touched):
            costs.pop(other, None)
        unchecked = (unchecked | touched) & left
    return _maximal(cliques), filled


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


def _joined_cells(domain: Domain, graph: Graph, axis: int) -> tuple[int, int]:
    near, sizes = graph[axis], domain.sizes
    missing = sum(
        sizes[one] * sizes[other]
        for one in axes_of(near)
        for other in axes_of(near & ~graph[one] & -(2 << one))  # each pair once
    )
    return missing, cells_of(domain, near | 1 << axis)


def _maximal(cliques: Sequence[int]) -> list[int]:
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
