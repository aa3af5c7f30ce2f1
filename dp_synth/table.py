"""Private records that never travel without the budget slice that pays for every answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from dp_synth.accounting import Adjacency, Slice
from dp_synth.domain import Clique, Domain

Codes = NDArray[np.int32]


class PrivateTable:
    """Integer codes, shape (records, attributes), over a domain, and the slice that pays.

    Only mechanisms may call ``exact_marginal``, and only after their charge; ``reads`` counts
    how often that happened.
    """

    def __init__(self, codes: Codes, domain: Domain, payer: Slice) -> None:
        if codes.ndim != 2 or codes.shape[1] != len(domain):
            raise ValueError(f"codes must have one column for each of {len(domain)} attributes")
        self._codes = np.asfortranarray(codes, dtype=np.int32)
        self.domain = domain
        self.payer = payer
        self.reads = 0

    @property
    def adjacency(self) -> Adjacency:
        """The adjacency under which sensitivities must be stated."""
        return self.payer.adjacency

    def exact_marginal(self, clique: Clique) -> NDArray[np.float64]:
        """Return the private counts of the marginal over ``clique``: for mechanisms alone."""
        self.reads += 1
        shape = self.domain.shape(clique)
        cells = np.zeros(len(self._codes), dtype=np.int64)
        for attribute, size in zip(clique, shape, strict=True):
            cells *= size
            cells += self._codes[:, self.domain.axis(attribute)]
        counts = np.bincount(cells, minlength=self.domain.cells(clique))
        return counts.astype(np.float64).reshape(shape)

    def coarsen(self, groups: Mapping[str, NDArray[np.int32]]) -> PrivateTable:
        """Return the table with codes of some attributes relabelled by public group numbers.

        ``groups[attribute][code]`` is the new code, from 0 without gaps. The same slice pays.
        """
        codes = self._codes.copy(order="F")
        for attribute, group in groups.items():
            axis = self.domain.axis(attribute)
            codes[:, axis] = group[codes[:, axis]]
        sizes = {attribute: int(group.max()) + 1 for attribute, group in groups.items()}
        return PrivateTable(codes, self.domain.resized(sizes), self.payer)

    def __repr__(self) -> str:
        return f"PrivateTable({len(self.domain)} attributes, paid by {self.payer.name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private table cannot be pickled: its copy would leave its payer behind")
