"""Completion of partial rows: the gaps of each drawn from a distribution given all else in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.inference.junction_tree import JunctionTree
from dp_synth.types import Clique, Codes, Flags, Floats, Integers

MOST_CELLS = 4_000_000  # of all rows that are completed at one time: 32 megabytes


@dataclass(frozen=True, eq=False)
class Step:
    """A clique on the way: its new attributes given those that it shares with its parent.

    ``table[separator, outcome]`` are probabilities. ``codes`` are, for each new attribute's axis,
    its code in each outcome; ``below[child]`` is the cell of a child's separator that each cell
    of the table lies in.
    """

    clique: int
    separator: Clique
    table: Floats
    codes: dict[int, Codes]
    below: dict[int, Integers]


def complete_rows(
    tree: JunctionTree, probabilities: Sequence[Floats], known: Codes, rng: np.random.Generator
) -> tuple[Codes, Flags]:
    """Return rows of codes, and which of them can occur; -1 in ``known`` marks what is drawn.

    Both have shape (records, attributes), the flags (records,). Exact: messages go up the tree
    for each row apart, then each clique's new attributes are drawn on the way down. Rows that
    cannot occur hold codes without a meaning.
    """
    steps = _steps(tree, probabilities)
    rows, possible = known.copy(order="F"), np.ones(len(known), dtype=bool)
    for part in parts(len(known), max(step.table.size for step in steps)):
        own = rows[part]
        messages = _messages(steps, own, possible[part])
        for step in steps:
            cells = _cells(tree.domain, own, step.separator)
            weights = step.table[cells] * _allowed(step, own)
            for child, below in step.below.items():
                if child in messages:
                    weights *= np.take_along_axis(messages[child], below[cells], axis=1)
            drawn = draw(weights, rng)
            for axis, codes in step.codes.items():
                own[:, axis] = codes[drawn]
        rows[part] = own
    return rows, possible


def parts(records: int, cells: int) -> Iterator[slice]:
    """Yield stretches of records that take at most `MOST_CELLS`, of so many cells each."""
    step = max(1, MOST_CELLS // cells)
    for start in range(0, records, step):
        yield slice(start, start + step)


def draw(weights: Floats, rng: np.random.Generator) -> Integers:
    """Return one column for each row of ``weights``, by inverse CDF; 0 where all are zero."""
    ends = np.cumsum(weights, axis=1)
    found = (ends <= rng.random((len(weights), 1)) * ends[:, -1:]).sum(axis=1)
    last = weights.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0, axis=1)
    return np.asarray(np.minimum(found, last), dtype=np.int64)


def _steps(tree: JunctionTree, probabilities: Sequence[Floats]) -> list[Step]:
    domain, steps = tree.domain, []
    for edge in tree.edges:
        new = tuple(a for a in tree.cliques[edge.child] if a not in edge.separator)
        order = (*edge.separator, *new)
        table = tree.project(edge.child, probabilities[edge.child], order)
        table = table.reshape(domain.cells(edge.separator), domain.cells(new))
        mass = table.sum(axis=1, keepdims=True)
        places = np.unravel_index(np.arange(table.size), domain.shape(order))
        by_attribute = dict(zip(order, places, strict=True))
        outcomes = np.unravel_index(np.arange(table.shape[1]), domain.shape(new))
        steps.append(
            Step(
                edge.child,
                edge.separator,
                table / np.where(mass > 0, mass, 1.0),
                {domain.axis(a): c.astype(np.int32) for a, c in zip(new, outcomes, strict=True)},
                {
                    below.child: _number(domain, by_attribute, below.separator).reshape(table.shape)
                    for below in tree.edges
                    if below.parent == edge.child and below.separator
                },
            )
        )
    return steps


def _messages(steps: Sequence[Step], known: Codes, possible: Flags) -> dict[int, Floats]:
    """Return what is known below each separator, by row and cell; clear rows that cannot occur.

    Left out are cliques below which nothing is known.
    """
    messages: dict[int, Floats] = {}
    for step in reversed(steps):
        heard = [child for child in step.below if child in messages]
        if not heard and (known[:, list(step.codes)] < 0).all():
            continue
        weights = step.table * _allowed(step, known)[:, None, :]
        for child in heard:
            weights *= messages[child][:, step.below[child]]
        message = weights.sum(axis=2)
        most = message.max(axis=1, keepdims=True)
        possible &= most[:, 0] > 0
        messages[step.clique] = message / np.where(most > 0, most, 1.0)
    return messages


def _allowed(step: Step, known: Codes) -> Flags:
    """Return which outcomes agree with what is known of each row."""
    allowed = np.ones((len(known), step.table.shape[1]), dtype=bool)
    for axis, codes in step.codes.items():
        own = known[:, axis, None]
        allowed &= (own < 0) | (own == codes)
    return allowed


def _cells(domain: Domain, rows: Codes, clique: Clique) -> Integers:
    if not clique:
        return np.zeros(len(rows), dtype=np.int64)
    return _number(domain, {a: rows[:, domain.axis(a)] for a in clique}, clique)


def _number(domain: Domain, codes: Mapping[str, NDArray[np.integer]], clique: Clique) -> Integers:
    """Return the number of the cell of a marginal over ``clique`` that codes lie in."""
    cells = np.zeros(len(codes[clique[0]]), dtype=np.int64)
    for attribute in clique:
        cells = cells * domain.size(attribute) + codes[attribute]
    return cells
