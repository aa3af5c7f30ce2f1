"""Mixture model: a distribution over records as rows whose attributes are independent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.errors import InputError
from dp_synth.inference.completion import draw, parts
from dp_synth.inference.junction_tree import MAX_CELLS
from dp_synth.types import Clique, Codes, Flags, Floats

BELOW_ONE = 1 - 2.0**-30  # the largest quantile: a row number added to it must not round up


@dataclass(frozen=True, eq=False)
class MixtureModel:
    """Rows of probabilities that a generator made, and the noisy number of records.

    ``tables[i]`` holds one row a component: the probabilities of the i-th attribute's codes,
    independent of all else given the component; ``weights`` are the components' own. Marginals
    and conditions are exact, with no tree to keep small.
    """

    kind: ClassVar[str] = "mixture"

    domain: Domain
    weights: Floats
    tables: tuple[Floats, ...]
    total: float

    def __repr__(self) -> str:
        rows, records = len(self.weights), f"about {self.total:,.0f} records"
        return f"<MixtureModel: {rows} components over {len(self.domain)} attributes; {records}>"

    def marginal(self, clique: Clique, *, max_cells: int = MAX_CELLS) -> Floats:
        """Return the expected counts over any attributes, in the order of ``clique``.

        InputError for a table of more than ``max_cells`` cells.
        """
        if (cells := self.domain.cells(clique)) > max_cells:
            raise InputError(
                f"the marginal over {', '.join(map(repr, clique))} has {cells:,} cells, at most "
                f"{max_cells:,} are allowed"
            )
        parts = [self.tables[self.domain.axis(attribute)] for attribute in clique]
        half = _halfway([part.shape[1] for part in parts])
        left = _products(parts[:half], len(self.weights)) * self.weights[:, None]
        counts = self.total * (left.T @ _products(parts[half:], len(self.weights)))
        return np.asarray(counts.reshape(self.domain.shape(clique)))

    def conditioned(self, weights: Mapping[str, Floats]) -> MixtureModel:
        """Return the model of the records that the evidence picks, as in JunctionTreeModel."""
        tables, mass = list(self.tables), self.weights.copy()
        for attribute, weight in weights.items():
            axis = self.domain.axis(attribute)
            picked = self.tables[axis] * weight
            each = picked.sum(axis=1)
            mass *= each
            tables[axis] = np.divide(
                picked, each[:, None], out=self.tables[axis].copy(), where=each[:, None] > 0
            )
        probability = float(mass.sum())
        if not probability > 0:
            raise ValueError("no record can be as the evidence says")
        return MixtureModel(
            self.domain, mass / probability, tuple(tables), self.total * probability
        )

    def sample(self, records: int, rng: np.random.Generator) -> Codes:
        """Return ``records`` rows of codes, shape (records, attributes), column-major.

        Stratified: every component gets its share of records up to rounding, and of these every
        code its own, so that counts are nearer to what is expected than independent draws.
        """
        ends = np.floor(np.cumsum(self.weights) / self.weights.sum() * records + rng.random())
        counts = np.diff(np.minimum(ends, records).astype(np.int64), prepend=0)
        counts[-1] += records - counts.sum() if self.weights[-1] > 0 else 0
        counts[np.argmax(self.weights)] += records - counts.sum()
        component = np.repeat(np.arange(len(counts)), counts)
        codes = np.empty((records, len(self.domain)), dtype=np.int32, order="F")
        order = rng.permutation(records)
        for axis, table in enumerate(self.tables):
            codes[order, axis] = _draw(table, component, counts, rng)
        return codes

    def completed(self, known: Codes, rng: np.random.Generator) -> tuple[Codes, Flags]:
        """Return rows whose codes of -1 are drawn given the others, and which can occur."""
        rows, possible = known.copy(order="F"), np.ones(len(known), dtype=bool)
        for part in parts(len(known), max(len(self.weights), *self.domain.sizes)):
            own = rows[part]
            mass = np.tile(self.weights, (len(own), 1))
            for axis, table in enumerate(self.tables):
                mass *= np.where(own[:, axis, None] < 0, 1.0, table.T[own[:, axis]])
                most = mass.max(axis=1, keepdims=True)
                mass /= np.where(most > 0, most, 1.0)  # of many columns the product may vanish
            possible[part] = mass.any(axis=1)
            component = draw(mass, rng)
            for axis, table in enumerate(self.tables):
                own[:, axis] = np.where(own[:, axis] < 0, draw(table[component], rng), own[:, axis])
            rows[part] = own
        return rows, possible

    def refined(
        self, domain: Domain, groups: Mapping[str, Codes], shares: Mapping[str, Floats]
    ) -> MixtureModel:
        """Return the model over the codes of ``domain`` that share out this one's groups.

        ``groups[attribute][code]`` is a code's group and ``shares`` its part of that group.
        """
        tables = tuple(
            table[:, groups[attribute]] * shares[attribute] if attribute in groups else table
            for attribute, table in zip(self.domain, self.tables, strict=True)
        )
        return MixtureModel(domain, self.weights, tables, self.total)

    def to_arrays(self) -> dict[str, Floats]:
        """Return the model as plain arrays."""
        return {
            "weights": self.weights,
            **{f"attribute_{axis}": table for axis, table in enumerate(self.tables)},
        }

    @classmethod
    def from_arrays(
        cls, domain: Domain, arrays: Mapping[str, NDArray[np.generic]], total: float
    ) -> MixtureModel:
        """Return the model that ``to_arrays`` took apart; ValueError when it does not fit."""
        weights = np.asarray(arrays["weights"], dtype=float)
        tables = [np.asarray(arrays[f"attribute_{i}"], dtype=float) for i in range(len(domain))]
        if not (math.isfinite(total) and total >= 0):
            raise ValueError(f"the total must be a finite number from 0, got {total}")
        if weights.ndim != 1 or not _are_probabilities(weights):
            raise ValueError("the weights of a mixture must be probabilities")
        for attribute, size, table in zip(domain, domain.sizes, tables, strict=True):
            if table.shape != (len(weights), size) or not _are_probabilities(table):
                raise ValueError(
                    f"the rows of {attribute!r} must hold probabilities of {size} codes"
                )
        return cls(domain, weights, tuple(tables), total)


def _are_probabilities(table: Floats) -> bool:
    return bool((table >= 0).all()) and np.allclose(table.sum(axis=-1), 1, rtol=0, atol=1e-6)


def _halfway(sizes: Sequence[int]) -> int:
    """Return where to split so that the larger of the two products is smallest."""
    return min(range(len(sizes) + 1), key=lambda k: max(math.prod(sizes[:k]), math.prod(sizes[k:])))


def _products(parts: Sequence[Floats], rows: int) -> Floats:
    """Return each row's joint probabilities over several attributes, flat."""
    product = np.ones((rows, 1))
    for part in parts:
        product = (product[:, :, None] * part[:, None, :]).reshape(rows, -1)
    return product


def _draw(
    table: Floats, component: NDArray[np.int64], counts: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw a code for each record, the records of a component at evenly spaced quantiles."""
    shuffled = np.argsort(component + rng.random(len(component)))
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(component))
    rank[shuffled] = np.arange(len(component)) - starts[component]
    quantile = (rank + rng.random(len(counts))[component]) / counts[component]
    ends = np.cumsum(table, axis=1)
    ends = ends / ends[:, -1:] + np.arange(len(table))[:, None]
    found = np.searchsorted(ends.ravel(), component + np.minimum(quantile, BELOW_ONE), side="right")
    return np.asarray(found - component * table.shape[1])
