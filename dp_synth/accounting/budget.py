"""The target: what a release may cost, and between which tables the promise holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from dp_synth.settings import check_settings

Adjacency = Literal["add_remove", "replace_one"]
ADJACENCIES: tuple[str, ...] = get_args(Adjacency)
FilterKind = Literal["zcdp", "gdp"]  # what a privacy filter counts in
FILTER_KINDS: tuple[str, ...] = get_args(FilterKind)
CHANGES: dict[str, str] = {"add_remove": "added or removed", "replace_one": "replaced"}


@dataclass(frozen=True)
class PrivacyBudget:
    """A target (epsilon, delta), the adjacency under which it must hold, and the unit.

    An infinite ``epsilon`` says that no guarantee is wanted. It pays for what has none to give,
    and for that alone: what could keep a finite budget is not calibrated to an infinite one.

    ``add_remove``: neighbouring tables differ by one unit more or less, so the number of units
    is private. ``replace_one``: they differ in the values of one unit, so it is public. A unit
    is one record, or all records that agree in the column ``unit``, of which ``max_rows`` at
    most are used: the rest are dropped at random before anything is measured, and every
    sensitivity is ``max_rows`` times as large.

    >>> PrivacyBudget(epsilon=1, delta=1e-9)
    PrivacyBudget(epsilon=1, delta=1e-09, adjacency='add_remove', unit=None, max_rows=1)
    """

    epsilon: float
    delta: float
    adjacency: Adjacency = "add_remove"
    unit: str | None = None
    max_rows: int = 1

    @property
    def protects(self) -> str:
        """Whose presence the promise is about, in words."""
        return "one record" if self.unit is None else f"all records of one {self.unit}"

    @property
    def neighbours(self) -> str:
        """By what neighbouring tables differ, in words.

        >>> PrivacyBudget(1, 1e-9).neighbours
        'one record added or removed'
        >>> PrivacyBudget(1, 1e-9, "replace_one", "patient", 3).neighbours
        'all records of one patient, at most 3 of them used, replaced'
        """
        used = f", at most {self.max_rows} of them used," if self.max_rows > 1 else ""
        return f"{self.protects}{used} {CHANGES[self.adjacency]}"

    @property
    def records_are_public(self) -> bool:
        """Whether neighbouring tables have equally many records, so that their number is public.

        Not where a unit may hold several: it may be replaced by one that holds fewer.
        """
        return self.adjacency == "replace_one" and self.unit is None

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.epsilon > 0:
            raise ValueError(
                "epsilon must be a finite number above 0, or inf where no guarantee is wanted, "
                f"got {self.epsilon}"
            )
        if not 0 <= self.delta < 1:
            raise ValueError(f"delta must lie in [0, 1), got {self.delta}")
        if self.max_rows < 1:
            raise ValueError(f"max_rows must be a whole number above 0, got {self.max_rows}")
        if self.unit is None and self.max_rows != 1:
            raise ValueError("max_rows above 1 needs the column that names the unit; give unit")
