"""Portions of an adaptive accountant's filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dp_synth.accounting.ledger import CRUMBS, PLANNED, Randomness
from dp_synth.accounting.plan import Plan
from dp_synth.accounting.slices import Slice
from dp_synth.errors import BudgetExceeded

if TYPE_CHECKING:
    from dp_synth.accounting.accountant import Accountant

Plans = Mapping[str, tuple[Plan, float]]


class Portion:
    """So much of an adaptive root's filter, to be spent by fits or handed on in portions."""

    def __init__(self, root: Accountant, parent: Portion | None, amount: float) -> None:
        self.root = root
        self._parent = parent
        self._amount = amount
        self._left = amount

    def left(self) -> float:
        """Return what is left of it, in the filter's currency: no more than of what it is part."""
        above = self._parent.left() if self._parent else self.root.left()
        return min(self._left, above) if self._left > CRUMBS * self._amount else 0.0

    def portion(self, epsilon: float) -> Portion:
        """Return as much of this as a budget of ``epsilon`` would be."""
        return Portion(self.root, self, self.root.amount(epsilon))

    def admit_jointly(
        self, plans: Plans, *, randomness: Randomness = "os", why: str = PLANNED
    ) -> dict[str, Slice]:
        """Reserve all that is left of this for several plans; see ``Accountant``.

        BudgetExceeded when what it is a part of no longer has as much.
        """
        with self.root._lock:
            amount = self._whole(plans)
            pieces = self.root.admit_jointly(plans, randomness=randomness, amount=amount, why=why)
            rule = self.root.ledger.filter
            assert rule is not None
            self._spend(sum(rule.cost(piece.plan.events()) for piece in pieces.values()))
        return pieces

    def check(self, plans: Plans) -> dict[str, Plan]:
        """Return what ``admit_jointly`` would grant, or raise as it would; write nothing."""
        with self.root._lock:
            return self.root.check(plans, amount=self._whole(plans))

    def _whole(self, plans: Plans) -> float:
        """Return all that is left of this; BudgetExceeded when the rest of it is gone."""
        left = self.left()
        if left < self._left * (1 - 1e-9):
            raise BudgetExceeded(self.root._no_room(plans, self._left))
        return left

    def _spend(self, amount: float) -> None:
        self._left -= amount
        if self._parent:
            self._parent._spend(amount)
