"""A distribution over a junction tree: what is estimated from noisy marginals, and sampled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Clique, Domain
from dp_synth.errors import InputError
from dp_synth.inference.completion import complete_rows
from dp_synth.inference.conditioning import conditioned_tables
from dp_synth.inference.elimination import joint_probabilities
from dp_synth.inference.junction_tree import MAX_CELLS, JunctionTree
from dp_synth.inference.sampling import sample_rows

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class JunctionTreeModel:
    """Consistent probabilities of the tree's cliques, and the noisy number of records.

    ``parameters`` of measured cliques, flat, are kept for the next estimate to start from; they
    are no part of the distribution.
    """

    tree: JunctionTree
    probabilities: tuple[Floats, ...]
    total: float
    parameters: Mapping[Clique, Floats] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        tables, records = len(self.probabilities), f"about {self.total:,.0f} records"
        return f"<JunctionTreeModel: {tables} tables over {len(self.domain)} attributes; {records}>"

    @property
    def domain(self) -> Domain:
        """The attributes, in the order of ``sample``'s columns."""
        return self.tree.domain

    def marginal(self, clique: Clique, *, max_cells: int = MAX_CELLS) -> Floats:
        """Return the expected counts over any attributes, in the order of ``clique``.

        Exact: attributes that no clique of the tree holds together are linked by summing out
        those between them. InputError when that needs a table of more than ``max_cells`` cells.
        """
        if self.tree.home(clique) is None and self.domain.cells(clique) > max_cells:
            raise InputError(
                f"the marginal over {', '.join(map(repr, clique))} has "
                f"{self.domain.cells(clique):,} cells, at most {max_cells:,} are allowed"
            )
        expected, order = np.array(self.total), list[str]()
        for part in self._independent_parts(clique):
            home = self.tree.home(part)
            table = (
                joint_probabilities(self.tree, self.probabilities, part, max_cells=max_cells)
                if home is None
                else self.tree.project(home, self.probabilities[home], part)
            )
            expected = np.multiply.outer(expected, table)
            order += part
        return np.asarray(expected.transpose([order.index(attribute) for attribute in clique]))

    def _independent_parts(self, clique: Clique) -> list[Clique]:
        parts: dict[int, list[str]] = {}
        for attribute in clique:
            parts.setdefault(self.tree.components[attribute], []).append(attribute)
        return [tuple(part) for part in parts.values()]

    def conditioned(self, weights: Mapping[str, Floats]) -> JunctionTreeModel:
        """Return the model of the records that the evidence picks.

        ``weights[attribute][code]`` is the chance that evidence picks a record of that code: 0
        and 1 to fix a value or a range, likelihoods in between; attributes pick independently.
        ``total`` becomes the expected number of such records. ValueError when that is zero.
        """
        tables, probability = conditioned_tables(self.tree, self.probabilities, weights)
        return JunctionTreeModel(self.tree, tables, self.total * probability)

    def sample(self, records: int, rng: np.random.Generator) -> Codes:
        """Return ``records`` rows of codes, shape (records, attributes), column-major.

        Stratified, so that counts are as expected up to rounding: see ``sample_rows``.
        """
        return sample_rows(self.tree, self.probabilities, records, rng)

    def completed(self, known: Codes, rng: np.random.Generator) -> tuple[Codes, Flags]:
        """Return rows whose codes of -1 are drawn given the others, and which can occur."""
        return complete_rows(self.tree, self.probabilities, known, rng)

    def to_arrays(self) -> dict[str, Floats]:
        """Return the model as plain arrays; ``cliques`` travel beside them as names."""
        return {f"clique_{i}": table for i, table in enumerate(self.probabilities)}

    @classmethod
    def from_arrays(
        cls, domain: Domain, cliques: Sequence[Clique], arrays: Mapping[str, Floats], total: float
    ) -> JunctionTreeModel:
        """Return the model that ``to_arrays`` took apart; ValueError when it does not fit."""
        foreign = {attribute for clique in cliques for attribute in clique} - set(domain)
        if foreign:
            raise ValueError(f"no attributes {', '.join(map(repr, sorted(foreign)))}")
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
        model = cls(tree, tables, total)
        for support in domain.supports:
            counts = model.marginal(support.clique)
            if counts[~support.mask(counts.shape)].any():
                raise ValueError(f"the table over {support.clique} must be 0 where nothing occurs")
        return model
