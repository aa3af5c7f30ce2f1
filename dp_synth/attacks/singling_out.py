"""Singling out: are predicates that hold for one synthetic record true of one real one?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.distance import LOWEST_KNOWN, MISSING, Points
from dp_synth.attacks.excess_risk import AttackedTables, ExcessRisk, Guess, cites
from dp_synth.attacks.neighbours import public_range
from dp_synth.errors import InputError
from dp_synth.schema import Schema
from dp_synth.settings import check_settings
from dp_synth.types import Flags, Floats, Integers

MOST_TRIES = 20  # rounds of drawing predicates before fewer than asked for are returned
BLOCK_CELLS = 100_000  # compared at once: they stay in the processor's cache


@dataclass(frozen=True)
class Guessing:
    """How many predicates to guess, and of how many columns each.

    Univariate ones are values that occur once, and extremes; columns take turns, so that no
    column of many values crowds out the others. Multivariate ones are drawn around random
    records: the record's category, or numbers on its side of the median.
    """

    columns: int = 3
    predicates: int = 2000

    def __post_init__(self) -> None:
        check_settings(self)
        if self.columns < 1 or self.predicates < 1:
            raise InputError(
                "columns and predicates must be 1 or more, "
                f"got {self.columns} and {self.predicates}"
            )


UNIVARIATE = Guessing(columns=1)
MULTIVARIATE = Guessing()


@dataclass(frozen=True, eq=False)
class Predicates:
    """Conjunctions of conditions low <= value <= high, each of as many columns.

    Arrays have shape (predicates, columns of each); ``columns`` are places of attributes.
    """

    columns: NDArray[np.intp]
    low: Floats
    high: Floats

    def __len__(self) -> int:
        return len(self.columns)

    def among(self, chosen: NDArray[np.integer] | Flags) -> Predicates:
        """Return some of the predicates."""
        return Predicates(self.columns[chosen], self.low[chosen], self.high[chosen])

    def and_also(self, other: Predicates) -> Predicates:
        """Return these predicates and then others of as many columns."""
        pairs = zip(
            (self.columns, self.low, self.high), (other.columns, other.low, other.high), strict=True
        )
        columns, low, high = (np.concatenate(pair) for pair in pairs)
        return Predicates(columns.astype(np.intp), low, high)

    def distinct(self) -> Predicates:
        """Return each predicate once, in the order of first appearance."""
        rows = np.concatenate([self.columns, self.low, self.high], axis=1)
        first = np.unique(rows, axis=0, return_index=True)[1]
        return self.among(np.sort(first))

    def counts(self, points: Points) -> Integers:
        """Return how many records each predicate holds for."""
        result = np.empty(len(self), dtype=np.int64)
        rows = max(1, BLOCK_CELLS // max(len(points.values), 1))
        by_column = np.ascontiguousarray(points.values.T)
        for start in range(0, len(self), rows):
            block = slice(start, start + rows)
            holds = np.ones((len(self.columns[block]), len(points.values)), dtype=bool)
            for place in range(self.columns.shape[1]):
                values = by_column[self.columns[block, place]]
                holds &= values >= self.low[block, place, None]
                holds &= values <= self.high[block, place, None]
            result[block] = holds.sum(axis=1)
        return result


@cites("giomi2023")
def singling_out(
    members: pd.DataFrame,
    controls: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    *,
    guessing: Guessing = MULTIVARIATE,
    seed: int = 0,
) -> ExcessRisk:
    """Return how much oftener predicates single out a fitted record than a fresh one.

    Predicates that hold for exactly one synthetic record are tried on the fitted records and
    succeed where they hold for exactly one. The singling out of Giomi, Boenisch, Wehmeyer &
    Tasnádi 2023 (arXiv:2211.10459). How often a predicate singles out depends on the size of
    the table, so the larger of ``members`` and ``controls`` is cut to the other's size at random,
    where they correct by a fitted curve. The baseline are random predicates over the public
    ranges. Predicates of one table overlap, so the interval is somewhat too narrow.
    """
    rng = np.random.default_rng(seed)
    records = min(len(members), len(controls))
    fitted, fresh = (
        Points.of(frame, schema).among(rng.permutation(len(frame))[:records])
        for frame in (members, controls)
    )
    shown = Points.of(synthetic, schema)
    guesses = guessed(shown, guessing, rng)
    blind = random_predicates(shown, guessing, rng)
    baseline = float(np.mean(blind.counts(fitted) == 1)) if len(blind) else 0.0
    return ExcessRisk.of(guesses.counts(fitted) == 1, guesses.counts(fresh) == 1, baseline)


def guessed(points: Points, guessing: Guessing, rng: np.random.Generator) -> Predicates:
    """Return distinct predicates that hold for exactly one of ``points``, as many as are found."""
    columns, wanted = min(guessing.columns, len(points.attributes)), guessing.predicates
    if not len(points.values):
        return _predicates([], columns)
    if columns == 1:
        return _univariate(points, wanted, rng)
    medians = np.nanmedian(np.where(points.values == MISSING, np.nan, points.values), axis=0)
    found = _predicates([], columns)
    for _ in range(MOST_TRIES):
        drawn = _around_records(points, medians, guessing, rng)
        found = found.and_also(drawn.among(drawn.counts(points) == 1)).distinct()
        if len(found) >= wanted:
            break
    return found.among(np.arange(min(wanted, len(found))))


def random_predicates(points: Points, guessing: Guessing, rng: np.random.Generator) -> Predicates:
    """Return predicates of random columns and values drawn from public ranges."""
    chosen = _random_columns(points, guessing, rng)
    low, high = np.empty(chosen.shape), np.empty(chosen.shape)
    for place, column in enumerate(points.attributes):
        here = chosen == place
        draws = int(here.sum())
        if column.type == "categorical":
            low[here] = high[here] = rng.integers(0, column.size, draws)
            continue
        least, most = public_range(column)
        value = rng.uniform(least, most, draws)
        upward = rng.random(draws) < 0.5
        low[here] = np.where(upward, value, LOWEST_KNOWN)
        high[here] = np.where(upward, np.inf, value)
    return Predicates(chosen, low, high)


def _univariate(points: Points, wanted: int, rng: np.random.Generator) -> Predicates:
    by_column = []
    for place, ordered in enumerate(points.ordered):
        values, counts = np.unique(points.values[:, place], return_counts=True)
        rows = [(place, value, value) for value in values[counts == 1]]
        known = values != MISSING
        if ordered and known.any():
            least, most = int(known.argmax()), len(values) - 1
            rows += [(place, LOWEST_KNOWN, values[least])] if counts[least] == 1 else []
            rows += [(place, values[most], np.inf)] if counts[most] == 1 else []
        by_column.append([rows[i] for i in rng.permutation(len(rows))])
    longest = max(map(len, by_column))
    turns = [rows[i] for i in range(longest) for rows in by_column if i < len(rows)]
    return _predicates(turns[:wanted], 1)


def _around_records(
    points: Points, medians: Floats, guessing: Guessing, rng: np.random.Generator
) -> Predicates:
    columns = _random_columns(points, guessing, rng)
    values = points.values[rng.integers(0, len(points.values), len(columns))[:, None], columns]
    ranged = points.ordered[columns] & (values != MISSING)
    above = values > medians[columns]
    low = np.where(ranged & ~above, LOWEST_KNOWN, values)
    high = np.where(ranged & above, np.inf, values)
    return Predicates(columns, low, high)


def _random_columns(
    points: Points, guessing: Guessing, rng: np.random.Generator
) -> NDArray[np.intp]:
    keys = rng.random((guessing.predicates, len(points.attributes)))
    return np.sort(keys.argsort(axis=1)[:, : guessing.columns], axis=1)


def _predicates(rows: Sequence[tuple[int, float, float]], columns: int) -> Predicates:
    """Return predicates of one column each; without ``rows``, none of ``columns`` columns."""
    if not rows:
        nothing = np.empty((0, columns))
        return Predicates(nothing.astype(np.intp), nothing, nothing.copy())
    places, low, high = (np.array(part)[:, None] for part in zip(*rows, strict=True))
    return Predicates(places.astype(np.intp), low.astype(np.float64), high.astype(np.float64))


def _run(tables: AttackedTables, guessing: Guessing) -> ExcessRisk:
    given = (tables.members, tables.controls, tables.synthetic, tables.schema)
    return singling_out(*given, guessing=guessing, seed=tables.seed)


ONE_VALUE = Guess(
    "singling_out_univariate",
    "singling out, one value",
    "Does one value that is rare here single out a fitted record?",
    "A guess of one rare value singled out exactly one {who} record",
    lambda tables: _run(tables, UNIVARIATE),
    cites=("giomi2023",),
)
THREE_VALUES = Guess(
    "singling_out_multivariate",
    "singling out, three values",
    "Do three values that are unique here single out a fitted record?",
    "A guess of three values singled out exactly one {who} record",
    lambda tables: _run(tables, MULTIVARIATE),
    cites=("giomi2023",),
)
