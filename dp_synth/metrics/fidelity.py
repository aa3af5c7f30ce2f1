"""Fidelity: columns and their cells, and distances between marginals of two tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd

from dp_synth.frames import Table, as_frame, column_of
from dp_synth.metrics.estimate import Estimate, gap_of_means
from dp_synth.schema import DatetimeColumn, DiscreteColumn, NumericColumn, Schema
from dp_synth.schema.parsing import SECONDS_PER_DAY, to_units
from dp_synth.types import Codes, Floats, Integers

BINS = 20  # columns of more distinct values than this are cut at so many quantiles
SAMPLED_CLIQUES = 100  # of degree 3 and more; of degree 1 and 2 all are taken
MOST_CELLS = 2_000_000  # joint keys beyond this are renumbered, so that counting stays small
K_MARGINAL_SCALE = 1000.0

Axes = tuple[int, ...]  # positions of the attributes of a clique
Attribute = DiscreteColumn | NumericColumn | DatetimeColumn


def attributes_of(schema: Schema) -> tuple[Attribute, ...]:
    """Return the columns of ``schema`` that are no identifiers: those are never compared."""
    return tuple(column for column in schema.columns if isinstance(column, Attribute))


def cells_of(frame: pd.DataFrame, column: Attribute) -> pd.Series:
    """Return the cells of ``column``; SchemaError when ``frame`` lacks it."""
    return column_of(frame, column.name)


def codes_of(column: Attribute, cells: pd.Series) -> Codes:
    """Return the code of each cell, that of the first mark for all missing ones.

    Typed tables have one kind of missing cell, whatever marks the schema has.
    """
    return np.minimum(column.encode(cells), np.int32(column.size - len(column.missing)))


@dataclass(frozen=True)
class Binning:
    """Cells in which marginals are compared: fixed by a schema and one table.

    Numeric and ordinal columns of more than ``bins`` distinct values in that table are cut at
    its quantiles 1/bins, 2/bins, ... (distinct ones only); a cut belongs to the cell on its
    right. Numeric columns of fewer values have a cell for each, that takes all values nearest to
    it. Categorical columns and short ordinal ones keep their codes. Missing cells have
    one of their own, after the others, whatever their mark. Identifiers are left out.
    """

    attributes: tuple[Attribute, ...]
    cuts: tuple[Floats | None, ...]

    @classmethod
    def from_frame(cls, schema: Schema, frame: Table, bins: int = BINS) -> Binning:
        """Return the cells that the values of ``frame`` define.

        >>> schema = Schema.from_dict({"name": "t", "columns": [
        ...     {"name": "age", "type": "integer", "lower": 0, "upper": 99}]})
        >>> binning = Binning.from_frame(schema, pd.DataFrame({"age": range(100)}), bins=4)
        >>> binning.codes(pd.DataFrame({"age": [0, 30, 99]})).ravel().tolist(), binning.sizes
        ([0, 1, 3], (4,))
        """
        if bins < 2:
            raise ValueError(f"bins must be at least 2, got {bins}")
        attributes, frame = attributes_of(schema), as_frame(frame)
        return cls(attributes, tuple(_cuts(column, frame, bins) for column in attributes))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of cells of each column."""
        return tuple(
            column.size if cuts is None else len(cuts) + 1 + len(column.missing)
            for column, cuts in zip(self.attributes, self.cuts, strict=True)
        )

    def labels(self, axis: int) -> list[str]:
        """Return what each cell of a column holds, in words, missing marks last.

        >>> schema = Schema.from_dict({"name": "t", "columns": [
        ...     {"name": "age", "type": "integer", "lower": 0, "upper": 99, "missing": ["NA"]}]})
        >>> Binning.from_frame(schema, pd.DataFrame({"age": range(100)}), bins=4).labels(0)
        ['0 to 24', '25 to 49', '50 to 74', '75 to 99', 'NA']
        """
        column, cuts = self.attributes[axis], self.cuts[axis]
        if cuts is not None:
            cells = _ranges(column, cuts)
        else:
            cells = list(column.texts) if isinstance(column, DiscreteColumn) else []
        return [*cells, *(mark or "no value" for mark in column.missing)]

    def codes(self, frame: Table) -> Codes:
        """Return the cell of each value, as an array of shape (records, attributes)."""
        frame = as_frame(frame)
        codes = np.empty((len(frame), len(self.cuts)), dtype=np.int32, order="F")
        for axis, (column, cuts) in enumerate(zip(self.attributes, self.cuts, strict=True)):
            codes[:, axis] = _cells(column, cuts, cells_of(frame, column))
        return codes


def workload_error(
    real: Table,
    synthetic: Table,
    schema: Schema,
    degree: int = 2,
    *,
    cuts_from: Table | None = None,
    seed: int = 0,
) -> Estimate:
    """Return the mean total variation of all marginals of ``degree`` attributes.

    From degree 3 on the mean is over 100 cliques drawn by ``seed``. The cells are those that
    ``cuts_from`` defines, or else ``real``: see ``Binning``.
    """
    real = as_frame(real)
    binning = Binning.from_frame(schema, real if cuts_from is None else cuts_from)
    cliques = cliques_of(len(binning.attributes), degree, seed)
    return mean_total_variation(
        binning.codes(real), binning.codes(synthetic), binning.sizes, cliques
    )


def kmarginal_score(
    real: Table,
    synthetic: Table,
    schema: Schema,
    *,
    cuts_from: Table | None = None,
) -> Estimate:
    """Return 1000 x (1 - mean total variation of all pairs): 1000 is a perfect match."""
    return kmarginal(workload_error(real, synthetic, schema, 2, cuts_from=cuts_from))


def kmarginal(error: Estimate) -> Estimate:
    """Return the K-marginal score that belongs to a mean total variation of pairs.

    >>> print(kmarginal(Estimate(0.04, 0.03, 0.05)))
    960.0000 [950.0000, 970.0000]
    """
    value, low, high = (K_MARGINAL_SCALE * (1 - x) for x in (error.value, error.high, error.low))
    return Estimate(value, low, high)


def cliques_of(attributes: int, degree: int, seed: int = 0) -> list[Axes]:
    """Return all cliques of degree 1 or 2, or 100 distinct random ones of a higher degree.

    >>> cliques_of(3, 2)
    [(0, 1), (0, 2), (1, 2)]
    """
    if not 1 <= degree <= attributes:
        raise ValueError(f"degree must lie in [1, {attributes}], the attributes, got {degree}")
    if degree <= 2 or comb(attributes, degree) <= SAMPLED_CLIQUES:
        return list(combinations(range(attributes), degree))
    rng = np.random.default_rng(seed)
    drawn: set[Axes] = set()
    while len(drawn) < SAMPLED_CLIQUES:
        drawn.add(tuple(sorted(rng.choice(attributes, degree, replace=False).tolist())))
    return sorted(drawn)


def mean_total_variation(
    real_codes: Codes, other_codes: Codes, sizes: Sequence[int], cliques: Sequence[Axes]
) -> Estimate:
    """Return the mean over ``cliques`` of half the L1 distance of two tables' marginals.

    The interval is for the drawing of both tables' records: with the signs of the cell
    differences held fixed the value is a difference of two means over records, and it has the
    variance of those (delta method). It does not remove the bias upward that every finite sample
    has; compare with the value between two real samples. An empty table lies at 1 from any
    other and at 0 from an empty one, and fewer than two records tell nothing: [0, 1].
    """
    n, m = len(real_codes), len(other_codes)
    if not n or not m:
        return Estimate(0.0 if n == m else 1.0, 0.0, 1.0)
    return gap_of_means(*total_variation_influences(real_codes, other_codes, sizes, cliques), 1.0)


def total_variation_influences(
    real_codes: Codes, other_codes: Codes, sizes: Sequence[int], cliques: Sequence[Axes]
) -> tuple[Floats, Floats]:
    """Return what each record of two tables adds to their mean total variation.

    It is the mean of the first array less that of the second, with the signs of the cell
    differences held fixed.
    """
    n, m = len(real_codes), len(other_codes)
    stacked = np.asfortranarray(np.concatenate([real_codes, other_codes]).astype(np.int64))
    influence = np.zeros(n + m)
    for clique in cliques:
        keys, cells = joint_keys(stacked, sizes, clique)
        difference = np.bincount(keys[:n], minlength=cells) / n
        difference -= np.bincount(keys[n:], minlength=cells) / m
        influence += (0.5 / len(cliques) * np.sign(difference))[keys]
    return influence[:n], influence[n:]


def joint_keys(codes: Integers | Codes, sizes: Sequence[int], clique: Axes) -> tuple[Integers, int]:
    """Return the number of the joint cell of each record, and how many numbers there are."""
    keys, cells = codes[:, clique[0]].astype(np.int64, copy=False), sizes[clique[0]]
    for axis in clique[1:]:
        keys, cells = keys * sizes[axis] + codes[:, axis], cells * sizes[axis]
        if cells > MOST_CELLS:
            present, keys = np.unique(keys, return_inverse=True)
            cells = len(present)
    return keys, cells


def present_cells(keys: Integers, cells: int) -> tuple[Integers, Integers]:
    """Return which of so many ``cells`` hold a record, ascending, and how many each holds."""
    if cells > MOST_CELLS:
        return np.unique(keys, return_counts=True)
    counts = np.bincount(keys, minlength=cells)
    present = np.flatnonzero(counts)
    return present, counts[present]


def _cuts(column: Attribute, frame: pd.DataFrame, bins: int) -> Floats | None:
    if column.type == "categorical":
        return None
    values = column.values(cells_of(frame, column))
    values = values[~np.isnan(values)]
    distinct = np.unique(values)
    if len(distinct) > bins:
        return np.unique(np.quantile(values, np.arange(1, bins) / bins))
    return (distinct[:-1] + distinct[1:]) / 2 if column.is_numeric else None


def _ranges(column: Attribute, cuts: Floats) -> list[str]:
    """Return the first and the last value of each cell, as the table writes them."""
    if isinstance(column, DiscreteColumn):
        lower, upper = 0.0, len(column.texts) - 1.0
    else:
        lower, upper = column.grid.edges[[0, -1]].tolist()
    if isinstance(column, DatetimeColumn):  # whose values are days, and its cells steps
        cuts = to_units(cuts * SECONDS_PER_DAY, column.step)
    edges = np.array([min([lower, *cuts]), *cuts, max([upper, *cuts])])
    first, last = edges[:-1], edges[1:]
    if column.type in ("integer", "ordinal"):
        first, last = np.ceil(first), np.append(np.ceil(last[:-1]) - 1, last[-1])
    empty = (last < first) | ((last == first) & (last < edges[-1]) & (column.type == "real"))
    names = zip(_written(column, first), _written(column, np.maximum(first, last)), strict=True)
    return [
        f"below {low}" if nothing else low if low == high else f"{low} to {high}"
        for (low, high), nothing in zip(names, empty, strict=True)
    ]


def _written(column: Attribute, values: Floats) -> list[str]:
    if isinstance(column, DiscreteColumn):
        return [column.texts[int(value)] for value in values]
    if isinstance(column, NumericColumn) and column.format is None:
        return [f"{value:.6g}" for value in values]
    return [str(text) for text in column.written(values)]


def _cells(column: Attribute, cuts: Floats | None, series: pd.Series) -> Codes:
    codes = codes_of(column, series)
    if cuts is None:
        return codes
    # What is missing in a column without marks is encoded as its lowest value; so it is here.
    values = np.nan_to_num(column.values(series), nan=-np.inf)
    mark = codes - (column.size - len(column.missing))
    cells = np.where(mark >= 0, len(cuts) + 1 + mark, np.searchsorted(cuts, values, side="right"))
    return cells.astype(np.int32)
