"""Distances between records: the closest synthetic one, and how isolated a record is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.base import Attack
from dp_synth.attacks.view import AttackerView
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

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]:
        return -mean_nearest_distance(targets, view.synthetic, view.schema, neighbours=1)


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
    left, right = _Points.of(targets, schema), _Points.of(records, schema)
    if not len(records):
        return np.full(len(targets), float(len(attributes_of(schema))))
    result = np.empty(len(targets))
    rows = max(1, BLOCK_CELLS // len(records))
    for start in range(0, len(targets), rows):
        block = slice(start, start + rows)
        result[block] = _mean_of_smallest(_distances(left, right, block), neighbours)
    return result


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
