"""Distances between records: the closest synthetic one, and how isolated a record is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.attacks.base import Aimed, Attack, Measures
from dp_synth.attacks.neighbours import MixedRecords, count_within, mean_nearest
from dp_synth.attacks.view import AttackerView
from dp_synth.display import part_of_work
from dp_synth.errors import InputError
from dp_synth.schema import Schema

NEIGHBOURS = 5


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
        points = MixedRecords.of(targets, view.schema)
        return lambda synthetic: -mean_nearest(points, MixedRecords.of(synthetic, view.schema), 1)


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

    name: ClassVar[str] = "distance_difference"
    measures: ClassVar[Measures] = "similarity, not privacy"
    needs_reference: ClassVar[bool] = True

    def _scores(self, targets: pd.DataFrame, view: AttackerView) -> NDArray[np.float64]:
        with part_of_work(0, 2):
            usual = mean_nearest_distance(targets, self._reference(view), view.schema, neighbours=1)
        with part_of_work(1, 2):
            here = mean_nearest_distance(targets, view.synthetic, view.schema, neighbours=1)
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
    points, others = (MixedRecords.of(frame, schema) for frame in (targets, records))
    return mean_nearest(points, others, neighbours)
