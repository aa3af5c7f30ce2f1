"""Attribute names and sizes, in order: all that inference knows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import comb, prod

import numpy as np

from dp_synth.errors import InputError
from dp_synth.extensions import listed, unknown
from dp_synth.formatting import ROWS, html_table
from dp_synth.types import Clique, Codes, Flags

MOST_CLIQUES = 5_000_000
"""Marginals among which a synthesizer chooses: all pairs of three thousand attributes."""

MOST_AXES = 32  # of one array: numpy before version 2 has no more
NO_BIT = -1  # in place of a bit of a shorter set


@dataclass(frozen=True)
class Support:
    """The cells of a clique that can occur: all others are structural zeros, publicly known.

    ``possible`` holds one byte a cell, 0 or 1, in C order of the clique's axes.
    """

    clique: Clique
    possible: bytes

    @classmethod
    def of(cls, clique: Clique, possible: Flags) -> Support:
        """Return the support of a boolean array with one axis an attribute."""
        return cls(clique, possible.astype(np.uint8).tobytes())

    def mask(self, shape: tuple[int, ...]) -> Flags:
        """Return the cells as a boolean array of the clique's shape."""
        return np.frombuffer(self.possible, dtype=np.uint8).reshape(shape).astype(bool)


@dataclass(frozen=True)
class Domain:
    """Names of the attributes and the number of codes that each can take.

    ``ordered`` says how many of an attribute's codes, from the first on, stand in a meaningful
    order: all of them for numbers, none for categories, all but the marks where cells can be
    missing. Left out, no attribute has an order. ``supports`` are structural zeros. ``levels``
    says how many noisy histograms private binning will take of an attribute before its codes
    are known, at most ``sizes`` of them; 0, or left out, where they are public. ``open`` names
    the attributes to which a fit adds codes, of frequent categories that are not public. ``label``
    is the attribute that others are to predict, None where none is named.

    >>> domain = Domain(("age", "sex"), (85, 2))
    >>> domain.shape(("sex", "age")), domain.cells(("sex", "age"))
    ((2, 85), 170)
    """

    attributes: tuple[str, ...]
    sizes: tuple[int, ...]
    ordered: tuple[int, ...] = ()
    supports: tuple[Support, ...] = ()
    levels: tuple[int, ...] = ()
    open: tuple[str, ...] = ()
    label: str | None = None

    def __post_init__(self) -> None:
        nothing = (0,) * len(self.attributes)
        object.__setattr__(self, "ordered", self.ordered or nothing)
        object.__setattr__(self, "levels", self.levels or nothing)
        if len({len(x) for x in (self.attributes, self.sizes, self.ordered, self.levels)}) > 1:
            raise ValueError(
                f"{len(self.attributes)} attributes but {len(self.sizes)} sizes, "
                f"{len(self.ordered)} orders and {len(self.levels)} levels; they must match"
            )
        for support in self.supports:
            if len(support.possible) != self.cells(support.clique):
                raise ValueError(f"the support of {support.clique} must have a byte for each cell")
        if len(set(self.attributes)) != len(self.attributes):
            raise ValueError(f"attribute names must be distinct, got {self.attributes}")
        for name, size in zip(self.attributes, self.sizes, strict=True):
            if size < 1:
                raise ValueError(f"attribute {name!r} must have at least one code, got {size}")
        if self.label is not None and self.label not in self.attributes:
            raise ValueError(f"the label must be an attribute, got {self.label!r}")

    def __repr__(self) -> str:
        sizes = [f"{name}: {size}" for name, size in zip(self.attributes, self.sizes, strict=True)]
        return f"Domain({listed(sizes, ROWS)})"

    def _repr_html_(self) -> str:
        rows = [(name, f"{size:,}") for name, size in zip(self.attributes, self.sizes, strict=True)]
        return html_table(("attribute", "codes"), rows)

    def coarsened(self, groups: Mapping[str, Codes]) -> Domain:
        """Return the domain after codes of some attributes became group numbers.

        ``groups[attribute][code]`` is the group, from 0 without gaps. Groups stand in order where
        they are runs of ordered codes. A group can occur where one of its codes can.
        """
        sizes = {name: int(group.max()) + 1 for name, group in groups.items()}
        named = list(zip(self.attributes, self.sizes, self.ordered, strict=True))
        return Domain(
            self.attributes,
            tuple(sizes.get(name, size) for name, size, _ in named),
            tuple(
                _ordered_groups(groups[name], ordered) if name in groups else ordered
                for name, _, ordered in named
            ),
            tuple(self._coarse_support(support, groups) for support in self.supports),
            label=self.label,
        )

    def _coarse_support(self, support: Support, groups: Mapping[str, Codes]) -> Support:
        mask = support.mask(self.shape(support.clique))
        for axis, attribute in enumerate(support.clique):
            if attribute in groups:
                group = groups[attribute]
                moved = np.moveaxis(mask, axis, 0)
                merged = np.zeros((int(group.max()) + 1, *moved.shape[1:]), dtype=bool)
                np.logical_or.at(merged, group, moved)
                mask = np.moveaxis(merged, 0, axis)
        return Support.of(support.clique, mask)

    def alike(self, attribute: str) -> Codes:
        """Return a class number for each code: codes of one class can occur in the same places.

        Only codes of one class may be merged without losing a structural zero.
        """
        if not any(attribute in support.clique for support in self.supports):
            return np.zeros(self.size(attribute), dtype=np.int32)
        patterns = [np.zeros((self.size(attribute), 1), dtype=bool)]
        for support in self.supports:
            if attribute in support.clique:
                mask = support.mask(self.shape(support.clique))
                rows = np.moveaxis(mask, support.clique.index(attribute), 0)
                patterns.append(rows.reshape(self.size(attribute), -1))
        classes = np.unique(np.concatenate(patterns, axis=1), axis=0, return_inverse=True)[1]
        return classes.reshape(-1).astype(np.int32)

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def __contains__(self, attribute: object) -> bool:
        return attribute in self.attributes

    def axis(self, attribute: str) -> int:
        """Return the position of ``attribute``; KeyError when it is not here."""
        try:
            return self._positions[attribute]
        except KeyError:
            raise KeyError(unknown("attribute", attribute, self.attributes)) from None

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {attribute: axis for axis, attribute in enumerate(self.attributes)}

    def size(self, attribute: str) -> int:
        """Return the number of codes of ``attribute``."""
        return self.sizes[self.axis(attribute)]

    def shape(self, clique: Iterable[str]) -> tuple[int, ...]:
        """Return the shape of the marginal over ``clique``, axes in its order."""
        known, sizes = self._positions, self.sizes
        wanted = tuple(clique)
        try:
            return tuple([sizes[known[attribute]] for attribute in wanted])
        except KeyError:  # which `size` explains
            return tuple(self.size(attribute) for attribute in wanted)

    def check_workload(self, degree: int) -> None:
        """Raise InputError where all marginals of ``degree`` attributes are too many to list."""
        size = min(degree, len(self))
        if (count := comb(len(self), size)) > MOST_CLIQUES:
            raise InputError(
                f"{len(self):,} columns have {count:,} marginals of {size} columns, at most "
                f"{MOST_CLIQUES:,} can be chosen among; take fewer columns"
                + (", or a lower degree" if size > 2 else ", or 'independent'")
            )

    def cells(self, clique: Iterable[str]) -> int:
        """Return the number of cells of the marginal over ``clique``."""
        return prod(self.shape(clique))


@dataclass(frozen=True, eq=False)
class ParitySets:
    """Sets of bits of records: those of which parities are asked.

    ``halves[i]`` is 0 or 1 for each code of ``attributes[i]``, which makes it bit i of a record;
    an attribute may have several bits. ``sets`` holds numbers of bits, shape (sets, bits of the
    longest); `NO_BIT` fills up those that are shorter. ValueError for what is no such thing.

    >>> halves = (np.array([0, 1, 1]), np.array([0, 1]))
    >>> len(ParitySets(("job", "sex"), halves, np.array([[0, NO_BIT], [0, 1]])))
    2
    """

    attributes: Clique
    halves: tuple[Codes, ...]
    sets: Codes

    def __post_init__(self) -> None:
        if len(self.attributes) != len(self.halves):
            raise ValueError(f"{len(self.attributes)} attributes but {len(self.halves)} halves")
        for name, half in zip(self.attributes, self.halves, strict=True):
            if half.ndim != 1 or not np.isin(half, (0, 1)).all():
                raise ValueError(f"a bit of {name!r} must be 0 or 1 for each code")
        least, most = np.min(self.sets, initial=NO_BIT), np.max(self.sets, initial=NO_BIT)
        if self.sets.ndim != 2 or least < NO_BIT or most >= len(self.halves):
            raise ValueError(f"the sets must be of {len(self.halves)} bits, a line each")

    def __len__(self) -> int:
        return len(self.sets)

    def __repr__(self) -> str:
        return f"<ParitySets: {len(self):,} sets of {len(self.halves)} bits>"

    def check(self, domain: Domain) -> None:
        """Raise KeyError for an unknown attribute, ValueError for one of another size."""
        for name, half in zip(self.attributes, self.halves, strict=True):
            if len(half) != (size := domain.size(name)):
                raise ValueError(f"a bit of {name!r} must be given for each of {size} codes")

    def parts_of(self, number: int) -> tuple[tuple[str, Codes], ...]:
        """Return the attribute and the half of each bit of one set."""
        bits = [int(bit) for bit in self.sets[number] if bit != NO_BIT]
        return tuple((self.attributes[bit], self.halves[bit]) for bit in bits)


def _ordered_groups(group: Codes, ordered: int) -> int:
    """Return how many groups are runs of the ordered codes and come before all others."""
    runs, others = group[:ordered], group[ordered:]
    if not ordered or np.any(np.diff(runs) < 0) or np.any(others <= runs[-1]):
        return 0
    return int(runs[-1]) + 1
