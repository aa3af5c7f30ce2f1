"""One clique's table summed onto many of its subsets, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Clique, Domain
from dp_synth.inference.folding import Fold

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Projections:
    """A table over ``shape``, the subsets asked of it as it is, and those asked of its sums.

    Subsets share their sums: the attribute that the fewest of them need is summed out once for
    all that can do without it. The largest table is so read two or three times and not once a
    subset; the log potential of a clique, a sum over its subsets, is put together the same way.
    """

    shape: tuple[int, ...]
    here: tuple[int, ...]
    below: tuple[tuple[Fold, Projections], ...]

    @classmethod
    def of(cls, domain: Domain, clique: Clique, wanted: Mapping[int, Clique]) -> Projections:
        """Return the projections of ``clique`` onto numbered subsets, each in its own order."""
        here = tuple(number for number, subset in wanted.items() if subset == clique)
        left = {number: subset for number, subset in wanted.items() if subset != clique}
        below = []
        while left:
            least = max(
                clique, key=lambda a: (sum(a not in s for s in left.values()), domain.size(a))
            )
            without = {number: s for number, s in left.items() if least not in s}
            left = {number: s for number, s in left.items() if least in s}
            rest = tuple(a for a in clique if a != least)
            kept = tuple(i for i, a in enumerate(clique) if a != least)
            below.append((Fold(domain.shape(clique), kept), cls.of(domain, rest, without)))
        return cls(domain.shape(clique), here, tuple(below))

    def collect(self, table: Floats, into: list[Floats]) -> None:
        """Write the sums of ``table`` into the list, flat, at the numbers of their subsets."""
        for number in self.here:
            into[number] = table.reshape(-1)
        for fold, smaller in self.below:
            smaller.collect(fold.sum(table), into)

    def spread(self, parameters: Sequence[Floats]) -> Floats:
        """Return the table whose cells are the sums of their subsets' parameters, given flat."""
        table = np.zeros(self.shape)
        for number in self.here:
            table += parameters[number].reshape(self.shape)
        for fold, smaller in self.below:
            fold.add(table, smaller.spread(parameters).reshape(-1))
        return table
