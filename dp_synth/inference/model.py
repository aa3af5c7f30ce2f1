"""A distribution over a junction tree: what is estimated from noisy marginals, and sampled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Clique, Domain
from dp_synth.inference.junction_tree import Edge, JunctionTree

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class JunctionTreeModel:
    """Consistent probabilities of the tree's cliques, and the noisy number of records."""

    tree: JunctionTree
    probabilities: tuple[Floats, ...]
    total: float

    @property
    def domain(self) -> Domain:
        """The attributes, in the order of ``sample``'s columns."""
        return self.tree.domain

    def marginal(self, clique: Clique) -> Floats:
        """Return the expected counts over ``clique``, in its order of axes.

        Exact inside a clique of the tree, and across cliques where the attributes are
        independent of each other; KeyError for attributes that are linked through others.
        """
        home = self.tree.home(clique)
        if home is not None:
            return self.total * self.tree.project(home, self.probabilities[home], clique)
        parts = self._components
        if len({parts[attribute] for attribute in clique}) < len(clique):
            raise KeyError(f"no clique of the model holds {clique}; it has {self.tree.cliques}")
        expected = np.array(self.total)
        for attribute in clique:
            expected = np.multiply.outer(expected, self.marginal((attribute,)) / self.total)
        return expected

    def expand(self, domain: Domain, splits: Mapping[str, Floats]) -> JunctionTreeModel:
        """Return the model over a finer domain, whose codes share out those of this one.

        ``splits[attribute]`` has shape (codes here, codes there): row i says how the probability
        of code i is shared among the finer codes, whatever the other attributes are.
        """
        finer = []
        for clique, table in zip(self.tree.cliques, self.probabilities, strict=True):
            for axis, attribute in enumerate(clique):
                if attribute in splits:
                    table = np.moveaxis(
                        np.tensordot(table, splits[attribute], axes=(axis, 0)), -1, axis
                    )
            finer.append(np.ascontiguousarray(table))
        tree = JunctionTree(domain, self.tree.cliques, self.tree.edges)
        return JunctionTreeModel(tree, tuple(finer), self.total)

    def sample(self, records: int, rng: np.random.Generator) -> Codes:
        """Return ``records`` rows of codes, shape (records, attributes), column-major.

        Each clique's new attributes are drawn given its separator alone, so that siblings in the
        tree are independent given what they share. Within a group of rows that agree on the
        separator the draws are stratified: random in order, but as many of each outcome as
        expected, up to one, which leaves out most of the sampling noise of independent draws.
        """
        codes = np.zeros((records, len(self.domain)), dtype=np.int32, order="F")
        for edge in self.tree.edges:
            clique = self.tree.cliques[edge.child]
            new = tuple(a for a in clique if a not in edge.separator)
            table = self.tree.project(
                edge.child, self.probabilities[edge.child], (*edge.separator, *new)
            )
            given = self._flat(codes, edge.separator)
            drawn = _draw_stratified(
                table.reshape(self.domain.cells(edge.separator), -1), given, rng
            )
            for attribute, values in zip(
                new, np.unravel_index(drawn, self.domain.shape(new)), strict=True
            ):
                codes[:, self.domain.axis(attribute)] = values
        return codes

    def to_arrays(self) -> dict[str, Floats]:
        """Return the model as plain arrays; ``cliques`` travel beside them as names."""
        return {f"clique_{i}": table for i, table in enumerate(self.probabilities)}

    @classmethod
    def from_arrays(
        cls, domain: Domain, cliques: Sequence[Clique], arrays: Mapping[str, Floats], total: float
    ) -> JunctionTreeModel:
        """Return the model that ``to_arrays`` took apart; ValueError when shapes do not fit."""
        tree = JunctionTree.of(domain, cliques)
        if tree.cliques != tuple(cliques):
            raise ValueError("the cliques are not those of a junction tree")
        tables = tuple(np.asarray(arrays[f"clique_{i}"], dtype=float) for i in range(len(cliques)))
        if not (math.isfinite(total) and total >= 0):
            raise ValueError(f"the total must be a finite number from 0, got {total}")
        for clique, table in zip(cliques, tables, strict=True):
            if not (table >= 0).all() or not math.isclose(table.sum(), 1, rel_tol=1e-6):
                raise ValueError(f"the table over {clique} must hold probabilities")
            if table.shape != domain.shape(clique):
                raise ValueError(f"the table over {clique} must have shape {domain.shape(clique)}")
        return cls(tree, tables, total)

    def _flat(self, codes: Codes, clique: Clique) -> NDArray[np.int64]:
        cells = np.zeros(len(codes), dtype=np.int64)
        for attribute in clique:
            cells = cells * self.domain.size(attribute) + codes[:, self.domain.axis(attribute)]
        return cells

    @cached_property
    def _components(self) -> dict[str, int]:
        """Number each attribute by the root of its component."""
        roots: dict[int, int] = {}
        for edge in self.tree.edges:
            roots[edge.child] = roots[edge.parent] if _hangs(edge) else edge.child
        return {a: roots[i] for i, clique in enumerate(self.tree.cliques) for a in clique}


def _hangs(edge: Edge) -> bool:
    return edge.parent >= 0


def _draw_stratified(
    table: Floats, given: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw a column of ``table`` for each row number in ``given``, stratified within rows.

    The r-th of g equal rows, in random order, takes the quantile (r + u) / g with one uniform u
    a group: systematic sampling, whose order carries nothing.
    """
    order = rng.permutation(len(given))
    order = order[np.argsort(given[order], kind="stable")]
    grouped = given[order]
    sizes = np.bincount(given, minlength=len(table))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rank = np.arange(len(given)) - starts[grouped]
    quantile = (rank + rng.random(len(table))[grouped]) / np.maximum(sizes, 1)[grouped]
    cumulative = np.cumsum(table, axis=1)
    mass = cumulative[:, -1:]
    uniform = np.arange(1, table.shape[1] + 1) / table.shape[1]  # for rows that cannot occur
    cumulative = np.where(mass > 0, cumulative / np.where(mass > 0, mass, 1.0), uniform)
    cumulative[:, -1] = 1.0
    stacked = (cumulative + np.arange(len(table))[:, None]).ravel()  # one increasing sequence
    found = np.searchsorted(stacked, grouped + quantile, side="right")
    column = np.minimum(found - grouped * table.shape[1], table.shape[1] - 1)
    drawn = np.empty(len(given), dtype=np.int64)
    drawn[order] = np.maximum(column, 0)
    return drawn
