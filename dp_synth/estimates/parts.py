"""Functions of several columns as sums of functions of one and of two, and what is left of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from scipy import sparse

from dp_synth.domain import Domain
from dp_synth.inference import Model
from dp_synth.types import Clique, Codes, Floats, Integers


@dataclass(frozen=True, eq=False)
class Means:
    """Means over the cells that agree in some columns: ``of`` those cells, ``cells`` their places.

    ``codes`` are flat indices over the columns' domain, one for each group of cells.
    """

    codes: Integers
    places: Integers
    masses: Floats

    @classmethod
    def over(cls, codes: Codes, weights: Floats, shape: tuple[int, ...]) -> Means:
        """Return those over columns of such a shape, of cells with ``weights``."""
        flat = np.ravel_multi_index(tuple(codes.T), shape)
        found, places = np.unique(flat, return_inverse=True)
        masses = np.bincount(places, weights, len(found)).astype(np.float64)
        return cls(found, places, masses)

    def of(self, weights: Floats, values: Floats) -> Floats:
        """Return the weighted means of values (cells, k), shape (groups, k)."""
        sums = self._summing @ (weights[:, None] * values)
        masses = self.masses[:, None]
        return np.asarray(np.divide(sums, masses, out=np.zeros_like(sums), where=masses > 0))

    @cached_property
    def _summing(self) -> sparse.csr_array:
        cells = len(self.places)
        ones = (np.ones(cells), (self.places, np.arange(cells)))
        return sparse.csr_array(ones, shape=(len(self.codes), cells))


@dataclass(frozen=True, eq=False)
class Parts:
    """A functional analysis of variance (Hoeffding 1948), one column and one pair after the other.

    The functions are ``sum_a main_a + sum_ab pair_ab + rest``, of means 0; where columns depend on
    each other the parts are not orthogonal, but their sum is exact. Groups of ``means`` are those
    of a column or pair that occur, and ``tables`` (groups, k) the functions there.
    """

    domain: Domain
    columns: Clique
    codes: Codes
    weights: Floats
    means: Mapping[tuple[int, ...], Means]
    tables: Mapping[tuple[int, ...], Floats]
    rest: Floats

    @classmethod
    def of(
        cls, domain: Domain, columns: Clique, codes: Codes, weights: Floats, functions: Floats
    ) -> Parts:
        """Return the parts of functions, shape (cells, k), whose weighted means are 0."""
        means, tables, rest = {}, {}, functions
        places = range(len(columns))
        for axes in [*((axis,) for axis in places), *combinations(places, 2)]:
            shape = domain.shape(tuple(columns[axis] for axis in axes))
            means[axes] = Means.over(codes[:, list(axes)], weights, shape)
            tables[axes] = means[axes].of(weights, rest)
            rest = rest - tables[axes][means[axes].places]
        return cls(domain, columns, codes, weights, means, tables, rest)

    def mean(self, model: Model) -> Floats:
        """Return the means of all parts but the rest over a model, shape (k,).

        Groups that did not occur count as 0, the mean.
        """
        total = np.zeros(self.rest.shape[1])
        for axes, table in self.tables.items():
            counts = np.maximum(model.marginal(tuple(self.columns[axis] for axis in axes)), 0.0)
            chances = counts.ravel()[self.means[axes].codes] / max(float(counts.sum()), 1e-300)
            total += chances @ table
        return total

    def pair(self, axes: tuple[int, int]) -> Floats:
        """Return the part of a pair at each cell, shape (cells, k)."""
        return self.tables[axes][self.means[axes].places]
