"""Nearest records in a mixed distance, exactly, without a look at every pair.

Targets and records are parted together into runs of similar ones. What no record of a run can
come below is the distance between two boxes, and a run that lies farther off than what was found
already is left alone. Boxes are bounded by the operations that give distances, in their order, in
single precision: rounding is monotone, so that no bound exceeds a distance, and results equal
those of all pairs bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.metrics.fidelity import Attribute, attributes_of, cells_of
from dp_synth.progress import told
from dp_synth.schema import DiscreteColumn, Schema
from dp_synth.types import Floats

BLOCK_CELLS = 200_000  # distances held at once: they stay in the processor's cache
FEW_PAIRS = 150_000_000  # up to so many all pairs are faster than runs of similar records
RUN = 64  # similar records in a run, at most
RUNS_IN_BOX = 16  # of the upper level
SEEDS = 128  # records that a search begins with
SAMPLED = 32  # pairs that tell which attribute parts records best
MISSING = 2.0  # on the unit scale: at distance 1 from every value, at 0 from another missing one
BITS = 64  # codes are known modulo so many in the bounds

Distances = NDArray[np.float32]
Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class MixedRecords:
    """Records attribute by attribute: category codes, and numbers on the unit scale.

    ``codes`` has shape (categorical attributes, records), ``numbers`` (other ones, records).
    """

    codes: NDArray[np.integer]
    numbers: Distances

    @classmethod
    def of(cls, frame: pd.DataFrame, schema: Schema) -> MixedRecords:
        """Return the records of ``frame``."""
        columns = attributes_of(schema)
        named = [c for c in columns if c.type == "categorical"]
        ordered = [c for c in columns if c.type != "categorical"]
        narrow = np.int16 if all(c.size < 2**15 for c in named) else np.int32
        codes = np.empty((len(named), len(frame)), dtype=narrow)
        numbers = np.empty((len(ordered), len(frame)), dtype=np.float32)
        for row, column in zip(codes, named, strict=True):
            row[:] = column.encode(cells_of(frame, column))
        for line, ranged in zip(numbers, ordered, strict=True):
            line[:] = _unit(ranged, cells_of(frame, ranged))
        return cls(codes, numbers)

    def __len__(self) -> int:
        return int(self.codes.shape[1])

    @property
    def attributes(self) -> int:
        """How many attributes there are: no distance is larger."""
        return len(self.codes) + len(self.numbers)

    def among(self, chosen: slice | Places) -> MixedRecords:
        """Return some of the records."""
        if isinstance(chosen, slice):
            return MixedRecords(self.codes[:, chosen], self.numbers[:, chosen])
        return MixedRecords(self.codes.take(chosen, axis=1), self.numbers.take(chosen, axis=1))

    def and_also(self, other: MixedRecords) -> MixedRecords:
        """Return these records and then others."""
        pairs = ((self.codes, other.codes), (self.numbers, other.numbers))
        return MixedRecords(*(np.concatenate(pair, axis=1) for pair in pairs))

    def distinct(self) -> tuple[MixedRecords, Places]:
        """Return each record once, and the place there of each of these."""
        if not self.attributes:
            return self.among(slice(1)), np.zeros(len(self), dtype=np.intp)
        rows = np.concatenate([self.codes.astype(np.int32), self.numbers.view(np.int32)]).T
        by_values = pd.DataFrame(rows).groupby(list(range(self.attributes)), sort=False)
        places = np.asarray(by_values.ngroup(), dtype=np.intp)
        return self.among(np.unique(places, return_index=True)[1]), places

    def distances(self, others: MixedRecords) -> Distances:
        """Return the distances to other records, shape (these, others).

        One for each category that differs, the difference on the unit scale for each number.
        """
        shape = (len(self), len(others))
        distances, scratch = np.zeros(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
        unequal = np.zeros(shape, dtype=np.uint16)
        for mine, theirs in zip(self.codes, others.codes, strict=True):
            unequal += mine[:, None] != theirs
        for number, other in zip(self.numbers, others.numbers, strict=True):
            np.subtract(number[:, None], other, out=scratch)
            np.abs(scratch, out=scratch)
            distances += np.minimum(scratch, 1.0, out=scratch)
        distances += unequal
        return distances


def mean_nearest(targets: MixedRecords, records: MixedRecords, neighbours: int) -> Floats:
    """Return each target's mean distance to its nearest ``neighbours`` among ``records``.

    To all of them where there are fewer; without any, the largest distance there is.
    """
    count = min(neighbours, len(records))
    if not count:
        return np.full(len(targets), float(targets.attributes))
    if are_few(targets, records):
        parts = [_mean_of_least(far, count) for _, far in all_pairs(targets, records)]
        return np.concatenate([np.empty(0), *parts])
    asked, places = targets.distinct()
    search = Search.of(asked, records)
    result = np.empty(len(asked))
    for run in search.runs():
        result[search.targets_order[run.rows]] = _mean_of_least(search.nearest(run, count), count)
    return result[places]


def count_within(targets: MixedRecords, records: MixedRecords, radius: float) -> Floats:
    """Return how many of ``records`` lie within ``radius`` of each target."""
    counts = np.zeros(len(targets))
    if are_few(targets, records):
        for rows, distances in all_pairs(targets, records):
            counts[rows] = (distances <= radius).sum(axis=1)
        return counts
    asked, places = targets.distinct()
    distinct, same = records.distinct()
    search = Search.of(asked, distinct)
    limit = np.nextafter(np.float32(radius), np.float32(np.inf))
    weights = np.bincount(same)[search.order].astype(np.float64)
    found = np.zeros(len(asked))
    for run in search.runs():
        mine = search.targets.among(run.rows)
        near, _ = search.below(run.place, limit)
        size = max(1, BLOCK_CELLS // len(mine))
        for start in range(0, len(near), size):
            part = near[start : start + size]
            inside = mine.distances(search.records.among(part)) <= radius
            found[search.targets_order[run.rows]] += inside @ weights[part]
    counts += found[places]
    return counts


def are_few(targets: MixedRecords, records: MixedRecords) -> bool:
    """Tell whether to look at all pairs is the faster way."""
    return len(targets) * len(records) <= max(FEW_PAIRS, 0)


def parted(records: MixedRecords, most: int) -> list[Places]:
    """Return runs of at most ``most`` similar records, as places that together are all of them.

    Each parting is by the attribute in which random pairs differ most, near the middle, and never
    between equal values unless all are equal.
    """
    rng = np.random.default_rng(0)  # which pairs are looked at changes no result
    columns = [*records.codes, *records.numbers]
    todo, runs = [np.arange(len(records))] if len(records) else [], []
    while todo:
        run = todo.pop()
        if len(run) <= most:
            runs.append(run)
            continue
        middle = len(run) // 2
        pairs = run[rng.integers(0, len(run), (2, SAMPLED))]
        apart = np.concatenate(
            [
                (records.codes[:, pairs[0]] != records.codes[:, pairs[1]]).mean(axis=1),
                np.abs(records.numbers[:, pairs[0]] - records.numbers[:, pairs[1]]).mean(axis=1),
            ]
        )
        if apart.any():
            column = columns[int(apart.argmax())]
            run = run[np.argsort(column[run], kind="stable")]
            middle = _cut(column[run])
        todo += [run[:middle], run[middle:]]
    return runs


def _cut(values: NDArray[np.generic]) -> int:
    """Return where to part sorted values: near the middle, between different ones."""
    middle = len(values) // 2
    ends = [int(np.searchsorted(values, values[middle], side)) for side in ("left", "right")]
    ends = [end for end in ends if 0 < end < len(values)]
    return min(ends, key=lambda end: abs(end - middle)) if ends else middle


def all_pairs(targets: MixedRecords, records: MixedRecords) -> Iterator[tuple[slice, Distances]]:
    """Yield the distances of some targets after others to all records, a block at once."""
    size = max(1, BLOCK_CELLS // max(1, len(records)))
    for start in range(0, len(targets), size):
        rows = slice(start, start + size)
        yield rows, targets.among(rows).distances(records)


def _mean_of_least(distances: Distances, count: int) -> Floats:
    """Return the mean of the ``count`` least of each row."""
    total = np.zeros(len(distances))
    for nearest in np.sort(_least(distances, count), axis=1).T:  # a sum depends on the order
        total += nearest
    total /= count
    return total


def _least(distances: Distances, count: int) -> Distances:
    """Return the ``count`` least of each row, in any order."""
    least: Distances
    if count == 1:
        least = distances.min(axis=1, keepdims=True)
    else:
        least = np.partition(distances, count - 1, axis=1)[:, :count]
    return least


@dataclass(frozen=True, eq=False)
class _Boxes:
    """What runs of records hold: categories as bits, and the ends of each number.

    Arrays have shape (boxes, attributes); ``starts`` are where each box begins a level below, and
    where the last one ends.
    """

    bits: NDArray[np.uint64]
    low: Distances
    high: Distances
    starts: Places

    @classmethod
    def of(cls, records: MixedRecords) -> _Boxes:
        """Return a box for each record."""
        bits = np.uint64(1) << (records.codes.T % BITS).astype(np.uint64)
        numbers = np.ascontiguousarray(records.numbers.T)
        return cls(np.ascontiguousarray(bits), numbers, numbers, np.arange(len(records) + 1))

    def around(self, starts: Places) -> _Boxes:
        """Return the boxes around runs of these, which begin at ``starts``."""
        return _Boxes(
            np.bitwise_or.reduceat(self.bits, starts),
            np.minimum.reduceat(self.low, starts),
            np.maximum.reduceat(self.high, starts),
            np.append(starts, len(self.bits)),
        )

    def bounds(self, chosen: Places, other: _Boxes, place: int) -> Distances:
        """Return what no distance between one box of ``other`` and the chosen ones is below."""
        low = self.low.take(chosen, axis=0)
        high = low if self.high is self.low else self.high.take(chosen, axis=0)
        gaps = np.maximum(low - other.high[place], other.low[place] - high)
        np.minimum(np.maximum(gaps, 0.0, out=gaps), 1.0, out=gaps)
        result = np.zeros(len(chosen), dtype=np.float32)
        for gap in gaps.T:  # one after another, as in a distance
            result += gap
        apart = (self.bits.take(chosen, axis=0) & other.bits[place]) == 0
        result += apart.astype(np.float32) @ np.ones(apart.shape[1], dtype=np.float32)
        return result

    def inside(self, chosen: Places) -> Places:
        """Return what lies a level below the chosen boxes."""
        sizes = self.starts[chosen + 1] - self.starts[chosen]
        before = np.cumsum(sizes) - sizes
        return np.repeat(self.starts[chosen] - before, sizes) + np.arange(int(sizes.sum()))


@dataclass(frozen=True)
class Run:
    """A run of similar targets: which box, which of the sorted targets, which records lie by."""

    place: int
    rows: slice
    beside: int


@dataclass(frozen=True, eq=False)
class Search:
    """Targets and records, each sorted so that similar ones are neighbours, and their boxes.

    ``order`` and ``targets_order`` are the places that the sorted ones came from.
    """

    targets: MixedRecords
    targets_order: Places
    boxes: _Boxes  # of the runs of targets
    beside: Places  # where in the sorted records each run of targets lies
    records: MixedRecords
    order: Places
    levels: tuple[_Boxes, ...]  # from boxes of runs of records down to single ones

    @classmethod
    def of(cls, targets: MixedRecords, records: MixedRecords) -> Search:
        """Part targets and records together."""
        runs = parted(targets.and_also(records), RUN)
        mine = [run[run < len(targets)] for run in runs]
        theirs = [run[run >= len(targets)] - len(targets) for run in runs]
        targets_order, order = np.concatenate(mine), np.concatenate(theirs)
        sorted_targets, sorted_records = targets.among(targets_order), records.among(order)
        sizes = np.array([(len(one), len(other)) for one, other in zip(mine, theirs, strict=True)])
        starts = np.cumsum(sizes, axis=0) - sizes
        single = _Boxes.of(sorted_records)
        in_runs = single.around(starts[sizes[:, 1] > 0, 1])
        upper = in_runs.around(np.arange(0, len(in_runs.starts) - 1, RUNS_IN_BOX))
        return cls(
            sorted_targets,
            targets_order,
            _Boxes.of(sorted_targets).around(starts[sizes[:, 0] > 0, 0]),
            starts[sizes[:, 0] > 0, 1],
            sorted_records,
            order,
            (upper, in_runs, single),
        )

    def runs(self) -> Iterator[Run]:
        """Yield the runs of targets in an order by chance, so that they tell how long all take."""
        starts = self.boxes.starts
        places: list[int] = np.random.default_rng(0).permutation(len(starts) - 1).tolist()
        for place in told(places):
            rows = slice(int(starts[place]), int(starts[place + 1]))
            yield Run(place, rows, int(self.beside[place]))

    def below(self, place: int, limit: float) -> tuple[Places, Distances]:
        """Return the sorted records that may be nearer than ``limit`` to a box of targets.

        With what their distances are not below.
        """
        near = np.arange(len(self.levels[0].starts) - 1)
        for depth, level in enumerate(self.levels):
            near = self.levels[depth - 1].inside(near) if depth else near
            bounds = level.bounds(near, self.boxes, place)
            kept = bounds < limit
            near, bounds = near[kept], bounds[kept]
        return near, bounds

    def nearest(self, run: Run, count: int) -> Distances:
        """Return the ``count`` least distances of a run's targets, shape (targets, count)."""
        mine, total = self.targets.among(run.rows), len(self.records)
        size = min(total, max(SEEDS, 2 * count))
        first = min(max(run.beside - size // 4, 0), total - size)
        found = _least(mine.distances(self.records.among(slice(first, first + size))), count)
        limit = found.max()
        near, bounds = self.below(run.place, limit)
        new = (near < first) | (near >= first + size)
        near, bounds = near[new], bounds[new]
        closest = np.argsort(bounds, kind="stable")
        start = 0
        while start < len(near) and bounds[closest[start]] < limit:
            stop = start + min(max(SEEDS, start), max(1, BLOCK_CELLS // len(mine)))
            more = mine.distances(self.records.among(near[closest[start:stop]]))
            found = _least(np.concatenate([found, more], axis=1), count)
            start, limit = stop, found.max()
        return found


def _unit(column: Attribute, series: pd.Series) -> Distances:
    """Return the values as shares of the column's public range, missing ones as ``MISSING``."""
    low, high = public_range(column)
    shares = (column.values(series) - low) / max(high - low, np.finfo(np.float64).tiny)
    return np.nan_to_num(np.clip(shares, 0.0, 1.0), nan=MISSING).astype(np.float32)


def public_range(column: Attribute) -> tuple[float, float]:
    """Return the ends of an ordered column's public range, as its values are numbered."""
    if isinstance(column, DiscreteColumn):
        return 0.0, float(max(len(column.texts) - 1, 1))
    ends = pd.Series([str(column.lower), str(column.upper)], dtype=object)
    low, high = column.values(ends)
    return float(low), float(high)
