"""Cliques arranged in a tree, and belief propagation over them in log space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Clique, Domain

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Edge:
    """A clique with the parent that it hangs on; ``parent`` is -1 at the root of a component."""

    child: int
    parent: int
    separator: Clique


@dataclass(frozen=True)
class JunctionTree:
    """Maximal cliques in domain order and the edges between them, parents first.

    Separators hold all that two sides share (running intersection), so that the cliques'
    marginals define one distribution: their product over that of the separators (Koller &
    Friedman 2009, ch. 10).
    """

    domain: Domain
    cliques: tuple[Clique, ...]
    edges: tuple[Edge, ...]

    @classmethod
    def of(cls, domain: Domain, cliques: Iterable[Clique]) -> JunctionTree:
        """Return the tree over ``cliques`` and every attribute that they leave out.

        ValueError when the cliques have a cycle, so that no junction tree holds just them.
        """
        wanted = [*cliques, *((attribute,) for attribute in domain)]
        ordered = {tuple(a for a in domain if a in set(clique)) for clique in wanted}
        maximal = tuple(
            clique
            for clique in sorted(ordered, key=lambda c: [domain.axis(a) for a in c])
            if not any(set(clique) < set(other) for other in ordered)
        )
        edges = _spanning_edges(maximal)
        apart = sum(map(len, maximal)) - sum(len(edge.separator) for edge in edges)
        if apart != len(domain):
            raise ValueError(f"the cliques {maximal} have a cycle; join some of them into one")
        return cls(domain, maximal, edges)

    def home(self, clique: Iterable[str]) -> int | None:
        """Return the position of the smallest clique that holds all these attributes, if any."""
        holders = [self._holders.get(attribute, frozenset()) for attribute in clique]
        homes = frozenset.intersection(*holders) if holders else range(len(self.cliques))
        if len(homes) == 1:
            return next(iter(homes))
        return min(homes, key=lambda i: (self.domain.cells(self.cliques[i]), i), default=None)

    @cached_property
    def _holders(self) -> dict[str, frozenset[int]]:
        """The positions of the cliques that hold each attribute."""
        holders: dict[str, set[int]] = {attribute: set() for attribute in self.domain}
        for i, clique in enumerate(self.cliques):
            for attribute in clique:
                holders[attribute].add(i)
        return {attribute: frozenset(positions) for attribute, positions in holders.items()}

    def beliefs(self, potentials: Sequence[Floats]) -> list[Floats]:
        """Return each clique's probabilities under log potentials of the cliques' shapes.

        Shafer-Shenoy belief propagation, once up and once down the tree.
        """
        beliefs = list(potentials)
        upward: dict[int, Floats] = {}
        for edge in reversed(self.edges):
            if edge.parent >= 0:
                message = self._log_sum(edge.child, beliefs[edge.child], edge.separator)
                upward[edge.child] = message
                beliefs[edge.parent] = beliefs[edge.parent] + self._align(message, edge)
        for edge in self.edges:
            if edge.parent >= 0:
                message = self._log_sum(edge.parent, beliefs[edge.parent], edge.separator)
                difference = message - upward[edge.child]
                beliefs[edge.child] = beliefs[edge.child] + difference.reshape(
                    self._shape(edge.child, edge.separator)
                )
        return [_normalise(belief) for belief in beliefs]

    def project(self, position: int, table: Floats, onto: Clique) -> Floats:
        """Sum a clique's table onto some of its attributes, axes in the order of ``onto``."""
        clique = self.cliques[position]
        summed = table.sum(axis=tuple(i for i, a in enumerate(clique) if a not in onto))
        kept = [a for a in clique if a in onto]
        return np.asarray(summed.transpose([kept.index(a) for a in onto]))

    def _log_sum(self, position: int, table: Floats, separator: Clique) -> Floats:
        axes = tuple(i for i, a in enumerate(self.cliques[position]) if a not in separator)
        highest = table.max(axis=axes, keepdims=True)
        total = np.log(np.exp(table - highest).sum(axis=axes))
        return np.asarray(total + highest.reshape(total.shape))

    def _align(self, message: Floats, edge: Edge) -> Floats:
        return message.reshape(self._shape(edge.parent, edge.separator))

    def _shape(self, position: int, separator: Clique) -> tuple[int, ...]:
        """The clique's shape with every axis outside of the separator shrunk to one."""
        return tuple(self.domain.size(a) if a in separator else 1 for a in self.cliques[position])


def _spanning_edges(cliques: Sequence[Clique]) -> tuple[Edge, ...]:
    """A spanning forest of greatest shared attributes, by Prim's rule, parents first."""
    edges: list[Edge] = []
    best = {i: Edge(i, -1, ()) for i in range(len(cliques))}
    while best:
        child = max(best, key=lambda i: (len(best[i].separator), -i))
        edges.append(best.pop(child))
        for other, edge in best.items():
            shared = tuple(a for a in cliques[child] if a in set(cliques[other]))
            if len(shared) > len(edge.separator):
                best[other] = Edge(other, child, shared)
    return tuple(edges)


def _normalise(log_belief: Floats) -> Floats:
    odds = np.exp(log_belief - log_belief.max())
    return np.asarray(odds / odds.sum())
