"""Evidence entered into a junction tree: what is left of a distribution, and how much of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.inference.folding import Fold
from dp_synth.inference.junction_tree import JunctionTree
from dp_synth.inference.propagation import IMPOSSIBLE, log_or_impossible

Floats = NDArray[np.float64]


def conditioned_tables(
    tree: JunctionTree, probabilities: Sequence[Floats], weights: Mapping[str, Floats]
) -> tuple[tuple[Floats, ...], float]:
    """Return the cliques' probabilities given the evidence, and the evidence's own.

    One propagation from each clique's log probabilities given its separator, with the log
    weights of each attribute added once. ValueError when the evidence has probability zero.
    """
    potentials = _log_conditionals(tree, probabilities)
    for attribute, weight in weights.items():
        log_weight = log_or_impossible(_checked(tree.domain, attribute, weight))
        position = tree.home((attribute,))
        if position is None:
            raise ValueError(f"no clique of the tree holds {attribute!r}")
        axis = tree.cliques[position].index(attribute)
        Fold(potentials[position].shape, frozenset([axis])).add(potentials[position], log_weight)
    tables, log_probability = tree.propagation.run(potentials)
    if log_probability < IMPOSSIBLE / 2:
        raise ValueError(
            f"the evidence on {', '.join(map(repr, weights))} has probability zero: no record of "
            "the model meets it"
        )
    return tuple(tables), math.exp(log_probability)


def _log_conditionals(tree: JunctionTree, probabilities: Sequence[Floats]) -> list[Floats]:
    potentials = [log_or_impossible(table) for table in probabilities]
    for edge in tree.edges:
        if edge.separator:
            table, clique = probabilities[edge.child], tree.cliques[edge.child]
            kept = frozenset(i for i, a in enumerate(clique) if a in edge.separator)
            fold = Fold(table.shape, kept)
            mass = fold.sum(table)
            fold.add(potentials[edge.child], -log_or_impossible(np.where(mass > 0, mass, 1.0)))
    return potentials


def _checked(domain: Domain, attribute: str, weight: Floats) -> Floats:
    weight = np.asarray(weight, dtype=float)
    if weight.shape != (domain.size(attribute),):
        raise ValueError(f"weights of {attribute!r} must be {domain.size(attribute)} numbers")
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError(f"weights of {attribute!r} must be finite numbers from 0")
    return weight
