"""Cliques arranged in a tree, whose tables together define one distribution."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Clique, Domain
from dp_synth.errors import InputError, SchemaError
from dp_synth.inference.folding import Fold
from dp_synth.inference.propagation import Mask, Propagation
from dp_synth.inference.spanning import Edge, Forest, bits_of, cells_of, spanning_edges
from dp_synth.inference.triangulation import triangulate

Floats = NDArray[np.float64]

MAX_CELLS = 10_000_000  # of a table that nobody asked to be larger: 80 megabytes


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
