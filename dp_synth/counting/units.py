"""Units of several records: all records of each, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.types import Codes, Integers


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Private records in the order of their units: those of one stand side by side.

    ``columns`` are codes by attribute, shape (records,) each; ``ends`` say behind which record
    each unit's end, shape (units,).
    """

    columns: Mapping[str, NDArray[np.integer]]
    ends: Integers

    @classmethod
    def of(
        cls, attributes: Sequence[str], columns: Sequence[NDArray[np.integer]], units: Integers
    ) -> UnitRows:
        """Return the records of columns whose units have these numbers.

        >>> rows = UnitRows.of(["a"], [np.array([5, 6, 7])], np.array([2, 9, 2]))
        >>> rows.columns["a"].tolist(), rows.ends.tolist()
        ([5, 7, 6], [2, 3])
        """
        order = np.argsort(units, kind="stable")
        _, counts = np.unique(units, return_counts=True)
        ordered = {a: column[order] for a, column in zip(attributes, columns, strict=True)}
        return cls(ordered, np.cumsum(counts, dtype=np.int64))

    def __len__(self) -> int:
        """Return the number of units: private under add/remove adjacency."""
        return len(self.ends)

    def of_units(self, places: Integers) -> tuple[Codes, Integers]:
        """Return all records of the units at these places, and the place of each one's unit.

        Codes have shape (records, attributes).
        """
        counts = np.diff(self.ends, prepend=0)[places]
        owners = np.repeat(np.asarray(places, dtype=np.int64), counts)
        before = np.repeat(np.cumsum(counts) - counts, counts)
        lines = np.repeat(self.ends[places] - counts, counts) + np.arange(len(owners)) - before
        return self._codes(lines), owners

    def last(self) -> Codes:
        """Return one record of each unit, shape (units, attributes)."""
        return self._codes(self.ends - 1)

    def relabelled(self, groups: Mapping[str, Codes]) -> UnitRows:
        """Return the records with codes of some attributes relabelled by group numbers."""
        columns = {a: groups[a][one] if a in groups else one for a, one in self.columns.items()}
        return UnitRows(columns, self.ends)

    def _codes(self, lines: Integers) -> Codes:
        codes = np.empty((len(lines), len(self.columns)), dtype=np.int32)
        for axis, column in enumerate(self.columns.values()):
            codes[:, axis] = column[lines]
        return codes
