"""The three risks of anonymised tables: inference, singling out and linkability.

As the Article 29 Working Party names them (WP216), each by guesses that are right or wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import comb
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.base import AttackedTables, ExcessRisk, Guess, cites
from dp_synth.attacks.distance import LOWEST_KNOWN, MISSING, Points, nearest
from dp_synth.attacks.neighbours import public_range
from dp_synth.errors import InputError
from dp_synth.frames import Table, as_frame, hold_frames
from dp_synth.metrics import Binning
from dp_synth.metrics.estimate import Estimate, mean_within
from dp_synth.metrics.fidelity import attributes_of
from dp_synth.metrics.models import short_seed
from dp_synth.schema import DiscreteColumn, Schema
from dp_synth.settings import check_settings
from dp_synth.types import Flags, Floats, Integers

Method = Literal["nearest", "bayes", "predictor"]

NEIGHBOURS = 1  # a copy of the target says more than a crowd around it
SECRET_CELLS = 10  # a secret number is guessed to a tenth of the synthetic records
SMOOTHING = 0.5  # pseudo-records in each cell of a conditional frequency


@dataclass(frozen=True, eq=False)
class Secret:
    """A secret column: what its values are, and who knows everything but it.

    A secret number is a cell of a tenth of the synthetic records; a category is itself.
    """

    column: str
    schema: Schema
    synthetic: pd.DataFrame

    def __post_init__(self) -> None:
        hold_frames(self, "synthetic")
        names = [column.name for column in attributes_of(self.schema)]
        if self.column not in names:
            raise InputError(f"secret {self.column!r} is no attribute of the schema")
        if len(names) < 2:
            raise InputError("to guess a secret column there must be another one")

    @cached_property
    def _binning(self) -> Binning:
        return Binning.from_frame(self.schema.select([self.column]), self.synthetic, SECRET_CELLS)

    @property
    def known(self) -> Schema:
        """The schema of all other columns."""
        return self.schema.select([name for name in self.schema.names if name != self.column])

    @property
    def size(self) -> int:
        """The number of values that the secret may have."""
        return self._binning.sizes[0]

    def values(self, frame: pd.DataFrame) -> Integers:
        """Return the secret of each record, as a number from 0."""
        return self._binning.codes(frame)[:, 0].astype(np.int64)

    def commonest(self) -> int:
        """Return the commonest synthetic value: the guess that knows nothing of the target."""
        return int(np.bincount(self.values(self.synthetic), minlength=self.size).argmax())


def guess_nearest(targets: pd.DataFrame, secret: Secret, seed: int = 0) -> Integers:
    """Return the secret of the synthetic record that is nearest in all other columns.

    The inference attack of Giomi, Boenisch, Wehmeyer & Tasnádi 2023 (arXiv:2211.10459).
    """
    rng = np.random.default_rng(seed)
    known = secret.known
    records = Points.of(secret.synthetic, known)
    found = nearest(Points.of(targets, known), records, NEIGHBOURS, rng)
    votes: Integers = secret.values(secret.synthetic)[found[:, 0]]
    return votes


def guess_bayes(targets: pd.DataFrame, secret: Secret, seed: int = 0) -> Integers:
    """Return the likeliest secret by the synthetic pairs of the secret and each other column.

    Naive Bayes over the two-way marginals that most synthesizers keep; nothing is fitted.
    """
    binning = Binning.from_frame(secret.known, secret.synthetic)
    codes, asked = binning.codes(secret.synthetic), binning.codes(targets)
    values, size = secret.values(secret.synthetic), secret.size
    total = np.bincount(values, minlength=size) + SMOOTHING
    scores = np.tile(np.log(total), (len(targets), 1))
    for axis, cells in enumerate(binning.sizes):
        joint = np.bincount(values * cells + codes[:, axis], minlength=size * cells)
        table = joint.reshape(size, cells) + SMOOTHING / cells
        scores += np.log(table / total[:, None]).T[asked[:, axis]]
    guesses: Integers = np.argmax(scores, axis=1).astype(np.int64)
    return guesses


def guess_predictor(targets: pd.DataFrame, secret: Secret, seed: int = 0) -> Integers:
    """Return what gradient boosting, trained on the synthetic records, predicts."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    values = secret.values(secret.synthetic)
    if len(np.unique(values)) < 2:
        return np.full(len(targets), secret.commonest(), dtype=np.int64)
    known = secret.known
    columns = Points.of(secret.synthetic, known)
    model = HistGradientBoostingClassifier(
        max_iter=50, early_stopping=False, random_state=short_seed(seed)
    )
    with threadpool_limits(limits=1):  # threads for so few records wait more than they work
        model.fit(columns.values, values)
        guesses: Integers = model.predict(Points.of(targets, known).values).astype(np.int64)
    return guesses


GUESSES: dict[Method, Callable[[pd.DataFrame, Secret, int], Integers]] = {
    "nearest": guess_nearest,
    "bayes": guess_bayes,
    "predictor": guess_predictor,
}


@cites("giomi2023")
def attribute_inference(
    members: Table,
    controls: Table,
    secret: Secret,
    *,
    method: Method = "nearest",
    seed: int = 0,
) -> ExcessRisk:
    """Return how much oftener a secret is guessed for fitted records than for fresh ones.

    What the table teaches about the population is guessed equally often for both, and so cancels.
    The baseline guesses the commonest synthetic value for everyone.
    """
    if method not in GUESSES:
        raise InputError(f"method must be one of {', '.join(GUESSES)}, got {method!r}")
    if not len(secret.synthetic):
        raise InputError("to guess a secret the synthetic table must have records")
    frames = (as_frame(members, "members"), as_frame(controls, "controls"))
    truths = [secret.values(frame) for frame in frames]
    right = [
        GUESSES[method](frame, secret, seed) == truth
        for frame, truth in zip(frames, truths, strict=True)
    ]
    baseline = float(np.mean(truths[0] == secret.commonest())) if len(truths[0]) else 0.0
    return ExcessRisk.of(right[0], right[1], baseline)


def secret_of(tables: AttackedTables) -> Secret | None:
    """Return the label as the secret, else the last categorical column; None without either."""
    columns = attributes_of(tables.schema)
    named = [column.name for column in columns if isinstance(column, DiscreteColumn)]
    column = tables.schema.label or (named[-1] if named else None)
    if column is None or len(columns) < 2:
        return None
    return Secret(column, tables.schema, tables.synthetic)


def _infer(tables: AttackedTables, method: Method) -> ExcessRisk | None:
    secret = secret_of(tables)
    if secret is None:
        return None
    given = (tables.members, tables.controls, secret)
    return attribute_inference(*given, method=method, seed=tables.seed)


SEES = "the synthetic table, the record without the secret"
NEAREST = Guess(
    "inference_nearest",
    "inference, nearest record",
    "Does the most similar synthetic record tell a fitted person's secret?",
    "The secret of a {who} record was guessed from the most similar one",
    lambda tables: _infer(tables, "nearest"),
    sees=SEES,
    cites=("giomi2023",),
)
BAYES = Guess(
    "inference_bayes",
    "inference, pairs of columns",
    "Do pairs of columns tell a fitted person's secret?",
    "The secret of a {who} record was guessed from pairs of columns",
    lambda tables: _infer(tables, "bayes"),
    sees=SEES,
    cites=("giomi2023",),
)
PREDICTOR = Guess(
    "inference_predictor",
    "inference, trained model",
    "Does a model of the synthetic table tell a fitted person's secret?",
    "The secret of a {who} record was guessed by a trained model",
    lambda tables: _infer(tables, "predictor"),
    sees=SEES,
    cites=("giomi2023",),
)


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
        columns = np.concatenate([self.columns, other.columns])
        low, high = np.concatenate([self.low, other.low]), np.concatenate([self.high, other.high])
        return Predicates(columns, low, high)

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
    members: Table,
    controls: Table,
    synthetic: Table,
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
    members, controls = as_frame(members, "members"), as_frame(controls, "controls")
    records = min(len(members), len(controls))
    fitted, fresh = (
        Points.of(frame, schema).among(rng.permutation(len(frame))[:records])
        for frame in (members, controls)
    )
    shown = Points.of(as_frame(synthetic, "synthetic"), schema)
    guesses = guessed(shown, guessing, rng)
    blind = random_predicates(shown, guessing, rng)
    baseline = float(np.mean(blind.counts(fitted) == 1)) if len(blind) else 0.0
    found, outside = guesses.counts(fitted), guesses.counts(fresh)
    risk = ExcessRisk.of(found == 1, outside == 1, baseline)
    return replace(
        risk, unfitted=_singled_out_unfitted(found, outside, records), records=max(records, 1)
    )


def _singled_out_unfitted(fitted: Integers, fresh: Integers, records: int) -> Estimate:
    """Return how often a predicate singles out a record that was left out, summed over records.

    ``fitted`` and ``fresh`` count for how many of so many ``records`` each predicate holds. A
    fresh record takes the place of each fitted one in turn, all others stay: it is singled out
    where a predicate holds for it and for none of these. A predicate that singles out a fitted
    record did so as one of them, and each of those events has the ledger's bound (the union of
    Cohen & Nissim 2020, arXiv:1904.06009, with a trade-off function in the place of epsilon).
    """
    singled = fresh * ((fitted == 0) + (fitted == 1) / max(records, 1))
    return mean_within(singled.astype(np.float64), 0.0, float(max(singled.max(initial=0.0), 1.0)))


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


def _single_out(tables: AttackedTables, guessing: Guessing) -> ExcessRisk:
    given = (tables.members, tables.controls, tables.synthetic, tables.schema)
    return singling_out(*given, guessing=guessing, seed=tables.seed)


ONE_VALUE = Guess(
    "singling_out_univariate",
    "singling out, one value",
    "Does one value that is rare here single out a fitted record?",
    "A guess of one rare value singled out exactly one {who} record",
    lambda tables: _single_out(tables, UNIVARIATE),
    cites=("giomi2023",),
)
THREE_VALUES = Guess(
    "singling_out_multivariate",
    "singling out, three values",
    "Do three values that are unique here single out a fitted record?",
    "A guess of three values singled out exactly one {who} record",
    lambda tables: _single_out(tables, MULTIVARIATE),
    cites=("giomi2023",),
)


@cites("giomi2023")
def linkability(
    members: Table,
    controls: Table,
    synthetic: Table,
    schema: Schema,
    *,
    halves: tuple[Sequence[str], Sequence[str]] | None = None,
    seed: int = 0,
) -> ExcessRisk:
    """Return how much oftener fitted records are linked than fresh ones.

    The attacker holds two tables of the same people, with different columns each (``halves``;
    every other column by default), and takes two records for one person's when their nearest
    synthetic records are the same. The linkability of Giomi, Boenisch, Wehmeyer & Tasnádi 2023
    (arXiv:2211.10459), with one neighbour. The baseline is the chance that two random synthetic
    records are the same one.
    """
    names = [column.name for column in attributes_of(schema)]
    first, second = map(tuple, (names[::2], names[1::2]) if halves is None else halves)
    _refuse_unfit(first, second, schema)
    rng, shown = np.random.default_rng(seed), as_frame(synthetic, "synthetic")
    frames = as_frame(members, "members"), as_frame(controls, "controls")
    found = [linked(frame, shown, schema, (first, second), rng=rng) for frame in frames]
    return ExcessRisk.of(found[0], found[1], chance_of_link(len(shown), 1))


def linked(
    targets: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    halves: tuple[tuple[str, ...], tuple[str, ...]],
    *,
    neighbours: int = 1,
    rng: np.random.Generator,
) -> Flags:
    """Return for each target whether its halves share one of their nearest synthetic records."""
    if not len(synthetic) or not len(targets):
        return np.zeros(len(targets), dtype=bool)
    asked, records = Points.of(targets, schema), Points.of(synthetic, schema)
    left, right = (
        nearest(asked.of_columns(half), records.of_columns(half), neighbours, rng)
        for half in halves
    )
    shared: Flags = (left[:, :, None] == right[:, None, :]).any(axis=(1, 2))
    return shared


def chance_of_link(records: int, neighbours: int) -> float:
    """Return the chance that two random sets of ``neighbours`` records share one.

    >>> chance_of_link(100, 1)
    0.01
    """
    if not records:
        return 0.0
    neighbours = min(neighbours, records)
    return round(1 - comb(records - neighbours, neighbours) / comb(records, neighbours), 15)


def _refuse_unfit(first: tuple[str, ...], second: tuple[str, ...], schema: Schema) -> None:
    known = {column.name for column in attributes_of(schema)}
    for name in (*first, *second):
        if name not in known:
            raise InputError(f"halves: {name!r} is no attribute of the schema")
    if not first or not second or set(first) & set(second):
        raise InputError("halves must be two lists of columns that share none, of one or more")


def _link(tables: AttackedTables) -> ExcessRisk | None:
    if len(attributes_of(tables.schema)) < 2:
        return None
    given = (tables.members, tables.controls, tables.synthetic, tables.schema)
    return linkability(*given, seed=tables.seed)


LINKABILITY = Guess(
    "linkability",
    "linkability",
    "Do two halves of a fitted record lead to the same synthetic record?",
    "The two halves of a {who} record were linked",
    _link,
    sees="the synthetic table, the record in two halves",
    fresh="those of a fresh one",
    cites=("giomi2023",),
)
