"""Belief propagation: one exponential a cell, and the rest in passes as long as separators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Clique
from dp_synth.inference.folding import Fold
from dp_synth.inference.spanning import Edge

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

IMPOSSIBLE = -1e30  # the log potential of what cannot occur: finite, so that differences are too
TINY = 1e-250  # sums below it have lost digits of their terms


@dataclass(frozen=True, eq=False)
class Propagation:
    """How messages pass between cliques: where each table folds onto its separators.

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
