"""Expanded model: a graphical model over groups of codes, and each code's share of its group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dp_synth.domain import Domain
from dp_synth.inference.graphical_model import JunctionTreeModel
from dp_synth.inference.junction_tree import MAX_CELLS, JunctionTree
from dp_synth.types import Clique, Codes, Flags, Floats


@dataclass(frozen=True, eq=False)
class RefinedModel:
    """Codes of ``domain``, independent of all else given the group that they belong to.

    ``coarse`` is the distribution of the groups. ``groups[attribute][code]`` is a code's group,
    ``shares[attribute][code]`` the part of the group that is this code; attributes that are left
    out have the same codes in both. Its tables stay as small as those of the groups.
    """

    coarse: JunctionTreeModel
    domain: Domain
    groups: Mapping[str, Codes]
    shares: Mapping[str, Floats]

    def __repr__(self) -> str:
        return f"<RefinedModel: {len(self.groups)} attributes refined of {self.coarse}>"

    @property
    def total(self) -> float:
        """The noisy number of records."""
        return self.coarse.total

    @property
    def tree(self) -> JunctionTree:
        """The junction tree of the groups."""
        return self.coarse.tree

    @property
    def probabilities(self) -> tuple[Floats, ...]:
        """The groups' probabilities, a table a clique of the tree."""
        return self.coarse.probabilities

    def marginal(self, clique: Clique, *, max_cells: int = MAX_CELLS) -> Floats:
        """Return the expected counts over any attributes, in the order of ``clique``."""
        counts = self.coarse.marginal(clique, max_cells=max_cells)
        for axis, attribute in enumerate(clique):
            if attribute in self.groups:
                shape = [-1 if i == axis else 1 for i in range(len(clique))]
                counts = np.take(counts, self.groups[attribute], axis)
                counts = counts * self.shares[attribute].reshape(shape)
        return counts

    def conditioned(self, weights: Mapping[str, Floats]) -> RefinedModel:
        """Return the model of the records that the evidence picks; see JunctionTreeModel."""
        coarse, shares = dict(weights), dict(self.shares)
        for attribute, weight in weights.items():
            if attribute in self.groups:
                group, picked = self.groups[attribute], self.shares[attribute] * weight
                coarse[attribute] = np.asarray(np.bincount(group, weights=picked), dtype=float)
                mass = coarse[attribute][group]
                shares[attribute] = np.divide(
                    picked, mass, out=self.shares[attribute].copy(), where=mass > 0
                )
        return RefinedModel(self.coarse.conditioned(coarse), self.domain, self.groups, shares)

    def sample(self, records: int, rng: np.random.Generator) -> Codes:
        """Return ``records`` rows of codes, shape (records, attributes), column-major."""
        return self._refined(self.coarse.sample(records, rng), rng)

    def draw(self, records: int, rng: np.random.Generator) -> Codes:
        """Return ``records`` rows of codes as in ``sample``, each independent of all others."""
        return self._refined(self.coarse.draw(records, rng), rng)

    def _refined(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """Draw a code for each group in ``codes``, in place."""
        for attribute, group in self.groups.items():
            axis = self.domain.axis(attribute)
            codes[:, axis] = _draw_codes(group, self.shares[attribute], codes[:, axis], rng)
        return codes

    def completed(self, known: Codes, rng: np.random.Generator) -> tuple[Codes, Flags]:
        """Return rows whose codes of -1 are drawn given the others, and which can occur."""
        coarse, has_share = known.copy(), np.ones(len(known), dtype=bool)
        for attribute, group in self.groups.items():
            own = known[:, axis := self.domain.axis(attribute)]
            coarse[:, axis] = np.where(own < 0, -1, group[own])
            has_share &= (own < 0) | (self.shares[attribute][own] > 0)
        codes, possible = self.coarse.completed(coarse, rng)
        for attribute, group in self.groups.items():
            axis = self.domain.axis(attribute)
            drawn = _draw_codes(group, self.shares[attribute], codes[:, axis], rng)
            codes[:, axis] = np.where(known[:, axis] < 0, drawn, known[:, axis])
        return codes, possible & has_share

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the model as plain arrays; cliques and names travel beside them."""
        arrays: dict[str, NDArray[np.generic]] = dict(self.coarse.to_arrays())
        for attribute, group in self.groups.items():
            axis = self.domain.axis(attribute)
            arrays[f"group_{axis}"] = group
            arrays[f"share_{axis}"] = self.shares[attribute]
        return arrays

    @classmethod
    def from_arrays(
        cls,
        domain: Domain,
        cliques: Sequence[Clique],
        arrays: Mapping[str, NDArray[np.generic]],
        total: float,
    ) -> RefinedModel:
        """Return the model that ``to_arrays`` took apart; ValueError when it does not fit."""
        groups, shares = {}, {}
        for axis, (attribute, size) in enumerate(zip(domain.attributes, domain.sizes, strict=True)):
            if f"group_{axis}" in arrays:
                group = np.asarray(arrays[f"group_{axis}"], dtype=np.int32)
                share = np.asarray(arrays[f"share_{axis}"], dtype=float)
                _check_groups(attribute, size, group, share)
                groups[attribute], shares[attribute] = group, share
        tables = {name: np.asarray(array, dtype=float) for name, array in arrays.items()}
        coarse = JunctionTreeModel.from_arrays(domain.coarsened(groups), cliques, tables, total)
        return cls(coarse, domain, groups, shares)


def _draw_codes(
    group: Codes, share: Floats, drawn: Codes, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Draw a code for each group number in ``drawn``, by inverse CDF within the group."""
    order = np.argsort(group, kind="stable").astype(np.int32)
    ends = np.cumsum(share[order])  # group g holds the stretch from g to g + 1
    ends /= np.maximum(ends[-1], 1e-300) / (group.max() + 1)
    starts = np.searchsorted(group[order], np.arange(group.max() + 2))
    found, part = starts[drawn], rng.random(len(drawn))
    wide = np.flatnonzero((np.diff(starts) > 1)[drawn])  # groups of one code leave no choice
    own = drawn[wide]
    within = np.searchsorted(ends, own + part[wide], side="right")
    found[wide] = np.clip(within, starts[own], starts[own + 1] - 1)  # rounding: stay in the group
    return np.asarray(order[found])


def _check_groups(attribute: str, size: int, group: Codes, share: Floats) -> None:
    if group.shape != (size,) or share.shape != (size,):
        raise ValueError(f"the groups of {attribute!r} must name one for each of {size} codes")
    numbers = np.unique(group)
    if not np.array_equal(numbers, np.arange(len(numbers))):
        raise ValueError(f"the groups of {attribute!r} must be numbered from 0 without gaps")
    if not (share >= 0).all() or not np.allclose(np.bincount(group, weights=share), 1):
        raise ValueError(f"the shares of {attribute!r} must sum to 1 in each group")
