"""How often targets' cells occur, and what that says about membership."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dp_synth.metrics.fidelity import MOST_CELLS, Binning
from dp_synth.schema import Schema

CELLS = 50  # of a column whose cells are not public
LEAST = 1e-3  # of the odds, where noise made a count negative

Floats = NDArray[np.float64]
Axes = tuple[int, ...]  # positions of the attributes of a clique


def likely_cells(schema: Schema, reference: pd.DataFrame) -> Binning:
    """Return the cells in which a synthesizer counts, as far as an attacker can know them.

    Cells that the schema declares are those; where a fit chooses them, the 50-quantiles of the
    reference take their place.
    """
    binning = Binning.from_frame(schema, reference, CELLS)
    cuts = (
        cut if column.name in schema.fine else None
        for column, cut in zip(binning.attributes, binning.cuts, strict=True)
    )
    return Binning(binning.attributes, tuple(cuts))


def counts_at(
    codes: Sequence[NDArray[np.integer]], sizes: Sequence[int], clique: Axes
) -> list[Floats]:
    """Return how often each target's cell of ``clique`` occurs in each other table.

    The first of ``codes`` are the targets; all have shape (records, attributes).
    """
    stacked = np.concatenate([table[:, clique] for table in codes]).astype(np.int64)
    keys, cells = np.zeros(len(stacked), dtype=np.int64), 1
    for place, axis in enumerate(clique):
        keys, cells = keys * sizes[axis] + stacked[:, place], cells * sizes[axis]
        if cells > MOST_CELLS:
            present, keys = np.unique(keys, return_inverse=True)
            cells = len(present)
    parts = np.split(keys, np.cumsum([len(table) for table in codes])[:-1])
    return [np.bincount(part, minlength=cells)[parts[0]].astype(np.float64) for part in parts[1:]]


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one clique that certain records lie in, to count other tables there.

    As ``counts_at``, for records that stay while tables come and go.
    """

    clique: Axes
    sizes: tuple[int, ...]
    codes: NDArray[np.int32]
    keys: NDArray[np.int64] | None  # None where there are too many cells to number them all

    @classmethod
    def of(cls, codes: NDArray[np.int32], sizes: tuple[int, ...], clique: Axes) -> Cells:
        """Return the cells of records that are ``codes``, of shape (records, attributes)."""
        few = prod(sizes[axis] for axis in clique) <= MOST_CELLS
        return cls(clique, sizes, codes, _keys(codes, sizes, clique) if few else None)

    def counts(self, codes: NDArray[np.int32]) -> Floats:
        """Return how many records of another table share each record's cell."""
        if self.keys is None:
            return counts_at([self.codes, codes], self.sizes, self.clique)[0]
        cells = prod(self.sizes[axis] for axis in self.clique)
        counts = np.bincount(_keys(codes, self.sizes, self.clique), minlength=cells)
        return counts[self.keys].astype(np.float64)

    def first(self) -> NDArray[np.intp]:
        """Return the position of one record in each distinct cell."""
        if self.keys is None:
            return np.unique(self.codes[:, self.clique], axis=0, return_index=True)[1]
        return np.unique(self.keys, return_index=True)[1]


def _keys(codes: NDArray[np.int32], sizes: Sequence[int], clique: Axes) -> NDArray[np.int64]:
    keys = codes[:, clique[0]].astype(np.int64)
    for axis in clique[1:]:
        keys *= sizes[axis]
        keys += codes[:, axis]
    return keys


def log_odds(counts: Floats, expected: Floats, variance: Floats | float) -> Floats:
    """Return the log likelihood ratio of membership, from noisy counts of a target's cells.

    Of n records of a population, a cell's count c is Poisson with mean ``expected``; one member
    more makes a count c / expected times as likely. Where only c + noise is seen, with the
    ``variance`` v of that noise, the mean of c given it is linear to first order,
    E[c] = expected + (counts - expected) expected / (expected + v), so that the ratio is
    (counts + v) / (expected + v): a smoothed ratio of frequencies whose smoothing is what the
    attacker does not know. At most log(1000) below 0, where noise is larger than the count.
    """
    odds: Floats = np.log(np.maximum((counts + variance) / (expected + variance), LEAST))
    return odds


def expected_counts(
    seen: Floats, reference: int, records: float, smoothing: float
) -> tuple[Floats, Floats]:
    """Return the counts to expect among ``records``, and how far off that may be, as a variance.

    ``seen`` are counts in a reference table of so many records.
    """
    expected = (seen + smoothing) * records / reference
    return expected, expected * records / reference
