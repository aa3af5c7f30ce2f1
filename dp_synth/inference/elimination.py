"""Marginals of attributes that no clique holds together, by summing out what links them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_letters

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Clique
from dp_synth.errors import InputError
from dp_synth.inference.junction_tree import JunctionTree
from dp_synth.inference.spanning import axes_of, bits_of, cells_of, clique_of, union_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Step:
    """A node of the subtree, its own part of the table, and what each product leaves.

    ``given`` is the separator above; ``own`` the node's attributes that others share or the
    caller wants; ``left`` holds, for each child, the attributes left after its message came in.
    """

    node: int
    given: int
    own: int
    children: tuple[int, ...]
    left: tuple[int, ...]


def joint_probabilities(
    tree: JunctionTree, probabilities: Sequence[Floats], clique: Clique, *, max_cells: int
) -> Floats:
    """Return the probabilities over ``clique``, in its order of axes.

    The cliques between the attributes, each given its separator, are multiplied from the ends
    inwards, and what no later one shares is summed out (Koller & Friedman 2009, sect. 10.3.3).
    Attributes of one code are no axes of the tables on the way: there may be any number of them.
    InputError, before any of it, when a table on the way has more than ``max_cells`` cells.
    """
    domain = tree.domain
    steps = list(_plan(tree, bits_of(domain, clique)))
    largest = max(cells_of(domain, bits) for step in steps for bits in (step.own, *step.left))
    if largest > max_cells:
        raise InputError(
            f"the marginal over {', '.join(map(repr, clique))} needs a table of {largest:,} "
            f"cells, at most {max_cells:,} are allowed; ask for fewer attributes"
        )
    messages: dict[int, tuple[int, Floats]] = {}
    for step in steps:
        bits, table = step.own, _given_separator(tree, probabilities[step.node], step)
        for child, left in zip(step.children, step.left, strict=True):
            table = _product((bits, table), messages.pop(child), left)
            bits = left
        messages[step.node] = bits, table
    bits, table = messages[steps[-1].node]
    found = clique_of(domain, bits)
    ordered = table.transpose([found.index(a) for a in clique if a in found])
    return np.asarray(ordered).reshape(domain.shape(clique))


def _plan(tree: JunctionTree, wanted: int) -> Iterator[_Step]:
    """Yield the subtree's nodes from its ends to its root."""
    forest = tree.forest
    links = forest.between(wanted)
    several = tree.several
    wanted &= several
    inner = wanted | forest.shared(links) & several
    result: dict[int, int] = {}
    for node in sorted(links, key=lambda node: -forest.depths[node]):
        above = forest.parents[node]
        linked = above != node and above in links[node]
        given = forest.cliques[node] & forest.cliques[above] & several if linked else 0
        own = bits = forest.cliques[node] & inner
        children = tuple(sorted(other for other in links[node] if not linked or other != above))
        left = []
        for i, child in enumerate(children):
            later = union_of(result[other] for other in children[i + 1 :])
            bits = (bits | result[child]) & (wanted | given | later)
            left.append(bits)
        result[node] = bits
        yield _Step(node, given, own, children, tuple(left))


def _given_separator(tree: JunctionTree, table: Floats, step: _Step) -> Floats:
    """Return the node's own part given its separator; zeros where that cannot occur."""
    own = clique_of(tree.domain, step.own)
    part = tree.project(step.node, table, own)
    if not step.given:
        return part
    others = tuple(i for i, bit in enumerate(own) if bit not in clique_of(tree.domain, step.given))
    mass = part.sum(axis=others, keepdims=True)
    return np.asarray(np.divide(part, mass, out=np.zeros(part.shape), where=mass > 0))


def _product(left: tuple[int, Floats], right: tuple[int, Floats], onto: int) -> Floats:
    """Return the product of two tables with axes in domain order, summed onto ``onto``."""
    names = dict(zip(axes_of(left[0] | right[0]), ascii_letters, strict=False))
    first, second, kept = (
        "".join(names[axis] for axis in axes_of(bits)) for bits in (left[0], right[0], onto)
    )
    product = np.einsum(f"{first},{second}->{kept}", left[1], right[1], optimize=True)
    return np.asarray(product, dtype=float)
