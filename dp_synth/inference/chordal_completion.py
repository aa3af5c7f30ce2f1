"""Incremental chordal completion: a graph that grows pair by pair, and what one more would cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from dp_synth.domain import Domain
from dp_synth.inference.triangulation import (
    Forest,
    Graph,
    axes_of,
    bits_of,
    cells_of,
    clique_of,
    complete,
    eliminate,
    graph_of,
    join,
    joined_cells,
    maximal,
    spanning_parents,
)
from dp_synth.types import Clique


class Completion:
    """A chordal graph and its junction forest, which grow clique by clique.

    Only the cliques between the attributes of a new one change, so that what `cells_with` says is
    what `add` brings, and work grows with the path and not with the table. A dense graph that
    grew so may have twice the cells of one completed at once: see `complete_afresh`.

    >>> completion = Completion(Domain(tuple("abcd"), (9, 2, 9, 2)), [("a", "b"), ("b", "c")])
    >>> completion.cells, completion.cells_with(("a", "c")), completion.cells_with(("c", "d"))
    (38, 164, 54)
    >>> completion.add(("c", "d"))
    >>> completion.cliques
    (('a', 'b'), ('b', 'c'), ('c', 'd'))
    """

    def __init__(self, domain: Domain, cliques: Iterable[Clique] = ()) -> None:
        self.domain = domain
        self._graph = graph_of(domain, cliques)
        self._renewed: Graph = self._graph.copy()  # what was completed at once the last time
        self._take(complete(domain, self._graph))

    def _take(self, found: list[int]) -> None:
        """Take these maximal cliques as they are, and hang them in one forest."""
        domain = self.domain
        sizes = [cells_of(domain, clique) for clique in found]
        self._cliques = dict(enumerate(found))
        self._sizes = dict(enumerate(sizes))
        self._near: dict[int, set[int]] = {node: set() for node in self._cliques}
        for child, parent in spanning_parents(found, sizes).items():
            if parent >= 0:
                self._link(child, parent)
        self._next = len(found)
        self._cells = sum(sizes)
        self._joins: dict[tuple[int, ...], tuple[list[int], int]] = {}
        self._known_cells: dict[int, int] = {}
        self._hung: Forest | None = None
        self._filled = [0] * len(domain)
        for clique in found:
            self._fill(clique)

    @property
    def cells(self) -> int:
        """The cells of all cliques of the completion."""
        return self._cells

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """The maximal cliques of the completion; ``triangulate`` returns them unchanged."""
        ordered = sorted(self._cliques.values(), key=lambda clique: [*axes_of(clique)])
        return tuple(clique_of(self.domain, clique) for clique in ordered)

    def holds(self, clique: Clique) -> bool:
        """Say whether the graph has all pairs of these attributes, so that adding it is free."""
        wanted = bits_of(self.domain, clique)
        return all(wanted & ~self._filled[axis] == 0 for axis in axes_of(wanted))

    def cells_with(self, clique: Clique) -> int:
        """Return the cells that the completion has once ``clique`` is added."""
        return self._cells if self.holds(clique) else self._cells + self._joined(clique)[2]

    def most_cells_with(self, pair: Clique) -> int:
        """Return a number of cells that is enough once ``pair`` is added: quick, mostly the least.

        Between the pair lies a path of cliques. The graph stays chordal where one of both is
        joined to all separators of the path: each clique on it then has one more, next to the
        separators on its two sides, and the last one has both.
        """
        if self.holds(pair):
            return self._cells
        wanted = bits_of(self.domain, pair)
        links = self._forest.between(wanted)
        before, node = -1, next(node for node, near in links.items() if len(near) == 1)
        path = [node]
        while len(path) < len(links):
            (following,) = links[node] - {before}
            before, node = node, following
            path.append(node)
        cliques = [self._cliques[node] for node in path]
        if not all(one & other for one, other in itertools.pairwise(cliques)):  # nothing to fill
            alone = sum(self._cells_of(one) for one in cliques if one & ~wanted == 0)
            return self._cells + self._cells_of(wanted) - alone
        ways = (path, path[::-1]) if len(path) > 2 else (path,)
        growth = min(self._filled_growth(wanted, one) for one in ways)
        return self._cells + growth

    def _filled_growth(self, wanted: int, path: list[int]) -> int:
        """Return the growth where what the first clique has of it is joined along the path."""
        first, last = self._cliques[path[0]], self._cliques[path[-1]]
        end = wanted & first & ~last
        left, growth = end, 0
        for node, following in itertools.pairwise(path):
            clique = self._cliques[node]
            separator = clique & self._cliques[following]
            if node != path[0]:
                new = left | separator
                growth += self._cells_of(new)
            if clique & ~(left | separator) == 0:
                growth -= self._sizes[node]
            left = separator | end
        growth += self._cells_of(left | wanted)
        if last & ~(left | wanted) == 0:
            growth -= self._sizes[path[-1]]
        return growth

    def _cells_of(self, bits: int) -> int:
        """Return the cells of these attributes, as often as they are asked for."""
        if bits not in self._known_cells:
            self._known_cells[bits] = cells_of(self.domain, bits)
        return self._known_cells[bits]

    def add(self, clique: Clique) -> None:
        """Add ``clique``, and the pairs that keep the graph chordal."""
        join(self._graph, bits_of(self.domain, clique))
        if self.holds(clique):
            return
        old, new, growth = self._joined(clique)
        self._replace(old, new)
        self._cells += growth
        self._hung = None

    def complete_afresh(self) -> None:
        """Complete what was asked for anew, and keep that where it has fewer cells."""
        if self._graph == self._renewed:
            return
        self._renewed = self._graph.copy()
        afresh = complete(self.domain, self._graph)
        if sum(cells_of(self.domain, clique) for clique in afresh) < self._cells:
            self._take(afresh)

    def _joined(self, clique: Clique) -> tuple[list[int], list[int], int]:
        """Return the nodes between attributes, the cliques that take their place, and the growth.

        An attribute that one of the nodes has for itself joins nothing new, so that what is left
        to complete is separators and the wanted attributes.
        """
        wanted = bits_of(self.domain, clique)
        links = self._forest.between(wanted)
        nodes = sorted(links)
        key = (wanted, *nodes)
        if key not in self._joins:
            inner = wanted | self._forest.shared(links)
            graph: Graph = [0] * len(self.domain)
            for node in nodes:
                join(graph, self._cliques[node] & inner)
            join(graph, wanted)
            old = [self._cliques[node] for node in nodes]
            new = maximal([*old, *eliminate(self.domain, graph, inner, joined_cells)[0]])
            growth = sum(cells_of(self.domain, one) for one in new)
            self._joins[key] = new, growth - sum(self._sizes[node] for node in nodes)
        return nodes, *self._joins[key]

    def _replace(self, old: list[int], new: list[int]) -> None:
        """Put the new cliques in the place of the old nodes, and hang on them what hung there."""
        known = {self._cliques[node]: node for node in old}
        outside = [(node, other) for node in old for other in self._near[node] if other not in old]
        separators = [(self._cliques[n] & self._cliques[o], o) for n, o in outside]
        for node in old:
            for other in self._near.pop(node):
                if other in self._near:
                    self._near[other].discard(node)
        for clique, node in known.items():
            if clique not in new:
                del self._cliques[node], self._sizes[node]
        places = []
        for clique in new:
            if clique not in known:
                known[clique], self._next = self._next, self._next + 1
                self._cliques[known[clique]] = clique
                self._sizes[known[clique]] = cells_of(self.domain, clique)
                self._fill(clique)
            places.append(known[clique])
            self._near[known[clique]] = set()
        for child, parent in spanning_parents(new, [self._sizes[n] for n in places]).items():
            if parent >= 0:
                self._link(places[child], places[parent])
        for separator, other in separators:
            holders = (n for n in places if separator & ~self._cliques[n] == 0)
            self._link(min(holders, key=lambda n: (self._sizes[n], n)), other)

    def _fill(self, clique: int) -> None:
        for axis in axes_of(clique):
            self._filled[axis] |= clique

    def _link(self, one: int, other: int) -> None:
        self._near[one].add(other)
        self._near[other].add(one)

    @property
    def _forest(self) -> Forest:
        """The nodes hung on one root each; what shares nothing hangs on the first."""
        if self._hung is None:
            self._hung = self._hang()
        return self._hung

    def _hang(self) -> Forest:
        parents: dict[int, int] = {}
        for root in self._near:
            if root in parents:
                continue
            parents[root] = -1
            left = [root]
            while left:
                node = left.pop()
                for other in self._near[node]:
                    if other not in parents:
                        parents[other] = node
                        left.append(other)
        return Forest.of(self._cliques, parents)
