"""Fitting two tables: one model of roots, one of children given their root and the child before.

Algorithm. A root with k children stands in the table of roots with its number k, and each child in
that of children beside its root's columns, k, and the columns of the child before it, in random
order. Both tables are fitted by one marginal method each, from one reservation. Rows are drawn
from the root's model, and children one after another from theirs, given all that stands before.

Privacy
-------
The unit is a root with all its children, of which K = ``max_children`` are used at most. The
budget's ``max_rows`` is K, so that every sensitivity is K times that of a record (`mechanisms`). A
root counts K times, each of its k children floor(K / k) times: whatever they hold, a unit adds no
more than K to any marginal of either table, nor moves the distance of two columns from independence
by more than 4 K (`dependence_sensitivity`, for lines of any weight). Weights are functions of k,
which is a column of both tables, so that models are of rows again once they are conditioned by one
over them. Both fits are charged to one ledger and composed there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.accounting import Accountant, PrivacyBudget
from dp_synth.counting import CodeCounts, PrivateRecords
from dp_synth.counting.columns import MemoryColumns
from dp_synth.errors import InputError, SchemaError
from dp_synth.frames import as_frame, column_of
from dp_synth.inference import Model
from dp_synth.relational.release import TablesRelease
from dp_synth.relational.schema import NUMBER, TablesSchema
from dp_synth.release import Release
from dp_synth.schema.parsing import Cells
from dp_synth.synthesizers.clique_tree import CliqueTree
from dp_synth.synthesizers.fitting import own_parts, table_of
from dp_synth.types import Codes, Integers

if TYPE_CHECKING:
    from dp_synth.synthesizers.base import Synthesizer

ROOTS, CHILDREN = "roots", "children"
SHARE = 0.8  # of the cost that children have, whose table is wider
MOST_CELLS = 3000  # of a clique tree, unless another method is given: rows are drawn by all it has


@dataclass(frozen=True)
class Dropped:
    """What of two tables is not used, for the data holder alone: private numbers."""

    without_root: int
    beyond_most: int
    repeated_roots: int


def fit_tables(
    tables: Mapping[str, pd.DataFrame],
    schema: TablesSchema,
    budget: PrivacyBudget | Accountant,
    *,
    synthesizer: Synthesizer | None = None,
    share: float = SHARE,
    seed: int | None = None,
) -> TablesRelease:
    """Return a release of two tables, given by name.

    The ``budget`` protects a root with all its children: its ``unit`` is the root's key, and its
    ``max_rows`` the schema's ``max_children``; without a unit it is given them. An accountant of
    such a budget keeps the ledger where it says. A ``share`` of the cost is the children's.
    Children without a root, those beyond ``max_children`` and further roots of one key are left
    out, at random where there is a choice: `Joined.dropped` counts them. With a ``seed`` the
    release can be repeated, and is not for the public.

    InputError or SchemaError, before anything is charged, for tables of other names, columns that
    are not there, a method that reads records, and another unit. BudgetExceeded as in any fit.
    """
    recipe = CliqueTree(max_cells=MOST_CELLS) if synthesizer is None else synthesizer
    if not recipe.measures:
        raise InputError(f"{recipe.name} does not fit two tables; take one that counts marginals")
    if not 0 < share < 1:
        raise InputError(f"the share of the children must lie in (0, 1), got {share}")
    payer = _payer_of(schema, budget)
    plans = {
        ROOTS: (recipe.charges(schema.roots.domain), 1 - share),
        CHILDREN: (recipe.charges(schema.children.domain), share),
    }
    for one in (schema.roots, schema.children):
        recipe.check(one)
    for name, plan in payer.check(plans).items():
        domain = (schema.roots if name == ROOTS else schema.children).domain
        recipe.check_noise(own_parts(plan), domain, payer.budget)
    order, *noise = np.random.SeedSequence(seed).spawn(3)
    joined = Joined.of(tables, schema, np.random.default_rng(order))
    granted = payer.admit_jointly(plans, randomness="os" if seed is None else "seeded")
    found = {}
    for name, stream in zip((ROOTS, CHILDREN), noise, strict=True):
        rng, reservation = np.random.default_rng(stream), granted[name]
        records, counts = joined.weighted(name)
        _, _, table = table_of(records, reservation, rng, counts=counts)
        if name == CHILDREN:
            table.idle = frozenset(combinations(schema.given, 2))
        model = recipe._fit(table, own_parts(reservation.plan), rng)
        found[name] = _of_rows(model, schema, name), tuple(table.transcript)
    ledger = payer.ledger_so_far
    releases = {
        name: Release(
            recipe.name,
            asdict(recipe),
            schema.roots if name == ROOTS else schema.children,
            model,
            ledger,
            transcript,
        )
        for name, (model, transcript) in found.items()
    }
    return TablesRelease(schema, releases[ROOTS], releases[CHILDREN])


def _payer_of(schema: TablesSchema, budget: PrivacyBudget | Accountant) -> Accountant:
    """Return who pays; InputError for a budget that protects another unit."""
    own = budget.budget if isinstance(budget, Accountant) else budget
    unit, most = schema.key, schema.max_children
    if isinstance(budget, PrivacyBudget) and budget.unit is None:
        return Accountant(replace(budget, unit=unit, max_rows=most))
    if (own.unit, own.max_rows) != (unit, most):
        raise InputError(
            f"the unit of two tables is the root's key {unit!r} with max_rows {most}, the budget "
            f"has {own.unit!r} with {own.max_rows}"
        )
    return budget if isinstance(budget, Accountant) else Accountant(budget)


@dataclass(frozen=True, eq=False)
class Joined:
    """Private codes of both tables: roots with the number of their children, and children.

    ``roots`` has shape (roots, attributes of `TablesSchema.roots`), ``children`` likewise.
    """

    schema: TablesSchema
    roots: Codes
    children: Codes
    dropped: Dropped

    @classmethod
    def of(
        cls, tables: Mapping[str, pd.DataFrame], schema: TablesSchema, rng: np.random.Generator
    ) -> Joined:
        """Return the codes of two tables; SchemaError where they lack a column."""
        wanted = {schema.root_name, schema.child_name}
        if set(tables) != wanted:
            raise InputError(f"the tables must be {sorted(wanted)}, got {sorted(tables)}")
        upper, lower = (as_frame(tables[n]) for n in (schema.root_name, schema.child_name))
        keys, links = (
            _keys(upper, schema.root_name, schema.key),
            _keys(lower, schema.child_name, schema.foreign_key),
        )
        shuffled = rng.permutation(len(keys))
        _, firsts = np.unique(keys[shuffled], return_index=True)
        kept = np.sort(shuffled[firsts])  # one root of each key, at random
        places = pd.Index(keys[kept]).get_indexer(pd.Index(links))
        turn = rng.permutation(len(links))
        turn = turn[places[turn] >= 0]
        turn = turn[np.argsort(places[turn], kind="stable")]  # by root, in random order within
        within = _counted(places[turn])
        turn = turn[within < schema.max_children]
        owners, within = places[turn], within[within < schema.max_children]
        numbers = np.bincount(owners, minlength=len(kept))
        dropped = Dropped(
            int((places < 0).sum()),
            int((places >= 0).sum() - len(turn)),
            len(keys) - len(kept),
        )
        above = schema.own_root.encode(upper.iloc[kept])
        own = schema.own_child.encode(lower.iloc[turn])
        before = np.roll(own, 1, axis=0)
        before[within == 0] = schema.own_child.domain.sizes  # the mark of the first
        roots = np.column_stack([above, numbers])
        children = np.column_stack([above[owners], numbers[owners] - 1, before, own])
        return cls(schema, roots.astype(np.int32), children.astype(np.int32), dropped)

    def weighted(self, name: str) -> tuple[PrivateRecords, CodeCounts]:
        """Return the records of one table, and their counts by weights."""
        most, codes = self.schema.max_children, self.roots
        own, weights = self.schema.roots, np.full(len(codes), most)
        if name == CHILDREN:
            codes, own = self.children, self.schema.children
            weights = most // (codes[:, own.domain.axis(NUMBER)] + 1)
        columns, lines = list(np.asfortranarray(codes).T), len(codes)
        counted = MemoryColumns(columns, lines, weights.astype(np.float64))
        records = PrivateRecords(own, MemoryColumns(columns, lines))
        return records, CodeCounts(counted, own.domain)


def _keys(frame: pd.DataFrame, table: str, column: str) -> NDArray[np.object_]:
    """Return the texts of a table's keys; SchemaError where it lacks them.

    A key is the same whether its column is read as whole numbers or, for one absent cell, as
    floats: else one record would decide whose children all others are.
    """
    if column not in map(str, frame.columns):
        raise SchemaError(f"table {table!r}: lacks column {column!r}, which joins the two tables")
    cells = Cells.of(column_of(frame, column))
    texts = [text.removesuffix(".0") for text in cells.texts()]
    return np.array(texts, dtype=object)[cells.positions]


def _counted(groups: Integers) -> Integers:
    """Return how many of the same number stand before each; equal ones stand together."""
    starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
    lengths = np.diff(np.append(starts, len(groups)))
    return np.arange(len(groups)) - np.repeat(starts, lengths) if len(groups) else groups


def _of_rows(model: Model, schema: TablesSchema, name: str) -> Model:
    """Return the model of rows, of one of weighted counts."""
    most = schema.max_children
    if name == ROOTS:
        return model.conditioned({NUMBER: np.full(most + 1, 1 / most)})
    return model.conditioned({NUMBER: 1 / (most // np.arange(1, most + 1)).astype(float)})
