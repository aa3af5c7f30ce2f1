"""Whether rare pairs of values are there, and whether pairs are there that no real record has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dp_synth.metrics.comparison import Compared, Metric, RealTables
from dp_synth.metrics.estimate import Estimate, degrees_of, mean_within, random_groups, variance_of
from dp_synth.metrics.fidelity import Axes, cliques_of, present_cells
from dp_synth.types import Codes, Flags, Floats, Integers

MOST_SHARE = 0.001  # of the training records: a cell that holds no more is rare
GROUPING_SEED = 0  # of the jackknife's groups


@dataclass(frozen=True, eq=False)
class _Pair:
    """Joint cells of two attributes, by number: first code times ``width`` plus the second."""

    axes: Axes
    width: int
    rare: Integers  # sorted
    taken: Integers  # sorted: those that any real record holds

    def keys(self, codes: Codes) -> Integers:
        """Return the cell of each record."""
        first, second = self.axes
        return codes[:, first].astype(np.int64) * self.width + codes[:, second]


def rare_combinations(compared: Compared) -> Mapping[str, Estimate]:
    """Return how much of what is rare is reproduced, and how much is real of what is made.

    Over the joint cells of all pairs of attributes, in the cells of `Binning`:

    ``rare_combinations:recall``
        the share of rare cells that hold a synthetic record. A cell is rare when it holds 0.1 %
        of the training records at most (one, in a small table); it counts only if hold-out
        records have it too, so that it belongs to the population rather than to one person.
        Left out where there is none.
    ``rare_combinations:precision``
        the share of synthetic records, the mean over pairs, that lie in cells where training or
        hold-out records lie as well.

    Recall and precision of a support (Sajjadi et al. 2018; Kynkaanniemi et al. 2019), on cells
    instead of neighbourhoods. A better table has more of both; recall grows with the number of
    synthetic records. Intervals are for the drawing of the synthetic records: by the delete-a-
    group jackknife, as in the counting of species (Heltshe & Forrester 1983); of fewer than 30
    that of recall is [0, 1].
    """
    real, codes = compared.real, compared.codes
    pairs = real.remembered("rare_combinations", lambda: _pairs(real))
    if not pairs or not len(codes):
        return {}
    groups = random_groups(len(codes), np.random.default_rng(GROUPING_SEED))
    known = np.zeros(len(codes))
    hit, lost = 0, np.zeros(int(groups.max()) + 1)
    for pair in pairs:
        keys = pair.keys(codes)
        known += _is_in(keys, pair.taken) / len(pairs)
        inside = _is_in(keys, pair.rare)
        of_pair, lost_of_pair = _hits(keys[inside], groups[inside], len(lost))
        hit, lost = hit + of_pair, lost + lost_of_pair
    rare = sum(len(pair.rare) for pair in pairs)
    found = {"rare_combinations:precision": mean_within(np.minimum(known, 1.0), 0.0, 1.0)}
    if rare:
        variance = variance_of((hit - lost) / rare)
        degrees = degrees_of(len(lost), len(codes))
        recall = Estimate.student(hit / rare, variance, degrees, least=0.0, most=1.0)
        found["rare_combinations:recall"] = recall
    return found


def _pairs(real: RealTables) -> list[_Pair]:
    sizes = real.binning.sizes
    if len(sizes) < 2 or not len(real.train_codes):
        return []
    most = max(1, int(MOST_SHARE * len(real.train_codes)))
    pairs = []
    for axes in cliques_of(len(sizes), 2):
        empty = np.zeros(0, dtype=np.int64)
        plain = _Pair(axes, sizes[axes[1]], empty, empty)
        size = sizes[axes[0]] * plain.width
        cells, counts = present_cells(plain.keys(real.train_codes), size)
        others, _ = present_cells(plain.keys(real.holdout_codes), size)
        rare = np.intersect1d(cells[counts <= most], others, assume_unique=True)
        pairs.append(_Pair(axes, plain.width, rare, np.union1d(cells, others)))
    return pairs


def _is_in(keys: Integers, cells: Integers) -> Flags:
    if not len(cells):
        return np.zeros(len(keys), dtype=bool)
    places = np.minimum(np.searchsorted(cells, keys), len(cells) - 1)
    return np.asarray(cells[places] == keys, dtype=bool)


def _hits(keys: Integers, groups: Integers, count: int) -> tuple[int, Floats]:
    """Return how many cells are hit, and how many of them are missed without each group."""
    both = np.unique(keys * count + groups)
    cells, first, times = np.unique(both // count, return_index=True, return_counts=True)
    alone = both[first[times == 1]] % count
    return len(cells), np.bincount(alone, minlength=count).astype(np.float64)


RARE_COMBINATIONS = Metric(
    "rare_combinations",
    "share of rare pairs of values that are there, and of records in pairs that are real",
    "higher",
    rare_combinations,
    needs="two columns, and synthetic records",
)
