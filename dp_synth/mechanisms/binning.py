"""Private cells of numeric columns: noisy histograms, coarse to fine, where the records are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Gaussians, Laplaces
from dp_synth.inference.histograms import project_to_simplex, smooth_ordered
from dp_synth.mechanisms.gaussian import measure
from dp_synth.mechanisms.table import PrivateTable
from dp_synth.schema.columns import FineBins
from dp_synth.types import Codes, Floats

Mask = NDArray[np.bool_]

TARGET_CELLS = 50
"""A cell is to hold one part in so many of the records, as long as noise lets it be seen."""

SPLIT_NOISE = 5.0
"""A cell is split when it holds so many standard deviations of the noise, and its part."""

MERGE_NOISE = 1.2
"""Cells are merged until they hold so many standard deviations of their noise, and a part."""

NARROWEST = 1e-12  # of the range of a column: cells of one real number have hardly a width
SPIKE_HEIGHT, SPIKE_PART = 3.0, 0.5
"""A run of so many times the density of both its neighbours is a cell of this part already."""


def bin_columns(
    table: PrivateTable,
    fine: Mapping[str, FineBins],
    gaussians: Gaussians | Laplaces,
    rng: np.random.Generator,
) -> dict[str, Codes]:
    """Return the group of each fine code of the table's columns: neighbours that are one cell.

    Codes of missing marks, after those of the fine cells, keep groups of their own. Each level
    of a column is one answer of the part ``gaussians``.

    Privacy
    -------
    Each level is one Gaussian measurement of the column's histogram over cells that earlier
    noisy answers alone have chosen: adaptive composition of Gaussian mechanisms (at delta 0
    Laplace ones, whose epsilons add up) with noise fixed in advance. Splitting and merging are
    post-processing.
    """
    partitions = {name: _Partition.whole(len(grid.grid)) for name, grid in fine.items()}
    for level in range(max(grid.depth for grid in fine.values())):
        deeper = [name for name, grid in fine.items() if level < grid.depth]
        partitions |= {name: partitions[name].split(fine[name], level) for name in deeper}
        coarse = table.coarsen(
            {name: _with_marks(partitions[name].groups, table.domain.size(name)) for name in deeper}
        )
        for name in deeper:
            noisy = measure(coarse, [(name,)], gaussians, rng, why=f"cells of {name!r}")[0]
            partitions[name] = partitions[name].refined(noisy.values, float(np.max(noisy.stddev)))
    return {
        name: _with_marks(_merged(partitions[name], grid), table.domain.size(name))
        for name, grid in fine.items()
    }


@dataclass(frozen=True, eq=False)
class _Partition:
    """Runs of fine cells, with what is known of their counts.

    ``parents`` says in which run before its split each run lies; ``counts`` and ``variances``
    are of those. ``families`` says of these in turn which were measured as parts of one run,
    each with noise of ``stddev``.
    """

    begins: Mask
    parents: Codes
    counts: Floats
    variances: Floats
    families: Codes
    stddev: float

    @classmethod
    def whole(cls, cells: int) -> _Partition:
        """Return one run of all fine cells, of whose count nothing is known."""
        one = np.zeros(1, dtype=np.int32)
        return cls(np.arange(cells) == 0, one, np.zeros(1), np.array([np.inf]), one, 0.0)

    @property
    def groups(self) -> Codes:
        """The run of each fine cell."""
        return (np.cumsum(self.begins) - 1).astype(np.int32)

    def refined(self, noisy: Floats, stddev: float) -> _Partition:
        """Return the partition after a measurement, joined with what was known of the parents.

        The least-squares estimate for runs of one parent: what the parent's count was off is
        shared evenly.
        """
        values = noisy[: len(self.parents)]
        children = np.bincount(self.parents)
        known = self.variances + children * stddev**2
        part = np.where(np.isfinite(known), stddev**2 / known, 0.0)
        off = self.counts - np.bincount(self.parents, weights=values)
        return _Partition(
            self.begins,
            np.arange(len(values), dtype=np.int32),
            values + (part * off)[self.parents],
            stddev**2 * (1 - part[self.parents]),
            self.parents,
            stddev,
        )

    def split(self, grid: FineBins, level: int) -> _Partition:
        """Return the partition in which runs of many records are cut as fine as the level is."""
        least = np.maximum(self.counts.sum() / TARGET_CELLS, SPLIT_NOISE * np.sqrt(self.variances))
        many = (self.counts >= least) | np.isinf(self.variances)
        begins = self.begins | (many[self.groups] & (grid.level <= level))
        return replace(self, begins=begins, parents=self.groups[begins])

    def smoothed(self) -> Floats:
        """Return the counts, those of one family smooth where noise hides how they differ.

        Where each part of a run holds less than its noise, the run's count still is known: so
        families keep their sums, and only spikes stand out of them.
        """
        ends = np.flatnonzero(np.diff(self.families)) + 1
        return np.concatenate(
            [
                project_to_simplex(smooth_ordered(family, self.stddev), max(0.0, family.sum()))
                for family in np.split(self.counts, ends)
            ]
        )


def _merged(partition: _Partition, grid: FineBins) -> Codes:
    """Number the cells that remain: runs joined until they hold enough, never across a wall.

    A run that holds enough alone stays alone, so that a spike stays one. ``most`` bounds the
    cells, however the noise falls.
    """
    counts = partition.smoothed()
    total = max(1.0, float(counts.sum()))
    starts = np.append(grid.grid.cuts[:-1][partition.begins], grid.grid.cuts[-1])
    widths = np.maximum(np.diff(starts), NARROWEST * (starts[-1] - starts[0]))
    heights = np.pad(counts / widths, 1)
    stands_out = heights[1:-1] > SPIKE_HEIGHT * np.maximum(heights[:-2], heights[2:])
    part = total / TARGET_CELLS
    while True:
        least = max(part, MERGE_NOISE * partition.stddev)
        heavy = (counts >= least) | (stands_out & (counts >= SPIKE_PART * least))
        cells = _joined(counts, heavy, grid.walls[partition.begins], least)
        if cells[-1] < grid.most or part > total:
            return cells[partition.groups]
        part *= 1.2


def _joined(counts: Floats, heavy: Mask, walls: Mask, least: float) -> Codes:
    """Number the cells: each run is joined to those before it until they hold ``least``."""
    number, held = -1, 0.0
    alone = True  # whether the cell before must stay as it is
    cells = []
    for count, large, wall in zip(counts.tolist(), heavy.tolist(), walls.tolist(), strict=True):
        if wall or large or alone:
            number, held = number + 1, 0.0
        cells.append(number)
        held += count
        alone = large or held >= least
    return np.array(cells, dtype=np.int32)


def _with_marks(groups: Codes, size: int) -> Codes:
    """Return the groups of cells, and one more for each missing mark after them."""
    marks = np.arange(size - len(groups), dtype=np.int32)
    return np.concatenate([groups, groups[-1] + 1 + marks])
