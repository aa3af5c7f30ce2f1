"""Junction trees of cliques, and belief propagation along their edges.

A propagation takes one exponential a cell, and the rest in passes as long as separators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.errors import InputError, SchemaError
from dp_synth.inference.factors import Fold
from dp_synth.inference.triangulation import (
    Edge,
    Forest,
    bits_of,
    cells_of,
    spanning_edges,
    triangulate,
)
from dp_synth.types import Clique, Floats

Mask = NDArray[np.bool_]

MAX_CELLS = 10_000_000  # of a table that nobody asked to be larger: 80 megabytes
IMPOSSIBLE = -1e30  # the log potential of what cannot occur: finite, so that differences are too
TINY = 1e-250  # sums below it have lost digits of their terms


@dataclass(frozen=True)
class JunctionTree:
    """Junction tree: maximal cliques in domain order and the edges between them, parents first.

    Separators hold all that two sides share (running intersection), so that the cliques'
    marginals define one distribution: their product over that of the separators (Koller &
    Friedman 2009, ch. 10).
    """

    domain: Domain
    cliques: tuple[Clique, ...]
    edges: tuple[Edge, ...]

    @classmethod
    def of(
        cls, domain: Domain, cliques: Iterable[Clique], *, max_cells: int | None = None
    ) -> JunctionTree:
        """Return a tree whose cliques hold all of ``cliques``, joined where they have a cycle.

        It holds the domain's supports as well, and every attribute. InputError when its tables
        would have more than ``max_cells`` cells in all.
        """
        maximal = triangulate(domain, cliques)
        cells = sum(cells_of(domain, bits_of(domain, clique)) for clique in maximal)
        if max_cells is not None and cells > max_cells:
            raise InputError(
                f"the cliques need tables of {cells:,} cells in all, at most {max_cells:,} are "
                "allowed; measure fewer or smaller marginals, or allow more"
            )
        return cls(domain, maximal, spanning_edges(domain, maximal))

    @classmethod
    def independent(cls, domain: Domain) -> JunctionTree:
        """Return the tree of attributes that neither a clique nor a support joins."""
        edges = tuple(Edge(i, -1, ()) for i in range(len(domain)))
        return cls(domain, tuple((attribute,) for attribute in domain), edges)

    @property
    def cells(self) -> int:
        """The cells of all cliques' tables."""
        return sum(map(self.domain.cells, self.cliques))

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
        """Return each clique's probabilities under finite log potentials of the cliques' shapes.

        Belief propagation, once up and once down the tree (Lauritzen & Spiegelhalter 1988).
        Structural zeros of the domain get exactly 0, and so does what they imply.
        """
        return self.propagation.run(potentials)[0]

    @cached_property
    def propagation(self) -> Propagation:
        """How messages pass along the edges; made once, used in every call of ``beliefs``."""
        shapes = tuple(map(self.domain.shape, self.cliques))
        return Propagation(self.cliques, shapes, self.edges, self._masks())

    def _masks(self) -> dict[int, Mask]:
        """The cells that the supports leave, for each clique that is the home of some."""
        masks: dict[int, Mask] = {}
        for support in self.domain.supports:
            position = self.home(support.clique)
            if position is None:
                raise ValueError(f"no clique of the tree holds the support of {support.clique}")
            clique = self.cliques[position]
            mask = support.mask(self.domain.shape(support.clique))
            order = [support.clique.index(a) for a in clique if a in support.clique]
            shape = [self.domain.size(a) if a in support.clique else 1 for a in clique]
            whole = masks.setdefault(position, np.ones(self.domain.shape(clique), dtype=bool))
            whole &= mask.transpose(order).reshape(shape)
        return masks

    @cached_property
    def forest(self) -> Forest:
        """The tree with its cliques as bits, to find what lies between attributes."""
        bits = [bits_of(self.domain, clique) for clique in self.cliques]
        return Forest.of(bits, {edge.child: edge.parent for edge in self.edges})

    @cached_property
    def several(self) -> int:
        """The attributes of more than one code, as bits."""
        return sum(1 << axis for axis, size in enumerate(self.domain.sizes) if size > 1)

    @cached_property
    def components(self) -> dict[str, int]:
        """The root clique above each attribute: attributes of different ones are independent."""
        roots: dict[int, int] = {}
        for edge in self.edges:
            roots[edge.child] = roots[edge.parent] if edge.parent >= 0 else edge.child
        return {a: roots[i] for i, clique in enumerate(self.cliques) for a in clique}

    def project(self, position: int, table: Floats, onto: Clique) -> Floats:
        """Sum a clique's table onto some of its attributes, axes in the order of ``onto``."""
        clique = self.cliques[position]
        kept = [i for i, a in enumerate(clique) if a in onto]
        summed = (
            Fold(table.shape, frozenset(kept)).sum(table).reshape([table.shape[i] for i in kept])
        )
        return np.asarray(summed.transpose([[clique[i] for i in kept].index(a) for a in onto]))


def check_supports(domain: Domain) -> None:
    """Raise SchemaError when the structural zeros of ``domain`` leave no possible record.

    InputError when that needs tables of more than ``MAX_CELLS`` cells. Reads public facts alone.
    """
    tree = JunctionTree.of(domain, (), max_cells=MAX_CELLS)
    for root in tree.propagation.contradictions():
        named = [a for support in domain.supports for a in support.clique]
        involved = [a for a in domain if a in named and tree.components[a] == root]
        raise SchemaError(
            f"the constraints on {', '.join(map(repr, involved))} contradict each other: "
            "together they forbid every record; relax one of them"
        )


@dataclass(frozen=True, eq=False)
class Propagation:
    """Message passing between cliques: where each table folds onto its separators.

    ``masks`` holds, by position, the cells that can occur of those cliques that have others.
    """

    cliques: tuple[Clique, ...]
    shapes: tuple[tuple[int, ...], ...]
    edges: tuple[Edge, ...]
    masks: Mapping[int, Mask]

    def run(self, potentials: Sequence[Floats]) -> tuple[list[Floats], float]:
        """Return each clique's probabilities, and the log of the sum over all joint cells.

        Sums go up in log space, scaled by each table's largest cell; on the way down a table
        given its separator is multiplied by the separator's probabilities. Cells that cannot
        occur get exactly 0.
        """
        tables = [np.empty(shape) for shape in self.shapes]
        inbox: list[list[tuple[Fold, Floats]]] = [[] for _ in tables]
        sums: dict[int, Floats] = {}
        log_total = 0.0
        for link in reversed(self._links):
            table = tables[link.child]
            self._fill(table, link.child, potentials[link.child], inbox[link.child])
            highest = table.max()
            table -= highest
            np.exp(table, out=table)
            if link.above is None:
                total = table.sum()
                table /= total
                log_total += float(np.log(total) + highest)
                continue
            summed = link.below.sum(table)
            if summed.min(where=link.possible, initial=1.0) < TINY:
                self._fill(table, link.child, potentials[link.child], inbox[link.child])
                highest = link.below.max(table)
                table -= link.below.spread(highest)
                np.exp(table, out=table)
                summed = link.below.sum(table)
            inbox[link.parent].append((link.above, log_or_impossible(summed) + highest))
            sums[link.child] = summed
        self._descend(tables, sums)
        return tables, log_total

    def contradictions(self) -> list[int]:
        """Return the root of each component whose masks leave no joint cell."""
        roots = {link.child for link in self._links if link.above is None}
        return sorted(i for i in roots & set(self._reachable) if not self._reachable[i].any())

    def _fill(
        self, table: Floats, position: int, potential: Floats, inbox: list[tuple[Fold, Floats]]
    ) -> None:
        """Write the log potential of a clique and of all that hangs on it into ``table``."""
        if position in self._log_masks:
            np.add(potential, self._log_masks[position], out=table)
        else:
            np.copyto(table, potential)
        for fold, message in inbox:
            fold.add(table, message)

    def _descend(self, tables: list[Floats], sums: Mapping[int, Floats]) -> None:
        """Turn tables given their separators into probabilities, parents first."""
        for link in self._links:
            if link.above is not None:
                given = sums[link.child]
                probability = link.above.sum(tables[link.parent])
                scale = np.divide(probability, given, out=np.zeros(given.shape), where=given > 0)
                link.below.multiply(tables[link.child], scale)

    @cached_property
    def _links(self) -> tuple[_Link, ...]:
        return tuple(
            _Link(
                edge.child,
                edge.parent,
                self._fold(edge.child, edge.separator),
                self._fold(edge.parent, edge.separator) if edge.parent >= 0 else None,
                self._possible.get(edge.child, np.bool_(True)),
            )
            for edge in self.edges
        )

    def _fold(self, position: int, separator: Clique) -> Fold:
        kept = [i for i, a in enumerate(self.cliques[position]) if a in separator]
        return Fold(self.shapes[position], frozenset(kept))

    @cached_property
    def _log_masks(self) -> dict[int, Floats]:
        return {i: np.where(mask, 0.0, IMPOSSIBLE) for i, mask in self.masks.items()}

    @cached_property
    def _reachable(self) -> dict[int, Mask]:
        """The cells that can occur with some cell of all below, where any cannot."""
        cells = {i: mask.copy() for i, mask in self.masks.items()}
        for edge in reversed(self.edges):
            if edge.child in cells and edge.parent >= 0:
                fold = self._fold(edge.child, edge.separator)
                message = fold.any(cells[edge.child])
                above = self._fold(edge.parent, edge.separator).spread(message)
                parent = cells.get(edge.parent, np.ones(self.shapes[edge.parent], dtype=bool))
                cells[edge.parent] = parent & above
        return cells

    @cached_property
    def _possible(self) -> dict[int, Mask]:
        """For each child, the cells of its separator that can occur with all below it."""
        folds = {e.child: self._fold(e.child, e.separator) for e in self.edges if e.parent >= 0}
        reachable = self._reachable
        return {i: fold.any(reachable[i]) for i, fold in folds.items() if i in reachable}


@dataclass(frozen=True, eq=False)
class _Link:
    """An edge with the folds of both sides onto its separator; none above a root."""

    child: int
    parent: int
    below: Fold
    above: Fold | None
    possible: Mask | np.bool_


def log_or_impossible(sums: Floats) -> Floats:
    """Return the logs of numbers from 0 on, finite where they are 0."""
    return np.log(sums, out=np.full(sums.shape, IMPOSSIBLE), where=sums > 0)
