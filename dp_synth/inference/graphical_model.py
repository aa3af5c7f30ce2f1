"""Graphical models over junction trees: marginals, evidence and rows of a distribution."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_letters

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference.completion import complete_rows
from dp_synth.inference.factors import Fold
from dp_synth.inference.junction_tree import IMPOSSIBLE, MAX_CELLS, JunctionTree, log_or_impossible
from dp_synth.inference.triangulation import axes_of, bits_of, cells_of, clique_of, union_of
from dp_synth.types import Clique, Codes, Flags, Floats, Integers

Numbers = NDArray[np.integer]

RADIX_BITS = 16  # numpy sorts integers of that width by radix, ten times as fast as others


@dataclass(frozen=True, eq=False)
class JunctionTreeModel:
    """Graphical model: consistent probabilities of a junction tree's cliques, and a noisy total.

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

    def draw(self, records: int, rng: np.random.Generator) -> Codes:
        """Return ``records`` rows of codes as in ``sample``, each independent of all others."""
        return sample_rows(self.tree, self.probabilities, records, rng, _draw_independent)

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


def _draw_stratified(table: Floats, given: Numbers, rng: np.random.Generator) -> Numbers:
    """Return a column of ``table`` for each row number in ``given``, sorted by row and column.

    The r-th of g equal rows takes the quantile (r + u) / g with one uniform u a group: systematic
    sampling. Of a column that ends at the quantile q, and of all before it, there are therefore
    ceil(q * g - u).
    """
    rows, columns = table.shape
    sizes = np.bincount(given, minlength=rows)[:, None]
    quantiles = np.cumsum(table, axis=1)
    mass = quantiles[:, -1:].copy()
    quantiles /= np.where(mass > 0, mass, 1.0)
    quantiles[mass[:, 0] <= 0] = np.arange(1, columns + 1) / columns  # rows that cannot occur
    ends = np.ceil(quantiles * sizes - rng.random((rows, 1)))
    ends = np.where(quantiles < 1, np.maximum(ends, 0), sizes).astype(np.int64)
    counts = np.diff(ends, axis=1, prepend=0)
    numbers = np.arange(columns, dtype=np.min_scalar_type(columns))
    return np.repeat(np.tile(numbers, rows), counts.ravel())


def _draw_independent(table: Floats, given: Numbers, rng: np.random.Generator) -> Numbers:
    """Return a column of ``table`` for each row number in ``given``, sorted by row and column.

    How often each comes out of independent draws is multinomial.
    """
    rows, columns = table.shape
    mass = table.sum(axis=1, keepdims=True)
    chances = np.where(mass > 0, table, 1.0)
    chances /= chances.sum(axis=1, keepdims=True)
    counts = rng.multinomial(np.bincount(given, minlength=rows), chances)
    numbers = np.arange(columns, dtype=np.min_scalar_type(columns))
    return np.repeat(np.tile(numbers, rows), counts.ravel())


def sample_rows(
    tree: JunctionTree,
    probabilities: Sequence[Floats],
    records: int,
    rng: np.random.Generator,
    draw: Callable[[Floats, Numbers, np.random.Generator], Numbers] = _draw_stratified,
) -> Codes:
    """Return ``records`` rows of codes, shape (records, attributes), column-major.

    Siblings in the tree are independent given what they share. Within a group of rows that agree
    on the separator the draws are stratified: random in order, but as many of each outcome as
    expected, up to one, which leaves out most of the sampling noise of independent draws; unless
    another ``draw`` says how many there are.
    """
    domain = tree.domain
    codes = np.zeros((records, len(domain)), dtype=np.int32, order="F")
    for edge in tree.edges:
        new = tuple(a for a in tree.cliques[edge.child] if a not in edge.separator)
        outcomes = domain.cells(new)
        table = tree.project(edge.child, probabilities[edge.child], (*edge.separator, *new))
        groups = domain.cells(edge.separator)
        given = _cells(domain, codes, edge.separator).astype(np.min_scalar_type(groups))
        order = _shuffled_by_group(given, groups, rng)
        drawn = draw(table.reshape(-1, outcomes), given, rng)
        for attribute, code in zip(
            new, np.unravel_index(np.arange(outcomes), domain.shape(new)), strict=True
        ):
            codes[order, domain.axis(attribute)] = code.astype(np.int32)[drawn]
    return codes


def _shuffled_by_group(given: Numbers, groups: int, rng: np.random.Generator) -> Integers:
    """Return the positions of ``given`` sorted by value, those of one value in random order."""
    order = rng.permutation(len(given))
    for shift in range(0, (groups - 1).bit_length(), RADIX_BITS):
        digit = (given[order] >> shift).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
    return order


def _cells(domain: Domain, codes: Codes, clique: Clique) -> Integers:
    """Return the number of the cell of each row's marginal over ``clique``."""
    cells = np.zeros(len(codes), dtype=np.int64)
    for attribute in clique:
        cells *= domain.size(attribute)
        cells += codes[:, domain.axis(attribute)]
    return cells
