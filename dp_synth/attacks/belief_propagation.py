"""Reconstruction by belief propagation: several hidden columns of a record, guessed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.special import logsumexp

from dp_synth.attacks.article_29 import Secret, secret_of
from dp_synth.attacks.base import AttackedTables, ExcessRisk, Guess, cites
from dp_synth.attacks.distance import Points, nearest
from dp_synth.errors import InputError
from dp_synth.frames import hold_frames
from dp_synth.metrics.fidelity import attributes_of
from dp_synth.metrics.models import short_seed
from dp_synth.schema import Schema
from dp_synth.settings import check_settings
from dp_synth.types import Floats, Integers

Edge = tuple[int, int]

LEAST_FEATURE = -1e30  # stands for what is missing: forests take numbers of single precision
MOST_VALUES = 50  # of a column that takes part in belief propagation
BLOCK = 500  # targets whose tables of pairs are held at once


@dataclass(frozen=True, eq=False)
class HiddenColumns:
    """Several hidden columns of records of which all others are known.

    As for `Secret` a hidden number is a cell of a tenth of the synthetic records. InputError for
    columns that the schema does not have, or where nothing is hidden or known.
    """

    columns: tuple[str, ...]
    schema: Schema
    synthetic: pd.DataFrame

    def __post_init__(self) -> None:
        hold_frames(self, "synthetic")
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise InputError("hidden columns must be one or more, each named once")
        names = {column.name for column in attributes_of(self.schema)}
        if names == set(self.columns):
            raise InputError("to guess hidden columns one other must be known")
        _ = self.secrets  # refuses a column that is none

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """Each hidden column as a secret by itself."""
        return tuple(Secret(name, self.schema, self.synthetic) for name in self.columns)

    @property
    def known(self) -> Schema:
        """The schema of all other columns."""
        return self.schema.without(self.columns)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values that each column may have."""
        return tuple(secret.size for secret in self.secrets)

    def values(self, frame: pd.DataFrame) -> Integers:
        """Return what is hidden of each record, shape (records, columns)."""
        return np.stack([secret.values(frame) for secret in self.secrets], axis=1)

    def commonest(self) -> Integers:
        """Return the commonest synthetic value of each column."""
        return np.array([secret.commonest() for secret in self.secrets], dtype=np.int64)


@dataclass(frozen=True)
class BeliefPropagation:
    """Guesses hidden columns by forests, then by what goes together in similar synthetic rows.

    CoBP-RA, the strongest attack of Golob, Pentyala & De Cock 2026 (arXiv:2606.08372), whose
    attacks came first in the 2025 red-team exercise of NIST on reconstruction:

    1. a random forest for each hidden column, of ``trees`` trees at most ``depth`` deep, learned
       on the synthetic rows, gives each target a distribution given what is known of it;
    2. the hidden columns are joined by the tree that has the largest mutual information among the
       synthetic rows, so that belief propagation is exact;
    3. for each target and edge the log ratio of a pair's frequency to that of independence is
       counted among the ``neighbours`` synthetic rows that are nearest in what is known, so that
       what the known columns explain of a pair, which the forests have seen, does not count twice;
    4. sum-product messages join both, and each column's most likely value is the guess.

    Decided here, where the paper leaves it open or is left: distances are those of
    ``ClosestRecord``; a log ratio is log((n + s) / (e + s)) of a pair's count n and the count e
    that independence lets expect, with s = ``smoothing``, so that few rows say little; a forest
    has one more tree that knows nothing, so that no value is impossible. Their correction of
    whole columns, after which all guesses together have the synthetic frequencies, is left out:
    with it the guess about one person depends on who else is asked about. Success is the plain
    share of columns that are right, not weighted by how rare the values are.
    """

    name: ClassVar[str] = "cobp_ra"
    cites: ClassVar[tuple[str, ...]] = ("golob2026",)

    trees: int = 25
    depth: int = 25
    neighbours: int = 100
    smoothing: float = 5.0
    rows: int = 20_000  # synthetic rows that are looked at, at most, drawn by ``seed``
    seed: int = 0

    LEAST: ClassVar = {"trees": 1, "depth": 1, "neighbours": 1, "rows": 1}
    ABOVE: ClassVar = {"smoothing": 0}

    def __post_init__(self) -> None:
        check_settings(self)

    def guess(self, targets: pd.DataFrame, hidden: HiddenColumns) -> Integers:
        """Return the guessed values, shape (targets, hidden columns), as `HiddenColumns.values`.

        InputError without synthetic rows.
        """
        beliefs = self.beliefs(targets, hidden)
        return np.stack([column.argmax(axis=1) for column in beliefs], axis=1).astype(np.int64)

    def beliefs(self, targets: pd.DataFrame, hidden: HiddenColumns) -> list[Floats]:
        """Return log probabilities of each hidden column's values, shape (targets, values).

        InputError without synthetic rows.
        """
        if not len(hidden.synthetic):
            raise InputError("to guess hidden columns the synthetic table must have records")
        rng = np.random.default_rng(self.seed)
        drawn = rng.permutation(len(hidden.synthetic))[: self.rows]
        rows = hidden.synthetic.iloc[np.sort(drawn)]
        points, asked = (Points.of(frame, hidden.known) for frame in (rows, targets))
        values, sizes = hidden.values(rows), hidden.sizes
        if not len(targets):
            return [np.zeros((0, size)) for size in sizes]
        logs = [
            self._posterior(points, values[:, place], asked, size)
            for place, size in enumerate(sizes)
        ]
        edges = dependence_tree(values, sizes)
        near = nearest(asked, points, self.neighbours, rng) if edges else None
        if near is None:
            return logs
        for start in range(0, len(targets), BLOCK):
            block = slice(start, start + BLOCK)
            pairs = [
                log_ratios(values[near[block]][..., edge], (sizes[edge[0]], sizes[edge[1]]), self)
                for edge in map(list, edges)
            ]
            joined = propagate([one[block] for one in logs], edges, pairs)
            for one, better in zip(logs, joined, strict=True):
                one[block] = better
        return logs

    def _posterior(self, rows: Points, values: Integers, asked: Points, size: int) -> Floats:
        """Return log probabilities of one column by a forest, shape (targets, values)."""
        from sklearn.ensemble import RandomForestClassifier

        features, wanted = (np.maximum(of.values, LEAST_FEATURE) for of in (rows, asked))
        chances = np.full((len(wanted), size), 1 / size)
        forest = RandomForestClassifier(
            self.trees, max_depth=self.depth, random_state=short_seed(self.seed), n_jobs=1
        ).fit(features, values)
        chances[:, forest.classes_] += self.trees * forest.predict_proba(wanted)
        found: Floats = np.log(chances / (self.trees + 1))
        return found


def dependence_tree(values: Integers, sizes: Sequence[int]) -> list[Edge]:
    """Return the pairs of columns of the tree that has the largest mutual information.

    ``values`` has shape (records, columns); columns of many values stay alone, as do those that
    tell nothing of any other (Chow & Liu 1968).
    """
    from sklearn.metrics import mutual_info_score

    columns = [place for place, size in enumerate(sizes) if size <= MOST_VALUES]
    costs = np.zeros((len(sizes), len(sizes)))
    for a, b in combinations(columns, 2):
        costs[a, b] = -max(mutual_info_score(values[:, a], values[:, b]), 0.0)
    tree = minimum_spanning_tree(costs).tocoo()
    return sorted(zip(tree.row.tolist(), tree.col.tolist(), strict=True))


def log_ratios(pairs: Integers, sizes: tuple[int, int], settings: BeliefPropagation) -> Floats:
    """Return for each target how far pairs of values are from independent among its neighbours.

    ``pairs`` has shape (targets, neighbours, 2); the result (targets, first, second).
    """
    targets, count, _ = pairs.shape
    cells = sizes[0] * sizes[1]
    keys = pairs[..., 0] * sizes[1] + pairs[..., 1] + cells * np.arange(targets)[:, None]
    joint = np.bincount(keys.ravel(), minlength=targets * cells).reshape(targets, *sizes)
    expected = joint.sum(axis=2, keepdims=True) * joint.sum(axis=1, keepdims=True) / count
    found: Floats = np.log((joint + settings.smoothing) / (expected + settings.smoothing))
    return found


def propagate(
    logs: Sequence[Floats], edges: Sequence[Edge], pairs: Sequence[Floats]
) -> list[Floats]:
    """Return the marginals of a tree of columns, as log probabilities (sum-product, exact).

    ``logs[k]`` has shape (targets, values of k), ``pairs[i]`` (targets, values of the first
    column of ``edges[i]``, values of its second one). Messages go to a root and back.
    """
    order = _from_roots(len(logs), edges)
    beliefs = [one.copy() for one in logs]
    upward: dict[int, Floats] = {}  # what each column told its parent
    for column, parent, table in reversed(order):
        if parent is not None and table is not None:
            upward[column] = logsumexp(
                beliefs[column][:, :, None] + _towards(pairs, edges, table, parent), axis=1
            )
            beliefs[parent] += upward[column]
    for column, parent, table in order:
        if parent is not None and table is not None:
            without = beliefs[parent] - upward[column]
            beliefs[column] += logsumexp(
                without[:, :, None] + _towards(pairs, edges, table, column), axis=1
            )
    return [one - logsumexp(one, axis=1, keepdims=True) for one in beliefs]


def _towards(pairs: Sequence[Floats], edges: Sequence[Edge], table: int, column: int) -> Floats:
    """Return the table of an edge with ``column`` as its last axis."""
    return pairs[table] if edges[table][1] == column else pairs[table].swapaxes(1, 2)


def _from_roots(columns: int, edges: Sequence[Edge]) -> list[tuple[int, int | None, int | None]]:
    """Return each column after its parent, with the parent and the edge to it; roots have none."""
    order: list[tuple[int, int | None, int | None]] = []
    seen: set[int] = set()
    for root in range(columns):
        if root in seen:
            continue
        seen.add(root)
        order.append((root, None, None))
        place = len(order) - 1
        while place < len(order):
            here = order[place][0]
            for table, edge in enumerate(edges):
                other = edge[1] if edge[0] == here else edge[0]
                if here in edge and other not in seen:
                    seen.add(other)
                    order.append((other, here, table))
            place += 1
    return order


@cites("golob2026")
def belief_reconstruction(
    members: pd.DataFrame,
    controls: pd.DataFrame,
    hidden: HiddenColumns,
    *,
    settings: BeliefPropagation | None = None,
) -> ExcessRisk:
    """Return how much more of fitted records' hidden columns is guessed than of fresh ones'.

    A record's success is the share of its hidden columns that are right. The control are fresh
    records, of which the population alone is learned: the difference, `ExcessRisk.memorisation`,
    is what the paper tests memorisation by. The baseline guesses the commonest synthetic values.
    """
    attack = BeliefPropagation() if settings is None else settings
    truths = [hidden.values(frame) for frame in (members, controls)]
    right = [
        (attack.guess(frame, hidden) == truth).mean(axis=1)
        for frame, truth in zip((members, controls), truths, strict=True)
    ]
    common = truths[0] == hidden.commonest()
    return ExcessRisk.of(right[0], right[1], float(common.mean()) if len(members) else 0.0)


def _run(tables: AttackedTables) -> ExcessRisk | None:
    names = [column.name for column in attributes_of(tables.schema)]
    secret = secret_of(tables)
    if secret is None:
        return None
    others = [name for name in names if name != secret.column]
    hidden = HiddenColumns((secret.column, *others[1::2]), tables.schema, tables.synthetic)
    settings = BeliefPropagation(seed=tables.seed)
    return belief_reconstruction(tables.members, tables.controls, hidden, settings=settings)


BELIEFS = Guess(
    "cobp_ra",
    "CoBP-RA",
    "Do half of a fitted person's columns tell the other half?",
    "Hidden columns of a {who} record were guessed together",
    _run,
    sees="the synthetic table, every other column of the record",
    cites=("golob2026",),
)
