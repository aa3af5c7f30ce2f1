"""Distance attacks: closest synthetic records, isolation, and records as points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.base import Aimed, Attack
from dp_synth.attacks.neighbours import MISSING as FAR_AWAY
from dp_synth.attacks.neighbours import (
    MixedRecords,
    Search,
    all_pairs,
    are_few,
    count_within,
    mean_nearest,
    public_range,
)
from dp_synth.attacks.view import AttackerView
from dp_synth.frames import Table, as_frame
from dp_synth.metrics.fidelity import Attribute, attributes_of, cells_of
from dp_synth.progress import part_of_work
from dp_synth.schema import Schema
from dp_synth.types import Flags, Floats

NEIGHBOURS = 5
MISSING = -1e300  # the value of a missing number: below every other, so that no range holds it
LOWEST_KNOWN = -1e299  # below every value that is not missing
JITTER = 1e-6  # decides between records at equal distance, far below what a column can differ by


@dataclass(frozen=True)
class ClosestRecord(Attack):
    """Score by the negative distance to the closest synthetic record: similarity, not privacy.

    One point per category that differs, the difference over the public range per number. A
    record may lie close to the synthetic table because it is typical, so the absence of close
    pairs says nothing about what leaks; it is here because release reviews ask for it.
    """

    name = "closest_record"
    figure_label = "closest record"
    question = "Are fitted records closer to the synthetic table?"
    cites = ("yao2025",)
    measures = "similarity, not privacy"

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        return self._aimed(targets, view)(view.synthetic)

    def _aimed(self, targets: pd.DataFrame, view: AttackerView) -> Aimed:
        points = MixedRecords.of(targets, view.schema)
        return lambda synthetic: -mean_nearest(points, MixedRecords.of(synthetic, view.schema), 1)


@dataclass(frozen=True)
class NearestRecords(Attack):
    """Score by the negative mean distance to the ``neighbours`` nearest synthetic records.

    With the distance of ``ClosestRecord``: similarity, not privacy.
    """

    neighbours: int = NEIGHBOURS
    name = "nearest_records"
    figure_label = "nearest records"
    question = "Are fitted records close to several synthetic ones?"
    cites = ("hilprecht2019",)
    measures = "similarity, not privacy"
    LEAST: ClassVar = {"neighbours": 1}

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
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

    name = "records_within_radius"
    figure_label = "records within a radius"
    question = "Do more synthetic records lie around fitted records?"
    cites = ("hilprecht2019",)
    measures = "similarity, not privacy"

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        points, records = (MixedRecords.of(f, view.schema) for f in (targets, view.synthetic))
        radius = 0.0
        if len(records) > 1:
            with part_of_work(0, 3):  # each record is its own nearest neighbour, at distance 0
                radius = float(np.median(2.0 * mean_nearest(records, records, 2)))
        with part_of_work(1, 3):
            nearest = mean_nearest(points, records, 1)
        with part_of_work(2, 3):
            counts = count_within(points, records, radius)
        return counts - nearest / (points.attributes + 1.0)


@dataclass(frozen=True)
class DistanceDifference(Attack):
    """Score by how much nearer a synthetic record is than a reference one: not privacy either.

    The distance to the closest reference record less the distance to the closest synthetic one:
    what is typical of the population is close to both, and no longer counts. The score still
    sees one neighbour only.
    """

    name = "distance_difference"
    figure_label = "difference of distances"
    question = "Are fitted records closer to the table than to other people?"
    cites = ("meeus2023",)
    measures = "similarity, not privacy"
    needs_reference = True

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> Floats:
        with part_of_work(0, 2):
            usual = mean_nearest_distance(targets, self._reference(view), view.schema, neighbours=1)
        with part_of_work(1, 2):
            here = mean_nearest_distance(targets, view.synthetic, view.schema, neighbours=1)
        return usual - here


def isolation(frame: Table, schema: Schema, reference: Table) -> Floats:
    """Return how far each record lies from its 5 nearest in ``reference``, on average.

    Higher means more isolated. Ranking targets by it follows Achilles' Heels (Meeus, Guepin,
    Cretu & de Montjoye 2023, arXiv:2306.10308), with the distance of ``ClosestRecord``. Keep
    ``reference`` apart from ``frame``: a record is its own nearest neighbour.
    """
    tables = as_frame(frame), as_frame(reference, "reference")
    return mean_nearest_distance(*tables, schema, neighbours=NEIGHBOURS)


def mean_nearest_distance(
    targets: pd.DataFrame, records: pd.DataFrame, schema: Schema, *, neighbours: int
) -> Floats:
    """Return each target's mean distance to its nearest ``neighbours`` among ``records``.

    Without any record every target lies at the largest distance there is, one per attribute.
    """
    points, others = (MixedRecords.of(frame, schema) for frame in (targets, records))
    return mean_nearest(points, others, neighbours)


@dataclass(frozen=True, eq=False)
class Points:
    """Records of a table as an array (records, attributes), numbers and codes in one type.

    ``ordered`` says which attributes are numbers, dates or ordinal; ``spans`` are the lengths of
    their public ranges.
    """

    values: Floats
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
    def ordered(self) -> Flags:
        """Which attributes have an order."""
        return np.array([column.type != "categorical" for column in self.attributes])

    def among(self, chosen: NDArray[np.integer] | Flags) -> Points:
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


def _values(column: Attribute, series: pd.Series) -> Floats:
    if column.type == "categorical":
        return column.encode(series).astype(np.float64)
    low, high = public_range(column)
    values = np.clip(column.values(series), low, high)
    return np.where(np.isnan(values), MISSING, values)
