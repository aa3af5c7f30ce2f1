"""Weights of the rows of a unit: so much from each unit, however many rows it has.

Where a unit may have ``m`` rows every sensitivity is ``m`` times that of one row, and who has fewer
gives up what is his: with a row alone he could be heard m times as loud. So each of his r rows
counts ``floor(m / r)`` times. A unit then adds at most m to all counts together, as it did before,
and no sensitivity grows; the counts do, and noise beside them is smaller.

How many rows the unit of a row has is a column of its own beside the others (its class). A model
over all columns tells rows as they are: what it says of a class counts by one over its weight.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self, TypeVar

import numpy as np

from dp_synth.domain import Domain
from dp_synth.types import Codes, Floats, Integers

ATTRIBUTE = "rows of a unit"
MOST_CLASSES = 16  # of numbers of rows; of more weights neighbouring ones are taken together


class Weighable(Protocol):
    """A model whose records evidence can pick."""

    def conditioned(self, weights: Mapping[str, Floats]) -> Self:
        """Return the model of the records that the evidence picks."""


T = TypeVar("T", bound=Weighable)


@dataclass(frozen=True)
class UnitWeights:
    """How often a row counts, by how many rows its unit has, ``max_rows`` at most.

    ``attribute`` names the column of classes. ``largest[c]`` is the most rows that units of class
    c have, ``weights[c]`` how often each of their rows counts.

    >>> found = UnitWeights(10)
    >>> found.largest.tolist(), found.weights.tolist()
    ([1, 2, 3, 5, 10], [10.0, 5.0, 3.0, 2.0, 1.0])
    """

    max_rows: int
    attribute: str = ATTRIBUTE

    @classmethod
    def beside(cls, names: Collection[str], max_rows: int) -> UnitWeights:
        """Return the weights, with a column whose name none of ``names`` is."""
        attribute = ATTRIBUTE
        while attribute in names:
            attribute += "'"
        return cls(max_rows, attribute)

    @cached_property
    def largest(self) -> Integers:
        """The most rows of a unit of each class, shape (classes,)."""
        rows = np.arange(1, self.max_rows + 1)
        ends = rows[np.append(np.diff(self.max_rows // rows) != 0, True)]
        if len(ends) <= MOST_CLASSES:
            return np.asarray(ends, dtype=np.int64)
        steps = np.geomspace(1, self.max_rows, MOST_CLASSES)
        return np.asarray(np.unique(ends[np.searchsorted(ends, np.floor(steps))]), dtype=np.int64)

    @cached_property
    def weights(self) -> Floats:
        """How often a row of each class counts, shape (classes,): whole numbers."""
        return (self.max_rows // self.largest).astype(np.float64)

    def classes(self, rows: Integers) -> Codes:
        """Return the class of each row by how many rows its unit has, from 1 to ``max_rows``."""
        return np.searchsorted(self.largest, rows).astype(np.int32)

    def beside_others(self, domain: Domain) -> Domain:
        """Return the domain with the column of classes as its last attribute."""
        size = len(self.largest)
        return Domain(
            (*domain.attributes, self.attribute),
            (*domain.sizes, size),
            (*domain.ordered, size),
            domain.supports,
            (*domain.levels, 0),
            domain.open,
            domain.label,
        )

    def of_rows(self, model: T) -> T:
        """Return the model of rows, of one of weighted counts: its total is that of rows."""
        return model.conditioned({self.attribute: 1 / self.weights})

    def of_counts(self, model: T) -> T:
        """Return the model of weighted counts, of one of rows."""
        return model.conditioned({self.attribute: self.weights})
