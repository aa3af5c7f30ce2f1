"""Distances between records: the closest synthetic one, and how isolated a record is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.base import Aimed, Attack, Measures
from dp_synth.attacks.view import AttackerView
from dp_synth.errors import InputError
from dp_synth.metrics.columns import Attribute, attributes_of, cells_of
from dp_synth.schema import DiscreteColumn, Schema

BLOCK_CELLS = 200_000  # distances held at once: they stay in the processor's cache
NEIGHBOURS = 5
MISSING = 2.0  # on the unit scale: at distance 1 from every value, at 0 from another missing one


@dataclass(frozen=True)
class ClosestRecord(Attack):
    """Score by the negative distance to the closest synthetic record: similarity, not privacy.

    One point per category that differs, the difference over the public range per number. A
    record may lie close to the synthetic table because it is typical, so the absence of close
    pairs says nothing about what leaks; it is here because release reviews ask for it.
    """

    name: ClassVar[str] = "closest_record"
    measures: ClassVar[Measures] = "similarity, not privacy"

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]:
        return self._aimed(targets, view)(view.synthetic)

    def _aimed(self, targets: pd.DataFrame, view: AttackerView) -> Aimed:
        points = _Points.of(targets, view.schema)
        return lambda synthetic: -_mean_nearest(points, _Points.of(synthetic, view.schema), 1)


@dataclass(frozen=True)
class NearestRecords(Attack):
    """Score by the negative mean distance to the ``neighbours`` nearest synthetic records.

    With the distance of ``ClosestRecord``: similarity, not privacy.
    """

    neighbours: int = NEIGHBOURS
    name: ClassVar[str] = "nearest_records"
    measures: ClassVar[Measures] = "similarity, not privacy"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbours < 1:
            raise InputError(f"neighbours must be 1 or more, got {self.neighbours}")

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]:
        return -mean_nearest_distance(
            targets, view.synthetic, view.schema, neighbours=self.neighbours
        )


@dataclass(frozen=True)
class RecordsWithinRadius(Attack):
    """Score by the number of synthetic records close by: similarity again.

    The Monte Carlo attack of Hilprecht, Haerterich & Bernau 2019 (PoPETs 2019(4),
    doi:10.2478/popets-2019-0067), with the distance of ``ClosestRecord``. The radius is the
    median distance from a synthetic record to the nearest other one; in the paper it is the
    median over the targets, which would let one target's score depend on the others. Of equal
    counts the closer record scores higher, by less than one.
    """

    name: ClassVar[str] = "records_within_radius"
    measures: ClassVar[Measures] = "similarity, not privacy"

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]:
        few = len(view.synthetic) < 2
        radius = 0.0 if few else float(np.median(_nearest_others(view.synthetic, view.schema)))
        nearest, counts = _nearest_and_count(targets, view.synthetic, view.schema, radius=radius)
        return counts - nearest / (len(attributes_of(view.schema)) + 1.0)


@dataclass(frozen=True)
class DistanceDifference(Attack):
    """Score by how much nearer a synthetic record is than a reference one: not privacy either.

    The distance to the closest reference record less the distance to the closest synthetic one:
    what is typical of the population is close to both, and no longer counts. The score still
    sees one neighbour only.
    """

    name: ClassVar[str] = "distance_difference"
    measures: ClassVar[Measures] = "similarity, not privacy"
    needs_reference: ClassVar[bool] = True

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]:
        tables = (self._reference(view), view.synthetic)
        usual, here = (
            mean_nearest_distance(targets, table, view.schema, neighbours=1) for table in tables
        )
        return usual - here


def isolation(frame: pd.DataFrame, schema: Schema, reference: pd.DataFrame) -> NDArray[np.float64]:
    """Return how far each record lies from its 5 nearest in ``reference``, on average.

    Higher means more isolated. Ranking targets by it follows Achilles' Heels (Meeus, Guepin,
    Cretu & de Montjoye 2023, arXiv:2306.10308), with the distance of ``ClosestRecord``. Keep
    ``reference`` apart from ``frame``: a record is its own nearest neighbour.
    """
    return mean_nearest_distance(frame, reference, schema, neighbours=NEIGHBOURS)


def mean_nearest_distance(
    targets: pd.DataFrame, records: pd.DataFrame, schema: Schema, *, neighbours: int
) -> NDArray[np.float64]:
    """Return each target's mean distance to its nearest ``neighbours`` among ``records``.

    Without any record every target lies at the largest distance there is, one per attribute.
    """
    return _mean_nearest(_Points.of(targets, schema), _Points.of(records, schema), neighbours)


def _mean_nearest(left: _Points, right: _Points, neighbours: int) -> NDArray[np.float64]:
    if not right.records:
        return np.full(left.records, float(len(left.categories) + len(left.numbers)))
    result = np.empty(left.records)
    rows = max(1, BLOCK_CELLS // right.records)
    for start in range(0, left.records, rows):
        block = slice(start, start + rows)
        result[block] = _mean_of_smallest(_distances(left, right, block), neighbours)
    return result


def _nearest_others(records: pd.DataFrame, schema: Schema) -> NDArray[np.float64]:
    """Return each record's distance to the nearest other one of the same table."""
    # Each record is its own nearest neighbour, at distance 0.
    return 2.0 * mean_nearest_distance(records, records, schema, neighbours=2)


def _nearest_and_count(
    targets: pd.DataFrame, records: pd.DataFrame, schema: Schema, *, radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each target's distance to the nearest record, and how many lie within ``radius``."""
    left, right = _Points.of(targets, schema), _Points.of(records, schema)
    nearest = np.full(len(targets), float(len(attributes_of(schema))))
    counts = np.zeros(len(targets))
    rows = max(1, BLOCK_CELLS // max(1, len(records)))
    for start in range(0, len(targets) if len(records) else 0, rows):
        block = slice(start, start + rows)
        distances = _distances(left, right, block)
        nearest[block] = distances.min(axis=1)
        counts[block] = (distances <= radius).sum(axis=1)
    return nearest, counts


@dataclass(frozen=True)
class _Points:
    """Records column by column: category codes, and numbers on the unit scale."""

    records: int
    categories: list[NDArray[np.integer]]
    numbers: list[NDArray[np.float32]]

    @classmethod
    def of(cls, frame: pd.DataFrame, schema: Schema) -> _Points:
        """Return the records of ``frame``."""
        columns = attributes_of(schema)
        return cls(
            len(frame),
            [_narrow(c, frame) for c in columns if c.type == "categorical"],
            [_unit(c, cells_of(frame, c)) for c in columns if c.type != "categorical"],
        )


def _distances(left: _Points, right: _Points, block: slice) -> NDArray[np.float32]:
    """Return the distances of the targets in ``block`` to all records."""
    shape = (len(range(left.records)[block]), right.records)
    distances, scratch = np.zeros(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    unequal = np.zeros(shape, dtype=np.uint16)
    for mine, theirs in zip(left.categories, right.categories, strict=True):
        unequal += mine[block, None] != theirs
    for number, other in zip(left.numbers, right.numbers, strict=True):
        np.subtract(number[block, None], other, out=scratch)
        np.abs(scratch, out=scratch)
        distances += np.minimum(scratch, 1.0, out=scratch)
    distances += unequal
    return distances


def _narrow(column: Attribute, frame: pd.DataFrame) -> NDArray[np.integer]:
    codes = column.encode(cells_of(frame, column))
    return codes.astype(np.int16) if column.size < 2**15 else codes


def _unit(column: Attribute, series: pd.Series) -> NDArray[np.float32]:
    """Return the values as shares of the column's public range, missing ones as ``MISSING``."""
    low, high = _public_range(column)
    shares = (column.values(series) - low) / max(high - low, np.finfo(np.float64).tiny)
    return np.nan_to_num(np.clip(shares, 0.0, 1.0), nan=MISSING).astype(np.float32)


def _public_range(column: Attribute) -> tuple[float, float]:
    if isinstance(column, DiscreteColumn):
        return 0.0, float(len(column.texts) - 1)
    ends = pd.Series([str(column.lower), str(column.upper)], dtype=object)
    low, high = column.values(ends)
    return float(low), float(high)


def _mean_of_smallest(distances: NDArray[np.float32], neighbours: int) -> NDArray[np.float64]:
    total = np.zeros(len(distances))
    count, rows = min(neighbours, distances.shape[1]), np.arange(len(distances))
    for _ in range(count):  # so few passes are faster than a partition
        nearest = distances.argmin(axis=1)
        total += distances[rows, nearest]
        distances[rows, nearest] = np.inf
    total /= count
    return total
