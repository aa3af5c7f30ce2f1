"""Records as plain numbers: category codes and values, with the nearest of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.neighbours import MISSING as FAR_AWAY
from dp_synth.attacks.neighbours import MixedRecords, Search, all_pairs, are_few, public_range
from dp_synth.metrics.columns import Attribute, attributes_of, cells_of
from dp_synth.schema import Schema

MISSING = -1e300  # the value of a missing number: below every other, so that no range holds it
LEAST = -1e299  # below every value that is not missing
JITTER = 1e-6  # decides between records at equal distance, far below what a column can differ by


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

    def mixed(self) -> MixedRecords:
        """Return the records as distances take them."""
        named = ~self.ordered
        numbers = np.empty((int((~named).sum()), len(self.values)), dtype=np.float32)
        for line, place in zip(numbers, np.flatnonzero(~named), strict=True):
            values, (low, high) = self.values[:, place], public_range(self.attributes[place])
            shares = (values - low) / max(high - low, np.finfo(np.float64).tiny)
            line[:] = np.where(values == MISSING, FAR_AWAY, shares)
        return MixedRecords(self.values[:, named].T.astype(np.int32), numbers)

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
    asked, held = targets.mixed(), records.mixed()
    neighbours = min(neighbours, len(held))
    result = np.empty((len(asked), neighbours), dtype=np.intp)
    if are_few(asked, held):
        for block, distances in all_pairs(asked, held):
            result[block] = _nearest(distances, neighbours, rng)
        return result
    search = Search.of(asked, held)
    for run in search.runs():
        mine = search.targets.among(run.rows)
        ties = search.nearest(run, neighbours).max() + np.float32(2 * JITTER)
        near, _ = search.below(run.place, ties)
        places = search.targets_order[run.rows]
        for block, distances in all_pairs(mine, search.records.among(near)):
            found = _nearest(distances, neighbours, rng)
            result[places[block]] = search.order[near[found]]
    return result


def _nearest(
    distances: NDArray[np.float32], neighbours: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return the places of the least distances of each row, equal ones in an order of chance."""
    distances += rng.random(distances.shape, dtype=np.float32) * np.float32(JITTER)
    kept = np.argpartition(distances, neighbours - 1, axis=1)[:, :neighbours]
    order = np.take_along_axis(distances, kept, axis=1).argsort(axis=1)
    ordered: NDArray[np.intp] = np.take_along_axis(kept, order, axis=1)
    return ordered


def _values(column: Attribute, series: pd.Series) -> NDArray[np.float64]:
    if column.type == "categorical":
        return column.encode(series).astype(np.float64)
    low, high = public_range(column)
    values = np.clip(column.values(series), low, high)
    return np.where(np.isnan(values), MISSING, values)
