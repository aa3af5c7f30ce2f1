"""The target: what a release may cost, and between which tables the promise holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

Adjacency = Literal["add_remove", "replace_one"]
ADJACENCIES: tuple[str, ...] = get_args(Adjacency)


@dataclass(frozen=True)
class PrivacyBudget:
    """A target (epsilon, delta) and the adjacency under which it must hold.

    ``add_remove``: neighbouring tables differ by one record more or less, so the number of
    records is private. ``replace_one``: they differ in the value of one record, so it is public.

    >>> PrivacyBudget(epsilon=1, delta=1e-9)
    PrivacyBudget(epsilon=1, delta=1e-09, adjacency='add_remove')
    """

    epsilon: float
    delta: float
    adjacency: Adjacency = "add_remove"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise ValueError(f"epsilon must be a finite number above 0, got {self.epsilon}")
        if not 0 <= self.delta < 1:
            raise ValueError(f"delta must lie in [0, 1), got {self.delta}")
        if self.adjacency not in ADJACENCIES:
            raise ValueError(
                f"adjacency must be one of {', '.join(ADJACENCIES)}, got {self.adjacency!r}"
            )
