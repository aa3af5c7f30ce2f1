"""Attribute names and sizes, in order: all that inference knows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

Clique = tuple[str, ...]


@dataclass(frozen=True)
class Domain:
    """Names of the attributes and the number of codes that each can take.

    ``ordered`` says how many of an attribute's codes, from the first on, stand in a meaningful
    order: all of them for numbers, none for categories, all but the marks where cells can be
    missing. Left out, no attribute has an order.

    >>> domain = Domain(("age", "sex"), (85, 2))
    >>> domain.shape(("sex", "age")), domain.cells(("sex", "age"))
    ((2, 85), 170)
    """

    attributes: tuple[str, ...]
    sizes: tuple[int, ...]
    ordered: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.ordered:
            object.__setattr__(self, "ordered", (0,) * len(self.attributes))
        if not len(self.attributes) == len(self.sizes) == len(self.ordered):
            raise ValueError(
                f"{len(self.attributes)} attributes but {len(self.sizes)} sizes and "
                f"{len(self.ordered)} orders; they must match"
            )
        if len(set(self.attributes)) != len(self.attributes):
            raise ValueError(f"attribute names must be distinct, got {self.attributes}")
        for name, size in zip(self.attributes, self.sizes, strict=True):
            if size < 1:
                raise ValueError(f"attribute {name!r} must have at least one code, got {size}")

    def resized(self, sizes: Mapping[str, int]) -> Domain:
        """Return the same attributes, some with another number of codes and no order."""
        pairs = list(zip(self.attributes, self.sizes, self.ordered, strict=True))
        return Domain(
            self.attributes,
            tuple(sizes.get(name, size) for name, size, _ in pairs),
            tuple(0 if name in sizes else ordered for name, _, ordered in pairs),
        )

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
            raise KeyError(
                f"no attribute {attribute!r}; there are {', '.join(self.attributes)}"
            ) from None

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {attribute: axis for axis, attribute in enumerate(self.attributes)}

    def size(self, attribute: str) -> int:
        """Return the number of codes of ``attribute``."""
        return self.sizes[self.axis(attribute)]

    def shape(self, clique: Iterable[str]) -> tuple[int, ...]:
        """Return the shape of the marginal over ``clique``, axes in its order."""
        return tuple(self.size(attribute) for attribute in clique)

    def cells(self, clique: Iterable[str]) -> int:
        """Return the number of cells of the marginal over ``clique``."""
        return prod(self.shape(clique))
