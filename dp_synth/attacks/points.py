"""Records as plain numbers: category codes and values, with the nearest of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.metrics.columns import Attribute, attributes_of, cells_of
from dp_synth.schema import DiscreteColumn, Schema

MISSING = -1e300  # the value of a missing number: below every other, so that no range holds it
LEAST = -1e299  # below every value that is not missing
JITTER = 1e-6  # decides between records at equal distance, far below what a column can differ by
BLOCK_CELLS = 500_000


@dataclass(frozen=True, eq=False)
class Points:
    """Records of a table as an array (records, attributes), numbers and codes in one type.

    ``ordered`` says which attributes are numbers, dates or ordinal; ``spans`` are the lengths of
    their public ranges.
    """

    values: NDArray[np.float64]
    attributes: tuple[Attribute, ...]

    @classmethod
    def of(cls, frame: pd.DataFrame, schema: Schema) -> Points:
        """Return the records of ``frame``; values beyond public bounds are clipped."""
        attributes = attributes_of(schema)
        values = np.empty((len(frame), len(attributes)), order="F")
        for place, column in enumerate(attributes):
            values[:, place] = _values(column, cells_of(frame, column))
        return cls(values, attributes)

    @property
    def ordered(self) -> NDArray[np.bool_]:
        """Which attributes have an order."""
        return np.array([column.type != "categorical" for column in self.attributes])

    def among(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> Points:
        """Return some of the records."""
        return Points(np.asfortranarray(self.values[chosen]), self.attributes)

    def of_columns(self, names: tuple[str, ...]) -> Points:
        """Return the records with some of their attributes."""
        places = [p for p, column in enumerate(self.attributes) if column.name in names]
        return Points(self.values[:, places], tuple(self.attributes[p] for p in places))


def nearest(
    targets: Points, records: Points, neighbours: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return the indices of each target's nearest records, shape (targets, neighbours).

    One point per category that differs, the difference over the public range per number, as in
    ``ClosestRecord``. Among records at equal distance chance decides, for each target anew:
    otherwise the first of many equal records would seem to be a find. There are as many
    neighbours as records at most.
    """
    total = len(records.values)
    neighbours = min(neighbours, total)
    result = np.empty((len(targets.values), neighbours), dtype=np.intp)
    rows = max(1, BLOCK_CELLS // max(total, 1))
    for start in range(0, len(result), rows):
        block = slice(start, start + rows)
        distances = _distances(targets, records, block)
        distances += rng.random(distances.shape, dtype=np.float32) * np.float32(JITTER)
        kept = np.argpartition(distances, neighbours - 1, axis=1)[:, :neighbours]
        order = np.take_along_axis(distances, kept, axis=1).argsort(axis=1)
        result[block] = np.take_along_axis(kept, order, axis=1)
    return result


def _distances(targets: Points, records: Points, block: slice) -> NDArray[np.float32]:
    rows = len(range(len(targets.values))[block])
    distances = np.zeros((rows, len(records.values)), dtype=np.float32)
    for place, column in enumerate(targets.attributes):
        mine, theirs = targets.values[block, place, None], records.values[:, place]
        if column.type == "categorical":
            distances += mine.astype(np.float32) != theirs.astype(np.float32)
        else:
            low, high = public_range(column)
            # Missing lies at 1 from every value, and at 0 from missing.
            away = _unit(mine, low, high) - _unit(theirs, low, high)
            distances += np.minimum(np.abs(away, out=away), np.float32(1), out=away)
    return distances


def _unit(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float32]:
    shares = (values - low) / max(high - low, np.finfo(np.float64).tiny)
    return np.where(values == MISSING, 2.0, shares).astype(np.float32)


def _values(column: Attribute, series: pd.Series) -> NDArray[np.float64]:
    if column.type == "categorical":
        return column.encode(series).astype(np.float64)
    low, high = public_range(column)
    values = np.clip(column.values(series), low, high)
    return np.where(np.isnan(values), MISSING, values)


def public_range(column: Attribute) -> tuple[float, float]:
    """Return the ends of an ordered column's public range, as its values are numbered."""
    if isinstance(column, DiscreteColumn):
        return 0.0, float(max(len(column.texts) - 1, 1))
    ends = pd.Series([str(column.lower), str(column.upper)], dtype=object)
    low, high = column.values(ends)
    return float(low), float(high)
